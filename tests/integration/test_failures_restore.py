"""A restore goes wrong: the name is taken, the load fails half-way, somebody changes what was restored."""

import os
import signal
import unittest
from pathlib import Path

from case import Held, StackCase, fill, small_disk
from stack import Stack, run, tree_state, wait_for


class RestoreFails(StackCase):
    backup_first = True

    def test_restore__name_of_a_volume_exists__refused_and_it_stays_as_it_is(self):
        taken = self.stack.volumes / "redis_data_taken"
        taken.mkdir()
        (taken / "precious").write_text("mine")
        self.addCleanup(run, ["rm", "-rf", taken])
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--as", "taken")
            self.assert_failed(result, 1, "redis_data_taken", "exists")
        self.assertEqual((taken / "precious").read_text(), "mine")

    def test_restore__as_an_empty_or_escaping_name__usage(self):
        for name in ("", "../x", "a/b", "x" * 250):
            with self.subTest(name=name), self.nothing_changes():
                result = self.stack.lifeboat("restore", "--as", name)
                self.assertIn(result.code, (1, 64), str(result))

    def test_restore__twice_under_one_name__the_second_is_refused_and_the_first_stays(self):
        self.stack.lifeboat("restore", "--as", "once", expect=0)
        before = tree_state(self.stack.volumes / "postgres_data_once")
        result = self.stack.lifeboat("restore", "--as", "once")
        self.assert_failed(result, 1, "exists")
        self.assertEqual(tree_state(self.stack.volumes / "postgres_data_once"), before)

    def program_of_agent(self, *names):
        for pid in self.stack.agent_processes():
            try:
                if os.path.basename(os.readlink("/proc/%d/exe" % pid)) in names:
                    return pid
            except OSError:
                pass
        return None

    def test_restore__pg_restore_killed__failed_and_everything_made_is_gone(self):
        with self.nothing_changes():
            held = Held(self.stack, "load-database", ("restore", "--as", "half"))
            held.wait(60)
            self.assertTrue((self.stack.volumes / "postgres_data_half").is_dir())
            server = self.program_of_agent("postgres")
            os.kill(server, signal.SIGSTOP)  # so that pg_restore waits long enough to be met
            held.resume()
            tool = wait_for("pg_restore", lambda: self.program_of_agent("pg_restore"))
            os.kill(tool, signal.SIGKILL)
            os.kill(server, signal.SIGCONT)
            result = self.stack.finish(held.process, held.args)
            self.assert_failed(result, 1, "pg_restore", "SIGKILL")

    def test_restore__sandbox_server_killed_while_loading__failed_and_everything_made_is_gone(self):
        with self.nothing_changes():
            held = Held(self.stack, "load-database", ("restore", "--as", "half"))
            held.wait(60)
            os.kill(self.postmaster(), signal.SIGKILL)
            held.resume()
            result = self.stack.finish(held.process, held.args)
            self.assert_failed(result, 1, "postgres")

    def postmaster(self):
        """The sandbox's first server process."""
        pid_file = next(Path(self.stack.volumes / "postgres_data_half").glob("postmaster.pid"))
        return int(pid_file.read_text().split()[0])

    def test_restore__no_such_backup__says_what_there_is(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "20200101T000000Z-0000")
            self.assert_failed(result, 1, "20200101T000000Z-0000")

    def test_restore__no_such_database_or_component__says_so_before_anything_is_made(self):
        with self.nothing_changes():
            self.assert_failed(self.stack.lifeboat("restore", "--as", "n", "--database", "nope"), 1, "nope")
            self.assertIn(self.stack.lifeboat("restore", "--as", "n", "--only", "nope").code, (1, 64))

    def test_restore__dry_run__says_what_and_makes_nothing(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--as", "dry", "--dry-run", expect=0)
            self.assertIn("postgres_data_dry", result.out)
            self.assertIn("volume 'redis_data-outside_dry' (for what production has elsewhere)", result.out)

    def test_restore__volume_for_files_from_elsewhere_exists__refused_before_anything_is_made(self):
        taken = self.stack.volumes / "redis_data-outside_half"
        taken.mkdir()
        self.addCleanup(taken.rmdir)
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--as", "half")
            self.assert_failed(result, 1, "volume 'redis_data-outside_half' exists: choose another name with --as")
            self.assertNotIn("restoring", result.err)

    def test_restore__own_check_fails__the_proof_fails_and_names_it(self):
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        self.stack.write_conf(conf + "\n[check no-tickets]\ndatabase = hdms_db\nsql = SELECT count(*) FROM tickets\n"
                                     "expect = 0\n")
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--as", "check")
            self.assertEqual(result.code, 1, str(result))
            self.assertIn("no-tickets", result.out + result.err)


class ChangedByHand(StackCase):
    """Somebody changes the sandbox between load and proof."""

    backup_first = True

    def sandbox_sql(self, name, database, sql):
        lines = (self.stack.volumes / ("postgres_data_" + name) / "postmaster.pid").read_text().split("\n")
        env = dict(self.stack.pg_env(), PGPORT=lines[3])
        if lines[5].strip():
            env["PGHOST"] = lines[5].strip()
        else:
            env["PGHOST"] = lines[4].strip()
        run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql], env=env)

    def changed(self, name, database, sql, *texts):
        with self.nothing_changes():
            with self.held("before-proof", "restore", "--as", name) as held:
                self.sandbox_sql(name, database, sql)
            result = held.result
            self.assertEqual(result.code, 1, str(result))
            for text in texts:
                self.assertIn(text, result.out + result.err, str(result))

    def test_restore__row_deleted_before_the_proof__failed_and_names_the_table(self):
        self.changed("row", "hdms_db", "SET session_replication_role = replica; DELETE FROM users WHERE id = 7",
                     "hdms_db", "users")

    def test_restore__value_changed_before_the_proof__failed_and_names_the_table(self):
        self.changed("value", "hdms_audit", "UPDATE audit.entries SET actor = actor || ' ' WHERE id = 4242",
                     "hdms_audit", "entries")

    def test_restore__sequence_moved_before_the_proof__failed_and_names_it(self):
        self.changed("sequence", "hdms_db", "SELECT nextval('ticket_number')", "ticket_number")

    def test_restore__large_object_changed_before_the_proof__failed(self):
        self.changed("object", "hdms_db", "SELECT lo_put(70001, 10, 'x')", "hdms_db", "large object")

    def test_restore__index_dropped_before_the_proof__failed(self):
        self.changed("index", "hdms_db", "DROP INDEX tickets_open", "hdms_db")

    def test_restore__two_values_swapped_between_rows__failed(self):
        # Counts and every single column's values stay the same.
        self.changed("swap", "hdms_db", "UPDATE users u SET name = o.name FROM users o"
                                        " WHERE (u.id, o.id) IN ((1, 2), (2, 1))", "users")


