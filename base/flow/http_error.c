#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/flow/http_impl.h"

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

static int connect_error(const struct http_exchange *x, struct err *err)
{
	long number = 0;
	curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &number);
	if (x->http->unix_socket != NULL && number > 0)
		err_set_sys(err, ERR_UNREACHABLE, (int)number, "%s: can't connect to '%s'", x->name,
			    x->http->unix_socket);
	else
		err_set_message(err, ERR_UNREACHABLE, "%s: %s", x->name,
				x->said[0] != '\0' ? x->said : curl_easy_strerror(x->rc));
	err->sys_errno = (int)number;
	err->retryable = true;
	return -1;
}

/* It was there, and it broke. */
static int broken_error(const struct http_exchange *x, const char *reason, struct err *err)
{
	/* With TLS 1.3 a refusal of our certificate comes when the handshake is over. */
	if (strstr(reason, "alert") != NULL && strstr(reason, "certificate") != NULL)
		return err_set(err, ERR_DENIED, "%s: %s", x->name, reason);
	if (x->head_done)
		err_set_message(err, ERR_CORRUPT, "%s: the answer was cut: %s", x->name, reason);
	else
		err_set_message(err, ERR_UNREACHABLE, "%s: no answer: %s", x->name, reason);
	err->retryable = true;
	return -1;
}

static int tls_file_error(const struct http_exchange *x, const char *reason, struct err *err)
{
	const struct http *h = x->http;
	const char *ca = h->ca_file != NULL ? h->ca_file : "the system's";
	if (x->rc == CURLE_SSL_CACERT_BADFILE)
		return err_set(err, ERR_CONFIG, "%s: CA certificates '%s': %s", x->name, ca,
			       reason);
	return err_set(err, ERR_CONFIG, "%s: client certificate '%s', key '%s': %s", x->name,
		       h->cert_file != NULL ? h->cert_file : "",
		       h->key_file != NULL ? h->key_file : "", reason);
}

int http_exchange_error(const struct http_exchange *x, struct err *err)
{
	const char *reason = x->said[0] != '\0' ? x->said : curl_easy_strerror(x->rc);
	if (x->why.code != ERR_NONE) {
		*err = x->why;
		return err_wrap(err, "%s", x->name);
	}
	switch ((int)x->rc) {
	case CURLE_OUT_OF_MEMORY:
		/* libcurl says the same of a line that is longer than it takes. */
		return err_set(err, ERR_NOMEM,
			       "%s: out of memory, or the answer's head has a line of 100 KB",
			       x->name);
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_PROXY:
	case CURLE_OPERATION_TIMEDOUT: /* of connecting: it has no other limit */
		return connect_error(x, err);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return err_set(err, ERR_DENIED, "%s: %s", x->name, reason);
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		return tls_file_error(x, reason, err);
	case CURLE_URL_MALFORMAT:
		return err_set(err, ERR_CONFIG, "%s: %s", x->name, reason);
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_SSL_CONNECT_ERROR:
		return broken_error(x, reason, err);
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL: /* what came is HTTP/0.9, or no HTTP */
	case CURLE_BAD_CONTENT_ENCODING:
		return err_set(err, ERR_CORRUPT, "%s: not an answer of HTTP/1.1: %s", x->name,
			       reason);
	default:
		return err_set(err, ERR_FAILED, "%s: %s", x->name, reason);
	}
}
