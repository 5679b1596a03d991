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
SEAL_HEAD = struct.pack("<II", 0x184D2A5D, 40) + b"lifeboat"  # a skippable frame with the SHA-256 of what is before
NO_CONTENT = 0x51D8E999  # low half of XXH64 of nothing


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


def entry_of(stored, raw_bytes):
    """A frame's line in the seek table; its checksum is also its last four bytes."""
    return len(stored), raw_bytes, struct.unpack("<I", stored[-4:])[0]


def sealed(frames, entries):
    """Frames, the seal over them, and the table of both."""
    data = b"".join(frames)
    seal = SEAL_HEAD + hashlib.sha256(data).digest()
    return data + seal + seek_table(list(entries) + [(len(seal), 0, NO_CONTENT)])


class Archive:
    """The archive of one backup in a stack's store, and its sidecar. .frames are those with content."""

    def __init__(self, stack, backup_id=None):
        found = sorted(Path(stack.store).glob("*%s.tar.zst" % (backup_id or "")))
        assert found, "no archive in the store"
        self.path = found[-1]
        self.sidecar = self.path.with_name(self.path.name[:-len(".tar.zst")] + ".json")
        self.data = self.path.read_bytes()
        self.original = (self.data, self.sidecar.read_bytes())
        frames, self.table_begin = parse_seek_table(self.data)
        self.seal = frames.pop()
        assert self.data[self.seal.offset:][:16] == SEAL_HEAD and self.seal.raw == 0
        assert self.data[self.seal.offset + 16:][:32] == hashlib.sha256(self.data[:self.seal.offset]).digest()
        self.frames = frames

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

    def entries(self):
        return [(f.stored, f.raw, f.checksum) for f in self.frames]

    def with_entries(self, entries):
        """The same frames and seal under another table."""
        return self.data[:self.table_begin] + seek_table(entries)

    def rebuilt(self, change):
        """With change(number, content) → content of each frame; seal and table agree, the index may not."""
        frames, entries = [], []
        for number in range(len(self.frames)):
            content = self.content(number)
            changed = change(number, content)
            frames.append(self.stored(number) if changed == content else pack(changed))
            entries.append(entry_of(frames[-1], len(changed)))
        return sealed(frames, entries)

    def forged(self, change, edit=lambda manifest: None):
        """With change(number, content) → content of each frame but the manifest's, and edit(manifest), which
        may return bytes to stand in its place; index, seal and table agree with what is there: only what a
        reader thinks of the content itself can give it away."""
        manifest = self.manifest()
        contents = [change(n, self.content(n)) for n in range(len(self.frames) - 1)]
        stored = [self.stored(n) if self.content(n) == c else pack(c) for n, c in enumerate(contents)]
        offset, frames = 0, []
        for content, one in zip(contents, stored):
            frames.append([offset, len(one), len(content)])
            offset += len(one)
        streams = {stream["name"] for stream in manifest["streams"]}
        members = []
        with tarfile.open(fileobj=io.BytesIO(b"".join(contents) + bytes(1024))) as tar:
            for info in tar:
                kind = {tarfile.REGTYPE: "f", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.LNKTYPE: "h"}[info.type]
                if info.name.rsplit("/", 1)[0] not in streams:
                    digest = hashlib.sha256(tar.extractfile(info).read()).hexdigest() if kind == "f" else None
                    members.append([info.name, kind, info.size, digest, info.offset])
        manifest["frames"], manifest["members"] = frames, members
        changed = edit(manifest)
        text = changed if isinstance(changed, bytes) else json.dumps(manifest).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size = len(text)
        last = info.tobuf(tarfile.USTAR_FORMAT) + text + bytes(-len(text) % 512) + bytes(1024)
        stored.append(pack(last))
        return sealed(stored, [entry_of(s, len(c)) for s, c in zip(stored, contents + [last])])

    def with_manifest(self, edit):
        """Changes the manifest and nothing else."""
        return self.forged(lambda number, content: content, edit)
