"""Weeks of the daemon in minutes: 500 jobs (LIFEBOAT_SOAK_JOBS) on real servers, backups, drills, verifies and
prunes, one in ten killed at any moment; between them the page is read and the configuration reloaded. Afterwards
nothing has grown and nothing is left: no process, descriptor, file, volume, shared memory, no byte that counts."""

import ctypes
import datetime
import os
import random
import re
import signal
import statistics
import time
import unittest
import urllib.request
from pathlib import Path

from daemon_case import Daemon, set_clock
from stack import LIFEBOAT, Failed, Stack, free_port, run, wait_for

JOBS = int(os.environ.get("LIFEBOAT_SOAK_JOBS", "500"))
SERVERS = tuple(os.environ.get("LIFEBOAT_SOAK_SERVERS", "postgres redis").split())
# By then the history is full, and the state as long as it gets.
WARM = 320
# What the daemon may have: 16 MiB with its libraries; and how far its memory varies with what killed jobs said.
MOST_KB, WOBBLE_KB = 16 << 10, 64
IDLE_S = 5
# By the hour, so that none passes by itself, however busy the machine is.
HOURS = {"drill": (2, 12, 22), "verify": (4, 14), "prune": (3, 13)}
CONF = """[agent]
listen = 127.0.0.1:%d
state_dir = state
[notify nobody]
command = true
on = failure, recovery, success
[schedule]
backup = 0 * * * *
drill = 0 %s * * *
verify = 0 %s * * *
prune = 0 %s * * *
retries = 0
overdue = 0s
deadline = 5m
"""
# One in so many of a kind is killed; where one is over before that, it is the next.
EVERY = {"backup": 10, "drill": 3, "verify": 4, "prune": 4}
OBJECT = r"\.hdms\.lock|hdms-\d{8}T\d{6}Z-[0-9a-f]{4}\.(tar\.zst|json|(drill|verify)-\d{8}T\d{6}Z\.json)"


def shut_off():
    """Shared memory of our own, so that whatever is left in it is ours."""
    CLONE_NEWNS, CLONE_NEWIPC = 0x20000, 0x8000000
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0:
        raise Failed("no namespaces of our own: %s" % os.strerror(ctypes.get_errno()))
    run(["mount", "--make-rprivate", "/"])
    run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/dev/shm"])


