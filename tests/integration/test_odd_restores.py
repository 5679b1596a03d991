"""Restores that end otherwise than well, and stacks with uncommon parts: what is said, and what is kept."""

import ctypes
import os
import signal
import unittest

from archive import Archive
from case import StackCase
from stack import run, tree_state, wait_for


class Sandboxed(StackCase):
    """With a way into the PostgreSQL that a restore is about to prove."""

    def sandbox_sql(self, name, database, sql, user=None):
        lines = (self.stack.volumes / ("postgres_data_" + name) / "postmaster.pid").read_text().split("\n")
        env = dict(self.stack.pg_env(user=user), PGPORT=lines[3], PGHOST=lines[5].strip() or lines[4].strip())
        run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql], env=env)

    def changed(self, name, database, sql, *texts):
        with self.nothing_changes():
            with self.held("before-proof", "restore", "--as", name) as held:
                self.sandbox_sql(name, database, sql)
            self.assert_failed(held.result, 1, "the proof failed", *texts)
            self.assertIn("proof: failed", held.result.out)

    def remove(self, name):
        for path in [*self.stack.volumes.glob("*_" + name), *self.stack.volumes.glob(".lifeboat/*_%s.json" % name)]:
            run(["rm", "-rf", path])


class PartitionsAndTablespace(Sandboxed):
    """A tablespace, partitions by the hash of an enum, a database that nobody may connect to."""

    STACK = {"components": ("postgres",), "populate": False}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        stack = cls.stack
        place = stack.run_dir / "table space"
        stack._folder(place)
        stack.sql("postgres", "CREATE TABLESPACE roomy LOCATION '%s'" % place)
        stack.sql("postgres", "CREATE DATABASE closed")
        stack.sql("postgres", "ALTER DATABASE closed ALLOW_CONNECTIONS false")
        stack.sql("postgres", """
            CREATE TYPE colour AS ENUM ('red', 'green', 'blue', 'black', 'white', 'pink', 'grey', 'brown');
            CREATE TABLE cars (paint colour, n int) PARTITION BY HASH (paint);
            CREATE TABLE cars_0 PARTITION OF cars FOR VALUES WITH (MODULUS 3, REMAINDER 0);
            CREATE TABLE cars_1 PARTITION OF cars FOR VALUES WITH (MODULUS 3, REMAINDER 1);
            CREATE TABLE cars_2 PARTITION OF cars FOR VALUES WITH (MODULUS 3, REMAINDER 2) TABLESPACE roomy;
            INSERT INTO cars SELECT paint, n FROM unnest(enum_range(NULL::colour)) paint, generate_series(1, 50) n;
            CREATE TABLE plain (a int, b text) TABLESPACE roomy;
            INSERT INTO plain SELECT n, 'row ' || n FROM generate_series(1, 200) n;
            CREATE INDEX plain_by_a ON plain (a); CREATE INDEX plain_by_b ON plain (b) TABLESPACE roomy;
            CREATE SEQUENCE counter; SELECT setval('counter', 41);
            CREATE VIEW few AS SELECT a FROM plain WHERE a < 5;""")
        cls.backup = stack.lifeboat("backup", "--json", expect=0)

    def test_backup__every_partition_has_rows__or_this_proves_little(self):
        for n in range(3):
            self.assertGreater(int(self.stack.sql("postgres", "SELECT count(*) FROM cars_%d" % n)), 0)

    def test_backup__database_that_allows_no_connections__warned_and_named(self):
        shown = self.stack.lifeboat("show", "--json", expect=0).json
        self.assertIn("database 'closed' allows no connections and is not in this backup",
                      shown["manifest"]["warnings"])

    def test_restore__volume_of_a_tablespace_exists__an_obstacle(self):
        taken = self.stack.volumes / "postgres_data-tablespace-1_taken"
        taken.mkdir()
        self.addCleanup(taken.rmdir)
        planned = self.stack.lifeboat("restore", "--as", "taken", "--dry-run", "--json", expect=1).json
        self.assertEqual(planned["obstacles"], ["volume '%s' exists: choose another name with --as" % taken.name])

    def test_restore__all__passes_notes_what_is_left_out_and_the_rows_are_there(self):
        with self.held("before-proof", "restore", "--as", "whole", "--json") as held:
            self.sandbox_sql("whole", "postgres", "DO $$ BEGIN ASSERT (SELECT count(*) FROM cars) = 400; END $$")
        self.addCleanup(self.remove, "whole")
        self.assertEqual(held.result.code, 0, str(held.result))
        said = held.result.json
        self.assertEqual(said["outcome"], "passed")
        self.assertIn("database 'closed' allowed no connections and is not in the backup", said["proof"]["notes"])
        self.assert_no_process_left()

    def test_restore__row_of_a_partition_gone__names_the_root(self):
        self.changed("part", "postgres", "DELETE FROM cars WHERE paint = 'pink' AND n = 3", "partitions of", "cars",
                     "400 expected, 399 found")

    def test_restore__row_of_a_partition_changed__names_the_digest(self):
        self.changed("same", "postgres", "UPDATE cars SET n = 51 WHERE paint = 'pink' AND n = 3", "cars",
                     "digest of rows")

    def test_restore__partition_gone__failed_and_missing(self):
        self.changed("gone", "postgres", "DROP TABLE cars_1", "cars", "missing found")

    def test_restore__index_gone__named(self):
        self.changed("index", "postgres", "DROP INDEX plain_by_a", "INDEX 'public.plain_by_a'", "missing found")

    def test_restore__view_gone__named(self):
        self.changed("view", "postgres", "DROP VIEW few", "VIEW 'public.few'", "missing found")

    def test_restore__table_gone__named(self):
        self.changed("table", "postgres", "DROP TABLE plain CASCADE", "table 'public.plain'", "missing found")

    def test_restore__sequence_gone__named(self):
        self.changed("sequence", "postgres", "DROP SEQUENCE counter", "sequence 'public.counter'")

    def test_restore__something_that_was_not_there__named(self):
        self.changed("more", "postgres", "CREATE FUNCTION intruder() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                     "FUNCTION 'intruder()'", "absent expected, there found")

    def test_restore__signal_at_the_proof__cancelled_and_not_failed(self):
        with self.nothing_changes():
            with self.held("before-proof", "restore", "--as", "signal") as held:
                held.process.send_signal(signal.SIGTERM)
            self.assertIn("cancelled", held.result.err, str(held.result))
            self.assertNotIn("proof", held.result.out + held.result.err)

    def test_restore__database_gone__named(self):
        self.changed("none", "template1", "DROP DATABASE postgres WITH (FORCE)", "database 'postgres'", "connection",
                     "accepted expected")

    def test_drill__passes(self):
        self.assertEqual(self.stack.lifeboat("drill", "--json", expect=0).json["outcome"], "passed")
        self.assert_no_process_left()


class FilesByTheirPaths(Sandboxed):
    """TLS files and lists of names that the configuration names, and that are gone with the machine."""

    STACK = {"components": ("postgres",), "populate": False}

    def test_restore__on_a_machine_without_them__passes(self):
        stack, data = self.stack, self.stack.volumes / "postgres_data"
        place = stack.folder / "in etc"
        stack._folder(place)
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-keyout", place / "key.pem", "-out", place / "cert.pem"])
        (place / "people").write_text("hdms\n")
        (place / "conf.d").mkdir()
        (place / "conf.d" / "1.conf").write_text("include '../more.conf'\n")
        (place / "more.conf").write_text("work_mem = '9MB'\n")
        (data / "inside.conf").write_text("maintenance_work_mem = '33MB'\n")
        with open(data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write("include_dir = '%s/conf.d' # ours\nINCLUDE='inside.conf'\ninclude_if_exists '/no/such'\n" % place)
        (data / "admins").write_text('@"more admins"\n"@people"\n')
        (data / "more admins").write_text("hdms\n")
        hba = data / "pg_hba.conf"
        hba.write_text('# who: @nobody\nhostssl "@all",all @admins,@"%s/people" all scram-sha-256\n' % place
                       + hba.read_text())
        for path in (*place.rglob("*"), *data.glob("*.conf"), *data.glob("*admins")):
            stack.give(path)
            path.chmod(0o700 if path.is_dir() else 0o600)
        for name, value in (("ssl_cert_file", place / "cert.pem"), ("ssl_key_file", place / "key.pem"), ("ssl", "on")):
            stack.sql("postgres", "ALTER SYSTEM SET %s = '%s'" % (name, value))
        stack.sql("postgres", "SELECT pg_reload_conf()")
        stack.lifeboat("backup", expect=0)
        place.rename(stack.folder / "gone")
        with self.held("before-proof", "restore", "--as", "elsewhere") as held:
            self.sandbox_sql("elsewhere", "postgres", "SELECT 1 / (SELECT count(*) FROM pg_hba_file_rules WHERE type ="
                             " 'hostssl' AND database = '{@all,all}' AND user_name = '{hdms,@people,hdms}')"
                             " / (current_setting('ssl') = 'on')::int"
                             " / (current_setting('work_mem') = '9MB')::int"
                             " / (current_setting('maintenance_work_mem') = '33MB')::int")
        self.assertEqual(held.result.code, 0, str(held.result))


class StatementFails(Sandboxed):
    """A materialized view that can't be refreshed without production's search_path: pg_dump takes it and
    pg_restore says so at the end of its load."""

    STACK = {"components": ("postgres",), "populate": False}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack.sql("postgres", "CREATE DATABASE shop")
        cls.stack.sql("shop", """
            CREATE TABLE goods (price int); INSERT INTO goods VALUES (1), (2), (3);
            CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN 0; END';
            CREATE MATERIALIZED VIEW sums AS SELECT total() AS total;
            CREATE OR REPLACE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS
                'BEGIN RETURN (SELECT sum(price) FROM goods); END';""")
        cls.stack.lifeboat("backup", expect=0)

    def test_restore__statement_fails__named_and_everything_made_is_gone(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--as", "bad")
            self.assert_failed(result, 1, "shop", 'relation "goods" does not exist',
                               "REFRESH MATERIALIZED VIEW public.sums", "HINT", "--keep-failed")

    def test_restore__statement_fails_and_keep_failed__the_rest_is_there(self):
        result = self.stack.lifeboat("restore", "--as", "kept", "--keep-failed", "--json")
        self.addCleanup(self.remove, "kept")
        self.assert_failed(result, 1, "shop", 'relation "goods" does not exist')
        self.assertNotIn("were removed", result.err)
        self.assertTrue(result.json["kept"], str(result))
        self.assertEqual(result.json["outcome"], "failed")
        data = self.stack.volumes / "postgres_data_kept"
        self.assertTrue((data / "PG_VERSION").is_file())
        self.assertFalse((data / "postmaster.pid").exists())
        self.assert_no_process_left()

    def test_drill__statement_fails__failed(self):
        result = self.stack.lifeboat("drill")
        self.assert_failed(result, 1, "shop", "goods")
        self.assertEqual([p.name for p in self.stack.volumes.iterdir() if "drill" in p.name], [])


class ChecksAndServers(Sandboxed):
    """Servers that are to stay, and the user's own questions."""

    backup_first = True

    def with_check(self, sql, expect, database="hdms_db"):
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        self.stack.write_conf(conf + "\n[check mine]\ndatabase = %s\nsql = %s\nexpect = %s\n" % (database, sql, expect))

    def test_restore_up__check_fails__no_server_and_no_volume_stays(self):
        self.with_check("SELECT count(*) FROM tickets", "-1")
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--as", "up", "--up")
            self.assert_failed(result, 1, "check 'mine': answer: -1 expected", "HINT")
            self.assertNotIn("runs on", result.out)

    def test_restore_up__check_fails_and_keep_failed__servers_stay_to_be_looked_at(self):
        self.with_check("SELECT 1", "2")
        result = self.stack.lifeboat("restore", "--as", "look", "--up", "--keep-failed", "--json")
        said = result.json
        self.addCleanup(self.remove, "look")
        self.addCleanup(self.stop_all, said["servers"])
        self.assert_failed(result, 1, "check 'mine': answer: 2 expected, 1 found")
        self.assertEqual(sorted(s["component"] for s in said["servers"]), ["pgbouncer", "postgres", "redis"])
        port = next(s["port"] for s in said["servers"] if s["component"] == "pgbouncer")
        self.assertEqual(self.stack.sql("hdms_db", "SELECT count(*) > 0 FROM tickets", port=port), "t")
        redis = next(s["port"] for s in said["servers"] if s["component"] == "redis")
        self.assertEqual(self.stack.redis("PING", port=redis), "PONG")

    @staticmethod
    def stop_all(servers):
        for s in servers:
            os.kill(s["pid"], signal.SIGTERM if s["component"] == "redis" else signal.SIGINT)
        for s in servers:
            wait_for("%s to end" % s["component"], lambda pid=s["pid"]: not os.path.exists("/proc/%d" % pid))

    def test_restore__check_of_a_database_that_is_not_there__failed_and_named(self):
        self.with_check("SELECT 1", "1", database="nope")
        with self.nothing_changes():
            self.assert_failed(self.stack.lifeboat("restore", "--as", "db"), 1, "check 'mine'", '"nope"')

    def test_restore__check_that_is_no_sql__failed_and_named(self):
        self.with_check("SELEKT", "1")
        with self.nothing_changes():
            self.assert_failed(self.stack.lifeboat("restore", "--as", "sql"), 1, "check 'mine'", "syntax error")

    def test_restore__typing_error_in_only__refused_and_nothing_made(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--as", "typo", "--only", "redis,pstgres")
            self.assert_failed(result, 1, "the backup has no 'pstgres'")

    def test_restore__one_database_that_the_check_does_not_ask__passes(self):
        self.stack.lifeboat("restore", "--as", "audit", "--database", "hdms_audit", expect=0)
        self.remove("audit")

    def test_restore__one_database_and_another_needs_an_extension_that_is_not_here__passes(self):
        archive = Archive(self.stack)
        self.addCleanup(archive.restore)

        def edit(manifest):
            for db in manifest["components"]["postgres"]["databases"]:
                if db["name"] == "hdms_db":
                    db["extensions"].append({"name": "nowhere", "version": "1"})
        archive.write(archive.with_manifest(edit))
        self.assert_failed(self.stack.lifeboat("restore", "--as", "all"), 1, "needs extension 'nowhere'")
        self.stack.lifeboat("restore", "--as", "audit", "--database", "hdms_audit", expect=0)
        self.remove("audit")


class SuperuserCalledUser(StackCase):
    """A word that SQL reserves as the name of the role that initdb made."""

    STACK = {"components": ("postgres", "redis"), "populate": False}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        stack = cls.stack
        stack.sql("postgres", "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)")
        stack.sql("postgres", "CREATE ROLE other SUPERUSER LOGIN PASSWORD '%s'" % stack.PASSWORD)
        stack.sql("postgres", 'ALTER ROLE "hdms" RENAME TO "user"; ALTER ROLE "user" PASSWORD \'%s\'' % stack.PASSWORD,
                  user="other")
        stack.write_conf(stack.conf().replace("${DB_USER}", "user"))
        stack.USER = "user"
        stack.lifeboat("backup", expect=0)

    def test_drill__passes(self):
        self.assertEqual(self.stack.lifeboat("drill", "--json", expect=0).json["outcome"], "passed")

    def test_restore__roles__as_they_were(self):
        result = self.stack.lifeboat("restore", "--as", "user", "--only", "postgres", "--json", "--up", expect=0).json
        server = next(s for s in result["servers"] if s["component"] == "postgres")
        self.addCleanup(ChecksAndServers.stop_all, [server])
        self.assertEqual(self.stack.pg_globals(server["port"]), self.stack.pg_globals())
        self.assertEqual(self.stack.sql("postgres", "SELECT sum(a) FROM t", port=server["port"]), "3")


class PgbouncerWithoutConsole(StackCase):
    """Its users and rules lie elsewhere, the user has no rights to its console, so agent.conf says where it is."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        stack = cls.stack
        volume = stack.volumes / "pgbouncer_data"
        cls.place = stack.folder / "etc"
        stack._folder(cls.place)
        (volume / "userlist.txt").rename(cls.place / "users")
        (cls.place / "rules").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        stack.give(cls.place / "rules")
        (volume / "old.log").write_text("a log\n")
        (volume / "old.pid").write_text("1\n")
        ini = volume / "pgbouncer.ini"
        ini.write_text(ini.read_text().replace("admin_users = hdms", "admin_users = keeper")
                       .replace("%s/userlist.txt" % volume, "%s/users" % cls.place)
                       .replace("auth_type = scram-sha-256", "auth_type = hba\nauth_hba_file = %s/rules" % cls.place))
        stack.stop("pgbouncer")
        stack.start_pgbouncer()
        cls.plain = stack.conf()
        cls.told = cls.plain.replace("[pgbouncer]\n", "[pgbouncer]\nconfig = %s\n" % ini)
        stack.write_conf(cls.told)
        cls.said = stack.lifeboat("backup", "--json", expect=0)

    def use(self, conf):
        self.addCleanup(self.stack.write_conf, self.told)
        self.stack.write_conf(conf)

    def test_backup__path_is_given__warns_that_the_console_was_not_asked(self):
        warnings = self.stack.lifeboat("show", "--json", expect=0).json["manifest"]["warnings"]
        self.assertTrue(any(w.startswith("pgbouncer: its console can't be asked: ") for w in warnings), warnings)

    def test_backup__path_is_not_given__failed_and_says_what_to_do(self):
        self.use(self.plain)
        with self.nothing_changes():
            self.assert_failed(self.stack.lifeboat("backup"), 1, "pgbouncer", "HINT", "[pgbouncer] config",
                               "stats_users")

    def test_backup__path_is_not_absolute__failed(self):
        self.use(self.plain.replace("[pgbouncer]\n", "[pgbouncer]\nconfig = pgbouncer.ini\n"))
        with self.nothing_changes():
            result = self.stack.lifeboat("backup")
            self.assertIn(result.code, (1, 78), str(result))
            self.assert_failed(result, result.code, "pgbouncer.ini")

    def test_backup__path_is_of_no_file__failed_and_named(self):
        self.use(self.told.replace("pgbouncer.ini", "nothing.ini"))
        with self.nothing_changes():
            self.assert_failed(self.stack.lifeboat("backup"), 1, "nothing.ini")

    def test_restore__files_elsewhere__in_a_volume_of_their_own(self):
        self.stack.lifeboat("restore", "--as", "out", expect=0)
        outside = self.stack.volumes / "pgbouncer_data-outside_out"
        self.assertEqual({p.name: p.read_bytes() for p in outside.rglob("*") if p.is_file()},
                         {p.name: p.read_bytes() for p in self.place.iterdir()})
        inside = sorted(p.name for p in (self.stack.volumes / "pgbouncer_data_out").iterdir())
        self.assertEqual(inside, ["databases.ini", "pgbouncer.ini"])

    def test_drill__passes(self):
        self.assertEqual(self.stack.lifeboat("drill", "--json", expect=0).json["outcome"], "passed")

    def test_restore__pooler_alone__nothing_to_prove_it_on(self):
        result = self.stack.lifeboat("restore", "--as", "alone", "--only", "pgbouncer")
        self.assert_failed(result, 2, "could not verify", "PostgreSQL is not part of this restore")


class PlainVolume(StackCase):
    """Every kind of file; attributes that the file system may have."""

    STACK = {"components": ("redis",), "populate": False}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        stack = cls.stack
        cls.media = media = stack.volumes / "media"
        (media / "a" / "b" / "c").mkdir(parents=True)
        (media / "a" / "b").chmod(0o711)
        (media / "a" / "one").write_text("one\n")
        (media / "a" / "b" / "two").hardlink_to(media / "a" / "one")
        (media / "a" / "b" / "c" / "up").symlink_to("../../one")
        (media / "nowhere").symlink_to("/does/not/exist")
        with open(media / "holes", "wb") as out:
            out.seek(3 << 20)
            out.write(b"middle")
            out.truncate(9 << 20)
        (media / ".hidden").write_bytes(os.urandom(5000))
        cls.has_xattr = cls.set_xattr(media / ".hidden", b"user.kind", b"photo\0raw")
        stack.redis("SET", "a", "b")
        stack.write_conf(stack.conf() + "\n[volume media]\n")
        stack.lifeboat("backup", expect=0)
        stack.lifeboat("restore", "--as", "again", expect=0)
        cls.back = stack.volumes / "media_again"

    @staticmethod
    def set_xattr(path, name, value):
        libc = ctypes.CDLL(None, use_errno=True)
        return libc.setxattr(str(path).encode(), name, value, len(value), 0) == 0

    def test_volume__contents_and_modes__are_the_same(self):
        self.assertEqual(tree_state(self.back), tree_state(self.media))
        for path in [self.media, *self.media.rglob("*")]:
            one, other = path.lstat(), (self.back / path.relative_to(self.media)).lstat()
            self.assertEqual((one.st_mode, one.st_uid, one.st_gid), (other.st_mode, other.st_uid, other.st_gid), path)
            if path != self.media:
                self.assertEqual(one.st_mtime_ns, other.st_mtime_ns, path)

    def test_volume__hard_link__is_one_file_again(self):
        self.assertTrue((self.back / "a" / "one").samefile(self.back / "a" / "b" / "two"))

    def test_volume__holes__stay_holes(self):
        self.assertLess((self.back / "holes").stat().st_blocks * 512, 1 << 20)

    def test_volume__extended_attribute__is_there(self):
        if not self.has_xattr:
            self.skipTest("this file system has no extended attributes of the user's")
        self.assertEqual(os.getxattr(self.back / ".hidden", "user.kind"), b"photo\0raw")

    def test_restore__the_volume_alone__by_its_label(self):
        self.stack.lifeboat("restore", "--as", "label", "--only", "media", expect=0)
        self.assertEqual([p.name for p in self.stack.volumes.glob("*_label")], ["media_label"])

    def changed(self, change, *texts):
        with self.nothing_changes():
            with self.held("before-proof", "restore", "--as", "held", "--only", "media") as held:
                change(self.stack.volumes / "media_held")
            self.assert_failed(held.result, 1, "the proof failed: volume 'media': ", *texts)

    def test_restore__file_of_the_volume_gone_or_added__counted(self):
        self.changed(lambda media: (media / "nowhere").unlink(), "files: ")
        self.changed(lambda media: (media / "more").touch(), "files: ")

    def test_restore__file_longer__says_how_long(self):
        def lengthen(media):
            with open(media / ".hidden", "ab") as out:
                out.write(b"x")
        self.changed(lengthen, "bytes: ")

    def test_restore__content_mode_or_target_of_a_link_changed__differs(self):
        def retarget(media):
            (media / "nowhere").unlink()
            (media / "nowhere").symlink_to("/does/not/exisT")
        self.changed(lambda media: (media / "a" / "one").write_text("two\n"), "digest of files: ")
        self.changed(lambda media: (media / "a" / "one").chmod(0o600), "digest of files: ")
        self.changed(retarget, "digest of files: ")


if __name__ == "__main__":
    unittest.main()
