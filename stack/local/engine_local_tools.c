/* The servers' own programs are this machine's. */
#include "stack/local/engine_local.h"
#include "stack/engine/host_tools.h"

static int here(struct engine *base, const struct tool *t, struct host_tools *ret, char **ret_path,
		struct err *err)
{
	struct engine_local *e = (struct engine_local *)base;
	if (t->volume != NULL && local_volume_path(e, t->volume, ret_path, err) < 0)
		return -1;
	*ret = (struct host_tools){
	    .tool = t, .known = &e->tools, .volume_path = *ret_path, .server = local_identity(e)};
	return 0;
}

int local_tool_find(struct engine *base, const struct tool *t, char **ret, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	struct host_tools h;
	return here(base, t, &h, &path, err) < 0 ? -1 : host_tools_find(&h, ret, err);
}

int local_tool_source(struct engine *base, const struct tool *t, struct source **ret,
		      struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	struct host_tools h;
	return here(base, t, &h, &path, err) < 0 ? -1 : host_tools_source(&h, ret, err);
}

int local_tool_sink(struct engine *base, const struct tool *t, struct sink **ret, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	struct host_tools h;
	return here(base, t, &h, &path, err) < 0 ? -1 : host_tools_sink(&h, ret, err);
}

int local_tool_run(struct engine *base, const struct tool *t, struct buf *out, struct deadline d,
		   struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	struct host_tools h;
	return here(base, t, &h, &path, err) < 0 ? -1 : host_tools_run(&h, out, d, err);
}
