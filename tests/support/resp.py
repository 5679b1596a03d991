"""A small Redis client: bytes in, bytes out. Errors come back as RedisError values or are raised."""

import socket


class RedisError(Exception):
    pass


class Redis:
    def __init__(self, port, password=None, host="127.0.0.1", timeout=30):
        self.socket = socket.create_connection((host, port), timeout)
        self.file = self.socket.makefile("rb")
        if password:
            try:
                self("AUTH", password)
            except BaseException:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def __call__(self, *args):
        out = [b"*%d\r\n" % len(args)]
        for arg in args:
            data = arg if isinstance(arg, bytes) else str(arg).encode()
            out.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(out))
        return self._reply()

    def _reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise RedisError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
        raise RedisError("not understood: %r" % line)


def contents(port, password):
    """{(database, key): (type, expiry in ms since 1970 or -1, value)} and the functions, of a whole server.

    The value is what the type's own commands say, so it doesn't depend on how the server packs it."""
    found = {}
    with Redis(port, password) as redis:
        for database in range(16):
            redis("SELECT", database)
            for key in redis("KEYS", "*"):
                kind = redis("TYPE", key)
                found[(database, key)] = (kind, redis("PEXPIRETIME", key), _value(redis, kind, key))
        found["functions"] = redis("FUNCTION", "LIST", "WITHCODE")
    return found


def _value(redis, kind, key):
    if kind == "string":
        return redis("GET", key)
    if kind == "list":
        return redis("LRANGE", key, 0, -1)
    if kind == "set":
        return sorted(redis("SMEMBERS", key))
    if kind == "zset":
        return redis("ZRANGE", key, 0, -1, "WITHSCORES")
    if kind == "hash":
        flat = redis("HGETALL", key)
        return sorted(zip(flat[::2], flat[1::2]))
    if kind == "stream":
        info = redis("XINFO", "STREAM", key, "FULL", "COUNT", 0)
        fields = dict(zip(info[::2], info[1::2]))
        return [_steady(fields[name]) for name in sorted(fields) if not name.startswith(b"radix")]
    raise RedisError("type %s is not known here" % kind)


def _steady(value):
    """Without what a clock changes: when a consumer was last seen."""
    if isinstance(value, list):
        kept, skip = [], False
        for item in value:
            if skip:
                skip = False
            elif item in (b"seen-time", b"active-time"):
                skip = True
            else:
                kept.append(_steady(item))
        return kept
    return value
