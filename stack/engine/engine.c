#include "stack/engine/engine.h"

#include <ctype.h>
#include <string.h>
#include "stack/engine/engine_kind.h"
#include "stack/engine/engine_promote.h"
#include "stack/engine/tree.h"

static const struct {
	const char *name;
	int (*open)(const struct engine_opts *opts, struct engine **ret, struct err *err);
} kinds[] = {
    {"local", engine_local_open},
    {"docker", engine_docker_open},
};

int engine_open(const struct engine_opts *opts, struct engine **ret, struct err *err)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(opts->kind, kinds[i].name) == 0)
			return kinds[i].open(opts, ret, err);
	err_set(err, ERR_CONFIG, "there is no engine '%s'", opts->kind);
	return err_hint(err, "Set [stack] engine to local or docker.");
}

void engine_free(struct engine *e)
{
	if (e != NULL)
		e->ops->free(e);
}

/* ---- production ---- */

int engine_address(struct engine *e, const char *component, const char *host, char **ret,
		   struct err *err)
{
	*ret = NULL;
	return e->ops->address != NULL ? e->ops->address(e, component, host, ret, err) : 0;
}

int engine_describe(struct engine *e, const char *component, json_t **ret, struct err *err)
{
	*ret = NULL;
	return e->ops->describe != NULL ? e->ops->describe(e, component, ret, err) : 0;
}

int engine_holdings(struct engine *e, json_t **ret, struct err *err)
{
	return e->ops->holdings(e, ret, err);
}

int engine_volume_describe(struct engine *e, const char *volume, json_t **ret, struct err *err)
{
	*ret = NULL;
	return e->ops->volume_describe != NULL ? e->ops->volume_describe(e, volume, ret, err) : 0;
}

int engine_volume_of(struct engine *e, const char *component, const char *path,
		     const char *configured, char **ret, struct err *err)
{
	if (e->ops->volume_of == NULL)
		return str_dup(configured, ret, err);
	return e->ops->volume_of(e, component, path, configured, ret, err);
}

int engine_adopt(struct engine *e, const char *component, const json_t *runtime, struct err *err)
{
	return e->ops->adopt != NULL ? e->ops->adopt(e, component, runtime, err) : 0;
}

bool engine_keeps_names(const struct engine *e)
{
	return e->ops->keeps_names;
}

/* ---- volumes ---- */

bool engine_volume_name_is_valid(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len > 200 || name[0] == '.' || name[0] == '-')
		return false;
	for (const char *p = name; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("_.-", *p) == NULL)
			return false;
	return true;
}

int engine_volume_name_check(const char *name, struct err *err)
{
	if (engine_volume_name_is_valid(name))
		return 0;
	err_set(err, ERR_CONFIG, "'%.220s' can't be the name of a volume", name);
	return err_hint(err, "Use letters, digits, '_', '.' and '-', at most 200, and begin with a "
			     "letter, a digit or '_'.");
}

int engine_volume_exists(struct engine *e, const char *name, bool *ret, struct err *err)
{
	if (engine_volume_name_check(name, err) < 0)
		return -1;
	return e->ops->volume_exists(e, name, ret, err);
}

int engine_volume_create(struct engine *e, const char *name, const struct volume_spec *spec,
			 struct err *err)
{
	if (engine_volume_name_check(name, err) < 0)
		return -1;
	return e->ops->volume_create(e, name, spec, err);
}

int engine_volume_remove(struct engine *e, const char *name, struct err *err)
{
	if (engine_volume_name_check(name, err) < 0)
		return -1;
	return e->ops->volume_remove(e, name, err);
}

int engine_volume_finish(struct engine *e, const char *name, struct err *err)
{
	if (engine_volume_name_check(name, err) < 0)
		return -1;
	return e->ops->volume_finish(e, name, err);
}

int engine_sweep(struct engine *e, bool dry_run, struct strlist *ret, struct err *err)
{
	CLEANUP(strlist_done) struct strlist nobody_asks = {0};
	struct strlist *lines = ret != NULL ? ret : &nobody_asks;
	/* Production first: it may stand still. */
	if (engine_promotion_sweep(e, dry_run, lines, err) < 0)
		return -1;
	return e->ops->sweep(e, dry_run, lines, err);
}

int engine_volume_write(struct engine *e, const char *name, struct tree_writer **ret,
			struct err *err)
{
	if (engine_volume_name_check(name, err) < 0)
		return -1;
	return e->ops->volume_write(e, name, ret, err);
}

int engine_volume_read(struct engine *e, const char *name, tree_fn *fn, void *ctx, struct err *err)
{
	if (engine_volume_name_check(name, err) < 0)
		return -1;
	return e->ops->volume_read(e, name, fn, ctx, err);
}

int engine_volume_free_bytes(struct engine *e, uint64_t *ret, struct err *err)
{
	return e->ops->volume_free_bytes(e, ret, err);
}

const char *engine_volume_where(struct engine *e, const char *name)
{
	return e->ops->volume_where(e, name);
}

/* ---- files of production servers ---- */

int engine_server_file(struct engine *e, const char *component, const char *path,
		       struct source **ret, struct archive_entry **ret_entry, struct err *err)
{
	return e->ops->server_file(e, component, path, ret, ret_entry, err);
}

int engine_server_tree(struct engine *e, const char *component, const char *folder, tree_fn *fn,
		       void *ctx, struct err *err)
{
	return e->ops->server_tree(e, component, folder, fn, ctx, err);
}

int engine_server_free_bytes(struct engine *e, const char *component, const char *path,
			     uint64_t *ret, struct err *err)
{
	return e->ops->server_free_bytes(e, component, path, ret, err);
}

/* ---- tools ---- */

static int check_tool(const struct tool *t, struct err *err)
{
	return t->volume != NULL ? engine_volume_name_check(t->volume, err) : 0;
}

int engine_tool_find(struct engine *e, const struct tool *t, char **ret, struct err *err)
{
	return e->ops->tool_find(e, t, ret, err);
}

int engine_tool_source(struct engine *e, const struct tool *t, struct source **ret, struct err *err)
{
	if (check_tool(t, err) < 0)
		return -1;
	return e->ops->tool_source(e, t, ret, err);
}

int engine_tool_sink(struct engine *e, const struct tool *t, struct sink **ret, struct err *err)
{
	if (check_tool(t, err) < 0)
		return -1;
	return e->ops->tool_sink(e, t, ret, err);
}

int engine_tool_run(struct engine *e, const struct tool *t, struct buf *out, struct deadline d,
		    struct err *err)
{
	if (check_tool(t, err) < 0)
		return -1;
	return e->ops->tool_run(e, t, out, d, err);
}

/* ---- throw-away servers ---- */

int engine_server_new(struct engine *e, const char *component, unsigned major, struct server **ret,
		      struct err *err)
{
	return e->ops->server_new(e, component, major, ret, err);
}
