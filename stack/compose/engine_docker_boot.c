/*
 * How the container of a sandbox's server is made: its arguments and files, the names by which
 * the others know it, its health check. The image's entry point does not run, so there is no
 * temporary server of its initialisation that could be taken for the real one, and none of its
 * environment is needed.
 */
#include <stdlib.h>
#include <string.h>
#include "stack/compose/engine_docker_box.h"

enum { NAME_BYTES_MAX = 253, ALIASES_MAX = 64 };
#define SECONDS INT64_C(1000000000) /* the API counts nanoseconds */

/* ---- programs of an image ---- */

static int image_path(struct engine_docker *e, const char *container, char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *inspect = NULL;
	size_t i;
	json_t *item;
	if (docker_get(e->d, &inspect, err, "/containers/%s/json", container) < 0)
		return -1;
	json_array_foreach(json_object_get(json_object_get(inspect, "Config"), "Env"), i, item)
	{
		const char *text = json_string_value(item);
		if (text != NULL && strncmp(text, "PATH=", 5) == 0)
			return str_dup(text + 5, ret, err);
	}
	return str_dup("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ret, err);
}

static int program_at(struct engine_docker *e, const char *container, const char *folder,
		      const char *name, char **ret, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	struct archive_entry *entry = NULL;
	struct err why = ERR_INIT;
	if (folder[0] != '/' || strlen(folder) > NAME_BYTES_MAX)
		return 0;
	if (str_printf(&path, err, "%s/%s", folder, name) < 0)
		return -1;
	if (docker_stat(e->d, container, path, &entry, NULL, &why) < 0) {
		/* "Not a directory" is no 404. */
		if (why.code == ERR_ABSENT || why.code == ERR_FAILED)
			return 0;
		*err = why;
		return -1;
	}
	bool is_folder = archive_entry_filetype(entry) == AE_IFDIR;
	archive_entry_free(entry);
	if (is_folder)
		return 0;
	*ret = path;
	path = NULL;
	return 0;
}

int docker_boot_program(struct engine_docker *e, const struct docker_helper *image,
			const char *const *names, const char *folder, char **ret, struct err *err)
{
	CLEANUP(freep) char *path = NULL, *found = NULL;
	if (image_path(e, image->id, &path, err) < 0)
		return -1;
	for (; *names != NULL && found == NULL; names++) {
		CLEANUP(freep) char *copy = NULL;
		if (str_dup(path, &copy, err) < 0)
			return -1;
		char *next = copy;
		for (char *at; found == NULL && (at = strsep(&next, ":")) != NULL;)
			if (program_at(e, image->id, at, *names, &found, err) < 0)
				return -1;
		if (found == NULL && folder != NULL &&
		    program_at(e, image->id, folder, *names, &found, err) < 0)
			return -1;
	}
	*ret = found;
	found = NULL;
	return 0;
}

/* ---- health ---- */

static int64_t number_or(const json_t *obj, const char *key, int64_t otherwise)
{
	const json_t *value = json_object_get(obj, key);
	int64_t n = json_is_integer(value) ? json_integer_value(value) : 0;
	return n > 0 && n < 86400 * SECONDS ? n : otherwise;
}

static bool has_test(const json_t *health)
{
	const json_t *test = json_object_get(health, "Test");
	return json_array_size(test) > 1;
}

static json_t *own_test(const struct docker_boot *b)
{
	if (b->ready == NULL)
		return json_pack("[s]", "NONE");
	if (strcmp(b->kind->name, "redis") != 0)
		return json_pack("[s,s,s,s]", "CMD", b->ready, "-h", "127.0.0.1");
	CLEANUP(freep) char *port = NULL;
	struct err why = ERR_INIT;
	if (str_printf(&port, &why, "%u", b->port) < 0)
		return NULL;
	return json_pack("[s,s,s,s,s]", "CMD", b->ready, "-p", port, "ping");
}

/* The stack's own check, asked every two seconds. What it may fail at its own pace without being
 * called unhealthy counts as starting. */
static int put_health(const struct docker_boot *b, json_t *spec, struct err *err)
{
	const json_t *own = json_object_get(b->component->runtime, "health");
	json_t *test = has_test(own) ? json_deep_copy(json_object_get(own, "Test")) : own_test(b);
	int64_t interval = number_or(own, "Interval", 30 * SECONDS);
	int64_t timeout = number_or(own, "Timeout", 10 * SECONDS);
	int64_t retries = number_or(own, "Retries", 3);
	if (retries > 1000)
		retries = 1000;
	int64_t start = number_or(own, "StartPeriod", 0) + retries * (interval + timeout);
	json_t *health = json_pack("{s:I, s:I, s:I, s:I}", "Interval",
				   interval < 2 * SECONDS ? interval : 2 * SECONDS, "Timeout",
				   timeout, "Retries", retries, "StartPeriod", start);
	if (json_put(spec, "Healthcheck", health, err) < 0) {
		json_decref(test);
		return -1;
	}
	return json_put(health, "Test", test, err);
}

/* ---- the body ---- */

/* Checks and tools without an address find the server as production's do by their defaults. */
static int put_env(const struct docker_boot *b, json_t *spec, struct err *err)
{
	json_t *env = json_array();
	if (json_put(spec, "Env", env, err) < 0)
		return -1;
	for (const char *const *item = b->kind->env; *item != NULL; item++)
		if (json_push(env, json_string(*item), err) < 0)
			return -1;
	CLEANUP(freep) char *host = NULL, *port = NULL;
	if (str_printf(&host, err, "PGHOST=%s",
		       strcmp(b->kind->name, "postgres") == 0 ? b->socket_dir : "127.0.0.1") < 0 ||
	    str_printf(&port, err, "PGPORT=%u", b->port) < 0)
		return -1;
	if (strcmp(b->kind->name, "redis") == 0)
		return 0;
	if (json_push(env, json_string(host), err) < 0)
		return -1;
	return json_push(env, json_string(port), err);
}

static bool is_host_name(const char *text)
{
	size_t len = strlen(text);
	return len > 0 && len <= NAME_BYTES_MAX &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		   len;
}

static int put_network(struct engine_docker *e, const struct docker_boot *b, json_t *spec,
		       struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	json_t *aliases = json_array(), *alias;
	size_t i;
	const char *service = docker_service(e, b->component->name);
	int rc = docker_network_name(e, &name, err);
	if (rc == 0 && service != NULL && is_host_name(service))
		rc = json_push(aliases, json_string(service), err);
	json_array_foreach(json_object_get(b->component->runtime, "aliases"), i, alias)
	{
		const char *text = json_string_value(alias);
		if (rc == 0 && i < ALIASES_MAX && text != NULL && is_host_name(text))
			rc = json_push(aliases, json_string(text), err);
	}
	if (rc < 0) {
		json_decref(aliases);
		return -1;
	}
	json_t *end = json_pack("{s:o, s:{s:s}}", "Aliases", aliases, "IPAMConfig", "IPv4Address",
				b->address);
	if (json_put(spec, "NetworkingConfig", json_pack("{s:{s:o}}", "EndpointsConfig", name, end),
		     err) < 0)
		return -1;
	return json_put(json_object_get(spec, "HostConfig"), "NetworkMode", json_string(name), err);
}

/* What production gives it, where that is known. */
static int put_host(const struct docker_boot *b, json_t *spec, struct err *err)
{
	const json_t *runtime = b->component->runtime;
	json_t *host = json_object_get(spec, "HostConfig");
	int64_t memory = (int64_t)(json_u64_or(runtime, "memory_bytes", 0) & INT64_MAX);
	int64_t shm = (int64_t)(json_u64_or(runtime, "shm_bytes", 0) & INT64_MAX);
	const char *cwd = json_str_or(runtime, "working_dir", "");
	if ((memory > 0 && json_put(host, "Memory", json_integer(memory), err) < 0) ||
	    (shm > 0 && json_put(host, "ShmSize", json_integer(shm), err) < 0) ||
	    (cwd[0] == '/' && json_put(spec, "WorkingDir", json_string(cwd), err) < 0))
		return -1;
	if (b->groups->count > 0) {
		json_t *groups = json_array();
		if (json_put(host, "GroupAdd", groups, err) < 0)
			return -1;
		for (size_t i = 0; i < b->groups->count; i++)
			if (json_push(groups, json_string(b->groups->items[i]), err) < 0)
				return -1;
	}
	if (b->host_folder == NULL)
		return 0;
	CLEANUP(freep) char *bind = NULL;
	/* z: with SELinux, containers may write there; no effect without. */
	if (str_printf(&bind, err, "%s:%s:z", b->host_folder, b->socket_dir) < 0)
		return -1;
	return json_put(host, "Binds", json_pack("[s]", bind), err);
}

static int put_argv(const struct docker_boot *b, const struct strlist *argv, json_t *spec,
		    struct err *err)
{
	CLEANUP(freep) char *signal = NULL;
	json_t *list = json_array();
	if (json_put(spec, "Entrypoint", list, err) < 0)
		return -1;
	for (size_t i = 0; i < argv->count; i++)
		if (json_push(list, json_string(argv->items[i]), err) < 0)
			return err_wrap(err, "argument '%.200s'", argv->items[i]);
	if (str_printf(&signal, err, "%d", b->kind->stop_signal) < 0)
		return -1;
	return json_put(spec, "StopSignal", json_string(signal), err);
}

static int make_spec(struct engine_docker *e, const struct docker_boot *b,
		     const struct strlist *argv, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *spec = NULL;
	CLEANUP(strlist_done) struct strlist volumes = {0};
	if (b->spec->volume != NULL && strlist_push(&volumes, b->spec->volume, err) < 0)
		return -1;
	for (const char *const *o = b->spec->others; o != NULL && *o != NULL; o++)
		if (strlist_push(&volumes, *o, err) < 0)
			return -1;
	if (docker_container_spec(e, "server", b->component, (const char *const *)volumes.items,
				  &spec, err) < 0 ||
	    put_argv(b, argv, spec, err) < 0 || put_env(b, spec, err) < 0 ||
	    put_host(b, spec, err) < 0 || put_network(e, b, spec, err) < 0 ||
	    put_health(b, spec, err) < 0)
		return -1;
	*ret = spec;
	spec = NULL;
	return 0;
}

/* ---- files ---- */

static int put_files(struct engine_docker *e, const char *id, const struct docker_boot *b,
		     const struct strlist *files, struct err *err)
{
	const struct docker_component *c = b->component;
	CLEANUP(tree_writer_freep) struct tree_writer *to = NULL;
	if (docker_tree_write(e->d, id, "/", c->uid, c->gid, &to, err) < 0 ||
	    docker_furnish_folder(to, b->work_dir + 1, c, 0700, err) < 0)
		return -1;
	if (b->host_folder == NULL && strcmp(b->socket_dir, b->work_dir) != 0 &&
	    docker_furnish_folder(to, b->socket_dir + 1, c, 0700, err) < 0)
		return -1;
	for (size_t i = 0; i + 1 < files->count; i += 2)
		if (tree_writer_file(to, files->items[i] + 1, 0600, files->items[i + 1],
				     strlen(files->items[i + 1]), err) < 0)
			return err_wrap(err, "'%s'", files->items[i]);
	return tree_writer_close(to, err);
}

struct spread {
	struct engine_docker *e;
	const char *id;
	const struct docker_component *component;
};

/* Length of the longest beginning of `path` that is a folder in the container. */
static int deepest(const struct spread *s, const char *path, size_t *ret, struct err *err)
{
	size_t found = 1;
	for (size_t len = 1 + strcspn(path + 1, "/"); path[len] == '/';
	     len += 1 + strcspn(path + len + 1, "/")) {
		CLEANUP(freep) char *at = NULL;
		struct archive_entry *there = NULL;
		struct err why = ERR_INIT;
		if (str_dupn(path, len, &at, err) < 0)
			return -1;
		if (docker_stat(s->e->d, s->id, at, &there, NULL, &why) < 0) {
			if (why.code == ERR_ABSENT)
				break;
			*err = why;
			return -1;
		}
		archive_entry_free(there);
		found = len;
	}
	*ret = found;
	return 0;
}

/* Each file for itself, into the nearest folder that is there: a folder of the image keeps its
 * owner and mode. */
static int spread_entry(void *ctx, struct archive_entry *entry, struct source *content,
			struct err *err)
{
	struct spread *s = ctx;
	const struct docker_component *c = s->component;
	CLEANUP(tree_writer_freep) struct tree_writer *to = NULL;
	CLEANUP(freep) char *path = NULL, *folder = NULL;
	size_t len;
	if (archive_entry_filetype(entry) == AE_IFDIR)
		return 0;
	if (str_printf(&path, err, "/%s", archive_entry_pathname(entry)) < 0 ||
	    deepest(s, path, &len, err) < 0 || str_dupn(path, len, &folder, err) < 0 ||
	    docker_tree_write(s->e->d, s->id, folder, c->uid, c->gid, &to, err) < 0)
		return -1;
	archive_entry_set_pathname(entry, path + (len == 1 ? 1 : len + 1));
	if (tree_writer_add(to, entry, content, err) < 0 || tree_writer_close(to, err) < 0)
		return err_wrap(err, "'%s'", path);
	return 0;
}

/* Production's configuration names files outside of its own volume: they go where it expects them.
 */
static int spread_outside(struct engine_docker *e, const char *id, const struct docker_boot *b,
			  struct err *err)
{
	struct spread s = {.e = e, .id = id, .component = b->component};
	for (const char *const *o = b->spec->others; o != NULL && *o != NULL; o++) {
		CLEANUP(freep) char *path = NULL;
		if (docker_volume_target(e, *o, NULL, &path, err) < 0)
			return -1;
		if (docker_tree_read(e->d, id, path, spread_entry, &s, err) < 0)
			return err_wrap(err, "files of volume '%s'", *o);
	}
	return 0;
}

/* ---- all of it ---- */

static int make(struct engine_docker *e, const struct docker_boot *b, const struct engine_args *a,
		char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *spec = NULL;
	CLEANUP(freep) char *id = NULL;
	if (make_spec(e, b, &a->argv, &spec, err) < 0 || run_mark(e, err) < 0 ||
	    docker_container_create(e, spec, b->name, &id, err) < 0)
		return -1;
	if (put_files(e, id, b, &a->files, err) < 0 ||
	    (b->spec->config != NULL && spread_outside(e, id, b, err) < 0)) {
		docker_container_drop(e, id);
		return -1;
	}
	*ret = id;
	id = NULL;
	return 0;
}

int docker_boot_container(struct engine_docker *e, const struct docker_boot *b, char **ret,
			  struct err *err)
{
	struct engine_args a = {.program = b->program,
				.volume = b->volume,
				.work = b->work_dir,
				.socket_dir = b->socket_dir,
				.is_alone = true,
				.port = b->port,
				.major = b->major};
	int rc = b->kind->args(&a, b->spec, err);
	if (rc == 0)
		rc = make(e, b, &a, ret, err);
	for (size_t i = 0; i < a.files.count; i++)
		explicit_bzero(a.files.items[i], strlen(a.files.items[i]));
	strlist_done(&a.files);
	strlist_done(&a.argv);
	return rc;
}
