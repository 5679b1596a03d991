"""Promotions that fail at any step: each ends with production as it was before."""

import unittest

from promote_case import PromoteCase


class Fails(PromoteCase):
    def test_a_failure_of_each_step_brings_the_old_state_back(self):
        for point in ("promote-begun", "promote-stop@2", "promote-save@3", "promote-saved", "promote-move@2", "promote-start@2"):
            name, _, count = point.partition("@")
            with self.subTest(point):
                befores = self.befores()
                fault = "%s=fail%s" % (name, "@" + count if count else "")
                result = self.stack.lifeboat("promote", "one", "--yes", env={"LIFEBOAT_FAULT": fault})
                self.assert_failed(result, 1, "injected fault '%s'" % name)
                self.assert_old_state(befores)


if __name__ == "__main__":
    unittest.main()
