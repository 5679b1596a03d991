#include "agent/verified_text.h"

#include <stdio.h>
#include "base/clock.h"

char *verified_text(const struct backup *b, char out[FORMAT_BYTES])
{
	if (b->damaged)
		snprintf(out, FORMAT_BYTES, "damaged");
	else if (b->verified == PROOF_PASSED)
		format_age(clock_wall_ms() - b->verified_ms, out);
	else
		snprintf(out, FORMAT_BYTES, "never");
	return out;
}

int verified_json(const struct backup *b, json_t *j, struct err *err)
{
	int64_t age_ms = clock_wall_ms() - b->verified_ms;
	if (json_put(j, "verified", json_string(proof_name(b->verified)), err) < 0 ||
	    json_put(j, "verified_age_ms",
		     b->verified_ms > 0 ? json_integer((json_int_t)age_ms) : json_null(), err) < 0)
		return -1;
	return json_put(j, "damaged", json_boolean(b->damaged), err);
}
