"""The page's web server in `lifeboat run`: what it answers, who may ask, and what it stands."""

import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from agent import Agent
from stack import wait_for

TOKEN = "correct-horse-battery-staple"
HOSTILE = "<script>alert(1)</script>\"'&"


class WebCase(unittest.TestCase):
    def folder(self):
        path = Path(tempfile.mkdtemp(prefix="lb-web-"))
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def agent(self, **more):
        agent = Agent(self.folder(), **more)
        self.addCleanup(agent.stop)
        return agent


class Answers(WebCase):
    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.mkdtemp(prefix="lb-web-")
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        cls.served = Agent(cls.place, start=False)
        cls.ids = cls.served.history.write(days=30)
        bad = cls.served.history.backup(cls.served.history.now.replace(hour=0, minute=1), 77, label=HOSTILE)
        cls.served.history.drill(bad, cls.served.history.now.replace(hour=0, minute=2), "failed", differences=[
            {"component": "postgres", "where": "table 'public.%s'" % HOSTILE, "what": "rows", "expected": "1",
             "found": HOSTILE}], error="\x1b[31m\u202eevil")
        cls.served.start()
        cls.addClassCleanup(cls.served.stop)

    def test_json__is_what_status_prints(self):
        status, headers, text = self.served.get("/api/v1/status")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        printed = json.loads(self.served.lifeboat("status", "--json").stdout)
        served = json.loads(text)
        for name in ("stack", "level", "verdict", "backups", "broken", "drills", "days", "not_backed_up"):
            self.assertEqual(served[name], printed[name], name)
        self.assertEqual(served["newest"]["id"], printed["newest"]["id"])

    def test_every_answer__has_headers_that_keep_others_out(self):
        for path in ("/", "/metrics", "/api/v1/status", "/healthz", "/nothing"):
            headers = self.served.get(path)[1]
            self.assertIn("default-src 'none'", headers["Content-Security-Policy"], path)
            self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"], path)
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff", path)
            self.assertEqual(headers["Cache-Control"], "no-store", path)
            self.assertEqual(headers["Referrer-Policy"], "no-referrer", path)

    def test_html__hostile_names__are_text(self):
        for path in ("/",):
            status, headers, text = self.served.get(path)
            self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
            self.assertNotIn("<script", text.lower())
            self.assertIn("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;", text)
            self.assertNotRegex(text, "[\x00-\x08\x0b-\x1f\u202e]")

    def test_metrics__promtool_finds_nothing(self):
        text = self.served.get("/metrics")[2]
        done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        self.assertEqual((done.returncode, done.stdout.decode()), (0, ""))
        self.assertRegex(text, r'(?m)^lifeboat_store_up\{stack="hdms",store="local",site=""\} 1$')

    def test_paths__that_lead_nowhere__are_404_and_start_nothing(self):
        for path in ("/x", "/backups/", "/backups/../..", "/backups/--help", "/api/v1/", "/api/v1/backups/x;y", "//", "/%2e%2e/"):
            self.assertEqual(self.served.get(path)[0], 404, path)
        # An id that could be one: the child says that there is none.
        self.assertEqual(self.served.get("/api/v1/backups/20200101T000000Z-0000")[0], 404)

    def test_methods__that_change_things__are_405(self):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
            status, headers, _ = self.served.get("/", method)
            self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"), method)
        self.assertEqual(self.served.get("/", "POST", body="x" * 100000)[0], 405)
        self.assertEqual(self.served.get("/", "HEAD")[2], "")

    def test_host__of_somebody_elses_page__is_misdirected(self):
        for host, status in (("evil.example", 421), ("127.0.0.1.evil.example:80", 421), ("localhost:1", 200),
                             ("127.0.0.1", 200), ("[::1]:5", 200), ("[evil]", 421)):
            self.assertEqual(self.served.get("/metrics", headers={"Host": host})[0], status, host)

    def test_a_thousand_requests_at_once__all_are_answered_by_one_child(self):
        self.served.get("/")
        statuses, lock = [], threading.Lock()
        doors = [socket.create_connection(("127.0.0.1", self.served.port), 60) for _ in range(1000)]
        began = self.served.cpu_seconds()

        def drain(part):
            for door in part:
                data = b""
                while True:
                    more = door.recv(65536)
                    if not more:
                        break
                    data += more
                with lock:
                    statuses.append(data[:15])
                door.close()
        for door in doors:
            door.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        threads = [threading.Thread(target=drain, args=(doors[i::20],)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual((len(statuses), set(statuses)), (1000, {b"HTTP/1.1 200 OK"}))
        self.assertLess(self.served.cpu_seconds() - began, 10)

    def test_garbage_and_floods__it_goes_on_answering(self):
        for data in (b"\0" * 5000, b"GET", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 4000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000,
                     b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                     b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
                     b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET /%00%ff%zz HTTP/1.0\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.served.port), 10) as door:
                door.settimeout(0.3)
                try:
                    door.sendall(data)
                    door.recv(4096)
                except OSError:
                    pass
            self.assertEqual(self.served.get("/healthz")[0], 200)

    def test_slow_clients__block_nobody(self):
        slow = []
        for i in range(300):
            door = socket.create_connection(("127.0.0.1", self.served.port), 10)
            # A third of them asks for more than fits into any buffer, and reads none of it.
            whole = i % 3 == 0
            door.setblocking(not whole)
            door.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 300 if whole else b"GET / HTTP/1.1\r\nHost: 127.0")
            slow.append(door)
        began = time.monotonic()
        self.assertEqual(self.served.get("/healthz")[0], 200)
        self.assertLess(time.monotonic() - began, 12)
        for door in slow:
            door.close()
        self.assertEqual(self.served.get("/")[0], 200)


