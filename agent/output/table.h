/*
 * Columns of text, as wide as their widest cell. Cells may carry the STYLE_ marks of output.h.
 *
 *  1. table_new(columns, count, &t, err)
 *  2. table_add(t, (const char *const[]){"a", "b"}, err)     one row
 *  3. output_table(out, t, err)
 */
#ifndef LIFEBOAT_AGENT_OUTPUT_TABLE_H
#define LIFEBOAT_AGENT_OUTPUT_TABLE_H

#include <stddef.h>
#include "base/buf.h"

struct table_column {
	const char *heading;
	bool right; /* numbers */
};

struct table;
/* At most 16 columns. */
int table_new(const struct table_column *columns, size_t count, struct table **ret, struct err *err)
    MUST_USE;
void table_free(struct table *t);
DEFINE_CLEANUP(struct table, table_free)

/* As many cells as there are columns; NULL is an empty one. Copied; a cell is one line. */
int table_add(struct table *t, const char *const *cells, struct err *err) MUST_USE;
size_t table_rows(const struct table *t);
/* Appends all lines, each with its newline. */
int table_text(const struct table *t, bool headings, struct buf *out, struct err *err) MUST_USE;

#endif
