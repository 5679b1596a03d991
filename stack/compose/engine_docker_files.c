/*
 * Volumes filled and read, through the archive calls of a container that has them mounted: a helper
 * that is never started, or one of production's.
 *
 * What comes out this way lacks extended attributes and ACLs, its times are whole seconds, and
 * holes come as zeros. What goes in keeps all but holes.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/log.h"
#include "stack/compose/engine_docker_box.h"

enum { SYNC_MS = 600000 };

/* ---- onto the disk ---- */

/* The file system below the volume, where it is this machine's and we may look there. */
static bool sync_from_here(struct engine_docker *e, const char *name)
{
	CLEANUP(json_freep) json_t *volume = NULL;
	struct err why = ERR_INIT;
	if (!docker_is_near(e->d) || e->self != NULL ||
	    docker_get(e->d, &volume, &why, "/volumes/%s", name) < 0)
		return false;
	CLEANUP(fd_closep)
	int fd = open(json_str_or(volume, "Mountpoint", ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && syncfs(fd) == 0;
}

/* An image without such a program has no other way: then the kernel writes it when it likes. */
static void sync_from_container(struct engine_docker *e, const struct docker_volume *v)
{
	const char *const volumes[] = {v->name, NULL};
	CLEANUP(json_freep) json_t *spec = NULL;
	struct err why = ERR_INIT;
	if (docker_container_spec(e, "helper", v->component, volumes, &spec, &why) < 0 ||
	    json_put(spec, "Entrypoint", json_pack("[s,s,s]", "sync", "-f", v->path), &why) < 0 ||
	    docker_run(e->d, spec, NULL, deadline_in(SYNC_MS), &why) < 0)
		log_debug("volume '%s' is not synced: %s", v->name, why.msg);
}

/* ---- filling ---- */

struct volume_fill {
	struct tree_writer base;
	struct engine_docker *e;
	char *name;
	struct docker_helper helper;
	struct tree_writer *to;
};

static int fill_add(struct tree_writer *t, struct archive_entry *entry, struct source *content,
		    struct err *err)
{
	struct volume_fill *f = (struct volume_fill *)t;
	return f->to->ops->add(f->to, entry, content, err);
}

static int fill_stream(struct tree_writer *t, const char *name, unsigned mode, struct source *from,
		       uint64_t len, struct err *err)
{
	struct volume_fill *f = (struct volume_fill *)t;
	return f->to->ops->stream(f->to, name, mode, from, len, err);
}

static int fill_close(struct tree_writer *t, struct err *err)
{
	struct volume_fill *f = (struct volume_fill *)t;
	if (tree_writer_close(f->to, err) < 0)
		return err_wrap(err, "volume '%s'", f->name);
	docker_helper_done(&f->helper);
	const struct docker_volume *v = docker_volume_find(f->e, f->name);
	if (v != NULL && !sync_from_here(f->e, f->name))
		sync_from_container(f->e, v);
	return cancel_check(err);
}

static void fill_free(struct tree_writer *t)
{
	struct volume_fill *f = (struct volume_fill *)t;
	tree_writer_free(f->to);
	docker_helper_done(&f->helper);
	free(f->name);
	free(f);
}

static const struct tree_writer_ops fill_ops = {
    .add = fill_add, .stream = fill_stream, .close = fill_close, .free = fill_free};

int docker_volume_write(struct engine *base, const char *name, struct tree_writer **ret,
			struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	const struct docker_volume *v = docker_volume_find(e, name);
	const char *const volumes[] = {name, NULL};
	/* Nothing here ever writes into a volume that it did not make. */
	if (v == NULL)
		return err_set(err, ERR_DENIED,
			       "volume '%s' was not made by this run: not written into", name);
	struct volume_fill *f = mem_zalloc(sizeof *f, "a volume's writer", err);
	if (f == NULL)
		return -1;
	CLEANUP(tree_writer_freep) struct tree_writer *made = &f->base;
	f->base.ops = &fill_ops;
	f->e = f->helper.e = e;
	if (str_dup(name, &f->name, err) < 0 ||
	    docker_helper_make(&f->helper, e, v->component, volumes, err) < 0 ||
	    docker_tree_write(e->d, f->helper.id, v->path, v->component->uid, v->component->gid,
			      &f->to, err) < 0)
		return err_wrap(err, "volume '%s'", name);
	*ret = made;
	made = NULL;
	return 0;
}

/* ---- reading ---- */

/* Another mount below it would be read as a part of the volume. */
static bool is_whole(const json_t *mounts, const char *at)
{
	size_t i, len = strlen(at);
	json_t *mount;
	json_array_foreach(mounts, i, mount)
	{
		const char *other = json_str_or(mount, "Destination", "");
		if (strncmp(other, at, len) == 0 && other[len] == '/')
			return false;
	}
	return true;
}

/* A container that has the volume, and where; best one that runs. Borrowed; NULL: none. */
static void find_user(const json_t *list, const char *name, const char **ret_id,
		      const char **ret_at)
{
	size_t i, k;
	json_t *container, *mount;
	*ret_id = *ret_at = NULL;
	json_array_foreach(list, i, container)
	{
		const json_t *mounts = json_object_get(container, "Mounts");
		bool runs = strcmp(json_str_or(container, "State", ""), "running") == 0;
		json_array_foreach(mounts, k, mount)
		{
			const char *at = json_str_or(mount, "Destination", "");
			if (strcmp(json_str_or(mount, "Type", ""), "volume") != 0 ||
			    strcmp(json_str_or(mount, "Name", ""), name) != 0 ||
			    !is_whole(mounts, at) || (*ret_id != NULL && !runs))
				continue;
			*ret_id = json_string_value(json_object_get(container, "Id"));
			*ret_at = at;
			if (runs)
				return;
		}
	}
}

/* Any image does for a container that never runs: one of ours, or the first that there is. */
static int any_image(struct engine_docker *e, char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *list = NULL;
	if (e->component_count > 0)
		return str_dup(e->components[0].image, ret, err);
	if (docker_get(e->d, &list, err, "/images/json") < 0)
		return -1;
	const char *id = json_str_or(json_array_get(list, 0), "Id", NULL);
	if (id == NULL)
		return err_set(err, ERR_ABSENT, "there is no image to read it with");
	return str_dup(id, ret, err);
}

static int read_unused(struct engine_docker *e, const char *name, tree_fn *fn, void *ctx,
		       struct err *err)
{
	CLEANUP(docker_helper_done) struct docker_helper h = {.e = e};
	CLEANUP(json_freep) json_t *spec = NULL;
	CLEANUP(freep) char *path = NULL, *image = NULL;
	const char *const volumes[] = {name, NULL};
	if (any_image(e, &image, err) < 0 || run_mark(e, err) < 0 ||
	    docker_volume_target(e, name, NULL, &path, err) < 0)
		return -1;
	char who[] = "volume";
	const struct docker_component c = {.name = who, .image = image};
	if (docker_container_spec(e, "helper", &c, volumes, &spec, err) < 0)
		return -1;
	json_t *mounts = json_object_get(json_object_get(spec, "HostConfig"), "Mounts");
	if (json_put(json_array_get(mounts, 0), "ReadOnly", json_true(), err) < 0 ||
	    docker_helper_create(&h, spec, err) < 0)
		return -1;
	return docker_tree_read(e->d, h.id, path, fn, ctx, err);
}

static int read_production(struct engine_docker *e, const char *name, tree_fn *fn, void *ctx,
			   struct err *err)
{
	CLEANUP(json_freep) json_t *filter = json_pack("{s:[s]}", "volume", name);
	CLEANUP(json_freep) json_t *list = NULL;
	CLEANUP(freep) char *query = NULL;
	const char *id, *at;
	/* A helper would make a volume that is not there. */
	if (docker_get(e->d, NULL, err, "/volumes/%s", name) < 0)
		return -1;
	if (filter == NULL)
		return err_nomem(err, "a filter");
	if (docker_filters(filter, &query, err) < 0 ||
	    docker_get(e->d, &list, err, "/containers/json%s&all=1", query) < 0)
		return -1;
	find_user(list, name, &id, &at);
	if (id != NULL)
		return docker_tree_read(e->d, id, at, fn, ctx, err);
	if (read_unused(e, name, fn, ctx, err) < 0)
		return -1;
	return run_unmark(e, err);
}

static int read_ours(struct engine_docker *e, const struct docker_volume *v, tree_fn *fn, void *ctx,
		     struct err *err)
{
	CLEANUP(docker_helper_done) struct docker_helper h = {.e = e};
	const char *const volumes[] = {v->name, NULL};
	CLEANUP(freep) char *path = NULL;
	if (str_dup(v->path, &path, err) < 0 ||
	    docker_helper_make(&h, e, v->component, volumes, err) < 0)
		return -1;
	return docker_tree_read(e->d, h.id, path, fn, ctx, err);
}

int docker_volume_read(struct engine *base, const char *name, tree_fn *fn, void *ctx,
		       struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	const struct docker_volume *v = docker_volume_find(e, name);
	int rc = v != NULL ? read_ours(e, v, fn, ctx, err) : read_production(e, name, fn, ctx, err);
	return rc < 0 ? err_wrap(err, "volume '%s'", name) : 0;
}
