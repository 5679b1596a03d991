"""Stands between lifeboat and Docker, passes everything on, and says no where it is told to.

    with DockerProxy(docker) as proxy:
        refusal = proxy.refuse("POST", r"/containers/[^/]+/exec$", 403, "not here")
        stack.lifeboat("backup", env=proxy.env)
        refusal.count                       how often it said so
        proxy.change("POST", r"/volumes/create$", lambda body: dict(body, Driver="other"))
        proxy.watch("POST|PUT|DELETE", "", before=lambda number: ...)

Each connection carries one request, so that every one is seen. What has begun as a stream stays one.
"""

import itertools
import json
import os
import re
import shutil
import socket
import tempfile
import threading
from pathlib import Path


class Rule:
    def __init__(self, method, path, act, count=0):
        self.method, self.path, self.act, self.count = method, re.compile(path), act, count

    def fits(self, method, path):
        return re.fullmatch(self.method, method) and self.path.search(path) is not None


class DockerProxy:
    def __init__(self, docker):
        self.docker = docker
        self.folder = Path(tempfile.mkdtemp(prefix="lb-proxy-"))
        os.chmod(self.folder, 0o755)
        self.path = self.folder / "docker.sock"
        self.rules, self.open = [], set()
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.door.bind(str(self.path))
        self.door.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.door.fileno() >= 0:
            # close() alone does not wake who waits in accept().
            self.door.shutdown(socket.SHUT_RDWR)
            self.door.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def env(self):
        return {"DOCKER_HOST": "unix://%s" % self.path}

    def refuse(self, method, path, status, message, after=0):
        """With `after`, only when so many bytes of the body have come."""
        def act(client, head, rest):
            while len(rest) < after:
                more = client.recv(65536)
                if not more:
                    break
                rest += more
            body = json.dumps({"message": message}).encode()
            client.sendall(b"HTTP/1.1 %d No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                           b"Connection: close\r\n\r\n" % (status, len(body)) + body)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        return self._add(Rule(method, path, act))

    def watch(self, method, path, before=None, after=None):
        """before(number) is called for each, from 0, before it is passed on; after(number, answer) when all of
        the daemon's answer has come."""
        numbers = itertools.count()

        def act(client, head, rest):
            number, said = next(numbers), bytearray()
            if before:
                before(number)
            self._pass(client, head, rest, said)
            if after:
                after(number, bytes(said))
        return self._add(Rule(method, path, act))

    def cut(self):
        """As if the daemon had ended: what runs breaks off, and nobody answers any more."""
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        for end in list(self.open):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def change(self, method, path, how):
        """The body, JSON, becomes what `how` makes of it; None leaves it."""
        def act(client, head, rest):
            length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head).group(1))
            while len(rest) < length:
                rest += client.recv(65536)
            body = how(json.loads(rest))
            rest = rest if body is None else json.dumps(body).encode()
            head = re.sub(rb"(?i)\r\ncontent-length: *\d+", b"\r\nContent-Length: %d" % len(rest), head)
            self._pass(client, head, rest)
        return self._add(Rule(method, path, act))

    def _add(self, rule):
        self.rules.append(rule)
        return rule

    def _accept(self):
        while True:
            try:
                client, _ = self.door.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            try:
                data = b""
                while b"\r\n\r\n" not in data:
                    more = client.recv(65536)
                    if not more:
                        return
                    data += more
                head, rest = data.split(b"\r\n\r\n", 1)
                method, path = head.split(b"\r\n", 1)[0].decode().split(" ")[:2]
                path = re.sub(r"^/v[\d.]+(?=/)", "", path.split("?")[0])
                for rule in self.rules:
                    if rule.fits(method, path):
                        rule.count += 1
                        rule.act(client, head, rest)
                        return
                self._pass(client, head, rest)
            except OSError:
                pass

    def _pass(self, client, head, rest, said=None):
        if not re.search(rb"(?i)\r\nupgrade:", head):
            head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head) + b"\r\nConnection: close"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.connect(self.docker.socket)
            server.sendall(head + b"\r\n\r\n" + rest)
            self.open |= {client, server}
            back = threading.Thread(target=self._pump, args=(server, client, said), daemon=True)
            back.start()
            self._pump(client, server)
            back.join()
            self.open -= {client, server}

    @staticmethod
    def _pump(source, to, said=None):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if said is not None and len(said) < 65536:
                    said += data
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            # Whoever reads on the other side must not wait for ever.
            for end in (source, to):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
