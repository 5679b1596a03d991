#include "agent/daemon/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>
#include "agent/daemon/daemon.h"
#include "base/file.h"
#include "base/log.h"

enum { FILE_MAX_BYTES = 16 << 20, COUNT_MAX = 1000000 };

int state_folder(const struct config *c, char **ret, struct err *err)
{
	static const char system_folder[] = "/var/lib/lifeboat";
	struct stat st;
	const char *systemd = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME"),
		   *home = getenv("HOME");
	if (c->agent.state_dir != NULL)
		return str_dup(c->agent.state_dir, ret, err);
	/* Several are separated by colons. */
	if (systemd != NULL && systemd[0] == '/')
		return str_dupn(systemd, strcspn(systemd, ":"), ret, err);
	/* Also for the user of the package's units when he looks from a shell. */
	if (geteuid() == 0 || (stat(system_folder, &st) == 0 && st.st_uid == geteuid()))
		return str_dup(system_folder, ret, err);
	if (xdg != NULL && xdg[0] == '/')
		return str_printf(ret, err, "%s/lifeboat", xdg);
	if (home != NULL && home[0] == '/')
		return str_printf(ret, err, "%s/.local/state/lifeboat", home);
	err_set(err, ERR_CONFIG, "there is no folder to remember things in: HOME is not set");
	return err_hint(err, "set state_dir in [agent]");
}

/* ---- reading ---- */

static int read_time(const json_t *o, const char *key, int64_t *ret, struct err *err)
{
	const char *text = json_str_or(o, key, NULL);
	if (text == NULL && !json_is_null(json_object_get(o, key)))
		return err_set(err, ERR_CORRUPT, "field '%s' is no time", key);
	if (text == NULL)
		return 0;
	if (clock_parse_rfc3339(text, ret, err) < 0)
		return err_wrap(err, "field '%s'", key);
	return *ret >= 0 ? 0 : err_set(err, ERR_CORRUPT, "field '%s' is before 1970", key);
}

static int read_count(const json_t *o, const char *key, unsigned *ret, struct err *err)
{
	uint64_t n;
	if (json_get_u64(o, key, &n, err) < 0)
		return -1;
	if (n > COUNT_MAX)
		return err_set(err, ERR_CORRUPT, "field '%s' is too large", key);
	*ret = (unsigned)n;
	return 0;
}

static int read_entry(const json_t *o, struct agenda_entry *ret, struct err *err)
{
	struct agenda_entry e = {0};
	struct {
		const char *key;
		int64_t *to;
	} const times[] = {{"since", &e.since_ms},
			   {"handled", &e.handled_ms},
			   {"due", &e.due_ms},
			   {"retry", &e.retry_ms},
			   {"run_began", &e.run_began_ms},
			   {"run_due", &e.run_due_ms},
			   {"success", &e.success_ms},
			   {"failing_since", &e.failing_since_ms},
			   {"overdue_since", &e.overdue_since_ms}};
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		if (read_time(o, times[i].key, times[i].to, err) < 0)
			return -1;
	if (read_count(o, "attempts", &e.attempts, err) < 0 ||
	    read_count(o, "run_attempt", &e.run_attempt, err) < 0 ||
	    read_count(o, "failures", &e.failures, err) < 0)
		return -1;
	e.trigger = job_trigger_find(json_str_or(o, "trigger", NULL));
	e.run_trigger = job_trigger_find(json_str_or(o, "run_trigger", NULL));
	if (e.trigger == JOB_TRIGGERS || e.run_trigger == JOB_TRIGGERS)
		return err_set(err, ERR_CORRUPT, "an unknown trigger");
	*ret = e;
	return 0;
}

/* A run's facts, as far as this program looks into them again. */
static int check_run(const json_t *run, struct err *err)
{
	const char *text;
	if (json_get_str(run, "job", &text, err) < 0)
		return -1;
	if (job_kind_find(text) == JOB_KINDS)
		return err_set(err, ERR_CORRUPT, "a run of an unknown job '%.40s'", text);
	return json_get_str(run, "run", &text, err);
}

