/*
 * BGSAVE, and knowing that it was ours that finished and succeeded.
 *
 * LASTSAVE counts whole seconds, so a save is only begun in a second that is later than the last
 * one's; then any change of it is news. Nor in the first moments of a second: the server stamps its
 * files with time(2), which follows the clock of TIME by up to a tick of its kernel. A save that
 * was killed by FLUSHALL or SIGUSR1 leaves status and time as they were: that is how it is told
 * from one that finished. Somebody else's save that runs already is older than our question, so it
 * is waited for and not adopted.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/redis/redis_door.h"

enum {
	FIRST_POLL_MS = 10,
	LAST_POLL_MS = 200,
	GRACE_MS = 2000,
	TICK_US = 50000,
	PATH_ROOM = 4096,
	MOST_FAILURES = 2
};

struct save {
	struct redisdoor *r;
	struct deadline d;
	int64_t began_s;     /* TIME before our BGSAVE */
	int64_t last_save_s; /* what LASTSAVE said then */
	bool was_failing;    /* the save before ours had failed */
	bool scheduled;      /* it may begin later */
	int64_t pause_ms;    /* between two looks: small saves are quick, long ones need no haste */
	unsigned aborted, failed;
	uint64_t keys;
};

enum outcome { SAVED, BUSY, ABORTED, FAILED };

/* TIME: seconds and microseconds. */
static int server_time(struct redisdoor *r, int64_t *ret_s, int64_t *ret_us, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	char *end;
	if (redisdoor_command(r, &text, err, 1, (const char *const[]){"TIME"}) < 0)
		return -1;
	*ret_s = strtoll(text, &end, 10);
	*ret_us = strtoll(end, NULL, 10);
	return 0;
}

static int read_info(struct save *s, char **ret, struct err *err)
{
	char run_id[64];
	CLEANUP(freep) char *info = NULL;
	if (redisdoor_info_text(s->r, NULL, &info, err) < 0)
		return -1;
	redisdoor_field(info, "run_id", run_id, sizeof run_id);
	if (s->r->knows_server && strcmp(run_id, s->r->run_id) != 0)
		return err_set(err, ERR_FAILED, "Redis at '%s' was restarted during the save",
			       s->r->name);
	*ret = info;
	info = NULL;
	return 0;
}

static int timed_out(const struct save *s, const char *what, struct err *err)
{
	err_set(err, ERR_TIMEOUT, "Redis at '%s': %s", s->r->name, what);
	if (s->aborted > 0)
		err_wrap(err, "%u saves were aborted by the server", s->aborted);
	return -1;
}

/* Sleeps between two looks; `what` is what we wait for. */
static int wait_a_bit(struct save *s, const char *what, struct err *err)
{
	int64_t left = deadline_left_ms(s->d);
	int64_t pause = s->pause_ms > 0 ? s->pause_ms : FIRST_POLL_MS;
	s->pause_ms = pause * 2 < LAST_POLL_MS ? pause * 2 : LAST_POLL_MS;
	if (left >= pause)
		return wait_ms(pause, err);
	return wait_ms(left, err) < 0 ? -1 : timed_out(s, what, err);
}

static bool status_ok(const char *info)
{
	char status[16];
	return redisdoor_field(info, "rdb_last_bgsave_status", status, sizeof status) &&
	       strcmp(status, "ok") == 0;
}

static bool is_running(const char *info, const char *field)
{
	return redisdoor_field_number(info, field, 0) != 0;
}

static int64_t last_save(const char *info)
{
	return redisdoor_field_number(info, "rdb_last_save_time", 0);
}

static uint64_t count_keys(const char *info)
{
	uint64_t total = 0;
	for (const char *p = info; (p = strstr(p, ":keys=")) != NULL;) {
		p += strlen(":keys=");
		total += strtoull(p, NULL, 10);
	}
	return total;
}

