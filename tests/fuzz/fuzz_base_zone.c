/* Time zone files and rules from anywhere: no crash, and offsets that a clock can have. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/zone.h"
#include "base/zone_rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t moments[] = {INT64_C(-99999999999), -1, 0, INT64_C(1795399200),
				  INT64_C(99999999999)};
enum { MOMENTS = sizeof moments / sizeof *moments, MOST_S = 26 * 3600 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(zone_freep) struct zone *z = NULL;
	if (zone_parse(data, size, &z, &err) == 0) {
		for (size_t i = 0; i < MOMENTS; i++) {
			int64_t offset = zone_offset_s(z, moments[i]);
			assert(offset >= -MOST_S && offset <= MOST_S);
		}
	} else {
		assert(err.code == ERR_CORRUPT && err.msg[0] != '\0');
	}
	CLEANUP(freep) char *text = NULL;
	struct zone_rule rule;
	if (str_dupn((const char *)data, size, &text, &err) == 0 &&
	    zone_rule_parse(text, &rule, &err) == 0)
		for (size_t i = 0; i < MOMENTS; i++) {
			int64_t offset = zone_rule_offset_s(&rule, moments[i]);
			assert(offset == rule.standard_s ||
			       (rule.has_summer && offset == rule.summer_s));
		}
	return 0;
}
