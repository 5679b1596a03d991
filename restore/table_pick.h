/*
 * Which entries of a dump make up one table: its own rows, or those of every partition below it.
 * Told from the SQL that pg_dump writes, which names tables the same way everywhere.
 */
#ifndef LIFEBOAT_RESTORE_TABLE_PICK_H
#define LIFEBOAT_RESTORE_TABLE_PICK_H

#include "stack/postgres/pgdump.h"

struct table_pick {
	struct strlist names;   /* of its tables, as the dump's SQL has them */
	struct strlist indexes; /* the same of those that table_pick_is_ours said yes to */
	int32_t *ids;           /* of their TABLE DATA entries, sorted */
	size_t count;           /* 0: there is no such table */
};

/* `table`: "schema.name", unquoted. Partitions whose rows are loaded through one root belong
 * together: with one of them come all. */
int table_pick(const struct pgdump *dump, const char *table, struct table_pick *ret,
	       struct err *err) MUST_USE;
void table_pick_done(struct table_pick *p);
/* Is this a key or an index of these tables, or what ties an index to that of a partitioned table?
 * To be asked in the order of the dump. */
int table_pick_is_ours(struct table_pick *p, const struct pgdump_entry *e, bool *ret,
		       struct err *err) MUST_USE;

#endif
