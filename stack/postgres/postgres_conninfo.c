#include <stdlib.h>
#include <string.h>
#include "stack/postgres/postgres_impl.h"

int pg_conninfo_put(struct buf *b, const char *keyword, const char *value, struct err *err)
{
	if (buf_printf(b, err, "%s='", keyword) < 0)
		return -1;
	for (const char *p = value; *p != '\0'; p++)
		if (buf_printf(b, err, "%s%c", *p == '\'' || *p == '\\' ? "\\" : "", *p) < 0)
			return -1;
	return buf_puts(b, "' ", err);
}

int pg_conninfo_dbname(const char *dbname, char **ret, struct err *err)
{
	struct buf b;
	buf_init(&b, 4096);
	if (pg_conninfo_put(&b, "dbname", dbname, err) < 0 || buf_take(&b, ret, err) < 0) {
		buf_done(&b);
		return -1;
	}
	return 0;
}

int pg_url_host(const char *url, char **ret, struct err *err)
{
	CLEANUP(pg_url_freep) PQconninfoOption *options = NULL;
	if (pg_url_parse(url, &options, err) < 0)
		return -1;
	const char *host = pg_url_get(options, "host");
	if (host != NULL && host[0] != '/' && host[0] != '@')
		return str_dup(host, ret, err);
	*ret = NULL;
	return 0;
}

int pg_url_at(const char *url, const char *address, char **ret, struct err *err)
{
	CLEANUP(pg_url_freep) PQconninfoOption *options = NULL;
	struct buf b;
	if (pg_url_parse(url, &options, err) < 0)
		return -1;
	buf_init(&b, 1 << 20);
	int rc = pg_conninfo_put(&b, "hostaddr", address, err);
	for (const PQconninfoOption *o = options; rc == 0 && o->keyword != NULL; o++)
		if (o->val != NULL && o->val[0] != '\0' && strcmp(o->keyword, "hostaddr") != 0)
			rc = pg_conninfo_put(&b, o->keyword, o->val, err);
	if (rc == 0)
		rc = buf_take(&b, ret, err);
	if (rc < 0 && b.data != NULL)
		explicit_bzero(b.data, b.len);
	if (rc < 0)
		buf_done(&b);
	return rc;
}
