/* Users and their passwords: Basic (RFC 7617) and Digest (RFC 7616), by libcurl. */
#include <string.h>
#include "base/flow/http_impl.h"
#include "base/secret.h"

int http_auth_open(struct http *h, const struct http_opts *opts, struct err *err)
{
	if (opts->user == NULL)
		return 0;
	h->auth =
	    opts->digest_only ? (long)CURLAUTH_DIGEST : (long)(CURLAUTH_DIGEST | CURLAUTH_BASIC);
	if (str_dup(opts->user, &h->user, err) < 0)
		return -1;
	return opts->password == NULL ? 0 : str_dup(opts->password, &h->password, err);
}

void http_auth_done(struct http *h)
{
	secret_wipe(h->user);
	secret_wipe(h->password);
}

int http_auth_apply(struct http_exchange *x)
{
	struct http *h = x->http;
	if (h->user == NULL)
		return 0;
	pthread_mutex_lock(&h->lock);
	x->auth = h->auth;
	pthread_mutex_unlock(&h->lock);
	const char *password = h->password != NULL ? h->password : "";
	bool ok = curl_easy_setopt(x->easy, CURLOPT_HTTPAUTH, x->auth) == CURLE_OK &&
		  curl_easy_setopt(x->easy, CURLOPT_USERNAME, h->user) == CURLE_OK &&
		  curl_easy_setopt(x->easy, CURLOPT_PASSWORD, password) == CURLE_OK;
	return ok ? 0 : -1;
}

bool http_auth_awaits(struct http_exchange *x)
{
	/* With Basic alone libcurl has sent all that it has. */
	if (x->answer.status != 401 || x->challenged || x->auth == 0 ||
	    x->auth == (long)CURLAUTH_BASIC)
		return false;
	x->challenged = true;
	return true;
}

void http_auth_learn(struct http_exchange *x)
{
	long offered = 0;
	/* libcurl has not tried: there is nothing that it could send. */
	if (x->challenged && x->answer.status == 401)
		x->head_done = true;
	if (!x->challenged || x->head_done == false || x->answer.status == 401 ||
	    curl_easy_getinfo(x->easy, CURLINFO_HTTPAUTH_AVAIL, &offered) != CURLE_OK)
		return;
	/* Basic costs no second request each time. */
	offered &= x->auth;
	long one = offered & (long)CURLAUTH_BASIC ? (long)CURLAUTH_BASIC : offered;
	if (one == 0)
		return;
	pthread_mutex_lock(&x->http->lock);
	x->http->auth = one;
	pthread_mutex_unlock(&x->http->lock);
}
