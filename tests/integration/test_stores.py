"""The program on stores of other machines: backups that go there directly, and come back."""

import os
import re
import signal
import time
import unittest

from case import Held, StackCase, fill, small_disk
from connect_proxy import ConnectProxy
from sshd import Sshd
from stack import run
from webdav import WebDav


class RemoteCase:
    """What every such store must do. `server` is one, `files` what it has of ours."""

    STACK = {"components": ("redis",)}

    @classmethod
    def use(cls, section):
        text = re.sub(r"\[store [^\]]*\]\n(?:[^\[\n].*\n|\n)*", "", cls.stack.conf())
        cls.stack.write_conf(text + "\n" + section)

    def test_life__of_a_backup__is_as_in_a_folder(self):
        backup = self.stack.lifeboat("backup", "--json", expect=0).json
        self.assertIn("far", self.stack.lifeboat("check", expect=0).out)
        listed = self.stack.lifeboat("list", "--json", expect=0).json["backups"]
        self.assertIn(backup["id"], [b["id"] for b in listed])
        self.stack.lifeboat("show", "--json", expect=0)
        self.stack.lifeboat("verify", expect=0)
        self.stack.lifeboat("restore", "--as", "back%d" % os.getpid(), expect=0)
        self.stack.lifeboat("drill", expect=0)
        self.stack.lifeboat("prune", "--dry-run", expect=0)
        names = [n for n in self.files() if n.endswith(".part")]
        self.assertEqual(names, [])

    def test_backup__killed__is_not_there_and_swept(self):
        before = self.stack.lifeboat("list", "--json", expect=0).json["backups"]
        held = Held(self.stack, "archive-close", ("backup",))
        held.wait(60)
        held.process.send_signal(signal.SIGKILL)
        held.process.communicate()
        after = self.stack.lifeboat("list", "--json", expect=0).json["backups"]
        self.assertEqual([b["id"] for b in after], [b["id"] for b in before])
        long_ago = time.time() - 2 * 24 * 3600
        for name in self.files():
            if name.endswith(".part"):
                os.utime(self.place() / name, (long_ago, long_ago))
        self.stack.lifeboat("prune", expect=0)
        self.assertEqual([n for n in self.files() if n.endswith(".part")], [])

    def test_backup__cancelled__leaves_nothing(self):
        before = self.stack.lifeboat("list", "--json", expect=0).json["backups"]
        held = Held(self.stack, "archive-close", ("backup",))
        held.wait(60)
        held.process.send_signal(signal.SIGTERM)
        held.resume()
        _, said = held.process.communicate(timeout=60)
        self.assertNotEqual(held.process.returncode, 0)
        self.assertIn("cancelled by SIGTERM", said.decode())
        after = self.stack.lifeboat("list", "--json", expect=0).json["backups"]
        self.assertEqual([b["id"] for b in after], [b["id"] for b in before])
        self.assertEqual([n for n in self.files() if n.endswith(".part")], [])

    def test_proxy__named__is_the_way(self):
        with ConnectProxy() as proxy:
            self.stack.lifeboat("list", env={"LIFEBOAT_STORE_FAR_PROXY": proxy.url, "NO_PROXY": "", "no_proxy": ""},
                                expect=0)
            self.assertIn("CONNECT 127.0.0.1:%d" % self.server.port, proxy.asked)

    def test_server__silent__ends_at_the_deadline(self):
        os.kill(self.server.process.pid, signal.SIGSTOP)
        try:
            result = self.stack.lifeboat("list", env={"LIFEBOAT_STORE_FAR_TIMEOUT": "1s",
                                                      "LIFEBOAT_STORE_FAR_RETRIES": "1"})
            self.assert_failed(result, self.SILENCE[0], "store 'far': gave up after 2 tries: ", self.SILENCE[1])
        finally:
            os.kill(self.server.process.pid, signal.SIGCONT)
        self.stack.lifeboat("list", expect=0)

    def files(self):
        return sorted(p.name for p in self.place().iterdir())


