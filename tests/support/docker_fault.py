"""What the Docker tests of failures share: a backup to begin with, asking that nothing has changed, images that
are broken."""

import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path

from case import Held
from docker_case import ComposeCase
from stack import tree_state


class FaultCase(ComposeCase):
    """The class's stack has one backup, .first is its id."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare()
        cls.first = cls.stack.lifeboat("backup", "--json", expect=0).json["id"]

    @classmethod
    def prepare(cls):
        """What is to be done before that backup."""

    def store_files(self):
        """Every file of the store with its content's hash; without the lock."""
        return {name: state for name, state in tree_state(self.stack.store).items() if not name.endswith(".lock")}

    @contextmanager
    def nothing_changes(self, production=True):
        """Around a failure: afterwards the store and all that lifeboat made are as before, and production's
        containers are the same ones, never restarted."""
        files, things, theirs = self.store_files(), self.things(), self.project_things()
        started = self.stack.started_at()
        yield
        self.assertEqual(self.store_files(), files)
        self.assertEqual(self.things(), things)
        self.assertEqual(self.project_things(), theirs)
        if production:
            self.assertEqual(self.stack.started_at(), started)

    @contextmanager
    def held(self, point, *args, env=None, seconds=300):
        """Runs lifeboat until that fault point, gives control while it is stopped, and lets it go on. What is
        yielded has .process, and .result when the block is over."""
        held = Held(self.stack, point, args, env)
        try:
            held.wait(seconds)
            yield held
            held.resume()
            held.result = self.stack.finish(held.process, args)
        finally:
            if held.process.poll() is None:
                held.process.kill()
                held.process.communicate()

    def broken_image(self, image, program, script):
        """Another image, in which a program is a shell script. Removed in the end."""
        name = "lifeboat-test/broken:" + uuid.uuid4().hex[:8]
        made = self.docker("create", "--network", "none", image)
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "program"
                path.write_text("#!/bin/sh\n" + script)
                path.chmod(0o755)
                self.docker("cp", path, "%s:%s" % (made, program))
            self.docker("commit", made, name)
        finally:
            self.docker("rm", "-f", "-v", made)
        self.addCleanup(self.docker.run, "rmi", name, check=False)
        return name
