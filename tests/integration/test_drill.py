"""The drill: it passes on a good backup, fails when anything is missing, and says when it proved nothing."""

import json
import os
import unittest

from case import StackCase
from resp import Redis, RedisError
from stack import Stack, run


class Drill(StackCase):
    backup_first = True

    def evidence(self):
        found = sorted(self.stack.store.glob("*.drill-*.json"))
        return json.loads(found[-1].read_text()) if found else None

    def sandbox(self):
        """The drill's own volumes, by component."""
        found = {}
        for path in self.stack.volumes.iterdir():
            for name in ("postgres_data", "redis_data", "pgbouncer_data"):
                if path.name.startswith(name + "_"):
                    found[name] = path
        return found

    def sandbox_sql(self, database, sql):
        lines = (self.sandbox()["postgres_data"] / "postmaster.pid").read_text().split("\n")
        env = dict(self.stack.pg_env(), PGPORT=lines[3], PGHOST=lines[5].strip() or lines[4].strip())
        run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql], env=env)

    def sandbox_redis(self, *args, database=0):
        """The Redis that the agent started: found by its command line or its port among the agent's own."""
        for port in self.listening_ports():
            try:
                redis = Redis(port, Stack.REDIS_PASSWORD, timeout=5)
            except (OSError, RedisError):  # PostgreSQL and PgBouncer listen too, and speak otherwise
                continue
            with redis:
                redis("SELECT", database)
                return redis(*args)
        self.fail("no Redis of the sandbox found")

    def listening_ports(self):
        inodes = set()
        for pid in self.stack.agent_processes():
            try:
                for fd in os.listdir("/proc/%d/fd" % pid):
                    target = os.readlink("/proc/%d/fd/%s" % (pid, fd))
                    if target.startswith("socket:["):
                        inodes.add(target[8:-1])
            except OSError:
                pass
        ports = set()
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in table.readlines()[1:]:
                words = line.split()
                if words[3] == "0A" and words[9] in inodes:
                    ports.add(int(words[1].split(":")[1], 16))
        return sorted(ports)

    def assert_clean(self):
        self.assertEqual(self.sandbox(), {})
        self.assert_no_process_left()

    def test_drill__good_backup__passes_and_leaves_only_evidence(self):
        before, conf = self.stack.store_files(), self.stack.conf()
        self.stack.write_conf(conf + "\n[hook]\nafter_drill = echo $$LIFEBOAT_OUTCOME $$LIFEBOAT_BACKUP_ID > hooked\n")
        result = self.stack.lifeboat("drill", "--json", expect=0).json
        self.stack.write_conf(conf)
        self.assertEqual((self.stack.folder / "hooked").read_text(), "success %s\n" % self.first["id"])
        self.assertEqual(result["outcome"], "passed")
        self.assertGreater(result["report"]["compared"] if "report" in result else result["proof"]["compared"], 30)
        self.assert_clean()
        evidence = self.evidence()
        self.assertEqual(evidence["outcome"], "passed")
        self.assertGreater(evidence["restore_ms"], 0)
        self.assertGreater(evidence["data_age_ms"], 0)
        self.assertIn("negative_control", evidence)
        after = self.stack.store_files()
        self.assertEqual({n: s for n, s in after.items() if ".drill-" not in n},
                         {n: s for n, s in before.items() if ".drill-" not in n})
        text = json.dumps(evidence)
        for secret in (Stack.PASSWORD, Stack.REDIS_PASSWORD, "SCRAM-SHA-256"):
            self.assertNotIn(secret, text)
        listed = self.stack.lifeboat("list", expect=0)
        self.assertIn("proven", listed.out)

    def tampered(self, tamper, *texts):
        with self.held("before-proof", "drill") as held:
            tamper()
        result = held.result
        self.assertEqual(result.code, 1, str(result))
        for text in texts:
            self.assertIn(text, result.out + result.err, str(result))
        self.assert_clean()
        evidence = self.evidence()
        self.assertEqual(evidence["outcome"], "failed")
        for text in texts:
            self.assertIn(text, json.dumps(evidence, ensure_ascii=False))

    def test_drill__one_row_deleted__fails_and_names_the_table(self):
        self.tampered(lambda: self.sandbox_sql("hdms_db", "DELETE FROM events WHERE ticket = 1003 AND what = 'event 1'"),
                      "hdms_db", "events_2025")

    def test_drill__one_value_changed__fails_and_names_the_table(self):
        self.tampered(lambda: self.sandbox_sql("hdms_db", "UPDATE attachments SET content = '\\x01' WHERE name = 'empty.txt'"),
                      "hdms_db", "attachments")

    def test_drill__one_key_removed__fails_and_names_the_database(self):
        self.tampered(lambda: self.assertEqual(self.sandbox_redis("DEL", "celery", database=2), 1), "redis", "2")

    def test_drill__one_key_added__fails_and_names_the_database(self):
        self.tampered(lambda: self.assertEqual(self.sandbox_redis("SET", "more", "1", database=1), "OK"), "redis", "1")

    def test_drill__negative_control_left_out__could_not_verify(self):
        result = self.stack.lifeboat("drill", env={"LIFEBOAT_FAULT": "negative-control=skip"})
        self.assertEqual(result.code, 2, str(result))
        self.assertIn("could not verify", result.out + result.err)
        self.assertEqual(self.evidence()["outcome"], "could not verify")
        self.assert_clean()

    def test_drill__after_others_failed__the_newest_verdict_counts(self):
        result = self.stack.lifeboat("drill", "--json", expect=0).json
        self.assertEqual(result["outcome"], "passed")
        self.stack.lifeboat("restore", "proven", "--dry-run", expect=0)

    def test_drill__password_of_the_application_no_longer_fits__the_proof_says_so(self):
        # agent.conf has another password than the backup's userlist: the query through PgBouncer is refused.
        url = "postgresql://hdms:other@127.0.0.1:%d/hdms_db" % self.stack.ports["pgbouncer"]
        result = self.stack.lifeboat("drill", env={"LIFEBOAT_PGBOUNCER_URL": url})
        self.assertIn(result.code, (1, 2), str(result))
        self.assertRegex(result.out + result.err, "(?i)pgbouncer")
        self.assert_clean()


