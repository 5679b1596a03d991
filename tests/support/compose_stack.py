"""The reference stack, examples/hdms, brought up by Compose under a project name of its own.

    with ComposeStack() as stack:               containers are healthy, the help desk's data is in
        stack.sql("hdms_db", "SELECT …")        as the superuser, in PostgreSQL's container
        stack.redis("GET", "x", database=2)
        with stack.load(): …                    pgbench through PgBouncer and redis-benchmark meanwhile
        done = stack.lifeboat("backup")         with agent.conf of engine docker, in the stack's folder

It works on a copy of the folder, in which the only things of ours are the .env files, agent.conf's name
and store, and compose.override.yaml, which polls health faster and may say more. In the end everything
that bears the project's name is removed, volumes included.

Compose is docker-compose 1.29 of Debian 12 unless another is asked for: compose_program() has version 2 too.

By hand, to play: python3 tests/support/compose_stack.py up NAME [SUITE]; ... down NAME
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

from docker_daemon import BUILD, daemon, lock
from images import SUITES, debootstrap, images, variant
from lifeboat_image import lifeboat_image
from stack import HELPDESK, LIFEBOAT, MARK, TOP, Failed, Result, Stack, run, wait_for, without_tokens

HDMS = TOP / "examples" / "hdms"
PROJECT = "com.docker.compose.project"
MADE_BY_LIFEBOAT = "org.lifeboat.stack"
SERVICES = ("postgres", "pgbouncer", "redis")


def compose_program(version="1.29"):
    """Its argv. "1.29" is this machine's docker-compose; "2" its docker compose, or else Debian 13's; what begins
    with the name of a suite is that suite's."""
    docker = daemon()
    if version in ("1.29", "2"):
        for argv in (["docker-compose"], ["docker", "compose"]):
            done = run(argv + ["version", "--short"], check=False, env=docker.env) if shutil.which(argv[0]) else None
            said = done.stdout.decode().strip().lstrip("v") if done and done.returncode == 0 else ""
            if said.startswith(version + "."):
                return argv
        if version == "1.29":
            raise Failed("there is no docker-compose 1.29: install the package docker-compose")
        version = "trixie"
    return [str(fetched_compose(version))]


def fetched_compose(suite):
    """The program of another suite's package: it is one file, and runs everywhere."""
    place = BUILD / ("compose-" + suite)
    program = place / "usr/libexec/docker/cli-plugins/docker-compose"
    with lock("compose"):
        if not program.exists():
            shutil.rmtree(place, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix="lb-compose-") as folder:
                debootstrap(suite, ["docker-compose"], ["--variant=extract", "--format=directory"], place, folder)
    return program