class Sftp(RemoteCase, StackCase):
    SILENCE = (1, "nothing for 1000 ms")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.enterClassContext(Sshd(cls.stack.folder / "sshd"))
        cls.use(cls.server.section("far", cls.stack.folder / "stored" / "hdms"))

    def place(self):
        return self.stack.folder / "stored" / "hdms"

    def test_host__changed__denied_with_what_to_do(self):
        known = self.server.known_hosts.read_text()
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.stack.folder / "other"])
        other = (self.stack.folder / "other.pub").read_text()
        try:
            self.server.known_hosts.write_text("[127.0.0.1]:%d %s" % (self.server.port, other))
            result = self.stack.lifeboat("backup")
            self.assert_failed(result, 1, "store 'far': ", "its host key (ED25519, SHA256:", "is another than that in",
                               "HINT: Ask who runs it.", "ssh-keyscan -t ed25519,ecdsa -p %d" % self.server.port)
            self.server.known_hosts.write_text("")
            self.assert_failed(self.stack.lifeboat("list"), 1, "is not in '%s'" % self.server.known_hosts,
                               "HINT: ssh-keyscan")
        finally:
            self.server.known_hosts.write_text(known)

    def test_key__refused__denied(self):
        path = self.stack.folder / "stranger"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
        result = self.stack.lifeboat("list", env={"LIFEBOAT_STORE_FAR_KEY_FILE": path})
        self.assert_failed(result, 1, "refuses the key '%s'" % path, "HINT: Its public half")

    def test_disk__full__failed_and_nothing_there(self):
        full = self.stack.folder / "full"
        full.mkdir()
        with small_disk(full, 4):
            fill(full, 8)
            before = sorted(p.name for p in full.iterdir())
            url = "sftp://127.0.0.1:%d%s" % (self.server.port, full)
            result = self.stack.lifeboat("backup", env={"LIFEBOAT_STORE_FAR_URL": url})
            self.assert_failed(result, 1, "'127.0.0.1' port %d: can't write '" % self.server.port,
                               "no space left on the server")
            self.assertEqual([p.name for p in full.iterdir() if "hdms-" in p.name], [])
            self.assertLessEqual(set(before), {p.name for p in full.iterdir()})

    def test_server__not_there__unreachable(self):
        result = self.stack.lifeboat("list", env={"LIFEBOAT_STORE_FAR_URL": "sftp://127.0.0.1:1/x",
                                                  "LIFEBOAT_STORE_FAR_RETRIES": "1"})
        self.assert_failed(result, 69, "store 'far': ", "'127.0.0.1' port 1: ")


class Dav(RemoteCase, StackCase):
    SILENCE = (69, "onnection time")  # libcurl 7: SSL connection timeout; 8: Connection timed out

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.enterClassContext(WebDav(cls.stack.folder / "nginx"))
        cls.use(cls.server.section("far"))

    def place(self):
        return self.server.place / "hdms"

    def test_password__wrong__denied_and_not_shown(self):
        result = self.stack.lifeboat("list", env={"LIFEBOAT_STORE_FAR_PASSWORD": "swordfish"})
        self.assert_failed(result, 1, "store 'far': ", "user 'backup' or the password is wrong")
        self.assertNotIn("swordfish", result.out + result.err)

    def test_certificate__not_trusted__denied(self):
        text = self.stack.conf()
        try:
            self.stack.write_conf(re.sub(r"ca_file = .*\n", "", text))
            self.assert_failed(self.stack.lifeboat("list"), 1, "self-signed certificate", "HINT: ", "ca_file")
        finally:
            self.stack.write_conf(text)

    def test_server__goes_away_in_the_middle__unreachable_and_nothing_there(self):
        before = self.stack.lifeboat("list", "--json", expect=0).json["backups"]
        held = Held(self.stack, "archive-close", ("backup",), env={"LIFEBOAT_STORE_FAR_RETRIES": "1"})
        held.wait(60)
        self.server.stop()
        held.resume()
        out, err = held.process.communicate(timeout=60)
        self.server.start()
        self.assertEqual(held.process.returncode, 69, err.decode())
        after = self.stack.lifeboat("list", "--json", expect=0).json["backups"]
        self.assertEqual([b["id"] for b in after], [b["id"] for b in before])


if __name__ == "__main__":
    unittest.main()
