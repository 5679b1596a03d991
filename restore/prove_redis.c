/*
 * The proof of Redis: living keys of every database against what the dump held, with and without
 * expiry. And the control: one key changed, and the same comparison must notice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "restore/sandbox.h"
#include "stack/redis/rdb.h"
#include "stack/redis/redis.h"

/* Walks all keys once: the server drops those that have expired and not been noticed yet, so that
 * DBSIZE afterwards counts living keys only. */
static int touch_all_keys(struct redisdoor *r, unsigned number, struct err *err)
{
	char db[16], cursor[32] = "0";
	snprintf(db, sizeof db, "%u", number);
	CLEANUP(freep) char *ok = NULL;
	if (redisdoor_command(r, &ok, err, 2, (const char *const[]){"SELECT", db}) < 0)
		return -1;
	do {
		CLEANUP(freep) char *reply = NULL;
		const char *const scan[] = {"SCAN", cursor, "COUNT", "1000"};
		if (redisdoor_command(r, &reply, err, 4, scan) < 0)
			return -1;
		size_t len = strcspn(reply, "\n");
		if (len == 0 || len >= sizeof cursor)
			return err_set(err, ERR_FAILED, "SCAN answered '%.40s'", reply);
		memcpy(cursor, reply, len);
		cursor[len] = '\0';
	} while (strcmp(cursor, "0") != 0);
	return 0;
}

/* keys=12,expires=3,… of one database in INFO keyspace; zeros when it is empty. */
static int keyspace(struct redisdoor *r, unsigned number, uint64_t *ret_keys,
		    uint64_t *ret_expiring, struct err *err)
{
	char field[16];
	CLEANUP(freep) char *text = NULL;
	unsigned long long keys = 0, expiring = 0;
	snprintf(field, sizeof field, "db%u", number);
	if (redisdoor_info(r, "keyspace", field, &text, err) < 0)
		return -1;
	if (text[0] != '\0' && sscanf(text, "keys=%llu,expires=%llu", &keys, &expiring) != 2)
		return err_set(err, ERR_FAILED, "INFO keyspace says '%s'", text);
	*ret_keys = keys;
	*ret_expiring = expiring;
	return 0;
}

/* Keys that had expired by each of two times, per database: the archive's dump, read once more. */
static int read_expiries(struct sandbox *sb, int64_t from_ms, int64_t to_ms, struct rdb **ret,
			 struct err *err)
{
	CLEANUP(rdb_freep) struct rdb *rdb = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	CLEANUP(source_freep) struct source *from = NULL;
	struct rdb_opts opts = {.expired_at_ms = {from_ms, to_ms}};
	if (rdb_new(&opts, &rdb, err) < 0 || rdb_sink(rdb, &to, err) < 0 ||
	    reader_stream(sb->reader, "redis/dump.rdb", &from, err) < 0 ||
	    flow_copy(from, to, NULL, err) < 0 || sink_close(to, err) < 0)
		return -1;
	*ret = rdb;
	rdb = NULL;
	return 0;
}

/* What the server holds in one database. */
struct held {
	uint64_t keys, expiring;
};

static int compare_database(const struct rdb_database *db, const struct held *found,
			    struct report *rep, struct err *err)
{
	char where[64];
	snprintf(where, sizeof where, "redis database %u", db->number);
	uint64_t lasting = db->keys - db->expiring, there = found->keys - found->expiring;
	/* A hash whose fields expire is gone with the last of them. */
	uint64_t left = there < lasting - db->hollow ? lasting - db->hollow
			: there > lasting            ? lasting
						     : there;
	if (left < lasting &&
	    report_note(rep, err,
			"%s: %llu hashes are gone, whose fields have expired since the backup",
			where, (unsigned long long)(lasting - left)) < 0)
		return -1;
	if (report_compare_u64(rep, "redis", where, "keys without expiry", left, there, err) < 0)
		return -1;
	/* Expired before the load: surely gone. Expired by the end of the count: perhaps. */
	uint64_t most = db->expiring - db->expired[0], least = db->expiring - db->expired[1];
	uint64_t expected = found->expiring < least  ? least
			    : found->expiring > most ? most
						     : found->expiring;
	if (db->expired[1] > 0 &&
	    report_note(rep, err, "%s: %llu keys have expired since the backup", where,
			(unsigned long long)(db->expiring - expected)) < 0)
		return -1;
	return report_compare_u64(rep, "redis", where, "keys with expiry", expected,
				  found->expiring, err);
}

