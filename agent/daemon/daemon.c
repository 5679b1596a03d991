#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "agent/daemon/daemon_impl.h"
#include "agent/daemon/systemd.h"
#include "agent/output/format.h"
#include "base/child.h"
#include "base/file.h"
#include "base/log.h"

enum { CONFIG_MAX_BYTES = 1 << 20 };

void daemon_raise(struct daemon *d, enum daemon_event_kind kind, enum job_kind job,
		  const json_t *facts)
{
	struct daemon_event e = {
	    .kind = kind, .job = job, .wall_ms = clock_wall_ms(), .facts = facts};
	for (size_t i = 0; daemon_parts[i] != NULL; i++)
		if (d->parts[i] != NULL && daemon_parts[i]->event != NULL)
			daemon_parts[i]->event(d->parts[i], &e);
}

/* ---- how things stand ---- */

json_t *daemon_facts(struct daemon *d)
{
	CLEANUP(strlist_done) struct strlist warnings = {0};
	struct err err = ERR_INIT;
	json_t *doc = NULL;
	struct state_facts f = {.config = d->config,
				.agenda = &d->agenda,
				.now_ms = clock_wall_ms(),
				.started_ms = d->started_ms,
				.loaded_ms = d->loaded_ms,
				.refused = d->refused,
				.warnings = &warnings};
	if ((d->state->warning != NULL && strlist_push(&warnings, d->state->warning, &err) < 0) ||
	    (d->save_fails && strlist_pushf(&warnings, &err, "the state can't be written to '%s'",
					    d->state->dir) < 0) ||
	    state_document(d->state, &f, &doc, &err) < 0)
		return NULL;
	for (size_t i = 0; daemon_parts[i] != NULL; i++) {
		if (d->parts[i] == NULL || daemon_parts[i]->describe == NULL ||
		    daemon_parts[i]->describe(d->parts[i], doc, &err) == 0)
			continue;
		json_decref(doc);
		return NULL;
	}
	return doc;
}

static void save(struct daemon *d, const char *text)
{
	struct err err = ERR_INIT;
	if (state_save(d->state, text, &err) == 0) {
		d->save_fails = false;
		return;
	}
	if (!d->save_fails)
		log_line(LOG_WARN, "%s; jobs go on, but a restart would not know of them", err.msg);
	d->save_fails = true;
}

void daemon_publish(struct daemon *d)
{
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *doc = daemon_facts(d);
	CLEANUP(freep) char *text = NULL;
	if (doc == NULL || json_text(doc, false, &text, &err) < 0)
		log_line(LOG_WARN, "out of memory: the state is not written");
	else
		save(d, text);
}

void daemon_say(const struct daemon *d, const char *state)
{
	char text[512], when[CLOCK_TEXT_BYTES];
	int64_t next = AGENDA_NEVER, now = clock_wall_ms();
	enum job_kind which = JOB_KINDS;
	for (enum job_kind k = 0; k < JOB_KINDS; k++) {
		int64_t at = agenda_next_ms(&d->agenda, k, now);
		which = at < next ? k : which;
		next = at < next ? at : next;
	}
	if (d->job != NULL)
		snprintf(text, sizeof text, "%sSTATUS=%s runs", state,
			 job_kind_name(d->agenda.running));
	else if (which != JOB_KINDS)
		snprintf(text, sizeof text, "%sSTATUS=next: %s at %s", state, job_kind_name(which),
			 clock_rfc3339(next, when));
	else
		snprintf(text, sizeof text, "%sSTATUS=nothing is scheduled", state);
	systemd_tell(text);
}

/* ---- configuration ---- */

/* The text of the file as it is now, in memory that jobs can read it from. */
static int hold_text(const char *path, int *ret_fd, struct err *err)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, CONFIG_MAX_BYTES);
	int done = file_read_all(path, &text, err);
	CLEANUP(fd_closep) int fd = done == 0 ? memfd_create("agent.conf", MFD_CLOEXEC) : -1;
	if (done == 0 && fd < 0)
		done = err_sys(err, ERR_IO, errno, "memory for agent.conf");
	if (done == 0)
		done = file_write_fd(fd, text.data, text.len, "agent.conf", err);
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	if (done < 0)
		return err_wrap(err, "configuration");
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* A configuration with all that is made from it. */
struct setup {
	struct config *config;
	int fd;
	struct zone *zone;
	struct agenda_rule rules[JOB_KINDS];
	char *plans[JOB_KINDS];
};

static void setup_done(struct setup *s)
{
	config_free(s->config);
	fd_closep(&s->fd);
	zone_free(s->zone);
	for (enum job_kind k = 0; k < JOB_KINDS; k++)
		free(s->plans[k]);
}

