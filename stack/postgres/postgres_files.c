/*
 * Configuration files of a server, read by the server itself: what its settings name, what those
 * files include, and the TLS files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "stack/postgres/postgres_impl.h"

enum { FILE_MAX_BYTES = 16 << 20, INCLUDE_DEPTH = 10 };

struct listing {
	struct pg *pg;
	const char *data_directory;
	bool ssl;
	struct strlist seen;
	json_t *files;
};

enum syntax { SYNTAX_CONF, SYNTAX_HBA };

/* ---- paths ---- */

/* "/a/./b/../c" as "/a/c": no file system is asked, it is the server's. */
static int clean_path(const char *path, char **ret, struct err *err)
{
	struct buf b;
	buf_init(&b, 65536);
	int rc = 0;
	while (rc == 0 && *path != '\0') {
		path += strspn(path, "/");
		size_t len = strcspn(path, "/");
		if (len == 2 && memcmp(path, "..", 2) == 0) {
			while (b.len > 0 && b.data[--b.len] != '/')
				continue;
			b.data[b.len] = 0;
		} else if (len > 0 && !(len == 1 && *path == '.')) {
			rc = buf_printf(&b, err, "/%.*s", (int)len, path);
		}
		path += len;
	}
	if (rc < 0 || buf_take(&b, ret, err) < 0) {
		buf_done(&b);
		return -1;
	}
	return 0;
}

/* `name` as seen from the file or folder `from`. */
static int resolve(const char *from, bool is_folder, const char *name, char **ret, struct err *err)
{
	CLEANUP(freep) char *joined = NULL;
	const char *slash = strrchr(from, '/');
	int folder = is_folder || slash == NULL ? (int)strlen(from) : (int)(slash - from);
	if (str_printf(&joined, err, "%.*s/%s", name[0] == '/' ? 0 : folder, from, name) < 0)
		return -1;
	return clean_path(joined, ret, err);
}

static int add_file(struct listing *l, const char *path, const char *role, struct err *err)
{
	size_t len = strlen(l->data_directory);
	bool inside = strncmp(path, l->data_directory, len) == 0 && path[len] == '/';
	json_t *file = json_object();
	if (file == NULL || json_put(file, "path", json_text_value(path), err) < 0 ||
	    json_put(file, "role", json_string(role), err) < 0 ||
	    json_put(file, "inside", inside ? json_text_value(path + len + 1) : json_null(), err) <
		0) {
		json_decref(file);
		return file == NULL ? err_nomem(err, "JSON") : -1;
	}
	if (json_push(l->files, file, err) < 0)
		return -1;
	return strlist_push(&l->seen, path, err);
}

/* ---- includes ---- */

/* A word of a configuration line: quoted by `quote` (doubled inside, or behind a backslash) or
 * bare; *p is moved behind it. An empty string at the end of the line. */
static int next_word(const char **p, char quote, const char *separators, char **ret, bool *ret_bare,
		     struct err *err)
{
	*p += strspn(*p, separators);
	struct buf b;
	buf_init(&b, 65536);
	int rc = 0;
	bool quoted = **p == quote;
	*ret_bare = !quoted;
	if (quoted)
		(*p)++;
	for (; rc == 0 && **p != '\0' && **p != '\n'; (*p)++) {
		if (quoted && **p == quote) {
			(*p)++;
			if (**p != quote)
				break;
		} else if (quoted && quote == '\'' && **p == '\\' && (*p)[1] != '\0') {
			(*p)++;
		} else if (!quoted && (**p == '#' || strchr(separators, **p) != NULL)) {
			break;
		}
		rc = buf_append(&b, *p, 1, err);
	}
	if (rc < 0 || buf_take(&b, ret, err) < 0) {
		buf_done(&b);
		return -1;
	}
	return 0;
}

static int walk_file(struct listing *l, const char *path, const char *role, enum syntax syntax,
		     int depth, struct err *err);

