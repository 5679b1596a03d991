"""One small table out of a large archive, plain and encrypted: how much of it is fetched for that."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests" / "support"))
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


def measure(stack, kind):
    backup = stack.lifeboat("backup", "--json", expect=0, timeout=3600).json
    begin = time.monotonic()
    said = stack.lifeboat("restore", "--json", "--as", kind, "--database", "bench", "--table", "public.hub", expect=0,
                          timeout=3600).json
    seconds = time.monotonic() - begin
    begin = time.monotonic()
    shown = stack.lifeboat("show", "--json", expect=0).json["fetched_bytes"]
    show_seconds = time.monotonic() - begin
    table = next(t for d in stack.lifeboat("show", "--json", expect=0).json["manifest"]["components"]["postgres"]["databases"]
                 for t in d["tables"] if t["name"] == "hub")
    say("%s: %d of %d bytes" % (kind, said["fetched_bytes"], said["archive_bytes"]))
    return {"archive": kind, "archive_bytes": backup["bytes"], "table_bytes": table["bytes"],
            "fetched_bytes": said["fetched_bytes"], "share": said["fetched_bytes"] / backup["bytes"],
            "outcome": said["outcome"], "seconds": round(seconds, 1), "show_bytes": shown,
            "show_seconds": round(show_seconds, 2)}


def main():
    with Stack(components=("postgres",), populate=False) as stack:
        say("making %d MB" % ARCHIVE_MB)
        make_data(stack)
        results = [measure(stack, "plain")]
        made = stack.lifeboat("keygen", "-o", "identity.txt", expect=0).out
        recipient = next(word for word in made.split() if word.startswith("age1"))
        stack.write_conf(stack.conf() + "\n[archive]\nrecipients = %s\nidentity = identity.txt\n" % recipient)
        results.append(measure(stack, "encrypted"))
    print("| archive | size | table | fetched | share | restored and proved in | `show` fetched |\n|---|---|---|---|---|---|---|")
    for r in results:
        print("| %s | %.1f MB | %.2f MB | %.2f MB | %.2f %% | %.1f s | %.2f MB |" % (
            r["archive"], r["archive_bytes"] / 1e6, r["table_bytes"] / 1e6, r["fetched_bytes"] / 1e6, r["share"] * 100,
            r["seconds"], r["show_bytes"] / 1e6))
    print("\n<!-- %s -->" % json.dumps(results))


if __name__ == "__main__":
    subprocess.run(["sync"], check=False)
    sys.exit(main())
