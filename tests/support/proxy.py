"""A PostgreSQL server that says it is another version: passes everything on and changes one number on the way."""

import re
import socket
import threading


class VersionProxy:
    """Listens on .port; what the server at `target` says of its major version becomes `version`, of the same length."""

    def __init__(self, target, actual, version):
        self.target, self.actual, self.version = target, actual.encode(), version.encode()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def close(self):
        self.socket.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source, to, change):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if change:
                    data = re.sub(rb"\b%s(\.\d+ \(|00\d\d\b)" % self.actual, self.version + rb"\1", data)
                to.sendall(data)
        except OSError:
            pass
        for end in (source, to):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
