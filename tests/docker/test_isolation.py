"""While a drill is at work its servers see each other and nothing else: no way to production, none from it."""

import unittest

from case import Held
from docker_case import ComposeCase

SERVICES = ("postgres", "redis", "pgbouncer")
PORTS = {"postgres": 5432, "redis": 6379, "pgbouncer": 6432}


class Isolation(ComposeCase):
    """A drill is held just before its proof, while everybody looks around. PostgreSQL's port is published, as it
    may be where a developer wants it: through the host, too, there is no way to it."""

    STACK = {"health": "3s", "override": {"services": {"postgres": {"ports": ["5432"]}}}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack.sql("postgres", "ALTER SYSTEM SET log_connections = on")
        cls.stack.sql("postgres", "SELECT pg_reload_conf()")
        cls.stack.lifeboat("backup", expect=0)
        cls.held = Held(cls.stack, "before-proof", ("drill", "--json"))
        cls.addClassCleanup(cls.finish)
        cls.held.wait(300)
        cls.sandbox = {name: cls.find(name) for name in SERVICES}

    @classmethod
    def finish(cls):
        """Let go, it passes, and nothing of it is left."""
        cls.held.resume()
        result = cls.stack.finish(cls.held.process, cls.held.args)
        left = cls.docker.labelled("org.lifeboat.stack=" + cls.stack.project)
        if result.code != 0 or result.json["outcome"] != "passed" or any(left.values()):
            raise AssertionError("the drill's end: %s\n%s" % (left, result))

    @classmethod
    def find(cls, name):
        return cls.docker("ps", "--format", "{{.Names}}", "--filter", "label=org.lifeboat.stack=" + cls.stack.project,
                          "--filter", "label=org.lifeboat.for=" + name, "--filter", "label=org.lifeboat.kind=server")

    def address(self, container):
        networks = list(self.docker.inspect(container)["NetworkSettings"]["Networks"].values())
        self.assertEqual(len(networks), 1)
        return networks[0]["IPAddress"]

    def names(self, container, name):
        """The addresses by which a name is known in a container; none: it is not."""
        said = self.docker.run("exec", container, "getent", "hosts", name, check=False).stdout.decode()
        return sorted({line.split()[0] for line in said.splitlines()})

    def reaches(self, container, address, port):
        return self.docker.run("exec", container, "timeout", "2", "bash", "-c",
                               'exec 3<>"/dev/tcp/$1/$2"', "ask", address, port, check=False).returncode == 0

    def test_network__is_internal_and_the_sandboxs_alone(self):
        names = self.things()["network"]
        self.assertEqual(len(names), 1, names)
        network = self.docker.inspect(names[0], "network")
        self.assertTrue(network["Internal"])
        self.assertEqual(sorted(c["Name"] for c in network["Containers"].values()), sorted(self.sandbox.values()))

    def test_containers__are_on_no_other_network_and_publish_no_port(self):
        ours = self.things()["network"]
        for name in self.sandbox.values():
            found = self.docker.inspect(name)
            self.assertEqual(list(found["NetworkSettings"]["Networks"]), ours)
            self.assertFalse(any(found["NetworkSettings"]["Ports"].values()), found["NetworkSettings"]["Ports"])
            self.assertFalse(found["HostConfig"]["PortBindings"])
            self.assertFalse(found["HostConfig"]["PublishAllPorts"])

    def test_containers__have_no_right_and_no_volume_of_productions(self):
        theirs = {self.stack.volume(name + "_data") for name in SERVICES}
        for name in self.sandbox.values():
            found = self.docker.inspect(name)
            self.assertFalse(found["HostConfig"]["Privileged"])
            self.assertFalse(found["HostConfig"]["CapAdd"])
            self.assertEqual([m for m in found["Mounts"] if m.get("Name") in theirs
                              or m["Source"].endswith("docker.sock")], [])
            self.assertEqual([key for key in found["Config"]["Labels"] if "compose" in key], [])

    def test_names__mean_the_sandbox_inside_and_production_outside(self):
        for inside in self.sandbox.values():
            for name in SERVICES:
                for alias in (name, self.stack.container(name)):
                    self.assertEqual(self.names(inside, alias), [self.address(self.sandbox[name])], (inside, alias))
        for service in SERVICES:
            for name in SERVICES:
                self.assertEqual(self.names(self.stack.container(service), name),
                                 [self.address(self.stack.container(name))])

    def test_packets__reach_the_sandbox_and_never_production(self):
        inside = self.sandbox["pgbouncer"]
        for name, port in PORTS.items():
            self.assertTrue(self.reaches(inside, name, port), name)
            self.assertFalse(self.reaches(inside, self.address(self.stack.container(name)), port), name)
        # The other way round.
        self.assertTrue(self.reaches(self.stack.container("pgbouncer"), "postgres", 5432))
        self.assertFalse(self.reaches(self.stack.container("pgbouncer"), self.address(self.sandbox["postgres"]), 5432))

    def test_packets__do_not_come_in_through_a_published_port(self):
        production = self.docker.inspect(self.stack.container("postgres"))["NetworkSettings"]
        port = production["Ports"]["5432/tcp"][0]["HostPort"]
        gateways = [list(production["Networks"].values())[0]["Gateway"]]
        gateways += [c["Gateway"] for c in self.docker.inspect(self.things()["network"][0], "network")["IPAM"]["Config"]
                     if "Gateway" in c]
        for gateway in gateways:
            for inside in (self.sandbox["pgbouncer"], self.sandbox["postgres"]):
                self.assertFalse(self.reaches(inside, gateway, port), "%s:%s from %s" % (gateway, port, inside))
        # It is open, for whoever may use it.
        self.assertTrue(self.reaches(self.stack.container("redis"), gateways[0], port))

    def test_productions_log__knows_nobody_of_the_sandbox(self):
        self.reaches(self.stack.container("pgbouncer"), "postgres", 5432)
        done = self.docker.run("logs", self.stack.container("postgres"))
        said = (done.stdout + done.stderr).decode(errors="replace")
        self.assertIn("connection received: host=" + self.address(self.stack.container("pgbouncer")), said)
        for name in self.sandbox.values():
            self.assertNotIn(self.address(name), said)


if __name__ == "__main__":
    unittest.main()
