"""`lifeboat init` in Compose projects of every form: containers are made and never started."""

import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
import textwrap
import unittest
import uuid
from pathlib import Path

from compose_stack import PROJECT, compose_program
from docker_daemon import daemon
from images import images
from stack import LIFEBOAT, run

# A password with what means something in urls, ini files and .env files.
PASSWORD = "a b;c#d:/@%é?[]&="

FORMS = """\
x-common: &common {restart: "no", "labels": {note: "a: b # c"}}
x-logins:
  db: &login
    POSTGRES_USER: ${CHIEF:-chief}
    "POSTGRES_PASSWORD": ${CHIEF_PASSWORD:?no password}
services: {
  "database": {<<: *common, image: "${POSTGRES:-postgres:17}", environment: {<<: *login, POSTGRES_DB: desk},
    volumes: ["data:/var/lib/postgresql/data"]},
  'cache': {<<: *common, image: %(redis)s, command: ["redis-server", "--requirepass", "${CACHE_SECRET}"],
    volumes: [{type: volume, source: cache.data, target: /data}]},
  pooler: {image: %(pgbouncer)s, env_file: [envs/common.env, envs/prod.env]},
  web: {image: %(redis)s, command: [sleep, infinity], environment: {DEBUG: "1"}}}
volumes: {data: {}, "cache.data": {}, media: {}, shared: {external: true, name: %(shared)s}}
"""
OVERRIDE = """\
services:
  web:
    image: %(slim)s
    volumes:
      - media:/media
      - shared:/shared
      - /anonymous
      - ./envs:/envs:ro
"""


