#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/child.h"
#include "base/digest.h"
#include "base/flow/source.h"
#include "tests/support/fake_flow.h"

/* All of it, as text; NULL when it fails. Frees the source. */
static char *drain(struct source *s, struct err *err)
{
	struct buf b;
	struct sink *to = NULL;
	char *text = NULL;
	buf_init(&b, 1 << 20);
	assert_int_equal(sink_buf(&b, &to, err), 0);
	if (flow_copy(s, to, NULL, err) == 0)
		assert_int_equal(buf_take(&b, &text, err), 0);
	sink_free(to);
	source_free(s);
	buf_done(&b);
	return text;
}

static void assert_drains(struct source *s, const char *expected)
{
	struct err err = ERR_INIT;
	char *text = drain(s, &err);
	if (text == NULL)
		fail_msg("%s", err.msg);
	assert_string_equal(text, expected);
	free(text);
}

static void assert_breaks(struct source *s, enum err_code code, const char *message)
{
	struct err err = ERR_INIT;
	assert_null(drain(s, &err));
	assert_int_equal(err.code, code);
	assert_string_equal(err.msg, message);
}

static struct source *memory(const char *text)
{
	struct err err = ERR_INIT;
	struct source *s = NULL;
	assert_int_equal(source_memory(text, strlen(text), &s, &err), 0);
	return s;
}

/* ---- the wrapper ---- */

static void error__of_a_read__sticks(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log log = {0};
	uint8_t b[8];
	size_t n = 77;
	struct source *s = fake_source(&log, 100, 4, 2);
	assert_int_equal(source_read(s, b, sizeof b, &n, &err), 0);
	assert_int_equal(n, 4);
	n = 77;
	for (int i = 0; i < 3; i++) {
		err_clear(&err);
		assert_int_equal(source_read(s, b, sizeof b, &n, &err), -1);
		assert_int_equal(err.code, ERR_IO);
		assert_string_equal(err.msg, "the source broke");
		assert_int_equal(n, 77);
	}
	assert_int_equal(log.calls, 2);
	assert_int_equal(source_bytes(s), 4);
	source_free(s);
	assert_int_equal(log.freed, 1);
}

static void end__once_seen__stays(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log log = {0};
	uint8_t b[8];
	size_t n;
	struct source *s = fake_source(&log, 5, 8, 3);
	assert_int_equal(source_read(s, b, sizeof b, &n, &err), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(source_read(s, b, sizeof b, &n, &err), 0);
		assert_int_equal(n, 0);
	}
	assert_int_equal(log.calls, 2);
	source_free(s);
	source_free(NULL);
}

static void read_full__of_pieces__fills_up_to_the_end(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log log = {0};
	uint8_t b[8];
	size_t n;
	struct source *s = fake_source(&log, 13, 3, 0);
	assert_int_equal(source_read_full(s, b, 8, &n, &err), 0);
	assert_int_equal(n, 8);
	assert_int_equal(source_read_full(s, b, 8, &n, &err), 0);
	assert_int_equal(n, 5);
	assert_int_equal(source_read_full(s, b, 8, &n, &err), 0);
	assert_int_equal(n, 0);
	source_free(s);
}

/* ---- kinds ---- */

static void memory__any_length__comes_as_it_is(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct source *s = NULL;
	assert_drains(memory("hello"), "hello");
	assert_drains(memory(""), "");
	assert_int_equal(source_memory(NULL, 0, &s, &err), 0);
	assert_drains(s, "");
}

