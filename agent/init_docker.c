/* Services of a Compose project, from the containers that Docker has. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "agent/init.h"
#include "base/json.h"
#include "stack/docker.h"

#define COMPOSE "com.docker.compose."

static const char *label(const json_t *container, const char *name)
{
	return json_str_or(json_object_get(container, "Labels"), name, "");
}

/* Of the folder, else the only one. NULL: none, or several. */
static const char *choose(const struct init *i, const json_t *list)
{
	const char *only = NULL;
	bool several = false;
	size_t n;
	json_t *c;
	json_array_foreach(list, n, c)
	{
		const char *project = label(c, COMPOSE "project");
		if (strcmp(label(c, COMPOSE "project.working_dir"), i->folder) == 0)
			return project;
		several = several || (only != NULL && strcmp(only, project) != 0);
		only = project;
	}
	/* What compose.yaml says stands for itself: another project is not ours. */
	return several || i->project != NULL ? i->project : only;
}

static int add_volumes(struct init *i, const json_t *container, struct err *err)
{
	size_t n;
	json_t *m;
	json_array_foreach(json_object_get(container, "Mounts"), n, m)
	{
		const char *name = json_str_or(m, "Name", "");
		size_t len = strlen(i->project);
		if (strcmp(json_str_or(m, "Type", ""), "volume") != 0)
			continue;
		if (strncmp(name, i->project, len) != 0 || name[len] != '_')
			continue; /* without a name, or of another project */
		if (!strlist_has(&i->volumes, name + len + 1) &&
		    strlist_push(&i->volumes, name + len + 1, err) < 0)
			return -1;
	}
	return 0;
}

static bool has_volume(const json_t *container)
{
	size_t n;
	json_t *m;
	json_array_foreach(json_object_get(container, "Mounts"), n, m)
	{
		if (strcmp(json_str_or(m, "Type", ""), "volume") == 0)
			return true;
	}
	return false;
}

static int add_project(struct init *i, const json_t *list, struct err *err)
{
	size_t n, services = 0;
	json_t *c;
	json_array_foreach(list, n, c)
	{
		const char *service = label(c, COMPOSE "service");
		const char *image = json_str_or(c, "Image", "");
		if (strcmp(label(c, COMPOSE "project"), i->project) != 0 ||
		    strcasecmp(label(c, COMPOSE "oneoff"), "true") == 0)
			continue;
		services++;
		/* An image whose tag went on to a newer one is told by its hash. */
		if (init_kind_of(image) == INIT_KINDS && strncmp(image, "sha256:", 7) == 0)
			image = service;
		if (init_kind_of(image) != INIT_KINDS
			? init_service(i, service, image, has_volume(c), err) < 0
			: add_volumes(i, c, err) < 0)
			return -1;
	}
	return services == 0 ? 0
			     : strlist_pushf(&i->found, err,
					     "Docker has %zu containers of Compose project '%s'",
					     services, i->project);
}

static int known(const json_t *list, const char *project, struct err *err)
{
	size_t n;
	json_t *c;
	json_array_foreach(list, n, c)
	{
		if (strcmp(label(c, COMPOSE "project"), project) == 0)
			return 0;
	}
	err_set(err, ERR_ABSENT, "there is no Compose project '%s' on this Docker", project);
	return err_hint(err, "`docker compose ls` lists them.");
}

int init_docker(struct init *i, const char *host, const char *project, struct err *err)
{
	struct err why = ERR_INIT;
	CLEANUP(docker_freep) struct docker *d = NULL;
	CLEANUP(json_freep) json_t *filters = json_pack("{s:[s]}", "label", COMPOSE "project");
	CLEANUP(json_freep) json_t *list = NULL;
	CLEANUP(freep) char *query = NULL;
	if (filters == NULL)
		return err_nomem(err, "a list of containers");
	if (docker_filters(filters, &query, err) < 0)
		return -1;
	if (docker_open(host, &d, &why) < 0 ||
	    docker_get(d, &list, &why, "/containers/json%s&all=true", query) < 0) {
		if (project == NULL)
			return 0;
		*err = why;
		return err_wrap(err, "Compose project '%s'", project);
	}
	if (project != NULL && known(list, project, err) < 0)
		return -1;
	if (project == NULL)
		project = choose(i, list);
	if (project == NULL)
		return json_array_size(list) == 0
			   ? 0
			   : strlist_push(&i->left,
					  "Docker has several Compose projects: choose "
					  "one with --project",
					  err);
	CLEANUP(freep) char *name = NULL;
	if (str_dup(project, &name, err) < 0)
		return -1;
	free(i->project);
	i->project = name;
	name = NULL;
	return add_project(i, list, err);
}
