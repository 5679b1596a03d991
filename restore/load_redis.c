/*
 * Redis into a fresh volume: the dump file, and where production runs with appendonly, the same
 * bytes once more as the base of the append-only files. Without that the server ignores the dump,
 * starts empty and, on its next stop, writes the empty set over it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "base/secret.h"
#include "restore/sandbox.h"
#include "stack/rdb.h"
#include "stack/redis.h"

static const json_t *config_of(const json_t *section)
{
	return json_object_get(json_object_get(section, "server"), "config");
}

static bool has_aof(const json_t *section)
{
	return strcmp(json_str_or(config_of(section), "appendonly", "no"), "yes") == 0;
}

static const char *volume_of(const json_t *section)
{
	return json_str_or(section, "volume", "redis_data");
}

/* "Redis server v=7.0.15 sha=…" or "Valkey server v=8.1.1 …" */
static int host_version(struct sandbox *sb, char version[32], bool *ret_valkey, struct err *err)
{
	struct buf out;
	buf_init(&out, 4096);
	const char *argv[] = {"--version", NULL};
	struct tool t = {
	    .component = "redis", .name = "redis-server", .argv = argv, .idle_ms = 20000};
	int rc = engine_tool_run(sb->job->engine, &t, &out, deadline_in(20000), err);
	if (rc == 0) {
		const char *v = strstr(buf_text(&out), "v=");
		size_t len = v != NULL ? strcspn(v + 2, " \n") : 0;
		*ret_valkey = strstr(buf_text(&out), "alkey") != NULL;
		if (len == 0 || len >= 32) {
			rc = err_set(err, ERR_FAILED, "redis-server does not say its version");
		} else {
			memcpy(version, v + 2, len);
			version[len] = '\0';
		}
	}
	buf_done(&out);
	return rc;
}

static int plan(struct sandbox *sb, const json_t *section, json_t *plan, struct err *err)
{
	char version[32];
	bool valkey = false;
	struct err why = ERR_INIT;
	const char *magic = json_str_or(json_object_get(section, "rdb"), "magic", "");
	if (host_version(sb, version, &valkey, &why) < 0) {
		if (plan_obstacle(plan, err, "%s%s%s", why.msg, why.hint[0] ? ": " : "", why.hint) <
		    0)
			return -1;
	} else {
		const char *refusal = rdb_load_refusal(magic, version, valkey);
		if (refusal != NULL &&
		    plan_obstacle(plan, err, "redis %s: %s", version, refusal) < 0)
			return -1;
	}
	sb->expected_bytes += json_u64_or(json_object_get(section, "rdb"), "bytes", 0);
	return plan_volume(sb, plan, "redis", volume_of(section), err);
}

static int put_dump(struct sandbox *sb, struct tree_writer *to, const char *name, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	if (sandbox_stream(sb, "redis/dump.rdb", &from, err) < 0 ||
	    tree_writer_stream(to, name, 0600, from, err) < 0)
		return err_wrap(err, "'%s'", name);
	return 0;
}

/* The append-only files of a server that has just rewritten them, and nothing since. */
static int put_aof(struct sandbox *sb, const json_t *section, struct tree_writer *to,
		   struct err *err)
{
	const json_t *config = config_of(section);
	const char *file = json_str_or(config, "appendfilename", "appendonly.aof");
	const char *dir = json_str_or(config, "appenddirname", "appendonlydir");
	CLEANUP(freep) char *base = NULL, *manifest = NULL, *line = NULL;
	/* Before Redis 7 there was one file, which may begin with an RDB. */
	if (json_u64_or(json_object_get(section, "server"), "major", 7) < 7)
		return put_dump(sb, to, file, err);
	if (str_printf(&base, err, "%s/%s.1.base.rdb", dir, file) < 0 ||
	    str_printf(&manifest, err, "%s/%s.manifest", dir, file) < 0 ||
	    str_printf(&line, err, "file %s.1.base.rdb seq 1 type b\n", file) < 0 ||
	    put_dump(sb, to, base, err) < 0)
		return -1;
	return tree_writer_file(to, manifest, 0600, line, strlen(line), err);
}

