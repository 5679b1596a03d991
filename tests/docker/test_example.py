"""examples/hdms as its users run it: it gets healthy, and does what its page says."""

import re
import shutil
import tempfile
import unittest
from pathlib import Path

from compose_stack import HDMS, ComposeStack, compose_program
from docker_case import ComposeCase
from stack import run, wait_for

SECOND = 1000000000


class Example(ComposeCase):
    def test_the_application_finds_what_it_needs(self):
        said = self.stack.check()
        self.assertNotIn("FAILED", said)
        self.assertRegex(said, r"50 clients shared \d+ of at most 25 connections")
        self.assertEqual(len(re.findall(r"^ok ", said, re.M)), 8, said)

    def test_volumes_are_where_the_page_says(self):
        for service in ("postgres", "redis", "pgbouncer"):
            self.assertIn(self.stack.volume(service + "_data"), self.stack.mounted(service).values())

    def test_a_pooler_of_sessions_is_noticed(self):
        ini = "/etc/pgbouncer/pgbouncer.ini"
        self.stack.execute("pgbouncer", "sed", "-i", "s/= transaction/= session/", ini)
        try:
            self.stack.compose("kill", "-s", "HUP", "pgbouncer")
            said = self.stack.compose("run", "--rm", "-T", "app", check=False)
        finally:
            self.stack.execute("pgbouncer", "sed", "-i", "s/= session/= transaction/", ini)
            self.stack.compose("kill", "-s", "HUP", "pgbouncer")
        self.assertIn("FAILED  pool_mode = 'session'", said)

    def test_load_leaves_no_error_and_no_restart(self):
        self.stack.prepare_load(1)
        with self.production_untouched():
            with self.stack.load():
                wait_for("transactions", lambda: int(self.stack.sql_through_pooler(
                    "SELECT count(*) FROM pgbench_history")) > 10, 120, 0.5)

    def test_a_change_in_the_volume_outlives_a_restart_and_pool_sizes_follow_the_environment(self):
        self.stack.execute("pgbouncer", "sed", "-i", "s/^unix_socket_dir =$/&\\nquery_wait_timeout = 77/",
                           "/etc/pgbouncer/pgbouncer.ini")
        for size in ("31", "25"):
            self.stack.set_env("pgbouncer", DEFAULT_POOL_SIZE=size)
            self.stack.up()
            said = self.stack.sql_through_pooler("SHOW CONFIG", database="pgbouncer")
            settings = dict(line.split("|")[:2] for line in said.splitlines())
            self.assertEqual((settings["query_wait_timeout"], settings["default_pool_size"]), ("77", size))

    def test_up_again_changes_nothing(self):
        with self.production_untouched():
            self.stack.compose("up", "-d")


class ExampleHardened(ComposeCase):
    """What a careful user adds in an override file, and what Lifeboat must get along with."""

    STACK = {"populate": False, "override": {"services": {
        "redis": {"read_only": True}, "pgbouncer": {"read_only": True},
        "postgres": {"read_only": True, "tmpfs": ["/tmp", "/var/run/postgresql"]}}}}

    def test_read_only_roots_and_then_a_pooler_without_a_shell(self):
        for service in ("postgres", "redis", "pgbouncer"):
            done = self.stack.execute(service, "touch", "/usr/written", check=False)
            self.assertIn(b"Read-only file system", done.stderr)
        self.stack.use_bare_pooler()
        self.assertNotEqual(self.stack.execute("pgbouncer", "sh", "-c", "true", check=False).returncode, 0)
        self.assertEqual(self.stack.sql_through_pooler("SELECT 6 * 7"), "42")


class ExampleUnderCompose2(ComposeCase):
    # Health is asked at the stack's own pace, so this takes a minute, as it does for users.
    STACK = {"compose": "2", "redis_password": "", "populate": False, "health": None}

    def test_the_application_finds_what_it_needs(self):
        self.assertNotIn("FAILED", self.stack.check())

    def test_up_again_changes_nothing_and_warns_of_nothing(self):
        with self.production_untouched():
            self.assertNotRegex(self.stack.compose("up", "-d"), r"(?i)warn|obsolete|error")


class Files(unittest.TestCase):
    def test_health_is_asked_every_30_s_with_the_servers_own_means(self):
        stack = ComposeStack(health=None, populate=False)
        self.addCleanup(stack.close)
        stack.write_files()
        stack.compose("up", "--no-start")
        asked = {"postgres": ["CMD-SHELL", "pg_isready -U postgres -d hdms_db"],
                 "pgbouncer": ["CMD-SHELL", "pg_isready -h localhost -p 6432"],
                 "redis": ["CMD", "redis-cli", "ping"]}
        for service, test in asked.items():
            config = stack.docker.inspect(stack.container(service))["Config"]
            self.assertEqual(config["Healthcheck"],
                             {"Test": test, "Interval": 30 * SECOND, "Timeout": 10 * SECOND, "Retries": 3})

    def test_no_version_of_compose_has_a_word_to_say_about_the_file(self):
        stack = ComposeStack(populate=False)
        self.addCleanup(stack.close)
        stack.write_files()
        for version in ("1.29", "2", "forky"):
            said = stack.compose("config", "--services", argv=compose_program(version))
            self.assertEqual(sorted(said.split()), ["app", "lifeboat", "pgbouncer", "postgres", "redis"]
                             if version == "1.29" else ["pgbouncer", "postgres", "redis"])

    def test_the_pages_first_commands(self):
        with tempfile.TemporaryDirectory() as folder:
            place = shutil.copytree(HDMS, Path(folder) / "hdms", ignore=shutil.ignore_patterns(".env"))
            commands = re.search(r"```sh\n(for .*\nchmod .*\n)", (HDMS / "README.md").read_text()).group(1)
            run(["sh", "-ec", commands], cwd=place)
            made = sorted(place.rglob(".env"))
            self.assertEqual([p.with_name(".env.example") for p in made], sorted(place.rglob(".env.example")))
            self.assertEqual({p.stat().st_mode & 0o777 for p in made}, {0o600})

    def test_every_variable_is_explained(self):
        examples = sorted(HDMS.rglob(".env.example"))
        self.assertEqual([str(p.parent.relative_to(HDMS)) for p in examples],
                         [".", "app", "lifeboat", "pgbouncer", "postgres", "redis"])
        for path in examples:
            above = ""
            for line in path.read_text().splitlines():
                # DB_PORT is explained with DB_HOST, and the like.
                if re.match(r"#?[A-Z_]+=", line):
                    self.assertTrue(above, "%s: nothing explains %s" % (path, line))
                else:
                    above = line

    def test_git_sees_no_password(self):
        stack = ComposeStack(populate=False)
        self.addCleanup(stack.close)
        stack.write_files()
        run(["git", "init", "-q"], cwd=stack.folder)
        seen = run(["git", "ls-files", "--others", "--exclude-standard"], cwd=stack.folder).stdout.decode().split()
        self.assertIn("postgres/.env.example", seen)
        self.assertEqual([name for name in seen if name.endswith(".env")], [])
        for name in seen:
            if not name.startswith("compose.override"):
                self.assertNotIn(ComposeStack.PASSWORD, (stack.folder / name).read_text())


if __name__ == "__main__":
    unittest.main()
