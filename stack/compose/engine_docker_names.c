/* The names and addresses by which production's servers are reached. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "stack/compose/engine_docker.h"

static json_t *networks_of(const json_t *container)
{
	return json_object_get(json_object_get(container, "NetworkSettings"), "Networks");
}

static const char *network_mode(const json_t *container)
{
	return json_str_or(json_object_get(container, "HostConfig"), "NetworkMode", "");
}

static const char *name_of(const json_t *container)
{
	const char *name = json_str_or(container, "Name", "?");
	return name[0] == '/' ? name + 1 : name;
}

/* ---- names ---- */

/* The names that the daemon's DNS gives to a member of a network: each() until it returns -1. */
static int each_alias(const json_t *network, int (*each)(void *ctx, const char *name), void *ctx)
{
	static const char *const keys[] = {"Aliases", "DNSNames"};
	size_t i;
	json_t *name;
	for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
		json_array_foreach(json_object_get(network, keys[k]), i, name)
		{
			if (json_is_string(name) && each(ctx, json_string_value(name)) < 0)
				return -1;
		}
	}
	return 0;
}

struct names {
	const char *id;
	struct strlist *list;
	struct err *err;
};

static int add_name(void *ctx, const char *name)
{
	struct names *n = ctx;
	/* The daemon adds the beginning of the container's id; it dies with the container. */
	if (name[0] == '\0' || strlist_has(n->list, name) ||
	    (strlen(name) == 12 && strncmp(n->id, name, 12) == 0))
		return 0;
	return strlist_push(n->list, name, n->err);
}

int docker_names(const json_t *container, struct strlist *ret, struct err *err)
{
	struct names n = {.id = json_str_or(container, "Id", ""), .list = ret, .err = err};
	const json_t *config = json_object_get(container, "Config");
	const json_t *labels = json_object_get(config, "Labels");
	const char *network;
	json_t *of;
	if (add_name(&n, json_str_or(labels, "com.docker.compose.service", "")) < 0 ||
	    add_name(&n, name_of(container)) < 0 ||
	    add_name(&n, json_str_or(config, "Hostname", "")) < 0)
		return -1;
	json_object_foreach(networks_of(container), network, of)
	{
		if (each_alias(of, add_name, &n) < 0)
			return -1;
	}
	return 0;
}

/* Is `host` the name `name`, or "name.network" as the DNS also takes it? Case does not count. */
static bool is_name(const json_t *container, const char *name, const char *host)
{
	size_t len = strlen(name);
	const char *network;
	json_t *of;
	if (strncasecmp(host, name, len) != 0)
		return false;
	json_object_foreach(networks_of(container), network, of)
	{
		if (host[len] == '.' && strcasecmp(host + len + 1, network) == 0)
			return true;
	}
	return host[len] == '\0';
}

static int is_called(const json_t *container, const char *host, bool *ret, struct err *err)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	*ret = false;
	if (docker_names(container, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count && !*ret; i++)
		*ret = is_name(container, names.items[i], host);
	return 0;
}

/* -1: it is the name that is looked for. */
static int differs(void *ctx, const char *name)
{
	return strcasecmp(name, ctx) == 0 ? -1 : 0;
}

/* Does the daemon's DNS know `host` on this network, of which the container is a part? */
static bool resolves_on(const json_t *container, const char *network, const char *host)
{
	char wanted[256];
	/* The network that every container is on by default has no DNS. */
	if (strcmp(network, "bridge") == 0 || strlen(host) >= sizeof wanted)
		return false;
	snprintf(wanted, sizeof wanted, "%s", host);
	return strcasecmp(name_of(container), host) == 0 ||
	       each_alias(json_object_get(networks_of(container), network), differs, wanted) < 0;
}

/* ---- addresses ---- */

static const char *address_on(const json_t *network)
{
	const char *v4 = json_str_or(network, "IPAddress", "");
	return v4[0] != '\0' ? v4 : json_str_or(network, "GlobalIPv6Address", "");
}

/* The container whose network this one uses: another one's, or its own. New reference. */
static int network_owner(struct engine_docker *e, const json_t *container, json_t **ret,
			 struct err *err)
{
	static const char shared[] = "container:";
	const char *mode = network_mode(container);
	if (strncmp(mode, shared, sizeof shared - 1) != 0) {
		*ret = json_deep_copy(container);
		return *ret != NULL ? 0 : err_nomem(err, "a container's networks");
	}
	if (docker_get(e->d, ret, err, "/containers/%s/json", mode + sizeof shared - 1) < 0)
		return err_wrap(err, "the container whose network '%s' uses", name_of(container));
	return 0;
}

static int first_address(const json_t *owner, char **ret, struct err *err)
{
	const char *network;
	json_t *of;
	json_object_foreach(networks_of(owner), network, of)
	{
		if (address_on(of)[0] != '\0')
			return str_dup(address_on(of), ret, err);
	}
	return err_set(err, ERR_ABSENT, "container '%s' is on no network", name_of(owner));
}

int docker_own_address(struct engine_docker *e, const json_t *container, char **ret,
		       struct err *err)
{
	CLEANUP(json_freep) json_t *owner = NULL;
	if (network_owner(e, container, &owner, err) < 0)
		return -1;
	const char *mode = network_mode(owner);
	if (strcmp(mode, "host") == 0 || strcmp(mode, "none") == 0)
		return str_dup("127.0.0.1", ret, err);
	return first_address(owner, ret, err);
}

/* ---- from where we are ---- */

