/*
 * The servers' own programs (see struct tool), found on this machine and run as children.
 */
#ifndef LIFEBOAT_STACK_ENGINE_HOST_TOOLS_H
#define LIFEBOAT_STACK_ENGINE_HOST_TOOLS_H

#include "base/child.h"
#include "stack/engine/engine.h"

struct host_tools {
	const struct tool *tool;
	struct strlist *known;         /* "PATH\nMAJOR" of what has been asked for its version */
	const char *volume_path;       /* TOOL_VOLUME; NULL: the tool has no volume */
	const struct identity *server; /* as whom tools as_server run; NULL: as we do */
};

/* ERR_ABSENT names the package to install. New string. */
int host_tools_find(const struct host_tools *h, char **ret, struct err *err) MUST_USE;
int host_tools_source(const struct host_tools *h, struct source **ret, struct err *err) MUST_USE;
int host_tools_sink(const struct host_tools *h, struct sink **ret, struct err *err) MUST_USE;
int host_tools_run(const struct host_tools *h, struct buf *out, struct deadline d, struct err *err)
    MUST_USE;

#endif