class Soak(unittest.TestCase):
    def setUp(self):
        self.assertNotIn(b"__asan_init", Path(LIFEBOAT).read_bytes(), "memory is measured without sanitizers")
        self.seed = int(os.environ.get("LIFEBOAT_SOAK_SEED", random.randrange(1 << 30)))
        self.chance = random.Random(self.seed)
        shut_off()
        self.stack = Stack(populate=False, components=SERVERS)
        self.addCleanup(self.stack.close)
        self.stack.start()
        self.port = free_port()
        text = re.sub(r"\[(check|schedule)[^\]]*\]\n(?:[^\[\n].*\n|\n)*", "", self.stack.conf())
        text = re.sub(r"(?m)^keep = .*", "keep = last 3", text)
        self.stack.write_conf(text + "\n" + CONF % ((self.port,) + tuple(",".join(map(str, at)) for at in HOURS.values())))
        if "postgres" in SERVERS:
            self.stack.sql("postgres", "CREATE TABLE tickets AS SELECT n, 'ticket ' || n FROM generate_series(1, 500) n")
        self.stack.redis("SET", "ticket", "1")
        self.tmp = self.stack.folder / "tmp"
        self.tmp.mkdir()
        os.chmod(self.tmp, 0o1777)
        self.seen, self.killed, self.took = {}, set(), {}
        self.now = datetime.datetime(2030, 1, 1)
        self.servers_memory = self.shared_memory()

    def test_hundreds_of_jobs_leave_nothing(self):
        set_clock(self.stack, "%s" % self.now)
        d = Daemon(self.stack, {"TMPDIR": self.tmp})
        self.addCleanup(d.close)
        print("seed %d, %d jobs" % (self.seed, JOBS), flush=True)
        self.look_and_reload(d)
        descriptors, begin, next_look, sizes = d.descriptors(), time.monotonic(), 20, []
        while len(self.seen) < JOBS:
            self.one_hour(d)
            wait_for("notices to be sent", lambda: self.stack.agent_processes() == [d.process.pid], 10)
            # The last job's are closed right after its end is written.
            wait_for("the descriptors of before", lambda: d.descriptors() == descriptors, 5,
                     or_say=lambda: "%s, not %s" % (d.descriptors(), descriptors))
            memory = d.memory_kb()
            self.assertLess(memory["VmRSS"], MOST_KB)
            if len(self.seen) >= WARM:
                sizes.append(memory["RssAnon"])
            if len(self.seen) >= next_look:
                next_look += 20
                self.look_and_reload(d)
                print("%3d jobs, %2d killed, %4d s, %s" % (len(self.seen), len(self.killed), time.monotonic() - begin,
                                                          memory), flush=True)
        print("its own memory after each hour from job %d on: %s" % (WARM, sizes), flush=True)
        third = len(sizes) // 3
        if third > 0:
            self.assertLessEqual(statistics.median(sizes[-third:]), statistics.median(sizes[:third]) + WOBBLE_KB,
                                 "it grows")
        self.assertTrue(d.sleeps_for(IDLE_S), "it does not sleep")
        self.check_outcomes()
        self.finish(d)

    # ---- jobs

    def one_hour(self, d):
        """The next hour's jobs, perhaps with a death among them."""
        self.now += datetime.timedelta(hours=1)
        due = 1 + sum(self.now.hour in at for at in HOURS.values())
        before = len(self.seen)
        d.set_clock("%s" % (self.now + datetime.timedelta(seconds=1)))
        while len(self.seen) < before + due:
            if len(self.seen) < JOBS - 10 and self.kill_one(d):
                continue
            self.note(d)
            time.sleep(0.03)
            if d.process.poll() is not None:
                raise Failed("the daemon ended with %s\n%s" % (d.process.returncode, d.log()[-4000:]))

    def kill_one(self, d):
        """Anywhere between its beginning and its end, as far as others like it took."""
        running = d.running()
        if running is None or running["run"] in self.seen:
            return False
        kind = [job["run"] for job in self.seen.values() if job["job"] == running["job"]]
        if (len(kind) + 1) // EVERY[running["job"]] <= len(self.killed.intersection(kind)):
            return False
        time.sleep(self.chance.random() * self.took.get(running["job"], 400) / 1000)
        if d.running() != running:
            return False
        try:
            os.kill(running["pid"], signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.killed.add(running["run"])
        wait_for("its end", lambda: self.note(d) or running["run"] in self.seen, 60)
        return True

    def note(self, d):
        for job in d.state()["history"][:20]:
            if job["run"] not in self.seen:
                self.seen[job["run"]] = job
                if job["outcome"] == "success":
                    self.took[job["job"]] = job["duration_ms"]

    def check_outcomes(self):
        kinds, crashed = {}, 0
        for job in self.seen.values():
            kinds[job["job"]] = kinds.get(job["job"], 0) + 1
            crashed += job["outcome"] == "crashed"
            if job["outcome"] != "success" and not (job["run"] in self.killed and job["outcome"] == "crashed"):
                self.fail(job)
        print(kinds, "killed", crashed, {k: "%d ms" % ms for k, ms in self.took.items()}, flush=True)
        self.assertGreaterEqual(crashed, (JOBS - 20) // 10)
        self.assertEqual(sorted(kinds), ["backup", "drill", "prune", "verify"])

    # ---- the daemon itself

    def look_and_reload(self, d):
        """Somebody opens the page, Prometheus asks, and agent.conf is read again."""
        loaded = d.log().count("configuration read again")
        d.signal(signal.SIGHUP)
        d.wait_log("configuration read again", loaded + 1)
        for path in ("", "metrics", "api/v1/status"):
            with urllib.request.urlopen("http://127.0.0.1:%d/%s" % (self.port, path), timeout=30) as answer:
                self.assertEqual(answer.status, 200)
                answer.read()
        wait_for("it to be closed", lambda: not d.connected(), 10)

    # ---- what is left

    @staticmethod
    def shared_memory():
        lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
        return len(lines), sorted(os.listdir("/dev/shm"))

    def finish(self, d):
        d.stop()
        self.assertEqual(self.stack.agent_processes(), [])
        self.assertEqual(self.stack.lifeboat("prune", "--json", expect=0).json["leftovers"], [])
        volumes = self.stack.volumes
        self.assertEqual(sorted(p.name for p in volumes.iterdir() if p.name != ".lifeboat"),
                         sorted("%s_data" % name for name in SERVERS))
        self.assertEqual([str(p) for p in volumes.glob(".lifeboat/**/*") if not p.is_dir()], [])
        self.assertEqual(list(self.tmp.iterdir()), [])
        self.assertEqual(self.shared_memory(), self.servers_memory)
        # The last three, and proven ones that they must not push out.
        backups = self.stack.lifeboat("list", "--json", expect=0).json["backups"]
        self.assertLess(len(backups), 10)
        self.assertEqual(sorted(p.name for p in (self.stack.folder / "state").iterdir()),
                         ["hdms.json", "hdms.lock", "hdms.notify.json"])
        store = sorted(p.name for p in (self.stack.folder / "store").iterdir())
        strange = [n for n in store if not re.fullmatch(OBJECT, n)]
        self.assertEqual(strange, [])
        self.assertLess(len(store), 20 * len(backups))


if __name__ == "__main__":
    unittest.main()
