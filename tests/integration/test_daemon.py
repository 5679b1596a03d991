"""lifeboat run: schedules, signals, jobs that hang and crash, a clock that jumps, a state that breaks."""

import json
import os
import signal
import socket
import time
import unittest
import urllib.request

from case import fill, small_disk
from daemon_case import DaemonCase, set_clock
from stack import wait_for


class Signals(DaemonCase):
    def test_usr1_takes_a_backup_now_and_idle_means_idle(self):
        with self.daemon("""[schedule]
backup = 0 2 * * *
[hook]
before_backup = echo "before $$LIFEBOAT_JOB of $$LIFEBOAT_STACK" > facts
after_backup = echo "$$LIFEBOAT_OUTCOME $$LIFEBOAT_BACKUP_ID" >> facts""") as d:
            d.signal(signal.SIGUSR1)
            run = d.ended(1)
            self.assertEqual((run["job"], run["trigger"], run["outcome"], run["due"], run["attempt"]),
                             ("backup", "signal", "success", None, 1))
            self.assertEqual(self.backups(), [run["backup"]])
            self.assertEqual((self.stack.folder / "facts").read_text(),
                             "before backup of hdms\nsuccess %s\n" % run["backup"])
            d.wait_told("STATUS=next: backup at ")
            wait_for("a second without waking up or computing", lambda: d.sleeps_for(1), 20)
            self.assertIsNone(d.running())
            d.stop()
            self.assertIn("STOPPING=1", "\n".join(d.told))
        self.assert_nothing_left()

    def test_hup_reads_a_good_configuration_and_refuses_a_broken_one(self):
        with self.daemon("[schedule]\nbackup = 0 2 * * *") as d:
            good = self.stack.conf()
            self.stack.write_conf(good.replace("0 2 * * *", "0 25 * * *"))
            d.signal(signal.SIGHUP)
            d.wait_log("the hour '25' is none; the configuration of before stays")
            d.wait_log("HINT: allowed are *, 0 to 23, ranges")
            wait_for("READY after RELOADING", lambda: "READY=1" in d.messages()[-1]
                     and any(m.startswith("RELOADING=1\nMONOTONIC_USEC=") for m in d.told))
            first = d.state()["refused"]
            # Jobs too go by the one that was accepted.
            d.signal(signal.SIGUSR1)
            self.assertEqual(d.ended(1)["outcome"], "success")
            self.assertEqual(d.state()["jobs"]["backup"]["schedule"], "0 2 * * *")
            self.stack.write_conf(good.replace("name = hdms", "name = other"))
            d.signal(signal.SIGHUP)
            d.wait_log("the stack's name and state_dir can't change while it runs")
            self.assert_refused_since(d, first)
            self.stack.write_conf(good.replace("backup = 0 2 * * *", "backup = @weekly\ndrill = 0 4 * * sun"))
            d.signal(signal.SIGHUP)
            d.wait_log("configuration read again")
            self.assertIsNone(d.state()["refused"])
            self.assertIn("lifeboat_agent_config_refused{stack=\"hdms\"} 0\n",
                          self.stack.lifeboat("-q", "status", "--metrics", "/dev/stdout").out)
            self.assertEqual(d.state()["jobs"]["backup"]["schedule"], "@weekly")
            self.assertEqual(d.state()["jobs"]["drill"]["schedule"], "0 4 * * sun")
            d.stop()

    def assert_refused_since(self, d, first):
        """Told by status in every form, for as long as it is so: since when, why, what is in use."""
        good = self.stack.conf()
        refused = d.state()["refused"]
        self.assertEqual(refused["since"], first["since"])
        self.assertIn("the hour '25' is none", first["error"]["message"])
        self.assertIn("state_dir can't change", refused["error"]["message"])
        self.stack.write_conf(good.replace("name = other", "name = hdms"))
        said = self.stack.lifeboat("status", "--json", "--html", "page.html", "--metrics", "metrics", expect=2)
        self.assertEqual(said.json["agent"]["refused"], refused)
        self.assertLessEqual(said.json["agent"]["loaded"], refused["since"])
        page = (self.stack.folder / "page.html").read_text()
        self.assertIn("agent.conf was refused", page)
        self.assertIn('<span class="badge bad">refused</span>', page)
        self.assertIn('lifeboat_agent_config_refused{stack="hdms"} 1\n', (self.stack.folder / "metrics").read_text())
        self.assertRegex(self.stack.lifeboat("status").out,
                         "agent.conf was refused .* ago and the one before it is in use: the stack's name and state_dir")

    def test_second_daemon_is_refused(self):
        with self.daemon("") as d:
            d.wait_log("agent.conf schedules nothing: no job runs by itself")
            second = self.stack.lifeboat("run", expect=75)
            self.assertIn("lifeboat run is already there for stack 'hdms': pid %d since " % d.process.pid, second.err)
            d.stop()

    def test_two_daemons_on_one_stack_take_turns(self):
        """Each with a state of its own, as on two hosts: the store's lock is what keeps them apart."""
        with self.daemon("[schedule]\nretries = 10\nretry_wait = 300ms", env={"LIFEBOAT_FAULT": "sidecar=stop"}) as d:
            other = self.stack.folder / "other.conf"
            other.write_text(self.stack.conf().replace("state_dir = state", "state_dir = other"))
            other.chmod(0o600)
            d.signal(signal.SIGUSR1)
            pid = wait_for("its backup to stand still", lambda: d.running() and self.stopped(d.running()["pid"]))
            second = self.stack.start_lifeboat("-c", other, "run")
            try:
                memory = self.stack.folder / "other" / "hdms.json"
                wait_for("the second", memory.exists)
                second.send_signal(signal.SIGUSR1)
                wait_for("its end", lambda: json.loads(memory.read_text())["history"])
                os.kill(pid, signal.SIGCONT)
                self.assertEqual(d.ended(1)["outcome"], "success")
                wait_for("a success", lambda: json.loads(memory.read_text())["history"][0]["outcome"] == "success")
                ran = json.loads(memory.read_text())["history"]
            finally:
                second.terminate()
                err = second.communicate(timeout=30)[1].decode()
            self.assertEqual((ran[-1]["outcome"], ran[-1]["error"]["code"], ran[0]["trigger"]),
                             ("locked", "locked", "retry"), err)
            self.assertIn("pid %d" % pid, ran[-1]["error"]["message"])
            d.stop()
        self.assertEqual(len(self.backups()), 2)
        self.assert_nothing_left()

    @staticmethod
    def stopped(pid):
        with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
            return pid if f.read().rpartition(")")[2].split()[0] == "T" else None

    def test_term_cancels_the_job_which_is_caught_up_after_the_start(self):
        set_clock(self.stack, "2030-05-01 01:59:59")
        with self.daemon("[schedule]\nbackup = 0 2 * * *\n[hook]\nbefore_backup = touch begun; sleep 300 & sleep 300") as d:
            wait_for("the hook", (self.stack.folder / "begun").exists)
            self.assertEqual(wait_for("its note", d.running)["trigger"], "schedule")
            d.stop()
            self.assertEqual(d.last()["outcome"], "cancelled")
            self.assertEqual(d.last()["due"], "2030-05-01T02:00:00Z")
        self.assert_nothing_left()
        self.assertEqual(self.backups(), [])
        set_clock(self.stack, "2030-05-01 07:00:00")
        with self.daemon("[schedule]\nbackup = 0 2 * * *") as d:
            run = d.ended(2)
            self.assertEqual((run["trigger"], run["due"], run["outcome"]),
                             ("catch-up", "2030-05-01T02:00:00Z", "success"))
            d.stop()
        self.assertEqual(len(self.backups()), 1)


