/*
 * Runs the programs of rdb_types.c over bytes as they come.
 *
 * Nothing is buffered but the bytes of one length or string header that a block cut in two. Values
 * are passed over by their lengths.
 */
#include "stack/redis/rdb_state.h"

#include <stdio.h>
#include <string.h>

static bool has_argument(uint8_t step)
{
	return step == RDB_RAW || step == RDB_RAW_KEPT;
}

/* The step behind the RDB_AGAIN that belongs to the loop whose body begins at `p`. */
static const uint8_t *behind_loop(const uint8_t *p)
{
	for (unsigned depth = 1; depth > 0; p++) {
		if (*p == RDB_LOOP)
			depth++;
		else if (*p == RDB_AGAIN)
			depth--;
		else if (has_argument(*p))
			p++;
	}
	return p;
}

static void keep_text(struct rdb_text *t, const void *data, size_t len)
{
	if (len < sizeof t->text - t->len) {
		memcpy(t->text + t->len, data, len);
		t->len += len;
		t->text[t->len] = '\0';
	}
}

static void take_string(struct rdb *r, const struct rdb_string *s, bool keep)
{
	r->skip = s->bytes;
	if (!keep)
		return;
	struct rdb_text *t = &r->kept[r->texts++];
	*t = (struct rdb_text){0};
	if (s->is_number) {
		char number[16];
		int len = snprintf(number, sizeof number, "%d", (int)s->number);
		keep_text(t, number, (size_t)len);
	} else if (s->is_raw && s->bytes > 0 && s->bytes < sizeof t->text) {
		r->keep = t;
	}
}

static void take_loop(struct rdb *r, uint64_t count)
{
	if (count == 0) {
		r->step = behind_loop(r->step);
		return;
	}
	r->loop[r->depth++] = (struct rdb_loop){.body = r->step, .left = count};
}

/* The next value of a module by its kind (src/rdb.h: "Module serialized values sub opcodes"). */
static bool take_module_kind(struct rdb *r, uint64_t kind)
{
	switch (kind) {
	case 0:
		return true;
	case 1:
	case 2:
		r->module_value = RDB_LEN;
		break;
	case 3:
		r->skip = 4;
		break;
	case 4:
		r->skip = 8;
		break;
	case 5:
		r->module_value = RDB_STR;
		break;
	default:
		return false;
	}
	r->step--; /* another kind follows the value */
	return true;
}

/* One step whose header lies in [p, p+n). Returns how many bytes that header takes, RDB_DECODE_MORE
 * when it is cut (then nothing has changed), RDB_DECODE_UNKNOWN when it is none. */
static int take_step(struct rdb *r, const uint8_t *p, size_t n)
{
	uint8_t what = r->module_value != 0 ? r->module_value : *r->step;
	uint64_t len = 0;
	struct rdb_string s = {0};
	int used;
	switch (what) {
	case RDB_STR:
	case RDB_STR_KEPT:
		used = rdb_decode_string(p, n, &s);
		if (used <= 0)
			return used;
		break;
	case RDB_SCORE:
		len = p[0] < 253 ? p[0] : 0;
		used = 1;
		break;
	case RDB_RAW_KEPT:
		used = r->step[1];
		if (n < (size_t)used)
			return RDB_DECODE_MORE;
		len = 0;
		for (int i = 0; i < used; i++)
			len |= (uint64_t)p[i] << (8 * i);
		break;
	default: /* RDB_LEN, RDB_LEN_KEPT, RDB_LOOP, RDB_MODULE */
		used = rdb_decode_len(p, n, &len);
		if (used <= 0)
			return used;
		break;
	}
	if (r->module_value != 0)
		r->module_value = 0;
	else
		r->step += has_argument(what) ? 2 : 1;

	if (what == RDB_STR || what == RDB_STR_KEPT)
		take_string(r, &s, what == RDB_STR_KEPT);
	else if (what == RDB_SCORE)
		r->skip = len;
	else if (what == RDB_LEN_KEPT || what == RDB_RAW_KEPT)
		r->number[r->numbers++] = len;
	else if (what == RDB_LOOP)
		take_loop(r, len);
	else if (what == RDB_MODULE && !take_module_kind(r, len))
		return RDB_DECODE_UNKNOWN;
	return used;
}

