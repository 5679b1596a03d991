"""`lifeboat run` on a stack of one plain volume, with a clock that the test can set.

    with self.daemon("[schedule]\\nbackup = 0 2 * * *") as d:
        d.signal(signal.SIGUSR1); d.ended(1); d.last("backup")["outcome"]
"""

import datetime
import json
import os
import re
import signal
import socket
import time
import unittest
from contextlib import contextmanager
from pathlib import Path

from stack import Failed, Stack, run, wait_for

CONF = """[stack]
name = hdms
volumes_dir = volumes
[volume media]
[store local]
url = file://%s/store
keep = last 3
[agent]
listen = off
state_dir = state
stop_timeout = 2s
"""


class Daemon:
    def __init__(self, stack, env=None):
        self.stack = stack
        self.log_path = stack.folder / "run.log"
        self.clock_path = stack.folder / "clock"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = str(stack.folder / "notify")
        if os.path.exists(path):
            os.unlink(path)
        self.notify.bind(path)
        self.notify.setblocking(False)
        self.told = []
        env = dict({"NOTIFY_SOCKET": path, "LIFEBOAT_CLOCK_OFFSET": self.clock_path}, **(env or {}))
        self.log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = stack.start_lifeboat("run", env=env)
            # Its stderr goes through us, so that the log is whole when it ends.
            self.pump(log)
        self.wait_told("READY=1")

    def pump(self, log):
        import threading
        log = os.fdopen(os.dup(log.fileno()), "ab", buffering=0)

        def copy():
            with log:
                for line in self.process.stderr:
                    log.write(line)
        self.thread = threading.Thread(target=copy, daemon=True)
        self.thread.start()

    def log(self):
        with open(self.log_path, "rb") as f:
            f.seek(self.log_start)
            return f.read().decode(errors="replace")

    def wait_log(self, text, times=1, seconds=30):
        try:
            wait_for("'%s' in the log" % text, lambda: self.log().count(text) >= times, seconds)
        except Failed as problem:
            raise Failed("%s\n%s" % (problem, self.log())) from None

    # ---- what it tells systemd

    def messages(self):
        while True:
            try:
                self.told.append(self.notify.recv(4096).decode())
            except BlockingIOError:
                return self.told

    def wait_told(self, text, seconds=30):
        def told():
            if self.process.poll() is not None:
                self.thread.join()
                raise Failed("it ended with %s\n%s" % (self.process.returncode, self.log()))
            return any(text in m for m in self.messages())
        wait_for("'%s' to be told" % text, told, seconds)

    # ---- what it remembers

    def state(self):
        return json.loads((self.stack.folder / "state" / "hdms.json").read_text())

    def last(self, job="backup"):
        return self.state()["jobs"][job]["last"]

    def ended(self, count, seconds=60):
        """Until so many runs are in the history; the newest."""
        try:
            wait_for("%d runs" % count, lambda: len(self.state()["history"]) >= count, seconds)
        except Failed as problem:
            raise Failed("%s\n%s\n%s" % (problem, self.state()["history"], self.log())) from None
        return self.state()["history"][0]

    def running(self):
        return self.state()["running"]

    # ---- its clock and signals

    def signal(self, number):
        self.process.send_signal(number)

    def set_clock(self, text):
        """In UTC; it goes on from there."""
        set_clock(self.stack, text)
        self.signal(signal.SIGUSR2)

    def stop(self, expect=0, seconds=30):
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(expect, seconds)

    def wait(self, expect=0, seconds=30):
        self.process.wait(seconds)
        self.thread.join(seconds)
        self.messages()
        if self.process.returncode != expect:
            raise Failed("it ended with %s, not %s\n%s" % (self.process.returncode, expect, self.log()))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.thread.join(10)
        self.process.stdout.close()
        self.process.stderr.close()
        self.notify.close()

    def switches(self):
        for line in Path("/proc/%d/status" % self.process.pid).read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                return int(line.split()[1])
        raise Failed("no count of switches")

    def ticks(self):
        """Of the processor, that it has used."""
        fields = Path("/proc/%d/stat" % self.process.pid).read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def sleeps_for(self, seconds):
        """Not one wake-up, not one tick of the processor."""
        before = self.switches(), self.ticks()
        time.sleep(seconds)
        return (self.switches(), self.ticks()) == before

    def memory_kb(self):
        status = Path("/proc/%d/status" % self.process.pid).read_text()
        return {key: int(re.search(r"%s:\s+(\d+)" % key, status).group(1)) for key in ("VmRSS", "RssAnon")}

    def descriptors(self):
        """What they are; a reload gives some of them other numbers."""
        found = []
        for fd in Path("/proc/%d/fd" % self.process.pid).iterdir():
            try:
                found.append(re.sub(r":\[\d+\]", "", os.readlink(fd)))
            except FileNotFoundError:
                pass
        return sorted(found)

    def connected(self):
        """Somebody reads the page still."""
        ours = set()
        for fd in Path("/proc/%d/fd" % self.process.pid).iterdir():
            try:
                ours.add(os.readlink(fd))
            except FileNotFoundError:
                pass
        # proc_pid_net(5): state 01 is established, the tenth field is the socket's inode.
        peers = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return any(peer[3] == "01" and "socket:[%s]" % peer[9] in ours for peer in peers)


def set_clock(stack, text):
    want = datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    offset = want - datetime.datetime.now(datetime.timezone.utc)
    # In one step: who looks at the clock meanwhile must not find an empty file, which is this year.
    new = stack.folder / "clock.new"
    new.write_text("%d\n" % (offset.total_seconds() * 1000))
    new.rename(stack.folder / "clock")


class DaemonCase(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.stack = Stack(populate=False, components=())
        self.addCleanup(self.stack.close)
        self.stack.start()
        (self.stack.volumes / "media").mkdir()
        (self.stack.volumes / "media" / "picture").write_bytes(bytes(range(256)) * 40)

    def configure(self, more=""):
        self.stack.write_conf(CONF % self.stack.folder + more + "\n")

    @contextmanager
    def daemon(self, more=None, env=None):
        if more is not None:
            self.configure(more)
        d = Daemon(self.stack, env)
        try:
            yield d
        finally:
            d.close()

    def backups(self):
        return [b["id"] for b in self.stack.lifeboat("list", "--json", expect=0).json["backups"]]

    def assert_nothing_left(self):
        """No process, no half-made file in the store or the state folder."""
        wait_for("processes to be gone", lambda: not self.stack.agent_processes(), 10)
        parts = run(["find", self.stack.folder, "-name", "*.part"]).stdout.decode().split()
        self.assertEqual(parts, [])
