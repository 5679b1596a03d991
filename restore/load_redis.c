/*
 * Redis into a fresh volume: the dump file, and where production runs with appendonly, the same
 * bytes once more as the base of the append-only files. Without that the server ignores the dump,
 * starts empty and, on its next stop, writes the empty set over it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/secret.h"
#include "restore/sandbox.h"
#include "stack/redis/rdb.h"
#include "stack/redis/redis.h"
#include "stack/redis/redis_conf.h"
#include "stack/redis/redis_url.h"

enum { LINES_MAX = 100000 };

static const char own_user[] = "lifeboat-sandbox";

static const json_t *config_of(const json_t *section)
{
	return json_object_get(json_object_get(section, "server"), "config");
}

/* CONFIG may be forbidden or renamed; INFO is not. */
static bool has_aof(const json_t *section)
{
	const json_t *server = json_object_get(section, "server");
	const char *configured = json_str_or(config_of(section), "appendonly", NULL);
	if (configured != NULL)
		return strcmp(configured, "yes") == 0;
	return json_u64_or(json_object_get(server, "persistence"), "aof_enabled", 0) == 1;
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
	struct tool t = {.component = "redis",
			 .name = "redis-server",
			 .argv = argv,
			 .sandbox = true,
			 .idle_ms = 20000};
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
	char version[32] = "";
	bool valkey = false;
	struct err why = ERR_INIT;
	const char *magic = json_str_or(json_object_get(section, "rdb"), "magic", "");
	const json_t *server = json_object_get(section, "server");
	bool adopted;
	if (sandbox_adopt(sb, "redis", section, plan, &adopted, err) < 0)
		return -1;
	if (!adopted) {
		/* Its version can't be asked, either. */
	} else if (host_version(sb, version, &valkey, &why) < 0) {
		if (plan_obstacle(plan, err, "%s%s%s", why.msg, why.hint[0] ? ": " : "", why.hint) <
		    0)
			return -1;
	} else {
		const char *refusal = rdb_load_refusal(magic, version, valkey);
		if (refusal != NULL &&
		    plan_obstacle(plan, err, "%s %s can't load this dump of %s %s: %s",
				  valkey ? "Valkey" : "Redis", version,
				  strcmp(json_str_or(server, "server", ""), "valkey") == 0
				      ? "Valkey"
				      : "Redis",
				  json_str_or(server, "version", "?"), refusal) < 0)
			return -1;
	}
	/* Redis 7 moves the one file of Redis 6 into a folder that Redis 6 does not look into: what
	 * the newer server had checked, production's would no longer find. */
	if (has_aof(section) && strtoul(version, NULL, 10) >= 7 &&
	    json_u64_or(server, "major", 7) < 7 &&
	    plan_obstacle(plan, err,
			  "production's Redis %s keeps its append-only file where the Redis %s "
			  "to restore with would move it away from: use the same major version",
			  json_str_or(server, "version", "?"), version) < 0)
		return -1;
	sb->expected_bytes += json_u64_or(json_object_get(section, "rdb"), "bytes", 0);
	if (plan_volume(sb, plan, "redis", volume_of(section), err) < 0)
		return -1;
	return plan_outside(sb, plan, "redis", volume_of(section), err);
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
	const char *path = json_str_or(config_of(section), "dir", NULL);
	sb->loading = "redis";
	if (sandbox_volume(sb, "redis", volume_of(section), path, &volume, err) < 0 ||
	    engine_volume_write(sb->job->engine, volume, &to, err) < 0 ||
	    put_dump(sb, to, json_str_or(config_of(section), "dbfilename", "dump.rdb"), err) < 0)
		return -1;
	if (has_aof(section) && put_aof(sb, section, to, err) < 0)
		return -1;
	if (sandbox_unpack(sb, "redis/config/", UNPACK_SERVERS, to, err) < 0 ||
	    tree_writer_close(to, err) < 0)
		return -1;
	return sandbox_outside(sb, "redis", volume_of(section), &outside, err);
}

/* Lines of production's redis.conf that a sandbox must not follow: they lead to production's own
 * files and neighbours, keep a server without neighbours from working, or take the commands away
 * that the proof asks with. What the engine decides (addresses, sockets, folders, replication) it
 * drops by itself. */
static bool leads_astray(const char *line, size_t name_len)
{
	static const char *const names[] = {"aclfile",
					    "save",
					    "rename-command",
					    "tls-replication",
					    "tls-cluster",
					    "min-replicas-to-write",
					    "min-slaves-to-write",
					    "shutdown-on-sigterm",
					    "shutdown-on-sigint"};
	if (name_len > 8 && strncasecmp(line, "cluster-", 8) == 0)
		return true;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == name_len && strncasecmp(line, names[i], name_len) == 0)
			return true;
	return false;
}

static int put_config(struct sandbox *sb, const json_t *section, const char *role, const char *path,
		      struct strlist *ret, unsigned depth, struct err *err);

/* Production's own settings, line by line. What they include comes in its place, since a later line
 * wins; never by `include`: what is included is not looked at. */
