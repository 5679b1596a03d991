"""Small seeds for the fuzz targets, made by the programs that are the authors of a format."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

SUPPORT = Path(__file__).resolve().parents[1] / "support"
sys.path.insert(0, str(SUPPORT))
from stack import HELPDESK, PG_BIN, Stack, run  # noqa: E402


def make(target, folder):
    """Fills the folder with seeds for fuzz_ROOM_NOUN; how many there are. None at all is fine."""
    folder.mkdir(parents=True, exist_ok=True)
    maker = MAKERS.get(target.split("_", 2)[2], dict)
    seeds = maker()
    for name, data in seeds.items():
        (folder / name).write_bytes(data)
    return len(seeds)


def ini():
    return {name: (HELPDESK / name).read_bytes() for name in ("agent.conf", "pgbouncer.ini", "databases.ini")}


def rdb():
    """The help desk's keys without the bulk ones, and with, as Redis itself writes them."""
    with Stack(components=("redis",)) as stack:
        path = stack.volumes / "redis_data" / "dump.rdb"
        stack.redis("SAVE")
        seeds = {"bulk": path.read_bytes()}
        stack.redis("EVAL", "for _, k in ipairs(redis.call('KEYS', 'bulk:*')) do redis.call('DEL', k) end"
                    " redis.call('DEL', 'big') redis.call('SELECT', 0) redis.call('DEL', 'cache:long') return 1", 0,
                    database=2)
        stack.redis("SAVE")
        seeds["few"] = path.read_bytes()
        stack.redis("FLUSHALL")
        stack.redis("SAVE")
        seeds["none"] = path.read_bytes()
    return seeds


def pgdump():
    """A dump of a few small objects, with a large object, as pg_dump itself writes it."""
    with Stack(components=("postgres",), populate=False) as stack:
        stack.sql("postgres", "CREATE TABLE t (a int, \"B c\" text); INSERT INTO t VALUES (1, 'x'), (2, NULL);"
                              "CREATE TABLE e (); CREATE SEQUENCE s; SELECT nextval('s');"
                              "SELECT lo_from_bytea(7, 'abc'); SELECT lo_from_bytea(8, '');")
        env = stack.pg_env()
        return {"plain": run([PG_BIN / "pg_dump", "-Fc", "-Z0", "-d", "postgres"], env=env).stdout,
                "data": run([PG_BIN / "pg_dump", "-Fc", "-Z0", "-a", "-d", "postgres"], env=env).stdout}


def archive():
    """Two frames of a tar and a skippable one."""
    done = subprocess.run("tar -C %s -cf - agent.conf | zstd -q -c; tar -C %s -cf - env |"
                          " zstd -q -c --check" % (HELPDESK, HELPDESK), shell=True, stdout=subprocess.PIPE, check=True)
    skippable = b"\x5e\x2a\x4d\x18" + (9).to_bytes(4, "little") + bytes(4) + b"\x00" + b"\xb1\xea\x92\x8f"
    return {"frames": done.stdout, "with-table": done.stdout + skippable}


def zone():
    """Zones with and without summer time, old and new, as the system's tzdata has them."""
    folder = Path("/usr/share/zoneinfo")
    names = ("Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe", "Asia/Kolkata", "Etc/GMT+12")
    seeds = {name.replace("/", "-"): (folder / name).read_bytes() for name in names}
    seeds["rule"] = b"CET-1CEST,M3.5.0,M10.5.0/3"
    return seeds


def sidecar():
    return {"sidecar": json.dumps({
        "format": "lifeboat-sidecar", "format_version": 1, "id": "20261123T020000Z-3f9c", "stack": "hdms",
        "archive": "hdms-20261123T020000Z-3f9c.tar.zst", "bytes": 5, "sha256": "0123456789abcdef" * 4,
        "started": "2026-11-23T02:00:00Z", "finished": "2026-11-23T02:01:30Z", "label": None, "pinned": False,
        "suspicious": False, "lifeboat_version": "0.1.0", "counts": {
            "databases": 1, "tables": 2, "rows": 3, "large_objects": 4, "redis_keys": 5, "files": 6, "raw_bytes": 7},
        "components": ["postgres", "redis"], "warnings": 0}).encode(),
            "name": b"hdms-20261123T020000Z-3f9c.drill-20261124T040000Z.json"}


def retention():
    return {"rules": b"last 3, hourly 24, daily 7, weekly 4, monthly 12, yearly 2, within 30d, min 3\0" + bytes(range(80))}


