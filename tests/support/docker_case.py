"""What the Docker tests share: the reference stack, one for each class, and asking that it was left alone."""

import unittest
from contextlib import contextmanager

from compose_stack import MADE_BY_LIFEBOAT, ComposeStack
from docker_daemon import daemon


class ComposeCase(unittest.TestCase):
    """STACK says what the class's stack is made with."""

    STACK = {}
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.docker = daemon()
        cls.stack = ComposeStack(**cls.STACK)
        cls.addClassCleanup(cls.stack.close)
        cls.stack.start()

    def things(self):
        """What lifeboat has made for this stack and not removed: containers, volumes, networks."""
        return self.docker.labelled("%s=%s" % (MADE_BY_LIFEBOAT, self.stack.project))

    def assert_nothing_left(self):
        self.assertEqual(self.things(), {"container": [], "volume": [], "network": []})

    def project_things(self):
        return self.docker.labelled("com.docker.compose.project=" + self.stack.project)

    @contextmanager
    def production_untouched(self):
        """Around what must not be noticed: the same containers, not restarted, on the same volumes, with the same
        configuration, and healthy in the end."""
        before = self.production()
        yield
        self.assertEqual(self.production(), before)
        self.stack.wait_healthy(seconds=30)

    def production(self):
        redis = self.stack.redis("CONFIG", "GET", "*").split("\n")  # in no order
        return {
            "started": self.stack.started_at(),
            "mounted": {name: self.stack.mounted(name) for name in ("postgres", "redis", "pgbouncer")},
            "things": self.project_things(),
            "postgres": self.stack.sql("postgres", "SELECT name, setting FROM pg_settings ORDER BY 1"),
            "redis": dict(zip(redis[::2], redis[1::2])),
            "pgbouncer": self.stack.sql_through_pooler("SHOW CONFIG", database="pgbouncer"),
        }

    def assert_failed(self, result, status, *texts):
        """The exit status, each text somewhere in what was said on stderr, and no password."""
        self.assertEqual(result.code, status, str(result))
        for text in texts:
            self.assertIn(text, result.err, str(result))
        for secret in (ComposeStack.PASSWORD, ComposeStack.APP_PASSWORD, ComposeStack.REDIS_PASSWORD):
            self.assertNotIn(secret, result.out + result.err, "a password was printed")
