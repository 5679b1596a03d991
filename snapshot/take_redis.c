/*
 * Redis: the RDB of a save that is proved to be ours, read from the file or from the replication
 * stream; structure, checksum and counts are checked as it passes.
 */
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "snapshot/snapshot.h"
#include "stack/redis/rdb.h"
#include "stack/redis/redis_conf.h"

static bool is_part(const struct backup_job *job)
{
	return job->redis != NULL;
}

/* Free space where the server saves. *ret_reachable false: its folder can't be seen from here. */
static int save_space(struct snapshot *s, struct redisdoor *r, uint64_t *ret, bool *ret_reachable,
		      struct err *err)
{
	CLEANUP(freep) char *dir = NULL;
	struct err why = ERR_INIT;
	*ret = UINT64_MAX;
	*ret_reachable = false;
	if (redisdoor_config(r, "dir", &dir, err) < 0)
		return -1;
	if (dir[0] != '\0' &&
	    engine_server_free_bytes(s->job->engine, "redis", dir, ret, &why) == 0)
		*ret_reachable = true;
	return 0;
}

/* Why the snapshot can't be saved to a file and read from there: NULL when it can. */
static int bgsave_obstacle(struct redisdoor *r, uint64_t space, bool reachable, const char **ret,
			   struct err *err)
{
	if (reachable)
		return redisdoor_bgsave_risk(r, space, ret, err);
	*ret = "the server's data folder can't be read from here";
	return 0;
}

static int choose_stream(struct redisdoor *r, uint64_t space, const char *why, json_t *section,
			 struct err *err)
{
	const char *risk = NULL;
	if (json_put(section, "method", json_string("stream"), err) < 0 ||
	    json_put(section, "method_reason", json_text_value(why), err) < 0 ||
	    redisdoor_stream_risk(r, space, &risk, err) < 0)
		return -1;
	if (risk == NULL)
		return 0;
	return err_set(err, ERR_FAILED, "a snapshot is not safe now: %s", risk);
}

static int choose_method(struct snapshot *s, struct redisdoor *r, json_t *section, struct err *err)
{
	const char *asked = s->job->redis_method, *obstacle = NULL;
	uint64_t space;
	bool reachable;
	if (save_space(s, r, &space, &reachable, err) < 0)
		return -1;
	if (strcmp(asked, "stream") == 0)
		return choose_stream(r, space, "asked for", section, err);
	if (bgsave_obstacle(r, space, reachable, &obstacle, err) < 0)
		return -1;
	if (obstacle == NULL)
		return json_put(section, "method", json_string("bgsave"), err);
	if (strcmp(asked, "auto") == 0)
		return choose_stream(r, space, obstacle, section, err);
	err_set(err, ERR_FAILED, "BGSAVE is not safe now: %s", obstacle);
	return err_hint(err, "Mend that, or set [redis] method = auto or stream.");
}

static int plan(struct snapshot *s, json_t *section, struct err *err)
{
	CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
	json_t *server = NULL;
	if (redisdoor_connect(s->job->redis, &r, err) < 0 ||
	    redisdoor_describe(r, &server, err) < 0 ||
	    json_put(section, "server", server, err) < 0 ||
	    snapshot_runtime(s, section, "redis",
			     json_str_or(json_object_get(server, "config"), "dir", NULL),
			     s->job->redis_volume, err) < 0)
		return -1;
	size_t i;
	json_t *item;
	if (redisdoor_warning(r) != NULL &&
	    snapshot_warn(s, err, "redis: %s", redisdoor_warning(r)) < 0)
		return -1;
	json_array_foreach(json_object_get(server, "missing"), i, item)
	{
		if (snapshot_warn(s, err, "redis: not taken: %s: %s",
				  json_str_or(item, "what", "?"),
				  json_str_or(item, "why", "?")) < 0)
			return -1;
	}
	return choose_method(s, r, section, err);
}