static int setup_make(const char *path, struct setup *s, struct err *err)
{
	if (hold_text(path, &s->fd, err) < 0 || config_load_fd(path, s->fd, &s->config, err) < 0 ||
	    zone_load(s->config->timezone, &s->zone, err) < 0 ||
	    config_require_component(s->config, err) < 0)
		return -1;
	const char *zone = s->config->timezone != NULL ? s->config->timezone : "UTC";
	for (enum job_kind k = 0; k < JOB_KINDS; k++) {
		const char *text = s->config->schedule.cron[k];
		if (text == NULL)
			continue;
		s->rules[k].scheduled = true;
		if (cron_parse(text, &s->rules[k].cron, err) < 0 ||
		    str_printf(&s->plans[k], err, "%s %s", text, zone) < 0)
			return -1;
	}
	return 0;
}

/* Puts it in place of what is there, which ends up in `s`. */
static void setup_swap(struct daemon *d, struct setup *s)
{
	struct setup old = {.config = d->config, .fd = d->config_fd, .zone = d->zone};
	int64_t now = clock_wall_ms();
	char host[256] = "", seed[512];
	gethostname(host, sizeof host - 1);
	snprintf(seed, sizeof seed, "%s/%s", host, s->config->stack.name);
	const struct config_schedule *c = &s->config->schedule;
	d->agenda.opts = (struct agenda_opts){.zone = s->zone,
					      .delay_ms = agenda_delay_ms(seed, c->jitter_ms),
					      .catch_up_ms = c->catch_up_ms,
					      .overdue_ms = c->overdue_ms,
					      .retries = c->retries,
					      .retry_wait_ms = c->retry_wait_ms};
	for (enum job_kind k = 0; k < JOB_KINDS; k++) {
		const char *before = d->state->plans[k], *after = s->plans[k];
		d->agenda.rules[k] = s->rules[k];
		if ((before == NULL) != (after == NULL) ||
		    (after != NULL && strcmp(before, after) != 0))
			agenda_reschedule(&d->agenda, k, now);
		old.plans[k] = d->state->plans[k];
		d->state->plans[k] = s->plans[k];
	}
	d->config = s->config;
	d->config_fd = s->fd;
	d->zone = s->zone;
	d->loaded_ms = now;
	json_decref(d->refused);
	d->refused = NULL;
	*s = old;
}

/* The state belongs to them. */
static int check_fixed(const struct daemon *d, const struct setup *s, struct err *err)
{
	CLEANUP(freep) char *dir = NULL;
	if (state_folder(s->config, &dir, err) < 0)
		return -1;
	if (strcmp(s->config->stack.name, d->config->stack.name) == 0 &&
	    strcmp(dir, d->state->dir) == 0)
		return 0;
	err_set(err, ERR_CONFIG, "the stack's name and state_dir can't change while it runs");
	return err_hint(err, "restart lifeboat run");
}

static void warn_of_part(size_t i, const struct err *why)
{
	log_line(LOG_WARN, "%s: %s", daemon_parts[i]->name, why->msg);
	log_hint(LOG_WARN, why->hint);
}

static void start_part(struct daemon *d, size_t i)
{
	struct err err = ERR_INIT;
	if (daemon_parts[i]->start(d, d->config, &d->parts[i], &err) < 0) {
		d->parts[i] = NULL;
		warn_of_part(i, &err);
	}
}

/* Until another one is accepted it is said that this one was not. */
static void refuse(struct daemon *d, const struct err *why)
{
	CLEANUP(json_freep)
	json_t *facts =
	    json_pack("{s:{s:s, s:o, s:o}, s:o}", "error", "code", err_code_name(why->code),
		      "message", json_text_value(why->msg), "hint",
		      why->hint[0] != '\0' ? json_text_value(why->hint) : json_null(), "loaded",
		      state_time(d->loaded_ms));
	json_t *since = json_object_get(d->refused, "since");
	json_t *refused = json_pack(
	    "{s:o, s:O}", "since", since != NULL ? json_incref(since) : state_time(clock_wall_ms()),
	    "error", json_object_get(facts, "error"));
	if (refused != NULL) {
		json_decref(d->refused);
		d->refused = refused;
	}
	daemon_publish(d);
	log_line(LOG_ERROR, "%s; the configuration of before stays", why->msg);
	log_hint(LOG_ERROR, why->hint);
	if (facts != NULL)
		daemon_raise(d, DAEMON_REFUSED, JOB_KINDS, facts);
}

