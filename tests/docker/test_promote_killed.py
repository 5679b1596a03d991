"""kill -9 in each phase of a promotion: check names it, and the next start brings the old state back."""

import signal
import time
import unittest
from pathlib import Path

from promote_case import PromoteCase
from stack import wait_for


class Killed(PromoteCase):
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
                self.check_and_start_again(befores, start=("backup",))

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
            stat = Path("/proc/%d/stat" % process.pid)
            wait_for("the first one to stand still", lambda: ") T " in stat.read_text(), 60, 0.05)
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


if __name__ == "__main__":
    unittest.main()
