#include <string.h>
#include <strings.h>
#include "base/flow/http_impl.h"

static bool is_token_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* The value of the line if it is a header of that name, else NULL. */
static const char *value_of(const char *line, const char *name)
{
	size_t len = strlen(name);
	if (strncasecmp(line, name, len) != 0 || line[len] != ':')
		return NULL;
	return line + len + 1 + strspn(line + len + 1, " \t");
}

static int see_length(struct http_framing *f, const char *value, struct err *err)
{
	uint64_t n = 0;
	size_t digits = strspn(value, "0123456789");
	bool ok = digits > 0 && digits <= 18 && value[digits + strspn(value + digits, " \t")] == 0;
	for (size_t i = 0; ok && i < digits; i++)
		n = n * 10 + (uint64_t)(value[i] - '0');
	if (!ok || (f->has_length && f->length != n))
		return err_set(err, ERR_CORRUPT, "the answer's Content-Length '%.40s' %s", value,
			       ok ? "is another than before" : "is no number of bytes");
	f->has_length = true;
	f->length = n;
	return 0;
}

int http_framing_see(struct http_framing *f, const char *line, struct err *err)
{
	const char *value = value_of(line, "Content-Length");
	if (value != NULL)
		return see_length(f, value, err);
	value = value_of(line, "Transfer-Encoding");
	if (value == NULL)
		return 0;
	/* The last coding of the last line counts. */
	const char *comma = strrchr(value, ',');
	const char *last = comma != NULL ? comma + 1 + strspn(comma + 1, " \t") : value;
	size_t len = strcspn(last, " \t");
	f->has_coding = true;
	f->chunked = len == 7 && strncasecmp(last, "chunked", 7) == 0 &&
		     last[len + strspn(last + len, " \t")] == '\0';
	return 0;
}

/* "HTTP/1.1 101 Switching Protocols" (RFC 9112, 4). */
static int parse_status(const char *line, size_t len, long *ret, struct err *err)
{
	bool ok = len >= 12 && memcmp(line, "HTTP/1.", 7) == 0 &&
		  (line[7] == '0' || line[7] == '1') && line[8] == ' ' &&
		  (len == 12 || line[12] == ' ');
	long status = 0;
	for (size_t i = 9; ok && i < 12; i++) {
		ok = line[i] >= '0' && line[i] <= '9';
		status = status * 10 + (line[i] - '0');
	}
	if (!ok || status < 100)
		return err_set(err, ERR_CORRUPT, "'%.*s' is no answer of HTTP/1.1",
			       (int)(len < 40 ? len : 40), line);
	*ret = status;
	return 0;
}

/* "Name: value" (RFC 9112, 5); a line that goes on from the one before is refused. */
static int parse_header(const char *line, size_t len, struct http_response *r,
			struct http_framing *framing, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	size_t name = 0;
	while (name < len && is_token_char(line[name]))
		name++;
	if (name == 0 || name == len || line[name] != ':')
		return err_set(err, ERR_CORRUPT, "the answer's head has a line that is no header");
	while (line[len - 1] == ' ' || line[len - 1] == '\t')
		len--;
	return str_dupn(line, len, &text, err) < 0 || http_framing_see(framing, text, err) < 0
		   ? -1
		   : strlist_push(&r->headers, text, err);
}

/* Of the head as far as it is there: no other characters than text, and CR only before LF. */
static int check_bytes(const uint8_t *data, size_t len, struct err *err)
{
	for (size_t i = 0; i < len; i++) {
		bool ok = data[i] >= 0x20 ? data[i] != 0x7f : data[i] == '\t';
		if (data[i] == '\r')
			ok = i + 1 == len || data[i + 1] == '\n';
		if (data[i] == '\n')
			ok = i > 0 && data[i - 1] == '\r';
		if (!ok)
			return err_set(err, ERR_CORRUPT,
				       "the answer's head has the byte 0x%02x at %zu", data[i], i);
	}
	return 0;
}

