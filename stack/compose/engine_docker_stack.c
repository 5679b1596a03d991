/* Production: the containers that Compose made for the stack, their volumes and files. */
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/log.h"
#include "stack/compose/engine_docker.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"
#define COMPOSE_ONEOFF  "com.docker.compose.oneoff"

static const char *label(const json_t *container, const char *name)
{
	return json_str_or(json_object_get(container, "Labels"), name, "");
}

const char *docker_service(const struct engine_docker *e, const char *component)
{
	for (size_t i = 0; i < e->service_count; i++)
		if (strcmp(e->services[i].component, component) == 0 &&
		    e->services[i].service != NULL)
			return e->services[i].service;
	return component;
}

/* ---- which containers are there? ---- */

/* Compose's own, without those of `docker compose run` and without ours. */
static int list_containers(struct engine_docker *e, const char *compose_label, json_t **ret,
			   struct err *err)
{
	CLEANUP(json_freep) json_t *filters = json_pack("{s:[s]}", "label", compose_label);
	CLEANUP(json_freep) json_t *all = NULL;
	CLEANUP(json_freep) json_t *list = json_array();
	CLEANUP(freep) char *query = NULL;
	size_t i;
	json_t *c;
	if (filters == NULL || list == NULL)
		return err_nomem(err, "a list of containers");
	if (docker_filters(filters, &query, err) < 0 ||
	    docker_get(e->d, &all, err, "/containers/json%s&all=true", query) < 0)
		return -1;
	json_array_foreach(all, i, c)
	{
		if (strcasecmp(label(c, COMPOSE_ONEOFF), "true") == 0 ||
		    label(c, LABEL_KIND)[0] != '\0')
			continue;
		if (json_push(list, json_incref(c), err) < 0)
			return -1;
	}
	*ret = list;
	list = NULL;
	return 0;
}

int docker_containers(struct engine_docker *e, bool again, json_t **ret, struct err *err)
{
	CLEANUP(freep) char *filter = NULL;
	json_t *list;
	if (again || e->containers == NULL) {
		if (str_printf(&filter, err, "%s=%s", COMPOSE_PROJECT, e->project) < 0 ||
		    list_containers(e, filter, &list, err) < 0)
			return err_wrap(err, "Compose project '%s'", e->project);
		json_decref(e->containers);
		e->containers = list;
	}
	*ret = e->containers;
	return 0;
}

const char *docker_container_name(const json_t *listed)
{
	const json_t *names = json_object_get(listed, "Names");
	const char *name = json_string_value(json_array_get(names, 0));
	if (name == NULL)
		return json_str_or(listed, "Id", "?");
	return name[0] == '/' ? name + 1 : name;
}

static bool runs(const json_t *listed)
{
	return strcmp(json_str_or(listed, "State", ""), "running") == 0;
}

/* "'a', 'b'" of one label of containers, each once; "" when there are none. */
static int quoted_labels(const json_t *list, const char *name, char **ret, struct err *err)
{
	CLEANUP(strlist_done) struct strlist seen = {0};
	struct buf text;
	size_t i;
	json_t *c;
	int rc = 0;
	buf_init(&text, ERR_MSG_BYTES / 2);
	json_array_foreach(list, i, c)
	{
		const char *value = label(c, name);
		if (value[0] == '\0' || strlist_has(&seen, value))
			continue;
		struct err full = ERR_INIT;
		if (strlist_push(&seen, value, err) < 0) {
			rc = -1;
			break;
		}
		if (buf_printf(&text, &full, "%s'%s'", text.len > 0 ? ", " : "", value) < 0)
			break; /* enough for a message */
	}
	if (rc == 0)
		rc = str_dup(buf_text(&text), ret, err);
	buf_done(&text);
	return rc;
}

