#include "agent/copies.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "agent/config/config_store.h"
#include "agent/output/progress.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/retry.h"

/* Of one copy as a whole; requests are tried again by the store itself. */
enum { TRIES_AGAIN = 2, AGAIN_BASE_MS = 2000 };

/* One store, and the thread that fills it. */
struct target {
	const struct copies_opts *opts;
	const struct config_store *config;
	struct store *store; /* NULL: it could not be opened */
	struct copy_progress progress;
	struct copies results;
	struct err err; /* what ends the whole: out of memory, cancelled */
	pthread_t thread;
	bool started;
};

void copies_done(struct copies *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->items[i].message);
		free(c->items[i].hint);
	}
	free(c->items);
	*c = (struct copies){0};
}

static int add_to(struct target *t, const struct config_store *into, const char *id,
		  enum copy_outcome outcome, uint64_t bytes, int64_t began_ms,
		  const struct err *why)
{
	struct copies *c = &t->results;
	struct copy_result *items =
	    mem_grow(c->items, c->count, sizeof *c->items, "results of copies", &t->err);
	if (items == NULL)
		return -1;
	c->items = items;
	struct copy_result *r = &items[c->count++];
	*r = (struct copy_result){.store = into,
				  .outcome = outcome,
				  .bytes = bytes,
				  .duration_ms = clock_monotonic_ms() - began_ms};
	memcpy(r->id, id, strnlen(id, sizeof r->id - 1));
	if (outcome != COPY_FAILED)
		return 0;
	c->failed++;
	r->code = why->code;
	return str_dup(why->msg, &r->message, &t->err) < 0 ||
		       str_dup(why->hint, &r->hint, &t->err) < 0
		   ? -1
		   : 0;
}

static int add(struct target *t, const char *id, enum copy_outcome outcome, uint64_t bytes,
	       int64_t began_ms, const struct err *why)
{
	return add_to(t, t->config, id, outcome, bytes, began_ms, why);
}

/* A failure is a result; only what ends the whole job is -1. */
static int fail(struct target *t, const char *id, int64_t began_ms, const struct err *why)
{
	if (why->code == ERR_CANCELLED || why->code == ERR_NOMEM) {
		t->err = *why;
		return -1;
	}
	return add(t, id, COPY_FAILED, 0, began_ms, why);
}

/* ---- what a store should get ---- */

static int plan(struct app *app, const struct catalog *from, const struct catalog *held,
		const struct config_store *config, bool *ret, struct err *err)
{
	struct retention_rules rules = {0};
	if (retention_parse(config->keep, &rules, err) < 0)
		return err_wrap(err, "[store %s] keep", config->label);
	return copy_plan(from, held, &rules, app->config->timezone, clock_wall_ms(), ret, err);
}

int copies_lag(struct app *app, const struct catalog *from, struct store *to,
	       const struct config_store *to_config, size_t *ret, struct err *err)
{
	CLEANUP(catalog_done) struct catalog held = {0};
	CLEANUP(freep) bool *wanted = mem_zalloc(from->count + 1, "a plan", err);
	if (wanted == NULL || catalog_load(to, app->config->stack.name, &held, err) < 0 ||
	    plan(app, from, &held, to_config, wanted, err) < 0)
		return -1;
	*ret = 0;
	for (size_t i = 0; i < from->count; i++)
		*ret += wanted[i];
	return 0;
}

/* ---- one store ---- */

/* Has somebody removed it since it was listed? */
static bool is_removed(const struct copies_opts *o, const struct backup *b, const struct err *why)
{
	struct store_object ignored;
	struct err absent = ERR_INIT;
	return why->code == ERR_ABSENT && store_stat(o->from, b->sidecar, &ignored, &absent) < 0 &&
	       absent.code == ERR_ABSENT;
}

/* *ret_go_on is false after a failure that the next backup would meet too. */
static int copy_one(struct target *t, const struct backup *b, bool *ret_go_on)
{
	const struct copies_opts *o = t->opts;
	int64_t began = clock_monotonic_ms();
	struct err why = ERR_INIT;
	struct retry again = {.retries = TRIES_AGAIN, .base_ms = AGAIN_BASE_MS};
	uint64_t bytes;
	*ret_go_on = true;
	if (o->dry_run)
		return add(t, b->id, COPY_MISSING, b->stored_bytes, began, NULL);
	while (copy_backup(o->from, o->app->config->stack.name, b, t->store, &t->progress, &bytes,
			   &why) < 0) {
		/* Of the last try, as the store told it; how many there were is no news. */
		struct err last = why;
		if (!retry_again(&again, &why)) {
			if (why.code != ERR_CANCELLED)
				why = last;
			*ret_go_on = why.code == ERR_CORRUPT || why.code == ERR_EXISTS ||
				     why.code == ERR_ABSENT;
			/* Nobody asked for that one. */
			if (o->only == NULL && is_removed(o, b, &why))
				return 0;
			return fail(t, b->id, began, &why);
		}
	}
	return add(t, b->id, bytes > 0 ? COPY_COPIED : COPY_THERE, bytes, began, NULL);
}

