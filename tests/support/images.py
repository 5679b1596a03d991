"""Images for tests, made of Debian packages: no registry is asked.

    names = images("bookworm")      names.postgres, names.redis, names.pgbouncer, and names.valkey or None
    variant("bookworm", "postgres-70")        user 70, as in Alpine's image
    variant("bookworm", "pgbouncer-bare")     without a shell, tar, cat

They are built once for each daemon: a root file system of the suite with all servers, then an image of
each kind on top of it, with an entrypoint that behaves as the official image's (tests/support/images).
A tag ends in a hash of what it is made from; without it, it is the last one built. To run the same
tests on official images, or on any other: LIFEBOAT_TEST_POSTGRES_IMAGE, LIFEBOAT_TEST_REDIS_IMAGE,
LIFEBOAT_TEST_VALKEY_IMAGE, LIFEBOAT_TEST_PGBOUNCER_IMAGE.

By hand: python3 tests/support/images.py [SUITE...]
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from docker_daemon import daemon, lock
from stack import Failed, run

HERE = Path(__file__).resolve().parent / "images"
# The major versions that each suite has. With 18 the volume of PostgreSQL's image is one folder higher.
SUITES = {
    "bullseye": {"postgres": "13", "redis": "6"},
    "bookworm": {"postgres": "15", "redis": "7"},
    "trixie": {"postgres": "17", "redis": "8", "valkey": "8"},
    "forky": {"postgres": "18", "redis": "8", "valkey": "9"},
}
PACKAGES = {"postgres": "postgresql-%s", "redis": "redis-server", "valkey": "valkey-server"}
LOCALE = "en_US.UTF-8"
# Their caches and texts are half of a small system.
OPTIONS = ["--variant=minbase", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
           "--dpkgopt=path-exclude=/usr/share/locale/*",
           "--customize-hook=chroot \"$1\" localedef -i en_US -f UTF-8 " + LOCALE]


@dataclass
class Images:
    suite: str
    postgres: str
    redis: str
    pgbouncer: str
    valkey: str = None


def images(suite="bookworm", docker=None):
    docker = docker or daemon()
    if suite not in SUITES:
        raise Failed("no images are made from the suite '%s'" % suite)
    made = {}
    for kind in ("postgres", "redis", "pgbouncer", "valkey"):
        named = os.environ.get("LIFEBOAT_TEST_%s_IMAGE" % kind.upper())
        made[kind] = named or (_image(docker, suite, kind) if kind in SUITES[suite] or kind == "pgbouncer" else None)
    return Images(suite, **made)


def variant(suite, name, docker=None):
    """An image that the official ones don't have, or only in another form."""
    return _image(docker or daemon(), suite, name)


