/*
 * Scripts of SQL, cut into statements as psql does it: psqlscan.l of PostgreSQL.
 *
 * A semicolon ends a statement unless it stands in a quoted text, in a comment, in parentheses
 * (CREATE RULE … DO (a; b)) or in the body of a function between BEGIN and END.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "stack/postgres/postgres_impl.h"

struct splitter {
	const char *p;
	const char *start; /* of the statement; NULL before its first token */
	int parens;
	int begins;    /* open BEGIN and CASE of a function's body */
	char words[4]; /* first letters of the first words: "crf" is CREATE OR REPLACE … */
	unsigned word_count;
};

static bool is_word_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (unsigned char)c >= 0x80;
}

static bool is_word(char c)
{
	return is_word_start(c) || (c >= '0' && c <= '9') || c == '$';
}

static bool word_is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(word, name, len) == 0;
}

/* ---- tokens: each leaves p behind the token; false when the script ends inside of it ---- */

static bool skip_quoted(struct splitter *s, bool escapes)
{
	char quote = *s->p++;
	for (; *s->p != '\0'; s->p++) {
		if (escapes && *s->p == '\\' && s->p[1] != '\0') {
			s->p++;
		} else if (*s->p == quote) {
			if (s->p[1] != quote) {
				s->p++;
				return true;
			}
			s->p++;
		}
	}
	return false;
}

static bool skip_block_comment(struct splitter *s)
{
	int depth = 0;
	while (*s->p != '\0') {
		if (s->p[0] == '/' && s->p[1] == '*') {
			depth++;
			s->p += 2;
		} else if (s->p[0] == '*' && s->p[1] == '/') {
			s->p += 2;
			if (--depth == 0)
				return true;
		} else {
			s->p++;
		}
	}
	return false;
}

/* $$…$$ or $tag$…$tag$; a lone dollar sign is passed over. */
static bool skip_dollar(struct splitter *s)
{
	const char *tag = s->p, *end = tag + 1;
	if (is_word_start(*end))
		while (is_word(*end) && *end != '$')
			end++;
	if (*end != '$') {
		s->p++;
		return true;
	}
	size_t len = (size_t)(end + 1 - tag);
	for (s->p = end + 1; (s->p = strchr(s->p, '$')) != NULL; s->p++)
		if (strncmp(s->p, tag, len) == 0) {
			s->p += len;
			return true;
		}
	s->p = tag + strlen(tag);
	return false;
}

/* Is it CREATE [OR REPLACE] FUNCTION or PROCEDURE? Only there BEGIN opens a block. */
static bool is_routine(const struct splitter *s)
{
	const char *w = s->words;
	if (w[0] != 'c')
		return false;
	return w[1] == 'f' || w[1] == 'p' ||
	       (w[1] == 'o' && w[2] == 'r' && (w[3] == 'f' || w[3] == 'p'));
}

static void count_word(struct splitter *s, const char *word, size_t len)
{
	if (s->word_count < sizeof s->words) {
		static const char *const known[] = {"create", "or", "replace", "function",
						    "procedure"};
		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			if (word_is(word, len, known[i]))
				s->words[s->word_count] = known[i][0];
		s->word_count++;
	}
	if (!is_routine(s) || s->parens > 0)
		return;
	if (word_is(word, len, "begin") || (s->begins > 0 && word_is(word, len, "case")))
		s->begins++;
	else if (s->begins > 0 && word_is(word, len, "end"))
		s->begins--;
}

static bool skip_word(struct splitter *s)
{
	const char *word = s->p;
	while (is_word(*s->p))
		s->p++;
	size_t len = (size_t)(s->p - word);
	count_word(s, word, len);
	if (*s->p == '\'' && word_is(word, len, "e"))
		return skip_quoted(s, true);
	return true;
}

/* ---- statements ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

/* Blanks and comments. */
static bool skip_nothing(struct splitter *s, bool *ret_whole)
{
	*ret_whole = true;
	if (is_blank(*s->p)) {
		s->p++;
		return true;
	}
	if (s->p[0] == '-' && s->p[1] == '-') {
		s->p += strcspn(s->p, "\n");
		return true;
	}
	if (s->p[0] == '/' && s->p[1] == '*') {
		*ret_whole = skip_block_comment(s);
		return true;
	}
	return false;
}

/* One token of a statement that is not its end. */
static bool skip_token(struct splitter *s)
{
	if (*s->p == '\'' || *s->p == '"')
		return skip_quoted(s, false);
	if (*s->p == '$')
		return skip_dollar(s);
	if (is_word_start(*s->p))
		return skip_word(s);
	if (*s->p >= '0' && *s->p <= '9') {
		while (is_word(*s->p))
			s->p++;
		return true;
	}
	if (*s->p == '(')
		s->parens++;
	else if (*s->p == ')' && s->parens > 0)
		s->parens--;
	s->p++;
	return true;
}

