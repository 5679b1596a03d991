"""A command in another Debian than this machine's: python3 other_system.py SYSTEM COMMAND...

SYSTEM is a suite ("trixie"), or "arm64": this project's own Debian 12 with all that builds for arm64 and
runs it. The command runs as root in a root file system made once from this machine's apt sources, and kept
in the build folder. The project is at /lifeboat there, read-only, and LIFEBOAT_BUILD=/build is what is
build/SYSTEM/ here. Processes and mounts end with the command; the network is this machine's.
"""

import fcntl
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from images import debootstrap, digest
from stack import TOP, Failed, run

BUILD = Path(os.environ.get("LIFEBOAT_BUILD", TOP / "build")).resolve()
SYSTEMS = BUILD / "systems"
PASSED_ON = ("http_proxy", "https_proxy", "no_proxy")
# qemu of Debian 12 knows no PR_SET_CHILD_SUBREAPER. Of trixie on it is one static program.
QEMU_SUITE = "trixie"


@contextmanager
def made_once(name):
    """A folder of that name: (where it will be, an empty folder to fill, or None if it is there)."""
    SYSTEMS.mkdir(parents=True, exist_ok=True)
    target = SYSTEMS / name
    with open(str(target) + ".lock", "a", encoding="utf-8") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        if target.is_dir():
            yield target, None
            return
        half = Path(tempfile.mkdtemp(prefix=name + "-half-", dir=SYSTEMS))
        half.chmod(0o755)
        try:
            yield target, half
        except BaseException:
            run(["rm", "-rf", "--one-file-system", half], check=False)
            raise
        half.rename(target)


def root(suite, packages, options):
    with made_once("%s-%s" % (suite, digest(packages, options))) as (target, half):
        if half:
            with tempfile.TemporaryDirectory(prefix="lb-system-") as folder:
                debootstrap(suite, packages, options, half, folder)
            for place in ("lifeboat", "build"):
                (half / place).mkdir(exist_ok=True)
    return target


def arm64():
    """The compiler and its tools are this architecture's, the libraries arm64's."""
    lines = (TOP / "packaging" / "packages").read_text().splitlines()
    libraries = [name + ":arm64" for name, what in (line.split() for line in lines if line[0] != "#")
                 if re.fullmatch("lib.*-dev", name) and (what == "build" or name == "libcmocka-dev")]
    tools = ["ca-certificates", "cmake", "dpkg-dev", "file", "gcc-aarch64-linux-gnu", "ninja-build", "pkg-config", "python3"]
    top = root("bookworm", tools + ["libc6-dev:arm64"] + libraries, ["--variant=minbase", "--architectures=amd64,arm64"])
    if not (top / "usr/bin/qemu-aarch64").exists():
        qemu = root(QEMU_SUITE, ["qemu-user"], ["--variant=extract"])
        shutil.copy(qemu / "usr/bin/qemu-aarch64", top / "usr/bin/qemu-aarch64")
    return top


def system(name):
    if os.geteuid() != 0:
        raise Failed("another Debian's root file system and mounts need root")
    return arm64() if name == "arm64" else root(name, ["ca-certificates"], ["--variant=minbase"])


def inside(top, build, argv):
    """The command's exit status. It is process 1 of its own and takes all others with it."""
    build.mkdir(parents=True, exist_ok=True)
    shutil.copy("/etc/resolv.conf", top / "etc/resolv.conf")
    # A root of its own, not chroot, in which the kernel gives nobody a user namespace.
    script = "; ".join([
        "set -e", "mount --make-rprivate /", "cd " + shlex.quote(str(top)), "mount --bind . .",
        "cd " + shlex.quote(str(top)),
        "mount -t proc proc proc", "mount --rbind /sys sys", "mount --rbind /dev dev", "mount -t tmpfs tmpfs run",
        "mount --bind %s lifeboat" % shlex.quote(str(TOP)), "mount -o remount,bind,ro lifeboat",
        "mount --bind %s build" % shlex.quote(str(build)),
        "pivot_root . .", "umount -l .", "cd /lifeboat", 'exec "$@"'])
    env = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
    env.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C.UTF-8", HOME="/root", LIFEBOAT_BUILD="/build")
    return subprocess.call(["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--",
                            "sh", "-c", script, "sh"] + list(argv), env=env, stdin=subprocess.DEVNULL)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        sys.exit(inside(system(sys.argv[1]), BUILD / sys.argv[1], sys.argv[2:]))
    except Failed as failed:
        sys.exit(str(failed))


if __name__ == "__main__":
    main()
