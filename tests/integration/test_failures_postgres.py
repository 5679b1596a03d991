"""PostgreSQL goes wrong while a backup is taken: each failure with the real server, and what stays."""

import os
import signal
import subprocess
import unittest
from pathlib import Path

from case import StackCase
from proxy import VersionProxy
from stack import PG_BIN, PG_MAJOR, run, wait_for


class PostgresFails(StackCase):
    backup_first = True

    def setUp(self):
        self.url = "postgresql://hdms:%s@127.0.0.1:%d/postgres" % (self.stack.PASSWORD, self.stack.ports["postgres"])

    def child_of_agent(self, name):
        """The pid of a program that the agent started."""
        for pid in self.stack.agent_processes():
            try:
                if os.path.basename(os.readlink("/proc/%d/exe" % pid)) == name:
                    return pid
            except OSError:
                pass
        return None

    def test_backup__wrong_password__denied_and_named(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", env={"LIFEBOAT_POSTGRES_URL": self.url.replace("correct-", "wrong-")})
            self.assert_failed(result, 1, "password authentication failed", "hdms", "127.0.0.1")

    def test_backup__password_of_the_environment_file_is_wrong__check_says_so_too(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("check", env={"LIFEBOAT_POSTGRES_URL": self.url.replace("correct-", "wrong-")})
            self.assertNotEqual(result.code, 0, str(result))
            self.assertIn("password authentication failed", result.out + result.err, str(result))

    def test_backup__server_down__unreachable_with_host_and_port(self):
        self.stack.stop("pgbouncer")
        result = self.stack.lifeboat("backup", "--only", "pgbouncer")
        self.assert_failed(result, 69, str(self.stack.ports["pgbouncer"]), "HINT: Check that PgBouncer runs")
        self.stack.stop("postgres")
        try:
            with self.nothing_changes():
                result = self.stack.lifeboat("backup")
                self.assert_failed(result, 69, "127.0.0.1", str(self.stack.ports["postgres"]), "onnection refused")
        finally:
            self.stack.start_postgres()
            self.stack.start_pgbouncer()

    def test_backup__server_stops_in_the_middle__failed(self):
        try:
            with self.nothing_changes():
                with self.held("pg_dump", "backup") as held:
                    self.stack.stop("pgbouncer")
                    self.stack.stop("postgres")
                self.assertIn(held.result.code, (1, 69), str(held.result))
                self.assertIn("postgres", held.result.err)
        finally:
            self.stack.start_postgres()
            self.stack.start_pgbouncer()

    def test_backup__role_that_does_not_exist__denied(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", env={"LIFEBOAT_POSTGRES_URL": self.url.replace("hdms:", "nobody:")})
            self.assert_failed(result, 1, "nobody")

    def test_backup__database_dropped_during_the_dump__failed_with_its_name(self):
        self.stack.sql("postgres", "CREATE DATABASE aaa_victim")
        self.stack.sql("aaa_victim", "CREATE TABLE t AS SELECT 1 AS a")
        with self.nothing_changes():
            with self.held("pg_dump", "backup") as held:
                self.stack.sql("postgres", "DROP DATABASE aaa_victim WITH (FORCE)")
            self.assert_failed(held.result, 1, "aaa_victim")

    def test_backup__database_dropped_while_pg_dump_reads_it__failed_with_its_name(self):
        self.stack.sql("postgres", "CREATE DATABASE aaa_victim")
        self.stack.sql("aaa_victim", "CREATE TABLE t AS SELECT 1 AS a")
        with self.nothing_changes():
            locker = self.lock_table("aaa_victim", "t")
            process = self.stack.start_lifeboat("backup")
            try:
                wait_for("pg_dump to wait", self.someone_waits)
                self.stack.sql("postgres", "DROP DATABASE aaa_victim WITH (FORCE)")
                result = self.stack.finish(process, ["backup"])
            finally:
                self.unlock(locker)
            self.assert_failed(result, 1, "aaa_victim")

    def test_backup__pg_dump_killed__failed_and_says_by_what(self):
        with self.nothing_changes():
            locker = self.lock_table("hdms_db", "users")
            process = self.stack.start_lifeboat("backup")
            try:
                wait_for("pg_dump to wait", self.someone_waits)
                os.kill(self.child_of_agent("pg_dump"), signal.SIGKILL)
                result = self.stack.finish(process, ["backup"])
            finally:
                self.unlock(locker)
            self.assert_failed(result, 1, "pg_dump", "SIGKILL", "hdms_db")

    def test_backup__pg_dump_of_another_major_version__refused_before_anything_is_written(self):
        proxy = VersionProxy(self.stack.ports["postgres"], PG_MAJOR, "14")
        self.addCleanup(proxy.close)
        url = self.url.replace(str(self.stack.ports["postgres"]), str(proxy.port))
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", env={"LIFEBOAT_POSTGRES_URL": url})
            self.assert_failed(result, 1, "14", "pg_dump", "postgresql-client-14")

    def test_backup__pointed_at_pgbouncer__refused_and_explained(self):
        url = self.url.replace(str(self.stack.ports["postgres"]), str(self.stack.ports["pgbouncer"]))
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", env={"LIFEBOAT_POSTGRES_URL": url})
            self.assertIn(result.code, (1, 78), str(result))
            self.assertRegex(result.err, r"(?i)pooler|pgbouncer")
            self.assertIn("HINT", result.err)
        # And the application behind the pooler still works: nothing was set on its connections.
        self.assertEqual(self.stack.sql("hdms_db", "SELECT count(*) FROM users", port=self.stack.ports["pgbouncer"]), "300")

    def test_backup__table_under_row_level_security__failed_with_its_name(self):
        self.stack.sql("postgres", "CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT pg_read_all_data TO reader;"
                                   "GRANT CONNECT ON DATABASE hdms_audit TO reader")
        self.addCleanup(self.stack.sql, "postgres", "DROP OWNED BY reader; DROP ROLE reader")
        url = self.url.replace("hdms:" + self.stack.PASSWORD, "reader:reader")
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", "--only", "postgres", env={"LIFEBOAT_POSTGRES_URL": url})
            self.assert_failed(result, 1, "tickets", "row-level security")

    def test_backup__table_stays_locked__given_up_with_its_name_or_waits(self):
        # A migration holds a lock: SIGTERM ends the wait at once.
        with self.nothing_changes():
            locker = self.lock_table("hdms_db", "users")
            process = self.stack.start_lifeboat("backup")
            try:
                wait_for("pg_dump to wait", self.someone_waits)
                process.send_signal(signal.SIGTERM)
                result = self.stack.finish(process, ["backup"], timeout=20)
            finally:
                self.unlock(locker)
            self.assert_failed(result, 1)
            self.assertRegex(result.err, "cancel|interrupt|SIGTERM")

    def test_verify__after_all_of_this__the_first_backup_is_whole(self):
        self.stack.lifeboat("verify", expect=0)

    # ---- somebody else's lock

    def lock_table(self, database, table):
        session = subprocess.Popen([PG_BIN / "psql", "-XqAt", "-d", database], env=self.stack.pg_env(),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        session.stdin.write(b"BEGIN; LOCK TABLE %s IN ACCESS EXCLUSIVE MODE; SELECT 'held';\n" % table.encode())
        session.stdin.flush()
        self.assertEqual(session.stdout.readline(), b"held\n")
        self.addCleanup(self.unlock, session)
        return session

    @staticmethod
    def unlock(session):
        if session.poll() is None:
            session.kill()
        session.wait()
        session.stdin.close()
        session.stdout.close()

    def someone_waits(self):
        return self.child_of_agent("pg_dump") and self.stack.sql(
            "postgres", "SELECT count(*) FROM pg_locks WHERE NOT granted") != "0"


class LeastRights(StackCase):
    """A role without superuser rights works as far as its rights reach, and says what it can't take."""

    STACK = {"components": ("postgres",)}

    def reader(self, name, *rights):
        self.stack.sql("postgres", "CREATE ROLE %s LOGIN PASSWORD 'reader'; GRANT CONNECT ON DATABASE hdms_audit TO %s"
                       % (name, name))
        self.stack.sql("hdms_db", "ALTER TABLE tickets DISABLE ROW LEVEL SECURITY")
        for right in rights:
            for database in ("hdms_db", "hdms_audit"):
                self.stack.sql(database, right % name)
        return {"LIFEBOAT_POSTGRES_URL": "postgresql://%s:reader@127.0.0.1:%d/hdms_db" % (name, self.stack.ports["postgres"])}

    def test_backup__pg_read_all_data__taken_and_what_is_missing_is_named(self):
        env = self.reader("reader_of_all", "GRANT pg_read_all_data TO %s")
        self.stack.sql("hdms_db", "SELECT lo_unlink(70001), lo_unlink(70002)")
        said = self.stack.lifeboat("backup", env=env, expect=0)
        self.assertRegex(said.out + said.err, "not taken: configuration files")
        shown = self.stack.lifeboat("show", "--json", expect=0)
        self.assertIn("configuration files", " ".join(shown.json["manifest"]["warnings"]))
        check = self.stack.lifeboat("check", env=env)
        self.assertRegex(check.out + check.err, "configuration files")

    def test_backup__select_rights_alone__role_passwords_are_named_as_missing(self):
        env = self.reader("reader_of_tables", 'GRANT USAGE ON SCHEMA public TO %s', 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO %s',
                          'GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO %s')
        self.stack.sql("hdms_audit", "GRANT USAGE ON SCHEMA audit TO reader_of_tables; GRANT SELECT ON ALL TABLES IN SCHEMA audit"
                                     " TO reader_of_tables; GRANT SELECT ON ALL SEQUENCES IN SCHEMA audit TO reader_of_tables")
        self.stack.sql("hdms_db", "GRANT USAGE ON SCHEMA \"Odd \"\"names\"\"\" TO reader_of_tables;"
                                  "GRANT SELECT ON ALL TABLES IN SCHEMA \"Odd \"\"names\"\"\" TO reader_of_tables")
        said = self.stack.lifeboat("backup", env=env, expect=0)
        self.assertRegex(said.out + said.err, "password")
        check = self.stack.lifeboat("check", env=env)
        self.assertRegex(check.out + check.err, "password")

    def test_backup__large_object_it_may_not_read__named(self):
        env = self.reader("reader_of_data", "GRANT pg_read_all_data TO %s")
        self.stack.sql("hdms_audit", "SELECT lo_from_bytea(4711, 'secret')")
        self.addCleanup(self.stack.sql, "hdms_audit", "SELECT lo_unlink(4711)")
        result = self.stack.lifeboat("backup", env=env)
        self.assertRegex(result.out + result.err, "'hdms_audit'.*large object")


if __name__ == "__main__":
    unittest.main()
