#include "restore/table_pick.h"

#include <stdlib.h>
#include <string.h>

/* A name inside of SQL. */
struct name {
	const char *text;
	size_t len; /* 0: there is none */
};

/* The end of one name, quoted where pg_dump must; NULL when its quotes don't end. */
static const char *skip_ident(const char *p)
{
	if (*p != '"')
		return p + strcspn(p, " .,;()\"\n");
	for (p++; *p != '\0' && (*p != '"' || p[1] == '"'); p++)
		p += *p == '"';
	return *p == '"' ? p + 1 : NULL;
}

/* A name with or without its schema. */
static struct name read_name(const char *sql)
{
	const char *end = skip_ident(sql);
	if (end != NULL && *end == '.')
		end = skip_ident(end + 1);
	return (struct name){.text = sql, .len = end != NULL ? (size_t)(end - sql) : 0};
}

/* What follows `word`; NULL when `sql` does not begin with it. */
static const char *after(const char *sql, const char *word)
{
	size_t len = strlen(word);
	return sql != NULL && strncmp(sql, word, len) == 0 ? sql + len : NULL;
}

static const char *after_maybe(const char *sql, const char *word)
{
	const char *rest = after(sql, word);
	return rest != NULL ? rest : sql;
}

/* Without its quotes. */
static int unquote(struct name n, char **ret, struct err *err)
{
	if (str_dupn(n.text, n.len, ret, err) < 0)
		return -1;
	char *to = *ret;
	bool quoted = false;
	for (const char *p = *ret; *p != '\0'; p++) {
		if (*p == '"' && quoted && p[1] == '"')
			*to++ = *p++;
		else if (*p == '"')
			quoted = !quoted;
		else
			*to++ = *p;
	}
	*to = '\0';
	return 0;
}

static bool has(const struct strlist *list, struct name n)
{
	for (size_t i = 0; i < list->count; i++)
		if (strncmp(list->items[i], n.text, n.len) == 0 && list->items[i][n.len] == '\0')
			return true;
	return false;
}

static int add(struct strlist *list, struct name n, struct err *err)
{
	if (n.len == 0 || has(list, n))
		return 0;
	return strlist_pushf(list, err, "%.*s", (int)n.len, n.text);
}

/* "ALTER TABLE ONLY parent ATTACH PARTITION child …", the same of indexes. */
static bool read_attach(const struct pgdump_entry *e, struct name *parent, struct name *child)
{
	const char *sql = NULL;
	if (strcmp(e->desc, "TABLE ATTACH") == 0)
		sql = after_maybe(after(e->definition, "ALTER TABLE "), "ONLY ");
	else if (strcmp(e->desc, "INDEX ATTACH") == 0)
		sql = after(e->definition, "ALTER INDEX ");
	if (sql == NULL)
		return false;
	*parent = read_name(sql);
	sql = after(sql + parent->len, " ATTACH PARTITION ");
	if (sql == NULL)
		return false;
	*child = read_name(sql);
	return parent->len > 0 && child->len > 0;
}

static struct name copy_target(const struct pgdump_entry *e)
{
	const char *sql = strcmp(e->desc, "TABLE DATA") == 0 ? after(e->copy, "COPY ") : NULL;
	return sql != NULL ? read_name(sql) : (struct name){0};
}

static bool is_called(const struct pgdump_entry *e, const char *table)
{
	if (e->schema == NULL || e->tag == NULL)
		return false;
	const char *rest = after(table, e->schema);
	return rest != NULL && rest[0] == '.' && strcmp(rest + 1, e->tag) == 0;
}

/* The table itself: one with rows, or one that has partitions. */
static int add_asked(const struct pgdump_entry *e, size_t count, const char *table,
		     struct strlist *names, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		struct name parent, child;
		if (is_called(&e[i], table) && add(names, copy_target(&e[i]), err) < 0)
			return -1;
		if (strcmp(e[i].desc, "TABLE ATTACH") != 0 || !read_attach(&e[i], &parent, &child))
			continue;
		CLEANUP(freep) char *plain = NULL;
		if (unquote(parent, &plain, err) < 0 ||
		    (strcmp(plain, table) == 0 && add(names, parent, err) < 0))
			return -1;
	}
	return 0;
}

