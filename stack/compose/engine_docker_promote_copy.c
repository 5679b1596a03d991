/* The contents of volumes, moved by helper containers that mount them and nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/fault.h"
#include "stack/compose/engine_docker_promote.h"

/* Everything that a copy may have missed without an error: the number of names tells. */
static const char copy_script[] =
    "set -e\n"
    "find /to -mindepth 1 -delete\n"
    "cp -a /from/. /to/\n"
    "chown \"$(stat -c %u:%g /from)\" /to\n"
    "chmod \"$(stat -c %a /from)\" /to\n"
    "sync -f /to 2>/dev/null || sync\n"
    "there=$(cd /from && find . | wc -l) here=$(cd /to && find . | wc -l)\n"
    "[ \"$there\" = \"$here\" ] || { echo \"$here of $there files were copied\" >&2; exit 1; }\n";

/* Files come and go while production runs: du tells what it saw. */
static const char measure_script[] = "for v in /measure/*; do\n"
				     "\tset -- $(du -sk \"$v\" 2>/dev/null)\n"
				     "\techo \"${1:-0}\"\n"
				     "done\n";

static int put_mount(json_t *mounts, const char *volume, const char *target, bool read_only,
		     struct err *err)
{
	/* NoCopy: the image's files must not appear in it. */
	return json_push(mounts,
			 json_pack("{s:s, s:s, s:s, s:b, s:{s:b}}", "Type", "volume", "Source",
				   volume, "Target", target, "ReadOnly", read_only, "VolumeOptions",
				   "NoCopy", 1),
			 err);
}

/* Root in a container without network that runs `script`; mounts are the caller's to add. */
static int helper_spec(struct engine_docker *e, const json_t *plan, const char *script,
		       json_t **ret, json_t **ret_mounts, struct err *err)
{
	CLEANUP(json_freep) json_t *labels = run_labels(e, "helper", NULL, err);
	/* As a helper of this run it is swept when we die, whether a mark was made or not. */
	if (labels == NULL ||
	    json_put(labels, LABEL_PROMOTION, json_string(plan_str(plan, "id")), err) < 0)
		return -1;
	json_t *spec = json_pack(
	    "{s:s, s:s, s:[s, s, s], s:[], s:O, s:b, s:{s:[s]}, s:{s:s, s:{s:s}, s:[]}}", "Image",
	    plan_str(plan, "image"), "User", "0:0", "Entrypoint", "/bin/sh", "-c", script, "Cmd",
	    "Labels", labels, "NetworkDisabled", 1, "Healthcheck", "Test", "NONE", "HostConfig",
	    "NetworkMode", "none", "RestartPolicy", "Name", "no", "Mounts");
	if (spec == NULL)
		return err_nomem(err, "a helper container");
	*ret = spec;
	*ret_mounts = json_object_get(json_object_get(spec, "HostConfig"), "Mounts");
	return 0;
}

int promote_copy(struct engine_docker *e, const json_t *plan, const char *from, const char *to,
		 struct err *err)
{
	CLEANUP(json_freep) json_t *spec = NULL;
	json_t *mounts;
	if (helper_spec(e, plan, copy_script, &spec, &mounts, err) < 0 ||
	    put_mount(mounts, from, "/from", true, err) < 0 ||
	    put_mount(mounts, to, "/to", false, err) < 0 ||
	    docker_run(e->d, spec, NULL, DEADLINE_NEVER, err) < 0)
		return err_wrap(err, "copy of volume '%s' into '%s'", from, to);
	return 0;
}

