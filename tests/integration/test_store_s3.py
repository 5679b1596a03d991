"""The program on a real Ceph: backups that stream into a bucket, and come back."""

import os
import random
import re
import signal
import time
import unittest

from case import Held, StackCase
from ceph import Ceph

# A run on the label `ceph` takes more of them.
KILLS = int(os.environ.get("LIFEBOAT_TEST_KILLS", "3"))
MIB = 1 << 20


class S3(StackCase):
    STACK = {"components": ("redis",)}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ceph = cls.enterClassContext(Ceph())
        cls.ceph.bucket("backups")
        # More than fits one request, and nothing that zstd could make small.
        (cls.stack.volumes / "media").mkdir()
        (cls.stack.volumes / "media" / "noise").write_bytes(os.urandom(40 * MIB))
        text = re.sub(r"\[store [^\]]*\]\n(?:[^\[\n].*\n|\n)*", "", cls.stack.conf())
        cls.stack.write_conf(text + """
[volume media]
[store far]
url = s3://backups/hdms
endpoint = %s
access_key = %s
secret_key = %s
keep = last 2
""" % (cls.ceph.url, cls.ceph.access_key, cls.ceph.secret_key))

    def files(self, bucket="backups"):
        body = self.ceph.s3("GET", "/%s?list-type=2" % bucket)[2].decode()
        return re.findall(r"<Key>(?:hdms/)?([^<]*)</Key>", body)

    def uploads(self):
        return re.findall(r"<UploadId>([^<]+)<", self.ceph.s3("GET", "/backups?uploads=")[2].decode())

    def listed(self):
        return [b["id"] for b in self.stack.lifeboat("list", "--json", expect=0).json["backups"]]

    def test_life__of_a_backup__is_as_in_a_folder(self):
        backup = self.stack.lifeboat("backup", "--json", expect=0).json
        self.assertIn("far", self.stack.lifeboat("check", expect=0).out)
        self.assertIn(backup["id"], self.listed())
        self.stack.lifeboat("show", "--json", expect=0)
        self.stack.lifeboat("verify", expect=0)
        self.stack.lifeboat("restore", "--as", "back%d" % os.getpid(), expect=0)
        self.stack.lifeboat("drill", expect=0)
        self.stack.lifeboat("prune", "--dry-run", expect=0)
        self.assertNotIn("lifeboat-probe", self.files())

    def test_server__silent__ends_at_the_deadline(self):
        self.ceph.run("kill -STOP $(cat /run/ceph/client.rgw.a.pid)")
        try:
            result = self.stack.lifeboat("list", env={"LIFEBOAT_STORE_FAR_TIMEOUT": "1s",
                                                      "LIFEBOAT_STORE_FAR_RETRIES": "1"})
            self.assert_failed(result, 1, "store 'far': gave up after 2 tries: ", "nothing for 1000 ms")
        finally:
            self.ceph.run("kill -CONT $(cat /run/ceph/client.rgw.a.pid)")
        self.stack.lifeboat("list", expect=0)

    def test_backup__killed__is_not_there_and_swept(self):
        """At random moments; what is begun is aborted later, and what is committed is whole."""
        rolls = random.Random(7)
        committed, begun = len(self.listed()), 0
        for _ in range(KILLS):
            process = self.stack.start_lifeboat("backup")
            time.sleep(rolls.uniform(0.2, 1.6))
            process.kill()
            process.communicate()
            begun += len(self.uploads()) > 0
        # Whatever moment each of them met, one is killed in the middle of its upload.
        self.stack.lifeboat("backup", env={"LIFEBOAT_FAULT": "s3-part=kill@2"})
        self.assertNotEqual(self.uploads(), [])
        self.assertGreaterEqual(len(self.listed()), committed)
        # They are young: somebody might be at work on them.
        self.stack.lifeboat("prune", expect=0)
        self.assertNotEqual(self.uploads(), [])
        self.stack.lifeboat("prune", expect=0, env={"LIFEBOAT_FAULT": "s3-sweep-age=skip"})
        self.assertEqual(self.uploads(), [])
        self.stack.lifeboat("backup", expect=0)
        self.stack.lifeboat("verify", "--all", expect=0)

    def test_backup__terminated__leaves_no_upload(self):
        self.stack.lifeboat("prune", expect=0, env={"LIFEBOAT_FAULT": "s3-sweep-age=skip"})
        before = self.listed()
        held = Held(self.stack, "s3-part", ("backup",))
        held.wait(60)
        self.assertNotEqual(self.uploads(), [])
        held.process.send_signal(signal.SIGTERM)
        held.resume()
        err = held.process.communicate(timeout=60)[1].decode()
        self.assertEqual(held.process.returncode, 1, err)
        self.assertIn("cancelled by SIGTERM", err)
        self.assertEqual(self.uploads(), [])
        self.assertEqual(self.listed(), before)

    def test_secret__wrong__denied_and_not_shown(self):
        result = self.stack.lifeboat("list", env={"LIFEBOAT_STORE_FAR_SECRET_KEY": "swordfish"})
        self.assert_failed(result, 1, "store 'far': bucket 'backups': the store answered 403 SignatureDoesNotMatch",
                           "HINT: The secret_key is not that of the access_key")
        self.assertNotIn("swordfish", result.out + result.err)

    def test_bucket__missing__is_configuration(self):
        result = self.stack.lifeboat("backup", env={"LIFEBOAT_STORE_FAR_URL": "s3://nowhere/hdms"})
        self.assert_failed(result, 78, "store 'far': bucket 'nowhere': the store answered 404 NoSuchBucket",
                           "HINT: Make the bucket first")

    def test_server__not_there__unreachable(self):
        result = self.stack.lifeboat("list", env={"LIFEBOAT_STORE_FAR_ENDPOINT": "http://127.0.0.1:1",
                                                  "LIFEBOAT_STORE_FAR_RETRIES": "1"})
        self.assert_failed(result, 69, "store 'far': ", "127.0.0.1")

    def test_quota__full__fails_and_leaves_nothing(self):
        self.ceph.bucket("small")
        self.ceph.run("radosgw-admin quota set --quota-scope=bucket --uid=one --bucket=small --max-size=8388608 && "
                      "radosgw-admin quota enable --quota-scope=bucket --uid=one --bucket=small")
        result = self.stack.lifeboat("backup", env={"LIFEBOAT_STORE_FAR_URL": "s3://small/hdms"})
        self.assert_failed(result, 1, "QuotaExceeded", "HINT: The quota of the bucket")
        self.assertEqual([n for n in self.files("small") if ".lease-" not in n], [])
        self.assertNotIn(b"<UploadId>", self.ceph.s3("GET", "/small?uploads=")[2].replace(b"<UploadIdMarker>", b""))

    def test_locked__at_prune__is_told_and_the_rest_goes_on(self):
        self.ceph.bucket("locked", **{"x-amz-bucket-object-lock-enabled": "true"})
        env = {"LIFEBOAT_STORE_FAR_URL": "s3://locked/hdms"}
        lock = {"LIFEBOAT_STORE_FAR_OBJECT_LOCK": "governance", "LIFEBOAT_STORE_FAR_OBJECT_LOCK_DAYS": "3"}
        for _ in range(3):
            self.stack.lifeboat("backup", "--only", "redis", env={**env, **lock}, expect=0)
        before = [n for n in self.files("locked") if n.endswith((".zst", ".json"))]
        result = self.stack.lifeboat("prune", env={**env, **lock})
        self.assertIn("is locked (GOVERNANCE) until 20", result.out + result.err, str(result))
        self.assertEqual([n for n in self.files("locked") if n.endswith((".zst", ".json"))], before)

    def test_keys__of_the_environment__are_taken(self):
        text = self.stack.conf()
        try:
            self.stack.write_conf(re.sub(r"(access|secret)_key = .*\n", "", text))
            result = self.stack.lifeboat("list")
            self.assert_failed(result, 78, "access_key")
            self.stack.lifeboat("list", expect=0, env={"AWS_ACCESS_KEY_ID": self.ceph.access_key,
                                                       "AWS_SECRET_ACCESS_KEY": self.ceph.secret_key})
        finally:
            self.stack.write_conf(text)


class Session(StackCase):
    STACK = {"components": ()}

    def test_session_token__of_a_role__is_signed(self):
        ceph = self.enterContext(Ceph(sts=True))
        ceph.bucket("backups")
        (self.stack.volumes / "media").mkdir()
        (self.stack.volumes / "media" / "noise").write_bytes(os.urandom(20 * MIB))
        self.stack.write_conf("""[stack]
name = hdms
engine = local
volumes_dir = %s
[volume media]
[store far]
url = s3://backups/hdms
endpoint = %s
access_key = %s
secret_key = %s
session_token = %s
""" % (self.stack.volumes, ceph.url, *ceph.session()))
        self.stack.lifeboat("backup", expect=0)
        self.stack.lifeboat("verify", expect=0)
        result = self.stack.lifeboat("list", env={"LIFEBOAT_STORE_FAR_SESSION_TOKEN": "swordfish"})
        self.assert_failed(result, 1, "store 'far': bucket 'backups': the store answered 40")
        self.assertNotIn("swordfish", result.out + result.err)


if __name__ == "__main__":
    unittest.main()