static int file_of(const char *text)
{
	char name[] = "/tmp/lifeboat-source-XXXXXX";
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static struct source *file_source(const char *text, uint64_t len)
{
	struct err err = ERR_INIT;
	struct source *s = NULL;
	assert_int_equal(source_fd(file_of(text), len, "x.tar", &s, &err), 0);
	return s;
}

static void fd__promised_length__is_kept_or_an_error(void **state)
{
	(void)state;
	assert_drains(file_source("0123456789", UINT64_MAX), "0123456789");
	assert_drains(file_source("0123456789", 10), "0123456789");
	assert_drains(file_source("0123456789", 4), "0123");
	assert_drains(file_source("0123456789", 0), "");
	assert_breaks(file_source("0123456789", 11), ERR_CORRUPT,
		      "'x.tar' ended after 10 bytes, 1 too early");
	assert_breaks(file_source("", 5), ERR_CORRUPT, "'x.tar' ended after 0 bytes, 5 too early");
}

static void fd__that_can_not_be_read__is_an_io_error(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct source *s = NULL;
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY);
	assert_int_equal(source_fd(fd, UINT64_MAX, "folder", &s, &err), 0);
	assert_breaks(s, ERR_IO, "can't read 'folder': Is a directory");
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* Nothing is mapped at the address 0: the kernel says the same as of a bad sector. */
static void fd__that_lost_what_was_written__is_corrupt(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct source *s = NULL;
	assert_int_equal(source_fd(open("/proc/self/mem", O_RDONLY), 5, "x.tar", &s, &err), 0);
	assert_breaks(s, ERR_CORRUPT, "can't read 'x.tar': Input/output error");
}

static struct source *child_source(const char *script, int64_t idle_ms)
{
	struct err err = ERR_INIT;
	struct child *c = NULL;
	struct source *s = NULL;
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	struct child_opts o = {.argv = argv, .pipe_stdout = true};
	assert_int_equal(child_start(&o, &c, &err), 0);
	assert_int_equal(source_child(c, idle_ms, &s, &err), 0);
	return s;
}

static void child__that_exits_0__vouches_for_its_output(void **state)
{
	(void)state;
	assert_drains(child_source("echo one; echo two", 10000), "one\ntwo\n");
	assert_drains(child_source("true", -1), "");
}

static void child__that_fails_after_its_output__is_no_end(void **state)
{
	(void)state;
	assert_breaks(child_source("echo all of it; echo sorry >&2; exit 1", 10000), ERR_FAILED,
		      "'sh' exited with status 1: sorry");
	assert_breaks(child_source("echo all of it; kill -KILL $$", 10000), ERR_FAILED,
		      "'sh' was killed by SIGKILL");
	assert_breaks(child_source("exit 1", 10000), ERR_FAILED, "'sh' exited with status 1");
	/* Its output ends long before it does. */
	assert_breaks(child_source("echo x; exec >&-; sleep 0.05; exit 5", 10000), ERR_FAILED,
		      "'sh' exited with status 5");
}

static void child__silent_for_too_long__is_a_timeout(void **state)
{
	(void)state;
	assert_breaks(child_source("echo x; sleep 100", 20), ERR_TIMEOUT, "'sh': timed out");
	assert_breaks(child_source("exec >&-; sleep 100", 20), ERR_TIMEOUT, "'sh': timed out");
}

/* ---- tee ---- */

static void tee__all_bytes__reach_both_and_the_end_closes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log from = {0}, side = {0};
	struct source *s = NULL;
	uint8_t b[100];
	size_t n;
	assert_int_equal(
	    source_tee(fake_source(&from, 10, 4, 0), fake_sink(&side, 0, false), &s, &err), 0);
	assert_int_equal(source_read_full(s, b, 10, &n, &err), 0);
	assert_int_equal(side.bytes, 10);
	assert_int_equal(side.closed, 0);
	assert_int_equal(source_read(s, b, sizeof b, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(side.closed, 1);
	source_free(s);
	assert_int_equal(from.freed + side.freed, 2);
}

static void tee__source_breaks__side_is_not_closed(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log from = {0}, side = {0};
	struct source *s = NULL;
	assert_int_equal(
	    source_tee(fake_source(&from, 10, 4, 3), fake_sink(&side, 0, false), &s, &err), 0);
	assert_breaks(s, ERR_IO, "the source broke");
	assert_int_equal(side.closed, 0);
	assert_int_equal(from.freed + side.freed, 2);
}

static void tee__side_breaks__the_read_fails(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log from = {0}, side = {0};
	struct source *s = NULL;
	assert_int_equal(
	    source_tee(fake_source(&from, 10, 4, 0), fake_sink(&side, 2, false), &s, &err), 0);
	assert_breaks(s, ERR_NOSPACE, "the sink broke");
	assert_int_equal(
	    source_tee(fake_source(&from, 10, 4, 0), fake_sink(&side, 0, true), &s, &err), 0);
	assert_breaks(s, ERR_NOSPACE, "the sink broke");
	assert_int_equal(side.closed, 0);
}

static void tee__into_a_digest__is_the_digest_of_what_passed(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sha256 *h = NULL;
	struct sink *side = NULL;
	struct source *s = NULL;
	char hex[SHA256_HEX_BYTES];
	assert_int_equal(sha256_new(&h, &err), 0);
	assert_int_equal(sink_sha256(h, &side, &err), 0);
	assert_int_equal(source_tee(memory("abc"), side, &s, &err), 0);
	assert_drains(s, "abc");
	sha256_hex(h, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_free(h);
}

/* ---- filtered ---- */

static struct source *filtered(struct source *from, struct fake_log *log,
			       enum fake_filter_kind kind)
{
	struct err err = ERR_INIT;
	struct source *s = NULL;
	assert_int_equal(source_filtered(from, fake_filter(log, kind), &s, &err), 0);
	return s;
}

static void filtered__any_buffer__comes_out_whole(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log log = {0};
	for (size_t cap = 1; cap < 9; cap++) {
		struct source *s = filtered(memory("(ab)c"), &log, FAKE_FILTER_DOUBLE);
		char out[16] = "";
		size_t len = 0, n = 1;
		while (n > 0) {
			assert_int_equal(source_read(s, (uint8_t *)out + len, cap, &n, &err), 0);
			len += n;
		}
		assert_string_equal(out, "((aabb))cc");
		source_free(s);
	}
	assert_drains(filtered(memory(""), &log, FAKE_FILTER_DOUBLE), "");
	assert_int_equal(log.freed, 9);
}

static void filtered__ended_inside_a_frame__is_corrupt(void **state)
{
	(void)state;
	struct fake_log log = {0};
	assert_breaks(filtered(memory("(ab"), &log, FAKE_FILTER_DOUBLE), ERR_CORRUPT,
		      "stream ended inside a frame");
}

static void filtered__a_broken_neighbour__is_its_error(void **state)
{
	(void)state;
	struct fake_log log = {0}, from = {0};
	assert_breaks(filtered(memory("x"), &log, FAKE_FILTER_BREAKS), ERR_CORRUPT,
		      "the filter broke");
	assert_breaks(filtered(fake_source(&from, 10, 4, 2), &log, FAKE_FILTER_DOUBLE), ERR_IO,
		      "the source broke");
	assert_breaks(filtered(memory("x"), &log, FAKE_FILTER_STUCK), ERR_FAILED,
		      "a filter makes no progress");
	assert_breaks(filtered(memory("x"), &log, FAKE_FILTER_FULL), ERR_FAILED,
		      "a filter makes no progress");
	assert_breaks(filtered(memory(""), &log, FAKE_FILTER_FULL), ERR_FAILED,
		      "a filter makes no progress");
}

static void filtered__a_long_tail__comes_out_after_the_input(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct fake_log log = {0};
	char *text = drain(filtered(memory("start"), &log, FAKE_FILTER_TAIL), &err);
	assert_non_null(text);
	assert_int_equal(strlen(text), 100005);
	assert_memory_equal(text, "startzzz", 8);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(error__of_a_read__sticks),
	    cmocka_unit_test(end__once_seen__stays),
	    cmocka_unit_test(read_full__of_pieces__fills_up_to_the_end),
	    cmocka_unit_test(memory__any_length__comes_as_it_is),
	    cmocka_unit_test(fd__promised_length__is_kept_or_an_error),
	    cmocka_unit_test(fd__that_can_not_be_read__is_an_io_error),
	    cmocka_unit_test(fd__that_lost_what_was_written__is_corrupt),
	    cmocka_unit_test(child__that_exits_0__vouches_for_its_output),
	    cmocka_unit_test(child__that_fails_after_its_output__is_no_end),
	    cmocka_unit_test(child__silent_for_too_long__is_a_timeout),
	    cmocka_unit_test(tee__all_bytes__reach_both_and_the_end_closes),
	    cmocka_unit_test(tee__source_breaks__side_is_not_closed),
	    cmocka_unit_test(tee__side_breaks__the_read_fails),
	    cmocka_unit_test(tee__into_a_digest__is_the_digest_of_what_passed),
	    cmocka_unit_test(filtered__any_buffer__comes_out_whole),
	    cmocka_unit_test(filtered__ended_inside_a_frame__is_corrupt),
	    cmocka_unit_test(filtered__a_broken_neighbour__is_its_error),
	    cmocka_unit_test(filtered__a_long_tail__comes_out_after_the_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
