"""The stages of the pages that need Docker, a bare system, or a build of their own: see support/guide.py."""

import os
import shutil
import tempfile
import unittest
from pathlib import Path

from compose_stack import MADE_BY_LIFEBOAT
from docker_case import ComposeCase
from deb import depends
from docker_daemon import BUILD, daemon, lock
from guide import Walk, blocks
from lifeboat_image import lifeboat_image
from machine import Machine
from stack import LIFEBOAT, TOP, Stack, run

PROGRAM = str(Path(LIFEBOAT).parent)


class Compose(ComposeCase):
    """The stage "compose": the program beside a Compose stack, and as a container of it."""

    STACK = {"health": "3s"}

    @classmethod
    def setUpClass(cls):
        cls.STACK = {"health": "3s", "override": {"services": {"lifeboat": {
            "image": lifeboat_image(), "volumes": [daemon().socket + ":/var/run/docker.sock"],
            "environment": {"ASAN_OPTIONS": "detect_leaks=0"}}}}}
        super().setUpClass()

    def walk(self, page, before=None):
        real = {"docker compose": " ".join(self.stack.compose_argv), "/tmp/agent.conf": self.stack.parent / "agent.conf",
                "stack=hdms": "stack=" + self.stack.project}
        real.update({"hdms_%s_" % name: "%s_%s_" % (self.stack.project, name) for name in ("postgres", "redis", "pgbouncer")})
        env = dict(self.docker.env, PATH=PROGRAM + ":" + os.environ["PATH"], TZ="UTC", LC_ALL="C.UTF-8")
        Walk(page, "compose", real, env, self.stack.folder, before).all()

    def test_operating_md(self):
        self.stack.lifeboat("backup", expect=0)
        self.stack.lifeboat("drill", expect=0, timeout=900)
        self.walk("docs/operating.md", {"One table, or one database": self.lose_rows,
                                        "Everything is lost": self.lose_everything})
        self.stack.wait_healthy()
        self.assertEqual(self.stack.sql_through_pooler("SELECT count(*) FROM tickets"), "2500")

    def lose_rows(self):
        self.stack.sql("hdms_db", "DELETE FROM tickets WHERE id NOT IN (SELECT ticket FROM attachments)")

    def lose_everything(self):
        """But for the project's folder, and the store beside it."""
        self.stack.compose("down", "-v")
        left = self.docker.labelled("%s=%s" % (MADE_BY_LIFEBOAT, self.stack.project))
        self.docker("volume", "rm", *left["volume"])

    def test_readme(self):
        self.walk("README.md")

    def test_install_md(self):
        self.walk("docs/install.md")


class Package(unittest.TestCase):
    """The stages "build" and "package": a checkout, and a machine on which what it makes is installed."""

    CONF = "[stack]\nname = hdms\nvolumes_dir = /srv/hdms/volumes\n[volume media]\n" \
           "[store local]\nurl = file:///var/backups/hdms\n[schedule]\nbackup = @daily\n"

    def test_build_and_install(self):
        docker = daemon()
        source = BUILD / "guide" / "lifeboat"
        with lock("guide"):
            source.mkdir(parents=True, exist_ok=True)
            names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP).stdout
            run(["find", source, "-mindepth", "1", "-maxdepth", "1", "!", "-name", "build", "-exec", "rm", "-r", "{}", "+"])
            run(["sh", "-c", "tar --null --ignore-failed-read -T - -c | tar -C '%s' -x" % source], cwd=TOP, input=names)
            for page in ("README.md", "docs/install.md", "docs/operating.md"):
                # An installation from source goes into a folder.
                Walk(page, "build", env=dict(os.environ, DESTDIR=str(BUILD / "guide" / "installed")), cwd=source).all()
            self.assertTrue((BUILD / "guide/installed/usr/local/share/man/man5/lifeboat-archive.5.gz").exists())
            deb = next((source / "build/release").glob("lifeboat_*.deb"))
            machine = Machine(depends(deb))
            self.addCleanup(machine.close)
            machine.copy(deb, "/root/" + deb.name)
        machine("addgroup", "--system", "docker")
        machine("mkdir", "-p", "/srv/hdms/volumes/media")
        machine.write("/tmp/agent.conf", self.CONF)
        shell = ["docker", "exec", "-i", "-w", "/root", machine.name, "sh"]
        for page, before in (("docs/operating.md", {"Schedule": lambda: machine.write("/etc/lifeboat/agent.conf", self.CONF)}),
                             ("docs/install.md", {})):
            Walk(page, "package", env=docker.env, shell=shell, before=before).all()
            self.assertEqual(machine("systemctl", "is-active", "lifeboat.service"), "active")


class Readme(unittest.TestCase):
    def test_demo__prints_what_the_readme_says(self):
        """The stage "demo"."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("LIFEBOAT", "PG"))}
        env.update(LIFEBOAT=LIFEBOAT, TZ="UTC")
        said = run(["sh", "examples/demo.sh"], cwd=TOP, env=env).stdout.decode()
        block = next(b for b in blocks("README.md") if b.stage == "demo")
        problem = Walk("README.md", "none").compare(block.text.splitlines(), said.splitlines())
        self.assertIsNone(problem, said)

    def test_before_a_migration__and_keys(self):
        """The stage "readme"."""
        place = Path(tempfile.mkdtemp(prefix="lb-readme-"))
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        stack = self.enterContext(Stack(folder=place))
        Walk("README.md", "readme", env=dict(stack.agent_env(), PATH=PROGRAM + ":" + os.environ["PATH"]), cwd=place).all()


if __name__ == "__main__":
    unittest.main()
