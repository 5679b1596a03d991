/* Runs what is due, and sleeps until something happens. */
#include <errno.h>
#include <malloc.h>
#include <openssl/rand.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "agent/daemon/daemon_impl.h"
#include "agent/daemon/run.h"
#include "agent/daemon/systemd.h"
#include "agent/output/format.h"
#include "base/child.h"
#include "base/log.h"

static uint64_t chance(void)
{
	uint64_t n = 0;
	/* Without it every wait is its shortest: no harm. */
	if (RAND_bytes((unsigned char *)&n, sizeof n) != 1)
		n = 0;
	return n;
}

/* ---- a job's end ---- */

static void say_end(const struct supervise_end *end, enum job_kind kind, int64_t took_ms,
		    int64_t retry_ms)
{
	char took[FORMAT_BYTES], when[CLOCK_TEXT_BYTES];
	if (end->outcome == JOB_SUCCEEDED)
		log_line(LOG_INFO, "%s: done in %s", job_kind_name(kind),
			 format_duration(took_ms, took));
	else
		log_line(end->outcome == JOB_CANCELLED ? LOG_WARN : LOG_ERROR, "%s: %s: %s",
			 job_kind_name(kind), job_outcome_name(end->outcome), end->error);
	if (end->outcome != JOB_SUCCEEDED && end->hint != NULL)
		log_hint(end->outcome == JOB_CANCELLED ? LOG_WARN : LOG_ERROR, end->hint);
	if (retry_ms != 0)
		log_line(LOG_INFO, "%s: tried again at %s", job_kind_name(kind),
			 clock_rfc3339(retry_ms, when));
}

/* Warnings, and what its hooks say. How it ended is told by say_end. */
static void repeat_said(enum job_kind kind, const char *said)
{
	static const char warning[] = "lifeboat: warning: ";
	while (*said != '\0') {
		size_t len = strcspn(said, "\n");
		if (strncmp(said, warning, sizeof warning - 1) == 0)
			log_line(LOG_WARN, "%s: %.*s", job_kind_name(kind),
				 (int)(len - (sizeof warning - 1)), said + sizeof warning - 1);
		else if (len > 0 && strncmp(said, "lifeboat: error: ", 17) != 0 &&
			 strncmp(said, "HINT: ", 6) != 0)
			log_line(LOG_INFO, "%s: | %.*s", job_kind_name(kind), (int)len, said);
		said += len + (said[len] == '\n');
	}
}

static void raise_recovered(struct daemon *d, enum job_kind kind, const struct agenda_end *e)
{
	CLEANUP(json_freep)
	json_t *facts = json_pack("{s:s, s:i, s:o, s:b}", "job", job_kind_name(kind), "failures",
				  (int)e->failures, "failing_since",
				  state_time(e->failing_since_ms), "was_overdue", e->was_overdue);
	if (facts != NULL)
		daemon_raise(d, DAEMON_RECOVERED, kind, facts);
}

/* Notes how the run ended, in the agenda, the state and to all who listen. */
static void note_end(struct daemon *d, enum job_kind kind, const struct supervise_end *end)
{
	struct err err = ERR_INIT;
	struct agenda_end change, backup = {0};
	int64_t now = clock_wall_ms(), took = clock_monotonic_ms() - d->run_began_ms;
	agenda_ended(&d->agenda, kind, now, end->outcome, end->exit_status, chance(), &change);
	if (kind == JOB_BACKUP && end->outcome == JOB_FAILED &&
	    run_backup(kind, end->result) != NULL)
		agenda_copy_instead(&d->agenda);
	if (kind == JOB_COPY && end->outcome == JOB_SUCCEEDED)
		agenda_copied(&d->agenda, &backup);
	const struct agenda_entry *e = &d->agenda.entries[kind];
	say_end(end, kind, took, e->retry_ms);
	json_t *run = d->run;
	d->run = NULL;
	if (run == NULL || run_finish(run, kind, e, now, took, end, &err) < 0 ||
	    state_ended(d->state, kind, end->outcome == JOB_SUCCEEDED, run, &err) < 0)
		log_line(LOG_WARN, "out of memory: this run is not remembered");
	daemon_publish(d);
	json_t *facts = run != NULL ? run_with_result(run, end->result) : NULL;
	if (facts != NULL)
		daemon_raise(d, DAEMON_JOB_ENDED, kind, facts);
	json_decref(facts);
	json_decref(run);
	if (change.recovered)
		raise_recovered(d, kind, &change);
	if (backup.recovered)
		raise_recovered(d, JOB_BACKUP, &backup);
}

