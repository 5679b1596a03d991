"""What goes wrong with Docker is told by name and reason, and nothing half-made is left."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest
from contextlib import contextmanager
from pathlib import Path

from docker_fault import FaultCase
from docker_proxy import DockerProxy
from stack import LIFEBOAT, PG_BIN, wait_for

NOBODY = 65534


class Failures(FaultCase):
    """The stack has a service more, with Lifeboat's own place in it: it mounts what it must never be taken for."""

    STACK = {"health": "3s", "override": {"services": {"agent": {
        "image": "${REDIS_IMAGE}", "entrypoint": ["sleep", "1000000"], "init": True,
        "volumes": ["postgres_data:/seen/postgres:ro", "redis_data:/seen/redis:ro",
                    # What no section names; and what is only read.
                    "uploads:/uploads", "/scratch", "./notes:/notes", "./pages:/pages:ro"]}},
        "volumes": {"uploads": {}}}}

    def setUp(self):
        self.proxy = DockerProxy(self.docker)
        self.addCleanup(self.proxy.close)

    def through_proxy(self, *args, **env):
        return self.stack.lifeboat(*args, env=dict(self.proxy.env, **env))

    # ---- what no section names

    def test_volumes_of_other_services__are_told(self):
        found = [f["text"] for f in self.stack.lifeboat("check", "--json", expect=0).json["findings"]
                 if f["what"] == "not backed up"]
        # One more is of the image of that service.
        self.assertEqual(len(found), 4, found)
        where = r"service 'agent' \(image [^)]+\) writes to it at %s, and no section of agent.conf names it$"
        for pattern in ("^volume '%s_uploads': " % self.stack.project + where % "/uploads",
                        "^anonymous volume '[0-9a-f]{64}': " + where % "/scratch",
                        "^folder '%s/notes': " % self.stack.folder + where % "/notes"):
            self.assertTrue([f for f in found if re.search(pattern, f)], (pattern, found))
        told = self.stack.lifeboat("status", "--json").json["not_backed_up"]
        self.assertIn("volume '%s_uploads'" % self.stack.project, [m["what"] for m in told])
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        self.stack.write_conf(conf + "\n[volume uploads]\n")
        found = self.stack.lifeboat("check", "--json", expect=0).json["findings"]
        self.assertNotIn("uploads'", " ".join(f["text"] for f in found if f["what"] == "not backed up"))

    # ---- Docker itself

    def test_no_socket(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", env={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
        self.assert_failed(result, 69, "Docker does not answer at '/nowhere/docker.sock'", "No such file or directory",
                           "HINT: Start Docker, or name its socket in DOCKER_HOST")

    def test_socket_without_a_daemon(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "docker.sock"
            path.write_text("")
            with self.nothing_changes():
                result = self.stack.lifeboat("backup", env={"DOCKER_HOST": "unix://%s" % path})
        self.assert_failed(result, 69, "Docker does not answer at '%s'" % path, "HINT: Start Docker.")

    def test_no_rights_on_the_socket(self):
        os.chmod(self.proxy.path, 0o600)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "hdms"
            shutil.copytree(self.stack.folder, copy)
            shutil.copy(LIFEBOAT, copy / "program")
            for path in [Path(folder), copy, *copy.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
            argv = ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups", str(copy / "program")]
            process = subprocess.Popen(argv + ["check"], cwd=copy, env=self.stack.agent_env(**self.proxy.env),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            result = self.stack.finish(process, ("check",))
        self.assert_failed(result, 1, "no right to use Docker's socket '%s'" % self.proxy.path,
                           "HINT: Run the agent as root, or add its user to the group that owns the socket")

    def test_daemon_that_ends_during_a_backup(self):
        with self.nothing_changes():
            with self.dump_that_waits(**self.proxy.env) as process:
                self.proxy.cut()
                result = self.stack.finish(process, ("backup",))
        self.assertIn(result.code, (1, 69), str(result))
        self.assertRegex(result.err, "lifeboat: error: .*(pg_dump|Docker)", str(result))

    # ---- which stack

    def test_wrong_project(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", env={"LIFEBOAT_STACK_PROJECT": "nowhere"})
        self.assert_failed(result, 1, "there is no Compose project 'nowhere'; there are: ",
                           "'%s'" % self.stack.project, "HINT: Set [stack] project to the right one.")

    def test_service_that_is_not_there(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", env={"LIFEBOAT_REDIS_SERVICE": "cache"})
        self.assert_failed(result, 1, "Compose project '%s' has no service 'cache'; it has: " % self.stack.project,
                           "'redis'", "'postgres'", "HINT: Set [redis] service to the right one.")

    def test_others_in_the_project__are_not_taken_for_a_component(self):
        # A container of `compose run`, with the service's own label, and one that mounts the volumes.
        name = self.stack.compose("run", "-d", "--entrypoint", "sleep", "postgres", "1000").split()[-1]
        self.addCleanup(self.docker.run, "rm", "-f", "-v", name, check=False)
        said = self.stack.lifeboat("check", expect=0).out
        self.assertRegex(said, r"(?m)^ok +postgres: server ")
        shown = self.stack.lifeboat("show", self.first, "--json", expect=0).json["manifest"]["components"]
        self.assertEqual(shown["redis"]["runtime"]["container"], self.stack.container("redis"))

    # ---- exec

    def refuse_exec(self):
        return self.proxy.refuse("POST", r"^/containers/[^/]+/exec$", 403, "exec is not for you")

    def test_exec_refused__client_exec__fails(self):
        refusal = self.refuse_exec()
        with self.nothing_changes():
            result = self.through_proxy("backup", LIFEBOAT_POSTGRES_CLIENT="exec")
        self.assertGreater(refusal.count, 0)
        self.assert_failed(result, 1, "programs may not be run in '%s'" % self.stack.container("postgres"),
                           "exec is not for you", "HINT: Allow exec for whoever speaks to Docker here, or set "
                           "[postgres] client to host.")

    def test_exec_refused__client_auto__takes_the_dump_with_this_machines_client(self):
        self.assertTrue((PG_BIN / "pg_dump").exists())
        refusal = self.refuse_exec()
        started = self.stack.started_at()
        done = self.through_proxy("backup", "--json")
        self.assertEqual(done.code, 0, str(done))
        self.assertGreater(refusal.count, 0)
        self.assertEqual(self.stack.started_at(), started)
        self.stack.lifeboat("verify", done.json["id"], expect=0)
        rows = [self.stack.lifeboat("show", name, "--json", expect=0).json["manifest"]["components"]["postgres"]["databases"]
                for name in (self.first, done.json["id"])]
        self.assertEqual([d["name"] for d in rows[1]], [d["name"] for d in rows[0]])

    # ---- images

    def test_image_that_is_not_here__asked_for(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--image", "redis=nowhere/redis:1", "--as", "x")
        self.assert_failed(result, 1, "image 'nowhere/redis:1' is not here, which 'redis' is to be restored with",
                           "Get it: docker pull nowhere/redis:1")

    def test_image_of_the_manifest_is_gone(self):
        found = self.docker.inspect(self.stack.container("redis"))
        image, name = found["Image"], found["Config"]["Image"]
        self.proxy.refuse("GET", r"^/images/(%s|%s)/json$" % (image, re.escape(name)), 404, "No such image")
        with self.nothing_changes():
            result = self.through_proxy("restore", "--only", "redis", "--as", "x")
        self.assert_failed(result, 1, "image '%s' of 'redis' is not here (%s)" % (name, image),
                           "Get it: docker load. Or restore on another one: --image redis=IMAGE")

    def test_image_of_the_manifest_is_gone__another_by_name_does(self):
        image = self.docker.inspect(self.stack.container("redis"))["Image"]
        refusal = self.proxy.refuse("GET", r"^/images/%s/json$" % image, 404, "No such image")
        tag = "lifeboat-test/other:%s" % self.stack.project
        self.docker("tag", self.stack.redis_image, tag)
        self.addCleanup(self.docker.run, "rmi", tag, check=False)
        with self.nothing_changes():
            result = self.through_proxy("restore", "--only", "redis", "--as", "x")
        self.assert_failed(result, 1, "what has this name now is another one", "--image redis=" + self.stack.redis_image)
        self.proxy.rules.remove(refusal)
        done = self.through_proxy("restore", "--only", "redis", "--as", "other", "--image", "redis=" + tag)
        self.assertEqual(done.code, 0, str(done))
        self.remove_restored("other")

    def remove_restored(self, name):
        for volume in self.things()["volume"]:
            self.assertTrue(volume.endswith("_" + name), volume)
            self.docker("volume", "rm", volume)
        self.assert_nothing_left()

    def test_image_without_the_server(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--only", "redis", "--as", "x",
                                         "--image", "redis=" + self.stack.images.pgbouncer)
        self.assert_failed(result, 1, "redis")
        self.assertRegex(result.err, "has no program 'redis-server'|redis-server is not in image", str(result))

    # ---- servers of the sandbox

    def test_server_that_exits__its_log_is_shown(self):
        image = self.broken_image(self.stack.redis_image, "/usr/bin/redis-server",
                                  'case " $* " in *" --version "*|*" -v "*) echo "Redis server v=7.0.15 sha=0"; exit;; esac\n'
                                  "echo not today, said the server >&2\nexit 3\n")
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--only", "redis", "--as", "x", "--image", "redis=" + image)
        self.assert_failed(result, 1, "redis exited with status 3", "not today, said the server")

    def test_server_that_never_answers__its_log_is_shown(self):
        image = self.broken_image(self.stack.redis_image, "/usr/bin/redis-server",
                                  'case " $* " in *" --version "*|*" -v "*) echo "Redis server v=7.0.15 sha=0"; exit;; esac\n'
                                  "trap 'exit 0' TERM INT\necho thinking about it\nwhile :; do sleep 0.1; done\n")
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--only", "redis", "--as", "x", "--image", "redis=" + image,
                                         env={"LIFEBOAT_HEALTH_RETRIES": "1", "LIFEBOAT_HEALTH_INTERVAL": "4s",
                                              "LIFEBOAT_HEALTH_TIMEOUT": "1s"})
        self.assertIn(result.code, (1, 69), str(result))
        self.assertIn("thinking about it", result.err, str(result))

    # ---- volumes and networks

    def test_volume_that_exists(self):
        name = self.stack.volume("redis_data_x")
        self.docker("volume", "create", name)
        self.addCleanup(self.docker.run, "volume", "rm", name, check=False)
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--as", "x")
            self.assert_failed(result, 1, "volume '%s' exists" % name)
            said = self.stack.lifeboat("restore", "--dry-run", "--as", "x").out
        self.assertIn("volume '%s' exists" % name, said)
        self.assertFalse(self.docker.inspect(name, "volume")["Labels"])

    def test_volume_that_somebody_took_into_use__stays_until_a_sweep(self):
        user = self.stack.project + "-user"
        with self.held("before-proof", "restore", "--only", "pgbouncer", "--as", "x") as held:
            volume = self.stack.volume("pgbouncer_data_x")
            self.assertIn(volume, self.things()["volume"])
            self.docker("create", "--name", user, "-v", volume + ":/seen", self.stack.redis_image)
            self.addCleanup(self.docker.run, "rm", "-f", "-v", user, check=False)
            held.process.send_signal(signal.SIGTERM)
        self.assertEqual(held.result.code, 1, str(held.result))
        things = self.things()
        self.assertEqual((things["container"], things["network"]), ([], []))
        self.assertIn(volume, things["volume"])
        # It is of nobody who lives, and still in use.
        said = self.stack.lifeboat("check")
        self.assertIn("leftover of a killed job: volume '%s' of restore " % volume, said.out, str(said))
        result = self.stack.lifeboat("prune")
        self.assertIn(volume, self.things()["volume"])
        self.assertIn(volume, result.out + result.err, str(result))
        self.docker("rm", user)
        self.stack.lifeboat("prune", expect=0)
        self.assert_nothing_left()

    def test_network_name_is_taken(self):
        refusal = self.proxy.refuse("POST", r"^/networks/create$", 409, "network with name lifeboat already exists")
        with self.nothing_changes():
            result = self.through_proxy("restore", "--only", "redis", "--as", "x")
        self.assertEqual(refusal.count, 1)
        self.assert_failed(result, 1, "network 'lifeboat-", "already exists",
                           "HINT: It is not this run's own. Remove it, or start again.")

    def test_no_subnet_is_left(self):
        self.proxy.refuse("POST", r"^/networks/create$", 500, "could not find an available, non-overlapping IPv4 "
                          "address pool among the defaults to assign to the network")
        with self.nothing_changes():
            result = self.through_proxy("restore", "--only", "redis", "--as", "x")
        self.assert_failed(result, 1, "non-overlapping IPv4 address pool", "HINT: Docker has no free subnet.",
                           "default-address-pools")

    # ---- disk full

    def small_volumes(self, of, size):
        """Volumes of that component are made on a file system of their own, that small."""
        def smaller(body):
            if (body.get("Labels") or {}).get("org.lifeboat.of") != self.stack.volume(of):
                return None
            return dict(body, DriverOpts={"type": "tmpfs", "device": "tmpfs", "o": "size=%s,uid=999,gid=999,mode=700" % size})
        return self.proxy.change("POST", r"^/volumes/create$", smaller)

    def test_disk_full_while_postgres_is_filled(self):
        self.small_volumes("postgres_data", "12m")
        with self.nothing_changes():
            result = self.through_proxy("restore", "--only", "postgres", "--as", "x")
        self.assert_failed(result, 1, "No space left on device")

    def test_disk_full_while_files_are_written(self):
        refusal = self.proxy.refuse("PUT", r"^/containers/[^/]+/archive$", 500,
                                    "write /data/dump.rdb: no space left on device", after=512)
        with self.nothing_changes():
            result = self.through_proxy("restore", "--only", "redis", "--as", "x")
        self.assertGreater(refusal.count, 0)
        self.assert_failed(result, 1, "no space left on device")

    # ---- production's containers, stopped

    def start(self, service):
        self.docker("start", self.stack.container(service))
        self.stack.wait_healthy([service])

    def test_container_that_does_not_run(self):
        name = self.stack.container("redis")
        self.docker("stop", name)
        self.addCleanup(self.start, "redis")
        with self.nothing_changes():
            result = self.stack.lifeboat("backup")
        self.assert_failed(result, 1, "container '%s' of service 'redis' does not run: it is exited" % name,
                           "HINT: Start it: docker start %s" % name)

    def test_container_that_is_stopped_during_the_dump(self):
        self.addCleanup(self.start, "postgres")
        with self.nothing_changes(production=False):
            with self.dump_that_waits() as process:
                self.docker("stop", self.stack.container("postgres"))
                result = self.stack.finish(process, ("backup",))
        self.assertEqual(result.code, 1, str(result))
        self.assertRegex(result.err, r"lifeboat: error: .*'hdms_db'.*pg_dump", str(result))

    # ---- a backup that is under way

    @contextmanager
    def dump_that_waits(self, **env):
        """A backup whose pg_dump is at work for sure: it waits for a table that somebody else has locked."""
        self.docker("exec", "-d", self.stack.container("postgres"), "psql", "-qU", self.stack.USER, "-d", "hdms_db", "-c",
                    "BEGIN; LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1000)")
        self.wait_for_locks("granted AND mode = 'AccessExclusiveLock'")
        process = self.stack.start_lifeboat("backup", env=env)
        try:
            self.wait_for_locks("NOT granted")
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
            self.stack.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%'"
                           " AND pid <> pg_backend_pid()", check=False)

    def wait_for_locks(self, which):
        wait_for("a lock: " + which, lambda: self.stack.sql(
            "hdms_db", "SELECT count(*) FROM pg_locks WHERE relation = 'tickets'::regclass AND " + which) != "0", 60)


if __name__ == "__main__":
    unittest.main()
