"""The installed service under a real systemd: a Debian 12 whose servers `lifeboat init` finds, with what init itself
says that is left to do, and nothing else."""

import json
import re
import time
import unittest

from deb import depends, package
from guide import Walk
from machine import Machine
from stack import wait_for

USER = ("runuser", "-u", "lifeboat", "--")
STORE = "/var/lib/lifeboat/backups"
# Production. PgBouncer as a package leaves it, with the application let in.
PREPARE = """
set -e
psql() { runuser -u postgres -- psql -qv ON_ERROR_STOP=1 "$@"; }
psql -c "CREATE ROLE desk LOGIN PASSWORD 'hush-hush'" -c 'CREATE DATABASE hdms OWNER desk'
psql hdms -c 'CREATE TABLE tickets AS SELECT n, md5(n::text) AS text FROM generate_series(1, 5000) n' \
    -c 'ALTER TABLE tickets OWNER TO desk'
redis-cli -e MSET a 1 b 2 c 3
sed -i 's/^\\[databases\\]$/&\\n* = host=127.0.0.1/; s/^auth_type = .*/auth_type = scram-sha-256/' /etc/pgbouncer/pgbouncer.ini
printf '"desk" "hush-hush"\\n' >/etc/pgbouncer/userlist.txt
systemctl restart pgbouncer
"""
HOLD = "runuser -u postgres -- psql -q hdms -c 'BEGIN; LOCK TABLE tickets; SELECT pg_sleep(600)'"
RELEASE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"