/* Notes where the server stands, in a second that no save has been finished in yet. */
static int look_before(struct save *s, struct err *err)
{
	for (;;) {
		CLEANUP(freep) char *info = NULL;
		/* The clock first: a save that ends after this INFO, and did not run yet in it,
		 * began after that time, whoever asked for it. */
		int64_t us;
		if (server_time(s->r, &s->began_s, &us, err) < 0 || read_info(s, &info, err) < 0)
			return -1;
		s->last_save_s = last_save(info);
		s->was_failing = !status_ok(info);
		s->keys = count_keys(info);
		if (is_running(info, "loading")) {
			if (wait_a_bit(s, "it was still loading its data", err) < 0)
				return -1;
			continue;
		}
		if (is_running(info, "rdb_bgsave_in_progress")) {
			if (wait_a_bit(s, "another save did not finish in time", err) < 0)
				return -1;
			continue;
		}
		/* A last save far ahead of the clock means that the clock was set back: no use in
		 * waiting for it to catch up, and any change will do. */
		bool is_past = s->last_save_s < s->began_s || s->last_save_s > s->began_s + 2;
		if (is_past && us >= TICK_US)
			return 0;
		if (wait_a_bit(s, "it had no time for a save", err) < 0)
			return -1;
	}
}

static int ask_to_save(struct save *s, enum outcome *ret, struct err *err)
{
	CLEANUP(redis_reply_freep) redisReply *reply = NULL;
	if (redisdoor_ask(s->r, &reply, err, 1, (const char *const[]){"BGSAVE"}) < 0)
		return -1;
	s->scheduled = false;
	*ret = SAVED;
	if (reply->type != REDIS_REPLY_ERROR) {
		s->scheduled =
		    reply->type == REDIS_REPLY_STATUS && strstr(reply->str, "scheduled") != NULL;
		return 0;
	}
	if (strstr(reply->str, "already in progress") != NULL ||
	    strstr(reply->str, "child process is active") != NULL) {
		*ret = BUSY;
		return 0;
	}
	/* A bare "-ERR": the server could not fork, and counts that as a failed save. */
	if (reply->str[0] == '\0' || strcmp(reply->str, "ERR") == 0 ||
	    strcmp(reply->str, "ERR ") == 0) {
		*ret = FAILED;
		return 0;
	}
	return redisdoor_refused(s->r, "BGSAVE", reply->str, err);
}

/* Watches the save that has begun until it is known how it ended. */
static int watch(struct save *s, enum outcome *ret, struct err *err)
{
	for (;;) {
		CLEANUP(freep) char *info = NULL;
		if (read_info(s, &info, err) < 0)
			return -1;
		bool ok = status_ok(info), news = last_save(info) != s->last_save_s;
		if (ok && news) {
			*ret = SAVED;
			return 0;
		}
		/* What is only scheduled has not begun when nothing runs. */
		if (!is_running(info, "rdb_bgsave_in_progress") &&
		    !(s->scheduled && ok == !s->was_failing)) {
			*ret = ok ? ABORTED : FAILED;
			return 0;
		}
		if (wait_a_bit(s, "BGSAVE did not finish in time", err) < 0)
			return -1;
	}
}

static int wait_until_free(struct save *s, struct err *err)
{
	for (;;) {
		CLEANUP(freep) char *info = NULL;
		if (read_info(s, &info, err) < 0)
			return -1;
		if (!is_running(info, "rdb_bgsave_in_progress") &&
		    !is_running(info, "aof_rewrite_in_progress"))
			return wait_a_bit(s, "another save or rewrite was always running", err);
		if (wait_a_bit(s, "another save or rewrite did not finish in time", err) < 0)
			return -1;
	}
}

/* ---- when it failed ---- */

/* 1: the server refuses writes now; 0: it does not. */
static int refuses_writes(struct redisdoor *r, struct err *err)
{
	CLEANUP(redis_reply_freep) redisReply *reply = NULL;
	if (redisdoor_ask(r, &reply, err, 1, (const char *const[]){"PING"}) < 0)
		return -1;
	return redisdoor_says(reply, "MISCONF");
}