static int check_reachable(struct engine_docker *e, const json_t *container, struct err *err)
{
	CLEANUP(json_freep) json_t *info = NULL;
	const char *why = NULL;
	size_t i;
	json_t *option;
	if (!docker_is_near(e->d)) {
		why = "its Docker is on another machine";
	} else if (e->self == NULL) {
		if (docker_get(e->d, &info, err, "/info") < 0)
			return -1;
		json_array_foreach(json_object_get(info, "SecurityOptions"), i, option)
		{
			const char *text = json_string_value(option);
			if (text != NULL && strstr(text, "name=rootless") != NULL)
				why = "a rootless Docker keeps its networks to itself";
		}
	}
	if (why == NULL)
		return 0;
	err_set(err, ERR_UNREACHABLE, "container '%s' can't be reached from here: %s",
		name_of(container), why);
	return err_hint(err, "Run Lifeboat as a container beside the stack; or publish the "
			     "server's port and name the address where it can be reached in the "
			     "url.");
}

static int from_host(struct engine_docker *e, const json_t *container, char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *owner = NULL;
	if (network_owner(e, container, &owner, err) < 0)
		return -1;
	if (strcmp(network_mode(owner), "host") == 0 && docker_is_near(e->d))
		return str_dup("127.0.0.1", ret, err);
	if (check_reachable(e, container, err) < 0 || first_address(owner, ret, err) < 0)
		return -1;
	return 0;
}

static int no_shared_network(const json_t *self, const json_t *owner, const char *host,
			     struct err *err)
{
	const char *network = NULL, *first = NULL;
	json_t *of;
	json_object_foreach(networks_of(owner), network, of)
	{
		if (first == NULL)
			first = network;
	}
	err_set(err, ERR_UNREACHABLE,
		"Lifeboat's own container '%s' is on no network with '%s' (container '%s')",
		name_of(self), host, name_of(owner));
	if (first == NULL || strcmp(first, "host") == 0 || strcmp(first, "none") == 0)
		return err_hint(err, "Run Lifeboat with network_mode: host, or as a program of the "
				     "host.");
	return err_hint(err,
			"Add network '%s' to Lifeboat's service, or: docker network connect %s "
			"%s",
			first, first, name_of(self));
}

/* As a container: by name where a network is shared on which the name means it. */
static int from_container(struct engine_docker *e, const json_t *container, const char *host,
			  char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *me = NULL, *my_owner = NULL, *owner = NULL;
	const char *network, *address = NULL;
	json_t *of;
	if (docker_get(e->d, &me, err, "/containers/%s/json", e->self) < 0)
		return err_wrap(err, "Lifeboat's own container");
	if (network_owner(e, me, &my_owner, err) < 0 ||
	    network_owner(e, container, &owner, err) < 0)
		return -1;
	if (strcmp(json_str_or(my_owner, "Id", ""), json_str_or(owner, "Id", "?")) == 0)
		return str_dup("127.0.0.1", ret, err);
	json_object_foreach(networks_of(my_owner), network, of)
	{
		const json_t *theirs = json_object_get(networks_of(owner), network);
		if (theirs == NULL)
			continue;
		if (resolves_on(owner, network, host)) {
			*ret = NULL;
			return 0;
		}
		if (address == NULL && address_on(theirs)[0] != '\0')
			address = address_on(theirs);
	}
	return address != NULL ? str_dup(address, ret, err)
			       : no_shared_network(me, owner, host, err);
}

/* ---- which container is meant? ---- */

/* Another container of the project that runs and is called `host`: a proxy before the server, say.
 * *ret stays NULL when there is none. */
static int other_container(struct engine_docker *e, const char *host, json_t **ret, struct err *err)
{
	json_t *list, *c;
	size_t i;
	if (docker_containers(e, false, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, c)
	{
		CLEANUP(json_freep) json_t *whole = NULL;
		bool it;
		if (strcmp(json_str_or(c, "State", ""), "running") != 0)
			continue;
		if (docker_get(e->d, &whole, err, "/containers/%s/json", json_str_or(c, "Id", "")) <
		    0) {
			if (err->code != ERR_ABSENT)
				return -1;
			err_clear(err);
			continue;
		}
		if (is_called(whole, host, &it, err) < 0)
			return -1;
		if (it) {
			*ret = whole;
			whole = NULL;
			return 0;
		}
	}
	return 0;
}

/* What nobody would give to a container. */
static bool is_plain_address(const char *host)
{
	return host[0] == '\0' || host[0] == '/' || host[0] == '@' || strchr(host, ':') != NULL ||
	       strchr(host, ',') != NULL || strspn(host, "0123456789.") == strlen(host) ||
	       strcasecmp(host, "localhost") == 0;
}

int docker_stack_address(struct engine *base, const char *component, const char *host, char **ret,
			 struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	CLEANUP(json_freep) json_t *container = NULL;
	struct err why = ERR_INIT;
	bool it = false;
	*ret = NULL;
	if (is_plain_address(host))
		return 0;
	if (docker_production(e, component, &container, &why) < 0) {
		/* A server elsewhere, for which the stack has no service, is none of our business.
		 */
		if (why.code != ERR_ABSENT || strcasecmp(host, docker_service(e, component)) == 0) {
			*err = why;
			return -1;
		}
	} else if (is_called(container, host, &it, err) < 0) {
		return -1;
	}
	if (!it) {
		json_decref(container);
		container = NULL;
		if (other_container(e, host, &container, err) < 0)
			return -1;
		if (container == NULL)
			return 0;
	}
	if (e->self != NULL && !e->on_host_network)
		return from_container(e, container, host, ret, err);
	return from_host(e, container, ret, err);
}
