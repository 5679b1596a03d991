/* The report of a proof as people read it, and as the error that a command ends with. */
#ifndef LIFEBOAT_AGENT_PROOF_TEXT_H
#define LIFEBOAT_AGENT_PROOF_TEXT_H

#include "agent/output/output.h"
#include "restore/report.h"

/* "proof: passed: 61 comparisons in 310 ms", and each difference. */
void proof_text_say(struct output *out, enum outcome outcome, const json_t *report,
		    int64_t took_ms);
/* 0 when it passed; ERR_FAILED or ERR_UNVERIFIED with the first difference or unknown. */
int proof_text_error(enum outcome outcome, const json_t *report, struct err *err) MUST_USE;
/* Why a new sidecar is suspicious, and what to do about it; nothing where it is not. */
void proof_text_suspicion(struct output *out, const json_t *sidecar);

#endif
