"""The tests' own images and daemon: where a backup can notice, they must be as the official ones are."""

import os
import subprocess
import sys
import tempfile
import unittest
import uuid
from pathlib import Path

import docker_daemon
import images as recipe
from docker_daemon import daemon
from images import images, variant
from lifeboat_image import Stage, lifeboat_image
from stack import Failed, wait_for

DATA = "/var/lib/postgresql/data"
SUPPORT = Path(recipe.__file__).parent


class Container(unittest.TestCase):
    def setUp(self):
        self.docker = daemon()
        self.made = "lb" + uuid.uuid4().hex[:8]
        self.addCleanup(self.remove)

    def remove(self):
        names = self.docker("ps", "-aq", "--filter", "name=" + self.made).split()
        if names:
            self.docker.run("rm", "-f", "-v", *names)
        for volume in self.docker("volume", "ls", "-q", "--filter", "name=" + self.made).split():
            self.docker.run("volume", "rm", volume)

    def start(self, image, *flags, name="", command=()):
        """A container with the volume of its image on a named volume."""
        name = self.made + name
        self.docker("run", "-d", "--name", name, *flags, image, *command)
        return name

    def inside(self, name, *argv):
        return self.docker("exec", name, *argv)

    def logs(self, name):
        done = self.docker.run("logs", name)
        return (done.stdout + done.stderr).decode(errors="replace")

    def once(self, image, *argv):
        return self.docker("run", "--rm", "--network", "none", image, *argv)

    def stat(self, image, volume, form, path):
        """Of a path in a volume that is mounted at /seen."""
        return self.docker("run", "--rm", "--network", "none", "-v", volume + ":/seen", "--entrypoint", "stat", image,
                           "-c", form, path)

    def ended(self, name):
        """Its exit status, once it has ended."""
        return int(self.docker("wait", name, timeout=120))


