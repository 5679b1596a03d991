#include <stdlib.h>
#include <string.h>
#include "base/flow/http_impl.h"

/* ---- what libcurl waits for ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *unused)
{
	(void)easy, (void)unused;
	struct http_exchange *x = self;
	size_t i = 0;
	while (i < x->fd_count && x->fds[i].fd != fd)
		i++;
	if (what == CURL_POLL_REMOVE) {
		if (i < x->fd_count)
			x->fds[i] = x->fds[--x->fd_count];
		return 0;
	}
	if (i == HTTP_FDS_MAX)
		return err_set(&x->why, ERR_LIMIT, "too many connections at once");
	short events = 0;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= POLLIN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= POLLOUT;
	x->fds[i] = (struct pollfd){.fd = fd, .events = events};
	if (i == x->fd_count)
		x->fd_count++;
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *self)
{
	(void)multi;
	struct http_exchange *x = self;
	x->timer = deadline_in(timeout_ms);
	return 0;
}

/* ---- the answer ---- */

/* A status line, and the head begins anew: one behind a 100, or behind a 417 whose request libcurl
 * repeats without its "Expect". */
static void begin_head(struct http_exchange *x, const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);
	strlist_done(&x->answer.headers);
	buf_reset(&x->answer.body);
	x->framing = (struct http_framing){0};
	x->head_bytes = 0;
	x->head_done = false;
	x->answer.status = space != NULL ? strtol(space, NULL, 10) : 0;
}

static int take_line(struct http_exchange *x, const char *line, size_t len, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	if (str_dupn(line, len, &text, err) < 0)
		return -1;
	return http_framing_see(&x->framing, text, err) < 0
		   ? -1
		   : strlist_push(&x->answer.headers, text, err);
}

static size_t on_header(char *line, size_t size, size_t count, void *self)
{
	struct http_exchange *x = self;
	size_t bytes = size * count, len = bytes;
	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	if (len > 5 && memcmp(line, "HTTP/", 5) == 0 &&
	    (!x->head_done || x->answer.status == 417)) {
		begin_head(x, line, len);
		return bytes;
	}
	/* Behind the body come trailers, which nobody asks for. */
	if (x->head_done)
		return bytes;
	x->head_bytes += bytes;
	if (x->head_bytes > HTTP_HEAD_MAX) {
		err_set_message(&x->why, ERR_LIMIT, "the answer's head is longer than %d bytes",
				(int)HTTP_HEAD_MAX);
		return 0;
	}
	if (len > 0)
		return take_line(x, line, len, &x->why) < 0 ? 0 : bytes;
	x->head_done = x->answer.status == 101 || (x->answer.status >= 200 && !http_auth_awaits(x));
	return bytes;
}

