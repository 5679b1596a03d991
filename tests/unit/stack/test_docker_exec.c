#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/support/docker_case.h"

#define RUNNING  "{\"ID\":\"e1\",\"Running\":true,\"ExitCode\":null}"
#define EXIT(n)  "{\"ID\":\"e1\",\"Running\":false,\"ExitCode\":" n "}"
#define OUT_HI   "\1\0\0\0\0\0\0\3hi\n"
#define PID_17   "\2\0\0\0\0\0\0\00317\n"
#define ERR_OH   "\2\0\0\0\0\0\0\5oh no"
#define BYTES(x) x, sizeof(x) - 1

static const struct docker_exec dump = {.container = "db",
					.argv =
					    (const char *const[]){"pg_dump", "-Fc", "a b", NULL},
					.env = (const char *const[]){"PGPASSWORD=se\"cret", NULL},
					.user = "999:999",
					.idle_ms = 20000};

/* Reads all of it; what came is in `text`. */
static int read_all(struct docker_case *c, const struct docker_exec *x, char text[64])
{
	struct source *s = NULL;
	size_t n = 0;
	memset(text, 0, 64);
	if (docker_exec_source(c->d, x, &s, &c->err) < 0)
		return -1;
	int rc = source_read_full(s, (uint8_t *)text, 63, &n, &c->err);
	source_free(s);
	return rc;
}

/* ---- source ---- */

static void source__exits_0__its_stdout(void **state)
{
	(void)state;
	struct docker_case c;
	char text[64];
	docker_case_begin(&c);
	docker_case_exec(&c, true);
	docker_case_frames(&c, BYTES(PID_17 OUT_HI ERR_OH OUT_HI), FAKE_CLOSE);
	docker_case_json(&c, 200, RUNNING); /* for a moment after its output has ended */
	docker_case_json(&c, 200, EXIT("0"));
	docker_case_open(&c);
	if (read_all(&c, &dump, text) < 0)
		fail_msg("%s", c.err.msg);
	assert_string_equal(text, "hi\nhi\n");
	docker_case_stop(&c);
	assert_non_null(strstr(c.fake.heads, "POST /v1.41/containers/db/exec HTTP/1.1\r\n"));
	assert_non_null(strstr(c.fake.heads, "POST /v1.41/exec/e1/start HTTP/1.1\r\n"));
	/* The password is in the environment and on no command line. */
	assert_non_null(strstr(
	    c.fake.body,
	    "{\"AttachStdin\":false,\"AttachStdout\":true,\"AttachStderr\":true,\"Tty\":false,"
	    "\"Cmd\":[\"/bin/sh\",\"-c\",\"echo \\\"$$\\\" >&2; exec \\\"$@\\\"\",\"sh\","
	    "\"pg_dump\",\"-Fc\",\"a b\"],\"Env\":[\"PGPASSWORD=se\\\"cret\"],"
	    "\"User\":\"999:999\"}"));
	assert_non_null(strstr(c.fake.body, "{\"Detach\":false,\"Tty\":false}"));
}

static void source__in_small_pieces__the_same(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 12; piece++) {
		struct docker_case c;
		char text[64];
		docker_case_begin(&c);
		docker_case_exec(&c, true);
		docker_case_frames(&c, BYTES(PID_17 OUT_HI ERR_OH OUT_HI), FAKE_CLOSE)->piece =
		    piece;
		docker_case_json(&c, 200, EXIT("3"));
		docker_case_open(&c);
		assert_int_equal(read_all(&c, &dump, text), -1);
		docker_case_failed(&c, ERR_FAILED,
				   "'pg_dump' in container 'db' exited with status 3: oh no");
		assert_string_equal(text, "hi\nhi\n");
		docker_case_stop(&c);
	}
}

static void source__image_without_a_shell__started_directly(void **state)
{
	(void)state;
	struct docker_case c;
	char text[64];
	docker_case_begin(&c);
	docker_case_exec(&c, false);
	docker_case_frames(&c, BYTES(PID_17 OUT_HI), FAKE_CLOSE);
	docker_case_json(&c, 200, EXIT("1"));
	docker_case_open(&c);
	assert_int_equal(read_all(&c, &dump, text), -1);
	/* Nothing of its stderr is taken for a pid. */
	docker_case_failed(&c, ERR_FAILED, "'pg_dump' in container 'db' exited with status 1: 17");
	docker_case_stop(&c);
	assert_non_null(strstr(c.fake.body, "\"Cmd\":[\"pg_dump\",\"-Fc\",\"a b\"]"));
}

