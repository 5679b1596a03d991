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

/* Where the sandbox's server finds what production has at `path`, as seen from the file `from`.
 * *ret NULL: it is not in the backup. A new string. */
static int find_place(struct sandbox *sb, const json_t *section, const char *from, const char *path,
		      char **ret, struct err *err)
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

/* Between quotes: in both kinds of files two of them stand for one. */
static int put_quoted(struct buf *out, char quote, const char *text, struct err *err)
{
	for (; *text != '\0'; text++)
		if (buf_printf(out, err, "%.*s%c", *text == quote, text, *text) < 0)
			return -1;
	return 0;
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
	if (find_place(h->sb, h->section, h->path, name, &there, err) < 0)
		return -1;
	if (there == NULL)
		return buf_printf(h->out, err, "%s%.*s", before, (int)len, word);
	if (buf_printf(h->out, err, "%s\"", before) < 0 || put_quoted(h->out, '"', there, err) < 0)
		return -1;
	return buf_puts(h->out, "\"", err);
}

static bool is_include(const char *word, size_t len)
{
	static const char *const names[] = {"include", "include_dir", "include_if_exists"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (len == strlen(names[i]) && strncasecmp(word, names[i], len) == 0)
			return true;
	return false;
}

static int place_hba(struct sandbox *sb, const json_t *section, const char *path, const char *text,
		     struct buf *out, struct err *err)
{
	struct hba h = {.sb = sb, .section = section, .path = path, .out = out};
	bool first = true, included = false; /* of a line; the word is the path of an include */
	bool since_16 = json_u64_or(server_of(section), "major", 0) >= 16;
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
			included = first && since_16 && is_include(p, len);
			first = false;
		}
		if (rc < 0)
			return -1;
		p += len;
	}
	return 0;
}

/* ---- postgresql.conf ---- */

/* include = 'path'. Where its path begins and ends, without quotes; false: it is another line. */
static bool find_include(const char *line, const char **ret_path, size_t *ret_len)
{
	const char *word = line + strspn(line, " \t"), *end = word + strcspn(word, " \t='\r\n");
	const char *path = end + strspn(end, " \t=");
	if (!is_include(word, (size_t)(end - word)) || *path != '\'')
		return false;
	*ret_path = path + 1;
	*ret_len = strcspn(path + 1, "'\n");
	return true;
}

static int place_conf(struct sandbox *sb, const json_t *section, const char *path, const char *text,
		      struct buf *out, struct err *err)
{
	for (const char *line = text; *line != '\0';) {
		CLEANUP(freep) char *name = NULL, *there = NULL;
		const char *at = NULL;
		size_t len = strcspn(line, "\n"), name_len = 0;
		bool found = find_include(line, &at, &name_len);
		len += line[len] == '\n';
		if (found && (str_dupn(at, name_len, &name, err) < 0 ||
			      find_place(sb, section, path, name, &there, err) < 0))
			return -1;
		size_t head = there != NULL ? (size_t)(at - line) : len;
		size_t rest = there != NULL ? head + name_len : len;
		if (buf_append(out, line, head, err) < 0 ||
		    (there != NULL && put_quoted(out, '\'', there, err) < 0) ||
		    buf_append(out, line + rest, len - rest, err) < 0)
			return -1;
		line += len;
	}
	return 0;
}

/* ---- both ---- */

/* One line of pg_hba.conf that lets the bootstrap superuser in. */
static int trust_line(struct buf *b, const char *type, const char *role, const char *address,
		      struct err *err)
{
	if (buf_printf(b, err, "%s all \"", type) < 0 || put_quoted(b, '"', role, err) < 0)
		return -1;
	return buf_printf(b, err, "\" %s trust\n", address);
}

/* A file of production's, as the sandbox needs it. */
static int put_placed(struct sandbox *sb, const json_t *section, const json_t *file,
		      int (*place)(struct sandbox *sb, const json_t *section, const char *path,
				   const char *text, struct buf *out, struct err *err),
		      struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, (size_t)16 << 20);
	if (sandbox_member(sb, json_str_or(file, "member", ""), &text, err) < 0)
		return -1;
	return place(sb, section, json_str_or(file, "path", ""), buf_text(&text), out, err);
}

/* The volume's own configuration does, unless it includes what lies outside of the volume. */
static int sandbox_conf(struct sandbox *sb, const json_t *section, struct err *err)
{
	const json_t *files = json_object_get(section, "config_files"), *own = NULL;
	bool leads_out = false;
	size_t i;
	json_t *file;
	json_array_foreach(files, i, file)
	{
		const char *role = json_str_or(file, "role", "");
		bool inside = json_str_or(file, "inside", NULL) != NULL;
		if (json_object_get(file, "member") == NULL)
			continue;
		if (strcmp(role, "config") == 0 && inside)
			own = file;
		leads_out = leads_out || (strcmp(role, "include") == 0 && !inside);
	}
	if (own == NULL || !leads_out)
		return 0;
	struct buf b;
	buf_init(&b, (size_t)32 << 20);
	int rc = put_placed(sb, section, own, place_conf, &b, err);
	if (rc == 0)
		rc = buf_take(&b, &sb->postgres_conf, err);
	buf_done(&b);
	return rc;
}

/* The hba that the sandbox runs on: production's, after what lets the agent itself in: through the
 * socket, which lies in a folder that only the server's user can enter, or from an address that is
 * the agent's alone. */
static int sandbox_hba(struct sandbox *sb, const json_t *section, const char *superuser,
		       struct err *err)
{
	const char *peer = server_peer(sb->postgres);
	struct buf b;
	buf_init(&b, (size_t)16 << 20);
	int rc = trust_line(&b, "local", superuser, "", err);
	if (rc == 0 && peer != NULL) {
		CLEANUP(freep) char *address = NULL;
		rc = str_printf(&address, err, "%s/%u", peer, strchr(peer, ':') ? 128U : 32U);
		if (rc == 0)
			rc = trust_line(&b, "host", superuser, address, err);
	}
	sb->postgres_hba_own = b.len;
	size_t i;
	json_t *file;
	bool found = false;
	json_array_foreach(json_object_get(section, "config_files"), i, file)
	{
		const char *member = json_str_or(file, "member", NULL);
		if (rc == 0 && member != NULL &&
		    strcmp(json_str_or(file, "role", ""), "hba") == 0) {
			rc = put_placed(sb, section, file, place_hba, &b, err);
			found = true;
		}
	}
	if (rc == 0 && !found)
		rc = buf_puts(&b, "local all all peer\nhost all all all scram-sha-256\n", err);
	if (rc < 0 || buf_take(&b, &sb->postgres_hba, err) < 0) {
		buf_done(&b);
		return -1;
	}
	return 0;
}

int place_postgres_config(struct sandbox *sb, const json_t *section, const char *superuser,
			  struct err *err)
{
	return sandbox_hba(sb, section, superuser, err) < 0 ? -1 : sandbox_conf(sb, section, err);
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
			if (find_place(sb, section, "", value, &there, err) < 0 ||
			    (there != NULL ? strlist_pushf(settings, err, "%s=%s", names[k], there)
					   : strlist_push(settings, "ssl=off", err)) < 0)
				return -1;
		}
	}
	return 0;
}
