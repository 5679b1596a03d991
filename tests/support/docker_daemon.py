"""A Docker daemon for tests: the one that runs, or one of their own.

    docker = daemon()               DOCKER_HOST or /var/run/docker.sock, if it answers; else dockerd is started
    docker("ps", "-aq")             the docker command on it; what it printed
    docker.env                      for programs that are to talk to it
    docker.api("/containers/x/json")

A daemon of our own keeps its images in the build folder. All tests that run at the same time share it;
the last one out stops it, by its pid. There is no skipping: without Docker these tests fail.
"""

import atexit
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from stack import TOP, Failed, run, wait_for

DEFAULT_SOCKET = "/var/run/docker.sock"
BUILD = Path(os.environ.get("LIFEBOAT_BUILD", TOP / "build")) / "docker"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("docker", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Docker:
    def __init__(self, host):
        if not host.startswith("unix://"):
            raise Failed("the tests talk to Docker over a Unix socket, and DOCKER_HOST is %s" % host)
        self.host = host
        self.socket = host[len("unix://"):]

    @property
    def env(self):
        """The environment for whoever talks to this daemon. No image is ever looked for in a registry."""
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("LIFEBOAT", "PG", "COMPOSE_", "DOCKER_", "POSTGRES_", "REDIS", "DB_"))}
        env["DOCKER_HOST"] = self.host
        return env

    def __call__(self, *args, **more):
        """Runs the docker command. What it printed, without the last line end."""
        return self.run(*args, **more).stdout.decode(errors="replace").rstrip("\n")

    def run(self, *args, **more):
        more.setdefault("env", self.env)
        return run(("docker",) + args, **more)

    def api(self, path, method="GET", timeout=30):
        """(status, body): JSON as what it says, everything else as bytes."""
        connection = _Connection(self.socket, timeout)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.getheader("Content-Type", "").startswith("application/json") and body:
            body = json.loads(body)
        return answer.status, body

    def answers(self):
        try:
            return self.api("/_ping", timeout=5)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def inspect(self, name, kind="container"):
        return json.loads(self("inspect", "--type", kind, name))[0]

    def has(self, kind, name):
        return self.run("inspect", "--type", kind, name, check=False).returncode == 0

    def labelled(self, label):
        """Everything there is with this label: {"container": [...], "volume": [...], "network": [...]}."""
        commands = {"container": ["ps", "-a", "--format", "{{.Names}}"],
                    "volume": ["volume", "ls", "--format", "{{.Name}}"],
                    "network": ["network", "ls", "--format", "{{.Name}}"]}
        return {kind: sorted(self(*args, "--filter", "label=" + label).split()) for kind, args in commands.items()}


@contextmanager
def lock(name):
    """Two tests that start together make nothing twice."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / (name + ".lock"), "a", encoding="utf-8") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        yield


def daemon():
    """The same one for every caller in this process."""
    if not hasattr(daemon, "found"):
        daemon.found = _find()
    return daemon.found


def _find():
    named = os.environ.get("DOCKER_HOST")
    if named:
        docker = Docker(named)
        if not docker.answers():
            raise Failed("DOCKER_HOST is %s, and nothing answers there" % named)
        return docker
    docker = Docker("unix://" + DEFAULT_SOCKET)
    return docker if docker.answers() else _own()


def _own():
    """Whoever uses the daemon holds the lock `users` shared, so the one that gets it exclusively is the last."""
    BUILD.mkdir(parents=True, exist_ok=True)
    users = open(BUILD / "users.lock", "a", encoding="utf-8")  # pylint: disable=consider-using-with
    fcntl.flock(users, fcntl.LOCK_SH)
    with lock("start"):
        docker = _running() or _start()
    atexit.register(_leave, users)
    return docker


def _running():
    try:
        docker = Docker("unix://%s/docker.sock" % (BUILD / "run").resolve(strict=True))
    except OSError:
        return None
    return docker if docker.answers() else None


def _start():
    program = shutil.which("dockerd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not program:
        raise Failed("no Docker answers, and there is no dockerd to start: install the package docker.io")
    if os.geteuid() != 0:
        raise Failed("no Docker answers, and only root can start one: set DOCKER_HOST or run the tests as root")
    for pid in _others():
        raise Failed("a dockerd runs already, as process %d, and two on one network take down each other's bridges and "
                     "packet filters: set DOCKER_HOST to its socket" % pid)
    # A Unix socket's path has at most 107 bytes, and a build folder's may have more.
    folder = Path(tempfile.mkdtemp(prefix="lb-docker-"))
    link = BUILD / "run"
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    argv = [program, "--data-root", BUILD / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid",
            "-H", "unix://%s/docker.sock" % folder]
    with open(BUILD / "log", "wb") as log:
        process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True)
    docker = Docker("unix://%s/docker.sock" % folder)

    def ready():
        if process.poll() is not None:
            raise Failed("dockerd ended with status %d:\n%s" % (
                process.returncode, (BUILD / "log").read_text(errors="replace")[-4000:]))
        return docker.answers()
    wait_for("dockerd", ready, 60, 0.1)
    return docker


def _others():
    """Daemons in our network namespace."""
    ours = os.readlink("/proc/self/ns/net")
    for entry in os.listdir("/proc"):
        try:
            if (entry.isdigit() and Path("/proc/%s/comm" % entry).read_text() == "dockerd\n"
                    and os.readlink("/proc/%s/ns/net" % entry) == ours):
                yield int(entry)
        except OSError:
            continue


def _leave(users):
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    try:
        folder = (BUILD / "run").resolve(strict=True)
        pid = int((folder / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        return
    for _ in range(600):
        if _is_gone(pid):
            break
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)
    (BUILD / "run").unlink(missing_ok=True)


def _is_gone(pid):
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return True
    except ChildProcessError:
        pass
    return not Path("/proc/%d" % pid).exists()