class Access(WebCase):
    def refused(self, more, host, *texts):
        agent = Agent(self.folder(), more=more, host=host, start=False)
        done = agent.lifeboat("run")
        self.assertEqual(done.returncode, 78, done.stderr)
        for text in texts:
            self.assertIn(text, done.stderr.decode())

    def test_beyond_loopback__without_token_or_tls__is_a_mistake(self):
        self.refused("", "0.0.0.0", "others can reach '0.0.0.0:", "HINT: Set token, or tls_cert and tls_key")
        self.refused("token = short\n", "127.0.0.1", "'token' in [agent] has less than 16 characters")
        self.refused("tls_cert = x.pem\n", "127.0.0.1", "'tls_cert' without 'tls_key'")
        self.refused("", "example.org", "is not ADDRESS:PORT")

    def test_token__missing_wrong_right_and_as_cookie(self):
        agent = self.agent(more="token = %s\n" % TOKEN, host="0.0.0.0")
        agent.history.write(days=2)
        self.assertEqual(agent.get("/healthz")[0], 200)
        for path in ("/", "/metrics", "/api/v1/status", "/nothing", "/?token=wrong-wrong-wrong-wrong", "/metrics?token=" + TOKEN):
            status, headers, _ = agent.get(path)
            self.assertEqual((status, headers["WWW-Authenticate"]), (401, 'Bearer realm="lifeboat"'), path)
        for value in ("Bearer wrong", "Bearer ", "Basic " + TOKEN, TOKEN, "Bearer %s " % TOKEN[:-1]):
            self.assertEqual(agent.get("/metrics", headers={"Authorization": value})[0], 401, value)
        self.assertEqual(agent.get("/metrics", headers={"Authorization": "Bearer " + TOKEN})[0], 200)
        # A name is fine with a token.
        self.assertEqual(agent.get("/metrics", headers={"Authorization": "Bearer " + TOKEN, "Host": "backup.example"})[0], 200)
        status, headers, _ = agent.get("/?token=" + TOKEN)
        self.assertEqual((status, headers["Location"]), (303, "./"))
        self.assertIn("HttpOnly; SameSite=Strict", headers["Set-Cookie"])
        cookie = headers["Set-Cookie"].split(";")[0]
        self.assertNotIn(TOKEN, cookie)
        self.assertEqual(agent.get("/", headers={"Cookie": cookie})[0], 200)
        self.assertEqual(agent.get("/", headers={"Cookie": cookie[:-1] + "x"})[0], 401)
        self.assertNotIn(TOKEN, agent.said())

    def test_tls__serves_https(self):
        folder = self.folder()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", folder / "k.pem", "-out", folder / "c.pem", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost"], check=True, stderr=subprocess.DEVNULL)
        agent = Agent(folder, more="tls_cert = c.pem\ntls_key = k.pem\n", start=False)
        agent.start(wait=False)
        self.addCleanup(agent.stop)
        context = ssl.create_default_context(cafile=str(folder / "c.pem"))

        def asked():
            try:
                with socket.create_connection(("127.0.0.1", agent.port), 20) as raw:
                    with context.wrap_socket(raw, server_hostname="localhost") as door:
                        door.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                        return door.recv(100)
            except ConnectionRefusedError:
                return b""
        self.assertIn(b"200 OK", wait_for("https", asked))