static void source__ends__statuses_and_words(void **state)
{
	(void)state;
	static const struct {
		const char *frames;
		size_t len;
		const char *status;
		enum err_code code;
		const char *message;
	} said[] = {
	    {BYTES(PID_17 ERR_OH), EXIT("7"), ERR_FAILED, "exited with status 7: oh no"},
	    {BYTES(PID_17), EXIT("137"), ERR_FAILED, "exited with status 137 (SIGKILL)"},
	    {BYTES(PID_17 "\2\0\0\0\0\0\0\012not found\n"), EXIT("127"), ERR_ABSENT,
	     "exited with status 127: not found"},
	    {BYTES("\1\0\0\0\0\0\0\022no such user: oops"), EXIT("126"), ERR_FAILED,
	     "exited with status 126: no such user: oops"},
	    {BYTES(PID_17), "{\"Running\":false,\"ExitCode\":null}", ERR_CORRUPT,
	     "ended without a status"},
	    {BYTES(PID_17), "{}", ERR_CORRUPT, NULL},
	    /* The shell had something to say before its pid. */
	    {BYTES("\2\0\0\0\0\0\0\027sh: warning: locale\n17\n" ERR_OH), EXIT("1"), ERR_FAILED,
	     "exited with status 1: sh: warning: locale\noh no"},
	};
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		struct docker_case c;
		char text[64], message[200];
		docker_case_begin(&c);
		docker_case_exec(&c, true);
		docker_case_frames(&c, said[i].frames, said[i].len, FAKE_CLOSE);
		docker_case_json(&c, 200, said[i].status);
		docker_case_open(&c);
		assert_int_equal(read_all(&c, &dump, text), -1);
		snprintf(message, sizeof message, "'pg_dump' in container 'db' %s",
			 said[i].message != NULL ? said[i].message : "");
		if (said[i].message == NULL)
			snprintf(
			    message, sizeof message,
			    "state of 'pg_dump' in container 'db': field 'Running' is missing");
		docker_case_failed(&c, said[i].code, message);
		docker_case_stop(&c);
	}
}

static void source__cannot_start__the_daemons_reason(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *body;
		enum err_code code;
		const char *message;
	} said[] = {
	    {403, "{\"message\":\"exec is not allowed\"}", ERR_DENIED,
	     "'pg_dump' in container 'db': exec is not allowed (HTTP status 403)"},
	    {404, "{\"message\":\"No such container: db\"}", ERR_ABSENT,
	     "'pg_dump' in container 'db': No such container: db (HTTP status 404)"},
	    {409, "{\"message\":\"Container db is not running\"}", ERR_FAILED,
	     "'pg_dump' in container 'db': Container db is not running (HTTP status 409)"},
	    {201, "{}", ERR_CORRUPT,
	     "'pg_dump' in container 'db': answer of Docker to exec: field 'Id' is missing"},
	};
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		/* At the creation, and at the start. */
		for (int late = 0; late < (said[i].status == 201 ? 1 : 2); late++) {
			struct docker_case c;
			char text[64];
			docker_case_begin(&c);
			docker_case_is(&c, "sh", false);
			if (late)
				docker_case_json(&c, 201, "{\"Id\":\"e1\"}");
			docker_case_json(&c, said[i].status, said[i].body);
			docker_case_open(&c);
			assert_int_equal(read_all(&c, &dump, text), -1);
			docker_case_failed(&c, said[i].code, said[i].message);
			docker_case_stop(&c);
		}
	}
}

static void source__frames_are_cut_or_wrong__corrupt(void **state)
{
	(void)state;
	static const struct {
		const char *frames;
		size_t len;
		const char *message;
	} said[] = {
	    {BYTES(PID_17 "\1\0\0\0\0\0\0\5hi"),
	     "output of 'pg_dump' in container 'db': the connection ended inside a frame, "
	     "before all of its bytes"},
	    {BYTES(PID_17 OUT_HI "\1\0"),
	     "output of 'pg_dump' in container 'db': the connection ended inside a frame, "
	     "in its head"},
	    {BYTES(PID_17 "HTTP/1.1"), "output of 'pg_dump' in container 'db': no head of a frame: "
				       "48 54 54 50 2f 31 2e 31"},
	};
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		struct docker_case c;
		char text[64];
		docker_case_begin(&c);
		docker_case_exec(&c, true);
		docker_case_frames(&c, said[i].frames, said[i].len, FAKE_CLOSE);
		docker_case_json(&c, 200, EXIT("0"));
		docker_case_open(&c);
		assert_int_equal(read_all(&c, &dump, text), -1);
		docker_case_failed(&c, ERR_CORRUPT, said[i].message);
		docker_case_stop(&c);
	}
}