static int walk_folder(struct listing *l, const char *path, enum syntax syntax, int depth,
		       struct err *err)
{
	CLEANUP(pg_clearp) PGresult *r = NULL;
	const char *values[] = {path};
	if (pg_query_params(l->pg,
			    "SELECT f FROM pg_catalog.pg_ls_dir($1) f WHERE f LIKE '%.conf' "
			    "AND f NOT LIKE '.%' ORDER BY f COLLATE \"C\"",
			    1, values, false, DEADLINE_NEVER, &r, err) < 0)
		return err->code == ERR_ABSENT ? 0 : -1;
	for (int i = 0; i < PQntuples(r); i++) {
		CLEANUP(freep) char *file = NULL;
		if (resolve(path, true, pg_field(r, i, 0), &file, err) < 0 ||
		    walk_file(l, file, "include", syntax, depth + 1, err) < 0)
			return -1;
	}
	return 0;
}

static int walk_include(struct listing *l, const char *from, const char *keyword, const char *name,
			enum syntax syntax, int depth, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	if (name[0] == '\0')
		return 0;
	if (resolve(from, false, name, &path, err) < 0)
		return -1;
	if (strcasecmp(keyword, "include_dir") == 0)
		return walk_folder(l, path, syntax, depth, err);
	return walk_file(l, path, "include", syntax, depth + 1, err);
}

static bool is_include(const char *keyword)
{
	return strcasecmp(keyword, "include") == 0 || strcasecmp(keyword, "include_dir") == 0 ||
	       strcasecmp(keyword, "include_if_exists") == 0;
}

/* postgresql.conf: include 'file', include = 'file'. */
static int walk_conf_line(struct listing *l, const char *from, const char *line, int depth,
			  struct err *err)
{
	CLEANUP(freep) char *keyword = NULL, *name = NULL;
	bool bare;
	if (next_word(&line, '\'', " \t\r=", &keyword, &bare, err) < 0)
		return -1;
	if (!bare || !is_include(keyword))
		return 0;
	if (next_word(&line, '\'', " \t\r=", &name, &bare, err) < 0)
		return -1;
	return walk_include(l, from, keyword, name, SYNTAX_CONF, depth, err);
}

/* pg_hba.conf and pg_ident.conf: include "file" (since 16), and @file among names. */
static int walk_hba_line(struct listing *l, const char *from, const char *line, int depth,
			 struct err *err)
{
	CLEANUP(freep) char *include = NULL;
	for (bool first = true;; first = false) {
		CLEANUP(freep) char *word = NULL;
		bool bare;
		/* @"a name" is one word as well. */
		line += strspn(line, " \t\r,");
		bool list = *line == '@';
		line += list;
		if (next_word(&line, '"', " \t\r,", &word, &bare, err) < 0)
			return -1;
		if (word[0] == '\0')
			return 0;
		if (include != NULL)
			return walk_include(l, from, include, word, SYNTAX_HBA, depth, err);
		if (list && walk_include(l, from, "@", word, SYNTAX_HBA, depth, err) < 0)
			return -1;
		if (first && bare && !list && is_include(word) &&
		    pg_server_version(l->pg) >= 160000) {
			include = word;
			word = NULL;
		}
	}
}