class Troubles(WebCase):
    def test_store_away__the_page_says_so_and_shows_the_other(self):
        folder = self.folder()
        (folder / "file").write_text("no folder")
        agent = Agent(folder, stores={"local": "url = file://%s/store" % folder,
                                      "far": "url = file://%s/file\nsite = vault" % folder})
        self.addCleanup(agent.stop)
        ids = agent.history.write(days=2)
        status, _, text = agent.get("/")
        self.assertEqual(status, 200)
        self.assertIn("store &#39;far&#39; can&#39;t be reached: ", text)
        self.assertIn("can\u2019t be reached", text)
        self.assertIn(ids[-1], text)
        said = json.loads(agent.get("/api/v1/status")[2])
        self.assertEqual(said["level"], "attention")
        self.assertEqual([s["reachable"] for s in said["stores"]], [True, False])
        self.assertIn('lifeboat_store_up{stack="hdms",store="far",site="vault"} 0', agent.get("/metrics")[2])

    def test_no_store_there__is_danger_and_a_page_all_the_same(self):
        folder = self.folder()
        (folder / "file").write_text("no folder")
        agent = Agent(folder, stores={"far": "url = file://%s/file" % folder})
        self.addCleanup(agent.stop)
        status, _, text = agent.get("/")
        self.assertEqual(status, 200)
        self.assertIn("no store can be reached", text)
        self.assertIn("Danger:", text)

    def test_store_hangs__nobody_else_waits_and_the_page_comes(self):
        with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
            folder = self.folder()
            agent = Agent(folder, stores={
                "local": "url = file://%s/store" % folder,
                "far": "url = dav://127.0.0.1:%d/x\nuser = u\npassword = p\ntimeout = 1s" % silent.getsockname()[1]})
            self.addCleanup(agent.stop)
            agent.history.write(days=2)
            answers = []
            asking = threading.Thread(target=lambda: answers.append(agent.get("/")))
            asking.start()
            time.sleep(0.3)
            began = time.monotonic()
            self.assertEqual(agent.get("/healthz")[0], 200)
            self.assertLess(time.monotonic() - began, 0.9)
            self.assertEqual(answers, [], "the store did not hang")
            asking.join(30)
        self.assertEqual(answers[0][0], 200)
        self.assertIn("store &#39;far&#39; can&#39;t be reached: ", answers[0][2])

    def test_configuration_broken_while_running__the_page_goes_on_with_the_old_one(self):
        agent = self.agent()
        agent.history.write(days=2)
        (agent.folder / "agent.conf").write_text("[stack\nbroken")
        status, _, text = agent.get("/")
        self.assertEqual(status, 200)
        self.assertIn("Safe:", text)


class Idle(WebCase):
    def test_idle__costs_nothing(self):
        agent = self.agent()
        agent.get("/")
        time.sleep(0.5)
        before = agent.cpu_seconds()
        time.sleep(2)
        self.assertLessEqual(agent.cpu_seconds() - before, 0.011)


if __name__ == "__main__":
    unittest.main()
