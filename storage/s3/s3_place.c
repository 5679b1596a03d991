#include "storage/s3/s3_place.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_made_of(const char *text, const char *more)
{
	for (; *text != '\0'; text++) {
		char c = *text;
		bool plain =
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!plain && strchr(more, c) == NULL)
			return false;
	}
	return true;
}

/* AWS wants lower case and no "_"; older buckets and other servers have them. */
static int take_bucket(struct s3 *s, const char *url, struct err *err)
{
	const char *bucket = url + strlen("s3://");
	size_t len = strcspn(bucket, "/");
	if (str_dupn(bucket, len, &s->bucket, err) < 0)
		return -1;
	if (len >= 3 && len <= 63 && s->bucket[0] != '.' && is_made_of(s->bucket, ".-_"))
		return 0;
	err_set(err, ERR_CONFIG, "'%s' names no bucket", url);
	return err_hint(err, "It is written as s3://bucket or s3://bucket/prefix; the host is the "
			     "store's endpoint.");
}

/* "", or "a/b/" without slashes at the beginning. */
static int take_prefix(struct s3 *s, const char *url, struct err *err)
{
	const char *path = url + strlen("s3://") + strlen(s->bucket);
	path += strspn(path, "/");
	size_t len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		len--;
	if (len > 512)
		return err_set(err, ERR_CONFIG, "the prefix in '%.80s…' is longer than 512 bytes",
			       url);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f || path[i] == '?' ||
		    path[i] == '#')
			return err_set(err, ERR_CONFIG,
				       "the prefix in '%s' has a character that can't be there",
				       url);
	return str_printf(&s->prefix, err, "%.*s%s", (int)len, path, len > 0 ? "/" : "");
}

static int endpoint_error(const char *endpoint, const char *why, struct err *err)
{
	/* What has an "@" may have a password before it. */
	err_set(err, ERR_CONFIG, "endpoint '%s' %s", strchr(endpoint, '@') != NULL ? "…" : endpoint,
		why);
	return err_hint(err, "It is written as https://host or https://host:port.");
}

/* The host and port of the endpoint, without a port that goes without saying. */
static int take_endpoint(const struct store_opts *o, const char *region, bool *ret_plain,
			 char **ret_host, struct err *err)
{
	*ret_plain = false;
	if (o->endpoint == NULL || o->endpoint[0] == '\0')
		return str_printf(ret_host, err, "s3.%s.amazonaws.com", region);
	const char *e = o->endpoint;
	*ret_plain = strncasecmp(e, "http://", 7) == 0;
	if (!*ret_plain && strncasecmp(e, "https://", 8) != 0)
		return endpoint_error(e, "does not begin with https:// or http://", err);
	const char *host = strstr(e, "://") + 3;
	size_t len = strcspn(host, "/");
	if (memchr(host, '@', len) != NULL)
		return endpoint_error(e, "has a user in it: keys are options of their own", err);
	if (len == 0 || host[len + strspn(host + len, "/")] != '\0')
		return endpoint_error(e, "is more than a host", err);
	const char *port = *ret_plain ? ":80" : ":443";
	size_t port_len = strlen(port);
	if (len > port_len && memcmp(host + len - port_len, port, port_len) == 0)
		len -= port_len;
	if (str_dupn(host, len, ret_host, err) < 0)
		return -1;
	return is_made_of(*ret_host, ".-_:[]") ? 0 : endpoint_error(e, "is no host", err);
}

/* Does the host name the bucket? */
static int is_virtual(const struct s3 *s, const struct store_opts *o, bool *ret, struct err *err)
{
	bool own = o->endpoint != NULL && o->endpoint[0] != '\0';
	const char *how = o->addressing;
	if (how == NULL || how[0] == '\0')
		/* No certificate covers two names deep. */
		*ret = !own && strchr(s->bucket, '.') == NULL;
	else if (strcmp(how, "path") == 0 || strcmp(how, "virtual") == 0)
		*ret = how[0] == 'v';
	else
		return err_set(err, ERR_CONFIG, "addressing is '%s', and not path or virtual", how);
	return 0;
}

int s3_place(struct s3 *s, const struct store_opts *o, char **ret_where, struct err *err)
{
	CLEANUP(freep) char *host = NULL;
	bool in_host = false;
	const char *region = o->region != NULL && o->region[0] != '\0' ? o->region : "us-east-1";
	if (!is_made_of(region, "-_."))
		return err_set(err, ERR_CONFIG, "region '%s' is none", region);
	if (str_dup(region, &s->region, err) < 0 || take_bucket(s, o->url, err) < 0 ||
	    take_prefix(s, o->url, err) < 0 ||
	    take_endpoint(o, region, &s->is_plain, &host, err) < 0 ||
	    is_virtual(s, o, &in_host, err) < 0)
		return -1;
	if (str_printf(&s->host, err, "%s%s%s", in_host ? s->bucket : "", in_host ? "." : "",
		       host) < 0 ||
	    str_printf(&s->base, err, "%s://%s", s->is_plain ? "http" : "https", s->host) < 0 ||
	    str_printf(&s->root, err, "%s%s", in_host ? "" : "/", in_host ? "" : s->bucket) < 0)
		return -1;
	bool own = o->endpoint != NULL && o->endpoint[0] != '\0';
	/* Without the slash behind it: messages show a folder. */
	size_t prefix = strlen(s->prefix);
	return str_printf(ret_where, err, "s3://%s%s%.*s%s%s", s->bucket, prefix > 0 ? "/" : "",
			  (int)(prefix > 0 ? prefix - 1 : 0), s->prefix, own ? " at " : "",
			  own ? host : "");
}
