"""Production moves to what a restore left, and back; whatever happens on the way, it ends in one of the two."""

import os
import pty
import subprocess
import unittest

from promote_case import PromoteCase
from stack import LIFEBOAT


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


if __name__ == "__main__":
    unittest.main()