static int walk_lines(struct listing *l, const char *path, const char *text, enum syntax syntax,
		      int depth, struct err *err)
{
	for (const char *line = text; *line != '\0';) {
		int rc = syntax == SYNTAX_CONF ? walk_conf_line(l, path, line, depth, err)
					       : walk_hba_line(l, path, line, depth, err);
		if (rc < 0)
			return -1;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return 0;
}

/* The server does without. */
static bool is_optional(const char *role)
{
	return strcmp(role, "auto") == 0 || strcmp(role, "include") == 0;
}

/* Lists a file and what it includes. One that can't be read is listed alone, so that whoever reads
 * it says why; an absent one that the server does without is not. */
static int walk_file(struct listing *l, const char *path, const char *role, enum syntax syntax,
		     int depth, struct err *err)
{
	if (strlist_has(&l->seen, path) || depth > INCLUDE_DEPTH)
		return 0;
	struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	int rc = pg_read_file(l->pg, path, &text, err);
	bool unreadable = rc < 0 && (err->code == ERR_ABSENT || err->code == ERR_DENIED);
	if (unreadable) {
		bool left_out = err->code == ERR_ABSENT && is_optional(role);
		err_clear(err);
		rc = left_out ? 0 : add_file(l, path, role, err);
	} else if (rc == 0) {
		rc = add_file(l, path, role, err);
		if (rc == 0)
			rc = walk_lines(l, path, buf_text(&text), syntax, depth, err);
	}
	buf_done(&text);
	return rc;
}

/* ---- TLS ---- */

static int add_tls(struct listing *l, const char *setting, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	if (setting[0] == '\0')
		return 0;
	if (resolve(l->data_directory, true, setting, &path, err) < 0)
		return -1;
	if (strlist_has(&l->seen, path))
		return 0;
	struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	int rc = pg_read_file(l->pg, path, &text, err);
	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	buf_done(&text);
	/* The settings have defaults that name no file. */
	bool wanted = rc == 0 || (err->code == ERR_DENIED && l->ssl);
	if (rc < 0 && err->code != ERR_ABSENT && err->code != ERR_DENIED)
		return -1;
	err_clear(err);
	return wanted ? add_file(l, path, "tls", err) : 0;
}

/* ---- putting it together ---- */

static int list_files(struct listing *l, const PGresult *settings, struct err *err)
{
	CLEANUP(freep) char *automatic = NULL;
	enum { CONFIG = 2, HBA, IDENT, TLS_FIRST };
	if (resolve(l->data_directory, true, "postgresql.auto.conf", &automatic, err) < 0 ||
	    walk_file(l, pg_field(settings, 0, CONFIG), "config", SYNTAX_CONF, 0, err) < 0 ||
	    walk_file(l, automatic, "auto", SYNTAX_CONF, 0, err) < 0 ||
	    walk_file(l, pg_field(settings, 0, HBA), "hba", SYNTAX_HBA, 0, err) < 0 ||
	    walk_file(l, pg_field(settings, 0, IDENT), "ident", SYNTAX_HBA, 0, err) < 0)
		return -1;
	for (int i = TLS_FIRST; i < PQnfields(settings); i++)
		if (add_tls(l, pg_field(settings, 0, i), err) < 0)
			return -1;
	return 0;
}

int pg_list_config_files(struct pg *p, json_t **ret, struct err *err)
{
	static const char sql[] =
	    "SELECT current_setting('data_directory'), current_setting('ssl'), "
	    "current_setting('config_file'), current_setting('hba_file'), "
	    "current_setting('ident_file'), current_setting('ssl_cert_file'), "
	    "current_setting('ssl_key_file'), current_setting('ssl_ca_file'), "
	    "current_setting('ssl_crl_file'), current_setting('ssl_dh_params_file')";
	CLEANUP(pg_clearp) PGresult *r = NULL;
	CLEANUP(freep) char *data_directory = NULL;
	struct listing l = {.pg = p, .files = json_array()};
	int rc = l.files == NULL ? err_nomem(err, "JSON") : 0;
	if (rc == 0)
		rc = pg_query(p, sql, DEADLINE_NEVER, &r, err);
	if (rc == 0)
		rc = clean_path(pg_field(r, 0, 0), &data_directory, err);
	if (rc == 0) {
		l.data_directory = data_directory;
		l.ssl = strcmp(pg_field(r, 0, 1), "on") == 0;
		rc = list_files(&l, r, err);
	}
	strlist_done(&l.seen);
	if (rc < 0) {
		json_decref(l.files);
		return err_wrap(err, "list of configuration files");
	}
	*ret = l.files;
	return 0;
}

int pg_read_file(struct pg *p, const char *path, struct buf *out, struct err *err)
{
	CLEANUP(pg_clearp) PGresult *r = NULL;
	const char *values[] = {path};
	/* One byte more than allowed, to see that there is more. */
	if (pg_query_params(p, "SELECT pg_catalog.pg_read_binary_file($1, 0, 16777217, true)", 1,
			    values, true, DEADLINE_NEVER, &r, err) < 0)
		return err_wrap(err, "file '%s' of the server", path);
	if (PQgetisnull(r, 0, 0))
		return err_set(err, ERR_ABSENT, "file '%s' of the server does not exist", path);
	size_t len = (size_t)PQgetlength(r, 0, 0);
	if (len > FILE_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "file '%s' of the server is larger than 16 MiB",
			       path);
	return buf_append(out, PQgetvalue(r, 0, 0), len, err);
}