void daemon_reload(struct daemon *d)
{
	CLEANUP(setup_done) struct setup s = {.fd = -1};
	struct err err = ERR_INIT;
	char text[64];
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)clock_monotonic_ms() * 1000);
	systemd_tell(text);
	if (setup_make(d->config->path, &s, &err) < 0 || check_fixed(d, &s, &err) < 0) {
		refuse(d, &err);
		daemon_say(d, "READY=1\n");
		return;
	}
	setup_swap(d, &s);
	for (size_t i = 0; i < d->config->warnings.count; i++)
		log_line(LOG_WARN, "%s", d->config->warnings.items[i]);
	for (size_t i = 0; daemon_parts[i] != NULL; i++) {
		struct err why = ERR_INIT;
		if (d->parts[i] == NULL)
			start_part(d, i);
		else if (daemon_parts[i]->reload(d->parts[i], d->config, &why) < 0)
			warn_of_part(i, &why);
	}
	daemon_publish(d);
	log_line(LOG_INFO, "configuration read again from '%s'", d->config->path);
	CLEANUP(json_freep) json_t *facts = daemon_facts(d);
	if (facts != NULL)
		daemon_raise(d, DAEMON_RELOADED, JOB_KINDS, facts);
	daemon_say(d, "READY=1\n");
}

/* ---- life ---- */

static void daemon_done(struct daemon *d)
{
	for (size_t i = 0; daemon_parts[i] != NULL && i < DAEMON_PARTS_MAX; i++)
		if (d->parts[i] != NULL) {
			daemon_parts[i]->stop(d->parts[i]);
			d->parts[i] = NULL;
		}
	supervise_free(d->job);
	child_free(d->hook);
	json_decref(d->run);
	json_decref(d->refused);
	state_close(d->state);
	config_free(d->config);
	zone_free(d->zone);
	fd_closep(&d->config_fd);
	wake_done(&d->wake);
}

static int begin(struct daemon *d, const struct config *c, struct err *err)
{
	CLEANUP(setup_done) struct setup s = {.fd = -1};
	d->started_ms = clock_wall_ms();
	d->agenda.running = JOB_KINDS;
	/* From here on signals wait to be asked for; one that came before ends us now. */
	if (wake_open(&d->wake, err) < 0 || cancel_check(err) < 0 ||
	    setup_make(c->path, &s, err) < 0 || state_open(s.config, &d->state, err) < 0)
		return -1;
	if (d->state->warning != NULL)
		log_line(LOG_WARN, "%s", d->state->warning);
	memcpy(d->agenda.entries, d->state->entries, sizeof d->agenda.entries);
	setup_swap(d, &s);
	/* In a container there may be nobody else who reaps. */
	if (child_adopt_orphans(err) < 0)
		return -1;
	d->watchdog_ms = systemd_watchdog_ms();
	d->watchdog = d->watchdog_ms > 0 ? deadline_in(d->watchdog_ms) : DEADLINE_NEVER;
	return 0;
}

/* What was left half-way by the one before us; there is somebody to hear of it now. */
static int resume(struct daemon *d, struct err *err)
{
	struct agenda_look look;
	if (daemon_note_lost(d, err) < 0)
		return -1;
	agenda_resume(&d->agenda, clock_wall_ms(), &look);
	daemon_tell_news(d, &look);
	daemon_publish(d);
	return 0;
}

static void warn_of_silence(const struct daemon *d)
{
	for (enum job_kind k = 0; k < JOB_KINDS; k++)
		if (d->agenda.rules[k].scheduled)
			return;
	log_line(LOG_WARN, "%s schedules nothing: no job runs by itself", d->config->path);
}

int daemon_run(const struct config *c, struct err *err)
{
	CLEANUP(daemon_done)
	struct daemon d = {.config_fd = -1, .wake = {.signals = -1, .timer = -1}};
	if (begin(&d, c, err) < 0)
		return -1;
	log_line(LOG_INFO, "lifeboat " LIFEBOAT_VERSION " runs for stack '%s', process %ld",
		 d.config->stack.name, (long)getpid());
	warn_of_silence(&d);
	daemon_publish(&d);
	for (size_t i = 0; daemon_parts[i] != NULL && i < DAEMON_PARTS_MAX; i++)
		start_part(&d, i);
	json_t *facts = daemon_facts(&d);
	if (facts != NULL)
		daemon_raise(&d, DAEMON_STARTED, JOB_KINDS, facts);
	json_decref(facts);
	if (resume(&d, err) < 0)
		return -1;
	daemon_say(&d, "READY=1\n");
	int done = daemon_loop(&d, err);
	systemd_tell("STOPPING=1\nSTATUS=ended");
	return done;
}
