"""`lifeboat run` on a made-up store (history.py), and questions to its page."""

import http.client
import os
import signal
import subprocess

from history import History
from stack import LIFEBOAT, Failed, free_port, wait_for


class Agent:
    def __init__(self, folder, more="", stores=None, host="127.0.0.1", start=True):
        self.history = History(folder)
        self.folder = self.history.folder
        self.port, self.host = free_port(), host
        self.more, self.stores = more, stores
        self.process = None
        self.configure()
        if start:
            self.start()

    def configure(self):
        self.history.conf("[agent]\nlisten = %s:%d\nstate_dir = %s\n%s" % (
            self.host, self.port, self.folder / "state", self.more), self.stores)

    def start(self, wait=True):
        self.log = self.folder / "run.log"
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([LIFEBOAT, "run"], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, env=self.env())
        if wait:
            wait_for("the page", self.answers)

    @staticmethod
    def env():
        return {k: v for k, v in os.environ.items() if not k.startswith("LIFEBOAT")}

    def answers(self):
        if self.process.poll() is not None:
            raise Failed("lifeboat run ended: %s" % self.said())
        try:
            return self.get("/healthz")[0] == 200
        except OSError:
            return False

    def said(self):
        return self.log.read_text(errors="replace")

    def lifeboat(self, *args):
        return subprocess.run([LIFEBOAT, *args], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, timeout=60, env=self.env())

    def get(self, path, method="GET", headers=None, seconds=40, **more):
        """Status, headers, text."""
        door = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            door.request(method, path, headers=headers or {}, **more)
            answer = door.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            door.close()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failed("lifeboat run did not end: %s" % self.said()) from None
        if "Sanitizer" in self.said() or "runtime error" in self.said():
            raise Failed("a sanitizer spoke up: %s" % self.said())

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.process.pid, encoding="utf-8") as stat:
            words = stat.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

