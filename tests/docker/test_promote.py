"""Production moves to what a restore left, and back; whatever happens on the way, it ends in one of the two."""

import os
import pty
import re
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from compose_stack import SERVICES, compose_program
from docker_case import ComposeCase
from stack import LIFEBOAT, wait_for

LABEL = "org.lifeboat.kind"


class PromoteCase(ComposeCase):
    """A backup, restored as "one"; then production goes on: the table and the key `later` are not in it."""

    STACK = {"health": "3s"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        conf = cls.stack.conf()
        cls.stack.write_conf(conf + "\n[health]\ninterval = 1\ntimeout = 4\nretries = 3\n")
        cls.backup = cls.stack.lifeboat("backup", "--json", expect=0).json["id"]
        cls.stack.lifeboat("restore", "--as", "one", expect=0)
        cls.go_on()

    @classmethod
    def go_on(cls):
        cls.stack.sql_through_pooler("CREATE TABLE later(x int); INSERT INTO later VALUES (1)")
        cls.stack.redis("SET", "later", "1", database=2)

    # ---- where production is

    def is_later(self):
        """Does production have what came after the backup? It is read as the application reads it."""
        tables = self.stack.sql_through_pooler("SELECT count(*) FROM pg_tables WHERE tablename = 'later'")
        key = self.stack.redis("EXISTS", "later", database=2)
        self.assertEqual(tables, key.split()[-1], "PostgreSQL and Redis are not of the same time")
        return tables == "1"

    def volumes(self, kind):
        return self.docker("volume", "ls", "-q", "--filter", "label=%s=%s" % (LABEL, kind), "--filter",
                           "label=org.lifeboat.stack=" + self.stack.project).split()

    def befores(self):
        return sorted(self.volumes("before"))

    def assert_no_marks(self):
        for kind in ("promote", "promote-saved", "promote-claim", "helper"):
            self.assertEqual(self.volumes(kind), [])
        self.assertEqual(self.docker("ps", "-aq", "--filter", "label=org.lifeboat.kind=helper", "--filter",
                                     "label=org.lifeboat.stack=" + self.stack.project), "")

    def assert_well(self):
        """All services run on production's own volumes and are healthy; nothing unfinished is left."""
        self.stack.wait_healthy(seconds=30)
        for service in SERVICES:
            self.assertIn(self.stack.volume(service + "_data"), self.stack.mounted(service).values())
        self.assert_no_marks()

    def assert_old_state(self, befores):
        self.assert_well()
        self.assertTrue(self.is_later())
        self.assertEqual(self.befores(), befores)


class Promote(PromoteCase):
    def test_production_moves_and_comes_back_as_often_as_is_wanted(self):
        before = self.befores()
        done = self.stack.lifeboat("promote", "one", "--yes", "--json", expect=0).json
        self.assert_well()
        self.assertFalse(self.is_later())
        self.assertEqual(self.stack.check().count("FAILED"), 0)
        self.assertEqual([(v["component"], v["of"]) for v in done["volumes"]],
                         [(s, self.stack.volume(s + "_data")) for s in ("pgbouncer", "postgres", "redis")])
        self.assertEqual(done["backup"], self.backup)
        self.assertEqual(done["logins"], ["postgres", "redis", "pgbouncer"])
        self.assertEqual([s["service"] for s in done["services"]][0], "pgbouncer", "who needs others stops first")
        self.assertEqual(len(self.befores()), len(before) + 3)
        # Compose takes the volumes for its own, and has nothing to do.
        said = self.stack.compose("up", "-d")
        self.assertNotRegex(said, r"(?i)warn|recreat|creat|start")
        for back in (True, False, True):
            self.stack.lifeboat("rollback", "--yes", expect=0)
            self.assert_well()
            self.assertEqual(self.is_later(), back)
        self.assertEqual(self.stack.check().count("FAILED"), 0)
        listed = self.befores()
        pruned = self.stack.lifeboat("prune", "--volumes", "1", "--json", expect=0).json["volumes"]
        self.assertEqual(len(pruned), len(listed) - 3)
        self.assertEqual(self.befores(), sorted(set(listed) - set(pruned)))
        self.stack.lifeboat("prune", "--volumes", "0", expect=0)
        self.assertEqual(self.befores(), [])
        self.assertTrue(self.is_later())
        self.assert_failed(self.stack.lifeboat("rollback", "--yes"), 1, "there is no promotion to take back")

    def test_a_dry_run_tells_and_does_nothing(self):
        with self.production_untouched():
            done = self.stack.lifeboat("promote", "--dry-run", expect=0)
        for text in ("stops and starts again: pgbouncer", "stops and starts again: postgres", "newer than that data",
                     "gets the contents of '%s_postgres_data_one'" % self.stack.project, "nothing was done"):
            self.assertIn(text, done.out)

    def test_nobody_to_ask_is_no_consent(self):
        with self.production_untouched():
            self.assert_failed(self.stack.lifeboat("promote"), 64, "Give --yes if that is meant")

    def test_another_answer_than_yes_is_no(self):
        with self.production_untouched():
            done = self.on_a_terminal("promote", answer=b"no\n")
        self.assertIn("the answer was not yes; nothing was done", done)

    def on_a_terminal(self, *args, answer):
        """Runs it and types the answer. What was on the screen."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([LIFEBOAT] + list(args), cwd=self.stack.folder, env=self.stack.agent_env(),
                                   stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        said = b""
        while True:
            try:
                got = os.read(ours, 65536)
            except OSError:  # nobody has the other end any more
                break
            said += got
            if said.endswith(b"Type yes to go on: "):
                os.write(ours, answer)
        os.close(ours)
        process.wait(60)
        return said.decode(errors="replace")

    def test_names_that_do_not_fit(self):
        self.assert_failed(self.stack.lifeboat("promote", "two", "--yes"), 1, "there is no restore 'two'; there are: 'one'")
        self.assert_failed(self.stack.lifeboat("promote", "--only", "nothing", "--yes"), 1,
                           "there is no volume to move to among those asked for")

    def test_a_part_alone(self):
        befores = self.befores()
        done = self.stack.lifeboat("promote", "one", "--only", "redis", "--yes", "--json", expect=0).json
        self.assertEqual([s["service"] for s in done["services"]], ["redis"])
        self.assertEqual(self.stack.redis("EXISTS", "later", database=2).split()[-1], "0")
        self.stack.lifeboat("rollback", "--yes", expect=0)
        self.assertTrue(self.is_later())
        self.stack.lifeboat("prune", "--volumes", "0", expect=0)
        self.assertEqual(self.befores(), befores)

    # ---- what stands in the way

    def test_a_volume_that_somebody_else_uses(self):
        name = self.stack.project + "-guest"
        self.docker("run", "-d", "--name", name, "--network", "none", "-v", self.stack.volume("redis_data") + ":/seen",
                    "--entrypoint", "sleep", self.stack.images.redis, "600")
        self.addCleanup(self.docker.run, "rm", "-f", name, check=False)
        with self.production_untouched():
            self.assert_failed(self.stack.lifeboat("promote", "--yes"), 1, "container '%s' uses volume '%s'" % (
                name, self.stack.volume("redis_data")), "docker stop " + name)

    def test_a_restored_volume_that_somebody_else_uses(self):
        name = self.stack.project + "-guest2"
        self.docker("run", "-d", "--name", name, "--network", "none", "-v", self.stack.volume("redis_data_one") + ":/seen",
                    "--entrypoint", "sleep", self.stack.images.redis, "600")
        self.addCleanup(self.docker.run, "rm", "-f", name, check=False)
        with self.production_untouched():
            self.assert_failed(self.stack.lifeboat("promote", "--yes"), 1, "container '%s' uses volume '%s'" % (
                name, self.stack.volume("redis_data_one")))

    def test_one_database_alone_is_not_for_production(self):
        self.stack.lifeboat("restore", "--database", "hdms_db", "--as", "alone", expect=0)
        self.addCleanup(self.docker.run, "volume", "rm", self.stack.volume("postgres_data_alone"), check=False)
        with self.production_untouched():
            self.assert_failed(self.stack.lifeboat("promote", "alone", "--yes"), 1, "is not fit for production",
                               "the database 'hdms_db' alone", "--force")

    # ---- what fails on the way

    def test_a_server_that_does_not_get_healthy(self):
        befores, volume = self.befores(), self.stack.volume("postgres_data_one")
        break_it = "mv /v/PG_VERSION /v/kept && echo 9.1 >/v/PG_VERSION"
        mend_it = "mv /v/kept /v/PG_VERSION"
        self.on_volume(volume, break_it)
        try:
            failed = self.stack.lifeboat("promote", "one", "--yes")
        finally:
            self.on_volume(volume, mend_it)
        self.assert_failed(failed, 1, "production was moved back: service 'postgres' does not",
                           "The old state is back")
        self.assert_old_state(befores)

    def on_volume(self, volume, script):
        self.docker("run", "--rm", "--network", "none", "-u", "0", "-v", volume + ":/v", "--entrypoint", "sh",
                    self.stack.images.postgres, "-c", script)

    def test_a_password_that_has_changed_since_the_backup(self):
        befores = self.befores()
        self.stack.sql("postgres", "ALTER ROLE postgres PASSWORD 'another-horse'")
        self.stack.set_env("postgres", POSTGRES_PASSWORD="another-horse")
        try:
            failed = self.stack.lifeboat("promote", "one", "--yes")
        finally:
            self.stack.sql("postgres", "ALTER ROLE postgres PASSWORD '%s'" % self.stack.PASSWORD)
            self.stack.set_env("postgres", POSTGRES_PASSWORD=self.stack.PASSWORD)
        self.assert_failed(failed, 1, "production was moved back: login to postgres with the password of the configuration",
                           "Passwords came along with the data")
        self.assertNotIn("another-horse", failed.out + failed.err)
        self.assert_old_state(befores)

    def test_a_signal_brings_the_old_state_back_at_once(self):
        for point in ("promote-stopped", "promote-save", "promote-moved", "promote-started", "promote-settled"):
            with self.subTest(point):
                befores = self.befores()
                result = self.stack.lifeboat("promote", "one", "--yes", env={"LIFEBOAT_FAULT": point + "=term"})
                self.assert_failed(result, 1, "cancelled by SIGTERM")
                self.assert_old_state(befores)

    def test_a_failure_of_each_step_brings_the_old_state_back(self):
        for point in ("promote-begun", "promote-stop@2", "promote-save@3", "promote-saved", "promote-move@2", "promote-start@2"):
            name, _, count = point.partition("@")
            with self.subTest(point):
                befores = self.befores()
                fault = "%s=fail%s" % (name, "@" + count if count else "")
                result = self.stack.lifeboat("promote", "one", "--yes", env={"LIFEBOAT_FAULT": fault})
                self.assert_failed(result, 1, "injected fault '%s'" % name)
                self.assert_old_state(befores)


class Killed(PromoteCase):
    """kill -9 in each phase: check names it, and the next start brings the old state back."""

    def kill_at(self, fault):
        result = self.stack.lifeboat("promote", "one", "--yes", env={"LIFEBOAT_FAULT": fault})
        self.assertEqual(result.code, -signal.SIGKILL, str(result))

    def check_and_start_again(self, befores, start=("prune",)):
        checked = self.stack.lifeboat("check")
        self.assert_failed(checked, 1, "production")
        self.assertRegex(checked.out, r"failed\s+production: promotion '\S+' of production .*cut short")
        self.stack.lifeboat(*start)
        self.assert_old_state(befores)

    def test_each_phase(self):
        for fault in ("promote-begun=kill", "promote-stop=kill@2", "promote-stopped=kill", "promote-save=kill@2",
                      "promote-saved=kill", "promote-marked=kill", "promote-move=kill@2", "promote-moved=kill",
                      "promote-start=kill@2", "promote-settled=kill"):
            with self.subTest(fault):
                befores = self.befores()
                self.kill_at(fault)
                self.check_and_start_again(befores)

    def test_while_it_copies(self):
        """The helper that copies outlives us for a while: the way back must not race with it."""
        befores = self.befores()
        self.docker("run", "--rm", "--network", "none", "-u", "0", "-v", self.stack.volume("redis_data_one") + ":/v",
                    "--entrypoint", "sh", self.stack.images.redis, "-c", "head -c 600000000 /dev/zero >/v/ballast")
        try:
            process = self.stack.start_lifeboat("promote", "one", "--yes")
            wait_for("production's volume to be written", lambda: self.copies_to("redis_data"), 120, 0.02)
            process.kill()
            self.stack.finish(process, ("promote",))
            self.check_and_start_again(befores)
        finally:
            self.docker("run", "--rm", "--network", "none", "-u", "0", "-v", self.stack.volume("redis_data_one") + ":/v",
                        "--entrypoint", "rm", self.stack.images.redis, "-f", "/v/ballast")
        self.assertEqual(self.stack.execute("redis", "sh", "-c", "ls /data/ballast 2>&1; true").stdout.count(b"No such"), 1)

    def copies_to(self, volume):
        for name in self.docker("ps", "-q", "--filter", "label=org.lifeboat.kind=helper", "--filter",
                                "label=org.lifeboat.stack=" + self.stack.project).split():
            done = self.docker.run("inspect", name, "--format",
                                   "{{range .Mounts}}{{.Destination}} {{.Name}};{{end}}", check=False)
            if "/to %s;" % self.stack.volume(volume) in done.stdout.decode():
                return True
        return False

    def test_on_the_way_back_too(self):
        for fault in ("promote-moved=fail,promote-move-back=kill@2", "promote-moved=fail,promote-undone=kill"):
            with self.subTest(fault):
                befores = self.befores()
                self.kill_at(fault)
                self.check_and_start_again(befores, start=("promote", "--dry-run"))

    def test_after_the_commit_nothing_comes_back(self):
        self.kill_at("promote-committed=kill")
        self.assertFalse(self.is_later())
        self.stack.lifeboat("prune", expect=0)
        self.assert_well()
        self.assertFalse(self.is_later())
        self.stack.lifeboat("rollback", "--yes", expect=0)
        self.assertTrue(self.is_later())

    def test_services_that_somebody_started_meanwhile(self):
        befores = self.befores()
        self.kill_at("promote-move=kill@3")
        self.stack.compose("up", "-d")
        time.sleep(1)
        self.stack.lifeboat("prune", expect=0)
        self.assert_old_state(befores)

    def test_two_at_once(self):
        process = self.stack.start_lifeboat("promote", "one", "--yes", env={"LIFEBOAT_FAULT": "promote-stopped=stop"})
        try:
            wait_for("the first one to stand still", lambda: re.search(r"\) T ", open(
                "/proc/%d/stat" % process.pid, encoding="utf-8").read()), 60, 0.05)
            self.assert_failed(self.stack.lifeboat("promote", "one", "--yes"), 75, "is under way")
            # A sweep of others leaves the living alone.
            self.stack.lifeboat("prune", expect=0)
        finally:
            process.send_signal(signal.SIGCONT)
            done = self.stack.finish(process, ("promote",))
        self.assertEqual(done.code, 0, str(done))
        self.stack.lifeboat("rollback", "--yes", expect=0)
        self.assert_well()
        self.assertTrue(self.is_later())
        self.stack.lifeboat("prune", "--volumes", "0", expect=0)
        self.assertEqual(self.befores(), [])


class ServersLeftRunning(PromoteCase):
    def test_servers_of_restore_up_end_with_the_promotion(self):
        self.stack.lifeboat("restore", "--as", "up", "--up", expect=0)
        mine = "label=org.lifeboat.stack=" + self.stack.project
        self.assertEqual(len(self.docker("ps", "-q", "--filter", mine).split()), 3)
        done = self.stack.lifeboat("promote", "up", "--yes", "--json", expect=0).json
        self.assertEqual(len(done["servers"]), 3)
        self.assertEqual(self.docker("ps", "-aq", "--filter", mine), "")
        self.assert_well()
        self.assertFalse(self.is_later())

    def test_z_a_new_host_has_neither_containers_nor_volumes(self):
        """Last: it takes the stack down, volumes too."""
        self.stack.compose("down", "-v")
        done = self.stack.lifeboat("promote", "one", "--yes", "--json", expect=0).json
        self.assertEqual(done["services"], [])
        for volume in ("postgres_data", "redis_data", "pgbouncer_data"):
            labels = self.docker.inspect(self.stack.volume(volume), "volume")["Labels"]
            self.assertEqual({k: v for k, v in labels.items() if k.startswith("com.docker.compose")},
                             {"com.docker.compose.project": self.stack.project, "com.docker.compose.volume": volume})
        said = self.stack.compose("up", "-d")
        self.assertNotRegex(said, r"(?i)warn|Creating volume \"\S+(postgres|redis|pgbouncer)_data")
        self.assert_well()
        self.assertFalse(self.is_later())


class Fast(PromoteCase):
    """By an override file, with Compose 1.29."""

    VERSION = "1.29"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Lifeboat finds the program in PATH.
        cls.bin = tempfile.TemporaryDirectory(prefix="lb-compose-")  # pylint: disable=consider-using-with
        cls.addClassCleanup(cls.bin.cleanup)
        program = Path(cls.bin.name) / "docker-compose"
        program.write_text("#!/bin/sh\nexec %s \"$@\"\n" % " ".join(compose_program(cls.VERSION)))
        program.chmod(0o755)
        cls.override = cls.stack.folder / "compose.lifeboat.yaml"

    def run_fast(self, *args, expect=0, **env):
        env.setdefault("PATH", self.bin.name + ":" + os.environ["PATH"])
        return self.stack.lifeboat(*args, expect=expect, env=env)

    def assert_on(self, suffix):
        self.stack.wait_healthy(seconds=60)
        for service in SERVICES:
            self.assertIn(self.stack.volume(service + "_data" + suffix), self.stack.mounted(service).values())
        self.assertEqual(self.override.exists(), suffix != "")
        self.assertEqual(self.is_later(), suffix == "")
        self.assert_no_marks()

    def test_there_and_back(self):
        said = self.run_fast("promote", "one", "--yes", "--fast").out
        self.assertIn("whoever runs Compose without that file falls back to the old data", said)
        self.assert_on("_one")
        for line in self.override.read_text().splitlines():
            self.assertIn(line, said)
        self.assertEqual(self.befores(), [])
        self.assertNotRegex(self.stack.compose("-f", "compose.yaml", "-f", "compose.override.yaml", "-f",
                                               self.override.name, "up", "-d"), r"(?i)recreat")
        failed = self.run_fast("promote", "one", "--yes", expect=1)
        self.assertIn("production runs on volume", failed.err)
        for suffix in ("", "_one", ""):
            self.run_fast("rollback", "--yes")
            self.assert_on(suffix)

    def test_killed_on_the_way(self):
        for fault in ("promote-stopped=kill", "promote-move=kill", "promote-moved=kill", "promote-settled=kill"):
            with self.subTest(fault):
                self.run_fast("promote", "one", "--yes", "--fast", expect=-signal.SIGKILL, LIFEBOAT_FAULT=fault)
                self.run_fast("prune")
                self.assert_on("")

    def test_a_file_of_somebody_else_is_left_alone(self):
        self.override.write_text("services: {}\n")
        self.addCleanup(self.override.unlink)
        with self.production_untouched():
            failed = self.run_fast("promote", "one", "--yes", "--fast", expect=1)
        self.assertIn("exists and is not Lifeboat's", failed.err)
        self.assertEqual(self.override.read_text(), "services: {}\n")

    def test_without_a_program_nothing_is_begun(self):
        with self.production_untouched():
            failed = self.run_fast("promote", "one", "--yes", "--fast", expect=1, PATH="/nonexistent")
        self.assertIn("--fast needs one", failed.err)
        self.assertIn("up -d --force-recreate --no-deps", failed.err)
        self.assertIn("external: true", failed.out)
        self.assertFalse(self.override.exists())


class FastUnderCompose2(Fast):
    STACK = {"compose": "2", "health": "3s"}
    VERSION = "2"


class PromoteUnderCompose2(PromoteCase):
    STACK = {"compose": "2", "health": "3s"}

    def test_compose_adopts_the_volumes_without_a_word(self):
        self.stack.lifeboat("promote", "one", "--yes", expect=0)
        self.assert_well()
        self.assertFalse(self.is_later())
        self.assertNotRegex(self.stack.compose("up", "-d"), r"(?i)warn|recreat|already exists")
        self.stack.lifeboat("rollback", "--yes", expect=0)
        self.assert_well()
        self.assertTrue(self.is_later())
        self.assertNotRegex(self.stack.compose("up", "-d"), r"(?i)warn|recreat|already exists")


if __name__ == "__main__":
    unittest.main()