int daemon_note_lost(struct daemon *d, struct err *err)
{
	json_t *run = d->state->running;
	enum job_kind kind = job_kind_find(json_str_or(run, "job", NULL));
	if (run == NULL || kind == JOB_KINDS)
		return 0;
	d->run = json_deep_copy(run);
	if (d->run == NULL)
		return err_nomem(err, "a run");
	/* How long it ran nobody knows. */
	d->run_began_ms = clock_monotonic_ms();
	d->agenda.running = kind;
	note_end(d, kind,
		 &(struct supervise_end){.outcome = JOB_LOST,
					 .exit_status = -1,
					 .code = err_code_name(ERR_FAILED),
					 .error = "lifeboat run itself ended while it ran"});
	return 0;
}

/* The job could not run its own hook. */
static bool start_after_hook(struct daemon *d, const struct supervise_end *end)
{
	enum job_kind kind = d->agenda.running;
	const struct config_hook *hook = &d->config->hook;
	struct err err = ERR_INIT;
	struct hook_facts facts = {.job = kind,
				   .stack = d->config->stack.name,
				   .outcome = job_outcome_name(end->outcome),
				   .error = end->error,
				   .duration_ms = clock_monotonic_ms() - d->run_began_ms};
	if (end->exit_status >= 0 || hook->after[kind] == NULL)
		return false;
	if (hook_start(hook->after[kind], &facts, &d->hook, &err) < 0) {
		log_line(LOG_WARN, "hook after_%s: %s", job_kind_name(kind), err.msg);
		return false;
	}
	d->hook_until = deadline_in(hook->timeout_ms);
	return true;
}

static void finish_job(struct daemon *d)
{
	struct supervise_end end;
	supervise_end(d->job, &end);
	repeat_said(d->agenda.running, supervise_said(d->job));
	note_end(d, d->agenda.running, &end);
	supervise_free(d->job);
	d->job = NULL;
	daemon_say(d, "");
	/* A long document has come and gone; until the next one may be a day. */
	malloc_trim(0);
}

static void step_job(struct daemon *d)
{
	struct supervise_end end;
	if (d->job == NULL)
		return;
	if (d->hook != NULL) {
		struct err err = ERR_INIT;
		if (child_running(d->hook) && deadline_left_ms(d->hook_until) > 0)
			return;
		if (hook_end(d->hook, deadline_in(0), &err) < 0)
			log_line(LOG_WARN, "hook after_%s: %s", job_kind_name(d->agenda.running),
				 err.msg);
		child_free(d->hook);
		d->hook = NULL;
		finish_job(d);
		return;
	}
	if (!supervise_step(d->job))
		return;
	supervise_end(d->job, &end);
	if (!start_after_hook(d, &end))
		finish_job(d);
}

/* ---- a job's beginning ---- */

