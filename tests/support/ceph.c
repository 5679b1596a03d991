#include "tests/support/ceph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { START_MS = 900000, COMMAND_MS = 60000, SAID_MAX = 1 << 20 };

static _Noreturn void give_up(const char *what, const char *why)
{
	fprintf(stderr, "ceph: %s: %s\n", what, why);
	abort();
}

/* Reads whole lines until one begins with `mark`; that one is `line`, what came before is said. */
static void read_to(struct ceph *c, const char *mark, int64_t ms, char *line, size_t cap)
{
	struct err err = ERR_INIT;
	size_t len = 0;
	buf_reset(&c->said);
	for (;;) {
		char byte;
		size_t n;
		if (child_read(c->child, &byte, 1, &n, deadline_in(ms), &err) < 0)
			give_up(mark, err.msg);
		if (n == 0)
			give_up("it ended", child_stderr(c->child));
		if (byte != '\n') {
			if (len < cap - 1)
				line[len++] = byte;
			continue;
		}
		line[len] = '\0';
		len = 0;
		if (strncmp(line, mark, strlen(mark)) == 0)
			return;
		if (buf_printf(&c->said, &err, "%s\n", line) < 0)
			give_up(mark, err.msg);
	}
}

void ceph_start(struct ceph *c)
{
	const char *how = getenv("LIFEBOAT_TEST_CEPH");
	char suite[16] = "trixie", osds[4] = "1", store[16] = "memstore", line[4096];
	if (how != NULL && sscanf(how, "%15s %3s %15s", suite, osds, store) != 3)
		give_up("LIFEBOAT_TEST_CEPH", how);
	bool swift = strcmp(suite, "swift") == 0;
	const char *argv[] = {"/usr/bin/python3",
			      "-B",
			      swift ? SWIFT_SCRIPT : CEPH_SCRIPT,
			      "serve",
			      suite,
			      osds,
			      store,
			      NULL};
	const struct child_opts opts = {.argv = argv, .pipe_stdin = true, .pipe_stdout = true};
	struct err err = ERR_INIT;
	c->osds = (unsigned)strtoul(osds, NULL, 10);
	c->access_key = swift ? "test:tester" : "AKone";
	c->secret_key = "SKone";
	buf_init(&c->said, SAID_MAX);
	if (child_start(&opts, &c->child, &err) < 0)
		give_up("start", err.msg);
	read_to(c, "http://", START_MS, line, sizeof line);
	snprintf(c->url, sizeof c->url, "%.60s", line);
	read_to(c, "READY", START_MS, line, sizeof line);
}

void ceph_stop(struct ceph *c)
{
	struct err err = ERR_INIT;
	child_close_stdin(c->child);
	if (child_wait(c->child, deadline_in(20000), &err) < 0)
		fprintf(stderr, "ceph: stop: %s\n", err.msg);
	child_free(c->child);
	buf_done(&c->said);
}

const char *ceph_run(struct ceph *c, const char *command)
{
	struct err err = ERR_INIT;
	char line[4096];
	if (child_write(c->child, command, strlen(command), deadline_in(COMMAND_MS), &err) < 0 ||
	    child_write(c->child, "\n", 1, deadline_in(COMMAND_MS), &err) < 0)
		give_up(command, err.msg);
	read_to(c, "DONE ", COMMAND_MS, line, sizeof line);
	if (strcmp(line, "DONE 0") != 0)
		give_up(command, buf_text(&c->said));
	return buf_text(&c->said);
}
