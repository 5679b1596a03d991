/* What production can move to, the steps of a promotion, and what old ones left. */
#include "stack/compose/engine_docker_promote.h"

#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "stack/compose/engine_docker_sweep.h"

/* ---- volumes ---- */

const char *promote_label(const json_t *thing, const char *name)
{
	return json_str_or(json_object_get(thing, "Labels"), name, "");
}

int promote_volumes(struct engine_docker *e, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *filters = NULL;
	CLEANUP(json_freep) json_t *answer = NULL;
	CLEANUP(freep) char *query = NULL, *stack = NULL;
	if (str_printf(&stack, err, LABEL_STACK "=%s", e->stack) < 0)
		return -1;
	filters = json_pack("{s:[s]}", "label", stack);
	if (filters == NULL)
		return err_nomem(err, "a list of volumes");
	if (docker_filters(filters, &query, err) < 0 ||
	    docker_get(e->d, &answer, err, "/volumes%s", query) < 0)
		return err_wrap(err, "list of volumes");
	json_t *list = json_object_get(answer, "Volumes");
	*ret = json_is_array(list) ? json_incref(list) : json_array();
	return *ret != NULL ? 0 : err_nomem(err, "a list of volumes");
}

int promote_find_volume(struct engine_docker *e, const char *name, json_t **ret, struct err *err)
{
	struct err why = ERR_INIT;
	*ret = NULL;
	if (docker_get(e->d, ret, &why, "/volumes/%s", name) == 0 || why.code == ERR_ABSENT)
		return 0;
	*err = why;
	return err_wrap(err, "volume '%s'", name);
}

int promote_labels(const struct engine_docker *e, const json_t *plan, const char *kind,
		   json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *labels = json_object();
	if (json_put(labels, LABEL_STACK, json_text_value(e->stack), err) < 0 ||
	    json_put(labels, LABEL_PROMOTION, json_string(plan_str(plan, "id")), err) < 0 ||
	    json_put(labels, LABEL_KIND, json_string(kind), err) < 0)
		return -1;
	*ret = labels;
	labels = NULL;
	return 0;
}

int promote_make_volume(struct engine_docker *e, const char *name, json_t *labels, struct err *err)
{
	CLEANUP(json_freep) json_t *mine = labels;
	CLEANUP(json_freep) json_t *there = NULL;
	if (promote_find_volume(e, name, &there, err) < 0)
		return -1;
	if (there != NULL)
		return err_set(err, ERR_EXISTS, "volume '%s' exists", name);
	json_t *given = mine;
	mine = NULL;
	return docker_mark_make(e, name, given, err);
}

/* ---- what there is to move to ---- */

static json_t *source_of(json_t *list, const char *run, const char *kind)
{
	size_t i;
	json_t *s;
	json_array_foreach(list, i, s)
	{
		if (strcmp(plan_str(s, "run"), run) == 0 && strcmp(plan_str(s, "kind"), kind) == 0)
			return s;
	}
	return NULL;
}

/* Ids begin with the time: in their order the newest is the last. */
static int find_source(json_t *list, const json_t *v, const char *run, const char *kind,
		       json_t **ret, struct err *err)
{
	const char *backup = promote_label(v, LABEL_BACKUP);
	size_t at = 0;
	*ret = source_of(list, run, kind);
	if (*ret != NULL)
		return 0;
	while (at < json_array_size(list) &&
	       strcmp(plan_str(json_array_get(list, at), "run"), run) > 0)
		at++;
	json_t *s =
	    json_pack("{s:s, s:s, s:s?, s:s, s:b, s:[]}", "kind", kind, "run", run, "backup",
		      backup[0] != '\0' ? backup : NULL, "suffix", "", "fast", 0, "volumes");
	if (s == NULL || json_array_insert_new(list, at, s) < 0)
		return err_nomem(err, "a list of volumes");
	*ret = s;
	return 0;
}

/* "hdms_postgres_data_X" of "hdms_postgres_data" has the suffix X. */
static int put_suffix(json_t *source, const char *name, const char *of, struct err *err)
{
	size_t len = strlen(of);
	if (len == 0 || strncmp(name, of, len) != 0 || name[len] != '_')
		return 0;
	return json_put(source, "suffix", json_text_value(name + len + 1), err);
}

static int add_volume(json_t *list, const json_t *v, const char *run, const char *kind,
		      struct err *err)
{
	const char *of = promote_label(v, LABEL_OF), *caution = promote_label(v, LABEL_CAUTION);
	json_t *source;
	if (find_source(list, v, run, kind, &source, err) < 0 ||
	    put_suffix(source, plan_str(v, "Name"), of, err) < 0)
		return -1;
	json_t *list_of = json_object_get(source, "volumes");
	size_t at = 0;
	while (at < json_array_size(list_of) &&
	       strcmp(plan_str(json_array_get(list_of, at), "name"), plan_str(v, "Name")) < 0)
		at++;
	json_t *item = json_pack("{s:s, s:s, s:s?, s:s?}", "component", promote_label(v, LABEL_FOR),
				 "name", plan_str(v, "Name"), "of", of[0] != '\0' ? of : NULL,
				 "caution", caution[0] != '\0' ? caution : NULL);
	if (item == NULL || json_array_insert_new(list_of, at, item) < 0)
		return err_nomem(err, "a list of volumes");
	return 0;
}

