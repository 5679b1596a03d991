#include "stack/docker/docker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/docker/docker_impl.h"

/* ---- answers ---- */

/* The daemon's own words: {"message": "…"}; a proxy's answer is shown as it is. */
static const char *message_of(const struct http_response *answer, json_t **ret_keep)
{
	struct err ignored = ERR_INIT;
	const char *text = NULL;
	if (json_parse(buf_text(&answer->body), answer->body.len, ret_keep, &ignored) == 0)
		text = json_str_or(*ret_keep, "message", NULL);
	if (text == NULL)
		text = buf_text(&answer->body);
	return text[0] != '\0' ? text : "Docker gave no reason";
}

static bool says_full(const char *text)
{
	return strstr(text, "no space left") != NULL || strstr(text, "quota exceeded") != NULL;
}

int docker_judge(void *unused, const struct http_response *answer, struct err *err)
{
	(void)unused;
	/* 304: started already, stopped already. */
	if ((answer->status >= 200 && answer->status < 300) || answer->status == 304)
		return 0;
	CLEANUP(json_freep) json_t *keep = NULL;
	const char *text = message_of(answer, &keep);
	enum err_code code = ERR_FAILED;
	if (answer->status == 404)
		code = ERR_ABSENT;
	else if (answer->status == 409)
		code = ERR_EXISTS;
	else if (answer->status == 401 || answer->status == 403)
		code = ERR_DENIED;
	else if (answer->status >= 500 && says_full(text))
		code = ERR_NOSPACE;
	size_t len = strlen(text);
	while (len > 0 && strchr("\r\n ", text[len - 1]) != NULL)
		len--;
	if (len > ERR_MSG_BYTES / 2)
		len = ERR_MSG_BYTES / 2;
	return err_set(err, code, "%.*s (HTTP status %ld)", (int)len, text, answer->status);
}

int docker_lost(const struct docker *d, struct err *err)
{
	if (err->code == ERR_UNREACHABLE && err->hint[0] == '\0')
		err_set_hint(err, "Is Docker still running at '%s'?", d->where);
	return -1;
}

/* ---- requests ---- */

PRINTF_LIKE(4, 0)
static int url_va(const struct docker *d, char **ret, struct err *err, const char *path,
		  va_list args)
{
	char *text = NULL;
	if (vasprintf(&text, path, args) < 0)
		return err_nomem(err, "an address");
	int rc = str_printf(ret, err, "%s%s", d->base, text);
	free(text);
	return rc;
}

int docker_url(const struct docker *d, char **ret, struct err *err, const char *path, ...)
{
	va_list args;
	va_start(args, path);
	int rc = url_va(d, ret, err, path, args);
	va_end(args);
	return rc;
}

static const char *const json_headers[] = {"Content-Type: application/json", NULL};

int docker_ask(struct docker *d, const char *method, const char *url, const json_t *body,
	       int64_t idle_ms, struct http_response *ret, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	if (body != NULL && json_text(body, false, &text, err) < 0)
		return -1;
	struct http_request q = {.method = method, .url = url, .idle_ms = idle_ms};
	if (text != NULL) {
		q.headers = json_headers;
		q.body = text;
		q.body_bytes = strlen(text);
	}
	if (http_call(d->http, &q, ret, err) < 0)
		return docker_lost(d, err);
	return 0;
}

int docker_hijack(struct docker *d, const char *url, const json_t *body, struct http_pipe **ret,
		  struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	CLEANUP(http_response_done) struct http_response answer = {0};
	CLEANUP(http_pipe_freep) struct http_pipe *pipe = NULL;
	if (body != NULL && json_text(body, false, &text, err) < 0)
		return -1;
	struct http_request q = {.method = "POST",
				 .url = url,
				 .headers = json_headers,
				 .body = text,
				 .body_bytes = text != NULL ? strlen(text) : 0};
	if (http_upgrade(d->http, &q, &answer, &pipe, err) < 0)
		return docker_lost(d, err);
	if (pipe == NULL) {
		if (docker_judge(NULL, &answer, err) < 0)
			return -1;
		return err_set(err, ERR_FAILED,
			       "Docker answered without a stream (HTTP status %ld)", answer.status);
	}
	*ret = pipe;
	pipe = NULL;
	return 0;
}

