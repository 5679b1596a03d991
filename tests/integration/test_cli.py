"""The command line as a user and a script meet it: words, exit statuses, JSON everywhere."""

import json
import os
import unittest

from browser import Browser
from case import StackCase
from stack import Stack


class CommandLine(StackCase):
    backup_first = True

    def json_of(self, *args, expect=0):
        result = self.stack.lifeboat(*args, "--json")
        self.assertEqual(result.code, expect, str(result))
        return result.json

    def test_json__of_every_command__one_document(self):
        self.json_of("check")
        self.stack.sql("hdms_db", 'CREATE TABLE "<script>alert(1)</script>" (a int)')
        first = self.json_of("backup", "--label", "a \"label\" \u2603")
        self.assertRegex(first["id"], r"^\d{8}T\d{6}Z-[0-9a-f]{4}$")
        listed = self.json_of("list")["backups"]
        self.assertEqual(listed[0]["id"], first["id"])
        self.assertEqual(listed[0]["label"], "a \"label\" \u2603")
        shown = self.json_of("show")
        tables = [t for d in shown["manifest"]["components"]["postgres"]["databases"] for t in d["tables"]]
        rows = {t["name"]: t["rows"] for t in tables}
        self.assertEqual(rows["tickets"], 2500)
        self.assertEqual(rows["entries"], 5000)
        self.json_of("verify")
        self.json_of("verify", "--all")
        self.json_of("restore", "--dry-run")
        self.json_of("drill")
        self.assertIn(self.json_of("status")["level"], ("safe", "attention"))
        for command, words in (("show", ("public.tickets", "public.&lt;script&gt;alert(1)&lt;/script&gt;", "2,500", "audit.entries", "REDIS", "proven")),
                               ("status", (first["id"], "a &quot;label&quot; \u2603", "restored in"))):
            page = self.stack.folder / (command + ".html")
            self.stack.lifeboat(command, "--html", page)
            for word in words:
                self.assertIn(word.lower(), page.read_text().lower())
            self.assertNotIn("<script", page.read_text().lower())
        with Browser() as browser:
            page = browser.open("file://%s/show.html" % self.stack.folder, width=360)
            page.unfold()
            self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), 360)
            self.assertEqual((page.messages, page.low_contrast(), page.violations()), ([], [], []))
        self.json_of("prune", "--dry-run")
        self.json_of("version")

    def test_json__of_an_error__has_code_message_and_hint(self):
        said = self.json_of("show", "nope", expect=1)
        self.assertEqual(said["error"]["code"], "absent")
        self.assertIn("nope", said["error"]["message"])
        said = self.json_of("lst", expect=64)
        self.assertEqual(said["error"]["code"], "usage")
        self.assertIn("list", said["error"]["hint"])

    def test_usage__mistakes__status_64_and_the_nearest_word(self):
        for words, near in ((["bakcup"], "backup"), (["backup", "--labl", "x"], "--label"), (["list", "extra", "words"], "list"),
                            ([], "help"), (["restore", "--as"], "--as")):
            with self.subTest(words=words):
                result = self.stack.lifeboat(*words)
                self.assertEqual(result.code, 64, str(result))
                self.assertIn(near, result.err)

    def test_configuration__mistakes__status_78_with_line_and_suggestion(self):
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        for wrong, *texts in (("[postgrs]\nurl = x", "agent.conf", "postgrs", "postgres"),
                              ("[archive]\nlvl = 3", "lvl", "level"), ("[archive]\nlevel = 99", "99"),
                              ("[archive]\nlevel = ${NOT_SET}", "NOT_SET"), ("[store x]\nurl = ftp://a/b", "ftp")):
            with self.subTest(wrong=wrong):
                self.stack.write_conf(conf + "\n" + wrong + "\n")
                result = self.stack.lifeboat("list", "--store", "x") if "store x" in wrong else self.stack.lifeboat("list")
                self.assertEqual(result.code, 78, str(result))
                for text in texts:
                    self.assertIn(text, result.err)
        self.stack.write_conf(conf)
        os.rename(self.stack.folder / "agent.conf", self.stack.folder / "other.conf")
        try:
            self.assertEqual(self.stack.lifeboat("list").code, 78)
            self.stack.lifeboat("-c", "other.conf", "list", expect=0)
        finally:
            os.rename(self.stack.folder / "other.conf", self.stack.folder / "agent.conf")

    def test_environment__overrides__and_files_for_secrets(self):
        secret = self.stack.folder / "url"
        secret.write_text("redis://:%s@127.0.0.1:%d/0\n" % (Stack.REDIS_PASSWORD, self.stack.ports["redis"]))
        secret.chmod(0o600)
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        self.stack.write_conf(conf.replace("REDIS_PASSWORD", "NOT_SET_ANYWHERE"))
        self.assertEqual(self.stack.lifeboat("check").code, 78)
        self.stack.lifeboat("check", env={"LIFEBOAT_REDIS_URL_FILE": secret}, expect=0)

    def test_password__in_a_process_list_or_output__never(self):
        with self.held("pg_dump", "backup", "--verbose") as held:
            for pid in self.stack.agent_processes():
                with open("/proc/%d/cmdline" % pid, "rb") as words:
                    self.assertNotIn(Stack.PASSWORD.encode(), words.read())
        self.assertNotIn(Stack.PASSWORD, held.result.out + held.result.err)
        self.assertEqual(held.result.code, 0, str(held.result))

    def test_quiet__says_the_result_alone(self):
        result = self.stack.lifeboat("backup", "--quiet", expect=0)
        self.assertEqual((result.out.count("\n"), result.err), (1, ""))

    def test_backup__names_latest_prefix_and_proven(self):
        ids = [b["id"] for b in self.json_of("list")["backups"]]
        self.assertEqual(self.json_of("show", "latest")["manifest"]["id"], ids[0])
        self.assertEqual(self.json_of("show", ids[-1][:-2])["manifest"]["id"] if len([i for i in ids if i.startswith(ids[-1][:-2])]) == 1
                         else ids[-1], ids[-1])
        self.assertIn(self.stack.lifeboat("show", "2").code, (0, 64))

    def test_prune__keeps_by_rule__and_never_the_newest_or_proven_or_pinned(self):
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        pinned = self.json_of("backup", "--pin")["id"]
        for _ in range(3):
            self.json_of("backup", "--only", "redis")
        newest = self.json_of("list")["backups"][0]["id"]
        self.stack.write_conf(conf.replace("keep = last 3, daily 7, weekly 4", "keep = last 1"))
        planned = self.json_of("prune", "--dry-run")
        before = self.stack.store_files()
        self.assertEqual(self.stack.store_files(), before, str(planned))
        self.json_of("prune")
        left = [b["id"] for b in self.json_of("list")["backups"]]
        self.assertIn(pinned, left)
        self.assertIn(newest, left)
        self.assertLess(len(left), 5)
        names = [n for n in self.stack.store_files() if n.endswith(".tar.zst")]
        self.assertEqual(len(names), len(left), "an archive without its backup, or the other way round")
        self.stack.lifeboat("verify", "--all", expect=0)

    def test_only__takes_and_restores_a_part(self):
        part = self.json_of("backup", "--only", "redis,pgbouncer")["id"]
        self.assertEqual(sorted(self.json_of("show", part)["manifest"]["components"]), ["pgbouncer", "redis"])
        self.stack.lifeboat("backup", expect=0)
        self.stack.lifeboat("restore", "--as", "part", "--only", "redis", expect=0)
        self.assertTrue((self.stack.volumes / "redis_data_part").is_dir())
        self.assertFalse((self.stack.volumes / "postgres_data_part").exists())

    def test_table__restored_alone(self):
        self.stack.lifeboat("backup", expect=0)
        self.stack.lifeboat("restore", "--as", "table", "--database", "hdms_db", "--table", "public.users", expect=0)
        self.assertTrue((self.stack.volumes / "postgres_data_table").is_dir())

    def test_up__leaves_servers_running__on_the_volumes_it_names(self):
        self.stack.lifeboat("backup", expect=0)
        said = self.json_of("restore", "--as", "up", "--up")
        try:
            servers = {s["component"]: s for s in said["servers"]}
            count = self.stack.sql("hdms_db", "SELECT count(*) FROM tickets", port=servers["postgres"]["port"])
            self.assertEqual(count, "2500")
            self.assertEqual(self.stack.redis("PING", port=servers["redis"]["port"]), "PONG")
            through = self.stack.sql("hdms_db", "SELECT inet_server_port()", port=servers["pgbouncer"]["port"])
            self.assertEqual(through, str(servers["postgres"]["port"]))
        finally:
            for server in said["servers"]:
                os.kill(server["pid"], 2 if server["component"] != "redis" else 15)
        self.assert_no_process_left()

    def test_help__of_everything__mentions_each_option_and_exit_status(self):
        listed = self.stack.lifeboat("help", expect=0).out
        for command in ("check", "backup", "list", "show", "verify", "restore", "drill", "prune", "status"):
            self.assertIn(command, listed)
            self.assertIn(command, self.stack.lifeboat("help", command, expect=0).out)
            self.assertIn("--json", self.stack.lifeboat(command, "--help", expect=0).out + listed)

    def test_status__age_of_the_newest__serves_a_monitor(self):
        said = json.loads(self.stack.lifeboat("status", "--json").out)
        self.assertIn("newest", said)


if __name__ == "__main__":
    unittest.main()
