"""Takes turns at backing up one database, by lifeboat and by pg_dump and zstd, and prints a table."""

import json
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
from stack import AS_SERVER, LIFEBOAT, PG_BIN, Server, Stack, free_port, run, wait_for  # noqa: E402

ROWS = int(os.environ.get("BENCH_ROWS", "3000000"))
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
LEVEL = 3


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def timed(call):
    begin = time.monotonic()
    value = call()
    return time.monotonic() - begin, value


def size_of(folder):
    return sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file())


def make_data(stack):
    stack.sql("postgres", "CREATE DATABASE bench")
    env = stack.pg_env()
    run([PG_BIN / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-v", "rows=%d" % ROWS, "-d", "bench", "-f",
         TOP / "bench" / "data.sql"], env=env, timeout=3600)
    stack.sql("postgres", "CHECKPOINT")


def lifeboat_backup(stack):
    """Wall seconds, peak memory in MiB, size."""
    shutil.rmtree(stack.store, ignore_errors=True)
    report = stack.folder / "time.txt"
    seconds, _ = timed(lambda: run(["/usr/bin/time", "-v", "-o", report, LIFEBOAT, "backup", "--quiet"],
                                   cwd=stack.folder, env=stack.agent_env(), timeout=3600))
    peak = int(re.search(r"Maximum resident set size \(kbytes\): (\d+)", report.read_text()).group(1))
    return seconds, peak / 1024, size_of(stack.store)


def plain_backup(stack):
    out = stack.folder / "plain.zst"
    command = "'%s/pg_dump' -Fc -Z0 -d bench | zstd -q -T0 -%d -f -o '%s'" % (PG_BIN, LEVEL, out)
    seconds, _ = timed(lambda: run(["bash", "-o", "pipefail", "-c", command], env=stack.pg_env(), timeout=3600))
    size = out.stat().st_size
    out.unlink()
    return seconds, None, size


def written_outside(stack):
    """Files that a backup opens for writing, other than devices and what is in the store."""
    trace = stack.folder / "trace.txt"
    run(["strace", "-f", "-qq", "-e", "trace=open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2", "-o", trace,
         LIFEBOAT, "backup", "--quiet"], cwd=stack.folder, env=stack.agent_env(), timeout=3600)
    outside = set()
    for line in trace.read_text(errors="replace").splitlines():
        if re.search(r"= -1 ", line) or not re.search(r"O_WRONLY|O_RDWR|O_CREAT|creat\(|mkdir|rename", line):
            continue
        for path in re.findall(r'"([^"]*)"', line):
            if path.startswith("/") and not path.startswith((str(stack.store), "/dev/", "/proc/")):
                outside.add(path)
    return sorted(outside)


def lifeboat_restore(stack, number):
    def restore():
        return stack.lifeboat("restore", "--json", "--as", "bench%d" % number, expect=0, timeout=3600).json
    seconds, said = timed(restore)
    for volume in stack.volumes.glob("*_bench%d" % number):
        shutil.rmtree(volume)
    return seconds, said


def plain_restore(stack):
    """initdb, start, pg_restore -j2 of a directory dump, stop; as somebody would by hand."""
    data, port = stack.volumes / "by_hand", free_port()
    stack._folder(data)

    def restore():
        run(AS_SERVER + [PG_BIN / "initdb", "-D", data, "--username", stack.USER, "--auth", "trust", "--encoding",
                         "UTF8", "--locale", "C.UTF-8", "--data-checksums"], cwd="/")
        server = Server([PG_BIN / "postgres", "-D", data, "-c", "port=%d" % port, "-c", "listen_addresses=127.0.0.1",
                         "-c", "unix_socket_directories="], stack.folder / "by_hand.log", 2, "QUIT", cwd="/")
        env = dict(stack.pg_env(), PGPORT=str(port))
        try:
            wait_for("PostgreSQL", lambda: run([PG_BIN / "pg_isready"], env=env, check=False).returncode == 0)
            run([PG_BIN / "pg_restore", "-j2", "-C", "-d", "postgres", stack.folder / "directory"], env=env, timeout=3600)
        finally:
            server.stop()
    seconds, _ = timed(restore)
    shutil.rmtree(data)
    return seconds


