/* Buffers, files, JSON, children and streams when memory runs out at every single point: for good,
 * and for one allocation only. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/child.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/flow/filter.h"
#include "base/flow/sink.h"
#include "base/flow/source.h"
#include "base/json.h"
#include "base/secret.h"
#include "base/zone.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/temp_dir.h"

enum { MOST = 5000 };

static struct temp_dir dir;

/* `work` says 0 when it did all that it should, else -1; it leaves nothing behind but what
 * `check` looks at (it may be NULL). */
struct sweep {
	int (*work)(struct err *err);
	void (*check)(bool done);
	unsigned at_least; /* so many points there must be */
};

static void run_one(const struct sweep *s, bool once, unsigned n)
{
	struct err err = ERR_INIT;
	if (once)
		fail_alloc_once_at(n);
	else
		fail_alloc_at(n);
	int rc = s->work(&err);
	fail_alloc_off();
	if (rc < 0 && err.code != ERR_NOMEM)
		fail_msg("allocation %u: %s", n, err.msg);
	if (!once)
		assert_int_equal(rc == 0, !fail_alloc_hit());
	if (s->check != NULL)
		s->check(rc == 0);
}

static void sweep(const struct sweep *s)
{
	for (int once = 0; once < 2; once++) {
		unsigned n = 1;
		do
			run_one(s, once == 1, n);
		while (fail_alloc_hit() && ++n < MOST);
		assert_in_range(n, s->at_least, MOST - 1);
	}
}

/* ---- buf ---- */

static int work_buf(struct err *err)
{
	CLEANUP(buf_done) struct buf b;
	CLEANUP(strlist_done) struct strlist l = {0};
	CLEANUP(freep) char *taken = NULL;
	CLEANUP(freep) char *copy = NULL;
	buf_init(&b, 1000);
	if (buf_puts(&b, "x", err) < 0 || buf_printf(&b, err, "%200d", 7) < 0 ||
	    buf_reserve(&b, 500, err) < 0 || buf_take(&b, &taken, err) < 0)
		return -1;
	if (strlen(taken) != 201 || str_printf(&copy, err, "%s!", taken) < 0 ||
	    strlist_push(&l, copy, err) < 0 || strlist_pushf(&l, err, "%d", 1) < 0)
		return -1;
	return l.count == 2 && l.items[2] == NULL ? 0 : err_set(err, ERR_FAILED, "wrong");
}

static void buf__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(&(struct sweep){.work = work_buf, .at_least = 8});
}

static int work_secret(struct err *err)
{
	CLEANUP(secret_done) struct secret s = {0};
	if (secret_set(&s, "one", err) < 0 || secret_set(&s, "two", err) < 0)
		return -1;
	return strcmp(secret_text(&s), "two") == 0 ? 0 : err_set(err, ERR_FAILED, "wrong");
}

static void secret__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(&(struct sweep){.work = work_secret, .at_least = 2});
}

/* ---- file ---- */

static int work_file(struct err *err)
{
	CLEANUP(buf_done) struct buf b;
	CLEANUP(strlist_done) struct strlist l = {0};
	buf_init(&b, 100);
	if (file_write_all(temp_dir_in(&dir, "x"), 0600, "new", 3, err) < 0 ||
	    file_read_all(temp_dir_in(&dir, "x"), &b, err) < 0 ||
	    dir_make(temp_dir_in(&dir, "d/e"), 0700, err) < 0 || dir_list(dir.path, &l, err) < 0 ||
	    dir_remove(temp_dir_in(&dir, "d"), err) < 0)
		return -1;
	return strcmp(buf_text(&b), "new") == 0 && l.count == 2 ? 0
								: err_set(err, ERR_FAILED, "wrong");
}

/* Whole, old or new; and no part of another one. */
static void check_file(bool done)
{
	struct err err = ERR_INIT;
	struct buf b;
	buf_init(&b, 100);
	assert_false(file_exists(temp_dir_in(&dir, "x.part")));
	assert_int_equal(file_read_all(temp_dir_in(&dir, "x"), &b, &err), 0);
	assert_true(strcmp(buf_text(&b), "new") == 0 ||
		    (!done && strcmp(buf_text(&b), "old") == 0));
	buf_done(&b);
	assert_int_equal(dir_remove(temp_dir_in(&dir, "d"), &err), 0);
	temp_dir_write(&dir, "x", "old", 3);
}

