"""What the tests of promotion share: a stack that has gone on since its backup was restored."""

from compose_stack import SERVICES
from docker_case import ComposeCase

LABEL = "org.lifeboat.kind"


class PromoteCase(ComposeCase):
    """A backup, restored as "one"; then production goes on: the table and the key `later` are not in it."""

    STACK = {"health": "3s"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        conf = cls.stack.conf()
        cls.stack.write_conf(conf + "\n[health]\ninterval = 1\ntimeout = 4\nretries = 3\n")
        cls.backup = cls.stack.lifeboat("backup", "--json", expect=0).json["id"]
        cls.stack.lifeboat("restore", "--as", "one", expect=0)
        cls.go_on()

    @classmethod
    def go_on(cls):
        cls.stack.sql_through_pooler("CREATE TABLE later(x int); INSERT INTO later VALUES (1)")
        cls.stack.redis("SET", "later", "1", database=2)

    # ---- where production is

    def is_later(self):
        """Does production have what came after the backup? It is read as the application reads it."""
        tables = self.stack.sql_through_pooler("SELECT count(*) FROM pg_tables WHERE tablename = 'later'")
        key = self.stack.redis("EXISTS", "later", database=2)
        self.assertEqual(tables, key.split()[-1], "PostgreSQL and Redis are not of the same time")
        return tables == "1"

    def volumes(self, kind):
        return self.docker("volume", "ls", "-q", "--filter", "label=%s=%s" % (LABEL, kind), "--filter",
                           "label=org.lifeboat.stack=" + self.stack.project).split()

    def befores(self):
        return sorted(self.volumes("before"))

    def assert_no_marks(self):
        for kind in ("promote", "promote-saved", "promote-claim", "helper"):
            self.assertEqual(self.volumes(kind), [])
        self.assertEqual(self.docker("ps", "-aq", "--filter", "label=org.lifeboat.kind=helper", "--filter",
                                     "label=org.lifeboat.stack=" + self.stack.project), "")

    def assert_well(self):
        """All services run on production's own volumes and are healthy; nothing unfinished is left."""
        self.stack.wait_healthy(seconds=30)
        for service in SERVICES:
            self.assertIn(self.stack.volume(service + "_data"), self.stack.mounted(service).values())
        self.assert_no_marks()

    def assert_old_state(self, befores):
        self.assert_well()
        self.assertTrue(self.is_later())
        self.assertEqual(self.befores(), befores)
