"""Takes turns at backing up 2 GB, streamed into S3 by lifeboat, and into a folder with s3cmd behind it, and prints a
table. The S3 is a Ceph of its own on this machine, with one disk."""

import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests" / "support"))
from ceph import Ceph  # noqa: E402
from stack import LIFEBOAT, Stack, run  # noqa: E402

MIB = 1 << 20
SIZE = int(os.environ.get("BENCH_MIB", "2048"))
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
MEMORY_MIB, RATIO = 192, 1.1


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def make_data(folder):
    """Nothing that zstd could make small: the archive is as large as what is in it."""
    folder.mkdir(parents=True)
    with open(folder / "noise", "wb") as out:
        for _ in range(SIZE):
            out.write(os.urandom(MIB))


def configure(stack, store):
    stack.write_conf("[stack]\nname = hdms\nengine = local\nvolumes_dir = %s\n[volume media]\n[store here]\n%s\n"
                     % (stack.volumes, store))


def backup(stack):
    """Wall seconds, peak memory in MiB."""
    report = stack.folder / "time.txt"
    begin = time.monotonic()
    run(["/usr/bin/time", "-v", "-o", report, LIFEBOAT, "backup", "--quiet"], cwd=stack.folder, env=stack.agent_env(),
        timeout=3600)
    seconds = time.monotonic() - begin
    return seconds, int(re.search(r"Maximum resident set size \(kbytes\): (\d+)", report.read_text()).group(1)) / 1024


def streamed(stack, ceph, number):
    ceph.bucket("ours%d" % number)
    configure(stack, "url = s3://ours%d/hdms\nendpoint = %s\naccess_key = %s\nsecret_key = %s"
              % (number, ceph.url, ceph.access_key, ceph.secret_key))
    result = backup(stack)
    empty(ceph, "ours%d" % number)
    return result


def by_folder(stack, ceph, number):
    """The same to a folder, then s3cmd with its own defaults but for the size of parts, which is as ours."""
    ceph.bucket("theirs%d" % number)
    configure(stack, "url = file://%s" % stack.store)
    seconds, _ = backup(stack)
    host = ceph.url.split("//")[1]
    begin = time.monotonic()
    run(["s3cmd", "--no-progress", "--no-ssl", "--host=" + host, "--host-bucket=" + host, "--access_key=" + ceph.access_key,
         "--secret_key=" + ceph.secret_key, "--config=/dev/null", "--multipart-chunk-size-mb=16", "put"]
        + sorted(stack.store.glob("hdms-*")) + ["s3://theirs%d/hdms/" % number], timeout=3600)
    upload = time.monotonic() - begin
    shutil.rmtree(stack.store)
    empty(ceph, "theirs%d" % number)
    return seconds, upload


def empty(ceph, bucket):
    for key in re.findall(r"<Key>([^<]*)</Key>", ceph.s3("GET", "/%s?list-type=2" % bucket)[2].decode()):
        ceph.s3("DELETE", "/%s/%s" % (bucket, key))
    # Else the next run shares the disk with the removal.
    ceph.run("radosgw-admin gc process --include-all")


def spread(values):
    return "%.1f s (%.1f to %.1f)" % (statistics.median(values), min(values), max(values))


def main():
    with Stack(components=(), populate=False) as stack, Ceph(store="bluestore") as ceph:
        say("making %d MiB" % SIZE)
        make_data(stack.volumes / "media")
        ours, theirs = [], []
        for number in range(RUNS):
            theirs.append(by_folder(stack, ceph, number))
            ours.append(streamed(stack, ceph, number))
            say("run %d: folder %.1f s and s3cmd %.1f s; streamed %.1f s, peak %.0f MiB"
                % (number + 1, *theirs[-1], *ours[-1]))
    both = [sum(t) for t in theirs]
    ratio = statistics.median(o[0] for o in ours) / statistics.median(both)
    peak = max(o[1] for o in ours)
    print("""
%d MiB that can't be compressed, %d runs in turn, %d processors, %s

| | wall time |
|---|---|
| lifeboat backup, streamed to S3 | %s |
| lifeboat backup to a folder | %s |
| and s3cmd put of what is there | %s |
| both | %s |

streamed / both: %.2f (to be at most %.1f)
peak memory of lifeboat: %.0f MiB (to be at most %d)""" % (
        SIZE, RUNS, os.cpu_count(), subprocess.run(["s3cmd", "--version"], stdout=subprocess.PIPE,
                                                   check=True).stdout.decode().strip(),
        spread([o[0] for o in ours]), spread([t[0] for t in theirs]), spread([t[1] for t in theirs]), spread(both),
        ratio, RATIO, peak, MEMORY_MIB))


if __name__ == "__main__":
    main()