static void file__memory_runs_out__leaves_the_old_or_the_new(void **state)
{
	(void)state;
	temp_dir_make(&dir);
	temp_dir_write(&dir, "x", "old", 3);
	sweep(&(struct sweep){.work = work_file, .check = check_file, .at_least = 12});
	temp_dir_remove(&dir);
}

static int work_zone(struct err *err)
{
	CLEANUP(zone_freep) struct zone *z = NULL;
	if (zone_load("Europe/Berlin", &z, err) < 0)
		return -1;
	return zone_offset_s(z, 1795399200) == 3600 ? 0 : err_set(err, ERR_FAILED, "wrong");
}

static void zone__memory_runs_out__is_not_blamed_on_the_name(void **state)
{
	(void)state;
	sweep(&(struct sweep){.work = work_zone, .at_least = 4});
}

/* ---- json ---- */

static int work_json_build(struct err *err)
{
	CLEANUP(json_freep) json_t *j = json_object();
	CLEANUP(freep) char *text = NULL;
	json_t *list = json_array();
	if (json_put(j, "list", list, err) < 0 || json_push(list, json_integer(1), err) < 0 ||
	    json_push(list, json_text_value("a\xff"), err) < 0)
		return -1;
	for (int i = 0; i < 20; i++) {
		char key[3] = {'k', (char)('a' + i), 0};
		if (json_put(j, key, json_string("value"), err) < 0)
			return -1;
	}
	if (json_text(j, true, &text, err) < 0)
		return -1;
	/* Not a character may be lost. */
	static size_t expected;
	if (expected == 0)
		expected = strlen(text);
	return strlen(text) == expected ? 0 : err_set(err, ERR_FAILED, "wrong");
}

static int work_json_parse(struct err *err)
{
	static const char text[] =
	    "{\"a\":{\"b\":[1,2.5,true,null,\"text with \\u00e4 and more than a few bytes\"]},"
	    "\"c\":{},\"d\":[],\"e\":\"0123456789012345678901234567890123456789\","
	    "\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,\"l\":1,\"m\":1,\"n\":1,\"o\":[[[[]]]]"
	    "}";
	CLEANUP(json_freep) json_t *j = NULL;
	if (json_parse(text, sizeof text - 1, &j, err) < 0)
		return -1;
	return json_object_size(j) == 14 && strlen(json_str_or(j, "e", "")) == 40
		   ? 0
		   : err_set(err, ERR_FAILED, "wrong");
}

static void json__memory_runs_out__is_no_memory_and_never_corrupt(void **state)
{
	(void)state;
	/* From the first parse on the JSON library allocates by way of ours. */
	struct err err = ERR_INIT;
	assert_int_equal(work_json_parse(&err), 0);
	assert_int_equal(work_json_build(&err), 0);
	sweep(&(struct sweep){.work = work_json_build, .at_least = 40});
	sweep(&(struct sweep){.work = work_json_parse, .at_least = 40});
}

/* ---- streams ---- */

/* The beginning of a zstd frame of six bytes. */
static const uint8_t frames[] = {0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x31, 0x00, 0x00, 'h',
				 'e',  'l',  'l',  'o',  ' ',  0,    0,    0,    0};

