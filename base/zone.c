#include "base/zone.h"

#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/zone_rule.h"

static const char zone_folder[] = "/usr/share/zoneinfo";
enum {
	FILE_MAX_BYTES = 1 << 20,
	NAME_MAX_BYTES = 100,
	HEADER_BYTES = 44,
	OFFSET_MAX_S = 26 * 3600, /* RFC 9636, 3.2 */
};

struct zone {
	/* changes[i] happens at times[i]; from then on offsets[i] holds. */
	int64_t *times;
	int32_t *offsets;
	size_t count;
	int32_t first_s; /* before the first change */
	bool has_rule;   /* after the last one */
	struct zone_rule rule;
};

void zone_free(struct zone *z)
{
	if (z == NULL)
		return;
	free(z->times);
	free(z->offsets);
	free(z);
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t get_time(const uint8_t *p, size_t bytes)
{
	if (bytes == 4)
		return (int32_t)get_u32(p);
	return (int64_t)((uint64_t)get_u32(p) << 32 | get_u32(p + 4));
}

/* One data block: header and what follows it. */
struct block {
	uint8_t version;
	size_t changes, types;
	const uint8_t *times, *indexes, *type_records;
	const uint8_t *end;
};

static int corrupt(struct err *err, const char *what)
{
	return err_set(err, ERR_CORRUPT, "not a time zone file: %s", what);
}

static int read_block(const uint8_t *data, size_t len, size_t time_bytes, struct block *ret,
		      struct err *err)
{
	if (len < HEADER_BYTES || memcmp(data, "TZif", 4) != 0)
		return corrupt(err, "its beginning");
	/* Counts of at most 2^32 each: the sum can't overflow 64 bits. */
	uint64_t is_ut = get_u32(data + 20), is_std = get_u32(data + 24),
		 leaps = get_u32(data + 28);
	uint64_t changes = get_u32(data + 32), types = get_u32(data + 36),
		 chars = get_u32(data + 40);
	uint64_t bytes = changes * time_bytes + changes + types * 6 + chars +
			 leaps * (time_bytes + 4) + is_std + is_ut;
	if (bytes > len - HEADER_BYTES)
		return corrupt(err, "it ends too early");
	if (types == 0)
		return corrupt(err, "it has no offsets");
	struct block b = {.version = data[4],
			  .changes = (size_t)changes,
			  .types = (size_t)types,
			  .times = data + HEADER_BYTES,
			  .end = data + HEADER_BYTES + bytes};
	b.indexes = b.times + changes * time_bytes;
	b.type_records = b.indexes + changes;
	*ret = b;
	return 0;
}

static int get_offset(const struct block *b, size_t type, int32_t *ret, struct err *err)
{
	if (type >= b->types)
		return corrupt(err, "an offset that it does not have");
	int32_t offset = (int32_t)get_u32(b->type_records + type * 6);
	if (offset < -OFFSET_MAX_S || offset > OFFSET_MAX_S)
		return corrupt(err, "an offset of more than 26 hours");
	*ret = offset;
	return 0;
}

static int read_changes(struct zone *z, const struct block *b, size_t time_bytes, struct err *err)
{
	z->times = mem_zalloc(b->changes * sizeof *z->times, "a time zone", err);
	if (z->times == NULL)
		return -1;
	z->offsets = mem_zalloc(b->changes * sizeof *z->offsets, "a time zone", err);
	if (z->offsets == NULL || get_offset(b, 0, &z->first_s, err) < 0)
		return -1;
	for (size_t i = 0; i < b->changes; i++) {
		z->times[i] = get_time(b->times + i * time_bytes, time_bytes);
		if (i > 0 && z->times[i] <= z->times[i - 1])
			return corrupt(err, "its times are out of order");
		if (get_offset(b, b->indexes[i], &z->offsets[i], err) < 0)
			return -1;
	}
	z->count = b->changes;
	return 0;
}

/* "\n<rule>\n" at the end; an empty rule is none. */
static int read_footer(struct zone *z, const uint8_t *footer, size_t len, struct err *err)
{
	char rule[128];
	if (len < 2 || footer[0] != '\n')
		return corrupt(err, "its end");
	const uint8_t *end = memchr(footer + 1, '\n', len - 1);
	size_t rule_len = end != NULL ? (size_t)(end - footer) - 1 : SIZE_MAX;
	if (rule_len >= sizeof rule)
		return corrupt(err, "its end");
	memcpy(rule, footer + 1, rule_len);
	rule[rule_len] = '\0';
	z->has_rule = rule_len > 0;
	return z->has_rule ? zone_rule_parse(rule, &z->rule, err) : 0;
}

int zone_parse(const void *data, size_t len, struct zone **ret, struct err *err)
{
	CLEANUP(zone_freep) struct zone *z = mem_zalloc(sizeof *z, "a time zone", err);
	struct block b;
	const uint8_t *p = data;
	if (z == NULL || read_block(p, len, 4, &b, err) < 0)
		return -1;
	size_t time_bytes = 4;
	if (b.version != 0) {
		/* The first block is for readers of 32 bits; the second has it all. */
		size_t first = (size_t)(b.end - p);
		time_bytes = 8;
		if (read_block(p + first, len - first, 8, &b, err) < 0 ||
		    read_footer(z, b.end, len - (size_t)(b.end - p), err) < 0)
			return -1;
	}
	if (read_changes(z, &b, time_bytes, err) < 0)
		return -1;
	*ret = z;
	z = NULL;
	return 0;
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len <= NAME_MAX_BYTES && name[0] != '/' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") ==
		   len;
}

static int unknown(const char *name, struct err *err)
{
	if (!file_exists(zone_folder)) {
		err_set(err, ERR_CONFIG, "time zone '%.100s': '%s' does not exist", name,
			zone_folder);
		return err_hint(err, "Install the package 'tzdata', or use UTC.");
	}
	err_set(err, ERR_CONFIG, "'%.100s' is not a time zone", name);
	return err_hint(err, "'timedatectl list-timezones' lists them: Europe/Berlin, UTC, …");
}

int zone_load(const char *name, struct zone **ret, struct err *err)
{
	if (name == NULL || strcmp(name, "UTC") == 0) {
		struct zone *utc = mem_zalloc(sizeof *utc, "a time zone", err);
		if (utc == NULL)
			return -1;
		*ret = utc;
		return 0;
	}
	CLEANUP(freep) char *path = NULL;
	CLEANUP(buf_done) struct buf data;
	buf_init(&data, FILE_MAX_BYTES);
	if (!is_name(name))
		return unknown(name, err);
	if (str_printf(&path, err, "%s/%s", zone_folder, name) < 0)
		return -1;
	if (file_read_all(path, &data, err) < 0) {
		if (err->code == ERR_NOMEM)
			return -1;
		return unknown(name, err);
	}
	if (zone_parse(data.data, data.len, ret, err) < 0) {
		if (err->code == ERR_CORRUPT)
			err->code = ERR_CONFIG;
		return err_wrap(err, "time zone '%s'", name);
	}
	return 0;
}

int64_t zone_offset_s(const struct zone *z, int64_t unix_s)
{
	if (z->has_rule && (z->count == 0 || unix_s >= z->times[z->count - 1]))
		return zone_rule_offset_s(&z->rule, unix_s);
	/* The last change that is not later. */
	size_t low = 0, high = z->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (z->times[middle] <= unix_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? z->offsets[low - 1] : z->first_s;
}
