"""Promotions of other stacks: beside servers that restore --up left, on a new host, under Compose 2."""

import unittest

from promote_case import PromoteCase


class ServersLeftRunning(PromoteCase):
    def test_servers_of_restore_up_end_with_the_promotion(self):
        self.stack.lifeboat("restore", self.backup, "--as", "up", "--up", expect=0)
        mine = "label=org.lifeboat.stack=" + self.stack.project
        self.assertEqual(len(self.docker("ps", "-q", "--filter", mine).split()), 3)
        done = self.stack.lifeboat("promote", "up", "--yes", "--json", expect=0).json
        self.assertEqual(len(done["servers"]), 3)
        self.assertEqual(self.docker("ps", "-aq", "--filter", mine), "")
        self.assertEqual(self.docker("network", "ls", "-q", "--filter", mine), "")
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
