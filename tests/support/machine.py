"""A Debian 12 with systemd as process 1, and PostgreSQL, Redis and PgBouncer as its ordinary services.

    machine = Machine(depends(deb))             boots it, in a container; needs no network
    machine("systemctl", "start", "x")          runs a command in it; what it printed
    machine.run(..., check=False)               the same with exit status and stderr
    machine.write("/etc/x", "text")
    machine.close()
"""

import tempfile
import uuid
from pathlib import Path

from docker_daemon import daemon, lock
from images import debootstrap, digest
from stack import Failed, wait_for

SUITE = "bookworm"
SERVICES = ["dbus", "pgbouncer", "postgresql", "procps", "redis-server", "systemd-sysv"]
# Credentials are mounted for the whole system to see; control groups are systemd's own to divide.
BOOT = """
mount --make-rshared / || exit 1
[ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ] || mount -o remount,rw /sys/fs/cgroup || exit 1
exec /sbin/init
"""


class Machine:
    def __init__(self, needs):
        self.docker = daemon()
        self.name = "lb" + uuid.uuid4().hex[:8]
        # What systemd needs to make sandboxes; --privileged is more than a daemon in a sandbox has itself.
        self.docker("run", "-d", "--name", self.name, "--hostname", "shop", "--network", "none",
                    "--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE", "--cgroupns", "private", "--tmpfs", "/run", "--tmpfs", "/tmp",
                    *["--security-opt=" + o for o in ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")],
                    "--stop-signal", "SIGRTMIN+3", "-e", "container=docker", _image(self.docker, needs), "sh", "-c", BOOT)
        try:
            wait_for("systemd", self._booted, 300, 0.5)
        except Failed as late:
            said = self.docker("logs", self.name) + self.run("systemctl", "--failed", check=False).stdout.decode()
            self.close()
            raise Failed("%s\n%s" % (late, said)) from late

    def _booted(self):
        return self.run("systemctl", "is-system-running", check=False).stdout.decode().strip() == "running"

    def run(self, *argv, **more):
        return self.docker.run("exec", *(["-i"] if "stdin" in more or "input" in more else []), self.name, *argv, **more)

    def __call__(self, *argv, **more):
        return self.run(*argv, **more).stdout.decode(errors="replace").rstrip("\n")

    def sh(self, script, **more):
        return self("sh", "-c", script, **more)

    def write(self, path, text):
        self.run("sh", "-c", "cat >\"$1\"", "sh", path, input=text.encode())

    def copy(self, path, target):
        self.docker("cp", path, "%s:%s" % (self.name, target))

    def close(self):
        self.docker.run("rm", "-f", self.name, check=False)


def _image(docker, needs):
    packages = sorted(set(needs + SERVICES))
    image = "lifeboat-test/machine:%s-%s" % (SUITE, digest(packages))
    with lock("images"):
        if not docker.has("image", image):
            with tempfile.TemporaryDirectory(prefix="lb-machine-") as folder:
                system = Path(folder) / "system.tar"
                debootstrap(SUITE, packages, ["--variant=minbase"], system, folder)
                docker("import", system, image)
    return image
