#include "stack/compose/engine_docker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "stack/compose/engine_docker_promote.h"

enum { ID_BYTES = 64, MOUNTINFO_BYTES = 4 << 20 };

/* ---- are we a container of this Docker? ---- */

/* "…/containers/<64 hex>/…" in the root of a mount, which is its folder on the host. */
static bool id_in(const char *root, size_t len, char ret[ID_BYTES + 1])
{
	static const char before[] = "containers/";
	const char *end = root + len;
	for (const char *p = root; (p = strstr(p, before)) != NULL && p < end;) {
		p += sizeof before - 1;
		if (strspn(p, "0123456789abcdef") == ID_BYTES && p + ID_BYTES < end) {
			memcpy(ret, p, ID_BYTES);
			ret[ID_BYTES] = '\0';
			return true;
		}
	}
	return false;
}

/* proc(5): "36 35 98:0 /root /mount/point …": the daemon mounts a container's own name files. Only
 * the root counts: on the host, folders of containers are mount points. */
static bool id_in_mounts(const char *text, char ret[ID_BYTES + 1])
{
	static const char *const files[] = {"/etc/hostname ", "/etc/hosts ", "/etc/resolv.conf "};
	for (const char *line = text; line != NULL && *line != '\0';) {
		const char *p = line;
		for (int field = 0; field < 3 && p != NULL; field++)
			p = (p = strchr(p, ' ')) != NULL ? p + 1 : NULL;
		const char *point = p != NULL ? strchr(p, ' ') : NULL;
		for (size_t i = 0; point != NULL && i < sizeof files / sizeof *files; i++)
			if (strncmp(point + 1, files[i], strlen(files[i])) == 0 &&
			    id_in(p, (size_t)(point - p), ret))
				return true;
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	return false;
}

static void own_id(char ret[ID_BYTES + 1])
{
	struct buf mounts;
	struct err ignored = ERR_INIT;
	ret[0] = '\0';
	buf_init(&mounts, MOUNTINFO_BYTES);
	if (file_read_all("/proc/self/mountinfo", &mounts, &ignored) < 0 ||
	    !id_in_mounts(buf_text(&mounts), ret)) {
		/* The name that a container has when it is given none. */
		if (file_exists("/.dockerenv") || file_exists("/run/.containerenv"))
			if (gethostname(ret, ID_BYTES) < 0 ||
			    strspn(ret, "0123456789abcdef") != strlen(ret) || strlen(ret) < 12)
				ret[0] = '\0';
	}
	buf_done(&mounts);
}

/* The container may be another Docker's: a host of containers can be one itself. */
static int find_self(struct engine_docker *e, struct err *err)
{
	CLEANUP(json_freep) json_t *me = NULL;
	char id[ID_BYTES + 1];
	struct err why = ERR_INIT;
	own_id(id);
	if (id[0] == '\0')
		return 0;
	if (docker_get(e->d, &me, &why, "/containers/%s/json", id) < 0) {
		if (why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return err_wrap(err, "Lifeboat's own container");
	}
	if (!json_is_true(json_object_get(json_object_get(me, "State"), "Running")))
		return 0;
	const char *mode = json_str_or(json_object_get(me, "HostConfig"), "NetworkMode", "");
	e->on_host_network = strcmp(mode, "host") == 0;
	return str_dup(json_str_or(me, "Id", id), &e->self, err);
}

/* ---- free space ---- */

static bool free_in_root(struct engine_docker *e, const char *root, uint64_t *ret)
{
	CLEANUP(freep) char *volumes = NULL;
	struct err ignored = ERR_INIT;
	/* Our own root is on the daemon's disk. */
	if (e->self != NULL)
		return docker_is_near(e->d) && dir_free_bytes("/", ret, &ignored) == 0;
	if (!docker_is_near(e->d) || root[0] != '/' ||
	    str_printf(&volumes, &ignored, "%s/volumes", root) < 0)
		return false;
	/* Volumes may be on a disk of their own. */
	return dir_free_bytes(file_exists(volumes) ? volumes : root, ret, &ignored) == 0;
}

static int free_bytes(struct engine *base, uint64_t *ret, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *info = NULL;
	json_t *list, *c;
	size_t i;
	if (docker_get(e->d, &info, err, "/info") < 0)
		return -1;
	if (free_in_root(e, json_str_or(info, "DockerRootDir", ""), ret))
		return 0;
	/* Every container's root is there, too. */
	if (docker_containers(e, false, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, c)
	{
		if (strcmp(json_str_or(c, "State", ""), "running") == 0 &&
		    docker_free_inside(e, json_str_or(c, "Id", ""), "/", ret))
			return 0;
	}
	if (cancel_check(err) < 0)
		return -1;
	*ret = UINT64_MAX;
	return 0;
}

static const char *where(struct engine *base, const char *name)
{
	struct engine_docker *e = (struct engine_docker *)base;
	struct err ignored = ERR_INIT;
	free(e->where);
	e->where = NULL;
	return str_printf(&e->where, &ignored, "volume %s", name) < 0 ? name : e->where;
}

/* ---- open and free ---- */

static void unmark(struct engine_docker *e)
{
	struct err why = ERR_INIT;
	/* Also after a cancelled job; what stays is left to the sweep. */
	cancel_hold();
	if (docker_network_remove(e, &why) < 0)
		log_debug("network of run %s: %s", e->run_id, why.msg);
	err_clear(&why);
	if (run_unmark(e, &why) < 0)
		log_debug("%s", why.msg);
	cancel_release();
}

static void engine_docker_free(struct engine *base)
{
	struct engine_docker *e = (struct engine_docker *)base;
	if (e->marked)
		unmark(e);
	for (size_t i = 0; i < e->service_count; i++) {
		free(e->services[i].component);
		free(e->services[i].service);
		free(e->services[i].image);
	}
	for (size_t i = 0; i < e->volume_count; i++) {
		free(e->volumes[i].name);
		free(e->volumes[i].target);
		free(e->volumes[i].path);
	}
	docker_components_done(e);
	strlist_done(&e->found);
	strlist_done(&e->host_tools);
	json_decref(e->containers);
	docker_free(e->d);
	free(e->stack);
	free(e->project);
	free(e->run_id);
	free(e->purpose);
	free(e->client);
	free(e->self);
	free(e->network);
	free(e->self_peer);
	free(e->where);
	free(e->maker);
	free(e);
}

static const struct engine_ops docker_ops = {
    .address = docker_stack_address,
    .describe = docker_stack_describe,
    .volume_describe = docker_stack_volume_describe,
    .holdings = docker_stack_holdings,
    .volume_of = docker_stack_volume_of,
    .adopt = docker_stack_adopt,
    .keeps_names = true,
    .volume_exists = docker_volume_exists,
    .volume_create = docker_volume_create,
    .volume_remove = docker_volume_remove,
    .volume_finish = docker_volume_finish,
    .sweep = docker_sweep,
    .volume_write = docker_volume_write,
    .volume_read = docker_volume_read,
    .volume_free_bytes = free_bytes,
    .volume_where = where,
    .server_file = docker_stack_file,
    .server_tree = docker_stack_tree,
    .server_free_bytes = docker_stack_free_bytes,
    .tool_find = docker_tool_find,
    .tool_source = docker_tool_source,
    .tool_sink = docker_tool_sink,
    .tool_run = docker_tool_run,
    .server_new = docker_server_new,
    .promote = &docker_promote_ops,
    .hold = docker_service_hold,
    .free = engine_docker_free,
};

static int dup_or(const char *text, const char *otherwise, char **ret, struct err *err)
{
	return str_dup(text != NULL && text[0] != '\0' ? text : otherwise, ret, err);
}

static int take_services(struct engine_docker *e, const struct engine_opts *opts, struct err *err)
{
	if (opts->service_count > sizeof e->services / sizeof *e->services)
		return err_set(err, ERR_LIMIT, "more than %zu services",
			       sizeof e->services / sizeof *e->services);
	for (size_t i = 0; i < opts->service_count; i++) {
		const struct engine_service *s = &opts->services[i];
		e->service_count = i + 1;
		if (str_dup(s->component, &e->services[i].component, err) < 0 ||
		    (s->service != NULL && s->service[0] != '\0' &&
		     str_dup(s->service, &e->services[i].service, err) < 0) ||
		    (s->image != NULL && s->image[0] != '\0' &&
		     str_dup(s->image, &e->services[i].image, err) < 0))
			return -1;
	}
	return 0;
}

static int check_client(const char *client, struct err *err)
{
	static const char *const known[] = {"auto", "exec", "host"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(client, known[i]) == 0)
			return 0;
	err_set(err, ERR_CONFIG, "there is no client '%s'", client);
	return err_hint(err, "Set [postgres] client to auto, exec or host.");
}

int engine_docker_open(const struct engine_opts *opts, struct engine **ret, struct err *err)
{
	struct engine_docker *e = mem_zalloc(sizeof *e, "an engine", err);
	if (e == NULL)
		return -1;
	e->base.ops = &docker_ops;
	CLEANUP(engine_freep) struct engine *base = &e->base;
	const char *stack = opts->stack != NULL ? opts->stack : "";
	if (str_dup(stack, &e->stack, err) < 0 ||
	    dup_or(opts->project, stack, &e->project, err) < 0 ||
	    dup_or(opts->run_id, "", &e->run_id, err) < 0 ||
	    dup_or(opts->purpose, "", &e->purpose, err) < 0 ||
	    dup_or(opts->client, "auto", &e->client, err) < 0 || check_client(e->client, err) < 0 ||
	    take_services(e, opts, err) < 0 || docker_open(opts->docker_host, &e->d, err) < 0 ||
	    find_self(e, err) < 0 || run_init(e, err) < 0)
		return -1;
	*ret = base;
	base = NULL;
	return 0;
}
