/* pg_dump in production's container, initdb and pg_restore beside the restored volumes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/secret.h"
#include "stack/compose/engine_docker_box.h"
#include "stack/compose/engine_docker_programs.h"
#include "stack/engine/host_tools.h"

/* ---- production: whose client? ---- */

static bool is_client(const struct engine_docker *e, const char *which)
{
	return strcmp(e->client, which) == 0;
}

static struct host_tools on_host(struct engine_docker *e, const struct tool *t)
{
	return (struct host_tools){.tool = t, .known = &e->host_tools};
}

/* Certificates and password files that the url names are here, not in the container. */
static const char *needs_file(const struct tool *t)
{
	static const char *const names[] = {"PGSSLCERT=", "PGSSLKEY=", "PGPASSFILE="};
	for (size_t i = 0; t->env != NULL && t->env[i] != NULL; i++)
		for (size_t k = 0; k < sizeof names / sizeof *names; k++)
			if (strncmp(t->env[i], names[k], strlen(names[k])) == 0)
				return t->env[i];
	return NULL;
}

static int use_host(struct engine_docker *e, const struct tool *t, bool *ret, struct err *err)
{
	const char *file = needs_file(t);
	*ret = is_client(e, "host") || (is_client(e, "auto") && (e->exec_refused || file != NULL));
	if (*ret || file == NULL)
		return 0;
	err_set(err, ERR_CONFIG, "%.*s names a file that the container of '%s' does not have",
		(int)strcspn(file, "="), file, t->component);
	return err_hint(err, "Set [postgres] client to host.");
}

/* True: `err` is about exec alone, and the host's client may do. */
static bool fall_back(struct engine_docker *e, const struct tool *t, const struct err *err)
{
	if (!is_client(e, "auto") || (err->code != ERR_DENIED && err->code != ERR_ABSENT))
		return false;
	log_debug("%s runs on this machine: %s", t->name, err->msg);
	e->exec_refused = e->exec_refused || err->code == ERR_DENIED;
	return true;
}

/* Neither here nor there: both reasons count. */
static int neither(const struct err *in_container, struct err *err)
{
	return err_wrap(err, "%s; and on this machine", in_container->msg);
}

/* ---- production: in the container ---- */

struct call {
	json_t *container;
	char *address;
	char *path;
	struct strlist argv, env;
	char user[32];
};

