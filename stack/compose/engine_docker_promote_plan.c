/* What a promotion would do. Nothing here changes anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/compose/engine_docker_promote.h"

enum { PATH_BYTES = 32 };

/* ---- pairs ---- */

static bool wants(const char *const *only, const char *component)
{
	const char *label = strncmp(component, "volume ", 7) == 0 ? component + 7 : component;
	for (size_t i = 0; only != NULL && only[i] != NULL; i++)
		if (strcmp(only[i], component) == 0 || strcmp(only[i], label) == 0 ||
		    (label != component && strcmp(only[i], "volumes") == 0))
			return true;
	return only == NULL;
}

/* After a fast promotion production mounts another volume than the one of its name. */
static int current_of(struct engine_docker *e, const json_t *containers, const char *of,
		      const char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *volumes = NULL;
	size_t i, k;
	json_t *c, *v;
	*ret = of;
	json_array_foreach(containers, i, c)
	{
		if (promote_is_service(e, c) && promote_mounts(c, of))
			return 0;
	}
	if (promote_volumes(e, &volumes, err) < 0)
		return -1;
	json_array_foreach(volumes, k, v) json_array_foreach(containers, i, c)
	{
		const char *name = plan_str(v, "Name");
		size_t m;
		json_t *mount;
		if (strcmp(promote_label(v, LABEL_OF), of) != 0 || !promote_is_service(e, c))
			continue;
		/* The name in `containers` outlives this list. */
		json_array_foreach(json_object_get(c, "Mounts"), m, mount)
		{
			if (strcmp(plan_str(mount, "Name"), name) == 0)
				*ret = plan_str(mount, "Name");
		}
	}
	return 0;
}

static bool ends_with_key(const char *name, const char *key)
{
	size_t len = strlen(name), tail = strlen(key);
	return tail > 0 && len > tail && name[len - tail - 1] == '_' &&
	       strcmp(name + len - tail, key) == 0;
}

/* Production's volume: as it was called where the backup was taken, or, when the project has
 * another name here, the one that compose.yaml calls the same. New. */
static int find_production(struct engine_docker *e, const char *of, char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *there = NULL;
	CLEANUP(json_freep) json_t *answer = NULL;
	const json_t *found = NULL;
	size_t i, len = strlen(e->project);
	json_t *v;
	if (promote_find_volume(e, of, &there, err) < 0)
		return -1;
	if (there != NULL || (strncmp(of, e->project, len) == 0 && of[len] == '_'))
		return str_dup(of, ret, err);
	if (docker_get(e->d, &answer, err, "/volumes") < 0)
		return err_wrap(err, "list of volumes");
	json_array_foreach(json_object_get(answer, "Volumes"), i, v)
	{
		const char *key = promote_label(v, COMPOSE_VOLUME);
		if (strcmp(promote_label(v, COMPOSE_PROJECT), e->project) == 0 &&
		    (ends_with_key(of, key) || strcmp(of, key) == 0) &&
		    (found == NULL || strlen(key) > strlen(promote_label(found, COMPOSE_VOLUME))))
			found = v;
	}
	if (found != NULL)
		return str_dup(plan_str(found, "Name"), ret, err);
	err_set(err, ERR_ABSENT, "there is no volume '%s' here, and project '%s' has none like it",
		of, e->project);
	return err_hint(err, "Start the stack once, so that Compose makes its volumes.");
}

static int plan_pair(struct engine_docker *e, const struct promotion_spec *spec,
		     const json_t *containers, const json_t *v, json_t *plan, struct err *err)
{
	CLEANUP(freep) char *before = NULL, *of = NULL;
	CLEANUP(json_freep) json_t *there = NULL;
	CLEANUP(json_freep) json_t *from = NULL;
	const char *name = plan_str(v, "name"), *current;
	if (find_production(e, plan_str(v, "of"), &of, err) < 0 ||
	    current_of(e, containers, of, &current, err) < 0 ||
	    promote_find_volume(e, of, &there, err) < 0 ||
	    promote_find_volume(e, name, &from, err) < 0 ||
	    str_printf(&before, err, "%s_before_%s", of, spec->id) < 0)
		return -1;
	if (from == NULL)
		return err_set(err, ERR_ABSENT, "volume '%s' is gone", name);
	if (strcmp(current, name) == 0)
		return err_set(err, ERR_EXISTS, "production runs on volume '%s' already", name);
	if (!spec->fast && strcmp(current, of) != 0) {
		err_set(err, ERR_EXISTS,
			"production runs on volume '%s' by an override file, not on '%s'", current,
			of);
		return err_hint(err, "Take that back with `lifeboat rollback` first, or switch "
				     "again with --fast.");
	}
	if (!engine_volume_name_is_valid(before))
		return err_set(err, ERR_LIMIT, "'%s' is too long for the name of a volume", before);
	return json_push(json_object_get(plan, "volumes"),
			 json_pack("{s:s, s:s, s:s, s:s, s:s?, s:b}", "component",
				   plan_str(v, "component"), "of", of, "from", name, "current",
				   current, "before", there != NULL && !spec->fast ? before : NULL,
				   "exists", there != NULL),
			 err);
}

