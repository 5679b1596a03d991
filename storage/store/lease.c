#include "storage/store/lease.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "storage/store/lease_object.h"
#include "storage/store/store_impl.h"

/* After a renewal that failed. */
enum { RENEW_AGAIN_MS = 60 * 1000, LAST_NUMBER_TRIES = 8 };

struct lease {
	struct store *store;
	char name[STORE_NAME_MAX + 1];
	char object[STORE_NAME_MAX + 1];
	enum lease_kind kind;
	unsigned number;
	struct lease_holder self;
	pthread_mutex_t work; /* one renewal at a time; guards `lost` */
	struct err lost;      /* ERR_NONE: it is ours */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t woken;
	bool stop, now;
};

/* ---- which number counts ---- */

/* The highest lease of the name and its number; *ret_number is 0 where there is none. */
static int find_highest(struct store *store, const char *name, unsigned *ret_number,
			struct store_object *ret, struct store_objects *ret_all, struct err *err)
{
	CLEANUP(freep) char *prefix = NULL;
	CLEANUP(store_objects_done) struct store_objects found = {0};
	unsigned highest = 0;
	if (str_printf(&prefix, err, "%s.lease-", name) < 0 ||
	    store_list(store, prefix, &found, err) < 0)
		return -1;
	for (size_t i = 0; i < found.count; i++) {
		struct lease_name n;
		if (!lease_name_parse(found.items[i].name, &n) || strcmp(n.name, name) != 0 ||
		    n.number <= highest)
			continue;
		highest = n.number;
		*ret = found.items[i];
	}
	*ret_number = highest;
	if (ret_all != NULL) {
		*ret_all = found;
		found = (struct store_objects){0};
	}
	return 0;
}

static int held_by(const struct lease_holder *h, struct err *err)
{
	char who[160];
	lease_holder_say(h, who, sizeof who);
	err_set(err, ERR_LOCKED, "another job is running: %s%s%s", who,
		h->since[0] ? " since " : "", h->since);
	err->retryable = true;
	return err_hint(err,
			"If it was killed, its lease runs out %d minutes after its last sign "
			"of life.",
			LEASE_MS / 60000);
}

/* ---- writing ---- */

static int write_object(struct lease *l, bool fresh, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	if (lease_holder_text(&l->self, &text, err) < 0)
		return -1;
	return (fresh ? store_create_bytes : store_put_bytes)(l->store, l->object, text,
							      strlen(text), err);
}

/* *ret: the object is there and has our token. */
static int is_ours(struct lease *l, bool *ret, struct lease_holder *ret_holder, struct err *err)
{
	struct err why = ERR_INIT;
	if (lease_holder_read(l->store, l->object, ret_holder, &why) == 0) {
		*ret = strcmp(ret_holder->token, l->self.token) == 0;
		return 0;
	}
	if (why.code != ERR_ABSENT) {
		*err = why;
		return -1;
	}
	*ret_holder = (struct lease_holder){.ended = true};
	*ret = false;
	return 0;
}

/* ERR_LOCKED once the highest lease is not ours. */
static int check_highest(struct lease *l, struct store_objects *ret_all, struct err *err)
{
	unsigned highest;
	bool ours;
	struct store_object at;
	struct lease_holder h;
	if (is_ours(l, &ours, &h, err) < 0)
		return -1;
	if (!ours)
		return held_by(&h, err);
	if (find_highest(l->store, l->name, &highest, &at, ret_all, err) < 0)
		return -1;
	if (highest <= l->number)
		return 0;
	return lease_holder_read(l->store, at.name, &h, err) < 0 ? -1 : held_by(&h, err);
}

/* ---- renewing ---- */

static int renew_lease(struct lease *l, struct err *err)
{
	struct lease_holder h;
	bool ours;
	if (is_ours(l, &ours, &h, err) < 0)
		return -1;
	if (!ours)
		return held_by(&h, err);
	return write_object(l, false, err) < 0 ? -1 : check_highest(l, NULL, err);
}

static int renew(struct lease *l, struct err *err)
{
	pthread_mutex_lock(&l->work);
	int rc = 0;
	if (l->lost.code == ERR_NONE) {
		struct err why = ERR_INIT;
		rc = l->kind == LEASE_MARK ? write_object(l, false, &why) : renew_lease(l, &why);
		if (rc < 0)
			*err = why;
		if (rc < 0 && why.code == ERR_LOCKED) {
			l->lost = why;
			err_add_context(&l->lost, "the lease was lost");
		}
	}
	if (l->lost.code != ERR_NONE) {
		*err = l->lost;
		rc = -1;
	}
	pthread_mutex_unlock(&l->work);
	return rc;
}

