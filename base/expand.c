#include "base/expand.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/secret.h"

enum { NESTED_MAX = 8, NAME_MAX_BYTES = 128 };

static bool begins_name(char c)
{
	return isalpha((unsigned char)c) || c == '_';
}

static size_t name_length(const char *text)
{
	size_t len = 0;
	if (begins_name(text[0]))
		while (begins_name(text[len]) || isdigit((unsigned char)text[len]))
			len++;
	return len;
}

/* `open` stands behind "${": the '}' that belongs to it, NULL if there is none. */
static const char *closing_brace(const char *open)
{
	unsigned depth = 1;
	for (const char *c = open; *c != '\0'; c++) {
		if (c[0] == '$' && c[1] == '{') {
			depth++;
			c++;
		} else if (*c == '}' && --depth == 0) {
			return c;
		}
	}
	return NULL;
}

bool expand_userinfo(const char *url, size_t *ret_from, size_t *ret_to)
{
	const char *scheme = strstr(url, "://");
	const char *at = NULL;
	if (scheme == NULL || memchr(url, '$', (size_t)(scheme - url)) != NULL)
		return false;
	const char *from = scheme + 3;
	for (const char *c = from; *c != '\0'; c++) {
		if (c[0] == '$' && c[1] == '{') {
			const char *close = closing_brace(c + 2);
			if (close == NULL)
				break;
			c = close;
		} else if (*c == '@') {
			at = c;
		} else if (strchr("/?#", *c) != NULL) {
			break;
		}
	}
	if (at == NULL)
		return false;
	*ret_from = (size_t)(from - url);
	*ret_to = (size_t)(at - url);
	return true;
}

int expand_percent_encode(const char *value, struct buf *out, struct err *err)
{
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;
		int done = isalnum(c) || strchr("-._~", c) != NULL
			       ? buf_append(out, value, 1, err)
			       : buf_printf(out, err, "%%%02X", c);
		if (done < 0)
			return -1;
	}
	return 0;
}

static int expand_into(const char *text, size_t len, const struct expand_opts *opts, unsigned depth,
		       struct buf *out, struct err *err);

static int not_defined(const char *name, struct err *err)
{
	err_set(err, ERR_CONFIG, "${%s} is not defined", name);
	return err_hint(err, "set %s in the environment or in a file that env_file names", name);
}

/* What stands between "${" and "}": a name, and perhaps an operator with its word. */
static int expand_braces(const char *text, size_t len, const struct expand_opts *opts,
			 unsigned depth, struct buf *out, struct err *err)
{
	char name[NAME_MAX_BYTES];
	size_t name_len = name_length(text);
	if (name_len == 0 || name_len >= sizeof name || name_len > len)
		return err_set(err, ERR_CONFIG, "'${' is not followed by a name");
	memcpy(name, text, name_len);
	name[name_len] = '\0';
	const char *value = opts->lookup(opts->ctx, name);
	const char *rest = text + name_len;
	size_t rest_len = len - name_len;
	if (rest_len == 0) {
		if (value == NULL && opts->strict)
			return not_defined(name, err);
		return value != NULL ? buf_puts(out, value, err) : 0;
	}
	bool or_empty = *rest == ':' && rest_len > 1;
	if (or_empty) {
		rest++;
		rest_len--;
	}
	bool there = value != NULL && !(or_empty && value[0] == '\0');
	const char *word = rest + 1;
	switch (*rest) {
	case '-':
		return there ? buf_puts(out, value, err)
			     : expand_into(word, rest_len - 1, opts, depth + 1, out, err);
	case '+':
		return there ? expand_into(word, rest_len - 1, opts, depth + 1, out, err) : 0;
	case '?':
		if (there)
			return buf_puts(out, value, err);
		if (rest_len == 1)
			return not_defined(name, err);
		return err_set(err, ERR_CONFIG, "${%s}: %.*s", name, (int)(rest_len - 1), word);
	default:
		err_set(err, ERR_CONFIG, "'${%s' is followed by neither '}' nor ':-'", name);
		return err_hint(err, "write ${%s} or ${%s:-default}", name, name);
	}
}

