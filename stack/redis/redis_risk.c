/* What a save or a stream could do to the server now. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/redis/redis_door.h"

PRINTF_LIKE(3, 4)
static int set_risk(struct redisdoor *r, const char **ret, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(r->risk, sizeof r->risk, fmt, args);
	va_end(args);
	*ret = r->risk;
	return 0;
}

/* The old file stays until the new one is whole. True: says why it is too much. */
static bool lacks_room(struct redisdoor *r, const char *info, const char *dir, uint64_t free_bytes)
{
	uint64_t data = (uint64_t)redisdoor_field_number(info, "used_memory_dataset", 0);
	uint64_t need = data + data / 5;
	if (free_bytes >= need)
		return false;
	const char *text;
	set_risk(r, &text,
		 "%" PRIu64 " MiB are free under '%.200s', and a save may need %" PRIu64
		 " MiB beside the old file; a save that fails can make the server refuse writes",
		 free_bytes >> 20, dir, need >> 20);
	return true;
}

int redisdoor_stream_risk(struct redisdoor *r, uint64_t free_bytes, const char **ret,
			  struct err *err)
{
	CLEANUP(freep) char *diskless = NULL;
	CLEANUP(freep) char *dir = NULL;
	CLEANUP(freep) char *info = NULL;
	if (redisdoor_config(r, "repl-diskless-sync", &diskless, err) < 0 ||
	    redisdoor_config(r, "dir", &dir, err) < 0 ||
	    redisdoor_info_text(r, NULL, &info, err) < 0)
		return -1;
	/* Where CONFIG is forbidden, the default of the version. */
	bool to_disk =
	    diskless[0] != '\0' ? strcmp(diskless, "no") == 0 : strtoul(r->version, NULL, 10) < 7;
	*ret = to_disk && lacks_room(r, info, dir, free_bytes) ? r->risk : NULL;
	return 0;
}

int redisdoor_bgsave_risk(struct redisdoor *r, uint64_t free_bytes, const char **ret,
			  struct err *err)
{
	CLEANUP(freep) char *dir = NULL;
	CLEANUP(freep) char *info = NULL;
	char status[16];
	if (redisdoor_config(r, "dir", &dir, err) < 0 ||
	    redisdoor_info_text(r, NULL, &info, err) < 0)
		return -1;
	*ret = NULL;
	if (dir[0] == '\0')
		return set_risk(
		    r, ret,
		    "CONFIG GET dir is not allowed, so nobody knows where the file would be");
	if (redisdoor_field_number(info, "loading", 0) == 1)
		return set_risk(r, ret, "the server is still loading its data");
	if (redisdoor_field(info, "rdb_last_bgsave_status", status, sizeof status) &&
	    strcmp(status, "ok") != 0)
		return set_risk(r, ret, "the server's last save failed (rdb_last_bgsave_status:%s)",
				status);
	if (lacks_room(r, info, dir, free_bytes)) {
		*ret = r->risk;
		return 0;
	}
	/* While it saves, pages that are written are doubled. */
	uint64_t rss = (uint64_t)redisdoor_field_number(info, "used_memory_rss", 0);
	uint64_t memory = (uint64_t)redisdoor_field_number(info, "total_system_memory", 0);
	if (memory > 0 && rss > memory / 10 * 9)
		return set_risk(r, ret,
				"the server uses %" PRIu64 " of %" PRIu64
				" MiB of memory, and a save may need as much again",
				rss >> 20, memory >> 20);
	return 0;
}
