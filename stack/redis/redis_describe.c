/* What there is to know about a server, for the plan, the manifest and `check`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/redis/redis_door.h"

/* ---- configuration ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);
	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* requirepass, masterauth, primaryauth, tls-key-file-pass, and what modules may call theirs. */
static bool is_secret(const char *name)
{
	return strstr(name, "pass") != NULL || ends_with(name, "auth") ||
	       strstr(name, "secret") != NULL || strstr(name, "token") != NULL ||
	       strstr(name, "credential") != NULL;
}

static int note_missing(json_t *missing, const char *what, const char *why, struct err *err)
{
	return json_push(missing,
			 json_pack("{s:s, s:o}", "what", what, "why", json_text_value(why)), err);
}

static int put_config(struct redisdoor *r, json_t *out, json_t *missing, struct err *err)
{
	CLEANUP(json_freep) json_t *config = json_object();
	CLEANUP(redis_reply_freep) redisReply *reply = NULL;
	if (config == NULL)
		return err_nomem(err, "the configuration of Redis");
	const char *const argv[] = {"CONFIG", "GET", "*"};
	if (redisdoor_ask(r, &reply, err, 3, argv) < 0)
		return -1;
	if (reply->type == REDIS_REPLY_ERROR) {
		struct err why = ERR_INIT;
		redisdoor_refused(r, "CONFIG GET", reply->str, &why);
		if (note_missing(missing, "settings", why.msg, err) < 0)
			return -1;
	}
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
		const redisReply *name = reply->element[i], *value = reply->element[i + 1];
		if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING ||
		    is_secret(name->str))
			continue;
		if (json_put(config, name->str, json_text_value(value->str), err) < 0)
			return -1;
	}
	return json_put(out, "config", json_incref(config), err);
}

/* ---- what INFO says ---- */

static int put_field(json_t *out, const char *key, const char *info, const char *field,
		     struct err *err)
{
	char text[1024];
	redisdoor_field(info, field, text, sizeof text);
	return json_put(out, key, json_text_value(text), err);
}

/* "dbN:keys=K,expires=E,…", a line each. */
static int put_databases(json_t *out, const char *info, struct err *err)
{
	CLEANUP(json_freep) json_t *all = json_array();
	for (const char *line = info; *line != '\0'; line += strspn(line, "\r\n")) {
		char *end;
		const char *this = line;
		line += strcspn(line, "\r\n");
		if (strncmp(this, "db", 2) != 0)
			continue;
		unsigned long number = strtoul(this + 2, &end, 10);
		if (end == this + 2 || strncmp(end, ":keys=", 6) != 0)
			continue;
		unsigned long long keys = strtoull(end + 6, &end, 10), expiring = 0;
		if (strncmp(end, ",expires=", 9) == 0)
			expiring = strtoull(end + 9, NULL, 10);
		if (json_push(all,
			      json_pack("{s:I, s:I, s:I}", "number", (json_int_t)number, "keys",
					(json_int_t)keys, "expiring", (json_int_t)expiring),
			      err) < 0)
			return -1;
	}
	return json_put(out, "databases", json_incref(all), err);
}

