"""The daemon at rest, in the program as users have it: what it takes of memory and of the processor, and that
reloads, notices and readers of its page leave nothing behind. Some seconds; any build without sanitizers."""

import signal
import unittest
import urllib.request
from pathlib import Path

from daemon_case import DaemonCase
from stack import LIFEBOAT, free_port, wait_for

MOST_KB, WOBBLE_KB = 16 << 10, 128


class Idle(DaemonCase):
    def setUp(self):
        self.assertNotIn(b"__asan_init", Path(LIFEBOAT).read_bytes(), "memory is measured without sanitizers")
        super().setUp()
        self.port = free_port()
        self.configure("""[schedule]
backup = 0 2 * * *
[notify nobody]
command = true""")
        self.stack.write_conf(self.stack.conf().replace("listen = off", "listen = 127.0.0.1:%d" % self.port))

    def test_daemon_is_small_sleeps_and_keeps_nothing(self):
        with self.daemon() as d:
            for n in range(3):
                d.signal(signal.SIGUSR1)
                self.assertEqual(d.ended(n + 1)["outcome"], "success")
            self.bother(d, 40)
            descriptors, before = d.descriptors(), d.memory_kb()
            self.bother(d, 40)
            wait_for("the descriptors of before", lambda: d.descriptors() == descriptors, 10,
                     or_say=lambda: "%s, not %s" % (d.descriptors(), descriptors))
            after = d.memory_kb()
            print(before, after, flush=True)
            self.assertLess(after["VmRSS"], MOST_KB)
            self.assertLessEqual(after["RssAnon"], before["RssAnon"] + WOBBLE_KB, "it grows")
            wait_for("three seconds without waking up or computing", lambda: d.sleeps_for(3), 30)
            d.stop()
        self.assert_nothing_left()

    def bother(self, d, times):
        """agent.conf is read again, and refused, and read; the page, the metrics and what there is not are read."""
        good = self.stack.conf()
        for n in range(times):
            said = d.log().count("configuration ")
            self.stack.write_conf(good if n % 2 else good + "[schedule]\ndrill = never\n")
            d.signal(signal.SIGHUP)
            d.wait_log("configuration ", said + 1)
            path = "metrics" if n % 20 == 19 else "healthz"
            with urllib.request.urlopen("http://127.0.0.1:%d/%s" % (self.port, path), timeout=30) as answer:
                answer.read()
        wait_for("notices to be sent and readers to be gone", lambda: self.stack.agent_processes() == [d.process.pid]
                 and not d.connected() and "anon_inode:[pidfd]" not in d.descriptors())


if __name__ == "__main__":
    unittest.main()
