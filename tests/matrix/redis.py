"""Dumps of every Redis and Valkey of the Debian suites, read by us, by their own check tool and counted
by the server itself: all three must agree. Usage: redis.py REDIS_DOOR [NAME…]; must be root.

The servers come from Debian, each suite unpacked once into $XDG_CACHE_HOME or /var/cache below
lifeboat-tests, from the mirror that this machine itself uses."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from resp import Redis, RedisError  # noqa: E402

PACKAGES = {
    "bullseye": ["redis-server", "redis-tools"],
    "bookworm": ["redis-server", "redis-tools"],
    "trixie": ["redis-server", "redis-tools", "valkey-server", "valkey-tools"],
    "forky": ["redis-server", "redis-tools", "valkey-server", "valkey-tools"],
}
# Name, suite, server, the tool that checks a dump.
SERVERS = [
    ("redis-6.0", "bullseye", "redis-server", "redis-check-rdb"),
    ("redis-7.0", "bookworm", "redis-server", "redis-check-rdb"),
    ("redis-8.0", "trixie", "redis-server", "redis-check-rdb"),
    ("valkey-8.1", "trixie", "valkey-server", "valkey-check-rdb"),
    ("valkey-9", "forky", "valkey-server", "valkey-check-rdb"),
    ("redis-forky", "forky", "redis-server", "redis-check-rdb"),
]
# What else a dump can look like: options of the server.
SHAPES = {
    "plain": [],
    "lfu": ["--maxmemory-policy", "allkeys-lfu"],
    "lru": ["--maxmemory-policy", "allkeys-lru"],
    "uncompressed": ["--rdbcompression", "no"],
    "unpacked": ["--hash-max-ziplist-entries", "0", "--zset-max-ziplist-entries", "0",
                 "--set-max-intset-entries", "0", "--list-max-ziplist-size", "-1"],
    "unchecked": ["--rdbchecksum", "no"],
}
MUTANTS = 2500


class Wrong(Exception):
    pass


def mirror():
    """The first URI of this machine's own list of Debian packages."""
    for path in sorted(Path("/etc/apt").glob("sources.list.d/*.sources")):
        found = re.search(r"^URIs:\s*(\S+)", path.read_text(), re.M)
        if found:
            return found.group(1)
    for path in [Path("/etc/apt/sources.list")] + sorted(Path("/etc/apt/sources.list.d").glob("*.list")):
        found = re.search(r"^deb\s+(?:\[[^]]*\]\s*)?(\S+)", path.read_text(), re.M) if path.exists() else None
        if found:
            return found.group(1)
    raise Wrong("no list of Debian packages in /etc/apt")


def unpacked(suite):
    """The folder of a suite with its servers, made when it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "lifeboat-tests"
    root, part = cache / suite, cache / (suite + ".part")
    if root.exists():
        return root
    if shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        raise Wrong("must be root, and mmdebstrap must be installed")
    cache.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    print("unpacking %s" % suite, flush=True)
    done = subprocess.run(
        # A mirror that stands still is as good as any for this; what it serves is still signed.
        ["mmdebstrap", "--mode=root", "--variant=minbase", '--aptopt=Acquire::Check-Valid-Until "false"',
         "--include=" + ",".join(PACKAGES[suite]), suite, part, mirror()],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise Wrong("mmdebstrap %s:\n%s" % (suite, done.stdout.decode(errors="replace")[-2000:]))
    part.rename(root)
    return root


def free_port():
    """Below 55535, as a node of a cluster also takes the one 10000 above."""
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        if port < 55535:
            return port


class Server:
    """A server of a suite in a folder of its own below the suite's /srv, stopped by its pid."""

    def __init__(self, root, program, options):
        self.root, self.program, self.options = root, program, options

    def __enter__(self):
        (self.root / "srv").mkdir(exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="redis-", dir=self.root / "srv"))
        self.inside = "/" + str(self.folder.relative_to(self.root))
        self.port = free_port()
        self.url = "redis://127.0.0.1:%d" % self.port
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            ["chroot", self.root, self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir",
             self.inside, "--save", "", "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"]
            + self.options, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        for _ in range(200):
            try:
                self.client = Redis(self.port)
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        text = (self.folder / "log").read_text(errors="replace")
        self.__exit__()
        raise Wrong("%s does not start:\n%s" % (self.program, text[-2000:]))

    def __exit__(self, *_):
        if hasattr(self, "client"):
            self.client.close()
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)

    def __call__(self, *args):
        return self.client(*args)

    def try_(self, *args):
        """None where this server does not know the command."""
        try:
            return self.client(*args)
        except RedisError:
            return None

    def counts(self):
        """{database: (keys, expiring)} as INFO says, and DBSIZE must say the same."""
        found = {}
        for line in self("INFO", "keyspace").decode().splitlines():
            parts = re.match(r"db(\d+):keys=(\d+),expires=(\d+)", line)
            if parts:
                found[int(parts.group(1))] = (int(parts.group(2)), int(parts.group(3)))
        for database, (keys, _) in found.items():
            self("SELECT", database)
            if self("DBSIZE") != keys:
                raise Wrong("INFO and DBSIZE of database %d differ" % database)
        self("SELECT", 0)
        return found

    def functions(self):
        return len(self.try_("FUNCTION", "LIST") or [])


