"""The same for a Compose stack: lifeboat through exec beside `docker exec … pg_dump | zstd`, taking turns."""

import json
import re
import shutil
import statistics
import sys

from measure import LEVEL, LIFEBOAT, ROWS, RUNS, TOP, run, say, size_of, spread, timed
from compose_stack import ComposeStack  # measure knows where it is


def make_data(stack):
    stack.sql("postgres", "CREATE DATABASE bench")
    stack.execute("postgres", "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-v", "rows=%d" % ROWS, "-U", stack.USER, "-d",
                  "bench", input=(TOP / "bench" / "data.sql").read_bytes(), timeout=3600)
    stack.sql("postgres", "CHECKPOINT")


def lifeboat_backup(stack):
    """Wall seconds, peak memory in MiB, size."""
    shutil.rmtree(stack.store, ignore_errors=True)
    report = stack.parent / "time.txt"
    seconds, _ = timed(lambda: run(["/usr/bin/time", "-v", "-o", report, LIFEBOAT, "backup", "--quiet"],
                                   cwd=stack.folder, env=stack.docker.env, timeout=3600))
    peak = int(re.search(r"Maximum resident set size \(kbytes\): (\d+)", report.read_text()).group(1))
    return seconds, peak / 1024, size_of(stack.store)


def plain_backup(stack):
    out = stack.parent / "plain.zst"
    command = "docker exec '%s' pg_dump -Fc -Z0 -U %s -d bench | zstd -q -T0 -%d -f -o '%s'" % (
        stack.container("postgres"), stack.USER, LEVEL, out)
    seconds, _ = timed(lambda: run(["bash", "-o", "pipefail", "-c", command], env=stack.docker.env, timeout=3600))
    size = out.stat().st_size
    out.unlink()
    return seconds, None, size


def main():
    with ComposeStack(populate=False) as stack:
        conf = re.sub(r"^\[(redis|pgbouncer)\]\n(?:[^\[\n].*\n|\n)*", "", stack.conf(), flags=re.M)
        stack.write_conf(conf + "\n[archive]\nlevel = %d\n" % LEVEL)
        say("making %d rows" % ROWS)
        make_data(stack)
        ours, plain = [], []
        for number in range(RUNS):
            plain.append(plain_backup(stack))
            ours.append(lifeboat_backup(stack))
            say("backup %d: docker exec pg_dump | zstd %.1f s, lifeboat %.1f s, peak %.0f MiB"
                % (number + 1, plain[-1][0], ours[-1][0], ours[-1][1]))
        ratio = statistics.median(o[0] for o in ours) / statistics.median(p[0] for p in plain)
        print("%d rows, zstd level %d, median of %d (least to most)\n" % (ROWS, LEVEL, RUNS))
        print("| | `docker exec … pg_dump -Fc -Z0 \\| zstd -T0` | `lifeboat backup` |\n|---|---|---|")
        print("| wall time | %s | %s |" % (spread([p[0] for p in plain]), spread([o[0] for o in ours])))
        print("| ratio of medians | 1 | %.2f |" % ratio)
        print("| size | %.1f MB | %.1f MB |" % (plain[-1][2] / 1e6, ours[-1][2] / 1e6))
        print("| peak memory of the agent | | %.0f MiB |" % max(o[1] for o in ours))
        print("\n<!-- %s -->" % json.dumps({"rows": ROWS, "docker_ratio": round(ratio, 3)}))


if __name__ == "__main__":
    sys.exit(main())
