"""RESTORE.md, followed to the letter: its own commands, with tar, zstd, pg_restore, psql and redis-server."""

import re
import shutil
import signal
import unittest

from archive import Archive
from case import StackCase
from resp import contents
from stack import AS_SERVER, PG_BIN, ROOT, Server, Stack, free_port, run, tree_state, wait_for


class ByHand(StackCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        stack = cls.stack
        media = stack.volumes / "media"
        media.mkdir()
        (media / "with space").mkdir()
        (media / "with space" / "file").write_text("x")
        stack.write_conf(stack.conf() + "\n[volume media]\n")
        cls.dumps = {name: stack.pg_dump(name) for name in ("hdms_db", "hdms_audit", "postgres")}
        cls.globals = stack.pg_globals()
        cls.keys = stack.redis_contents()
        stack.lifeboat("backup", expect=0)
        archive = Archive(stack)
        # On another host there is nothing but the archive; nothing of the stack is there to help.
        cls.host = stack.folder / "host"
        stack._folder(cls.host)
        shutil.copy(archive.path, cls.host)
        stack.give(cls.host / archive.path.name)
        cls.text = run(["sh", "-c", "zstd -dcq '%s' | tar -xOf - RESTORE.md" % (cls.host / archive.path.name)]).stdout.decode()
        blocks = re.findall(r"^```sh\n(.*?)^```", cls.text, re.M | re.S)
        assert len(blocks) >= 4, cls.text
        cls.script = cls.host / "restore.sh"
        cls.script.write_text("".join(blocks))
        stack.give(cls.script)
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(cls.host), "LC_ALL": "C.UTF-8"}
        cls.said = run((AS_SERVER if ROOT else []) + ["sh", "-x", cls.script], cwd=cls.host, env=env)
        cls.restored = cls.host / "restored"

    def test_restore_md__is_the_first_member__and_names_this_archive(self):
        archive = Archive(self.stack)
        self.assertEqual(archive.tar().getnames()[0], "RESTORE.md")
        self.assertIn(archive.path.name, self.text)

    def test_postgres__restored_by_hand__equal_to_the_byte(self):
        port = free_port()
        server = Server([PG_BIN / "postgres", "-D", self.restored / "postgres", "-c", "port=%d" % port, "-c",
                         "unix_socket_directories=%s" % self.host], self.stack.folder / "hand-postgres.log",
                        signal.SIGINT, "QUIT", cwd="/")
        self.addCleanup(server.stop)
        wait_for("PostgreSQL", lambda: server.assert_running()
                 and self.stack.sql("postgres", "SELECT 1", check=False, port=port) == "1")
        for name, dump in self.dumps.items():
            with self.subTest(database=name):
                self.assertEqual(self.stack.pg_dump(name, port=port).decode(), dump.decode())
        self.assertEqual(self.stack.pg_globals(port=port).decode(), self.globals.decode())
        for name in ("postgresql.conf", "pg_hba.conf", "postgresql.auto.conf"):
            self.assertEqual((self.restored / "postgres" / name).read_bytes(),
                             (self.stack.volumes / "postgres_data" / name).read_bytes())

    def test_redis__restored_by_hand__every_key_is_equal(self):
        starts = re.findall(r"`(redis-server --dir[^`]*)`", self.text)
        self.assertEqual(len(starts), 1, self.text)
        port = free_port()
        command = starts[0].replace('"$RESTORED/redis"', str(self.restored / "redis")).split()
        server = Server(command + ["--port", str(port), "--bind", "127.0.0.1"], self.stack.folder / "hand-redis.log",
                        signal.SIGTERM, "KILL", cwd=str(self.host))
        self.addCleanup(server.stop)

        def ready():
            server.assert_running()
            try:
                return contents(port, None)
            except Exception:  # not yet
                return None
        self.assertEqual(wait_for("Redis", ready), self.keys)

    def test_pgbouncer__restored_by_hand__its_files_are_there(self):
        there = tree_state(self.restored / "pgbouncer")
        self.assertEqual(there, tree_state(self.stack.volumes / "pgbouncer_data"))

    def test_volume__restored_by_hand__its_files_are_there(self):
        self.assertEqual(tree_state(self.restored / "media"), tree_state(self.stack.volumes / "media"))


if __name__ == "__main__":
    unittest.main()
