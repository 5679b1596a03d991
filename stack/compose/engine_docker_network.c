/*
 * The sandbox's network: one for each run, internal (Docker routes nothing out of it and nothing
 * in), and used by this run's servers alone.
 *
 * Servers have fixed addresses, so that what must be known before the start is known. Docker gives
 * those only on a network whose subnet was asked for: it is made twice, first to learn which subnet
 * the daemon would choose, then with that one.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "stack/compose/engine_docker_box.h"

enum { TRIES = 5, SUBNET_BITS_MAX = 28, DROP_TRIES = 2 };

int docker_network_name(const struct engine_docker *e, char **ret, struct err *err)
{
	return str_printf(ret, err, "lifeboat-%s", e->run_id);
}

/* `subnet` NULL: the daemon chooses. */
static int create(struct engine_docker *e, const char *name, const char *subnet, char **ret,
		  struct err *err)
{
	CLEANUP(json_freep)
	json_t *body = json_pack("{s:s, s:b, s:s, s:b}", "Name", name, "CheckDuplicate", 1,
				 "Driver", "bridge", "Internal", 1);
	CLEANUP(json_freep) json_t *answer = NULL;
	const char *id;
	json_t *labels = run_labels(e, "network", NULL, err);
	if (labels == NULL)
		return -1;
	if (body == NULL) {
		json_decref(labels);
		return err_nomem(err, "a network");
	}
	if (json_put(body, "Labels", labels, err) < 0 ||
	    (subnet != NULL &&
	     json_put(body, "IPAM", json_pack("{s:[{s:s}]}", "Config", "Subnet", subnet), err) <
		 0) ||
	    docker_make(e, "/networks/create", body, &answer, err) < 0)
		return -1;
	if (json_get_str(answer, "Id", &id, err) < 0)
		return err_wrap(err, "the daemon's answer to a new network");
	return str_dup(id, ret, err);
}

static int drop(struct engine_docker *e, const char *id, struct err *err)
{
	int rc = -1;
	cancel_hold();
	for (int i = 0; i < DROP_TRIES && rc < 0; i++)
		rc = docker_delete(e->d, err, "/networks/%s", id);
	cancel_release();
	if (rc == 0)
		err_clear(err);
	return rc;
}

/* The IPv4 subnet that the daemon chose: "172.18.0.0/16". */
static int subnet_of(struct engine_docker *e, const char *id, char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *network = NULL;
	size_t i;
	json_t *config;
	if (docker_get(e->d, &network, err, "/networks/%s", id) < 0)
		return -1;
	json_array_foreach(json_object_get(json_object_get(network, "IPAM"), "Config"), i, config)
	{
		const char *subnet = json_str_or(config, "Subnet", "");
		if (subnet[0] != '\0' && strchr(subnet, ':') == NULL)
			return str_dup(subnet, ret, err);
	}
	return err_set(err, ERR_FAILED, "the daemon gave it no IPv4 subnet");
}

static int parse_subnet(struct engine_docker *e, const char *subnet, struct err *err)
{
	char address[INET_ADDRSTRLEN];
	struct in_addr at;
	const char *slash = strchr(subnet, '/');
	char *end = NULL;
	unsigned long bits = slash != NULL ? strtoul(slash + 1, &end, 10) : 0;
	size_t len = slash != NULL ? (size_t)(slash - subnet) : 0;
	if (slash == NULL || len >= sizeof address || end == slash + 1 || *end != '\0')
		return err_set(err, ERR_FAILED, "its subnet is '%.80s'", subnet);
	memcpy(address, subnet, len);
	address[len] = '\0';
	if (inet_pton(AF_INET, address, &at) != 1)
		return err_set(err, ERR_FAILED, "its subnet is '%.80s'", subnet);
	if (bits < 8 || bits > SUBNET_BITS_MAX)
		return err_set(err, ERR_FAILED, "its subnet %.80s is too small for a sandbox",
			       subnet);
	e->subnet = ntohl(at.s_addr);
	e->subnet_bits = (unsigned)bits;
	return 0;
}

static int explain(struct err *err)
{
	if (err->code == ERR_EXISTS)
		return err_hint(err, "It is not this run's own. Remove it, or start again.");
	if (strstr(err->msg, "address pool") != NULL)
		return err_hint(err, "Docker has no free subnet. Remove networks that are not used "
				     "(docker network ls), or give the daemon more "
				     "default-address-pools.");
	return -1;
}

