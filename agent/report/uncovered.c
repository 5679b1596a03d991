#include "agent/report/uncovered.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"

/* Is it the volume that a section calls `configured`, as it is or as Compose calls it? */
static bool is_called(const struct config *c, const char *name, const char *configured)
{
	const char *project = c->stack.project != NULL ? c->stack.project : c->stack.name;
	size_t len = strlen(project);
	if (configured == NULL)
		return false;
	return strcmp(name, configured) == 0 ||
	       (strncmp(name, project, len) == 0 && name[len] == '_' &&
		strcmp(name + len + 1, configured) == 0);
}

static bool has_section(const struct config *c, const char *name)
{
	if ((c->postgres.enabled && is_called(c, name, c->postgres.volume)) ||
	    (c->redis.enabled && is_called(c, name, c->redis.volume)) ||
	    (c->pgbouncer.enabled && is_called(c, name, c->pgbouncer.volume)))
		return true;
	for (size_t i = 0; i < c->volume_count; i++)
		if (is_called(c, name, c->volumes[i].name))
			return true;
	return false;
}

/* Is `path` the folder `root`, or below it? */
static bool is_within(const char *path, const char *root)
{
	size_t len = strlen(root);
	while (len > 1 && root[len - 1] == '/')
		len--;
	return strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A component is backed up by asking its server: what it has in the usual places is covered, also
 * in a volume of another name, and files of its configuration that the host has. */
static bool is_of_component(const struct config *c, const json_t *h)
{
	const char *component = json_str_or(h, "component", ""), *at = json_str_or(h, "at", "");
	const struct {
		const char *name, *place;
		bool enabled;
	} all[] = {{"postgres", "/var/lib/postgresql", c->postgres.enabled},
		   {"redis", "/data", c->redis.enabled},
		   {"pgbouncer", "/etc/pgbouncer", c->pgbouncer.enabled}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i].enabled && strcmp(component, all[i].name) == 0)
			return is_within(at, all[i].place) ||
			       strcmp(json_str_or(h, "kind", ""), "folder") == 0;
	return false;
}

/* Folders of the host that hold no data of the stack: the system's own, and the stores. */
static bool is_no_data(const struct config *c, const json_t *h)
{
	static const char *const system[] = {"/proc", "/sys", "/dev", "/run", "/var/run",
					     "/etc",  "/usr", "/lib", "/boot"};
	const char *name = json_str_or(h, "name", "");
	if (strcmp(json_str_or(h, "kind", ""), "folder") != 0)
		return false;
	for (size_t i = 0; i < sizeof system / sizeof *system; i++)
		if (is_within(name, system[i]))
			return true;
	for (size_t i = 0; i < c->store_count; i++) {
		const char *url = c->stores[i].url;
		if (url != NULL && strncmp(url, "file://", 7) == 0 &&
		    (is_within(url + 7, name) || is_within(name, url + 7)))
			return true;
	}
	return false;
}

static int tell(const json_t *h, const struct uncovered_sink *to, struct err *err)
{
	CLEANUP(freep) char *what = NULL;
	CLEANUP(freep) char *why = NULL;
	const char *service = json_str_or(h, "service", NULL);
	if (str_printf(&what, err, "%s '%s'", json_str_or(h, "kind", "?"),
		       json_str_or(h, "name", "?")) < 0)
		return -1;
	int rc = service != NULL
		     ? str_printf(&why, err,
				  "service '%s' (image %s) writes to it at %s, and no section of "
				  "agent.conf names it",
				  service, json_str_or(h, "image", "?"), json_str_or(h, "at", "?"))
		     : str_printf(&why, err,
				  "it is in volumes_dir, and no section of agent.conf names it");
	return rc < 0 ? -1 : to->found(to->ctx, what, why, err);
}

int uncovered_find(const struct config *c, struct engine *e, const struct uncovered_sink *to,
		   struct err *err)
{
	CLEANUP(json_freep) json_t *holdings = NULL;
	size_t i;
	json_t *h;
	if (engine_holdings(e, &holdings, err) < 0)
		return -1;
	json_array_foreach(holdings, i, h)
	{
		if (!has_section(c, json_str_or(h, "name", "")) && !is_of_component(c, h) &&
		    !is_no_data(c, h) && tell(h, to, err) < 0)
			return -1;
	}
	return 0;
}

int uncovered_look(const struct config *c, const struct uncovered_sink *to, struct err *err)
{
	CLEANUP(engine_freep) struct engine *e = NULL;
	struct err why = ERR_INIT;
	const struct engine_service services[] = {
	    {.component = "postgres", .service = c->postgres.service},
	    {.component = "redis", .service = c->redis.service},
	    {.component = "pgbouncer", .service = c->pgbouncer.service}};
	const struct engine_opts opts = {.kind = c->stack.engine,
					 .stack = c->stack.name,
					 .volumes_dir = c->stack.volumes_dir,
					 .run_as = c->stack.run_as,
					 .run_id = "status",
					 .docker_host = c->stack.docker_host,
					 .project = c->stack.project,
					 .client = c->postgres.client,
					 .services = services,
					 .service_count = sizeof services / sizeof *services};
	if (engine_open(&opts, &e, &why) == 0 && uncovered_find(c, e, to, &why) == 0)
		return 0;
	if (why.code == ERR_CANCELLED || why.code == ERR_NOMEM) {
		*err = why;
		return -1;
	}
	log_debug("what the stack holds can't be told: %s", why.msg);
	return 0;
}
