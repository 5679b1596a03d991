#include "storage/webdav/webdav.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PORT_PLAIN = 80, PORT_TLS = 443, PATH_MAX_BYTES = 16 << 10, IDLE_DEFAULT_MS = 60000 };

/* ---- opening ---- */

/* Each part of the path for itself: a '/' stays one. */
static int escape_path(const char *path, char **ret, struct err *err)
{
	CLEANUP(buf_done) struct buf b;
	buf_init(&b, PATH_MAX_BYTES);
	for (const char *p = path; *p != '\0';) {
		CLEANUP(freep) char *part = NULL;
		size_t len = strcspn(p, "/");
		if (str_dupn(p, len, &part, err) < 0 || http_escape(&b, part, err) < 0)
			return -1;
		p += len;
		if (*p == '/') {
			/* The last one is put behind it where it is needed. */
			if (p[1] != '\0' && buf_puts(&b, "/", err) < 0)
				return -1;
			p++;
		}
	}
	return buf_take(&b, ret, err);
}

int webdav_open(const struct store_opts *opts, bool tls, struct webdav **ret, struct err *err)
{
	CLEANUP(webdav_freep) struct webdav *d = mem_zalloc(sizeof *d, "a store", err);
	if (d == NULL)
		return -1;
	d->idle_ms = opts->timeout_ms > 0 ? opts->timeout_ms : IDLE_DEFAULT_MS;
	d->retries = opts->retries > 0 ? opts->retries : STORE_RETRIES;
	uint16_t usual = tls ? PORT_TLS : PORT_PLAIN;
	char port[8] = "";
	if (store_url_parse(opts->url, usual, &d->at, err) < 0 ||
	    escape_path(d->at.path, &d->path, err) < 0)
		return -1;
	/* As in the header Host, with which servers compare it. */
	if (d->at.port != usual)
		snprintf(port, sizeof port, ":%u", (unsigned)d->at.port);
	if (str_printf(&d->base, err, "%s://%s%s", tls ? "https" : "http", d->at.host, port) < 0)
		return -1;
	d->plain = !tls && !store_url_is_loopback(&d->at);
	const char *user = opts->user != NULL ? opts->user : d->at.user;
	if (user != NULL && str_dup(user, &d->user, err) < 0)
		return -1;
	const struct http_opts net = {.ca_file = opts->ca_file,
				      .proxy = opts->proxy,
				      .user = user,
				      .password = opts->password,
				      .digest_only = d->plain,
				      .connect_timeout_ms =
					  d->idle_ms < 20000 ? d->idle_ms : 20000};
	if (http_open(&net, &d->http, err) < 0)
		return -1;
	*ret = d;
	d = NULL;
	return 0;
}

void webdav_free(struct webdav *d)
{
	if (d == NULL)
		return;
	http_free(d->http);
	store_url_done(&d->at);
	free(d->base);
	free(d->path);
	free(d->user);
	free(d);
}

/* ---- asking ---- */

static const char no_tls[] = "Does the server want TLS there, and so davs://?";

int webdav_url(const struct webdav *d, const char *name, char **ret, struct err *err)
{
	return str_printf(ret, err, "%s%s/%s", d->base, d->path, name);
}

int webdav_failed(const struct webdav *d, struct err *err)
{
	if (err->code == ERR_DENIED && err->hint[0] == '\0' &&
	    strstr(err->msg, "ertificate") != NULL)
		err_hint(err,
			 "A certificate of your own authority is named as ca_file, with that of "
			 "the authority.");
	else if (err->code == ERR_CORRUPT && strncmp(d->base, "https", 5) != 0)
		err_hint(err, "%s", no_tls);
	return -1;
}

int webdav_call(struct webdav *d, const char *method, const char *name, const char *const *headers,
		const char *body, struct http_response *ret, struct err *err)
{
	CLEANUP(freep) char *url = NULL;
	*ret = (struct http_response){0};
	if (webdav_url(d, name, &url, err) < 0)
		return -1;
	const struct http_request q = {.method = method,
				       .url = url,
				       .headers = headers,
				       .body = body,
				       .body_bytes = body != NULL ? strlen(body) : 0,
				       .idle_ms = d->idle_ms};
	return http_call(d->http, &q, ret, err) < 0 ? webdav_failed(d, err) : 0;
}

static int not_let_in(const struct webdav *d, const struct http_response *answer, const char *what,
		      struct err *err)
{
	const char *how = http_header(answer, "WWW-Authenticate");
	if (d->user == NULL) {
		err_set(err, ERR_DENIED, "%s: the server wants a user and a password", what);
		return err_hint(err, "They are given as user and password.");
	}
	if (d->plain && how != NULL && strncasecmp(how, "Digest", 6) != 0) {
		err_set(err, ERR_DENIED,
			"%s: the server wants the password itself, over a connection that anybody "
			"may listen to",
			what);
		return err_hint(err, "Use davs://, or let the server ask by Digest.");
	}
	return err_set(err, ERR_DENIED, "%s: user '%s' or the password is wrong", what, d->user);
}

