/* The Compose project that is meant, among those that Docker has. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/init/init.h"
#include "base/file.h"
#include "stack/docker/docker.h"

#define COMPOSE "com.docker.compose."

const char *init_label(const json_t *listed, const char *name)
{
	char key[64];
	snprintf(key, sizeof key, COMPOSE "%s", name);
	return json_str_or(json_object_get(listed, "Labels"), key, "");
}

static bool is_same_folder(const char *a, const char *b)
{
	struct stat sa, sb;
	return a[0] == '/' && stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

/* The file that Compose would take from the folder; NULL: none. */
static const char *compose_file(const char *folder)
{
	static const char *const names[] = {"compose.yaml", "compose.yml", "docker-compose.yml",
					    "docker-compose.yaml"};
	for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", folder, names[n]);
		if (file_exists(path))
			return names[n];
	}
	return NULL;
}

/* ---- which project ---- */

/* That of the folder, or of the container that this process runs in; NULL: neither. */
static const char *own_project(const struct init *i, const json_t *list)
{
	char host[256] = "";
	const char *mine = NULL;
	size_t n;
	json_t *c;
	if (gethostname(host, sizeof host - 1) < 0)
		host[0] = '\0';
	json_array_foreach(list, n, c)
	{
		if (is_same_folder(init_label(c, "project.working_dir"), i->folder))
			return init_label(c, "project");
		/* Docker calls a container's host by the beginning of its id. */
		if (strlen(host) >= 12 &&
		    strncmp(json_str_or(c, "Id", ""), host, strlen(host)) == 0 &&
		    init_label(c, "project")[0] != '\0')
			mine = init_label(c, "project");
	}
	return mine;
}

/* The projects that have servers, each once. */
static int with_servers(const json_t *list, struct strlist *ret, struct err *err)
{
	size_t n;
	json_t *c;
	json_array_foreach(list, n, c)
	{
		const char *project = init_label(c, "project");
		if ((init_kind_of(json_str_or(c, "Image", "")) != INIT_KINDS ||
		     init_kind_of(init_label(c, "service")) != INIT_KINDS) &&
		    init_is_name(project, true) && !strlist_has(ret, project) &&
		    strlist_push(ret, project, err) < 0)
			return -1;
	}
	return 0;
}

static int no_containers(const struct init *i, const char *file, struct err *err)
{
	err_set(err, ERR_ABSENT, "'%s/%s' is there, but Docker has no containers of it", i->folder,
		file);
	return err_hint(err, "Compose itself tells what is in it: `docker compose create` makes "
			     "the containers, and starts none. Is the project of another folder "
			     "or name: --project NAME.");
}

static int several(struct init *i, const struct strlist *all, struct err *err)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, 4096);
	for (size_t n = 0; n < all->count && n < 20; n++)
		if (buf_printf(&text, err, "%s%s", n > 0 ? ", " : "", all->items[n]) < 0)
			return -1;
	return strlist_pushf(&i->left, err,
			     "Docker has several Compose projects, choose one with --project: %s",
			     buf_text(&text));
}

/* *ret stays NULL where there is nothing to choose, or too much. Borrowed. */
static int choose(struct init *i, const json_t *list, struct strlist *servers, const char **ret,
		  struct err *err)
{
	const char *own = own_project(i, list), *file = compose_file(i->folder);
	if (own != NULL) {
		*ret = own;
		return 0;
	}
	/* Another project is not what is meant here. */
	if (file != NULL)
		return no_containers(i, file, err);
	if (with_servers(list, servers, err) < 0)
		return -1;
	if (servers->count == 1)
		*ret = servers->items[0];
	return servers->count > 1 ? several(i, servers, err) : 0;
}

/* ---- what it has ---- */

static bool is_of(const json_t *listed, const char *project)
{
	return strcmp(init_label(listed, "project"), project) == 0 &&
	       strcasecmp(init_label(listed, "oneoff"), "true") != 0;
}

/* Where its files are, should that be a folder here. */
static int go_to_folder(struct init *i, const char *folder, struct err *err)
{
	char *copy = NULL;
	if (folder[0] != '/' || is_same_folder(folder, i->folder) ||
	    access(folder, R_OK | X_OK) < 0)
		return 0;
	if (str_dup(folder, &copy, err) < 0)
		return -1;
	free(i->folder);
	i->folder = copy;
	return 0;
}

static int add_project(struct init *i, struct docker *d, const json_t *list, struct err *err)
{
	size_t n, containers = 0;
	json_t *c;
	json_array_foreach(list, n, c)
	{
		CLEANUP(json_freep) json_t *inspected = NULL;
		if (!is_of(c, i->project))
			continue;
		if (containers++ == 0 &&
		    go_to_folder(i, init_label(c, "project.working_dir"), err) < 0)
			return -1;
		if (docker_get(d, &inspected, err, "/containers/%s/json",
			       json_str_or(c, "Id", "")) < 0) {
			if (err->code != ERR_ABSENT)
				return -1;
			err_clear(err); /* it went away since it was listed */
			continue;
		}
		if (init_container(i, c, inspected, err) < 0)
			return -1;
	}
	if (containers > 0)
		return strlist_pushf(&i->found, err, "Compose project '%s' of '%s': %zu containers",
				     i->project, i->folder, containers);
	err_set(err, ERR_ABSENT, "there is no Compose project '%s' on this Docker", i->project);
	return err_hint(err, "`docker compose ls -a` lists them.");
}

/* Docker does not answer. */
static int without_docker(struct init *i, const char *project, const struct err *why,
			  struct err *err)
{
	const char *file = compose_file(i->folder);
	if (project == NULL && file == NULL)
		return str_dup(why->msg, &i->no_docker, err);
	*err = *why;
	return project != NULL ? err_wrap(err, "Compose project '%s'", project)
			       : err_wrap(err, "'%s/%s'", i->folder, file);
}

int init_docker(struct init *i, const char *host, const char *project, struct err *err)
{
	struct err why = ERR_INIT;
	CLEANUP(docker_freep) struct docker *d = NULL;
	CLEANUP(json_freep) json_t *filters = json_pack("{s:[s]}", "label", COMPOSE "project");
	CLEANUP(json_freep) json_t *list = NULL;
	CLEANUP(freep) char *query = NULL;
	CLEANUP(strlist_done) struct strlist servers = {0};
	if (project != NULL && !init_is_name(project, true))
		return err_set(err, ERR_USAGE, "'%s' is no name of a Compose project", project);
	if (filters == NULL)
		return err_nomem(err, "a list of containers");
	if (docker_filters(filters, &query, err) < 0)
		return -1;
	if (docker_open(host, &d, &why) < 0 ||
	    docker_get(d, &list, &why, "/containers/json%s&all=true", query) < 0)
		return why.code == ERR_NOMEM ? err_nomem(err, "a list of containers")
					     : without_docker(i, project, &why, err);
	if (project == NULL && choose(i, list, &servers, &project, err) < 0)
		return -1;
	if (project == NULL)
		return 0;
	if (!init_is_name(project, true))
		return err_set(err, ERR_CORRUPT, "a Compose project has an odd name");
	if (str_dup(project, &i->project, err) < 0)
		return -1;
	return add_project(i, d, list, err);
}