static void start_job(struct daemon *d, enum job_kind kind)
{
	struct err err = ERR_INIT;
	const struct agenda_entry *e = &d->agenda.entries[kind];
	struct supervise_opts opts = {.kind = kind,
				      .config_path = d->config->path,
				      .config_fd = d->config_fd,
				      .deadline_ms = d->config->schedule.deadline_ms,
				      .stop_ms = d->config->agent.stop_timeout_ms};
	agenda_began(&d->agenda, kind, clock_wall_ms());
	d->run_began_ms = clock_monotonic_ms();
	int done = supervise_start(&opts, &d->job, &err);
	pid_t pid = done == 0 ? supervise_pid(d->job) : 0;
	struct err why = ERR_INIT;
	if (run_new(kind, e, pid, &d->run, &why) < 0)
		log_line(LOG_WARN, "%s", why.msg);
	if (done < 0) {
		note_end(d, kind,
			 &(struct supervise_end){.outcome = JOB_FAILED,
						 .exit_status = -1,
						 .code = err_code_name(err.code),
						 .error = err.msg});
		return;
	}
	log_line(LOG_INFO, "%s: begins (%s)", job_kind_name(kind),
		 job_trigger_name(e->run_trigger));
	if (d->run != NULL)
		state_began(d->state, d->run);
	daemon_publish(d);
	if (d->run != NULL)
		daemon_raise(d, DAEMON_JOB_BEGAN, kind, d->run);
	daemon_say(d, "");
}

/* ---- news of the agenda ---- */

static void raise_overdue(struct daemon *d, enum job_kind kind)
{
	const struct agenda_entry *e = &d->agenda.entries[kind];
	char when[CLOCK_TEXT_BYTES];
	int64_t due = e->overdue_since_ms - d->agenda.opts.overdue_ms - d->agenda.opts.delay_ms;
	CLEANUP(json_freep)
	json_t *facts = json_pack("{s:s, s:o, s:o, s:o}", "job", job_kind_name(kind), "due",
				  state_time(due), "overdue_since", state_time(e->overdue_since_ms),
				  "last_success", state_time(e->success_ms));
	log_line(LOG_ERROR, "%s: overdue: was due at %s and has not succeeded since",
		 job_kind_name(kind), clock_rfc3339(due, when));
	if (facts != NULL)
		daemon_raise(d, DAEMON_OVERDUE, kind, facts);
}

static void raise_missed(struct daemon *d, enum job_kind kind, int64_t due_ms)
{
	char when[CLOCK_TEXT_BYTES];
	CLEANUP(json_freep)
	json_t *facts =
	    json_pack("{s:s, s:o}", "job", job_kind_name(kind), "due", state_time(due_ms));
	log_line(LOG_WARN, "%s: missed at %s, too long ago to catch up", job_kind_name(kind),
		 clock_rfc3339(due_ms, when));
	if (facts != NULL)
		daemon_raise(d, DAEMON_MISSED, kind, facts);
}

void daemon_tell_news(struct daemon *d, const struct agenda_look *look)
{
	bool news = false;
	for (enum job_kind k = 0; k < JOB_KINDS; k++)
		news = news || look->overdue[k] || look->missed_ms[k] != 0;
	if (news)
		daemon_publish(d);
	for (enum job_kind k = 0; k < JOB_KINDS; k++) {
		if (look->missed_ms[k] != 0)
			raise_missed(d, k, look->missed_ms[k]);
		if (look->overdue[k])
			raise_overdue(d, k);
	}
}

/* ---- sleeping ---- */

struct sleep {
	struct pollfd fds[2 + SUPERVISE_FDS + DAEMON_PARTS_MAX];
	size_t count;
	struct deadline until;
	struct deadline part_due[DAEMON_PARTS_MAX];
};

enum { FD_SIGNALS, FD_TIMER, FD_JOB, FD_PARTS = FD_JOB + SUPERVISE_FDS };