int lease_check(struct lease *l, struct err *err)
{
	return renew(l, err);
}

static void in_future(struct timespec *t, int64_t ms)
{
	clock_gettime(CLOCK_MONOTONIC, t);
	t->tv_sec += (time_t)(ms / 1000);
}

static void *keep_alive(void *self)
{
	struct lease *l = self;
	int64_t wait = LEASE_RENEW_MS;
	pthread_mutex_lock(&l->mutex);
	while (!l->stop) {
		struct timespec until;
		in_future(&until, wait);
		while (!l->stop && !l->now &&
		       pthread_cond_timedwait(&l->woken, &l->mutex, &until) == 0)
			continue;
		if (l->stop)
			break;
		l->now = false;
		pthread_mutex_unlock(&l->mutex);
		struct err err = ERR_INIT;
		bool renewed = renew(l, &err) == 0;
		if (!renewed)
			log_debug("lease '%s': %s", l->object, err.msg);
		wait = renewed ? LEASE_RENEW_MS : RENEW_AGAIN_MS;
		pthread_mutex_lock(&l->mutex);
	}
	pthread_mutex_unlock(&l->mutex);
	return NULL;
}

void lease_renew_now(struct lease *l)
{
	pthread_mutex_lock(&l->mutex);
	l->now = true;
	pthread_cond_signal(&l->woken);
	pthread_mutex_unlock(&l->mutex);
}

static int start_thread(struct lease *l, struct err *err)
{
	int rc = pthread_create(&l->thread, NULL, keep_alive, l);
	if (rc != 0)
		return err_sys(err, ERR_FAILED, rc, "can't start a thread for the lease '%s'",
			       l->object);
	l->has_thread = true;
	return 0;
}

/* ---- beginning ---- */

static int lease_new(struct store *store, const char *name, const char *command,
		     enum lease_kind kind, struct lease **ret, struct err *err)
{
	struct lease *l = mem_zalloc(sizeof *l, "a lease", err);
	if (l == NULL)
		return -1;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->woken, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&l->mutex, NULL);
	pthread_mutex_init(&l->work, NULL);
	l->store = store;
	l->kind = kind;
	/* Too long a name is refused by the store. */
	snprintf(l->name, sizeof l->name, "%s", name);
	l->self = (struct lease_holder){.process = process_self(), .good_for_ms = LEASE_MS};
	snprintf(l->self.command, sizeof l->self.command, "%s", command != NULL ? command : "");
	clock_rfc3339(clock_wall_ms(), l->self.since);
	/* Until it is written there is nothing to give back. */
	l->lost.code = ERR_ABSENT;
	if (lease_token(l->self.token, err) < 0) {
		lease_free(l);
		return -1;
	}
	*ret = l;
	return 0;
}

static int set_object(struct lease *l, const char *text, struct err *err)
{
	if (strlen(text) > STORE_NAME_MAX)
		return err_set(err, ERR_USAGE, "'%.220s' is too long for the name of an object",
			       text);
	memcpy(l->object, text, strlen(text) + 1);
	return 0;
}