class Init(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.docker = daemon()
        cls.images = images("bookworm", cls.docker)

    def setUp(self):
        self.project = "lbi" + uuid.uuid4().hex[:8]
        self.folder = Path(tempfile.mkdtemp(prefix="lb-init-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self.remove)

    def remove(self):
        things = self.docker.labelled("%s=%s" % (PROJECT, self.project))
        for kind, removal in (("container", ["rm", "-f", "-v"]), ("volume", ["volume", "rm"]),
                              ("network", ["network", "rm"])):
            if things[kind]:
                self.docker.run(*removal, *things[kind])
        self.docker.run("volume", "rm", self.project + "-shared", check=False)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    def compose(self, *args, cwd=None):
        run(compose_program() + ["-p", self.project, *args], cwd=cwd or self.folder, env=self.docker.env)

    def init(self, *args, cwd=None, expect=0):
        done = subprocess.run([LIFEBOAT, "init", *args], cwd=cwd or self.folder, capture_output=True, text=True, check=False,
                              timeout=120, env={**os.environ, "DOCKER_HOST": self.docker.host})
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def section(self, name, path=None):
        """Its keys and values, without comments."""
        text = (path or self.folder / "agent.conf").read_text()
        found = re.search(r"^\[%s\]\n((?:[^\[\n].*\n)*)" % re.escape(name), text, re.M)
        self.assertIsNotNone(found, "no [%s] in\n%s" % (name, text))
        return dict(line.split(" = ", 1) for line in found.group(1).splitlines() if not line.startswith(";"))

    def all_forms(self):
        named = {"redis": self.images.redis, "pgbouncer": self.images.pgbouncer, "slim": self.images.redis,
                 "shared": self.project + "-shared"}
        self.docker.run("volume", "create", named["shared"])
        self.write("compose.yaml", FORMS % named)
        self.write("compose.override.yaml", OVERRIDE % {**named, "slim": self.docker_image_without_a_name()})
        self.write(".env", "# the stack\r\nexport POSTGRES=%s\r\nCHIEF_PASSWORD='correct horse'\r\n"
                           "CACHE_SECRET=battery-staple # c\r\n" % self.images.postgres)
        self.write("envs/common.env", "DB_USER=nobody\nDB_NAME=desk\n")
        self.write("envs/prod.env", "DB_USER=app\nDB_PASSWORD=app-horse\n")
        self.write("envs/dev.env", "DB_USER=dev\nDB_PASSWORD=dev-horse\n")
        self.write(".env.example", "CHIEF_PASSWORD='correct horse'\n")

    def docker_image_without_a_name(self):
        """One whose name tells nothing of the server in it."""
        name = "lbi-web:" + self.project
        self.docker.run("tag", self.images.pgbouncer, name)
        self.addCleanup(self.docker.run, "rmi", name, check=False)
        return name

    def test_every_form_of_yaml__as_compose_understood_it(self):
        self.all_forms()
        self.compose("up", "--no-start")
        done = self.init()
        self.assertEqual(self.section("stack"), {
            "name": self.project, "engine": "docker", "env_file": ".env, envs/common.env, envs/prod.env"})
        self.assertEqual(self.section("postgres"), {
            "url": "postgresql://chief:${CHIEF_PASSWORD}@database:5432/postgres", "service": "database"})
        self.assertEqual(self.section("redis"), {
            "url": "redis://:${CACHE_SECRET}@cache:6379/0", "service": "cache"})
        self.assertEqual(self.section("pgbouncer"), {
            "url": "postgresql://${DB_USER}:${DB_PASSWORD}@pooler:6432/${DB_NAME}", "service": "pooler"})
        text = (self.folder / "agent.conf").read_text()
        self.assertEqual(sorted(re.findall(r"^\[volume (.*)\]", text, re.M)), sorted(["media", self.project + "-shared"]))
        for secret in ("correct horse", "battery-staple", "app-horse", "dev-horse"):
            self.assertNotIn(secret, text + done.stdout + done.stderr)
        self.assertIn("written to 'agent.conf'", done.stdout)
        self.assertEqual(stat.S_IMODE((self.folder / "agent.conf").stat().st_mode) & 0o027, 0)
        # It is taken as it is: what is missing is servers that run.
        tried = subprocess.run([LIFEBOAT, "list"], cwd=self.folder, capture_output=True, text=True, check=False,
                               env={**os.environ, "DOCKER_HOST": self.docker.host,
                                    "LIFEBOAT_STORE_LOCAL_URL": "file://%s/store" % self.folder})
        self.assertEqual(tried.returncode, 0, tried.stderr)

    def test_file_elsewhere__the_labels_lead_to_it(self):
        self.write("deep/stack.yml", textwrap.dedent("""\
            version: "3.7"
            services:
              db:
                image: %s
                environment: ["POSTGRES_PASSWORD=${PASSWORD}", "POSTGRES_USER=o'neil"]
            """ % self.images.postgres))
        self.write("deep/.env", "PASSWORD='%s'\n" % PASSWORD)
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        self.compose("-f", "../deep/stack.yml", "--project-directory", "../deep", "up", "--no-start", cwd=elsewhere)
        done = self.init("--project", self.project, "--json", cwd=elsewhere)
        said = json.loads(done.stdout)
        self.assertEqual(said["engine"], "docker")
        self.assertEqual(self.section("stack", elsewhere / "agent.conf")["env_file"], "%s/deep/.env" % self.folder)
        self.assertEqual(self.section("postgres", elsewhere / "agent.conf")["url"],
                         "postgresql://o%27neil:${PASSWORD}@db:5432/postgres")
        self.assertNotIn(PASSWORD, (elsewhere / "agent.conf").read_text() + done.stdout)

    def test_password_in_the_compose_file_itself__is_asked_for(self):
        self.write("docker-compose.yml", textwrap.dedent("""\
            version: "3"
            services:
              pg-main: {image: %s, environment: {POSTGRES_PASSWORD: in-clear, POSTGRES_USER: app}, volumes: ["data:/d"]}
              pg-other: {image: %s, environment: {POSTGRES_PASSWORD: other}}
            volumes: {data: {}}
            """ % (self.images.postgres, self.images.postgres)))
        self.compose("up", "--no-start")
        done = self.init()
        self.assertEqual(self.section("postgres")["url"], "postgresql://app:${POSTGRES_PASSWORD}@pg-main:5432/postgres")
        self.assertRegex(done.stdout, "the password of postgres: its container has it, but no .env file does: write "
                                      "POSTGRES_PASSWORD into one, and name that in env_file")
        self.assertIn("service 'pg-other' is a second postgres and is NOT in agent.conf", done.stdout)
        self.assertNotIn("in-clear", (self.folder / "agent.conf").read_text() + done.stdout + done.stderr)

    def test_without_containers__says_how_to_make_them(self):
        self.write("compose.yml", "services: {db: {image: postgres}}\n")
        done = self.init(expect=1)
        self.assertIn("'%s/compose.yml' is there, but Docker has no containers of it\nHINT: " % self.folder, done.stderr)
        self.assertIn("`docker compose create`", done.stderr)
        self.assertEqual(os.listdir(self.folder), ["compose.yml"])
        done = self.init("--project", "lbi-none", expect=1)
        self.assertIn("there is no Compose project 'lbi-none' on this Docker", done.stderr)
        self.assertIn("'a b' is no name", self.init("--project", "a b", expect=64).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
