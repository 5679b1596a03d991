#include "storage/sftp/sftp.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"

enum { PORT = 22, IDLE_DEFAULT_MS = 60000, CONNECT_MS = 20000 };

/* ---- site ---- */

static int own_name(char **ret, struct err *err)
{
	struct passwd entry, *found = NULL;
	char text[4096];
	int rc = getpwuid_r(geteuid(), &entry, text, sizeof text, &found);
	if (rc != 0 || found == NULL)
		return err_set(err, ERR_CONFIG,
			       "no user is named, and this process's own has no name");
	return str_dup(found->pw_name, ret, err);
}

static int find_user(struct sftp_site *s, const char *named, struct err *err)
{
	if (named == NULL)
		named = s->at.user;
	return named != NULL ? str_dup(named, &s->user, err) : own_name(&s->user, err);
}

static int find_known_hosts(struct sftp_site *s, const char *named, struct err *err)
{
	const char *home = getenv("HOME");
	if (named != NULL)
		return str_dup(named, &s->known_hosts, err);
	if (home == NULL || home[0] != '/') {
		err_set(err, ERR_CONFIG, "there is no home folder with a .ssh/known_hosts");
		return err_hint(err, "Name a file as known_hosts.");
	}
	return str_printf(&s->known_hosts, err, "%s/.ssh/known_hosts", home);
}

/* The variables that are about every protocol: http_proxy is not about this one. */
static const char *proxy_for(const struct store_opts *opts)
{
	const char *named = opts->proxy;
	if (named == NULL)
		named = getenv("all_proxy");
	if (named == NULL)
		named = getenv("ALL_PROXY");
	return named != NULL ? named : "";
}

static pthread_once_t begun = PTHREAD_ONCE_INIT;

/* Never ended: it would end for libcurl too. */
static void begin_libssh2(void)
{
	libssh2_init(0);
}

int sftp_site_open(const struct store_opts *opts, struct sftp_site **ret, struct err *err)
{
	CLEANUP(sftp_site_freep) struct sftp_site *s = mem_zalloc(sizeof *s, "a store", err);
	if (s == NULL)
		return -1;
	pthread_mutex_init(&s->lock, NULL);
	s->idle_ms = opts->timeout_ms > 0 ? opts->timeout_ms : IDLE_DEFAULT_MS;
	const struct http_opts net = {.proxy = proxy_for(opts)};
	if (store_url_parse(opts->url, PORT, &s->at, err) < 0 ||
	    find_user(s, opts->user, err) < 0 || find_known_hosts(s, opts->known_hosts, err) < 0 ||
	    str_printf(&s->server, err, "'%s' port %u", s->at.host, (unsigned)s->at.port) < 0 ||
	    http_open(&net, &s->net, err) < 0)
		return -1;
	/* libcurl has begun with it, under a lock. */
	pthread_once(&begun, begin_libssh2);
	if (opts->key_file != NULL && str_dup(opts->key_file, &s->key_file, err) < 0)
		return -1;
	if (opts->key_passphrase != NULL &&
	    secret_set(&s->passphrase, opts->key_passphrase, err) < 0)
		return -1;
	*ret = s;
	s = NULL;
	return 0;
}

static void hang_up(struct sftp *c);

void sftp_site_free(struct sftp_site *s)
{
	if (s == NULL)
		return;
	while (s->idle_count > 0)
		hang_up(s->idle[--s->idle_count]);
	http_free(s->net);
	pthread_mutex_destroy(&s->lock);
	store_url_done(&s->at);
	free(s->user);
	free(s->server);
	free(s->key_file);
	secret_done(&s->passphrase);
	free(s->known_hosts);
	free(s);
}

/* ---- waiting and failing ---- */

