"""Metrics, alert rules and the dashboard, as Prometheus' own tool sees them."""

import json
import os
import pty
import re
import shutil
import subprocess
import tempfile
import termios
import unittest
from pathlib import Path

from agent import Agent
from stack import LIFEBOAT, TOP

RULES = TOP / "packaging" / "prometheus"


def promtool(*args, text=None):
    done = subprocess.run(["promtool", *map(str, args)], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    return done.returncode, done.stdout.decode()


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Path(tempfile.mkdtemp(prefix="lb-metrics-"))
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        cls.agent = Agent(cls.place, start=False)
        cls.ids = cls.agent.history.write(days=20)
        cls.file = cls.place / "lifeboat.prom"

    def written(self):
        done = self.agent.lifeboat("status", "--metrics", str(self.file), "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.file.read_text(), json.loads(done.stdout)

    def test_textfile__passes_promtool_and_says_what_json_says(self):
        text, said = self.written()
        self.assertEqual(promtool("check", "metrics", text=text.encode()), (0, ""))
        samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))

        def sample(name, labels=""):
            return float(samples['lifeboat_%s{stack="hdms"%s}' % (name, labels)])
        self.assertEqual(sample("backup_rows"), said["newest"]["rows"])
        self.assertEqual(sample("backup_keys"), said["newest"]["keys"])
        self.assertEqual(sample("backup_size_bytes"), said["newest"]["bytes"])
        self.assertEqual(sample("backup_duration_seconds"), said["newest"]["duration_ms"] / 1000)
        self.assertEqual(sample("drill_restore_seconds"), said["drills"][0]["restore_ms"] / 1000)
        self.assertAlmostEqual(sample("backup_age_seconds"), said["newest"]["age_ms"] / 1000, delta=1)
        self.assertEqual(sample("status_level", ',level="safe"'), 1)
        self.assertEqual(sample("backups"), len(self.ids))
        self.assertEqual(len(samples), len([l for l in text.splitlines() if not l.startswith("#")]), "a sample comes twice")
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o644)

    def test_drill__that_never_restored__has_no_rto(self):
        agent = Agent(self.place / "early", start=False)
        agent.history.drill(agent.history.backup(agent.history.now), agent.history.now, "failed", restore_ms=0)
        text = agent.lifeboat("status", "--metrics", "/dev/stdout").stdout.decode()
        self.assertIn('lifeboat_drill_outcome{stack="hdms",outcome="failed"} 1\n', text)
        self.assertNotIn("\nlifeboat_drill_restore_seconds{", text)

    def test_file__that_can_not_be_written__is_an_error_that_names_it(self):
        done = self.agent.lifeboat("status", "--metrics", str(self.place / "nowhere" / "x.prom"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere/x.prom", done.stderr.decode())
        done = self.agent.lifeboat("status", "--quiet", "--metrics", "/dev/stdout")
        self.assertIn(b"# TYPE lifeboat_build_info gauge", done.stdout)

    def test_rules__are_right_and_fire_when_they_should(self):
        status, said = promtool("check", "rules", RULES / "lifeboat.rules.yml")
        self.assertEqual(status, 0, said)
        status, said = promtool("test", "rules", RULES / "lifeboat.rules.test.yml")
        self.assertEqual(status, 0, said)
        # A rule that the tests never name is a rule that nobody has seen fire.
        alerts = set(re.findall(r"alert: (\w+)", (RULES / "lifeboat.rules.yml").read_text()))
        tested = (RULES / "lifeboat.rules.test.yml").read_text()
        self.assertEqual([a for a in alerts if "alertname: %s\n        exp_alerts:\n" % a not in tested], [])

    def test_rules_and_dashboard__speak_of_metrics_that_there_are(self):
        agent = Agent(self.place / "scheduled", more="[schedule]\nbackup = 0 2 * * *\n")
        self.addCleanup(agent.stop)
        agent.history.drill(agent.history.backup(agent.history.now), agent.history.now)
        text = agent.get("/metrics")[2]
        self.assertEqual(promtool("check", "metrics", text=text.encode()), (0, ""))
        there = set(re.findall(r"# TYPE (lifeboat_\w+)", text))
        dashboard = (TOP / "packaging" / "grafana" / "lifeboat.json").read_text()
        json.loads(dashboard)
        docs = (TOP / "docs" / "monitoring.md").read_text()
        for text in ((RULES / "lifeboat.rules.yml").read_text(), dashboard, docs):
            named = set(re.findall(r"lifeboat_[a-z_]+\b", text)) - {"lifeboat_"}
            self.assertEqual(named - there, set())
        self.assertEqual(there - set(re.findall(r"lifeboat_[a-z_]+\b", docs)), set(), "docs/monitoring.md lacks them")


class Terminal(unittest.TestCase):
    """`status` on a terminal of some width, and its exit status for monitors."""

    def agent(self, stores=None):
        place = Path(tempfile.mkdtemp(prefix="lb-metrics-"))
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        return Agent(place, start=False, stores=stores)

    @staticmethod
    def on_terminal(agent, columns, **env):
        """What it prints there, and its exit status. Errors go elsewhere."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, columns))
        with subprocess.Popen([LIFEBOAT, "status"], cwd=agent.folder, stdin=subprocess.DEVNULL, stdout=theirs,
                              stderr=subprocess.DEVNULL, env=dict(agent.env(), TERM="xterm", **env)) as process:
            os.close(theirs)
            text = b""
            try:
                while data := os.read(ours, 65536):
                    text += data
            except OSError:
                pass
        os.close(ours)
        return text.decode().replace("\r\n", "\n"), process.returncode

    @staticmethod
    def words(text):
        """Without ages and room, which may change meanwhile."""
        return re.sub(r"[\d.]+ [a-zA-Z]+ ", "", re.sub(r"\s+", " ", text))

    def test_lines__fit_any_width_and_say_the_same(self):
        agent = self.agent()
        agent.history.write(days=20)
        piped = agent.lifeboat("status")
        self.assertNotIn(b"\x1b", piped.stdout)
        self.assertLessEqual(piped.stdout.count(b"\n"), 10)
        for columns in (60, 80, 200):
            text, status = self.on_terminal(agent, columns, NO_COLOR="1")
            self.assertEqual(status, 0)
            self.assertEqual([line for line in text.splitlines() if len(line) > columns and " " in line[9:]], [])
            self.assertEqual(self.words(text), self.words(piped.stdout.decode()))
        self.assertEqual(text.count("\n"), piped.stdout.count(b"\n"))

    def test_colours__on_a_terminal_that_has_them_only(self):
        agent = self.agent()
        agent.history.write(days=2)
        self.assertTrue(self.on_terminal(agent, 80)[0].startswith("\x1b[32mSafe:"))
        self.assertNotIn("\x1b", self.on_terminal(agent, 80, NO_COLOR="1")[0])

    def test_exit_status__safe_attention_danger_and_nothing_answers(self):
        agent = self.agent()
        self.assertEqual(agent.lifeboat("status", "--quiet").returncode, 1)
        self.assertIn("'local': no backups, room for ", agent.lifeboat("status").stdout.decode())
        agent.history.backup(agent.history.now)
        self.assertEqual(agent.lifeboat("status", "--quiet").returncode, 2)
        agent.history.drill(agent.history.backup(agent.history.now, 1), agent.history.now)
        self.assertEqual(agent.lifeboat("status", "--quiet").returncode, 0)
        agent.history.conf(stores={"gone": "url = file:///dev/null/x"})
        done = agent.lifeboat("status", "--quiet")
        self.assertEqual(done.returncode, 69)
        self.assertEqual(done.stdout.decode().splitlines()[0], "Danger: no store can be reached.")


if __name__ == "__main__":
    unittest.main()
