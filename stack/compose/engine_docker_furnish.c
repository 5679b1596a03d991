/* The first files of a fresh volume: the layout that the image gives it, and the data folder. */
#include <string.h>
#include "base/clock.h"
#include "stack/compose/engine_docker_box.h"

bool docker_furnish_is_database(const struct docker_component *c)
{
	return strcmp(c->name, "postgres") == 0 || strcmp(c->name, "redis") == 0;
}

static int stop_at_child(void *ctx, struct archive_entry *entry, struct source *content,
			 struct err *err)
{
	(void)content;
	if (strcmp(archive_entry_pathname(entry), ".") == 0)
		return 0;
	*(bool *)ctx = true;
	return err_set(err, ERR_CLOSED, "enough was seen");
}

/* Did the image put anything where the data is to be? */
static int has_files(struct engine_docker *e, const char *container, const char *path, bool *ret,
		     struct err *err)
{
	struct err why = ERR_INIT;
	*ret = false;
	if (docker_tree_read(e->d, container, path, stop_at_child, ret, &why) == 0 || *ret ||
	    why.code == ERR_ABSENT)
		return 0;
	*err = why;
	return -1;
}

int docker_furnish_folder(struct tree_writer *to, const char *name,
			  const struct docker_component *c, unsigned mode, struct err *err)
{
	struct archive_entry *entry = archive_entry_new();
	if (entry == NULL)
		return err_nomem(err, "a folder");
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFDIR);
	archive_entry_set_perm(entry, (__LA_MODE_T)mode);
	archive_entry_set_uid(entry, c->uid);
	archive_entry_set_gid(entry, c->gid);
	archive_entry_set_mtime(entry, clock_wall_ms() / 1000, 0);
	int rc = tree_writer_add(to, entry, NULL, err);
	archive_entry_free(entry);
	return rc;
}

/* Length of the longest beginning of v->path, from the mount point on, that is there. */
static int deepest(const struct docker_helper *h, const struct docker_volume *v, size_t *ret,
		   struct err *err)
{
	size_t len = strlen(v->target);
	while (v->path[len] != '\0') {
		CLEANUP(freep) char *at = NULL;
		struct archive_entry *entry = NULL;
		struct err why = ERR_INIT;
		size_t next = len + 1 + strcspn(v->path + len + 1, "/");
		if (str_dupn(v->path, next, &at, err) < 0)
			return -1;
		if (docker_stat(h->e->d, h->id, at, &entry, NULL, &why) < 0) {
			if (why.code == ERR_ABSENT)
				break;
			*err = why;
			return -1;
		}
		archive_entry_free(entry);
		len = next;
	}
	*ret = len;
	return 0;
}

/* The folders from the mount point to the data: what the image has stays as it is, but the data
 * folder is the servers' own. */
static int put_folders(const struct docker_helper *h, const struct docker_volume *v,
		       struct err *err)
{
	const struct docker_component *c = v->component;
	CLEANUP(tree_writer_freep) struct tree_writer *to = NULL;
	CLEANUP(freep) char *at = NULL;
	size_t len, root = strlen(v->target);
	/* A plain volume is open as folders are; its own root in the archive has the last word. */
	unsigned mode = strncmp(c->name, "volume ", 7) == 0 ? 0755 : 0700;
	if (deepest(h, v, &len, err) < 0 || str_dupn(v->path, len, &at, err) < 0 ||
	    docker_tree_write(h->e->d, h->id, at, c->uid, c->gid, &to, err) < 0)
		return -1;
	if ((v->path[len] == '\0' || (len == root && !docker_furnish_is_database(c))) &&
	    docker_furnish_folder(to, ".", c, v->path[len] == '\0' ? mode : 0755, err) < 0)
		return -1;
	for (size_t end = len; v->path[end] != '\0';) {
		CLEANUP(freep) char *name = NULL;
		end += 1 + strcspn(v->path + end + 1, "/");
		if (str_dupn(v->path + len + 1, end - len - 1, &name, err) < 0 ||
		    docker_furnish_folder(to, name, c, v->path[end] == '\0' ? mode : 0755, err) < 0)
			return -1;
	}
	return tree_writer_close(to, err);
}

/* A container that mounts the volume for the first time is what fills it (copy-up). */
static int helper_of_new(struct docker_helper *h, struct engine_docker *e,
			 const struct docker_volume *v, bool copy_up, struct err *err)
{
	CLEANUP(json_freep) json_t *spec = NULL;
	const char *const none[] = {NULL};
	*h = (struct docker_helper){.e = e};
	if (docker_container_spec(e, "helper", v->component, none, &spec, err) < 0 ||
	    json_push(json_object_get(json_object_get(spec, "HostConfig"), "Mounts"),
		      json_pack("{s:s, s:s, s:s, s:{s:b}}", "Type", "volume", "Source", v->name,
				"Target", v->target, "VolumeOptions", "NoCopy", !copy_up),
		      err) < 0)
		return -1;
	return docker_helper_create(h, spec, err);
}

int docker_furnish(struct engine_docker *e, const struct docker_volume *v, bool copy_up,
		   bool *ret_again, struct err *err)
{
	CLEANUP(docker_helper_done) struct docker_helper h = {.e = e};
	*ret_again = false;
	if (helper_of_new(&h, e, v, copy_up, err) < 0 ||
	    (copy_up && has_files(e, h.id, v->path, ret_again, err) < 0))
		return -1;
	return *ret_again ? 0 : put_folders(&h, v, err);
}
