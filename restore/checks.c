/* The user's own SQL on the sandbox: one value, compared with what was expected. */
#include <stdlib.h>
#include "restore/sandbox.h"

static int run_check(struct sandbox *sb, const json_t *section, const struct restore_check *c,
		     struct report *r, struct err *err)
{
	CLEANUP(freep) char *url = NULL, *where = NULL, *found = NULL;
	CLEANUP(pg_freep) struct pg *pg = NULL;
	struct err why = ERR_INIT;
	if (str_printf(&where, err, "check '%s'", c->label) < 0 ||
	    load_postgres_url(sb, section, &url, err) < 0)
		return -1;
	/* The user's SQL runs with the database's own settings, not with those of a dump. */
	struct pg_opts opts = {.url = url, .connect_timeout_ms = 20000, .plain = true};
	if (pg_connect(&opts, c->database, &pg, &why) < 0 || pg_value(pg, c->sql, &found, &why) < 0)
		return report_compare(r, "check", where, "answer", c->expect, why.msg, err);
	return report_compare(r, "check", where, "answer", c->expect, found, err);
}

int prove_checks(struct sandbox *sb, struct report *r, struct err *err)
{
	const json_t *section =
	    json_object_get(json_object_get(sb->manifest, "components"), "postgres");
	/* Of one table alone, the others are empty: the user's questions don't fit. */
	if (sb->job->table != NULL)
		return 0;
	for (size_t i = 0; i < sb->job->check_count; i++) {
		const struct restore_check *c = &sb->job->checks[i];
		if (sb->postgres == NULL || !restore_wants_database(sb, c->database))
			continue;
		if (run_check(sb, section, c, r, err) < 0)
			return -1;
	}
	return 0;
}
