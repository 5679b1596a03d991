#include "stack/engine/engine_promote.h"

#include "stack/engine/engine_kind.h"

static int not_here(struct err *err)
{
	err_set(err, ERR_CONFIG, "this engine can't promote: it does not run production's servers");
	return err_hint(err, "Stop the servers, swap the folders of production's volumes and the "
			     "restored ones by hand, and start the servers.");
}

int engine_promotion_sources(struct engine *e, json_t **ret, struct err *err)
{
	if (e->ops->promote == NULL)
		return not_here(err);
	return e->ops->promote->sources(e, ret, err);
}

int engine_promotion_plan(struct engine *e, const struct promotion_spec *spec, json_t **ret,
			  struct err *err)
{
	if (e->ops->promote == NULL)
		return not_here(err);
	return e->ops->promote->plan(e, spec, ret, err);
}

int engine_promotion(struct engine *e, enum promotion_step step, const json_t *plan,
		     struct err *err)
{
	if (e->ops->promote == NULL)
		return not_here(err);
	return e->ops->promote->step(e, step, plan, err);
}

int engine_promotion_sweep(struct engine *e, bool dry_run, struct strlist *ret, struct err *err)
{
	return e->ops->promote != NULL ? e->ops->promote->sweep(e, dry_run, ret, err) : 0;
}

int engine_promotion_prune(struct engine *e, size_t keep, bool dry_run, struct strlist *ret,
			   struct err *err)
{
	if (e->ops->promote == NULL)
		return 0; /* it never left anything */
	return e->ops->promote->prune(e, keep, dry_run, ret, err);
}
