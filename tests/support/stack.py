"""A real stack in a temporary folder: PostgreSQL, Redis and PgBouncer with the help desk's data.

    with Stack() as stack:                          servers run, data is in, agent.conf is written
        done = stack.lifeboat("backup", "--json")   done.code, done.out, done.err, done.json
        stack.sql("hdms_db", "SELECT …")            stack.redis("GET", "x", database=2)

Servers listen on free loopback ports, run as `postgres` when the test runs as root, and end by their
pid. Programs that lifeboat starts carry a mark in their environment, so that leftovers are found.
"""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from resp import Redis, RedisError, contents

TOP = Path(__file__).resolve().parents[2]
HELPDESK = TOP / "examples" / "helpdesk"
# The newest that is here; the suite of Debian decides which one that is.
PG_BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda bin: float(bin.parent.name),
             default=Path("/usr/lib/postgresql/0/bin"))
PG_MAJOR = PG_BIN.parent.name
LIFEBOAT = os.environ.get("LIFEBOAT", str(TOP / "build" / "debug" / "lifeboat"))
ROOT = os.geteuid() == 0
# The kernel ends them when the test dies, whatever it dies of.
AS_SERVER = ["setpriv"] + (["--reuid=postgres", "--regid=postgres", "--init-groups"] if ROOT else [])
MARK = "STACK_TEST_MARK"


class Failed(AssertionError):
    pass


CLAIMS = []


def free_port():
    """Below the range from which the kernel picks ports for clients, and this process's alone to its end: a name
    of that port is held, as other tests pick one before this one's server is there."""
    for _ in range(200):
        port = random.randrange(20000, 32000)
        claim = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                claim.bind("\0lifeboat-tests-port-%d" % port)
                probe.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
        CLAIMS.append(claim)
        return port
    raise Failed("no free port found")