/* ERR_LOCKED while the holder of the highest one may live. */
static int check_free(struct lease *l, const struct store_object *highest, struct err *err)
{
	struct err why = ERR_INIT;
	struct lease_holder h;
	int64_t now = INT64_MIN;
	if (lease_holder_read(l->store, highest->name, &h, &why) < 0) {
		if (why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return -1;
	}
	if (lease_holder_is_dead(&h, highest->modified_ms, INT64_MIN))
		return 0;
	if (lease_store_time(l->store, l->name, &now, err) < 0)
		return -1;
	if (lease_holder_is_dead(&h, highest->modified_ms, now))
		return 0;
	return held_by(&h, err);
}

/* Creates the next number. Who is second learns who was first. */
static int create_next(struct lease *l, struct err *err)
{
	CLEANUP(freep) char *object = NULL;
	struct store_object highest;
	for (unsigned tries = 0;; tries++) {
		if (find_highest(l->store, l->name, &l->number, &highest, NULL, err) < 0 ||
		    (l->number > 0 && check_free(l, &highest, err) < 0))
			return -1;
		if (l->number < LEASE_LAST_NUMBER)
			break;
		/* Nobody counts that far: it was put there, and its holder is dead. */
		if (tries == LAST_NUMBER_TRIES)
			return err_set(err, ERR_LIMIT, "there is no number after '%s'",
				       highest.name);
		if (store_remove(l->store, highest.name, err) < 0)
			return -1;
	}
	l->number++;
	if (str_printf(&object, err, "%s.lease-%09u", l->name, l->number) < 0 ||
	    set_object(l, object, err) < 0)
		return -1;
	struct err why = ERR_INIT;
	if (write_object(l, true, &why) < 0 && why.code != ERR_EXISTS) {
		*err = why;
		return -1;
	}
	return 0;
}

int lease_take(struct store *store, const char *name, const char *command, struct lease **ret,
	       struct err *err)
{
	CLEANUP(lease_freep) struct lease *l = NULL;
	CLEANUP(store_objects_done) struct store_objects all = {0};
	if (lease_new(store, name, command, LEASE_LEASE, &l, err) < 0)
		return -1;
	/* The check also tells a creation that failed because it had succeeded unheard, and one
	 * that came so late that its number was over already. */
	if (create_next(l, err) < 0)
		return -1;
	/* Given back from now on, if it is ours. */
	l->lost = (struct err)ERR_INIT;
	if (check_highest(l, &all, err) < 0 || start_thread(l, err) < 0)
		return -1;
	for (size_t i = 0; i < all.count; i++) {
		struct err ignored = ERR_INIT;
		struct lease_name n;
		if (lease_name_parse(all.items[i].name, &n) && n.number < l->number &&
		    strcmp(n.name, name) == 0 &&
		    store_remove(store, all.items[i].name, &ignored) < 0)
			log_debug("lease '%s' stays: %s", all.items[i].name, ignored.msg);
	}
	*ret = l;
	l = NULL;
	return 0;
}

int lease_mark(struct store *store, const char *name, const char *command, struct lease **ret,
	       struct err *err)
{
	CLEANUP(lease_freep) struct lease *l = NULL;
	CLEANUP(freep) char *object = NULL;
	if (lease_new(store, name, command, LEASE_MARK, &l, err) < 0 ||
	    str_printf(&object, err, "%s.mark-%s", name, l->self.token) < 0 ||
	    set_object(l, object, err) < 0 || write_object(l, true, err) < 0)
		return -1;
	l->lost = (struct err)ERR_INIT;
	if (start_thread(l, err) < 0)
		return -1;
	*ret = l;
	l = NULL;
	return 0;
}

/* ---- the end ---- */

/* Not with all the patience of other calls: a job that ends waits for no store that is away, and
 * the lease runs out by itself. */
static void give_back(struct lease *l)
{
	struct err ignored = ERR_INIT;
	struct store *whole = l->store, hasty = *whole;
	if (hasty.retry.retries > 1)
		hasty.retry.retries = 1;
	l->store = &hasty;
	struct lease_holder h;
	bool ours = false;
	int rc;
	cancel_hold();
	l->self.ended = true;
	if (l->kind == LEASE_MARK) {
		rc = store_remove(l->store, l->object, &ignored);
		/* A bucket that locks everything keeps the mark; as an ended one it says nothing.
		 */
		if (rc < 0 && ignored.code == ERR_LOCKED)
			rc = write_object(l, false, &ignored);
	} else {
		rc = is_ours(l, &ours, &h, &ignored);
		if (rc == 0 && ours)
			rc = write_object(l, false, &ignored);
	}
	cancel_release();
	l->store = whole;
	if (rc < 0)
		log_debug("lease '%s' is left to run out: %s", l->object, ignored.msg);
}

void lease_free(struct lease *l)
{
	if (l == NULL)
		return;
	if (l->has_thread) {
		pthread_mutex_lock(&l->mutex);
		l->stop = true;
		pthread_cond_signal(&l->woken);
		pthread_mutex_unlock(&l->mutex);
		pthread_join(l->thread, NULL);
	}
	if (l->lost.code == ERR_NONE)
		give_back(l);
	pthread_cond_destroy(&l->woken);
	pthread_mutex_destroy(&l->mutex);
	pthread_mutex_destroy(&l->work);
	free(l);
}