def cron():
    """Behind a moment and a zone."""
    texts = ["0 2 * * *", "*/15 2-4 * * mon-fri", "30 2 1,15 * sun", "0 */3 29 feb *", "@weekly", "59 23 31 12 7"]
    return {"schedule-%d" % i: (1774746000 + 86400 * i).to_bytes(8, "big") + bytes([i]) + text.encode()
            for i, text in enumerate(texts)}


def http_head():
    """Answers to a request to take over a connection, as Docker and others give them."""
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
    return {"taken": b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nbytes",
            "length": head % b"404 Not Found" + b"Content-Length: 2\r\n\r\n{}",
            "chunks": head % b"500 Oh" + b"Transfer-Encoding: chunked\r\n\r\n"
                      b"1;a=b\r\n{\r\n01\r\n}\r\n0\r\nX: y\r\n\r\n",
            "interim": b"HTTP/1.0 100\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"}


def docker_frames():
    """What an exec answers, behind a first byte that says how it is cut."""
    frames = b"".join(bytes([n, 0, 0, 0, 0, 0, 0, len(text)]) + text
                      for n, text in ((2, b"17\n"), (1, b"output"), (2, b"words"), (1, b"")))
    return {"whole": b"\x03" + frames, "cut": b"\x20" + frames[:-3]}


def docker_stat():
    """What a daemon says of a folder, a link and a file in another zone."""
    said = b'{"name":"%s","size":4096,"mode":%d,"mtime":"%s","linkTarget":"%s"}'
    return {"folder": said % (b"data", 2147484096, b"2026-11-23T07:55:16.561889122Z", b""),
            "link": said % (b"l", 134218239, b"2020-09-13T14:26:40+02:00", b"/data/b"),
            "file": said % (b"f", 420, b"2020-09-13T08:56:40.5-03:30", b"")}


def docker_tar():
    """The formats that a daemon may choose, with long names and times that need more than a head."""
    seeds = {}
    for name, form in (("pax", tarfile.PAX_FORMAT), ("gnu", tarfile.GNU_FORMAT)):
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w", format=form) as tar:
            for path, kind, text in (("data", tarfile.DIRTYPE, b""), ("data/f", tarfile.REGTYPE, b"hello"),
                                     ("data/" + "n" * 200, tarfile.REGTYPE, b"x"),
                                     ("data/g", tarfile.LNKTYPE, b""), ("data/s", tarfile.SYMTYPE, b"")):
                entry = tarfile.TarInfo(path)
                entry.type, entry.size, entry.linkname = kind, len(text), "data/f" if kind in b"12" else ""
                entry.mtime = 1600000000.5 if name == "pax" else 1600000000
                tar.addfile(entry, io.BytesIO(text))
        seeds[name] = made.getvalue()
    return seeds


def age():
    """Files of one and two recipients for the identity that fuzz_base_age has."""
    identity = (SUPPORT / "age_vectors.h").read_text().split("AGE-SECRET-KEY-", 1)[1].split('"')[0]
    ours = run(["age-keygen", "-y"], input=("AGE-SECRET-KEY-" + identity + "\n").encode()).stdout.decode().strip()
    other = run(["age-keygen"]).stdout.decode().split("public key: ")[1].split()[0]
    return {name: run(["age", *sum((["-r", r] for r in to), [])], input=data).stdout
            for name, to, data in (("one", [ours], b"age"), ("two", [other, ours], b""), ("other", [other], b"age"),
                                   ("chunks", [ours], bytes(70000)))}


def webdav():
    found = ("<D:propstat><D:prop>%s</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>")
    folder = "<D:resourcetype><D:collection/></D:resourcetype><D:quota-available-bytes>5</D:quota-available-bytes>"
    file = ("<D:resourcetype/><D:getcontentlength>7</D:getcontentlength>"
            "<D:getlastmodified>Mon, 23 Nov 2026 12:00:00 GMT</D:getlastmodified>")
    return {"multistatus": ("<?xml version='1.0'?><D:multistatus xmlns:D='DAV:'><D:response><D:href>/a/</D:href>%s"
                            "</D:response><D:response><D:href>/a/x%%20y.0123abcd.part</D:href>%s</D:response>"
                            "</D:multistatus>" % (found % folder, found % file)).encode(),
            "url": b"sftp://a%40b@[::1]:2222/srv/%20x/"}


