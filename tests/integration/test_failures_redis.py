"""Redis goes wrong while a backup is taken: each failure with the real server, and what stays."""

import os
import unittest

from case import StackCase, fill, small_disk
from resp import RedisError
from stack import Stack, wait_for


class RedisFails(StackCase):
    STACK = {"components": ("redis",)}
    backup_first = True

    def setUp(self):
        self.url = "redis://:%s@127.0.0.1:%d/0" % (self.stack.REDIS_PASSWORD, self.stack.ports["redis"])
        self.rdb = self.stack.volumes / "redis_data" / "dump.rdb"

    def test_backup__wrong_password__denied(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", env={"LIFEBOAT_REDIS_URL": self.url.replace("battery", "wrong")})
            self.assert_failed(result, 1, "redis", "127.0.0.1")
            self.assertRegex(result.err, "(?i)wrongpass|password|denied")

    def test_backup__no_password__denied(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", env={"LIFEBOAT_REDIS_URL": "redis://127.0.0.1:%d" % self.stack.ports["redis"]})
            self.assert_failed(result, 1, "redis")
            self.assertRegex(result.err, "(?i)noauth|password|denied")

    def test_backup__server_down__unreachable_with_host_and_port(self):
        self.stack.stop("redis")
        try:
            with self.nothing_changes():
                self.assert_failed(self.stack.lifeboat("backup"), 69, "127.0.0.1", str(self.stack.ports["redis"]))
        finally:
            self.stack.start_redis()

    def test_backup__dump_cut_after_the_save__refused(self):
        for method in ("a third", "the checksum", "the last byte"):
            with self.subTest(cut=method), self.nothing_changes():
                with self.held("redis-saved", "backup", env={"LIFEBOAT_REDIS_METHOD": "bgsave"}) as held:
                    size = self.rdb.stat().st_size
                    os.truncate(self.rdb, {"a third": size // 3, "the checksum": size - 8, "the last byte": size - 1}[method])
                self.assert_failed(held.result, 1, "redis")
                self.assertRegex(held.result.err, "(?i)end|cut|short|truncated|incomplete")

    def test_backup__dump_flipped_after_the_save__refused(self):
        for part in (0.1, 0.5, 0.9):
            with self.subTest(at=part), self.nothing_changes():
                with self.held("redis-saved", "backup", env={"LIFEBOAT_REDIS_METHOD": "bgsave"}) as held:
                    at = int(self.rdb.stat().st_size * part)
                    with open(self.rdb, "r+b") as dump:
                        dump.seek(at)
                        byte = dump.read(1)[0]
                        dump.seek(at)
                        dump.write(bytes([byte ^ 0x10]))
                self.assert_failed(held.result, 1, "redis")

    def test_backup__dump_of_an_earlier_save_in_its_place__refused(self):
        self.stack.redis("SAVE")
        old = self.rdb.read_bytes()
        wait_for("the next second", lambda start=self.stack.redis("TIME")[0]: self.stack.redis("TIME")[0] != start)
        with self.nothing_changes():
            with self.held("redis-saved", "backup", env={"LIFEBOAT_REDIS_METHOD": "bgsave"}) as held:
                self.rdb.write_bytes(old)
            self.assert_failed(held.result, 1, "redis", "older")

    def test_backup__flushed_between_save_and_read__refused(self):
        with self.nothing_changes():
            keys = self.stack.redis_contents()
            with self.held("redis-saved", "backup", env={"LIFEBOAT_REDIS_METHOD": "bgsave"}) as held:
                copy = self.rdb.read_bytes()
                with self.stack.redis_door() as redis:
                    redis("FLUSHALL")
                    redis("SAVE")
            self.stack.stop("redis")
            for left in (self.stack.volumes / "redis_data").rglob("*"):
                if left.is_file():
                    left.unlink()
            self.rdb.write_bytes(copy)
            self.stack.give(self.rdb)
            aof = self.stack.volumes / "redis_data" / "appendonlydir"
            (aof / "appendonly.aof.1.base.rdb").write_bytes(copy)
            (aof / "appendonly.aof.manifest").write_text("file appendonly.aof.1.base.rdb seq 1 type b\n")
            for name in aof.iterdir():
                self.stack.give(name)
            self.stack.start_redis()
            self.assertEqual(self.stack.redis_contents(), keys)
            self.assert_failed(held.result, 1, "redis", "empty")

    def test_backup__saves_are_killed__production_is_not_left_refusing_writes_in_silence(self):
        self.stack.redis("CONFIG", "SET", "rdb-key-save-delay", "2000")
        self.addCleanup(self.stack.redis, "CONFIG", "SET", "rdb-key-save-delay", "0")
        before = self.stack.store_files()
        process = self.stack.start_lifeboat("backup", env={"LIFEBOAT_REDIS_METHOD": "bgsave"})
        while process.poll() is None:
            child = self.save_child()
            if child:
                try:
                    os.kill(child, 9)
                except ProcessLookupError:
                    pass
        result = self.stack.finish(process, ["backup"])
        self.assert_failed(result, 1, "redis")
        self.assertRegex(result.err, "BGSAVE|save")
        self.assertRegex(result.err, "(?i)refuse|writes|MISCONF")
        self.assertEqual(self.stack.store_files(), before)
        self.stack.redis("CONFIG", "SET", "rdb-key-save-delay", "0")
        self.stack.redis("SAVE")

    def save_child(self):
        pid = self.stack.servers["redis"].process.pid
        try:
            with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as children:
                found = children.read().split()
        except OSError:
            return None
        return int(found[0]) if found else None

    def test_verify__after_all_of_this__the_first_backup_is_whole(self):
        self.stack.lifeboat("verify", expect=0)


class RedisDiskFull(StackCase):
    """Its volume is a disk of its own that is full."""

    STACK = {"components": ("redis",), "populate": False, "redis_options": ["appendonly no"]}

    @classmethod
    def setUpClass(cls):
        super(StackCase, cls).setUpClass()
        cls.stack = Stack(**cls.STACK)
        cls.addClassCleanup(cls.stack.close)
        cls.stack._folder(cls.stack.volumes)
        (cls.stack.volumes / "redis_data").mkdir()
        cls.disk = small_disk(cls.stack.volumes / "redis_data", 8)
        cls.enterClassContext(cls.disk)
        cls.stack.start()
        with cls.stack.redis_door() as redis:
            for n in range(200):
                redis("SET", "key:%d" % n, os.urandom(5000))
        cls.first = cls.stack.lifeboat("backup", "--json", expect=0).json

    def setUp(self):
        folder = self.stack.volumes / "redis_data"
        self.ballast = fill(folder, leave_kb=300)
        self.addCleanup(self.ballast.unlink)

    def writes_work(self):
        try:
            return self.stack.redis("SET", "probe", "x") == "OK"
        except RedisError:
            return False

    def test_backup__no_room_for_a_save_and_bgsave_asked_for__failed_and_production_still_writes(self):
        with self.nothing_changes():
            result = self.stack.lifeboat("backup", env={"LIFEBOAT_REDIS_METHOD": "bgsave"})
            self.assert_failed(result, 1, "redis")
            self.assertRegex(result.err, "BGSAVE is not safe now: .* free under")
        self.assertTrue(self.writes_work(), "a save was tried although it could only fail, and now writes are refused")

    def test_backup__no_room_for_a_save_and_auto__taken_from_the_stream(self):
        result = self.stack.lifeboat("backup", "--json", expect=0)
        self.assertIn("stream", self.stack.lifeboat("show", "--json", expect=0).out, str(result))
        self.stack.lifeboat("verify", expect=0)
        self.assertTrue(self.writes_work())

    def test_backup__the_disk_fills_after_the_look__failed_with_the_highest_alarm(self):
        self.ballast.write_bytes(b"")
        with self.nothing_changes():
            with self.held("redis", "backup", env={"LIFEBOAT_REDIS_METHOD": "bgsave"}) as held:
                fill(self.stack.volumes / "redis_data", leave_kb=300)
            self.assert_failed(held.result, 1, "redis")
            self.assertRegex(held.result.err, "BGSAVE|save")
            if not self.writes_work():
                self.assertRegex(held.result.err, "(?i)refuses|writes|MISCONF")
        self.ballast.write_bytes(b"")
        self.stack.redis("SAVE")
        self.assertTrue(self.writes_work())


if __name__ == "__main__":
    unittest.main()
