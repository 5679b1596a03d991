/* Any bytes, in two ways of cutting them: the reader must agree with itself and never crash. */
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/pgdump.h"

/* Blocks lie inside the dump; what they and their entry make is a dump again. */
static void check_parts(const struct pgdump *d, const uint8_t *data, size_t len)
{
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(d, &count);
	for (size_t i = 0; i < count && i < 8; i++) {
		if (!e[i].has_data)
			continue;
		CLEANUP(buf_done) struct buf part;
		CLEANUP(pgdump_freep) struct pgdump *again = NULL;
		CLEANUP(sink_freep) struct sink *sink = NULL;
		struct err err = ERR_INIT;
		if (e[i].block_at < pgdump_head_bytes(d) || e[i].block_bytes < PGDUMP_BLOCK_MIN ||
		    e[i].block_at + e[i].block_bytes > len)
			abort();
		buf_init(&part, len + 1);
		if (pgdump_part(d, data, &e[i].id, 1, &part, &err) < 0 ||
		    buf_append(&part, data + e[i].block_at, (size_t)e[i].block_bytes, &err) < 0 ||
		    pgdump_new(&again, &err) < 0 || pgdump_sink(again, &sink, &err) < 0 ||
		    sink_write(sink, part.data, part.len, &err) < 0)
			abort();
		/* Settings with data are nothing that pg_dump writes; they lack their blocks here.
		 */
		if (sink_close(sink, &err) < 0 && strstr(err.msg, "dump ends before") == NULL)
			abort();
	}
}

static int read_in_steps(const uint8_t *data, size_t len, size_t step, struct rows_digest *ret,
			 struct err *err)
{
	CLEANUP(pgdump_freep) struct pgdump *d = NULL;
	CLEANUP(sink_freep) struct sink *sink = NULL;
	if (pgdump_new(&d, err) < 0 || pgdump_sink(d, &sink, err) < 0)
		abort();
	for (size_t at = 0; at < len; at += step)
		if (sink_write(sink, data + at, len - at < step ? len - at : step, err) < 0)
			return -1;
	if (sink_close(sink, err) < 0)
		return -1;
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(d, &count);
	check_parts(d, data, len);
	for (size_t i = 0; i < count; i++) {
		char *columns = NULL;
		int64_t value;
		bool called;
		struct err ignored = ERR_INIT;
		ret->rows += e[i].data.rows;
		ret->low += e[i].data.low;
		ret->high += e[i].data.high;
		if (e[i].has_data != e[i].data_seen)
			abort();
		if (e[i].copy != NULL && pgdump_copy_columns(e[i].copy, &columns, &ignored) == 0) {
			if (!pgdump_columns_are_valid(columns))
				abort();
			free(columns);
		}
		if (e[i].definition != NULL &&
		    pgdump_sequence_value(e[i].definition, &value, &called, &ignored) < 0)
			continue;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rows_digest whole = {0}, pieces = {0};
	struct err err = ERR_INIT, again = ERR_INIT;
	size_t step = len > 0 ? 1 + data[len - 1] % 61 : 1;
	int rc = read_in_steps(data, len, SIZE_MAX, &whole, &err);
	if (read_in_steps(data, len, step, &pieces, &again) != rc)
		abort();
	if (rc == 0 && memcmp(&whole, &pieces, sizeof whole) != 0)
		abort();
	if (rc < 0 && (err.code != again.code || strcmp(err.msg, again.msg) != 0))
		abort();
	return 0;
}