XML = {
    "list": b'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url'
            b'</EncodingType><Contents><Key>pre%2Fa%2Dx</Key><Size>12</Size><LastModified>2026-11-23T11:00:00.000Z'
            b'</LastModified></Contents><IsTruncated>true</IsTruncated></ListBucketResult>',
    "uploads": b'<ListMultipartUploadsResult><Upload><Key>pre/a</Key><UploadId>2~x</UploadId><Initiated>'
               b'2026-11-23T11:00:00Z</Initiated></Upload></ListMultipartUploadsResult>',
    "versions": b'<ListVersionsResult><Version><Key>pre/x</Key><VersionId>v/1</VersionId></Version><DeleteMarker>'
                b'<Key>pre/x</Key><VersionId>null</VersionId></DeleteMarker></ListVersionsResult>',
    "error": b'<Error><Code>SlowDown</Code><Message>&quot;less&quot; &#233;</Message></Error>',
    "skew": b'<Error><Code>RequestTimeTooSkewed</Code><ServerTime>2026-11-23T11:00:00Z</ServerTime></Error>',
    "region": b'<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>',
    "moved": b'<Error><Code>PermanentRedirect</Code><Endpoint>h</Endpoint></Error>',
    "dav": b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>/a</D:href></D:response></D:multistatus>',
    "doctype": b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;<![CDATA[<]]></a>',
}


def xml():
    return dict(XML)


def s3():
    """The first byte says which status, and to what."""
    return {"%s-%d" % (name, n): bytes([n]) + body for name, body in XML.items() for n in (0, 5, 44)}


def table():
    """A partitioned table with its indexes, as pg_dump writes them."""
    return {"partitions": b"""public.m
AALTER TABLE ONLY public.m ATTACH PARTITION public."m 1" FOR VALUES IN (1);
Dpublic."m 1" (a) FROM stdin;
ICREATE INDEX "i""j" ON ONLY public.m USING btree (a);
ICREATE UNIQUE INDEX k ON public."m 1" USING btree (a);
XALTER INDEX public."i""j" ATTACH PARTITION public.k;
CALTER TABLE ONLY public."m 1" ADD CONSTRAINT c PRIMARY KEY (a);
"""}


def init():
    """What Docker says of the containers of a small project."""
    def one(service, image, env=(), cmd=None, volume="v"):
        return {"listed": {"Image": image, "Labels": {"com.docker.compose.service": service},
                           "Mounts": [{"Type": "volume", "Name": "desk_" + volume}]},
                "inspected": {"Config": {"Env": list(env), "Cmd": cmd, "Entrypoint": ["x"]}}}
    return {"one": json.dumps(one("db", "desk-db", ["PG_MAJOR=17", "POSTGRES_PASSWORD=Z9z9Z9z9"])).encode(),
            "all": json.dumps([
                one("db", "postgres:17", ["POSTGRES_USER=chief o'x", "POSTGRES_PASSWORD=Z9z9Z9z9"]),
                one("cache", "redis", ["PW=x"], ["sh", "-c", 'redis-server --requirepass "${PW}"']),
                one("pooler", "pgbouncer"), one("api", "api", ["DATABASE_URL=postgresql+x://a:Z9z9Z9z9@h:1/d?x=y"]), one("web", "web", ["DB_USER=desk", "DB_PASSWORD=x", "DB_NAME=d"], volume="a.b"),
                one("other", "sha256:00", ["POSTGRES_HOST_AUTH_METHOD=trust"])]).encode()}


def env_file():
    """Every form that Compose knows."""
    return {"forms": b"# c\r\nexport A=1\r\nB = 'it\\'s $A' # c\nC=\"x\\n${A:-d}$$\"\nD: y#z\nHOST_SECRET\n"
                     b"E=${HOST_SECRET:+${B-e}}\nF=${A:?no}\nG='two\nlines'\n"}


def state():
    """What a daemon remembers after two runs, and an older one."""
    time = "2026-03-29T00:00:00Z"
    run = {"run": "20260329T000000Z-0001", "job": "backup", "outcome": "success", "backup": None}
    entry = {"plan": "0 2 * * * UTC", "trigger": "catch-up", "attempts": 2, "run_trigger": "retry", "run_attempt": 3,
             "failures": 4, **{name: time for name in ("since", "handled", "due", "retry", "run_began", "run_due", "success",
                                                       "failing_since", "overdue_since")}}
    doc = {"version": 1, "stack": "hdms", "running": {**run, "job": "drill"}, "history": [run, run],
           "jobs": {"backup": {"last": run, "last_success": run, "agenda": entry}}}
    return {"full": json.dumps(doc).encode(), "empty": b'{"version": 1, "jobs": {}, "history": [], "running": null}'}


