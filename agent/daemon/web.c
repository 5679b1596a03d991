#include "agent/daemon/web.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "agent/config/web_address.h"
#include "agent/daemon/web_impl.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "storage/catalog.h"

enum {
	CONNECTIONS_MAX = 128,
	CONNECTIONS_CALM = 96,   /* beyond these, who dawdles has to go */
	CONNECTIONS_PER_IP = 64, /* where others can reach it */
	HEADER_MAX_BYTES = 16 << 10,
	IDLE_S = 15,
	DAWDLE_MS = 1000,
	LINK_MAX_MS = 60000, /* a request and its answer, however slow */
	WAIT_STALE_MS = 5000,
	WAIT_MS = 30000,
	PEM_MAX_BYTES = 1 << 20
};

#define COOKIE "lifeboat"

/* ---- who may ask ---- */

static void sha256(const char *salt, const char *text, unsigned char out[32])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned len = 0;
	unsigned char sum[EVP_MAX_MD_SIZE] = {0};
	if (ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, salt, strlen(salt)) == 1 &&
	    EVP_DigestUpdate(ctx, text, strlen(text)) == 1)
		EVP_DigestFinal_ex(ctx, sum, &len);
	EVP_MD_CTX_free(ctx);
	memcpy(out, sum, 32);
}

static bool is_token(const struct web *w, const char *text)
{
	unsigned char sum[32];
	if (text == NULL || text[0] == '\0')
		return false;
	sha256("", text, sum);
	return CRYPTO_memcmp(sum, w->token, sizeof sum) == 0;
}

static bool may_see(const struct web *w, struct MHD_Connection *c)
{
	const char *bearer = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
	const char *cookie = MHD_lookup_connection_value(c, MHD_COOKIE_KIND, COOKIE);
	if (!w->has_token)
		return true;
	if (bearer != NULL && strncasecmp(bearer, "Bearer ", 7) == 0 && is_token(w, bearer + 7))
		return true;
	return cookie != NULL && strlen(cookie) == strlen(w->cookie) &&
	       CRYPTO_memcmp(cookie, w->cookie, strlen(w->cookie)) == 0;
}

/* ---- answering ---- */

