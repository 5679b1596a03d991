#include "stack/redis/redis_conf.h"

#include <string.h>
#include <strings.h>
#include "base/buf.h"

int redis_conf_include(const char *line, char **ret, struct err *err)
{
	static const char name[] = "include";
	static const char blank[] = " \t\r";
	const char *p = line + strspn(line, blank), *end = line + strcspn(line, "\n");
	*ret = NULL;
	if (strncasecmp(p, name, sizeof name - 1) != 0)
		return 0;
	p += sizeof name - 1;
	const char *value = p + strspn(p, blank);
	if (value == p || value >= end)
		return 0;
	while (end > value && strchr(blank, end[-1]) != NULL)
		end--;
	bool quoted = end - value >= 2 && (*value == '"' || *value == '\'') && end[-1] == *value;
	return str_dupn(value + quoted, (size_t)(end - value) - (quoted ? 2 : 0), ret, err);
}