static int put_own_lines(struct sandbox *sb, const json_t *section, struct strlist *ret,
			 const char *text, unsigned depth, struct err *err)
{
	for (const char *line = text; *line != '\0';) {
		CLEANUP(freep) char *included = NULL;
		size_t len = strcspn(line, "\n");
		const char *start = line + strspn(line, " \t\r");
		const char *end = line + len;
		line = *end == '\n' ? end + 1 : end;
		while (end > start && strchr(" \t\r", end[-1]) != NULL)
			end--;
		if (start >= end || *start == '#')
			continue;
		size_t name_len = strspn(start, "abcdefghijklmnopqrstuvwxyz"
						"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
		if (name_len == 0 || strchr(" \t", start[name_len]) == NULL)
			return err_set(err, ERR_FAILED,
				       "redis.conf has a line that is no directive: '%.40s'",
				       start);
		if (ret->count > LINES_MAX)
			return err_set(err, ERR_LIMIT,
				       "redis.conf has more than %d lines with what it includes",
				       LINES_MAX);
		if (redis_conf_include(start, &included, err) < 0)
			return -1;
		if (included != NULL
			? put_config(sb, section, "include", included, ret, depth + 1, err) < 0
			: !leads_astray(start, name_len) &&
			      strlist_pushf(ret, err, "%.*s", (int)(end - start), start) < 0)
			return -1;
	}
	return 0;
}

/* Between quotes in redis.conf. */
static int put_quoted(struct buf *b, const char *text, struct err *err)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = c >= 0x20 && c != 0x7f && c != '"' && c != '\\';
		if ((plain ? buf_append(b, text, 1, err) : buf_printf(b, err, "\\x%02x", c)) < 0)
			return -1;
	}
	return 0;
}

/* Production's password may stand on its command line only. The sandbox has the application's then:
 * without one, everybody on this machine could read what was restored. */
static int guard(struct sandbox *sb, struct strlist *directives, struct err *err)
{
	struct redis_url url = {0};
	for (size_t i = 0; i < directives->count; i++) {
		const char *line = directives->items[i];
		if (strncasecmp(line, "requirepass ", 12) == 0 ||
		    strncasecmp(line, "aclfile ", 8) == 0 || strncasecmp(line, "user ", 5) == 0)
			return 0;
	}
	if (sb->job->redis_url == NULL)
		return 0;
	if (redis_url_parse(sb->job->redis_url, &url, err) < 0)
		return -1;
	const char *password = secret_text(&url.password);
	bool named = url.user != NULL && url.user[0] != '\0' && strcmp(url.user, "default") != 0;
	struct buf quoted;
	int rc = 0;
	buf_init(&quoted, 64 << 10);
	if (password[0] != '\0')
		rc = put_quoted(&quoted, password, err);
	/* A user of its own exists in the server's memory alone; it is made anew with all rights,
	 * and the default user is switched off: it would need no password. */
	if (password[0] != '\0' && rc == 0)
		rc = named
			 ? strlist_push(directives, "user default off", err) < 0
			       ? -1
			       : strlist_pushf(directives, err, "user %s on \">%s\" ~* &* +@all",
					       url.user, buf_text(&quoted))
			 : strlist_pushf(directives, err, "requirepass \"%s\"", buf_text(&quoted));
	if (quoted.data != NULL)
		explicit_bzero(quoted.data, quoted.len);
	buf_done(&quoted);
	redis_url_done(&url);
	return rc;
}

/* The users of an ACL file, as directives: beside a file there may be no user of our own. */
static int put_users(struct strlist *ret, const char *text, struct err *err)
{
	for (const char *line = text; *line != '\0';) {
		size_t len = strcspn(line, "\n");
		size_t kept = len > 0 && line[len - 1] == '\r' ? len - 1 : len;
		if (strncmp(line, "user ", 5) == 0 &&
		    strlist_pushf(ret, err, "%.*s", (int)kept, line) < 0)
			return -1;
		line += len + (line[len] == '\n');
	}
	return 0;
}

/* A path that is none from the root up is one of the server's working directory. */
static bool is_of_path(const json_t *file, const char *path)
{
	const char *whole = json_str_or(file, "path", "");
	size_t len = strlen(path), at = strlen(whole);
	if (path[0] == '/' || at <= len)
		return strcmp(whole, path) == 0;
	at -= len;
	return whole[at - 1] == '/' && strcmp(whole + at, path) == 0;
}

