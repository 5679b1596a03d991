/* What the manifest says of how production runs. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/log.h"
#include "stack/compose/engine_docker_programs.h"

/* ---- the user of a server ---- */

struct owner {
	bool known;
	unsigned uid, gid;
};

/* The folder itself comes first: nothing more is wanted. */
static int take_owner(void *ctx, struct archive_entry *entry, struct source *content,
		      struct err *err)
{
	struct owner *o = ctx;
	(void)content;
	o->known = true;
	o->uid = (unsigned)archive_entry_uid(entry);
	o->gid = (unsigned)archive_entry_gid(entry);
	return err_set(err, ERR_CLOSED, "the owner is known");
}

int docker_owner(struct engine_docker *e, const char *container, const char *path,
		 unsigned *ret_uid, unsigned *ret_gid, struct err *err)
{
	struct owner o = {0};
	struct err why = ERR_INIT;
	if (docker_tree_read(e->d, container, path, take_owner, &o, &why) < 0 && !o.known) {
		*err = why;
		return err_wrap(err, "owner of '%s'", path);
	}
	if (!o.known)
		return err_set(err, ERR_FAILED, "nobody says who owns '%s'", path);
	*ret_uid = o.uid;
	*ret_gid = o.gid;
	return 0;
}

static bool is_server(const char *component, const char *command)
{
	static const char *const servers[][2] = {
	    {"postgres", "postgres"},   {"postgres", "postmaster"}, {"redis", "redis-server"},
	    {"redis", "valkey-server"}, {"redis", "keydb-server"},  {"pgbouncer", "pgbouncer"},
	};
	for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
		if (strcmp(component, servers[i][0]) == 0 && strcmp(command, servers[i][1]) == 0)
			return true;
	return false;
}

/* A column of ps: whole numbers below 65536. Larger ones are those of a daemon that shifts its
 * containers' users: they mean something else inside. */
static bool user_number(const json_t *row, size_t column, unsigned *ret)
{
	const char *text = json_string_value(json_array_get(row, column));
	char *end;
	if (text == NULL || text[0] < '0' || text[0] > '9')
		return false;
	unsigned long n = strtoul(text, &end, 10);
	if (*end != '\0' || n >= 65536)
		return false;
	*ret = (unsigned)n;
	return true;
}

/* Something else may be tried after this one. */
static bool may_go_on(const struct err *err)
{
	return err->code != ERR_NOMEM && err->code != ERR_CANCELLED;
}

/* *ret: is it known? */
static int user_of_process(struct engine_docker *e, const char *component, const char *id,
			   unsigned *ret_uid, unsigned *ret_gid, bool *ret, struct err *err)
{
	CLEANUP(json_freep) json_t *top = NULL;
	struct err why = ERR_INIT;
	size_t i;
	json_t *row;
	*ret = false;
	if (docker_get(e->d, &top, &why, "/containers/%s/top?ps_args=-eo%%20pid,uid,gid,comm", id) <
	    0) {
		log_debug("user of '%s': %s", component, why.msg);
		if (!may_go_on(&why))
			*err = why;
		return may_go_on(&why) ? 0 : -1;
	}
	json_array_foreach(json_object_get(top, "Processes"), i, row)
	{
		const char *command = json_string_value(json_array_get(row, 3));
		if (command == NULL || !is_server(component, command))
			continue;
		*ret = user_number(row, 1, ret_uid) && user_number(row, 2, ret_gid);
		break;
	}
	return 0;
}

/* Where a server has its data, as far as that can be told from outside. */
static const char *data_folder(const char *component, const json_t *container)
{
	const json_t *config = json_object_get(container, "Config");
	size_t i;
	json_t *mount;
	const char *folder =
	    strcmp(component, "postgres") == 0 ? docker_variable(config, "PGDATA") : NULL;
	if (folder != NULL && folder[0] == '/')
		return folder;
	json_array_foreach(json_object_get(container, "Mounts"), i, mount)
	{
		if (strcmp(json_str_or(mount, "Type", ""), "volume") == 0)
			return json_str_or(mount, "Destination", "/");
	}
	folder = json_str_or(config, "WorkingDir", "");
	return folder[0] == '/' ? folder : "/";
}

/* "999" or "999:998"; names can't be told from outside: root then. */
static void user_of_config(const json_t *config, unsigned *ret_uid, unsigned *ret_gid)
{
	const char *user = json_str_or(config, "User", "");
	const char *group = strchr(user, ':');
	*ret_uid = (unsigned)strtoul(user, NULL, 10);
	*ret_gid = group != NULL ? (unsigned)strtoul(group + 1, NULL, 10) : *ret_uid;
}

