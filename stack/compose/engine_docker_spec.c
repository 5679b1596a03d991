/* What all containers of ours have in common, and those that are never started. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "stack/compose/engine_docker_box.h"

enum { PATH_BYTES_MAX = 4000, NAME_BYTES_MAX = 255, DROP_TRIES = 2 };

int docker_path_check(const char *path, struct err *err)
{
	size_t len = strlen(path);
	if (path[0] != '/' || len > PATH_BYTES_MAX)
		return err_set(err, ERR_CORRUPT, "'%.200s' is no absolute path", path);
	for (const char *p = path + 1; *p != '\0';) {
		size_t part = strcspn(p, "/");
		if (part == 0 || part > NAME_BYTES_MAX || (part == 1 && p[0] == '.') ||
		    (part == 2 && strncmp(p, "..", 2) == 0))
			return err_set(err, ERR_CORRUPT, "'%.200s' is no plain path", path);
		p += part + (p[part] == '/' ? 1 : 0);
	}
	return 0;
}

/* ---- the body ---- */

/* NoCopy: the image's own files at that place must not appear in a volume that is still empty. */
static int put_mounts(const struct engine_docker *e, const char *const *volumes, json_t *host,
		      struct err *err)
{
	json_t *mounts = json_array();
	if (json_put(host, "Mounts", mounts, err) < 0)
		return -1;
	for (size_t i = 0; volumes != NULL && volumes[i] != NULL; i++) {
		CLEANUP(freep) char *target = NULL;
		if (docker_volume_target(e, volumes[i], &target, NULL, err) < 0 ||
		    json_push(mounts,
			      json_pack("{s:s, s:s, s:s, s:{s:b}}", "Type", "volume", "Source",
					volumes[i], "Target", target, "VolumeOptions", "NoCopy", 1),
			      err) < 0)
			return -1;
	}
	return 0;
}

int docker_container_spec(struct engine_docker *e, const char *kind,
			  const struct docker_component *c, const char *const *volumes,
			  json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *spec = json_object();
	CLEANUP(freep) char *user = NULL;
	json_t *labels = run_labels(e, kind, c->name, err);
	if (labels == NULL)
		return -1;
	if (json_put(spec, "Labels", labels, err) < 0 ||
	    str_printf(&user, err, "%u:%u", c->uid, c->gid) < 0 ||
	    json_put(spec, "Image", json_string(c->image), err) < 0 ||
	    json_put(spec, "User", json_string(user), err) < 0 ||
	    json_put(spec, "Healthcheck", json_pack("{s:[s]}", "Test", "NONE"), err) < 0 ||
	    json_put(spec, "HostConfig",
		     json_pack("{s:s, s:{s:s}, s:{s:s}, s:[s]}", "NetworkMode", "none",
			       "RestartPolicy", "Name", "no", "LogConfig", "Type", "json-file",
			       "SecurityOpt", "no-new-privileges"),
		     err) < 0 ||
	    put_mounts(e, volumes, json_object_get(spec, "HostConfig"), err) < 0)
		return -1;
	*ret = spec;
	spec = NULL;
	return 0;
}

/* ---- containers ---- */

int docker_make(struct engine_docker *e, const char *path, const json_t *body, json_t **ret,
		struct err *err)
{
	if (cancel_check(err) < 0)
		return -1;
	cancel_hold();
	int rc = docker_post(e->d, body, ret, err, "%s", path);
	cancel_release();
	return rc;
}

int docker_container_create(struct engine_docker *e, const json_t *spec, const char *name,
			    char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *answer = NULL;
	CLEANUP(freep) char *path = NULL;
	const char *id;
	int rc = name != NULL ? str_printf(&path, err, "/containers/create?name=lifeboat-%s-%s",
					   e->run_id, name)
			      : str_dup("/containers/create", &path, err);
	if (rc < 0)
		return -1;
	if (docker_make(e, path, spec, &answer, err) < 0) {
		err_wrap(err, "a container of image '%s'", json_str_or(spec, "Image", ""));
		return err->code == ERR_EXISTS ? err_hint(err, "Remove that container first.") : -1;
	}
	if (json_get_str(answer, "Id", &id, err) < 0)
		return err_wrap(err, "the daemon's answer to a new container");
	return str_dup(id, ret, err);
}

bool docker_container_drop(struct engine_docker *e, const char *id)
{
	bool gone = false;
	if (id == NULL)
		return true;
	/* Also after a cancelled job: what was made must go. */
	cancel_hold();
	for (int i = 0; i < DROP_TRIES && !gone; i++) {
		struct err why = ERR_INIT;
		gone = docker_delete(e->d, &why, "/containers/%s?force=1&v=1", id) == 0;
		if (!gone)
			log_debug("container %.12s: %s", id, why.msg);
	}
	cancel_release();
	return gone;
}

int docker_helper_make(struct docker_helper *h, struct engine_docker *e,
		       const struct docker_component *c, const char *const *volumes,
		       struct err *err)
{
	CLEANUP(json_freep) json_t *spec = NULL;
	*h = (struct docker_helper){.e = e};
	if (run_mark(e, err) < 0 || docker_container_spec(e, "helper", c, volumes, &spec, err) < 0)
		return -1;
	return docker_helper_create(h, spec, err);
}

int docker_helper_create(struct docker_helper *h, json_t *spec, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	if (str_printf(&name, err, "helper-%u", ++h->e->helpers) < 0 ||
	    json_put(spec, "Entrypoint", json_pack("[s]", "/lifeboat-never-runs"), err) < 0)
		return -1;
	return docker_container_create(h->e, spec, name, &h->id, err);
}

void docker_helper_done(struct docker_helper *h)
{
	docker_container_drop(h->e, h->id);
	free(h->id);
	h->id = NULL;
}