static void prepare(struct daemon *d, struct sleep *s)
{
	*s = (struct sleep){.count = FD_PARTS, .until = d->watchdog};
	s->fds[FD_SIGNALS] = (struct pollfd){.fd = d->wake.signals, .events = POLLIN};
	s->fds[FD_TIMER] = (struct pollfd){.fd = d->wake.timer, .events = POLLIN};
	for (size_t i = 0; i < SUPERVISE_FDS; i++)
		s->fds[FD_JOB + i].fd = -1;
	if (d->hook != NULL) {
		s->until = deadline_min(s->until, d->hook_until);
	} else if (d->job != NULL) {
		supervise_fds(d->job, s->fds + FD_JOB);
		s->until = deadline_min(s->until, supervise_due(d->job));
	}
	for (size_t i = 0; daemon_parts[i] != NULL && i < DAEMON_PARTS_MAX; i++) {
		struct daemon_wish w = {.fd = -1, .due = DEADLINE_NEVER};
		if (d->parts[i] != NULL && daemon_parts[i]->wish != NULL)
			daemon_parts[i]->wish(d->parts[i], &w);
		s->fds[s->count++] = (struct pollfd){.fd = w.fd, .events = POLLIN};
		s->part_due[i] = w.due;
		s->until = deadline_min(s->until, w.due);
	}
}

static int nap(struct daemon *d, struct sleep *s, struct err *err)
{
	prepare(d, s);
	int64_t left = deadline_left_ms(s->until);
	/* A day at a time: poll takes an int. */
	int ms = left == INT64_MAX ? -1 : left > 86400000 ? 86400000 : (int)left;
	if (poll(s->fds, (nfds_t)s->count, ms) < 0 && errno != EINTR)
		return err_sys(err, ERR_IO, errno, "poll");
	return 0;
}

static void wake_parts(struct daemon *d, const struct sleep *s)
{
	for (size_t i = 0; daemon_parts[i] != NULL && i < DAEMON_PARTS_MAX; i++)
		if (d->parts[i] != NULL && daemon_parts[i]->wake != NULL &&
		    (s->fds[FD_PARTS + i].revents != 0 || deadline_left_ms(s->part_due[i]) == 0))
			daemon_parts[i]->wake(d->parts[i]);
	if (deadline_left_ms(d->watchdog) == 0) {
		systemd_tell("WATCHDOG=1");
		d->watchdog = deadline_in(d->watchdog_ms);
	}
}

/* ---- signals ---- */

static void stop(struct daemon *d, const struct wake_signals *s)
{
	if (!d->stopping) {
		d->stopping = true;
		systemd_tell("STOPPING=1");
		log_line(LOG_INFO, "ending, as SIG%s says",
			 s->stop_signal == SIGINT ? "INT" : "TERM");
		CLEANUP(json_freep) json_t *facts = daemon_facts(d);
		if (facts != NULL)
			daemon_raise(d, DAEMON_STOPPING, JOB_KINDS, facts);
	}
	for (; d->stop_signals < s->stop; d->stop_signals++) {
		if (d->hook != NULL)
			d->hook_until = deadline_in(0);
		else if (d->job != NULL)
			supervise_cancel(d->job);
	}
}

static void heed(struct daemon *d, struct wake_signals *s)
{
	wake_take(&d->wake, s);
	if (s->stop > d->stop_signals)
		stop(d, s);
	if (s->reload && !d->stopping)
		daemon_reload(d);
	if (s->backup && !d->stopping && !agenda_request(&d->agenda, JOB_BACKUP, clock_wall_ms()))
		log_line(LOG_INFO, "SIGUSR1: a backup runs or waits already");
	s->reload = s->backup = false;
}

int daemon_loop(struct daemon *d, struct err *err)
{
	struct wake_signals signals = {0};
	struct sleep s;
	for (;;) {
		struct agenda_look look;
		agenda_look(&d->agenda, clock_wall_ms(), &look);
		daemon_tell_news(d, &look);
		if (d->stopping && d->job == NULL)
			break;
		if (look.run != JOB_KINDS && !d->stopping) {
			start_job(d, look.run);
			continue;
		}
		wake_at(&d->wake, d->stopping ? AGENDA_NEVER : look.wake_ms);
		if (nap(d, &s, err) < 0)
			return -1;
		heed(d, &signals);
		step_job(d);
		child_reap_orphans();
		wake_parts(d, &s);
	}
	daemon_publish(d);
	return 0;
}
