"""A part of an archive: one table by its own bytes, and what is left of one that is damaged."""

import base64
import hashlib
import json
import random
import unittest

from archive import Archive
from case import StackCase
from stack import PG_BIN, run

BALLAST_BYTES = 6 << 20  # in the dump; incompressible but for base64's quarter
ODD = 'a "b".c d'


class Tables(StackCase):
    STACK = {"populate": False, "components": ("postgres", "redis")}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack.write_conf(cls.stack.conf() + "\n[archive]\npart_size = 128KiB\n")
        cls.fill()
        cls.backup = cls.stack.lifeboat("backup", "--json", expect=0).json
        cls.original = Archive(cls.stack, cls.backup["id"])
        cls.names = 0

    def tearDown(self):
        self.original.restore()

    @classmethod
    def fill(cls):
        """Ballast before, between and behind the small tables, as far as pg_dump's order of names goes."""
        cls.stack.sql("postgres", 'CREATE DATABASE shop; CREATE DATABASE "other"')
        cls.stack.sql("shop", r"""
            CREATE TABLE aaa_ballast (x text); CREATE TABLE zzz_ballast (x text);
            CREATE TABLE hub (id serial PRIMARY KEY, name text UNIQUE);
            INSERT INTO hub (name) SELECT 'hub ' || n FROM generate_series(1, 2000) n;
            CREATE TABLE nothing (a int);
            CREATE TABLE no_columns ();
            CREATE SCHEMA "od""d.sch ema";
            CREATE TABLE "od""d.sch ema"."%s" ("select" int PRIMARY KEY, " " text);
            INSERT INTO "od""d.sch ema"."%s" SELECT n, E'\\t\n\\' || n FROM generate_series(1, 100) n;
            CREATE INDEX "i ON public.hub " ON "od""d.sch ema"."%s" (" ");
            CREATE TABLE meter (at date NOT NULL, v int, PRIMARY KEY (at, v)) PARTITION BY RANGE (at);
            CREATE TABLE meter_old PARTITION OF meter FOR VALUES FROM ('2020-01-01') TO ('2026-01-01')
                PARTITION BY LIST (v);
            CREATE TABLE "od""d.sch ema"."Meter 1" PARTITION OF meter_old FOR VALUES IN (1);
            CREATE TABLE meter_rest PARTITION OF meter_old DEFAULT;
            CREATE TABLE meter_new PARTITION OF meter FOR VALUES FROM ('2026-01-01') TO ('2030-01-01');
            CREATE INDEX meter_v ON meter (v);
            INSERT INTO meter SELECT date '2025-06-01' + n %% 400, n FROM generate_series(1, 1000) n;
            CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
            CREATE TABLE moods (m mood NOT NULL, n int) PARTITION BY HASH (m);
            CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE moods_1 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            INSERT INTO moods SELECT (ARRAY['sad', 'ok', 'happy'])[1 + n %% 3]::mood, n
                FROM generate_series(1, 300) n;
            SELECT lo_from_bytea(0, 'large');
        """ % ((ODD.replace('"', '""'),) * 3))
        cls.stack.sql("other", "CREATE TABLE small (a int); INSERT INTO small SELECT generate_series(1, 50)")
        source = random.Random(1)
        for table in ("aaa_ballast", "zzz_ballast"):
            lines = b"\n".join(base64.b64encode(source.randbytes(3 << 10)) for _ in range(BALLAST_BYTES // (4 << 10)))
            run([PG_BIN / "psql", "-Xq", "-d", "shop", "-c", "COPY %s FROM STDIN" % table], env=cls.stack.pg_env(),
                input=lines)

    def restore(self, *args):
        Tables.names += 1
        return self.stack.lifeboat("restore", "--as", "t%d" % Tables.names, "--json", *args)

    def table(self, name, *statements, database="shop"):
        """Restores it alone, and asks the restored server. What `restore --json` said."""
        result = self.restore("--database", database, "--table", name, "--up")
        self.assertEqual(result.code, 0, str(result))
        said = result.json
        self.addCleanup(self.assert_no_process_left)
        server = next(s for s in said["servers"] if s["component"] == "postgres")
        try:
            for statement, expected in statements:
                self.assertEqual(self.stack.sql(database, statement, port=server["port"]), expected, statement)
        finally:
            run(["kill", "-INT", str(server["pid"])])
        self.assertEqual(said["outcome"], "passed")
        self.assertGreater(said["proof"]["compared"], 1)
        return said

    def test_table__out_of_a_large_archive__fetches_little(self):
        said = self.table("public.hub", ("SELECT count(*), min(name) FROM hub", "2000|hub 1"),
                          ("SELECT count(*) FROM aaa_ballast", "0"),
                          ("SELECT string_agg(indexname, ' ' ORDER BY 1) FROM pg_indexes WHERE schemaname = 'public'",
                           "hub_name_key hub_pkey"),
                          ("SELECT nextval('hub_id_seq')", "2001"))
        self.assertGreater(said["archive_bytes"], 9 << 20)
        self.assertEqual(said["archive_bytes"], self.backup["bytes"])
        self.assertLess(said["fetched_bytes"], 1 << 20)

    def test_table__out_of_a_large_encrypted_archive__fetches_little(self):
        recipient = self.stack.lifeboat("keygen", "--json", "-o", "identity.txt", expect=0).json["recipient"]
        archive = self.original.path.with_name(self.original.path.name + ".age")
        run(["age", "-r", recipient, "-o", archive, self.original.path])
        self.addCleanup(archive.unlink)
        side = json.loads(self.original.sidecar.read_text())
        side.update(archive=archive.name, bytes=archive.stat().st_size, encrypted={"recipients": [recipient]},
                    sha256=hashlib.sha256(archive.read_bytes()).hexdigest())
        self.original.path.unlink()
        self.original.sidecar.write_text(json.dumps(side))
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        self.stack.write_conf(conf.replace("[archive]\n", "[archive]\nidentity = identity.txt\n"))
        # Damage that lies elsewhere is not even met.
        data = bytearray(archive.read_bytes())
        data[len(data) // 4] ^= 1
        archive.write_bytes(data)
        said = self.table("public.hub", ("SELECT count(*), min(name) FROM hub", "2000|hub 1"))
        self.assertGreater(said["archive_bytes"], 9 << 20)
        self.assertLess(said["fetched_bytes"], 1 << 20)
        result = self.stack.lifeboat("verify")
        self.assert_failed(result, 1, "stream 'postgres/databases/shop/dump': part ")
        self.assertRegex(result.out, r"[12] of its \d+ parts")  # a chunk of age's may reach into two
        self.assertIn("  intact   database 'other'", result.out)

    def test_table__of_an_odd_name__restored(self):
        self.table('od"d.sch ema.' + ODD,
                   ('SELECT count(*), sum("select") FROM "od""d.sch ema"."%s"' % ODD.replace('"', '""'), "100|5050"),
                   ("SELECT string_agg(indexname, ' ' ORDER BY 1) FROM pg_indexes WHERE schemaname = 'od\"d.sch ema'",
                    'a "b".c d_pkey i ON public.hub '))

    def test_table__of_several_frames__restored(self):
        said = self.table("public.aaa_ballast", ("SELECT count(*) FROM aaa_ballast", str(BALLAST_BYTES // (4 << 10))),
                          ("SELECT count(*) FROM zzz_ballast", "0"))
        self.assertLess(said["fetched_bytes"], said["archive_bytes"] * 6 // 10)

    def test_table__that_is_partitioned__comes_with_all_its_partitions(self):
        said = self.table("public.meter", ("SELECT count(*), sum(v) FROM meter", "1000|500500"),
                          ("SELECT count(*) FROM \"od\"\"d.sch ema\".\"Meter 1\"", "1"),
                          ("SELECT count(*) FROM pg_index WHERE NOT indisvalid", "0"),
                          ("SELECT count(*) FROM pg_indexes WHERE tablename ILIKE 'meter%'", "10"),
                          ("SELECT count(*) FROM hub", "0"))
        self.assertLess(said["fetched_bytes"], 2 << 20)
        self.table("public.meter_old", ("SELECT count(*) < 1000 AND count(*) > 0 FROM meter", "t"),
                   ("SELECT count(*) FROM meter_new", "0"))

    def test_table__whose_rows_go_through_its_root__comes_with_its_sisters(self):
        self.table("public.moods_1", ("SELECT count(*) FROM moods", "300"))

    # ---- archives that say something else

    def forge(self, edit):
        """Changes the manifest's section of the database 'shop'."""
        self.original.restore()
        archive = self.original

        def change(manifest):
            for database in manifest["components"]["postgres"]["databases"]:
                if database["name"] == "shop":
                    edit(database, {t["name"]: t for t in database["tables"]})
        archive.write(archive.with_manifest(change))

    def test_manifest__without_the_places__whole_dump_is_read(self):
        def edit(database, tables):
            del database["dump_head_bytes"]
            for table in tables.values():
                del table["block_at"], table["block_bytes"]
        self.forge(edit)
        said = self.table("public.hub", ("SELECT count(*) FROM hub", "2000"), ("SELECT count(*) FROM zzz_ballast", "0"))
        self.assertGreater(said["fetched_bytes"], said["archive_bytes"] * 9 // 10)

    def assert_refused(self, *texts):
        result = self.restore("--database", "shop", "--table", "public.hub")
        self.assertEqual(result.code, 1, str(result))
        for text in texts:
            self.assertIn(text, result.err)
        self.assertEqual([p.name for p in self.stack.volumes.glob("*_t%d" % self.names)], [])

    def test_manifest__that_lies_about_the_places__is_found_out(self):
        def another(_, tables):
            tables["hub"]["block_at"] = tables["nothing"]["block_at"]
            tables["hub"]["block_bytes"] = tables["nothing"]["block_bytes"]
        self.forge(another)
        self.assert_refused("dump is damaged: data of entry", "which promised none")
        self.forge(lambda _, tables: tables["hub"].update(block_bytes=tables["hub"]["block_bytes"] - 5))
        self.assert_refused("dump ends inside the data of table 'public.hub'")

    def test_manifest__of_other_rows__is_found_out(self):
        self.forge(lambda _, tables: tables["hub"].update(digest="0" * 32))
        self.assert_refused("the rows of table 'public.hub' in the archive are not those that the manifest lists")

    # ---- damage

    def flip(self, stream, part):
        """One byte in the middle of one part of a stream. The number of its frame."""
        manifest = self.original.manifest()
        runs = next(s["parts"] for s in manifest["streams"] if s["name"] == stream)
        frame = [first + k for first, count, _ in runs for k in range(count)][part]
        data = bytearray(self.original.data)
        data[self.original.frames[frame].offset + self.original.frames[frame].stored // 2] ^= 4
        self.original.write(bytes(data), tell_sidecar=False)
        return frame

    def verdicts(self):
        return sorted(n for n in self.stack.store_files() if ".verify-" in n)

    def test_damage__of_one_database__is_listed_and_all_else_is_restored(self):
        self.stack.lifeboat("verify", expect=0)
        frame = self.flip("postgres/databases/shop/dump", -3)
        result = self.stack.lifeboat("verify")
        self.assert_failed(result, 1, "backup '%s' in store 'local': " % self.backup["id"],
                           "stream 'postgres/databases/shop/dump': part ", ": frame %d of " % frame,
                           "restore %s --database other" % self.backup["id"])
        self.assertRegex(result.out, r"damaged  database 'shop': 'postgres/databases/shop/dump'\n +1 of its \d+ parts")
        self.assertEqual([line.split(None, 1)[1] for line in result.out.splitlines() if line.startswith("  intact")],
                         ["database 'other'", "database 'postgres'", "database 'template1'",
                          "roles and configuration of PostgreSQL", "Redis"])
        # Told by all who list it, until a whole verify passes.
        listed = self.stack.lifeboat("list", "--json", expect=0).json["backups"][0]
        self.assertEqual((listed["verified"], listed["damaged"]), ("failed", True))
        self.assertIn("damaged", self.stack.lifeboat("list", expect=0).out)
        self.assert_failed(self.stack.lifeboat("status"), 1, "a verify found damage in the newest backup")
        self.assertIn("(whole): failed", self.stack.lifeboat("show", expect=0).out)
        # A sample is no whole verify, whatever it finds.
        for _ in range(20):
            if self.stack.lifeboat("verify", "--sample", "1%").code == 0:
                break
        self.assertTrue(self.stack.lifeboat("list", "--json").json["backups"][0]["damaged"])
        # What is intact can be had.
        text = self.stack.lifeboat("restore", "--as", "text", "--database", "other", expect=0).out
        self.assertIn("proof: passed", text)
        self.assertRegex(text, r"fetched [\d.]+ KiB from store 'local', whose archive has [\d.]+ MiB")
        said = self.table("public.hub", ("SELECT count(*) FROM hub", "2000"))
        self.assertEqual(said["outcome"], "passed")
        self.assert_failed(self.restore("--database", "shop"), 1, "in store 'local'", "frame %d of " % frame,
                           "lifeboat verify %s" % self.backup["id"])
        self.original.restore()
        said = self.stack.lifeboat("verify", "--json", expect=0).json["verified"][0]
        self.assertEqual((said["kind"], said["outcome"]), ("whole", "passed"))
        listed = self.stack.lifeboat("list", "--json", expect=0).json["backups"][0]
        self.assertEqual((listed["verified"], listed["damaged"]), ("passed", False))
        self.assertLessEqual(len(self.verdicts()), 4)
        shown = self.stack.lifeboat("show", "--json", expect=0).json
        self.assertLess(shown["fetched_bytes"], 300 << 10)
        self.assertEqual(shown["verifies"][-1]["outcome"], "passed")

    def test_sample__finds_a_flipped_byte__by_the_seeds_that_hit_it(self):
        self.stack.lifeboat("verify", expect=0)
        frame = self.flip("postgres/databases/shop/dump", 20)
        results = {}
        for seed in range(40):
            results[seed] = self.stack.lifeboat("verify", "--sample", "20%", "--seed", seed, "--json")
            if len({r.code for r in results.values()}) == 2:
                break
        hit = next(seed for seed, r in results.items() if r.code == 1)
        missed = next(seed for seed, r in results.items() if r.code == 0)
        again = self.stack.lifeboat("verify", "--sample", "20%", "--seed", hit)
        self.assert_failed(again, 1, "stream 'postgres/databases/shop/dump': part 20: frame %d of " % frame)
        self.assertIn("found by a sample, seed %d" % hit, again.out)
        self.assertNotIn("intact", again.out)
        said = results[hit].json["verified"][0]
        self.assertEqual((said["kind"], said["outcome"], said["seed"], said["share_ppm"]), ("sample", "failed", hit, 200000))
        self.assertEqual([d["what"] for d in said["damaged"]], ["database 'shop'"])
        self.assertNotIn("intact", said)
        honest = self.stack.lifeboat("verify", "--sample", "20%", "--seed", missed, expect=0)
        self.assertIn("sample sound", honest.out)
        self.assertIn("seed %d; the rest was not looked at" % missed, honest.out)
        said = results[missed].json["verified"][0]
        self.assertEqual((said["kind"], said["outcome"]), ("sample", "passed"))
        self.assertLess(said["stored_bytes"], self.backup["bytes"] // 3)
        # The last whole verify passed, but a sample has found damage since.
        listed = self.stack.lifeboat("list", "--json", expect=0).json["backups"][0]
        self.assertEqual((listed["verified"], listed["damaged"]), ("passed", True))
        self.assertLessEqual(len(self.verdicts()), 4)
        kept = [json.loads((self.stack.store / n).read_text()) for n in self.verdicts()]
        self.assertIn(("whole", "passed"), [(v["kind"], v["outcome"]) for v in kept])
        self.assertIn(("sample", "failed"), [(v["kind"], v["outcome"]) for v in kept])
        self.original.restore()
        self.stack.lifeboat("verify", expect=0)

    def test_sample__of_a_wrong_share_or_seed__is_refused(self):
        for args, text in ((("--sample", "0"), "'0' is no share of an archive"),
                           (("--sample", "101%"), "'101%' is no share of an archive"),
                           (("--sample", "some"), "'some' is no share of an archive"),
                           (("--sample", "nan"), "'nan' is no share of an archive"),
                           (("--sample", "5%", "--seed=-1"), "'-1' is no seed"),
                           (("--sample", "5%", "--seed", "9223372036854775808"), "is no seed"),
                           (("--seed", "1"), "--seed needs --sample")):
            self.assert_failed(self.stack.lifeboat("verify", *args), 64, text)

    def test_cut__in_the_store__says_how_far_it_goes(self):
        self.original.write(self.original.data[:self.original.frames[30].offset + 100], tell_sidecar=False)
        result = self.stack.lifeboat("verify", self.backup["id"])
        self.assert_failed(result, 1, "backup '%s' in store 'local': " % self.backup["id"], "bytes instead of",
                           "has no manifest: it ends, or is damaged, after ", "zstd -dc FILE | tar -xf -")
        self.assert_failed(self.restore(self.backup["id"]), 1, "in store 'local': its archive has ", "lifeboat verify")


if __name__ == "__main__":
    unittest.main()
