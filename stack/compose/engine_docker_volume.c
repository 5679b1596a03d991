/*
 * Fresh volumes. Creating a volume that exists hands back the old one with its data, so each is
 * asked for first, and then recognised by a random label in the daemon's answer.
 *
 * A fresh volume gets the layout of the image's folder at its mount point (Docker's copy-up), as
 * production's once did, unless the image has files where the data is to be: initdb wants an empty
 * folder, and what production had deleted must not come back.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "stack/compose/engine_docker_box.h"

/* ---- what is known ---- */

static struct docker_volume *known(const struct engine_docker *e, const char *name)
{
	for (size_t i = 0; i < e->volume_count; i++)
		if (strcmp(e->volumes[i].name, name) == 0)
			return (struct docker_volume *)(uintptr_t)&e->volumes[i];
	return NULL;
}

const struct docker_volume *docker_volume_find(const struct engine_docker *e, const char *name)
{
	return known(e, name);
}

static void forget(struct engine_docker *e, const char *name)
{
	struct docker_volume *v = known(e, name);
	if (v == NULL)
		return;
	free(v->name);
	free(v->target);
	free(v->path);
	*v = e->volumes[--e->volume_count];
	e->volumes[e->volume_count] = (struct docker_volume){0};
}

int docker_volume_exists(struct engine *base, const char *name, bool *ret, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	struct err why = ERR_INIT;
	if (docker_get(e->d, NULL, &why, "/volumes/%s", name) == 0) {
		*ret = true;
		return 0;
	}
	if (why.code == ERR_ABSENT) {
		*ret = false;
		return 0;
	}
	*err = why;
	return err_wrap(err, "volume '%s'", name);
}

/* ---- where it is mounted ---- */

