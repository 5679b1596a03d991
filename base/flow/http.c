#include "base/flow/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/flow/http_impl.h"
#include "base/secret.h"

static int dup_if(const char *text, char **ret, struct err *err)
{
	return text == NULL ? 0 : str_dup(text, ret, err);
}

int http_open(const struct http_opts *opts, struct http **ret, struct err *err)
{
	struct http *h = mem_zalloc(sizeof *h, "an HTTP client", err);
	if (h == NULL)
		return -1;
	/* Counted by libcurl, and safe in threads. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h);
		return err_nomem(err, "an HTTP client");
	}
	h->connect_timeout_ms =
	    opts->connect_timeout_ms > 0 ? opts->connect_timeout_ms : HTTP_CONNECT_DEFAULT_MS;
	pthread_mutex_init(&h->lock, NULL);
	if (dup_if(opts->unix_socket, &h->unix_socket, err) < 0 ||
	    dup_if(opts->ca_file, &h->ca_file, err) < 0 ||
	    dup_if(opts->cert_file, &h->cert_file, err) < 0 ||
	    dup_if(opts->key_file, &h->key_file, err) < 0 ||
	    dup_if(opts->proxy, &h->proxy, err) < 0 || http_auth_open(h, opts, err) < 0) {
		http_free(h);
		return -1;
	}
	*ret = h;
	return 0;
}

void http_free(struct http *h)
{
	if (h == NULL)
		return;
	while (h->idle_count > 0)
		curl_multi_cleanup(h->idle[--h->idle_count]);
	pthread_mutex_destroy(&h->lock);
	free(h->unix_socket);
	free(h->ca_file);
	free(h->cert_file);
	free(h->key_file);
	secret_wipe(h->proxy);
	http_auth_done(h);
	free(h);
	curl_global_cleanup();
}

CURLM *http_pool_take(struct http *h)
{
	CURLM *multi = NULL;
	pthread_mutex_lock(&h->lock);
	if (h->idle_count > 0)
		multi = h->idle[--h->idle_count];
	pthread_mutex_unlock(&h->lock);
	if (multi != NULL)
		return multi;
	multi = curl_multi_init();
	if (multi != NULL)
		curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 1L);
	return multi;
}

void http_pool_give(struct http *h, CURLM *multi)
{
	/* The one that was called so far is about to go. */
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, NULL);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, NULL);
	pthread_mutex_lock(&h->lock);
	if (h->idle_count < HTTP_IDLE_MAX) {
		h->idle[h->idle_count++] = multi;
		multi = NULL;
	}
	pthread_mutex_unlock(&h->lock);
	if (multi != NULL)
		curl_multi_cleanup(multi);
}

void http_response_done(struct http_response *r)
{
	strlist_done(&r->headers);
	buf_done(&r->body);
	r->status = 0;
}

const char *http_header(const struct http_response *r, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < r->headers.count; i++) {
		const char *line = r->headers.items[i];
		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			line += len + 1;
			return line + strspn(line, " \t");
		}
	}
	return NULL;
}

bool http_date(const char *text, int64_t *ret_ms)
{
	const time_t year_10000 = 253402300800;
	time_t at = curl_getdate(text, NULL);
	if (at < 0 || at >= year_10000)
		return false;
	*ret_ms = (int64_t)at * 1000;
	return true;
}

int64_t http_retry_after_ms(const struct http_response *r)
{
	const char *text = http_header(r, "Retry-After");
	char *end = NULL;
	if (text == NULL)
		return 0;
	long seconds = strtol(text, &end, 10);
	if (end == text || *end != '\0') {
		int64_t at;
		seconds = http_date(text, &at) ? (long)((at - clock_wall_ms()) / 1000) : 0;
	}
	return seconds <= 0 ? 0 : seconds > INT32_MAX ? INT64_C(1000) * INT32_MAX : seconds * 1000;
}

int http_call(struct http *h, const struct http_request *q, struct http_response *ret,
	      struct err *err)
{
	*ret = (struct http_response){.body.max = HTTP_BODY_MAX};
	CLEANUP(http_exchange_freep) struct http_exchange *x = NULL;
	if (http_exchange_new(h, q, HTTP_UPLOAD_MEMORY, 0, &x, err) < 0 ||
	    http_exchange_finish(x, err) < 0)
		return -1;
	*ret = x->answer;
	x->answer = (struct http_response){0};
	return 0;
}

int http_escape(struct buf *b, const char *text, struct err *err)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";
	size_t before = b->len;
	for (; *text != '\0'; text++) {
		bool as_is = strchr(plain, *text) != NULL;
		if ((as_is ? buf_append(b, text, 1, err)
			   : buf_printf(b, err, "%%%02X", (unsigned char)*text)) < 0) {
			buf_cut(b, before);
			return -1;
		}
	}
	return 0;
}
