/* How each component's server is started, whatever the engine: its arguments and the files that it
 * reads. */
#ifndef LIFEBOAT_STACK_ENGINE_ENGINE_ARGS_H
#define LIFEBOAT_STACK_ENGINE_ENGINE_ARGS_H

#include "stack/engine/engine.h"

struct engine_args {
	const char *program;
	const char *volume;     /* path of its data */
	const char *work;       /* folder for what is in `files` */
	const char *socket_dir; /* postgres */
	bool is_alone;          /* it has a network of its own: it listens on every address there */
	unsigned port, major;
	struct strlist argv;  /* result */
	struct strlist files; /* result: path, text, path, text … to be written before the start */
};

struct engine_component {
	const char *name, *program;
	bool needs_volume;
	int stop_signal;        /* a clean shutdown that does not wait for clients */
	int kill_signal;        /* at once, but without leaving shared memory or children behind */
	int death_signal;       /* when the agent dies */
	const char *const *env; /* "NAME=value", or "NAME" of one that it must not have */
	int (*args)(struct engine_args *a, const struct server_spec *spec, struct err *err);
};

/* NULL: none of that name. */
const struct engine_component *engine_args_find(const char *name);

#endif
