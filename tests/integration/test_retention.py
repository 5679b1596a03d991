"""What guards backups in a store: suspicion, marks of readers, orphans, lost sidecars, reasons of a plan."""

import json
import os
import signal
import time
import unittest

from case import StackCase

DAY = 86400
LATER, EARLIER, EARLIEST = "20991231T020000Z-0001", "20250501T020000Z-0001", "20250401T020000Z-0001"


class Retention(StackCase):
    STACK = {"components": ("redis",), "populate": False}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fill(400)
        cls.real = cls.stack.lifeboat("backup", "--json", expect=0).json["id"]
        cls.files = {p.name: p.read_bytes() for p in cls.stack.store.glob("hdms-*")}

    def setUp(self):
        for path in self.stack.store.glob("hdms-*"):
            path.unlink()
        self.put_real()
        self.keep("last 3")

    def put_real(self):
        for name, data in self.files.items():
            (self.stack.store / name).write_bytes(data)

    def plant(self, *ids):
        """Backups that look like the real one in every list; their archives say that they are another's."""
        sidecar = json.loads(self.files["hdms-%s.json" % self.real])
        for one in ids:
            when = "%s-%s-%sT%s:%s:%sZ" % (one[:4], one[4:6], one[6:8], one[9:11], one[11:13], one[13:15])
            self.archive(one).write_bytes(self.files["hdms-%s.tar.zst" % self.real])
            self.sidecar(one).write_text(json.dumps(dict(
                sidecar, id=one, archive="hdms-%s.tar.zst" % one, started=when, finished=when)))

    # ---- the stack and its store

    @classmethod
    def fill(cls, keys):
        cls.stack.redis("FLUSHALL")
        with cls.stack.redis_door() as redis:
            for i in range(keys):
                redis("SET", "key:%d" % i, "value %d" % i)

    def keep(self, rules, more=""):
        conf = self.stack.conf().split("\n;tail\n")[0]
        lines = ["keep = " + rules if line.startswith("keep = ") else line for line in conf.splitlines()]
        self.stack.write_conf("\n".join(lines) + "\n;tail\n" + more + "\n")

    def backup(self, *args):
        return self.stack.lifeboat("backup", "--json", *args, expect=0).json

    def archive(self, one):
        return self.stack.store / ("hdms-%s.tar.zst" % one)

    def sidecar(self, one):
        return self.stack.store / ("hdms-%s.json" % one)

    def ids(self):
        return [b["id"] for b in self.visible()["backups"]]

    def names(self):
        return sorted(p.name for p in self.stack.store.iterdir() if not p.name.startswith("."))

    def age(self, path, days):
        then = time.time() - days * DAY
        os.utime(path, (then, then))

    def prove(self, one):
        """Evidence as a drill that passed writes it."""
        (self.stack.store / ("hdms-%s.drill-20991231T000000Z.json" % one)).write_text(json.dumps(
            {"format": "lifeboat-evidence", "format_version": 1, "id": one, "stack": "hdms", "outcome": "passed",
             "started": "2099-12-31T00:00:00Z", "finished": "2099-12-31T00:01:00Z"}))

    # ---- suspicion

    def test_backup__most_keys_are_gone__is_suspicious_and_evicts_nothing(self):
        self.keep("last 1")
        good = self.real
        self.fill(100)
        result = self.stack.lifeboat("backup", expect=0)
        self.assertIn("warning: suspicious: Redis keys: 100, where 400 are normal (median of 1 backup before)",
                      result.out)
        bad = self.ids()[0]
        self.assertIn("lifeboat trust " + bad, result.out)
        listed = self.visible()["backups"][0]
        self.assertTrue(listed["suspicious"])
        self.assertEqual(len(listed["suspicion"]), 1)
        self.assertIn("suspicious", self.stack.lifeboat("list", expect=0).out)
        self.assertIn("suspicious: Redis keys: 100", self.stack.lifeboat("show", expect=0).out)
        self.assert_failed(self.stack.lifeboat("status"), 2, "the newest backup is suspicious", "lifeboat trust")
        # It counts as no success: the good one stays, also beside a second bad one, and though it is proven.
        self.prove(bad)
        worse = self.backup()
        self.assertTrue(worse["suspicious"])
        self.stack.lifeboat("prune", expect=0)
        self.assertEqual(self.ids(), [worse["id"], bad, good])
        # A person says that it is right; what is normal begins there.
        for changed in (["local"], []):
            self.assertEqual(self.stack.lifeboat("trust", worse["id"], "--json", expect=0).json["changed"], changed)
        self.assertIn("was suspicious, and is trusted", self.stack.lifeboat("show", worse["id"], expect=0).out)
        self.assertFalse(self.backup()["suspicious"])
        self.stack.lifeboat("prune", expect=0)
        self.assertNotIn(good, self.ids())

    def test_backup__another_is_of_the_future__says_that_a_clock_is_wrong(self):
        self.assertNotIn("clock", self.stack.lifeboat("backup", expect=0).out)
        self.plant(LATER)
        said = self.stack.lifeboat("backup", expect=0).out
        self.assertIn("the clock of this machine is behind, or that of another was ahead: backup '%s'" % LATER, said)

    def test_backup__limits_are_set__hold(self):
        self.keep("last 3", "[suspicious]\nkeys = 20%\n")
        self.fill(100)
        self.assertFalse(self.backup()["suspicious"])
        self.keep("last 3", "[suspicious]\nkeys = 120%\n")
        self.assert_failed(self.stack.lifeboat("backup"), 78, "'120%' is not between 0 and 100")

    # ---- readers

    def test_prune__during_a_restore__keeps_what_is_read(self):
        self.keep("last 1")
        read, newest = self.real, LATER
        self.plant(newest)
        with self.held("redis", "restore", read, "--as", "slow") as held:
            planned = self.stack.lifeboat("prune", "--dry-run", expect=0).out
            self.assertRegex(planned, r"keep +%s +being read by host \S+, pid %d \(restore\)" % (read, held.process.pid))
            self.stack.lifeboat("prune", expect=0)
            self.assertEqual(self.ids(), [newest, read])
        self.assertEqual(held.result.code, 0, str(held.result))
        self.assertEqual([n for n in self.names() if ".mark-" in n], [])
        self.stack.lifeboat("prune", expect=0)
        self.assertEqual(self.ids(), [newest])

    def test_prune__reader_was_killed__takes_the_backup_and_its_mark(self):
        self.keep("last 1")
        read, newest = self.real, LATER
        self.plant(newest)
        with self.held("redis", "restore", read, "--as", "killed") as held:
            held.process.send_signal(signal.SIGKILL)
            held.process.wait(10)
        self.assertEqual(len([n for n in self.names() if ".mark-" in n]), 1)
        self.assertIn(".mark-", self.stack.lifeboat("check").out)
        self.stack.lifeboat("prune", expect=0)
        self.assertEqual(self.ids(), [newest])
        self.assertEqual([n for n in self.names() if ".mark-" in n], [])

    # ---- orphans

    def orphan(self, days):
        """An archive whose backup was killed before its commit, and a whole backup after it."""
        lost, newest = self.real, LATER
        self.plant(newest)
        self.sidecar(lost).unlink()
        self.age(self.archive(lost), days)
        return lost, newest

    def test_prune__orphan_older_than_a_day__goes_and_is_told(self):
        lost, newest = self.orphan(2)
        found = [f["text"] for f in self.stack.lifeboat("check", "--json").json["findings"] if f["what"] == "leftover"]
        self.assertEqual(len(found), 1)
        self.assertRegex(found[0], "'hdms-%s.tar.zst' belongs to no backup: whole archive of 0 databases, 0 rows, 400 "
                                   "Redis keys; prune removes it.*lifeboat adopt %s" % (lost, lost))
        before = self.names()
        told = self.stack.lifeboat("prune", "--dry-run", expect=0).out
        self.assertIn("would remove leftover  'hdms-%s.tar.zst', which belongs to no backup: whole archive" % lost, told)
        self.assertEqual(self.names(), before)
        self.stack.lifeboat("prune", expect=0)
        self.assertFalse(self.archive(lost).exists())
        self.assertEqual(self.ids(), [newest])

    def test_prune__orphan_of_today__stays_until_it_is_asked_for(self):
        lost, newest = self.orphan(0.5)
        said = self.stack.lifeboat("prune", "--json", expect=0).json
        self.assertEqual(len(said["kept_leftovers"]), 1)
        self.assertIn("younger than a day", said["kept_leftovers"][0])
        self.assertTrue(self.archive(lost).exists())
        self.stack.lifeboat("prune", "--orphans", expect=0)
        self.assertFalse(self.archive(lost).exists())
        self.assertEqual(self.ids(), [newest])

    def test_prune__sidecars_lost_in_numbers__deletes_nothing(self):
        lost = [EARLIER, EARLIEST, self.real]
        self.plant(EARLIER, EARLIEST)
        for one in lost:
            self.sidecar(one).unlink()
            self.age(self.archive(one), 9)
        said = self.stack.lifeboat("prune", expect=0).out
        self.assertEqual(said.count("newer than every backup"), 3, said)
        self.plant(LATER)
        said = self.stack.lifeboat("prune", expect=0).out
        self.assertEqual(said.count("more archives without a sidecar than backups"), 3, said)
        # It is judged again, beside the backups before it; those after it are no measure.
        self.stack.lifeboat("adopt", self.real, expect=0)
        self.assertEqual(self.ids(), [LATER, self.real])
        self.assertFalse(json.loads(self.sidecar(self.real).read_text())["suspicious"])

    def test_adopt__fewer_keys_than_before__is_suspicious(self):
        self.fill(100)
        bad = self.backup()["id"]
        self.sidecar(bad).unlink()
        self.assertRegex(self.stack.lifeboat("adopt", bad, expect=0).out,
                         "(?s)suspicious: Redis keys: 100, where 400 are normal.*lifeboat trust " + bad)
        self.assertTrue(json.loads(self.sidecar(bad).read_text())["suspicious"])

    def test_prune__number_of_promotions_that_is_none__touches_nothing(self):
        self.keep("last 1")
        self.plant(LATER)
        before = self.names()
        for bad in ("x", "1x", "9999999"):
            self.assert_failed(self.stack.lifeboat("prune", "--volumes", bad), 64, "is not a number of promotions")
        self.assertEqual(self.names(), before)

    # ---- lost sidecars

    def test_adopt__lost_sidecar__comes_back_as_it_was(self):
        taken = self.backup("--label", "before 2.0", "--only", "redis")
        path = self.sidecar(taken["id"])
        was = json.loads(path.read_text())
        path.unlink()
        self.assertEqual(self.ids(), [self.real])
        said = self.stack.lifeboat("adopt", self.archive(taken["id"]).name, "--json", expect=0).json
        self.assertEqual(said, was)
        self.assertEqual(json.loads(path.read_text()), was)
        self.stack.lifeboat("verify", taken["id"], expect=0)
        self.assert_failed(self.stack.lifeboat("adopt", taken["id"]), 1, "has no archive", "without a sidecar")

    def test_adopt__damaged_archive__is_refused(self):
        one = self.real
        self.sidecar(one).unlink()
        with open(self.archive(one), "r+b") as archive:
            archive.seek(2000)
            byte = archive.read(1)[0]
            archive.seek(2000)
            archive.write(bytes([byte ^ 1]))
        self.assert_failed(self.stack.lifeboat("adopt", one), 1, "archive 'hdms-%s.tar.zst'" % one)
        self.assertEqual(self.ids(), [])

    # ---- the plan

    def test_prune__dry_run__has_a_reason_for_each_line(self):
        self.keep("last 1, yearly 2")
        pinned, gone = "20250301T020000Z-0001", "20250201T020000Z-0001"
        self.plant(LATER, EARLIER, EARLIEST, pinned, gone)
        self.sidecar(pinned).write_text(self.sidecar(pinned).read_text().replace('"pinned": false', '"pinned": true'))
        self.prove(EARLIER)
        before = self.names()
        said = self.stack.lifeboat("prune", "--dry-run", expect=0).out
        for one, word, reason in ((LATER, "keep", "newest, newest untested, last 1, yearly 2099|newest, last 1"),
                                  (self.real, "keep", "yearly 20"), (EARLIER, "keep", "newest proven"),
                                  (pinned, "keep", "pinned"), (EARLIEST, "would remove", "no rule keeps it"),
                                  (gone, "would remove", "no rule keeps it")):
            self.assertRegex(said, r"(?m)^%s +%s  .*(%s)" % (word, one, reason))
        self.assertEqual(self.names(), before)


if __name__ == "__main__":
    unittest.main()
