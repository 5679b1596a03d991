/* Programs in images and containers: where they are. */
#ifndef LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_PROGRAMS_H
#define LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_PROGRAMS_H

#include "stack/compose/engine_docker.h"

/* The value of a variable in a container's "Config". NULL: it is not set. Borrowed. */
const char *docker_variable(const json_t *config, const char *name);
/* Is a program let into this container? ERR_DENIED. Asked once. */
int docker_exec_allowed(struct engine_docker *e, const json_t *container, struct err *err) MUST_USE;
/* Where the tool is in a container (its inspect answer), which need not run. ERR_ABSENT: it is not
 * there, or is of another PostgreSQL. New. */
int docker_program_find(struct engine_docker *e, const json_t *container, const struct tool *t,
			char **ret, struct err *err) MUST_USE;
/* What was found before in an image: 1 and *ret, new; 0: nobody has looked yet; -1. */
int docker_program_known(struct engine_docker *e, const char *image, const struct tool *t,
			 char **ret, struct err *err) MUST_USE;

#endif
