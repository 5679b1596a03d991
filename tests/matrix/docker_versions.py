"""Every version of the servers in Docker: backup, verification, restore, proof and drill of each, and which
restores on images of other versions are refused before anything is made.

Each class is the reference stack on the servers of one Debian suite (tests/support/images.py), with the help
desk's data and with what only these versions can hold. Restored volumes are also looked at without lifeboat:
the suite's own images start on them, and what they hold is what production holds.

One class alone: python3 docker_versions.py Trixie; several at a time are slow, not wrong."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from compose_stack import ComposeStack  # noqa: E402
from docker_case import ComposeCase  # noqa: E402
from images import SUITES, images  # noqa: E402
from stack import Failed, wait_for  # noqa: E402

SERVICES = ("postgres", "pgbouncer", "redis")
# A machine that builds at the same time needs longer for a first start than three looks.
PATIENT = {"services": {name: {"healthcheck": {"retries": 120}} for name in SERVICES}}
ORDER = list(SUITES)  # from the oldest to the newest

# What PostgreSQL can hold from a version on, in a database of its own each.
SQL = {
    13: ("""CREATE DATABASE of_13""", """
        CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, at date NOT NULL, what text COLLATE "C",
            twice bigint GENERATED ALWAYS AS (length(what) * 2) STORED, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE events_early PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2026-06-01');
        CREATE TABLE events_late PARTITION OF events DEFAULT;
        INSERT INTO events (at, what) SELECT '2026-01-01'::date + i, 'ev\\ent' || chr(9) || i
            FROM generate_series(0, 364) i;
        CREATE STATISTICS both_of_it (dependencies) ON id, at FROM events;
        CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER touch BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION touched();
        CREATE PUBLICATION everything FOR ALL TABLES;"""),
    15: ("""CREATE DATABASE of_15 TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'""", """
        CREATE TABLE spans (id int UNIQUE NULLS NOT DISTINCT, during int4multirange, big text COMPRESSION lz4);
        INSERT INTO spans SELECT i, int4multirange(int4range(i, i + 2), int4range(i + 5, i + 9)), repeat('x', i * 50)
            FROM generate_series(1, 200) i;
        CREATE FUNCTION how_many() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM spans; END;
        CREATE VIEW seen WITH (security_invoker) AS SELECT id FROM spans;
        CREATE PUBLICATION a_part FOR TABLE spans (id) WHERE (id > 5);
        GRANT SET ON PARAMETER work_mem TO pg_monitor;"""),
    17: ("""CREATE DATABASE of_17 TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'""", """
        CREATE TABLE words (word text PRIMARY KEY);
        INSERT INTO words SELECT 'Straße ' || chr(192 + i % 60) || i FROM generate_series(1, 500) i;
        CREATE COLLATION built (provider = builtin, locale = 'C.UTF-8');
        CREATE COLLATION ruled (provider = icu, locale = 'und', rules = '& V << w <<< W');
        CREATE INDEX by_rule ON words (word COLLATE ruled);
        GRANT MAINTAIN ON words TO pg_read_all_data;"""),
    18: ("""CREATE DATABASE of_18 TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST'""", """
        CREATE TABLE rooms (room int, booked daterange, guest text CONSTRAINT somebody NOT NULL,
            loud text GENERATED ALWAYS AS (upper(guest)) VIRTUAL,
            CONSTRAINT once PRIMARY KEY (room, booked WITHOUT OVERLAPS));
        INSERT INTO rooms (room, booked, guest) SELECT i % 7, daterange('2026-01-01'::date + i, '2026-01-02'::date + i),
            'guest ' || i FROM generate_series(1, 300) i;
        CREATE TABLE loose (a int CHECK (a > 0) NOT ENFORCED, b int);
        INSERT INTO loose VALUES (-1, NULL), (1, 2);
        ALTER TABLE loose ADD CONSTRAINT later NOT NULL b NOT VALID;
        INSERT INTO loose VALUES (2, uuid_extract_version(uuidv7()));"""),
}
NEEDS_EXTENSION = {18: "CREATE EXTENSION btree_gist;"}
STREAM = [["XADD", "special:stream", "1-%d" % i, "n", str(i)] for i in range(1, 30)] + [
    ["XGROUP", "CREATE", "special:stream", "readers", "0"],
    ["XREADGROUP", "GROUP", "readers", "one", "COUNT", "7", "STREAMS", "special:stream", ">"],
    ["XACK", "special:stream", "readers", "1-3"],
    ["XDEL", "special:stream", "1-20"]]
FUNCTION = "#!lua name=special\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)"
FIELD_TTL = [["HSET", "special:hash", "goes", "1", "stays", "2"],
             ["HEXPIRE", "special:hash", "864000", "FIELDS", "1", "goes"]]


class Restored(ComposeStack):
    """The images of a stack on its restored volumes, without Compose: each in a container with no network."""

    def __init__(self, stack, volumes):  # pylint: disable=super-init-not-called
        self.docker, self.stack, self.volumes = stack.docker, stack, volumes

    def container(self, service):
        return "%s-restored-%s" % (self.stack.project, service)

    def start_postgres(self):
        self._run("postgres", self.stack.images.postgres, self.stack.postgres_volume())
        self._wait("postgres", "psql", "-XqAt", "-U", self.USER, "-h", "/var/run/postgresql", "-c", "SELECT 1")

    def start_redis(self):
        self._run("redis", self.stack.redis_image, "/data", "redis-server", "--save", "")
        self._wait("redis", "redis-cli", "PING")

    def _run(self, service, image, target, *argv):
        self.docker("run", "-d", "--network", "none", "--name", self.container(service), "-v",
                    "%s:%s" % (self.volumes[service], target), image, *argv)

    def _wait(self, service, *argv):
        def answers():
            done = self.execute(service, *argv, check=False)
            return done.returncode == 0 and b"LOADING" not in done.stdout
        try:
            wait_for("the restored %s" % service, answers, 120, 0.3)
        except Failed as problem:
            said = self.docker.run("logs", "--tail", "40", self.container(service), check=False)
            raise Failed("%s\n%s" % (problem, (said.stdout + said.stderr).decode(errors="replace"))) from None

    def close(self):
        for service in ("postgres", "redis"):
            self.docker.run("rm", "-f", "-v", self.container(service), check=False)


class Versions:
    """LOADED_BY: "redis SUITE" and "valkey SUITE" of all servers that take this one's dump."""

    SUITE, REDIS, LOADED_BY = None, "redis", ()

    @classmethod
    def setUpClass(cls):
        named = sorted(name for name in os.environ if re.fullmatch("LIFEBOAT_TEST_[A-Z]+_IMAGE", name))
        if named:
            raise unittest.SkipTest("%s: one image can't stand for all versions" % ", ".join(named))
        # Before anything runs: the first time they are built.
        cls.others = {suite: images(suite) for suite in ORDER}
        cls.STACK = {"suite": cls.SUITE, "redis": cls.REDIS, "override": PATIENT}
        cls.began = time.monotonic()
        super().setUpClass()
        cls.major = int(SUITES[cls.SUITE]["postgres"])
        cls.redis_version = int(SUITES[cls.SUITE][cls.REDIS])
        cls.databases = cls.fill_postgres() + ["hdms_db", "hdms_audit"]
        cls.fill_redis()
        cls.backup = cls.stack.lifeboat("backup", "--json", expect=0).json

    @classmethod
    def tearDownClass(cls):
        print("%s: %d s" % (cls.__name__, time.monotonic() - cls.began), file=sys.stderr)
        super().tearDownClass()

    @classmethod
    def fill_postgres(cls):
        made = []
        for first, (create, text) in SQL.items():
            if first > cls.major:
                continue
            made.append("of_%d" % first)
            cls.stack.sql("postgres", create)
            cls.stack.sql(made[-1], NEEDS_EXTENSION.get(first, "") + text)
        return made

    @classmethod
    def fill_redis(cls):
        commands = list(STREAM)
        if cls.has_functions():
            commands.append(["FUNCTION", "LOAD", FUNCTION])
        if cls.has_field_ttl():
            commands += FIELD_TTL
        for command in commands:
            said = cls.stack.redis(*command, database=2)
            if "ERR" in said:
                raise Failed("%s: %s" % (command, said))

    @classmethod
    def has_functions(cls):
        return cls.redis_version >= 7

    @classmethod
    def has_field_ttl(cls):
        return cls.redis_version >= (9 if cls.REDIS == "valkey" else 8)

    # ---- the very versions

    def test_1_backup_says_the_versions_and_is_intact(self):
        components = self.stack.lifeboat("show", "--json", expect=0).json["manifest"]["components"]
        self.assertEqual(components["postgres"]["server"]["major"], self.major)
        server = components["redis"]["server"]
        self.assertEqual((server["server"], server["major"]), (self.REDIS, self.redis_version))
        names = [database["name"] for database in components["postgres"]["databases"]]
        self.assertLessEqual(set(self.databases), set(names))
        self.stack.lifeboat("verify", expect=0)

    def test_2_restored_volumes_hold_what_production_holds(self):
        with self.production_untouched():
            done = self.stack.lifeboat("restore", "--as", "same", "--json", expect=0, timeout=900).json
        self.addCleanup(self.remove_volumes, done["volumes"])
        self.assertEqual(done["outcome"], "passed", done["proof"])
        # Files of Redis's that are not in its volume have one of their own.
        restored = Restored(self.stack, {v["component"]: v["name"] for v in done["volumes"]
                                         if "-outside" not in v["name"]})
        self.addCleanup(restored.close)
        restored.start_postgres()
        for database in self.databases:
            self.assertEqual(restored.pg_dump(database), self.stack.pg_dump(database), database)
        self.assertEqual(restored.pg_globals(), self.stack.pg_globals())
        for asked in ("SHOW server_version", "SHOW data_checksums", "SHOW lc_messages",
                      "SELECT to_jsonb(d) - '{oid,datdba,datacl,dattablespace,datfrozenxid,datminmxid,datlastsysoid}'"
                      "::text[] FROM pg_database d WHERE datname <> 'template0' ORDER BY datname"):
            self.assertEqual(restored.sql("postgres", asked), self.stack.sql("postgres", asked), asked)
        restored.start_redis()
        self.assertEqual(restored.redis_contents(), self.stack.redis_contents())
        for command in self.special_questions():
            self.assertEqual(restored.redis(*command, database=2), self.stack.redis(*command, database=2), command)

    def special_questions(self):
        asked = [["XPENDING", "special:stream", "readers"], ["XRANGE", "special:stream", "-", "+"]]
        if self.has_functions():
            asked += [["FUNCTION", "LIST", "LIBRARYNAME", "special", "WITHCODE"], ["FCALL", "twice", "0", "21"]]
        if self.has_field_ttl():
            asked.append(["HEXPIRETIME", "special:hash", "FIELDS", "2", "goes", "stays"])
        return asked

    def test_3_drill_passes_and_leaves_nothing(self):
        with self.production_untouched():
            evidence = self.stack.lifeboat("drill", "--json", expect=0, timeout=900).json
        self.assertEqual(evidence["outcome"], "passed")
        self.assert_nothing_left()

    def test_3_hash_whose_fields_expire__drill_passes_and_its_control_notices(self):
        if not self.has_field_ttl():
            return  # a version that has no such thing has nothing to show
        for key, others in (("special:brief", []), ("special:part", ["stays", "2"]), ("special:part2", ["stays", "2"])):
            self.stack.redis("HSET", key, "goes", "1", *others, database=0)
            self.stack.redis("HEXPIRE", key, "10", "FIELDS", "1", "goes", database=0)
        self.stack.lifeboat("backup", expect=0, timeout=600)
        wait_for("fields to be gone", lambda: self.stack.redis("HLEN", "special:part2", database=0) == "1"
                 and self.stack.redis("EXISTS", "special:brief", database=0) == "0", 60)
        evidence = self.stack.lifeboat("drill", "--json", expect=0, timeout=900).json
        self.assertEqual(evidence["outcome"], "passed")
        self.assertEqual(evidence["negative_control"]["redis"]["outcome"], "failed")

    # ---- other versions

    def test_4_other_versions_are_refused_with_the_reason(self):
        for suite, others in self.others.items():
            for kind in ("redis", "valkey"):
                image = getattr(others, kind)
                if image is None:
                    continue
                named = {"redis": image}
                if kind == "redis":
                    named.update(postgres=others.postgres, pgbouncer=others.pgbouncer)
                with self.subTest(suite=suite, kind=kind):
                    self.assert_obstacles(named, self.expected(suite, kind, named))

    def expected(self, suite, kind, named):
        """Of what is named, a piece of each obstacle's text."""
        texts = []
        place, own = ORDER.index(suite), ORDER.index(self.SUITE)
        if "postgres" in named and place != own:
            texts.append("has PostgreSQL %s, %s than the backup's %d; %s" % (
                SUITES[suite]["postgres"], "older" if place < own else "newer", self.major,
                "nothing is restored from newer to older" if place < own
                else "a restore does not change the major version"))
        if "%s %s" % (kind, suite) not in self.LOADED_BY:
            texts.append("can't load this dump of %s %d." % (self.REDIS.title(), self.redis_version))
        if "pgbouncer" in named and place < own:
            texts.append("is older than the PgBouncer ")
        return texts

    def assert_obstacles(self, named, texts):
        done = self.stack.lifeboat("restore", "--as", "other", "--dry-run", "--json", *self.image_options(named),
                                   *(() if "postgres" in named else ("--only", "redis")))
        said = done.json["obstacles"]
        self.assertEqual(len(said), len(texts), str(done))
        for obstacle, text in zip(said, texts):
            self.assertIn(text, obstacle)
        self.assertEqual(done.code, 1 if texts else 0, str(done))

    @staticmethod
    def image_options(named):
        return ["--image", ",".join("%s=%s" % pair for pair in named.items())]

    def test_5_a_refused_restore_makes_nothing(self):
        place = ORDER.index(self.SUITE)
        suite = ORDER[place - 1] if place > 0 else ORDER[1]
        before = self.volumes_and_networks()
        with self.what_is_made() as made:
            done = self.stack.lifeboat("restore", "--as", "refused",
                                       *self.image_options({"postgres": self.others[suite].postgres}))
        self.assert_failed(done, 1, "has PostgreSQL %s, " % SUITES[suite]["postgres"],
                           "Restore with an image of PostgreSQL %d (--image postgres=IMAGE)" % self.major)
        self.assertEqual(made, [])
        self.assertEqual(self.volumes_and_networks(), before)
        self.assert_nothing_left()

    def volumes_and_networks(self):
        """Ours, by their names: others may use the same daemon."""
        return [sorted(name for name in self.docker(kind, "ls", "--format", "{{.Name}}").split()
                       if self.stack.project in name) for kind in ("volume", "network")]

    @contextmanager
    def what_is_made(self):
        """Of ours, even if it is gone again: volumes, and containers but those in which an image was looked at. A
        network has no labels in the daemon's events; there is none without a server on it. A volume of our own at
        either end shows that nothing was missed in between."""
        made = []
        with tempfile.TemporaryFile() as out:
            watch = subprocess.Popen(["docker", "events", "--filter", "event=create", "--format", "{{json .}}"],
                                     env=self.docker.env, stdin=subprocess.DEVNULL, stdout=out)
            try:
                self.wait_for_mark(out, "%s-begin" % self.stack.project)
                yield made
                self.wait_for_mark(out, "%s-end" % self.stack.project)
            finally:
                watch.kill()
                watch.wait()
            out.seek(0)
            made += [event for event in map(self.as_ours, out.read().decode().splitlines()) if event]

    def wait_for_mark(self, out, name):
        def seen():
            self.docker("volume", "create", name)
            self.docker("volume", "rm", name)
            return name.encode() in os.pread(out.fileno(), 1 << 24, 0)
        wait_for("the daemon to tell what is made", seen, 60, 0.5)

    def as_ours(self, line):
        event = json.loads(line)
        facts, name = event["Actor"]["Attributes"], event["Actor"]["ID"]
        if event["Type"] == "volume":
            return name if self.stack.project + "_" in name else None
        ours = facts.get("org.lifeboat.stack") == self.stack.project
        return facts.get("name") if ours and facts.get("org.lifeboat.kind") != "helper" else None

    def test_6_newer_servers_load_the_dump(self):
        servers = [server for server in self.LOADED_BY if server != "%s %s" % (self.REDIS, self.SUITE)]
        if not servers:
            self.skipTest("no other of these loads it")
        for server in servers:
            kind, suite = server.split()
            with self.subTest(server=server):
                done = self.stack.lifeboat("restore", "--as", kind + suite, "--only", "redis", "--json", "--image",
                                           "redis=" + getattr(self.others[suite], kind), expect=0, timeout=600).json
                self.remove_volumes(done["volumes"])
                self.assertEqual(done["outcome"], "passed", done["proof"])
        self.assert_nothing_left()

    def remove_volumes(self, volumes):
        for volume in volumes:
            self.docker.run("volume", "rm", volume["name"])


