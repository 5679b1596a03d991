/* The door on a real Docker Engine: door IMAGE, of which a container is made. test_door.py starts
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "stack/docker/docker.h"

static struct docker *d;
static struct err err;
static const char *image;
static char box[80], volume[80];

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%s: %s", err_code_name(err.code), err.msg);
}

/* A container that sleeps, with a fresh volume at /vol. */
static int setup(void **state)
{
	(void)state;
	must(docker_open(NULL, &d, &err));
	snprintf(volume, sizeof volume, "lifeboat-live-%ld", (long)getpid());
	json_t *answer = NULL,
	       *spec = json_pack("{s:s,s:[s,s],s:[],s:s,s:{s:[s+],s:b}}", "Image", image,
				 "Entrypoint", "sleep", "600", "Cmd", "User", "0", "HostConfig",
				 "Binds", volume, ":/vol", "Init", 1);
	assert_non_null(spec);
	must(docker_post(d, spec, &answer, &err, "/containers/create"));
	snprintf(box, sizeof box, "%s", json_str_or(answer, "Id", ""));
	json_decref(answer);
	json_decref(spec);
	must(docker_post(d, NULL, NULL, &err, "/containers/%s/start", box));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (box[0] != '\0')
		must(docker_delete(d, &err, "/containers/%s?force=1&v=1", box));
	if (volume[0] != '\0')
		must(docker_delete(d, &err, "/volumes/%s", volume));
	docker_free(d);
	return 0;
}

/* ---- programs ---- */

/* Runs a line of shell; what it printed is in `out`. */
static int sh(const char *line, struct buf *out)
{
	const char *const argv[] = {"sh", "-c", line, NULL};
	const struct docker_exec x = {.container = box, .argv = argv, .idle_ms = 60000};
	return docker_exec_run(d, &x, out, deadline_in(60000), &err);
}

static void assert_prints(const char *line, const char *text)
{
	struct buf out;
	buf_init(&out, 4096);
	must(sh(line, &out));
	assert_string_equal(buf_text(&out), text);
	buf_done(&out);
}

static void exec__statuses__with_words(void **state)
{
	(void)state;
	err_clear(&err);
	assert_prints("echo hi; echo oh >&2", "hi\n");
	assert_int_equal(sh("echo out; echo words >&2; exit 7", NULL), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "exited with status 7: words"));
	const char *const argv[] = {"no-such-program", NULL};
	const struct docker_exec x = {.container = box, .argv = argv, .idle_ms = 60000};
	assert_int_equal(docker_exec_run(d, &x, NULL, deadline_in(60000), &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
}

static void exec__user_and_environment__arrive(void **state)
{
	(void)state;
	err_clear(&err);
	struct buf out;
	buf_init(&out, 4096);
	const char *const argv[] = {"sh", "-c", "id -u; echo \"$SECRET\"; cat /proc/$$/cmdline",
				    NULL};
	const char *const env[] = {"SECRET=a b'\"$x", NULL};
	const struct docker_exec x = {
	    .container = box, .argv = argv, .env = env, .user = "12:13", .idle_ms = 60000};
	must(docker_exec_run(d, &x, &out, deadline_in(60000), &err));
	assert_non_null(strstr(buf_text(&out), "12\na b'\"$x\nsh"));
	buf_done(&out);
}

static void exec__megabytes_both_ways__no_deadlock(void **state)
{
	(void)state;
	err_clear(&err);
	static uint8_t block[1 << 20];
	const char *const argv[] = {"sh", "-c", "tee /vol/got; cat /vol/got >&2", NULL};
	const struct docker_exec x = {.container = box, .argv = argv, .idle_ms = 60000};
	struct sink *s = NULL;
	must(docker_exec_sink(d, &x, 60000, &s, &err));
	for (int i = 0; i < 16; i++)
		must(sink_write(s, block, sizeof block, &err));
	must(sink_close(s, &err));
	sink_free(s);
	assert_prints("wc -c </vol/got; rm /vol/got", "16777216\n");
	const char *const cat[] = {"head", "-c", "100000000", "/dev/zero", NULL};
	const struct docker_exec y = {.container = box, .argv = cat, .idle_ms = 60000};
	struct source *from = NULL;
	uint64_t bytes = 0;
	must(docker_exec_source(d, &y, &from, &err));
	must(sink_null(&s, &err));
	must(flow_copy(from, s, &bytes, &err));
	assert_int_equal(bytes, 100000000);
	source_free(from);
	sink_free(s);
}

static void exec__program_ends_before_its_input__status_and_no_hang(void **state)
{
	(void)state;
	err_clear(&err);
	static uint8_t block[1 << 20];
	const char *const argv[] = {"sh", "-c", "head -c 1000 >&2; echo enough >&2; exit 9", NULL};
	const struct docker_exec x = {.container = box, .argv = argv, .idle_ms = 60000};
	struct sink *s = NULL;
	must(docker_exec_sink(d, &x, 60000, &s, &err));
	int rc = 0;
	memset(block, 'x', sizeof block);
	for (int i = 0; rc == 0 && i < 64; i++)
		rc = sink_write(s, block, sizeof block, &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "exited with status 9: "));
	assert_non_null(strstr(err.msg, "enough"));
	sink_free(s);
}