static int load(struct sandbox *sb, const json_t *section, struct err *err)
{
	CLEANUP(freep) char *volume = NULL, *outside = NULL;
	CLEANUP(tree_writer_freep) struct tree_writer *to = NULL;
	sb->loading = "redis";
	if (sandbox_volume(sb, "redis", volume_of(section), &volume, err) < 0 ||
	    engine_volume_write(sb->job->engine, volume, &to, err) < 0 ||
	    put_dump(sb, to, json_str_or(config_of(section), "dbfilename", "dump.rdb"), err) < 0)
		return -1;
	if (has_aof(section) && put_aof(sb, section, to, err) < 0)
		return -1;
	if (sandbox_unpack(sb, "redis/config/", UNPACK_SERVERS, to, err) < 0 ||
	    tree_writer_close(to, err) < 0)
		return -1;
	return sandbox_outside(sb, "redis", "redis/outside/", volume_of(section), &outside, err);
}

/* Directives for the sandbox: production's own file first where the backup has it, then what makes
 * the difference for loading, then what keeps it from writing over what was restored. */
static int sandbox_directives(struct sandbox *sb, const json_t *section, struct strlist *ret,
			      struct err *err)
{
	static const char *const kept[] = {"appendonly",
					   "appendfilename",
					   "appenddirname",
					   "dbfilename",
					   "databases",
					   "aof-use-rdb-preamble",
					   "hash-max-listpack-entries"};
	const json_t *config = config_of(section);
	size_t i;
	json_t *file;
	json_array_foreach(json_object_get(section, "config_files"), i, file)
	{
		const char *inside = json_str_or(file, "inside", NULL);
		const char *path = json_str_or(file, "path", "");
		CLEANUP(freep) char *name = NULL, *volume = NULL;
		if (str_printf(&name, err, "%s%s", volume_of(section), inside ? "" : "-outside") <
			0 ||
		    sandbox_volume_name(sb, name, &volume, err) < 0)
			return -1;
		const char *where = engine_volume_where(sb->job->engine, volume);
		bool is_acl = strcmp(json_str_or(file, "role", ""), "acl") == 0;
		if (strlist_pushf(ret, err, "%s %s/%s", is_acl ? "aclfile" : "include", where,
				  inside != NULL ? inside : path + 1) < 0)
			return -1;
	}
	for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
		const char *value = json_str_or(config, kept[k], "");
		if (value[0] != '\0' && strlist_pushf(ret, err, "%s %s", kept[k], value) < 0)
			return -1;
	}
	return strlist_push(ret, "save \"\"", err);
}

/* redis://user:password@sandbox: the application's own credentials. */
static int sandbox_url(struct sandbox *sb, char **ret, struct err *err)
{
	const char *url = sb->job->redis_url;
	const char *at = NULL, *start = NULL;
	if (url != NULL && (start = strstr(url, "://")) != NULL) {
		start += 3;
		at = memrchr(start, '@', strcspn(start, "/?#"));
	}
	return str_printf(ret, err, "redis://%.*s%s:%u/0", at != NULL ? (int)(at + 1 - start) : 0,
			  at != NULL ? start : "", server_host(sb->redis), server_port(sb->redis));
}

static int connect_ready(struct sandbox *sb, struct redisdoor **ret, struct err *err)
{
	char *url = NULL;
	if (sandbox_url(sb, &url, err) < 0)
		return -1;
	struct redis_opts opts = {.url = url, .connect_timeout_ms = 20000};
	int rc = redisdoor_wait_ready(&opts, sandbox_alive, sb->redis, sandbox_ready_deadline(sb),
				      ret, err);
	secret_wipe(url);
	return rc;
}

