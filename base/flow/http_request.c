#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/flow/http_impl.h"

/* ---- what is asked for ---- */

/* A token (RFC 9110, 5.6.2) of `len` bytes. */
static bool is_token(const char *text, size_t len)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			  (c >= 'a' && c <= 'z') || (c != '\0' && strchr(marks, c) != NULL);
		if (!ok)
			return false;
	}
	return len > 0;
}

static bool has_controls(const char *text)
{
	for (; *text != '\0'; text++)
		if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
			return true;
	return false;
}

/* A line feed in a header would be a header more. */
static int check_request(const struct http_request *q, struct err *err)
{
	if (strncasecmp(q->url, "http://", 7) != 0 && strncasecmp(q->url, "https://", 8) != 0)
		return err_set(err, ERR_CONFIG, "a url must begin with http:// or https://");
	if (has_controls(q->url) || strchr(q->url, '\t') != NULL || strchr(q->url, ' ') != NULL)
		return err_set(err, ERR_CONFIG, "a url has a space or a control character");
	if (!is_token(q->method, strlen(q->method)))
		return err_set(err, ERR_CONFIG, "'%.40s' is no method of HTTP", q->method);
	for (size_t i = 0; q->headers != NULL && q->headers[i] != NULL; i++) {
		const char *line = q->headers[i];
		const char *colon = strchr(line, ':');
		if (colon == NULL || !is_token(line, (size_t)(colon - line)) || has_controls(line))
			return err_set(err, ERR_CONFIG, "'%.40s' is no header of HTTP",
				       colon != NULL ? "" : line);
	}
	return 0;
}

int http_request_name(const struct http_request *q, char **ret, struct err *err)
{
	if (check_request(q, err) < 0)
		return -1;
	const char *host = strstr(q->url, "://") + 3;
	size_t scheme_len = (size_t)(host - q->url);
	size_t host_len = strcspn(host, "/?#");
	/* The last one: a password may have more of them. */
	for (size_t i = host_len; i > 0; i--)
		if (host[i - 1] == '@') {
			host += i;
			break;
		}
	return str_printf(ret, err, "%s '%.*s%.*s'", q->method, (int)scheme_len, q->url,
			  (int)strcspn(host, "?#"), host);
}

bool http_request_has(const struct http_request *q, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; q->headers != NULL && q->headers[i] != NULL; i++)
		if (strncasecmp(q->headers[i], name, len) == 0 && q->headers[i][len] == ':')
			return true;
	return false;
}

/* ---- in libcurl's words ---- */

/* libcurl takes "Name:" for "without that header", and "Name;" for one that is empty. */
static int push_header(struct http_exchange *x, const char *line)
{
	char *empty = NULL;
	struct err err = ERR_INIT;
	const char *colon = strchr(line, ':');
	if (colon[1 + strspn(colon + 1, " \t")] == '\0') {
		if (str_printf(&empty, &err, "%.*s;", (int)(colon - line), line) < 0)
			return -1;
		line = empty;
	}
	struct curl_slist *longer = curl_slist_append(x->headers, line);
	free(empty);
	if (longer == NULL)
		return -1;
	x->headers = longer;
	return 0;
}

static int set_headers(struct http_exchange *x, const struct http_request *q)
{
	for (size_t i = 0; q->headers != NULL && q->headers[i] != NULL; i++)
		if (push_header(x, q->headers[i]) < 0)
			return -1;
	/* Else libcurl calls every body a form. */
	if (!http_request_has(q, "Content-Type")) {
		struct curl_slist *longer = curl_slist_append(x->headers, "Content-Type:");
		if (longer == NULL)
			return -1;
		x->headers = longer;
	}
	return curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers) == CURLE_OK ? 0 : -1;
}

static void set_text(struct http_exchange *x, CURLoption option, const char *text)
{
	CURLcode rc = curl_easy_setopt(x->easy, option, text);
	if (rc != CURLE_OK && x->rc == CURLE_OK)
		x->rc = rc;
}

static void set_long(struct http_exchange *x, CURLoption option, long value)
{
	CURLcode rc = curl_easy_setopt(x->easy, option, value);
	if (rc != CURLE_OK && x->rc == CURLE_OK)
		x->rc = rc;
}

