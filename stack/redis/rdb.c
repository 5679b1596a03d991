/*
 * The sink: first line, records, checksum, and nothing behind it.
 *
 * Each block is first read by rdb_run, then hashed up to where that stopped, so the checksum covers
 * exactly what it must: everything up to the end mark.
 */
#include "stack/redis/rdb.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "stack/redis/rdb_state.h"

enum {
	MAGIC_BYTES = 9,
	CRC_BYTES = 8,
	OLDEST_VERSION = 5, /* the first with a checksum */
};

static int read_version(struct rdb *r, struct err *err)
{
	const char *magic = r->sum.magic;
	size_t digits = strncmp(magic, "REDIS", 5) == 0    ? 5
			: strncmp(magic, "VALKEY", 6) == 0 ? 6
							   : 0;
	if (digits == 0)
		return err_set(err, ERR_CORRUPT,
			       "this is not an RDB file: it begins with neither REDIS nor VALKEY");
	unsigned version = 0;
	for (size_t i = digits; i < MAGIC_BYTES; i++) {
		if (magic[i] < '0' || magic[i] > '9')
			return err_set(err, ERR_CORRUPT, "the RDB's version is not a number");
		version = version * 10 + (unsigned)(magic[i] - '0');
	}
	if (version < OLDEST_VERSION)
		return err_set(
		    err, ERR_CORRUPT,
		    "RDB version %u has no checksum: only 5 (Redis 2.6) and newer are read",
		    version);
	r->sum.version = version;
	r->valkey = digits == 6;
	r->phase = RDB_IN_RECORDS;
	return 0;
}

/* Fills `held` up to `want` bytes. */
static const uint8_t *hold(struct rdb *r, const uint8_t *p, const uint8_t *end, size_t want)
{
	size_t n = want - r->held_len;
	if ((size_t)(end - p) < n)
		n = (size_t)(end - p);
	memcpy(r->held + r->held_len, p, n);
	r->held_len += n;
	return p + n;
}

static void hash(struct rdb *r, const uint8_t *p, size_t len)
{
	if (len == 0)
		return;
	r->sum.crc64 = rdb_crc64(r->sum.crc64, p, len);
	r->last_hashed = p[len - 1];
}

/* The last eight bytes so far may be the checksum: they are hashed when eight more have come. */
static void hash_delayed(struct rdb *r, const uint8_t *p, size_t len)
{
	if (len >= CRC_BYTES) {
		hash(r, r->held, r->held_len);
		hash(r, p, len - CRC_BYTES);
		memcpy(r->held, p + len - CRC_BYTES, CRC_BYTES);
		r->held_len = CRC_BYTES;
		return;
	}
	size_t over = r->held_len + len > CRC_BYTES ? r->held_len + len - CRC_BYTES : 0;
	hash(r, r->held, over);
	memmove(r->held, r->held + over, r->held_len - over);
	r->held_len -= over;
	memcpy(r->held + r->held_len, p, len);
	r->held_len += len;
}

static int rdb_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct rdb *r = self;
	const uint8_t *p = data, *end = data + len;
	while (p < end) {
		const uint8_t *stop = end;
		switch (r->phase) {
		case RDB_IN_MAGIC:
			stop = hold(r, p, end, MAGIC_BYTES);
			hash(r, p, (size_t)(stop - p));
			if (r->held_len == MAGIC_BYTES) {
				memcpy(r->sum.magic, r->held, MAGIC_BYTES);
				r->held_len = 0;
				if (read_version(r, err) < 0)
					return -1;
			}
			break;
		case RDB_IN_RECORDS:
			if (rdb_run(r, p, end, &stop, err) < 0)
				return -1;
			hash(r, p, (size_t)(stop - p));
			break;
		case RDB_IN_CRC:
			stop = hold(r, p, end, CRC_BYTES);
			if (r->held_len == CRC_BYTES)
				r->phase = RDB_AT_END;
			break;
		case RDB_AT_END:
			return err_set(err, ERR_CORRUPT,
				       "bytes follow the RDB's checksum at offset %llu",
				       (unsigned long long)r->sum.bytes);
		case RDB_BLIND:
			hash_delayed(r, p, (size_t)(end - p));
			break;
		}
		r->sum.bytes += (uint64_t)(stop - p);
		p = stop;
	}
	return 0;
}

static int cut(const struct rdb *r, const char *where, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "the RDB ended after %llu bytes, %s",
		       (unsigned long long)r->sum.bytes, where);
}

static int check_crc(struct rdb *r, struct err *err)
{
	uint64_t stored;
	memcpy(&stored, r->held, sizeof stored);
	stored = le64toh(stored);
	if (stored != 0 && stored != r->sum.crc64) {
		err_set(err, ERR_CORRUPT,
			"the RDB's checksum is wrong: it says %016llx, its bytes give %016llx",
			(unsigned long long)stored, (unsigned long long)r->sum.crc64);
		if (!r->sum.counted)
			err_wrap(err, "byte %02x at offset %llu opens nothing that is known",
				 r->sum.unknown_type, (unsigned long long)r->sum.unknown_at);
		return -1;
	}
	r->sum.crc_checked = stored != 0;
	if (r->sum.crc_checked)
		return 0;
	if (r->opts.need_checksum)
		return err_set(err, ERR_CORRUPT, "the RDB has no checksum, and it must have one");
	if (!r->sum.counted) {
		err_set(err, ERR_UNVERIFIED,
			"the RDB has no checksum, and byte %02x at offset %llu opens nothing that "
			"is known: "
			"nothing can vouch for it",
			r->sum.unknown_type, (unsigned long long)r->sum.unknown_at);
		return err_hint(err, "Set 'rdbchecksum yes' in the server's configuration.");
	}
	return 0;
}

static int rdb_close(void *self, struct err *err)
{
	struct rdb *r = self;
	if (r->sum.bytes == 0)
		return err_set(err, ERR_CORRUPT, "the RDB is empty");
	switch (r->phase) {
	case RDB_IN_MAGIC:
		return cut(r, "inside its first line", err);
	case RDB_IN_RECORDS:
		return cut(r, r->step == NULL ? "before its end mark" : "in the middle of a record",
			   err);
	case RDB_IN_CRC:
		return cut(r, "inside its checksum", err);
	case RDB_BLIND:
		if (r->held_len < CRC_BYTES || r->last_hashed != RDB_OP_EOF)
			return cut(r, "without its end mark and checksum", err);
		break;
	case RDB_AT_END:
		break;
	}
	if (check_crc(r, err) < 0)
		return -1;
	r->sum.complete = true;
	return 0;
}

static const struct sink_ops rdb_ops = {.write = rdb_write, .close = rdb_close};

int rdb_new(const struct rdb_opts *opts, struct rdb **ret, struct err *err)
{
	struct rdb *r = mem_zalloc(sizeof *r, "an RDB reader", err);
	if (r == NULL)
		return -1;
	if (opts != NULL)
		r->opts = *opts;
	r->sum.counted = true;
	r->sum.db = r->db;
	*ret = r;
	return 0;
}

void rdb_free(struct rdb *r)
{
	free(r);
}

int rdb_sink(struct rdb *r, struct sink **ret, struct err *err)
{
	return sink_new(&rdb_ops, r, ret, err);
}

const struct rdb_summary *rdb_summary(const struct rdb *r)
{
	return &r->sum;
}