def digest(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def _image(docker, suite, name):
    """Of the name, what stands before the first '-' is the kind."""
    kind = name.split("-")[0]
    base = base_name(suite)
    changes = changes_of(suite, kind)
    recipe = digest(base, changes, [(HERE / script).read_text() for script in ["prepare.sh"] + scripts_of(kind)])
    version = SUITES[suite].get(kind)
    plain = "lifeboat-test/%s:%s%s" % (name, version + "-" if version else "", suite)
    tag = "%s-%s" % (plain, recipe)
    with lock("images"):
        if not docker.has("image", tag):
            if not docker.has("image", base):
                _make_base(docker, suite, base)
            _make(docker, base, name, changes, tag)
            docker("tag", tag, plain)
    return tag


def scripts_of(kind):
    """The entrypoint, if it has one."""
    return {"postgres": ["postgres.sh"], "pgbouncer": []}.get(kind, ["redis.sh"])


def changes_of(suite, kind):
    """What the image says about itself, in a Dockerfile's words."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    if kind == "postgres":
        major = int(SUITES[suite]["postgres"])
        home = "/var/lib/postgresql"
        return ["ENV PATH=%s:/usr/lib/postgresql/%d/bin" % (path, major), "ENV LANG=" + LOCALE.replace("UTF-", "utf"),
                "ENV PG_MAJOR=%d" % major,
                "ENV PGDATA=" + (home + "/%d/docker" % major if major >= 18 else home + "/data"),
                "VOLUME " + (home if major >= 18 else home + "/data"),
                'ENTRYPOINT ["docker-entrypoint.sh"]', "STOPSIGNAL SIGINT", "EXPOSE 5432", 'CMD ["postgres"]']
    if kind == "pgbouncer":
        return ["ENV PATH=" + path, "USER postgres", "EXPOSE 6432", "STOPSIGNAL SIGINT",
                'CMD ["pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]']
    return ["ENV PATH=" + path, "VOLUME /data", "WORKDIR /data", 'ENTRYPOINT ["docker-entrypoint.sh"]', "EXPOSE 6379",
            'CMD ["%s-server"]' % kind]


def packages_of(suite):
    servers = [PACKAGES[kind] % version if "%s" in PACKAGES[kind] else PACKAGES[kind]
               for kind, version in SUITES[suite].items()]
    return servers + ["pgbouncer", "locales"]


def base_name(suite):
    return "lifeboat-test/base:%s-%s" % (suite, digest(suite, packages_of(suite), OPTIONS))


def debootstrap(suite, packages, options, target, folder, stdout=None):
    """mmdebstrap from this machine's own sources, which are written into the folder. Starts it when stdout is given,
    else runs it."""
    argv = ["mmdebstrap", "--mode=" + ("root" if os.geteuid() == 0 else "auto"), "--include=" + ",".join(packages)]
    argv += options + machine_options() + [suite, target] + machine_sources(suite, folder)
    if stdout is None:
        return run(argv, timeout=900)
    with open(Path(folder) / "log", "wb") as log:
        return subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=stdout, stderr=log)


def _make_base(docker, suite, tag):
    """The file system goes from mmdebstrap straight into the daemon, and gets its name only when both are content."""
    with tempfile.TemporaryDirectory(prefix="lb-images-") as folder:
        maker = debootstrap(suite, packages_of(suite), OPTIONS + ["--format=tar"], "-", folder, subprocess.PIPE)
        taken = docker.run("import", "-", stdin=maker.stdout, check=False, timeout=900)
        maker.stdout.close()
        status = maker.wait()
        said = (Path(folder) / "log").read_text(errors="replace")
    image = taken.stdout.decode().strip()
    if status != 0 or taken.returncode != 0:
        if image:
            docker.run("rmi", image, check=False)
        raise Failed("no system of the suite '%s': mmdebstrap ended with %d, docker import with %d\n%s%s" % (
            suite, status, taken.returncode, said[-4000:], taken.stderr.decode(errors="replace")))
    docker("tag", image, tag)


def _make(docker, base, name, changes, tag):
    # The daemon takes every one of a Dockerfile's words from a commit but this.
    signals = [change.split()[1] for change in changes if change.startswith("STOPSIGNAL")]
    changes = [change for change in changes if not change.startswith("STOPSIGNAL")]
    container = docker("create", "--network", "none", *["--stop-signal=" + signal for signal in signals], base,
                       "sh", "/prepare.sh", name)
    try:
        docker("cp", HERE / "prepare.sh", container + ":/prepare.sh")
        for script in scripts_of(name.split("-")[0]):
            docker("cp", HERE / script, container + ":/usr/local/bin/docker-entrypoint.sh")
        docker("start", "-a", container)
        docker("commit", *[word for change in changes for word in ("--change", change)], container, tag)
    finally:
        docker("rm", "-f", container)


# ---- the machine's own sources of packages

def machine_sources(suite, folder):
    """Files for mmdebstrap: what this machine's apt reads for its own release, with the suite in its place."""
    release = codename()
    stanzas, lines = [], []
    places = [Path("/etc/apt/sources.list")] + sorted(Path("/etc/apt/sources.list.d").glob("*"))
    for place in places:
        if not place.is_file():
            continue
        text = place.read_text(errors="replace")
        if place.suffix == ".sources":
            stanzas += [s for s in (stanza_for(s, release, suite) for s in re.split(r"\n\s*\n", text)) if s]
        elif place.suffix == ".list":
            lines += [s for s in (line_for(s, release, suite) for s in text.splitlines()) if s]
    made = []
    for name, parts, between in (("suite.sources", stanzas, "\n\n"), ("suite.list", lines, "\n")):
        if parts:
            made.append(Path(folder) / name)
            made[-1].write_text(between.join(parts) + "\n")
    if not made:
        raise Failed("this machine's apt has no source for its own release, '%s'" % release)
    return made


def machine_options(text=None):
    """How this machine's apt fetches: proxies, retries, what it thinks of a mirror that stands still."""
    text = text or run(["apt-config", "dump"]).stdout.decode()
    wanted = r"https?|Retries|Check-Valid-Until|Check-Date"
    found = re.findall(r'^(Acquire::(?:%s)(?:::\S+)?) "([^"]+)";$' % wanted, text, re.M | re.I)
    return ['--aptopt=%s "%s"' % pair for pair in found]


def codename(text=None):
    found = re.search(r'^VERSION_CODENAME="?(\w+)', text or Path("/etc/os-release").read_text(), re.M)
    if not found:
        raise Failed("/etc/os-release names no release")
    return found.group(1)


def stanza_for(text, release, suite):
    """The stanza with its suite replaced, or None if it is not about the release itself."""
    text = "\n".join(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    suites = re.search(r"^Suites:(.*)$", text, re.M | re.I)
    types = re.search(r"^Types:(.*)$", text, re.M | re.I)
    disabled = re.search(r"^Enabled:\s*(no|false)\b", text, re.M | re.I)
    if disabled or not suites or release not in suites.group(1).split():
        return None
    if not types or "deb" not in types.group(1).split():
        return None
    return text.replace(suites.group(0), "Suites: " + suite).replace(types.group(0), "Types: deb")


def line_for(text, release, suite):
    found = re.match(r"\s*deb\s+(\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$", text.split("#")[0])
    if not found or found.group(3) != release:
        return None
    return "deb %s%s %s %s" % (found.group(1) or "", found.group(2), suite, found.group(4).strip())


def main():
    docker = daemon()
    print("docker: %s" % docker.host)
    for suite in sys.argv[1:] or ["bookworm"]:
        print(images(suite, docker))


if __name__ == "__main__":
    main()
