"""Archives taken apart and put together again, by zstd's published seekable format and tar; with lies if wanted.

It shares no code with lifeboat: what it reads and writes is what docs/archive-format.md promises."""

import hashlib
import io
import json
import struct
import subprocess
import tarfile
from pathlib import Path

SKIPPABLE_MAGIC = 0x184D2A5E  # zstd_seekable_compression_format.md: "Skippable_Magic_Number"
SEEKABLE_MAGIC = 0x8F92EAB1


class Frame:
    def __init__(self, offset, stored, raw, checksum):
        self.offset, self.stored, self.raw, self.checksum = offset, stored, raw, checksum


def unpack(data):
    return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout


def pack(content, level=3):
    """One frame with content size and checksum."""
    return subprocess.run(["zstd", "-cq", "--check", "-%d" % level, "--stream-size=%d" % len(content)], input=content,
                          stdout=subprocess.PIPE, check=True).stdout


def seek_table(entries):
    """entries: (stored, raw, checksum) of each frame."""
    body = b"".join(struct.pack("<III", *entry) for entry in entries)
    body += struct.pack("<IBI", len(entries), 0x80, SEEKABLE_MAGIC)
    return struct.pack("<II", SKIPPABLE_MAGIC, len(body)) + body


def parse_seek_table(data):
    """The frames that the table at the end of data lists, and where the table begins."""
    count, descriptor, magic = struct.unpack("<IBI", data[-9:])
    assert magic == SEEKABLE_MAGIC, hex(magic)
    assert descriptor & 0x7C == 0, "reserved bits are set"
    size = 12 if descriptor & 0x80 else 8
    begin = len(data) - 9 - count * size - 8
    skippable, length = struct.unpack("<II", data[begin:begin + 8])
    assert skippable == SKIPPABLE_MAGIC, hex(skippable)
    assert length == count * size + 9, (length, count)
    frames, offset = [], 0
    for at in range(begin + 8, len(data) - 9, size):
        stored, raw = struct.unpack("<II", data[at:at + 8])
        checksum = struct.unpack("<I", data[at + 8:at + 12])[0] if size == 12 else None
        frames.append(Frame(offset, stored, raw, checksum))
        offset += stored
    assert offset == begin, "the frames end at %d, the table begins at %d" % (offset, begin)
    return frames, begin


class Archive:
    """The archive of one backup in a stack's store, and its sidecar."""

    def __init__(self, stack, backup_id=None):
        pattern = "*%s.tar.zst" % (backup_id or "")
        found = sorted(Path(stack.store).glob(pattern))
        assert found, "no archive in the store"
        self.path = found[-1]
        self.sidecar = self.path.with_name(self.path.name[:-len(".tar.zst")] + ".json")
        self.data = self.path.read_bytes()
        self.original = (self.data, self.sidecar.read_bytes())
        self.frames, self.table_begin = parse_seek_table(self.data)

    def restore(self):
        self.path.write_bytes(self.original[0])
        self.sidecar.write_bytes(self.original[1])

    def stored(self, number):
        frame = self.frames[number]
        return self.data[frame.offset:frame.offset + frame.stored]

    def content(self, number):
        return unpack(self.stored(number))

    def tar(self):
        return tarfile.open(fileobj=io.BytesIO(unpack(self.data)))

    def member(self, name):
        return self.tar().extractfile(name).read()

    def manifest(self):
        return json.loads(self.member("manifest.json"))

    def write(self, data, tell_sidecar=True):
        """Puts other bytes in its place; with tell_sidecar the sidecar vouches for them."""
        self.path.write_bytes(data)
        side = json.loads(self.original[1])
        if tell_sidecar:
            side["bytes"], side["sha256"] = len(data), hashlib.sha256(data).hexdigest()
        self.sidecar.write_text(json.dumps(side))

    def rebuilt(self, change):
        """The archive's bytes with change(number, content) → content of that frame; NULL change keeps it."""
        frames, entries = [], []
        for number in range(len(self.frames)):
            content = self.content(number)
            changed = change(number, content)
            stored = self.stored(number) if changed == content else pack(changed)
            frames.append(stored)
            entries.append((len(stored), len(changed), struct.unpack("<I", stored[-4:])[0]))
        return b"".join(frames) + seek_table(entries)

    def rewritten(self, edit):
        """The same archive made anew from its members, each a frame: edit(list of (TarInfo, bytes)) → list.
        The manifest's index of frames no longer fits unless edit takes care of it."""
        members = [(info, self.tar().extractfile(info).read() if info.isreg() else b"") for info in self.tar()]
        frames, entries = [], []
        out = edit(members)
        for number, (info, data) in enumerate(out):
            info.size = len(data)
            block = info.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % 512)
            if number == len(out) - 1:
                block += bytes(1024)
            stored = pack(block)
            frames.append(stored)
            entries.append((len(stored), len(block), struct.unpack("<I", stored[-4:])[0]))
        return b"".join(frames) + seek_table(entries)

    def with_manifest(self, edit):
        """Changes the manifest, which is in the last frame, and nothing else."""
        def change(number, content):
            if number != len(self.frames) - 1:
                return content
            begin = content.index(b"manifest.json")
            assert begin >= 0
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                info = tar.getmember("manifest.json")
                head = content[:info.offset]
                text = tar.extractfile(info).read()
            manifest = json.loads(text)
            manifest = edit(manifest) or manifest
            data = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
            info.size = len(data)
            return head + info.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % 512) + bytes(1024)
        return self.rebuilt(change)