class Jobs(DaemonCase):
    def test_hanging_job_is_ended_at_its_deadline(self):
        with self.daemon("""[schedule]
deadline = 1s
retries = 0
[hook]
before_backup = sleep 300
after_backup = echo "$$LIFEBOAT_OUTCOME" > outcome""") as d:
            d.signal(signal.SIGUSR1)
            run = d.ended(1)
            self.assertEqual((run["outcome"], run["error"]["code"]), ("timeout", "timeout"))
            self.assertEqual(run["error"]["message"], "not done after 1.0 s, its deadline")
            # The job itself still cleaned up.
            self.assertEqual((self.stack.folder / "outcome").read_text(), "cancelled\n")
            self.assert_only_daemon(d)
            d.stop()
        self.assert_nothing_left()

    def test_job_that_ignores_its_end_is_killed(self):
        with self.daemon("""[schedule]
deadline = 1s
retries = 0
[hook]
after_backup = echo "$$LIFEBOAT_OUTCOME $$LIFEBOAT_ERROR" > outcome""", env={"LIFEBOAT_FAULT": "sidecar=stop"}) as d:
            d.signal(signal.SIGUSR1)
            run = d.ended(1)
            self.assertEqual((run["outcome"], run["signal"], run["exit_status"]), ("timeout", "KILL", None))
            self.assertIn("it did not end when told to, and was killed", run["error"]["message"])
            self.assertEqual((self.stack.folder / "outcome").read_text(), "timeout %s\n" % run["error"]["message"])
            self.assert_only_daemon(d)
            d.stop()
        self.assertEqual(self.backups(), [])

    def test_crashing_backup_is_tried_again_and_recovers(self):
        with self.daemon("[schedule]\nretries = 1\nretry_wait = 100ms\n[hook]\nafter_backup = echo hook $$LIFEBOAT_OUTCOME",
                         env={"LIFEBOAT_FAULT": "frame=kill"}) as d:
            d.signal(signal.SIGUSR1)
            run = d.ended(2)
            self.assertEqual((run["outcome"], run["signal"], run["trigger"], run["attempt"]),
                             ("crashed", "KILL", "retry", 2))
            self.assertEqual(run["error"]["message"], "its process was killed by SIGKILL")
            self.assertEqual(d.state()["history"][1]["retry_at"][:4], run["began"][:4])
            self.assertEqual(d.state()["jobs"]["backup"]["failures"], 2)
            time.sleep(0.3)
            self.assertEqual(len(d.state()["history"]), 2, "there was one retry too many")
            self.assert_only_daemon(d)
            d.stop()
        with self.daemon() as d:
            self.assertEqual(d.state()["jobs"]["backup"]["failures"], 2)
            d.signal(signal.SIGUSR1)
            self.assertEqual(d.ended(3)["outcome"], "success")
            self.assertEqual(d.state()["jobs"]["backup"]["failures"], 0)
            d.stop()
        self.assertEqual(len(self.backups()), 1)
        # Counters, which no restart set back.
        metrics = self.stack.lifeboat("status", "--metrics", "/dev/stdout").out
        for sample in ('runs_total{stack="hdms",job="backup",outcome="crashed"} 2',
                       'runs_total{stack="hdms",job="backup",outcome="success"} 1',
                       'runs_total{stack="hdms",job="backup",outcome="failure"} 0',
                       'failures_total{stack="hdms",job="backup",kind="crashed"} 2',
                       'failures_total{stack="hdms",job="backup",kind="unreachable"} 0',
                       'consecutive_failures{stack="hdms",job="backup"} 0'):
            self.assertIn("lifeboat_job_%s\n" % sample, metrics)

    def test_status_says_when_it_is_tried_again_and_that_nothing_runs(self):
        with self.daemon("[schedule]\nretry_wait = 1h\n[hook]\nbefore_backup = exit 1") as d:
            d.signal(signal.SIGUSR1)
            d.ended(1)
            said = self.stack.lifeboat("status").out
            self.assertRegex(said, r"(?m)^backup   again \d{4}-\d\d-\d\d \d\d:\d\d, last success never$")
            self.assertNotIn("not running", said)
            d.stop()
        self.assertIn("\nagent    not running: lifeboat run is not there", self.stack.lifeboat("status").out)

    def test_backup_that_lacks_its_copies_alone_is_whole_once_they_are_made(self):
        two = self.stack.folder / "two"
        two.write_text("no folder")
        with self.daemon("[store two]\nurl = file://%s\n[schedule]\nretries = 50\nretry_wait = 100ms" % two) as d:
            d.signal(signal.SIGUSR1)
            self.assertEqual([run["job"] for run in (d.ended(2), d.state()["history"][-1])], ["copy", "backup"])
            two.unlink()
            wait_for("the copy", lambda: d.last("copy")["outcome"] == "success")
            jobs = d.state()["jobs"]
            self.assertEqual((jobs["backup"]["failures"], jobs["backup"]["failing_since"], jobs["copy"]["failures"]), (0, None, 0))
            self.assertNotIn("did not succeed", self.stack.lifeboat("status").out)
            d.stop()
        self.assertEqual(len(self.backups()), 1)

    def test_killed_job_takes_its_grandchildren_along_and_nothing_else(self):
        with self.daemon("""[schedule]
retries = 0
[hook]
before_backup = test -e first || { touch first; sleep 301 & exit 0; }; (sleep 302 & sleep 303; true); true""") as d:
            d.signal(signal.SIGUSR1)
            wait_for("the first hook", (self.stack.folder / "first").exists)
            self.assertEqual(d.ended(1)["outcome"], "success")
            left = wait_for("what the hook leaves in the background, which stays", lambda: self.sleepers(d))
            time.sleep(0.05)
            d.signal(signal.SIGUSR1)
            wait_for("two more", lambda: len(self.sleepers(d)) == 3)
            os.kill(wait_for("its note", d.running)["pid"], signal.SIGKILL)
            self.assertEqual(d.ended(2)["outcome"], "crashed")
            self.assertEqual(self.sleepers(d), left)
            d.stop()

    def sleepers(self, d):
        found = []
        for pid in self.stack.agent_processes():
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    if f.read().startswith(b"sleep"):
                        found.append(pid)
            except OSError:
                pass
        return found

    def test_failing_before_stops_the_job_and_after_runs_by_hand_too(self):
        self.configure("[hook]\nbefore_backup = echo not now >&2; exit 3\nafter_backup = echo $$LIFEBOAT_OUTCOME > outcome")
        done = self.stack.lifeboat("backup", expect=1)
        self.assertIn("hook before_backup: 'sh' exited with status 3: not now", done.err)
        self.assertEqual((self.stack.folder / "outcome").read_text(), "failure\n")
        self.configure("[hook]\nbefore_backup = echo all is well >&2\nafter_backup = exit 1")
        done = self.stack.lifeboat("backup", "--json", expect=0)
        self.assertIn("all is well\nlifeboat: warning: hook after_backup: 'sh' exited with status 1", done.err)
        self.assertEqual(self.backups(), [done.json["id"]])
        # A hook may use lifeboat.
        self.configure("[hook]\nbefore_backup = %s list --json > listed" % os.environ.get("LIFEBOAT", "lifeboat"))
        self.stack.lifeboat("backup", expect=0)
        self.assertEqual(json.loads((self.stack.folder / "listed").read_text())["backups"][0]["id"], done.json["id"])

    def test_daemon_that_is_killed_knows_what_was_lost(self):
        with self.daemon("[schedule]\nretry_wait = 100ms\n[hook]\nbefore_backup = touch begun; test -e go || sleep 300") as d:
            d.signal(signal.SIGUSR1)
            wait_for("the hook", (self.stack.folder / "begun").exists)
            wait_for("its note", d.running)
            d.signal(signal.SIGKILL)
            d.process.wait()
        self.assert_nothing_left()
        (self.stack.folder / "go").touch()
        with self.daemon() as d:
            run = d.ended(2)
            self.assertEqual((run["outcome"], run["trigger"]), ("success", "retry"))
            self.assertEqual(d.state()["history"][1]["outcome"], "lost")
            d.stop()

    def assert_only_daemon(self, d):
        wait_for("jobs to be gone", lambda: self.stack.agent_processes() == [d.process.pid], 10)


