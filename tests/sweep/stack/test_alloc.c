/* Doors and engine when memory runs out at every single point: an error that says so, nothing
 * leaked, nothing half-made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "stack/engine/engine.h"
#include "stack/pgbouncer/pgbouncer.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/scratch.h"

enum { MOST = 2000 };

static void check_end(int done, const struct err *err)
{
	if (fail_alloc_hit()) {
		if (done == 0 || err->code != ERR_NOMEM)
			fail_msg("%d: %s", done, err->msg);
	} else if (done < 0) {
		fail_msg("%s", err->msg);
	}
}

/* ---- pgbouncer ---- */

static int read_file(void *ctx, const char *path, struct buf *out, struct err *err)
{
	(void)ctx;
	static const char *const files[][2] = {
	    {"/p.ini",
	     "[databases]\na = host=x port=1 password='a b'\n* = host=/x\n%include q.ini\n"
	     "[pgbouncer]\nauth_file = users\nauth_hba_file = hba\nverbose = 1\n"},
	    {"/q.ini", "b = dbname=y\n"},
	    {"/users", "\"a\" \"b\""},
	    {"/hba", "host a,@names all 10.0.0.0/8 md5\nlocal all all trust\n"},
	    {"/names", "a"}};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (strcmp(files[i][0], path) == 0)
			return buf_puts(out, files[i][1], err);
	return err_set(err, ERR_ABSENT, "can't open '%s'", path);
}

static int restored(void *ctx, const char *path, char **ret, struct err *err)
{
	(void)ctx;
	return str_printf(ret, err, "/restored%s", path);
}

static void pgbouncer_files__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	const struct pgbouncer_sandbox box = {.pg_host = "127.0.0.1",
					      .pg_port = 1,
					      .pg_socket_dir = "/s",
					      .listen_addr = "127.0.0.1",
					      .listen_port = 2,
					      .work_dir = "/w",
					      .restored = restored};
	unsigned n = 1;
	do {
		json_t *files = NULL;
		char *text = NULL, *rules = NULL;
		struct err err = ERR_INIT;
		fail_alloc_at(n);
		int done = pgbouncer_collect("/p.ini", NULL, read_file, NULL, &files, &err);
		if (done == 0)
			done =
			    pgbouncer_rewrite("/p.ini", NULL, read_file, NULL, &box, &text, &err);
		if (done == 0)
			done = pgbouncer_rewrite_hba("/p.ini", NULL, read_file, NULL, &box, &rules,
						     &err);
		fail_alloc_off();
		check_end(done, &err);
		assert_true((rules != NULL) == (done == 0));
		json_decref(files);
		free(text);
		free(rules);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, 50, MOST - 1);
}

/* ---- volumes and trees ---- */

static int copy_entry(void *ctx, struct archive_entry *e, struct source *content, struct err *err)
{
	return tree_writer_add(ctx, e, content, err);
}

/* A volume is made, filled from a folder and finished. */
static int fill(const char *volumes, const char *from, struct err *err)
{
	CLEANUP(engine_freep) struct engine *e = NULL;
	CLEANUP(tree_writer_freep) struct tree_writer *t = NULL;
	const struct engine_opts opts = {.kind = "local",
					 .stack = "s",
					 .volumes_dir = volumes,
					 .run_as = "nobody",
					 .run_id = "r",
					 .purpose = "restore"};
	if (engine_open(&opts, &e, err) < 0 ||
	    engine_volume_create(e, "v", &(struct volume_spec){0}, err) < 0)
		return -1;
	int rc = engine_volume_write(e, "v", &t, err);
	if (rc == 0)
		rc = engine_server_tree(e, "x", from, copy_entry, t, err);
	if (rc == 0)
		rc = tree_writer_file(t, "sub/made", 0600, "made", 4, err);
	if (rc == 0)
		rc = tree_writer_close(t, err);
	return rc == 0 ? engine_volume_finish(e, "v", err) : rc;
}

static void volume__memory_runs_out__the_next_run_sweeps_it_and_works(void **state)
{
	(void)state;
	char *dir = scratch_new(), *volumes = scratch_path(dir, "volumes");
	char *from = scratch_path(dir, "from");
	scratch_file(from, "a/b", "text");
	scratch_file(from, "c", "");
	const struct engine_opts opts = {.kind = "local",
					 .stack = "s",
					 .volumes_dir = volumes,
					 .run_as = "nobody",
					 .run_id = "next",
					 .purpose = "restore"};
	unsigned n = 1;
	do {
		struct err err = ERR_INIT;
		struct strlist swept = {0};
		fail_alloc_at(n);
		int done = fill(volumes, from, &err);
		fail_alloc_off();
		check_end(done, &err);
		struct engine *e;
		bool exists = false;
		err_clear(&err);
		if (engine_open(&opts, &e, &err) < 0 || engine_sweep(e, false, &swept, &err) < 0 ||
		    engine_volume_exists(e, "v", &exists, &err) < 0 ||
		    (done == 0 && engine_volume_remove(e, "v", &err) < 0))
			fail_msg("%s", err.msg);
		assert_true(exists == (done == 0));
		strlist_done(&swept);
		engine_free(e);
		struct strlist left = {0};
		assert_true(!scratch_has(dir, "volumes") || dir_list(volumes, &left, &err) == 0);
		assert_true(left.count <= 1); /* the folder of marks */
		strlist_done(&left);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, 40, MOST - 1);
	free(volumes);
	free(from);
	scratch_free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pgbouncer_files__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(volume__memory_runs_out__the_next_run_sweeps_it_and_works),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
