"""Months of the daemon in an hour: 500 jobs (LIFEBOAT_SOAK_JOBS), backups, drills and prunes, one in ten killed at
any moment. Afterwards nothing has grown and nothing is left: no process, descriptor, file, volume, memory."""

import datetime
import os
import random
import re
import signal
import time
import unittest
from pathlib import Path

from daemon_case import Daemon, set_clock
from stack import LIFEBOAT, Failed, Stack, free_port, run, wait_for

JOBS = int(os.environ.get("LIFEBOAT_SOAK_JOBS", "500"))
WARM = 320  # by then the history is full
SCHEDULE = """[agent]
listen = 127.0.0.1:%d
state_dir = state
[schedule]
backup = * * * * *
drill = 2-59/5 * * * *
prune = 3-59/10 * * * *
retries = 0
overdue = 0s
deadline = 5m
"""
SANITIZED = b"__asan_init" in Path(LIFEBOAT).read_bytes()


class Soak(unittest.TestCase):
    def setUp(self):
        self.seed = random.randrange(1 << 30)
        self.chance = random.Random(self.seed)
        self.stack = Stack(populate=False, components=("redis",))
        self.addCleanup(self.stack.close)
        self.stack.start()
        self.stack.redis("SET", "ticket", "1")
        text = re.sub(r"\[volume \w+\]\n(?:[^\[\n].*\n|\n)*", "", self.stack.conf())
        text = re.sub(r"(?m)^keep = .*", "keep = last 3", text)
        text = re.sub(r"\[schedule\]\n(?:[^\[\n].*\n|\n)*", "", text)
        self.stack.write_conf(text + "\n" + SCHEDULE % free_port())
        self.seen = {}
        self.killed = set()
        self.now = datetime.datetime(2030, 1, 1)

    def test_hundreds_of_jobs_leave_nothing(self):
        set_clock(self.stack, "%s" % self.now)
        d = Daemon(self.stack, {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"})
        self.addCleanup(d.close)
        print("seed %d, %d jobs" % (self.seed, JOBS), flush=True)
        descriptors, memory = d.descriptors(), None
        while len(self.seen) < JOBS:
            self.one_minute(d)
            self.assertEqual(self.stack.agent_processes(), [d.process.pid], "a process was left behind")
            # The last job's are closed right after its end is written.
            wait_for("the descriptors of before", lambda: d.descriptors() == descriptors, 5)
            if memory is None and len(self.seen) >= WARM:
                memory = self.memory_kb(d)
            if len(self.seen) % 20 == 0:
                print("%d jobs, %d KiB" % (len(self.seen), self.memory_kb(d)), flush=True)
        if memory is not None and not SANITIZED:
            self.assertLessEqual(self.memory_kb(d), memory + 256, "it grows")
            self.assertLess(self.memory_kb(d), 16 << 10)
        self.check_outcomes()
        self.finish(d)

    def one_minute(self, d):
        """The next minute's jobs, perhaps with a death among them."""
        minute = (self.now + datetime.timedelta(minutes=1)).minute
        due = 1 + (minute % 5 == 2) + (minute % 10 == 3)
        self.now += datetime.timedelta(minutes=1)
        before = len(self.seen)
        d.set_clock("%s" % (self.now + datetime.timedelta(seconds=1)))
        while len(self.seen) < before + due:
            doomed = (len(self.seen) + 1) % 10 == 0 and len(self.seen) + 1 < JOBS - 10
            if doomed and self.kill_one(d):
                continue
            self.note(d)
            time.sleep(0.02)
            if d.process.poll() is not None:
                raise Failed("the daemon ended with %s\n%s" % (d.process.returncode, d.log()[-4000:]))

    def kill_one(self, d):
        running = d.running()
        if running is None or running["run"] in self.killed:
            return False
        time.sleep(self.chance.random() * 0.4)
        try:
            os.kill(running["pid"], signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.killed.add(running["run"])
        wait_for("its end", lambda: self.note(d) or running["run"] in self.seen, 60)
        return True

    def note(self, d):
        for job in d.state()["history"][:20]:
            self.seen.setdefault(job["run"], job)

    def memory_kb(self, d):
        status = Path("/proc/%d/status" % d.process.pid).read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def check_outcomes(self):
        for job in self.seen.values():
            if job["outcome"] == "success" or (job["run"] in self.killed and job["outcome"] == "crashed"):
                continue
            self.fail(job)
        kinds = [job["job"] for job in self.seen.values()]
        print({kind: kinds.count(kind) for kind in set(kinds)}, "killed", len(self.killed), flush=True)

    def finish(self, d):
        d.stop()
        self.assertEqual(self.stack.agent_processes(), [])
        self.assertEqual(self.stack.lifeboat("prune", "--json", expect=0).json["leftovers"], [])
        self.assertEqual(sorted(p.name for p in self.stack.volumes.iterdir() if p.name != ".lifeboat"), ["redis_data"])
        left = run(["find", self.stack.folder, "-name", "*.part", "-o", "-name", "*.broken"]).stdout.decode()
        self.assertEqual(left, "")
        # The last three, and proven ones that they must not push out.
        self.assertLess(len(self.stack.lifeboat("list", "--json", expect=0).json["backups"]), 10)


if __name__ == "__main__":
    unittest.main()
