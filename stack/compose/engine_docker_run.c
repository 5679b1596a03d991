/* The run: its mark, the labels of what it makes, and whether the maker of something lives. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/digest.h"
#include "base/file.h"
#include "stack/compose/engine_docker_sweep.h"
#include "stack/engine/process.h"

/* ---- who makes it? ---- */

static int started_at(struct engine_docker *e, char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *me = NULL;
	if (docker_get(e->d, &me, err, "/containers/%s/json", e->self) < 0)
		return err_wrap(err, "Lifeboat's own container");
	return str_dup(json_str_or(json_object_get(me, "State"), "StartedAt", "?"), ret, err);
}

/* "host BOOT SPACE PID START" or "container ID STARTED PID START": a process within one start of a
 * machine or of a container. */
int run_init(struct engine_docker *e, struct err *err)
{
	char boot[64], space[64];
	CLEANUP(freep) char *since = NULL;
	long pid = (long)getpid();
	unsigned long long start = process_start(pid);
	if (e->self != NULL) {
		if (started_at(e, &since, err) < 0)
			return -1;
		return str_printf(&e->maker, err, "container %s %s %ld %llu", e->self, since, pid,
				  start);
	}
	process_boot(boot);
	process_space(space);
	return str_printf(&e->maker, err, "host %s %s %ld %llu", boot, space, pid, start);
}

struct maker {
	char where[16], place[96], since[64];
	long pid;
	unsigned long long start;
};

static bool parse_maker(const char *text, struct maker *ret)
{
	return sscanf(text, "%15s %95s %63s %ld %llu", ret->where, ret->place, ret->since,
		      &ret->pid, &ret->start) == 5 &&
	       ret->pid > 0;
}

static enum maker_state state_of_process(const struct maker *m)
{
	return process_start(m->pid) == m->start && m->start != 0 ? MAKER_LIVES : MAKER_DEAD;
}

static enum maker_state state_on_host(struct engine_docker *e, const struct maker *m)
{
	char boot[64], space[64];
	process_boot(boot);
	process_space(space);
	/* Containers of a Docker on this machine have its boot, so another one is an earlier one.
	 */
	if (strcmp(m->place, boot) != 0)
		return docker_is_near(e->d) ? MAKER_DEAD : MAKER_UNKNOWN;
	return strcmp(m->since, space) == 0 ? state_of_process(m) : MAKER_UNKNOWN;
}

static int state_in_container(struct engine_docker *e, const struct maker *m, enum maker_state *ret,
			      struct err *err)
{
	CLEANUP(json_freep) json_t *container = NULL;
	struct err why = ERR_INIT;
	if (docker_get(e->d, &container, &why, "/containers/%s/json", m->place) < 0) {
		if (why.code != ERR_ABSENT) {
			*err = why;
			return -1;
		}
		*ret = MAKER_DEAD;
		return 0;
	}
	const json_t *state = json_object_get(container, "State");
	if (!json_is_true(json_object_get(state, "Running")) ||
	    strcmp(json_str_or(state, "StartedAt", ""), m->since) != 0)
		*ret = MAKER_DEAD;
	else if (e->self != NULL && strcmp(e->self, m->place) == 0)
		*ret = state_of_process(m);
	else
		*ret = MAKER_LIVES; /* its processes are not to be seen from here */
	return 0;
}

int docker_maker_state(struct engine_docker *e, const char *maker, enum maker_state *ret,
		       struct err *err)
{
	struct maker m;
	if (strcmp(maker, e->maker) == 0) {
		*ret = MAKER_LIVES;
		return 0;
	}
	if (parse_maker(maker, &m) && strcmp(m.where, "host") == 0) {
		*ret = state_on_host(e, &m);
		return 0;
	}
	if (parse_maker(maker, &m) && strcmp(m.where, "container") == 0 &&
	    strspn(m.place, "0123456789abcdef") == strlen(m.place))
		return state_in_container(e, &m, ret, err);
	*ret = MAKER_UNKNOWN;
	return 0;
}

/* ---- labels and marks ---- */

json_t *run_labels(const struct engine_docker *e, const char *kind, const char *component,
		   struct err *err)
{
	json_t *labels = json_object();
	if (json_put(labels, LABEL_STACK, json_text_value(e->stack), err) < 0 ||
	    json_put(labels, LABEL_RUN, json_text_value(e->run_id), err) < 0 ||
	    json_put(labels, LABEL_KIND, json_text_value(kind), err) < 0 ||
	    json_put(labels, LABEL_PURPOSE, json_text_value(e->purpose), err) < 0 ||
	    json_put(labels, LABEL_MAKER, json_text_value(e->maker), err) < 0 ||
	    (component != NULL &&
	     json_put(labels, LABEL_FOR, json_text_value(component), err) < 0)) {
		json_decref(labels);
		return NULL;
	}
	return labels;
}

