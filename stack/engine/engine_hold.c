#include "stack/engine/engine_hold.h"

#include "base/clock.h"
#include "base/log.h"
#include "stack/engine/engine_kind.h"

int engine_service_hold(struct engine *e, const char *service, enum hold_how how, struct hold **ret,
			struct err *err)
{
	if (e->ops->hold == NULL) {
		err_set(err, ERR_CONFIG, "service '%s' can't be held still: this engine has none",
			service);
		return err_hint(err, "Leave out pause and stop of [volume], or set [stack] engine "
				     "to docker.");
	}
	return e->ops->hold(e, service, how, ret, err);
}

int hold_release(struct hold *h, struct err *err)
{
	/* Also for a cancelled job: production must go on. */
	cancel_hold();
	int rc = h->ops->release(h, err);
	cancel_release();
	return rc;
}

void hold_free(struct hold *h)
{
	struct err why = ERR_INIT;
	if (h == NULL)
		return;
	if (hold_release(h, &why) < 0)
		log_debug("a service that was held: %s", why.msg);
	h->ops->free(h);
}
