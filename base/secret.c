#include "base/secret.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

static const char blanks[] = " \t\r\n";

int secret_set(struct secret *s, const char *text, struct err *err)
{
	char *copy = NULL;
	if (str_dup(text, &copy, err) < 0)
		return -1;
	secret_done(s);
	s->text = copy;
	return 0;
}

const char *secret_text(const struct secret *s)
{
	return s->text != NULL ? s->text : "";
}

bool secret_is_set(const struct secret *s)
{
	return s->text != NULL;
}

void secret_wipe(char *text)
{
	if (text == NULL)
		return;
	explicit_bzero(text, strlen(text));
	free(text);
}

void secret_wipe_list(struct strlist *l)
{
	for (size_t i = 0; i < l->count; i++)
		explicit_bzero(l->items[i], strlen(l->items[i]));
	strlist_done(l);
}

void secret_done(struct secret *s)
{
	secret_wipe(s->text);
	s->text = NULL;
}

/* Appends `text`, with "***" for what stands between the first ':' and the last '@' of each URL.
 * The last, and whatever else lies between: a password with '/', '?' or '@' in it is a mistake that
 * is made, and the message about it must not show the password. */
static int mask_urls(const char *text, struct buf *out, struct err *err)
{
	const char *rest = text;
	for (const char *scheme; (scheme = strstr(rest, "://")) != NULL;) {
		const char *start = scheme + 3;
		size_t len = strcspn(start, blanks);
		const char *at = memrchr(start, '@', len);
		const char *colon = at != NULL ? memchr(start, ':', (size_t)(at - start)) : NULL;
		const char *shown = colon != NULL ? colon + 1 : start;
		if (buf_append(out, rest, (size_t)(shown - rest), err) < 0 ||
		    (colon != NULL && buf_puts(out, "***", err) < 0))
			return -1;
		rest = colon != NULL ? at : start;
	}
	return buf_puts(out, rest, err);
}

/* The end of a value in a connection string (PostgreSQL, 34.1.1.1): quoted, or up to a blank. */
static const char *end_of_value(const char *p)
{
	bool quoted = *p == '\'';
	if (quoted)
		p++;
	while (*p != '\0' && (quoted ? *p != '\'' : strchr(blanks, *p) == NULL))
		p += *p == '\\' && p[1] != '\0' ? 2 : 1;
	return quoted && *p == '\'' ? p + 1 : p;
}

/* Appends `text`, with "***" for the value of each "password=". */
static int mask_keys(const char *text, struct buf *out, struct err *err)
{
	static const char key[] = "password";
	const char *rest = text;
	for (const char *at = text; (at = strcasestr(at, key)) != NULL;) {
		const char *name = at, *value = at + strlen(key);
		while (name > text && (isalpha((unsigned char)name[-1]) || name[-1] == '_'))
			name--;
		/* As a parameter of a URL it ends at '&' and has no blanks around '='. */
		bool in_url = name > text && (name[-1] == '?' || name[-1] == '&');
		value += in_url ? 0 : strspn(value, blanks);
		at = value;
		if (*value != '=')
			continue;
		value++;
		value += in_url ? 0 : strspn(value, blanks);
		at = in_url ? value + strcspn(value, "& \t\r\n") : end_of_value(value);
		if (buf_append(out, rest, (size_t)(value - rest), err) < 0 ||
		    buf_puts(out, "***", err) < 0)
			return -1;
		rest = at;
	}
	return buf_puts(out, rest, err);
}

int secret_masked(const char *text, char **ret, struct err *err)
{
	struct buf half, out;
	/* "***" is longer than the shortest password that it stands for, none. */
	size_t max = strlen(text) * 4 + 16;
	buf_init(&half, max);
	buf_init(&out, max * 4);
	/* The first step may still hold a password, so its memory does not move, and is wiped. */
	int rc = buf_reserve(&half, max, err);
	if (rc == 0)
		rc = mask_urls(text, &half, err);
	if (rc == 0)
		rc = mask_keys(buf_text(&half), &out, err);
	if (rc == 0)
		rc = buf_take(&out, ret, err);
	if (half.data != NULL)
		explicit_bzero(half.data, half.cap);
	buf_done(&half);
	buf_done(&out);
	return rc;
}
