"""The store goes wrong: it is full, it can't be written, somebody else is at work."""

import os
import signal
import unittest

from case import Held, StackCase, fill, small_disk
from stack import Stack, wait_for


class StoreFull(StackCase):
    @classmethod
    def setUpClass(cls):
        super(StackCase, cls).setUpClass()
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.close)
        cls.stack.store.mkdir(mode=0o700)
        cls.enterClassContext(small_disk(cls.stack.store, 12))
        os.chmod(cls.stack.store, 0o700)
        cls.stack.start()
        cls.first = cls.stack.lifeboat("backup", "--json", expect=0).json

    def test_backup__disk_full_at_any_point__failed_and_nothing_stays(self):
        # From no room at all, in steps up to the archive's size, then page by page until it fits: the last
        # failures are those of the sidecar.
        size_kb = self.first["bytes"] // 1024
        rooms = [0, 4, size_kb // 4, size_kb // 2] + list(range(size_kb - 16, size_kb + 200, 4))
        failures = 0
        for room_kb in rooms:
            ballast = fill(self.stack.store, room_kb)
            try:
                before, listed = self.stack.store_files(), self.visible()
                result = self.stack.lifeboat("backup")
                if result.code == 0:
                    break
                with self.subTest(room_kb=room_kb):
                    failures += 1
                    self.assert_failed(result, 1)
                    self.assertRegex(result.err, "(?i)no space left|no room|is full")
                    self.assertEqual(self.stack.store_files(), before)
                    self.assertEqual(self.without_ages(self.visible()), self.without_ages(listed))
            finally:
                ballast.unlink()
        self.assertEqual(result.code, 0, "it never fitted: %s" % result)
        self.assertGreater(failures, 5)
        self.assert_no_process_left()
        self.stack.lifeboat("verify", "--all", expect=0)

    def test_drill__disk_full_for_the_evidence__could_not_be_written_is_said(self):
        ballast = fill(self.stack.store, 0)
        try:
            result = self.stack.lifeboat("drill")
            self.assertNotEqual(result.code, 0, str(result))
            self.assertRegex(result.err, "(?i)no space left|no room|is full")
        finally:
            ballast.unlink()
        self.assert_no_process_left()


class StoreBusy(StackCase):
    backup_first = True

    def test_backup__two_at_once__the_second_is_told_to_try_later(self):
        before = self.visible_ids()
        held = Held(self.stack, "archive-close", ("backup",))
        try:
            held.wait(60)
            result = self.stack.lifeboat("backup")
            self.assert_failed(result, 75, str(held.process.pid))
            # Reading goes on meanwhile, and does not see the unfinished one.
            self.assertEqual(self.visible_ids(), before)
            self.stack.lifeboat("verify", expect=0)
            held.resume()
            done = self.stack.finish(held.process, ["backup"])
        finally:
            if held.process.poll() is None:
                held.process.kill()
                held.process.communicate()
        self.assertEqual(done.code, 0, str(done))
        self.assertEqual(len(self.visible_ids()), len(before) + 1)

    def test_verify__that_came_to_no_end__is_no_failure_and_calls_nothing_intact(self):
        result = self.stack.lifeboat("verify", "--json", env={"LIFEBOAT_FAULT": "verify=fail"})
        self.assertEqual(result.code, 1, str(result))
        one = result.json["verified"][0]
        self.assertEqual(one["outcome"], "could not verify")
        self.assertNotIn("intact", one)
        said = self.stack.lifeboat("verify", env={"LIFEBOAT_FAULT": "verify=fail"})
        self.assertIn("%s  could not verify  " % one["id"], said.out)
        shown = self.stack.lifeboat("show", one["id"], "--json", expect=0).json
        self.assertEqual((shown["verifies"], shown["damaged"]), ([], False))

    def test_backup__lock_of_a_killed_one__does_not_bind(self):
        held = Held(self.stack, "archive-close", ("backup",))
        held.wait(60)
        held.process.send_signal(signal.SIGKILL)
        held.process.communicate()
        self.stack.lifeboat("backup", expect=0)
        self.assertEqual([n for n in self.stack.store_files() if n.endswith(".part")], [])

    def visible_ids(self):
        said = self.stack.lifeboat("list", "--json", expect=0).json
        return [b["id"] for b in said["backups"]]

    def test_backup__leftovers_that_can_t_be_swept__are_no_reason_to_take_none(self):
        bad = {"LIFEBOAT_FAULT": "store-sweep=fail"}
        self.stack.lifeboat("backup", env=bad, expect=0)
        # Whose work it is says so.
        self.assert_failed(self.stack.lifeboat("prune", env=bad), 1, "store-sweep")

    def test_backup__store_is_a_file__failed_before_anything_is_asked(self):
        place = self.stack.folder / "not-a-folder"
        place.write_text("x")
        result = self.stack.lifeboat("backup", env={"LIFEBOAT_STORE_LOCAL_URL": "file://%s" % place})
        self.assertNotEqual(result.code, 0)
        self.assertIn("not-a-folder", result.err)
        self.assertEqual(place.read_text(), "x")

    def test_backup__store_goes_away_in_the_middle__failed(self):
        moved = self.stack.folder / "moved"
        with self.held("archive-close", "backup") as held:
            os.rename(self.stack.store, moved)
        self.assertNotEqual(held.result.code, 0, str(held.result))
        if self.stack.store.exists():
            self.assertEqual([p.name for p in self.stack.store.iterdir() if not p.name.startswith(".")], [])
            for left in self.stack.store.iterdir():
                left.unlink()
            self.stack.store.rmdir()
        os.rename(moved, self.stack.store)
        self.assertIn(self.first["id"], self.visible_ids())
        wait_for("processes", lambda: not self.stack.agent_processes())


if __name__ == "__main__":
    unittest.main()