static int plan_pairs(struct engine_docker *e, const struct promotion_spec *spec,
		      const json_t *containers, json_t *plan, struct err *err)
{
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(spec->source, "volumes"), i, v)
	{
		if (!wants(spec->only, plan_str(v, "component")))
			continue;
		if (plan_str(v, "of")[0] != '\0') {
			if (plan_pair(e, spec, containers, v, plan, err) < 0)
				return -1;
		} else if (json_push(json_object_get(plan, "left_out"),
				     json_text_value(plan_str(v, "name")), err) < 0) {
			return -1;
		}
	}
	if (json_array_size(json_object_get(plan, "volumes")) > 0)
		return 0;
	return err_set(err, ERR_ABSENT, "there is no volume to move to among those asked for");
}

/* ---- what copies ---- */

static bool has_file(struct engine_docker *e, const char *container, const char *path)
{
	struct archive_entry *entry = NULL;
	struct err ignored = ERR_INIT;
	bool found = docker_stat(e->d, container, path, &entry, NULL, &ignored) == 0;
	archive_entry_free(entry);
	return found;
}

static bool can_copy(struct engine_docker *e, const char *container)
{
	static const char *const tools[] = {"cp", "find", "sync"};
	if (!has_file(e, container, "/bin/sh"))
		return false;
	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
		char bin[PATH_BYTES], usr[PATH_BYTES];
		snprintf(bin, sizeof bin, "/bin/%s", tools[i]);
		snprintf(usr, sizeof usr, "/usr/bin/%s", tools[i]);
		if (!has_file(e, container, bin) && !has_file(e, container, usr))
			return false;
	}
	return true;
}

/* An image of the stack that has a shell and cp; without containers the one that the restored
 * volumes were filled by. */
static int plan_image(struct engine_docker *e, const json_t *containers, json_t *plan,
		      struct err *err)
{
	size_t i;
	json_t *c, *pair;
	json_array_foreach(containers, i, c)
	{
		if (promote_is_service(e, c) && can_copy(e, plan_str(c, "Id")))
			return json_put(plan, "image", json_string(plan_str(c, "ImageID")), err);
	}
	json_array_foreach(json_object_get(plan, "volumes"), i, pair)
	{
		CLEANUP(json_freep) json_t *v = NULL;
		if (promote_find_volume(e, plan_str(pair, "from"), &v, err) < 0)
			return -1;
		const char *image = promote_label(v, LABEL_IMAGE);
		if (image[0] != '\0')
			return json_put(plan, "image", json_string(image), err);
	}
	err_set(err, ERR_ABSENT, "no image of the stack has sh, cp, find and sync to copy with");
	return err_hint(err, "--fast switches without copying.");
}

/* A copy of what production has, and then what comes, in the place of what was there. */
static int plan_room(struct engine_docker *e, json_t *plan, struct err *err)
{
	json_t *volumes = json_object_get(plan, "volumes"), *pair;
	const char *names[64];
	uint64_t bytes[64], needs = 0, room;
	size_t i, count = 0;
	if (json_array_size(volumes) > 32)
		return err_set(err, ERR_LIMIT, "more than 32 volumes");
	json_array_foreach(volumes, i, pair)
	{
		names[count++] = plan_str(pair, "from");
		if (plan_str(pair, "before")[0] != '\0')
			names[count++] = plan_str(pair, "of");
	}
	if (promote_measure(e, plan, names, count, bytes, err) < 0)
		return -1;
	count = 0;
	json_array_foreach(volumes, i, pair)
	{
		uint64_t new = bytes[count++], old = 0;
		if (plan_str(pair, "before")[0] != '\0')
			old = bytes[count++];
		needs += old > new ? old : new;
		if (json_put(pair, "bytes", json_integer((json_int_t)old), err) < 0 ||
		    json_put(pair, "from_bytes", json_integer((json_int_t) new), err) < 0)
			return -1;
	}
	if (engine_volume_free_bytes(&e->base, &room, err) < 0 ||
	    json_put(plan, "needs_bytes", json_integer((json_int_t)needs), err) < 0 ||
	    json_put(plan, "free_bytes",
		     room == UINT64_MAX ? json_null() : json_integer((json_int_t)room), err) < 0)
		return -1;
	if (room >= needs)
		return 0;
	err_set(err, ERR_NOSPACE, "%llu bytes are needed for the copies, %llu are free",
		(unsigned long long)needs, (unsigned long long)room);
	return err_hint(err, "--fast switches without copying.");
}

int promote_plan(struct engine *base, const struct promotion_spec *spec, json_t **ret,
		 struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	bool back = strcmp(plan_str(spec->source, "kind"), "promotion") == 0;
	CLEANUP(json_freep) json_t *containers = NULL;
	CLEANUP(json_freep)
	json_t *plan = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s?, s:s?, s:I, s:[], s:[], s:[], s:[]}", "id", spec->id, "kind",
	    back ? "rollback" : "promote", "mode", spec->fast ? "fast" : "copy", "source",
	    plan_str(spec->source, "run"), "backup", json_str_or(spec->source, "backup", NULL),
	    "suffix", json_str_or(spec->source, "suffix", NULL), "ready_ms",
	    (json_int_t)spec->ready_ms, "volumes", "services", "servers", "left_out");
	if (plan == NULL)
		return err_nomem(err, "a plan");
	if (promote_containers(e, &containers, err) < 0 ||
	    plan_pairs(e, spec, containers, plan, err) < 0 ||
	    promote_plan_users(e, containers, plan, err) < 0)
		return -1;
	if (spec->fast) {
		if (promote_fast_plan(e, spec, plan, err) < 0)
			return -1;
	} else if (plan_image(e, containers, plan, err) < 0 || plan_room(e, plan, err) < 0) {
		return -1;
	}
	*ret = plan;
	plan = NULL;
	return 0;
}