/* Steps that read nothing. True: the program goes on and now stands at one that reads. */
static bool run_silent(struct rdb *r)
{
	if (r->module_value != 0)
		return true;
	for (;;) {
		if (*r->step == RDB_AGAIN) {
			struct rdb_loop *l = &r->loop[r->depth - 1];
			if (--l->left > 0) {
				r->step = l->body;
			} else {
				r->depth--;
				r->step++;
			}
		} else if (*r->step == RDB_RAW) {
			r->skip = r->step[1];
			r->step += 2;
			return true;
		} else {
			return *r->step != RDB_DONE;
		}
	}
}

static const uint8_t *pass(struct rdb *r, const uint8_t *p, const uint8_t *end)
{
	size_t n = (size_t)(end - p);
	if (n > r->skip)
		n = (size_t)r->skip;
	if (r->keep != NULL)
		keep_text(r->keep, p, n);
	r->skip -= n;
	if (r->skip == 0)
		r->keep = NULL;
	return p + n;
}

/* From the byte at `at` on, only the checksum is followed. */
static void go_blind(struct rdb *r, uint64_t at, uint8_t byte)
{
	r->sum.counted = false;
	r->sum.unknown_at = at;
	r->sum.unknown_type = byte;
	r->phase = RDB_BLIND;
	r->held_len = 0;
}

/* The header of one step, which may have begun in an earlier block. Returns the first byte behind
 * what it used. */
static const uint8_t *step_header(struct rdb *r, const uint8_t *p, const uint8_t *end, uint64_t at)
{
	int used = RDB_DECODE_MORE;
	if (r->held_len == 0 && end - p >= RDB_TOKEN_BYTES) {
		used = take_step(r, p, RDB_TOKEN_BYTES);
		if (used > 0)
			return p + used;
	}
	/* Near the end of a block a byte at a time, so that what is held is never more than one
	 * header. */
	uint64_t began = at - r->held_len;
	while (used == RDB_DECODE_MORE && p < end) {
		r->held[r->held_len++] = *p++;
		used = take_step(r, r->held, r->held_len);
	}
	if (used == RDB_DECODE_UNKNOWN)
		go_blind(r, began, r->held_len > 0 ? r->held[0] : *p);
	else if (used > 0)
		r->held_len = 0;
	return p;
}

static void open_record(struct rdb *r, uint8_t byte, uint64_t at)
{
	r->step = rdb_types_program(byte, r->valkey);
	r->opened_by = byte;
	r->numbers = 0;
	r->texts = 0;
	r->depth = 0;
	if (r->step == NULL)
		go_blind(r, at, byte);
}

/* Reads records until the block or the file ends. *ret_stop: the first byte not read. */
int rdb_run(struct rdb *r, const uint8_t *p, const uint8_t *end, const uint8_t **ret_stop,
	    struct err *err)
{
	const uint8_t *start = p;
	while (p < end && r->phase == RDB_IN_RECORDS) {
		if (r->skip > 0) {
			p = pass(r, p, end);
		} else if (r->step == NULL) {
			open_record(r, *p, r->sum.bytes + (uint64_t)(p - start));
			p++;
		} else if (r->held_len > 0 || run_silent(r)) {
			if (r->skip == 0)
				p = step_header(r, p, end, r->sum.bytes + (uint64_t)(p - start));
		}
		/* A record may end with the block: settle it now, so that close sees it. */
		while (r->phase == RDB_IN_RECORDS && r->step != NULL && r->skip == 0 &&
		       r->held_len == 0 && !run_silent(r))
			if (rdb_record_done(r, err) < 0)
				return -1;
	}
	*ret_stop = p;
	return 0;
}
