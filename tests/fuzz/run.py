"""Runs one libFuzzer target: run.py TARGET SECONDS FOLDER

Seeds come from seeds.py, what it finds goes to FOLDER, and a run that tried nothing is a failure."""

import re
import subprocess
import sys
from pathlib import Path

import seeds


def main():
    target, seconds, folder = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    corpus, found = folder / "corpus", folder / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    count = seeds.make(target.name, folder / "seeds")
    done = subprocess.run(
        [target, "-max_total_time=%d" % seconds, "-timeout=25", "-rss_limit_mb=2048", "-print_final_stats=1",
         "-artifact_prefix=%s/" % found, corpus, folder / "seeds"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    runs = re.search(r"number_of_executed_units:\s+(\d+)", text)
    print("\n".join(text.splitlines()[-40:]))
    print("%s: %d seeds, %s runs in %d s" % (target.name, count, runs.group(1) if runs else "no", seconds))
    if done.returncode != 0:
        print("FAILED: what it found is in %s" % found)
        return 1
    if not runs or int(runs.group(1)) < 100:
        print("FAILED: it hardly ran")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
