"""Damaged and hostile archives: cut, flipped, lying, escaping, bursting. None may pass, none may harm."""

import json
import struct
import tarfile
import unittest

from archive import Archive, entry_of, pack, sealed
from case import StackCase
from stack import LIFEBOAT, run


class Damaged(StackCase):
    """One backup of the whole stack, damaged anew by each test."""

    STACK = {"components": ("redis",)}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        media = cls.stack.volumes / "media"
        media.mkdir()
        (media / "big").write_bytes(bytes(range(256)) * 400)
        (media / "picture").write_bytes(b"small")
        cls.stack.write_conf(cls.stack.conf() + "\n[volume media]\n\n[archive]\npart_size = 64KiB\n")
        with cls.stack.redis_door() as redis:
            for n in range(40):
                redis("SET", "long:%d" % n, "%d " % n * 3000)
        cls.stack.lifeboat("backup", expect=0)
        cls.archive = Archive(cls.stack)

    def setUp(self):
        self.addCleanup(self.archive.restore)

    def refused(self, *texts, command=("verify",)):
        """verify and restore both say no, and restore leaves nothing."""
        result = self.stack.lifeboat(*command)
        self.assert_failed(result, 1, *texts)
        before = self.volumes_state()
        restored = self.stack.lifeboat("restore", "--as", "never")
        self.assertEqual(restored.code, 1, str(restored))
        self.assertEqual(self.volumes_state(), before, "a refused restore left volumes")
        self.assert_no_process_left()
        return result, restored

    def test_archive__whole__passes(self):
        self.assertGreater(len(self.archive.frames), 4)
        self.stack.lifeboat("verify", expect=0)

    def test_archive__forged_without_harm__passes(self):
        # So that the tests below fail for what they change and not for how they are made.
        self.archive.write(self.archive.with_manifest(lambda manifest: None))
        self.stack.lifeboat("verify", expect=0)

        def rename(info, data):
            info.name = "volumes/media/renamed"
            return [(info, data[::-1])]
        self.archive.write(self.replace_member("volumes/media/picture", rename))
        self.stack.lifeboat("verify", expect=0)
        # Every hash of the archive is right, and only the proof can tell: it knows what was backed up.
        told = self.stack.lifeboat("restore", "--as", "renamed", "--keep-failed", expect=1)
        self.assertIn("volume 'media': digest of files:", told.err)
        self.assertEqual((self.stack.volumes / "media_renamed" / "renamed").read_bytes(), b"llams")

    def lengths(self):
        size = len(self.archive.data)
        marks = {0, 1, 4, 100, size - 1, size - 8, size - 9, size - 17, self.archive.table_begin,
                 self.archive.table_begin + 8, self.archive.seal.offset, self.archive.seal.offset + 20}
        for frame in self.archive.frames:
            marks |= {frame.offset, frame.offset + 1, frame.offset + frame.stored // 2, frame.offset + frame.stored - 4}
        step = max(1, size // 40)
        return sorted(length for length in marks | set(range(0, size, step)) if length < size)

    def test_archive__cut_at_any_length__refused(self):
        for length in self.lengths():
            with self.subTest(length=length):
                # As a crash or a bad copy leaves it: the sidecar knows better.
                self.archive.write(self.archive.data[:length], tell_sidecar=False)
                self.assert_failed(self.stack.lifeboat("verify"), 1)

    def test_archive__cut_and_vouched_for_by_its_sidecar__refused(self):
        for length in self.lengths()[::3]:
            with self.subTest(length=length):
                self.archive.write(self.archive.data[:length])
                result = self.stack.lifeboat("verify")
                if self.archive.seal.offset <= length:
                    # Only what stands behind the content is damaged: it can still be read in one pass.
                    self.assertIn(result.code, (0, 1), str(result))
                else:
                    self.assert_failed(result, 1)

    def test_archive__seek_table_gone__still_restores_by_a_full_pass(self):
        for number, end in enumerate((self.archive.table_begin, self.archive.seal.offset)):
            name = "fullpass%d" % number
            self.archive.write(self.archive.data[:end])
            self.stack.lifeboat("restore", "--as", name, expect=0)
            self.assertEqual((self.stack.volumes / ("media_" + name) / "big").read_bytes(),
                             (self.stack.volumes / "media" / "big").read_bytes())

    def test_archive__cut__restore_leaves_nothing(self):
        for part in (0.2, 0.6, 0.95):
            with self.subTest(at=part):
                self.archive.write(self.archive.data[:int(len(self.archive.data) * part)])
                self.refused()

    def test_archive__byte_flipped_in_any_part__refused(self):
        for number, frame in enumerate(self.archive.frames):
            for where in (0, 5, frame.stored // 2, frame.stored - 1):
                with self.subTest(frame=number, byte=where):
                    data = bytearray(self.archive.data)
                    data[frame.offset + where] ^= 0x20
                    self.archive.write(bytes(data))
                    self.assert_failed(self.stack.lifeboat("verify"), 1)

    def test_archive__byte_flipped__even_when_only_the_sidecar_knows(self):
        data = bytearray(self.archive.data)
        data[len(data) // 2] ^= 1
        self.archive.write(bytes(data), tell_sidecar=False)
        self.refused()

    def test_archive__content_swapped_with_a_right_checksum__refused(self):
        """Frames that are whole and vouched for by table and sidecar, and hold something else."""
        target = max(range(len(self.archive.frames)), key=lambda n: self.archive.frames[n].raw)

        def change(number, content):
            return content[:1000] + bytes([content[1000] ^ 1]) + content[1001:] if number == target else content
        self.archive.write(self.archive.rebuilt(change))
        self.refused()

    # ---- a seek table that lies

    def with_table(self, entries):
        self.archive.write(self.archive.with_entries(entries))

    def test_seek_table__lies__refused_or_seen_through(self):
        true = self.archive.entries() + [(self.archive.seal.stored, 0, self.archive.seal.checksum)]
        lies = {
            "first frame longer": [(true[0][0] + 1,) + true[0][1:]] + true[1:],
            "raw size of one": true[:2] + [(true[2][0], true[2][1] + 512, true[2][2])] + true[3:],
            "raw size is huge": true[:2] + [(true[2][0], 0xFFFFFFFF, true[2][2])] + true[3:],
            "a checksum": true[:2] + [(true[2][0], true[2][1], true[2][2] ^ 1)] + true[3:],
            "one frame less": true[:-1],
            "one frame more": true + [(10, 10, 1)],
            "two swapped": true[:1] + [true[2], true[1]] + true[3:],
            "none": [],
        }
        for name, entries in lies.items():
            with self.subTest(lie=name):
                self.with_table(entries)
                result = self.stack.lifeboat("verify")
                self.assertEqual(result.code, 1, "%s\n%s" % (name, result))

    def test_seek_table__count_is_a_lie__refused(self):
        for count in (0, 1, len(self.archive.frames), len(self.archive.frames) + 2, 0x7FFFFFF, 0xFFFFFFFF):
            with self.subTest(count=count):
                data = bytearray(self.archive.data)
                data[-9:-5] = struct.pack("<I", count)
                self.archive.write(bytes(data))
                self.assert_failed(self.stack.lifeboat("verify"), 1)

    # ---- a manifest that lies

    def manifest_lies(self, edit, *texts):
        self.archive.write(self.archive.with_manifest(edit))
        self.refused(*texts)

    def test_manifest__stream_hash__refused(self):
        def edit(manifest):
            manifest["streams"][0]["sha256"] = "0" * 64
        self.manifest_lies(edit)

    def test_manifest__stream_length__refused(self):
        def edit(manifest):
            manifest["streams"][0]["bytes"] += 1
        self.manifest_lies(edit)

    def test_manifest__of_another_backup__refused(self):
        def edit(manifest):
            manifest["id"] = "20200101T000000Z-0000"
        self.archive.write(self.archive.with_manifest(edit))
        self.refused("20200101T000000Z-0000")

    def test_manifest__key_counts__proof_fails_and_names_the_database(self):
        def edit(manifest):
            manifest["components"]["redis"]["rdb"]["databases"][0]["keys"] += 1
        self.archive.write(self.archive.with_manifest(edit))
        result = self.stack.lifeboat("drill")
        self.assertEqual(result.code, 1, str(result))
        self.assertRegex(result.out + result.err, "database '?0")

    def test_manifest__not_json_or_absurd__refused(self):
        for name, text in {"text": b"not json", "array": b"[]", "empty": b"", "deep": b"[" * 100000,
                           "null": b"null", "no components": b"{}", "cut": b'{"format": "lifeboat-archive"'}.items():
            with self.subTest(manifest=name):
                self.archive.write(self.archive.with_manifest(lambda manifest, text=text: text))
                self.assert_failed(self.stack.lifeboat("verify"), 1)

    def test_manifest__of_a_later_format__refused_by_its_number(self):
        def edit(manifest):
            manifest["format_version"] = 2
        self.archive.write(self.archive.with_manifest(edit))
        self.refused("2")

    def test_manifest__names_that_reach_outside__refused(self):
        def volume(name):
            def edit(manifest):
                manifest["components"]["redis"]["volume"] = name
            return edit
        for name in ("../evil", "/tmp/evil", "a/b", "..", ".hidden", "-x", "x" * 300, ""):
            with self.subTest(volume=name):
                self.archive.write(self.archive.with_manifest(volume(name)))
                before = sorted(p.name for p in self.stack.folder.iterdir())
                result = self.stack.lifeboat("restore", "--as", "never")
                self.assertIn(result.code, (1, 64), str(result))
                self.assertEqual(sorted(p.name for p in self.stack.folder.iterdir()), before)

    # ---- members that escape, and bombs

    def replace_member(self, name, make):
        """In the place of one member make(TarInfo, data) → list of (TarInfo, data), with an index to match."""
        info = self.archive.tar().getmember(name)
        begin, end = info.offset, info.offset_data + info.size + -info.size % 512
        raw_offsets = [sum(f.raw for f in self.archive.frames[:n]) for n in range(len(self.archive.frames))]
        number = max(n for n, offset in enumerate(raw_offsets) if offset <= begin)
        here = raw_offsets[number]
        self.assertLessEqual(end, here + self.archive.frames[number].raw, "the member is in more than one frame")
        out = b""
        for new, body in make(info, self.archive.member(name)):
            new.size = len(body)
            out += new.tobuf(tarfile.PAX_FORMAT) + body + bytes(-len(body) % 512)

        def change(n, content):
            return content[:begin - here] + out + content[end - here:] if n == number else content
        data = self.archive.forged(change)
        self.assertNotEqual(data, self.archive.data)
        return data

    def test_member__that_escapes_its_folder__refused_and_nothing_written(self):
        outside = self.stack.folder / "escaped"
        names = ["../../escaped", "volumes/media/../../../escaped", str(outside), "volumes/media/../../escaped",
                 "./../escaped", "volumes/media/a/../../../../escaped"]
        for name in names:
            with self.subTest(name=name):
                def make(info, data, name=name):
                    info.name = name
                    return [(info, data)]
                self.archive.write(self.replace_member("volumes/media/picture", make))
                self.refused()
                self.assertEqual(list(self.stack.folder.rglob("escaped")), [])

    def test_member__behind_a_link_that_leads_outside__refused_and_nothing_written(self):
        target = self.stack.folder / "target"
        target.mkdir(exist_ok=True)

        def make(info, data):
            link = tarfile.TarInfo("volumes/media/door")
            link.type, link.linkname = tarfile.SYMTYPE, str(target)
            info.name = "volumes/media/door/escaped"
            return [(link, b""), (info, data)]
        self.archive.write(self.replace_member("volumes/media/picture", make))
        self.refused()
        self.assertEqual(list(target.iterdir()), [])

    def test_member__hard_link_to_a_file_outside__refused(self):
        secret = self.stack.folder / "agent.conf"

        def make(info, data):
            link = tarfile.TarInfo("volumes/media/stolen")
            link.type, link.linkname = tarfile.LNKTYPE, str(secret)
            return [(info, data), (link, b"")]
        self.archive.write(self.replace_member("volumes/media/picture", make))
        self.refused()
        self.assertEqual(secret.stat().st_nlink, 1)

    def test_bomb__a_frame_of_zeros__ends_at_a_limit(self):
        zeros = run(["sh", "-c", "head -c 4000000000 /dev/zero | zstd -cq --check --stream-size=4000000000 -1"]).stdout
        self.assertLess(len(zeros), 1 << 20)
        frames = [self.archive.stored(n) for n in range(len(self.archive.frames))]
        entries = self.archive.entries()
        for name, raw in {"told": 4000000000, "hidden": entries[1][1]}.items():
            with self.subTest(size=name):
                table = [entries[0], (len(zeros), raw, struct.unpack("<I", zeros[-4:])[0])] + entries[2:]
                self.archive.write(sealed([frames[0], zeros] + frames[2:], table))
                self.bounded(("verify",))
                self.bounded(("restore", "--as", "bomb"))

    def test_bomb__behind_a_damaged_tail__ends_at_a_limit(self):
        zeros = run(["sh", "-c", "head -c 4000000000 /dev/zero | zstd -cq --check -1"]).stdout
        self.archive.write(self.archive.stored(0) + zeros)
        self.bounded(("verify",))
        self.bounded(("restore", "--as", "bomb"))

    def test_bomb__in_the_manifest__ends_at_a_limit(self):
        frames = [self.archive.stored(n) for n in range(len(self.archive.frames) - 1)]
        info = tarfile.TarInfo("manifest.json")
        info.size = 300 << 20
        content = info.tobuf() + b"[" * info.size + bytes(1024)
        last = pack(content, 1)
        self.archive.write(sealed(frames + [last], self.archive.entries()[:-1] + [entry_of(last, len(content))]))
        self.bounded(("verify",))

    def bounded(self, command):
        """Refused, within a limit of memory that the bomb is far above."""
        report = self.stack.folder / "time.txt"
        process = self.stack.start_lifeboat("-v", "-o", report, *([LIFEBOAT] + list(command)),
                                            program="/usr/bin/time")
        result = self.stack.finish(process, command)
        self.assert_failed(result, 1)
        peak_kb = int(report.read_text().split("Maximum resident set size (kbytes): ")[1].split()[0])
        self.assertLess(peak_kb, 700 * 1024, "with sanitizers; without them far less")
        self.assertEqual([p for p in self.stack.volumes.glob("*_bomb")], [])

    # ---- a sidecar that lies

    def test_sidecar__damaged__the_backup_is_shown_as_broken_and_never_used(self):
        good = json.loads(self.archive.original[1])
        for name, text in {"empty": "", "cut": json.dumps(good)[:40], "array": "[]",
                           "other id": json.dumps(dict(good, id="20200101T000000Z-0000")),
                           "escaping archive": json.dumps(dict(good, archive="../../etc/passwd")),
                           "other archive": json.dumps(dict(good, archive="other.tar.zst"))}.items():
            with self.subTest(sidecar=name):
                self.archive.sidecar.write_text(text)
                self.assertNotEqual(self.stack.lifeboat("restore", "--as", "never").code, 0)
                self.assertNotEqual(self.stack.lifeboat("verify").code, 0)
                listed = self.stack.lifeboat("list")
                self.assertNotIn("Traceback", listed.err)

    def test_sidecar__gone__there_is_no_backup(self):
        self.archive.sidecar.unlink()
        said = self.stack.lifeboat("list", "--json", expect=0).json
        self.assertEqual(said["backups"], [])
        self.assert_failed(self.stack.lifeboat("restore"), 1)

    def test_archive__gone__said_by_name(self):
        self.archive.path.unlink()
        self.assert_failed(self.stack.lifeboat("verify"), 1, "broken")
        said = self.stack.lifeboat("list", "--json", expect=0).json["backups"]
        self.assertIn(self.archive.path.name, said[0]["broken"])


if __name__ == "__main__":
    unittest.main()
