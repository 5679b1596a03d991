"""Copies of backups in several stores: what becomes of them when stores, disks and agents fail."""

import json
import os
import signal
import time
import unittest

from case import Held, StackCase, fill, small_disk
from sshd import Sshd
from stack import tree_state
from webdav import WebDav

MEBIBYTE = 1 << 20


class Copies(StackCase):
    """A volume and no server: backups take no time. Each test has stores of its own."""

    STACK = {"components": ()}

    def setUp(self):
        self.home = self.stack.folder / self.id().rsplit(".", 1)[1][:60]
        self.home.mkdir()
        media = self.stack.volumes / "media"
        media.mkdir(exist_ok=True)
        (media / "picture").write_bytes(os.urandom(3 * MEBIBYTE))
        self.stack.store = self.place("local")
        self.configure()

    def place(self, label):
        return self.home / label

    def configure(self, *stores, local=""):
        """`stores`: sections behind the first, as text or as a label for a folder of that name."""
        text = "[stack]\nname = hdms\nvolumes_dir = %s\n[volume media]\n[store local]\nurl = file://%s\n%s" % (
            self.stack.volumes, self.place("local"), local)
        for s in stores or ("near", "far"):
            text += s if s.startswith("[") else "[store %s]\nurl = file://%s\n" % (s, self.place(s))
        self.stack.write_conf(text)

    def backup(self, expect=0):
        return self.stack.lifeboat("backup", "--json", expect=expect).json

    def copy(self, *args, expect=0):
        return self.stack.lifeboat("copy", "--json", *args, expect=expect).json["copies"]

    def ids(self, label):
        """Committed there, oldest first."""
        return sorted(p.name[5:-5] for p in self.place(label).glob("hdms-*.json") if ".drill-" not in p.name)

    def assert_same(self, *labels):
        first = self.objects(labels[0])
        self.assertTrue(first)
        for label in labels[1:]:
            self.assertEqual(self.objects(label), first, label)

    def objects(self, label):
        """Of backups, with their hashes: no locks, no marks of those who use them."""
        return {n: s for n, s in tree_state(self.place(label)).items()
                if n.startswith("hdms-") and ".mark-" not in n and ".part" not in n}

    def assert_whole(self, label):
        self.stack.lifeboat("verify", "--all", "--store", label, expect=0)

    def break_store(self, label):
        """A file where its folder should be: nothing can be opened there."""
        self.place(label).write_text("")

    def mend_store(self, label):
        self.place(label).unlink()

    # ---- all is well

    def test_backup__with_three_stores__is_in_all_of_them(self):
        made = self.backup()
        self.assertEqual([(c["store"], c["id"], c["outcome"], c["bytes"]) for c in made["copies"]],
                         [(s, made["id"], "copied", made["bytes"]) for s in ("near", "far")])
        self.assert_same("local", "near", "far")
        self.assert_whole("far")
        said = self.stack.lifeboat("copy", expect=0).out
        self.assertIn("every store has what it should have of store 'local'", said)
        self.assertEqual(self.copy("latest", "--to", "far")[0]["outcome"], "there")

    def test_drill__evidence_is_in_every_store_that_has_the_backup(self):
        self.backup()
        # There is nothing in a volume that the negative control could change.
        self.stack.lifeboat("drill", "--store", "far", expect=2)
        self.assert_same("far", "near", "local")
        self.assertEqual(len(self.objects("near")), 3)
        for proof in self.place("near").glob("*.drill-*"):
            proof.unlink()
        self.assertEqual([(c["store"], c["outcome"], c["bytes"]) for c in self.copy()], [("near", "evidence", 1)])
        self.assert_same("far", "near", "local")

    def test_copy__of_an_older_first_store__brings_what_the_rules_would_keep(self):
        self.configure("[store near]\nurl = file://%s\nkeep = last 2\n" % self.place("near"))
        self.break_store("near")
        made = [self.backup(expect=1)["id"] for _ in range(3)]
        self.mend_store("near")
        planned = self.copy("--dry-run")
        self.assertEqual([(c["id"], c["outcome"]) for c in planned], [(made[2], "missing"), (made[1], "missing")])
        self.assertEqual(self.ids("near"), [])
        self.copy()
        self.assertEqual(self.ids("near"), made[1:])
        pruned = self.stack.lifeboat("prune", "--json", expect=0).json["backups"]
        self.assertTrue(all(b["keep"] for b in pruned), pruned)
        # Asked for by name it comes all the same.
        self.copy(made[0], "--to", "near")
        self.assertEqual(self.ids("near"), made)

    def test_copy__back_to_a_new_first_store__from_another(self):
        self.backup()
        for path in self.place("local").iterdir():
            path.unlink()
        self.copy("--from", "far", "--to", "local")
        self.assert_same("far", "local")
        self.assert_failed(self.stack.lifeboat("copy", "--to", "local"), 64,
                           "store 'local' can't be copied to itself", "HINT: say which one has the backups: --from NAME")

    def test_copy__of_an_encrypted_backup__needs_no_key(self):
        key = self.stack.lifeboat("keygen", "--json", expect=0).json["recipient"]
        self.stack.write_conf(self.stack.conf() + "[archive]\nrecipients = %s\n" % key)
        made = self.backup()
        self.assertTrue(made["archive"].endswith(".age"), made)
        self.assertEqual([c["outcome"] for c in made["copies"]], ["copied", "copied"])
        for path in self.place("far").iterdir():
            path.unlink()
        self.assertEqual([c["outcome"] for c in self.copy()], ["copied"])
        self.assert_same("local", "near", "far")

    # ---- a store is away

    def test_backup__store_down__the_backup_is_safe_and_copy_catches_up(self):
        self.break_store("far")
        result = self.stack.lifeboat("backup")
        backup = self.ids("local")[0]
        self.assert_failed(result, 1, "backup '%s' is safe in store 'local', but: store 'far': " % backup,
                           "exists and is not a folder", "HINT: `lifeboat copy` catches up, once the reason is gone.")
        self.assertIn("copy of %s is in store 'near'" % backup, result.out)
        self.assert_same("local", "near")
        self.assert_failed(self.stack.lifeboat("check"), 1, "the first: store 'far': ")
        self.assert_failed(self.stack.lifeboat("status"), 2, "store 'far' can't be reached: ")
        self.assert_failed(self.stack.lifeboat("prune"), 1, "store 'far': ")
        self.assert_failed(self.stack.lifeboat("copy"), 1, "store 'far': ")
        self.mend_store("far")
        self.assertIn("lags behind: 1 backup of the first store is missing: lifeboat copy",
                      self.stack.lifeboat("check", expect=0).out)
        self.assert_failed(self.stack.lifeboat("status"), 2, "store 'far' lacks 1 of the backups")
        self.copy()
        self.assert_same("local", "near", "far")
        self.assertEqual([s["missing"] for s in self.stack.lifeboat("status", "--json").json["copies"]], [0, 0])

    def test_backup__first_store_down__there_is_no_backup_anywhere(self):
        self.break_store("local")
        self.assert_failed(self.stack.lifeboat("backup"), 1, "store 'local': ")
        self.assertEqual(self.ids("near") + self.ids("far"), [])

    def test_copy__target_full__is_said_and_leaves_nothing(self):
        self.configure("near")
        self.place("near").mkdir()
        with small_disk(self.place("near"), 5):
            os.chmod(self.place("near"), 0o700)
            ballast = fill(self.place("near"), 1500)
            result = self.stack.lifeboat("backup")
            self.assert_failed(result, 1, "is safe in store 'local', but: store 'near': ", "No space left on device")
            self.assertEqual(self.objects("near"), {})
            ballast.unlink()
            self.copy()
            self.assert_same("local", "near")

    # ---- killed, at once, flipped

    def test_copy__killed_in_the_middle__nothing_is_visible_and_it_is_caught_up(self):
        self.configure("near")
        self.break_store("near")
        made = self.backup(expect=1)
        self.mend_store("near")
        for point in ("copy-archive", "copy-published"):
            with self.subTest(point=point):
                held = Held(self.stack, point, ("copy",))
                held.wait(30)
                held.process.send_signal(signal.SIGKILL)
                held.process.communicate()
                self.assertEqual(self.ids("near"), [])
                self.assertEqual(self.stack.lifeboat("list", "--store", "near", "--json").json["backups"], [])
        self.assertEqual(self.copy()[0]["outcome"], "copied")
        self.stack.lifeboat("prune", expect=0)
        self.assert_same("local", "near")
        self.assertEqual(self.ids("near"), [made["id"]])
        left = [p.name for p in self.place("near").iterdir() if not p.name.startswith("hdms-") and p.suffix != ".lock"]
        self.assertEqual(left, [])

    def test_copy__killed_at_any_moment__what_is_visible_is_whole(self):
        self.configure("near")
        self.break_store("near")
        self.backup(expect=1)
        self.mend_store("near")
        self.configure("[store near]\nurl = file://%s\nlimit = 4MiB/s\n" % self.place("near"))
        for ms in (100, 300, 500, 700, 900):
            process = self.stack.start_lifeboat("copy")
            time.sleep(ms / 1000)
            process.kill()
            process.communicate()
            if self.ids("near"):
                self.assert_same("local", "near")
        self.configure("near")
        self.copy()
        self.assert_same("local", "near")
        self.stack.lifeboat("prune", expect=0)
        left = [p.name for p in self.place("near").iterdir() if p.name not in self.objects("near") and p.suffix != ".lock"]
        self.assertEqual(left, [])
        self.assert_failed(self.stack.lifeboat("copy", "2020"), 1, "no backup '2020'")

    def test_backup__terminated_while_it_copies__says_that_the_backup_is_safe(self):
        held = Held(self.stack, "copy-archive", ("backup",))
        held.wait(30)
        held.process.send_signal(signal.SIGTERM)
        held.resume()
        result = self.stack.finish(held.process, ("backup",))
        backup = self.ids("local")[0]
        self.assert_failed(result, 1, "backup '%s' is safe in store 'local', its copies are not all made: " % backup,
                           "cancelled by SIGTERM", "HINT: `lifeboat copy` catches up.")
        self.copy()
        self.assert_same("local", "near", "far")

    def test_copy__two_agents_at_once__one_copy_and_it_is_whole(self):
        self.configure("near")
        self.break_store("near")
        self.backup(expect=1)
        self.mend_store("near")
        with self.held("copy-archive", "copy") as other:
            self.assert_failed(self.stack.lifeboat("copy"), 75, "store 'near': ", "is being written by another process")
        self.assertEqual(other.result.code, 0, other.result)
        self.assert_same("local", "near")
        for path in self.place("near").glob("*"):
            path.unlink()
        # Its archive stands there without a sidecar: no reason not to bring the same once more.
        with self.held("copy-published", "copy") as other:
            self.copy()
            self.assert_same("local", "near")
        self.assertEqual(other.result.code, 0, other.result)
        self.assert_same("local", "near")
        self.assert_whole("near")

    def test_copy__backup_removed_before_its_turn__the_others_are_copied(self):
        self.configure("near")
        self.break_store("near")
        ids = [self.backup(expect=1)["id"] for _ in range(3)]
        self.mend_store("near")
        with self.held("copy-published", "copy") as other:
            for gone in self.place("local").glob("hdms-%s.*" % ids[1]):
                gone.unlink()
        self.assertEqual(other.result.code, 0, str(other.result))
        self.assertEqual(self.ids("near"), [ids[0], ids[2]])

    def test_prune__while_a_copy_is_on_its_way__leaves_it_alone(self):
        self.configure("near")
        self.break_store("near")
        self.backup(expect=1)
        self.mend_store("near")
        with self.held("copy-published", "copy") as other:
            self.stack.lifeboat("prune", expect=0)
        self.assertEqual(other.result.code, 0, other.result)
        self.assert_same("local", "near")

    def test_copy__flipped_byte_in_the_source__is_found_and_not_copied(self):
        self.configure("near")
        self.break_store("near")
        good = self.backup(expect=1)["id"]
        bad = self.backup(expect=1)["id"]
        self.mend_store("near")
        path = self.place("local") / ("hdms-%s.tar.zst" % bad)
        whole = path.read_bytes()
        path.write_bytes(whole[:MEBIBYTE] + bytes([whole[MEBIBYTE] ^ 1]) + whole[MEBIBYTE + 1:])
        result = self.stack.lifeboat("copy")
        self.assert_failed(result, 1, "store 'local': backup '%s': its archive has another SHA-256 than its sidecar "
                           "says: not copied" % bad, "HINT: 'lifeboat verify %s --store local' says where." % bad)
        # The others come all the same.
        self.assertEqual(self.ids("near"), [good])
        self.assertEqual([n for n in self.objects("near") if bad in n], [])

    # ---- pinned

    def test_pin__is_known_to_every_store_that_has_the_backup(self):
        first, second = self.backup()["id"], self.backup()["id"]
        for path in self.place("far").glob("*%s*" % first):
            path.unlink()
        said = self.stack.lifeboat("pin", first, "--json", expect=0).json
        self.assertEqual([(s["store"], s["changed"]) for s in said["stores"]], [("local", True), ("near", True)])
        self.assertIn("is pinned in store 'near'", self.stack.lifeboat("pin", first, expect=0).out)
        self.configure("[store near]\nurl = file://%s\nkeep = last 1\n" % self.place("near"), local="keep = last 1\n")
        self.stack.lifeboat("prune", expect=0)
        self.assertEqual(self.ids("near"), [first, second])
        self.place("far").rename(self.home / "gone")
        self.break_store("far")
        self.configure()
        self.assert_failed(self.stack.lifeboat("pin", first, "--off"), 1, "backup '%s': store 'far': " % first)
        self.configure("[store near]\nurl = file://%s\nkeep = last 1\n" % self.place("near"), local="keep = last 1\n")
        self.stack.lifeboat("prune", expect=0)
        self.assertEqual(self.ids("near") + self.ids("local"), [second, second])

    # ---- what a store did not hear of

    def away(self, label):
        self.place(label).rename(self.home / (label + "-away"))
        self.break_store(label)

    def back(self, label):
        self.mend_store(label)
        (self.home / (label + "-away")).rename(self.place(label))

    def keep_one(self):
        text = "[store far]\nurl = file://%s\nkeep = last 1\n" % self.place("far")
        self.configure("near", text, local="keep = last 1\n")

    def pinned(self, label):
        return [b["id"] for b in self.stack.lifeboat("list", "--store", label, "--json", expect=0).json["backups"]
                if b["pinned"]]

    def test_pin__store_that_was_away__is_kept_there_and_told_by_copy(self):
        first, second = self.backup()["id"], self.backup()["id"]
        self.keep_one()
        self.away("far")
        self.assert_failed(self.stack.lifeboat("pin", first), 1, "store 'far'", "`lifeboat copy` brings it there")
        self.back("far")
        self.assertEqual(self.pinned("far"), [])
        # Before anybody told it: prune asks the others.
        said = self.stack.lifeboat("prune", expect=0).out
        self.assertRegex(said, "keep +%s +pinned in store 'local'" % first)
        self.assertEqual(self.ids("far"), [first, second])
        told = [(c["store"], c["id"], c["outcome"], c["change"]) for c in self.copy()]
        self.assertEqual(told, [("far", first, "decision", "pinned")])
        self.assertEqual(self.pinned("far"), [first])
        self.assertEqual(self.copy(), [])
        # Now it knows by itself.
        for label in ("local", "near"):
            self.away(label)
        self.stack.lifeboat("prune", expect=1)
        self.assertEqual(self.ids("far"), [first, second])
        for label in ("local", "near"):
            self.back(label)
        # Lifted while it is away: it is lifted there as well, once it hears of it, and not before.
        self.away("far")
        self.stack.lifeboat("pin", first, "--off", expect=1)
        self.back("far")
        self.assertIn("backup %s is now not pinned in store 'far'" % first, self.stack.lifeboat("copy", expect=0).out)
        self.assertEqual([self.pinned(s) for s in ("local", "near", "far")], [[], [], []])
        self.stack.lifeboat("prune", expect=0)
        self.assertEqual(self.ids("far"), [second])

    def test_prune__sidecar_elsewhere_that_is_none__is_no_reason_not_to_ask_for_others(self):
        first, second, _ = [self.backup()["id"] for _ in range(3)]
        self.configure("[store far]\nurl = file://%s\nkeep = last 1\n" % self.place("far"))
        self.away("far")
        self.stack.lifeboat("pin", first, expect=1)
        self.back("far")
        (self.place("local") / ("hdms-%s.json" % second)).write_bytes(b"x" * (9 << 20))
        self.stack.lifeboat("prune")
        self.assertIn(first, self.ids("far"))
        self.assertNotIn(second, self.ids("far"))

    def test_pin__in_one_store_alone__stays_there(self):
        first = self.backup()["id"]
        self.stack.lifeboat("pin", first, "--store", "far", expect=0)
        self.assertEqual(self.copy(), [])
        self.assertEqual([self.pinned(s) for s in ("local", "near", "far")], [[], [], [first]])
        self.stack.lifeboat("pin", first, expect=0)
        self.stack.lifeboat("pin", first, "--store", "near", "--off", expect=0)
        self.assertEqual(self.copy(), [])
        self.assertEqual([self.pinned(s) for s in ("local", "near", "far")], [[first], [], [first]])
        # What the first store did not hear of comes from another.
        self.away("local")
        self.stack.lifeboat("pin", first, "--off", "--store", "far", expect=0)
        self.back("local")
        self.assertEqual([self.pinned(s) for s in ("local", "near", "far")], [[first], [], []])
        # Nor does it go with a copy that is made only now.
        self.stack.lifeboat("pin", first, "--off", "--store", "local", expect=0)
        for path in self.place("far").glob("hdms-*"):
            path.unlink()
        self.assertEqual([c["outcome"] for c in self.copy()], ["copied"])
        self.assertEqual([self.pinned(s) for s in ("local", "near", "far")], [[], [], [first]])

    def test_copy__drill_that_a_store_did_not_hear_of__comes_both_ways(self):
        self.backup()
        self.away("local")
        self.stack.lifeboat("drill", "--store", "far", expect=2)
        self.back("local")
        told = sorted((c["store"], c["outcome"], c["bytes"]) for c in self.copy())
        self.assertEqual(told, [("local", "evidence", 1)])
        self.assert_same("far", "near", "local")

    # ---- what no section names

    def test_check__folder_of_volumes_dir_without_a_section__is_told(self):
        self.backup()
        other = self.stack.volumes / "uploads"
        other.mkdir()
        self.addCleanup(other.rmdir)
        said = self.stack.lifeboat("check", "--json", expect=0).json["findings"]
        self.assertEqual([f["text"].split(":")[0] for f in said if f["what"] == "not backed up"], ["volume 'uploads'"])
        told = self.stack.lifeboat("status", "--json").json["not_backed_up"]
        self.assertIn("volume 'uploads'", [m["what"] for m in told])
        # What a restore makes is none of production's.
        self.stack.lifeboat("restore", "--as", "copied", expect=None)
        told = self.stack.lifeboat("status", "--json").json["not_backed_up"]
        self.assertNotIn("copied", json.dumps(told))

    # ---- where they stand

    def warning(self, *stores, local=""):
        self.configure(*stores, local=local)
        said = self.stack.lifeboat("check", "--json", expect=0).json["findings"]
        return [f["text"].split(":")[0].split(" (")[0] for f in said if f["what"] == "stores" and f["level"] == "warning"]

    def test_check__stores_in_one_site__are_warned_of(self):
        site = "[store near]\nurl = file://%s\nsite = %%s\n" % self.place("near")
        self.assertEqual(self.warning("near"), ["no store says where it stands"])
        self.assertEqual(self.warning(site % "office", local="site = office\n"),
                         ["all of them stand in one site, 'office'"])
        self.assertEqual(self.warning("near", local="site = office\n"),
                         ["none is known to stand elsewhere than in 'office'"])
        self.assertEqual(self.warning(site % "cellar", local="site = office\n"), [])
        same = "[store near]\nurl = file://%s\nsite = cellar\n" % self.place("local")
        self.assertEqual(self.warning(same, local="site = office\n"),
                         ["'local' and 'near' are one and the same place"])
        text = self.stack.conf()
        self.stack.write_conf(text[:text.index("[store near]")])
        self.assertIn("there is one store: what destroys it destroys every backup",
                      self.stack.lifeboat("check", expect=0).out)
        self.assert_failed(self.stack.lifeboat("copy"), 78, "has one store: there is none to copy to")

    # ---- over a network

    def test_backup__to_sftp_and_webdav_as_well__until_they_are_away(self):
        with Sshd(self.home / "sshd") as sshd, WebDav(self.home / "nginx") as webdav:
            self.configure(sshd.section("far", self.place("far")), webdav.section("cloud"))
            self.place("far").mkdir()
            self.assertEqual([c["outcome"] for c in self.backup()["copies"]], ["copied", "copied"])
            self.assert_same("local", "far")
            self.assertIn("store 'far': sftp://", self.stack.lifeboat("check", expect=0).out)
            for path in self.place("local").glob("hdms-*"):
                path.unlink()
            self.copy("--from", "cloud")
            self.assert_same("far", "local")
        away = {"LIFEBOAT_STORE_%s_%s" % (s, k): v for s in ("FAR", "CLOUD")
                for k, v in (("RETRIES", "1"), ("TIMEOUT", "2s"))}
        result = self.stack.lifeboat("backup", env=away)
        self.assert_failed(result, 1, "is safe in store 'local', but: 2 copies failed; the first: store 'far': ",
                           "connect to server")
        self.assertEqual(result.out.count("failed: copy of "), 2, str(result))
        self.assertEqual(self.stack.lifeboat("copy", env=away).code, 69)
        self.assertEqual(len(self.ids("local")), 2)


if __name__ == "__main__":
    unittest.main()