static int make(struct engine_docker *e, const char *name, struct err *err)
{
	for (int i = 0; i < TRIES; i++) {
		CLEANUP(freep) char *first = NULL, *subnet = NULL;
		if (create(e, name, NULL, &first, err) < 0)
			return -1;
		struct err why = ERR_INIT;
		int rc = subnet_of(e, first, &subnet, err);
		/* What went wrong first is what counts. */
		if (drop(e, first, rc < 0 ? &why : err) < 0 || rc < 0 ||
		    parse_subnet(e, subnet, err) < 0)
			return -1;
		err_clear(err);
		if (create(e, name, subnet, &e->network, err) == 0)
			return 0;
		/* Somebody else was given that subnet in between. */
		if (strstr(err->msg, "verlap") == NULL)
			return -1;
	}
	return -1;
}

/* The lowest are the daemon's to give: to its bridge, and to containers that don't ask for one. */
static uint32_t first_offset(const struct engine_docker *e)
{
	return e->subnet_bits <= 24 ? 32 : 8;
}

int docker_network_address(struct engine_docker *e, char **ret, struct err *err)
{
	char text[INET_ADDRSTRLEN];
	uint32_t hosts = (UINT32_C(1) << (32 - e->subnet_bits)) - 1; /* without the broadcast */
	uint32_t offset = first_offset(e) + e->addresses;
	struct in_addr at = {.s_addr = htonl(e->subnet + offset)};
	if (offset >= hosts)
		return err_set(err, ERR_LIMIT, "the sandbox's network has no address left");
	inet_ntop(AF_INET, &at, text, sizeof text);
	if (str_dup(text, ret, err) < 0)
		return -1;
	e->addresses++;
	return 0;
}

/* Where servers see us come from. A container in the host's own network comes from the bridge, as
 * every program of the host does. */
static int join(struct engine_docker *e, struct err *err)
{
	if (e->self == NULL)
		return 0;
	if (e->on_host_network) {
		char text[INET_ADDRSTRLEN];
		struct in_addr at = {.s_addr = htonl(e->subnet + 1)};
		inet_ntop(AF_INET, &at, text, sizeof text);
		return str_dup(text, &e->self_peer, err);
	}
	if (docker_network_address(e, &e->self_peer, err) < 0)
		return -1;
	CLEANUP(json_freep)
	json_t *body = json_pack("{s:s, s:{s:{s:s}}}", "Container", e->self, "EndpointConfig",
				 "IPAMConfig", "IPv4Address", e->self_peer);
	if (body == NULL)
		return err_nomem(err, "a network");
	if (docker_post(e->d, body, NULL, err, "/networks/%s/connect", e->network) < 0)
		return err_wrap(err, "our own container on the sandbox's network");
	return 0;
}

static void forget(struct engine_docker *e)
{
	free(e->network);
	free(e->self_peer);
	e->network = e->self_peer = NULL;
	e->addresses = 0;
}

int docker_network_make(struct engine_docker *e, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	if (e->network != NULL)
		return 0;
	if (docker_network_name(e, &name, err) < 0 || run_mark(e, err) < 0)
		return -1;
	if (make(e, name, err) < 0) {
		err_wrap(err, "network '%s'", name);
		return explain(err);
	}
	if (join(e, err) == 0)
		return 0;
	struct err why = ERR_INIT;
	if (drop(e, e->network, &why) < 0)
		log_debug("network '%s': %s", name, why.msg);
	forget(e);
	return -1;
}

int docker_network_remove(struct engine_docker *e, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = 0;
	if (e->network == NULL)
		return 0;
	cancel_hold();
	if (e->self != NULL && !e->on_host_network) {
		CLEANUP(json_freep)
		json_t *body = json_pack("{s:s, s:b}", "Container", e->self, "Force", 1);
		if (docker_post(e->d, body, NULL, &why, "/networks/%s/disconnect", e->network) < 0)
			log_debug("network %.12s: %s", e->network, why.msg);
	}
	if (!e->keeps_servers)
		rc = docker_delete(e->d, err, "/networks/%s", e->network);
	cancel_release();
	if (rc < 0)
		return err_wrap(err, "network 'lifeboat-%s'", e->run_id);
	forget(e);
	return 0;
}