/* How many databases the server has. */
static int database_count(struct redisdoor *r, unsigned *ret, struct err *err)
{
	CLEANUP(freep) char *configured = NULL;
	if (redisdoor_config(r, "databases", &configured, err) < 0)
		return -1;
	unsigned long count = configured[0] != '\0' ? strtoul(configured, NULL, 10) : 16;
	*ret = count < RDB_MAX_DATABASES ? (unsigned)count : RDB_MAX_DATABASES;
	return 0;
}

/* The dump was counted when it was taken; what the manifest says must still be so. */
static int compare_manifest(const json_t *section, const struct rdb_summary *sum,
			    struct report *rep, struct err *err)
{
	const json_t *listed = json_object_get(json_object_get(section, "rdb"), "databases");
	if (report_compare_u64(rep, "redis", "redis", "databases in the manifest", sum->databases,
			       json_array_size(listed), err) < 0)
		return -1;
	for (size_t i = 0; i < sum->databases && i < json_array_size(listed); i++) {
		const json_t *db = json_array_get(listed, i);
		char where[64];
		snprintf(where, sizeof where, "redis database %u", sum->db[i].number);
		if (report_compare_u64(rep, "redis", where, "keys in the manifest", sum->db[i].keys,
				       json_u64_or(db, "keys", 0), err) < 0 ||
		    report_compare_u64(rep, "redis", where, "expiring keys in the manifest",
				       sum->db[i].expiring, json_u64_or(db, "expiring", 0),
				       err) < 0)
			return -1;
	}
	return 0;
}

/* *ret_hollow: how many keys may be missing because fields of theirs have expired. */
static int prove_counts(struct sandbox *sb, const json_t *section, struct redisdoor *r,
			struct report *rep, uint64_t *ret_hollow, struct err *err)
{
	unsigned count;
	if (database_count(r, &count, err) < 0)
		return -1;
	CLEANUP(freep) struct held *held = mem_zalloc(count * sizeof *held, "key counts", err);
	CLEANUP(rdb_freep) struct rdb *rdb = NULL;
	if (held == NULL)
		return -1;
	for (unsigned n = 0; n < count; n++)
		if (touch_all_keys(r, n, err) < 0 ||
		    keyspace(r, n, &held[n].keys, &held[n].expiring, err) < 0)
			return -1;
	/* A second more: Redis' clock for expiry and ours are read at different moments. */
	if (read_expiries(sb, sb->redis_loaded_ms, clock_wall_ms() + 1000, &rdb, err) < 0)
		return -1;
	const struct rdb_summary *sum = rdb_summary(rdb);
	if (!sum->counted)
		return report_unverified(rep, "redis", "redis",
					 "the dump has values of a type that is not known here, so "
					 "its keys can't be counted",
					 err);
	if (compare_manifest(section, sum, rep, err) < 0)
		return -1;
	*ret_hollow = 0;
	for (size_t i = 0; i < sum->databases; i++) {
		static const struct held nothing;
		unsigned n = sum->db[i].number;
		*ret_hollow += sum->db[i].hollow;
		if (compare_database(&sum->db[i], n < count ? &held[n] : &nothing, rep, err) < 0)
			return -1;
		if (n < count)
			held[n] = nothing; /* accounted for */
	}
	for (unsigned n = 0; n < count; n++) {
		char where[64];
		snprintf(where, sizeof where, "redis database %u", n);
		if (held[n].keys > 0 &&
		    report_compare_u64(rep, "redis", where, "keys", 0, held[n].keys, err) < 0)
			return -1;
	}
	return 0;
}

