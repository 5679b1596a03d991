#include "agent/daemon/notify_send.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "agent/config/config_env.h"
#include "agent/config/config_notify.h"
#include "agent/daemon/notice.h"
#include "base/child.h"
#include "base/file.h"
#include "base/flow/http.h"
#include "base/flow/mail.h"

struct sending {
	const struct config_notify *to;
	int64_t *wait_ms;
	struct deadline until;
};

/* ---- by HTTP ---- */

int notify_ping_url(const char *url, const char *path, char **ret, struct err *err)
{
	size_t len = strcspn(url, "?#"), kept = len;
	while (path[0] != '\0' && kept > 0 && url[kept - 1] == '/')
		kept--;
	return str_printf(ret, err, "%.*s%s%s", (int)kept, url, path, url + len);
}

/* The path of a webhook is its password. */
static void hide_path(struct err *err)
{
	char *host = strstr(err->msg, "://");
	if (host == NULL)
		return;
	char *path = host + 3 + strcspn(host + 3, "/' ");
	if (*path != '/')
		return;
	char *end = path + strcspn(path, "' ");
	if (end - path > 4) {
		memcpy(path, "/...", 4);
		memmove(path + 4, end, strlen(end) + 1);
	}
}

static bool may_go_again(long status)
{
	return status >= 500 || status == 408 || status == 425 || status == 429;
}

/* Does `said` repeat a part of the url that only its owner knows? Not what all urls of a service
 * have: a key is longer than "services" or "webhooks". */
static bool repeats_key(const char *url, const char *said)
{
	enum { KEY_MIN = 10 };
	const char *host = strstr(url, "://");
	const char *at = host + 3 + strcspn(host + 3, "/?#");
	while (*at != '\0') {
		size_t len = strcspn(++at, "/?#&=");
		if (len >= KEY_MIN && memmem(said, strlen(said), at, len) != NULL)
			return true;
		at += len;
	}
	return false;
}

/* A few words of what it says, unless it repeats the secret. */
static int refused(const char *url, const struct http_response *answer, struct err *err)
{
	const char *host = strstr(url, "://") + 3;
	const char *path = host + strcspn(host, "/?#");
	const char *said = buf_text(&answer->body);
	char words[161] = "";
	size_t n = 0;
	for (; said[n] != '\0' && n < sizeof words - 1; n++)
		words[n] = (unsigned char)said[n] < 0x20 || said[n] == 0x7f ? ' ' : said[n];
	words[n] = '\0';
	if ((strlen(path) > 1 && strstr(said, path) != NULL) || repeats_key(url, said))
		words[0] = '\0';
	err_set_message(err, ERR_FAILED, "it answered %ld%s%s", answer->status,
			words[0] != '\0' ? ": " : "", words);
	err->retryable = may_go_again(answer->status);
	if (answer->status / 100 == 3)
		err_set_hint(err, "it moved; nothing is sent to another place than url says");
	return -1;
}

/* Readable when the time for all of it is over, however busy the receiver looks. */
static int timer_in(int64_t ms, struct err *err)
{
	struct itimerspec at = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0 || timerfd_settime(fd, 0, &at, NULL) < 0) {
		err_sys(err, ERR_IO, errno, "a timer");
		fd_closep(&fd);
		return -1;
	}
	return fd;
}

static int call(const struct sending *s, const char *url, const char *const *headers,
		const char *body, struct err *err)
{
	const struct config_notify *n = s->to;
	struct http_opts opts = {.connect_timeout_ms = n->timeout_ms, .ca_file = n->ca_file};
	CLEANUP(http_freep) struct http *h = NULL;
	CLEANUP(http_response_done) struct http_response answer = {0};
	CLEANUP(fd_closep) int timer = timer_in(n->timeout_ms, err);
	struct http_request q = {.method = "POST",
				 .url = url,
				 .headers = headers,
				 .body = body,
				 .body_bytes = strlen(body),
				 .idle_ms = n->timeout_ms,
				 .stop_fd = timer,
				 .open_ended = true};
	if (timer < 0 || http_open(&opts, &h, err) < 0)
		return -1;
	if (http_call(h, &q, &answer, err) < 0) {
		if (err->code == ERR_CANCELLED && deadline_left_ms(s->until) == 0)
			err_set(err, ERR_TIMEOUT, "it was not done in %lld ms",
				(long long)n->timeout_ms);
		err->retryable = err->retryable || err->code == ERR_TIMEOUT;
		hide_path(err);
		return -1;
	}
	*s->wait_ms = http_retry_after_ms(&answer);
	return answer.status >= 200 && answer.status < 300 ? 0 : refused(url, &answer, err);
}

static int send_json(const struct sending *s, const json_t *notice, struct err *err)
{
	const struct config_notify *n = s->to;
	static const char *const headers[] = {"Content-Type: application/json", NULL};
	CLEANUP(freep) char *body = NULL;
	int done = n->template != NULL ? notice_fill(notice, n->kind, n->template, &body, err)
				       : notice_body(notice, n->kind, &body, err);
	return done < 0 ? -1 : call(s, secret_text(&n->url), headers, body, err);
}