static int read_job(struct state *s, const char *name, const json_t *job, struct err *err)
{
	enum job_kind k = job_kind_find(name);
	json_t *agenda, *last = json_object_get(job, "last"),
			*success = json_object_get(job, "last_success");
	const char *plan;
	if (k == JOB_KINDS)
		return err_set(err, ERR_CORRUPT, "an unknown job '%.40s'", name);
	if (json_get_obj(job, "agenda", &agenda, err) < 0 ||
	    read_entry(agenda, &s->entries[k], err) < 0)
		return -1;
	plan = json_str_or(agenda, "plan", NULL);
	if (plan != NULL && str_dup(plan, &s->plans[k], err) < 0)
		return -1;
	if (json_is_object(last)) {
		if (check_run(last, err) < 0)
			return -1;
		s->last[k] = json_incref(last);
	}
	if (json_is_object(success)) {
		if (check_run(success, err) < 0)
			return -1;
		s->last_success[k] = json_incref(success);
	}
	return state_counts_read(s, k, json_object_get(job, "counts"), err);
}

static int read_document(struct state *s, const json_t *doc, struct err *err)
{
	json_t *jobs, *history, *running = json_object_get(doc, "running"), *value;
	const char *name;
	uint64_t version;
	size_t i;
	if (json_get_u64(doc, "version", &version, err) < 0)
		return -1;
	if (version != 1)
		return err_set(err, ERR_CORRUPT, "it is of version %llu, not 1",
			       (unsigned long long)version);
	if (json_get_obj(doc, "jobs", &jobs, err) < 0 ||
	    json_get_arr(doc, "history", &history, err) < 0)
		return -1;
	json_object_foreach(jobs, name, value)
	{
		if (read_job(s, name, value, err) < 0)
			return err_wrap(err, "job '%.40s'", name);
	}
	json_array_foreach(history, i, value)
	{
		if (check_run(value, err) < 0)
			return err_wrap(err, "history");
		if (i < STATE_HISTORY && json_push(s->history, json_incref(value), err) < 0)
			return -1;
	}
	if (json_is_object(running)) {
		if (check_run(running, err) < 0)
			return err_wrap(err, "running");
		s->running = json_incref(running);
	}
	return 0;
}

static int parse_file(const char *path, json_t **ret, struct err *err)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	if (file_read_all(path, &text, err) < 0)
		return -1;
	return json_parse(buf_text(&text), text.len, ret, err);
}

static void forget(struct state *s)
{
	memset(s->entries, 0, sizeof s->entries);
	for (enum job_kind k = 0; k < JOB_KINDS; k++) {
		free(s->plans[k]);
		json_decref(s->last[k]);
		json_decref(s->last_success[k]);
		json_decref(s->counts[k]);
		s->plans[k] = NULL;
		s->last[k] = s->last_success[k] = s->counts[k] = NULL;
	}
	json_decref(s->running);
	json_decref(s->history);
	s->running = s->history = NULL;
}

/* Begins anew, and keeps what could not be read for a person to look at. */
static int set_aside(struct state *s, const struct err *why, struct err *err)
{
	CLEANUP(freep) char *aside = NULL;
	if (str_printf(&aside, err, "%s.broken", s->path) < 0)
		return -1;
	bool moved = rename(s->path, aside) == 0;
	return str_printf(&s->warning, err,
			  "state file '%s': %s; %s%s%s, and what has run is "
			  "forgotten",
			  s->path, why->msg, moved ? "it is now '" : "it stays", moved ? aside : "",
			  moved ? "'" : "");
}

static int load(struct state *s, struct err *err)
{
	CLEANUP(json_freep) json_t *doc = NULL;
	struct err why = ERR_INIT;
	s->history = json_array();
	if (s->history == NULL)
		return err_nomem(err, "the state");
	if (parse_file(s->path, &doc, &why) == 0 && read_document(s, doc, &why) == 0)
		return 0;
	if (why.code == ERR_NOMEM) {
		*err = why;
		return -1;
	}
	forget(s);
	s->history = json_array();
	if (s->history == NULL)
		return err_nomem(err, "the state");
	return why.code == ERR_ABSENT ? 0 : set_aside(s, &why, err);
}

/* ---- life ---- */