/* Opens the bytes of a fresh snapshot. *ret_began_s: what AUX ctime must not be older than; 0 when
 * the stream itself is the proof. */
static int open_snapshot(struct snapshot *s, const json_t *section, struct redisdoor *r,
			 struct source **ret, int64_t *ret_began_s, uint64_t *ret_dbsize,
			 struct err *err)
{
	if (strcmp(json_str_or(section, "method", ""), "stream") == 0) {
		*ret_began_s = 0;
		*ret_dbsize = 0;
		return redisdoor_stream(r, 60000, ret, err);
	}
	struct redis_save save;
	if (redisdoor_bgsave(r, deadline_in(s->job->save_timeout_ms), &save, err) < 0)
		return -1;
	*ret_began_s = save.began_s;
	*ret_dbsize = save.dbsize_total;
	if (fault_point("redis-saved", err) < 0)
		return -1;
	if (engine_server_file(s->job->engine, "redis", save.path, ret, NULL, err) == 0)
		return 0;
	return err->code != ERR_DENIED || err->hint[0] != '\0'
		   ? -1
		   : err_hint(err,
			      "Give the agent's user the right to read it, by the file's group; or "
			      "set [redis] method = stream.");
}

/* The file in hand must be the one of our save, whole, and as large as the server said. */
static int check_rdb(struct snapshot *s, const struct rdb_summary *sum, int64_t began_s,
		     uint64_t dbsize, struct err *err)
{
	uint64_t keys = 0;
	if (began_s > 0 && sum->created_s < began_s)
		return err_set(
		    err, ERR_FAILED,
		    "the dump file is older than our save: it is not what was just saved");
	for (size_t i = 0; i < sum->databases; i++) {
		const struct rdb_database *db = &sum->db[i];
		if (sum->counted && db->hinted && db->keys != db->hint_keys)
			return err_set(err, ERR_CORRUPT,
				       "database %u has %llu keys, but says that it has %llu",
				       db->number, (unsigned long long)db->keys,
				       (unsigned long long)db->hint_keys);
		keys += sum->counted ? db->keys : db->hint_keys;
	}
	if (keys == 0 && dbsize > 0)
		return err_set(
		    err, ERR_FAILED,
		    "the dump is empty, but the server had %llu keys when the save began",
		    (unsigned long long)dbsize);
	s->redis_keys += keys;
	if (!sum->crc_checked &&
	    snapshot_warn(s, err, "redis: the dump has no checksum (rdbchecksum is off)") < 0)
		return -1;
	if (!sum->counted &&
	    snapshot_warn(s, err, "redis: values of type %u are unknown; keys were not counted",
			  sum->unknown_type) < 0)
		return -1;
	return 0;
}

/* Files that the server reads besides its data: its configuration and its users. */
struct side_files {
	struct snapshot *s;
	const char *dir; /* of the data */
	json_t *list;
};

static bool is_listed(const struct side_files *f, const char *path)
{
	size_t i;
	json_t *file;
	json_array_foreach(f->list, i, file)
	{
		if (strcmp(json_str_or(file, "path", ""), path) == 0)
			return true;
	}
	return false;
}

static int put_side_file(struct side_files *f, const char *role, const char *path,
			 const struct buf *content, struct err *err)
{
	CLEANUP(freep) char *member = NULL;
	size_t len = strlen(f->dir);
	bool inside = len > 0 && strncmp(path, f->dir, len) == 0 && path[len] == '/';
	const char *below = inside ? path + len + 1 : path;
	if (str_printf(&member, err, inside ? "redis/config/%s" : "redis/outside%s", below) < 0 ||
	    snapshot_file(f->s, member, buf_text(content), content->len, err) < 0)
		return -1;
	return json_push(f->list,
			 json_pack("{s:s, s:s, s:s, s:s?}", "role", role, "path", path, "member",
				   member, "inside", inside ? below : NULL),
			 err);
}

static int take_side_file(struct side_files *f, const char *role, const char *path, unsigned depth,
			  struct err *err);

