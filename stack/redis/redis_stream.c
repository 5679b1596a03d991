/*
 * The RDB by replication: we ask like a replica that wants no commands afterwards.
 *
 * The answer to SYNC is newlines while the server prepares (one a second or so), then "$<length>"
 * with that many bytes, or "$EOF:<40 letters>" with bytes until those letters come again, or
 * "-ERR". A server that gives up just closes the connection, so only the length or the end mark
 * says that the whole has come. (src/replication.c: syncCommand, sendBulkToSlave; redis-cli.c:
 * sendSync.)
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "stack/redis/redis_door.h"

enum { MARK_BYTES = 40, LINE_BYTES = 512, BLOCK_BYTES = 256 << 10 };

struct stream {
	struct redisdoor *r;
	int64_t idle_ms;
	bool has_mark;
	uint64_t left;  /* of a promised length */
	uint64_t given; /* to the reader */
	char mark[MARK_BYTES];
	bool ended;
	/* Bytes that have come: block[start..end). With a mark the last 40 may be it. */
	size_t start, end;
	uint8_t block[BLOCK_BYTES + MARK_BYTES];
};

/* What hiredis had read ahead, then the wire. *ret_n == 0: closed. */
static int read_some(struct stream *s, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	redisReader *reader = s->r->reader;
	size_t ahead = reader->len - reader->pos;
	if (ahead > 0) {
		size_t n = ahead < cap ? ahead : cap;
		memcpy(buf, reader->buf + reader->pos, n);
		reader->pos += n;
		*ret_n = n;
		return 0;
	}
	if (redis_wire_read(s->r->wire, buf, cap, ret_n, deadline_in(s->idle_ms), err) == 0)
		return 0;
	if (err->code == ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT,
			       "Redis at '%s' sent nothing for %lld s in the middle of its stream",
			       s->r->name, (long long)s->idle_ms / 1000);
	return -1;
}

static int cut(const struct stream *s, const char *where, struct err *err)
{
	err_set(err, ERR_CORRUPT, "Redis at '%s' closed the stream %s, after %llu bytes",
		s->r->name, where, (unsigned long long)s->given);
	return err_hint(err,
			"A save that fails on the server ends like this, and so does a reader that "
			"is too slow (repl-timeout): its log says which.");
}

/* ---- the first line ---- */

/* Reads the line behind the keep-alive newlines. What comes behind it stays in the block. */
static int read_line(struct stream *s, char line[LINE_BYTES], struct err *err)
{
	size_t len = 0;
	for (;;) {
		if (s->start == s->end) {
			s->start = 0;
			if (read_some(s, s->block, sizeof s->block, &s->end, err) < 0) {
				s->end = 0;
				return -1;
			}
			if (s->end == 0)
				return cut(s, "before it began", err);
		}
		char c = (char)s->block[s->start++];
		if (c == '\n' && len > 0)
			break;
		if (c == '\n' || c == '\r')
			continue;
		if (len + 1 == LINE_BYTES)
			return err_set(err, ERR_FAILED, "Redis at '%s' answers SYNC with no RDB",
				       s->r->name);
		line[len++] = c;
	}
	line[len] = '\0';
	return 0;
}

static int parse_length(struct stream *s, const char *digits, struct err *err)
{
	uint64_t v = 0;
	for (const char *c = digits; *c != '\0' || c == digits; c++) {
		if (*c < '0' || *c > '9' || v > (UINT64_MAX - 9) / 10)
			return err_set(err, ERR_FAILED,
				       "Redis at '%s' promises a stream of no length", s->r->name);
		v = v * 10 + (uint64_t)(*c - '0');
	}
	s->left = v;
	return 0;
}

