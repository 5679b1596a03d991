"""Backup, drill and restore of a Compose stack that is at work: it notices nothing, and all comes back."""

import re
import unittest

from docker_case import ComposeCase
from stack import Failed, without_tokens

NAME = "same"


class Drill(ComposeCase):
    """One backup, and what was restored of it and serves beside production."""

    STACK = {"health": "3s"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack.prepare_load(1)
        cls.before = {name: cls.stack.pg_dump(name) for name in ("hdms_db", "hdms_audit", "postgres")}
        cls.globals = cls.stack.pg_globals()
        cls.contents = cls.stack.redis_contents()
        cls.id = cls.stack.lifeboat("backup", "--json", expect=0).json["id"]
        cls.stack.lifeboat("restore", "--as", NAME, "--up", expect=0)

    def server(self, component):
        names = self.docker("ps", "--format", "{{.Names}}", "--filter", "label=org.lifeboat.stack=" + self.stack.project,
                            "--filter", "label=org.lifeboat.for=" + component).split()
        if len(names) != 1:
            raise Failed("the restored %s has the containers %s" % (component, names))
        return names[0]

    def inside(self, component, *argv, **more):
        return self.docker.run("exec", *(["-i"] if "input" in more else []), self.server(component), *argv, **more).stdout

    # ---- what was restored

    def test_volumes__are_named_as_asked_and_bear_only_our_labels(self):
        volumes = {name + "_data": self.stack.volume("%s_data_%s" % (name, NAME))
                   for name in ("postgres", "redis", "pgbouncer")}
        self.assertLessEqual(set(volumes.values()), set(self.things()["volume"]))
        for of, name in volumes.items():
            labels = self.docker.inspect(name, "volume")["Labels"]
            self.assertEqual([key for key in labels if not key.startswith("org.lifeboat.")], [])
            self.assertEqual(labels["org.lifeboat.of"], self.stack.volume(of))
            self.assertEqual(labels["org.lifeboat.backup"], self.id)

    def test_nothing_else_stays_than_what_serves(self):
        things = self.things()
        self.assertEqual(sorted(self.server(c) for c in ("postgres", "redis", "pgbouncer")), things["container"])
        self.assertEqual(len(things["network"]), 1)
        # No mark of an unfinished run, so no sweep takes them for leftovers.
        self.assertEqual([v for v in things["volume"] if not v.endswith("_" + NAME)], [])
        self.assertNotIn("leftover", self.stack.lifeboat("check", expect=0).out)
        self.stack.lifeboat("prune", expect=0)
        self.assertEqual(self.things(), things)

    def test_databases__pg_dump_says_the_same(self):
        for name, dump in self.before.items():
            again = without_tokens(self.inside("postgres", "pg_dump", "-U", self.stack.USER, "-C", "-d", name))
            self.assertEqual(again.decode().splitlines(), dump.decode().splitlines())

    def test_roles__pg_dumpall_says_the_same(self):
        again = without_tokens(self.inside("postgres", "pg_dumpall", "-U", self.stack.USER, "--globals-only"))
        self.assertEqual(again.decode().splitlines(), self.globals.decode().splitlines())

    def test_redis__has_the_same_keys(self):
        ask = ["env", "REDISCLI_AUTH=" + self.stack.redis_password, "redis-cli"]
        count = sum(int(self.inside("redis", *ask, "-n", str(n), "DBSIZE")) for n in range(3))
        self.assertEqual(count, len(self.contents))

    def test_names__a_restored_server_finds_the_restored_ones(self):
        # The application's own way in: its password, the pooler's name, the port of its configuration.
        said = self.inside("postgres", "env", "PGPASSWORD=" + self.stack.APP_PASSWORD, "psql", "-XqAt", "-h", "pgbouncer",
                           "-p", "6432", "-U", self.stack.APP_USER, "-d", "hdms_db", input=b"SELECT inet_server_addr()")
        address = list(self.docker.inspect(self.server("postgres"))["NetworkSettings"]["Networks"].values())[0]["IPAddress"]
        self.assertEqual(said.decode().strip(), address)

    def test_same_name_again__is_refused_before_anything_is_made(self):
        things = self.things()
        result = self.stack.lifeboat("restore", "--as", NAME)
        self.assert_failed(result, 1, "volume '%s' exists" % self.stack.volume("postgres_data_" + NAME))
        self.assertEqual(self.things(), things)

    def test_production__is_what_it_was(self):
        with self.production_untouched():
            self.assertEqual(self.stack.pg_dump("hdms_db"), self.before["hdms_db"])
            self.assertEqual(self.stack.redis_contents(), self.contents)

    # ---- the backup, and the stack while it is taken

    def inspects(self):
        """What the daemon says of production's containers, without what its own health checks change."""
        seen = {}
        for service in ("postgres", "redis", "pgbouncer"):
            found = self.docker.inspect(self.stack.container(service))
            found["State"].pop("Health", None)
            found.pop("ExecIDs", None)
            found["Mounts"].sort(key=lambda m: m["Destination"])  # their order is chance
            seen[service] = found
        return seen

    def complaints(self):
        """Errors in the logs of production's servers."""
        said = self.stack.logs("postgres", "pgbouncer", "redis")
        return re.findall(r"^.*(?:ERROR|FATAL|PANIC|WARNING: .*pooler error):.*$", said, re.M)

    def test_under_load__backup_and_drill_pass__production_notices_nothing(self):
        before, complaints, things = self.inspects(), self.complaints(), self.things()
        with self.production_untouched():
            with self.stack.load(clients=4, rate=100) as load:
                backup = self.stack.lifeboat("backup", "--json", expect=0).json
                drill = self.stack.lifeboat("drill", "--json", expect=0).json
        self.assertEqual(self.inspects(), before)
        self.assertEqual(self.complaints(), complaints)
        self.assertGreater(load.transactions, 10)
        self.assertEqual((drill["outcome"], drill["id"]), ("passed", backup["id"]))
        self.assertGreater(drill["proof"]["compared"], 30)
        self.assertEqual(self.things(), things)
        listed = {b["id"]: b for b in self.stack.lifeboat("list", "--json", expect=0).json["backups"]}
        self.assertEqual(listed[backup["id"]]["proof"], "passed")
        self.assertIn(self.id, listed)
        self.assertRegex(self.stack.lifeboat("list", expect=0).out, r"(?m)^%s .* proven" % backup["id"])

    def test_init__what_it_writes__works_as_it_is(self):
        done = self.stack.lifeboat("init", "--output", "made.conf", expect=0)
        self.assertIn("found    Compose project '%s' of '%s': 3 containers" % (self.stack.project, self.stack.folder), done.out)
        store = {"LIFEBOAT_STORE_LOCAL_URL": "file://%s/made" % self.stack.parent}
        checked = self.stack.lifeboat("-c", "made.conf", "check", env=store, expect=0).out
        for name in ("postgres", "redis", "pgbouncer"):
            self.assertRegex(checked, "(?m)^ok +%s: " % name)
        self.stack.lifeboat("-c", "made.conf", "backup", "--only", "redis,pgbouncer", env=store, expect=0)
        # The second of the same folder is another file, or none.
        self.assertIn("not overwritten", self.stack.lifeboat("init", expect=1).err)

    def test_show__names_servers_volumes_and_tables(self):
        said = self.stack.lifeboat("show", self.id, expect=0).out
        for text in ("volume '%s'" % self.stack.volume("postgres_data"), "volume '%s'" % self.stack.volume("redis_data"),
                     "volume '%s'" % self.stack.volume("pgbouncer_data"), "/etc/pgbouncer/userlist.txt (auth)",
                     "public.pgbench_accounts", "audit.entries"):
            self.assertIn(text, said)

    def test_verify__reads_the_whole_archive(self):
        said = self.stack.lifeboat("verify", self.id, expect=0)
        self.assertIn(self.id, said.out)

    def test_manifest__has_image_and_volume_of_every_service(self):
        components = self.stack.lifeboat("show", self.id, "--json", expect=0).json["manifest"]["components"]
        for name in ("postgres", "redis", "pgbouncer"):
            runtime, container = components[name]["runtime"], self.docker.inspect(self.stack.container(name))
            self.assertEqual(runtime["image_id"], container["Image"])
            self.assertEqual(runtime["image"], container["Config"]["Image"])
            self.assertIn(self.stack.volume(name + "_data"), [m.get("name") for m in runtime["mounts"]])


if __name__ == "__main__":
    unittest.main()