class Service(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.deb = package()
        self.machine = Machine(depends(self.deb))
        self.addCleanup(self.machine.close)

    def install(self, deb=None):
        self.machine.copy(deb or self.deb, "/root/lifeboat.deb")
        return self.machine.sh("apt-get -y install --reinstall /root/lifeboat.deb 2>&1")

    def installed(self, schedule="* * * * *"):
        """As docs/install.md says it."""
        machine = self.machine
        machine.sh(PREPARE)
        self.install()
        said = machine("lifeboat", "init", "--output", "/root/agent.conf")
        for found in ("postgres: a server of this machine, on 127.0.0.1:5432",
                      "redis: a server of this machine, on 127.0.0.1:6379",
                      "pgbouncer: a server of this machine, on 127.0.0.1:6432"):
            self.assertIn("found    %s\n" % found, said)
        left = re.findall(r"^fill in  (.*)$", said, re.M)
        commands = [line.split(": ", 1)[1] for line in left if re.search(r": (adduser|runuser) ", line)]
        self.assertEqual(sorted(commands), ["adduser lifeboat postgres", "adduser lifeboat redis",
                                            "runuser -u postgres -- createuser --superuser lifeboat"], said)
        for command in commands:
            machine.sh(command)
        self.assertIn("DB_USER, DB_PASSWORD and DB_NAME, in a file that env_file names", said)
        text = machine("cat", "/root/agent.conf").replace("[stack]\n", "[stack]\nenv_file = /etc/lifeboat/stack.env\n")
        self.assertIn("\nbackup = 0 2 * * *\n", text)
        text = text.replace("backup = 0 2 * * *", "backup = " + schedule).replace("drill = 0 4 * * sun", "drill = " + schedule)
        machine.write("/root/agent.conf", text + "\n")
        machine("install", "-o", "root", "-g", "lifeboat", "-m", "0640", "/root/agent.conf", "/etc/lifeboat/agent.conf")
        self.walk(0)
        checked = machine(*USER, "lifeboat", "check")
        self.assertEqual(re.findall(r"^(?:failed|warning)  .*$", checked, re.M)[1:], [], checked)  # one store is one warning

    def walk(self, number):
        """The blocks of docs/install.md for such a machine, each of them."""
        walk = Walk("docs/install.md", "service", {"helpdesk": "desk", "secret": "hush-hush"},
                    shell=("docker", "exec", "-i", self.machine.name, "sh", "-e"), env=self.machine.docker.env)
        walk.blocks = walk.blocks[number:number + 1]
        walk.all()

    def status(self):
        return json.loads(self.machine.run(*USER, "lifeboat", "status", "--json", check=False).stdout)

    def job(self, kind):
        return ((self.status()["agent"] or {}).get("jobs") or {}).get(kind) or {}

    def backups(self):
        """What lies in the store but evidence and the lock's file."""
        names = self.machine.sh("ls -A %s" % STORE).split()
        return sorted(n for n in names if ".drill-" not in n and not n.startswith("."))

    def journal(self, unit="lifeboat", *args):
        return self.machine("journalctl", "--no-pager", "-o", "cat", "-u", unit, *args)

    def wait_journal(self, text, seconds=90, unit="lifeboat"):
        wait_for("the journal to say %r" % text, lambda: text in self.journal(unit), seconds, 0.2)

    def hold(self):
        """A dump stands still from now on, in the middle of it."""
        self.machine("systemd-run", "--unit=hold", "--collect", "sh", "-c", HOLD)
        wait_for("the lock", lambda: "t" == self.sql("SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock' "
                                                     "AND granted"), 20, 0.1)

    def wait_held(self):
        wait_for("a dump that waits", lambda: "t" == self.sql("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"), 120, 0.2)
        wait_for("its archive", lambda: any(n.endswith(".part") for n in self.backups()), 60, 0.2)

    def release(self):
        self.sql(RELEASE)

    def sql(self, text):
        return self.machine("runuser", "-u", "postgres", "--", "psql", "-qAtc", text, "hdms")

    def unit(self, name, unit="lifeboat"):
        return self.machine("systemctl", "show", "-P", name, unit)

    def assert_nothing_of_it_left(self):
        """No half-made file, process or work folder."""
        self.assertEqual([n for n in self.backups() if n.endswith(".part")], [])
        self.assertEqual(self.machine.run("pgrep", "-u", "lifeboat", "-a", check=False).stdout, b"")
        self.assertEqual(self.machine.sh("ls -A /var/lib/lifeboat/volumes /var/lib/lifeboat/volumes/.lifeboat/work 2>/dev/null | "
                                         "grep -Ev '^(/.*|\\.lifeboat|)$' || true"), "")

    def test_schedule__is_kept_inside_the_sandbox(self):
        self.installed()
        self.machine("systemctl", "enable", "--now", "--quiet", "lifeboat.service")
        self.assertEqual(self.unit("ActiveState"), "active")
        self.assertIn("next: backup at ", self.unit("StatusText"))
        self.sandbox()
        wait_for("a scheduled drill", lambda: self.job("drill").get("last_success"), 180, 1)
        now = self.status()
        for kind in ("backup", "drill"):
            self.assertEqual((now["agent"]["jobs"][kind]["last_success"]["trigger"],
                              now["agent"]["jobs"][kind]["last_success"]["outcome"]), ("schedule", "success"))
        self.assertEqual((now["level"], now["proven"]["proof"], now["proven"]["rows"], now["proven"]["keys"]),
                         ("safe", "passed", 5000, 3))
        self.assertEqual(sorted(now["proven"]["components"]), ["pgbouncer", "postgres", "redis"])
        self.assertEqual(now["proven"]["warnings"], 1, now)  # its console is for its own users
        said = self.journal()
        self.assertRegex(said, r"(?m)^backup: begins \(schedule\)\nbackup: done in .*\ndrill: begins \(schedule\)\ndrill: done in ")
        self.assertNotIn("hush", said)
        self.assertEqual(self.journal("lifeboat", "-p", "err"), "")
        self.reload()
        self.killed()

    def sandbox(self):
        """What the process may do, as the kernel has it."""
        pid = self.unit("MainPID")
        status = dict(re.findall(r"^(\w+):\s+(.*)$", self.machine("cat", "/proc/%s/status" % pid), re.M))
        self.assertEqual((status["CapBnd"], status["CapEff"], status["NoNewPrivs"], status["Seccomp"]),
                         ("0" * 16, "0" * 16, "1", "2"))
        self.assertEqual(self.machine("stat", "-c", "%U:%G", "/proc/" + pid), "lifeboat:lifeboat")
        inside = ("nsenter", "-t", pid, "-m", "--")
        for path in ("/usr/x", "/etc/x", "/etc/lifeboat/agent.conf", "/root/x"):
            done = self.machine.run(*inside, "touch", path, check=False)
            self.assertIn(b"Read-only file system", done.stderr, path)
        self.machine("touch", "/tmp/outside")
        self.assertEqual(self.machine(*inside, "ls", "-A", "/tmp"), "")
        self.assertEqual(self.machine(*inside, "sh", "-c", "ls /dev/mem /dev/sda 2>/dev/null || true"), "")
        said = self.machine("systemd-analyze", "security", "--no-pager", "lifeboat.service")
        exposure = float(re.search(r"Overall exposure level for lifeboat.service: ([0-9.]+)", said).group(1))
        self.assertLessEqual(exposure, 2.0, said)

    def reload(self):
        machine = self.machine
        before = self.unit("MainPID")
        machine("sed", "-i", "s/^\\(drill\\|backup\\) = .*/\\1 = 0 3 * * */", "/etc/lifeboat/agent.conf")
        machine("systemctl", "reload", "lifeboat")
        self.wait_journal("configuration read again from '/etc/lifeboat/agent.conf'")
        wait_for("the job to end", lambda: "at 20" in self.unit("StatusText"), 60, 0.5)
        machine.sh("cp -p /etc/lifeboat/agent.conf /root/good && echo nonsense >>/etc/lifeboat/agent.conf")
        machine("systemctl", "reload", "lifeboat")
        self.wait_journal("neither [section] nor key = value; the configuration of before stays")
        self.assertIn("stays", self.journal("lifeboat", "-p", "err"))
        machine("cp", "-p", "/root/good", "/etc/lifeboat/agent.conf")
        machine("systemctl", "reload", "lifeboat")
        self.assertEqual((self.unit("MainPID"), self.unit("ActiveState")), (before, "active"))

    def killed(self):
        """SIGKILL and the watchdog: it comes again by itself."""
        machine = self.machine
        machine.sh("mkdir -p /etc/systemd/system/lifeboat.service.d && printf '[Service]\\nWatchdogSec=3s\\nRestartSec=1s\\n' "
                   ">/etc/systemd/system/lifeboat.service.d/test.conf && systemctl daemon-reload && systemctl restart lifeboat")
        time.sleep(5)
        self.assertEqual(self.unit("NRestarts"), "0")  # the watchdog is answered
        for signal in ("STOP", "KILL"):
            pid = self.unit("MainPID")
            machine("systemctl", "kill", "--kill-who=main", "--signal=" + signal, "lifeboat")
            wait_for("a new process", lambda was=pid: self.unit("MainPID") not in (was, "0")
                     and self.unit("ActiveState") == "active", 40, 0.2)
        machine("systemctl", "stop", "lifeboat")
        self.assert_nothing_of_it_left()

    def test_stop_and_restart__in_the_middle__leave_nothing_half_made(self):
        self.installed()
        self.hold()
        self.machine("systemctl", "start", "lifeboat")
        self.wait_held()
        self.machine("systemctl", "restart", "lifeboat")
        self.wait_journal("backup: cancelled: cancelled because lifeboat run was ended")
        self.wait_journal("backup: begins (catch-up)")
        self.wait_held()
        began = time.monotonic()
        self.machine("systemctl", "stop", "lifeboat")
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual((self.unit("ActiveState"), self.unit("Result")), ("inactive", "success"))
        self.assertEqual(self.backups(), [])
        self.assert_nothing_of_it_left()
        self.release()
        self.machine("systemctl", "start", "lifeboat")
        wait_for("the backup that was missed", lambda: self.job("backup").get("last_success"), 60, 0.5)
        self.machine("systemctl", "stop", "lifeboat")
        self.assertEqual(len([n for n in self.backups() if n.endswith(".tar.zst")]), 1)
        self.assert_nothing_of_it_left()

    def test_timers__take_a_backup_and_prove_it(self):
        self.installed(schedule="0 2 * * *")
        machine = self.machine
        # A secret of systemd's in place of the socket; a time that is near.
        self.sql("CREATE ROLE backup SUPERUSER LOGIN PASSWORD 'hush-too'")
        machine.write("/root/pg-url", "postgresql://backup:hush-too@127.0.0.1:5432/postgres\n")
        machine("chmod", "0600", "/root/pg-url")
        for unit, text in (("lifeboat-backup.service", "[Service]\nLoadCredential=pg:/root/pg-url\n"
                                                       "Environment=LIFEBOAT_POSTGRES_URL_FILE=%d/pg\n"),
                           ("lifeboat-backup.timer", "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/20\nRandomizedDelaySec=0\n"
                                                     "AccuracySec=1s\n")):
            machine("mkdir", "/etc/systemd/system/%s.d" % unit)
            machine.write("/etc/systemd/system/%s.d/local.conf" % unit, text)
        machine("systemctl", "daemon-reload")
        machine.sh("systemctl start lifeboat && systemctl start lifeboat-backup.timer lifeboat-drill.timer")
        self.assertEqual(self.unit("ActiveState"), "inactive")  # they exclude each other
        wait_for("the timer's backup", lambda: "Finished lifeboat-backup.service" in self.journal("lifeboat-backup"), 90, 0.5)
        machine("systemctl", "stop", "lifeboat-backup.timer")
        wait_for("its end", lambda: self.unit("ActiveState", "lifeboat-backup") == "inactive", 60, 0.2)
        machine("systemctl", "start", "lifeboat-drill.service")
        self.assertEqual(self.status()["proven"]["proof"], "passed")
        said = self.journal("lifeboat-backup") + self.journal("lifeboat-drill")
        self.assertRegex(said, r"(?m)^backup \S+ is in store 'local'\n(.*\n)*keep +\S+ +newest")
        self.assertIn("\nproof: passed: ", said)
        self.assertNotIn("hush", said)
        self.assertNotIn(" left\n", said)  # progress is for people who wait
        self.hold()
        machine("systemctl", "start", "--no-block", "lifeboat-backup.service")
        self.wait_held()
        machine("systemctl", "stop", "lifeboat-backup.service")
        self.assert_nothing_of_it_left()
        self.assertIn("cancelled by SIGTERM", self.journal("lifeboat-backup", "-p", "err"))

    def test_backup_by_hand__as_root__stays_the_agents(self):
        self.installed(schedule="0 2 * * *")
        machine = self.machine
        self.walk(1)
        machine("rm", "-r", STORE)
        done = machine.run("lifeboat", "backup", check=False)
        self.assertIn(b"Peer authentication failed", done.stderr)
        self.assertIn(b"HINT: On its socket the server goes by the system's user: run it as that user", done.stderr)
        self.sql("CREATE ROLE root SUPERUSER LOGIN")
        machine("env", "LIFEBOAT_POSTGRES_URL=postgresql://root@/postgres?host=/run/postgresql", "lifeboat", "backup")
        owners = machine.sh("find /var/lib/lifeboat -printf '%u:%g\\n' | sort -u")
        self.assertEqual(owners, "lifeboat:lifeboat")
        machine("systemctl", "start", "lifeboat-backup.service", "lifeboat-drill.service")
        self.assertEqual(self.status()["backups"], 2)
        # Without the right to what Redis keeps: over the network, and a word about it.
        machine("deluser", "--quiet", "lifeboat", "redis")
        self.assertIn("by stream: the server's data folder can't be read from here", machine(*USER, "lifeboat", "check"))
        machine("systemctl", "start", "lifeboat-backup.service")
        self.assertEqual(self.status()["newest"]["keys"], 3)

    def test_configuration_without_a_stack__stops_once_and_says_what_to_do(self):
        self.install()
        done = self.machine.run("systemctl", "start", "lifeboat", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("HINT: `lifeboat init` writes one for the servers that it finds", self.journal("lifeboat", "-p", "err"))
        self.assertEqual((self.unit("SubState"), self.unit("ExecMainStatus")), ("failed", "78"))

    def test_upgrade_remove_purge__lose_nothing_and_leave_nothing(self):
        before = self.traces()
        self.installed()
        machine = self.machine
        machine("systemctl", "enable", "--now", "--quiet", "lifeboat")
        wait_for("a backup", lambda: self.job("backup").get("last_success"), 120, 0.5)
        self.hold()
        self.wait_held()
        conf, pid, success = self.conf(), self.unit("MainPID"), self.job("backup")["last_success"]
        # An upgrade in the middle of a backup, with nobody there to answer questions.
        newer = package("2")
        said = self.install(newer)
        self.assertNotIn("onfiguration file", said)
        self.assertIn("Setting up lifeboat (0.1.0-2)", said)
        self.assertEqual(self.conf(), conf)
        self.assertEqual((self.unit("ActiveState"), self.unit("UnitFileState")), ("active", "enabled"))
        self.assertNotEqual(self.unit("MainPID"), pid)
        self.assertEqual(self.job("backup")["last_success"], success)
        self.release()
        self.wait_journal("backup: begins (catch-up)")
        wait_for("the backup that the upgrade broke off", lambda: self.job("backup")["last_success"] != success, 120, 0.5)
        machine("systemctl", "stop", "lifeboat")
        self.assert_nothing_of_it_left()
        machine("sed", "-i", "s/\\* \\* \\* \\* \\*/0 2 * * */", "/etc/lifeboat/agent.conf")
        conf = self.conf()
        self.install(newer)
        self.assertEqual(self.unit("ActiveState"), "inactive")  # what stood still stays so
        machine("systemctl", "start", "lifeboat")

        kept = self.backups()
        machine.sh("apt-get -y remove lifeboat 2>&1")
        self.assertEqual(machine.run("pgrep", "-u", "lifeboat", check=False).stdout, b"")
        self.assertEqual((self.backups(), self.conf()), (kept, conf))
        self.install(newer)
        machine("systemctl", "start", "lifeboat")
        self.assertEqual(self.status()["agent"]["jobs"]["backup"]["last_success"]["outcome"], "success")

        machine("rm", "/etc/lifeboat/stack.env")
        said = machine.sh("apt-get -y purge lifeboat 2>&1")
        self.assertIn("lifeboat: /var/lib/lifeboat is not empty and stays, with the user lifeboat:\nbackups\n", said.replace("\r", "") + "\n")
        self.assertEqual(machine.sh("ls -A /var/lib/lifeboat"), "backups")
        self.assertEqual(self.backups(), kept)
        self.install(newer)
        machine("rm", "-r", STORE)
        machine.sh("apt-get -y purge lifeboat 2>&1")
        machine("rm", "/root/lifeboat.deb", "/root/agent.conf")
        self.assertEqual(self.traces(), before)

    def conf(self):
        return self.machine("stat", "-c", "%U:%G %a", "/etc/lifeboat/agent.conf"), self.machine("cat", "/etc/lifeboat/agent.conf")

    def traces(self):
        """All that has its name, and the users and groups there are. dpkg's log and the journal keep theirs."""
        names = self.machine.sh("find / -xdev \\( -path /proc -o -path /var/log -o -path /var/cache \\) -prune -o "
                                "-iname '*lifeboat*' -print")
        groups = self.machine("getent", "group").split()
        return names, sorted(g for g in groups if "lifeboat" in g), self.machine("getent", "passwd").count("\n")


if __name__ == "__main__":
    unittest.main()
