/* What the containers of the project keep outside of their images: volumes and folders of the host.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "stack/compose/engine_docker.h"

enum { ANONYMOUS_DIGITS = 64, HOST_ID_MIN = 12 };

/* Docker names a volume by chance where nobody else does. */
static bool is_anonymous(const char *name)
{
	return strlen(name) == ANONYMOUS_DIGITS &&
	       strspn(name, "0123456789abcdef") == ANONYMOUS_DIGITS;
}

/* The container that this very process runs in: Docker calls a container's host by the beginning of
 * its id. */
static bool is_own(const json_t *container)
{
	char host[256] = "";
	if (gethostname(host, sizeof host - 1) < 0 || strlen(host) < HOST_ID_MIN)
		return false;
	return strncmp(json_str_or(container, "Id", ""), host, strlen(host)) == 0;
}

/* "postgres"; NULL: the service is none of the components. */
static const char *component_of(const struct engine_docker *e, const char *service)
{
	static const char *const all[] = {"postgres", "redis", "pgbouncer"};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (strcmp(docker_service(e, all[i]), service) == 0)
			return all[i];
	return NULL;
}

static const char *kind_of(const json_t *mount)
{
	const char *type = json_str_or(mount, "Type", "");
	if (strcmp(type, "volume") == 0)
		return is_anonymous(json_str_or(mount, "Name", "")) ? "anonymous volume" : "volume";
	return strcmp(type, "bind") == 0 ? "folder" : NULL;
}

/* Several containers may mount one thing: the first tells. */
static bool is_told(const json_t *list, const char *kind, const char *name)
{
	size_t i;
	json_t *h;
	json_array_foreach(list, i, h)
	{
		if (strcmp(json_str_or(h, "name", ""), name) == 0 &&
		    strcmp(json_str_or(h, "kind", ""), kind) == 0)
			return true;
	}
	return false;
}

static int add_mount(struct engine_docker *e, const json_t *container, const json_t *mount,
		     json_t *list, struct err *err)
{
	const char *kind = kind_of(mount);
	const char *service =
	    json_str_or(json_object_get(container, "Labels"), "com.docker.compose.service", "");
	const char *component = component_of(e, service);
	/* What a container can't write it does not keep. */
	if (kind == NULL || json_is_false(json_object_get(mount, "RW")))
		return 0;
	const char *name = json_str_or(mount, strcmp(kind, "folder") == 0 ? "Source" : "Name", "?");
	if (is_told(list, kind, name))
		return 0;
	return json_push(list,
			 json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "kind", kind, "name",
				   json_text_value(name), "service", json_text_value(service),
				   "image", json_text_value(json_str_or(container, "Image", "?")),
				   "at", json_text_value(json_str_or(mount, "Destination", "?")),
				   "component",
				   component != NULL ? json_string(component) : json_null()),
			 err);
}

int docker_stack_holdings(struct engine *base, json_t **ret, struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *list = json_array();
	json_t *containers, *c, *mount;
	size_t i, k;
	if (list == NULL)
		return err_nomem(err, "JSON");
	if (docker_containers(e, true, &containers, err) < 0)
		return -1;
	json_array_foreach(containers, i, c)
	{
		if (is_own(c))
			continue;
		json_array_foreach(json_object_get(c, "Mounts"), k, mount)
		{
			if (add_mount(e, c, mount, list, err) < 0)
				return -1;
		}
	}
	*ret = list;
	list = NULL;
	return 0;
}