static void set_connection(struct http_exchange *x)
{
	const struct http *h = x->http;
	int64_t ms = h->connect_timeout_ms;
	set_text(x, CURLOPT_PROTOCOLS_STR, "http,https");
	set_long(x, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	set_long(x, CURLOPT_NOSIGNAL, 1);
	/* A cancelled job does not wait for a name server. */
	set_long(x, CURLOPT_QUICK_EXIT, 1);
	set_long(x, CURLOPT_TCP_KEEPALIVE, 1);
	set_long(x, CURLOPT_CONNECTTIMEOUT_MS, ms > INT32_MAX ? INT32_MAX : (long)ms);
	set_long(x, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
	set_long(x, CURLOPT_PATH_AS_IS, 1);
	set_long(x, CURLOPT_BUFFERSIZE, 128 << 10);
	set_text(x, CURLOPT_USERAGENT, "lifeboat/" LIFEBOAT_VERSION);
	if (h->proxy != NULL)
		set_text(x, CURLOPT_PROXY, h->proxy);
	if (h->unix_socket != NULL) {
		set_text(x, CURLOPT_UNIX_SOCKET_PATH, h->unix_socket);
		set_text(x, CURLOPT_PROXY, "");
	}
	if (h->ca_file != NULL) {
		set_text(x, CURLOPT_CAINFO, h->ca_file);
		set_text(x, CURLOPT_CAPATH, NULL);
	}
	if (h->cert_file != NULL)
		set_text(x, CURLOPT_SSLCERT, h->cert_file);
	if (h->key_file != NULL)
		set_text(x, CURLOPT_SSLKEY, h->key_file);
}

/* May be sent twice without harm (RFC 9110, 9.2.2): libcurl sends again where a kept connection
 * turns out to be dead. */
static bool is_idempotent(const char *method)
{
	static const char *const some[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND"};
	for (size_t i = 0; i < sizeof some / sizeof *some; i++)
		if (strcmp(method, some[i]) == 0)
			return true;
	return false;
}

static void set_request(struct http_exchange *x, const struct http_request *q,
			enum http_upload upload, uint64_t length)
{
	const char *m = q->method;
	CURLcode rc = CURLE_OK;
	set_text(x, CURLOPT_URL, q->url);
	if (upload == HTTP_UPLOAD_CONNECT) {
		set_long(x, CURLOPT_CONNECT_ONLY, 1);
		/* What goes through a proxy must not be touched by it. */
		set_long(x, CURLOPT_HTTPPROXYTUNNEL, 1);
		set_long(x, CURLOPT_FRESH_CONNECT, 1);
		x->taken_over = true;
		return;
	}
	if (upload == HTTP_UPLOAD_STREAM) {
		set_long(x, CURLOPT_UPLOAD, 1);
		set_long(x, CURLOPT_UPLOAD_BUFFERSIZE, 512 << 10);
		rc = curl_easy_setopt(x->easy, CURLOPT_INFILESIZE_LARGE,
				      length == UINT64_MAX ? (curl_off_t)-1 : (curl_off_t)length);
	} else if (q->body != NULL || strcmp(m, "POST") == 0 || strcmp(m, "PUT") == 0 ||
		   strcmp(m, "PATCH") == 0) {
		rc = curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE,
				      (curl_off_t)(q->body != NULL ? q->body_bytes : 0));
		CURLoption how =
		    upload == HTTP_UPLOAD_COPY ? CURLOPT_COPYPOSTFIELDS : CURLOPT_POSTFIELDS;
		if (rc == CURLE_OK)
			rc = curl_easy_setopt(x->easy, how, q->body != NULL ? q->body : "");
		set_long(x, CURLOPT_UPLOAD_BUFFERSIZE, 512 << 10);
	} else if (strcmp(m, "HEAD") == 0) {
		set_long(x, CURLOPT_NOBODY, 1);
		x->bodiless = true;
	}
	if (rc != CURLE_OK && x->rc == CURLE_OK)
		x->rc = rc;
	if (!x->bodiless)
		set_text(x, CURLOPT_CUSTOMREQUEST, m);
	if (upload == HTTP_UPLOAD_STREAM || !is_idempotent(m))
		set_long(x, CURLOPT_FRESH_CONNECT, 1);
}

int http_request_apply(struct http_exchange *x, const struct http_request *q,
		       enum http_upload upload, uint64_t length, struct err *err)
{
	x->open_ended = q->open_ended;
	set_connection(x);
	set_request(x, q, upload, length);
	if (http_auth_apply(x) < 0)
		return err_nomem(err, "a request");
	if (x->rc != CURLE_OK)
		return http_exchange_error(x, err);
	return set_headers(x, q) < 0 ? err_nomem(err, "a request") : 0;
}