static int work_streams(struct err *err)
{
	CLEANUP(sink_freep) struct sink *to = NULL;
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sha256_freep) struct sha256 *h = NULL;
	CLEANUP(buf_done) struct buf b;
	struct sink *part = NULL, *other = NULL, *both = NULL;
	struct filter *f = NULL;
	uint64_t bytes = 0;
	buf_init(&b, 100000);
	static const uint8_t raw[20000];
	if (sha256_new(&h, err) < 0 || source_memory(raw, sizeof raw, &from, err) < 0 ||
	    sink_sha256(h, &part, err) < 0)
		return -1;
	/* From here on each constructor owns what it was given, also when it fails. */
	struct source *inner = from;
	from = NULL;
	if (source_tee(inner, part, &from, err) < 0 || sink_buf(&b, &part, err) < 0)
		return -1;
	if (sink_null(&other, err) < 0) {
		sink_free(part);
		return -1;
	}
	if (sink_both(part, other, &both, err) < 0)
		return -1;
	if (filter_unzstd(27, &f, err) < 0) {
		sink_free(both);
		return -1;
	}
	/* An empty stream through the filter; then the copy past it. */
	if (sink_filtered(f, both, &to, err) < 0 || sink_close(to, err) < 0)
		return -1;
	sink_free(to);
	to = NULL;
	if (sink_buf(&b, &to, err) < 0 || flow_copy(from, to, &bytes, err) < 0 ||
	    sink_close(to, err) < 0)
		return -1;
	return b.len == sizeof raw && bytes == sizeof raw ? 0 : err_set(err, ERR_FAILED, "wrong");
}

static void streams__memory_runs_out__fail_cleanly(void **state)
{
	(void)state;
	sweep(&(struct sweep){.work = work_streams, .at_least = 15});
}

static int work_cut(struct err *err)
{
	CLEANUP(source_freep) struct source *s = NULL;
	struct source *from;
	struct filter *f;
	uint8_t out[100];
	size_t n;
	struct err why = ERR_INIT;
	if (source_memory(frames, 16, &from, err) < 0)
		return -1;
	if (filter_unzstd(27, &f, err) < 0) {
		source_free(from);
		return -1;
	}
	if (source_filtered(from, f, &s, err) < 0)
		return -1;
	/* The frame is cut: that is what must be said, with and without memory. */
	while (source_read(s, out, sizeof out, &n, &why) == 0)
		if (n == 0)
			return err_set(err, ERR_FAILED, "a cut frame was an end");
	for (int i = 0; i < 2; i++)
		if (source_read(s, out, sizeof out, &n, &why) == 0)
			return err_set(err, ERR_FAILED, "the error was forgotten");
	return 0;
}

static void cut_frame__memory_runs_out__is_never_an_end(void **state)
{
	(void)state;
	sweep(&(struct sweep){.work = work_cut, .at_least = 5});
}

/* ---- children ---- */

static int work_child(struct err *err)
{
	CLEANUP(buf_done) struct buf out;
	const char *const argv[] = {"/bin/sh", "-c", "cat; echo $LB_X", NULL};
	const char *const env[] = {"LB_X=1", NULL};
	struct child_opts o = {.argv = argv, .env = env};
	buf_init(&out, 100);
	if (child_run(&o, &out, deadline_in(20000), err) < 0)
		return -1;
	return strcmp(buf_text(&out), "1\n") == 0 ? 0 : err_set(err, ERR_FAILED, "wrong");
}

static int work_child_flow(struct err *err)
{
	CLEANUP(source_freep) struct source *s = NULL;
	struct child *c;
	const char *const argv[] = {"/bin/sh", "-c", "echo all of it; exit 3", NULL};
	struct child_opts o = {.argv = argv, .pipe_stdout = true};
	uint8_t b[100];
	size_t n;
	struct err why = ERR_INIT;
	if (child_start(&o, &c, err) < 0 || source_child(c, 20000, &s, err) < 0)
		return -1;
	while (source_read(s, b, sizeof b, &n, &why) == 0)
		if (n == 0)
			return err_set(err, ERR_FAILED, "a failed child was an end");
	return 0;
}

static void children__memory_runs_out__fail_cleanly(void **state)
{
	(void)state;
	sweep(&(struct sweep){.work = work_child, .at_least = 4});
	sweep(&(struct sweep){.work = work_child_flow, .at_least = 5});
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(buf__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(secret__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(file__memory_runs_out__leaves_the_old_or_the_new),
	    cmocka_unit_test(zone__memory_runs_out__is_not_blamed_on_the_name),
	    cmocka_unit_test(json__memory_runs_out__is_no_memory_and_never_corrupt),
	    cmocka_unit_test(streams__memory_runs_out__fail_cleanly),
	    cmocka_unit_test(cut_frame__memory_runs_out__is_never_an_end),
	    cmocka_unit_test(children__memory_runs_out__fail_cleanly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