def spread(values):
    return "%.1f s (%.1f to %.1f)" % (statistics.median(values), min(values), max(values))


def main():
    with Stack(components=("postgres",), populate=False) as stack:
        stack.write_conf(stack.conf() + "\n[archive]\nlevel = %d\n" % LEVEL)
        say("making %d rows" % ROWS)
        make_data(stack)
        database = int(stack.sql("postgres", "SELECT pg_database_size('bench')"))
        dump = int(run(["bash", "-c", "'%s/pg_dump' -Fc -Z0 -d bench | wc -c" % PG_BIN], env=stack.pg_env()).stdout)
        ours, plain = [], []
        for number in range(RUNS):
            plain.append(plain_backup(stack))
            ours.append(lifeboat_backup(stack))
            say("backup %d: pg_dump | zstd %.1f s, lifeboat %.1f s, peak %.0f MiB"
                % (number + 1, plain[-1][0], ours[-1][0], ours[-1][1]))
        outside = written_outside(stack)
        run([PG_BIN / "pg_dump", "-Fd", "-j2", "-f", stack.folder / "directory", "-d", "bench"], env=stack.pg_env(),
            timeout=3600)
        restores, by_hand, answering = [], [], []
        for number in range(max(1, min(RUNS, 3))):
            by_hand.append(plain_restore(stack))
            seconds, said = lifeboat_restore(stack, number)
            restores.append(seconds)
            answering.append(said.get("restore_ms", 0) / 1000)
            say("restore %d: pg_restore -j2 %.1f s, lifeboat %.1f s to answering servers, %.1f s with the proof"
                % (number + 1, by_hand[-1], answering[-1], seconds))
        report(database, dump, ours, plain, outside, restores, by_hand, answering)


def report(database, dump, ours, plain, outside, restores, by_hand, answering):
    ratio = statistics.median(o[0] for o in ours) / statistics.median(p[0] for p in plain)
    print("%d rows, database %.2f GB, dump %.2f GB, zstd level %d, %d processors, median of %d (least to most)\n"
          % (ROWS, database / 1e9, dump / 1e9, LEVEL, os.cpu_count(), len(ours)))
    print("| | `pg_dump -Fc -Z0 \\| zstd -T0` | `lifeboat backup` |\n|---|---|---|")
    print("| wall time | %s | %s |" % (spread([p[0] for p in plain]), spread([o[0] for o in ours])))
    print("| ratio of medians | 1 | %.2f |" % ratio)
    print("| size | %.1f MB | %.1f MB |" % (plain[-1][2] / 1e6, ours[-1][2] / 1e6))
    print("| peak memory of the agent | | %.0f MiB |" % max(o[1] for o in ours))
    print("| files written outside the store | | %s |" % (", ".join(outside) or "none"))
    print("\n| | `initdb`, `pg_restore -j2` of a directory | `lifeboat restore` |\n|---|---|---|")
    print("| to answering servers | %s | %s |" % (spread(by_hand), spread(answering)))
    print("| with the proof | | %s |" % spread(restores))
    result = {"rows": ROWS, "database_bytes": database, "dump_bytes": dump, "backup_ratio": round(ratio, 3),
              "backup_seconds": [round(o[0], 2) for o in ours], "plain_seconds": [round(p[0], 2) for p in plain],
              "peak_mib": round(max(o[1] for o in ours), 1), "written_outside": outside}
    print("\n<!-- %s -->" % json.dumps(result))


if __name__ == "__main__":
    subprocess.run(["sync"], check=False)
    sys.exit(main())