/* A judged call; *ret may be NULL, and is NULL where the answer is empty. Takes `url`. */
static int call(struct docker *d, const char *method, char *url, const json_t *body, json_t **ret,
		struct err *err)
{
	CLEANUP(freep) char *owned = url;
	CLEANUP(http_response_done) struct http_response answer = {0};
	json_t *j = NULL;
	if (docker_ask(d, method, owned, body, DOCKER_IDLE_MS, &answer, err) < 0 ||
	    docker_judge(NULL, &answer, err) < 0)
		return -1;
	if (ret == NULL)
		return 0;
	if (answer.body.len > 0 && json_parse(buf_text(&answer.body), answer.body.len, &j, err) < 0)
		return err_wrap(err, "answer of Docker to '%s'", owned + strlen(d->base));
	*ret = j;
	return 0;
}

int docker_get(struct docker *d, json_t **ret, struct err *err, const char *path, ...)
{
	char *url = NULL;
	json_t *j = NULL;
	va_list args;
	va_start(args, path);
	int rc = url_va(d, &url, err, path, args);
	va_end(args);
	if (rc < 0 || call(d, "GET", url, NULL, ret != NULL ? &j : NULL, err) < 0)
		return -1;
	if (ret == NULL)
		return 0;
	if (j == NULL)
		return err_set(err, ERR_CORRUPT, "Docker gave an empty answer");
	*ret = j;
	return 0;
}

int docker_post(struct docker *d, const json_t *body, json_t **ret, struct err *err,
		const char *path, ...)
{
	char *url = NULL;
	va_list args;
	va_start(args, path);
	int rc = url_va(d, &url, err, path, args);
	va_end(args);
	return rc < 0 ? -1 : call(d, "POST", url, body, ret, err);
}

int docker_delete(struct docker *d, struct err *err, const char *path, ...)
{
	char *url = NULL;
	struct err why = ERR_INIT;
	va_list args;
	va_start(args, path);
	int rc = url_va(d, &url, err, path, args);
	va_end(args);
	if (rc < 0)
		return -1;
	if (call(d, "DELETE", url, NULL, NULL, &why) < 0 && why.code != ERR_ABSENT) {
		*err = why;
		return -1;
	}
	return 0;
}

int docker_filters(const json_t *filters, char **ret, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	struct buf b;
	buf_init(&b, 1 << 20);
	if (json_text(filters, false, &text, err) < 0 || buf_puts(&b, "?filters=", err) < 0 ||
	    http_escape(&b, text, err) < 0 || buf_take(&b, ret, err) < 0) {
		buf_done(&b);
		return -1;
	}
	return 0;
}

/* ---- words ---- */

void docker_words_add(struct docker_words *w, const uint8_t *data, size_t len)
{
	if (len > DOCKER_WORDS_KEPT) {
		data += len - DOCKER_WORDS_KEPT;
		len = DOCKER_WORDS_KEPT;
	}
	if (w->len + len > 2 * DOCKER_WORDS_KEPT) {
		memmove(w->text, w->text + w->len - DOCKER_WORDS_KEPT, DOCKER_WORDS_KEPT);
		w->len = DOCKER_WORDS_KEPT;
	}
	memcpy(w->text + w->len, data, len);
	w->len += len;
}

const char *docker_words_end(struct docker_words *w)
{
	while (w->len > 0 && strchr("\r\n", w->text[w->len - 1]) != NULL)
		w->len--;
	/* What is zero would end the text too early. */
	for (size_t i = 0; i < w->len; i++)
		if (w->text[i] == '\0')
			w->text[i] = '?';
	w->text[w->len] = '\0';
	const char *shown = w->text;
	if (w->len > DOCKER_WORDS_SHOWN)
		shown += w->len - DOCKER_WORDS_SHOWN;
	while (((unsigned char)*shown & 0xC0U) == 0x80U)
		shown++;
	return shown;
}

int docker_exited(const char *what, int64_t status, const char *words, struct err *err)
{
	/* A shell's and Docker's way to tell of a signal. */
	const char *name = status > 128 && status < 193 ? sigabbrev_np((int)status - 128) : NULL;
	return err_set(err, ERR_FAILED, "%s exited with status %lld%s%s%s%s%s", what,
		       (long long)status, name != NULL ? " (SIG" : "", name != NULL ? name : "",
		       name != NULL ? ")" : "", words[0] != '\0' ? ": " : "", words);
}
