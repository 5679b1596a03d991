"""Every archive is what others understand: zstd, tar, bsdtar where it is, and the published seekable format."""

import hashlib
import json
import shutil
import unittest

from archive import Archive, unpack
from case import StackCase
from stack import Stack, run

# zstd_seekable_compression_format.md, version 0.1.0: the seek table is a skippable frame; each entry has
# the compressed and decompressed size and, where the descriptor's bit 7 says so, the least significant 32
# bits of the XXH64 of the content, which are also the last 4 bytes of a frame with a checksum.


class Formats(StackCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack.lifeboat("backup", expect=0)
        cls.stack.write_conf(cls.stack.conf() + "\n[archive]\npart_size = 64KiB\nlevel = 1\n")
        cls.stack.lifeboat("backup", expect=0)
        paths = sorted(cls.stack.store.glob("*.tar.zst"))
        assert len(paths) == 2
        cls.archives = [Archive(cls.stack, path.name.split("-")[-1].split(".")[0]) for path in paths]

    def each(self):
        for archive in self.archives:
            with self.subTest(archive=archive.path.name):
                yield archive

    def test_zstd__tests_it__accepts(self):
        for archive in self.each():
            run(["zstd", "-tq", archive.path])

    def test_tar__lists_and_extracts_it__accepts(self):
        for archive in self.each():
            listed = run(["tar", "--zstd", "-tf", archive.path]).stdout.decode().splitlines()
            self.assertEqual(listed[0], "RESTORE.md")
            self.assertEqual(listed[-1], "manifest.json")
            self.assertEqual(len(listed), len(set(listed)))
            for program in ("tar", "bsdtar"):
                if program == "bsdtar" and not shutil.which("bsdtar"):
                    continue
                out = self.stack.folder / "out"
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                run([program, "-xf", archive.path, "-C", out] + (["--zstd"] if program == "tar" else []))
                self.assertTrue((out / "manifest.json").is_file())

    def test_seek_table__field_by_field__agrees_with_the_frames(self):
        for archive in self.each():
            self.assertGreater(len(archive.frames), 5)
            raw_offset = 0
            for number, frame in enumerate(archive.frames):
                stored = archive.stored(number)
                self.assertEqual(stored[:4], b"\x28\xb5\x2f\xfd", "frame %d does not begin with zstd's magic" % number)
                content = archive.content(number)
                self.assertEqual(len(content), frame.raw)
                self.assertEqual(frame.checksum, int.from_bytes(stored[-4:], "little"))
                raw_offset += frame.raw
            self.assertEqual(raw_offset, len(unpack(archive.data)))
            # The seal: a skippable frame, listed as one without content (Archive has checked its hash).
            self.assertEqual((archive.seal.offset, archive.seal.raw), (archive.frames[-1].offset + archive.frames[-1].stored, 0))

    def test_frames__each_by_itself__one_part_of_bounded_size_with_its_size_in_the_header(self):
        for archive, limit in zip(self.each(), (8 << 20, 64 << 10)):
            for number, frame in enumerate(archive.frames):
                self.assertLessEqual(frame.raw, limit + 16384, "frame %d" % number)
                header = archive.stored(number)[4]
                self.assertTrue(header & 0x04, "no checksum")
                self.assertTrue(header & 0x20 or header >> 6, "no content size")

    def test_streams__put_together_by_tar_alone__have_the_hash_that_the_manifest_says(self):
        for archive in self.each():
            manifest = archive.manifest()
            self.assertGreater(len(manifest["streams"]), 2)
            for stream in manifest["streams"]:
                name = stream["name"]
                data = run(["sh", "-c", "zstd -dcq '%s' | tar -xOf - --wildcards '%s/*'" % (archive.path, name)]).stdout
                self.assertEqual(len(data), stream["bytes"], name)
                self.assertEqual(hashlib.sha256(data).hexdigest(), stream["sha256"], name)

    def test_sidecar__says_the_size_and_hash_of_the_archive__and_nothing_secret(self):
        for archive in self.each():
            side = json.loads(archive.original[1])
            self.assertEqual(side["bytes"], len(archive.data))
            self.assertEqual(side["sha256"], hashlib.sha256(archive.data).hexdigest())
            for secret in (Stack.PASSWORD, Stack.REDIS_PASSWORD, "SCRAM-SHA-256", "app-secret"):
                self.assertNotIn(secret, archive.original[1].decode())
                self.assertNotIn(secret, json.dumps(archive.manifest()))

    def test_store__its_files__are_for_the_owner_alone(self):
        self.assertEqual(self.stack.store.stat().st_mode & 0o777, 0o700)
        for path in self.stack.store.iterdir():
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path.name)

    def test_one_database__restored_from_a_range__fetches_only_its_bytes(self):
        result = self.stack.lifeboat("restore", "--as", "one", "--database", "hdms_audit", "--json", expect=0)
        self.assertTrue((self.stack.volumes / "postgres_data_one").is_dir(), str(result))
        self.assertFalse((self.stack.volumes / "redis_data_one").exists())


if __name__ == "__main__":
    unittest.main()