int sftp_wait(struct sftp *c, struct err *err)
{
	int ways = libssh2_session_block_directions(c->ssh);
	short events = (short)((ways & LIBSSH2_SESSION_BLOCK_OUTBOUND ? POLLOUT : 0) |
			       (ways & LIBSSH2_SESSION_BLOCK_INBOUND ? POLLIN : 0));
	/* What moves is no silence: each wait has its own deadline. */
	if (wait_fd(c->fd, events != 0 ? events : POLLIN, deadline_in(c->idle_ms), err) == 0)
		return 0;
	/* libssh2 is in the middle of something, and can do nothing else before its end. */
	c->broken = true;
	if (err->code == ERR_TIMEOUT) {
		err_set_message(err, ERR_TIMEOUT, "%s: nothing for %lld ms", c->site->server,
				(long long)c->idle_ms);
		err->retryable = true;
	}
	return -1;
}

unsigned long sftp_status(const struct sftp *c, long rc)
{
	if (rc != LIBSSH2_ERROR_SFTP_PROTOCOL || c->sftp == NULL)
		return LIBSSH2_FX_OK;
	unsigned long status = libssh2_sftp_last_error(c->sftp);
	return status != LIBSSH2_FX_OK ? status : LIBSSH2_FX_FAILURE;
}

static void say_status(const struct sftp *c, unsigned long status, const char *what,
		       struct err *err)
{
	static const struct {
		unsigned long status;
		enum err_code code;
		const char *text;
	} all[] = {
	    {LIBSSH2_FX_NO_SUCH_FILE, ERR_ABSENT, "there is no such file"},
	    {LIBSSH2_FX_NO_SUCH_PATH, ERR_ABSENT, "there is no such file"},
	    {LIBSSH2_FX_PERMISSION_DENIED, ERR_DENIED, "permission denied"},
	    {LIBSSH2_FX_WRITE_PROTECT, ERR_DENIED, "it can't be written to"},
	    {LIBSSH2_FX_FILE_ALREADY_EXISTS, ERR_EXISTS, "it is there already"},
	    {LIBSSH2_FX_NO_SPACE_ON_FILESYSTEM, ERR_NOSPACE, "no space left on the server"},
	    {LIBSSH2_FX_QUOTA_EXCEEDED, ERR_NOSPACE, "the quota on the server is used up"},
	    {LIBSSH2_FX_OP_UNSUPPORTED, ERR_FAILED, "the server can't do that"},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i].status == status) {
			err_set_message(err, all[i].code, "%s: %s: %s", c->site->server, what,
					all[i].text);
			return;
		}
	err_set_message(err, ERR_IO, "%s: %s: the server refused, without a reason (status %lu)",
			c->site->server, what, status);
}

int sftp_failed(struct sftp *c, long rc, struct err *err, const char *fmt, ...)
{
	char what[ERR_MSG_BYTES / 2];
	char *reason = NULL;
	va_list args;
	va_start(args, fmt);
	vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	unsigned long status = sftp_status(c, rc);
	if (status != LIBSSH2_FX_OK) {
		say_status(c, status, what, err);
		return -1;
	}
	/* Anything but an answer: what is to be read next is anybody's guess. */
	c->broken = true;
	if (rc == LIBSSH2_ERROR_ALLOC)
		return err_nomem(err, "SFTP");
	libssh2_session_last_error(c->ssh, &reason, NULL, 0);
	err_set_message(err, ERR_UNREACHABLE, "%s: the connection to %s broke: %s", what,
			c->site->server, reason != NULL && *reason ? reason : "no reason known");
	err->retryable = true;
	return -1;
}

/* ---- a connection ---- */

static void hang_up(struct sftp *c)
{
	if (c == NULL)
		return;
	/* libssh2 wants to say good-bye, and waits for answers that may never come. */
	if (c->pipe != NULL)
		shutdown(c->fd, SHUT_RDWR);
	for (int i = 0; i < 100 && c->sftp != NULL; i++)
		if (libssh2_sftp_shutdown(c->sftp) != LIBSSH2_ERROR_EAGAIN)
			break;
	for (int i = 0; i < 100 && c->ssh != NULL; i++)
		if (libssh2_session_free(c->ssh) != LIBSSH2_ERROR_EAGAIN)
			break;
	http_pipe_free(c->pipe);
	free(c);
}
DEFINE_CLEANUP(struct sftp, hang_up)

