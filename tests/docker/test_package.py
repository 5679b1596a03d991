"""The Debian package: what is in it, and how it comes to a bare Debian 12 and goes again."""

import hashlib
import re
import shutil
import tempfile
import unittest
import uuid
from pathlib import Path

from deb import build_release, depends, package
from docker_daemon import daemon, lock
from images import debootstrap, digest
from stack import TOP, run

SUITE = "bookworm"
# Of any installation: dpkg's own records, and copies that the tools for users keep.
NOISE = r"^/(proc|sys|dev|tmp|var/lib/dpkg|var/log|var/cache|run)(/|$)|^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$" \
        r"|^/etc/\.pwd\.lock$|^/\.dockerenv$"


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.deb = package()

    def container(self):
        """A bare system with what the package says that it needs, and nothing else."""
        docker, needs = daemon(), depends(self.deb)
        base = "lifeboat-test/bare:%s-%s" % (SUITE, digest(needs))
        with lock("images"):
            if not docker.has("image", base):
                with tempfile.TemporaryDirectory(prefix="lb-bare-") as folder:
                    system = Path(folder) / "system.tar"
                    debootstrap(SUITE, needs, ["--variant=minbase"], system, folder)
                    docker("import", system, base)
        name = "lb" + uuid.uuid4().hex[:8]
        docker("run", "-d", "--name", name, "--network", "none", "--init", base, "sleep", "600")
        self.addCleanup(docker.run, "rm", "-f", name, check=False)
        docker("cp", self.deb, name + ":/tmp/lifeboat.deb")
        return lambda *argv, **more: docker.run("exec", name, *argv, **more)

    def state(self, inside):
        """Every name, and every user and group."""
        names = inside("find", "/", "-xdev").stdout.decode().splitlines()
        users = inside("cat", "/etc/passwd", "/etc/group").stdout.decode().splitlines()
        return sorted(n for n in names if not re.search(NOISE, n)), sorted(users)

    def test_lintian__finds_nothing(self):
        done = run(["lintian", "--allow-root", "--fail-on", "error,warning", self.deb], check=False)
        self.assertEqual(done.returncode, 0, done.stdout.decode() + done.stderr.decode())

    def test_units__are_hardened(self):
        for unit in ("lifeboat.service", "lifeboat-backup.service", "lifeboat-drill.service"):
            done = run(["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager",
                        TOP / "packaging" / "systemd" / unit], check=False)
            self.assertEqual(done.returncode, 0, done.stdout.decode() + done.stderr.decode())

    def test_configuration__has_nothing_set_and_names_the_sample(self):
        with tempfile.TemporaryDirectory(prefix="lb-deb-") as folder:
            run(["dpkg-deb", "-x", self.deb, folder])
            text = (Path(folder) / "etc/lifeboat/agent.conf").read_text()
            named = re.search(r"/usr/share/doc\S+agent\.conf", text).group()
            sample = (Path(folder) / named[1:]).read_bytes()
        self.assertEqual([line for line in text.splitlines() if line and line[0] not in ";#"], [])
        self.assertEqual(sample, (TOP / "agent.conf").read_bytes())

    def test_package__built_twice_in_two_folders__is_the_same(self):
        folder = Path(tempfile.mkdtemp(prefix="lb-deb-"))
        self.addCleanup(shutil.rmtree, folder)
        shutil.copytree(TOP, folder / "copy", ignore=shutil.ignore_patterns(".git", "build", "tests"))
        build_release(folder / "copy", folder / "b")
        digests = set()
        for number, build in enumerate((self.deb.parent, folder / "b")):
            place = folder / str(number)
            place.mkdir()
            run(["env", "SOURCE_DATE_EPOCH=1795392000", "cpack", "-G", "DEB", "-B", place], cwd=build)
            digests.add(hashlib.sha256(next(place.glob("*.deb")).read_bytes()).hexdigest())
        self.assertEqual(len(digests), 1)

    def test_bare_system__install_and_purge__leave_nothing(self):
        inside = self.container()
        before = self.state(inside)
        inside("dpkg", "-i", "/tmp/lifeboat.deb")
        self.assertIn(b"lifeboat 0.1.0", inside("lifeboat", "version").stdout)
        stat = inside("stat", "-c", "%U:%G %a", "/etc/lifeboat/agent.conf", "/var/lib/lifeboat").stdout.decode()
        self.assertEqual(stat.splitlines(), ["root:lifeboat 640", "lifeboat:lifeboat 750"])
        self.assertNotIn(b"not found", inside("ldd", "/usr/bin/lifeboat").stdout)
        # Nothing is configured, so nothing runs.
        self.assertEqual(inside("lifeboat", "run", check=False).returncode, 78)
        inside("dpkg", "-i", "/tmp/lifeboat.deb")
        # A store that was only looked at, and the work folder of drills.
        inside("sh", "-c", "cd /var/lib/lifeboat && mkdir -p backups volumes/.lifeboat/work && touch backups/.shop.lock shop.json")
        inside("dpkg", "--purge", "lifeboat")
        self.assertEqual(self.state(inside), before)

    def test_purge__spares_backups_and_keys(self):
        inside = self.container()
        inside("dpkg", "-i", "/tmp/lifeboat.deb")
        inside("sh", "-c", "cd /var/lib/lifeboat && mkdir backups empty && touch hdms.json backups/a.json backups/.hdms.lock "
               "/etc/lifeboat/identity.txt")
        said = inside("dpkg", "--purge", "lifeboat").stderr.decode()
        self.assertIn("/var/lib/lifeboat is not empty and stays", said)
        found = sorted(inside("find", "/var/lib/lifeboat", "/etc/lifeboat", "-type", "f").stdout.decode().split())
        self.assertEqual(found, ["/etc/lifeboat/identity.txt", "/var/lib/lifeboat/backups/.hdms.lock",
                                 "/var/lib/lifeboat/backups/a.json"])
        inside("getent", "passwd", "lifeboat")


if __name__ == "__main__":
    unittest.main()
