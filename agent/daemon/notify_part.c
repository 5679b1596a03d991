/*
 * Alarms as a part of the daemon: alarm.h decides, and a child process for each notifier sends
 * what waits for it, so that one that is down or slow holds up nothing else. What is known and
 * what waits survives a restart, in `<state_dir>/<stack>.notify.json`: a notice is sent at least
 * once, and again only when the daemon ended before it knew that it had been.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/config/config_notify.h"
#include "agent/daemon/notice.h"
#include "agent/daemon/notify_impl.h"
#include "base/file.h"
#include "base/log.h"
#include "base/retry.h"

enum {
	RETRY_FIRST_MS = 10000,
	RETRY_LONGEST_MS = 3600000,
	KILL_AFTER_MS = 5000, /* behind its own time-out */
	STOP_MS = 1000,
	AGAIN_MS = 1000
};

/* ---- life of an outlet ---- */

static void end_child(struct outlet *o)
{
	child_free(o->child);
	o->child = NULL;
	fd_closep(&o->pidfd);
	o->pidfd = -1;
}

static void outlet_done(struct outlet *o)
{
	end_child(o);
	json_decref(o->queue);
	free(o->label);
}

static void free_outlets(struct outlet *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		outlet_done(&all[i]);
	free(all);
}

/* ---- what waits ---- */

static void push(struct notify *p, struct outlet *o, json_t *notice)
{
	size_t busy = o->child != NULL ? 1 : 0;
	p->changed = true;
	if (json_array_size(o->queue) >= NOTIFY_QUEUE_MAX) {
		log_line(LOG_WARN, "notify %s: too much waits; the oldest notice is dropped",
			 o->label);
		json_array_remove(o->queue, busy);
		o->lost++;
		p->differs = true;
	}
	if (json_array_append_new(o->queue, notice) < 0)
		log_line(LOG_WARN, "notify %s: out of memory: a notice is lost", o->label);
}

/* Of a ping only the newest counts, and a start tells nothing while another sign waits. */
static void push_ping(struct notify *p, struct outlet *o, enum alarm_event event, json_t *notice)
{
	size_t busy = o->child != NULL ? 1 : 0;
	if (event == ALARM_START && json_array_size(o->queue) > busy) {
		json_decref(notice);
		return;
	}
	while (json_array_size(o->queue) > busy)
		json_array_remove(o->queue, busy);
	push(p, o, notice);
}

static void tell_ping(struct notify *p, size_t i, enum alarm_event what,
		      const struct daemon_event *e)
{
	struct notice_opts opts = {.event = alarms_ping(&p->config->notifiers[i], what, e->job),
				   .job = e->job,
				   .stack = p->config->stack.name,
				   .facts = e->facts,
				   .now_ms = e->wall_ms};
	json_t *notice = opts.event != ALARM_EVENTS ? notice_new(&opts) : NULL;
	if (notice != NULL)
		push_ping(p, &p->outlets[i], opts.event, notice);
}

static bool is_ping(const struct config_notify *n)
{
	return strcmp(n->kind, "ping") == 0;
}

/* All that is to be told now. */
static void tell(struct notify *p)
{
	int64_t now = clock_wall_ms();
	for (size_t i = 0; i < p->count; i++) {
		const struct config_notify *n = &p->config->notifiers[i];
		json_t *notice = NULL;
		if (is_ping(n))
			continue;
		while (alarms_next(p->alarms, n, p->config->stack.name, now, &notice)) {
			push(p, &p->outlets[i], notice);
			notice = NULL;
		}
		/* Also where it did not want to hear: it counts as told. */
		p->changed = true;
	}
}

/* ---- sending ---- */

static int start_child(struct notify *p, struct outlet *o, const char *text, struct err *err)
{
	char held[64];
	int fd = p->daemon->config_fd;
	snprintf(held, sizeof held, CONFIG_FD_VARIABLE "=%d", fd);
	const char *const argv[] = {"lifeboat", "-c",     p->config->path, "--quiet",
				    "notify",   "--send", o->label,        NULL};
	const char *const env[] = {held, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", NULL};
	struct child_opts opts = {.argv = argv,
				  .program = "/proc/self/exe",
				  .env = env,
				  .pipe_stdin = true,
				  .pipe_stdout = true,
				  .pass_fds = {fd}};
	struct epoll_event ev = {.events = EPOLLIN};
	if (child_start(&opts, &o->child, err) < 0)
		return -1;
	o->pidfd = pidfd_open(child_pid(o->child), 0);
	if (o->pidfd < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, o->pidfd, &ev) < 0)
		return err_sys(err, ERR_IO, errno, "watching a child");
	/* A pipe holds more than a notice. */
	if (child_write(o->child, text, strlen(text), deadline_in(1000), err) < 0)
		return -1;
	child_close_stdin(o->child);
	return 0;
}

