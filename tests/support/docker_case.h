/*
 * A Docker daemon of few words: the answers of a script, in the order of the requests.
 *
 *  1. docker_case_json, docker_case_stat, docker_case_tar, docker_case_frames    write the script
 *  2. docker_case_open                                    the daemon, and the door to it
 *  3. docker_case_stop
 */
#ifndef LIFEBOAT_TESTS_DOCKER_CASE_H
#define LIFEBOAT_TESTS_DOCKER_CASE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stack/docker/docker.h"
#include "tests/support/fake_http.h"
#include "tests/support/temp_dir.h"

enum { DOCKER_CASE_REPLIES = 32 };

#define DOCKER_VERSION                                                                             \
	"{\"Version\":\"20.10.24+dfsg1\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}"

struct docker_case {
	struct temp_dir dir;
	struct fake_http fake;
	struct fake_reply replies[DOCKER_CASE_REPLIES];
	size_t count;
	struct docker *d;
	struct err err;
};

/* Takes `bytes`. */
static inline struct fake_reply *docker_case_add(struct docker_case *c, char *bytes, size_t len)
{
	assert_true(c->count < DOCKER_CASE_REPLIES && bytes != NULL);
	c->replies[c->count] = (struct fake_reply){.bytes = bytes, .len = len};
	return &c->replies[c->count++];
}

/* A head and what follows it. */
static inline struct fake_reply *docker_case_reply(struct docker_case *c, const char *head,
						   const void *body, size_t len)
{
	size_t n = strlen(head);
	char *all = malloc(n + len + 1);
	assert_non_null(all);
	memcpy(all, head, n);
	memcpy(all + n, body, len);
	return docker_case_add(c, all, n + len);
}

static inline struct fake_reply *docker_case_json(struct docker_case *c, int status,
						  const char *body)
{
	char head[160];
	snprintf(
	    head, sizeof head,
	    "HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
	    status, strlen(body));
	return docker_case_reply(c, head, body, strlen(body));
}

/* An answer to HEAD; `json` in base64. */
static inline struct fake_reply *docker_case_stat(struct docker_case *c, const char *json)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[1024] = "", head[1200];
	size_t n = 0, len = strlen(json);
	for (size_t i = 0; i < len; i += 3) {
		unsigned have = len - i < 3 ? (unsigned)(len - i) : 3, v = 0;
		for (unsigned k = 0; k < 3; k++)
			v = v << 8 | (k < have ? (unsigned char)json[i + k] : 0U);
		for (unsigned k = 0; k < 4; k++)
			text[n++] = k <= have ? digits[v >> (18 - 6 * k) & 63] : '=';
	}
	snprintf(head, sizeof head,
		 "HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: %s\r\nContent-Length: 0\r\n\r\n",
		 text);
	return docker_case_reply(c, head, "", 0);
}

/* A folder of that name, or a file of mode 0644. */
static inline void docker_case_is(struct docker_case *c, const char *name, bool folder)
{
	char json[200];
	snprintf(json, sizeof json,
		 "{\"name\":\"%s\",\"size\":4096,\"mode\":%u,\"mtime\":\"2026-11-23T08:00:00Z\","
		 "\"linkTarget\":\"\"}",
		 name, folder ? 2147484141U : 420U);
	docker_case_stat(c, json);
}

/* A body in one chunk, whole as far as HTTP can tell. */
static inline struct fake_reply *docker_case_tar(struct docker_case *c, const void *tar, size_t len)
{
	char head[160];
	char *body = malloc(len + 16);
	assert_non_null(body);
	snprintf(head, sizeof head,
		 "HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n%zx\r\n",
		 len);
	memcpy(body, tar, len);
	memcpy(body + len, "\r\n0\r\n\r\n", 7);
	struct fake_reply *r = docker_case_reply(c, head, body, len + 7);
	if (len == 0)
		abort();
	free(body);
	return r;
}

/* A connection taken over, on which `frames` come. */
static inline struct fake_reply *docker_case_frames(struct docker_case *c, const void *frames,
						    size_t len, enum fake_then then)
{
	struct fake_reply *r = docker_case_reply(c,
						 "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n"
						 "Upgrade: tcp\r\n\r\n",
						 frames, len);
	r->then = then;
	return r;
}

/* The answers up to the start of a program in a container that has a shell, or none. */
static inline void docker_case_exec(struct docker_case *c, bool shell)
{
	if (shell)
		docker_case_is(c, "sh", false);
	else
		docker_case_json(c, 404, "");
	docker_case_json(c, 201, "{\"Id\":\"e1\"}");
}

/* `version`: the first answer. */
static inline void docker_case_begin_as(struct docker_case *c, int status, const char *version)
{
	*c = (struct docker_case){0};
	temp_dir_make(&c->dir);
	docker_case_json(c, status, version);
}

static inline void docker_case_begin(struct docker_case *c)
{
	docker_case_begin_as(c, 200, DOCKER_VERSION);
}

static inline const char *docker_case_socket(struct docker_case *c)
{
	return temp_dir_in(&c->dir, "docker.sock");
}

static inline int docker_case_try(struct docker_case *c)
{
	char host[TEMP_DIR_BYTES + 64];
	fake_http_start(&c->fake, c->replies, c->count, docker_case_socket(c));
	snprintf(host, sizeof host, "unix://%s", docker_case_socket(c));
	return docker_open(host, &c->d, &c->err);
}

static inline void docker_case_open(struct docker_case *c)
{
	if (docker_case_try(c) < 0)
		fail_msg("%s", c->err.msg);
}

static inline void docker_case_stop(struct docker_case *c)
{
	docker_free(c->d);
	c->d = NULL;
	fake_http_stop(&c->fake);
	for (size_t i = 0; i < c->count; i++) {
		char *bytes;
		memcpy(&bytes, &c->replies[i].bytes, sizeof bytes);
		free(bytes);
	}
	temp_dir_remove(&c->dir);
}

static inline void docker_case_failed(const struct docker_case *c, enum err_code code,
				      const char *message)
{
	if (c->err.code != code || strcmp(c->err.msg, message) != 0)
		fail_msg("%s: '%s', and not %s: '%s'", err_code_name(c->err.code), c->err.msg,
			 err_code_name(code), message);
}

/* The head of the n-th request, counted from 0; "" when there were fewer. After the stop. */
static inline const char *docker_case_request(const struct docker_case *c, size_t n)
{
	const char *p = c->fake.heads;
	for (; n > 0 && p != NULL; n--) {
		p = strstr(p, "\r\n\r\n");
		p = p != NULL ? p + 4 : NULL;
	}
	return p != NULL ? p : "";
}

#endif
