"""Stacks that are not like the demo's: files elsewhere, other users, tablespaces, other locales, no checksums."""

import os
import re
import unittest

from archive import Archive
from case import Held, StackCase
from stack import run, wait_for


class PgbouncerElsewhere(StackCase):
    """Its users, access rules and TLS files lie outside its folder."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        stack = cls.stack
        cls.outside = stack.folder / "secrets"
        stack._folder(cls.outside)
        volume = stack.volumes / "pgbouncer_data"
        (volume / "userlist.txt").rename(cls.outside / "users.txt")
        (cls.outside / "hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout",
             cls.outside / "key.pem", "-out", cls.outside / "cert.pem"])
        for path in cls.outside.iterdir():
            stack.give(path)
        ini = volume / "pgbouncer.ini"
        cls.ini_text = (ini.read_text().replace("auth_type = scram-sha-256", "auth_type = hba\nauth_hba_file = %s/hba.conf\n"
                                                "client_tls_sslmode = prefer\nclient_tls_key_file = %s/key.pem\n"
                                                "client_tls_cert_file = %s/cert.pem" % ((cls.outside,) * 3))
                        .replace("%s/userlist.txt" % volume, "%s/users.txt" % cls.outside)
                        .replace("admin_users = hdms", "admin_users = keeper"))
        cls.restart(cls.ini_text.replace("admin_users = keeper", "admin_users = hdms"))

    @classmethod
    def restart(cls, text):
        ini = cls.stack.volumes / "pgbouncer_data" / "pgbouncer.ini"
        cls.stack.stop("pgbouncer")
        ini.write_text(text)
        cls.stack.give(ini)
        cls.stack.start_pgbouncer()

    def test_drill__files_outside_the_folder__come_along_and_the_login_works(self):
        self.stack.lifeboat("backup", expect=0)
        self.stack.lifeboat("restore", "--as", "out", "--only", "pgbouncer,postgres", expect=0)
        volume = self.stack.volumes / "pgbouncer_data-outside_out"
        there = {p.name: p.read_bytes() for p in volume.rglob("*") if p.is_file()}
        self.assertEqual(there, {p.name: p.read_bytes() for p in self.outside.iterdir()})
        self.stack.lifeboat("drill", expect=0)

    def test_backup__user_may_not_use_the_console__hint_and_with_the_path_given_it_works(self):
        self.restart(self.ini_text)
        try:
            with self.nothing_changes():
                result = self.stack.lifeboat("backup")
                self.assert_failed(result, 1, "pgbouncer", "HINT", "admin_users")
            path = self.stack.volumes / "pgbouncer_data" / "pgbouncer.ini"
            done = self.stack.lifeboat("backup", env={"LIFEBOAT_PGBOUNCER_CONFIG": path}, expect=0)
            self.assertIn("console", done.out + done.err)
        finally:
            self.restart(self.ini_text.replace("admin_users = keeper", "admin_users = hdms"))

    def test_drill__file_is_a_link_that_leads_out_of_the_folder__comes_along(self):
        link = self.stack.volumes / "pgbouncer_data" / "users.link"
        link.symlink_to(self.outside / "users.txt")
        self.addCleanup(link.unlink)
        text = self.ini_text.replace("admin_users = keeper", "admin_users = hdms")
        self.addCleanup(self.restart, text)
        self.restart(text.replace("%s/users.txt" % self.outside, str(link)))
        self.stack.lifeboat("backup", expect=0)
        self.stack.lifeboat("restore", "--as", "link", "--only", "pgbouncer,postgres", expect=0)
        self.assertIn("users.link", [p.name for p in self.stack.volumes.glob("pgbouncer_data-outside_link/**/*")])

    def test_backup__file_named_in_the_configuration_is_gone__failed_and_named(self):
        (self.outside / "hba.conf").rename(self.outside / "hba.away")
        try:
            with self.nothing_changes():
                self.assert_failed(self.stack.lifeboat("backup"), 1, "hba.conf")
        finally:
            (self.outside / "hba.away").rename(self.outside / "hba.conf")

    def test_backup__wrong_password_for_the_pooler__denied(self):
        url = "postgresql://hdms:wrong@127.0.0.1:%d/hdms_db" % self.stack.ports["pgbouncer"]
        with self.nothing_changes():
            self.assert_failed(self.stack.lifeboat("backup", env={"LIFEBOAT_PGBOUNCER_URL": url}), 1, "pgbouncer")

    def test_backup__pooler_down__unreachable(self):
        self.stack.stop("pgbouncer")
        try:
            with self.nothing_changes():
                self.assert_failed(self.stack.lifeboat("backup"), 69, str(self.stack.ports["pgbouncer"]))
        finally:
            self.stack.start_pgbouncer()

    def test_drill__nobody_to_log_in_as__could_not_verify(self):
        self.stack.lifeboat("backup", expect=0)
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        self.stack.write_conf(re.sub(r"\[pgbouncer\]\n(?:[^\[\n].*\n|\n)*", "", conf))
        result = self.stack.lifeboat("drill")
        self.assertEqual(result.code, 2, str(result))
        self.assertRegex(result.out + result.err, "(?i)pgbouncer")


class OtherClusters(StackCase):
    """ICU as the cluster's locale provider, a tablespace, rows that pg_dump loads through the partitions' root, a
    role whose sessions speak another encoding than the database."""

    STACK = {"components": ("postgres",), "populate": False,
             "initdb_options": ["--locale-provider=icu", "--icu-locale=de-u-co-phonebk"]}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        stack = cls.stack
        cls.place = stack.folder / "fast disk"
        stack._folder(cls.place)
        stack.sql("postgres", "CREATE TABLESPACE fast LOCATION '%s'" % cls.place)
        stack.sql("postgres", """
            CREATE TABLE quick (a int PRIMARY KEY) TABLESPACE fast; INSERT INTO quick SELECT generate_series(1, 100);
            CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
            CREATE TABLE hashed (c colour, n int) PARTITION BY HASH (c);
            CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            INSERT INTO hashed SELECT (ARRAY['red','green','blue'])[1 + i % 3]::colour, i FROM generate_series(1, 300) i;
            CREATE TABLE lonely (a int); CREATE SEQUENCE counter; SELECT nextval('counter');""")
        stack.sql("postgres", "CREATE DATABASE over_there TABLESPACE fast")
        stack.sql("postgres", "CREATE TABLE U&\"\\0436\" (t text); INSERT INTO U&\"\\0436\" VALUES (chr(1078)), (chr(228))")
        stack.sql("postgres", "CREATE ROLE U&\"\\0436\"; ALTER ROLE hdms SET client_encoding = 'LATIN1'")
        stack.lifeboat("backup", expect=0)

    def test_drill__passes(self):
        self.stack.lifeboat("drill", expect=0)

    def test_restore__tablespace__in_a_volume_of_its_own_and_not_in_productions_folder(self):
        before = sorted(p.name for p in self.place.rglob("*"))
        self.stack.lifeboat("restore", "--as", "ts", expect=0)
        self.assertEqual(sorted(p.name for p in self.place.rglob("*")), before)
        made = [p.name for p in self.stack.volumes.glob("*tablespace*_ts")]
        self.assertEqual(len(made), 1, sorted(p.name for p in self.stack.volumes.iterdir()))

    def test_restore_md__of_an_icu_cluster__says_so(self):
        self.assertIn("--locale-provider='icu'", Archive(self.stack).member("RESTORE.md").decode())

    def test_restore__one_table__with_its_rows_and_no_others(self):
        self.stack.lifeboat("restore", "--as", "tab", "--database", "postgres", "--table", "public.quick", expect=0)
        self.assert_failed(self.stack.lifeboat("restore", "--as", "tab2", "--database", "postgres", "--table", "public.nope"),
                           1, "public.nope")
        self.assertFalse((self.stack.volumes / "postgres_data_tab2").exists())

    def tampered(self, sql, *texts):
        with self.held("before-proof", "drill") as held:
            data = next(p for p in self.stack.volumes.iterdir() if p.name.startswith("postgres_data_drill"))
            lines = (data / "postmaster.pid").read_text().split("\n")
            env = dict(self.stack.pg_env(), PGPORT=lines[3], PGHOST=lines[5].strip() or lines[4].strip())
            run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", sql], env=env)
        self.assertEqual(held.result.code, 1, str(held.result))
        for text in ("proof: failed",) + texts:
            self.assertIn(text, held.result.out + held.result.err)
        self.assert_no_process_left()

    def test_drill__things_missing_added_or_changed__each_is_named(self):
        self.tampered("DROP TABLE hashed, quick", "table 'public.quick': table: there expected, missing found")
        self.tampered("DROP SEQUENCE counter", "counter")
        self.tampered("UPDATE hashed SET n = n + 1 WHERE n = 7", "hashed")
        self.tampered("CREATE TABLE intruder (a int)", "number of TABLE entries")

    def test_restore__tools_of_that_version_are_not_here__obstacle_that_names_the_package(self):
        archive = Archive(self.stack)
        self.addCleanup(archive.restore)

        def edit(manifest):
            manifest["components"]["postgres"]["server"]["major"] = 13
        archive.write(archive.with_manifest(edit))
        result = self.stack.lifeboat("restore", "--as", "old", "--dry-run")
        self.assertIn("postgresql-13", result.out + result.err)
        self.assert_failed(self.stack.lifeboat("restore", "--as", "old"), 1, "13")

    def test_restore__own_checks__that_fail_or_can_not_run_or_name_no_database(self):
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        for name, database, sql in (("divides", "postgres", "SELECT 1/0"), ("nowhere", "nope", "SELECT true"),
                                    ("several", "postgres", "SELECT generate_series(1, 2)")):
            self.stack.write_conf(conf + "\n[check %s]\ndatabase = %s\nsql = %s\n" % (name, database, sql))
            result = self.stack.lifeboat("restore", "--as", "check")
            self.assertIn(result.code, (1, 2), str(result))
            self.assertIn(name, result.out + result.err)
            if result.code == 2:
                run(["sh", "-c", "rm -rf '%s'/*_check '%s'/.lifeboat/*_check.json" % ((self.stack.volumes,) * 2)])


class OtherRedis(StackCase):
    """Users in a file beside the data, a password of a user with few rights, no checksums, no append-only file, commands renamed."""

    ACL = ("user default on >battery-staple ~* &* +@all\n"
           "user backup on >backup -@all +ping +info +time +dbsize +select +config|get +bgsave +lastsave +sync +psync"
           " +replconf +scan\n")

    STACK = {"components": ("redis",)}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        stack = cls.stack
        acl = stack.volumes / "redis_data" / "users.acl"
        acl.write_text(cls.ACL)
        stack.give(acl)
        stack.stop("redis")
        stack.redis_options = ["rdbchecksum no", "appendonly no", "repl-diskless-sync-delay 0",
                               "aclfile users.acl", 'rename-command EVAL ""', "rename-command DEL away"]
        stack.start_redis()
        with stack.redis_door() as redis:
            for n in range(30):
                redis("SET", "kept:%d" % n, n)
        cls.env = {"LIFEBOAT_REDIS_URL": "redis://backup:backup@127.0.0.1:%d/0" % stack.ports["redis"]}
        cls.said = {}
        for method in ("bgsave", "stream"):
            stack.redis("SET", "soon", "gone", "PX", "5000")
            cls.said[method] = stack.lifeboat("backup", "--json", env=dict(cls.env, LIFEBOAT_REDIS_METHOD=method),
                                              expect=0).json

    def test_backup__no_checksum__is_a_warning(self):
        self.assertRegex(str(self.said["bgsave"]), "checksum")

    def test_drill__of_either_method__passes_and_says_what_expired(self):
        wait_for("the key to expire", lambda: self.stack.redis("EXISTS", "soon") == 0)
        for method, said in self.said.items():
            with self.subTest(method=method):
                result = self.stack.lifeboat("drill", said["id"], "--json", env=self.env, expect=0)
                self.assertIn("expired", result.out)

    def test_restore__users__are_there_with_their_rights(self):
        self.stack.lifeboat("restore", self.said["bgsave"]["id"], "--as", "acl", env=self.env, expect=0)
        self.assertEqual((self.stack.volumes / "redis_data_acl" / "users.acl").read_text(), self.ACL)

    def test_backup__user_without_the_rights__denied_and_names_the_right(self):
        self.stack.redis("ACL", "SETUSER", "weak", "on", ">weak", "+ping")
        url = "redis://weak:weak@127.0.0.1:%d/0" % self.stack.ports["redis"]
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", env={"LIFEBOAT_REDIS_URL": url})
            self.assert_failed(result, 1, "redis")
            self.assertRegex(result.err, "(?i)noperm|permission|right")

    def test_restore__somebody_takes_the_name_meanwhile__failed_and_theirs_stays(self):
        held = Held(self.stack, "redis", ("restore", "--as", "race"), self.env)
        held.wait(60)
        theirs = self.stack.volumes / "redis_data_race"
        theirs.mkdir()
        (theirs / "theirs").touch()
        held.resume()
        result = self.stack.finish(held.process, held.args)
        self.assert_failed(result, 1, "redis_data_race", "exists")
        self.assertEqual(os.listdir(theirs), ["theirs"])


class OddVolumes(StackCase):
    STACK = {"components": ("redis",)}

    def test_backup__volume_that_is_not_there__failed_and_named(self):
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        self.stack.write_conf(conf + "\n[volume media]\nname = nowhere\n")
        with self.nothing_changes():
            self.assert_failed(self.stack.lifeboat("backup"), 1, "nowhere", "media")
            self.assertNotEqual(self.stack.lifeboat("check").code, 0)

    def test_backup__another_file_system_inside__warned_and_named(self):
        # Every machine has one in which others are mounted.
        self.assertTrue(os.path.ismount("/dev/shm"))
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        self.stack.write_conf(conf + "\n[volume dev]\n")
        done = self.stack.lifeboat("backup", "--only", "dev", env={"LIFEBOAT_STACK_VOLUMES_DIR": "/"}, expect=0)
        self.assertIn("volume 'dev': another file system is mounted at 'shm', and what is there is not", done.out)

    def test_only__a_volume__taken_and_restored_alone(self):
        conf = self.stack.conf()
        self.addCleanup(self.stack.write_conf, conf)
        for name in ("media", "uploads"):
            (self.stack.volumes / name).mkdir()
            (self.stack.volumes / name / "f").write_text(name)
        self.stack.write_conf(conf + "\n[volume media]\n\n[volume uploads]\n")
        self.stack.lifeboat("backup", expect=0)
        self.stack.lifeboat("restore", "--as", "one", "--only", "uploads", expect=0)
        self.assertEqual((self.stack.volumes / "uploads_one" / "f").read_text(), "uploads")
        self.assertEqual([p.name for p in self.stack.volumes.glob("*_one")], ["uploads_one"])
        part = self.stack.lifeboat("backup", "--only", "media", "--json", expect=0).json["id"]
        shown = self.stack.lifeboat("show", part, "--json", expect=0).json
        self.assertEqual(list(shown["manifest"]["components"]), ["volumes"])
        self.assert_failed(self.stack.lifeboat("backup", "--only", "medai"), 64, "medai")


if __name__ == "__main__":
    unittest.main()
