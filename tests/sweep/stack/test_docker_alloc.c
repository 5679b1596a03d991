/* The door to Docker when memory runs out at every single point: an error that says so, nothing
 * leaked, no output half-made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/support/docker_case.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/tar_build.h"

enum { MOST = 1000 };

#define BYTES(x) x, sizeof(x) - 1

static struct tar_build t;

/* One round: the script is written with memory to spare, the deed done without. */
static void sweep(void (*script)(struct docker_case *c), int (*deed)(struct docker_case *c),
		  bool once)
{
	static struct docker_case c;
	unsigned n = 0;
	bool hit = true;
	while (hit) {
		assert_in_range(++n, 1, MOST);
		docker_case_begin(&c);
		script(&c);
		docker_case_open(&c);
		if (once)
			fail_alloc_once_at(n);
		else
			fail_alloc_at(n);
		int done = deed(&c);
		hit = fail_alloc_hit();
		fail_alloc_off();
		if (hit ? done == 0 || c.err.code != ERR_NOMEM : done < 0)
			fail_msg("at %u: %d: %s", n, done, c.err.msg);
		docker_case_stop(&c);
	}
	assert_true(n > 3);
}

/* ---- opening ---- */

static void open__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	static struct docker_case c;
	unsigned n = 0;
	bool hit = true;
	while (hit) {
		assert_in_range(++n, 1, MOST);
		docker_case_begin(&c);
		fail_alloc_at(n);
		int done = docker_case_try(&c);
		hit = fail_alloc_hit();
		fail_alloc_off();
		if (hit ? done == 0 || c.err.code != ERR_NOMEM : done < 0)
			fail_msg("at %u: %d: %s", n, done, c.err.msg);
		assert_true((c.d != NULL) == (done == 0));
		docker_case_stop(&c);
	}
}

/* ---- calls ---- */

static void call_script(struct docker_case *c)
{
	docker_case_json(c, 200, "{\"a\":[1,2]}");
	docker_case_json(c, 201, "{\"Id\":\"x\"}");
}

static int call_deed(struct docker_case *c)
{
	json_t *j = NULL, *body = json_object();
	if (body == NULL)
		return err_nomem(&c->err, "JSON");
	int rc = docker_get(c->d, &j, &c->err, "/containers/%s/json", "x");
	if (rc == 0)
		json_decref(j);
	j = NULL;
	if (rc == 0)
		rc = docker_post(c->d, body, &j, &c->err, "/volumes/create");
	json_decref(j);
	json_decref(body);
	return rc;
}

static void call__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(call_script, call_deed, false);
	sweep(call_script, call_deed, true);
}

/* ---- trees ---- */

static void read_script(struct docker_case *c)
{
	docker_case_is(c, "data", true);
	t.len = 0;
	tar_build_head(&t, '5', "data/", NULL, 0700, 0);
	tar_build_pax(&t, BYTES("15 path=data/f\n22 SCHILY.xattr.a=bcd\n"));
	tar_build_file(&t, "x", "content");
	tar_build_head(&t, '1', "data/g", "data/f", 0600, 0);
	tar_build_end(&t);
	docker_case_tar(c, t.bytes, t.len);
}

static int look(void *ctx, struct archive_entry *e, struct source *content, struct err *err)
{
	(void)ctx, (void)e;
	uint8_t block[16];
	size_t n;
	return content != NULL ? source_read(content, block, sizeof block, &n, err) : 0;
}

static int read_deed(struct docker_case *c)
{
	return docker_tree_read(c->d, "db", "/data", look, NULL, &c->err);
}

static void tree_read__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(read_script, read_deed, false);
	sweep(read_script, read_deed, true);
}

static void write_script(struct docker_case *c)
{
	docker_case_is(c, "data", true);
	docker_case_json(c, 200, "");
}

static int write_deed(struct docker_case *c)
{
	CLEANUP(tree_writer_freep) struct tree_writer *w = NULL;
	CLEANUP(source_freep) struct source *s = NULL;
	if (docker_tree_write(c->d, "db", "/data", 1, 2, &w, &c->err) < 0 ||
	    tree_writer_file(w, "a/f", 0600, "x", 1, &c->err) < 0 ||
	    source_memory("stream", 6, &s, &c->err) < 0 ||
	    tree_writer_stream(w, "a/s", 0600, s, &c->err) < 0)
		return -1;
	return tree_writer_close(w, &c->err);
}

static void tree_write__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(write_script, write_deed, false);
	sweep(write_script, write_deed, true);
}

/* ---- programs ---- */

static void exec_script(struct docker_case *c)
{
	docker_case_exec(c, true);
	docker_case_frames(c, BYTES("\2\0\0\0\0\0\0\00317\n\1\0\0\0\0\0\0\3hi\n\2\0\0\0\0\0\0\2oh"),
			   FAKE_CLOSE);
	docker_case_json(c, 200, "{\"Running\":false,\"ExitCode\":0}");
}

static int exec_deed(struct docker_case *c)
{
	const struct docker_exec x = {.container = "db",
				      .argv = (const char *const[]){"a", "b", NULL},
				      .env = (const char *const[]){"A=b", NULL},
				      .user = "1:1",
				      .idle_ms = 20000};
	struct buf out;
	buf_init(&out, 100);
	int rc = docker_exec_run(c->d, &x, &out, deadline_in(20000), &c->err);
	if ((rc == 0) != (out.len == 3))
		abort();
	buf_done(&out);
	return rc;
}

static void exec__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(exec_script, exec_deed, false);
	sweep(exec_script, exec_deed, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(open__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(call__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(tree_read__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(tree_write__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(exec__memory_runs_out__fails_cleanly),
	};
	return cmocka_run_group_tests_name("docker_alloc", tests, NULL, NULL);
}