int promote_measure(struct engine_docker *e, const json_t *plan, const char *const *volumes,
		    size_t count, uint64_t *ret, struct err *err)
{
	CLEANUP(json_freep) json_t *spec = NULL;
	CLEANUP(buf_done) struct buf out;
	json_t *mounts;
	buf_init(&out, 1 << 16);
	if (helper_spec(e, plan, measure_script, &spec, &mounts, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		char target[32];
		/* In the order that the shell lists them. */
		snprintf(target, sizeof target, "/measure/%03zu", i);
		if (put_mount(mounts, volumes[i], target, true, err) < 0)
			return -1;
	}
	if (docker_run(e->d, spec, &out, deadline_in(600000), err) < 0)
		return err_wrap(err, "sizes of the volumes");
	const char *at = buf_text(&out);
	for (size_t i = 0; i < count; i++) {
		char *end;
		unsigned long long kb = strtoull(at, &end, 10);
		if (end == at)
			return err_set(err, ERR_FAILED, "the size of volume '%s' can't be told",
				       volumes[i]);
		ret[i] = (uint64_t)kb * 1024;
		at = end;
	}
	return 0;
}

int promote_end_helpers(struct engine_docker *e, const json_t *plan, struct err *err)
{
	CLEANUP(json_freep) json_t *all = NULL;
	size_t i;
	json_t *c;
	if (promote_containers(e, &all, err) < 0)
		return -1;
	json_array_foreach(all, i, c)
	{
		if (strcmp(promote_label(c, LABEL_KIND), "helper") != 0 ||
		    strcmp(promote_label(c, LABEL_STACK), e->stack) != 0 ||
		    strcmp(promote_label(c, LABEL_PROMOTION), plan_str(plan, "id")) != 0)
			continue;
		if (docker_delete(e->d, err, "/containers/%s?force=1&v=1", plan_str(c, "Id")) < 0)
			return err_wrap(err, "container '%s'", docker_container_name(c));
	}
	return 0;
}

/* ---- the volumes of a plan ---- */

static int make_before(struct engine_docker *e, const json_t *plan, const json_t *pair,
		       struct err *err)
{
	json_t *labels;
	if (promote_labels(e, plan, KIND_BEFORE, &labels, err) < 0)
		return -1;
	if (json_put(labels, LABEL_OF, json_string(plan_str(pair, "of")), err) < 0 ||
	    json_put(labels, LABEL_FOR, json_string(plan_str(pair, "component")), err) < 0 ||
	    json_put(labels, LABEL_IMAGE, json_string(plan_str(plan, "image")), err) < 0 ||
	    json_put(labels, LABEL_PURPOSE, json_string(plan_str(plan, "kind")), err) < 0) {
		json_decref(labels);
		return -1;
	}
	return promote_make_volume(e, plan_str(pair, "before"), labels, err);
}

int promote_save(struct engine_docker *e, const json_t *plan, struct err *err)
{
	size_t i;
	json_t *pair;
	if (plan_is_fast(plan))
		return 0;
	json_array_foreach(json_object_get(plan, "volumes"), i, pair)
	{
		if (plan_str(pair, "before")[0] == '\0')
			continue;
		if (make_before(e, plan, pair, err) < 0 || fault_point("promote-save", err) < 0 ||
		    promote_copy(e, plan, plan_str(pair, "of"), plan_str(pair, "before"), err) < 0)
			return -1;
	}
	return 0;
}

/* A volume that takes a name of production's is Compose's, by Compose's own labels; the hash of its
 * configuration is not among them, for a wrong one makes Compose offer to delete the volume. */
static int make_production(struct engine_docker *e, const json_t *plan, const json_t *pair,
			   struct err *err)
{
	const char *of = plan_str(pair, "of");
	size_t len = strlen(e->project);
	const char *key = strncmp(of, e->project, len) == 0 && of[len] == '_' ? of + len + 1 : of;
	json_t *labels = json_pack("{s:s, s:s, s:s}", COMPOSE_PROJECT, e->project, COMPOSE_VOLUME,
				   key, LABEL_PROMOTION, plan_str(plan, "id"));
	if (labels == NULL)
		return err_nomem(err, "labels");
	return promote_make_volume(e, of, labels, err);
}

int promote_move(struct engine_docker *e, const json_t *plan, struct err *err)
{
	size_t i;
	json_t *pair;
	if (plan_is_fast(plan))
		return promote_fast_switch(e, plan, false, err);
	json_array_foreach(json_object_get(plan, "volumes"), i, pair)
	{
		if (!json_is_true(json_object_get(pair, "exists")) &&
		    make_production(e, plan, pair, err) < 0)
			return -1;
		if (promote_check_free(e, plan, err) < 0 || fault_point("promote-move", err) < 0 ||
		    promote_copy(e, plan, plan_str(pair, "from"), plan_str(pair, "of"), err) < 0)
			return -1;
	}
	return promote_check_free(e, plan, err);
}

/* Only if this promotion made it: then it holds a copy of the restored volume at most. */
static int unmake_production(struct engine_docker *e, const json_t *plan, const char *of,
			     struct err *err)
{
	CLEANUP(json_freep) json_t *v = NULL;
	if (promote_find_volume(e, of, &v, err) < 0)
		return -1;
	if (strcmp(promote_label(v, LABEL_PROMOTION), plan_str(plan, "id")) != 0)
		return 0;
	if (docker_delete(e->d, err, "/volumes/%s", of) < 0)
		return err_wrap(err, "volume '%s'", of);
	return 0;
}

int promote_move_back(struct engine_docker *e, const json_t *plan, struct err *err)
{
	size_t i;
	json_t *pair;
	json_array_foreach(json_object_get(plan, "volumes"), i, pair)
	{
		const char *of = plan_str(pair, "of");
		if (!json_is_true(json_object_get(pair, "exists"))) {
			if (unmake_production(e, plan, of, err) < 0)
				return -1;
			continue;
		}
		if (fault_point("promote-move-back", err) < 0 ||
		    promote_copy(e, plan, plan_str(pair, "before"), of, err) < 0)
			return -1;
	}
	return 0;
}