static int boot(struct sandbox *sb, const json_t *section, struct err *err)
{
	CLEANUP(freep) char *volume = NULL;
	CLEANUP(strlist_done) struct strlist directives = {0};
	unsigned major = (unsigned)json_u64_or(json_object_get(section, "server"), "major", 0);
	if (sandbox_volume_name(sb, volume_of(section), &volume, err) < 0 ||
	    sandbox_directives(sb, section, &directives, err) < 0 ||
	    engine_server_new(sb->job->engine, "redis", major, &sb->redis, err) < 0)
		return -1;
	struct server_spec spec = {.volume = volume,
				   .settings = (const char *const *)directives.items,
				   .leave_running = sb->job->leave_servers};
	/* Twice: what was restored must also survive a stop and a start. */
	for (int start = 0; start < 2; start++) {
		CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
		if (start > 0 && server_stop(sb->redis, 60000, err) < 0)
			return -1;
		sb->redis_loaded_ms = start > 0 ? sb->redis_loaded_ms : clock_wall_ms();
		if (server_start(sb->redis, &spec, err) < 0 || connect_ready(sb, &r, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- proof ---- */

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
	if (report_compare_u64(rep, "redis", where, "keys without expiry", db->keys - db->expiring,
			       found->keys - found->expiring, err) < 0)
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

static int prove_counts(struct sandbox *sb, const json_t *section, struct redisdoor *r,
			struct report *rep, struct err *err)
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
	for (size_t i = 0; i < sum->databases; i++) {
		static const struct held nothing;
		unsigned n = sum->db[i].number;
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

static int prove(struct sandbox *sb, const json_t *section, struct report *rep, struct err *err)
{
	CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
	CLEANUP(freep) char *pong = NULL;
	if (connect_ready(sb, &r, err) < 0 ||
	    redisdoor_command(r, &pong, err, 1, (const char *const[]){"PING"}) < 0 ||
	    report_compare(rep, "redis", "redis", "PING", "PONG", pong, err) < 0)
		return -1;
	return prove_counts(sb, section, r, rep, err);
}

/* ---- the negative control ---- */

/* A key of the selected database, one without expiry if luck has it within a thousand draws: such a
 * key can't have gone by itself. NULL when the database is empty. A new string. */
static int pick_key(struct redisdoor *r, char **ret, struct err *err)
{
	CLEANUP(freep) char *key = NULL;
	for (int tries = 0; tries < 1000; tries++) {
		CLEANUP(freep) char *ttl = NULL, *next = NULL;
		if (redisdoor_command(r, &next, err, 1, (const char *const[]){"RANDOMKEY"}) < 0)
			return -1;
		free(key);
		key = next;
		next = NULL;
		if (key[0] == '\0')
			break;
		if (redisdoor_command(r, &ttl, err, 2, (const char *const[]){"TTL", key}) < 0)
			return -1;
		if (strcmp(ttl, "-1") == 0)
			break;
	}
	*ret = NULL;
	if (key == NULL || key[0] == '\0')
		return 0;
	*ret = key;
	key = NULL;
	return 0;
}

/* Removes one key; the proof must notice. */
static int control(struct sandbox *sb, const json_t *section, struct report *rep, bool *ret_done,
		   struct err *err)
{
	CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
	json_t *databases = json_object_get(json_object_get(section, "rdb"), "databases"), *db;
	size_t i;
	*ret_done = false;
	if (connect_ready(sb, &r, err) < 0)
		return -1;
	json_array_foreach(databases, i, db)
	{
		char number[16];
		CLEANUP(freep) char *ok = NULL, *key = NULL, *gone = NULL;
		snprintf(number, sizeof number, "%u", (unsigned)json_u64_or(db, "number", 0));
		if (redisdoor_command(r, &ok, err, 2, (const char *const[]){"SELECT", number}) <
			0 ||
		    pick_key(r, &key, err) < 0)
			return -1;
		if (key == NULL)
			continue;
		*ret_done = true;
		if (!fault_skips("negative-control") &&
		    redisdoor_command(r, &gone, err, 2, (const char *const[]){"DEL", key}) < 0)
			return -1;
		return prove_counts(sb, section, r, rep, err);
	}
	return 0;
}

const struct part part_redis = {
    .name = "redis", .plan = plan, .load = load, .boot = boot, .prove = prove, .control = control};