/* A fast promotion left nothing but its record; what production ran on before is in there. */
static int add_switch(json_t *list, const json_t *v, struct err *err)
{
	const char *text = promote_label(v, LABEL_PLAN);
	CLEANUP(json_freep) json_t *plan = NULL;
	json_t *source, *pair;
	size_t i;
	if (json_parse(text, strlen(text), &plan, err) < 0)
		return err_wrap(err, "volume '%s'", plan_str(v, "Name"));
	if (find_source(list, v, promote_label(v, LABEL_PROMOTION), "promotion", &source, err) < 0)
		return -1;
	json_array_foreach(json_object_get(plan, "volumes"), i, pair)
	{
		json_t *back = json_pack(
		    "{s:s, s:s, s:s, s:n}", "component", plan_str(pair, "component"), "name",
		    plan_str(pair, "current"), "of", plan_str(pair, "of"), "caution");
		if (json_push(json_object_get(source, "volumes"), back, err) < 0)
			return -1;
	}
	if (json_put(source, "fast", json_true(), err) < 0)
		return -1;
	return json_put(source, "plan", json_incref(plan), err);
}

/* Is there a mark of that run, or of that promotion? */
static int is_unfinished(struct engine_docker *e, const json_t *v, bool *ret, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	CLEANUP(json_freep) json_t *mark = NULL;
	const char *promotion = promote_label(v, LABEL_PROMOTION);
	int rc = promotion[0] != '\0'
		     ? str_printf(&name, err, "lifeboat-promote-%s", promotion)
		     : str_printf(&name, err, "lifeboat-run-%s", promote_label(v, LABEL_RUN));
	if (rc < 0 || promote_find_volume(e, name, &mark, err) < 0)
		return -1;
	*ret = mark != NULL;
	return 0;
}

static int sources(struct engine *base, json_t **ret, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *volumes = NULL;
	CLEANUP(json_freep) json_t *list = json_array();
	size_t i;
	json_t *v;
	if (list == NULL)
		return err_nomem(err, "a list of volumes");
	if (promote_volumes(e, &volumes, err) < 0)
		return -1;
	json_array_foreach(volumes, i, v)
	{
		const char *kind = promote_label(v, LABEL_KIND);
		bool restored = strcmp(kind, "volume") == 0 &&
				strcmp(promote_label(v, LABEL_PURPOSE), "restore") == 0;
		bool unfinished;
		if (!restored && strcmp(kind, KIND_BEFORE) != 0 && strcmp(kind, KIND_SWITCH) != 0)
			continue;
		if (is_unfinished(e, v, &unfinished, err) < 0)
			return -1;
		if (unfinished)
			continue;
		int rc =
		    strcmp(kind, KIND_SWITCH) == 0 ? add_switch(list, v, err)
		    : restored
			? add_volume(list, v, promote_label(v, LABEL_RUN), "restore", err)
			: add_volume(list, v, promote_label(v, LABEL_PROMOTION), "promotion", err);
		if (rc < 0)
			return -1;
	}
	*ret = list;
	list = NULL;
	return 0;
}

/* ---- steps ---- */

static int save(struct engine_docker *e, const json_t *plan, struct err *err)
{
	if (promote_save(e, plan, err) < 0 || fault_point("promote-saved", err) < 0)
		return -1;
	return promote_mark_saved(e, plan, err);
}

static int start(struct engine_docker *e, const json_t *plan, struct err *err)
{
	/* A fast switch has started them already. */
	return plan_is_fast(plan) ? 0 : promote_start(e, plan, err);
}

static int settle(struct engine_docker *e, const json_t *plan, struct err *err)
{
	if (promote_wait(e, plan, err) < 0)
		return -1;
	return promote_check_mounts(e, plan, false, err);
}

static int step(struct engine *base, enum promotion_step which, const json_t *plan, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	switch (which) {
	case PROMOTION_BEGIN:
		return promote_begin(e, plan, err);
	case PROMOTION_STOP:
		return promote_stop(e, plan, err);
	case PROMOTION_SAVE:
		return save(e, plan, err);
	case PROMOTION_MOVE:
		return promote_move(e, plan, err);
	case PROMOTION_START:
		return start(e, plan, err);
	case PROMOTION_SETTLE:
		return settle(e, plan, err);
	case PROMOTION_COMMIT:
		return promote_commit(e, plan, err);
	case PROMOTION_UNDO:
		return promote_undo(e, plan, err);
	}
	return err_set(err, ERR_FAILED, "there is no step %d", (int)which);
}

/* ---- old volumes ---- */

/* Only copies that a promotion made, and only those of finished ones; what is in use stays. */
static int prune(struct engine *base, size_t keep, bool dry_run, struct strlist *ret,
		 struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *list = NULL;
	CLEANUP(json_freep) json_t *containers = NULL;
	size_t i, k, m, seen = 0;
	json_t *s, *v, *c;
	if (sources(base, &list, err) < 0 || promote_containers(e, &containers, err) < 0)
		return -1;
	json_array_foreach(list, i, s)
	{
		if (strcmp(plan_str(s, "kind"), "promotion") != 0 || seen++ < keep ||
		    json_is_true(json_object_get(s, "fast")))
			continue;
		json_array_foreach(json_object_get(s, "volumes"), k, v)
		{
			bool used = false;
			json_array_foreach(containers, m, c)
			{
				used = used || promote_mounts(c, plan_str(v, "name"));
			}
			if (used)
				continue;
			if (strlist_push(ret, plan_str(v, "name"), err) < 0 ||
			    (!dry_run &&
			     docker_delete(e->d, err, "/volumes/%s", plan_str(v, "name")) < 0))
				return err_wrap(err, "volume '%s'", plan_str(v, "name"));
		}
	}
	return 0;
}

const struct promote_ops docker_promote_ops = {
    .sources = sources,
    .plan = promote_plan,
    .step = step,
    .prune = prune,
    .sweep = promote_sweep,
};
