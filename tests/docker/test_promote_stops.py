"""Promotions that can't go on, by a server, a password or a signal: each ends with production as it was before."""

import unittest

from promote_case import PromoteCase


class Stops(PromoteCase):
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


if __name__ == "__main__":
    unittest.main()