def wait_for(what, condition, seconds=30, step=0.02, or_say=None):
    """Until condition() is true; its value. `or_say` tells what there is instead."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed("waited %d s for %s%s" % (seconds, what, ": %s" % or_say() if or_say else ""))
        time.sleep(step)


def heeds(pid, signal_number):
    """Has the process said by now what it does at that signal? Before that it just dies of it."""
    status = dict(line.split(":\t") for line in Path("/proc/%d/status" % pid).read_text().splitlines())
    return status["State"].startswith("Z") or bool(int(status["SigCgt"], 16) >> (signal_number - 1) & 1)


def run(argv, check=True, **more):
    more.setdefault("stdin", subprocess.DEVNULL)
    if "input" in more:
        del more["stdin"]
    more.setdefault("timeout", 300)
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          **more)
    if check and done.returncode != 0:
        raise Failed("%s: status %d\n%s%s" % (argv, done.returncode, done.stdout.decode(errors="replace")[-2000:],
                                              done.stderr.decode(errors="replace")[-4000:]))
    return done


class Result:
    """What one run of lifeboat said."""

    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    @property
    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as problem:
            raise Failed("no JSON document: %s\n%s" % (problem, self)) from None

    def __str__(self):
        return "lifeboat %s: status %s\n--- stdout\n%s--- stderr\n%s" % (" ".join(self.args), self.code, self.out,
                                                                       self.err)


class Server:
    """One server process with its log."""

    pids = set()  # of all that this test has started

    def __init__(self, argv, log, stop_signal, death_signal, cwd=None, env=None):
        self.log = Path(log)
        self.stop_signal = stop_signal
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                AS_SERVER + ["--pdeathsig", death_signal] + [str(a) for a in argv], stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, cwd=cwd, env=env, start_new_session=True)
        Server.pids.add(self.process.pid)

    def running(self):
        return self.process.poll() is None

    def assert_running(self):
        if not self.running():
            raise Failed("%s ended with %s:\n%s" % (self.process.args, self.process.returncode,
                                                    self.log.read_text(errors="replace")[-3000:]))
        return True

    def stop(self, seconds=20):
        if self.running():
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Stack:
    USER, PASSWORD, REDIS_PASSWORD = "hdms", "correct-horse", "battery-staple"

    def __init__(self, populate=True, components=("postgres", "redis", "pgbouncer"), redis_options=(),
                 initdb_options=(), folder=None):
        self.populate = populate
        self.components = components
        self.redis_options = list(redis_options)
        self.initdb_options = list(initdb_options)
        self.folder = Path(folder or tempfile.mkdtemp(prefix="lb-"))
        os.chmod(self.folder, 0o755)
        self.volumes = self.folder / "volumes"
        self.store = self.folder / "store"
        self.run_dir = self.folder / "run"
        self.mark = uuid.uuid4().hex
        self.servers = {}
        self.ports = {name: free_port() for name in ("postgres", "redis", "pgbouncer")}

    # ---- life

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        self._folder(self.volumes)
        self._folder(self.run_dir)
        self._write_configuration()
        if "postgres" in self.components:
            self._initdb()
            self.start_postgres()
            if self.populate:
                self._fill_postgres()
        if "redis" in self.components:
            self._folder(self.volumes / "redis_data")
            self.start_redis()
            if self.populate:
                self._fill_redis()
        if "pgbouncer" in self.components:
            self._configure_pgbouncer()
            self.start_pgbouncer()

    def close(self):
        for pid in self.agent_processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for name in ("pgbouncer", "redis", "postgres"):
            self.stop(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self, name):
        server = self.servers.pop(name, None)
        if server:
            server.stop()

    def _folder(self, path):
        path.mkdir(exist_ok=True)
        if ROOT:
            shutil.chown(path, "postgres", "postgres")

    def give(self, path, mode=0o600):
        """To the user that servers run as."""
        os.chmod(path, mode)
        if ROOT:
            shutil.chown(path, "postgres", "postgres")

    def fill_in(self, text):
        for name, value in {"FOLDER": self.folder, "POSTGRES_PORT": self.ports["postgres"],
                            "REDIS_PORT": self.ports["redis"], "PGBOUNCER_PORT": self.ports["pgbouncer"],
                            "PORT": self.ports["pgbouncer"], "VOLUME": self.volumes / "pgbouncer_data"}.items():
            text = text.replace("@%s@" % name, str(value))
        return text

    def _write_configuration(self):
        text = self.fill_in((HELPDESK / "agent.conf").read_text())
        for name in ("postgres", "redis", "pgbouncer"):
            if name not in self.components:
                text = re.sub(r"\[%s\]\n(?:[^\[\n].*\n|\n)*" % name, "", text)
        if "postgres" not in self.components or not self.populate:
            text = re.sub(r"\[check recent-tickets\]\n(?:[^\[\n].*\n|\n)*", "", text)
        self.write_conf(text)
        env = self.folder / ".env"
        env.write_text((HELPDESK / "env").read_text())
        os.chmod(env, 0o600)

    def conf(self):
        return (self.folder / "agent.conf").read_text()

    def write_conf(self, text):
        path = self.folder / "agent.conf"
        path.write_text(text)
        os.chmod(path, 0o600)

    # ---- PostgreSQL

    def _initdb(self):
        data = self.volumes / "postgres_data"
        self._folder(data)
        password = self.run_dir / "password"
        password.write_text(self.PASSWORD + "\n")
        self.give(password)
        run(AS_SERVER + [PG_BIN / "initdb", "-D", data, "--username", self.USER, "--pwfile", password, "--encoding",
                         "UTF8", "--locale", "C.UTF-8", "--data-checksums", "--auth-local", "scram-sha-256",
                         "--auth-host", "scram-sha-256", "--no-sync"] + self.initdb_options, cwd="/")
        password.unlink()
        with open(data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write("\n# the help desk's own settings\nlisten_addresses = '127.0.0.1'\nport = %d\n"
                       "unix_socket_directories = '%s'\nmax_connections = 60\nshared_buffers = 64MB\n"
                       "wal_level = logical\nlog_line_prefix = '%%m [%%p] %%q%%u@%%d '\n"
                       % (self.ports["postgres"], self.run_dir))

    def start_postgres(self):
        self.servers["postgres"] = server = Server(
            [PG_BIN / "postgres", "-D", self.volumes / "postgres_data", "-c", "fsync=off"],
            self.folder / "postgres.log", signal.SIGINT, "QUIT", cwd="/")
        wait_for("PostgreSQL", lambda: server.assert_running() and self.sql("postgres", "SELECT 1", check=False) == "1")

    def pg_env(self, user=None, password=None):
        env = dict(os.environ, PGHOST="127.0.0.1", PGPORT=str(self.ports["postgres"]), PGUSER=user or self.USER,
                   PGPASSWORD=password or self.PASSWORD, PGOPTIONS="")
        return env

    def sql(self, database, text, check=True, user=None, password=None, port=None):
        """What psql prints, unaligned, without headings; the text goes in as one string of statements."""
        env = self.pg_env(user, password)
        if port:
            env["PGPORT"] = str(port)
        done = run([PG_BIN / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database], check=check, env=env,
                   input=text.encode())
        return done.stdout.decode().rstrip("\n") if done.returncode == 0 else None

    def sql_file(self, database, path):
        run([PG_BIN / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", path], env=self.pg_env())

    def _fill_postgres(self):
        self.sql_file("postgres", HELPDESK / "1-globals.sql")
        self.sql_file("hdms_db", HELPDESK / "2-hdms_db.sql")
        self.sql_file("hdms_audit", HELPDESK / "3-hdms_audit.sql")
        self.sql("postgres", "ALTER SYSTEM SET log_min_duration_statement = '7s'; SELECT pg_reload_conf();")

    def pg_dump(self, database, port=None, password=None):
        """A plain dump without the random key that each one carries."""
        env = self.pg_env(password=password)
        if port:
            env["PGPORT"] = str(port)
        return without_tokens(run([PG_BIN / "pg_dump", "-C", "-d", database], env=env).stdout)

    def pg_globals(self, port=None, database=None):
        env = self.pg_env()
        if port:
            env["PGPORT"] = str(port)
        return without_tokens(run([PG_BIN / "pg_dumpall", "--globals-only"] + (["-l", database] if database else []), env=env).stdout)

    # ---- Redis

    def start_redis(self):
        conf = self.folder / "redis.conf"
        conf.write_text("bind 127.0.0.1\nport %d\ndir %s\nrequirepass %s\nappendonly yes\ndatabases 16\n"
                        "save 3600 1 300 100\nlogfile \"\"\ndaemonize no\n%s\n"
                        % (self.ports["redis"], self.volumes / "redis_data", self.REDIS_PASSWORD,
                           "\n".join(self.redis_options)))
        self.give(conf)
        self.servers["redis"] = server = Server(["redis-server", conf], self.folder / "redis.log", signal.SIGTERM,
                                                "KILL", cwd="/")
        wait_for("Redis", lambda: server.assert_running() and self._redis_answers())

    def redis_door(self, port=None):
        return Redis(port or self.ports["redis"], self.REDIS_PASSWORD)

    def redis(self, *args, database=0, port=None):
        """One command's reply, bytes as they are."""
        with self.redis_door(port) as redis:
            redis("SELECT", database)
            return redis(*args)

    def redis_contents(self, port=None):
        return contents(port or self.ports["redis"], self.REDIS_PASSWORD)

    def _redis_answers(self):
        try:
            return self.redis("PING") == "PONG"
        except (OSError, RedisError):
            return False

    def _fill_redis(self):
        env = dict(os.environ, REDISCLI_AUTH=self.REDIS_PASSWORD)
        done = run(["redis-cli", "-h", "127.0.0.1", "-p", self.ports["redis"]], env=env,
                   input=(HELPDESK / "redis.txt").read_bytes())
        bad = [line for line in done.stdout.decode(errors="replace").splitlines()
               if re.match(r"\(error\)|ERR|WRONG|NO", line)]
        if bad:
            raise Failed("redis.txt: %s" % bad)

    # ---- PgBouncer

    def _configure_pgbouncer(self):
        volume = self.volumes / "pgbouncer_data"
        self._folder(volume)
        for name in ("pgbouncer.ini", "databases.ini"):
            (volume / name).write_text(self.fill_in((HELPDESK / name).read_text()))
            self.give(volume / name)
        secrets = self.sql("postgres", "SELECT format('\"%s\" \"%s\"', rolname, rolpassword) FROM pg_authid"
                                       " WHERE rolpassword IS NOT NULL ORDER BY 1")
        (volume / "userlist.txt").write_text(secrets + "\n")
        self.give(volume / "userlist.txt")

    def start_pgbouncer(self):
        self.servers["pgbouncer"] = server = Server(
            ["/usr/sbin/pgbouncer", self.volumes / "pgbouncer_data" / "pgbouncer.ini"], self.folder / "pgbouncer.log",
            signal.SIGINT, "KILL", cwd="/")
        wait_for("PgBouncer", lambda: server.assert_running()
                 and self.sql("hdms_db", "SELECT 1", check=False, port=self.ports["pgbouncer"]) == "1")

    # ---- lifeboat

    def agent_env(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("LIFEBOAT", "PG"))}
        env[MARK] = self.mark
        env.update({k: str(v) for k, v in more.items()})
        return env

    def start_lifeboat(self, *args, env=None, program=None, **more):
        return subprocess.Popen([program or LIFEBOAT] + [str(a) for a in args], cwd=self.folder,
                                env=self.agent_env(**(env or {})), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def finish(self, process, args=(), timeout=180):
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise Failed("lifeboat %s did not end within %d s\n%s" % (" ".join(map(str, args)), timeout,
                                                                     err.decode(errors="replace"))) from None
        result = Result([str(a) for a in args], process.returncode, out.decode(errors="replace"),
                        err.decode(errors="replace"))
        for word in ("Sanitizer", "runtime error:"):
            if word in result.err:
                raise Failed("a sanitizer spoke up\n%s" % result)
        return result

    def lifeboat(self, *args, expect=None, timeout=180, env=None, **more):
        """Runs it in the stack's folder; with `expect`, the exit status must be that."""
        result = self.finish(self.start_lifeboat(*args, env=env, **more), args, timeout)
        if expect is not None and result.code != expect:
            raise Failed("expected status %s\n%s" % (expect, result))
        return result

    def agent_processes(self):
        """Pids of lifeboat and whatever it started that are still there: by the mark in their environment, or,
        as servers write over theirs, by a file of this folder that they have open or are configured with."""
        found = []
        place = str(self.folder) + "/"
        for entry in os.listdir("/proc"):
            pid = int(entry) if entry.isdigit() else os.getpid()
            if pid == os.getpid() or pid in Server.pids:
                continue
            if self._is_marked(pid):
                found.append(pid)
            elif self._has_open(pid, place) or self._is_configured_with(pid, place):
                chain = ancestors(pid)
                if chain[:1] != [os.getpid()] and not Server.pids & set(chain):
                    found.append(pid)
        return found

    def _is_marked(self, pid):
        try:
            with open("/proc/%d/environ" % pid, "rb") as environ:
                return ("%s=%s" % (MARK, self.mark)).encode() in environ.read().split(b"\0")
        except OSError:
            return False

    @staticmethod
    def _has_open(pid, place):
        try:
            links = ["cwd"] + ["fd/" + fd for fd in os.listdir("/proc/%d/fd" % pid)]
        except OSError:
            return False
        for link in links:
            try:
                if (os.readlink("/proc/%d/%s" % (pid, link)) + "/").startswith(place):
                    return True
            except OSError:
                pass
        return False

    @staticmethod
    def _is_configured_with(pid, place):
        """A sandbox's PgBouncer: it lies in a folder of its own, and reads its users in the volume."""
        try:
            argv = Path("/proc/%d/cmdline" % pid).read_bytes().split(b"\0")[:-1]
            return len(argv) > 1 and argv[-1].endswith(b".ini") and place.encode() in Path(os.fsdecode(argv[-1])).read_bytes()
        except OSError:
            return False

    def store_files(self):
        """Every file in the store with its content's hash, for before and after; without the lock."""
        return {name: state for name, state in tree_state(self.store).items() if not name.endswith(".lock")}


def ancestors(pid):
    """Its parent, the parent of that, …"""
    chain = []
    while pid > 1:
        try:
            with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stat:
                pid = int(stat.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            break
        chain.append(pid)
    return chain


def tree_state(folder):
    """{relative name: (kind, size, hash)} of everything under a folder; empty if there is none."""
    state = {}
    for path in sorted(Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            state[name] = ("link", os.readlink(path))
        elif path.is_dir():
            state[name] = ("folder",)
        elif path.is_file():
            state[name] = ("file", path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        else:
            state[name] = ("other",)
    return state


def without_tokens(dump):
    """pg_dump and pg_dumpall write \\restrict with a key that is new each time."""
    return re.sub(rb"(?m)^\\(un)?restrict \w+$", b"\\\\\\1restrict KEY", dump)
