#include "stack/redis/rdb_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int select_database(struct rdb *r, uint64_t number, struct err *err)
{
	if (number > INT32_MAX)
		return err_set(err, ERR_CORRUPT, "the RDB selects database %llu",
			       (unsigned long long)number);
	/* A number that comes again is the same database: servers that load it merge them too. */
	for (size_t i = 0; i < r->sum.databases; i++) {
		if (r->db[i].number == number) {
			r->current = &r->db[i];
			return 0;
		}
	}
	if (r->sum.databases == RDB_MAX_DATABASES)
		return err_set(err, ERR_LIMIT, "the RDB has more than %d databases",
			       RDB_MAX_DATABASES);
	r->current = &r->db[r->sum.databases++];
	*r->current = (struct rdb_database){.number = (uint32_t)number};
	return 0;
}

/* Has a field of this hash expired by the second time, as far as the file tells? */
static bool is_hollow(const struct rdb *r)
{
	uint64_t at = (uint64_t)r->opts.expired_at_ms[1];
	switch (r->opened_by) {
	case RDB_TYPE_HASH_RC:
	case RDB_TYPE_HASH_PACKED_RC:
		return at != 0;
	case RDB_TYPE_HASH_TTL:
	case RDB_TYPE_HASH_PACKED_TTL:
		return at != 0 && r->number[0] <= at;
	default:
		return false;
	}
}

static int count_key(struct rdb *r, struct err *err)
{
	if (r->current == NULL && select_database(r, 0, err) < 0)
		return -1;
	struct rdb_database *db = r->current;
	db->keys++;
	if (r->expires) {
		db->expiring++;
		for (int i = 0; i < 2; i++)
			if ((r->opts.expired_at_ms[i] != 0 &&
			     r->expires_at_ms <= r->opts.expired_at_ms[i]) ||
			    (i == 1 && is_hollow(r)))
				db->expired[i]++;
		r->expires = false;
	} else if (is_hollow(r)) {
		db->hollow++;
	}
	return 0;
}

static void take_aux(struct rdb *r)
{
	const char *name = r->kept[0].text, *value = r->kept[1].text;
	if (strcmp(name, "redis-ver") == 0 || strcmp(name, "valkey-ver") == 0)
		snprintf(r->sum.redis_version, sizeof r->sum.redis_version, "%s", value);
	else if (strcmp(name, "ctime") == 0)
		r->sum.created_s = strtoll(value, NULL, 10);
	else if (strcmp(name, "aof-base") == 0 || strcmp(name, "aof-preamble") == 0)
		r->sum.aof_base = r->sum.aof_base || strcmp(value, "1") == 0;
}

static int resize(struct rdb *r, struct err *err)
{
	if (r->current == NULL && select_database(r, 0, err) < 0)
		return -1;
	r->current->hinted = true;
	r->current->hint_keys += r->number[0];
	r->current->hint_expiring += r->number[1];
	return 0;
}

int rdb_record_done(struct rdb *r, struct err *err)
{
	r->step = NULL;
	switch (r->opened_by) {
	case RDB_OP_SELECTDB:
		return select_database(r, r->number[0], err);
	case RDB_OP_RESIZEDB:
		return resize(r, err);
	case RDB_OP_EXPIRE_S:
		r->expires = true;
		r->expires_at_ms = (int64_t)(int32_t)r->number[0] * 1000;
		return 0;
	case RDB_OP_EXPIRE_MS:
		/* Loaders take -1 for "none". */
		r->expires_at_ms = (int64_t)r->number[0];
		r->expires = r->expires_at_ms != -1;
		return 0;
	case RDB_OP_AUX:
		take_aux(r);
		return 0;
	case RDB_OP_MODULE_AUX:
		r->sum.has_modules = true;
		return 0;
	case RDB_OP_FUNCTION2:
		r->sum.functions++;
		return 0;
	case RDB_OP_EOF:
		r->phase = RDB_IN_CRC;
		return 0;
	case RDB_OP_IDLE:
	case RDB_OP_FREQ:
	case RDB_OP_SLOT_INFO:
	case RDB_OP_SLOT_IMPORT:
		return 0;
	case RDB_TYPE_MODULE_2:
		r->sum.has_modules = true;
		return count_key(r, err);
	default:
		return count_key(r, err);
	}
}