static size_t stream_body(struct http_exchange *x, const uint8_t *data, size_t len)
{
	size_t room = x->cap - x->got;
	if (x->dest == NULL || (len > room && (x->got > 0 || len - room > sizeof x->rest))) {
		x->recv_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	size_t now = len < room ? len : room;
	memcpy(x->dest + x->got, data, now);
	x->got += now;
	if (now < len) {
		memcpy(x->rest, data + now, len - now);
		x->rest_at = 0;
		x->rest_len = len - now;
	}
	return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *self)
{
	struct http_exchange *x = self;
	size_t len = size * count;
	if (x->streams && x->answer.status / 100 == 2)
		return stream_body(x, (const uint8_t *)data, len);
	if (buf_append(&x->answer.body, data, len, &x->why) == 0)
		return len;
	if (x->why.code == ERR_LIMIT)
		err_add_context(&x->why, "the answer's body");
	return 0;
}

static size_t on_upload(char *room, size_t size, size_t count, void *self)
{
	struct http_exchange *x = self;
	size_t n = size * count;
	if (x->out_len == 0) {
		if (x->out_end)
			return 0;
		x->send_paused = true;
		return CURL_READFUNC_PAUSE;
	}
	if (n > x->out_len)
		n = x->out_len;
	memcpy(room, x->out, n);
	x->out += n;
	x->out_len -= n;
	return n;
}

/* ---- setting up ---- */

static void set_callbacks(struct http_exchange *x)
{
	curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->said);
	curl_easy_setopt(x->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(x->easy, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(x->easy, CURLOPT_READFUNCTION, on_upload);
	curl_easy_setopt(x->easy, CURLOPT_READDATA, x);
	curl_multi_setopt(x->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(x->multi, CURLMOPT_SOCKETDATA, x);
	curl_multi_setopt(x->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(x->multi, CURLMOPT_TIMERDATA, x);
}

int http_exchange_new(struct http *h, const struct http_request *q, enum http_upload upload,
		      uint64_t length, struct http_exchange **ret, struct err *err)
{
	CLEANUP(http_exchange_freep)
	struct http_exchange *x = mem_zalloc(sizeof *x, "a request", err);
	if (x == NULL)
		return -1;
	x->http = h;
	x->answer.body.max = HTTP_BODY_MAX;
	x->timer = DEADLINE_NEVER;
	x->stop_fd = q->stop_fd;
	x->idle_ms = q->idle_ms != 0 ? q->idle_ms : HTTP_IDLE_DEFAULT_MS;
	if (length != UINT64_MAX && length > INT64_MAX)
		return err_set(err, ERR_LIMIT, "a body of %llu bytes", (unsigned long long)length);
	if (http_request_name(q, &x->name, err) < 0)
		return -1;
	x->easy = curl_easy_init();
	x->multi = http_pool_take(h);
	if (x->easy == NULL || x->multi == NULL)
		return err_nomem(err, "a request");
	set_callbacks(x);
	if (http_request_apply(x, q, upload, length, err) < 0)
		return -1;
	if (curl_multi_add_handle(x->multi, x->easy) != CURLM_OK)
		return err_nomem(err, "a request");
	x->added = true;
	x->quiet_until = deadline_in(x->idle_ms);
	*ret = x;
	x = NULL;
	return 0;
}

void http_exchange_free(struct http_exchange *x)
{
	if (x == NULL)
		return;
	if (x->added)
		curl_multi_remove_handle(x->multi, x->easy);
	curl_easy_cleanup(x->easy);
	if (x->multi != NULL) {
		if (x->done && x->rc == CURLE_OK && x->why.code == ERR_NONE && !x->taken_over)
			http_pool_give(x->http, x->multi);
		else
			curl_multi_cleanup(x->multi);
	}
	curl_slist_free_all(x->headers);
	http_response_done(&x->answer);
	free(x->name);
	free(x);
}

/* ---- going on ---- */

int http_exchange_resume(struct http_exchange *x, struct err *err)
{
	x->quiet_until = deadline_in(x->idle_ms);
	if (x->done || (!x->recv_paused && !x->send_paused))
		return 0;
	/* First: in there what was held back is delivered, and may be held back again. */
	x->recv_paused = x->send_paused = false;
	CURLcode rc = curl_easy_pause(x->easy, CURLPAUSE_CONT);
	if (rc != CURLE_OK) {
		x->done = true;
		x->rc = rc;
		return http_exchange_error(x, err);
	}
	return 0;
}

static void look(struct http_exchange *x)
{
	curl_off_t up = 0, down = 0, since = 0;
	long head = 0;
	curl_easy_getinfo(x->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	curl_easy_getinfo(x->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	curl_easy_getinfo(x->easy, CURLINFO_HEADER_SIZE, &head);
	curl_easy_getinfo(x->easy, CURLINFO_PRETRANSFER_TIME_T, &since);
	curl_off_t moved = up + down + head + (since > 0);
	/* Connecting has a limit of its own. */
	if (moved != x->moved || since == 0)
		x->quiet_until = deadline_in(x->idle_ms);
	x->moved = moved;
	int left;
	for (CURLMsg *m; (m = curl_multi_info_read(x->multi, &left)) != NULL;)
		if (m->msg == CURLMSG_DONE && m->easy_handle == x->easy) {
			x->done = true;
			x->rc = m->data.result;
			http_auth_learn(x);
		}
}

int http_exchange_step(struct http_exchange *x, struct err *err)
{
	struct pollfd ready[HTTP_FDS_MAX + 1];
	size_t count = x->fd_count, all = count;
	int running;
	CURLMcode rc = CURLM_OK;
	struct err why = ERR_INIT;
	memcpy(ready, x->fds, sizeof x->fds);
	if (x->stop_fd > 0)
		ready[all++] = (struct pollfd){.fd = x->stop_fd, .events = POLLIN};
	if (wait_poll(ready, all, deadline_min(x->timer, x->quiet_until), &why) == 0) {
		if (all > count && ready[count].revents != 0)
			return err_set(err, ERR_CANCELLED, "%s: stopped", x->name);
		for (size_t i = 0; i < count && rc == CURLM_OK; i++) {
			int what = (ready[i].revents & POLLIN ? CURL_CSELECT_IN : 0) |
				   (ready[i].revents & POLLOUT ? CURL_CSELECT_OUT : 0);
			if (ready[i].revents & (POLLHUP | POLLERR | POLLNVAL))
				what |= CURL_CSELECT_IN | CURL_CSELECT_ERR;
			if (what != 0)
				rc =
				    curl_multi_socket_action(x->multi, ready[i].fd, what, &running);
		}
	} else if (why.code != ERR_TIMEOUT) {
		*err = why;
		return err_wrap(err, "%s", x->name);
	} else if (deadline_left_ms(x->timer) == 0) {
		x->timer = DEADLINE_NEVER;
		rc = curl_multi_socket_action(x->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	} else {
		err_set_message(err, ERR_TIMEOUT, "%s: nothing for %lld ms", x->name,
				(long long)x->idle_ms);
		err->retryable = true;
		return -1;
	}
	look(x);
	if (rc == CURLM_OK && (x->done || x->why.code == ERR_NONE))
		return 0;
	x->done = true;
	if (x->rc == CURLE_OK)
		x->rc = rc == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_ABORTED_BY_CALLBACK;
	return 0;
}

int http_exchange_verdict(struct http_exchange *x, struct err *err)
{
	const struct http_framing *f = &x->framing;
	long status = x->answer.status;
	if (x->rc != CURLE_OK || x->why.code != ERR_NONE)
		return http_exchange_error(x, err);
	/* A head that is cut is none of libcurl's errors. */
	if (!x->head_done) {
		err_set_message(err, ERR_CORRUPT, "%s: the head of the answer was cut", x->name);
		err->retryable = true;
		return -1;
	}
	/* What a server says of its failure is good enough as it came. */
	if (status / 100 != 2 || status == 204 || x->bodiless || x->open_ended || f->chunked ||
	    (f->has_length && !f->has_coding))
		return 0;
	return err_set(err, ERR_CORRUPT,
		       "%s: the answer has no length: where it ended can't be told from a cut",
		       x->name);
}

int http_exchange_finish(struct http_exchange *x, struct err *err)
{
	while (!x->done)
		if (http_exchange_step(x, err) < 0)
			return -1;
	return http_exchange_verdict(x, err);
}