/* The application's own user and password must work on what was restored. Where the backup has no
 * configuration files (they may all stand on production's command line), that can't be asked. */
static int prove_login(struct sandbox *sb, const json_t *section, struct report *rep,
		       struct err *err)
{
	struct err why = ERR_INIT;
	if (sb->job->redis_url == NULL)
		return 0;
	if (json_array_size(json_object_get(section, "config_files")) == 0)
		return report_note(rep, err,
				   "redis: the backup has no configuration files, so the login of "
				   "the url was not tried");
	int rc = load_redis_login(sb, &why);
	if (rc < 0 && why.code != ERR_DENIED) {
		*err = why;
		return -1;
	}
	return report_compare(rep, "redis", "redis", "login of the url", "accepted",
			      rc == 0 ? "accepted" : why.msg, err);
}

int prove_redis(struct sandbox *sb, const json_t *section, struct report *rep, struct err *err)
{
	CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
	CLEANUP(freep) char *pong = NULL;
	uint64_t hollow = 0;
	if (load_redis_connect(sb, &r, err) < 0 ||
	    redisdoor_command(r, &pong, err, 1, (const char *const[]){"PING"}) < 0 ||
	    report_compare(rep, "redis", "redis", "PING", "PONG", pong, err) < 0 ||
	    prove_login(sb, section, rep, err) < 0)
		return -1;
	return prove_counts(sb, section, r, rep, &hollow, err);
}

/* ---- the negative control ---- */

/* A key that expires may go by itself, so taking it away could pass for that: it becomes one that
 * stays. Any other is removed. By a script, since a key may hold any bytes. */
static const char change_key[] =
    "local key = redis.call('RANDOMKEY') "
    "if not key then return 0 end "
    "if redis.call('PERSIST', key) == 0 then redis.call('DEL', key) end "
    "return 1";

/* Where `hollow` keys may be gone by themselves, one more makes no difference: then all go. */
static int control_counts(struct sandbox *sb, const json_t *section, struct redisdoor *r,
			  struct report *rep, struct err *err)
{
	CLEANUP(freep) char *ok = NULL;
	uint64_t hollow = 0;
	if (prove_counts(sb, section, r, rep, &hollow, err) < 0)
		return -1;
	if (hollow == 0 || report_outcome(rep) == OUTCOME_FAILED || fault_skips("negative-control"))
		return 0;
	if (redisdoor_command(r, &ok, err, 1, (const char *const[]){"FLUSHALL"}) < 0)
		return -1;
	return prove_counts(sb, section, r, rep, &hollow, err);
}

/* Changes one key; the proof must notice. */
int control_redis(struct sandbox *sb, const json_t *section, struct report *rep, bool *ret_done,
		  struct err *err)
{
	CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
	json_t *databases = json_object_get(json_object_get(section, "rdb"), "databases"), *db;
	size_t i;
	*ret_done = false;
	if (load_redis_connect(sb, &r, err) < 0)
		return -1;
	json_array_foreach(databases, i, db)
	{
		char number[16];
		CLEANUP(freep) char *ok = NULL, *changed = NULL;
		snprintf(number, sizeof number, "%u", (unsigned)json_u64_or(db, "number", 0));
		const char *script = fault_skips("negative-control") ? "return 1" : change_key;
		if (redisdoor_command(r, &ok, err, 2, (const char *const[]){"SELECT", number}) <
			0 ||
		    redisdoor_command(r, &changed, err, 3,
				      (const char *const[]){"EVAL", script, "0"}) < 0)
			return -1;
		if (strcmp(changed, "1") != 0)
			continue;
		*ret_done = true;
		return control_counts(sb, section, r, rep, err);
	}
	return 0;
}
