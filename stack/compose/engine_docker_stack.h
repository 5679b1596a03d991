/*
 * The docker engine's view of production: which containers there are, how they are reached, how
 * they run. Nothing here changes anything of production's.
 */
#ifndef LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_STACK_H
#define LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_STACK_H

#include "stack/docker/docker.h"

struct engine_docker;
struct docker_component;

/* ---- engine_docker_stack.c ---- */

/* The name of the component's service. Borrowed. */
const char *docker_service(const struct engine_docker *e, const char *component);
/* The component's running container: its whole inspect answer, new. ERR_ABSENT names what is there
 * instead: no such project (and which there are), no such service, not running, several replicas.
 */
int docker_production(struct engine_docker *e, const char *component, json_t **ret, struct err *err)
    MUST_USE;
/* All containers of the project as /containers/json tells them, without ours. Borrowed; `again`:
 * the daemon is asked anew. */
int docker_containers(struct engine_docker *e, bool again, json_t **ret, struct err *err) MUST_USE;
/* Of one of them: "play_postgres_1". Borrowed. */
const char *docker_container_name(const json_t *listed);
/* The container of the project that mounts a volume, one that runs before one that does not, and
 * where; NULL: none does. Borrowed, from docker_containers. */
int docker_volume_user(struct engine_docker *e, const char *volume, const json_t **ret_container,
		       const char **ret_destination, struct err *err) MUST_USE;
/* By df in a container that runs. False: it can't be told. */
bool docker_free_inside(struct engine_docker *e, const char *container, const char *path,
			uint64_t *ret);

int docker_stack_volume_of(struct engine *e, const char *component, const char *path,
			   const char *configured, char **ret, struct err *err) MUST_USE;
int docker_stack_file(struct engine *e, const char *component, const char *path,
		      struct source **ret, struct archive_entry **ret_entry, struct err *err)
    MUST_USE;
int docker_stack_tree(struct engine *e, const char *component, const char *folder, tree_fn *fn,
		      void *ctx, struct err *err) MUST_USE;
int docker_stack_free_bytes(struct engine *e, const char *component, const char *path,
			    uint64_t *ret, struct err *err) MUST_USE;

/* ---- engine_docker_holdings.c ---- */

int docker_stack_holdings(struct engine *e, json_t **ret, struct err *err) MUST_USE;

/* ---- engine_docker_names.c ---- */

/* The names by which others on its networks know a container (its inspect answer). */
int docker_names(const json_t *container, struct strlist *ret, struct err *err) MUST_USE;
/* The address that a container has for itself and its neighbours. New. */
int docker_own_address(struct engine_docker *e, const json_t *container, char **ret,
		       struct err *err) MUST_USE;
int docker_stack_address(struct engine *e, const char *component, const char *host, char **ret,
			 struct err *err) MUST_USE;

/* ---- engine_docker_describe.c and engine_docker_adopt.c ---- */

int docker_stack_describe(struct engine *e, const char *component, json_t **ret, struct err *err)
    MUST_USE;
int docker_stack_volume_describe(struct engine *e, const char *volume, json_t **ret,
				 struct err *err) MUST_USE;
/* engine_adopt: finds the image; by id, then by digest; --image wins. */
int docker_stack_adopt(struct engine *e, const char *component, const json_t *runtime,
		       struct err *err) MUST_USE;
/* Owner of a path in a container, running or not. */
int docker_owner(struct engine_docker *e, const char *container, const char *path,
		 unsigned *ret_uid, unsigned *ret_gid, struct err *err) MUST_USE;
void docker_components_done(struct engine_docker *e);
/* What was adopted; ERR_FAILED where nothing was. Borrowed. */
int docker_adopted(const struct engine_docker *e, const char *component,
		   const struct docker_component **ret, struct err *err) MUST_USE;

#endif