def merged(below, above):
    """One mapping laid over another, as Compose does it."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {key: merged(below[key], above[key]) if key in below and key in above else above.get(key, below.get(key))
            for key in {**below, **above}}


class ComposeStack:
    USER, PASSWORD = "postgres", "correct-horse"
    APP_USER, APP_PASSWORD, REDIS_PASSWORD = "hdms", "app-horse", "battery-staple"

    PGBENCH = ["pgbench", "-h", "pgbouncer", "-p", "6432", "-U", APP_USER]

    def __init__(self, project=None, suite="bookworm", populate=True, compose="1.29", redis="redis",
                 redis_password=REDIS_PASSWORD, health="1s", override=None, folder=None):
        """redis may be "valkey". health is the checks' interval, None for the stack's own. override is what
        compose.override.yaml says besides, {"services": {"redis": {"read_only": True}}}."""
        self.docker = daemon()
        self.images = images(suite, self.docker)
        self.redis_image = getattr(self.images, redis)
        self.override = override or {}
        self.project = project or "lb" + uuid.uuid4().hex[:8]
        self.populate = populate
        self.redis_password = redis_password
        self.health = health
        self.compose_argv = compose_program(compose)
        self.parent = Path(folder or tempfile.mkdtemp(prefix="lb-"))
        os.makedirs(self.parent, exist_ok=True)
        os.chmod(self.parent, 0o755)
        self.folder = self.parent / "hdms"
        self.store = self.parent / "store"
        self.mark = uuid.uuid4().hex

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
        self.write_files()
        self.up()
        if self.populate:
            self._fill()

    def up(self, *more):
        self.compose("up", "-d", *more)
        self.wait_healthy()
        # The check goes by the Unix socket, on which the temporary server of a first start answers too.
        wait_for("PostgreSQL's own server", lambda: self.execute(
            "postgres", "pg_isready", "-q", "-h", "127.0.0.1", check=False).returncode == 0, 120, 0.2)

    def close(self):
        """By labels, so that it also works on what is half up; what lifeboat has made for the stack goes too."""
        labels = ("%s=%s" % (PROJECT, self.project), "%s=%s" % (MADE_BY_LIFEBOAT, self.project))
        for kind, removal in (("container", ["rm", "-f", "-v"]), ("volume", ["volume", "rm"]),
                              ("network", ["network", "rm"])):
            names = {name for label in labels for name in self.docker.labelled(label)[kind]}
            if names:
                self.docker.run(*removal, *sorted(names), check=False)
        shutil.rmtree(self.parent, ignore_errors=True)

    def write_files(self):
        """A copy of the example as its users fill it in."""
        if not self.folder.exists():
            shutil.copytree(HDMS, self.folder, ignore=shutil.ignore_patterns(".env"))
        for example in self.folder.rglob(".env.example"):
            shutil.copy(example, example.with_name(".env"))
        # The only thing that COMPOSE_PROJECT_NAME, images and passwords need.
        self.set_env(".", COMPOSE_PROJECT_NAME=self.project, POSTGRES_IMAGE=self.images.postgres,
                     REDIS_IMAGE=self.redis_image, PGBOUNCER_IMAGE=self.images.pgbouncer,
                     POSTGRES_DATA=self.postgres_volume(), DOCKER_SOCKET=self.docker.socket)
        self.set_env("postgres", POSTGRES_PASSWORD=self.PASSWORD)
        self.set_env("app", DB_PASSWORD=self.APP_PASSWORD,
                     **{"REDIS_%s_URL" % name: self.redis_url(number)
                        for number, name in enumerate(("CACHE", "CHANNELS", "BROKER"))})
        self.set_env("redis", REDIS_PASSWORD=self.redis_password,
                     **({"REDISCLI_AUTH": self.redis_password} if self.redis_password else {}))
        self._write_override()
        conf = self.conf()
        conf = re.sub(r"^name = .*$", "name = " + self.project, conf, flags=re.M)
        conf = re.sub(r"^url = file:.*$", "url = file://%s" % self.store, conf, flags=re.M)
        self.write_conf(conf)

    def _write_override(self):
        # A first start on a busy machine may take longer than three such checks.
        check = {"interval": self.health, "start_period": "120s"}
        faster = {service: {"healthcheck": check} for service in SERVICES}
        said = merged({"services": faster} if self.health else {}, self.override)
        if said:  # JSON is YAML
            (self.folder / "compose.override.yaml").write_text(json.dumps(said, indent=2) + "\n")

    def use_bare_pooler(self):
        """From here on PgBouncer is of an image in which nothing else can be run, with the volume that it has."""
        self.set_env(".", PGBOUNCER_IMAGE=variant(self.images.suite, "pgbouncer-bare"))
        check = "/usr/lib/postgresql/%s/bin/pg_isready" % SUITES[self.images.suite]["postgres"]
        self.override = merged(self.override, {"services": {"pgbouncer": {
            "entrypoint": ["pgbouncer"], "command": ["/etc/pgbouncer/pgbouncer.ini"],
            "healthcheck": {"test": ["CMD", check, "-h", "localhost", "-p", "6432"]}}}})
        self._write_override()
        self.up()

    def postgres_volume(self):
        """Where PostgreSQL's image wants its volume."""
        return next(iter(self.docker.inspect(self.images.postgres, "image")["Config"]["Volumes"]))

    def set_env(self, service, **values):
        """Sets variables in a service's .env file, where they may stand as comments."""
        path = self.folder / service / ".env"
        text = path.read_text()
        for name, value in values.items():
            text, count = re.subn(r"^#?%s=.*$" % name, lambda _, n=name, v=value: "%s=%s" % (n, v), text, flags=re.M)
            if count != 1:
                raise Failed("%s has %d lines for %s" % (path, count, name))
        path.write_text(text)
        os.chmod(path, 0o600)

    def conf(self):
        return (self.folder / "agent.conf").read_text()

    def write_conf(self, text):
        """It holds no password, and the agent's container reads it as a user of its own."""
        path = self.folder / "agent.conf"
        path.write_text(text)
        os.chmod(path, 0o644)

    def redis_url(self, database):
        password = ":%s@" % self.redis_password if self.redis_password else ""
        return "redis://%sredis:6379/%d" % (password, database)

    # ---- Compose and its containers

    def compose(self, *args, argv=None, check=True, **more):
        """What it said, both streams; it runs in the folder, as a user would run it."""
        done = run((argv or self.compose_argv) + list(args), cwd=self.folder, env=self.docker.env, check=False, **more)
        said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        if check and done.returncode != 0:
            raise Failed("compose %s: status %d\n%s\n%s" % (" ".join(args), done.returncode, said, self.logs()))
        return said

    def container(self, service):
        """The name of a service's container, running or not."""
        names = self.docker("ps", "-a", "--format", "{{.Names}}", "--filter", "label=%s=%s" % (PROJECT, self.project),
                            "--filter", "label=com.docker.compose.service=" + service,
                            "--filter", "label=com.docker.compose.oneoff=False").split()
        if len(names) != 1:
            raise Failed("the service %s of %s has the containers %s" % (service, self.project, names))
        return names[0]

    def volume(self, name):
        return "%s_%s" % (self.project, name)

    def health_of(self, service):
        """healthy, starting, unhealthy; of one without a check: running, exited, ..."""
        state = self.docker.inspect(self.container(service))["State"]
        return state.get("Health", {}).get("Status", state["Status"])

    def wait_healthy(self, services=SERVICES, seconds=120):
        for service in services:
            try:
                wait_for("%s to be healthy" % service, lambda s=service: self.health_of(s) in ("healthy", "running"),
                         seconds, 0.2)
            except Failed as problem:
                raise Failed("%s\n%s" % (problem, self.logs(service))) from None

    def logs(self, *services):
        said = []
        for name in [self.container(s) for s in services] or self.docker.labelled(
                "%s=%s" % (PROJECT, self.project))["container"]:
            done = self.docker.run("logs", "--tail", "40", name, check=False)
            said.append("--- %s\n%s%s" % (name, done.stdout.decode(errors="replace"),
                                         done.stderr.decode(errors="replace")))
        return "\n".join(said)

    def started_at(self):
        """Of each container its id, its start and how often it was restarted: the same before and after what
        must not touch production."""
        seen = {}
        for service in SERVICES:
            found = self.docker.inspect(self.container(service))
            seen[service] = (found["Id"], found["State"]["StartedAt"], found["RestartCount"])
        return seen

    def mounted(self, service):
        """{where: which volume} of a service's container."""
        return {m["Destination"]: m["Name"] for m in self.docker.inspect(self.container(service))["Mounts"]
                if m["Type"] == "volume"}

    def execute(self, service, *argv, env=None, check=True, **more):
        """A program inside a service's container."""
        flags = ["-i"] if "input" in more or "stdin" in more else []
        for name, value in (env or {}).items():
            flags += ["-e", "%s=%s" % (name, value)]
        return self.docker.run("exec", *flags, self.container(service), *argv, check=check, **more)

    # ---- what is in it

    def sql(self, database, text, check=True):
        """What psql prints, unaligned; as the superuser, without PgBouncer."""
        done = self.execute("postgres", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", self.USER, "-d", database,
                            check=check, input=text.encode())
        return done.stdout.decode().rstrip("\n") if done.returncode == 0 else None

    def sql_through_pooler(self, text, check=True, database="hdms_db", user=None, password=None):
        """As the application: through port 6432, with its password."""
        done = self.execute("postgres", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "pgbouncer", "-p", "6432", "-U",
                            user or self.APP_USER, "-d", database, check=check, input=text.encode(),
                            env={"PGPASSWORD": password or self.APP_PASSWORD})
        return done.stdout.decode().rstrip("\n") if done.returncode == 0 else None

    def redis(self, *args, database=0):
        """One command, as redis-cli prints its answer."""
        return self.redis_cli("-n", str(database), *args)

    def redis_cli(self, *args, **more):
        return self.execute("redis", "redis-cli", *args, **more).stdout.decode(errors="replace").rstrip("\n")

    def _fill(self):
        """The help desk's data, into the database that is there already."""
        roles = (HELPDESK / "1-globals.sql").read_text()
        self.sql("postgres", roles.replace("CREATE DATABASE hdms_db OWNER", "ALTER DATABASE hdms_db OWNER TO")
                 + "GRANT helpdesk_owner TO %s;\n" % self.APP_USER)
        tables = (HELPDESK / "2-hdms_db.sql").read_text()
        if int(self.sql("postgres", "SHOW server_version_num")) < 140000:
            tables = re.sub(r"BEGIN ATOMIC(.*?)END;", r"AS $$\1$$;", tables, flags=re.S)
        self.sql("hdms_db", "GRANT ALL ON SCHEMA public TO helpdesk_owner, %s;\n" % self.APP_USER + tables)
        self.sql("hdms_audit", (HELPDESK / "3-hdms_audit.sql").read_text())
        said = self.redis_cli(input=(HELPDESK / "redis.txt").read_bytes())
        bad = [line for line in said.splitlines() if re.match(r"\(error\)|ERR|WRONG|NO", line)]
        # Redis 6 does not know every command, and has a few keys less.
        if bad and self.redis_major() >= 7:
            raise Failed("redis.txt: %s" % bad)

    def redis_major(self):
        """Of Redis, or of the Redis that a Valkey says it is like: 7."""
        return int(re.search(r"^redis_version:(\d+)", self.redis_cli("INFO", "server"), re.M).group(1))

    def pg_dump(self, database):
        return without_tokens(self.execute("postgres", "pg_dump", "-U", self.USER, "-C", "-d", database).stdout)

    def pg_globals(self):
        return without_tokens(self.execute("postgres", "pg_dumpall", "-U", self.USER, "--globals-only").stdout)

    def redis_contents(self):
        """One line for each key of the databases 0, 1 and 2, in the order of names."""
        script = (HELPDESK / "contents.lua").read_text()
        if self.redis_major() < 7:  # which can't say when a key ends, only how long it has
            script = script.replace("redis.call('PEXPIRETIME', key)", "(redis.call('TTL', key) >= 0 and 'ends' or '')")
        return ["%d %s" % (database, re.sub(r"^\d+\) ", "", line)) for database in range(3) for line in self.redis_cli(
            "-n", str(database), "--no-raw", "EVAL", script, "0").splitlines()]

    def check(self):
        """The service `app`, which uses the stack as an application does: what it said."""
        return self.compose("run", "--rm", "-T", "app")

    # ---- load

    # ---- load

    def prepare_load(self, scale=5):
        self._pgbench("-i", "-q", "-s", str(scale))

    def _pgbench(self, *args):
        self.execute("postgres", *self.PGBENCH, *args, "hdms_db", env={"PGPASSWORD": self.APP_PASSWORD})

    @contextmanager
    def load(self, clients=8, rate=None):
        """pgbench through PgBouncer and redis-benchmark, second by second, while the block runs: what went wrong in
        either is a failure. prepare_load comes first. Yields what has .transactions when the block is over."""
        postgres = self.PGBENCH + ["-n", "-T", "1", "-c", str(clients), "-j", "2"]
        postgres += (["-R", str(rate)] if rate else []) + ["hdms_db"]
        redis = ["redis-benchmark", "-q", "-c", "8", "-r", "100000", "-n", "20000", "--dbnum", "2", "-t",
                 "set,get,incr,lpush,rpop"] + (["-a", self.redis_password] if self.redis_password else [])
        runs = [Load(self, "postgres", postgres, PGPASSWORD=self.APP_PASSWORD), Load(self, "redis", redis)]
        try:
            time.sleep(0.5)
            yield runs[0]
        finally:
            for one in runs:
                one.stop()
        for one in runs:
            one.check()

    # ---- lifeboat

    def lifeboat(self, *args, expect=None, timeout=300, env=None, program=None):
        result = self.finish(self.start_lifeboat(*args, env=env, program=program), args, timeout)
        if expect is not None and result.code != expect:
            raise Failed("expected status %s\n%s" % (expect, result))
        return result

    def agent_env(self, **more):
        return dict(self.docker.env, **{MARK: self.mark}, **{k: str(v) for k, v in more.items()})

    def start_lifeboat(self, *args, env=None, program=None, **more):
        return subprocess.Popen([program or LIFEBOAT] + [str(a) for a in args], cwd=self.folder,
                                env=self.agent_env(**(env or {})), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    finish = Stack.finish

    def lifeboat_in_container(self, *args, expect=None, flags=(), **more):
        """As the stack's service `lifeboat`, in the image that the Dockerfile makes."""
        self.set_env(".", LIFEBOAT_IMAGE=lifeboat_image())
        argv = self.compose_argv + ["run", "--rm", "-T", *flags, "lifeboat", *map(str, args)]
        done = run(argv, cwd=self.folder, env=self.docker.env, check=False, **more)
        result = Result(list(args), done.returncode, done.stdout.decode(errors="replace"),
                        done.stderr.decode(errors="replace"))
        if expect is not None and result.code != expect:
            raise Failed("expected status %s\n%s" % (expect, result))
        return result


class Load:
    """A program inside a container that is run again and again until stop() is called or it fails."""

    def __init__(self, stack, service, argv, **env):
        self.stack, self.service, self.said = stack, service, ""
        self.flag = "/tmp/stop-" + uuid.uuid4().hex
        self.out = tempfile.TemporaryFile()  # pylint: disable=consider-using-with
        words = [word for name, value in env.items() for word in ("-e", "%s=%s" % (name, value))]
        self.process = subprocess.Popen(
            ["docker", "exec"] + words + [stack.container(service), "sh", "-c",
                                          'flag=$1; shift; while [ ! -e "$flag" ]; do "$@" || exit 1; done; rm "$flag"',
                                          "load", self.flag] + argv,
            env=stack.docker.env, stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.STDOUT)

    def stop(self):
        if self.process.poll() is None:
            self.stack.execute(self.service, "touch", self.flag, check=False)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.out.seek(0)
        self.said = self.out.read().decode(errors="replace")
        self.out.close()

    def check(self):
        if self.process.returncode != 0 or re.search(r"error|FATAL", self.said, re.I):
            raise Failed("the load in %s ended with %d:\n%s" % (self.service, self.process.returncode,
                                                                self.said[-3000:]))

    @property
    def transactions(self):
        return sum(int(n) for n in re.findall(r"transactions actually processed: (\d+)", self.said))


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ("up", "down"):
        sys.exit("usage: compose_stack.py up|down NAME [SUITE]")
    name = sys.argv[2]
    stack = ComposeStack(project=name, suite=(sys.argv[3:] or ["bookworm"])[0],
                         folder=Path(tempfile.gettempdir()) / ("lb-play-" + name))
    if sys.argv[1] == "down":
        stack.close()
        return
    stack.start()
    print("folder     %s" % stack.folder)
    print("command    cd %s && DOCKER_HOST=%s lifeboat check" % (stack.folder, stack.docker.host))
    for service in SERVICES:
        print("%-10s %s  %s" % (service, stack.container(service), stack.mounted(service)))


if __name__ == "__main__":
    main()
