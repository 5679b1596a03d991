"""A store with months of backups and drills in it, made up without any server: what status and the page need.

    History(folder).write(days=60)      folder/agent.conf, folder/store/…
"""

import hashlib
import json
import math
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

STACK = "hdms"


def rfc3339(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def basic(moment):
    return moment.strftime("%Y%m%dT%H%M%SZ")


class History:
    def __init__(self, folder, now=None):
        self.folder = Path(folder)
        self.store = self.folder / "store"
        self.now = now or datetime.now(timezone.utc).replace(microsecond=0)
        self.store.mkdir(parents=True, exist_ok=True)

    def conf(self, more="", stores=None):
        """agent.conf; `stores` is a mapping of label to the lines of its section."""
        stores = stores or {"local": "url = file://%s" % self.store}
        text = ("[stack]\nname = %s\nvolumes_dir = %s\n[postgres]\nurl = postgresql://u:p@127.0.0.1:1/x\n"
                "[redis]\nurl = redis://127.0.0.1:1/0\n%s%s" % (
                    STACK, self.folder, "".join("[store %s]\n%s\n" % item for item in stores.items()), more))
        path = self.folder / "agent.conf"
        path.write_text(text)
        path.chmod(0o600)

    def backup(self, taken, number=0, rows=12058, size=3000, label=None, store=None, **more):
        """One backup; its id."""
        store = store or self.store
        ident = "%s-%04x" % (basic(taken), (number * 7919 + 4660) % 65536)
        archive = "%s-%s.tar.zst" % (STACK, ident)
        content = bytes(size)
        (store / archive).write_bytes(content)
        sidecar = {
            "format": "lifeboat-sidecar", "format_version": 1, "id": ident, "stack": STACK, "archive": archive,
            "bytes": size, "sha256": hashlib.sha256(content).hexdigest(), "started": rfc3339(taken),
            "finished": rfc3339(taken + timedelta(seconds=20 + number % 7)), "label": label, "pinned": False,
            "partial": False, "suspicious": False, "lifeboat_version": "0.1.0",
            "counts": {"databases": 4, "tables": 10, "rows": rows, "large_objects": 3, "redis_keys": 1019,
                       "files": 10, "raw_bytes": size * 17},
            "components": ["postgres", "redis"], "warnings": 0}
        sidecar.update(more)
        (store / ("%s-%s.json" % (STACK, ident))).write_text(json.dumps(sidecar))
        return ident

    def drill(self, ident, began, outcome="passed", restore_ms=3800, differences=(), error=None, store=None):
        evidence = {
            "format": "lifeboat-evidence", "format_version": 1, "id": ident, "stack": STACK,
            "archive_sha256": "0" * 64, "lifeboat_version": "0.1.0", "started": rfc3339(began),
            "finished": rfc3339(began + timedelta(seconds=9)), "outcome": outcome, "restore_ms": restore_ms,
            "prove_ms": 502, "data_age_ms": 7200000,
            "proof": {"outcome": outcome, "compared": 112, "failed": len(differences), "unverified": 0,
                      "differences": list(differences), "unknowns": [],
                      "notes": ["redis database 2: 12 keys have expired since the backup"]},
            "negative_control": {"postgres": {"outcome": "failed"}, "redis": {"outcome": "failed"}}}
        if error:
            evidence["error"] = error
        name = "%s-%s.drill-%s.json" % (STACK, ident, basic(began))
        ((store or self.store) / name).write_text(json.dumps(evidence))

    def write(self, days=60, unit=4000):
        """A backup each night, a drill each Sunday and after the newest, one bad night, one bad drill. Ids,
        oldest first."""
        ids = []
        for back in range(days - 1, -1, -1):
            taken = (self.now - timedelta(days=back)).replace(hour=2, minute=0, second=0)
            if taken > self.now or back == 33:
                continue
            grown = 1 + 0.6 * (days - back) / days + 0.03 * math.sin(back)
            ident = self.backup(taken, back, rows=int(9000 * grown), size=int(unit * grown),
                                suspicious=back == 21, pinned=back == 40,
                                label="before 2.0" if back == 40 else None)
            ids.append(ident)
            if back == 12:
                self.drill(ident, taken + timedelta(hours=2), "failed", 4100, [
                    {"component": "postgres", "where": "database 'hdms_db', table 'public.tickets'", "what": "rows",
                     "expected": "2500", "found": "2499"}])
            elif taken.weekday() == 6 or ident == ids[-1] and back <= 1:
                self.drill(ident, taken + timedelta(hours=2), restore_ms=int(3000 * grown + 150 * (back % 5)))
        return ids


if __name__ == "__main__":
    import sys
    made = History(sys.argv[1])
    made.conf()
    made.write(days=int(sys.argv[2]) if len(sys.argv) > 2 else 80)
    os.sync()