static int report_failure(struct save *s, struct err *err)
{
	struct err why = ERR_INIT;
	CLEANUP(freep) char *dir = NULL;
	int refuses = refuses_writes(s->r, &why);
	if (redisdoor_config(s->r, "dir", &dir, &why) < 0 && str_dup("", &dir, err) < 0)
		return -1;
	if (refuses == 1) {
		err_set(err, ERR_FAILED,
			"BGSAVE FAILED, AND REDIS AT '%s' NOW REFUSES ALL WRITES (MISCONF) until a "
			"save "
			"succeeds; %u tries",
			s->r->name, s->failed);
		return err_hint(
		    err,
		    "Act now: make room in '%.200s' and memory to fork, then run BGSAVE; or let "
		    "writes through meanwhile with CONFIG SET stop-writes-on-bgsave-error no. Its "
		    "log says what failed.",
		    dir);
	}
	err_set(err, ERR_FAILED, "BGSAVE failed on Redis at '%s'; %u tries", s->r->name, s->failed);
	return err_hint(
	    err,
	    "Its log says what failed: mostly no room or no right to write in '%.200s', or "
	    "no memory to fork. Writes still work.",
	    dir);
}

/* ---- all of it ---- */

static int save_once(struct save *s, enum outcome *ret, struct err *err)
{
	if (look_before(s, err) < 0 || ask_to_save(s, ret, err) < 0)
		return -1;
	s->pause_ms = 0;
	return *ret == SAVED ? watch(s, ret, err) : 0;
}

static int save_until_done(struct save *s, struct err *err)
{
	for (;;) {
		enum outcome outcome;
		if (save_once(s, &outcome, err) < 0)
			return -1;
		switch (outcome) {
		case SAVED:
			return 0;
		case BUSY:
			if (wait_until_free(s, err) < 0)
				return -1;
			break;
		case ABORTED:
			s->aborted++;
			if (wait_a_bit(s, "BGSAVE was aborted again and again", err) < 0)
				return -1;
			break;
		case FAILED:
			/* Once more: a save that succeeds is also what lets writes through again.
			 */
			if (++s->failed == MOST_FAILURES)
				return report_failure(s, err);
			if (wait_a_bit(s, "BGSAVE failed", err) < 0)
				return -1;
			break;
		}
	}
}

static int file_of(struct redisdoor *r, char path[PATH_ROOM], struct err *err)
{
	CLEANUP(freep) char *dir = NULL;
	CLEANUP(freep) char *name = NULL;
	if (redisdoor_config(r, "dir", &dir, err) < 0 ||
	    redisdoor_config(r, "dbfilename", &name, err) < 0)
		return -1;
	path[0] = '\0';
	if (dir[0] == '\0' || name[0] == '\0')
		return 0;
	int len = snprintf(path, PATH_ROOM, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name);
	return len < PATH_ROOM
		   ? 0
		   : err_set(err, ERR_LIMIT, "the path of the dump of Redis at '%s' is too long",
			     r->name);
}

int redisdoor_bgsave(struct redisdoor *r, struct deadline d, struct redis_save *ret,
		     struct err *err)
{
	struct save s = {.r = r, .d = d};
	struct redis_save out;
	/* A question that is under way when time is up may still be answered. */
	int64_t left = deadline_left_ms(d);
	r->limit = left < INT64_MAX ? deadline_in(left + GRACE_MS) : d;
	int rc = save_until_done(&s, err);
	if (rc < 0 && err->code == ERR_TIMEOUT && s.failed > 0) {
		/* Time is up, but whether writes are stopped must be known. */
		r->limit = deadline_in(REDIS_REPLY_MS);
		if (!r->out_of_step)
			rc = report_failure(&s, err);
	}
	r->limit = DEADLINE_NEVER;
	if (rc < 0 || file_of(r, out.path, err) < 0)
		return -1;
	out.began_s = s.began_s;
	out.dbsize_total = s.keys;
	*ret = out;
	return 0;
}