static void source__container_is_gone_at_the_end__failed(void **state)
{
	(void)state;
	struct docker_case c;
	char text[64];
	docker_case_begin(&c);
	docker_case_exec(&c, true);
	docker_case_frames(&c, BYTES(PID_17 OUT_HI), FAKE_CLOSE);
	docker_case_json(&c, 404, "{\"message\":\"No such exec instance: e1\"}");
	docker_case_open(&c);
	assert_int_equal(read_all(&c, &dump, text), -1);
	docker_case_failed(&c, ERR_FAILED,
			   "how 'pg_dump' in container 'db' ended is not known: "
			   "No such exec instance: e1 (HTTP status 404)");
	docker_case_stop(&c);
}

static void source__daemon_goes_away__unreachable_or_cut(void **state)
{
	(void)state;
	/* Between two frames, and inside of one. */
	static const struct {
		const char *frames;
		size_t len;
		enum err_code code;
		const char *message;
	} said[] = {
	    {BYTES(PID_17 OUT_HI), ERR_UNREACHABLE,
	     "how 'pg_dump' in container 'db' ended is not known: "},
	    {BYTES(PID_17 "\1\0\0\0\0\0\0\5hi"), ERR_CORRUPT,
	     "output of 'pg_dump' in container 'db': the connection ended inside a frame"},
	};
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		struct docker_case c;
		struct source *s = NULL;
		char text[64];
		size_t n;
		docker_case_begin(&c);
		/* It closes each connection, so that none is left for the last question. */
		docker_case_is(&c, "sh", false);
		docker_case_json(&c, 201, "{\"Id\":\"e1\"}")->then = FAKE_CLOSE;
		docker_case_frames(&c, said[i].frames, said[i].len, FAKE_CLOSE);
		docker_case_open(&c);
		assert_int_equal(docker_exec_source(c.d, &dump, &s, &c.err), 0);
		unlink(docker_case_socket(&c));
		assert_int_equal(source_read_full(s, (uint8_t *)text, sizeof text, &n, &c.err), -1);
		assert_int_equal(c.err.code, said[i].code);
		assert_non_null(strstr(c.err.msg, said[i].message));
		source_free(s);
		docker_case_stop(&c);
	}
}

static void source__silent_too_long__timeout_and_it_is_stopped(void **state)
{
	(void)state;
	struct docker_case c;
	char text[64];
	struct docker_exec x = dump;
	x.idle_ms = 50;
	docker_case_begin(&c);
	docker_case_exec(&c, true);
	docker_case_frames(&c, BYTES(PID_17), FAKE_DEAF);
	docker_case_json(&c, 200, RUNNING);
	docker_case_json(&c, 201, "{\"Id\":\"k1\"}");
	docker_case_json(&c, 200, "");
	docker_case_json(&c, 200, EXIT("143"));
	docker_case_open(&c);
	assert_int_equal(read_all(&c, &x, text), -1);
	docker_case_failed(&c, ERR_TIMEOUT, "'pg_dump' in container 'db': timed out");
	docker_case_stop(&c);
	/* As the program's own user: it is the one that may. */
	assert_non_null(strstr(c.fake.body,
			       "\"Cmd\":[\"/bin/sh\",\"-c\",\"kill \\\"-$1\\\" \\\"$2\\\"\","
			       "\"sh\",\"TERM\",\"17\"],\"User\":\"999:999\"}"));
	assert_non_null(strstr(c.fake.body, "{\"Detach\":true,\"Tty\":false}"));
	assert_non_null(strstr(c.fake.heads, "POST /v1.41/exec/k1/start HTTP/1.1\r\n"));
}

