"""Prints line coverage of each room from gcovr's summary: coverage.py SUMMARY.json MINIMUM ROOM…

Exits 1 if a room is below the minimum, or has no lines at all."""

import json
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as summary:
        files = json.load(summary)["files"]
    minimum = float(sys.argv[2])
    low = []
    print("%-10s %8s %8s %7s   least covered" % ("room", "lines", "run", "share"))
    for room in sys.argv[3:]:
        mine = [f for f in files if f["filename"].startswith(room + "/") and f["line_total"] > 0]
        total = sum(f["line_total"] for f in mine)
        run = sum(f["line_covered"] for f in mine)
        share = 100.0 * run / total if total else 0.0
        least = sorted(mine, key=lambda f: f["line_covered"] - f["line_total"])[:3]
        print("%-10s %8d %8d %6.1f%%   %s" % (room, total, run, share, ", ".join(
            "%s %.0f%%" % (f["filename"].split("/", 1)[1], 100.0 * f["line_covered"] / f["line_total"]) for f in least)))
        if share < minimum:
            low.append(room)
    if low:
        print("line coverage below %g %%: %s" % (minimum, ", ".join(low)))
        return 1
    print("line coverage: each room at %g %% or more" % minimum)
    return 0


if __name__ == "__main__":
    sys.exit(main())