/* ---- what came later than the copies ---- */

/* One way of it. `into` is the section of `to`. */
struct way {
	struct target *target;
	const struct config_store *into;
	int64_t began_ms;
};

static void decided(void *ctx, const char *id, const char *change)
{
	struct way *w = ctx;
	struct target *t = w->target;
	if (add_to(t, w->into, id, COPY_DECISION, 0, w->began_ms, NULL) == 0)
		t->results.items[t->results.count - 1].change = change;
}

static int go_way(struct way *w, const struct catalog *from_catalog, struct store *from,
		  const struct catalog *held, struct store *to, const char *id, struct err *err)
{
	struct target *t = w->target;
	const char *stack = t->opts->app->config->stack.name;
	const struct copy_told told = {.decided = decided, .ctx = w};
	size_t count;
	if (copy_decisions(from_catalog, to, held, stack, id, &told, err) < 0 ||
	    copy_evidence(from, stack, id, to, &count, err) < 0)
		return -1;
	if (t->err.code != ERR_NONE) {
		*err = t->err;
		return -1;
	}
	return count == 0 ? 0 : add_to(t, w->into, "", COPY_EVIDENCE, count, w->began_ms, NULL);
}

/* Pins, trust and drills of backups that both have, of `id` or of all: first what this store did
 * not hear of, then what the source did not. Several threads have one source. */
static int even_out(struct target *t, const struct catalog *held, const char *id)
{
	static pthread_mutex_t source = PTHREAD_MUTEX_INITIALIZER;
	const struct copies_opts *o = t->opts;
	struct way there = {.target = t, .into = t->config, .began_ms = clock_monotonic_ms()};
	struct way back = {.target = t, .into = o->from_config, .began_ms = there.began_ms};
	struct err why = ERR_INIT;
	if (go_way(&there, o->catalog, o->from, held, t->store, id, &why) < 0)
		return fail(t, "", there.began_ms, &why);
	pthread_mutex_lock(&source);
	int rc = go_way(&back, held, t->store, o->catalog, o->from, id, &why);
	pthread_mutex_unlock(&source);
	if (rc == 0)
		return 0;
	/* Who may only read the source can bring it nothing. */
	if (why.code == ERR_DENIED) {
		log_line(LOG_WARN, "what store '%s' knows does not reach store '%s': %s",
			 t->config->label, o->from_config->label, why.msg);
		return 0;
	}
	return fail(t, "", back.began_ms, &why);
}

/* One backup, and what came later, if it was there already. */
static int catch_up_one(struct target *t)
{
	CLEANUP(catalog_done) struct catalog held = {0};
	const struct copies_opts *o = t->opts;
	int64_t began = clock_monotonic_ms();
	struct err why = ERR_INIT;
	bool ignored;
	if (copy_one(t, o->only, &ignored) < 0)
		return -1;
	if (o->catalog == NULL || t->results.count != 1 ||
	    t->results.items[0].outcome != COPY_THERE)
		return 0;
	if (catalog_load(t->store, o->app->config->stack.name, &held, &why) < 0)
		return fail(t, o->only->id, began, &why);
	return even_out(t, &held, o->only->id);
}

/* Newest first: if the line fails half-way, the best is there. */
static int catch_up(struct target *t)
{
	CLEANUP(catalog_done) struct catalog held = {0};
	const struct copies_opts *o = t->opts;
	int64_t began = clock_monotonic_ms();
	struct err why = ERR_INIT;
	bool go_on = true;
	if (o->only != NULL)
		return catch_up_one(t);
	CLEANUP(freep) bool *wanted = mem_zalloc(o->catalog->count + 1, "a plan", &t->err);
	if (wanted == NULL)
		return -1;
	if (catalog_load(t->store, o->app->config->stack.name, &held, &why) < 0 ||
	    plan(o->app, o->catalog, &held, t->config, wanted, &why) < 0)
		return fail(t, "", began, &why);
	if (!o->dry_run && even_out(t, &held, NULL) < 0)
		return -1;
	for (size_t i = 0; go_on && i < o->catalog->count; i++)
		if (wanted[i] && copy_one(t, &o->catalog->items[i], &go_on) < 0)
			return -1;
	return 0;
}

