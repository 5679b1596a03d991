#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/flow/http_impl.h"

/* NULL: the connection is plain. */
static SSL *tls_of(const struct http_pipe *p)
{
	struct curl_tlssessioninfo *info = NULL;
	if (curl_easy_getinfo(p->x->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK ||
	    info == NULL || info->backend != CURLSSLBACKEND_OPENSSL)
		return NULL;
	return info->internals;
}

void http_pipe_begin(struct http_pipe *p)
{
	SSL *ssl = tls_of(p);
	if (ssl == NULL)
		return;
	/* What could not be sent may come again from another place. */
	SSL_set_mode(ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
	/* One that breaks off is not to look like one that ends. */
	SSL_clear_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
}

/* A Unix socket that was closed before all that we sent was read: it says "reset", but unlike TCP
 * it does so behind the last byte of the other side (unix(7)). */
static bool closed_on_us(const struct http_pipe *p)
{
	long number = 0;
	return p->x->http->unix_socket != NULL &&
	       curl_easy_getinfo(p->x->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK &&
	       number == ECONNRESET;
}

int http_pipe_recv(struct http_pipe *p, void *buf, size_t cap, size_t *ret_n, bool *ret_end,
		   struct err *err)
{
	size_t n = 0;
	p->x->said[0] = '\0';
	p->x->rc = curl_easy_recv(p->x->easy, buf, cap, &n);
	if (p->x->rc == CURLE_RECV_ERROR && closed_on_us(p))
		p->x->rc = CURLE_OK;
	if (p->x->rc == CURLE_AGAIN)
		n = 0;
	else if (p->x->rc != CURLE_OK)
		return http_exchange_error(p->x, err);
	bool end = p->x->rc == CURLE_OK && n == 0;
	SSL *ssl = end ? tls_of(p) : NULL;
	/* libcurl takes a connection that breaks off for one that ends. */
	if (ssl != NULL && !(SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN)) {
		p->x->rc = CURLE_RECV_ERROR;
		snprintf(p->x->said, sizeof p->x->said, "the TLS connection broke off");
		return http_exchange_error(p->x, err);
	}
	*ret_end = end;
	*ret_n = n;
	return 0;
}

int http_pipe_send(struct http_pipe *p, const void *data, size_t len, size_t *ret_n,
		   struct err *err)
{
	size_t n = 0;
	p->x->said[0] = '\0';
	p->x->rc = curl_easy_send(p->x->easy, data, len, &n);
	if (p->x->rc == CURLE_SEND_ERROR)
		return err_set(err, ERR_CLOSED, "%s: the other side takes no more", p->x->name);
	if (p->x->rc != CURLE_OK && p->x->rc != CURLE_AGAIN)
		return http_exchange_error(p->x, err);
	*ret_n = p->x->rc == CURLE_OK ? n : 0;
	return 0;
}

int http_pipe_wait(struct http_pipe *p, short events, struct deadline d, struct err *err)
{
	if (wait_fd(p->fd, events, d, err) < 0)
		return err_wrap(err, "%s", p->x->name);
	return 0;
}

/* ---- the pipe ---- */

static int move_once(struct http_pipe *p, const void *data, size_t len, size_t *sent, void *buf,
		     size_t cap, size_t *got, struct err *err)
{
	bool ended = p->ended;
	if (cap > 0 && p->early_at < p->early.len) {
		*got = p->early.len - p->early_at < cap ? p->early.len - p->early_at : cap;
		memcpy(buf, p->early.data + p->early_at, *got);
		p->early_at += *got;
		if (p->early_at == p->early.len) {
			buf_done(&p->early);
			p->early_at = 0;
		}
	} else if (cap > 0 && !p->ended) {
		if (http_pipe_recv(p, buf, cap, got, &p->ended, err) < 0)
			return -1;
	}
	if (len == 0)
		return 0;
	struct err why = ERR_INIT;
	if (http_pipe_send(p, data, len, sent, &why) == 0)
		return 0;
	/* Its last words first; and they may have come between the two. */
	if (cap > 0 && *got == 0 && !p->ended &&
	    http_pipe_recv(p, buf, cap, got, &p->ended, err) < 0)
		return -1;
	if (*got > 0 || p->ended != ended)
		return 0;
	*err = why;
	return -1;
}

int http_pipe_move(struct http_pipe *p, const void *data, size_t len, size_t *ret_sent, void *buf,
		   size_t cap, size_t *ret_got, bool *ret_end, struct deadline d, struct err *err)
{
	size_t sent = 0, got = 0;
	bool ended = p->ended;
	for (;;) {
		if (cancel_check(err) < 0)
			return err_wrap(err, "%s", p->x->name);
		if (move_once(p, data, len, &sent, buf, cap, &got, err) < 0)
			return -1;
		bool receives = cap > 0 && !p->ended;
		if (sent > 0 || got > 0 || p->ended != ended || (len == 0 && !receives))
			break;
		short events = (short)((receives ? POLLIN : 0) | (len > 0 ? POLLOUT : 0));
		if (http_pipe_wait(p, events, d, err) < 0)
			return -1;
	}
	*ret_sent = sent;
	*ret_got = got;
	*ret_end = p->ended && p->early_at == p->early.len;
	return 0;
}

int http_pipe_shut(struct http_pipe *p, struct err *err)
{
	SSL *ssl = tls_of(p);
	if (ssl != NULL) {
		/* The alert "close_notify", which does not wait for that of the other side. */
		if (SSL_shutdown(ssl) < 0 && SSL_get_shutdown(ssl) == 0)
			return err_set(err, ERR_IO, "%s: no end could be sent", p->x->name);
		return 0;
	}
	if (shutdown(p->fd, SHUT_WR) < 0 && errno != ENOTCONN)
		return err_sys(err, ERR_IO, errno, "%s: shutdown", p->x->name);
	return 0;
}

void http_pipe_free(struct http_pipe *p)
{
	if (p == NULL)
		return;
	http_exchange_free(p->x);
	buf_done(&p->early);
	free(p);
}
