"""A real nginx with WebDAV for tests, one process on a free loopback port: TLS by a certificate of its own, one user.

    with WebDav(folder) as server:       server.section("far"), server.place
"""

import base64
import hashlib
import socket
import subprocess
import time
from pathlib import Path

from stack import Failed, free_port, run, wait_for

CONFIGURATION = """load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
daemon off; master_process off; error_log %(folder)s/nginx.log; pid %(folder)s/nginx.pid;
events { worker_connections 64; }
http { access_log off; client_body_temp_path %(folder)s/body; proxy_temp_path %(folder)s/p;
  fastcgi_temp_path %(folder)s/f; uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s; client_max_body_size 0;
  server { listen 127.0.0.1:%(port)d ssl; ssl_certificate %(folder)s/cert.pem; ssl_certificate_key %(folder)s/key.pem;
    location /dav/ { alias %(place)s/; auth_basic store; auth_basic_user_file %(folder)s/users;
      dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS; } } }
"""


class WebDav:
    USER, PASSWORD = "backup", "open-sesame"

    def __init__(self, folder):
        self.folder = Path(folder)
        self.place = self.folder / "stored"
        self.port = free_port()
        self.process = None

    def __enter__(self):
        self.place.mkdir(parents=True)
        sha = base64.b64encode(hashlib.sha1(self.PASSWORD.encode()).digest()).decode()
        (self.folder / "users").write_text("%s:{SHA}%s\n" % (self.USER, sha))
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.folder / "key.pem",
             "-out", self.folder / "cert.pem"])
        (self.folder / "nginx.conf").write_text(CONFIGURATION % {
            "folder": self.folder, "place": self.place, "port": self.port})
        self.start()
        return self

    def start(self):
        log = open(self.folder / "said.log", "ab")
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"], stdin=subprocess.DEVNULL,
            stdout=log, stderr=log)
        log.close()
        wait_for("nginx", self._answers, 20)

    def _answers(self):
        if self.process.poll() is not None:
            raise Failed("nginx ended\n%s" % (self.folder / "said.log").read_text(errors="replace"))
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            time.sleep(0.02)
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def __exit__(self, *_):
        self.stop()

    def section(self, label):
        return ("[store %s]\nurl = davs://127.0.0.1:%d/dav/hdms\nuser = %s\npassword = %s\nca_file = %s/cert.pem\n"
                % (label, self.port, self.USER, self.PASSWORD, self.folder))
