#include "stack/redis/redis_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/buf.h"

struct redis_tls {
	int fd;
	const char *name; /* the wire's */
	SSL_CTX *ctx;
	SSL *ssl;
	BIO_METHOD *method;
};

/* ---- the socket as OpenSSL sees it: as its own, but a peer that is gone raises no SIGPIPE ---- */

static int bio_fd(BIO *b)
{
	return ((struct redis_tls *)BIO_get_data(b))->fd;
}

static int bio_write(BIO *b, const char *data, int len)
{
	BIO_clear_retry_flags(b);
	ssize_t n = send(bio_fd(b), data, (size_t)len, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(b);
	return (int)n;
}

static int bio_read(BIO *b, char *buf, int cap)
{
	BIO_clear_retry_flags(b);
	ssize_t n = recv(bio_fd(b), buf, (size_t)cap, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(b);
	return (int)n;
}

static long bio_ctrl(BIO *b, int command, long number, void *pointer)
{
	(void)b, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO *make_bio(struct redis_tls *t)
{
	t->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "redis");
	if (t->method == NULL || BIO_meth_set_write(t->method, bio_write) != 1 ||
	    BIO_meth_set_read(t->method, bio_read) != 1 ||
	    BIO_meth_set_ctrl(t->method, bio_ctrl) != 1)
		return NULL;
	BIO *b = BIO_new(t->method);
	if (b != NULL) {
		BIO_set_data(b, t);
		BIO_set_init(b, 1);
	}
	return b;
}

/* ---- errors ---- */

/* What OpenSSL says about the last failure; its queue is emptied. */
static const char *reason(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
	ERR_clear_error();
	return text != NULL ? text : "the connection broke";
}

static int bad_file(const char *what, const char *path, struct err *err)
{
	return err_set(err, ERR_CONFIG, "can't use the %s '%s' of the url of Redis: %s", what, path,
		       reason());
}

static int failed(struct redis_tls *t, struct err *err)
{
	long verdict = SSL_get_verify_result(t->ssl);
	if (verdict != X509_V_OK && SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE) {
		ERR_clear_error();
		err_set(err, ERR_UNREACHABLE, "the certificate of Redis at '%s' is not trusted: %s",
			t->name, X509_verify_cert_error_string(verdict));
		return err_hint(err, "Name its authority with rediss://…?cacert=FILE, or trust "
				     "anybody with verify=no.");
	}
	const char *why = reason();
	err_set(err, ERR_UNREACHABLE, "TLS with Redis at '%s' failed: %s", t->name, why);
	if (strstr(why, "certificate required") != NULL || strstr(why, "handshake failure") != NULL)
		err_hint(err, "The server may ask for a certificate of ours: "
			      "rediss://…?cert=FILE&key=FILE.");
	else if (strstr(why, "wrong version number") != NULL ||
		 strstr(why, "packet length too long") != NULL)
		err_hint(err, "This port may not speak TLS: try redis:// instead of rediss://.");
	return -1;
}

/* ---- opening ---- */

/* An encrypted key would make OpenSSL ask on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf, (void)size, (void)writing, (void)ctx;
	return -1;
}

static int load_files(SSL_CTX *ctx, const struct redis_url *url, struct err *err)
{
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (url->no_verify)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	else
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (url->cacert != NULL && SSL_CTX_load_verify_file(ctx, url->cacert) != 1)
		return bad_file("cacert", url->cacert, err);
	if (url->cacert == NULL && !url->no_verify && SSL_CTX_set_default_verify_paths(ctx) != 1)
		return bad_file("authorities", "of the system", err);
	if (url->cert != NULL && SSL_CTX_use_certificate_chain_file(ctx, url->cert) != 1)
		return bad_file("cert", url->cert, err);
	if (url->key != NULL && SSL_CTX_use_PrivateKey_file(ctx, url->key, SSL_FILETYPE_PEM) != 1)
		return bad_file("key", url->key, err);
	return 0;
}

/* Which name the certificate must be good for. */
static int expect_host(SSL *ssl, char *host)
{
	unsigned char address[sizeof(struct in6_addr)];
	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

/* After a call that gave `rc`: waits for what it wants. 0: call again. 1: the peer closed. */
static int wait_for_more(struct redis_tls *t, int rc, struct deadline d, struct err *err)
{
	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return wait_fd(t->fd, POLLIN, d, err);
	case SSL_ERROR_WANT_WRITE:
		return wait_fd(t->fd, POLLOUT, d, err);
	case SSL_ERROR_ZERO_RETURN:
		return 1;
	case SSL_ERROR_SYSCALL:
		if (ERR_peek_error() == 0)
			return 1;
		return failed(t, err);
	default:
		/* A peer that just closes, without the goodbye of TLS, is a close like any other:
		 * whoever reads knows how much was promised. */
		if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
			ERR_clear_error();
			return 1;
		}
		return failed(t, err);
	}
}

static int handshake(struct redis_tls *t, struct deadline d, struct err *err)
{
	for (;;) {
		ERR_clear_error();
		int rc = SSL_connect(t->ssl);
		if (rc == 1)
			return 0;
		rc = wait_for_more(t, rc, d, err);
		if (rc < 0)
			return -1;
		if (rc == 1)
			return err_set(err, ERR_UNREACHABLE,
				       "Redis at '%s' closed the connection instead of TLS",
				       t->name);
	}
}

static int set_up(struct redis_tls *t, const struct redis_url *url, struct deadline d,
		  struct err *err)
{
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (t->ctx == NULL || SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) != 1)
		return err_set(err, ERR_FAILED, "OpenSSL: %s", reason());
	if (load_files(t->ctx, url, err) < 0)
		return -1;
	t->ssl = SSL_new(t->ctx);
	BIO *b = t->ssl != NULL ? make_bio(t) : NULL;
	if (b == NULL)
		return err_set(err, ERR_FAILED, "OpenSSL: %s", reason());
	SSL_set_bio(t->ssl, b, b);
	if (expect_host(t->ssl, url->host) != 1)
		return err_set(err, ERR_FAILED, "OpenSSL: %s", reason());
	return handshake(t, d, err);
}