def fill(server):
    """Every type in every packing that the server has, in databases 0, 2 and 15."""
    noise = os.urandom(300)
    for database in (0, 2, 15):
        server("SELECT", database)
        for i in range(40):
            server("SET", "string:%d" % i, b"x" * (i * i))
            server("SET", "number:%d" % i, i ** 5 - 1000)
            server("SET", "noise:%d" % i, noise * i)
        server("SET", "compressed", b"a long text that repeats itself, " * 5000)
        for size in (1, 5, 200, 3000):
            server("RPUSH", "list:%d" % size, *["element %d" % i for i in range(size)])
            server("SADD", "numbers:%d" % size, *range(size))
            server("SADD", "set:%d" % size, *["member %d" % i for i in range(size)])
            server("HSET", "hash:%d" % size, *[w for i in range(size) for w in ("field %d" % i, i)])
            server("ZADD", "zset:%d" % size, *[w for i in range(size) for w in (i / 7, "member %d" % i)])
        server("RPUSH", "list:big", b"e" * 20000, noise * 50, "small")
        server("ZADD", "zset:odd", "inf", "a", "-inf", "b", "1e300", "c")
        server("HSET", "hash:big", "field", noise * 10)
        server("PFADD", "hyperloglog", *range(500))
        server("GEOADD", "geo", 13.36, 38.11, "Palermo", 15.08, 37.5, "Catania")
        fields_that_expire(server)
        streams(server)
        for i in range(25):
            server("SET", "lives:%d" % i, "v", "EX", 100000 + i)
        server("EXPIRE", "hash:200", 100000)
        server("EXPIRE", "compressed", 100000)
    server("SELECT", 0)
    server.try_("FUNCTION", "LOAD", "#!lua name=first\nredis.register_function('f1', function() return 1 end)")
    server.try_("FUNCTION", "LOAD", "#!lua name=second\nredis.register_function('f2', function() return 2 end)")


def fields_that_expire(server):
    for size in (3, 1000):
        server("HSET", "fields:%d" % size, *[w for i in range(size) for w in ("field %d" % i, "v%d" % i)])
        server.try_("HPEXPIRE", "fields:%d" % size, 100000000, "FIELDS", 2, "field 0", "field 2")


def streams(server):
    server("XGROUP", "CREATE", "stream:empty", "group", "$", "MKSTREAM")
    for size in (1, 300):
        key = "stream:%d" % size
        for i in range(size):
            server("XADD", key, "%d-1" % (i + 1), "field", "value %d" % i, "other", "x" * (i % 50))
        for group in ("first", "second", "idle"):
            server("XGROUP", "CREATE", key, group, "0")
        server("XREADGROUP", "GROUP", "first", "alice", "COUNT", 20, "STREAMS", key, ">")
        server("XREADGROUP", "GROUP", "first", "bob", "COUNT", 20, "STREAMS", key, ">")
        server("XREADGROUP", "GROUP", "second", "carol", "COUNT", 500, "STREAMS", key, ">")
        server("XREADGROUP", "GROUP", "first", "lazy", "COUNT", 1, "STREAMS", key, "0")
        server("XACK", key, "first", "1-1", "5-1")
        server("XDEL", key, "3-1")


def expire_some(server):
    """Keys that have expired and that nobody has noticed yet. False where DEBUG is not allowed."""
    if server.try_("DEBUG", "SET-ACTIVE-EXPIRE", "0") is None:
        return False
    server("SELECT", 2)
    for i in range(7):
        server("SET", "gone:%d" % i, "v", "PX", 1)
    time.sleep(0.01)
    server("SELECT", 0)
    return True