static int handshake_failed(struct sftp *c, const struct sftp_hosts *hosts, int rc, struct err *err)
{
	char *reason = NULL;
	if (rc == LIBSSH2_ERROR_ALLOC)
		return err_nomem(err, "SFTP");
	if (rc == LIBSSH2_ERROR_KEX_FAILURE || rc == LIBSSH2_ERROR_METHOD_NONE)
		return sftp_hosts_no_key(hosts, err);
	libssh2_session_last_error(c->ssh, &reason, NULL, 0);
	err_set_message(err, ERR_UNREACHABLE, "%s: no SSH: %s", c->site->server,
			reason != NULL && *reason ? reason : "no reason known");
	err->retryable = true;
	return -1;
}

static int shake_hands(struct sftp *c, struct err *err)
{
	CLEANUP(sftp_hosts_freep) struct sftp_hosts *hosts = NULL;
	int rc;
	if (sftp_hosts_open(c, &hosts, err) < 0)
		return -1;
	while ((rc = libssh2_session_handshake(c->ssh, c->fd)) == LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			return -1;
	return rc < 0 ? handshake_failed(c, hosts, rc, err) : sftp_hosts_check(hosts, err);
}

static int begin_sftp(struct sftp *c, struct err *err)
{
	while ((c->sftp = libssh2_sftp_init(c->ssh)) == NULL) {
		int rc = libssh2_session_last_errno(c->ssh);
		if (rc == LIBSSH2_ERROR_EAGAIN) {
			if (sftp_wait(c, err) < 0)
				return -1;
			continue;
		}
		if (rc == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED ||
		    rc == LIBSSH2_ERROR_CHANNEL_FAILURE) {
			err_set(err, ERR_DENIED, "%s: the server offers no SFTP to '%s'",
				c->site->server, c->site->user);
			return err_hint(err, "In sshd_config: Subsystem sftp internal-sftp");
		}
		return sftp_failed(c, rc, err, "can't begin SFTP");
	}
	return 0;
}

int sftp_dial(struct sftp_site *s, int64_t idle_ms, struct sftp **ret, struct err *err)
{
	CLEANUP(hang_upp) struct sftp *c = mem_zalloc(sizeof *c, "a connection", err);
	if (c == NULL)
		return -1;
	c->site = s;
	c->idle_ms = idle_ms;
	int64_t connect_ms = idle_ms < CONNECT_MS ? idle_ms : CONNECT_MS;
	if (http_connect(s->net, s->at.host, s->at.port, connect_ms, &c->pipe, err) < 0)
		return -1;
	c->fd = http_pipe_fd(c->pipe);
	c->ssh = libssh2_session_init();
	if (c->ssh == NULL)
		return err_nomem(err, "SFTP");
	libssh2_session_set_blocking(c->ssh, 0);
	if (shake_hands(c, err) < 0 || sftp_auth(c, err) < 0 || begin_sftp(c, err) < 0)
		return -1;
	*ret = c;
	c = NULL;
	return 0;
}

/* A server that has something to say without being asked says good-bye. */
static bool is_fresh(const struct sftp *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	return clock_monotonic_ms() - c->idle_since < SFTP_KEEP_MS && poll(&p, 1, 0) == 0;
}

int sftp_take(struct sftp_site *s, struct sftp **ret, struct err *err)
{
	for (;;) {
		struct sftp *c = NULL;
		pthread_mutex_lock(&s->lock);
		if (s->idle_count > 0)
			c = s->idle[--s->idle_count];
		pthread_mutex_unlock(&s->lock);
		if (c == NULL)
			return sftp_dial(s, s->idle_ms, ret, err);
		if (is_fresh(c)) {
			*ret = c;
			return 0;
		}
		hang_up(c);
	}
}

void sftp_give(struct sftp *c)
{
	if (c == NULL)
		return;
	struct sftp_site *s = c->site;
	c->idle_since = clock_monotonic_ms();
	c->idle_ms = s->idle_ms;
	pthread_mutex_lock(&s->lock);
	if (!c->broken && s->idle_count < SFTP_IDLE_MAX) {
		s->idle[s->idle_count++] = c;
		c = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	hang_up(c);
}