def alarm():
    slots = ["failure/backup", "overdue/backup", "suspicious", "unproven"]
    facts = {"job": "backup", "outcome": "failure", "error": {"message": "no <b>", "hint": "x"}, "backup": "B1"}
    return {"all": json.dumps({"conditions": {slot: {"since_ms": 1774746000000, "facts": facts} for slot in slots},
                               "told": {"ops": {slot: 1774746000000 for slot in slots}}}).encode()}


def notice():
    return {"template": b'{"text": "{title}: {message} @{backup}", "x": ["{job}", {"{time}": 1}]}\0'
                        b'no <b> & "room" \\ @everyone <!channel> \n\x01\xff'}


def page():
    """What status and show say of a small stack."""
    time, hostile = "2026-11-23T02:00:00Z", "<q>&\"'"
    backup = {"id": "20261123T020000Z-0001", "taken": time, "bytes": 5, "raw_bytes": 50, "label": hostile}
    doc = {"stack": "hdms", "level": "safe", "verdict": hostile, "generated": time, "newest": backup,
           "stores": [{"label": hostile, "reachable": True, "backups": [backup]}],
           "drills": [{"outcome": "passed", "started": time, "evidence": hostile}],
           "agent": {"jobs": {"backup": {"last": {"error": {"message": hostile}}, "next": time}}},
           "days": [{"date": "2026-11-23", "outcome": "proven"}],
           "backup": backup, "manifest": {"postgres": {"databases": [{"name": hostile, "tables": [{"name": hostile}]}]}}}
    return {"status": json.dumps(doc).encode()}


def web():
    """Behind a byte that says whether a token is asked for."""
    head = b"%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n"
    asked = [(b"GET", b"/", b"127.0.0.1", b""), (b"GET", b"/?token=0123456789abcdef", b"localhost", b""),
             (b"HEAD", b"/metrics", b"[::1]:8094", b"Cookie: lifeboat=a; x=y\r\n"),
             (b"GET", b"/api/v1/backups/20261123T020000Z-3f9c", b"evil.example", b"Authorization: Bearer x\r\n"),
             (b"POST", b"/backups/%2e%2e/", b"localhost:8094", b"Transfer-Encoding: chunked\r\n"),
             (b"GET", b"/healthz", b"x", b"Expect: 100-continue\r\nContent-Length: 5\r\n")]
    return {"request-%d" % i: bytes([i % 2]) + head % request for i, request in enumerate(asked)}


def overview():
    """One object of a store, behind the byte that says which."""
    backup, time = "20261123T020000Z-3f9c", "2026-11-23T03:00:00Z"
    verdict = {"format": "lifeboat-verify", "format_version": 1, "id": backup, "stack": "hdms", "store": "a", "kind": "whole",
               "outcome": "failed", "started": time, "finished": time, "duration_ms": 5, "error": "<q>",
               "damaged": [{"stream": "<q>", "component": "postgres"}], "answers": []}
    proof = {"outcome": "passed", "comparisons": 3, "seconds": 1.5}
    evidence = {"format": "lifeboat-evidence", "format_version": 1, "id": backup, "stack": "hdms", "outcome": "passed",
                "started": time, "finished": time, "rto_ms": 100, "rpo_ms": 100, "proof": proof, "store": "a",
                "differences": [{"what": "<q>"}], "controls": [{"component": "redis", "noticed": True}]}
    mark = {"host": "<q>", "boot": "b", "pid": 17, "command": "restore", "since": time, "token": "t", "good_for_ms": 900000}
    made = sidecar()["sidecar"].replace(b'"label": null', b'"label": "<q>"')
    return {name: bytes([n]) + text for n, (name, text) in enumerate((
        ("verdict", json.dumps(verdict).encode()), ("evidence", json.dumps(evidence).encode()),
        ("mark", json.dumps(mark).encode()), ("lease", json.dumps(mark).encode()), ("sidecar", made)))}


MAKERS = {"xml": xml, "s3": s3,
          "age": age, "cron": cron, "docker_frames": docker_frames, "docker_stat": docker_stat, "docker_tar": docker_tar,
          "config": ini, "inifile": ini, "ini": ini, "pgbouncer": ini, "rdb": rdb, "pgdump": pgdump,
          "unzstd": archive, "seektable": archive, "reader": archive,
          "zone": zone, "table": table, "sidecar": sidecar, "retention": retention, "http_head": http_head, "webdav": webdav,
          "env_file": env_file, "init": init, "state": state, "alarm": alarm, "notice": notice, "page": page, "overview": overview, "web": web}
