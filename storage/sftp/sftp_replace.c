/* One request that libssh2 1.10 does not know, on the channel that it has opened. */
#include <string.h>
#include "storage/sftp/sftp.h"

enum {
	TYPE_STATUS = 101,
	TYPE_EXTENDED = 200,
	OUR_ID = 0x7fffffff, /* libssh2 counts from 0 */
	PACKET_MAX = 256 << 10
};

static int put_u32(struct buf *b, uint32_t n, struct err *err)
{
	const uint8_t bytes[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
				  (uint8_t)n};
	return buf_append(b, bytes, sizeof bytes, err);
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int put_text(struct buf *b, const char *text, struct err *err)
{
	return put_u32(b, (uint32_t)strlen(text), err) < 0 ? -1 : buf_puts(b, text, err);
}

/* All of it, or it is broken. */
static int send_all(struct sftp *c, const struct buf *b, struct err *err)
{
	LIBSSH2_CHANNEL *channel = libssh2_sftp_get_channel(c->sftp);
	ssize_t n;
	for (size_t at = 0; at < b->len; at += (size_t)n) {
		while ((n = libssh2_channel_write(channel, (const char *)b->data + at,
						  b->len - at)) == LIBSSH2_ERROR_EAGAIN)
			if (sftp_wait(c, err) < 0)
				return -1;
		if (n < 0)
			return sftp_failed(c, (int)n, err, "can't send");
	}
	return 0;
}

static int receive(struct sftp *c, uint8_t *out, size_t len, struct err *err)
{
	LIBSSH2_CHANNEL *channel = libssh2_sftp_get_channel(c->sftp);
	ssize_t n;
	for (size_t at = 0; at < len; at += (size_t)n) {
		while ((n = libssh2_channel_read(channel, (char *)out + at, len - at)) ==
		       LIBSSH2_ERROR_EAGAIN)
			if (sftp_wait(c, err) < 0)
				return -1;
		if (n <= 0)
			return sftp_failed(c, n < 0 ? (int)n : LIBSSH2_ERROR_SOCKET_DISCONNECT, err,
					   "can't receive");
	}
	return 0;
}

/* The status of our request. Answers to others, which nobody waits for any more, are passed over.
 */
static int receive_status(struct sftp *c, uint32_t *ret, struct err *err)
{
	uint8_t head[13], rest[1024];
	for (;;) {
		/* length, type, id and, of a status, its number */
		if (receive(c, head, 9, err) < 0)
			return -1;
		uint32_t len = get_u32(head), left = len - 5;
		bool ours = head[4] == TYPE_STATUS && get_u32(head + 5) == OUR_ID;
		if (len < 5 || len > PACKET_MAX || (ours && left < 4)) {
			c->broken = true;
			return err_set(err, ERR_CORRUPT, "%s: an answer of %u bytes",
				       c->site->server, (unsigned)len);
		}
		if (ours && receive(c, head + 9, 4, err) < 0)
			return -1;
		left -= ours ? 4 : 0;
		while (left > 0) {
			uint32_t n = left < sizeof rest ? left : (uint32_t)sizeof rest;
			if (receive(c, rest, n, err) < 0)
				return -1;
			left -= n;
		}
		if (ours) {
			*ret = get_u32(head + 9);
			return 0;
		}
	}
}

int sftp_replace(struct sftp *c, const char *from, const char *to, bool *ret_known, struct err *err)
{
	static const char name[] = "posix-rename@openssh.com";
	CLEANUP(buf_done) struct buf b;
	const uint8_t type = TYPE_EXTENDED;
	uint32_t status = 0;
	buf_init(&b, 64 << 10);
	size_t len = 1 + 4 + 3 * 4 + strlen(name) + strlen(from) + strlen(to);
	if (put_u32(&b, (uint32_t)len, err) < 0 || buf_append(&b, &type, 1, err) < 0 ||
	    put_u32(&b, OUR_ID, err) < 0 || put_text(&b, name, err) < 0 ||
	    put_text(&b, from, err) < 0 || put_text(&b, to, err) < 0 || send_all(c, &b, err) < 0 ||
	    receive_status(c, &status, err) < 0)
		return -1;
	/* OpenSSH's is denied where it is forbidden as such. */
	bool known = status != LIBSSH2_FX_OP_UNSUPPORTED && status != LIBSSH2_FX_PERMISSION_DENIED;
	if (known && status != LIBSSH2_FX_OK)
		return err_set(err, ERR_IO, "%s: can't rename '%s' to '%s': the server refused",
			       c->site->server, from, to);
	*ret_known = known;
	return 0;
}