class LoadFails(StackCase):
    """A dump that pg_dump wrote without complaint and that pg_restore can't load."""

    STACK = {"components": ("postgres",)}

    def test_restore__index_needs_a_setting_of_its_session__load_fails_half_way_and_everything_is_gone(self):
        self.stack.lifeboat("backup", expect=0)
        self.stack.sql("hdms_audit", """
            CREATE TABLE audit.words (w text); INSERT INTO audit.words VALUES ('a');
            CREATE FUNCTION audit.key(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
                $$ BEGIN RETURN length($1) + current_setting('audit.one')::int; END $$;
            SET audit.one = '1'; CREATE INDEX broken ON audit.words (audit.key(w));""")
        self.stack.lifeboat("backup", expect=0)
        with self.nothing_changes():
            result = self.stack.lifeboat("restore", "--as", "half")
            self.assert_failed(result, 1, "hdms_audit", "audit.one")
        drill = self.stack.lifeboat("drill")
        self.assertEqual(drill.code, 1, str(drill))
        self.assertIn("hdms_audit", drill.err)
        # The backup before it still restores.
        listed = self.stack.lifeboat("list", "--json", expect=0).json["backups"]
        self.stack.lifeboat("restore", listed[-1]["id"], "--as", "earlier", expect=0)


class NoRoom(StackCase):
    STACK = {"components": ("redis",)}

    @classmethod
    def setUpClass(cls):
        super(StackCase, cls).setUpClass()
        cls.stack = Stack(**cls.STACK)
        cls.addClassCleanup(cls.stack.close)
        cls.stack._folder(cls.stack.volumes)
        cls.enterClassContext(small_disk(cls.stack.volumes, 40))
        cls.stack.give(cls.stack.volumes, 0o755)
        cls.stack.start()
        with cls.stack.redis_door() as redis:
            for n in range(500):
                redis("SET", "key:%d" % n, os.urandom(5000))
        cls.first = cls.stack.lifeboat("backup", "--json", expect=0).json

    def test_restore__no_room_for_the_volumes__refused_or_failed_and_nothing_stays(self):
        for leave_kb in (100, 2000, 4000):
            with self.subTest(room_kb=leave_kb):
                ballast = fill(self.stack.volumes, leave_kb)
                self.stack.give(ballast)
                try:
                    with self.nothing_changes():
                        result = self.stack.lifeboat("restore", "--as", "tight")
                        self.assert_failed(result, 1)
                        self.assertRegex(result.err, "(?i)space|free|room")
                finally:
                    ballast.unlink()


class NoRoomForWal(StackCase):
    """Room for the data is there, and for what a load needs besides it not."""

    STACK = {"components": ("postgres",), "populate": False}

    @classmethod
    def setUpClass(cls):
        super(StackCase, cls).setUpClass()
        cls.stack = Stack(**cls.STACK)
        cls.addClassCleanup(cls.stack.close)
        cls.stack._folder(cls.stack.volumes)
        cls.enterClassContext(small_disk(cls.stack.volumes, 300))
        cls.stack.give(cls.stack.volumes, 0o755)
        cls.stack.start()
        cls.stack.sql("postgres", "CREATE TABLE t AS SELECT repeat(md5(n::text), 100) AS t FROM generate_series(1, 12000) n;"
                      "ALTER TABLE t ALTER t SET STORAGE EXTERNAL; UPDATE t SET t = t || ''; VACUUM FULL t;")
        cls.stack.lifeboat("backup", expect=0)

    def test_drill__disk_gets_full_while_loading__says_nothing_of_the_backup(self):
        needs = self.stack.lifeboat("restore", "--dry-run", "--json", expect=0).json["needs_bytes"]
        ballast = fill(self.stack.volumes, needs // 1024 + 4000)
        self.stack.give(ballast)
        try:
            result = self.stack.lifeboat("drill")
        finally:
            ballast.unlink()
        self.assert_failed(result, 1, "no room is left")
        self.assertIn('"outcome": "could not verify"', next(self.stack.store.glob("*.drill-*.json")).read_text())


if __name__ == "__main__":
    unittest.main()