/* Statuses that say the same whatever was asked for (RFC 9110, RFC 4918). */
static const struct {
	long status;
	enum err_code code;
	bool retryable;
	const char *text;
} meanings[] = {
    {403, ERR_DENIED, false, "the server forbids it"},
    {404, ERR_ABSENT, false, "there is no such object"},
    {405, ERR_FAILED, false, "the server does not know that request there: is WebDAV on?"},
    {408, ERR_UNREACHABLE, true, "the server gave up waiting"},
    {409, ERR_FAILED, false, "the folder is not there"},
    {412, ERR_EXISTS, false, "it is there already"},
    {413, ERR_LIMIT, false, "it is larger than the server takes"},
    {423, ERR_LOCKED, false, "somebody holds a lock on it"},
    {429, ERR_UNREACHABLE, true, "too many requests for the server"},
    {501, ERR_FAILED, false, "the server does not know that request: is WebDAV on?"},
    {507, ERR_NOSPACE, false, "no space left on the server"},
};

int webdav_refused(const struct webdav *d, const struct http_response *answer, struct err *err,
		   const char *fmt, ...)
{
	char what[ERR_MSG_BYTES / 2];
	va_list args;
	int n = snprintf(what, sizeof what / 2, "'%s%s': ", d->base, d->path);
	size_t at = n > 0 && (size_t)n < sizeof what / 2 ? (size_t)n : 0;
	va_start(args, fmt);
	vsnprintf(what + at, sizeof what - at, fmt, args);
	va_end(args);
	long status = answer->status;
	if (status == 401)
		return not_let_in(d, answer, what, err);
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (meanings[i].status == status) {
			err_set_message(err, meanings[i].code, "%s: %s (HTTP status %ld)", what,
					meanings[i].text, status);
			err->retryable = meanings[i].retryable;
			if (status == 413)
				err_hint(err, "nginx: client_max_body_size 0; Apache: "
					      "LimitRequestBody 0.");
			if (status == 408)
				err_hint(err, "Apache: RequestReadTimeout body=0; nginx: "
					      "client_body_timeout 12h.");
			return -1;
		}
	if (status / 100 == 3) {
		const char *to = http_header(answer, "Location");
		err_set(err, ERR_CONFIG, "%s: the server says that it is somewhere else: '%.300s'",
			what, to != NULL ? to : "");
		return err_hint(err, "That belongs into the store's url.");
	}
	bool server = status / 100 == 5;
	err_set_message(err, server ? ERR_UNREACHABLE : ERR_FAILED, "%s: HTTP status %ld", what,
			status);
	err->retryable = server;
	if (server)
		err_hint(err, "The server's own log says why.");
	if (status == 400 && strncmp(d->base, "https", 5) != 0)
		err_hint(err, "%s", no_tls);
	return -1;
}

/* ---- the folder ---- */

static int is_there(struct webdav *d, bool *ret, struct err *err)
{
	struct webdav_entries e = {0};
	struct err why = ERR_INIT;
	int rc = webdav_look(d, "", 0, &e, &why);
	webdav_entries_done(&e);
	if (rc < 0 && why.code != ERR_ABSENT) {
		*err = why;
		return -1;
	}
	*ret = rc == 0;
	return 0;
}

/* MKCOL of the first `len` bytes of the path; 409 says that its own folder is not there. */
static int make_one(struct webdav *d, size_t len, bool *ret_orphan, struct err *err)
{
	CLEANUP(http_response_done) struct http_response answer = {0};
	CLEANUP(freep) char *url = NULL;
	if (str_printf(&url, err, "%s%.*s/", d->base, (int)len, d->path) < 0)
		return -1;
	const struct http_request q = {.method = "MKCOL", .url = url, .idle_ms = d->idle_ms};
	if (http_call(d->http, &q, &answer, err) < 0)
		return webdav_failed(d, err);
	*ret_orphan = answer.status == 409;
	/* 405: somebody else was faster. */
	if (answer.status == 201 || answer.status == 405 || answer.status == 409)
		return 0;
	return webdav_refused(d, &answer, err, "can't make the folder '%.*s'", (int)len, d->path);
}

int webdav_make_folder(struct webdav *d, struct err *err)
{
	bool there = atomic_load(&d->made), orphan = true;
	size_t all = strlen(d->path), len = all;
	if (there)
		return 0;
	if (is_there(d, &there, err) < 0)
		return -1;
	/* Up to the first that can be made, and down again. */
	while (!there && orphan) {
		if (make_one(d, len, &orphan, err) < 0)
			return -1;
		while (orphan && len > 0 && d->path[--len] != '/')
			;
		if (orphan && len == 0)
			return err_set(err, ERR_FAILED, "can't make the folder '%s'", d->at.path);
	}
	while (!there && len < all) {
		len++;
		len += strcspn(d->path + len, "/");
		if (make_one(d, len, &orphan, err) < 0)
			return -1;
	}
	atomic_store(&d->made, true);
	return 0;
}
