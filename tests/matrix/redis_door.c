/*
 * What our side makes of a dump or of a server: the helper of redis.py, which knows what is right.
 *
 *   redis_door count FILE NOW_MS      the reader's JSON, with hints and keys expired by NOW_MS
 *   redis_door damage FILE TIMES      "TIMES tried, N accepted": damaged dumps that were taken for
 * whole redis_door save URL               BGSAVE: {"path","began","keys"} redis_door stream URL
 * count, of the replication stream redis_door describe URL
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "stack/redis/rdb.h"
#include "stack/redis/redis.h"
#include "tests/support/rdb_mutate.h"

static int print(json_t *j, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	int rc = json_text(j, false, &text, err);
	json_decref(j);
	if (rc == 0)
		puts(text);
	return rc;
}

/* The manifest's JSON, and what only the caller of the reader sees. */
static int print_summary(const struct rdb *r, struct err *err)
{
	json_t *j = NULL;
	if (rdb_json(r, &j, err) < 0)
		return -1;
	const struct rdb_summary *s = rdb_summary(r);
	json_t *dbs = json_object_get(j, "databases");
	for (size_t i = 0; i < s->databases; i++) {
		json_t *db = json_array_get(dbs, i);
		if (json_put(db, "hinted", json_boolean(s->db[i].hinted), err) < 0 ||
		    json_put(db, "hint_keys", json_integer((json_int_t)s->db[i].hint_keys), err) <
			0 ||
		    json_put(db, "hint_expiring", json_integer((json_int_t)s->db[i].hint_expiring),
			     err) < 0 ||
		    json_put(db, "expired", json_integer((json_int_t)s->db[i].expired[0]), err) <
			0) {
			json_decref(j);
			return -1;
		}
	}
	return print(j, err);
}

/* Takes `from`. */
static int count(struct source *from, int64_t now_ms, struct err *err)
{
	CLEANUP(source_freep) struct source *owned = from;
	CLEANUP(rdb_freep) struct rdb *r = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	const struct rdb_opts opts = {.expired_at_ms = {now_ms}};
	if (rdb_new(&opts, &r, err) < 0 || rdb_sink(r, &to, err) < 0 ||
	    flow_copy(owned, to, NULL, err) < 0 || sink_close(to, err) < 0)
		return -1;
	return print_summary(r, err);
}

static int count_file(const char *path, const char *now_ms, struct err *err)
{
	struct source *from = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_ABSENT, "can't open '%s'", path);
	if (source_fd(fd, UINT64_MAX, path, &from, err) < 0)
		return -1;
	return count(from, strtoll(now_ms, NULL, 10), err);
}

/* 1: accepted. */
static int is_accepted(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	CLEANUP(rdb_freep) struct rdb *r = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (rdb_new(&(struct rdb_opts){.need_checksum = true}, &r, &err) < 0 ||
	    rdb_sink(r, &to, &err) < 0)
		return -1;
	return sink_write(to, data, len, &err) == 0 && sink_close(to, &err) == 0;
}

static int damage(const char *path, const char *times, struct err *err)
{
	struct buf whole;
	buf_init(&whole, (size_t)64 << 20);
	if (file_read_all(path, &whole, err) < 0)
		return -1;
	uint8_t *mutant = malloc(whole.len + RDB_MUTATE_ROOM);
	unsigned long tried = 0, accepted = 0, wanted = strtoul(times, NULL, 10);
	for (uint64_t seed = 0; mutant != NULL && tried < wanted; seed++) {
		memcpy(mutant, whole.data, whole.len);
		size_t len = rdb_mutate(mutant, whole.len, seed);
		if (len == whole.len && memcmp(mutant, whole.data, len) == 0)
			continue;
		tried++;
		if (is_accepted(mutant, len) != 0) {
			accepted++;
			fprintf(stderr, "seed %" PRIu64 " was accepted\n", seed);
		}
	}
	free(mutant);
	buf_done(&whole);
	printf("%lu tried, %lu accepted\n", tried, accepted);
	return 0;
}

static int with_server(const char *what, const char *url, struct err *err)
{
	CLEANUP(redisdoor_freep) struct redisdoor *r = NULL;
	if (redisdoor_connect(&(struct redis_opts){.url = url}, &r, err) < 0)
		return -1;
	if (strcmp(what, "stream") == 0) {
		struct source *from = NULL;
		if (redisdoor_stream(r, 30000, &from, err) < 0)
			return -1;
		return count(from, 0, err);
	}
	json_t *j = NULL;
	if (strcmp(what, "describe") == 0)
		return redisdoor_describe(r, &j, err) < 0 ? -1 : print(j, err);
	struct redis_save save;
	if (redisdoor_bgsave(r, deadline_in(60000), &save, err) < 0)
		return -1;
	j = json_pack("{s:s, s:I, s:I}", "path", save.path, "began", (json_int_t)save.began_s,
		      "keys", (json_int_t)save.dbsize_total);
	return j != NULL ? print(j, err) : err_nomem(err, "JSON");
}

static int run(int argc, char **argv, struct err *err)
{
	if (argc == 4 && strcmp(argv[1], "count") == 0)
		return count_file(argv[2], argv[3], err);
	if (argc == 4 && strcmp(argv[1], "damage") == 0)
		return damage(argv[2], argv[3], err);
	if (argc == 3)
		return with_server(argv[1], argv[2], err);
	return err_set(err, ERR_USAGE,
		       "usage: redis_door count|damage FILE NUMBER | save|stream|describe URL");
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	if (run(argc, argv, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n%s\n", err.msg, err.hint);
	return 1;
}