static void exec__abandoned__stopped_and_keeps_no_half(void **state)
{
	(void)state;
	err_clear(&err);
	const char *const put[] = {"sh", "-c", "cat >/vol/half; mv /vol/half /vol/whole", NULL};
	const struct docker_exec x = {.container = box, .argv = put, .idle_ms = 60000};
	struct sink *s = NULL;
	must(docker_exec_sink(d, &x, 60000, &s, &err));
	must(sink_write(s, "begin", 5, &err));
	sink_free(s);
	const char *const get[] = {"sh", "-c", "trap '' TERM; while :; do echo 123456789; done",
				   NULL};
	const struct docker_exec y = {.container = box, .argv = get, .idle_ms = 60000};
	struct source *from = NULL;
	uint8_t first[10];
	size_t n;
	must(docker_exec_source(d, &y, &from, &err));
	must(source_read_full(from, first, sizeof first, &n, &err));
	source_free(from);
	assert_prints(
	    "ls /vol; cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c '12345678[9]' || :;"
	    " rm -f /vol/half",
	    "half\n0\n");
}

/* ---- trees ---- */

enum { COLLECTED = 512 };

static int collect(void *ctx, struct archive_entry *e, struct source *content, struct err *e2)
{
	char *all = ctx, text[16] = "";
	size_t n;
	if (content != NULL && archive_entry_size(e) < 16 &&
	    source_read_full(content, (uint8_t *)text, sizeof text - 1, &n, e2) < 0)
		return -1;
	const char *link = archive_entry_hardlink(e);
	size_t at = strlen(all);
	snprintf(all + at, COLLECTED - at, "%s%s%s=%s|", archive_entry_pathname(e),
		 link != NULL ? "->" : "", link != NULL ? link : "", text);
	return 0;
}

static void tree__written_and_read__the_same(void **state)
{
	(void)state;
	err_clear(&err);
	struct tree_writer *w = NULL;
	struct source *s = NULL;
	static uint8_t big[3 << 20];
	struct archive_entry *e = archive_entry_new();
	must(docker_tree_write(d, box, "/vol", 999, 998, &w, &err));
	archive_entry_copy_pathname(e, ".");
	archive_entry_set_filetype(e, AE_IFDIR);
	archive_entry_set_perm(e, 0710);
	archive_entry_set_uid(e, 70);
	archive_entry_set_gid(e, 71);
	archive_entry_set_mtime(e, 1500000000, 0);
	must(tree_writer_add(w, e, NULL, &err));
	archive_entry_clear(e);
	must(tree_writer_file(w, "d/\xC3\xA9 x\xFF", 0640, "hello", 5, &err));
	archive_entry_copy_pathname(e, "h");
	archive_entry_copy_hardlink(e, "d/\xC3\xA9 x\xFF");
	archive_entry_set_filetype(e, AE_IFREG);
	/* The daemon sets what the entry says on the file that both names are of. */
	archive_entry_set_perm(e, 0640);
	archive_entry_set_uid(e, 999);
	archive_entry_set_gid(e, 998);
	must(tree_writer_add(w, e, NULL, &err));
	archive_entry_free(e);
	must(source_memory(big, sizeof big, &s, &err));
	must(tree_writer_stream(w, "big", 0600, s, &err));
	source_free(s);
	must(tree_writer_close(w, &err));
	tree_writer_free(w);
	assert_prints("cd /vol; stat -c '%n %a %u:%g %s %h' . d d/* h big",
		      ". 710 70:71 4096 3\nd 700 999:998 4096 2\n"
		      "d/\xC3\xA9 x\xFF 640 999:998 5 2\nh 640 999:998 5 2\n"
		      "big 600 999:998 3145728 1\n");
	char text[COLLECTED] = "";
	must(docker_tree_read(d, box, "/vol", collect, text, &err));
	assert_string_equal(text, ".=|big=|d=|d/\xC3\xA9 x\xFF=hello|h->d/\xC3\xA9 x\xFF=|");
	assert_prints("rm -r /vol/*", "");
}