class Clock(DaemonCase):
    def test_jumps_forward_and_back_run_everything_once(self):
        set_clock(self.stack, "2030-05-01 00:00:00")
        with self.daemon("[schedule]\nbackup = 0 2 * * *\noverdue = 1h\nretries = 0") as d:
            d.set_clock("2030-05-01 01:59:59")
            run = d.ended(1)
            self.assertEqual((run["trigger"], run["due"]), ("schedule", "2030-05-01T02:00:00Z"))
            # Back over the run: not again.
            d.set_clock("2030-05-01 01:59:59")
            time.sleep(1.5)
            self.assertEqual(len(d.state()["history"]), 1)
            # Forward over the next one, as after a night asleep.
            d.set_clock("2030-05-02 05:00:00")
            run = d.ended(2)
            self.assertEqual((run["trigger"], run["due"]), ("catch-up", "2030-05-02T02:00:00Z"))
            # Too long: given up, and said to be overdue, both once.
            d.set_clock("2030-05-04 20:00:00")
            d.wait_log("backup: missed at 2030-05-03T02:00:00Z, too long ago to catch up")
            d.wait_log("backup: overdue: was due at 2030-05-03T02:00:00Z and has not succeeded since")
            self.assertTrue(d.state()["jobs"]["backup"]["overdue"])
            d.signal(signal.SIGUSR2)
            d.signal(signal.SIGUSR1)
            d.ended(3)
            self.assertFalse(d.state()["jobs"]["backup"]["overdue"])
            d.stop()
            self.assertEqual(d.log().count("overdue:"), 1)
            self.assertEqual(d.log().count("missed at"), 1)
        self.assertEqual(len(self.backups()), 3)


    def test_asleep_over_a_run_catches_it_up_when_it_wakes(self):
        """A machine that sleeps tells nobody when it wakes: it is later, and the timer has run out."""
        set_clock(self.stack, "2030-05-01 01:59:56")
        with self.daemon("[schedule]\nbackup = 0 2 * * *\nretries = 0") as d:
            wait_for("it to sleep", lambda: d.sleeps_for(0.2), 3)
            # By the wall clock, and woken when somebody sets it: TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET.
            timer = next(fd for fd in os.listdir("/proc/%d/fd" % d.process.pid)
                         if "timerfd" in os.readlink("/proc/%d/fd/%s" % (d.process.pid, fd)))
            with open("/proc/%d/fdinfo/%s" % (d.process.pid, timer), encoding="utf-8") as f:
                self.assertRegex(f.read(), r"clockid: 0\n(.*\n)*settime flags: 03\n")
            d.signal(signal.SIGSTOP)
            set_clock(self.stack, "2030-05-01 05:00:00")
            time.sleep(4.5)
            self.assertEqual(d.state()["history"], [])
            d.signal(signal.SIGCONT)
            run = d.ended(1)
            self.assertEqual((run["trigger"], run["due"], run["outcome"]), ("catch-up", "2030-05-01T02:00:00Z", "success"))
            self.assertEqual(run["began"][:13], "2030-05-01T05")
            d.stop()
            self.assertEqual(len(d.state()["history"]), 1)
        self.assertEqual(len(self.backups()), 1)

    def test_days_of_clock_changes_run_it_once(self):
        set_clock(self.stack, "2030-03-31 00:59:59")
        with self.daemon("[schedule]\ntimezone = Europe/Berlin\nbackup = 30 2 * * *\noverdue = 0s") as d:
            # 02:30 is skipped in March, and comes twice in October.
            d.ended(1)
            d.set_clock("2030-04-01 00:29:59")
            d.ended(2)
            d.set_clock("2030-10-27 00:29:59")
            d.ended(3)
            d.set_clock("2030-10-27 01:30:01")
            time.sleep(0.3)
            d.set_clock("2030-10-28 01:29:59")
            d.ended(4)
            self.assertEqual([run["due"] for run in reversed(d.state()["history"])],
                             ["2030-03-31T01:00:00Z", "2030-04-01T00:30:00Z", "2030-10-27T00:30:00Z", "2030-10-28T01:30:00Z"])
            d.stop()


