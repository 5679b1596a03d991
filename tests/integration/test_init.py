"""`lifeboat init`: agent.conf for what it finds."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

from stack import LIFEBOAT, TOP

# Servers of three protocols on their usual ports, in a network of their own: whoever else listens on this
# machine is neither seen nor disturbed.
ALONE = textwrap.dedent("""
    import fcntl, socket, struct, subprocess, sys, threading
    up = socket.socket()
    fcntl.ioctl(up, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))

    def serve(listener, answer):
        while True:
            peer = listener.accept()[0]
            peer.recv(64)
            peer.sendall(answer)
            peer.close()

    for port, answer in ((5432, b"N"), (6379, b"-NOAUTH Authentication required.\\r\\n"), (6432, b"HTTP/1.1 400\\r\\n")):
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
    sys.exit(subprocess.run(sys.argv[1:]).returncode)
""")


class Init(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="lb-init-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.conf = self.folder / "agent.conf"

    def lifeboat(self, *args, before=(), **env):
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("LIFEBOAT", "DB_", "POSTGRES_", "REDIS"))}
        return subprocess.run([*before, LIFEBOAT, *args], cwd=self.folder, stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.PIPE, text=True, timeout=60,
                              env={**plain, "DOCKER_HOST": "unix:///nonexistent/docker.sock", **env})

    def test_compose_file_without_docker__says_what_is_missing(self):
        shutil.copytree(TOP / "examples" / "hdms", self.folder, dirs_exist_ok=True)
        self.conf.unlink()
        done = self.lifeboat("init")
        self.assertEqual(done.returncode, 69, done.stdout + done.stderr)
        self.assertIn("'%s/compose.yaml': " % self.folder, done.stderr)
        self.assertIn("docker", done.stderr.lower())
        self.assertFalse(self.conf.exists())

    def test_folder_that_takes_no_file__is_named(self):
        done = self.lifeboat("init", "-o", "none/agent.conf", before=["unshare", "--net", "--map-root-user",
                                                                      sys.executable, "-c", ALONE])
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, "none/agent.conf.*: No such file or directory\nHINT: --output FILE")
        os.symlink("nowhere", self.conf)
        done = self.lifeboat("init", before=["unshare", "--net", "--map-root-user", sys.executable, "-c", ALONE])
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("not overwritten", done.stderr)
        self.assertEqual(os.readlink(self.conf), "nowhere")

    def test_file_that_is_there__is_not_overwritten(self):
        self.conf.write_text("mine\n")
        done = self.lifeboat("init")
        self.assertEqual(done.returncode, 1)
        self.assertIn("'agent.conf' is there already: not overwritten\nHINT: --output", done.stderr)
        self.assertEqual(self.conf.read_text(), "mine\n")
        self.assertEqual(os.listdir(self.folder), ["agent.conf"])

    def test_servers_of_the_machine__are_told_by_what_they_answer(self):
        before = ["unshare", "--net", "--map-root-user", sys.executable, "-c", ALONE]
        done = self.lifeboat("init", "-o", self.folder / "new.conf", before=before)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(stat.S_IMODE((self.folder / "new.conf").stat().st_mode) & 0o027, 0)
        text = (self.folder / "new.conf").read_text()
        self.assertIn("engine = local\n", text)
        self.assertIn("url = postgresql://postgres:${POSTGRES_PASSWORD}@127.0.0.1:5432/postgres\n", text)
        self.assertIn("url = redis://:${REDIS_PASSWORD}@127.0.0.1:6379/0\n", text)
        self.assertNotIn("127.0.0.1:6432", text)
        self.assertIn("the password of redis", done.stdout)
        self.assertNotIn("configuration", self.lifeboat(
            "-c", self.folder / "new.conf", "list", POSTGRES_PASSWORD="x", REDIS_PASSWORD="x").stderr)

    def test_nothing_found__is_said_and_nothing_written(self):
        done = self.lifeboat("init", before=["unshare", "--net", "--map-root-user"])
        if "on its usual port" not in done.stderr:  # a socket of this machine's servers
            self.assertEqual(done.returncode, 0, done.stderr)
            return
        self.assertEqual(done.returncode, 1)
        self.assertIn("found neither a Compose project nor a PostgreSQL, Redis or PgBouncer on its usual port; Docker does not answer at ",
                      done.stderr)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    unittest.main()