static void tree__links_and_missing_paths__resolved_and_told(void **state)
{
	(void)state;
	err_clear(&err);
	struct source *s = NULL;
	struct archive_entry *e = NULL;
	char text[16] = "";
	size_t n;
	assert_prints("cd /vol; echo hi >f; ln -s f a; ln -s /vol/a b; ln -s x x", "");
	must(docker_tree_file(d, box, "/vol/b", &s, &e, &err));
	must(source_read_full(s, (uint8_t *)text, sizeof text - 1, &n, &err));
	assert_string_equal(text, "hi\n");
	source_free(s);
	archive_entry_free(e);
	assert_int_equal(docker_tree_file(d, box, "/vol/none", &s, NULL, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_int_equal(docker_tree_file(d, box, "/vol/x", &s, NULL, &err), -1);
	assert_int_equal(docker_tree_file(d, box, "/vol", &s, NULL, &err), -1);
	assert_string_equal(err.msg, "'/vol' is not a file");
	assert_prints("rm -r /vol/*", "");
}

/* ---- containers of their own ---- */

static void run__to_its_end__output_status_and_nothing_left(void **state)
{
	(void)state;
	err_clear(&err);
	struct buf out;
	json_t *list = NULL;
	char *filters = NULL, label[100];
	snprintf(label, sizeof label, "lifeboat-live=%s", volume);
	static const char *const lines[] = {"echo hi; echo oh >&2", "echo hi; echo oh >&2; exit 3"};
	buf_init(&out, 4096);
	for (int i = 0; i < 2; i++) {
		json_t *spec =
		    json_pack("{s:s,s:[s,s],s:[s],s:{s:s}}", "Image", image, "Entrypoint", "sh",
			      "-c", "Cmd", lines[i], "Labels", "lifeboat-live", volume);
		int rc = docker_run(d, spec, &out, deadline_in(60000), &err);
		assert_int_equal(rc, i == 0 ? 0 : -1);
		json_decref(spec);
	}
	assert_string_equal(buf_text(&out), "hi\n");
	assert_non_null(strstr(err.msg, "exited with status 3: oh"));
	json_t *wanted = json_pack("{s:[s]}", "label", label);
	must(docker_filters(wanted, &filters, &err));
	must(docker_get(d, &list, &err, "/containers/json%s&all=1", filters));
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	json_decref(wanted);
	free(filters);
	buf_done(&out);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 64;
	image = argv[1];
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(exec__statuses__with_words),
	    cmocka_unit_test(exec__user_and_environment__arrive),
	    cmocka_unit_test(exec__megabytes_both_ways__no_deadlock),
	    cmocka_unit_test(exec__program_ends_before_its_input__status_and_no_hang),
	    cmocka_unit_test(exec__abandoned__stopped_and_keeps_no_half),
	    cmocka_unit_test(tree__written_and_read__the_same),
	    cmocka_unit_test(tree__links_and_missing_paths__resolved_and_told),
	    cmocka_unit_test(run__to_its_end__output_status_and_nothing_left),
	};
	return cmocka_run_group_tests_name("docker", tests, setup, teardown);
}
