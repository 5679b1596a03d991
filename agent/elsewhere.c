#include "agent/elsewhere.h"

#include <stdlib.h>
#include <string.h>
#include "agent/config/config_store.h"
#include "base/log.h"
#include "storage/decisions.h"
#include "storage/sidecar.h"

void elsewhere_done(struct elsewhere *e)
{
	for (size_t i = 0; e->stores != NULL && i < e->app->config->store_count; i++)
		store_free(e->stores[i]);
	free(e->stores);
	free(e->silent);
}

static int begin(struct elsewhere *e, struct err *err)
{
	size_t count = e->app->config->store_count + 1;
	if (e->stores == NULL)
		e->stores = mem_zalloc(count * sizeof(struct store *), "stores", err);
	if (e->stores != NULL && e->silent == NULL)
		e->silent = mem_zalloc(count * sizeof *e->silent, "stores", err);
	return e->stores != NULL && e->silent != NULL ? 0 : -1;
}

/* *ret: would it stay pinned, by what the sidecar over there says? */
static int ask(struct elsewhere *e, size_t i, const struct backup *b, bool *ret, struct err *err)
{
	CLEANUP(json_freep) json_t *theirs = NULL;
	struct sidecar side;
	*ret = false;
	if (e->stores[i] == NULL &&
	    config_store_open(&e->app->config->stores[i], &e->stores[i], err) < 0)
		return -1;
	if (sidecar_load(e->stores[i], b->sidecar, &theirs, &side, err) < 0)
		return -1;
	return strcmp(side.sha256, b->sha256) != 0
		   ? 0
		   : decisions_is_pinned(b->sidecar_json, theirs, ret, err);
}

int elsewhere_is_pinned(struct elsewhere *e, const struct backup *b, const char **ret,
			struct err *err)
{
	const struct config *c = e->app->config;
	*ret = NULL;
	if (begin(e, err) < 0)
		return -1;
	for (size_t i = 0; i < c->store_count && *ret == NULL; i++) {
		struct err why = ERR_INIT;
		bool pinned = false;
		if (&c->stores[i] == e->but || e->silent[i])
			continue;
		if (ask(e, i, b, &pinned, &why) == 0) {
			*ret = pinned ? c->stores[i].label : NULL;
			continue;
		}
		if (why.code == ERR_CANCELLED || why.code == ERR_NOMEM) {
			*err = why;
			return -1;
		}
		/* Of one object nothing follows for the others; who does not answer is not waited
		 * for again. */
		e->silent[i] =
		    e->stores[i] == NULL || why.code == ERR_UNREACHABLE || why.code == ERR_TIMEOUT;
		log_debug("%s", why.msg);
	}
	return 0;
}
