/* Changing the sidecar of a backup: in every store that has it. */
#ifndef LIFEBOAT_AGENT_SIDECARS_H
#define LIFEBOAT_AGENT_SIDECARS_H

#include "agent/app.h"

struct sidecar_change {
	/* Changes `sidecar` and says whether it did. What people hear is whether it is pinned or
	 * suspicious now where it was not, or the other way round. */
	int (*change)(void *ctx, json_t *sidecar, bool *ret_changed, struct err *err);
	void *ctx;
	const char *only; /* the label of a store; NULL: every store */
};

/* `id` is whole. The lock of each store is held meanwhile. Stores without that backup are passed
 * over; one that fails stops no other and makes the error. *ret: an array of {"store", "changed",
 * "error"} of the stores that have it, or failed; set also on failure. */
int sidecars_change(struct app *app, const char *id, const struct sidecar_change *change,
		    json_t **ret, struct err *err) MUST_USE;

#endif