static int skip_command(struct splitter *s, struct err *err)
{
	size_t len = strcspn(s->p, "\n");
	size_t name = strcspn(s->p, " \t\r\n");
	if (s->start == NULL &&
	    (word_is(s->p, name, "\\restrict") || word_is(s->p, name, "\\unrestrict"))) {
		s->p += len;
		return 0;
	}
	return err_set(err, ERR_CORRUPT, "the script has a command for psql: '%.*s'",
		       (int)(name < 40 ? name : 40), s->p);
}

static int end_statement(struct splitter *s,
			 int (*each)(void *ctx, const char *statement, struct err *err), void *ctx,
			 struct err *err)
{
	if (s->start != NULL) {
		const char *end = s->p;
		while (end > s->start && is_blank(end[-1]))
			end--;
		CLEANUP(freep) char *statement = NULL;
		if (str_dupn(s->start, (size_t)(end - s->start), &statement, err) < 0)
			return -1;
		int rc = each(ctx, statement, err);
		/* It may have set a password. */
		explicit_bzero(statement, strlen(statement));
		if (rc < 0)
			return -1;
	}
	*s = (struct splitter){.p = s->p};
	return 0;
}

int pg_script_split(const char *sql, int (*each)(void *ctx, const char *statement, struct err *err),
		    void *ctx, struct err *err)
{
	struct splitter s = {.p = sql};
	while (*s.p != '\0') {
		bool whole;
		if (skip_nothing(&s, &whole)) {
			if (!whole)
				return err_set(err, ERR_CORRUPT, "the script ends in a comment");
			continue;
		}
		if (*s.p == '\\') {
			if (skip_command(&s, err) < 0)
				return -1;
			continue;
		}
		if (*s.p == ';' && s.parens == 0 && s.begins == 0) {
			if (end_statement(&s, each, ctx, err) < 0)
				return -1;
			s.p++;
			continue;
		}
		if (s.start == NULL)
			s.start = s.p;
		if (!skip_token(&s)) {
			char brief[PG_BRIEF_BYTES];
			return err_set(err, ERR_CORRUPT,
				       "the script ends inside a quoted text of statement '%s'",
				       pg_script_brief(s.start, brief));
		}
	}
	return end_statement(&s, each, ctx, err);
}

char *pg_script_brief(const char *statement, char out[PG_BRIEF_BYTES])
{
	size_t n = 0, characters = 0;
	const char *p = statement;
	const char *secret = strcasestr(statement, "password");
	for (; *p != '\0' && characters < 80; p++) {
		if (secret != NULL && p == secret + strlen("password"))
			break;
		bool continues = ((unsigned char)*p & 0xC0) == 0x80;
		if (is_blank(*p) && (n == 0 || out[n - 1] == ' '))
			continue;
		if (n + 8 >= PG_BRIEF_BYTES)
			break;
		out[n++] = is_blank(*p) ? ' ' : *p;
		characters += !continues;
	}
	/* The rest of a character that was begun. */
	while (((unsigned char)*p & 0xC0) == 0x80 && n + 8 < PG_BRIEF_BYTES)
		out[n++] = *p++;
	while (n > 0 && out[n - 1] == ' ')
		n--;
	snprintf(out + n, PG_BRIEF_BYTES - n, "%s", *p != '\0' ? " …" : "");
	return out;
}

/* ---- running ---- */

struct run {
	struct pg *pg;
	bool (*skip)(void *ctx, const char *statement);
	void *ctx;
};

static int run_statement(void *ctx, const char *statement, struct err *err)
{
	const struct run *r = ctx;
	if (r->skip != NULL && r->skip(r->ctx, statement))
		return 0;
	if (pg_exec(r->pg, statement, DEADLINE_NEVER, err) == 0)
		return 0;
	/* A syntax error quotes what it stumbled over. */
	if (strcasestr(statement, "password") != NULL && strstr(err->msg, "(42601)") != NULL)
		err_set(err, ERR_FAILED, "syntax error (42601)");
	char brief[PG_BRIEF_BYTES];
	return err_wrap(err, "statement '%s'", pg_script_brief(statement, brief));
}

int pg_script(struct pg *p, const char *sql, bool (*skip)(void *ctx, const char *statement),
	      void *ctx, struct err *err)
{
	struct run r = {.pg = p, .skip = skip, .ctx = ctx};
	struct err ignored = ERR_INIT;
	if (p == NULL)
		return pg_script_split(sql, run_statement, &r, err);
	const char *was = pg_encoding_to_char(PQclientEncoding(p->conn));
	int rc = pg_script_split(sql, run_statement, &r, err);
	/* Scripts of pg_dumpall begin with the encoding that they are in. */
	if (PQstatus(p->conn) == CONNECTION_OK &&
	    strcmp(pg_encoding_to_char(PQclientEncoding(p->conn)), was) != 0 &&
	    pg_queryf(p, DEADLINE_NEVER, NULL, rc == 0 ? err : &ignored,
		      "SET client_encoding = '%s'", was) < 0)
		return -1;
	return rc;
}
