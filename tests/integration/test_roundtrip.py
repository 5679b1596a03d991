"""What comes back is what was there: every database, role, key and file, compared from outside."""

import shutil
import signal
import unittest
from pathlib import Path

from case import StackCase
from resp import contents
from stack import AS_SERVER, PG_BIN, ROOT, Server, Stack, free_port, run, tree_state, wait_for, without_tokens


class Roundtrip(StackCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dumps = {name: cls.stack.pg_dump(name) for name in ("hdms_db", "hdms_audit", "postgres")}
        cls.globals = cls.stack.pg_globals()
        cls.keys = cls.stack.redis_contents()
        cls.backup = cls.stack.lifeboat("backup", "--json", expect=0)
        cls.restore = cls.stack.lifeboat("restore", "--as", "back", "--json", expect=0)
        cls.postgres_port, cls.redis_port = free_port(), free_port()
        cls.servers = [
            Server([PG_BIN / "postgres", "-D", cls.stack.volumes / "postgres_data_back", "-c",
                    "port=%d" % cls.postgres_port], cls.stack.folder / "back-postgres.log", signal.SIGINT, "QUIT",
                   cwd="/")]
        cls.addClassCleanup(lambda: [s.stop() for s in cls.servers])
        wait_for("the restored PostgreSQL", lambda: cls.servers[0].assert_running() and cls.stack.sql(
            "postgres", "SELECT 1", check=False, port=cls.postgres_port) == "1")

    def test_databases__restored__dump_is_equal_to_the_byte(self):
        for name, dump in self.dumps.items():
            with self.subTest(database=name):
                self.assertGreater(len(dump), 500)
                self.assertEqual(self.stack.pg_dump(name, port=self.postgres_port).decode(), dump.decode())

    def test_globals__restored__equal_to_the_byte(self):
        self.assertIn(b"SCRAM-SHA-256", self.globals)
        self.assertEqual(self.stack.pg_globals(port=self.postgres_port).decode(), self.globals.decode())

    def test_settings_of_the_server__restored__as_production_had_them(self):
        sql = "SELECT name, setting FROM pg_settings WHERE source = 'configuration file' AND name <> 'port' ORDER BY 1"
        there = self.stack.sql("postgres", sql, port=self.postgres_port)
        self.assertIn("log_min_duration_statement|7000", there)
        self.assertEqual(there, self.stack.sql("postgres", sql))

    def test_configuration_files__restored__equal(self):
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf", "postgresql.auto.conf"):
            with self.subTest(file=name):
                self.assertEqual((self.stack.volumes / "postgres_data_back" / name).read_text(),
                                 (self.stack.volumes / "postgres_data" / name).read_text())

    def test_cluster__restored__same_make(self):
        def control(volume):
            out = run([PG_BIN / "pg_controldata", self.stack.volumes / volume]).stdout.decode()
            return [line for line in out.splitlines() if line.startswith(("Data page checksum", "pg_control version",
                                                                         "Maximum data alignment"))]
        self.assertEqual(control("postgres_data_back"), control("postgres_data"))
        sql = "SELECT oid, rolname FROM pg_roles WHERE oid = 10"
        self.assertEqual(self.stack.sql("postgres", sql, port=self.postgres_port), "10|hdms")

    def test_login__with_the_restored_password__works_and_a_wrong_one_does_not(self):
        for password, answer in (("app-secret", "helpdesk_app"), ("wrong", None)):
            self.assertEqual(self.stack.sql("hdms_db", "SELECT current_user", check=False, user="helpdesk_app",
                                            password=password, port=self.postgres_port), answer)

    def test_redis__restarted_twice_as_production_runs_it__every_key_is_there(self):
        # Twice, because a server that ignored the dump would overwrite it when it stops.
        data = self.stack.volumes / "redis_data_back"
        conf = self.stack.folder / "back-redis.conf"
        conf.write_text((self.stack.folder / "redis.conf").read_text()
                        .replace("port %d" % self.stack.ports["redis"], "port %d" % self.redis_port)
                        .replace("dir %s" % (self.stack.volumes / "redis_data"), "dir %s" % data))
        self.assertIn("appendonly yes", conf.read_text())
        self.stack.give(conf)
        for _ in range(2):
            server = Server(["redis-server", conf], self.stack.folder / "back-redis.log", signal.SIGTERM, "KILL",
                            cwd="/")
            try:
                wait_for("the restored Redis", lambda server=server: server.assert_running()
                         and self.answers(self.redis_port))
                there = contents(self.redis_port, Stack.REDIS_PASSWORD)
            finally:
                server.stop()
            self.assertEqual(set(there), set(self.keys))
            for key, value in self.keys.items():
                self.assertEqual(there[key], value, key)

    def answers(self, port):
        try:
            return self.stack.redis("PING", port=port) == "PONG"
        except Exception:  # not yet: refused, or still loading
            return False

    def test_pgbouncer__restored__files_with_owner_and_mode(self):
        there, here = (self.stack.volumes / name for name in ("pgbouncer_data_back", "pgbouncer_data"))
        self.assertEqual(tree_state(there), tree_state(here))
        self.assertIn("userlist.txt", tree_state(there))
        for path in here.iterdir():
            one, other = path.stat(), (there / path.name).stat()
            self.assertEqual((one.st_mode, one.st_uid, one.st_gid, int(one.st_mtime)),
                             (other.st_mode, other.st_uid, other.st_gid, int(other.st_mtime)), path.name)

    def test_production__after_backup_and_restore__as_before(self):
        for name, dump in self.dumps.items():
            self.assertEqual(self.stack.pg_dump(name), dump)
        self.assertEqual(self.stack.redis_contents(), self.keys)

    def test_configuration_outside_the_volume__restored_beside_it(self):
        # redis.conf lies beside the volume, as a bind mount would.
        found = list((self.stack.volumes / "redis_data-outside_back").rglob("redis.conf"))
        self.assertEqual([f.read_text() for f in found], [(self.stack.folder / "redis.conf").read_text()])

    def test_nothing__is_left_running_or_marked(self):
        self.assert_no_process_left()
        self.assertEqual(sorted(p.name for p in self.stack.volumes.iterdir() if not p.name.startswith(".")), [
            "pgbouncer_data", "pgbouncer_data_back", "postgres_data", "postgres_data_back", "redis_data",
            "redis_data-outside_back", "redis_data_back"])


ODD = Path(__file__).resolve().parent / "odd"


class OddDatabases(StackCase):
    """However odd its objects: the result equals what plain pg_dump and pg_restore give."""

    STACK = {"components": ("postgres",), "populate": False}

    def test_odd_objects__restored__as_plain_pg_restore_gives_them(self):
        stack = self.stack
        self.statements("template1", "globals.sql")
        odd = "o'dd \"db\" \\ %s $x"
        stack.sql("template1", "CREATE EXTENSION citext")
        for database in (odd, "template_own"):
            stack.sql(database, "CREATE EXTENSION postgres_fdw")
            self.statements(database, "objects.sql")
        stack.sql("latin", "SET client_encoding = 'UTF8'; CREATE TABLE \"ü\" (\"ß\" text); INSERT INTO \"ü\" VALUES ('äöü')")
        stack.sql("icu", "CREATE TABLE t (a text PRIMARY KEY); INSERT INTO t VALUES ('Ä'), ('Az')")
        stack.write_conf(stack.conf().replace("/postgres\nvolume", "/template1\nvolume"))
        names = [odd, "latin", "icu", "empty", "template_own", "template1"]
        by_hand = self.by_hand(names)

        stack.lifeboat("backup", expect=0)
        stack.lifeboat("restore", "--as", "odd", expect=0)
        port = free_port()
        server = Server([PG_BIN / "postgres", "-D", stack.volumes / "postgres_data_odd", "-c", "port=%d" % port],
                        stack.folder / "odd.log", signal.SIGINT, "QUIT", cwd="/")
        self.addCleanup(server.stop)
        wait_for("the restored PostgreSQL", lambda: server.assert_running()
                 and stack.sql("template1", "SELECT 1", check=False, port=port) == "1")
        for name in names:
            with self.subTest(database=name):
                self.assertEqual(self.dump(name, port), by_hand[name])
        properties = ("SELECT datname, datallowconn, datistemplate, pg_encoding_to_char(encoding), datcollate, datctype,"
                      " coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale'),"  # before and since 17
                      " pg_get_userbyid(datdba) FROM pg_database d WHERE datallowconn ORDER BY 1")
        self.assertEqual(stack.sql("template1", properties, port=port), stack.sql("template1", properties))
        self.assertEqual(stack.pg_globals(port=port, database="template1"), stack.pg_globals(database="template1"))

    def statements(self, database, name):
        """One by one: CREATE DATABASE and the like don't run in the transaction of a string of statements."""
        for statement in (ODD / name).read_text().split(";\n"):
            self.stack.sql(database, statement)

    def dump(self, name, port):
        env = dict(self.stack.pg_env(), PGPORT=str(port))
        return without_tokens(run([PG_BIN / "pg_dump", "-C", self.conninfo(name)], env=env).stdout).decode("utf-8", "replace")

    @staticmethod
    def conninfo(name):
        return "dbname='%s'" % name.replace("\\", "\\\\").replace("'", "\\'")

    def by_hand(self, names):
        """The same databases through pg_dump and pg_restore alone, into a cluster of their own."""
        stack, port = self.stack, free_port()
        data = stack.folder / "by_hand"
        stack._folder(data)
        run(AS_SERVER + [PG_BIN / "initdb", "-D", data, "--username", stack.USER, "--auth", "trust", "--encoding",
                         "UTF8", "--locale", "C.UTF-8", "--no-sync"], cwd="/")
        server = Server([PG_BIN / "postgres", "-D", data, "-c", "port=%d" % port, "-c", "fsync=off", "-c",
                         "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
                        stack.folder / "by_hand.log", signal.SIGINT, "QUIT", cwd="/")
        try:
            wait_for("PostgreSQL", lambda: stack.sql("template1", "SELECT 1", check=False, port=port) == "1")
            globals_ = without_tokens(stack.pg_globals(database="template1")).replace(b"CREATE ROLE hdms;\n", b"")
            stack.sql("template1", globals_.decode(), port=port)
            for name in names:
                dump = run([PG_BIN / "pg_dump", "-Fc", "-Z0", self.conninfo(name)], env=stack.pg_env()).stdout
                target = "postgres" if name == "template1" else "template1"
                run([PG_BIN / "pg_restore", "--exit-on-error", "--create", "-d", target]
                    + (["--clean", "--if-exists"] if name == "template1" else []), input=dump,
                    env=dict(stack.pg_env(), PGPORT=str(port)))
            return {name: self.dump(name, port) for name in names}
        finally:
            server.stop()
            shutil.rmtree(data)


class PlainVolumes(StackCase):
    """A folder of files as ordinary members: kinds, modes, owners, times, links, holes."""

    STACK = {"components": ("redis",)}

    def test_volume__restored__file_for_file(self):
        stack = self.stack
        media = stack.volumes / "media"
        media.mkdir()
        (media / "a folder").mkdir(mode=0o750)
        (media / "a folder" / "naïve ☃.txt").write_text("text\n")
        (media / "empty").touch()
        (media / ("n" * 180)).write_text("long name")
        (media / "link").symlink_to("a folder/naïve ☃.txt")
        (media / "away").symlink_to("/etc/passwd")
        (media / "hard").hardlink_to(media / "empty")
        with open(media / "holes", "wb") as out:
            out.write(b"begin")
            out.seek(50 << 20)
            out.write(b"end")
        (media / "a folder" / "tool").write_bytes(bytes(range(256)) * 4096)
        (media / "a folder" / "tool").chmod(0o4755)
        if ROOT:
            shutil.chown(media / "empty", 1234, 4321)
        stack.write_conf(stack.conf() + "\n[volume media]\n")
        stack.lifeboat("backup", expect=0)
        stack.lifeboat("restore", "--as", "again", expect=0)
        back = stack.volumes / "media_again"
        self.assertEqual(tree_state(back), tree_state(media))
        for path in media.rglob("*"):
            one, other = path.lstat(), (back / path.relative_to(media)).lstat()
            what = ("st_mode", "st_uid", "st_gid", "st_nlink", "st_size")
            self.assertEqual([getattr(one, w) for w in what], [getattr(other, w) for w in what], path)
            if not path.is_symlink():
                self.assertEqual(one.st_mtime_ns // 1000000000, other.st_mtime_ns // 1000000000, path)
        self.assertLess((back / "holes").stat().st_blocks * 512, 1 << 20, "the hole was filled")


if __name__ == "__main__":
    unittest.main()