static void source__freed_after_its_program_ended__nothing_is_killed(void **state)
{
	(void)state;
	struct docker_case c;
	struct source *s = NULL;
	docker_case_begin(&c);
	docker_case_exec(&c, true);
	docker_case_frames(&c, BYTES(PID_17 OUT_HI), FAKE_DEAF);
	docker_case_json(&c, 200, EXIT("0"));
	docker_case_open(&c);
	assert_int_equal(docker_exec_source(c.d, &dump, &s, &c.err), 0);
	source_free(s);
	docker_case_stop(&c);
	assert_null(strstr(c.fake.body, "kill"));
	assert_int_equal(c.fake.answers, 5);
}

static void source__secrets_that_are_not_utf8__refused_without_being_shown(void **state)
{
	(void)state;
	struct docker_case c;
	char text[64];
	struct docker_exec x = dump;
	x.env = (const char *const[]){"PGPASSWORD=\xFFsecret", NULL};
	docker_case_begin(&c);
	docker_case_is(&c, "sh", false);
	docker_case_open(&c);
	assert_int_equal(read_all(&c, &x, text), -1);
	docker_case_failed(&c, ERR_CONFIG,
			   "'pg_dump' in container 'db': an argument or variable is not UTF-8, "
			   "and Docker's API takes nothing else");
	docker_case_stop(&c);
}

/* ---- sink ---- */

static void sink__program_takes_all__closed(void **state)
{
	(void)state;
	struct docker_case c;
	struct sink *s = NULL;
	docker_case_begin(&c);
	docker_case_exec(&c, true);
	docker_case_frames(&c, BYTES(PID_17 OUT_HI), FAKE_DISCARD);
	docker_case_json(&c, 200, EXIT("0"));
	docker_case_open(&c);
	if (docker_exec_sink(c.d, &dump, 20000, &s, &c.err) < 0 ||
	    sink_write(s, "abc", 3, &c.err) < 0 || sink_close(s, &c.err) < 0)
		fail_msg("%s", c.err.msg);
	sink_free(s);
	docker_case_stop(&c);
	assert_non_null(strstr(c.fake.body, "{\"AttachStdin\":true,"));
}

/* Writes until it fails. */
static int pour(struct docker_case *c, struct sink *s)
{
	static const uint8_t block[256 << 10];
	for (int i = 0; i < 64; i++)
		if (sink_write(s, block, sizeof block, &c->err) < 0)
			return -1;
	return 0;
}

static void sink__program_ends_early__its_status_and_words(void **state)
{
	(void)state;
	/* The daemon may close the connection, or leave it and read no more. */
	for (int deaf = 0; deaf < 2; deaf++) {
		struct docker_case c;
		struct sink *s = NULL;
		docker_case_begin(&c);
		docker_case_exec(&c, true);
		docker_case_frames(&c, BYTES(PID_17 ERR_OH), deaf ? FAKE_DEAF : FAKE_CLOSE);
		docker_case_json(&c, 200, EXIT("7"));
		docker_case_open(&c);
		assert_int_equal(docker_exec_sink(c.d, &dump, 20000, &s, &c.err), 0);
		assert_int_equal(pour(&c, s), -1);
		docker_case_failed(&c, ERR_FAILED,
				   "'pg_dump' in container 'db' exited with status 7: oh no");
		assert_int_equal(sink_close(s, &c.err), -1);
		sink_free(s);
		docker_case_stop(&c);
	}
}

static void sink__program_has_had_enough__closed(void **state)
{
	(void)state;
	struct docker_case c;
	struct sink *s = NULL;
	docker_case_begin(&c);
	docker_case_exec(&c, true);
	docker_case_frames(&c, BYTES(PID_17), FAKE_CLOSE);
	docker_case_json(&c, 200, EXIT("0"));
	docker_case_open(&c);
	assert_int_equal(docker_exec_sink(c.d, &dump, 20000, &s, &c.err), 0);
	assert_int_equal(pour(&c, s), -1);
	docker_case_failed(&c, ERR_CLOSED,
			   "'pg_dump' in container 'db' ended before it had read everything");
	sink_free(s);
	docker_case_stop(&c);
}

