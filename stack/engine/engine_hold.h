/*
 * Holding a service of production still while its files are read. Always undone: by the release,
 * by freeing the hold, and where a run was killed by engine_sweep of the next one.
 *
 *  1. engine_service_hold     all its containers are paused, or stopped
 *  2. hold_release            they go on, or are started again; hold_free does the same and says
 *                             nothing
 */
#ifndef LIFEBOAT_STACK_ENGINE_ENGINE_HOLD_H
#define LIFEBOAT_STACK_ENGINE_ENGINE_HOLD_H

#include "stack/engine/engine.h"

enum hold_how {
	HOLD_PAUSE,
	HOLD_STOP,
	HOLD_NOTHING /* only asks whether it could be */
};

struct hold;
/* `service` as the stack calls it; of its containers those that run. ERR_ABSENT: there is no such
 * service; ERR_CONFIG: this engine has no services. On failure nothing stays held. */
int engine_service_hold(struct engine *e, const char *service, enum hold_how how, struct hold **ret,
			struct err *err) MUST_USE;
/* All that can go on does, whatever becomes of the others. A second call does nothing. */
int hold_release(struct hold *h, struct err *err) MUST_USE;
void hold_free(struct hold *h);
DEFINE_CLEANUP(struct hold, hold_free)

/* What a kind of engine embeds and implements. */
struct hold_ops {
	int (*release)(struct hold *h, struct err *err);
	void (*free)(struct hold *h);
};
struct hold {
	const struct hold_ops *ops;
};

#endif