def ours(door, *args):
    done = subprocess.run([door, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise Wrong("%s: %s" % (args, done.stderr.decode(errors="replace")))
    return done.stdout.decode()


def theirs(server, check):
    """What the suite's own tool counts: keys, expiring, expired."""
    done = subprocess.run(["chroot", server.root, check, server.inside + "/dump.rdb"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0 or "looks OK" not in text:
        raise Wrong("%s:\n%s" % (check, text))
    return [int(re.search(r"\[info\] (\d+) " + what, text).group(1))
            for what in ("keys read", "expires", "already expired")]


def same(what, a, b):
    if a != b:
        raise Wrong("%s: %s is not %s" % (what, a, b))


def compare(server, check, door, checksum=True):
    """A dump of the server as it stands."""
    # The server drops keys that have expired when it is asked about them, so it is asked first.
    counts, functions = server.counts(), server.functions()
    server("SAVE")
    now = int(time.time() * 1000)
    read = json.loads(ours(door, "count", server.folder / "dump.rdb", now))
    same("counted", read["counted"], True)
    same("checksum", read["crc_checked"], checksum)
    by_us = {d["number"]: (d["keys"], d["expiring"]) for d in read["databases"]}
    same("keys per database, ours and the server's", by_us, counts)
    if any(not d["hinted"] or (d["hint_keys"], d["hint_expiring"]) != by_us[d["number"]] for d in read["databases"]):
        raise Wrong("hints: %s" % read["databases"])
    same("functions", read["functions"], functions)
    totals = [sum(d[k] for d in read["databases"]) for k in ("keys", "expiring", "expired")]
    same("totals, ours and %s" % check, totals, theirs(server, check))
    return read


def take_both_ways(server, door):
    """BGSAVE with proof, then the file; and the stream, which must hold the same."""
    saved = json.loads(ours(door, "save", server.url))
    same("path", saved["path"], server.inside + "/dump.rdb")
    from_file = json.loads(ours(door, "count", server.folder / "dump.rdb", 0))
    if from_file["created"] < saved["began"]:
        raise Wrong("the file is older than the save")
    from_stream = json.loads(ours(door, "stream", server.url))
    for field in ("magic", "version", "counted", "crc_checked", "functions", "databases"):
        same("%s of stream and file" % field, from_stream[field], from_file[field])
    same("keys", saved["keys"], sum(d["keys"] for d in from_file["databases"]))
    told = json.loads(ours(door, "describe", server.url))
    same("missing", told["missing"], [])
    same("version", told["version"], from_file["redis_version"])


def cluster(name, root, program, check, door):
    """One node with all slots: its dump may tell the sizes of slots."""
    with Server(root, program, ["--cluster-enabled", "yes"]) as server:
        if server.try_("CLUSTER", "ADDSLOTSRANGE", 0, 16383) is None:
            return "no ADDSLOTSRANGE"
        for _ in range(200):
            if b"cluster_state:ok" in server("CLUSTER", "INFO"):
                break
            time.sleep(0.05)
        for i in range(300):
            server("SET", "key:%d" % i, i)
        compare(server, check, door)
    return "ok"


def try_server(name, suite, program, check, door):
    root = unpacked(suite)
    if not (root / "usr/bin" / program).exists():
        raise Wrong("%s has no %s" % (suite, program))
    version = subprocess.run(["chroot", root, program, "--version"], stdout=subprocess.PIPE,
                             check=True).stdout.decode().split("v=")[1].split()[0]
    debug = [] if int(version.split(".")[0]) < 7 else ["--enable-debug-command", "yes"]
    notes = []
    for shape, options in SHAPES.items():
        with Server(root, program, options + debug) as server:
            empty = compare(server, check, door, shape != "unchecked")
            same("databases of an empty server", empty["databases"], [])
            fill(server)
            read = compare(server, check, door, shape != "unchecked")
            if shape == "unchecked":
                continue
            take_both_ways(server, door)
            tried = ours(door, "damage", server.folder / "dump.rdb", MUTANTS if shape == "plain" else 100)
            if not tried.endswith(" tried, 0 accepted\n"):
                raise Wrong(tried)
            expired = compare(server, check, door) if expire_some(server) else None
            if shape == "plain":
                total = sum(d["keys"] for d in read["databases"])
                gone = sum(d["expired"] for d in expired["databases"]) if expired else 0
                notes = [read["magic"], "%d keys, %d bytes" % (total, read["bytes"]),
                         "%d functions" % read["functions"], "%d expired" % gone, tried.strip()]
    notes.append("cluster " + cluster(name, root, program, check, door))
    return "%s: %s" % (version, "; ".join(notes))


def main():
    door, wanted, failed = sys.argv[1], sys.argv[2:], 0
    for name, suite, program, check in SERVERS:
        if wanted and name not in wanted:
            continue
        try:
            print("ok   %s %s" % (name, try_server(name, suite, program, check, door)), flush=True)
        except (Wrong, RedisError, OSError) as why:
            failed += 1
            print("FAIL %s: %s" % (name, why), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
