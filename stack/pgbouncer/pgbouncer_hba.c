/*
 * Access rules for a sandbox. Production's rules know its networks; in a sandbox everybody comes
 * from 127.0.0.1. So each rule that lets somebody in is followed, after all of them, by a copy for
 * that address. How one has to prove who one is stays what the rule says.
 */
#include <stdlib.h>
#include <string.h>
#include "stack/pgbouncer/pgbouncer_ini.h"

enum { HBA_BYTES_MAX = 16 << 20, TOKENS_MAX = 4096 };

struct token {
	const char *at;
	size_t len;
	bool is_comma;
};

struct rule {
	struct token tokens[TOKENS_MAX];
	size_t count;
	size_t users, address, method; /* where these begin; databases begin at 1 */
};

struct hba {
	const char *path; /* production's */
	const struct pgbouncer_sandbox *sandbox;
	struct rule *rule; /* at hand */
	struct buf rules, copies;
};

/* Tokens of one line as hba.c takes them: blanks and commas separate, "…" is one, '#' ends the
 * line. False when there are too many. */
static bool split(const char *line, size_t len, struct rule *r)
{
	const char *p = line, *end = line + len;
	r->count = 0;
	while (p < end && *p != '#') {
		if (strchr(" \t\r\v\f", *p) != NULL) {
			p++;
			continue;
		}
		if (r->count == TOKENS_MAX)
			return false;
		struct token *t = &r->tokens[r->count++];
		*t = (struct token){.at = p, .is_comma = *p == ','};
		if (*p == '"') {
			for (p++; p < end && (*p != '"' || (p + 1 < end && p[1] == '"')); p++)
				p += *p == '"';
			p += p < end;
		} else if (*p == ',') {
			p++;
		} else {
			while (p < end && strchr(" \t\r\v\f,#\"", *p) == NULL)
				p++;
		}
		t->len = (size_t)(p - t->at);
	}
	return true;
}

static bool token_is(const struct rule *r, size_t i, const char *text)
{
	return i < r->count && r->tokens[i].len == strlen(text) &&
	       memcmp(r->tokens[i].at, text, r->tokens[i].len) == 0;
}

/* Behind a list of names: name, name, … */
static size_t after_names(const struct rule *r, size_t i)
{
	for (i++; i + 1 < r->count && r->tokens[i].is_comma; i += 2)
		continue;
	return i;
}

/* Finds the parts. False for what is no rule; PgBouncer passes over such lines. */
static bool understand(struct rule *r)
{
	bool local = token_is(r, 0, "local");
	if (!local && !token_is(r, 0, "host") && !token_is(r, 0, "hostssl") &&
	    !token_is(r, 0, "hostnossl"))
		return false;
	r->users = after_names(r, 1);
	r->address = after_names(r, r->users);
	r->method = r->address;
	if (!local && r->address < r->count) {
		const struct token *a = &r->tokens[r->address];
		bool whole = token_is(r, r->address, "all") || memchr(a->at, '/', a->len) != NULL;
		r->method += whole ? 1 : 2; /* else the mask is a word of its own */
	}
	return r->method < r->count;
}

/* Lists of names lie beside the restored file now. */
static int put_names_file(struct hba *h, struct buf *out, const struct token *t, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(freep) char *restored = NULL;
	const char *slash = strrchr(h->path, '/');
	int folder = t->at[1] != '/' && slash != NULL ? (int)(slash + 1 - h->path) : 0;
	if (str_printf(&path, err, "%.*s%.*s", folder, h->path, (int)t->len - 1, t->at + 1) < 0 ||
	    (h->sandbox->restored != NULL &&
	     h->sandbox->restored(h->sandbox->ctx, path, &restored, err) < 0))
		return -1;
	return buf_printf(out, err, " @%s", restored != NULL ? restored : path);
}

static int put_tokens(struct hba *h, struct buf *out, size_t from, size_t to, struct err *err)
{
	for (size_t i = from; i < to; i++) {
		const struct token *t = &h->rule->tokens[i];
		int rc = t->at[0] == '@' && t->len > 1
			     ? put_names_file(h, out, t, err)
			     : buf_printf(out, err, "%s%.*s", i > 0 && !t->is_comma ? " " : "",
					  (int)t->len, t->at);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int put_rule(struct hba *h, struct err *err)
{
	const struct rule *r = h->rule;
	/* Who is kept out is production's business; and "all from everywhere" would keep us out. */
	if (token_is(r, r->method, "reject"))
		return 0;
	if (put_tokens(h, &h->rules, 0, r->count, err) < 0 || buf_puts(&h->rules, "\n", err) < 0)
		return -1;
	if (r->method == r->address)
		return 0;
	if (put_tokens(h, &h->copies, 0, r->address, err) < 0 ||
	    buf_puts(&h->copies, " 127.0.0.1/32", err) < 0 ||
	    put_tokens(h, &h->copies, r->method, r->count, err) < 0)
		return -1;
	return buf_puts(&h->copies, "\n", err);
}

static int put_rules(struct hba *h, const char *text, struct err *err)
{
	for (const char *line = text; *line != '\0';) {
		size_t len = strcspn(line, "\n");
		if (!split(line, len, h->rule))
			return err_set(err, ERR_LIMIT, "'%s' has a line of more than %d words",
				       h->path, TOKENS_MAX);
		if (understand(h->rule) && put_rule(h, err) < 0)
			return -1;
		line += len + (line[len] == '\n');
	}
	return buf_puts(&h->rules, buf_text(&h->copies), err);
}

int pgbouncer_rewrite_hba(const char *ini_path, const char *cwd, pgbouncer_read_fn *read,
			  void *read_ctx, const struct pgbouncer_sandbox *sandbox, char **ret,
			  struct err *err)
{
	CLEANUP(pgbouncer_ini_freep) struct pgbouncer_ini *ini = NULL;
	CLEANUP(freep) char *path = NULL;
	if (pgbouncer_ini_load(ini_path, cwd, read, read_ctx, &ini, err) < 0)
		return -1;
	const struct pgbouncer_item *file = pgbouncer_ini_effective(ini, "auth_hba_file");
	if (file == NULL || file->value[0] == '\0') {
		*ret = NULL;
		return 0;
	}
	if (pgbouncer_ini_path(ini_path, cwd, file->value, &path, err) < 0)
		return -1;
	CLEANUP(freep) struct rule *rule = mem_zalloc(sizeof *rule, "an access rule", err);
	if (rule == NULL)
		return -1;
	struct hba h = {.path = path, .sandbox = sandbox, .rule = rule};
	struct buf text;
	buf_init(&text, HBA_BYTES_MAX);
	buf_init(&h.rules, 4 * HBA_BYTES_MAX);
	buf_init(&h.copies, 4 * HBA_BYTES_MAX);
	int rc = read(read_ctx, path, &text, err);
	if (rc < 0)
		err_wrap(err, "%s:%u: auth_hba_file", file->file, file->line);
	if (rc == 0)
		rc = put_rules(&h, buf_text(&text), err);
	if (rc == 0)
		rc = buf_take(&h.rules, ret, err);
	buf_done(&text);
	buf_done(&h.rules);
	buf_done(&h.copies);
	return rc;
}