static int take_included(struct side_files *f, const char *text, unsigned depth, struct err *err)
{
	for (const char *line = text; depth <= REDIS_CONF_DEPTH && *line != '\0';) {
		CLEANUP(freep) char *path = NULL;
		if (redis_conf_include(line, &path, err) < 0 ||
		    (path != NULL && take_side_file(f, "include", path, depth, err) < 0))
			return -1;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return 0;
}

static int take_side_file(struct side_files *f, const char *role, const char *path, unsigned depth,
			  struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	CLEANUP(freep) char *joined = NULL;
	struct err why = ERR_INIT;
	/* The server's working directory is that of its data. */
	if (path[0] != '\0' && path[0] != '/') {
		if (str_printf(&joined, err, "%s/%s", f->dir, path) < 0)
			return -1;
		path = joined;
	}
	if (path[0] == '\0' || is_listed(f, path))
		return 0;
	if (engine_server_file(f->s->job->engine, "redis", path, &from, NULL, &why) < 0)
		return snapshot_warn(f->s, err, "redis: '%s' can't be read: %s", path, why.msg);
	struct buf content;
	buf_init(&content, (size_t)16 << 20);
	int rc = sink_buf(&content, &to, err);
	if (rc == 0)
		rc = flow_copy(from, to, NULL, err);
	if (rc == 0)
		rc = put_side_file(f, role, path, &content, err);
	if (rc == 0 && strcmp(role, "acl") != 0)
		rc = take_included(f, buf_text(&content), depth + 1, err);
	if (content.data != NULL)
		explicit_bzero(content.data, content.len);
	buf_done(&content);
	return rc;
}

static int take(struct snapshot *s, json_t *section, struct err *err)
{
	CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
	CLEANUP(rdb_freep) struct rdb *rdb = NULL;
	struct source *from = NULL;
	struct sink *reader;
	json_t *rdb_section = NULL, *files = json_array();
	int64_t began_s;
	uint64_t dbsize, bytes;
	char now[CLOCK_TEXT_BYTES];
	const json_t *config = json_object_get(json_object_get(section, "server"), "config");
	struct rdb_opts opts = {.need_checksum =
				    strcmp(json_str_or(config, "rdbchecksum", ""), "yes") == 0};
	s->taking = "redis";
	if (json_put(section, "config_files", files, err) < 0 ||
	    json_put(section, "started", json_string(clock_rfc3339(clock_wall_ms(), now)), err) <
		0 ||
	    redisdoor_connect(s->job->redis, &r, err) < 0 || rdb_new(&opts, &rdb, err) < 0)
		return -1;
	if (open_snapshot(s, section, r, &from, &began_s, &dbsize, err) < 0)
		return -1;
	if (rdb_sink(rdb, &reader, err) < 0) {
		source_free(from);
		return -1;
	}
	if (snapshot_stream(s, "redis/dump.rdb", from, reader, &bytes, err) < 0 ||
	    check_rdb(s, rdb_summary(rdb), began_s, dbsize, err) < 0)
		return -1;
	if (rdb_json(rdb, &rdb_section, err) < 0 ||
	    json_put(section, "rdb", rdb_section, err) < 0 ||
	    json_put(section, "dump", json_string("redis/dump.rdb"), err) < 0 ||
	    json_put(section, "finished", json_string(clock_rfc3339(clock_wall_ms(), now)), err) <
		0)
		return -1;
	const json_t *server = json_object_get(section, "server");
	struct side_files side = {.s = s, .dir = json_str_or(config, "dir", ""), .list = files};
	if (take_side_file(&side, "config", json_str_or(server, "config_file", ""), 0, err) < 0)
		return -1;
	return take_side_file(&side, "acl", json_str_or(config, "aclfile", ""), 0, err);
}

const struct component take_redis = {
    .name = "redis", .is_part = is_part, .plan = plan, .take = take};
