#include "storage/store/store_url.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/buf.h"

static void url_freep(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void text_freep(char **text)
{
	curl_free(*text);
}

/* Part of the url, or NULL where it has none. */
static int take_part(CURLU *url, CURLUPart part, unsigned flags, char **ret, struct err *err)
{
	CLEANUP(text_freep) char *text = NULL;
	CURLUcode rc = curl_url_get(url, part, &text, flags);
	if (rc == CURLUE_OUT_OF_MEMORY)
		return err_nomem(err, "a url");
	/* A decoded control character among others. */
	if (rc == CURLUE_URLDECODE)
		return err_set(err, ERR_CONFIG, "its url has a '%%' that stands for no character");
	return rc == CURLUE_OK ? str_dup(text, ret, err) : 0;
}

static int refuse_part(CURLU *url, CURLUPart part, const char *what, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	if (take_part(url, part, 0, &text, err) < 0)
		return -1;
	return text == NULL ? 0 : err_set(err, ERR_CONFIG, "its url has a %s", what);
}

static int read_parts(CURLU *url, struct store_url *u, uint16_t default_port, struct err *err)
{
	CLEANUP(freep) char *port = NULL;
	if (refuse_part(url, CURLUPART_PASSWORD, "password in it", err) < 0)
		return err_hint(err, "Anyone who may see the configuration's url could read it: "
				     "write it as password.");
	if (refuse_part(url, CURLUPART_QUERY, "'?'", err) < 0 ||
	    refuse_part(url, CURLUPART_FRAGMENT, "'#'", err) < 0)
		return err_hint(err, "In the name of a folder they are %%3F and %%23.");
	if (take_part(url, CURLUPART_USER, CURLU_URLDECODE, &u->user, err) < 0 ||
	    take_part(url, CURLUPART_HOST, 0, &u->host, err) < 0 ||
	    take_part(url, CURLUPART_PORT, 0, &port, err) < 0 ||
	    take_part(url, CURLUPART_PATH, CURLU_URLDECODE, &u->path, err) < 0)
		return -1;
	if (u->host == NULL)
		return err_set(err, ERR_CONFIG, "its url names no host");
	u->port = port != NULL ? (uint16_t)strtoul(port, NULL, 10) : default_port;
	if (u->path == NULL && str_dup("/", &u->path, err) < 0)
		return -1;
	size_t len = strlen(u->path);
	while (len > 1 && u->path[len - 1] == '/')
		u->path[--len] = '\0';
	return 0;
}

int store_url_parse(const char *url, uint16_t default_port, struct store_url *ret, struct err *err)
{
	CLEANUP(url_freep) CURLU *parsed = curl_url();
	CLEANUP(store_url_done) struct store_url u = {0};
	if (parsed == NULL)
		return err_nomem(err, "a url");
	/* libcurl would take the folder for the host. */
	const char *host = strstr(url, "://");
	if (host == NULL || host[3] == '/' || host[3] == '\0') {
		err_set(err, ERR_CONFIG, "its url names no host");
		return err_hint(err, "scheme://[user@]host[:port]/folder");
	}
	CURLUcode rc =
	    curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS);
	if (rc == CURLUE_OUT_OF_MEMORY)
		return err_nomem(err, "a url");
	if (rc != CURLUE_OK) {
		err_set(err, ERR_CONFIG, "its url is none: %s", curl_url_strerror(rc));
		return err_hint(err, "scheme://[user@]host[:port]/folder");
	}
	if (read_parts(parsed, &u, default_port, err) < 0)
		return -1;
	*ret = u;
	u = (struct store_url){0};
	return 0;
}

void store_url_done(struct store_url *u)
{
	free(u->user);
	free(u->host);
	free(u->path);
	*u = (struct store_url){0};
}

bool store_url_is_loopback(const struct store_url *u)
{
	return strcasecmp(u->host, "localhost") == 0 || strcmp(u->host, "[::1]") == 0 ||
	       (strncmp(u->host, "127.", 4) == 0 &&
		strspn(u->host, "0123456789.") == strlen(u->host));
}
