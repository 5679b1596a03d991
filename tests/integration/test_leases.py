"""A store that several hosts share: one job at a time, what is in use, connections that break."""

import json
import os
import re
import signal
import socket
import threading
import time
import unittest

from case import StackCase
from daemon_case import Daemon
from sshd import Sshd
from stack import wait_for


class Cutter:
    """In front of a server: each connection breaks when it has brought so many bytes. `cuts` counts them."""

    def __init__(self, target, after):
        self.target, self.after, self.cuts = target, after, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.socket.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            up = threading.Thread(target=self._up, args=(client, server), daemon=True)
            up.start()
            self._down(server, client, self.after)
            up.join()

    @staticmethod
    def _end(door, how):
        try:
            door.shutdown(how)
        except OSError:
            pass

    def _up(self, client, server):
        """Until the client has enough: what it sent and nobody read would reset the connection, and with it go
        bytes that it was sent and has not read yet."""
        try:
            while data := client.recv(16384):
                try:
                    server.sendall(data)
                except OSError:
                    pass
        except OSError:
            pass
        self._end(server, socket.SHUT_RDWR)

    def _down(self, server, client, left):
        try:
            while data := server.recv(16384):
                if left < len(data):
                    self.cuts += 1
                    break
                left -= len(data)
                client.sendall(data)
        except OSError:
            pass
        self._end(server, socket.SHUT_RDWR)
        self._end(client, socket.SHUT_WR)


class OnAnotherHost(StackCase):
    """A store that several hosts share: the lock is a lease in it."""

    STACK = {"components": ("redis",), "populate": False}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sshd = cls.enterClassContext(Sshd(cls.stack.folder / "ssh"))
        cls.place = cls.stack.folder / "far"
        cls.place.mkdir()
        (cls.stack.volumes / "media").mkdir()
        (cls.stack.volumes / "media" / "noise").write_bytes(os.urandom(5 << 20))
        cls.stack.write_conf(re.sub(r"(?s)\[store local\].*?(?=\n\[|\Z)",
                                    "[volume media]\n" + cls.sshd.section("far", cls.place), cls.stack.conf()))
        cls.stack.redis("SET", "a", "1")
        cls.first = cls.stack.lifeboat("backup", "--json", expect=0).json["id"]

    def names(self, word):
        return sorted(p.name for p in self.place.iterdir() if word in p.name)

    def test_two_at_once__the_second_is_told_who_the_first_is(self):
        with self.held("archive-close", "backup") as held:
            result = self.stack.lifeboat("backup")
            self.assert_failed(result, 75, "another job is running: host %s, pid %d since 20" % (
                socket.gethostname(), held.process.pid))
            self.assert_failed(self.stack.lifeboat("prune"), 75, "another job is running")
        self.assertEqual(held.result.code, 0, str(held.result))
        self.assertEqual(len(self.names(".lease-")), 1)
        self.stack.lifeboat("prune", expect=0)

    def test_killed_holder_on_this_host__is_not_waited_for(self):
        with self.held("archive-close", "backup") as held:
            held.process.send_signal(signal.SIGKILL)
            held.process.wait(10)
        self.stack.lifeboat("backup", expect=0)

    def far_lease(self, number):
        """As the agent of another host writes it."""
        (self.place / ("hdms.lease-%09d" % number)).write_text(json.dumps(
            {"format": "lifeboat-lease", "format_version": 1, "host": "far", "pid": 17, "boot": "0" * 36, "space": 1,
             "process_started": 1, "command": "", "since": "2026-11-23T02:00:00Z", "token": "0" * 16,
             "good_for_ms": 900000, "ended": False}))

    def highest(self):
        return int(self.names(".lease-")[-1][-9:])

    def test_lease_that_was_taken_over__the_backup_is_not_committed(self):
        before, listed = self.names(".tar.zst"), self.visible()
        with self.held("archive-close", "backup") as held:
            self.far_lease(self.highest() + 1)
        self.assert_failed(held.result, 75, "the lease was lost: another job is running: host far, pid 17 since 2026")
        self.assertEqual(self.names(".tar.zst"), before)
        self.assertEqual(self.without_ages(self.visible()), self.without_ages(listed))
        # Somebody else's lease is left alone, and holds for as long as it may live.
        self.assert_failed(self.stack.lifeboat("backup"), 75, "host far, pid 17")
        lease = self.place / self.names(".lease-")[-1]
        then = time.time() - 16 * 60
        os.utime(lease, (then, then))
        self.stack.lifeboat("backup", expect=0)

    def test_host_that_died_with_the_lease__the_daemon_waits_until_it_has_expired(self):
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        self.stack.write_conf(conf + """
[agent]
listen = off
state_dir = state
[schedule]
retries = 30
retry_wait = 100ms
""")
        self.far_lease(self.highest() + 1)
        lease = self.place / self.names(".lease-")[-1]
        d = Daemon(self.stack)
        self.addCleanup(d.close)
        d.signal(signal.SIGUSR1)
        run = d.ended(1)
        self.assertEqual((run["outcome"], run["error"]["code"]), ("locked", "locked"))
        self.assertIn("another job is running: host far, pid 17 since 2026", run["error"]["message"])
        then = time.time() - 16 * 60
        os.utime(lease, (then, then))
        wait_for("a backup", lambda: d.state()["history"][0]["outcome"] == "success", 60)
        self.assertEqual({r["outcome"] for r in d.state()["history"][1:]}, {"locked"})
        self.assertEqual((d.last()["trigger"], d.state()["jobs"]["backup"]["counts"]["failures"]), ("retry", {}))
        d.stop()

    def test_verify__connection_breaks_again_and_again__goes_on_where_it_stood(self):
        cutter = Cutter(self.sshd.port, 3 << 19)
        self.addCleanup(cutter.close)
        hosts = self.stack.folder / "cut_hosts"
        hosts.write_text(self.sshd.known_hosts.read_text().replace(":%d " % self.sshd.port, ":%d " % cutter.port))
        self.stack.lifeboat("verify", self.first, expect=0, env={
            "LIFEBOAT_STORE_FAR_URL": "sftp://127.0.0.1:%d%s" % (cutter.port, self.place),
            "LIFEBOAT_STORE_FAR_KNOWN_HOSTS": hosts})
        self.assertGreater(cutter.cuts, 1)

    def test_restore__marks_what_it_reads(self):
        with self.held("redis", "restore", self.first, "--as", "far") as held:
            self.assertEqual(len(self.names("%s.mark-" % self.first)), 1)
        self.assertEqual(held.result.code, 0, str(held.result))
        self.assertEqual(self.names(".mark-"), [])


if __name__ == "__main__":
    unittest.main()