class Port(DaemonCase):
    def test_taken__backups_go_on_and_hup_tries_again(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            self.configure()
            self.stack.write_conf(self.stack.conf().replace("listen = off", "listen = " + address))
            with self.daemon() as d:
                d.wait_log("warning: page: %s: Address already in use\nHINT: Another program listens there" % address)
                d.signal(signal.SIGUSR1)
                self.assertEqual(d.ended(1)["outcome"], "success")
                taken.close()
                d.signal(signal.SIGHUP)
                d.wait_log("page: http://%s/" % address)
                with urllib.request.urlopen("http://%s/healthz" % address, timeout=20) as answer:
                    self.assertEqual(answer.status, 200)
                d.stop()


class State(DaemonCase):
    def test_corrupt_state_is_set_aside(self):
        folder = self.stack.folder / "state"
        folder.mkdir()
        (folder / "hdms.json").write_text('{"version": 1, "jobs": {')
        self.configure("")
        self.assertIn("warning: what lifeboat run knows of its jobs is left out: state file: not JSON",
                      self.stack.lifeboat("status").err)
        with self.daemon("") as d:
            d.wait_log("state file '%s/hdms.json': not JSON" % folder)
            self.assertEqual((folder / "hdms.json.broken").read_text(), '{"version": 1, "jobs": {')
            d.signal(signal.SIGUSR1)
            self.assertEqual(d.ended(1)["outcome"], "success")
            self.assertIn("not JSON", d.state()["warnings"][0])
            d.stop()

    def test_full_disk_stops_no_job(self):
        folder = self.stack.folder / "state"
        folder.mkdir()
        with small_disk(folder, 1):
            with self.daemon("") as d:
                ballast = fill(folder)
                d.signal(signal.SIGUSR1)
                d.wait_log("backup: done in ")
                d.wait_log("warning: state file: ")
                d.wait_log("jobs go on, but a restart would not know of them")
                self.assertEqual(len(self.backups()), 1)
                ballast.unlink()
                d.signal(signal.SIGUSR1)
                self.assertEqual(d.ended(2)["outcome"], "success")
                self.assertEqual(d.log().count("jobs go on"), 1)
                d.stop()

    def test_folder_that_can_not_be_is_an_error_with_a_hint(self):
        (self.stack.folder / "state").write_text("a file")
        self.configure()
        done = self.stack.lifeboat("run", expect=1)
        self.assertIn("state folder '%s/state'" % self.stack.folder, done.err)
        self.assertIn("HINT: name another one: state_dir in [agent]", done.err)


class Watchdog(DaemonCase):
    def test_is_told_as_often_as_it_wants(self):
        with self.daemon("", env={"WATCHDOG_USEC": "400000"}) as d:
            wait_for("two of them", lambda: "\n".join(d.messages()).count("WATCHDOG=1") >= 2, 10)
            d.stop()

    def test_without_a_manager_it_just_runs(self):
        self.configure()
        process = self.stack.start_lifeboat("run")
        wait_for("the state", (self.stack.folder / "state" / "hdms.json").exists)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        self.assertEqual((process.returncode, out), (0, b""), err)
        self.assertIn(b"ending, as SIGINT says", err)


if __name__ == "__main__":
    unittest.main()