static int lock(struct state *s, const char *stack, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	struct err why = ERR_INIT;
	if (str_printf(&path, err, "%s/%s.lock", s->dir, stack) < 0)
		return -1;
	if (file_lock(path, &s->lock, &why) == 0)
		return 0;
	if (why.code != ERR_LOCKED) {
		*err = why;
		return -1;
	}
	const char *holder = strstr(why.msg, ": ");
	err_set(err, ERR_LOCKED, "lifeboat run is already there for stack '%s'%s", stack,
		holder != NULL ? holder : "");
	return err_hint(err, "its signals: HUP reads agent.conf again, USR1 takes a backup now");
}

int state_open(const struct config *c, struct state **ret, struct err *err)
{
	CLEANUP(state_closep) struct state *s = mem_zalloc(sizeof *s, "the state", err);
	if (s == NULL)
		return -1;
	s->lock = -1;
	if (state_folder(c, &s->dir, err) < 0 ||
	    str_printf(&s->path, err, "%s/%s.json", s->dir, c->stack.name) < 0)
		return -1;
	if (dir_make(s->dir, 0750, err) < 0 || lock(s, c->stack.name, err) < 0) {
		err_wrap(err, "state folder '%s'", s->dir);
		return err->hint[0] != '\0'
			   ? -1
			   : err_hint(err, "name another one: state_dir in [agent]");
	}
	if (load(s, err) < 0)
		return -1;
	*ret = s;
	s = NULL;
	return 0;
}

void state_close(struct state *s)
{
	if (s == NULL)
		return;
	forget(s);
	fd_closep(&s->lock);
	free(s->warning);
	free(s->path);
	free(s->dir);
	free(s);
}

void state_began(struct state *s, json_t *run)
{
	json_decref(s->running);
	s->running = json_incref(run);
}

int state_ended(struct state *s, enum job_kind kind, bool success, json_t *run, struct err *err)
{
	json_decref(s->running);
	s->running = NULL;
	json_decref(s->last[kind]);
	s->last[kind] = json_incref(run);
	if (success) {
		json_decref(s->last_success[kind]);
		s->last_success[kind] = json_incref(run);
	}
	if (state_counts_add(s, kind, run, err) < 0)
		return -1;
	while (json_array_size(s->history) >= STATE_HISTORY)
		json_array_remove(s->history, STATE_HISTORY - 1);
	if (json_array_insert(s->history, 0, run) < 0)
		return err_nomem(err, "the history");
	return 0;
}

int state_save(const struct state *s, const char *text, struct err *err)
{
	if (file_write_all(s->path, 0640, text, strlen(text), err) < 0)
		return err_wrap(err, "state file");
	return 0;
}

/* ---- for those who only look ---- */

/* Somebody holds the lock; also when that can't be found out. */
static bool is_held(const struct config *c, const char *dir)
{
	struct err ignored = ERR_INIT;
	CLEANUP(freep) char *path = NULL;
	CLEANUP(fd_closep) int fd = -1;
	if (str_printf(&path, &ignored, "%s/%s.lock", dir, c->stack.name) < 0)
		return true;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? errno != ENOENT : flock(fd, LOCK_SH | LOCK_NB) < 0;
}

int daemon_status(const struct config *c, json_t **ret, struct err *err)
{
	CLEANUP(freep) char *dir = NULL;
	CLEANUP(freep) char *path = NULL;
	CLEANUP(json_freep) json_t *doc = NULL;
	const char *name;
	json_t *job;
	if (state_folder(c, &dir, err) < 0 ||
	    str_printf(&path, err, "%s/%s.json", dir, c->stack.name) < 0 ||
	    parse_file(path, &doc, err) < 0)
		return err_wrap(err, "state file");
	if (!json_is_object(doc))
		return err_set(err, ERR_CORRUPT, "state file '%s': not an object", path);
	json_object_foreach(json_object_get(doc, "jobs"), name, job)
	{
		json_object_del(job, "agenda");
	}
	if (!is_held(c, dir) && (json_put(doc, "running", json_null(), err) < 0 ||
				 json_put(doc, "refused", json_null(), err) < 0 ||
				 json_put(doc, "pid", json_null(), err) < 0))
		return -1;
	json_object_del(doc, "version");
	*ret = doc;
	doc = NULL;
	return 0;
}