/* Takes the answer. NULL: out of memory; MHD then closes the connection. */
static enum MHD_Result send_and_drop(struct MHD_Connection *c, unsigned status,
				     struct MHD_Response *r)
{
	if (r == NULL)
		return MHD_NO;
	enum MHD_Result done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result refuse(const struct web *w, struct MHD_Connection *c, unsigned status,
			      enum web_format format, const char *title, const char *text)
{
	struct MHD_Response *r = web_answer_error(w, format, title, text);
	if (r != NULL && status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer realm=\"lifeboat\"");
	if (r != NULL && status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	if (r != NULL && status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(r, "Retry-After", "5");
	return send_and_drop(c, status, r);
}

/* The browser gets a cookie, and an address without the token. */
static enum MHD_Result enter(const struct web *w, struct MHD_Connection *c)
{
	char cookie[160];
	struct MHD_Response *r = web_answer_of(w, WEB_HTML, "", 0);
	snprintf(cookie, sizeof cookie, COOKIE "=%s; HttpOnly; SameSite=Strict; Path=/%s",
		 w->cookie, w->tls ? "; Secure" : "");
	if (r != NULL && (MHD_add_response_header(r, "Set-Cookie", cookie) != MHD_YES ||
			  MHD_add_response_header(r, "Location", "./") != MHD_YES)) {
		MHD_destroy_response(r);
		r = NULL;
	}
	return send_and_drop(c, MHD_HTTP_SEE_OTHER, r);
}

static enum MHD_Result answer_document(struct web *w, struct web_request *r)
{
	struct web_document *d = r->document;
	if (d->made[r->format] != NULL)
		return MHD_queue_response(r->connection, d->status, d->made[r->format]);
	if (d->status == MHD_HTTP_OK && d->made_ms > 0)
		return refuse(w, r->connection, MHD_HTTP_NOT_FOUND, r->format, "Not found",
			      "There is nothing at this address.");
	return refuse(w, r->connection, MHD_HTTP_SERVICE_UNAVAILABLE, r->format, "Still being made",
		      "The stores are being looked at. Please try again.");
}

/* Answers at once where the document is fresh, else when its child has ended or patience has. */
static enum MHD_Result want_document(struct web *w, struct web_request *r)
{
	struct web_document *d = r->document;
	if (r->waited || web_document_is_fresh(d))
		return answer_document(w, r);
	web_document_make(w, d);
	if (web_document_is_fresh(d) || d->child == NULL)
		return answer_document(w, r);
	r->until = deadline_in(web_document_is_usable(d) ? WAIT_STALE_MS : WAIT_MS);
	r->next = w->waiting;
	w->waiting = r;
	r->held = true;
	MHD_suspend_connection(r->connection);
	return MHD_YES;
}

struct route {
	const char *path; /* one that ends in '/' is followed by an id */
	enum web_format format;
};

static const struct route routes[] = {{"/", WEB_HTML},
				      {"/metrics", WEB_METRICS},
				      {"/api/v1/status", WEB_JSON},
				      {"/api/v1/backups/", WEB_JSON},
				      {"/backups/", WEB_HTML}};

/* *ret_id: "" for the status. */
static const struct route *find_route(const char *path, const char **ret_id)
{
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		size_t len = strlen(routes[i].path);
		*ret_id = "";
		if (strcmp(routes[i].path, path) == 0)
			return len > 1 && path[len - 1] == '/' ? NULL : &routes[i];
		if (len > 1 && routes[i].path[len - 1] == '/' &&
		    strncmp(routes[i].path, path, len) == 0 && catalog_id_is_valid(path + len)) {
			*ret_id = path + len;
			return &routes[i];
		}
	}
	return NULL;
}

static enum MHD_Result begin(struct web *w, struct MHD_Connection *c, const char *path,
			     struct web_request **ret)
{
	const char *id;
	const struct route *route = find_route(path, &id);
	enum web_format format = route != NULL ? route->format : WEB_HTML;
	const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
	if (strcmp(path, "/healthz") == 0)
		return send_and_drop(c, MHD_HTTP_OK, web_answer_of(w, WEB_METRICS, "ok\n", 3));
	if (!w->has_token && !w->tls && !web_address_host_is_plain(host))
		return refuse(w, c, MHD_HTTP_MISDIRECTED_REQUEST, format, "Wrong name",
			      "Without a token this page answers to localhost and to bare "
			      "addresses only: set token in [agent].");
	if (w->has_token && strcmp(path, "/") == 0 &&
	    is_token(w, MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "token")))
		return enter(w, c);
	if (!may_see(w, c))
		return refuse(w, c, MHD_HTTP_UNAUTHORIZED, format, "A token is needed",
			      "Open this page once with ?token= and the token behind it, or send "
			      "it as a bearer token.");
	if (route == NULL)
		return refuse(w, c, MHD_HTTP_NOT_FOUND, format, "Not found",
			      "There is nothing at this address.");
	struct web_document *d = web_document_find(w, id);
	if (d == NULL)
		return refuse(w, c, MHD_HTTP_SERVICE_UNAVAILABLE, format, "Busy",
			      "Too many backups are being looked at. Please try again.");
	struct web_request *r = calloc(1, sizeof *r);
	if (r == NULL)
		return MHD_NO;
	*r = (struct web_request){.connection = c, .document = d, .format = format};
	*ret = r;
	return want_document(w, r);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *path,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **request)
{
	struct web *w = ctx;
	struct web_request *r = *request;
	(void)version;
	(void)upload;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		*upload_len = 0;
		return refuse(w, c, MHD_HTTP_METHOD_NOT_ALLOWED, WEB_METRICS,
			      "This page is read-only.", "");
	}
	if (r != NULL)
		return want_document(w, r);
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	if (info != NULL && info->socket_context != NULL)
		((struct web_link *)info->socket_context)->busy = true;
	enum MHD_Result done = begin(w, c, path, &r);
	*request = r;
	return done;
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **request,
			 enum MHD_RequestTerminationCode code)
{
	struct web *w = ctx;
	struct web_request *r = *request;
	(void)code;
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	/* The connection may be used again: its next request has its own time. */
	if (info != NULL && info->socket_context != NULL) {
		struct web_link *l = info->socket_context;
		l->since_ms = clock_monotonic_ms();
		l->busy = false;
	}
	for (struct web_request **at = &w->waiting; *at != NULL; at = &(*at)->next) {
		if (*at != r)
			continue;
		*at = r->next;
		break;
	}
	free(r);
	*request = NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **link,
			  enum MHD_ConnectionNotificationCode code)
{
	struct web *w = ctx;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		struct web_link *l = calloc(1, sizeof *l);
		const union MHD_ConnectionInfo *info =
		    MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
		if (l == NULL)
			return;
		*l = (struct web_link){.next = w->links,
				       .fd = info != NULL ? info->connect_fd : -1,
				       .since_ms = clock_monotonic_ms()};
		w->links = l;
		*link = l;
		return;
	}
	for (struct web_link **at = &w->links; *at != NULL; at = &(*at)->next) {
		if (*at != *link)
			continue;
		*at = (*at)->next;
		break;
	}
	free(*link);
	*link = NULL;
}