static int put_user(struct engine_docker *e, const char *component, const json_t *container,
		    json_t *to, struct err *err)
{
	struct err why = ERR_INIT;
	unsigned uid = 0, gid = 0;
	bool known;
	const char *id = json_str_or(container, "Id", "");
	if (user_of_process(e, component, id, &uid, &gid, &known, err) < 0)
		return -1;
	if (!known &&
	    docker_owner(e, id, data_folder(component, container), &uid, &gid, &why) < 0) {
		if (!may_go_on(&why)) {
			*err = why;
			return -1;
		}
		user_of_config(json_object_get(container, "Config"), &uid, &gid);
	}
	if (json_put(to, "uid", json_integer((json_int_t)uid), err) < 0)
		return -1;
	return json_put(to, "gid", json_integer((json_int_t)gid), err);
}

/* ---- the parts of a runtime ---- */

static int put_mounts(const json_t *container, json_t *to, struct err *err)
{
	json_t *list = json_array(), *mount;
	size_t i;
	if (json_put(to, "mounts", list, err) < 0)
		return -1;
	json_array_foreach(json_object_get(container, "Mounts"), i, mount)
	{
		const char *type = json_str_or(mount, "Type", "");
		bool volume = strcmp(type, "volume") == 0;
		/* Where a bind mount comes from is a path of that machine. */
		json_t *one = json_pack("{s:s, s:s?, s:s}", "type", type, "name",
					volume ? json_str_or(mount, "Name", "") : NULL,
					"destination", json_str_or(mount, "Destination", ""));
		if (json_push(list, one, err) < 0)
			return -1;
	}
	return 0;
}

static int put_names(const json_t *container, json_t *to, struct err *err)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	json_t *list = json_array();
	if (json_put(to, "aliases", list, err) < 0 || docker_names(container, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++)
		if (json_push(list, json_text_value(names.items[i]), err) < 0)
			return -1;
	return 0;
}

/* Compose writes values of variables into a health check's command: `redis-cli -a PASSWORD ping`.
 */
static bool may_hold_secret(const json_t *config, const json_t *test)
{
	static const char *const telling[] = {
	    "-a ",       "--pass", "--askpass", "AUTH", "PASSWORD",
	    "password=", "://",    "secret",    "token"};
	static const char *const names[] = {"PASS", "SECRET", "TOKEN", "KEY", "PWD"};
	size_t i, k;
	json_t *word, *item;
	json_array_foreach(test, i, word)
	{
		const char *text = json_string_value(word);
		if (text == NULL || strcmp(text, "-a") == 0)
			return true;
		for (k = 0; k < sizeof telling / sizeof *telling; k++)
			if (strcasestr(text, telling[k]) != NULL)
				return true;
		json_array_foreach(json_object_get(config, "Env"), k, item)
		{
			const char *env = json_string_value(item);
			const char *value = env != NULL ? strchr(env, '=') : NULL;
			if (value == NULL || strlen(value + 1) < 4 ||
			    strstr(text, value + 1) == NULL)
				continue;
			for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
				const char *in = strcasestr(env, names[n]);
				if (in != NULL && in < value)
					return true;
			}
		}
	}
	return false;
}

/* Without its command where that may hold a secret: the image's own, if there is one, counts then.
 */
static int put_health(const json_t *config, json_t *to, struct err *err)
{
	const json_t *check = json_object_get(config, "Healthcheck");
	if (!json_is_object(check))
		return json_put(to, "health", json_null(), err);
	json_t *copy = json_deep_copy(check);
	if (copy != NULL && may_hold_secret(config, json_object_get(check, "Test")))
		json_object_del(copy, "Test");
	return json_put(to, "health", copy, err);
}

static int put_image(struct engine_docker *e, const char *image_id, const char *image, json_t *to,
		     struct err *err)
{
	CLEANUP(json_freep) json_t *facts = NULL;
	CLEANUP(freep) char *platform = NULL;
	struct err why = ERR_INIT;
	/* A container may outlive its image. */
	if (docker_get(e->d, &facts, &why, "/images/%s/json", image_id) < 0 &&
	    why.code != ERR_ABSENT) {
		*err = why;
		return -1;
	}
	json_t *digests = json_object_get(facts, "RepoDigests");
	const char *variant = json_str_or(facts, "Variant", "");
	if (facts != NULL &&
	    str_printf(&platform, err, "%s/%s%s%s", json_str_or(facts, "Os", "linux"),
		       json_str_or(facts, "Architecture", ""), variant[0] != '\0' ? "/" : "",
		       variant) < 0)
		return -1;
	if (json_put(to, "image", json_text_value(image), err) < 0 ||
	    json_put(to, "image_id", json_text_value(image_id), err) < 0 ||
	    json_put(to, "image_digests",
		     json_is_array(digests) ? json_deep_copy(digests) : json_array(), err) < 0)
		return -1;
	return platform != NULL ? json_put(to, "platform", json_text_value(platform), err) : 0;
}

