#include "restore/place_postgres.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const json_t *server_of(const json_t *section)
{
	return json_object_get(section, "server");
}

/* Is it among the files of the backup, or a folder of some of them? */
static bool is_taken(const json_t *section, const char *path)
{
	size_t i, len = strlen(path);
	json_t *file;
	json_array_foreach(json_object_get(section, "config_files"), i, file)
	{
		const char *there = json_str_or(file, "path", "");
		if (json_object_get(file, "member") != NULL && strncmp(there, path, len) == 0 &&
		    (there[len] == '\0' || there[len] == '/'))
			return true;
	}
	return false;
}

int place_postgres_path(struct sandbox *sb, const json_t *section, const char *from,
			const char *path, char **ret, struct err *err)
{
	const char *data = json_str_or(server_of(section), "data_directory", "");
	const char *slash = strrchr(from, '/');
	int folder = path[0] == '/' || slash == NULL ? 0 : (int)(slash + 1 - from);
	size_t len = strlen(data);
	CLEANUP(freep) char *whole = NULL, *volume = NULL, *at = NULL;
	*ret = NULL;
	if (str_printf(&whole, err, "%.*s%s", folder, from, path) < 0)
		return -1;
	if (!is_taken(section, whole))
		return 0;
	bool inside = len > 0 && strncmp(whole, data, len) == 0 && whole[len] == '/';
	/* There the volume is where production's is. */
	if (inside && engine_keeps_names(sb->job->engine)) {
		*ret = whole;
		whole = NULL;
		return 0;
	}
	if (!inside && sb->postgres_outside == NULL)
		return 0;
	if (inside && sandbox_volume_name(sb, json_str_or(section, "volume", "postgres_data"),
					  &volume, err) < 0)
		return -1;
	if (server_volume_path(sb->postgres, inside ? volume : sb->postgres_outside, &at, err) < 0)
		return -1;
	return str_printf(ret, err, "%s%s", at, inside ? whole + len : whole);
}

/* ---- pg_hba.conf ---- */

struct hba {
	struct sandbox *sb;
	const json_t *section;
	const char *path; /* production's */
	struct buf *out;
};

/* Words as hba.c takes them: blanks and commas separate, quotes may stand anywhere in one. */
static size_t word_length(const char *p)
{
	size_t n = 0;
	for (bool quoted = false; p[n] != '\0' && p[n] != '\n'; n++) {
		if (p[n] == '"')
			quoted = !quoted;
		else if (!quoted && strchr(" \t\r,#", p[n]) != NULL)
			break;
	}
	return n;
}

/* The name of a file, with or without quotes, led to the sandbox; `before`: what stands before it.
 */
static int put_file(struct hba *h, const char *before, const char *word, size_t len,
		    struct err *err)
{
	CLEANUP(freep) char *name = NULL, *there = NULL;
	if (str_dupn(word, len, &name, err) < 0)
		return -1;
	char *to = name;
	for (const char *from = name; *from != '\0'; from++)
		if (*from != '"')
			*to++ = *from;
	*to = '\0';
	if (place_postgres_path(h->sb, h->section, h->path, name, &there, err) < 0)
		return -1;
	return there != NULL ? buf_printf(h->out, err, "%s\"%s\"", before, there)
			     : buf_printf(h->out, err, "%s%.*s", before, (int)len, word);
}

/* Since 16. */
static bool is_include(const struct hba *h, const char *word, size_t len)
{
	static const char *const names[] = {"include", "include_dir", "include_if_exists"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (len == strlen(names[i]) && strncasecmp(word, names[i], len) == 0)
			return json_u64_or(server_of(h->section), "major", 0) >= 16;
	return false;
}

int place_postgres_hba(struct sandbox *sb, const json_t *section, const char *path,
		       const char *text, struct buf *out, struct err *err)
{
	struct hba h = {.sb = sb, .section = section, .path = path, .out = out};
	bool first = true, included = false; /* of a line; the word is the path of an include */
	for (const char *p = text; *p != '\0';) {
		size_t len = *p == '#' ? strcspn(p, "\n") : word_length(p);
		int rc;
		if (len == 0 || *p == '#') {
			first = first || *p == '\n';
			included = included && *p != '\n';
			len += len == 0;
			rc = buf_append(out, p, len, err);
		} else {
			rc = included               ? put_file(&h, "", p, len, err)
			     : *p == '@' && len > 1 ? put_file(&h, "@", p + 1, len - 1, err)
						    : buf_append(out, p, len, err);
			included = first && is_include(&h, p, len);
			first = false;
		}
		if (rc < 0)
			return -1;
		p += len;
	}
	return 0;
}

/* ---- TLS ---- */

int place_postgres_tls(struct sandbox *sb, const json_t *section, struct strlist *settings,
		       struct err *err)
{
	static const char *const names[] = {"ssl_cert_file", "ssl_key_file", "ssl_ca_file",
					    "ssl_crl_file", "ssl_dh_params_file"};
	size_t i;
	json_t *setting;
	json_array_foreach(json_object_get(server_of(section), "settings"), i, setting)
	{
		const char *value = json_str_or(setting, "value", "");
		for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
			CLEANUP(freep) char *there = NULL;
			/* One that is relative is in the data folder. */
			if (value[0] != '/' ||
			    strcmp(json_str_or(setting, "name", ""), names[k]) != 0)
				continue;
			if (place_postgres_path(sb, section, "", value, &there, err) < 0 ||
			    (there != NULL ? strlist_pushf(settings, err, "%s=%s", names[k], there)
					   : strlist_push(settings, "ssl=off", err)) < 0)
				return -1;
		}
	}
	return 0;
}