PRINTF_LIKE(2, 0)
static void on_log(void *ctx, const char *fmt, va_list args)
{
	char text[512];
	(void)ctx;
	vsnprintf(text, sizeof text, fmt, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug("page: %s", text);
}

/* ---- life ---- */

static int keep_strings(struct web *w, const struct web_opts *o, struct err *err)
{
	w->config_fd = o->config_fd;
	w->tls = o->tls_cert != NULL;
	w->has_token = o->token != NULL && o->token[0] != '\0';
	if (w->has_token) {
		unsigned char sum[32];
		sha256("", o->token, w->token);
		sha256("a cookie of the page: ", o->token, sum);
		for (size_t i = 0; i < sizeof sum; i++)
			snprintf(w->cookie + 2 * i, 3, "%02x", sum[i]);
	}
	if (o->program != NULL && str_dup(o->program, &w->program, err) < 0)
		return -1;
	return str_dup(o->listen, &w->listen, err) < 0 ||
		       str_dup(o->config_path, &w->config_path, err) < 0
		   ? -1
		   : web_answer_policy(&w->csp, err);
}

static int read_pem(const char *path, struct buf *out, struct err *err)
{
	buf_init(out, PEM_MAX_BYTES);
	if (path == NULL)
		return 0;
	if (file_read_all(path, out, err) == 0)
		return 0;
	err->code = ERR_CONFIG;
	return err_wrap(err, "TLS of the page");
}

static int start_mhd(struct web *w, int fd, bool loopback, const struct buf *cert,
		     const struct buf *key, struct err *err)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
	    {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)buf_text(cert)},
	    {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)buf_text(key)},
	    {MHD_OPTION_END, 0, NULL}};
	if (w->tls)
		flags |= MHD_USE_TLS;
	w->mhd = MHD_start_daemon(
	    flags, 0, NULL, NULL, on_request, w, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
	    MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
	    MHD_OPTION_PER_IP_CONNECTION_LIMIT, loopback ? 0U : (unsigned)CONNECTIONS_PER_IP,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_MAX_BYTES,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, w, MHD_OPTION_NOTIFY_CONNECTION,
	    on_connection, w, MHD_OPTION_ARRAY, w->tls ? tls : &tls[2], MHD_OPTION_END);
	if (w->mhd != NULL)
		return 0;
	if (w->tls) {
		err_set(err, ERR_CONFIG, "%s: TLS could not be set up", w->listen);
		return err_hint(err, "Are tls_cert and tls_key a PEM certificate and its key?");
	}
	return err_set(err, ERR_FAILED, "%s: the web server did not start", w->listen);
}

static int watch_mhd(struct web *w, struct err *err)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(w->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	struct epoll_event e = {.events = EPOLLIN};
	if (info == NULL || epoll_ctl(w->epoll, EPOLL_CTL_ADD, info->epoll_fd, &e) < 0)
		return err_sys(err, ERR_IO, errno, "%s", w->listen);
	return 0;
}

int web_start(const struct web_opts *o, struct web **ret, struct err *err)
{
	struct web_address a;
	CLEANUP(web_freep) struct web *w = NULL;
	CLEANUP(buf_done) struct buf cert, key;
	buf_init(&cert, 0);
	buf_init(&key, 0);
	if (web_address_check(o->listen, o->token, o->tls_cert, o->tls_key, &a, err) < 0)
		return -1;
	w = mem_zalloc(sizeof *w, "the page", err);
	if (w == NULL)
		return -1;
	for (size_t i = 0; i < WEB_DOCUMENTS; i++) {
		struct web_document *d = &w->documents[i];
		d->child_fd = d->files[WEB_JSON] = d->files[WEB_HTML] = d->files[WEB_METRICS] = -1;
	}
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll < 0)
		return err_sys(err, ERR_IO, errno, "%s", o->listen);
	int fd = -1, done = -1;
	if (keep_strings(w, o, err) == 0 && read_pem(o->tls_cert, &cert, err) == 0 &&
	    read_pem(o->tls_key, &key, err) == 0 &&
	    web_address_listen(&a, o->listen, &fd, err) == 0)
		/* It closes the socket, also when it does not start. */
		done = start_mhd(w, fd, a.loopback, &cert, &key, err);
	if (key.data != NULL)
		explicit_bzero(key.data, key.cap);
	if (done < 0 || watch_mhd(w, err) < 0)
		return -1;
	*ret = w;
	w = NULL;
	return 0;
}

