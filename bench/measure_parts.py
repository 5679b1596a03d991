"""One small table out of a large archive, plain and encrypted, in a folder and in S3 (a Ceph of its own on this machine):
how much of it is fetched for that."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests" / "support"))
from ceph import Ceph  # noqa: E402
from stack import PG_BIN, Stack, run  # noqa: E402

ARCHIVE_MB = int(os.environ.get("BENCH_ARCHIVE_MB", "1000"))
TABLE_ROWS = 12000  # some 1 MB of text


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def make_data(stack):
    """Ballast that can't be compressed but for base64's quarter, before and behind the table."""
    stack.sql("postgres", "CREATE DATABASE bench")
    stack.sql("bench", "CREATE TABLE a_ballast (x text); CREATE TABLE z_ballast (x text);"
                       " CREATE TABLE hub (id int PRIMARY KEY, name text, mail text);"
                       " INSERT INTO hub SELECT n, 'name of ' || md5(n::text), md5((n + 1)::text) || '@example.org'"
                       " FROM generate_series(1, %d) n" % TABLE_ROWS)
    for table in ("a_ballast", "z_ballast"):
        command = "head -c %d /dev/urandom | base64 -w 4096 | '%s/psql' -Xq -d bench -c 'COPY %s FROM STDIN'" % (
            ARCHIVE_MB * 500000, PG_BIN, table)
        run(["bash", "-o", "pipefail", "-c", command], env=stack.pg_env(), timeout=3600)


def configure(stack, folder_conf, ceph, place, identity):
    """The stack's configuration with its store in that place, encrypted for `identity` where there is one."""
    text = folder_conf
    if place == "s3":
        text = re.sub(r"(?s)\[store local\].*?(?=\n\[|\Z)",
                      "[store s3]\nurl = s3://parts/hdms\nendpoint = %s\naccess_key = %s\nsecret_key = %s\n"
                      % (ceph.url, ceph.access_key, ceph.secret_key), text)
    if identity:
        text += "\n[archive]\nrecipients = %s\nidentity = identity.txt\n" % identity
    stack.write_conf(text)


def measure(stack, place, kind):
    backup = stack.lifeboat("backup", "--json", expect=0, timeout=3600).json
    begin = time.monotonic()
    said = stack.lifeboat("restore", "--json", "--as", "%s-%s" % (place, kind), "--database", "bench", "--table", "public.hub", expect=0,
                          timeout=3600).json
    seconds = time.monotonic() - begin
    begin = time.monotonic()
    shown = stack.lifeboat("show", "--json", expect=0).json["fetched_bytes"]
    show_seconds = time.monotonic() - begin
    table = next(t for d in stack.lifeboat("show", "--json", expect=0).json["manifest"]["components"]["postgres"]["databases"]
                 for t in d["tables"] if t["name"] == "hub")
    say("%s, %s: %d of %d bytes" % (place, kind, said["fetched_bytes"], said["archive_bytes"]))
    return {"store": place, "archive": kind, "archive_bytes": backup["bytes"], "table_bytes": table["bytes"],
            "fetched_bytes": said["fetched_bytes"], "share": said["fetched_bytes"] / backup["bytes"],
            "outcome": said["outcome"], "seconds": round(seconds, 1), "show_bytes": shown,
            "show_seconds": round(show_seconds, 2)}


def main():
    with Stack(components=("postgres",), populate=False) as stack, Ceph(store="bluestore") as ceph:
        say("making %d MB" % ARCHIVE_MB)
        make_data(stack)
        ceph.bucket("parts")
        made = stack.lifeboat("keygen", "-o", "identity.txt", expect=0).out
        recipient = next(word for word in made.split() if word.startswith("age1"))
        folder_conf, results = stack.conf(), []
        for place in ("folder", "s3"):
            for kind, identity in (("plain", None), ("encrypted", recipient)):
                configure(stack, folder_conf, ceph, place, identity)
                results.append(measure(stack, place, kind))
    print("| store | archive | size | table | fetched | share | restored and proved in | `show` fetched |\n"
          "|---|---|---|---|---|---|---|---|")
    for r in results:
        print("| %s | %s | %.1f MB | %.2f MB | %.2f MB | %.2f %% | %.1f s | %.2f MB |" % (
            r["store"], r["archive"], r["archive_bytes"] / 1e6, r["table_bytes"] / 1e6, r["fetched_bytes"] / 1e6,
            r["share"] * 100, r["seconds"], r["show_bytes"] / 1e6))
    print("\n<!-- %s -->" % json.dumps(results))


if __name__ == "__main__":
    subprocess.run(["sync"], check=False)
    sys.exit(main())