int http_head_parse(const uint8_t *data, size_t len, size_t *ret_used, struct http_response *ret,
		    struct http_framing *framing, struct err *err)
{
	const uint8_t *end = len > 0 ? memmem(data, len, "\r\n\r\n", 4) : NULL;
	size_t head = end != NULL ? (size_t)(end - data) + 4 : len;
	if (head > HTTP_HEAD_MAX || (end == NULL && head == HTTP_HEAD_MAX))
		return err_set(err, ERR_LIMIT, "the answer's head is longer than %d bytes",
			       (int)HTTP_HEAD_MAX);
	if (check_bytes(data, head, err) < 0)
		return -1;
	if (end == NULL) {
		*ret_used = 0;
		return 0;
	}
	struct http_response r = {.body.max = HTTP_BODY_MAX};
	struct http_framing f = {0};
	const char *line = (const char *)data, *stop = (const char *)end;
	int rc = 0;
	for (bool first = true; rc == 0 && line <= stop; first = false) {
		const char *eol = memmem(line, (size_t)(stop + 2 - line), "\r\n", 2);
		size_t n = (size_t)(eol - line);
		rc = first ? parse_status(line, n, &r.status, err)
			   : parse_header(line, n, &r, &f, err);
		line = eol + 2;
	}
	if (rc < 0) {
		http_response_done(&r);
		return -1;
	}
	*ret = r;
	*framing = f;
	*ret_used = head;
	return 0;
}

/* ---- chunks ---- */

/* size [;extension] CRLF, data, CRLF, …, 0 CRLF, trailers, CRLF. A line is known by its LF. */
enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER };
enum { CHUNK_LINE_MAX = 8 << 10 };

static int size_byte(struct http_chunks *c, char b, struct err *err)
{
	int digit = b >= '0' && b <= '9'   ? b - '0'
		    : b >= 'a' && b <= 'f' ? b - 'a' + 10
		    : b >= 'A' && b <= 'F' ? b - 'A' + 10
					   : -1;
	if (digit >= 0 && c->state == CHUNK_SIZE && c->left < UINT64_C(1) << 56) {
		c->left = c->left * 16 + (uint64_t)digit;
		return 0;
	}
	bool has_digits = c->line > 1;
	bool over = b == ';' || b == '\r' || b == '\n' || b == ' ' || b == '\t';
	if (c->state == CHUNK_SIZE && (!has_digits || !over))
		return err_set(err, ERR_CORRUPT, "the answer's body has a chunk without a size");
	c->state = CHUNK_EXTENSION;
	if (b == '\n') {
		c->state = c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
		c->line = 0;
	}
	return 0;
}

static int frame_byte(struct http_chunks *c, char b, struct err *err)
{
	if (++c->line > CHUNK_LINE_MAX)
		return err_set(err, ERR_LIMIT, "a line between chunks is longer than %d bytes",
			       (int)CHUNK_LINE_MAX);
	if (c->state == CHUNK_SIZE || c->state == CHUNK_EXTENSION)
		return size_byte(c, b, err);
	if (c->state == CHUNK_DATA_END) {
		if (b != (c->line == 1 ? '\r' : '\n'))
			return err_set(err, ERR_CORRUPT,
				       "the answer's body has a chunk longer than its size");
		if (b == '\n') {
			c->state = CHUNK_SIZE;
			c->line = 0;
		}
	} else if (b == '\n') {
		/* An empty trailer is the end. */
		c->ended = c->line <= 2 && c->left == 0;
		c->line = c->left = 0;
	} else if (b != '\r') {
		c->left = 1; /* this line has something in it */
	}
	return 0;
}

int http_chunks_read(struct http_chunks *c, const uint8_t *data, size_t len, struct buf *body,
		     struct err *err)
{
	while (len > 0 && !c->ended) {
		size_t n = 1;
		if (c->state == CHUNK_DATA) {
			n = c->left < len ? (size_t)c->left : len;
			if (buf_append(body, data, n, err) < 0)
				return -1;
			c->left -= n;
			if (c->left == 0)
				c->state = CHUNK_DATA_END;
		} else if (frame_byte(c, (char)*data, err) < 0) {
			return -1;
		}
		data += n;
		len -= n;
	}
	return 0;
}
