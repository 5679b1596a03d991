#include <string.h>
#include "base/flow/http_impl.h"

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