/* Lets a held request go on: its handler is called again. */
static void release(struct web *w, bool (*which)(const struct web_request *, const void *),
		    const void *ctx)
{
	struct web_request **at = &w->waiting;
	while (*at != NULL) {
		struct web_request *r = *at;
		if (!which(r, ctx)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		r->next = NULL;
		r->held = false;
		r->waited = true;
		MHD_resume_connection(r->connection);
	}
}

static bool wants(const struct web_request *r, const void *document)
{
	return r->document == document;
}

static bool is_late(const struct web_request *r, const void *ctx)
{
	(void)ctx;
	return deadline_left_ms(r->until) == 0;
}

static bool all(const struct web_request *r, const void *ctx)
{
	(void)r;
	(void)ctx;
	return true;
}

void web_free(struct web *w)
{
	if (w == NULL)
		return;
	if (w->mhd != NULL) {
		release(w, all, NULL);
		MHD_stop_daemon(w->mhd);
	}
	for (size_t i = 0; i < WEB_DOCUMENTS; i++)
		web_document_done(w, &w->documents[i]);
	fd_closep(&w->epoll);
	free(w->listen);
	free(w->config_path);
	free(w->program);
	free(w->csp);
	explicit_bzero(w->token, sizeof w->token);
	explicit_bzero(w->cookie, sizeof w->cookie);
	free(w);
}

int web_fd(const struct web *w)
{
	return w->epoll;
}

static size_t count_links(const struct web *w)
{
	size_t count = 0;
	for (const struct web_link *l = w->links; l != NULL; l = l->next)
		count++;
	return count;
}

/* How long a request may take to come in. Clients that are slow on purpose could hold every
 * connection: where most are taken, who dawdles has to go. */
static int64_t patience_ms(const struct web *w)
{
	return count_links(w) < CONNECTIONS_CALM ? LINK_MAX_MS : DAWDLE_MS;
}

static int64_t left_ms(const struct web_link *l, int64_t patience)
{
	int64_t left = l->since_ms + (l->busy ? LINK_MAX_MS : patience) - clock_monotonic_ms();
	return left > 0 ? left : 0;
}

struct deadline web_due(const struct web *w)
{
	struct deadline due = DEADLINE_NEVER;
	MHD_UNSIGNED_LONG_LONG ms;
	if (MHD_get_timeout(w->mhd, &ms) == MHD_YES)
		due = deadline_in(ms > INT32_MAX ? INT32_MAX : (int64_t)ms);
	for (size_t i = 0; i < WEB_DOCUMENTS; i++)
		if (w->documents[i].child != NULL)
			due = deadline_min(due, w->documents[i].until);
	for (const struct web_request *r = w->waiting; r != NULL; r = r->next)
		due = deadline_min(due, r->until);
	int64_t patience = patience_ms(w);
	for (const struct web_link *l = w->links; l != NULL; l = l->next)
		if (l->fd >= 0)
			due = deadline_min(due, deadline_in(left_ms(l, patience)));
	return due;
}

/* The web server sees the end of such a connection and closes it. */
static void close_late_links(struct web *w)
{
	int64_t patience = patience_ms(w);
	for (struct web_link *l = w->links; l != NULL; l = l->next) {
		if (l->fd < 0 || left_ms(l, patience) > 0)
			continue;
		shutdown(l->fd, SHUT_RDWR);
		l->fd = -1;
	}
}

void web_run(struct web *w)
{
	for (size_t i = 0; i < WEB_DOCUMENTS; i++)
		if (web_document_step(w, &w->documents[i]))
			release(w, wants, &w->documents[i]);
	release(w, is_late, NULL);
	close_late_links(w);
	bool full = count_links(w) >= CONNECTIONS_MAX;
	MHD_run(w->mhd);
	/* It looks at new connections again only in the run after one in which it closed some. */
	if (full)
		MHD_run(w->mhd);
}

unsigned web_port(const struct web *w)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(w->mhd, MHD_DAEMON_INFO_BIND_PORT);
	return info != NULL ? info->port : 0;
}
