"""The image that the project's Dockerfile makes, without a registry and without compiling twice.

    tag = lifeboat_image()          with the program that is tested

The last stage of the Dockerfile is followed as it is written: its packages come from this machine's apt
sources by mmdebstrap, its other commands are run, its files are copied, and its last words are given to
the daemon. Only what its first stage builds is replaced by the program (and the sanitizers' libraries, if
that needs them).
"""

import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from docker_daemon import daemon, lock
from images import debootstrap, digest
from stack import LIFEBOAT, TOP, Failed, run

SUITE = "bookworm"
SANITIZERS = {"libasan": "libasan8", "libubsan": "libubsan1", "libtsan": "libtsan2"}


class Stage:
    """The last stage of a Dockerfile, taken apart."""

    def __init__(self, text):
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        commands = [" ".join(c.split()) for c in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines() if c.strip()]
        start = max(i for i, command in enumerate(commands) if command.startswith("FROM "))
        self.packages, self.scripts, self.copies, self.changes = [], [], [], []
        for command in commands[start + 1:]:
            word, rest = command.split(" ", 1)
            if word == "RUN" and "apt-get install" in rest:
                self.packages += [w for w in shlex.split(rest.split("apt-get install")[1].split("&&")[0])
                                  if not w.startswith("-")]
            elif word == "RUN":
                self.scripts.append(rest)
            elif word == "COPY" and not rest.startswith("--from="):
                self.copies.append(rest.split())
            elif word in ("ENTRYPOINT", "CMD", "HEALTHCHECK", "ENV", "USER", "WORKDIR", "VOLUME", "EXPOSE"):
                self.changes.append(command)
            elif word != "COPY":
                raise Failed("the Dockerfile says '%s', which is not understood here" % command)


def lifeboat_image(program=LIFEBOAT, docker=None):
    docker = docker or daemon()
    stage = Stage((TOP / "Dockerfile").read_text())
    linked = run(["ldd", program]).stdout.decode()
    packages = stage.packages + [package for name, package in SANITIZERS.items() if name + ".so" in linked]
    base = "lifeboat-test/slim:%s-%s" % (SUITE, digest(packages))
    files = [(Path(program), "/usr/bin/lifeboat")] + [(TOP / source, target) for source, target in stage.copies]
    tag = "lifeboat-test/lifeboat:" + digest(base, stage.scripts, stage.changes,
                                             [(path.read_bytes(), target) for path, target in files])
    with lock("images"):
        if not docker.has("image", tag):
            if not docker.has("image", base):
                _import(docker, packages, base)
            _make(docker, base, stage, files, tag)
    return tag


def _import(docker, packages, tag):
    with tempfile.TemporaryDirectory(prefix="lb-images-") as folder:
        system = Path(folder) / "system.tar"
        debootstrap(SUITE, packages, ["--variant=minbase"], system, folder)
        docker("import", system, tag)


def _make(docker, base, stage, files, tag):
    container = docker("create", "--network", "none", base, "sh", "-ec", "\n".join(stage.scripts))
    try:
        with tempfile.TemporaryDirectory(prefix="lb-images-") as folder:
            # `docker cp` makes no folders: a tree does.
            for path, target in files:
                place = Path(folder + target)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())
                place.chmod(0o755 if path == files[0][0] else 0o644)
            with subprocess.Popen(["tar", "-C", folder, "--owner=0", "--group=0", "-c", "usr"],
                                  stdout=subprocess.PIPE) as tar:
                docker("cp", "-", container + ":/", stdin=tar.stdout)
        docker("start", "-a", container)
        docker("commit", *[word for change in stage.changes for word in ("--change", change)], container, tag)
    finally:
        docker("rm", "-f", container)
