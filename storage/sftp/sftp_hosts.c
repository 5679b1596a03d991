/* The host key: what known_hosts says of it, and what to do where that is not what came. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "storage/sftp/sftp.h"

enum { HOSTS_BYTES_MAX = 16 << 20, KEY_BYTES_MAX = 64 << 10, PRINT_BYTES = 80 };

struct sftp_hosts {
	const struct sftp *c;
	char *host; /* without the brackets of an IPv6 address */
	LIBSSH2_KNOWNHOSTS *known;
	struct buf text;
	bool only_rsa; /* has the host with no other type of key */
};

/* Types of host keys in the order of preference; `known`: as libssh2 finds one in known_hosts. */
static const struct {
	int known;
	const char *method;
} types[] = {
    {LIBSSH2_KNOWNHOST_KEY_ED25519, "ssh-ed25519"},
    {LIBSSH2_KNOWNHOST_KEY_ECDSA_256, "ecdsa-sha2-nistp256"},
    {LIBSSH2_KNOWNHOST_KEY_ECDSA_384, "ecdsa-sha2-nistp384"},
    {LIBSSH2_KNOWNHOST_KEY_ECDSA_521, "ecdsa-sha2-nistp521"},
    {LIBSSH2_KNOWNHOST_KEY_SSHRSA, "rsa-sha2-512,rsa-sha2-256,ssh-rsa"},
};
enum { TYPES = sizeof types / sizeof *types, TYPE_RSA = TYPES - 1 };

void sftp_hosts_free(struct sftp_hosts *h)
{
	if (h == NULL)
		return;
	if (h->known != NULL)
		libssh2_knownhost_free(h->known);
	buf_done(&h->text);
	free(h->host);
	free(h);
}

static int ask(const struct sftp_hosts *h, const char *key, size_t len, int type)
{
	struct libssh2_knownhost *found;
	return libssh2_knownhost_checkp(
	    h->known, h->host, h->c->site->at.port, key, len,
	    LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW | type, &found);
}

/* A key of that type which nobody has: "another" is the answer where there is one. */
static bool knows_type(const struct sftp_hosts *h, int type)
{
	return ask(h, "none", 4, type) == LIBSSH2_KNOWNHOST_CHECK_MISMATCH;
}

/* A line at a time: one that libssh2 can't read, of a newer type of key or with a marker, is none
 * of those that are looked for. libssh2 takes a byte off where a newline stands, so that the
 * newline must be counted: without it, a key with no comment behind it would lack its last letter.
 */
static void read_lines(struct sftp_hosts *h)
{
	for (const char *line = buf_text(&h->text); *line != '\0';) {
		size_t len = strcspn(line, "\n");
		len += line[len] == '\n';
		if (line[0] != '\n' && line[0] != '@')
			(void)libssh2_knownhost_readline(h->known, line, len,
							 LIBSSH2_KNOWNHOST_FILE_OPENSSH);
		line += len;
	}
}

/* Appends the names of a type that this libssh2 has: of others it has no list without copying one
 * piece of memory over itself. */
static int add_methods(struct buf *methods, const char *names, const char **has, int count,
		       struct err *err)
{
	while (*names != '\0') {
		size_t len = strcspn(names, ",");
		for (int i = 0; i < count; i++)
			if (strlen(has[i]) == len && strncmp(has[i], names, len) == 0 &&
			    buf_printf(methods, err, "%s%s", methods->len > 0 ? "," : "", has[i]) <
				0)
				return -1;
		names += len + (names[len] == ',');
	}
	return 0;
}

/* A server is to show the key that is known, of the several that it has. One that is not known is
 * shown as the user would best know it. */
static int prefer_known_types(struct sftp_hosts *h, struct err *err)
{
	CLEANUP(buf_done) struct buf methods;
	LIBSSH2_SESSION *ssh = h->c->ssh;
	const char **has = NULL;
	bool knows[TYPES], knows_any = false;
	int rc = 0, count = libssh2_session_supported_algs(ssh, LIBSSH2_METHOD_HOSTKEY, &has);
	buf_init(&methods, 1024);
	for (size_t i = 0; i < TYPES; i++) {
		knows[i] = knows_type(h, types[i].known);
		h->only_rsa = knows[i] && i == TYPE_RSA && !knows_any;
		knows_any |= knows[i];
	}
	for (size_t i = 0; rc == 0 && i < TYPES; i++)
		if (knows[i] || !knows_any)
			rc = add_methods(&methods, types[i].method, has, count, err);
	if (count > 0)
		libssh2_free(ssh, has);
	if (rc == 0 && methods.len > 0 &&
	    libssh2_session_method_pref(ssh, LIBSSH2_METHOD_HOSTKEY, buf_text(&methods)) ==
		LIBSSH2_ERROR_ALLOC)
		return err_nomem(err, "host keys");
	return rc;
}

int sftp_hosts_open(struct sftp *c, struct sftp_hosts **ret, struct err *err)
{
	CLEANUP(sftp_hosts_freep) struct sftp_hosts *h = mem_zalloc(sizeof *h, "host keys", err);
	const char *host = c->site->at.host;
	if (h == NULL)
		return -1;
	h->c = c;
	buf_init(&h->text, HOSTS_BYTES_MAX);
	size_t bracket = host[0] == '[';
	if (str_dupn(host + bracket, strlen(host) - 2 * bracket, &h->host, err) < 0)
		return -1;
	/* Without one, no host is known. */
	if (file_read_all(c->site->known_hosts, &h->text, err) < 0) {
		if (err->code != ERR_ABSENT)
			return err_wrap(err, "known_hosts");
		err_clear(err);
	}
	h->known = libssh2_knownhost_init(c->ssh);
	if (h->known == NULL)
		return err_nomem(err, "host keys");
	read_lines(h);
	if (prefer_known_types(h, err) < 0)
		return -1;
	*ret = h;
	h = NULL;
	return 0;
}

