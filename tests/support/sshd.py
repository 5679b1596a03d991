"""A real OpenSSH server for tests, on a free loopback port, with keys of its own.

    with Sshd(folder) as sshd:       sshd.port, sshd.key, sshd.known_hosts, sshd.user
"""

import getpass
import socket
import subprocess
import time
from pathlib import Path

from stack import Failed, free_port, run, wait_for


class Sshd:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.port = free_port()
        self.user = getpass.getuser()
        self.key = self.folder / "id_ed25519"
        self.known_hosts = self.folder / "known_hosts"
        self.process = None

    def __enter__(self):
        self.folder.mkdir(exist_ok=True)
        for name in ("host_ed25519", "id_ed25519"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", self.folder / name])
        (self.folder / "authorized_keys").write_text((self.folder / "id_ed25519.pub").read_text())
        self.known_hosts.write_text("[127.0.0.1]:%d %s" % (self.port, (self.folder / "host_ed25519.pub").read_text()))
        config = self.folder / "sshd_config"
        config.write_text("Port %d\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nUseDNS no\n"
                          "PasswordAuthentication no\nPermitRootLogin prohibit-password\nHostKey %s\n"
                          "AuthorizedKeysFile %s\nSubsystem sftp internal-sftp\n"
                          % (self.port, self.folder / "host_ed25519", self.folder / "authorized_keys"))
        # Its own folder for privilege separation may be missing in a container.
        if getpass.getuser() == "root":
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        log = open(self.folder / "sshd.log", "wb")
        command = ["/usr/sbin/sshd", "-e", "-f", config]
        # From 9.8 on it turns away who failed often, unless it is told not to.
        if run(command + ["-t", "-o", "PerSourcePenalties=no"], check=False).returncode == 0:
            command += ["-o", "PerSourcePenalties=no"]
        self.process = subprocess.Popen(command + ["-D"], stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log)
        log.close()
        wait_for("sshd", self._answers, 20)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise Failed("sshd ended\n%s" % (self.folder / "sshd.log").read_text(errors="replace"))
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                return s.recv(4) == b"SSH-"
        except OSError:
            time.sleep(0.02)
            return False

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def section(self, label, place):
        """A [store] that is the folder `place` of this server."""
        return ("[store %s]\nurl = sftp://127.0.0.1:%d%s\nuser = %s\nkey_file = %s\nknown_hosts = %s\n"
                % (label, self.port, place, self.user, self.key, self.known_hosts))