/* All partitions below those that are there, and below these. */
static int add_partitions(const struct pgdump_entry *e, size_t count, struct strlist *names,
			  struct err *err)
{
	size_t before;
	do {
		before = names->count;
		for (size_t i = 0; i < count; i++) {
			struct name parent, child;
			if (strcmp(e[i].desc, "TABLE ATTACH") == 0 &&
			    read_attach(&e[i], &parent, &child) && has(names, parent) &&
			    add(names, child, err) < 0)
				return -1;
		}
	} while (names->count > before);
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	int32_t left, right;
	memcpy(&left, a, sizeof left);
	memcpy(&right, b, sizeof right);
	return left < right ? -1 : left > right;
}

static int add_data(const struct pgdump_entry *e, size_t count, struct table_pick *p,
		    struct err *err)
{
	p->ids = mem_zalloc((count + 1) * sizeof *p->ids, "the entries of a table", err);
	if (p->ids == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct name target = copy_target(&e[i]);
		if (e[i].has_data && target.len > 0 && has(&p->names, target))
			p->ids[p->count++] = e[i].id;
	}
	qsort(p->ids, p->count, sizeof *p->ids, compare_ids);
	return 0;
}

int table_pick(const struct pgdump *dump, const char *table, struct table_pick *ret,
	       struct err *err)
{
	CLEANUP(table_pick_done) struct table_pick p = {.count = 0};
	size_t count;
	const struct pgdump_entry *e = pgdump_entries(dump, &count);
	if (add_asked(e, count, table, &p.names, err) < 0 ||
	    add_partitions(e, count, &p.names, err) < 0 || add_data(e, count, &p, err) < 0)
		return -1;
	*ret = p;
	p = (struct table_pick){.count = 0};
	return 0;
}

void table_pick_done(struct table_pick *p)
{
	strlist_done(&p->names);
	strlist_done(&p->indexes);
	free(p->ids);
	*p = (struct table_pick){.count = 0};
}

/* "CREATE INDEX i ON [ONLY] t …", "ALTER TABLE [ONLY] t ADD CONSTRAINT i …". */
static bool read_index(const struct pgdump_entry *e, struct name *table, struct name *index)
{
	const char *sql;
	if (strcmp(e->desc, "INDEX") == 0) {
		sql = after(after_maybe(after(e->definition, "CREATE "), "UNIQUE "), "INDEX ");
		if (sql == NULL)
			return false;
		*index = read_name(sql);
		sql = after(sql + index->len, " ON ");
		if (sql != NULL)
			*table = read_name(after_maybe(sql, "ONLY "));
		return sql != NULL;
	}
	sql = strcmp(e->desc, "CONSTRAINT") == 0
		  ? after_maybe(after(e->definition, "ALTER TABLE "), "ONLY ")
		  : NULL;
	if (sql == NULL)
		return false;
	*table = read_name(sql);
	sql += table->len;
	sql = after(sql + strspn(sql, " \n"), "ADD CONSTRAINT ");
	if (sql != NULL)
		*index = read_name(sql);
	return sql != NULL;
}

/* Indexes are named without a schema where they are made: it is that of their table. */
static int remember(struct table_pick *p, struct name table, struct name index, struct err *err)
{
	const char *schema_end = skip_ident(table.text);
	size_t schema = schema_end != NULL ? (size_t)(schema_end - table.text) : 0;
	return strlist_pushf(&p->indexes, err, "%.*s.%.*s", (int)schema, table.text, (int)index.len,
			     index.text);
}

int table_pick_is_ours(struct table_pick *p, const struct pgdump_entry *e, bool *ret,
		       struct err *err)
{
	struct name table = {0}, index = {0}, parent, child;
	*ret = false;
	if (read_index(e, &table, &index)) {
		*ret = has(&p->names, table);
		return *ret ? remember(p, table, index, err) : 0;
	}
	if (strcmp(e->desc, "INDEX ATTACH") == 0 && read_attach(e, &parent, &child))
		*ret = has(&p->indexes, parent) && has(&p->indexes, child);
	return 0;
}
