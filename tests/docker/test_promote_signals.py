"""Promotions that are told to end: each ends with production as it was before."""

import unittest

from promote_case import PromoteCase


class Signals(PromoteCase):
    def test_a_signal_brings_the_old_state_back_at_once(self):
        for point in ("promote-stopped", "promote-save", "promote-moved", "promote-started", "promote-settled"):
            with self.subTest(point):
                befores = self.befores()
                result = self.stack.lifeboat("promote", "one", "--yes", env={"LIFEBOAT_FAULT": point + "=term"})
                self.assert_failed(result, 1, "cancelled by SIGTERM")
                self.assert_old_state(befores)


if __name__ == "__main__":
    unittest.main()
