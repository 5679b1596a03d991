/* Volumes, containers and the network of a sandbox in Docker: what their files share. */
#ifndef LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_BOX_H
#define LIFEBOAT_STACK_COMPOSE_ENGINE_DOCKER_BOX_H

#include "stack/engine/engine_args.h"
#include "stack/compose/engine_docker.h"

/* ---- engine_docker_spec.c ---- */

/* docker_post for what is made: not cancelled half-way. The daemon would go on making it, and it
 * would be there after all was removed. */
int docker_make(struct engine_docker *e, const char *path, const json_t *body, json_t **ret,
		struct err *err) MUST_USE;
/* Creates it as "lifeboat-<run id>-NAME"; NULL: the daemon chooses. *ret is its id, new. */
int docker_container_create(struct engine_docker *e, const json_t *spec, const char *name,
			    char **ret, struct err *err) MUST_USE;
/* Kills and removes it with its nameless volumes, also when the job was cancelled. False: it may be
 * there still, and is left to the sweep. NULL is fine. */
bool docker_container_drop(struct engine_docker *e, const char *id);

/* A container that is never started: a place through which files of an image or of volumes are
 * reached. docker_helper_done also after a failure. */
struct docker_helper {
	struct engine_docker *e;
	char *id;
};
int docker_helper_make(struct docker_helper *h, struct engine_docker *e,
		       const struct docker_component *c, const char *const *volumes,
		       struct err *err) MUST_USE;
/* The same from a spec of kind "helper". */
int docker_helper_create(struct docker_helper *h, json_t *spec, struct err *err) MUST_USE;
void docker_helper_done(struct docker_helper *h);
/* 0 for an absolute path of names, without "." and ".." among them; ERR_CORRUPT. */
int docker_path_check(const char *path, struct err *err) MUST_USE;

/* ---- engine_docker_volume.c ---- */

/* Where our containers mount it, and its data there: new strings; either may be NULL. */
int docker_volume_target(const struct engine_docker *e, const char *name, char **ret_target,
			 char **ret_path, struct err *err) MUST_USE;
/* Where a container of `c` would mount a volume made for `path` (NULL: none in particular). */
int docker_volume_place(const struct docker_component *c, const char *name, const char *path,
			char **ret_target, char **ret_path, struct err *err) MUST_USE;

/* ---- engine_docker_furnish.c ---- */

/* What initdb or a server fills, and only where it is empty. */
bool docker_furnish_is_database(const struct docker_component *c);
/* Mounts the volume for the first time and makes its data folder. `copy_up`: with what the image
 * has there; *ret_again: that is in the way of the data, and the volume must be made again. */
int docker_furnish(struct engine_docker *e, const struct docker_volume *v, bool copy_up,
		   bool *ret_again, struct err *err) MUST_USE;
/* A folder that belongs to the component's user. */
int docker_furnish_folder(struct tree_writer *to, const char *name,
			  const struct docker_component *c, unsigned mode, struct err *err)
    MUST_USE;

/* ---- engine_docker_boot.c ---- */

/* What one start of a server needs. */
struct docker_boot {
	const struct docker_component *component;
	const struct engine_component *kind;
	const struct server_spec *spec;
	const char *name;        /* of its container, for docker_container_create */
	const char *program;     /* path in the image */
	const char *ready;       /* path of pg_isready or redis-cli in the image; NULL: none */
	const char *volume;      /* path of its data; NULL: none */
	const char *work_dir;    /* in the container */
	const char *socket_dir;  /* likewise */
	const char *host_folder; /* mounted at socket_dir; NULL: it is the container's own */
	const char *address;
	unsigned port, major;
	const struct strlist *groups; /* of docker_groups_of */
};
/* A container with all its files, ready to be started. *ret is its id, new. */
int docker_boot_container(struct engine_docker *e, const struct docker_boot *b, char **ret,
			  struct err *err) MUST_USE;
/* Where one of `names` (NULL-terminated) is in the image: in its PATH, in `folder` (may be NULL).
 * *ret NULL: none of them. New. */
int docker_boot_program(struct engine_docker *e, const struct docker_helper *image,
			const char *const *names, const char *folder, char **ret, struct err *err)
    MUST_USE;

/* ---- engine_docker_groups.c ---- */

/* Numbers of the groups in which the image has that user, besides its own. Appends. */
int docker_groups_of(struct engine_docker *e, const struct docker_helper *image, unsigned uid,
		     struct strlist *ret, struct err *err) MUST_USE;
/* The same from the texts of /etc/passwd and /etc/group, which it cuts to pieces. */
int docker_groups_find(char *passwd, char *group, unsigned uid, struct strlist *ret,
		       struct err *err) MUST_USE;

/* ---- engine_docker_network.c ---- */

/* The sandbox's network, made when it is first needed, and we ourselves on it where we are a
 * container. */
int docker_network_make(struct engine_docker *e, struct err *err) MUST_USE;
/* Its name: lifeboat-<run id>. New. */
int docker_network_name(const struct engine_docker *e, char **ret, struct err *err) MUST_USE;
/* The next address of it that nobody has. New. */
int docker_network_address(struct engine_docker *e, char **ret, struct err *err) MUST_USE;

#endif
