#include "stack/compose/engine_docker_programs.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

enum { VERSION_MS = 20000 };

const char *docker_variable(const json_t *config, const char *name)
{
	size_t i, len = strlen(name);
	json_t *item;
	json_array_foreach(json_object_get(config, "Env"), i, item)
	{
		const char *text = json_string_value(item);
		if (text != NULL && strncmp(text, name, len) == 0 && text[len] == '=')
			return text + len + 1;
	}
	return NULL;
}

int docker_exec_allowed(struct engine_docker *e, const json_t *container, struct err *err)
{
	CLEANUP(json_freep) json_t *body = NULL;
	if (e->exec_allowed)
		return 0;
	/* It is only made, never started: the daemon forgets it after some minutes. */
	body = json_pack("{s:[s], s:b, s:b}", "Cmd", "true", "AttachStdout", 1, "AttachStderr", 1);
	if (body == NULL)
		return err_nomem(err, "a request to Docker");
	if (docker_post(e->d, body, NULL, err, "/containers/%s/exec",
			json_str_or(container, "Id", "")) < 0) {
		if (err->code != ERR_DENIED)
			return -1;
		err_wrap(err, "programs may not be run in '%s'",
			 json_str_or(container, "Name", "/") + 1);
		return err_hint(err, "Allow exec for whoever speaks to Docker here, or set "
				     "[postgres] client to host.");
	}
	e->exec_allowed = true;
	return 0;
}

/* ---- where is it? ---- */

/* Debian's commands for several versions at once choose one by rules of their own. */
static int is_program(struct engine_docker *e, const char *container, const char *path, bool *ret,
		      bool *ret_wrapper, struct err *err)
{
	struct archive_entry *entry = NULL;
	CLEANUP(freep) char *link = NULL;
	struct err why = ERR_INIT;
	*ret = *ret_wrapper = false;
	if (docker_stat(e->d, container, path, &entry, &link, &why) < 0) {
		if (why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return -1;
	}
	*ret = link != NULL || (archive_entry_filetype(entry) == AE_IFREG &&
				(archive_entry_perm(entry) & 0111) != 0);
	*ret_wrapper = link != NULL && strstr(link, "pg_wrapper") != NULL;
	archive_entry_free(entry);
	return 0;
}

/* In one folder; *ret stays NULL when it is not there. A wrapper is only noted. */
static int look_in(struct engine_docker *e, const char *container, const char *folder, size_t len,
		   const char *name, char **ret, char **ret_wrapper, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	bool there, wrapper;
	if (*ret != NULL || len == 0 || folder[0] != '/')
		return 0;
	if (str_printf(&path, err, "%.*s/%s", (int)len, folder, name) < 0 ||
	    is_program(e, container, path, &there, &wrapper, err) < 0)
		return -1;
	if (!there || (wrapper && *ret_wrapper != NULL))
		return 0;
	*(wrapper ? ret_wrapper : ret) = path;
	path = NULL;
	return 0;
}

/* Of Debian's and Red Hat's packages, and of Alpine's. */
static int look_versioned(struct engine_docker *e, const char *container, const struct tool *t,
			  char **ret, char **ret_wrapper, struct err *err)
{
	static const struct {
		const char *before, *after;
	} places[] = {{"/usr/lib/postgresql/", "/bin"},
		      {"/usr/pgsql-", "/bin"},
		      {"/usr/libexec/postgresql", ""}};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		char folder[64];
		snprintf(folder, sizeof folder, "%s%u%s", places[i].before, t->major,
			 places[i].after);
		if (look_in(e, container, folder, strlen(folder), t->name, ret, ret_wrapper, err) <
		    0)
			return -1;
	}
	return 0;
}

static int look_everywhere(struct engine_docker *e, const json_t *container, const char *name,
			   char **ret, char **ret_wrapper, struct err *err)
{
	static const char usual[] =
	    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:"
	    "/opt/bitnami/postgresql/bin:/opt/bitnami/redis/bin:/opt/bitnami/valkey/bin:"
	    "/opt/bitnami/pgbouncer/bin";
	const char *id = json_str_or(container, "Id", "");
	const char *path = docker_variable(json_object_get(container, "Config"), "PATH");
	const char *lists[] = {path != NULL ? path : "", usual};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		for (const char *p = lists[i]; *p != '\0';) {
			size_t len = strcspn(p, ":");
			if (look_in(e, id, p, len, name, ret, ret_wrapper, err) < 0)
				return -1;
			p += len + (p[len] == ':' ? 1 : 0);
		}
	}
	return 0;
}

/* ---- of the right version? ---- */

/* What "postgres (PostgreSQL) 15.20 (Debian …)" says. 0: nothing. */
static unsigned major_in(const char *text)
{
	const char *p = strchr(text, ')');
	while (p != NULL && *p != '\0' && !isdigit((unsigned char)*p))
		p++;
	return p != NULL ? (unsigned)strtoul(p, NULL, 10) : 0;
}

