/*
 * A promotion without copying: an override file names other volumes, and Compose makes the services
 * anew. The daemon alone can't do that: a container's volumes are settled when it is made, and what
 * else belongs into it only Compose knows.
 *
 * Our own file is known by its first line; the third holds what it says once more, as JSON.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/child.h"
#include "base/fault.h"
#include "base/file.h"
#include "stack/docker/docker_impl.h"
#include "stack/compose/engine_docker_promote.h"

#define COMPOSE_DIR   "com.docker.compose.project.working_dir"
#define COMPOSE_FILES "com.docker.compose.project.config_files"
#define FIRST_LINE                                                                                 \
	"# Written by `lifeboat promote --fast`: production's data is in these volumes.\n"
#define SECOND_LINE                                                                                \
	"# Compose without this file falls back to the old data; `lifeboat rollback` takes it "    \
	"back.\n"

enum { OVERRIDE_BYTES_MAX = 1 << 20, COMPOSE_MS = 600000, VERSION_MS = 20000 };

/* ---- Compose's program ---- */

static int compose_env(const struct engine_docker *e, struct strlist *ret, struct err *err)
{
	return strlist_pushf(ret, err, "DOCKER_HOST=%s", e->d->where);
}

/* "docker compose" or "docker-compose", whichever answers; *ret is new. */
static int find_compose(const struct engine_docker *e, json_t **ret, struct err *err)
{
	static const char *const programs[][4] = {{"docker", "compose", "version", NULL},
						  {"docker-compose", "version", NULL}};
	CLEANUP(strlist_done) struct strlist env = {0};
	if (compose_env(e, &env, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		struct child_opts opts = {.argv = programs[i],
					  .env = (const char *const *)env.items};
		struct err why = ERR_INIT;
		if (child_run(&opts, NULL, deadline_in(VERSION_MS), &why) < 0)
			continue;
		*ret = i == 0 ? json_pack("[s, s]", "docker", "compose")
			      : json_pack("[s]", "docker-compose");
		return *ret != NULL ? 0 : err_nomem(err, "a plan");
	}
	*ret = NULL;
	return 0;
}

static int push_texts(struct strlist *argv, const json_t *texts, const char *before,
		      struct err *err)
{
	size_t i;
	json_t *t;
	json_array_foreach(texts, i, t)
	{
		if ((before != NULL && strlist_push(argv, before, err) < 0) ||
		    strlist_push(argv, json_string_value(t), err) < 0)
			return -1;
	}
	return 0;
}

/* "docker compose -p P --project-directory D -f a -f b … up …" for the services that ran, or for
 * those that did not. No services: empty. */
static int compose_argv(const struct engine_docker *e, const json_t *plan, bool ran,
			bool overridden, struct strlist *ret, struct err *err)
{
	const json_t *o = json_object_get(plan, "override");
	size_t i, count = 0;
	json_t *s;
	if (push_texts(ret, json_object_get(o, "compose"), NULL, err) < 0 ||
	    strlist_push(ret, "-p", err) < 0 || strlist_push(ret, e->project, err) < 0 ||
	    strlist_push(ret, "--project-directory", err) < 0 ||
	    strlist_push(ret, plan_str(o, "folder"), err) < 0 ||
	    push_texts(ret, json_object_get(o, "files"), "-f", err) < 0 ||
	    (overridden && (strlist_push(ret, "-f", err) < 0 ||
			    strlist_push(ret, plan_str(o, "path"), err) < 0)) ||
	    strlist_push(ret, "up", err) < 0 ||
	    strlist_push(ret, ran ? "-d" : "--no-start", err) < 0 ||
	    strlist_push(ret, "--force-recreate", err) < 0 ||
	    strlist_push(ret, "--no-deps", err) < 0)
		return -1;
	json_array_foreach(json_object_get(plan, "services"), i, s)
	{
		const char *name = plan_str(s, "service");
		if (json_is_true(json_object_get(s, "running")) != ran || strlist_has(ret, name))
			continue;
		if (strlist_push(ret, name, err) < 0)
			return -1;
		count++;
	}
	if (count == 0)
		strlist_done(ret);
	return 0;
}

static int run_compose(const struct engine_docker *e, const json_t *plan, bool ran, bool overridden,
		       struct err *err)
{
	CLEANUP(strlist_done) struct strlist argv = {0}, env = {0};
	if (compose_argv(e, plan, ran, overridden, &argv, err) < 0 || compose_env(e, &env, err) < 0)
		return -1;
	if (argv.count == 0)
		return 0;
	struct child_opts opts = {.argv = (const char *const *)argv.items,
				  .env = (const char *const *)env.items,
				  .cwd = plan_str(json_object_get(plan, "override"), "folder")};
	return child_run(&opts, NULL, deadline_in(COMPOSE_MS), err);
}

/* ---- the override file ---- */

static int read_override(const char *path, char **ret, struct err *err)
{
	CLEANUP(buf_done) struct buf b;
	struct err why = ERR_INIT;
	buf_init(&b, OVERRIDE_BYTES_MAX);
	*ret = NULL;
	if (file_read_all(path, &b, &why) < 0) {
		if (why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return -1;
	}
	if (strncmp(buf_text(&b), FIRST_LINE, strlen(FIRST_LINE)) == 0)
		return str_dup(buf_text(&b), ret, err);
	err_set(err, ERR_EXISTS, "file '%s' exists and is not Lifeboat's", path);
	return err_hint(err, "Choose another one with --override PATH.");
}

/* {"KEY": "volume"} of a file of ours. */
static int parse_override(const char *text, json_t **ret, struct err *err)
{
	const char *json = text == NULL ? NULL : strstr(text, "\n# {");
	if (json == NULL) {
		*ret = json_object();
		return *ret != NULL ? 0 : err_nomem(err, "a plan");
	}
	json += 3;
	return json_parse(json, strcspn(json, "\n"), ret, err);
}

static int print_override(const json_t *names, char **ret, struct err *err)
{
	CLEANUP(buf_done) struct buf b;
	CLEANUP(freep) char *json = NULL;
	const char *key;
	json_t *name;
	buf_init(&b, OVERRIDE_BYTES_MAX);
	if (json_text(names, false, &json, err) < 0 ||
	    buf_printf(&b, err, FIRST_LINE SECOND_LINE "# %s\nvolumes:\n", json) < 0)
		return -1;
	json_object_foreach((json_t *)(uintptr_t)names, key, name)
	{
		if (buf_printf(&b, err, "  %s:\n    name: %s\n    external: true\n", key,
			       json_string_value(name)) < 0)
			return -1;
	}
	return buf_take(&b, ret, err);
}

/* What compose.yaml calls a volume of production's, which may be one that `names`, the file as it
 * is, put in its place. */
static int key_of(struct engine_docker *e, const json_t *names, const char *of, char **ret,
		  struct err *err)
{
	CLEANUP(json_freep) json_t *v = NULL;
	size_t len = strlen(e->project);
	const char *known;
	json_t *name;
	json_object_foreach((json_t *)(uintptr_t)names, known, name)
	{
		if (strcmp(json_string_value(name), of) == 0)
			return str_dup(known, ret, err);
	}
	if (promote_find_volume(e, of, &v, err) < 0)
		return -1;
	const char *key = promote_label(v, COMPOSE_VOLUME);
	if (key[0] == '\0')
		key = strncmp(of, e->project, len) == 0 && of[len] == '_' ? of + len + 1 : of;
	return str_dup(key, ret, err);
}

/* ---- plan ---- */

/* The Compose files of the project, without our own. */
static int find_files(const json_t *container, const char *folder, const char *override,
		      json_t *files, struct err *err)
{
	const char *p = promote_label(container, COMPOSE_FILES);
	while (*p != '\0') {
		CLEANUP(freep) char *path = NULL;
		int len = (int)strcspn(p, ",");
		if (str_printf(&path, err, "%s%s%.*s", p[0] == '/' ? "" : folder,
			       p[0] == '/' ? "" : "/", len, p) < 0)
			return -1;
		p += len + (p[len] == ',');
		if (strcmp(path, override) == 0)
			continue;
		if (!file_exists(path)) {
			err_set(err, ERR_ABSENT, "Compose's file '%s' is not on this machine",
				path);
			return err_hint(err, "Run `lifeboat promote --fast` where the stack was "
					     "started, or without --fast.");
		}
		if (json_push(files, json_text_value(path), err) < 0)
			return -1;
	}
	if (json_array_size(files) > 0)
		return 0;
	return err_set(err, ERR_ABSENT,
		       "the containers don't tell which Compose files they are of");
}

/* What the file will say. *ret NULL: it will not be there. */
static int next_text(struct engine_docker *e, const struct promotion_spec *spec, const json_t *plan,
		     const char *now, char **ret, struct err *err)
{
	const json_t *record = json_object_get(json_object_get(spec->source, "plan"), "override");
	CLEANUP(json_freep) json_t *names = NULL;
	size_t i;
	json_t *pair;
	*ret = NULL;
	if (record != NULL) {
		const char *back = json_str_or(record, "before", NULL);
		const char *was = json_str_or(record, "after", NULL);
		bool same = was == NULL || now == NULL ? was == now : strcmp(was, now) == 0;
		if (!same) {
			err_set(err, ERR_FAILED, "'%s' is not as that promotion left it",
				plan_str(record, "path"));
			return err_hint(err, "Put it right by hand, or run `lifeboat promote` with "
					     "the volumes that production is to have.");
		}
		return back != NULL ? str_dup(back, ret, err) : 0;
	}
	if (parse_override(now, &names, err) < 0)
		return -1;
	json_array_foreach(json_object_get(plan, "volumes"), i, pair)
	{
		CLEANUP(freep) char *key = NULL;
		if (key_of(e, names, plan_str(pair, "of"), &key, err) < 0 ||
		    json_put(names, key, json_string(plan_str(pair, "from")), err) < 0)
			return -1;
	}
	return print_override(names, ret, err);
}

static int any_service(struct engine_docker *e, json_t **ret, struct err *err)
{
	json_t *list;
	if (docker_containers(e, true, &list, err) < 0)
		return -1;
	if (json_array_size(list) == 0)
		return err_set(err, ERR_ABSENT, "Compose project '%s' has no containers",
			       e->project);
	*ret = json_incref(json_array_get(list, 0));
	return 0;
}

int promote_fast_plan(struct engine_docker *e, const struct promotion_spec *spec, json_t *plan,
		      struct err *err)
{
	CLEANUP(json_freep) json_t *container = NULL;
	CLEANUP(json_freep) json_t *compose = NULL;
	CLEANUP(freep) char *path = NULL, *before = NULL, *after = NULL;
	const json_t *record = json_object_get(json_object_get(spec->source, "plan"), "override");
	json_t *o = json_pack("{s:[]}", "files");
	if (json_put(plan, "override", o, err) < 0 || any_service(e, &container, err) < 0)
		return -1;
	const char *folder = promote_label(container, COMPOSE_DIR);
	int rc = record != NULL ? str_dup(plan_str(record, "path"), &path, err)
		 : spec->override != NULL
		     ? str_dup(spec->override, &path, err)
		     : str_printf(&path, err, "%s/compose.lifeboat.yaml", folder);
	if (rc < 0)
		return -1;
	if (path[0] != '/')
		return err_set(err, ERR_USAGE, "'%s' is no absolute path", path);
	if (find_files(container, folder, path, json_object_get(o, "files"), err) < 0 ||
	    read_override(path, &before, err) < 0 ||
	    next_text(e, spec, plan, before, &after, err) < 0 || find_compose(e, &compose, err) < 0)
		return -1;
	if (json_put(o, "compose", compose != NULL ? json_incref(compose) : json_null(), err) < 0 ||
	    json_put(o, "folder", json_text_value(folder), err) < 0 ||
	    json_put(o, "path", json_text_value(path), err) < 0 ||
	    json_put(o, "before", before != NULL ? json_text_value(before) : json_null(), err) < 0)
		return -1;
	return json_put(o, "after", after != NULL ? json_text_value(after) : json_null(), err);
}

int promote_fast_check(struct engine_docker *e, const json_t *plan, struct err *err)
{
	const json_t *o = json_object_get(plan, "override");
	CLEANUP(strlist_done) struct strlist argv = {0};
	CLEANUP(buf_done) struct buf b;
	struct err full = ERR_INIT;
	buf_init(&b, ERR_HINT_BYTES);
	if (json_is_array(json_object_get(o, "compose")))
		return 0;
	if (compose_argv(e, plan, true, json_is_string(json_object_get(o, "after")), &argv, err) <
	    0)
		return -1;
	for (size_t i = 0; i < argv.count; i++)
		if (buf_printf(&b, &full, " %s", argv.items[i]) < 0)
			break;
	err_set(err, ERR_ABSENT,
		"neither `docker compose` nor `docker-compose` is here, and --fast needs one");
	return err_hint(err, "By hand: write '%s' as --dry-run shows it, and run docker compose%s",
			plan_str(o, "path"), buf_text(&b));
}

/* ---- switch ---- */

int promote_fast_switch(struct engine_docker *e, const json_t *plan, bool undo, struct err *err)
{
	const json_t *o = json_object_get(plan, "override");
	const char *path = plan_str(o, "path");
	const char *text = json_str_or(o, undo ? "before" : "after", NULL);
	if (text != NULL) {
		if (file_write_all(path, 0644, text, strlen(text), err) < 0)
			return -1;
	} else if (unlink(path) < 0 && errno != ENOENT) {
		return err_sys(err, ERR_IO, errno, "can't remove '%s'", path);
	}
	if (!undo && fault_point("promote-move", err) < 0)
		return -1;
	if (run_compose(e, plan, true, text != NULL, err) < 0 ||
	    run_compose(e, plan, false, text != NULL, err) < 0)
		return err_wrap(err, "switching by '%s'", path);
	return 0;
}