static int no_project(struct engine_docker *e, struct err *err)
{
	CLEANUP(json_freep) json_t *all = NULL;
	CLEANUP(freep) char *projects = NULL;
	if (list_containers(e, COMPOSE_PROJECT, &all, err) < 0 ||
	    quoted_labels(all, COMPOSE_PROJECT, &projects, err) < 0)
		return -1;
	if (projects[0] == '\0') {
		err_set(err, ERR_ABSENT,
			"there is no Compose project '%s', and no other on this Docker",
			e->project);
		return err_hint(err,
				"Start the stack (docker compose up -d), and see that Lifeboat "
				"asks the Docker that runs it.");
	}
	err_set(err, ERR_ABSENT, "there is no Compose project '%s'; there are: %s", e->project,
		projects);
	return err_hint(err, "Set [stack] project to the right one.");
}

static int no_service(struct engine_docker *e, const char *component, const json_t *list,
		      struct err *err)
{
	CLEANUP(freep) char *services = NULL;
	if (json_array_size(list) == 0)
		return no_project(e, err);
	if (quoted_labels(list, COMPOSE_SERVICE, &services, err) < 0)
		return -1;
	err_set(err, ERR_ABSENT, "Compose project '%s' has no service '%s'; it has: %s", e->project,
		docker_service(e, component), services);
	return err_hint(err, "Set [%s] service to the right one.", component);
}

