"""Promotion by an override file: Compose makes the services anew, and takes them back."""

import os
import shutil
import signal
import tempfile
import unittest
from pathlib import Path

from compose_stack import SERVICES, compose_program
from promote_case import PromoteCase


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
        name, *rest = compose_program(cls.VERSION)
        program.write_text("#!/bin/sh\nexec %s \"$@\"\n" % " ".join([shutil.which(name)] + rest))
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


if __name__ == "__main__":
    unittest.main()