REDIS_7_AND_NEWER = ("redis bookworm", "redis trixie", "redis forky", "valkey trixie", "valkey forky")


class Bullseye(Versions, ComposeCase):
    """PostgreSQL 13, Redis 6."""
    SUITE, LOADED_BY = "bullseye", ("redis bullseye",) + REDIS_7_AND_NEWER


class Bookworm(Versions, ComposeCase):
    """PostgreSQL 15, Redis 7."""
    SUITE, LOADED_BY = "bookworm", REDIS_7_AND_NEWER


class Trixie(Versions, ComposeCase):
    """PostgreSQL 17, Redis 8."""
    SUITE, LOADED_BY = "trixie", ("redis trixie", "redis forky")


class TrixieValkey(Versions, ComposeCase):
    """PostgreSQL 17, Valkey 8."""
    SUITE, REDIS = "trixie", "valkey"
    LOADED_BY = ("valkey trixie", "valkey forky", "redis trixie", "redis forky")


class Forky(Versions, ComposeCase):
    """PostgreSQL 18, Redis 8 of a later minor version with the same format."""
    SUITE, LOADED_BY = "forky", ("redis forky", "redis trixie")


class ForkyValkey(Versions, ComposeCase):
    """PostgreSQL 18, Valkey 9."""
    SUITE, REDIS, LOADED_BY = "forky", "valkey", ("valkey forky",)


if __name__ == "__main__":
    unittest.main()
