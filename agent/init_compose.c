/* Services of a compose.yaml. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/init.h"
#include "base/file.h"

enum { COMPOSE_BYTES = 1 << 20 };

/* The service whose lines are being read. */
struct reading {
	struct init *i;
	char section[32]; /* top-level key */
	size_t indent;    /* of the names of services; 0: not seen yet */
	char service[128], image[256];
	struct strlist volumes;
};

static bool is_volume_name(const char *text, size_t len)
{
	if (len == 0 || !isalnum((unsigned char)text[0]))
		return false;
	for (size_t n = 0; n < len; n++)
		if (!isalnum((unsigned char)text[n]) && strchr("_.-", text[n]) == NULL)
			return false;
	return true;
}

static int end_service(struct reading *r, struct err *err)
{
	int rc = 0;
	if (r->service[0] != '\0' && init_kind_of(r->image) != INIT_KINDS)
		rc = init_service(r->i, r->service, r->image, r->volumes.count > 0, err);
	else
		for (size_t n = 0; rc == 0 && n < r->volumes.count; n++)
			if (!strlist_has(&r->i->volumes, r->volumes.items[n]))
				rc = strlist_push(&r->i->volumes, r->volumes.items[n], err);
	strlist_done(&r->volumes);
	r->service[0] = r->image[0] = '\0';
	return rc;
}

/* Copies without quotes what stands behind `key:`; false where the line is another key's. */
static bool value_of(const char *line, const char *key, char *ret, size_t bytes)
{
	size_t len = strlen(key);
	if (strncmp(line, key, len) != 0 || line[len] != ':')
		return false;
	line += len + 1 + strspn(line + len + 1, " ");
	char quote = *line == '"' || *line == '\'' ? *line++ : '\0';
	len = quote != '\0' ? strcspn(line, (char[]){quote, '\0'}) : strlen(line);
	snprintf(ret, bytes, "%.*s", (int)len, line);
	return true;
}

static int read_in_service(struct reading *r, const char *line, struct err *err)
{
	if (value_of(line, "image", r->image, sizeof r->image))
		return 0;
	if (strncmp(line, "- ", 2) != 0)
		return 0;
	line += 1 + strspn(line + 1, " \"'");
	size_t len = strcspn(line, ":");
	/* "name:/folder": neither a folder of the host nor a port. */
	if (line[len] == ':' && line[len + 1] == '/' && is_volume_name(line, len))
		return strlist_pushf(&r->volumes, err, "%.*s", (int)len, line);
	return 0;
}

static int read_line(struct reading *r, char *line, struct err *err)
{
	size_t indent = strspn(line, " ");
	char *comment = strstr(line, " #");
	if (comment != NULL)
		*comment = '\0';
	for (size_t len = strlen(line); len > 0 && isspace((unsigned char)line[len - 1]);)
		line[--len] = '\0';
	line += indent < strlen(line) ? indent : strlen(line);
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	if (indent == 0) {
		char name[128] = "";
		if (end_service(r, err) < 0)
			return -1;
		snprintf(r->section, sizeof r->section, "%.*s", (int)strcspn(line, ":"), line);
		if (value_of(line, "name", name, sizeof name) && strchr(name, '$') == NULL) {
			free(r->i->project);
			r->i->project = NULL;
			return str_dup(name, &r->i->project, err);
		}
		return 0;
	}
	if (strcmp(r->section, "services") != 0)
		return 0;
	if (r->indent == 0)
		r->indent = indent;
	if (indent > r->indent)
		return read_in_service(r, line, err);
	if (end_service(r, err) < 0)
		return -1;
	snprintf(r->service, sizeof r->service, "%.*s", (int)strcspn(line, ":"), line);
	return 0;
}

int init_compose_text(struct init *i, const char *text, struct err *err)
{
	struct reading r = {.i = i};
	CLEANUP(freep) char *copy = NULL;
	if (str_dup(text, &copy, err) < 0)
		return -1;
	for (char *line = copy, *end; line != NULL; line = end) {
		end = strchr(line, '\n');
		if (end != NULL)
			*end++ = '\0';
		if (read_line(&r, line, err) < 0) {
			strlist_done(&r.volumes);
			return -1;
		}
	}
	return end_service(&r, err);
}

/* As Compose calls a project that has no name: its folder in lower case, without odd characters. */
static int project_of_folder(struct init *i, struct err *err)
{
	const char *from = strrchr(i->folder, '/');
	char name[128];
	size_t len = 0;
	if (i->project != NULL)
		return 0;
	for (from = from != NULL ? from + 1 : i->folder; *from != '\0' && len + 1 < sizeof name;
	     from++)
		if (isalnum((unsigned char)*from) || *from == '_' || *from == '-')
			name[len++] = (char)tolower((unsigned char)*from);
	name[len] = '\0';
	return str_dup(len > 0 ? name : "stack", &i->project, err);
}

int init_compose(struct init *i, struct err *err)
{
	static const char *const names[] = {"compose.yaml", "compose.yml", "docker-compose.yml",
					    "docker-compose.yaml"};
	for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
		CLEANUP(freep) char *path = NULL;
		CLEANUP(buf_done) struct buf text;
		buf_init(&text, COMPOSE_BYTES);
		if (str_printf(&path, err, "%s/%s", i->folder, names[n]) < 0)
			return -1;
		if (!file_exists(path))
			continue;
		if (file_read_all(path, &text, err) < 0 ||
		    strlist_pushf(&i->found, err, "a Compose project: '%s'", path) < 0 ||
		    init_compose_text(i, buf_text(&text), err) < 0)
			return -1;
		return project_of_folder(i, err);
	}
	return 0;
}
