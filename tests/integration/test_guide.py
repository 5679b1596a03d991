"""docs/operating.md, followed to the letter on a real stack: its commands do what it says and print what it prints.
And the commands of some other pages."""

import os
import shutil
import tempfile
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from guide import Walk, blocks
from sshd import Sshd
from stack import LIFEBOAT, PG_BIN, ROOT, TOP, Stack

PAGES = ["README.md", "docs/operating.md", "docs/install.md", "docs/encryption.md", "docs/retention.md"]
# The tests that run the blocks of a stage; what "ci" stands above, the run of this very test has done.
STAGES = {"local": "tests/integration/test_guide.py"}
STAGES.update({stage: "tests/docker/test_guide.py" for stage in ("build", "package", "compose", "readme", "demo")})
STAGES["service"] = "tests/docker/test_service.py"


class Deaf(BaseHTTPRequestHandler):
    """A chat that takes every message."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Guide(unittest.TestCase):
    def test_every_block__has_somebody_who_runs_it(self):
        for page in PAGES:
            for block in blocks(page):
                if block.kind in ("sh", "console") or block.stage:
                    with self.subTest(block=block.where):
                        self.assertIn(block.stage, list(STAGES) + ["ci"])
        for stage, path in STAGES.items():
            self.assertIn('"%s"' % stage, (TOP / path).read_text(), path)

    def test_output__that_differs__is_told(self):
        walk = Walk("README.md", "none")
        page = ["backup 20261122T143012Z-5d1e, 1.5 KiB in 3.8 s, 12 rows", "…", "20261122T143012Z-5d1e  2026-11-22 14:30  just now"]
        said = ["backup 20270101T000000Z-aaaa, 999 B in 1 min 2 s, 12 rows", "x", "", "20270101T000000Z-aaaa  2027-01-01 00:00  5 min ago"]
        self.assertIsNone(walk.compare(page, said))
        for wrong in (said[:-1], said + ["more"], [said[0].replace("12", "13")] + said[1:],
                      said[:-1] + [said[-1].replace("aaaa", "bbbb")]):
            self.assertIsNotNone(walk.compare(page, wrong), wrong)

    def test_operating_md__on_servers_of_this_machine(self):
        place = Path(tempfile.mkdtemp(prefix="lb-guide-"))
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        os.chmod(place, 0o755)
        sshd = self.enterContext(Sshd(place / "sshd"))
        chat = HTTPServer(("127.0.0.1", 0), Deaf)
        Thread(target=chat.serve_forever, daemon=True).start()
        self.addCleanup(chat.server_close)
        self.addCleanup(chat.shutdown)
        for name in ("etc", "stick", "backups", "srv"):
            (place / name).mkdir()
        self.stack = self.enterContext(Stack(folder=place / "srv"))
        real = {
            "/etc/lifeboat": place / "etc",
            "/usr/lib/postgresql/15/bin": PG_BIN,
            "/etc/redis/redis.conf": self.stack.folder / "redis.conf",
            "/srv/hdms": self.stack.folder,
            "/var/backups/hdms": place / "backups",
            "/media/stick": place / "stick",
            "/tmp/restore": place / "by-hand",
            "127.0.0.1:5432": "127.0.0.1:%d" % self.stack.ports["postgres"],
            "127.0.0.1:6379": "127.0.0.1:%d" % self.stack.ports["redis"],
            "127.0.0.1:6432": "127.0.0.1:%d" % self.stack.ports["pgbouncer"],
            "-p 5432": "-p %d" % self.stack.ports["postgres"],
            "-p 6432": "-p %d" % self.stack.ports["pgbouncer"],
            "sftp://lifeboat@nas.example/hdms": "sftp://%s@127.0.0.1:%d%s" % (sshd.user, sshd.port, place / "offsite"),
            "ssh-keyscan -t ed25519 nas.example": "ssh-keyscan -p %d -t ed25519 127.0.0.1" % sshd.port,
            "lifeboat@nas.example:/hdms": "-P %d %s@127.0.0.1:%s" % (sshd.port, sshd.user, place / "offsite"),
            "https://ntfy.sh/hdms-backups": "http://127.0.0.1:%d/hdms-backups" % chat.server_port,
        }
        if not ROOT:
            real["runuser -u postgres -- "] = ""
        env = dict(self.stack.agent_env(), TZ="UTC", LC_ALL="C.UTF-8", PGPASSWORD=Stack.PASSWORD,
                   LIFEBOAT_CONFIG=str(place / "etc" / "agent.conf"),
                   PATH="%s:%s" % (Path(LIFEBOAT).parent, os.environ["PATH"]))
        self.place, self.sshd = place, sshd
        walk = Walk("docs/operating.md", "local", real, env, place,
                    before={"One table, or one database": self.lose_rows, "Everything is lost": self.lose_everything},
                    instead=self.instead)
        walk.all()
        # The backup that is there by now stands for the one of the other pages.
        self.newest = walk.real["20261123T041500Z-77b0"]
        real = {"20261123T020000Z-3f9c": self.newest, "-i identity.txt": "-i %s" % (place / "stick" / "offline.txt")}
        Walk("docs/encryption.md", "local", real, env, place / "backups").all()
        Walk("docs/retention.md", "local", real, env, place / "backups", {"A lost sidecar": self.lose_a_sidecar}).all()

    # ---- what happens between the chapters

    def lose_rows(self):
        self.stack.sql("hdms_db", "DELETE FROM tickets WHERE id NOT IN (SELECT ticket FROM attachments)")

    def lose_everything(self):
        """But for the store elsewhere, and what the stick has."""
        for name in ("pgbouncer", "redis", "postgres"):
            self.stack.stop(name)
        for path in (self.stack.volumes, self.place / "etc", self.place / "backups"):
            shutil.rmtree(path)
        (self.stack.folder / "redis.conf").unlink()
        (self.place / "etc").mkdir()
        self.stack._folder(self.stack.volumes)

    def lose_a_sidecar(self):
        (self.place / "backups" / ("hdms-%s.json" % self.newest)).unlink()

    def instead(self, command):
        """What others do. The servers are the test's own: it starts and stops them as systemd would."""
        words = command.split()
        if words[0] == "ssh-keyscan":  # by now the key is there, which whoever has the server takes
            key = (self.place / "etc" / "nas_key.pub").read_text()
            (self.sshd.folder / "authorized_keys").write_text(key)
        if words[0] != "systemctl":
            return None
        for unit in words[2:]:
            name = {"redis-server": "redis", "postgresql": "postgres"}.get(unit, unit)
            if words[1] == "stop":
                self.stack.stop(name)
            else:
                getattr(self.stack, "start_" + name)()
        return ""


if __name__ == "__main__":
    unittest.main()
