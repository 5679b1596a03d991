/* One backup's archive read back, encrypted or not. */
#ifndef LIFEBOAT_AGENT_VERIFY_H
#define LIFEBOAT_AGENT_VERIFY_H

#include "agent/damage.h"
#include "agent/job.h"
#include "storage/archive/reader.h"
#include "storage/verdict.h"

struct verifying {
	struct job *job;
	const struct backup *backup;
	enum verdict_kind
	    kind;           /* VERDICT_WHOLE or VERDICT_SAMPLE; VERDICT_STORED: it came to that */
	uint32_t share_ppm; /* of a sample */
	uint64_t seed;
	/* what came out */
	struct reader_report report;
	struct damage *damage; /* NULL: its manifest could not be read */
	bool rebuilt;          /* its index was damaged and is told anew */
};
void verifying_done(struct verifying *v);

/* Every byte and every hash, or a sample. Of an encrypted archive that no identity fits: what is
 * stored against the sidecar's SHA-256; where that is right it is ERR_UNVERIFIED, and says what was
 * not looked at. Of a backup that can't be used: why, and how far its archive goes. */
int verify_backup(struct verifying *v, struct err *err) MUST_USE;

#endif
