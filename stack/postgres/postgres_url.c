/* Connection strings, as libpq reads them. */
#include <string.h>
#include "stack/postgres/postgres_impl.h"

/* What libpq says of a string that it can't parse may quote a piece of it, and that piece may be
 * the password: only the names of options are repeated. */
static int refuse_url(const char *why, struct err *err)
{
	static const char *const safe[] = {"invalid connection option \"",
					   "invalid URI query parameter: \""};
	for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
		if (strncmp(why, safe[i], strlen(safe[i])) == 0)
			return err_set(err, ERR_CONFIG, "the url of PostgreSQL is wrong: %.*s",
				       (int)strcspn(why, "\n"), why);
	if (strstr(why, "percent-encoded") != NULL) {
		err_set(err, ERR_CONFIG,
			"the url of PostgreSQL is wrong: '%%' without two hexadecimal digits");
		return err_hint(err, "Write a '%%' of the password as '%%25'.");
	}
	err_set(err, ERR_CONFIG, "the url of PostgreSQL is wrong: %.*s", (int)strcspn(why, "\"\n"),
		why);
	return err_hint(err, "It looks like postgresql://user:password@host:5432/database, with "
			     "special characters of the password percent-encoded.");
}

int pg_url_parse(const char *url, PQconninfoOption **ret, struct err *err)
{
	if (url == NULL || url[0] == '\0')
		return err_set(err, ERR_CONFIG, "the url of PostgreSQL is empty");
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &why);
	if (options == NULL) {
		if (why == NULL)
			return err_nomem(err, "a connection string");
		refuse_url(why, err);
		explicit_bzero(why, strlen(why));
		PQfreemem(why);
		return -1;
	}
	/* A host that begins with '@' is an abstract socket; a path may hold one. */
	const char *host = pg_url_get(options, "host");
	if (host != NULL && host[0] != '/' && strchr(host + 1, '@') != NULL) {
		pg_url_freep(&options);
		err_set(err, ERR_CONFIG, "the url of PostgreSQL is wrong: '@' in its host");
		return err_hint(err, "Write a '@' of the password as '%%40'.");
	}
	*ret = options;
	return 0;
}

const char *pg_url_get(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val != NULL && options->val[0] != '\0' ? options->val
									       : NULL;
	return NULL;
}

void pg_url_freep(PQconninfoOption **options)
{
	if (*options == NULL)
		return;
	for (PQconninfoOption *o = *options; o->keyword != NULL; o++)
		if (o->val != NULL)
			explicit_bzero(o->val, strlen(o->val));
	PQconninfoFree(*options);
	*options = NULL;
}

size_t pg_url_items(const char *list)
{
	size_t n = 1;
	for (; list != NULL && *list != '\0'; list++)
		n += *list == ',';
	return n;
}

int pg_url_item(const char *list, size_t index, char **ret, struct err *err)
{
	const char *p = list;
	if (pg_url_items(list) == 1)
		index = 0;
	for (; index > 0 && p != NULL; index--) {
		p = strchr(p, ',');
		p = p != NULL ? p + 1 : NULL;
	}
	if (p == NULL)
		p = "";
	return str_dupn(p, strcspn(p, ","), ret, err);
}
