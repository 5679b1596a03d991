/*
 * A user given by number is in no further group, while production's, called by name, is in all that
 * the image's /etc/group lists it in: Debian's postgres reads its TLS key as a member of ssl-cert.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "stack/compose/engine_docker_box.h"

enum { FILE_BYTES_MAX = 1 << 20, FIELDS = 4, GROUPS_MAX = 64 };

/* Appends nothing where there is no such file, as in an image without users. */
static int read_text(struct engine_docker *e, const char *container, const char *path,
		     struct buf *out, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	struct err why = ERR_INIT;
	if (docker_tree_file(e->d, container, path, &from, NULL, &why) < 0) {
		if (why.code == ERR_ABSENT || why.code == ERR_FAILED)
			return 0;
		*err = why;
		return -1;
	}
	if (sink_buf(out, &to, err) < 0 || flow_copy(from, to, NULL, err) < 0)
		return err_wrap(err, "'%s'", path);
	return 0;
}

/* Cuts the next line that has all fields at its colons. False: there is none. */
static bool next_line(char **at, char *fields[FIELDS])
{
	for (char *line; (line = strsep(at, "\n")) != NULL;) {
		int i = 0;
		while (i < FIELDS && (fields[i] = strsep(&line, ":")) != NULL)
			i++;
		if (i == FIELDS)
			return true;
	}
	return false;
}

static bool is_number(const char *text, unsigned number)
{
	char *end;
	return isdigit((unsigned char)text[0]) && strtoul(text, &end, 10) == number && *end == '\0';
}

/* The name of a user in the text of /etc/passwd, or NULL. */
static const char *name_of(char *passwd, unsigned uid)
{
	char *fields[FIELDS], *at = passwd;
	while (next_line(&at, fields))
		if (is_number(fields[2], uid) && fields[0][0] != '\0')
			return fields[0];
	return NULL;
}

static bool is_member(char *members, const char *name)
{
	for (char *member; (member = strsep(&members, ",")) != NULL;)
		if (strcmp(member, name) == 0)
			return true;
	return false;
}

int docker_groups_find(char *passwd, char *group, unsigned uid, struct strlist *ret,
		       struct err *err)
{
	char *fields[FIELDS], *at = group;
	const char *name = name_of(passwd, uid);
	while (name != NULL && next_line(&at, fields)) {
		char *end;
		unsigned long gid = strtoul(fields[2], &end, 10);
		if (!isdigit((unsigned char)fields[2][0]) || *end != '\0' || gid > UINT32_MAX ||
		    ret->count == GROUPS_MAX || !is_member(fields[3], name))
			continue;
		if (strlist_pushf(ret, err, "%lu", gid) < 0)
			return -1;
	}
	return 0;
}

int docker_groups_of(struct engine_docker *e, const struct docker_helper *image, unsigned uid,
		     struct strlist *ret, struct err *err)
{
	struct buf passwd, group;
	CLEANUP(freep) char *users = NULL, *groups = NULL;
	buf_init(&passwd, FILE_BYTES_MAX);
	buf_init(&group, FILE_BYTES_MAX);
	int rc = read_text(e, image->id, "/etc/passwd", &passwd, err);
	if (rc == 0)
		rc = read_text(e, image->id, "/etc/group", &group, err);
	if (rc == 0)
		rc = str_dup(buf_text(&passwd), &users, err);
	if (rc == 0)
		rc = str_dup(buf_text(&group), &groups, err);
	buf_done(&passwd);
	buf_done(&group);
	return rc < 0 ? -1 : docker_groups_find(users, groups, uid, ret, err);
}