static uint64_t some_number(void)
{
	uint64_t n = 0;
	return getrandom(&n, sizeof n, GRND_NONBLOCK) == sizeof n ? n : UINT64_MAX;
}

int64_t notify_pause_ms(unsigned failed, int64_t asked_ms, uint64_t random)
{
	int64_t own_ms = retry_delay_ms(failed, RETRY_FIRST_MS, RETRY_LONGEST_MS, random);
	int64_t least_ms = asked_ms < RETRY_LONGEST_MS ? asked_ms : RETRY_LONGEST_MS;
	return own_ms > least_ms ? own_ms : least_ms;
}

/* `wait_ms`: what the receiver asks for; 0: nothing. */
static void note_failure(struct notify *p, size_t i, bool again, int64_t wait_ms, const char *why)
{
	const struct config_notify *n = &p->config->notifiers[i];
	struct outlet *o = &p->outlets[i];
	o->failed++;
	if (o->failing_ms == 0)
		o->failing_ms = clock_wall_ms();
	snprintf(o->error, sizeof o->error, "%s", why);
	p->changed = p->differs = true;
	if (again && o->failed <= n->retries) {
		if (o->failed == 1)
			log_line(LOG_WARN, "notify %s: %s; it is tried again", o->label, why);
		o->due = deadline_in(notify_pause_ms(o->failed, wait_ms, some_number()));
		return;
	}
	log_line(LOG_ERROR, "notify %s: %s; given up: '%s' was not told", o->label, why,
		 json_str_or(json_array_get(o->queue, 0), "title", "?"));
	json_array_remove(o->queue, 0);
	o->failed = 0;
	o->lost++;
	o->due = deadline_in(0);
}

static void start(struct notify *p, size_t i)
{
	struct outlet *o = &p->outlets[i];
	struct err err = ERR_INIT;
	CLEANUP(freep) char *text = NULL;
	if (json_text(json_array_get(o->queue, 0), false, &text, &err) == 0 &&
	    start_child(p, o, text, &err) == 0) {
		o->due = deadline_in(p->config->notifiers[i].timeout_ms + KILL_AFTER_MS);
		return;
	}
	end_child(o);
	note_failure(p, i, true, 0, err.msg);
}

/* The first line of what it said, without the program's name. */
static void first_line(const char *said, char *out, size_t cap)
{
	static const char before[] = "lifeboat: error: ";
	const char *at = strstr(said, before);
	at = at != NULL ? at + sizeof before - 1 : said;
	snprintf(out, cap, "%.*s", (int)strcspn(at, "\n"), at);
}

/* What it printed of when to try again. */
static int64_t asked_wait_ms(struct child *c)
{
	char text[32] = "";
	size_t len = 0;
	struct err ignored = ERR_INIT;
	if (child_read(c, text, sizeof text - 1, &len, deadline_in(0), &ignored) < 0)
		return 0;
	text[len] = '\0';
	return strtoll(text, NULL, 10);
}

static void finish(struct notify *p, size_t i)
{
	struct outlet *o = &p->outlets[i];
	char why[512];
	int status = child_status(o->child);
	int64_t wait_ms = asked_wait_ms(o->child);
	first_line(child_stderr(o->child), why, sizeof why);
	end_child(o);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		json_array_remove(o->queue, 0);
		o->failed = 0;
		o->due = deadline_in(0);
		p->changed = true;
		p->differs = p->differs || o->failing_ms != 0;
		o->failing_ms = 0;
		o->lost = 0;
		return;
	}
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	note_failure(p, i, code != err_exit_status(ERR_FAILED), wait_ms, why);
}

/* Whatever may go on goes on. */
static void step(struct notify *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct outlet *o = &p->outlets[i];
		if (o->child != NULL && !child_running(o->child)) {
			finish(p, i);
		} else if (o->child != NULL && deadline_left_ms(o->due) == 0) {
			end_child(o);
			note_failure(p, i, true, 0, "it took too long");
		}
		if (o->child == NULL && json_array_size(o->queue) > 0 &&
		    deadline_left_ms(o->due) == 0)
			start(p, i);
	}
	notify_save(p);
}

/* What is under way gets a moment to end: else it would be sent again after the next start. */
static void wait_a_moment(struct notify *p)
{
	struct deadline until = deadline_in(STOP_MS);
	cancel_hold();
	for (size_t i = 0; i < p->count; i++) {
		struct err ignored = ERR_INIT;
		struct outlet *o = &p->outlets[i];
		if (o->child == NULL)
			continue;
		bool ended = child_wait(o->child, until, &ignored) == 0 ||
			     (ignored.code != ERR_TIMEOUT && !child_running(o->child));
		if (ended)
			finish(p, i);
	}
	cancel_release();
	notify_save(p);
}

/* ---- the part ---- */

static void notify_stop(void *part)
{
	struct notify *p = part;
	if (p == NULL)
		return;
	if (p->alarms != NULL)
		wait_a_moment(p);
	free_outlets(p->outlets, p->count);
	alarms_free(p->alarms);
	fd_closep(&p->epoll);
	free(p->path);
	free(p);
}
DEFINE_CLEANUP(void, notify_stop)

