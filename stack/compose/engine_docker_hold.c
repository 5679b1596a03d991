/* Containers of production that are paused or stopped for a while, each with a mark that says so
 * from before it is touched until it goes on. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "stack/compose/engine_docker_sweep.h"

enum {
	STOP_SLACK_MS = 5000,
	STOP_POLL_MS = 200,
	STOP_SECONDS = 10,
	STOP_SECONDS_MAX = 3600,
	PAUSE_TRIES = 10,
	PAUSE_WAIT_MS = 300
};

struct held {
	char *mark, *id, *name;
	bool sure; /* that it was stopped */
};

struct docker_hold {
	struct hold base;
	struct engine_docker *e;
	enum hold_how how;
	struct held *items;
	size_t count;
};

/* ---- one container ---- */

/* *ret NULL: it is gone. New. */
static int state_of(struct engine_docker *e, const char *id, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *whole = NULL;
	struct err why = ERR_INIT;
	*ret = NULL;
	if (docker_get(e->d, &whole, &why, "/containers/%s/json", id) == 0) {
		*ret = whole;
		whole = NULL;
		return 0;
	}
	if (why.code == ERR_ABSENT)
		return 0;
	*err = why;
	return -1;
}

static bool is(const json_t *whole, const char *state)
{
	return json_is_true(json_object_get(json_object_get(whole, "State"), state));
}

/* How long a stop of it may take. */
static int64_t stop_ms(const json_t *whole)
{
	const json_t *config = json_object_get(whole, "Config");
	uint64_t seconds = json_u64_or(config, "StopTimeout", STOP_SECONDS);
	return (int64_t)(seconds < STOP_SECONDS_MAX ? seconds : STOP_SECONDS_MAX) * 1000;
}

/* Until it is stopped or gone, or the time is over. */
static int await_stop(struct engine_docker *e, const char *id, int64_t ms, bool *ret,
		      struct err *err)
{
	struct deadline d = deadline_in(ms > 0 ? ms : 0);
	for (;;) {
		CLEANUP(json_freep) json_t *now = NULL;
		if (state_of(e, id, &now, err) < 0)
			return -1;
		*ret = now == NULL || !is(now, "Running");
		if (*ret || deadline_left_ms(d) == 0)
			return 0;
		if (wait_ms(STOP_POLL_MS, err) < 0)
			return -1;
	}
}

/* The daemon answers when it has stopped, which may take longer than a request. */
static int stop(struct engine_docker *e, const char *id, struct err *err)
{
	CLEANUP(json_freep) json_t *before = NULL;
	struct err why = ERR_INIT;
	bool stopped = false;
	if (state_of(e, id, &before, err) < 0)
		return -1;
	if (docker_post(e->d, NULL, NULL, &why, "/containers/%s/stop", id) == 0)
		return 0;
	if (why.code == ERR_TIMEOUT &&
	    await_stop(e, id, stop_ms(before) + STOP_SLACK_MS, &stopped, err) < 0)
		return -1;
	if (stopped)
		return 0;
	*err = why;
	return -1;
}

/* A container that forks all the time may escape the freezer once or twice. */
static int pause_it(struct engine_docker *e, const char *id, struct err *err)
{
	for (int tries = 1;; tries++) {
		struct err why = ERR_INIT;
		if (docker_post(e->d, NULL, NULL, &why, "/containers/%s/pause", id) == 0)
			return 0;
		if (why.code != ERR_FAILED || tries == PAUSE_TRIES) {
			*err = why;
			return -1;
		}
		if (wait_ms(PAUSE_WAIT_MS, err) < 0)
			return -1;
	}
}

/* It may be gone, or somebody has let it go on: both are fine. `since_ms`: how long ago a stop may
 * have been asked for of which nobody saw the end; it would still come. Negative: there is none. */
static int go_on(struct engine_docker *e, const char *id, const char *name, bool stopped,
		 int64_t since_ms, struct err *err)
{
	CLEANUP(json_freep) json_t *whole = NULL;
	if (state_of(e, id, &whole, err) < 0)
		return -1;
	if (whole == NULL)
		return 0;
	bool held = stopped ? !is(whole, "Running") : is(whole, "Paused");
	if (stopped && !held && since_ms >= 0 &&
	    await_stop(e, id, stop_ms(whole) + STOP_SLACK_MS - since_ms, &held, err) < 0)
		return -1;
	if (!held)
		return 0;
	if (docker_post(e->d, NULL, NULL, err, "/containers/%s/%s", id,
			stopped ? "start" : "unpause") == 0)
		return 0;
	err_wrap(err, "container '%s' does not go on", name);
	return err_hint(err, "Let it go on yourself: docker %s %s", stopped ? "start" : "unpause",
			name);
}

/* ---- letting go ---- */