static bool covers(const char *folder, const char *path)
{
	size_t len = strlen(folder);
	return strncmp(folder, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The longest mount point of production's that has `path` in it, or `path` itself. */
static int mount_point(const struct docker_component *c, const char *path, char **ret,
		       struct err *err)
{
	const char *best = NULL;
	size_t i;
	json_t *mount;
	json_array_foreach(json_object_get(c->runtime, "mounts"), i, mount)
	{
		const char *at = json_str_or(mount, "destination", "");
		const char *type = json_str_or(mount, "type", "");
		if ((strcmp(type, "volume") == 0 || strcmp(type, "bind") == 0) && at[0] == '/' &&
		    at[1] != '\0' && covers(at, path) &&
		    (best == NULL || strlen(at) > strlen(best)))
			best = at;
	}
	if (best == NULL)
		return str_dup(path, ret, err);
	if (docker_path_check(best, err) < 0)
		return err_wrap(err, "a mount of %s", c->name);
	return str_dup(best, ret, err);
}

int docker_volume_place(const struct docker_component *c, const char *name, const char *path,
			char **ret_target, char **ret_path, struct err *err)
{
	CLEANUP(freep) char *target = NULL, *data = NULL;
	if (path == NULL) {
		if (str_printf(&target, err, "/lifeboat/%s", name) < 0 ||
		    str_dup(target, &data, err) < 0)
			return -1;
	} else {
		size_t len = strlen(path);
		while (len > 1 && path[len - 1] == '/')
			len--;
		if (str_dupn(path, len, &data, err) < 0)
			return -1;
		if (docker_path_check(data, err) < 0 || data[1] == '\0')
			return err_set(err, ERR_CORRUPT, "volume '%s' can't be mounted at '%.200s'",
				       name, path);
		if (mount_point(c, data, &target, err) < 0)
			return -1;
	}
	*ret_target = target;
	*ret_path = data;
	target = data = NULL;
	return 0;
}

int docker_volume_target(const struct engine_docker *e, const char *name, char **ret_target,
			 char **ret_path, struct err *err)
{
	const struct docker_volume *v = known(e, name);
	CLEANUP(freep) char *target = NULL, *path = NULL;
	if (v == NULL) {
		if (docker_volume_place(NULL, name, NULL, &target, &path, err) < 0)
			return -1;
	} else if (str_dup(v->target, &target, err) < 0 || str_dup(v->path, &path, err) < 0) {
		return -1;
	}
	if (ret_target != NULL) {
		*ret_target = target;
		target = NULL;
	}
	if (ret_path != NULL) {
		*ret_path = path;
		path = NULL;
	}
	return 0;
}

/* ---- create ---- */

static int name_taken(const char *name, struct err *err)
{
	err_set(err, ERR_EXISTS, "volume '%s' exists", name);
	return err_hint(err, "Choose another name; a volume that exists is never written into.");
}

/* What `promote` needs to know of it. */
static int put_spec(json_t *labels, const struct docker_component *c,
		    const struct volume_spec *spec, struct err *err)
{
	const char *const pairs[][2] = {{LABEL_OF, spec->of},
					{LABEL_BACKUP, spec->backup},
					{LABEL_CAUTION, spec->caution},
					{LABEL_IMAGE, c->image}};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (pairs[i][1] != NULL &&
		    json_put(labels, pairs[i][0], json_text_value(pairs[i][1]), err) < 0)
			return -1;
	return 0;
}

static int make_volume(struct engine_docker *e, const struct docker_volume *v,
		       const struct volume_spec *spec, struct err *err)
{
	const char *name = v->name;
	CLEANUP(json_freep) json_t *body = json_object();
	CLEANUP(json_freep) json_t *answer = NULL;
	uint8_t noise[16];
	char nonce[2 * sizeof noise + 1];
	if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise)
		return err_set(err, ERR_IO, "no random bytes");
	hex_encode(noise, sizeof noise, nonce);
	json_t *labels = run_labels(e, "volume", v->component->name, err);
	if (labels == NULL)
		return -1;
	if (json_put(body, "Labels", labels, err) < 0 ||
	    json_put(labels, LABEL_NONCE, json_string(nonce), err) < 0 ||
	    put_spec(labels, v->component, spec, err) < 0 ||
	    json_put(body, "Name", json_string(name), err) < 0 ||
	    json_put(body, "Driver", json_string("local"), err) < 0 ||
	    docker_make(e, "/volumes/create", body, &answer, err) < 0)
		return err_wrap(err, "volume '%s'", name);
	/* Somebody else's, made since it was asked for. */
	if (strcmp(json_str_or(json_object_get(answer, "Labels"), LABEL_NONCE, ""), nonce) != 0)
		return name_taken(name, err);
	return 0;
}

static void unmake_volume(struct engine_docker *e, const char *name)
{
	struct err why = ERR_INIT;
	cancel_hold();
	if (docker_delete(e->d, &why, "/volumes/%s", name) < 0)
		log_debug("volume '%s': %s", name, why.msg);
	cancel_release();
}

static int make_and_furnish(struct engine_docker *e, const struct docker_volume *v,
			    const struct volume_spec *spec, struct err *err)
{
	bool copy_up =
	    docker_furnish_is_database(v->component) && strncmp(v->target, "/lifeboat/", 10) != 0;
	bool again = false;
	do {
		if (again) {
			copy_up = false;
			if (docker_delete(e->d, err, "/volumes/%s", v->name) < 0)
				return -1;
		}
		if (make_volume(e, v, spec, err) < 0)
			return -1;
		if (docker_furnish(e, v, copy_up, &again, err) < 0) {
			unmake_volume(e, v->name);
			return err_wrap(err, "volume '%s'", v->name);
		}
	} while (again);
	return 0;
}

int docker_volume_create(struct engine *base, const char *name, const struct volume_spec *spec,
			 struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	struct docker_volume v = {0};
	CLEANUP(freep) char *own_name = NULL, *target = NULL, *path = NULL;
	bool exists;
	if (docker_adopted(e, spec->component, &v.component, err) < 0 ||
	    docker_volume_exists(base, name, &exists, err) < 0)
		return -1;
	if (exists)
		return name_taken(name, err);
	if (e->volume_count == sizeof e->volumes / sizeof *e->volumes)
		return err_set(err, ERR_LIMIT, "one run makes at most %zu volumes",
			       sizeof e->volumes / sizeof *e->volumes);
	if (docker_volume_place(v.component, name, spec->path, &target, &path, err) < 0 ||
	    str_dup(name, &own_name, err) < 0 || run_mark(e, err) < 0)
		return -1;
	v.name = own_name;
	v.target = target;
	v.path = path;
	if (make_and_furnish(e, &v, spec, err) < 0)
		return -1;
	e->volumes[e->volume_count++] = v;
	own_name = target = path = NULL;
	return 0;
}

/* ---- finish, remove ---- */

int docker_volume_finish(struct engine *base, const char *name, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	struct docker_volume *v = known(e, name);
	if (v == NULL)
		return err_set(err, ERR_ABSENT, "volume '%s' is none that this run made", name);
	v->finished = true;
	if (run_unmark(e, err) == 0)
		return 0;
	v->finished = false;
	return -1;
}

/* Ours, and no run that may be at work has it. */
static int check_removable(struct engine_docker *e, const char *name, const json_t *labels,
			   struct err *err)
{
	const char *run = json_str_or(labels, LABEL_RUN, "");
	CLEANUP(freep) char *mark = NULL;
	bool marked;
	if (strcmp(json_str_or(labels, LABEL_STACK, ""), e->stack) != 0 ||
	    strcmp(json_str_or(labels, LABEL_KIND, ""), "volume") != 0 ||
	    !engine_volume_name_is_valid(run)) {
		err_set(err, ERR_DENIED, "volume '%s' was not made here: not removed", name);
		return err_hint(err, "If it is not needed, remove it with: docker volume rm %s",
				name);
	}
	if (strcmp(run, e->run_id) == 0)
		return 0;
	if (str_printf(&mark, err, "lifeboat-run-%s", run) < 0 ||
	    docker_volume_exists(&e->base, mark, &marked, err) < 0)
		return -1;
	if (!marked)
		return 0;
	err_set(err, ERR_LOCKED, "volume '%s' is of run %s, which is at work or was killed", name,
		run);
	return err_hint(err, "What killed runs left behind is removed by: lifeboat prune");
}

/* Containers that have it, as /containers/json tells them. New. */
static int users_of(struct engine_docker *e, const char *name, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *filter = json_pack("{s:[s]}", "volume", name);
	CLEANUP(freep) char *query = NULL;
	if (filter == NULL)
		return err_nomem(err, "a filter");
	if (docker_filters(filter, &query, err) < 0)
		return -1;
	return docker_get(e->d, ret, err, "/containers/json%s&all=1", query);
}

static bool is_own_helper(const struct engine_docker *e, const json_t *container)
{
	const json_t *labels = json_object_get(container, "Labels");
	return strcmp(json_str_or(labels, LABEL_RUN, ""), e->run_id) == 0 &&
	       strcmp(json_str_or(labels, LABEL_KIND, ""), "helper") == 0;
}

/* Once more, without helpers that could not be removed when they were done; else who has it. */
static int remove_used(struct engine_docker *e, const char *name, struct err *err)
{
	CLEANUP(json_freep) json_t *list = NULL;
	size_t i;
	json_t *c;
	const char *who = NULL;
	if (users_of(e, name, &list, err) < 0)
		return err_wrap(err, "volume '%s'", name);
	json_array_foreach(list, i, c)
	{
		const char *called =
		    json_string_value(json_array_get(json_object_get(c, "Names"), 0));
		if (is_own_helper(e, c))
			docker_container_drop(e, json_str_or(c, "Id", NULL));
		else if (called != NULL)
			who = called[0] == '/' ? called + 1 : called;
	}
	if (who == NULL)
		return docker_delete(e->d, err, "/volumes/%s", name);
	err_set(err, ERR_EXISTS, "volume '%s' is in use by %s: not removed", name, who);
	return err_hint(err, "Remove what uses it first: docker rm %s", who);
}

int docker_volume_remove(struct engine *base, const char *name, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *volume = NULL;
	struct err why = ERR_INIT;
	if (docker_get(e->d, &volume, &why, "/volumes/%s", name) < 0) {
		if (why.code == ERR_ABSENT) {
			forget(e, name);
			return 0;
		}
		*err = why;
		return err_wrap(err, "volume '%s'", name);
	}
	if (check_removable(e, name, json_object_get(volume, "Labels"), err) < 0)
		return -1;
	if (docker_delete(e->d, err, "/volumes/%s", name) < 0 &&
	    (err->code != ERR_EXISTS || remove_used(e, name, err) < 0))
		return err->code == ERR_EXISTS ? -1 : err_wrap(err, "volume '%s'", name);
	err_clear(err);
	forget(e, name);
	return 0;
}