static int put_persistence(json_t *out, const char *info, struct err *err)
{
	static const char *const numbers[] = {
	    "loading",     "rdb_bgsave_in_progress",  "rdb_last_save_time",
	    "aof_enabled", "aof_rewrite_in_progress", "rdb_changes_since_last_save",
	    "used_memory", "used_memory_dataset",
	};
	static const char *const texts[] = {"rdb_last_bgsave_status", "aof_last_bgrewrite_status",
					    "aof_last_write_status"};
	CLEANUP(json_freep) json_t *all = json_object();
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		int64_t v = redisdoor_field_number(info, numbers[i], -1);
		if (v >= 0 && json_put(all, numbers[i], json_integer(v), err) < 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (put_field(all, texts[i], info, texts[i], err) < 0)
			return -1;
	return json_put(out, "persistence", json_incref(all), err);
}

/* INFO modules: "module:name=bf,ver=…" */
static int put_modules(struct redisdoor *r, json_t *out, struct err *err)
{
	CLEANUP(json_freep) json_t *all = json_array();
	CLEANUP(freep) char *info = NULL;
	if (redisdoor_info_text(r, "modules", &info, err) < 0)
		return -1;
	for (const char *p = info; (p = strstr(p, "module:name=")) != NULL;) {
		p += strlen("module:name=");
		CLEANUP(freep) char *name = NULL;
		if (str_dupn(p, strcspn(p, ",\r\n"), &name, err) < 0 ||
		    json_push(all, json_text_value(name), err) < 0)
			return -1;
	}
	return json_put(out, "modules", json_incref(all), err);
}

/* ---- what a backup of this server would not hold ---- */

static int append_name(struct buf *b, const char *name, struct err *err)
{
	return b->len > 0 ? buf_printf(b, err, ", %s", name) : buf_puts(b, name, err);
}

/* Users live in the ACL file, in redis.conf, or in memory alone; their passwords' hashes are not
 * asked for. */
static int check_users(struct redisdoor *r, const json_t *config, json_t *missing, struct err *err)
{
	CLEANUP(redis_reply_freep) redisReply *reply = NULL;
	if (json_str_or(config, "aclfile", "")[0] != '\0')
		return 0;
	if (redisdoor_ask(r, &reply, err, 2, (const char *const[]){"ACL", "USERS"}) < 0)
		return -1;
	if (redisdoor_says(reply, "NOPERM"))
		return note_missing(missing, "ACL users",
				    "no aclfile is known, and the user of the url may not ask for "
				    "them (+acl|users)",
				    err);
	if (reply->type != REDIS_REPLY_ARRAY)
		return 0;
	struct buf names;
	buf_init(&names, 4096);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < reply->elements && names.len < 512; i++)
		if (reply->element[i]->type == REDIS_REPLY_STRING &&
		    strcmp(reply->element[i]->str, "default") != 0)
			rc = append_name(&names, reply->element[i]->str, err);
	if (rc == 0 && names.len > 0)
		rc = buf_puts(&names,
			      ": there is no aclfile, so they are kept only where redis.conf has "
			      "them, or in the server's memory alone",
			      err);
	if (rc == 0 && names.len > 0)
		rc = note_missing(missing, "ACL users", buf_text(&names), err);
	buf_done(&names);
	return rc;
}

static int check_place(const struct redisdoor *r, const char *info, json_t *missing,
		       struct err *err)
{
	char link[16];
	if (strcmp(r->mode, "cluster") == 0 &&
	    note_missing(missing, "the other nodes of the cluster",
			 "this server holds only its own slots", err) < 0)
		return -1;
	if (redisdoor_field(info, "master_link_status", link, sizeof link) &&
	    strcmp(link, "up") != 0)
		return note_missing(missing, "recent writes",
				    "this server is a replica that has lost its master", err);
	return 0;
}

/* ---- all of it ---- */

int redisdoor_describe(struct redisdoor *r, json_t **ret, struct err *err)
{
	CLEANUP(freep) char *info = NULL;
	CLEANUP(json_freep) json_t *out = json_object();
	CLEANUP(json_freep) json_t *missing = json_array();
	if (redisdoor_info_text(r, NULL, &info, err) < 0)
		return -1;
	if (json_put(out, "server", json_string(r->valkey ? "valkey" : "redis"), err) < 0 ||
	    json_put(out, "version", json_text_value(r->version), err) < 0 ||
	    json_put(out, "major", json_integer(strtol(r->version, NULL, 10)), err) < 0 ||
	    put_field(out, "run_id", info, "run_id", err) < 0 ||
	    put_field(out, "role", info, "role", err) < 0 ||
	    json_put(out, "mode", json_text_value(r->mode), err) < 0 ||
	    put_field(out, "config_file", info, "config_file", err) < 0 ||
	    put_field(out, "executable", info, "executable", err) < 0 ||
	    put_config(r, out, missing, err) < 0 || put_databases(out, info, err) < 0 ||
	    put_persistence(out, info, err) < 0 || put_modules(r, out, err) < 0)
		return -1;
	if (r->warning[0] != '\0' && json_put(out, "warning", json_text_value(r->warning), err) < 0)
		return -1;
	if (check_users(r, json_object_get(out, "config"), missing, err) < 0 ||
	    check_place(r, info, missing, err) < 0 ||
	    json_put(out, "missing", json_incref(missing), err) < 0)
		return -1;
	*ret = json_incref(out);
	return 0;
}