/* One file of the backup; without a path, all of that role. */
static int put_config(struct sandbox *sb, const json_t *section, const char *role, const char *path,
		      struct strlist *ret, unsigned depth, struct err *err)
{
	size_t i;
	json_t *file;
	json_array_foreach(json_object_get(section, "config_files"), i, file)
	{
		if (depth > REDIS_CONF_DEPTH || strcmp(json_str_or(file, "role", ""), role) != 0 ||
		    (path != NULL && !is_of_path(file, path)))
			continue;
		struct buf text;
		buf_init(&text, (size_t)16 << 20);
		int rc = sandbox_member(sb, json_str_or(file, "member", ""), &text, err);
		if (rc == 0)
			rc = strcmp(role, "acl") == 0
				 ? put_users(ret, buf_text(&text), err)
				 : put_own_lines(sb, section, ret, buf_text(&text), depth, err);
		if (text.data != NULL)
			explicit_bzero(text.data, text.len);
		buf_done(&text);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* Our own user on the sandbox, with a password of this run: the one in the configuration may be
 * allowed to take a snapshot and not to look at keys. */
static int put_own_user(struct sandbox *sb, struct strlist *ret, struct err *err)
{
	uint64_t noise[2];
	if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise)
		return err_sys(err, ERR_FAILED, errno, "random bytes");
	snprintf(sb->redis_password, sizeof sb->redis_password, "%016llx%016llx",
		 (unsigned long long)noise[0], (unsigned long long)noise[1]);
	explicit_bzero(noise, sizeof noise);
	return strlist_pushf(ret, err, "user %s on >%s ~* +@all", own_user, sb->redis_password);
}

/* Directives for the sandbox: production's own first where the backup has them, then what makes
 * the difference for loading, then what keeps it from writing over what was restored. */
static int sandbox_directives(struct sandbox *sb, const json_t *section, struct strlist *ret,
			      struct err *err)
{
	static const char *const kept[] = {"appendfilename", "appenddirname", "dbfilename",
					   "databases", "aof-use-rdb-preamble"};
	const json_t *config = config_of(section);
	if (put_config(sb, section, "config", NULL, ret, 0, err) < 0 ||
	    put_config(sb, section, "acl", NULL, ret, 0, err) < 0)
		return -1;
	for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
		const char *value = json_str_or(config, kept[k], "");
		if (value[0] != '\0' && strlist_pushf(ret, err, "%s %s", kept[k], value) < 0)
			return -1;
	}
	if (strlist_pushf(ret, err, "appendonly %s", has_aof(section) ? "yes" : "no") < 0 ||
	    strlist_push(ret, "save \"\"", err) < 0)
		return -1;
	if (guard(sb, ret, err) < 0)
		return -1;
	/* Users came with Redis 6. */
	bool knows_users = json_u64_or(json_object_get(section, "server"), "major", 0) >= 6;
	return knows_users ? put_own_user(sb, ret, err) : 0;
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

int load_redis_connect(struct sandbox *sb, struct redisdoor **ret, struct err *err)
{
	char *url = NULL;
	if (sb->redis_password[0] == '\0'
		? sandbox_url(sb, &url, err) < 0
		: str_printf(&url, err, "redis://%s:%s@%s:%u/0", own_user, sb->redis_password,
			     server_host(sb->redis), server_port(sb->redis)) < 0)
		return -1;
	struct redis_opts opts = {.url = url, .connect_timeout_ms = 20000};
	int rc = redisdoor_wait_ready(&opts, sandbox_alive, sb->redis, sandbox_ready_deadline(sb),
				      ret, err);
	secret_wipe(url);
	return rc < 0 ? sandbox_not_ready(sb->redis, err) : 0;
}

int load_redis_login(struct sandbox *sb, struct err *err)
{
	CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
	char *url = NULL;
	if (sandbox_url(sb, &url, err) < 0)
		return -1;
	struct redis_opts opts = {.url = url, .connect_timeout_ms = 20000};
	int rc = redisdoor_connect(&opts, &r, err);
	secret_wipe(url);
	return rc;
}

static int boot(struct sandbox *sb, const json_t *section, struct err *err)
{
	CLEANUP(freep) char *volume = NULL;
	CLEANUP(secret_wipe_list) struct strlist directives = {0};
	unsigned major = (unsigned)json_u64_or(json_object_get(section, "server"), "major", 0);
	if (sandbox_volume_name(sb, volume_of(section), &volume, err) < 0 ||
	    sandbox_directives(sb, section, &directives, err) < 0 ||
	    engine_server_new(sb->job->engine, "redis", major, &sb->redis, err) < 0)
		return -1;
	struct server_spec spec = {
	    .volume = volume,
	    .port = (unsigned)strtoul(json_str_or(config_of(section), "port", "0"), NULL, 10),
	    .settings = (const char *const *)directives.items,
	    .leave_running = sb->job->leave_servers};
	/* Twice: what was restored must also survive a stop and a start. */
	for (int start = 0; start < 2; start++) {
		CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
		if (start > 0 && server_stop(sb->redis, 60000, err) < 0)
			return -1;
		sb->redis_loaded_ms = start > 0 ? sb->redis_loaded_ms : clock_wall_ms();
		if (server_start(sb->redis, &spec, err) < 0 || load_redis_connect(sb, &r, err) < 0)
			return -1;
	}
	return 0;
}

const struct part part_redis = {.name = "redis",
				.plan = plan,
				.load = load,
				.boot = boot,
				.prove = prove_redis,
				.control = control_redis};