static void *fill(void *target)
{
	struct target *t = target;
	if (t->store != NULL && catch_up(t) < 0 && t->err.code == ERR_NONE)
		err_set(&t->err, ERR_FAILED, "store '%s'", t->config->label);
	return NULL;
}

/* ---- all of them ---- */

static bool is_target(const struct copies_opts *o, const struct config_store *s)
{
	return s != o->from_config && (o->to == NULL || strcmp(o->to, s->label) == 0);
}

/* Stores are opened one after the other; what takes time comes later. */
static int open_target(struct target *t)
{
	struct err why = ERR_INIT;
	int64_t began = clock_monotonic_ms();
	if (config_store_open(t->config, &t->store, &why) == 0)
		return 0;
	return fail(t, t->opts->only != NULL ? t->opts->only->id : "", began, &why);
}

/* Where a thread can't be had, this one does its work. */
static void fill_all(struct target *targets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		targets[i].started =
		    pthread_create(&targets[i].thread, NULL, fill, &targets[i]) == 0;
	for (size_t i = 0; i < count; i++) {
		if (targets[i].started)
			pthread_join(targets[i].thread, NULL);
		else
			fill(&targets[i]);
	}
}

/* The results of one store behind those of the stores before it. */
static int collect(struct copies *all, struct copies *of_one, struct err *err)
{
	for (size_t i = 0; i < of_one->count; i++) {
		struct copy_result *items =
		    mem_grow(all->items, all->count, sizeof *all->items, "results of copies", err);
		if (items == NULL)
			return -1;
		all->items = items;
		items[all->count++] = of_one->items[i];
		of_one->items[i].message = of_one->items[i].hint = NULL;
	}
	all->failed += of_one->failed;
	return 0;
}

static int run_targets(const struct copies_opts *o, struct target *targets, size_t count,
		       struct copies *ret, struct err *err)
{
	CLEANUP(progress_freep) struct progress *progress = NULL;
	struct progress_opts bar = {.label = "copies",
				    .total_bytes =
					o->only != NULL ? o->only->stored_bytes * count : 0,
				    .quiet = output_is_quiet(o->app->out) || o->dry_run};
	if (progress_new(&bar, &progress, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		targets[i].progress = (struct copy_progress){.add = progress_add, .ctx = progress};
		if (open_target(&targets[i]) < 0) {
			*err = targets[i].err;
			return -1;
		}
	}
	fill_all(targets, count);
	for (size_t i = 0; i < count; i++)
		if (collect(ret, &targets[i].results, err) < 0)
			return -1;
	for (size_t i = 0; i < count; i++) {
		if (targets[i].err.code != ERR_NONE) {
			*err = targets[i].err;
			return -1;
		}
	}
	return 0;
}

int copies_run(const struct copies_opts *opts, struct copies *ret, struct err *err)
{
	const struct config *c = opts->app->config;
	struct copies all = {0};
	size_t count = 0;
	CLEANUP(freep)
	struct target *targets = mem_zalloc((c->store_count + 1) * sizeof *targets, "stores", err);
	if (targets == NULL)
		return -1;
	for (size_t i = 0; i < c->store_count; i++)
		if (is_target(opts, &c->stores[i]))
			targets[count++] =
			    (struct target){.opts = opts, .config = &c->stores[i], .err = ERR_INIT};
	int rc = count > 0 ? run_targets(opts, targets, count, &all, err) : 0;
	for (size_t i = 0; i < count; i++) {
		store_free(targets[i].store);
		copies_done(&targets[i].results);
	}
	if (rc < 0) {
		copies_done(&all);
		return -1;
	}
	*ret = all;
	return 0;
}

/* ---- evidence of a drill ---- */

static int spread_to(struct app *app, struct store *from, const struct config_store *config,
		     const char *id, struct err *err)
{
	CLEANUP(store_freep) struct store *to = NULL;
	const char *stack = app->config->stack.name;
	struct store_object sidecar;
	char name[201];
	size_t count;
	if (catalog_sidecar_name(stack, id, name, err) < 0 ||
	    config_store_open(config, &to, err) < 0)
		return -1;
	if (store_stat(to, name, &sidecar, err) < 0)
		return err->code == ERR_ABSENT ? 0 : -1;
	return copy_evidence(from, stack, id, to, &count, err);
}

void copies_spread_evidence(struct app *app, struct store *from, const char *id)
{
	const struct config *c = app->config;
	for (size_t i = 0; i < c->store_count; i++) {
		struct err why = ERR_INIT;
		if (strcmp(c->stores[i].label, store_name(from)) != 0 &&
		    spread_to(app, from, &c->stores[i], id, &why) < 0)
			log_line(LOG_WARN,
				 "evidence of the drill is not in every store: %s "
				 "(`lifeboat copy` brings it there)",
				 why.msg);
	}
}
