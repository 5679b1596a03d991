"""What the integration tests share: a stack per class, and asking that nothing has changed."""

import os
import signal
import subprocess
import time
import unittest
from contextlib import contextmanager
from pathlib import Path

from stack import Failed, Stack, run, tree_state, wait_for


class StackCase(unittest.TestCase):
    """A class has one stack; STACK says with what. `backup_first` puts one backup into its store."""

    STACK = {}
    backup_first = False
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack = Stack(**cls.STACK)
        cls.addClassCleanup(cls.stack.close)
        cls.stack.start()
        if cls.backup_first:
            cls.first = cls.stack.lifeboat("backup", "--json", expect=0).json

    # ---- asserting

    def assert_failed(self, result, status, *texts):
        """The exit status, and each text somewhere in what was said on stderr."""
        self.assertEqual(result.code, status, str(result))
        for text in texts:
            self.assertIn(text, result.err, str(result))
        self.assertIn("lifeboat: ", result.err, str(result))
        for secret in (Stack.PASSWORD, Stack.REDIS_PASSWORD):
            self.assertNotIn(secret, result.out + result.err, "a password was printed")

    def assert_no_process_left(self):
        wait_for("the agent's processes to be gone: %s" % self.describe_processes(),
                 lambda: not self.stack.agent_processes(), 10)

    def describe_processes(self):
        words = []
        for pid in self.stack.agent_processes():
            try:
                words.append("%d %s" % (pid, Path("/proc/%d/cmdline" % pid).read_bytes().replace(b"\0", b" ").decode()))
            except OSError:
                pass
        return words

    def volumes_state(self):
        """Which volumes there are, and the agent's marks on them (its empty folders for marks may stay). What
        production writes into its own changes by the minute."""
        marks = self.stack.volumes / ".lifeboat"
        return sorted([p.name for p in self.stack.volumes.iterdir() if p != marks]
                      + [str(p.relative_to(self.stack.volumes)) for p in marks.rglob("*") if p.is_file()])

    def visible(self):
        return self.stack.lifeboat("list", "--json", expect=0).json

    @contextmanager
    def nothing_changes(self, leftovers=False):
        """Around a failure: afterwards the store, the volumes and `list` are as before, to the byte, and no
        process is left. With `leftovers` (somebody was killed) hidden files of unfinished work may stay, and
        the next backup must sweep them."""
        before, volumes, listed = self.stack.store_files(), self.volumes_state(), self.visible()
        yield
        self.assert_no_process_left()
        after = self.stack.store_files()
        if leftovers:
            for name, state in before.items():
                self.assertEqual(after.get(name), state, "%s changed" % name)
            self.assertEqual([n for n in after if n not in before and not self.is_leftover(n)], [])
        else:
            self.assertEqual(after, before)
            self.assertEqual(self.volumes_state(), volumes)
        self.assertEqual(self.without_ages(self.visible()), self.without_ages(listed))

    def is_leftover(self, name):
        """Hidden, a reader's mark, or an archive without its sidecar: none is ever shown as a backup."""
        base = os.path.basename(name)
        return base.startswith(".") or ".mark-" in base or (".tar.zst" in base
                                        and not (self.stack.store / (base.split(".")[0] + ".json")).exists())

    @staticmethod
    def without_ages(value):
        if isinstance(value, dict):
            return {k: StackCase.without_ages(v) for k, v in value.items() if "age" not in k}
        if isinstance(value, list):
            return [StackCase.without_ages(v) for v in value]
        return value

    # ---- holding the agent at a point

    @contextmanager
    def held(self, point, *args, env=None, seconds=60):
        """Runs lifeboat with the fault point set to stop there, gives control while it is stopped, and then
        continues it. The held object has .process, and .result when the block is over."""
        held = Held(self.stack, point, args, env)
        try:
            held.wait(seconds)
            yield held
            held.resume()
            held.result = self.stack.finish(held.process, args)
        finally:
            if held.process.poll() is None:
                held.process.kill()
                held.process.communicate()


class Held:
    def __init__(self, stack, point, args, env=None):
        self.point, self.args, self.result = point, args, None
        self.process = stack.start_lifeboat(*args, env=dict(env or {}, LIFEBOAT_FAULT="%s=stop@1" % point))

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while self.state() != "T":
            if self.process.poll() is not None:
                out, err = self.process.communicate()
                raise Failed("it ended before the point '%s': status %s\n%s%s" % (
                    self.point, self.process.returncode, out.decode(), err.decode()))
            if time.monotonic() > end:
                raise Failed("the point '%s' was not reached" % self.point)
            time.sleep(0.01)

    def state(self):
        try:
            return Path("/proc/%d/stat" % self.process.pid).read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return "gone"

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def small_disk(folder, size_mb):
    """A file system of its own, that small, on a folder: where mounting is allowed a tmpfs; else, in a
    container whose /dev/shm is small, a part of that, and the rest of it is filled."""
    folder = Path(folder)
    if run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=755" % size_mb, "tmpfs", folder], check=False).returncode == 0:
        try:
            yield folder
        finally:
            run(["umount", "-l", folder])
        return
    room = os.statvfs("/dev/shm")
    free = room.f_bavail * room.f_frsize
    if free > 1 << 29:
        raise Failed("this test needs a small file system: it may not mount one, and /dev/shm is too big to fill")
    shm = Path("/dev/shm/lb-%d" % os.getpid())
    shm.mkdir()
    folder.rmdir()
    folder.symlink_to(shm)
    ballast = Path("/dev/shm/lb-ballast-%d" % os.getpid())
    try:
        with open(ballast, "wb") as out:
            os.posix_fallocate(out.fileno(), 0, free - (size_mb << 20))
        yield folder
    finally:
        ballast.unlink()
        subprocess.run(["rm", "-rf", str(shm)], check=False)
        folder.unlink()


def fill(folder, leave_kb=0):
    """Writes a file until the disk is full but for leave_kb. Its path."""
    path = Path(folder) / "ballast"
    with open(path, "wb", buffering=0) as out:
        room = os.statvfs(folder)
        want = room.f_bavail * room.f_frsize - leave_kb * 1024
        block = bytes(65536)
        while want > 0:
            try:
                want -= out.write(block[:min(want, 65536)])
            except OSError:
                break
    return path


def state_of(folder):
    return tree_state(folder)