class Postgres(Container):
    def ready(self, name):
        wait_for("PostgreSQL", lambda: "ready for start up" in self.logs(name) and self.docker.run(
            "exec", name, "pg_isready", "-h", "127.0.0.1", check=False).returncode == 0, 120)

    def test_the_first_start(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            # A temporary server, and no other, sees the initial scripts.
            (Path(folder) / "1.sh").write_text(
                "pg_isready -h 127.0.0.1 && echo ON-TCP || echo NOT-ON-TCP\nhead -1 $PGDATA/postmaster.pid\n")
            (Path(folder) / "2.sql").write_text("CREATE TABLE made_at_first AS SELECT 42 AS n;\n")
            secret = Path(folder) / "secret"
            secret.write_text("it's a \"secret\"\n")
            name = self.start(images().postgres, "-v", folder + ":/docker-entrypoint-initdb.d:ro",
                              "-v", "%s:/run/secret:ro" % secret, "-e", "POSTGRES_PASSWORD_FILE=/run/secret",
                              "-e", "POSTGRES_USER=chief", "-e", "POSTGRES_DB=desk", "-v", self.made + ":" + DATA)
            self.ready(name)
        self.assertIn("NOT-ON-TCP", self.logs(name))
        self.assertNotIn("\nON-TCP", self.logs(name))
        ask = ["psql", "-XAt", "-U", "chief", "-d", "desk", "-c"]
        self.assertEqual(self.inside(name, *ask, "SELECT n FROM made_at_first"), "42")
        self.assertEqual(self.inside(name, *ask, "SHOW listen_addresses"), "*")
        self.assertEqual(self.inside(name, *ask, "SELECT datcollate FROM pg_database WHERE datname = 'desk'"),
                         "en_US.utf8")
        self.assertEqual(self.inside(name, "stat", "-c", "%u:%g %a", DATA), "999:999 700")
        self.assertEqual(self.inside(name, "stat", "-c", "%u", "/proc/1"), "999")
        self.assertEqual(self.inside(name, "head", "-1", DATA + "/postmaster.pid"), "1")
        self.password_is_asked_from_outside_alone(name)
        self.second_start_skips_what_the_first_did(name)

    def password_is_asked_from_outside_alone(self, name):
        host = self.inside(name, "hostname", "-i").split()[0]
        right = "it's a \"secret\""
        for address, password, status in (("127.0.0.1", "wrong", 0), (host, "wrong", 2), (host, right, 0)):
            done = self.docker.run("exec", "-e", "PGPASSWORD=" + password, name, "psql", "-h", address, "-U", "chief",
                                   "-d", "desk", "-c", "SELECT 1", check=False)
            self.assertEqual(done.returncode, status, (address, password, done.stderr))

    def second_start_skips_what_the_first_did(self, name):
        self.docker("stop", name)
        again = self.start(images().postgres, "-e", "POSTGRES_PASSWORD=other", "-e", "POSTGRES_DB=other", "-v",
                           self.made + ":" + DATA, name="-again")
        wait_for("PostgreSQL", lambda: self.docker.run("exec", again, "pg_isready", "-h", "127.0.0.1",
                                                       check=False).returncode == 0, 120)
        self.assertIn("Skipping initialization", self.logs(again))
        databases = self.inside(again, "psql", "-XAt", "-U", "chief", "-d", "desk", "-c",
                                "SELECT datname FROM pg_database")
        self.assertNotIn("other", databases)

    def test_no_password_is_refused(self):
        name = self.start(images().postgres)
        self.assertEqual(self.ended(name), 1)
        self.assertIn("superuser password is not specified", self.logs(name))

    def test_an_empty_volume_takes_the_images_owner_when_a_container_is_only_created(self):
        for image, owner in ((images().postgres, "999:999"), (variant("bookworm", "postgres-70"), "70:70")):
            volume = self.made + owner[:2]
            self.docker("create", "--name", self.made + owner[:2], "-v", volume + ":" + DATA, image)
            self.assertEqual(self.stat(image, volume, "%u:%g", "/seen"), owner)

    def test_it_ends_in_peace_when_docker_stops_it(self):
        name = self.start(images().postgres, "-e", "POSTGRES_PASSWORD=x")
        self.ready(name)
        self.docker("stop", name)
        self.assertEqual(self.ended(name), 0)
        self.assertIn("received fast shutdown request", self.logs(name))


class Redis(Container):
    def test_the_volume_is_the_servers_and_the_network_may_ask(self):
        name = self.start(images().redis, "-v", self.made + ":/data")
        wait_for("Redis", lambda: self.docker.run("exec", name, "redis-cli", "ping", check=False).stdout == b"PONG\n", 60)
        host = self.inside(name, "hostname", "-i").split()[0]
        self.assertEqual(self.inside(name, "redis-cli", "-h", host, "SET", "a", "b"), "OK")
        self.assertEqual(self.inside(name, "stat", "-c", "%u", "/proc/1"), "999")
        self.assertEqual(self.inside(name, "redis-cli", "CONFIG", "GET", "dir"), "dir\n/data")
        self.docker("stop", name)
        self.assertEqual(self.stat(images().redis, self.made, "%u:%g %a", "/seen/dump.rdb"), "999:999 600")


class Pgbouncer(Container):
    def test_it_is_nobody_special_from_the_start_and_its_folder_is_empty(self):
        self.assertEqual(self.once(images().pgbouncer, "id", "-u"), "999")
        self.assertEqual(self.once(images().pgbouncer, "ls", "-A", "/etc/pgbouncer"), "")

    def test_the_bare_one_runs_without_a_shell(self):
        name = self.made
        self.docker("create", "--name", name, variant("bookworm", "pgbouncer-bare"))
        with tempfile.TemporaryDirectory() as folder:
            ini = Path(folder) / "pgbouncer.ini"
            ini.write_text("[databases]\n[pgbouncer]\nlisten_addr = *\nlisten_port = 6432\nauth_type = any\n")
            os.chmod(ini, 0o644)
            self.docker("cp", ini, name + ":/etc/pgbouncer/pgbouncer.ini")
        self.docker("start", name)
        wait_for("PgBouncer", lambda: "process up" in self.logs(name), 60)
        for program in ("sh", "bash", "tar", "cat", "ls"):
            self.assertNotEqual(self.docker.run("exec", name, program, check=False).returncode, 0, program)


class Newest(Container):
    """PostgreSQL 18, whose volume is one folder higher."""

    def test_data_at_the_older_place_is_refused(self):
        image = images("forky").postgres
        name = self.start(image, "-e", "POSTGRES_PASSWORD=x", "-v", self.made + ":" + DATA)
        self.assertEqual(self.ended(name), 1)
        self.assertIn("unused mount/volume", self.logs(name))
        self.assertEqual(list(self.docker.inspect(image, "image")["Config"]["Volumes"]), ["/var/lib/postgresql"])


class Agent(unittest.TestCase):
    def test_the_dockerfiles_packages_are_what_the_program_needs(self):
        said = daemon()("run", "--rm", "--network", "none", lifeboat_image(), "version")
        self.assertRegex(said, r"^lifeboat \d")

    def test_its_last_stage_is_read_as_it_is_written(self):
        stage = Stage("FROM a AS build\nRUN make\nFROM b\nRUN apt-get update \\\n\t&& apt-get install -y --no-x \\\n"
                      "\t\tlibone two3 \\\n\t&& rm -rf /lists\n# why\nRUN useradd x\nCOPY --from=build /out /usr\n"
                      "COPY some/file /usr/lib/file\nCMD [\"status\"]\n")
        self.assertEqual((stage.packages, stage.scripts, stage.copies, stage.changes),
                         (["libone", "two3"], ["useradd x"], [["some/file", "/usr/lib/file"]], ['CMD ["status"]']))
        with self.assertRaisesRegex(Failed, "'ADD x y', which is not understood"):
            Stage("FROM b\nADD x y\n")


class Sources(unittest.TestCase):
    """The machine's own apt, whatever form it is written in."""

    STANZA = ("Types: deb deb-src\n# a comment\nURIs: http://mirror.example/debian\n"
              "Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /usr/share/keyrings/x.gpg\n")

    def test_a_stanza__gets_the_suite_and_keeps_the_rest(self):
        self.assertEqual(recipe.stanza_for(self.STANZA, "bookworm", "trixie"),
                         "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nComponents: main\n"
                         "Signed-By: /usr/share/keyrings/x.gpg")

    def test_a_stanza__of_something_else_is_left_out(self):
        self.assertIsNone(recipe.stanza_for(self.STANZA.replace("bookworm ", ""), "bookworm", "trixie"))
        self.assertIsNone(recipe.stanza_for(self.STANZA.replace("deb deb-src", "deb-src"), "bookworm", "trixie"))
        self.assertIsNone(recipe.stanza_for(self.STANZA + "Enabled: no\n", "bookworm", "trixie"))

    def test_a_line(self):
        for line, wanted in (
                ("deb http://m.example/debian bookworm main contrib # here",
                 "deb http://m.example/debian trixie main contrib"),
                ("deb [signed-by=/x.gpg] http://m.example/debian bookworm main",
                 "deb [signed-by=/x.gpg] http://m.example/debian trixie main"),
                ("deb http://m.example/debian bookworm-updates main", None),
                ("deb-src http://m.example/debian bookworm main", None),
                ("# deb http://m.example/debian bookworm main", None)):
            self.assertEqual(recipe.line_for(line, "bookworm", "trixie"), wanted)

    def test_how_the_machine_fetches(self):
        text = 'Acquire::http::Proxy "http://p:1";\nAcquire::Check-Valid-Until "false";\nAcquire::Languages "none";\n'
        self.assertEqual(recipe.machine_options(text), ['--aptopt=Acquire::http::Proxy "http://p:1"',
                                                        '--aptopt=Acquire::Check-Valid-Until "false"'])

    def test_an_unknown_suite(self):
        with self.assertRaisesRegex(Failed, "no images are made from the suite 'sarge'"):
            images("sarge")


class OwnDaemon(unittest.TestCase):
    """Two users of one daemon: the second finds the first's, and the last to leave stops it."""

    USER = ("import sys, docker_daemon as d; docker = d._own(); print(docker.host, flush=True); sys.stdin.readline();"
            "print(docker.api('/_ping')[0], flush=True)")

    def setUp(self):
        self.docker = daemon()  # so that there is one in any case
        place = tempfile.TemporaryDirectory(prefix="lb-own-")
        self.addCleanup(place.cleanup)
        self.build = Path(place.name)

    def user(self, *before):
        env = {k: v for k, v in os.environ.items() if k != "DOCKER_HOST"}
        env.update(LIFEBOAT_BUILD=str(self.build), PYTHONPATH=str(SUPPORT))
        user = subprocess.Popen(list(before) + [sys.executable, "-B", "-c", self.USER], env=env, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(user.communicate)
        return user

    def test_it_is_shared_and_stopped_by_the_last(self):
        # With a network of its own, as a second one would disturb the first.
        users = [self.user("unshare", "--net"), self.user("unshare", "--net")]
        hosts = [user.stdout.readline().strip() for user in users]
        self.assertTrue(hosts[0].startswith("unix:///"), hosts)
        self.assertEqual(hosts[0], hosts[1])
        pid = int((self.build / "docker/run/pid").read_text())
        for user, alive in zip(users, (True, False)):
            out, said = user.communicate("go\n", timeout=90)
            self.assertEqual((out.strip(), user.returncode), ("200", 0), said)
            self.assertEqual(Path("/proc/%d" % pid).exists(), alive)
        self.assertFalse(Path(hosts[0][len("unix://"):]).exists())

    def test_a_second_one_on_the_same_network_is_refused(self):
        if not list(docker_daemon._others()):
            return  # the one that runs is in another namespace, or on another machine
        user = self.user()
        _, said = user.communicate(timeout=90)
        self.assertIn("two on one network take down each other's bridges", said)


if __name__ == "__main__":
    unittest.main()