static int parse_first_line(struct stream *s, const char *line, struct err *err)
{
	if (line[0] == '-')
		return redisdoor_refused(s->r, "SYNC", line + 1, err);
	if (line[0] != '$')
		return err_set(err, ERR_FAILED, "Redis at '%s' answers SYNC with no RDB",
			       s->r->name);
	if (strncmp(line + 1, "EOF:", 4) != 0)
		return parse_length(s, line + 1, err);
	if (strlen(line + 5) != MARK_BYTES)
		return err_set(err, ERR_FAILED, "Redis at '%s' promises an end mark of %zu bytes",
			       s->r->name, strlen(line + 5));
	s->has_mark = true;
	memcpy(s->mark, line + 5, MARK_BYTES);
	return 0;
}

/* ---- the bytes ---- */

static int read_promised(struct stream *s, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	if (cap > s->left)
		cap = (size_t)s->left;
	size_t n = s->end - s->start;
	if (cap == 0) {
		*ret_n = 0;
		return 0;
	}
	if (n > 0) {
		n = n < cap ? n : cap;
		memcpy(buf, s->block + s->start, n);
		s->start += n;
	} else {
		if (read_some(s, buf, cap, &n, err) < 0)
			return -1;
		if (n == 0)
			return cut(s, "too early", err);
	}
	s->left -= n;
	*ret_n = n;
	return 0;
}

/* Gets more than the 40 bytes that must be held back, or finds that they are the mark. */
static int fill_marked(struct stream *s, struct err *err)
{
	for (;;) {
		size_t have = s->end - s->start;
		if (have >= MARK_BYTES &&
		    memcmp(s->block + s->end - MARK_BYTES, s->mark, MARK_BYTES) == 0) {
			s->end -= MARK_BYTES;
			s->ended = true;
			return 0;
		}
		if (have > MARK_BYTES)
			return 0;
		memmove(s->block, s->block + s->start, have);
		s->start = 0;
		s->end = have;
		size_t n;
		if (read_some(s, s->block + have, sizeof s->block - have, &n, err) < 0)
			return -1;
		if (n == 0)
			return cut(s, "without its end mark", err);
		s->end += n;
	}
}

static int read_marked(struct stream *s, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	if (!s->ended && fill_marked(s, err) < 0)
		return -1;
	size_t n = s->end - s->start - (s->ended ? 0 : MARK_BYTES);
	if (n > cap)
		n = cap;
	memcpy(buf, s->block + s->start, n);
	s->start += n;
	*ret_n = n;
	return 0;
}

static int stream_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct stream *s = self;
	int rc = s->has_mark ? read_marked(s, buf, cap, ret_n, err)
			     : read_promised(s, buf, cap, ret_n, err);
	if (rc == 0)
		s->given += *ret_n;
	return rc;
}

static const struct source_ops stream_ops = {.read = stream_read, .free = free};

/* ---- asking ---- */

/* What we can do and want. Old servers don't know every word, which is fine, but one: without "eof"
 * the server would save to its own file first, with all that can go wrong there. */
static int introduce(struct redisdoor *r, struct err *err)
{
	const char *const words[][2] = {
	    {"version", r->version}, {"capa", "eof"}, {"rdb-only", "1"}};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (words[i][1][0] == '\0')
			continue;
		const char *const argv[] = {"REPLCONF", words[i][0], words[i][1]};
		CLEANUP(redis_reply_freep) redisReply *reply = NULL;
		if (redisdoor_ask(r, &reply, err, 3, argv) < 0)
			return -1;
		if (reply->type == REDIS_REPLY_ERROR && i == 1)
			return redisdoor_refused(r, "REPLCONF", reply->str, err);
	}
	return 0;
}

int redisdoor_stream(struct redisdoor *r, int64_t idle_ms, struct source **ret, struct err *err)
{
	char line[LINE_BYTES];
	if (introduce(r, err) < 0 || redisdoor_send(r, 1, (const char *const[]){"SYNC"}, err) < 0)
		return -1;
	struct stream *s = mem_zalloc(sizeof *s, "a stream of Redis", err);
	if (s == NULL)
		return -1;
	s->r = r;
	s->idle_ms = idle_ms;
	if (read_line(s, line, err) < 0 || parse_first_line(s, line, err) < 0) {
		free(s);
		return -1;
	}
	return source_new(&stream_ops, s, ret, err);
}