static void sink__does_not_end_in_time__timeout_and_it_is_killed(void **state)
{
	(void)state;
	struct docker_case c;
	struct sink *s = NULL;
	docker_case_begin(&c);
	docker_case_exec(&c, true);
	docker_case_frames(&c, BYTES(PID_17), FAKE_DEAF);
	docker_case_json(&c, 200, RUNNING);           /* at the timeout */
	docker_case_json(&c, 200, RUNNING);           /* before it is stopped */
	docker_case_json(&c, 201, "{\"Id\":\"k1\"}"); /* TERM */
	docker_case_json(&c, 200, "");
	docker_case_json(&c, 200, EXIT("143"));
	docker_case_open(&c);
	assert_int_equal(docker_exec_sink(c.d, &dump, 50, &s, &c.err), 0);
	assert_int_equal(sink_close(s, &c.err), -1);
	docker_case_failed(&c, ERR_TIMEOUT, "'pg_dump' in container 'db': timed out");
	sink_free(s);
	docker_case_stop(&c);
	assert_non_null(strstr(c.fake.body, "\"TERM\",\"17\""));
}

/* ---- run ---- */

static void run__exits_0_or_not__output_or_as_it_was(void **state)
{
	(void)state;
	static const char *const ends[] = {EXIT("0"), EXIT("2")};
	for (int i = 0; i < 2; i++) {
		struct docker_case c;
		struct buf out;
		buf_init(&out, 100);
		docker_case_begin(&c);
		docker_case_exec(&c, true);
		docker_case_frames(&c, BYTES(PID_17 OUT_HI), FAKE_CLOSE);
		docker_case_json(&c, 200, ends[i]);
		docker_case_open(&c);
		assert_int_equal(buf_puts(&out, "before ", &c.err), 0);
		assert_int_equal(docker_exec_run(c.d, &dump, &out, deadline_in(20000), &c.err),
				 i == 0 ? 0 : -1);
		assert_string_equal(buf_text(&out), i == 0 ? "before hi\n" : "before ");
		docker_case_stop(&c);
		buf_done(&out);
	}
}

static void run__more_than_the_buffer_takes__limit(void **state)
{
	(void)state;
	struct docker_case c;
	struct buf out;
	buf_init(&out, 2);
	docker_case_begin(&c);
	docker_case_exec(&c, true);
	docker_case_frames(&c, BYTES(PID_17 OUT_HI), FAKE_CLOSE);
	docker_case_json(&c, 200, EXIT("0"));
	docker_case_open(&c);
	assert_int_equal(docker_exec_run(c.d, &dump, &out, deadline_in(20000), &c.err), -1);
	docker_case_failed(&c, ERR_LIMIT,
			   "output of 'pg_dump' in container 'db' is larger than 2 bytes");
	docker_case_stop(&c);
	buf_done(&out);
}

/* ---- containers of their own, and logs ---- */

#define STATE(running, n) "{\"State\":{\"Running\":" running ",\"ExitCode\":" n "}}"

static int run_du(struct docker_case *c, struct buf *out)
{
	json_t *spec = json_pack("{s:s,s:[s]}", "Image", "box:1", "Cmd", "du");
	int rc = docker_run(c->d, spec, out, deadline_in(20000), &c->err);
	json_decref(spec);
	return rc;
}

static void own__runs_to_its_end__output_and_removed(void **state)
{
	(void)state;
	static const struct {
		const char *status;
		int rc;
	} ends[] = {{STATE("false", "0"), 0}, {STATE("false", "5"), -1}};
	for (int i = 0; i < 2; i++) {
		struct docker_case c;
		struct buf out;
		buf_init(&out, 100);
		docker_case_begin(&c);
		docker_case_json(&c, 201, "{\"Id\":\"c9\"}");
		docker_case_frames(&c, BYTES(OUT_HI ERR_OH), FAKE_CLOSE);
		docker_case_json(&c, 204, "");
		docker_case_json(&c, 200, STATE("true", "0"));
		docker_case_json(&c, 200, ends[i].status);
		docker_case_json(&c, 204, "");
		/* The fake daemon's pipe comes at the attach and ends before the start. */
		docker_case_open(&c);
		assert_int_equal(run_du(&c, &out), ends[i].rc);
		assert_string_equal(buf_text(&out), i == 0 ? "hi\n" : "");
		if (i > 0)
			docker_case_failed(
			    &c, ERR_FAILED,
			    "'du' in a container of 'box:1' exited with status 5: oh no");
		docker_case_stop(&c);
		assert_non_null(strstr(c.fake.heads, "POST /v1.41/containers/c9/attach?"));
		assert_non_null(strstr(c.fake.heads, "POST /v1.41/containers/c9/start "));
		assert_non_null(strstr(c.fake.heads, "DELETE /v1.41/containers/c9?force=1&v=1 "));
		buf_done(&out);
	}
}

