"""OpenStack Swift with its S3 API for tests: a second, poorer S3, without conditional puts and object lock.

By hand: python3 tests/support/swift.py prints its url and takes commands, as tests/support/ceph.py does.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ceph import root
from stack import free_port

HERE = Path(__file__).resolve().parent
PACKAGES = ["swift-proxy", "swift-account", "swift-container", "swift-object", "memcached", "rsync"]
WRITTEN = ["run", "tmp", "etc/swift", "srv", "var/cache", "var/log"]


def main():
    top = root("bookworm", PACKAGES)
    mounts = ["mount -t proc proc '%s/proc'" % top, "mount --rbind /dev '%s/dev'" % top]
    ports = {name: str(free_port()) for name in ("PORT", "OBJECT", "CONTAINER", "ACCOUNT", "MEMCACHED")}
    with tempfile.TemporaryDirectory(prefix="lb-swift-") as folder:
        for place in WRITTEN:
            (Path(folder) / place).mkdir(parents=True)
            mounts.append("mkdir -p '%s/%s'; mount --bind '%s/%s' '%s/%s'" % (top, place, folder, place, top, place))
        script = "set -e; mount --make-rprivate /; %s; cp '%s' '%s/tmp/swift.sh'; exec chroot '%s' bash /tmp/swift.sh" % (
            "; ".join(mounts), HERE / "swift.sh", top, top)
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **ports}
        print("http://127.0.0.1:" + ports["PORT"], flush=True)
        sys.exit(subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", script], env=env,
                                check=False).returncode)


if __name__ == "__main__":
    assert os.geteuid() == 0, "it needs root, for its root file system and mounts"
    main()
