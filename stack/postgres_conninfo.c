#include "stack/postgres.h"

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
