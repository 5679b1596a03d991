/* Which server loads which dump. Tried with Redis 6.0, 7.0, 8.0 and Valkey 8.1, 9.1; the other
 * first versions are those whose release raised RDB_VERSION in src/rdb.h. */
#include "stack/redis/rdb.h"

#include <stdlib.h>
#include <string.h>

struct version {
	unsigned major, minor;
};

struct rule {
	unsigned rdb;         /* the greatest RDB version this rule is for */
	struct version redis; /* the first Redis that loads it */
	bool valkey;          /* every Valkey does */
	const char *refusal;
};

static const struct rule rules[] = {
    {6, {2, 6}, true, "RDB versions 5 and 6 need Redis 2.6 or newer, or Valkey"},
    {7, {3, 2}, true, "RDB version 7 needs Redis 3.2 or newer, or Valkey"},
    {8, {4, 0}, true, "RDB version 8 needs Redis 4.0 or newer, or Valkey"},
    {9, {5, 0}, true, "RDB version 9 needs Redis 5.0 or newer, or Valkey"},
    {10, {7, 0}, true, "RDB version 10 needs Redis 7.0 or newer, or Valkey"},
    {11, {7, 2}, true, "RDB version 11 needs Redis 7.2 or newer, or Valkey"},
    {12, {7, 4}, false, "RDB version 12 needs Redis 7.4 or newer, and no Valkey loads it"},
    {13, {8, 6}, false, "RDB version 13 needs Redis 8.6 or newer, and no Valkey loads it"},
    {14, {8, 8}, false, "RDB version 14 needs Redis 8.8 or newer, and no Valkey loads it"},
};

static struct version parse_version(const char *text)
{
	char *end;
	unsigned long major = strtoul(text, &end, 10);
	unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	return (struct version){(unsigned)major, (unsigned)minor};
}

static bool at_least(struct version v, struct version first)
{
	return v.major > first.major || (v.major == first.major && v.minor >= first.minor);
}

const char *rdb_load_refusal(const char *magic, const char *server_version, bool is_valkey)
{
	struct version server = parse_version(server_version);
	if (strncmp(magic, "VALKEY", 6) == 0) {
		if (!is_valkey)
			return "a dump of Valkey 9 or newer can't be loaded by Redis";
		return at_least(server, (struct version){9, 0})
			   ? NULL
			   : "a dump in Valkey's own format needs Valkey 9.0 or newer";
	}
	unsigned long rdb = strncmp(magic, "REDIS", 5) == 0 ? strtoul(magic + 5, NULL, 10) : 0;
	if (rdb == 0)
		return "this is no dump of Redis or Valkey";
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		if (rdb > rules[i].rdb)
			continue;
		bool loads = is_valkey ? rules[i].valkey : at_least(server, rules[i].redis);
		return loads ? NULL : rules[i].refusal;
	}
	/* Newer than anything listed: whoever wrote it is the one to ask, and it is a Redis. */
	return is_valkey ? "a dump of Redis 8.6 or newer can't be loaded by Valkey" : NULL;
}