static int send_ntfy(const struct sending *s, const json_t *notice, struct err *err)
{
	const struct config_notify *n = s->to;
	const char *event = json_str_or(notice, "event", "");
	bool good = strcmp(event, "recovery") == 0 || strcmp(event, "success") == 0 ||
		    strcmp(event, "test") == 0;
	CLEANUP(freep) char *title = NULL;
	/* Names of stacks and jobs are plain letters: the head can carry them. */
	if (str_printf(&title, err, "Title: %s", json_str_or(notice, "title", "")) < 0)
		return -1;
	const char *const headers[] = {"Content-Type: text/plain; charset=utf-8", title,
				       good ? "Priority: default" : "Priority: high",
				       good ? "Tags: white_check_mark" : "Tags: warning", NULL};
	return call(s, secret_text(&n->url), headers, json_str_or(notice, "message", ""), err);
}

static int send_ping(const struct sending *s, const json_t *notice, struct err *err)
{
	const struct config_notify *n = s->to;
	static const char *const headers[] = {"Content-Type: text/plain; charset=utf-8", NULL};
	const char *event = json_str_or(notice, "event", "");
	bool good = strcmp(event, "success") == 0;
	bool starts = strcmp(event, "start") == 0 || strcmp(event, "test") == 0;
	char *url = NULL;
	if (notify_ping_url(secret_text(&n->url),
			    good     ? ""
			    : starts ? "/start"
				     : "/fail",
			    &url, err) < 0)
		return -1;
	int done = call(s, url, headers, json_str_or(notice, "message", ""), err);
	secret_wipe(url);
	return done;
}

/* ---- by mail ---- */

static int send_mail(const struct sending *s, const json_t *notice, struct err *err)
{
	const struct config_notify *n = s->to;
	CLEANUP(freep) char *text = NULL;
	CLEANUP(freep) char *subject = NULL;
	char host[256] = "";
	gethostname(host, sizeof host - 1);
	if (str_printf(&text, err, "%s\n\n%s\n\nstack: %s\nhost: %s\ntime: %s\n",
		       json_str_or(notice, "title", ""), json_str_or(notice, "message", ""),
		       json_str_or(notice, "stack", ""), host,
		       json_str_or(notice, "time", "")) < 0 ||
	    str_printf(&subject, err, "[lifeboat] %s", json_str_or(notice, "title", "")) < 0)
		return -1;
	struct mail m = {.server = secret_text(&n->url),
			 .clear = strcmp(n->tls, "off") == 0,
			 .user = n->user,
			 .password = secret_is_set(&n->password) ? secret_text(&n->password) : NULL,
			 .ca_file = n->ca_file,
			 .from = n->from,
			 .to = n->to,
			 .subject = subject,
			 .text = text,
			 .timeout_ms = n->timeout_ms};
	return mail_send(&m, err);
}

/* ---- by a command ---- */

static int run_command(const struct sending *s, const json_t *notice, struct err *err)
{
	const struct config_notify *n = s->to;
	static const char *const fields[] = {"event", "title",   "message", "stack",
					     "job",   "outcome", "backup"};
	CLEANUP(strlist_done) struct strlist env = {0};
	for (size_t i = 0; config_env_notify[i] != NULL; i++)
		if (strlist_pushf(&env, err, "%s=%s", config_env_notify[i],
				  json_str_or(notice, fields[i], "")) < 0)
			return -1;
	const char *const argv[] = {"sh", "-c", n->command, NULL};
	struct child_opts opts = {.argv = argv, .env = (const char *const *)env.items};
	if (child_run(&opts, NULL, deadline_in(n->timeout_ms), err) < 0) {
		err->retryable = true;
		return -1;
	}
	return 0;
}

static int send_by_kind(const struct sending *s, const json_t *notice, struct err *err)
{
	static const struct {
		const char *kind;
		int (*send)(const struct sending *, const json_t *, struct err *);
	} kinds[] = {{"ntfy", send_ntfy},
		     {"ping", send_ping},
		     {"mail", send_mail},
		     {"command", run_command}};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(s->to->kind, kinds[i].kind) == 0)
			return kinds[i].send(s, notice, err);
	return send_json(s, notice, err);
}

int notify_send(const struct config_notify *n, const json_t *notice, int64_t *ret_wait_ms,
		struct err *err)
{
	struct sending s = {n, ret_wait_ms, deadline_in(n->timeout_ms)};
	*ret_wait_ms = 0;
	if (send_by_kind(&s, notice, err) == 0)
		return 0;
	if (err->code == ERR_DENIED && err->hint[0] == '\0' &&
	    strstr(err->msg, "certificate") != NULL)
		err_set_hint(err, "An authority of your own is named by ca_file.");
	return -1;
}
