"""kill -9 and SIGTERM at any time, of every job: nothing half-made is visible and the next run works."""

import os
import re
import signal
import time
import unittest
from pathlib import Path

from case import StackCase
from stack import TOP, heeds, wait_for


def fault_points():
    """Every named point in the program's sources; more are found as they are added. A promotion's are reached with
    Docker alone: tests/docker/test_promote_killed.py."""
    names = {}
    for room in ("snapshot", "restore", "storage", "stack", "agent"):
        for path in sorted((TOP / room).rglob("*.c")):
            for name in re.findall(r'fault_point\(\s*"([^"]+)"', path.read_text()):
                if not name.startswith("promote-"):
                    names.setdefault(name, room)
    return names


class Killed(StackCase):
    backup_first = True

    def setUp(self):
        self.ids = self.listed()

    def listed(self):
        return [b["id"] for b in self.stack.lifeboat("list", "--json", expect=0).json["backups"]]

    def production(self):
        return sorted(p.name for p in self.stack.volumes.iterdir() if not p.name.startswith("."))

    def check_after(self, what, killed):
        """What holds after any death: processes gone, earlier backups whole, nothing half-made visible."""
        self.assert_no_process_left()
        ids = self.listed()
        self.assertLessEqual(set(self.ids), set(ids), what)
        self.assertLessEqual(len(ids), len(self.ids) + 1, what)
        for name in sorted(set(ids) - set(self.ids)):
            # It had been committed before the signal came: then it must be whole.
            self.stack.lifeboat("verify", name, expect=0)
        self.ids = ids
        if not killed:
            hidden = [n for n in self.stack.store_files() if n.endswith(".part")]
            self.assertEqual(hidden, [], "%s: a cancelled job left unfinished files" % what)

    def kill_at(self, signal_number, command, point):
        action = {signal.SIGKILL: "kill", signal.SIGTERM: "term"}[signal_number]
        result = self.stack.lifeboat(*command, env={"LIFEBOAT_FAULT": "%s=%s" % (point, action)})
        return result

    def commands(self):
        return {"snapshot": ["backup"], "restore": ["drill"], "storage": ["backup"], "stack": ["drill"], "agent": ["backup"]}

    def test_every_fault_point__kill_9__next_run_works(self):
        points = fault_points()
        self.assertGreater(len(points), 5, points)
        reached = 0
        for point, room in points.items():
            command = self.commands()[room]
            with self.subTest(point=point, command=command):
                before = self.production()
                result = self.kill_at(signal.SIGKILL, command, point)
                reached += result.code == -signal.SIGKILL
                self.check_after("killed at %s" % point, killed=True)
                self.assertEqual([v for v in self.production() if v not in before and "drill" not in v], [])
        self.assertGreater(reached, len(points) // 2, "most points were never reached")
        self.clean_after_kills()

    def clean_after_kills(self):
        """The next jobs sweep what killed ones left: unfinished files, volumes, marks."""
        self.stack.lifeboat("backup", expect=0)
        self.stack.lifeboat("drill", expect=0)
        self.assertEqual([n for n in self.stack.store_files() if n.endswith(".part")], [])
        self.assertEqual([v for v in self.production() if "drill" in v], [], "volumes of killed drills are still there")
        orphans = [n for n in self.stack.store_files() if n.endswith(".tar.zst")
                   and n[:-len(".tar.zst")] + ".json" not in self.stack.store_files()]
        if orphans:
            self.stack.lifeboat("prune", "--orphans", expect=0)
            names = self.stack.store_files()
            self.assertEqual([n for n in orphans if n in names], [], "archives without a sidecar are never removed")

    def test_every_fault_point__sigterm__ends_cleanly_with_nothing_left(self):
        for point, room in fault_points().items():
            command = self.commands()[room]
            with self.subTest(point=point, command=command):
                before = self.production()
                result = self.kill_at(signal.SIGTERM, command, point)
                self.assertGreaterEqual(result.code, 0, "it did not end by itself: %s" % result)
                self.check_after("SIGTERM at %s" % point, killed=False)
                self.assertEqual(self.production(), before, "SIGTERM at %s left volumes" % point)

    def duration(self, command):
        begin = time.monotonic()
        self.stack.lifeboat(*command, expect=0)
        self.ids = self.listed()
        return time.monotonic() - begin

    def sweep(self, command, signal_number, steps):
        """Signals at steps evenly spread over a run's length; where exactly they hit does not matter."""
        whole = self.duration(command)
        for step in range(steps):
            delay = whole * (step + 0.5) / steps
            with self.subTest(command=command, delay="%.3f s of %.3f" % (delay, whole)):
                before = self.production()
                process = self.stack.start_lifeboat(*command)
                wait_for("it to be there", lambda: heeds(process.pid, signal.SIGTERM), step=0.001)
                time.sleep(delay)
                process.send_signal(signal_number)
                result = self.stack.finish(process, command, timeout=60)
                if signal_number == signal.SIGTERM:
                    self.assertGreaterEqual(result.code, 0, "it did not end by itself: %s" % result)
                    if result.code not in (0, 2):
                        self.assertRegex(result.err, "(?i)cancel|interrupt|SIGTERM|signal", str(result))
                    self.assertEqual(self.production(), before)
                self.check_after("%s after %.3f s" % (signal_number, delay), killed=signal_number == signal.SIGKILL)

    def test_backup__kill_9_at_any_time(self):
        self.sweep(["backup"], signal.SIGKILL, 12)
        self.clean_after_kills()

    def test_backup__sigterm_at_any_time(self):
        self.sweep(["backup"], signal.SIGTERM, 12)

    def test_drill__kill_9_at_any_time(self):
        self.sweep(["drill"], signal.SIGKILL, 10)
        self.clean_after_kills()

    def test_drill__sigterm_at_any_time(self):
        self.sweep(["drill"], signal.SIGTERM, 10)

    def test_restore__kill_9__its_name_can_be_used_again_after_a_sweep(self):
        process = self.stack.start_lifeboat("restore", "--as", "again", env={"LIFEBOAT_FAULT": "before-proof=stop"})
        wait_for("the proof", lambda: self.stopped(process.pid), 60)
        process.kill()
        self.stack.finish(process)
        self.assert_no_process_left()
        self.stack.lifeboat("restore", "--as", "again", expect=0)
        self.assertTrue((self.stack.volumes / "postgres_data_again").is_dir())

    @staticmethod
    def stopped(pid):
        try:
            return Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0] == "T"
        except OSError:
            return False

    def test_backup__sigint_twice__still_ends_once(self):
        process = self.stack.start_lifeboat("backup", env={"LIFEBOAT_FAULT": "archive-close=stop"})
        wait_for("the point", lambda: self.stopped(process.pid), 60)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
        os.kill(process.pid, signal.SIGCONT)
        result = self.stack.finish(process)
        self.assertNotEqual(result.code, 0)
        self.check_after("SIGINT twice", killed=result.code < 0)


if __name__ == "__main__":
    unittest.main()