static void call_done(struct call *c)
{
	json_decref(c->container);
	free(c->address);
	free(c->path);
	strlist_done(&c->argv);
	secret_wipe_list(&c->env); /* the password is in it */
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What the url says of the way to the server is from our side; inside, it is the container's own
 * address, and files of certification authorities are not there. */
static int push_variable(const struct tool *t, const char *item, struct strlist *env,
			 struct err *err)
{
	static const char *const ours[] = {
	    "PGHOSTADDR=", "PGSSLROOTCERT=", "PGSSLCRL=", "PGSSLCRLDIR="};
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (begins(item, ours[i]))
			return 0;
	if (begins(item, "PGHOST=") || (t->port != 0 && begins(item, "PGPORT=")))
		return 0;
	if (begins(item, "PGSSLMODE=verify-"))
		return strlist_push(env, "PGSSLMODE=require", err);
	return strlist_push(env, item, err);
}

/* Exec can set variables, but not unset what the container's configuration sets. */
static int production_env(const struct tool *t, struct call *c, struct err *err)
{
	const json_t *config = json_object_get(c->container, "Config");
	for (size_t i = 0; t->env != NULL && t->env[i] != NULL; i++) {
		const char *item = t->env[i];
		if (strchr(item, '=') != NULL) {
			if (push_variable(t, item, &c->env, err) < 0)
				return -1;
			continue;
		}
		if (strcmp(item, "PGHOSTADDR") == 0 || docker_variable(config, item) == NULL)
			continue;
		if ((c->argv.count == 0 && strlist_push(&c->argv, "env", err) < 0) ||
		    strlist_push(&c->argv, "-u", err) < 0 || strlist_push(&c->argv, item, err) < 0)
			return -1;
	}
	if (strlist_pushf(&c->env, err, "PGHOST=%s", c->address) < 0 ||
	    strlist_pushf(&c->env, err, "PGHOSTADDR=%s", c->address) < 0)
		return -1;
	return t->port != 0 ? strlist_pushf(&c->env, err, "PGPORT=%u", t->port) : 0;
}

static int push_args(const struct tool *t, const char *path, const char *volume,
		     struct strlist *argv, struct err *err)
{
	if (strlist_push(argv, path, err) < 0)
		return -1;
	for (size_t i = 0; t->argv != NULL && t->argv[i] != NULL; i++) {
		bool here = volume != NULL && strcmp(t->argv[i], TOOL_VOLUME) == 0;
		if (strlist_push(argv, here ? volume : t->argv[i], err) < 0)
			return -1;
	}
	return 0;
}

static int production_call(struct engine_docker *e, const struct tool *t, struct call *c,
			   struct err *err)
{
	if (docker_production(e, t->component, &c->container, err) < 0 ||
	    docker_program_find(e, c->container, t, &c->path, err) < 0 ||
	    docker_own_address(e, c->container, &c->address, err) < 0 ||
	    production_env(t, c, err) < 0)
		return -1;
	return push_args(t, c->path, NULL, &c->argv, err);
}

/* ---- sandbox ---- */

/* Beside a server of the sandbox, as its user. */
static int sandbox_call(struct engine_docker *e, const struct tool *t, struct call *c,
			struct err *err)
{
	const struct docker_component *component;
	if (docker_adopted(e, t->component, &component, err) < 0 ||
	    docker_tool_find(&e->base, t, &c->path, err) < 0 ||
	    push_args(t, c->path, NULL, &c->argv, err) < 0)
		return -1;
	for (size_t i = 0; t->env != NULL && t->env[i] != NULL; i++)
		if (strchr(t->env[i], '=') != NULL && strlist_push(&c->env, t->env[i], err) < 0)
			return -1;
	snprintf(c->user, sizeof c->user, "%u:%u", component->uid, component->gid);
	return 0;
}

/* The body of a container that runs the tool alone, on its volume and without a network. */
static int sandbox_spec(struct engine_docker *e, const struct tool *t, json_t **ret,
			struct err *err)
{
	CLEANUP(json_freep) json_t *spec = NULL;
	CLEANUP(freep) char *path = NULL;
	CLEANUP(strlist_done) struct strlist argv = {0};
	const struct docker_component *c;
	const struct docker_volume *v = NULL;
	if (t->volume != NULL && (v = docker_volume_find(e, t->volume)) == NULL)
		return err_set(err, ERR_DENIED,
			       "volume '%s' was not made here: no tool works on it", t->volume);
	if (docker_adopted(e, t->component, &c, err) < 0 ||
	    docker_tool_find(&e->base, t, &path, err) < 0 ||
	    push_args(t, path, v != NULL ? v->path : NULL, &argv, err) < 0 ||
	    docker_container_spec(e, "helper", c, (const char *const[]){t->volume, NULL}, &spec,
				  err) < 0)
		return -1;
	json_t *words = json_array(), *env = json_object_get(spec, "Env");
	if (json_put(spec, "Entrypoint", words, err) < 0 ||
	    (env == NULL && json_put(spec, "Env", env = json_array(), err) < 0))
		return -1;
	for (size_t i = 0; i < argv.count; i++)
		if (json_push(words, json_string(argv.items[i]), err) < 0)
			return -1;
	for (size_t i = 0; t->env != NULL && t->env[i] != NULL; i++)
		if (strchr(t->env[i], '=') != NULL &&
		    json_push(env, json_string(t->env[i]), err) < 0)
			return -1;
	*ret = spec;
	spec = NULL;
	return 0;
}

static int sandbox_find(struct engine_docker *e, const struct tool *t, char **ret, struct err *err)
{
	const struct docker_component *c;
	struct docker_helper helper = {0};
	CLEANUP(json_freep) json_t *container = NULL;
	if (docker_adopted(e, t->component, &c, err) < 0)
		return -1;
	int rc = docker_program_known(e, c->image, t, ret, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	rc = docker_helper_make(&helper, e, c, NULL, err);
	if (rc == 0)
		rc = docker_get(e->d, &container, err, "/containers/%s/json", helper.id);
	if (rc == 0)
		rc = docker_program_find(e, container, t, ret, err);
	docker_helper_done(&helper);
	if (rc < 0 && err->code == ERR_ABSENT && err->hint[0] == '\0')
		err_hint(err, "Restore with an image that has it: --image %s=IMAGE", t->component);
	return rc;
}

/* ---- the engine's operations ---- */

int docker_tool_find(struct engine *base, const struct tool *t, char **ret, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *container = NULL;
	struct host_tools h = on_host(e, t);
	struct err why = ERR_INIT;
	bool host;
	if (t->sandbox)
		return sandbox_find(e, t, ret, err);
	if (use_host(e, t, &host, err) < 0)
		return -1;
	if (host)
		return host_tools_find(&h, ret, err);
	if (docker_production(e, t->component, &container, err) < 0)
		return -1;
	if (docker_exec_allowed(e, container, &why) == 0 &&
	    docker_program_find(e, container, t, ret, &why) == 0)
		return 0;
	if (!fall_back(e, t, &why)) {
		*err = why;
		return -1;
	}
	return host_tools_find(&h, ret, err) < 0 ? neither(&why, err) : 0;
}

/* One of three: a running container to execute it in, or none and it runs on the host. */
static int prepare(struct engine_docker *e, const struct tool *t, struct call *c,
		   struct docker_exec *ret, bool *ret_host, struct err *err)
{
	*ret_host = false;
	const char *container = NULL;
	if (t->sandbox) {
		container = docker_server_container(e, t->component);
		if (container == NULL)
			return err_set(err, ERR_ABSENT, "no server of '%s' runs for %s",
				       t->component, t->name);
		if (sandbox_call(e, t, c, err) < 0)
			return -1;
	} else {
		struct err why = ERR_INIT;
		if (use_host(e, t, ret_host, err) < 0)
			return -1;
		if (*ret_host)
			return 0;
		if (production_call(e, t, c, &why) < 0) {
			*ret_host = c->container != NULL && fall_back(e, t, &why);
			if (!*ret_host)
				*err = why;
			return *ret_host ? 0 : -1;
		}
		container = json_str_or(c->container, "Name", "");
		container += container[0] == '/' ? 1 : 0;
	}
	*ret = (struct docker_exec){.container = container,
				    .argv = (const char *const *)c->argv.items,
				    .env = (const char *const *)c->env.items,
				    .user = c->user[0] != '\0' ? c->user : NULL,
				    .idle_ms = t->idle_ms};
	return 0;
}

int docker_tool_source(struct engine *base, const struct tool *t, struct source **ret,
		       struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(call_done) struct call c = {0};
	struct docker_exec x;
	struct err why = ERR_INIT;
	struct host_tools h = on_host(e, t);
	bool host;
	if (prepare(e, t, &c, &x, &host, err) < 0)
		return -1;
	if (host)
		return host_tools_source(&h, ret, err);
	if (docker_exec_source(e->d, &x, ret, &why) == 0)
		return 0;
	if (!t->sandbox && fall_back(e, t, &why))
		return host_tools_source(&h, ret, err) < 0 ? neither(&why, err) : 0;
	*err = why;
	return -1;
}

int docker_tool_sink(struct engine *base, const struct tool *t, struct sink **ret, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(call_done) struct call c = {0};
	struct docker_exec x;
	struct err why = ERR_INIT;
	struct host_tools h = on_host(e, t);
	bool host;
	if (prepare(e, t, &c, &x, &host, err) < 0)
		return -1;
	if (host)
		return host_tools_sink(&h, ret, err);
	if (docker_exec_sink(e->d, &x, t->idle_ms, ret, &why) == 0)
		return 0;
	if (!t->sandbox && fall_back(e, t, &why))
		return host_tools_sink(&h, ret, err) < 0 ? neither(&why, err) : 0;
	*err = why;
	return -1;
}

int docker_tool_run(struct engine *base, const struct tool *t, struct buf *out, struct deadline d,
		    struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(call_done) struct call c = {0};
	CLEANUP(json_freep) json_t *spec = NULL;
	struct docker_exec x;
	struct err why = ERR_INIT;
	struct host_tools h = on_host(e, t);
	bool host;
	if (t->sandbox && (t->volume != NULL || docker_server_container(e, t->component) == NULL)) {
		if (sandbox_spec(e, t, &spec, err) < 0 || run_mark(e, err) < 0)
			return -1;
		return docker_run(e->d, spec, out, d, err) < 0 ? err_wrap(err, "%s", t->name) : 0;
	}
	if (prepare(e, t, &c, &x, &host, err) < 0)
		return -1;
	if (host)
		return host_tools_run(&h, out, d, err);
	if (docker_exec_run(e->d, &x, out, d, &why) == 0)
		return 0;
	if (!t->sandbox && fall_back(e, t, &why))
		return host_tools_run(&h, out, d, err) < 0 ? neither(&why, err) : 0;
	*err = why;
	return -1;
}
