/*
 * Any SQL in a dump's table of contents, and any table asked for: what is picked is there. The
 * first line is the table, each other one an entry: a letter for its kind, then its SQL.
 */
#include <stdlib.h>
#include <string.h>
#include "restore/table_pick.h"

enum { MOST = 40 };

struct line {
	const uint8_t *text;
	size_t len;
};

static void put(struct buf *b, const void *data, size_t len)
{
	struct err err = ERR_INIT;
	if (buf_append(b, data, len, &err) < 0)
		abort();
}

static void put_int(struct buf *b, int64_t n)
{
	uint64_t size = (uint64_t)(n < 0 ? -n : n);
	const uint8_t bytes[] = {n < 0, (uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16),
				 (uint8_t)(size >> 24)};
	put(b, bytes, sizeof bytes);
}

static void put_text(struct buf *b, const void *text, size_t len)
{
	put_int(b, (int64_t)len);
	put(b, text, len);
}

static void put_word(struct buf *b, const char *word)
{
	put_text(b, word, strlen(word));
}

static void put_entry(struct buf *b, int id, const struct line *l)
{
	static const struct {
		char letter;
		const char *desc;
	} kinds[] = {{'A', "TABLE ATTACH"},
		     {'I', "INDEX"},
		     {'C', "CONSTRAINT"},
		     {'X', "INDEX ATTACH"},
		     {'D', "TABLE DATA"}};
	size_t kind = 0;
	while (kind < 4 && (l->len == 0 || l->text[0] != kinds[kind].letter))
		kind++;
	bool data = kind == 4;
	const uint8_t *sql = l->text + (l->len > 0);
	size_t len = l->len - (l->len > 0);
	put_int(b, id);
	put_int(b, data);
	put_word(b, "1259");
	put_word(b, "16384");
	put_word(b, "t");
	put_word(b, kinds[kind].desc);
	put_int(b, 3);
	put_text(b, sql, data ? 0 : len);
	put_word(b, "");
	put_int(b, (data ? (int64_t)len : 0) + 5);
	put(b, "COPY ", 5);
	put(b, sql, data ? len : 0);
	put_word(b, "public");
	put_word(b, "");
	put_word(b, "heap");
	put_word(b, "app");
	put_word(b, "false");
	put_int(b, -1);
	put(b, data ? "\1" : "\3", 1);
	put(b, "\0\0\0\0\0\0\0\0", 8);
}

static struct pgdump *read_lines(const struct line *lines, size_t count)
{
	struct err err = ERR_INIT;
	struct pgdump *d;
	CLEANUP(sink_freep) struct sink *to = NULL;
	CLEANUP(buf_done) struct buf b;
	buf_init(&b, 8 << 20);
	put(&b, "PGDMP\1\17\0\4\10\1\0", 12);
	for (int i = 0; i < 7; i++)
		put_int(&b, 1);
	put_word(&b, "db");
	put_word(&b, "15");
	put_word(&b, "15");
	put_int(&b, (int64_t)count);
	for (size_t i = 0; i < count; i++)
		put_entry(&b, (int)i + 1, &lines[i]);
	if (pgdump_new(&d, &err) < 0 || pgdump_sink(d, &to, &err) < 0)
		abort();
	if (sink_write(to, b.data, b.len, &err) < 0) {
		pgdump_free(d);
		return NULL;
	}
	return d;
}

static void pick(const struct pgdump *d, const char *table)
{
	struct err err = ERR_INIT;
	CLEANUP(table_pick_done) struct table_pick p = {.count = 0};
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(d, &count);
	if (table_pick(d, table, &p, &err) < 0)
		abort();
	for (size_t i = 0; i < p.count; i++)
		if (p.ids[i] < 1 || (size_t)p.ids[i] > count ||
		    (i > 0 && p.ids[i] <= p.ids[i - 1]) || !e[p.ids[i] - 1].has_data)
			abort();
	for (size_t i = 0; i < count; i++) {
		bool ours;
		if (table_pick_is_ours(&p, &e[i], &ours, &err) < 0 || (ours && p.names.count == 0))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct line lines[MOST] = {{.text = NULL}};
	char table[200] = "";
	size_t count = 0;
	for (const uint8_t *at = data, *end = data + len; at != NULL && at < end && count < MOST;) {
		const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
		lines[count++] = (struct line){
		    .text = at, .len = (size_t)((newline != NULL ? newline : end) - at)};
		at = newline != NULL ? newline + 1 : NULL;
	}
	if (count < 2 || lines[0].len >= sizeof table || memchr(data, 0, len) != NULL)
		return 0;
	memcpy(table, lines[0].text, lines[0].len);
	CLEANUP(pgdump_freep) struct pgdump *d = read_lines(lines + 1, count - 1);
	if (d != NULL) {
		pick(d, table);
		pick(d, "public.t");
	}
	return 0;
}