class LittleToProve(StackCase):
    """An empty stack: zero comparisons are never a pass. And one whose keys are about to go by themselves."""

    STACK = {"components": ("redis",), "populate": False}

    def test_drill__every_key_expires_and_is_no_text__passes(self):
        self.addCleanup(self.stack.redis, "FLUSHALL")
        with self.stack.redis_door() as redis:
            for n in range(2000):
                redis("SET", b"\0key \xff\n%d" % n, n, "PX", 60000 if n % 2 else 50 * n + 1)
        self.stack.lifeboat("backup", expect=0)
        self.stack.lifeboat("drill", expect=0)

    def restart_redis(self, *options):
        self.stack.stop("redis")
        self.stack.redis_options = list(options)
        self.stack.start_redis()

    def test_drill__user_in_an_included_file__may_log_in(self):
        stack = self.stack
        more, most = stack.folder / "more of it.conf", stack.folder / "most.conf"
        more.write_text("# users\nINCLUDE %s\ninclude /nowhere/*.conf\n" % most)
        most.write_text("user app on >app-pass ~* &* +@all\n")
        self.addCleanup(stack.redis, "FLUSHALL")
        self.restart_redis('include "%s"' % more)
        self.addCleanup(self.restart_redis)
        stack.redis("SET", "key", "value")
        env = {"LIFEBOAT_REDIS_URL": "redis://app:app-pass@127.0.0.1:%d/0" % stack.ports["redis"]}
        done = stack.lifeboat("backup", env=env, expect=0)
        self.assertIn("/nowhere/*.conf", done.out + done.err)
        stack.lifeboat("drill", env=env, expect=0)
        stack.lifeboat("restore", "--as", "more", env=env, expect=0)
        there = stack.volumes / "redis_data-outside_more" / str(most)[1:]
        self.assertEqual(there.read_text(), most.read_text())

    def test_drill__files_of_tls_are_not_here__passes(self):
        place = self.stack.folder / "tls"
        self.stack._folder(place)
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-keyout", place / "key.pem", "-out", place / "cert.pem"])
        for path in place.iterdir():
            self.stack.give(path)
        self.restart_redis("tls-cert-file %s/cert.pem" % place, "tls-key-file %s/key.pem" % place,
                           "tls-ca-cert-file %s/cert.pem" % place, "tls-replication yes")
        self.addCleanup(self.stack.redis, "FLUSHALL")
        self.addCleanup(self.restart_redis)
        self.stack.redis("SET", "key", "value")
        self.stack.lifeboat("backup", expect=0)
        place.rename(self.stack.folder / "gone")
        self.stack.lifeboat("drill", expect=0)

    def test_drill__empty_redis__could_not_verify(self):
        self.stack.lifeboat("backup", expect=0)
        result = self.stack.lifeboat("drill")
        self.assertEqual(result.code, 2, str(result))
        self.assertIn("could not verify", result.out + result.err)


if __name__ == "__main__":
    unittest.main()