static int ask_version(struct engine_docker *e, const json_t *container, const char *path,
		       unsigned *ret, struct err *err)
{
	struct buf out;
	const char *const argv[] = {path, "--version", NULL};
	struct docker_exec x = {
	    .container = json_str_or(container, "Id", ""), .argv = argv, .idle_ms = VERSION_MS};
	CLEANUP(json_freep) json_t *spec = NULL, *labels = NULL;
	bool runs = json_is_true(json_object_get(json_object_get(container, "State"), "Running"));
	buf_init(&out, 65536);
	int rc = 0;
	if (runs) {
		rc = docker_exec_run(e->d, &x, &out, deadline_in(VERSION_MS), err);
	} else {
		labels = run_labels(e, "helper", NULL, err);
		if (labels != NULL)
			spec = json_pack("{s:s, s:O, s:[s,s], s:{s:s}, s:{s:[s]}}", "Image",
					 json_str_or(container, "Image", ""), "Labels", labels,
					 "Entrypoint", path, "--version", "HostConfig",
					 "NetworkMode", "none", "Healthcheck", "Test", "NONE");
		rc = labels == NULL ? -1
		     : spec == NULL ? err_nomem(err, "a request to Docker")
				    : docker_run(e->d, spec, &out, deadline_in(VERSION_MS), err);
	}
	if (rc == 0)
		*ret = major_in(buf_text(&out));
	buf_done(&out);
	return rc;
}

/* What a message calls the image of a container: helpers are made by its id, which tells nobody
 * anything. */
static const char *image_name(const struct engine_docker *e, const json_t *container,
			      const struct tool *t)
{
	const char *name = NULL;
	for (size_t i = 0; t->sandbox && i < e->service_count; i++)
		if (strcmp(e->services[i].component, t->component) == 0)
			name = e->services[i].image;
	for (size_t i = 0; name == NULL && t->sandbox && i < e->component_count; i++)
		if (strcmp(e->components[i].name, t->component) == 0)
			name = json_str_or(e->components[i].runtime, "image", NULL);
	return name != NULL ? name : json_str_or(json_object_get(container, "Config"), "Image", "");
}

/* Backups go into the major version that they were taken of, and into no other: an older server
 * does not know what a newer one's dump says, and settings, data folder and proof of a newer one
 * are not those of the backup. */
static int wrong_version(const char *image, const struct tool *t, unsigned major, struct err *err)
{
	if (!t->sandbox)
		return err_set(err, ERR_ABSENT,
			       "image '%s' has %s of PostgreSQL %u, and %u is needed", image,
			       t->name, major, t->major);
	bool older = major < t->major;
	err_set(err, ERR_ABSENT, "image '%s' has PostgreSQL %u, %s than the backup's %u; %s", image,
		major, older ? "older" : "newer", t->major,
		older ? "nothing is restored from newer to older"
		      : "a restore does not change the major version");
	return err_hint(err, "Restore with an image of PostgreSQL %u (--image %s=IMAGE)%s.",
			t->major, t->component, older ? "" : ", and upgrade what was restored");
}

/* PostgreSQL's tools and data must be of the very version. The official images say theirs. */
static int check_version(struct engine_docker *e, const json_t *container, const struct tool *t,
			 const char *path, struct err *err)
{
	const char *says = docker_variable(json_object_get(container, "Config"), "PG_MAJOR");
	unsigned major = says != NULL ? (unsigned)strtoul(says, NULL, 10) : 0;
	if (strcmp(t->component, "postgres") != 0 || t->major == 0 || major == t->major)
		return 0;
	if (ask_version(e, container, path, &major, err) < 0)
		return err_wrap(err, "version of '%s'", path);
	if (major == t->major)
		return 0;
	return wrong_version(image_name(e, container, t), t, major, err);
}

/* ---- what is known ---- */

/* "WHERE\nMAJOR\nNAME\n", before the path. */
static int key_of(const char *where, const struct tool *t, char **ret, struct err *err)
{
	return str_printf(ret, err, "%s\n%u\n%s\n", where, t->major, t->name);
}

int docker_program_known(struct engine_docker *e, const char *image, const struct tool *t,
			 char **ret, struct err *err)
{
	CLEANUP(freep) char *key = NULL;
	if (key_of(image, t, &key, err) < 0)
		return -1;
	for (size_t i = 0; i < e->found.count; i++)
		if (strncmp(e->found.items[i], key, strlen(key)) == 0)
			return str_dup(e->found.items[i] + strlen(key), ret, err) < 0 ? -1 : 1;
	return 0;
}

/* Valkey's programs do what Redis's of the same name do. */
static const char *valkey_name(const char *name)
{
	if (strcmp(name, "redis-server") == 0)
		return "valkey-server";
	return strcmp(name, "redis-cli") == 0 ? "valkey-cli" : NULL;
}

int docker_program_find(struct engine_docker *e, const json_t *container, const struct tool *t,
			char **ret, struct err *err)
{
	CLEANUP(freep) char *key = NULL, *path = NULL, *wrapper = NULL;
	const char *id = json_str_or(container, "Id", "");
	const char *image = json_str_or(container, "Image", "");
	bool pg = strcmp(t->component, "postgres") == 0;
	/* A container may have got programs that its image lacks: one that runs is known by itself.
	 */
	const char *where = t->sandbox ? image : id;
	int known = docker_program_known(e, where, t, ret, err);
	if (known != 0)
		return known < 0 ? -1 : 0;
	if (pg && t->major != 0 && look_versioned(e, id, t, &path, &wrapper, err) < 0)
		return -1;
	bool versioned = path != NULL;
	const char *names[] = {t->name, valkey_name(t->name)};
	for (size_t i = 0; i < 2 && names[i] != NULL; i++)
		if (look_everywhere(e, container, names[i], &path, &wrapper, err) < 0)
			return -1;
	const char *found = path != NULL ? path : wrapper;
	if (found == NULL)
		return err_set(err, ERR_ABSENT, "%s is not in image '%s' of '%s'", t->name,
			       image_name(e, container, t), t->component);
	if ((!versioned && check_version(e, container, t, found, err) < 0) ||
	    key_of(where, t, &key, err) < 0 ||
	    strlist_pushf(&e->found, err, "%s%s", key, found) < 0)
		return -1;
	return str_dup(found, ret, err);
}