static void own__does_not_start__reason_and_removed(void **state)
{
	(void)state;
	struct docker_case c;
	docker_case_begin(&c);
	docker_case_json(&c, 201, "{\"Id\":\"c9\"}");
	docker_case_frames(&c, "", 0, FAKE_DEAF);
	docker_case_json(&c, 400, "{\"message\":\"no such program\"}");
	docker_case_json(&c, 204, "");
	docker_case_open(&c);
	assert_int_equal(run_du(&c, NULL), -1);
	docker_case_failed(&c, ERR_FAILED,
			   "'du' in a container of 'box:1': no such program (HTTP status 400)");
	docker_case_stop(&c);
	assert_non_null(strstr(c.fake.heads, "DELETE /v1.41/containers/c9?force=1&v=1 "));
}

static void own__no_image__absent(void **state)
{
	(void)state;
	struct docker_case c;
	docker_case_begin(&c);
	docker_case_json(&c, 404, "{\"message\":\"No such image: box:1\"}");
	docker_case_open(&c);
	assert_int_equal(run_du(&c, NULL), -1);
	docker_case_failed(
	    &c, ERR_ABSENT,
	    "'du' in a container of 'box:1': No such image: box:1 (HTTP status 404)");
	docker_case_stop(&c);
	assert_null(strstr(c.fake.heads, "DELETE"));
}

static void log_tail__with_and_without_a_terminal__both_streams(void **state)
{
	(void)state;
	for (int tty = 0; tty < 2; tty++) {
		struct docker_case c;
		struct buf out;
		buf_init(&out, 100);
		docker_case_begin(&c);
		docker_case_json(&c, 200, tty ? "{\"Config\":{\"Tty\":true}}" : "{\"Config\":{}}");
		if (tty)
			docker_case_tar(&c, BYTES("hi\noh no"));
		else
			docker_case_tar(&c, BYTES(OUT_HI ERR_OH));
		docker_case_open(&c);
		if (docker_log_tail(c.d, "db", 5, &out, &c.err) < 0)
			fail_msg("%s", c.err.msg);
		assert_string_equal(buf_text(&out), "hi\noh no");
		docker_case_stop(&c);
		buf_done(&out);
		assert_non_null(strstr(c.fake.heads,
				       "GET /v1.41/containers/db/logs?stdout=1&stderr=1&tail=5 "));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(source__exits_0__its_stdout),
	    cmocka_unit_test(source__in_small_pieces__the_same),
	    cmocka_unit_test(source__image_without_a_shell__started_directly),
	    cmocka_unit_test(source__ends__statuses_and_words),
	    cmocka_unit_test(source__cannot_start__the_daemons_reason),
	    cmocka_unit_test(source__frames_are_cut_or_wrong__corrupt),
	    cmocka_unit_test(source__container_is_gone_at_the_end__failed),
	    cmocka_unit_test(source__daemon_goes_away__unreachable_or_cut),
	    cmocka_unit_test(source__silent_too_long__timeout_and_it_is_stopped),
	    cmocka_unit_test(source__freed_after_its_program_ended__nothing_is_killed),
	    cmocka_unit_test(source__secrets_that_are_not_utf8__refused_without_being_shown),
	    cmocka_unit_test(sink__program_takes_all__closed),
	    cmocka_unit_test(sink__program_ends_early__its_status_and_words),
	    cmocka_unit_test(sink__program_has_had_enough__closed),
	    cmocka_unit_test(sink__does_not_end_in_time__timeout_and_it_is_killed),
	    cmocka_unit_test(run__exits_0_or_not__output_or_as_it_was),
	    cmocka_unit_test(run__more_than_the_buffer_takes__limit),
	    cmocka_unit_test(own__runs_to_its_end__output_and_removed),
	    cmocka_unit_test(own__does_not_start__reason_and_removed),
	    cmocka_unit_test(own__no_image__absent),
	    cmocka_unit_test(log_tail__with_and_without_a_terminal__both_streams),
	};
	return cmocka_run_group_tests_name("docker_exec", tests, NULL, NULL);
}
