#include "agent/output/format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char *const size_units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
enum { SIZE_UNITS = sizeof size_units / sizeof size_units[0] };

char *format_size(uint64_t bytes, char out[FORMAT_BYTES])
{
	double n = (double)bytes;
	size_t unit = 0;
	/* What would round up to 1024.0 belongs to the next unit. */
	while (n >= (unit == 0 ? 1024 : 1023.95) && unit + 1 < SIZE_UNITS) {
		n /= 1024;
		unit++;
	}
	snprintf(out, FORMAT_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", n, size_units[unit]);
	return out;
}

char *format_exact_size(uint64_t bytes, char out[FORMAT_BYTES])
{
	size_t unit = 0;
	while (bytes > 0 && bytes % 1024 == 0 && unit + 1 < SIZE_UNITS) {
		bytes /= 1024;
		unit++;
	}
	snprintf(out, FORMAT_BYTES, "%" PRIu64 " %s", bytes, size_units[unit]);
	return out;
}

char *format_count(uint64_t n, char out[FORMAT_BYTES])
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, n), used = 0;
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
	return out;
}

char *format_duration(int64_t ms, char out[FORMAT_BYTES])
{
	int64_t s = ms / 1000;
	if (ms < 0)
		snprintf(out, FORMAT_BYTES, "0 ms");
	else if (ms < 1000)
		snprintf(out, FORMAT_BYTES, "%" PRId64 " ms", ms);
	else if (ms < 60000)
		snprintf(out, FORMAT_BYTES, "%" PRId64 ".%" PRId64 " s", s, ms % 1000 / 100);
	else if (s < 3600)
		snprintf(out, FORMAT_BYTES, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, FORMAT_BYTES, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
	else
		snprintf(out, FORMAT_BYTES, "%" PRId64 " d %" PRId64 " h", s / 86400,
			 s / 3600 % 24);
	return out;
}

char *format_age(int64_t ms, char out[FORMAT_BYTES])
{
	int64_t minutes = ms / 60000;
	/* Clocks of two machines differ by seconds: that is no future. */
	if (ms < -60000)
		snprintf(out, FORMAT_BYTES, "in the future");
	else if (minutes < 1)
		snprintf(out, FORMAT_BYTES, "just now");
	else if (minutes < 120)
		snprintf(out, FORMAT_BYTES, "%" PRId64 " min ago", minutes);
	else if (minutes < 48 * 60)
		snprintf(out, FORMAT_BYTES, "%" PRId64 " h ago", minutes / 60);
	else
		snprintf(out, FORMAT_BYTES, "%" PRId64 " d ago", minutes / 1440);
	return out;
}

char *format_time(int64_t wall_ms, char out[FORMAT_BYTES])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	if (localtime_r(&seconds, &tm) == NULL ||
	    strftime(out, FORMAT_BYTES, "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(out, FORMAT_BYTES, "?");
	return out;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* A whole number and a unit of the table into *ret; false when it is neither or too much. */
static bool parse_scaled(const char *text, const struct unit *units, uint64_t max, uint64_t *ret)
{
	if (*text < '0' || *text > '9')
		return false;
	char *rest;
	errno = 0;
	unsigned long long n = strtoull(text, &rest, 10);
	if (errno != 0)
		return false;
	rest += strspn(rest, " ");
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strcasecmp(rest, u->name) != 0)
			continue;
		if (n > max / u->factor)
			return false;
		*ret = n * u->factor;
		return true;
	}
	return false;
}

int format_parse_duration(const char *text, int64_t *ret_ms, struct err *err)
{
	static const struct unit units[] = {
	    {"", 1000},     {"ms", 1},       {"s", 1000},      {"min", 60000}, {"m", 60000},
	    {"h", 3600000}, {"d", 86400000}, {"w", 604800000}, {NULL, 0},
	};
	uint64_t ms;
	if (!parse_scaled(text, units, INT64_MAX / 1000, &ms)) {
		err_set(err, ERR_CONFIG, "'%s' is not a duration", text);
		return err_hint(err, "write seconds, or a number with ms, s, m, h, d or w: 20, 5m");
	}
	*ret_ms = (int64_t)ms;
	return 0;
}

int format_parse_size(const char *text, uint64_t *ret_bytes, struct err *err)
{
	static const struct unit units[] = {
	    {"", 1},
	    {"B", 1},
	    {"K", 1ULL << 10},
	    {"KiB", 1ULL << 10},
	    {"KB", 1000},
	    {"M", 1ULL << 20},
	    {"MiB", 1ULL << 20},
	    {"MB", 1000000},
	    {"G", 1ULL << 30},
	    {"GiB", 1ULL << 30},
	    {"GB", 1000000000},
	    {"T", 1ULL << 40},
	    {"TiB", 1ULL << 40},
	    {"TB", 1000000000000},
	    {NULL, 0},
	};
	if (!parse_scaled(text, units, UINT64_MAX, ret_bytes)) {
		err_set(err, ERR_CONFIG, "'%s' is not a size", text);
		return err_hint(err, "write bytes, or a number with KiB, MiB or GiB: 8MiB");
	}
	return 0;
}
