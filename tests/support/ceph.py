"""A real Ceph with its RADOS Gateway for tests: a monitor, OSDs, an S3 server, in two seconds.

    with Ceph() as ceph:                          ceph.url, ceph.access_key, ceph.secret_key
        ceph.bucket("backups")                    makes one
        ceph.s3("GET", "/backups?list-type=2")    any request, signed: (status, headers, body)
        ceph.run("radosgw-admin user list")       a command inside; what it printed

It comes from Debian's packages, in a root of its own that is made once and kept in the build folder.
What it writes lies in memory (or, with bluestore, in a temporary folder), it has its own processes
and mounts, and free ports: two can run side by side. It ends with the process that started it.

By hand: python3 tests/support/ceph.py [serve] [SUITE [OSDS STORE]] prints its url and takes commands.
"""

import fcntl
import hashlib
import hmac
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from images import debootstrap, digest
from stack import TOP, Failed, free_port, run

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("LIFEBOAT_BUILD", TOP / "build")) / "ceph"
PACKAGES = ["ceph-mon", "ceph-osd", "ceph-mgr", "radosgw", "ceph-common"]
OPTIONS = ["--variant=minbase", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
           "--dpkgopt=path-exclude=/usr/share/locale/*"]
SUITES = {"bookworm": 16, "trixie": 18, "forky": 20}
# What is written while it runs goes to a place of its own, over the root that all share.
WRITTEN = ["run", "tmp", "etc/ceph", "var/lib/ceph", "var/log/ceph"]


def root(suite, packages=None):
    """The root file system of that suite with Ceph, or with other packages; made if it is not there."""
    packages = packages or PACKAGES
    BUILD.mkdir(parents=True, exist_ok=True)
    target = BUILD / ("%s-%s" % (suite, digest(suite, packages, OPTIONS)))
    with open(BUILD / (suite + ".lock"), "a", encoding="utf-8") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        if not target.is_dir():
            # Of its own name: one that was killed may have mounts in its.
            half = Path(tempfile.mkdtemp(prefix=suite + "-half-", dir=BUILD))
            half.chmod(0o755)
            try:
                with tempfile.TemporaryDirectory(prefix="lb-ceph-") as folder:
                    debootstrap(suite, packages, OPTIONS, half, folder)
            except BaseException:
                run(["rm", "-rf", "--one-file-system", half], check=False)
                raise
            for place in WRITTEN:
                (half / place).mkdir(parents=True, exist_ok=True)
            half.rename(target)
    return target


def command(suite, osds, store, port, folder, sts=False):
    """What starts it: as process 1 of its own, which takes all others with it."""
    if os.geteuid() != 0:
        raise Failed("a Ceph of our own needs root, for its root file system and mounts")
    top = root(suite)
    written = Path(folder) / "written"
    mounts = ["mount -t proc proc '%s/proc'" % top, "mount --rbind /dev '%s/dev'" % top]
    for place in WRITTEN:
        if store == "memstore":
            mounts.append("mount -t tmpfs tmpfs '%s/%s'" % (top, place))
        else:
            (written / place).mkdir(parents=True)
            mounts.append("mount --bind '%s' '%s/%s'" % (written / place, top, place))
    script = "set -e; mount --make-rprivate /; %s; cp '%s' '%s/tmp/ceph.sh'; exec chroot '%s' bash /tmp/ceph.sh" % (
        "; ".join(mounts), HERE / "ceph.sh", top, top)
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "OSDS": str(osds), "STORE": store,
           "MGR": "1" if osds > 1 else "0", "PORT": str(port), "MON_PORT": str(free_port()),
           "STS": "1" if sts else ""}
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", script], env