/* The one container of the component's service that runs. Borrowed. */
static int find_service(struct engine_docker *e, const char *component, bool again,
			const json_t **ret, struct err *err)
{
	const char *service = docker_service(e, component);
	const json_t *running = NULL, *other = NULL;
	json_t *list, *c;
	size_t i;
	if (docker_containers(e, again, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, c)
	{
		if (strcmp(label(c, COMPOSE_SERVICE), service) != 0)
			continue;
		if (!runs(c)) {
			other = c;
			continue;
		}
		if (running != NULL) {
			err_set(err, ERR_FAILED,
				"service '%s' runs in several containers: '%s' and '%s'", service,
				docker_container_name(running), docker_container_name(c));
			return err_hint(err, "Lifeboat can't tell which one holds the data: scale "
					     "the service to 1.");
		}
		running = c;
	}
	if (running != NULL) {
		*ret = running;
		return 0;
	}
	if (other == NULL)
		return no_service(e, component, list, err);
	err_set(err, ERR_ABSENT, "container '%s' of service '%s' does not run: it is %s",
		docker_container_name(other), service, json_str_or(other, "State", "not there"));
	return err_hint(err,
			strcmp(json_str_or(other, "State", ""), "paused") == 0
			    ? "Let it go on: docker unpause %s"
			    : "Start it: docker start %s",
			docker_container_name(other));
}

int docker_production(struct engine_docker *e, const char *component, json_t **ret, struct err *err)
{
	/* What is cached may be gone: a container that was made anew has another id. */
	for (int again = e->containers == NULL;; again++) {
		const json_t *found;
		CLEANUP(json_freep) json_t *whole = NULL;
		struct err why = ERR_INIT;
		if (find_service(e, component, again > 0, &found, &why) == 0 &&
		    docker_get(e->d, &whole, &why, "/containers/%s/json",
			       json_str_or(found, "Id", "")) == 0) {
			if (json_is_true(
				json_object_get(json_object_get(whole, "State"), "Running"))) {
				*ret = whole;
				whole = NULL;
				return 0;
			}
			err_set(&why, ERR_ABSENT, "container '%s' of service '%s' has stopped",
				docker_container_name(found), docker_service(e, component));
		}
		if (again > 0 || why.code != ERR_ABSENT) {
			*err = why;
			return -1;
		}
	}
}

/* ---- volumes ---- */

/* Is `path` the folder `root` or below it? How long `root` is; 0: no. */
static size_t below(const char *path, const char *root)
{
	size_t len = strlen(root);
	while (len > 1 && root[len - 1] == '/')
		len--;
	if (len == 1 && root[0] == '/')
		return path[0] == '/' ? 1 : 0;
	return len > 0 && strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0')
		   ? len
		   : 0;
}

/* The mount that holds `path`: the longest prefix counts. NULL: the container's own files. */
static const json_t *mount_of(const json_t *container, const char *path)
{
	const json_t *best = NULL;
	size_t longest = 0, i;
	json_t *mount;
	json_array_foreach(json_object_get(container, "Mounts"), i, mount)
	{
		size_t len = below(path, json_str_or(mount, "Destination", ""));
		if (len > longest) {
			longest = len;
			best = mount;
		}
	}
	return best;
}

static int volume_there(struct engine_docker *e, const char *name, bool *ret, struct err *err)
{
	struct err why = ERR_INIT;
	*ret = false;
	if (!engine_volume_name_is_valid(name))
		return 0;
	if (docker_get(e->d, NULL, &why, "/volumes/%s", name) == 0) {
		*ret = true;
		return 0;
	}
	if (why.code != ERR_ABSENT) {
		*err = why;
		return -1;
	}
	return 0;
}

int docker_volume_user(struct engine_docker *e, const char *volume, const json_t **ret_container,
		       const char **ret_destination, struct err *err)
{
	json_t *list, *c, *mount;
	size_t i, k;
	*ret_container = NULL;
	*ret_destination = NULL;
	if (docker_containers(e, false, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, c)
	{
		json_array_foreach(json_object_get(c, "Mounts"), k, mount)
		{
			if (strcmp(json_str_or(mount, "Type", ""), "volume") != 0 ||
			    strcmp(json_str_or(mount, "Name", ""), volume) != 0)
				continue;
			if (*ret_container == NULL || (runs(c) && !runs(*ret_container))) {
				*ret_container = c;
				*ret_destination = json_str_or(mount, "Destination", "/");
			}
		}
	}
	return 0;
}

/* The volume that a person calls `configured`: by this name, or as Compose calls it. NULL: neither
 * is there. */
static int volume_called(struct engine_docker *e, const char *configured, char **ret,
			 struct err *err)
{
	CLEANUP(freep) char *prefixed = NULL;
	bool plain, of_project;
	if (str_printf(&prefixed, err, "%s_%s", e->project, configured) < 0 ||
	    volume_there(e, configured, &plain, err) < 0 ||
	    volume_there(e, prefixed, &of_project, err) < 0)
		return -1;
	*ret = NULL;
	if (!plain && !of_project)
		return 0;
	if (plain && of_project) {
		/* Two stacks on one Docker may each have a "media": the one that this project uses
		 * is meant. */
		const json_t *user, *user_of_prefixed;
		const char *destination;
		if (docker_volume_user(e, configured, &user, &destination, err) < 0 ||
		    docker_volume_user(e, prefixed, &user_of_prefixed, &destination, err) < 0)
			return -1;
		plain = user != NULL || user_of_prefixed == NULL;
	}
	return str_dup(plain ? configured : prefixed, ret, err);
}

/* A bind mount, or no mount at all: the volume that a restore makes is called as configured. */
static int configured_name(struct engine_docker *e, const char *configured, char **ret,
			   struct err *err)
{
	CLEANUP(freep) char *prefixed = NULL;
	bool there;
	if (str_printf(&prefixed, err, "%s_%s", e->project, configured) < 0 ||
	    volume_there(e, prefixed, &there, err) < 0)
		return -1;
	return str_dup(there ? prefixed : configured, ret, err);
}

int docker_stack_volume_of(struct engine *base, const char *component, const char *path,
			   const char *configured, char **ret, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *container = NULL;
	if (component == NULL || path == NULL) {
		CLEANUP(freep) char *found = NULL;
		if (volume_called(e, configured, &found, err) < 0)
			return -1;
		if (found == NULL) {
			err_set(err, ERR_ABSENT, "there is no volume '%s', and no '%s_%s'",
				configured, e->project, configured);
			return err_hint(err,
					"See the names with docker volume ls, and set [volume "
					"%s] name.",
					configured);
		}
		*ret = found;
		found = NULL;
		return 0;
	}
	if (docker_production(e, component, &container, err) < 0)
		return -1;
	const json_t *mount = mount_of(container, path);
	const char *name = json_str_or(mount, "Name", "");
	if (mount != NULL && strcmp(json_str_or(mount, "Type", ""), "volume") == 0 &&
	    name[0] != '\0')
		return str_dup(name, ret, err);
	return configured_name(e, configured, ret, err);
}

/* ---- files of production's servers ---- */

/* By name, as people know it from messages. */
static const char *name_of(const json_t *container)
{
	const char *name = json_str_or(container, "Name", "");
	return name[0] == '/' ? name + 1 : json_str_or(container, "Id", "");
}

int docker_stack_file(struct engine *base, const char *component, const char *path,
		      struct source **ret, struct archive_entry **ret_entry, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *container = NULL;
	if (docker_production(e, component, &container, err) < 0)
		return -1;
	return docker_tree_file(e->d, name_of(container), path, ret, ret_entry, err);
}

int docker_stack_tree(struct engine *base, const char *component, const char *folder, tree_fn *fn,
		      void *ctx, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *container = NULL;
	if (docker_production(e, component, &container, err) < 0)
		return -1;
	return docker_tree_read(e->d, name_of(container), folder, fn, ctx, err);
}

/* ---- free space ---- */

/* The volume's folder as a program of the daemon's own machine sees it. False: we don't. */
static bool free_on_host(struct engine_docker *e, const json_t *container, const char *path,
			 uint64_t *ret)
{
	const json_t *mount = mount_of(container, path);
	const char *source = json_str_or(mount, "Source", "");
	const char *destination = json_str_or(mount, "Destination", "");
	CLEANUP(freep) char *folder = NULL;
	struct err ignored = ERR_INIT;
	if (mount == NULL || e->self != NULL || !docker_is_near(e->d) || source[0] != '/' ||
	    str_printf(&folder, &ignored, "%s%s", source, path + below(path, destination)) < 0)
		return false;
	return file_exists(folder) && dir_free_bytes(folder, ret, &ignored) == 0;
}

/* POSIX: a line of heads, then "device blocks used available capacity place", blocks of 1024; long
 * names of devices don't break the line with -P. */
static bool df_available(const char *text, uint64_t *ret)
{
	const char *p = strchr(text, '\n');
	for (int field = 0; p != NULL && field < 3; field++) {
		p += strspn(p, " \n");
		p += strcspn(p, " \n");
	}
	char *end;
	if (p == NULL)
		return false;
	unsigned long long blocks = strtoull(p, &end, 10);
	if (end == p || *end != ' ' || blocks > UINT64_MAX / 1024)
		return false;
	*ret = blocks * 1024;
	return true;
}

bool docker_free_inside(struct engine_docker *e, const char *container, const char *path,
			uint64_t *ret)
{
	struct buf out;
	struct err why = ERR_INIT;
	const char *const argv[] = {"df", "-Pk", path, NULL};
	const char *const env[] = {"LC_ALL=C", NULL};
	struct docker_exec x = {.container = container, .argv = argv, .env = env, .idle_ms = 20000};
	buf_init(&out, 65536);
	bool known = docker_exec_run(e->d, &x, &out, deadline_in(20000), &why) == 0 &&
		     df_available(buf_text(&out), ret);
	if (!known)
		log_debug("free space of '%s': %s", path, why.msg);
	buf_done(&out);
	return known;
}

int docker_stack_free_bytes(struct engine *base, const char *component, const char *path,
			    uint64_t *ret, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *container = NULL;
	struct archive_entry *entry = NULL;
	if (docker_production(e, component, &container, err) < 0)
		return -1;
	const char *id = name_of(container);
	if (docker_stat(e->d, id, path, &entry, NULL, err) < 0)
		return -1;
	archive_entry_free(entry);
	if (!free_on_host(e, container, path, ret) && !docker_free_inside(e, id, path, ret)) {
		if (cancel_check(err) < 0)
			return -1;
		*ret = UINT64_MAX;
	}
	return 0;
}
