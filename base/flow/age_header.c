/* The header of an age file: lines of text, in which the file's key is wrapped for each recipient.
 */
#include <stdlib.h>
#include <string.h>
#include "base/flow/age_impl.h"

enum { LINE_COLUMNS = 64, KEY_COLUMNS = 43 };

void age_header_done(struct age_header *h)
{
	free(h->stanzas);
	*h = (struct age_header){0};
}

struct cursor {
	const char *text;
	size_t len, at;
};

/* False when the line's end has not come yet. */
static bool next_line(struct cursor *c, const char **ret, size_t *ret_len)
{
	const char *line = c->text + c->at;
	const char *end = memchr(line, '\n', c->len - c->at);
	if (end == NULL)
		return false;
	*ret = line;
	*ret_len = (size_t)(end - line);
	c->at += *ret_len + 1;
	return true;
}

static bool begins_with(const char *text, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);
	return len >= n && memcmp(text, prefix, n) == 0;
}

static int damaged(struct err *err, const char *what)
{
	return err_set(err, ERR_CORRUPT, "its age header is damaged: %s", what);
}

/* ---- one stanza ---- */

struct arguments {
	const char *items[2]; /* the first two */
	size_t lens[2];
	size_t count;
};

/* "X25519 TEiF0ypqr…": words of printable characters with one space between them. */
static int split(const char *text, size_t len, struct arguments *ret, struct err *err)
{
	struct arguments a = {.count = 0};
	for (size_t at = 0;; at++) {
		size_t n = 0;
		while (at + n < len && text[at + n] > ' ' && text[at + n] <= '~')
			n++;
		if (n == 0)
			return damaged(err, "a recipient's line has an empty word");
		if (a.count < 2) {
			a.items[a.count] = text + at;
			a.lens[a.count] = n;
		}
		a.count++;
		at += n;
		if (at == len)
			break;
		if (text[at] != ' ')
			return damaged(err,
				       "a recipient's line has a character that is not printable");
	}
	*ret = a;
	return 0;
}

static bool is_word(const struct arguments *a, const char *word)
{
	return a->lens[0] == strlen(word) && memcmp(a->items[0], word, a->lens[0]) == 0;
}

/* Takes what stands between the stanza's first line and the next; *ret is its one line, or NULL
 * where there are more. *ret_whole false: the rest has not come yet. */
static int read_body(struct cursor *c, const char **ret, size_t *ret_len, bool *ret_whole,
		     struct err *err)
{
	const char *line, *only = NULL;
	size_t len, lines = 0;
	*ret_whole = false;
	do {
		if (!next_line(c, &line, &len))
			return 0;
		if (len > LINE_COLUMNS)
			return damaged(err, "a line is longer than 64 characters");
		if (!age_base64_is_valid(line, len))
			return damaged(err, "a line is not canonical base64");
		only = lines == 0 ? line : NULL;
		lines++;
	} while (len == LINE_COLUMNS);
	*ret = only;
	*ret_len = len;
	*ret_whole = true;
	return 0;
}

static int add_x25519(struct age_header *h, const struct arguments *a, const char *body,
		      size_t body_len, struct err *err)
{
	struct age_stanza s;
	if (a->count != 2)
		return damaged(err, "a recipient of type X25519 has not one share");
	if (!age_base64_decode(a->items[1], a->lens[1], s.share, sizeof s.share))
		return damaged(err, "a recipient's share is not 32 bytes of canonical base64");
	if (body == NULL || !age_base64_decode(body, body_len, s.body, sizeof s.body))
		return damaged(err, "a recipient's key is not of 32 bytes");
	struct age_stanza *more =
	    mem_grow(h->stanzas, h->count, sizeof *h->stanzas, "recipients", err);
	if (more == NULL)
		return -1;
	h->stanzas = more;
	h->stanzas[h->count++] = s;
	return 0;
}

static int read_stanza(struct cursor *c, const char *text, size_t len, struct age_header *h,
		       bool *ret_whole, struct err *err)
{
	struct arguments a;
	const char *body = NULL;
	size_t body_len = 0;
	if (split(text, len, &a, err) < 0 || read_body(c, &body, &body_len, ret_whole, err) < 0)
		return -1;
	if (!*ret_whole)
		return 0;
	if (is_word(&a, "X25519"))
		return add_x25519(h, &a, body, body_len, err);
	h->others++;
	h->passphrase = h->passphrase || is_word(&a, "scrypt");
	return 0;
}

/* ---- all of it ---- */

static int check_version(const struct cursor *c, bool *ret_whole, struct err *err)
{
	static const char version[] = AGE_VERSION_LINE, armour[] = AGE_ARMOUR_LINE;
	size_t n = sizeof version - 1;
	*ret_whole = c->len >= n;
	if (memcmp(c->text, version, c->len < n ? c->len : n) == 0)
		return 0;
	err_set(err, ERR_CORRUPT, "it does not begin as an age file does");
	if (begins_with(c->text, c->len, armour))
		return err_hint(err,
				"It is in ASCII armour, which is not read: 'age -d' opens it.");
	return -1;
}

static int read_mac(const struct cursor *c, const char *line, size_t len, struct age_header *h,
		    struct err *err)
{
	if (len != 4 + KEY_COLUMNS || line[3] != ' ' ||
	    !age_base64_decode(line + 4, len - 4, h->mac, sizeof h->mac))
		return damaged(err, "its last line has no MAC");
	if (h->count + h->others == 0)
		return damaged(err, "it names no recipient");
	if (h->passphrase && h->count + h->others > 1)
		return damaged(err, "a passphrase stands beside other recipients");
	h->bytes = c->at;
	h->mac_bytes = (size_t)(line - c->text) + 3;
	return 0;
}

/* *ret_whole false: it goes on behind what is there. */
static int parse(struct cursor *c, struct age_header *h, bool *ret_whole, struct err *err)
{
	const char *line;
	size_t len;
	if (check_version(c, ret_whole, err) < 0)
		return -1;
	c->at = sizeof AGE_VERSION_LINE - 1;
	while (*ret_whole) {
		if (!next_line(c, &line, &len)) {
			*ret_whole = false;
			break;
		}
		if (begins_with(line, len, "---"))
			return read_mac(c, line, len, h, err);
		if (!begins_with(line, len, "-> "))
			return damaged(err, "a line is neither a recipient nor the end");
		if (read_stanza(c, line + 3, len - 3, h, ret_whole, err) < 0)
			return -1;
	}
	return 0;
}

int age_header_parse(const uint8_t *data, size_t len, size_t *ret_used, struct age_header *ret,
		     struct err *err)
{
	CLEANUP(age_header_done) struct age_header h = {0};
	struct cursor c = {.text = (const char *)data,
			   .len = len < AGE_HEADER_MAX ? len : AGE_HEADER_MAX};
	bool whole;
	if (parse(&c, &h, &whole, err) < 0)
		return -1;
	*ret_used = 0;
	if (!whole && len >= AGE_HEADER_MAX)
		return err_set(err, ERR_LIMIT, "its age header is longer than %d bytes",
			       AGE_HEADER_MAX);
	if (!whole)
		return 0;
	*ret_used = h.bytes;
	*ret = h;
	h = (struct age_header){0};
	return 0;
}
