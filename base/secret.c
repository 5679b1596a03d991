#include "base/secret.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

int secret_set(struct secret *s, const char *text, struct err *err)
{
	char *copy;
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

void secret_done(struct secret *s)
{
	secret_wipe(s->text);
	s->text = NULL;
}

int secret_masked(const char *text, char **ret, struct err *err)
{
	struct buf out;
	buf_init(&out, strlen(text) * 4 + 16);
	const char *rest = text;
	const char *scheme = strstr(text, "://");
	if (scheme != NULL) {
		const char *start = scheme + 3;
		size_t authority = strcspn(start, "/?#");
		const char *at = memrchr(start, '@', authority);
		const char *colon = at != NULL ? memchr(start, ':', (size_t)(at - start)) : NULL;
		if (colon != NULL) {
			if (buf_append(&out, text, (size_t)(colon + 1 - text), err) < 0 ||
			    buf_puts(&out, "***", err) < 0)
				goto failed;
			rest = at;
		}
	}
	for (const char *key; (key = strcasestr(rest, "password=")) != NULL;) {
		key += strlen("password=");
		if (buf_append(&out, rest, (size_t)(key - rest), err) < 0 ||
		    buf_puts(&out, "***", err) < 0)
			goto failed;
		rest = *key == '\'' ? key + 1 + strcspn(key + 1, "'") : key + strcspn(key, "& \t");
		if (*rest == '\'')
			rest++;
	}
	if (buf_puts(&out, rest, err) < 0 || buf_take(&out, ret, err) < 0)
		goto failed;
	return 0;
failed:
	buf_done(&out);
	return -1;
}
