#include "agent/proof_text.h"

#include "agent/output/format.h"

enum { DIFFERENCES_SHOWN = 20 };

void proof_text_say(struct output *out, enum outcome outcome, const json_t *report, int64_t took_ms)
{
	static const char *const style[] = {[OUTCOME_PASSED] = STYLE_GOOD,
					    [OUTCOME_FAILED] = STYLE_BAD,
					    [OUTCOME_UNVERIFIED] = STYLE_WARN};
	char took[FORMAT_BYTES];
	size_t i;
	json_t *item, *differences = json_object_get(report, "differences");
	output_line(out, "proof: %s%s" STYLE_END ": %llu comparisons in %s", style[outcome],
		    outcome_name(outcome), (unsigned long long)json_u64_or(report, "compared", 0),
		    format_duration(took_ms, took));
	json_array_foreach(differences, i, item)
	{
		if (i == DIFFERENCES_SHOWN)
			break;
		output_line(out, "  %s: %s: %s expected, %s found", json_str_or(item, "where", "?"),
			    json_str_or(item, "what", "?"), json_str_or(item, "expected", "?"),
			    json_str_or(item, "found", "?"));
	}
	if (json_array_size(differences) > DIFFERENCES_SHOWN)
		output_line(out, "  and %zu more",
			    json_array_size(differences) - DIFFERENCES_SHOWN);
	json_array_foreach(json_object_get(report, "unknowns"), i, item)
	{
		output_line(out, "  %s: could not verify: %s", json_str_or(item, "where", "?"),
			    json_str_or(item, "why", "?"));
	}
	json_array_foreach(json_object_get(report, "notes"), i, item)
	{
		output_say(out, "  %s", json_string_value(item));
	}
}

int proof_text_error(enum outcome outcome, const json_t *report, struct err *err)
{
	const json_t *d = json_array_get(json_object_get(report, "differences"), 0);
	const json_t *u = json_array_get(json_object_get(report, "unknowns"), 0);
	if (outcome == OUTCOME_PASSED)
		return 0;
	if (outcome == OUTCOME_FAILED)
		return err_set(err, ERR_FAILED, "the proof failed: %s: %s: %s expected, %s found",
			       json_str_or(d, "where", "?"), json_str_or(d, "what", "?"),
			       json_str_or(d, "expected", "?"), json_str_or(d, "found", "?"));
	if (u == NULL)
		return err_set(err, ERR_UNVERIFIED, "could not verify: nothing was compared");
	return err_set(err, ERR_UNVERIFIED, "could not verify: %s: %s",
		       json_str_or(u, "where", "?"), json_str_or(u, "why", "?"));
}

void proof_text_suspicion(struct output *out, const json_t *sidecar)
{
	size_t i;
	json_t *line;
	json_array_foreach(json_object_get(sidecar, "suspicion"), i, line)
	{
		output_line(out, STYLE_WARN "warning" STYLE_END ": suspicious: %s",
			    json_string_value(line));
	}
	if (i > 0)
		output_line(out,
			    "  it takes no other backup's place; if it is right, say so with "
			    "`lifeboat trust %s`",
			    json_str_or(sidecar, "id", "?"));
}