int docker_hold_undo(struct engine_docker *e, const struct docker_thing *mark, struct err *err)
{
	CLEANUP(json_freep) json_t *facts = NULL;
	struct err why = ERR_INIT;
	int64_t made = 0;
	const char *id = json_str_or(mark->labels, LABEL_FOR, "");
	const char *how = json_str_or(mark->labels, LABEL_HOLD, "");
	if (docker_get(e->d, &facts, &why, "/volumes/%s", mark->id) < 0) {
		if (why.code == ERR_ABSENT)
			return 0; /* released since the marks were listed */
		*err = why;
		return -1;
	}
	if (clock_parse_rfc3339(json_str_or(facts, "CreatedAt", ""), &made, &why) < 0)
		made = clock_wall_ms();
	int64_t since = clock_wall_ms() - made;
	/* What is no id leads nowhere: the mark says nothing then. */
	if (strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64 &&
	    go_on(e, id, json_str_or(mark->labels, LABEL_NAME, id), strcmp(how, "stop") == 0,
		  since > 0 ? since : 0, err) < 0)
		return -1;
	return docker_thing_remove(e, mark, err);
}

static void held_done(struct held *x)
{
	free(x->mark);
	free(x->id);
	free(x->name);
}

/* The last one first; what can't go on keeps its mark, for a later sweep. */
static int release(struct hold *base, struct err *err)
{
	struct docker_hold *h = (struct docker_hold *)base;
	int rc = 0;
	for (; h->count > 0; h->count--) {
		struct held *x = &h->items[h->count - 1];
		struct err why = ERR_INIT;
		if (go_on(h->e, x->id, x->name, h->how == HOLD_STOP, x->sure ? -1 : 0, &why) < 0 ||
		    docker_delete(h->e->d, &why, "/volumes/%s", x->mark) < 0) {
			if (rc == 0)
				*err = why;
			rc = -1;
		}
		held_done(x);
	}
	return rc;
}

static void release_free(struct hold *base)
{
	struct docker_hold *h = (struct docker_hold *)base;
	for (size_t i = 0; i < h->count; i++)
		held_done(&h->items[i]);
	free(h->items);
	free(h);
}

static const struct hold_ops docker_hold_ops = {.release = release, .free = release_free};

/* ---- holding ---- */

static int put_mark(struct docker_hold *h, const struct held *x, struct err *err)
{
	json_t *labels = run_labels(h->e, "hold", x->id, err);
	if (labels != NULL &&
	    (json_put(labels, LABEL_HOLD, json_string(h->how == HOLD_STOP ? "stop" : "pause"),
		      err) < 0 ||
	     json_put(labels, LABEL_NAME, json_text_value(x->name), err) < 0)) {
		json_decref(labels);
		return -1;
	}
	return docker_mark_make(h->e, x->mark, labels, err);
}

/* From the mark on it counts as held: a release that finds it running does nothing. */
static int hold_container(struct docker_hold *h, const json_t *listed, struct err *err)
{
	struct engine_docker *e = h->e;
	struct held *grown = mem_grow(h->items, h->count, sizeof *grown, "a hold", err);
	if (grown == NULL)
		return -1;
	h->items = grown;
	struct held x = {0};
	if (str_dup(json_str_or(listed, "Id", ""), &x.id, err) < 0 ||
	    str_dup(docker_container_name(listed), &x.name, err) < 0 ||
	    str_printf(&x.mark, err, "lifeboat-hold-%s-%u", e->run_id, ++e->holds) < 0 ||
	    put_mark(h, &x, err) < 0) {
		held_done(&x);
		return -1;
	}
	h->items[h->count++] = x;
	int rc = h->how == HOLD_STOP ? stop(e, x.id, err) : pause_it(e, x.id, err);
	if (rc < 0)
		return err_wrap(err, "%s of container '%s'", h->how == HOLD_STOP ? "stop" : "pause",
				x.name);
	h->items[h->count - 1].sure = true;
	return 0;
}

static int hold_all(struct docker_hold *h, const char *service, const json_t *list, struct err *err)
{
	size_t i;
	json_t *c;
	bool known = false;
	json_array_foreach(list, i, c)
	{
		const json_t *labels = json_object_get(c, "Labels");
		if (strcmp(json_str_or(labels, "com.docker.compose.service", ""), service) != 0)
			continue;
		known = true;
		if (h->e->self != NULL && strcmp(json_str_or(c, "Id", ""), h->e->self) == 0) {
			err_set(err, ERR_CONFIG, "service '%s' is Lifeboat itself", service);
			return err_hint(err, "Name the service that writes into the volume.");
		}
		if (h->how != HOLD_NOTHING && strcmp(json_str_or(c, "State", ""), "running") == 0 &&
		    hold_container(h, c, err) < 0)
			return -1;
	}
	if (known)
		return 0;
	err_set(err, ERR_ABSENT, "Compose project '%s' has no service '%s'", h->e->project,
		service);
	return err_hint(err, "See the names with: docker compose -p %s ps --services",
			h->e->project);
}

int docker_service_hold(struct engine *base, const char *service, enum hold_how how,
			struct hold **ret, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	struct docker_hold *h = mem_zalloc(sizeof *h, "a hold", err);
	json_t *list;
	if (h == NULL)
		return -1;
	CLEANUP(hold_freep) struct hold *held = &h->base;
	h->base.ops = &docker_hold_ops;
	h->e = e;
	h->how = how;
	if (docker_containers(e, true, &list, err) < 0 || hold_all(h, service, list, err) < 0)
		return -1;
	*ret = held;
	held = NULL;
	return 0;
}