/* Those of the configuration; what waits for one that stays is moved there. */
static int set_outlets(struct notify *p, const struct config *c, struct err *err)
{
	struct outlet *fresh =
	    mem_zalloc((c->notifier_count + 1) * sizeof *fresh, "notifiers", err);
	size_t made = 0;
	if (fresh == NULL)
		return -1;
	for (; made < c->notifier_count; made++) {
		fresh[made].pidfd = -1;
		fresh[made].queue = json_array();
		if (fresh[made].queue == NULL ||
		    str_dup(c->notifiers[made].label, &fresh[made].label, err) < 0) {
			free_outlets(fresh, made + 1);
			return err_nomem(err, "notifiers");
		}
	}
	for (size_t i = 0; i < made; i++) {
		for (size_t k = 0; k < p->count; k++) {
			if (strcmp(fresh[i].label, p->outlets[k].label) != 0)
				continue;
			struct outlet old = p->outlets[k];
			p->outlets[k] = fresh[i];
			fresh[i] = old;
		}
	}
	free_outlets(p->outlets, p->count);
	p->outlets = fresh;
	p->count = made;
	p->config = c;
	alarms_keep(p->alarms, c->notifiers, c->notifier_count);
	return 0;
}

static int notify_start(struct daemon *d, const struct config *c, void **ret, struct err *err)
{
	if (c->notifier_count == 0)
		return 0;
	CLEANUP(notify_stopp) void *part = mem_zalloc(sizeof(struct notify), "notifiers", err);
	struct notify *p = part;
	if (p == NULL)
		return -1;
	p->daemon = d;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0)
		return err_sys(err, ERR_IO, errno, "epoll");
	if (str_printf(&p->path, err, "%s/%s.notify.json", d->state->dir, c->stack.name) < 0 ||
	    alarms_new(clock_wall_ms(), &p->alarms, err) < 0 || set_outlets(p, c, err) < 0)
		return -1;
	notify_load(p);
	alarms_keep(p->alarms, c->notifiers, c->notifier_count);
	p->changed = true;
	*ret = p;
	part = NULL;
	return 0;
}

static int notify_reload(void *part, const struct config *c, struct err *err)
{
	struct notify *p = part;
	if (set_outlets(p, c, err) == 0)
		return 0;
	/* Without memory nobody is told; nothing of the old configuration may stay. */
	free_outlets(p->outlets, p->count);
	p->outlets = NULL;
	p->count = 0;
	p->config = c;
	return -1;
}

static void notify_event(void *part, const struct daemon_event *e)
{
	struct notify *p = part;
	enum alarm_event what = alarms_heed(p->alarms, e);
	for (size_t i = 0; i < p->count; i++) {
		const struct config_notify *n = &p->config->notifiers[i];
		if (is_ping(n)) {
			tell_ping(p, i, what, e);
			continue;
		}
		if (what != ALARM_SUCCESS || (n->events & 1U << ALARM_SUCCESS) == 0)
			continue;
		struct notice_opts opts = {.event = what,
					   .job = e->job,
					   .stack = p->config->stack.name,
					   .facts = e->facts,
					   .now_ms = e->wall_ms};
		json_t *notice = notice_new(&opts);
		if (notice != NULL)
			push(p, &p->outlets[i], notice);
	}
	tell(p);
	step(p);
}

static void notify_wish(void *part, struct daemon_wish *w)
{
	const struct notify *p = part;
	int64_t now = clock_wall_ms(), next = INT64_MAX;
	w->fd = p->epoll;
	for (size_t i = 0; i < p->count; i++) {
		const struct outlet *o = &p->outlets[i];
		const struct config_notify *n = &p->config->notifiers[i];
		if (o->child != NULL || json_array_size(o->queue) > 0)
			w->due = deadline_min(w->due, o->due);
		int64_t at = is_ping(n) ? INT64_MAX : alarms_due(p->alarms, n, now);
		next = at < next ? at : next;
	}
	/* Not at once, should it be due still: what is told needs memory. */
	if (next != INT64_MAX)
		w->due = deadline_min(w->due, deadline_in(next > now ? next - now : AGAIN_MS));
}

static void notify_wake(void *part)
{
	struct notify *p = part;
	int64_t now = clock_wall_ms();
	bool due = false;
	for (size_t i = 0; i < p->count; i++) {
		const struct config_notify *n = &p->config->notifiers[i];
		due = due || (!is_ping(n) && alarms_due(p->alarms, n, now) <= now);
	}
	if (due)
		tell(p);
	step(p);
}

const struct daemon_part notify_part = {.name = "notify",
					.start = notify_start,
					.reload = notify_reload,
					.event = notify_event,
					.wish = notify_wish,
					.wake = notify_wake,
					.stop = notify_stop,
					.describe = notify_describe};
