/* How each component's server is started on this machine: its arguments and the files it reads. */
#ifndef LIFEBOAT_STACK_ENGINE_LOCAL_ARGS_H
#define LIFEBOAT_STACK_ENGINE_LOCAL_ARGS_H

#include "stack/engine.h"

struct local_args {
	const char *program, *volume, *work;
	unsigned port, major;
	struct strlist argv;  /* result */
	struct strlist files; /* result: path, text, path, text … to be written before the start */
};

struct local_component {
	const char *name, *program;
	bool needs_volume;
	int stop_signal;  /* a clean shutdown that does not wait for clients */
	int kill_signal;  /* at once, but without leaving shared memory or children behind */
	int death_signal; /* when the agent dies */
	const char *const *env;
	int (*args)(struct local_args *a, const struct server_spec *spec, struct err *err);
};

/* NULL: none of that name. */
const struct local_component *local_component_find(const char *name);

#endif