/* One construct that begins with '$'; *ret_used is its length. */
static int expand_dollar(const char *text, size_t len, const struct expand_opts *opts,
			 unsigned depth, struct buf *out, size_t *ret_used, struct err *err)
{
	if (len > 1 && text[1] == '$') {
		*ret_used = 2;
		return buf_append(out, "$", 1, err);
	}
	if (len > 1 && text[1] == '{') {
		const char *close = closing_brace(text + 2);
		if (close == NULL || close >= text + len)
			return err_set(err, ERR_CONFIG, "'${' without its '}'");
		*ret_used = (size_t)(close + 1 - text);
		return expand_braces(text + 2, (size_t)(close - text - 2), opts, depth, out, err);
	}
	if (opts->strict) {
		err_set(err, ERR_CONFIG, "a '$' that is not part of ${NAME}");
		return err_hint(err, "write $$ for a dollar sign");
	}
	size_t name_len = len > 1 ? name_length(text + 1) : 0;
	*ret_used = 1 + name_len;
	return name_len > 0 ? expand_braces(text + 1, name_len, opts, depth, out, err)
			    : buf_append(out, "$", 1, err);
}

static int expand_into(const char *text, size_t len, const struct expand_opts *opts, unsigned depth,
		       struct buf *out, struct err *err)
{
	if (depth > NESTED_MAX)
		return err_set(err, ERR_CONFIG, "${…} nested more than %d deep", NESTED_MAX);
	for (size_t i = 0; i < len;) {
		size_t used = 1;
		int done = text[i] == '$'
			       ? expand_dollar(text + i, len - i, opts, depth, out, &used, err)
			       : buf_append(out, text + i, 1, err);
		if (done < 0)
			return -1;
		i += used;
	}
	return 0;
}

/* The userinfo of a URL: what a ${…} yields is taken as it is, whatever characters it has. */
static int expand_encoded(const char *text, size_t len, const struct expand_opts *opts,
			  struct buf *out, struct err *err)
{
	struct buf value;
	int done = 0;
	buf_init(&value, EXPAND_MAX_BYTES);
	for (size_t i = 0; done == 0 && i < len;) {
		size_t used = 1;
		if (text[i] != '$') {
			done = buf_append(out, text + i, 1, err);
		} else if (i + 1 < len && text[i + 1] == '$') {
			used = 2;
			done = buf_append(out, "$", 1, err);
		} else {
			buf_reset(&value);
			done = expand_dollar(text + i, len - i, opts, 0, &value, &used, err);
			if (done == 0)
				done = expand_percent_encode(buf_text(&value), out, err);
		}
		i += used;
	}
	if (value.data != NULL)
		explicit_bzero(value.data, value.cap);
	buf_done(&value);
	return done;
}

int expand(const char *text, const struct expand_opts *opts, char **ret, struct err *err)
{
	struct buf out;
	size_t len = strlen(text), from = 0, to = 0;
	buf_init(&out, EXPAND_MAX_BYTES);
	if (opts->url && expand_userinfo(text, &from, &to)) {
		if (expand_into(text, from, opts, 0, &out, err) < 0 ||
		    expand_encoded(text + from, to - from, opts, &out, err) < 0)
			goto failed;
	}
	if (expand_into(text + to, len - to, opts, 0, &out, err) < 0 ||
	    buf_take(&out, ret, err) < 0)
		goto failed;
	return 0;
failed:
	if (out.data != NULL)
		explicit_bzero(out.data, out.cap);
	buf_done(&out);
	if (err->code == ERR_LIMIT)
		return err_set(err, ERR_CONFIG, "longer than %d bytes", EXPAND_MAX_BYTES);
	return -1;
}