/* ---- judging ---- */

static const char *type_name(int type)
{
	switch (type) {
	case LIBSSH2_HOSTKEY_TYPE_RSA:
		return "RSA";
	case LIBSSH2_HOSTKEY_TYPE_ECDSA_256:
	case LIBSSH2_HOSTKEY_TYPE_ECDSA_384:
	case LIBSSH2_HOSTKEY_TYPE_ECDSA_521:
		return "ECDSA";
	case LIBSSH2_HOSTKEY_TYPE_ED25519:
		return "ED25519";
	default:
		return "unknown type";
	}
}

/* As ssh-keygen -l shows it: base64 without its padding. */
static void fingerprint(const struct sftp *c, char out[PRINT_BYTES])
{
	const char *hash = libssh2_hostkey_hash(c->ssh, LIBSSH2_HOSTKEY_HASH_SHA256);
	unsigned char text[64] = "";
	if (hash != NULL)
		EVP_EncodeBlock(text, (const unsigned char *)hash, 32);
	text[strcspn((const char *)text, "=")] = '\0';
	snprintf(out, PRINT_BYTES, "SHA256:%s", (const char *)text);
}

/* How the host is written in known_hosts. */
static void host_name(const struct sftp_hosts *h, char *out, size_t cap)
{
	unsigned port = h->c->site->at.port;
	snprintf(out, cap, port == 22 ? "%s" : "[%s]:%u", h->host, port);
}

/* How to get a line for it. */
static int hint_scan(const struct sftp_hosts *h, const char *before, struct err *err)
{
	return err_hint(err,
			"%sssh-keyscan -t ed25519,ecdsa -p %u %s >> '%s', after comparing what "
			"it prints with the key on the server.",
			before, (unsigned)h->c->site->at.port, h->host, h->c->site->known_hosts);
}

static int unknown(const struct sftp_hosts *h, const char *type, const char *print, struct err *err)
{
	const struct sftp_site *s = h->c->site;
	err_set(err, ERR_DENIED, "%s: its host key (%s, %s) is not in '%s'", s->server, type, print,
		s->known_hosts);
	return hint_scan(h, "", err);
}

static int changed(const struct sftp_hosts *h, const char *type, const char *print, struct err *err)
{
	const struct sftp_site *s = h->c->site;
	char name[300], before[ERR_HINT_BYTES];
	host_name(h, name, sizeof name);
	err_set(
	    err, ERR_DENIED,
	    "%s: its host key (%s, %s) is another than that in '%s': it was changed, or somebody "
	    "else answers",
	    s->server, type, print, s->known_hosts);
	snprintf(before, sizeof before,
		 "Ask who runs it. If it was changed: ssh-keygen -R '%s' -f '%s', then ", name,
		 s->known_hosts);
	return hint_scan(h, before, err);
}

/* Is that key in a line that says "@revoked", of whatever host? */
static int find_revoked(const struct sftp_hosts *h, const char *key, size_t len, bool *ret,
			struct err *err)
{
	CLEANUP(freep) char *base64 = NULL;
	const char *at = strstr(buf_text(&h->text), "@revoked");
	*ret = false;
	if (at == NULL)
		return 0;
	if (len > KEY_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "%s: its host key has %zu bytes", h->c->site->server,
			       len);
	base64 = mem_zalloc(len * 4 / 3 + 5, "host keys", err);
	if (base64 == NULL)
		return -1;
	EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)key, (int)len);
	for (; at != NULL && !*ret; at = strstr(at + 1, "@revoked")) {
		const char *found = strstr(at, base64);
		*ret = found != NULL && found < at + strcspn(at, "\n");
	}
	return 0;
}

int sftp_hosts_check(const struct sftp_hosts *h, struct err *err)
{
	size_t len = 0;
	int type = 0;
	bool revoked;
	char print[PRINT_BYTES];
	const char *key = libssh2_session_hostkey(h->c->ssh, &len, &type);
	if (key == NULL)
		return err_set(err, ERR_DENIED, "%s: it showed no host key", h->c->site->server);
	fingerprint(h->c, print);
	if (find_revoked(h, key, len, &revoked, err) < 0)
		return -1;
	if (revoked)
		return err_set(err, ERR_DENIED, "%s: its host key (%s, %s) is revoked in '%s'",
			       h->c->site->server, type_name(type), print, h->c->site->known_hosts);
	switch (ask(h, key, len, 0)) {
	case LIBSSH2_KNOWNHOST_CHECK_MATCH:
		return 0;
	case LIBSSH2_KNOWNHOST_CHECK_MISMATCH:
		return changed(h, type_name(type), print, err);
	case LIBSSH2_KNOWNHOST_CHECK_NOTFOUND:
		return unknown(h, type_name(type), print, err);
	default:
		return err_set(err, ERR_DENIED, "%s: its host key can't be looked up in '%s'",
			       h->c->site->server, h->c->site->known_hosts);
	}
}

int sftp_hosts_no_key(const struct sftp_hosts *h, struct err *err)
{
	const struct sftp_site *s = h->c->site;
	if (h->only_rsa)
		err_set(err, ERR_DENIED,
			"%s: '%s' knows its RSA host key alone, and libssh2 %s can't ask for that "
			"one as servers want it",
			s->server, s->known_hosts, libssh2_version(0));
	else
		err_set(err, ERR_DENIED,
			"%s: it has no host key of a type that '%s' has for it, or no cipher that "
			"libssh2 %s knows",
			s->server, s->known_hosts, libssh2_version(0));
	return hint_scan(h, "", err);
}