class Ceph:
    access_key, secret_key = "AKone", "SKone"

    def __init__(self, suite="trixie", osds=1, store="memstore", sts=False):
        self.suite, self.osds, self.store, self.sts = suite, osds, store, sts
        self.process = self.folder = None
        self.port = free_port()
        self.url = "http://127.0.0.1:%d" % self.port

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="lb-ceph-")
        try:
            argv, env = command(self.suite, self.osds, self.store, self.port, self.folder, self.sts)
            with open(Path(self.folder) / "log", "wb") as log:
                self.process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                stderr=log, start_new_session=True)
            self._read_to("READY")
            self._wait_for_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self):
        """All of it, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)

    def run(self, line):
        self.process.stdin.write((line + "\n").encode())
        self.process.stdin.flush()
        said, end = self._read_to("DONE ")
        if end != "DONE 0":
            raise Failed("%s: status %s\n%s" % (line, end[5:], said))
        return said

    def _read_to(self, mark):
        said = []
        for line in self.process.stdout:
            text = line.decode(errors="replace").rstrip("\n")
            if text.startswith(mark):
                return "\n".join(said), text
            said.append(text)
        raise Failed("Ceph ended:\n%s\n%s" % ("\n".join(said), (Path(self.folder) / "log").read_text(errors="replace")))

    def _wait_for_answers(self):
        end = time.monotonic() + 60
        while True:
            try:
                if self.s3("GET", "/")[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            if time.monotonic() > end:
                raise Failed("radosgw does not answer")
            time.sleep(0.05)

    def bucket(self, name, **headers):
        status, _, body = self.s3("PUT", "/" + name, headers=headers)
        if status != 200:
            raise Failed("bucket '%s': %d %s" % (name, status, body.decode(errors="replace")))
        return "s3://" + name

    def session(self):
        """Temporary keys: (access key, secret key, session token). Needs sts=True."""
        trust = ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam:::user/one"]},'
                 '"Action":["sts:AssumeRole"]}]}')
        rights = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::*"}]}'
        self.run("radosgw-admin caps add --uid=one --caps='roles=*' && radosgw-admin role create --role-name=r "
                 "--assume-role-policy-doc='%s' && radosgw-admin role-policy put --role-name=r --policy-name=p "
                 "--policy-doc='%s'" % (trust, rights))
        form = b"Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A%3Arole%2Fr&RoleSessionName=sess&Version=2011-06-15"
        status, _, body = self.s3("POST", "/", form, {"content-type": "application/x-www-form-urlencoded"})
        found = [re.search("<%s>(.*?)</" % name, body.decode())
                 for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        if status != 200 or None in found:
            raise Failed("AssumeRole: %d %s" % (status, body.decode()))
        return [one.group(1) for one in found]

    def s3(self, method, target, body=b"", headers=None):
        return request(self.url, self.access_key, self.secret_key, method, target, body, headers)


def request(url, access_key, secret_key, method, target, body=b"", headers=None, region="us-east-1"):
    """One request by Signature V4: (status, headers, body). The target's path is taken as encoded."""
    host = urlsplit(url).netloc
    path, _, query = target.partition("?")
    pairs = sorted((quote(k, safe="-._~"), quote(v, safe="-._~")) for k, v in parse_qsl(query, keep_blank_values=True))
    query = "&".join("%s=%s" % pair for pair in pairs)
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    sha = hashlib.sha256(body).hexdigest()
    sent = {"host": host, "x-amz-date": now, "x-amz-content-sha256": sha}
    sent.update({k.lower().replace("_", "-"): v for k, v in (headers or {}).items()})
    names = ";".join(sorted(sent))
    lines = "".join("%s:%s\n" % (k, sent[k]) for k in sorted(sent))
    canonical = "\n".join([method, path, query, lines, names, sha])
    scope = "%s/%s/s3/aws4_request" % (now[:8], region)
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret_key).encode()
    for word in (now[:8], region, "s3", "aws4_request", text):
        key = hmac.new(key, word.encode(), "sha256").digest()
    sent["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        access_key, scope, names, key.hex())
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(method, path + ("?" + query if query else ""), body, sent)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def main():
    words = [word for word in sys.argv[1:] if word != "serve"]
    suite = words[0] if words else "trixie"
    osds, store = (int(words[1]), words[2]) if len(words) > 2 else (1, "memstore")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lb-ceph-") as folder:
        argv, env = command(suite, osds, store, port, folder)
        print("http://127.0.0.1:%d" % port, flush=True)
        sys.exit(subprocess.run(argv, env=env, check=False).returncode)


if __name__ == "__main__":
    main()