int redis_tls_open(int fd, const struct redis_url *url, const char *name, struct deadline d,
		   struct redis_tls **ret, struct err *err)
{
	struct redis_tls *t = mem_zalloc(sizeof *t, "TLS", err);
	if (t == NULL)
		return -1;
	t->fd = fd;
	t->name = name;
	if (set_up(t, url, d, err) < 0) {
		redis_tls_free(t);
		return -1;
	}
	*ret = t;
	return 0;
}

void redis_tls_free(struct redis_tls *t)
{
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	BIO_meth_free(t->method);
	free(t);
}

/* ---- bytes ---- */

/* It takes no more of ours; it may have said why before it left. */
static int peer_gone(struct redis_tls *t, struct err *err)
{
	char last;
	ERR_clear_error();
	if (SSL_read(t->ssl, &last, 1) <= 0 && ERR_peek_last_error() != 0)
		return failed(t, err);
	return err_set(err, ERR_UNREACHABLE, "Redis at '%s' closed the connection", t->name);
}

int redis_tls_write(struct redis_tls *t, const void *data, size_t len, struct deadline d,
		    struct err *err)
{
	const uint8_t *p = data;
	while (len > 0) {
		ERR_clear_error();
		int rc = SSL_write(t->ssl, p, len < INT_MAX ? (int)len : INT_MAX);
		if (rc > 0) {
			p += rc;
			len -= (size_t)rc;
			continue;
		}
		rc = wait_for_more(t, rc, d, err);
		if (rc < 0)
			return -1;
		if (rc == 1)
			return peer_gone(t, err);
	}
	return 0;
}

int redis_tls_read(struct redis_tls *t, void *buf, size_t cap, size_t *ret_n, struct deadline d,
		   struct err *err)
{
	for (;;) {
		ERR_clear_error();
		int rc = SSL_read(t->ssl, buf, cap < INT_MAX ? (int)cap : INT_MAX);
		if (rc > 0) {
			*ret_n = (size_t)rc;
			return 0;
		}
		rc = wait_for_more(t, rc, d, err);
		if (rc < 0)
			return -1;
		if (rc == 1) {
			*ret_n = 0;
			return 0;
		}
	}
}
