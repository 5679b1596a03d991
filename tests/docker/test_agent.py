"""The agent as a container of the project that it looks after: it is none of its own components, and when it dies
others can tell."""

import json
import re
import subprocess
import unittest

from docker_case import ComposeCase
from docker_daemon import daemon
from lifeboat_image import lifeboat_image
from stack import wait_for


class Agent(ComposeCase):
    @classmethod
    def setUpClass(cls):
        cls.STACK = {"populate": False, "health": "3s", "override": {"services": {"lifeboat": {
            "image": lifeboat_image(),
            "volumes": [daemon().socket + ":/var/run/docker.sock"],
            # For a program with sanitizers: that one may not trace itself there.
            "environment": {"ASAN_OPTIONS": "detect_leaks=0"}}}}}
        super().setUpClass()
        # Little, so that a drill is quick; something, so that it can prove.
        cls.stack.sql("hdms_db", "CREATE TABLE seen AS SELECT n, md5(n::text) FROM generate_series(1, 500) n")
        cls.stack.redis("SET", "seen", "1")
        cls.id = cls.agent_json("backup", "--json")["id"]

    @classmethod
    def agent_json(cls, *args):
        """`compose run lifeboat …`: the document that it printed."""
        said = cls.stack.compose("run", "--rm", "-T", "lifeboat", *args)
        return json.loads(re.search(r"^\{.*^\}$", said, re.S | re.M).group())

    def test_components__are_the_servers_and_not_the_agent(self):
        components = self.agent_json("show", self.id, "--json")["manifest"]["components"]
        for name in ("postgres", "redis", "pgbouncer"):
            self.assertEqual(components[name]["runtime"]["container"], self.stack.container(name))

    def test_init__finds_its_own_project_among_others(self):
        made = self.agent_json("init", "--output", "/tmp/made.conf", "--json")
        self.assertEqual(made["engine"], "docker")
        self.assertRegex(made["found"][0], "Compose project '%s' of '/.*': 3 containers" % self.stack.project)

    def test_drill__passes_and_leaves_nothing(self):
        with self.production_untouched():
            drill = self.agent_json("drill", "--json")
        self.assertEqual((drill["outcome"], drill["id"]), ("passed", self.id))
        self.assert_nothing_left()

    def test_its_container_is_killed_during_a_drill__it_and_a_program_of_the_host_can_tell(self):
        with self.production_untouched():
            name = self.stack.project + "-agent"
            argv = self.stack.compose_argv + ["run", "--rm", "-T", "--name", name, "lifeboat", "drill"]
            with subprocess.Popen(argv, cwd=self.stack.folder, env=self.docker.env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
                wait_for("the sandbox to be there", lambda: self.servers() or process.poll() is not None, 300)
                # The first process of a container can't be stopped by itself.
                self.docker("pause", name)
                things = self.things()
                # While it lives, nothing of it is left over.
                self.assertNotIn("leftover", self.stack.lifeboat("check", expect=0).out)
                self.docker("kill", name)
                process.communicate(timeout=60)
            said = self.stack.lifeboat("check", expect=0).out
            for name in things["container"] + things["network"]:
                self.assertRegex(said, r"leftover of a killed job: \w+ '%s' of drill " % name)
            drill = self.agent_json("drill", "--json")
        self.assertEqual(drill["outcome"], "passed")
        self.assert_nothing_left()

    def servers(self):
        return self.docker("ps", "-q", "--filter", "label=org.lifeboat.stack=" + self.stack.project, "--filter",
                           "label=org.lifeboat.kind=server").split()


if __name__ == "__main__":
    unittest.main()
