"""The door to the Docker Engine on a real one: door.c has the tests."""

import os
import unittest

from docker_daemon import daemon
from images import images
from stack import run


class Door(unittest.TestCase):
    def test_door__on_a_real_engine__passes(self):
        docker = daemon()
        said = run([os.environ["DOOR"], images("bookworm", docker).redis], check=False, env=docker.env)
        self.assertEqual(said.returncode, 0, said.stdout.decode() + said.stderr.decode())


if __name__ == "__main__":
    unittest.main()