static int put_limits(const json_t *container, json_t *to, struct err *err)
{
	static const char *const keys[][2] = {{"Memory", "memory_bytes"}, {"ShmSize", "shm_bytes"}};
	const json_t *host = json_object_get(container, "HostConfig");
	const char *folder = json_str_or(json_object_get(container, "Config"), "WorkingDir", "");
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		uint64_t n = json_u64_or(host, keys[i][0], 0);
		if (n > 0 && json_put(to, keys[i][1], json_integer((json_int_t)n), err) < 0)
			return -1;
	}
	return folder[0] == '/' ? json_put(to, "working_dir", json_text_value(folder), err) : 0;
}

int docker_stack_describe(struct engine *base, const char *component, json_t **ret, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *container = NULL;
	if (docker_production(e, component, &container, err) < 0)
		return -1;
	const char *name = json_str_or(container, "Name", "/");
	const json_t *config = json_object_get(container, "Config");
	CLEANUP(json_freep)
	json_t *runtime =
	    json_pack("{s:s, s:s, s:s}", "engine", "docker", "service",
		      docker_service(e, component), "container", name[0] == '/' ? name + 1 : name);
	if (runtime == NULL)
		return err_nomem(err, "a description of production");
	if (put_image(e, json_str_or(container, "Image", ""), json_str_or(config, "Image", ""),
		      runtime, err) < 0 ||
	    put_user(e, component, container, runtime, err) < 0 ||
	    put_mounts(container, runtime, err) < 0 || put_names(container, runtime, err) < 0 ||
	    put_health(config, runtime, err) < 0 || put_limits(container, runtime, err) < 0)
		return err_wrap(err, "how '%s' runs", docker_service(e, component));
	*ret = runtime;
	runtime = NULL;
	return 0;
}

/* ---- plain volumes ---- */

static int describe_user(struct engine_docker *e, const json_t *listed, const char *destination,
			 json_t *to, struct err *err)
{
	unsigned uid, gid;
	struct err why = ERR_INIT;
	const char *id = json_str_or(listed, "Id", "");
	const char *service =
	    json_str_or(json_object_get(listed, "Labels"), "com.docker.compose.service", "");
	if (json_put(to, "service", json_text_value(service), err) < 0 ||
	    json_put(to, "container", json_text_value(docker_container_name(listed)), err) < 0 ||
	    json_put(to, "destination", json_text_value(destination), err) < 0 ||
	    put_image(e, json_str_or(listed, "ImageID", ""), json_str_or(listed, "Image", ""), to,
		      err) < 0)
		return -1;
	if (docker_owner(e, id, destination, &uid, &gid, &why) < 0) {
		log_debug("volume at '%s': %s", destination, why.msg);
		if (!may_go_on(&why))
			*err = why;
		return may_go_on(&why) ? 0 : -1;
	}
	if (json_put(to, "uid", json_integer((json_int_t)uid), err) < 0)
		return -1;
	return json_put(to, "gid", json_integer((json_int_t)gid), err);
}

int docker_stack_volume_describe(struct engine *base, const char *volume, json_t **ret,
				 struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *facts = NULL;
	CLEANUP(json_freep) json_t *runtime = json_pack("{s:s}", "engine", "docker");
	const json_t *user;
	const char *destination;
	if (runtime == NULL)
		return err_nomem(err, "a description of a volume");
	if (!engine_volume_name_is_valid(volume))
		return err_set(err, ERR_ABSENT, "'%s' can't be the name of a volume", volume);
	if (docker_get(e->d, &facts, err, "/volumes/%s", volume) < 0)
		return err_wrap(err, "volume '%s'", volume);
	json_t *labels = json_object_get(facts, "Labels");
	if (json_put(runtime, "driver", json_text_value(json_str_or(facts, "Driver", "local")),
		     err) < 0 ||
	    json_put(runtime, "labels",
		     json_is_object(labels) ? json_deep_copy(labels) : json_object(), err) < 0 ||
	    docker_volume_user(e, volume, &user, &destination, err) < 0)
		return -1;
	if (user != NULL && describe_user(e, user, destination, runtime, err) < 0)
		return err_wrap(err, "volume '%s'", volume);
	*ret = runtime;
	runtime = NULL;
	return 0;
}
