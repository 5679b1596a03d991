/* One backup's archive read back, encrypted or not. */
#ifndef LIFEBOAT_AGENT_VERIFY_H
#define LIFEBOAT_AGENT_VERIFY_H

#include "agent/job.h"
#include "storage/archive/reader.h"

/* Every byte and every hash. Of an encrypted archive that no identity fits: what is stored against
 * the sidecar's SHA-256; where that is right it is ERR_UNVERIFIED, and says what was not looked at.
 * *ret_rebuilt: its index was damaged and is told anew. `ret` is set also then. */
int verify_backup(struct job *j, const struct backup *b, const struct reader_watch *w,
		  struct reader_report *ret, bool *ret_rebuilt, struct err *err) MUST_USE;

#endif
