/* Any text is a schedule or is refused with a reason; one that is taken goes on for ever, forwards,
 * and every moment that it names is one that matches. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "agent/config/cron.h"
#include "base/civil.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia",
				    "Africa/Casablanca"};
enum { ZONES = sizeof names / sizeof *names };

/* What cron_parse promises of its bits. */
static void check_fields(const struct cron *c)
{
	assert(c->minutes != 0 && c->minutes >> 60 == 0);
	assert(c->hours != 0 && c->hours >> 24 == 0);
	assert(c->days != 0 && (c->days & 1) == 0);
	assert(c->months != 0 && (c->months & 1) == 0 && c->months >> 13 == 0);
	assert(c->weekdays != 0 && c->weekdays >> 7 == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct zone *zones[ZONES];
	struct err err = ERR_INIT;
	struct cron c;
	char text[300];
	int64_t t = 0;
	if (size < 9 || size - 9 >= sizeof text)
		return 0;
	for (size_t i = 0; i < 8; i++)
		t = (int64_t)((uint64_t)t << 8 | data[i]);
	struct zone **z = &zones[data[8] % ZONES];
	if (*z == NULL && zone_load(names[data[8] % ZONES], z, &err) < 0)
		return 0;
	memcpy(text, data + 9, size - 9);
	text[size - 9] = '\0';
	if (cron_parse(text, &c, &err) < 0) {
		assert(err.code == ERR_CONFIG && err.msg[0] != '\0');
		return 0;
	}
	check_fields(&c);
	t %= INT64_C(8000000000); /* 1716 to 2223 */
	for (int i = 0; i < 20; i++) {
		int64_t next = cron_next(&c, *z, t);
		assert(next > t && next < t + INT64_C(45) * 366 * 86400);
		int64_t local = next + zone_offset_s(*z, next);
		int64_t minute = civil_floor_div(local, 60);
		/* Right after a gap the clock shows what was not asked for. */
		if (c.follows_elapsed) {
			int64_t in_day = minute - civil_floor_div(minute, 1440) * 1440;
			assert(local == minute * 60);
			assert((c.hours >> (in_day / 60) & 1) != 0);
			assert((c.minutes >> (in_day % 60) & 1) != 0);
		}
		t = next;
	}
	return 0;
}