int docker_mark_make(struct engine_docker *e, const char *name, json_t *labels, struct err *err)
{
	CLEANUP(json_freep) json_t *mine = labels;
	CLEANUP(json_freep) json_t *made = NULL, *body = NULL;
	uint8_t noise[16];
	char hex[2 * sizeof noise + 1];
	if (mine == NULL)
		return -1;
	if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise)
		return err_sys(err, ERR_IO, errno, "random bytes");
	hex_encode(noise, sizeof noise, hex);
	if (json_put(mine, LABEL_NONCE, json_string(hex), err) < 0)
		return -1;
	body = json_pack("{s:s, s:O}", "Name", name, "Labels", mine);
	if (body == NULL)
		return err_nomem(err, "a mark");
	if (docker_post(e->d, body, &made, err, "/volumes/create") < 0)
		return err_wrap(err, "mark '%s'", name);
	/* The daemon hands back one that was there before: whose is it? */
	if (strcmp(json_str_or(json_object_get(made, "Labels"), LABEL_NONCE, ""), hex) != 0)
		return err_set(err, ERR_EXISTS, "mark '%s' is there already", name);
	return 0;
}

static int mark_name(const struct engine_docker *e, char **ret, struct err *err)
{
	return str_printf(ret, err, "lifeboat-run-%s", e->run_id);
}

int run_mark(struct engine_docker *e, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	if (e->marked)
		return 0;
	if (mark_name(e, &name, err) < 0 ||
	    docker_mark_make(e, name, run_labels(e, "run", NULL, err), err) < 0)
		return -1;
	e->marked = true;
	return 0;
}

/* ---- the end of a run ---- */

static bool all_finished(const struct engine_docker *e)
{
	for (size_t i = 0; i < e->volume_count; i++)
		if (!e->volumes[i].finished)
			return false;
	return true;
}

/* Servers that stand still go; those that run were left to the user, and with them their network.
 */
static int clear_away(struct engine_docker *e, bool committed, bool *ret_left, struct err *err)
{
	CLEANUP(docker_things_done) struct docker_things things = {0};
	bool serves = false;
	*ret_left = false;
	if (docker_things_list(e, e->run_id, &things, err) < 0)
		return -1;
	for (size_t i = 0; i < things.count; i++) {
		const struct docker_thing *t = &things.items[i];
		if (t->type == THING_CONTAINER && t->runs && committed)
			serves = true;
		else if (t->type == THING_CONTAINER && committed &&
			 docker_thing_remove(e, t, err) < 0)
			return -1;
		else if (t->type == THING_CONTAINER && !committed)
			*ret_left = true;
	}
	for (size_t i = 0; i < things.count; i++) {
		const struct docker_thing *t = &things.items[i];
		if (t->type != THING_NETWORK || serves)
			continue;
		if (!committed)
			*ret_left = true;
		else if (docker_thing_remove(e, t, err) < 0)
			return -1;
	}
	/* One that was made and could not be removed is not in e->volumes any more. */
	for (size_t i = 0; i < things.count; i++)
		if (things.items[i].type == THING_VOLUME &&
		    docker_volume_find(e, things.items[i].name) == NULL)
			*ret_left = true;
	return 0;
}

int run_unmark(struct engine_docker *e, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	bool left;
	if (!e->marked || !all_finished(e))
		return 0;
	if (clear_away(e, e->volume_count > 0, &left, err) < 0)
		return err_wrap(err, "run %s", e->run_id);
	if (left)
		return 0;
	if (mark_name(e, &name, err) < 0 || docker_delete(e->d, err, "/volumes/%s", name) < 0)
		return err_wrap(err, "mark of run %s", e->run_id);
	e->marked = false;
	return 0;
}

/* ---- folders on the host ---- */

int docker_run_bases(struct strlist *ret, struct err *err)
{
	const char *own = getenv("XDG_RUNTIME_DIR"), *tmp = getenv("TMPDIR");
	if (geteuid() == 0 && strlist_push(ret, "/run/lifeboat", err) < 0)
		return -1;
	if (own != NULL && own[0] == '/' && strlist_push(ret, own, err) < 0)
		return -1;
	if (tmp != NULL && tmp[0] == '/' && strlist_push(ret, tmp, err) < 0)
		return -1;
	return strlist_push(ret, "/tmp", err);
}

int run_folder(struct engine_docker *e, const char *name, char **ret, struct err *err)
{
	CLEANUP(strlist_done) struct strlist bases = {0};
	struct err why = ERR_INIT;
	if (docker_run_bases(&bases, err) < 0)
		return -1;
	for (size_t i = 0; i < bases.count; i++) {
		CLEANUP(freep) char *path = NULL;
		if (str_printf(&path, err, "%s/lifeboat-%s-%s", bases.items[i], e->run_id, name) <
		    0)
			return -1;
		if (strcmp(bases.items[i], "/run/lifeboat") == 0 &&
		    dir_make(bases.items[i], 0700, &why) < 0)
			continue;
		if (mkdir(path, 0700) == 0) {
			*ret = path;
			path = NULL;
			return 0;
		}
		if (errno == EEXIST)
			return err_set(err, ERR_EXISTS, "folder '%s' exists", path);
		err_sys(&why, ERR_IO, errno, "can't create '%s'", path);
	}
	*err = why;
	return -1;
}
