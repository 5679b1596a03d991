"""A sandbox leaves production alone: its sockets, its replicas, its master, its files."""

import os
import socket
import unittest

from stack import Stack, wait_for


class RedisSandbox(unittest.TestCase):
    def test_unix_socket_in_redis_conf__drill__production_keeps_its_socket(self):
        with Stack(components=("redis",)) as stack:
            place = stack.run_dir / "redis.sock"
            stack.stop("redis")
            stack.redis_options = ["unixsocket %s" % place]
            stack.start_redis()
            before = os.stat(place).st_ino
            stack.lifeboat("backup", expect=0)
            self.assertEqual(stack.lifeboat("drill", "--json", expect=0).json["outcome"], "passed")
            self.assertEqual(os.stat(place).st_ino, before)
            with socket.socket(socket.AF_UNIX) as door:
                door.connect(str(place))
                door.sendall(b"AUTH %s\r\nPING\r\n" % stack.REDIS_PASSWORD.encode())
                answer = b""
                while b"PONG" not in answer:
                    more = door.recv(100)
                    self.assertTrue(more, answer)
                    answer += more

    def test_replica__drill__sandbox_never_asks_the_master(self):
        with Stack(components=("redis",)) as master, Stack(components=("redis",), populate=False) as stack:
            stack.stop("redis")
            stack.redis_options = ["replicaof 127.0.0.1 %d" % master.ports["redis"],
                                   "masterauth %s" % master.REDIS_PASSWORD]
            stack.start_redis()
            wait_for("the replica", lambda: b"master_link_status:up" in stack.redis("INFO", "replication"))
            stack.lifeboat("backup", expect=0)
            syncs = master.redis("INFO", "stats")
            self.assertEqual(stack.lifeboat("drill", "--json", expect=0).json["outcome"], "passed")

            def count(info):
                return [line for line in info.splitlines() if line.startswith((b"sync_full", b"sync_partial"))]
            self.assertTrue(count(syncs))
            self.assertEqual(count(master.redis("INFO", "stats")), count(syncs))

    def test_folder_that_the_sandbox_may_not_enter__drill__passes(self):
        with Stack(components=("redis",)) as stack:
            stack.lifeboat("backup", expect=0)
            stack.stop("redis")
            closed = stack.volumes / "redis_data"
            os.chown(closed, 0, 0)
            os.chmod(closed, 0o700)
            self.assertEqual(stack.lifeboat("drill", "--json", expect=0).json["outcome"], "passed")


class PostgresSandbox(unittest.TestCase):
    def test_drill_without_pgbouncer__postgres_listens_on_no_address(self):
        with Stack(components=("postgres",)) as stack:
            stack.write_conf(stack.conf() + "\n[check closed]\ndatabase = hdms_db\n"
                             "sql = SELECT current_setting('listen_addresses') = ''\nexpect = t\n")
            stack.lifeboat("backup", expect=0)
            self.assertEqual(stack.lifeboat("drill", "--json", expect=0).json["outcome"], "passed")


if __name__ == "__main__":
    unittest.main()
