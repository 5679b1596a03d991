"""Encrypted archives: for whom, with what, by hand, and everything that must be refused."""

import hashlib
import json
import os
import re
import shutil
import unittest

from case import StackCase
from stack import AS_SERVER, ROOT, run


class Encrypted(StackCase):
    """One encrypted backup of the whole stack: to our key, and to one that is kept elsewhere."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        stack = cls.stack
        made = stack.lifeboat("keygen", "-o", "identity.txt", expect=0)
        cls.ours = re.search(r"age1\w+", made.out).group()
        run(["age-keygen", "-o", stack.folder / "other.txt"])
        cls.theirs = run(["age-keygen", "-y", stack.folder / "other.txt"]).stdout.decode().strip()
        (stack.folder / "offline.pub").write_text("# in the safe\n%s\n" % cls.theirs)
        stack.lifeboat("keygen", "-o", "wrong.txt", expect=0)
        cls.plain_conf = stack.conf()
        cls.no_identity = cls.plain_conf + "\n[archive]\nrecipients = %s, offline.pub\n" % cls.ours
        cls.whole_conf = cls.no_identity + "identity = identity.txt\n"
        stack.write_conf(cls.no_identity)
        cls.rows = stack.sql("hdms_db", "SELECT count(*) FROM tickets")
        # The agent that takes backups needs no private key.
        cls.backup = stack.lifeboat("backup", "--json", expect=0).json
        cls.path = stack.store / cls.backup["archive"]
        cls.sidecar = cls.path.with_name(cls.path.name.split(".")[0] + ".json")
        cls.sealed, cls.told = cls.path.read_bytes(), cls.sidecar.read_bytes()

    def setUp(self):
        self.stack.write_conf(self.whole_conf)
        self.addCleanup(self.path.write_bytes, self.sealed)
        self.addCleanup(self.sidecar.write_bytes, self.told)

    def without(self, *command, identity=None):
        """Runs it with no identity, or with another."""
        self.stack.write_conf(self.no_identity)
        env = {"LIFEBOAT_ARCHIVE_IDENTITY": str(identity)} if identity else {}
        return self.stack.lifeboat(*command, env=env)

    # ---- keys

    def test_keygen__writes_what_age_reads__and_never_over_a_file(self):
        identity = self.stack.folder / "identity.txt"
        self.assertEqual(oct(identity.stat().st_mode & 0o777), "0o600")
        self.assertEqual(run(["age-keygen", "-y", identity]).stdout.decode().strip(), self.ours)
        before = identity.read_bytes()
        self.assert_failed(self.stack.lifeboat("keygen", "-o", "identity.txt"), 1, "not overwritten")
        self.assertEqual(identity.read_bytes(), before)
        out = self.stack.lifeboat("keygen", expect=0).out
        self.assertRegex(out, r"\A# created: .*\n# public key: age1\w{58}\nAGE-SECRET-KEY-1\w{58}\n\Z")

    # ---- what is stored

    def test_sidecar__says_what_is_stored_and_who_opens_it(self):
        self.assertTrue(self.backup["archive"].endswith(".tar.zst.age"))
        self.assertEqual(self.backup["bytes"], len(self.sealed))
        self.assertEqual(self.backup["sha256"], hashlib.sha256(self.sealed).hexdigest())
        self.assertEqual(self.backup["encrypted"], {"format": "age", "recipients": [self.ours, self.theirs]})
        self.assertTrue(self.sealed.startswith(b"age-encryption.org/v1\n-> X25519 "))
        self.assertNotIn(b"RESTORE.md", self.sealed)

    def test_age__opens_it_with_either_key__and_tar_reads_it(self):
        for identity in ("identity.txt", "other.txt"):
            with self.subTest(identity=identity):
                plain = self.stack.folder / ("by-age-" + identity)
                run(["age", "-d", "-i", self.stack.folder / identity, "-o", plain, self.path])
                names = run(["sh", "-c", "zstd -dcq '%s' | tar -t" % plain]).stdout.decode().split()
                self.assertEqual(names[0], "RESTORE.md")
                self.assertEqual(names[-1], "manifest.json")

    def test_archive_that_age_made__is_read_as_our_own(self):
        plain = self.stack.folder / "again"
        run(["age", "-d", "-i", self.stack.folder / "identity.txt", "-o", plain, self.path])
        self.path.unlink()
        run(["age", "-r", self.ours, "-o", self.path, plain])
        data = self.path.read_bytes()
        side = json.loads(self.told)
        side.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        self.sidecar.write_text(json.dumps(side))
        self.stack.lifeboat("verify", expect=0)

    # ---- with the identity

    def test_list_and_status__need_no_identity(self):
        self.stack.write_conf(self.no_identity)
        self.assertIn(self.backup["id"], self.stack.lifeboat("list", expect=0).out)
        self.stack.lifeboat("prune", "--dry-run", expect=0)

    def test_show_verify_and_check__with_the_identity__work(self):
        self.assertIn("encrypted to " + self.theirs, self.stack.lifeboat("show", expect=0).out)
        shown = self.stack.lifeboat("show", "--json", expect=0).json
        self.assertEqual(shown["manifest"]["id"], self.backup["id"])
        told = self.stack.lifeboat("verify", "--json", expect=0).json["verified"][0]
        self.assertEqual((told["outcome"], told["stored_bytes"]), ("passed", len(self.sealed)))
        self.assertIn("to 2 recipients; the identity here opens it", self.stack.lifeboat("check", expect=0).out)

    def test_identity__from_the_environment__as_path_and_as_text(self):
        self.stack.write_conf(self.no_identity)
        for name, value in (("LIFEBOAT_ARCHIVE_IDENTITY", "other.txt"),
                            ("LIFEBOAT_ARCHIVE_IDENTITY_FILE", self.stack.folder / "other.txt")):
            with self.subTest(name=name):
                self.stack.lifeboat("show", expect=0, env={name: str(value)})

    def test_restore__of_one_table__out_of_an_encrypted_archive(self):
        self.stack.lifeboat("restore", "--database", "hdms_db", "--table", "public.tickets", "--as", "one", expect=0)
        self.assertIn("postgres_data_one", os.listdir(self.stack.volumes))

    def test_drill__of_an_encrypted_archive__passes(self):
        told = self.stack.lifeboat("drill", "--json", expect=0).json
        self.assertEqual(told["outcome"], "passed")

    def test_unlock__gives_what_age_gives__and_nothing_half_made(self):
        self.stack.lifeboat("unlock", "-o", "plain.tar.zst", expect=0)
        plain = self.stack.folder / "plain.tar.zst"
        self.assertEqual(oct(plain.stat().st_mode & 0o777), "0o600")
        by_age = run(["age", "-d", "-i", self.stack.folder / "other.txt", self.path]).stdout
        self.assertEqual(plain.read_bytes(), by_age)
        self.assert_failed(self.stack.lifeboat("unlock", "-o", "plain.tar.zst"), 1, "is there already")
        self.assert_failed(self.stack.lifeboat("unlock"), 64, "-o FILE")
        damaged = bytearray(self.sealed)
        damaged[-100] ^= 1
        self.path.write_bytes(damaged)
        self.assert_failed(self.stack.lifeboat("unlock", "-o", "half.tar.zst"), 1, "is not what was encrypted")
        self.assertEqual([n for n in os.listdir(self.stack.folder) if n.startswith("half")], [])

    def test_restore_md__followed_by_hand__begins_with_age(self):
        host = self.stack.folder / "host"
        self.stack._folder(host)
        for source in (self.path, self.stack.folder / "other.txt"):
            shutil.copy(source, host)
            self.stack.give(host / source.name)
        text = run(["sh", "-c", "age -d -i other.txt '%s' | zstd -dcq | tar -xOf - RESTORE.md" % self.path.name],
                   cwd=host).stdout.decode()
        blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
        # The servers' part is test_by_hand's; here: its beginning and one stream.
        script = host / "restore.sh"
        script.write_text(blocks[0] + "member manifest.json >manifest.json\nmember 'redis/dump.rdb/*' >dump.rdb\n")
        self.stack.give(script)
        env = {"PATH": "/usr/bin:/bin", "HOME": str(host), "LC_ALL": "C.UTF-8", "IDENTITY": "other.txt"}
        run((AS_SERVER if ROOT else []) + ["sh", script], cwd=host, env=env)
        self.assertEqual(json.loads((host / "manifest.json").read_text())["id"], self.backup["id"])
        self.assertTrue((host / "dump.rdb").read_bytes().startswith(b"REDIS"))

    def test_lost_sidecar__is_made_anew_from_the_archive(self):
        self.sidecar.unlink()
        self.assert_failed(self.without("adopt", self.backup["id"]), 78, "no identity is given")
        self.assertFalse(self.sidecar.exists())
        self.stack.write_conf(self.whole_conf)
        self.stack.lifeboat("adopt", self.backup["id"], expect=0)
        told = json.loads(self.sidecar.read_text())
        self.assertEqual(told["encrypted"], {"format": "age", "recipients": []})
        for key in ("bytes", "sha256", "counts", "started"):
            self.assertEqual(told[key], self.backup[key])
        self.stack.lifeboat("verify", expect=0)

    # ---- without it, or with a wrong one

    def test_no_identity__nothing_is_made_and_it_says_what_is_needed(self):
        for command in (("restore", "--as", "never"), ("drill",), ("show",), ("unlock", "-o", "never.tar.zst")):
            with self.subTest(command=command), self.nothing_changes():
                self.assert_failed(self.without(*command), 78, "is encrypted, and no identity is given",
                                   "identity = FILE in [archive], or LIFEBOAT_ARCHIVE_IDENTITY=FILE")
        self.assertFalse((self.stack.folder / "never.tar.zst").exists())

    def test_wrong_identity__nothing_is_made_and_it_says_why(self):
        for command in (("restore", "--as", "never"), ("drill",), ("show",), ("unlock", "-o", "never.tar.zst")):
            with self.subTest(command=command), self.nothing_changes():
                self.assert_failed(self.without(*command, identity="wrong.txt"), 1, "it is encrypted to others",
                                   "Give the identity of one of its recipients")

    def test_verify__without_a_fitting_identity__checks_the_bytes_and_says_what_it_could_not(self):
        for identity, why in ((None, "no identity is given"), ("wrong.txt", "it is encrypted to others")):
            with self.subTest(identity=identity):
                told = self.without("verify", "--json", identity=identity)
                self.assert_failed(told, 2, "bytes are as they were written", "could not be verified", why)
                one = told.json["verified"][0]
                self.assertEqual((one["outcome"], one["stored_bytes"]), ("could not verify", len(self.sealed)))
        damaged = bytearray(self.sealed)
        damaged[len(damaged) // 2] ^= 1
        self.path.write_bytes(damaged)
        self.assert_failed(self.without("verify"), 1, "its SHA-256 is")

    def test_identity__that_is_none__is_a_mistake_of_the_configuration(self):
        (self.stack.folder / "bad.txt").write_text("AGE-SECRET-KEY-1S3CRET\n")
        for identity, text in (("bad.txt", "line 1: a line is no identity of age"), ("gone.txt", "gone.txt")):
            with self.subTest(identity=identity):
                told = self.without("show", identity=identity)
                self.assert_failed(told, 78, "'identity' in [archive]", text)
                self.assertNotIn("S3CRET", told.err)
        self.stack.write_conf(self.plain_conf + "\n[archive]\nrecipients = age1xyz\n")
        self.assert_failed(self.stack.lifeboat("backup"), 78, "'recipients' in [archive]", "no recipient of age")

    def test_identity__that_everyone_may_read__is_a_warning(self):
        os.chmod(self.stack.folder / "other.txt", 0o644)
        self.addCleanup(os.chmod, self.stack.folder / "other.txt", 0o600)
        self.assertIn("everyone may read it (chmod 600 it)", self.without("list", identity="other.txt").err)

    def test_check__identity_that_opens_nothing__fails(self):
        told = self.without("check", identity="wrong.txt")
        self.assert_failed(told, 78, "opens none of the archives that will be written")
        self.assertIn("no identity here: restore, drill and verify need one", self.without("check").out)

    def test_check__plain_archives_in_a_remote_store__is_a_warning(self):
        remote = "\n[store off]\nurl = davs://127.0.0.1:1/none\ntimeout = 1\nretries = 1\n"
        self.stack.write_conf(self.plain_conf + remote)
        self.assertIn("archives are not encrypted, and it is on another machine", self.stack.lifeboat("check").out)

    # ---- tampering

    def test_archive__changed_in_any_part__refused(self):
        head = self.sealed.index(b"\n---") + 50
        places = [0, 25, 60, 120, head, head + 20, head + 100, len(self.sealed) // 2, len(self.sealed) - 1]
        for at in places:
            with self.subTest(byte=at):
                data = bytearray(self.sealed)
                data[at] ^= 1
                self.path.write_bytes(data)
                self.assert_failed(self.stack.lifeboat("verify"), 1)

    def test_archive__cut_or_lengthened_and_vouched_for_by_its_sidecar__refused(self):
        head = self.sealed.index(b"\n---") + 4 + 1 + 43 + 1 + 16
        chunk = 65536 + 16
        lengths = [0, 100, head, head + 16, head + chunk, head + 2 * chunk, len(self.sealed) - 1]
        for data in [self.sealed[:n] for n in lengths if n < len(self.sealed)] + [self.sealed + b"x"]:
            with self.subTest(length=len(data)):
                self.path.write_bytes(data)
                side = json.loads(self.told)
                side.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
                self.sidecar.write_text(json.dumps(side))
                self.assert_failed(self.stack.lifeboat("verify"), 1)
        with self.nothing_changes():
            self.assert_failed(self.stack.lifeboat("restore", "--as", "never"), 1)


if __name__ == "__main__":
    unittest.main()
