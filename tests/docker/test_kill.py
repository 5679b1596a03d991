"""kill -9 at any time: one more start removes what is left, and production has noticed nothing."""

import json
import random
import re
import signal
import unittest

from docker_fault import FaultCase
from docker_proxy import DockerProxy
from stack import wait_for

SEED = 20260115
RANDOM_KILLS = 14
# Of a drill, in their order.
POINTS = ("postgres", "load-database", "redis", "pgbouncer", "before-proof", "evidence")


class Killed(FaultCase):
    STACK = {"populate": False, "health": "3s"}

    @classmethod
    def prepare(cls):
        # Little, so that a drill is quick; something, so that it can prove.
        cls.stack.sql("hdms_db", "CREATE TABLE seen AS SELECT n, md5(n::text) FROM generate_series(1, 500) n")
        cls.stack.redis("SET", "seen", "1")

    def setUp(self):
        self.started, self.theirs = self.stack.started_at(), self.project_things()
        self.earlier = self.store_files()
        self.nameless = set()

    def check_production(self):
        self.assertEqual(self.stack.started_at(), self.started)
        self.assertEqual(self.project_things(), self.theirs)
        files = self.store_files()
        self.assertEqual({name: files.get(name) for name in self.earlier}, self.earlier, "an earlier file changed")

    def check_swept(self):
        self.assert_nothing_left()
        left = set(self.docker("volume", "ls", "-q").split()) & self.nameless
        self.assertEqual(left, set(), "nameless volumes of containers that are gone")
        self.check_production()

    def leftovers(self):
        said = self.stack.lifeboat("check", expect=0).out
        return re.findall(r"^warning +leftover of a killed job: (\w+) '([^']+)' of \w+ ", said, re.M)

    def test_kill_9_at_every_point_of_a_drill__check_names_what_is_left__the_next_drill_passes(self):
        seen = 0
        for point in POINTS:
            with self.subTest(point=point):
                result = self.stack.lifeboat("drill", env={"LIFEBOAT_FAULT": point + "=kill"})
                self.assertEqual(result.code, -signal.SIGKILL, str(result))
                self.check_production()
                # Marks of runs are volumes too, of which check says only that they are there.
                left = {(kind, name) for kind, names in self.things().items() for name in names
                        if not name.startswith("lifeboat-run-")}
                self.assertEqual(set(self.leftovers()), left)
                seen += len(left)
        self.assertGreater(seen, len(POINTS))
        self.assertEqual(self.stack.lifeboat("drill", "--json", expect=0).json["outcome"], "passed")
        self.check_swept()

    def test_restore_killed_before_its_proof__prune_removes_all_of_it(self):
        result = self.stack.lifeboat("restore", "--as", "x", env={"LIFEBOAT_FAULT": "before-proof=kill"})
        self.assertEqual(result.code, -signal.SIGKILL, str(result))
        things = self.things()
        self.assertGreater(len(things["container"]), 0)
        said = self.stack.lifeboat("prune", "--dry-run", expect=0).out
        for names in things.values():
            for name in names:
                if not name.startswith("lifeboat-run-"):
                    self.assertIn("'%s'" % name, said)
        self.assertEqual(self.things(), things)
        self.stack.lifeboat("prune", expect=0)
        self.check_swept()

    # ---- at random moments: of all requests that change something, before or after one of them

    def proxied(self, command, when=None, number=None):
        """Runs it through a proxy; `when` is "before" or "after" the request of that number, at which it is killed.
        How it ended, and how many such requests came."""
        with DockerProxy(self.docker) as proxy:
            process = self.stack.start_lifeboat(*command, env=proxy.env)

            def before(reached):
                if when == "before" and reached == number:
                    process.kill()

            def after(reached, answer):
                self.remember_volumes(answer)
                if when == "after" and reached == number:
                    process.kill()
            rule = proxy.watch("POST|PUT|DELETE", "", before, after)
            result = self.stack.finish(process, command)
            return result, rule.count

    def remember_volumes(self, answer):
        """Images have volumes of their own, which come into being with a container and bear no label."""
        made = re.search(rb'\{"Id":"([0-9a-f]{64})","Warnings"', answer)
        if made:
            status, found = self.docker.api("/containers/%s/json" % made.group(1).decode())
            if status == 200:
                self.nameless |= {m["Name"] for m in found["Mounts"]
                                  if m["Type"] == "volume" and re.fullmatch("[0-9a-f]{64}", m["Name"])}

    def test_kill_9_at_random_moments__one_more_start_removes_everything(self):
        whole, count = self.proxied(["drill", "--json"])
        self.assertEqual(whole.code, 0, str(whole))
        self.check_swept()
        self.assertGreater(count, 20)
        dice = random.Random(SEED)
        killed = 0
        for _ in range(RANDOM_KILLS):
            number, when = dice.randrange(count), dice.choice(["before", "after"])
            with self.subTest(number=number, when=when, of=count):
                result, _ = self.proxied(["drill"], when, number)
                self.assertIn(result.code, (-signal.SIGKILL, 0), str(result))
                killed += result.code != 0
                self.check_production()
        self.assertGreater(killed, RANDOM_KILLS // 2)
        result = self.stack.lifeboat("drill", "--json", expect=0).json
        self.assertEqual((result["id"], result["outcome"]), (self.first, "passed"))
        self.check_swept()

    # ---- others

    def test_backup_killed_while_pg_dump_runs__no_pg_dump_stays_in_production(self):
        result = self.stack.lifeboat("backup", env={"LIFEBOAT_FAULT": "frame=kill"})
        self.assertEqual(result.code, -signal.SIGKILL, str(result))
        wait_for("pg_dump to be gone", lambda: self.stack.sql(
            "postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump'") == "0", 60, 0.5)
        listed = [b["id"] for b in self.stack.lifeboat("list", "--json", expect=0).json["backups"]]
        self.assertEqual(listed, [self.first])
        self.stack.lifeboat("prune", expect=0)
        self.check_swept()

    def test_sigterm_during_a_drill__it_clears_up_itself(self):
        with self.held("before-proof", "drill") as held:
            self.assertGreater(len(self.things()["container"]), 1)
            held.process.send_signal(signal.SIGTERM)
        self.assert_failed(held.result, 1, "cancelled")
        self.check_swept()

    def test_two_at_once__neither_takes_the_others_things_for_leftovers(self):
        # A drill that is at work, however long it stands still, is swept by nobody.
        with self.held("before-proof", "drill", "--json") as held:
            things = self.things()
            said = self.stack.lifeboat("check", expect=0).out
            self.assertNotIn("leftover", said)
            result = self.stack.lifeboat("prune")
            self.assertIn(result.code, (0, 75), str(result))
            self.assertEqual(self.things(), things)
        self.assertEqual((held.result.code, json.loads(held.result.out)["outcome"]), (0, "passed"), str(held.result))
        self.check_swept()


if __name__ == "__main__":
    unittest.main()
