"""[notify NAME]: who is told what, by real HTTP and SMTP, and what a notifier that is down costs."""

import json
import base64
import email
import email.policy
import quopri
import re
import signal
import socket
import ssl
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from daemon_case import CONF, DaemonCase, set_clock
from stack import Stack, free_port, run, wait_for


class Hook:
    """Takes what is posted. `status` and `delay` make it refuse or be slow; `script` holds what the next ones are
    answered, as (status, headers, body)."""

    def __init__(self, port=0, tls=None):
        self.got, self.status, self.delay, self.script, self.times = [], 200, 0, [], []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                time.sleep(hook.delay)
                hook.times.append(time.monotonic())
                hook.got.append((self.path, body))
                status, headers, said = hook.script.pop(0) if hook.script else (hook.status, {}, b"")
                self.send_response(status)
                for name, value in {"Content-Length": len(said), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                for i in range(0, len(said), 20):
                    self.wfile.write(said[i:i + 20])
                    time.sleep(hook.delay)

            def log_message(self, *_):
                pass
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = "%s://127.0.0.1:%d" % ("https" if tls else "http", self.server.server_port)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def at(self, path):
        return [json.loads(body) if body.startswith("{") else body for p, body in self.got if p == path]

    def wait(self, path, count=1, seconds=20):
        wait_for("%d at %s, there is %s" % (count, path, self.got), lambda: len(self.at(path)) >= count, seconds)
        return self.at(path)


class Mails:
    """One SMTP server for one test: takes everything, remembers what was said. TLS by STARTTLS, or at once."""

    def __init__(self, tls=None, at_once=False):
        self.tls, self.at_once = tls, at_once
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.said, self.mails = [], []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            try:
                if self.at_once:
                    peer = self.tls.wrap_socket(peer, server_side=True)
                peer.sendall(b"220 test\r\n")
                while self.talk(peer):
                    peer = self.tls.wrap_socket(peer, server_side=True)
            except OSError:
                pass
            finally:
                peer.close()

    def talk(self, peer):
        """Until the other one goes; True: TLS is to begin."""
        secret = isinstance(peer, ssl.SSLSocket)
        with peer.makefile("rb") as lines:
            for line in lines:
                self.said.append(line.decode().strip())
                word = line[:4].upper()
                if word == b"STAR":
                    peer.sendall(b"220 go\r\n")
                    return True
                if word == b"RCPT" and (b"none@" in line or b"busy@" in line):
                    peer.sendall(b"550 5.1.1 no such user\r\n" if b"none@" in line else b"451 4.7.1 come again\r\n")
                    continue
                if word == b"DATA":
                    peer.sendall(b"354 go\r\n")
                    mail = b""
                    for part in lines:
                        if part == b".\r\n":
                            break
                        mail += part[1:] if part.startswith(b"..") else part
                    self.mails.append(mail)
                if word == b"AUTH":
                    peer.sendall(b"334 \r\n")
                    self.said.append("LOGIN " + lines.readline().decode().strip())
                answers = {b"QUIT": b"221 bye\r\n", b"AUTH": b"235 ok\r\n",
                           b"EHLO": b"250-test\r\n250 AUTH PLAIN\r\n" if secret
                           else b"250-test\r\n250 STARTTLS\r\n" if self.tls else b"250 test\r\n"}
                peer.sendall(answers.get(word, b"250 ok\r\n"))
        return False

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def certificate(folder, name):
    """A server's TLS, with a certificate of its own for that name, in cert.pem."""
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=" + name, "-keyout", folder / "key.pem",
         "-out", folder / "cert.pem"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return tls


class Notify(DaemonCase):
    def setUp(self):
        super().setUp()
        self.hook = Hook()
        self.addCleanup(self.hook.close)

    def state_file(self):
        return json.loads((self.stack.folder / "state" / "hdms.notify.json").read_text())

    def test_failure_once_then_recovery_in_every_body(self):
        url = self.hook.url
        with self.daemon("""[hook]
before_backup = test -e good || { echo 'no <b>"room"</b> @everyone' >&2; exit 3; }
[schedule]
retries = 0
[notify own]
url = %(url)s/own
[notify chat]
kind = slack
url = %(url)s/slack
[notify game]
kind = discord
url = %(url)s/discord
on = failure
[notify card]
kind = teams
url = %(url)s/teams
[notify phone]
kind = ntfy
url = %(url)s/ntfy
[notify mine]
url = %(url)s/mine
on = success, failure
template = {"t": "{title}", "x": {"job": "{job}", "m": "{message}"}}
[notify shell]
command = echo "$$LIFEBOAT_EVENT $$LIFEBOAT_JOB $$LIFEBOAT_TITLE" >> told""" % {"url": url}) as d:
            for n in (1, 2):
                d.signal(signal.SIGUSR1)
                d.ended(n)
            own = self.hook.wait("/own")[0]
            self.assertEqual((own["event"], own["stack"], own["job"], own["outcome"], own["title"], own["reminder"]),
                             ("failure", "hdms", "backup", "failure", "hdms: backup failed", False))
            self.assertIn('no <b>"room"</b> @everyone', own["message"])
            self.assertIn("&lt;b&gt;", self.hook.wait("/slack")[0]["text"])
            self.assertEqual(self.hook.wait("/discord")[0]["allowed_mentions"], {"parse": []})
            self.assertEqual(self.hook.wait("/teams")[0]["attachments"][0]["content"]["body"][0]["text"],
                             "hdms: backup failed")
            self.assertIn("@everyone", self.hook.wait("/ntfy")[0])
            mine = self.hook.wait("/mine")[0]
            self.assertEqual((mine["t"], mine["x"]["job"], mine["x"]["m"]),
                             (own["title"], "backup", own["message"]))
            (self.stack.folder / "good").touch()
            d.signal(signal.SIGUSR1)
            run = d.ended(3)
            recovery = self.hook.wait("/own", 2)[1]
            self.assertEqual((recovery["event"], recovery["backup"]), ("recovery", run["backup"]))
            self.assertEqual(self.hook.wait("/mine", 2)[1]["t"], "hdms: backup succeeded")
            self.hook.wait("/slack", 2)
            wait_for("the command", lambda: (self.stack.folder / "told").read_text().splitlines() == [
                "failure backup hdms: backup failed", "recovery backup hdms: backup works again"])
            self.assertEqual(len(self.hook.at("/discord")), 1)
            self.assertEqual(len(self.hook.at("/own")), 2)
            wait_for("all to be sent", lambda: not any(self.state_file()["queues"].values()))
            self.assertNotIn(url + "/", d.log())
            d.stop()
        self.assert_nothing_left()

    def test_ping_only_after_a_drill_that_passes(self):
        # A drill needs something to prove.
        self.stack.close()
        self.stack = Stack(populate=False, components=("redis",))
        self.addCleanup(self.stack.close)
        self.stack.start()
        self.stack.redis("SET", "ticket", "1")
        redis = re.search(r"\[redis\]\n(?:[^\[\n].*\n|\n)*", self.stack.conf()).group()
        self.stack.write_conf((CONF % self.stack.folder).replace("[volume media]\n", "env_file = .env\n" + redis) + """
[schedule]
drill = 0 2 * * *
retries = 0
[notify alive]
kind = ping
url = %s/id?x=1
""" % self.hook.url)
        self.stack.lifeboat("backup", expect=0)
        set_clock(self.stack, "2030-05-01 01:59:59")
        with self.daemon(env={"LIFEBOAT_FAULT": "before-proof=fail"}) as d:
            self.assertEqual(d.ended(1)["outcome"], "failure")
            self.hook.wait("/id/fail?x=1")
            d.stop()
        self.assertEqual(self.pings(), ["/id/start?x=1", "/id/fail?x=1"])
        set_clock(self.stack, "2030-05-02 01:59:59")
        with self.daemon() as d:
            self.assertEqual(d.ended(2)["outcome"], "success")
            self.hook.wait("/id?x=1")
            # A backup is no proof.
            d.signal(signal.SIGUSR1)
            self.assertEqual(d.ended(3)["outcome"], "success")
            d.stop()
        self.assertEqual(self.pings()[2:], ["/id/start?x=1", "/id?x=1"])
        # Neither is a drill that finds less than was dumped.
        self.stack.redis("FLUSHALL")
        set_clock(self.stack, "2030-05-03 01:59:59")
        self.stack.lifeboat("backup", expect=0, env={"LIFEBOAT_CLOCK_OFFSET": self.stack.folder / "clock"})
        with self.daemon() as d:
            self.assertEqual(d.ended(4)["outcome"], "unverified")
            self.hook.wait("/id/fail?x=1", 2)
            d.stop()
        self.assertEqual(self.pings()[4:], ["/id/start?x=1", "/id/fail?x=1"])

    def pings(self):
        """All that there ever will be: none waits to be sent."""
        self.assertEqual(self.state_file()["queues"]["alive"], [])
        return [path for path, _ in self.hook.got]

    def test_overdue_and_unproven_when_nothing_ever_runs(self):
        set_clock(self.stack, "2030-05-01 01:50:00")
        with self.daemon("""[schedule]
backup = 0 2 * * *
overdue = 1h
catch_up = 0s
[notify ops]
remind = 10d
url = %s/ops""" % self.hook.url) as d:
            d.set_clock("2030-05-01 09:00:00")
            first = self.hook.wait("/ops")[0]
            self.assertEqual((first["event"], first["job"], first["title"]),
                             ("overdue", "backup", "hdms: backup is overdue"))
            self.assertEqual(d.state()["history"], [])
            said = self.stack.lifeboat("status", "--metrics", "/dev/stdout", env={"LIFEBOAT_CLOCK_OFFSET": d.clock_path})
            self.assertIn('lifeboat_job_overdue{stack="hdms",job="backup"} 1\n', said.out)
            self.assertNotEqual(said.code, 0)
            wait_for("the state", lambda: not any(self.state_file()["queues"].values()))
            d.stop()
        with self.daemon() as d:
            d.set_clock("2030-05-06 09:00:00")
            time.sleep(0.3)
            self.assertEqual(len(self.hook.got), 1, "a restart repeats what was told")
            d.set_clock("2030-05-16 09:00:00")
            self.hook.wait("/ops", 3)
            self.assertEqual(sorted((n["event"], n["reminder"]) for n in self.hook.at("/ops")[1:]),
                             [("overdue", True), ("unproven", False)])
            d.stop()

    def test_down_and_slow_notifiers_stop_nothing_and_are_tried_again(self):
        port = free_port()
        self.hook.delay = 3
        with self.daemon("""[hook]
before_backup = test -e good
[schedule]
retries = 0
[notify down]
url = http://127.0.0.1:%d/secret-path
[notify slow]
url = %s/slow
timeout = 300ms
retries = 0
[notify quick]
command = echo "$$LIFEBOAT_EVENT" >> told""" % (port, self.hook.url)) as d:
            d.signal(signal.SIGUSR1)
            d.ended(1)
            wait_for("the quick one", lambda: (self.stack.folder / "told").exists(), 3)
            d.wait_log("notify down: POST 'http://127.0.0.1:%d/...': " % port)
            d.wait_log("given up: 'hdms: backup failed' was not told")
            (self.stack.folder / "good").touch()
            began = time.monotonic()
            d.signal(signal.SIGUSR1)
            run = d.ended(2)
            self.assertEqual(run["outcome"], "success", run)
            self.assertLess(time.monotonic() - began, 10)
            wait_for("both to wait", lambda: len(self.state_file()["queues"]["down"]) == 2)
            self.assertNotIn("secret-path", d.log())
            self.assert_told_by_status(d, port)
            d.stop()
        late = Hook(port)
        self.addCleanup(late.close)
        with self.daemon() as d:
            late.wait("/secret-path", 2)
            self.assertEqual([n["event"] for n in late.at("/secret-path")], ["failure", "recovery"])
            wait_for("nothing to wait", lambda: not self.state_file()["queues"]["down"])
            wait_for("it to be said to work", lambda: [d.state()["notifiers"][0][key] for key in (
                "failing_since", "error", "waiting", "lost")] == [None, None, 0, 0])
            # What the slow one has lost is not forgotten by a restart.
            self.assertEqual(d.state()["notifiers"][1]["lost"], 2)
            d.stop()
        self.assert_nothing_left()

    def assert_told_by_status(self, d, port):
        """Who could not be told: how much waits and is lost, since when, and why."""
        down, slow, quick = wait_for("all to be known", lambda: [
            n for n in (d.state()["notifiers"],)
            # Between two tries: while one is under way there is no time for the next.
            if (n[0]["waiting"], n[1]["lost"], n[2]["waiting"]) == (2, 2, 0) and n[0]["retry_at"]])[0]
        self.assertEqual((down["notifier"], slow["notifier"], quick["notifier"]), ("down", "slow", "quick"))
        self.assertIn("POST 'http://127.0.0.1:%d/...': " % port, down["error"])
        self.assertRegex(down["failing_since"], r"^\d{4}-")
        self.assertRegex(down["retry_at"], r"^\d{4}-")
        self.assertEqual((slow["waiting"], quick), (0, dict(quick, waiting=0, lost=0, failing_since=None, error=None,
                                                           retry_at=None)))
        said = self.stack.lifeboat("status", "--html", "page.html", "--metrics", "metrics", expect=2)
        self.assertRegex(said.out, "notify +'down' can't be told: notices waiting 2, lost 0, first failure ")
        self.assertRegex(said.out, "notify +'slow' can't be told: notices waiting 0, lost 2, first failure ")
        self.assertIn("notifier 'down' could not be told for ", said.out)
        metrics = (self.stack.folder / "metrics").read_text()
        for sample in ('up{stack="hdms",notifier="down"} 0', 'up{stack="hdms",notifier="quick"} 1',
                       'waiting_notices{stack="hdms",notifier="down"} 2', 'lost_notices{stack="hdms",notifier="slow"} 2'):
            self.assertIn("lifeboat_notifier_%s\n" % sample, metrics)
        page = (self.stack.folder / "page.html").read_text()
        self.assertEqual((page.count("can\u2019t be told</span>"), page.count("works</span>")), (2, 1))
        self.assertNotIn("secret-path", page + metrics + said.out)

    def test_refused_configuration_is_told_and_that_it_is_mended(self):
        with self.daemon("[notify ops]\nurl = %s/ops" % self.hook.url) as d:
            good = self.stack.conf()
            self.stack.write_conf(good + "[schedule]\nbackup = never\n")
            for _ in range(2):
                d.signal(signal.SIGHUP)
                refused = self.hook.wait("/ops")[0]
            self.assertEqual((refused["event"], refused["job"], refused["title"]),
                             ("failure", None, "hdms: agent.conf was refused"))
            self.assertIn("the minute 'never' is none\nHint: ", refused["message"])
            self.assertIn("\nThe one of %s stays in use." % d.state()["loaded"], refused["message"])
            self.stack.write_conf(good)
            d.signal(signal.SIGHUP)
            told = self.hook.wait("/ops", 2)
            self.assertEqual([n["title"] for n in told[1:]], ["hdms: agent.conf is accepted again"])
            self.assertEqual(told[1]["event"], "recovery")
            d.stop()
        self.assertEqual(len(self.hook.got), 2)

    def test_broken_memory_and_reload(self):
        state = self.stack.folder / "state"
        state.mkdir()
        (state / "hdms.notify.json").write_text('{"alarms": [')
        with self.daemon("[hook]\nbefore_backup = false\n[schedule]\nretries = 0") as d:
            d.signal(signal.SIGUSR1)
            d.ended(1)
            # It was failing before there was anyone to tell.
            self.stack.write_conf(self.stack.conf() + "[notify ops]\nurl = %s/ops\n" % self.hook.url)
            d.signal(signal.SIGHUP)
            self.assertEqual(self.hook.wait("/ops")[0]["title"], "hdms: backup failed")
            d.wait_log("hdms.notify.json'")
            self.stack.write_conf(self.stack.conf().replace("/ops", "/moved").replace("false", "true"))
            d.signal(signal.SIGHUP)
            d.wait_log("configuration read again", 2)
            d.signal(signal.SIGUSR1)
            d.ended(2)
            self.assertEqual(self.hook.wait("/moved")[0]["event"], "recovery")
            self.stack.write_conf(self.stack.conf().split("[notify")[0])
            d.signal(signal.SIGHUP)
            d.wait_log("configuration read again", 3)
            d.stop()
        self.assertEqual(len(self.hook.got), 2)
        self.assert_nothing_left()

    def test_mail_by_starttls(self):
        folder = self.stack.folder
        mails = Mails(certificate(folder, "IP:127.0.0.1"))
        self.addCleanup(mails.close)
        self.configure("""[notify mail]
url = smtp://127.0.0.1:%d
from = agent@example.com
to = ops@example.com
user = me
password = s3cret
ca_file = cert.pem""" % mails.port)
        self.stack.lifeboat("notify", "--test", expect=0)
        self.assertEqual(len(mails.mails), 1)
        login = [w for w in mails.said if w.startswith("LOGIN ")]
        self.assertEqual(base64.b64decode(login[0].split()[-1]), b"\0me\0s3cret")
        self.stack.write_conf(self.stack.conf().replace("ca_file = cert.pem\n", ""))
        r = self.stack.lifeboat("notify", "--test", expect=1)
        self.assertIn("certificate", r.out)
        self.assertNotIn("s3cret", r.out + r.err)
        self.assertEqual(len(mails.mails), 1)

    def test_mail_by_tls_from_the_start(self):
        mails = Mails(certificate(self.stack.folder, "IP:127.0.0.1"), at_once=True)
        self.addCleanup(mails.close)
        self.configure("""[notify mail]
url = smtps://127.0.0.1:%d
from = agent@example.com
to = ops@example.com
user = me
password = s3cret
ca_file = cert.pem""" % mails.port)
        self.stack.lifeboat("notify", "--test", expect=0)
        self.assertEqual(len(mails.mails), 1)
        self.assertIn("Nothing is wrong.", quopri.decodestring(mails.mails[0]).decode())

    def test_receiver_that_asks_to_wait_is_given_time_and_one_that_refuses_is_left_alone(self):
        self.hook.script = [(429, {"Retry-After": "2"}, b""), (200, {}, b""), (403, {}, b"no such hook a-secret-key")]
        with self.daemon("""[hook]
before_backup = false
[schedule]
retries = 0
[notify ops]
url = %s/services/a-secret-key
on = failure, recovery""" % self.hook.url) as d:
            d.signal(signal.SIGUSR1)
            d.ended(1)
            self.hook.wait("/services/a-secret-key", 2)
            first, second = self.hook.times
            self.assertGreaterEqual(second - first, 2)
            wait_for("nothing to wait", lambda: not self.state_file()["queues"]["ops"])
            self.stack.write_conf(self.stack.conf().replace("= false", "= true"))
            d.signal(signal.SIGHUP)
            d.wait_log("configuration read again")
            d.signal(signal.SIGUSR1)
            d.ended(2)
            d.wait_log("notify ops: it answered 403; given up: 'hdms: backup works again' was not told")
            wait_for("nothing to wait", lambda: not self.state_file()["queues"]["ops"])
            self.assertEqual(len(self.hook.got), 3)
            self.assertNotIn("a-secret-key", d.log())
            d.stop()
        self.assertEqual(len(self.hook.got), 3)
        self.assert_nothing_left()

    def test_receivers_that_lead_elsewhere_dawdle_or_are_somebody_else(self):
        other, wrong = Hook(), Hook(tls=certificate(self.stack.folder, "DNS:other.example"))
        self.addCleanup(other.close)
        self.addCleanup(wrong.close)
        self.configure("""[notify moved]
url = %s/services/a-secret-key
timeout = 5s
[notify unknown]
url = %s/hook
[notify other]
url = %s/services/a-secret-key
ca_file = cert.pem
""" % (self.hook.url, wrong.url, wrong.url))
        for status in (301, 302, 307, 308):
            self.hook.script = [(status, {"Location": other.url + "/services/a-secret-key"}, b"")]
            r = self.stack.lifeboat("notify", "--test", "moved", expect=1)
            self.assertIn("moved (webhook): failed: it answered %d\n  HINT: it moved; nothing is sent" % status, r.out)
            self.assertNotIn("a-secret-key", r.out + r.err)
        self.assertEqual(other.got, [])
        # What it says is told, but not when it says the key.
        self.hook.script = [(400, {}, b"no text"), (400, {}, b"unknown: a-secret-key"), (400, {}, b"x\x1b[2J\n")]
        self.assertIn("it answered 400: no text\n", self.stack.lifeboat("notify", "--test", "moved", expect=1).out)
        self.assertIn("it answered 400\n", self.stack.lifeboat("notify", "--test", "moved", expect=1).out)
        self.assertIn("it answered 400: x [2J \n", self.stack.lifeboat("notify", "--test", "moved", expect=1).out)
        r = self.stack.lifeboat("notify", "--test", "unknown", expect=1)
        self.assertRegex(r.out, "unknown .webhook.: failed: .*certificate.*\n  HINT: An authority of your own is named by ca_file")
        r = self.stack.lifeboat("notify", "--test", "other", expect=1)
        self.assertRegex(r.out, "other .webhook.: failed: .*no alternative certificate subject name matches")
        self.assertNotIn("a-secret-key", r.out + r.err)
        self.assertEqual(wrong.got, [])
        # One that always says a little more takes no longer than `timeout`.
        self.stack.write_conf(self.stack.conf().replace("timeout = 5s", "timeout = 1s"))
        self.hook.delay, self.hook.script = 0.2, [(200, {}, b"." * 1000)]
        began = time.monotonic()
        r = self.stack.lifeboat("notify", "--test", "moved", expect=1)
        self.assertLess(time.monotonic() - began, 5)
        self.assertIn("moved (webhook): failed: it was not done in 1000 ms\n", r.out)

    def test_test_says_how_each_went(self):
        mails = Mails()
        self.addCleanup(mails.close)
        self.hook.status = 404
        self.configure("""[notify ops]
url = %s/a-secret
[notify mail]
url = smtp://127.0.0.1:%d
tls = off
from = Lifeboat <agent@example.com>
to = a@example.com, B <b@example.com>
[notify shell]
command = test "$$LIFEBOAT_EVENT" = test""" % (self.hook.url, mails.port))
        r = self.stack.lifeboat("notify", "--test", expect=1)
        self.assertIn("ops (webhook): failed: it answered 404\n", r.out)
        self.assertIn("mail (mail): sent in ", r.out)
        self.assertIn("shell (command): sent in ", r.out)
        self.assertIn("1 of 3 notifiers failed", r.err)
        self.assertNotIn("a-secret", r.out + r.err)
        self.assertEqual([w for w in mails.said if w[:4] in ("MAIL", "RCPT")],
                         ["MAIL FROM:<agent@example.com>", "RCPT TO:<a@example.com>", "RCPT TO:<b@example.com>"])
        mail = mails.mails[0].decode()
        self.assertIn("\r\nSubject: [lifeboat] hdms: test of Lifeboat's alarms\r\n", mail)
        self.assertIn("Nothing is wrong.", quopri.decodestring(mail.encode()).decode())
        self.stack.lifeboat("notify", "--test", "mail", expect=0)
        # One address that is none keeps the mail from nobody else, and is told.
        conf = self.stack.conf()
        self.stack.write_conf(conf.replace("to = a@", "to = none@"))
        r = self.stack.lifeboat("notify", "--test", "mail", expect=1)
        self.assertIn("it was sent, but not to all of them: 550 5.1.1 no such user\n", r.out)
        self.assertEqual(len(mails.mails), 3)
        name = "Ändy Größe und Söhne Straßenfeger von Übermorgen"
        self.stack.write_conf(conf.replace("to = a@example.com, B", "to = " + name))
        self.stack.lifeboat("notify", "--test", "mail", expect=0)
        mail = email.message_from_bytes(mails.mails.pop(), policy=email.policy.default)
        self.assertEqual(mail["To"].split(), (name + " <b@example.com>").split())
        self.assertEqual(mail.get_body().get_content().splitlines()[:3],
                         ["hdms: test of Lifeboat's alarms", "", "Nothing is wrong. An alarm would look like this."])
        mails.mails.pop()
        self.stack.write_conf(conf.replace("to = a@example.com, B <b@", "to = B <busy@"))
        r = self.stack.lifeboat("notify", "--test", "mail", expect=1)
        self.assertRegex(r.out, "RCPT failed: 451.*: 451 4.7.1 come again\n")
        self.stack.write_conf(conf)
        doc = self.stack.lifeboat("notify", "--json", expect=0).json
        self.assertEqual([n["kind"] for n in doc["notifiers"]], ["webhook", "mail", "command"])
        unknown = self.stack.lifeboat("notify", "x", expect=64)
        self.assertIn("there is no notifier 'x'", unknown.err)
        self.assertIn("HINT: `lifeboat notify` lists them.", unknown.err)
        # Without TLS nothing is sent to a server that has none, unless it is told to.
        self.stack.write_conf(self.stack.conf().replace("tls = off\n", ""))
        r = self.stack.lifeboat("notify", "--test", "mail", expect=1)
        self.assertIn("it offers no TLS", r.out)
        self.assertEqual(len(mails.mails), 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
