#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "stack/docker/docker_archive.h"
#include "tests/support/docker_case.h"

/* ---- open ---- */

static int try_host(const char *host, struct err *err)
{
	struct docker *d = NULL;
	int rc = docker_open(host, &d, err);
	docker_free(d);
	return rc;
}

static void open__a_daemon__version_and_nearness(void **state)
{
	(void)state;
	struct docker_case c;
	docker_case_begin(&c);
	docker_case_json(&c, 200, "{}");
	docker_case_open(&c);
	assert_true(docker_is_near(c.d));
	assert_int_equal(docker_get(c.d, NULL, &c.err, "/info"), 0);
	docker_case_stop(&c);
	assert_non_null(strstr(c.fake.heads, "GET /version HTTP/1.1\r\n"));
	assert_non_null(strstr(c.fake.heads, "GET /v1.41/info HTTP/1.1\r\n"));
}

static void open__a_daemon_that_forgot_1_41__its_oldest_version(void **state)
{
	(void)state;
	struct docker_case c;
	docker_case_begin_as(&c, 200,
			     "{\"Version\":\"29.0.1\",\"ApiVersion\":\"1.52\","
			     "\"MinAPIVersion\":\"1.44\"}");
	docker_case_json(&c, 200, "{}");
	docker_case_open(&c);
	assert_int_equal(docker_get(c.d, NULL, &c.err, "/info"), 0);
	docker_case_stop(&c);
	assert_non_null(strstr(c.fake.heads, "GET /v1.44/info HTTP/1.1\r\n"));
}

static void open__wrong_daemons__refused(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *answer, *message;
	} bad[] = {
	    {200, "{\"Version\":\"19.03.1\",\"ApiVersion\":\"1.40\"}",
	     "Docker 19.03.1 speaks version 1.40 of its API, not 1.41"},
	    {200, "<html>", "is not a Docker Engine"},
	    {200, "{}", "is not a Docker Engine"},
	    {200, "{\"ApiVersion\":\"1.41x\"}", "is not a Docker Engine"},
	    {200, "[]", "is not a Docker Engine"},
	    {500, "{\"message\":\"oh\"}", "oh (HTTP status 500)"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct docker_case c;
		docker_case_begin_as(&c, bad[i].status, bad[i].answer);
		assert_int_equal(docker_case_try(&c), -1);
		assert_int_equal(c.err.code, ERR_FAILED);
		assert_non_null(strstr(c.err.msg, bad[i].message));
		docker_case_stop(&c);
	}
}

static void open__no_socket__unreachable_with_a_hint(void **state)
{
	(void)state;
	struct temp_dir dir;
	struct err err = ERR_INIT;
	char host[TEMP_DIR_BYTES + 64], message[2 * TEMP_DIR_BYTES];
	temp_dir_make(&dir);
	snprintf(host, sizeof host, "unix://%s", temp_dir_in(&dir, "none.sock"));
	assert_int_equal(try_host(host, &err), -1);
	snprintf(message, sizeof message,
		 "Docker does not answer at '%s': No such file or directory",
		 temp_dir_in(&dir, "none.sock"));
	assert_string_equal(err.msg, message);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_true(err.retryable);
	assert_non_null(strstr(err.hint, "DOCKER_HOST"));
	temp_dir_remove(&dir);
}

static void open__a_socket_nobody_listens_on__unreachable(void **state)
{
	(void)state;
	struct temp_dir dir;
	struct err err = ERR_INIT;
	struct sockaddr_un u = {.sun_family = AF_UNIX};
	char host[TEMP_DIR_BYTES + 64];
	temp_dir_make(&dir);
	snprintf(u.sun_path, sizeof u.sun_path, "%s", temp_dir_in(&dir, "dead.sock"));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&u, sizeof u), 0);
	close(fd);
	snprintf(host, sizeof host, "unix://%s", u.sun_path);
	assert_int_equal(try_host(host, &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_non_null(strstr(err.msg, "Connection refused"));
	assert_string_equal(err.hint, "Start Docker.");
	temp_dir_remove(&dir);
}

/* Root may use any socket, so it is tried as somebody else. */
static void open__no_rights__denied_with_a_hint(void **state)
{
	(void)state;
	struct docker_case c;
	docker_case_begin(&c);
	fake_http_start(&c.fake, c.replies, c.count, docker_case_socket(&c));
	assert_int_equal(chmod(c.dir.path, 0755), 0);
	assert_int_equal(chmod(docker_case_socket(&c), 0), 0);
	char host[TEMP_DIR_BYTES + 64];
	snprintf(host, sizeof host, "unix://%s", docker_case_socket(&c));
	pid_t pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(2);
		if (try_host(host, &err) == 0 || err.code != ERR_DENIED)
			_exit(3);
		if (strstr(err.msg, "no right to use Docker's socket") == NULL)
			_exit(4);
		_exit(strstr(err.hint, "'docker'") != NULL ? 0 : 5);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	docker_case_stop(&c);
}

static void open__addresses_that_are_none__configuration(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
					  "unix://",
					  "unix://relative",
					  "/var/run/docker.sock",
					  "ssh://host",
					  "tcp://",
					  "tcp://host/path",
					  "tcp://user:secret@host:1",
					  "npipe:////./pipe/docker"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err err = ERR_INIT;
		assert_int_equal(try_host(bad[i], &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.msg, "is not an address of Docker"));
	}
}

static void open__tls_without_certificates__configuration(void **state)
{
	(void)state;
	struct temp_dir dir;
	struct err err = ERR_INIT;
	temp_dir_make(&dir);
	setenv("DOCKER_TLS_VERIFY", "1", 1);
	setenv("DOCKER_CERT_PATH", dir.path, 1);
	assert_int_equal(try_host("tcp://127.0.0.1:1", &err), -1);
	unsetenv("DOCKER_TLS_VERIFY");
	unsetenv("DOCKER_CERT_PATH");
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "ca.pem': No such file or directory"));
	assert_non_null(strstr(err.hint, "DOCKER_CERT_PATH"));
	temp_dir_remove(&dir);
}

static void open__host_of_the_environment__used(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	setenv("DOCKER_HOST", "unix:///no/such.sock", 1);
	assert_int_equal(try_host(NULL, &err), -1);
	unsetenv("DOCKER_HOST");
	assert_non_null(strstr(err.msg, "'/no/such.sock'"));
}

/* ---- calls ---- */

static void call__statuses__codes_and_the_daemons_words(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *body;
		enum err_code code;
		const char *message;
	} said[] = {
	    {404, "{\"message\":\"No such container: x\"}", ERR_ABSENT,
	     "No such container: x (HTTP status 404)"},
	    {409, "{\"message\":\"in use\\n\"}", ERR_EXISTS, "in use (HTTP status 409)"},
	    {401, "{}", ERR_DENIED, "{} (HTTP status 401)"},
	    {403, "{\"message\":\"refused by a plugin\"}", ERR_DENIED,
	     "refused by a plugin (HTTP status 403)"},
	    {500, "{\"message\":\"write /x: no space left on device\"}", ERR_NOSPACE,
	     "write /x: no space left on device (HTTP status 500)"},
	    {500, "{\"message\":\"disk quota exceeded\"}", ERR_NOSPACE,
	     "disk quota exceeded (HTTP status 500)"},
	    {400, "{\"message\":\"no space left\"}", ERR_FAILED, "no space left (HTTP status 400)"},
	    {502, "<html>", ERR_FAILED, "<html> (HTTP status 502)"},
	    {500, "", ERR_FAILED, "Docker gave no reason (HTTP status 500)"},
	};
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		struct docker_case c;
		json_t *j = NULL;
		docker_case_begin(&c);
		docker_case_json(&c, said[i].status, said[i].body);
		docker_case_open(&c);
		assert_int_equal(docker_post(c.d, NULL, &j, &c.err, "/x"), -1);
		docker_case_failed(&c, said[i].code, said[i].message);
		assert_null(j);
		docker_case_stop(&c);
	}
}

static void call__answers__parsed_or_none(void **state)
{
	(void)state;
	struct docker_case c;
	json_t *j = NULL, *body = json_pack("{s:s}", "Name", "v 1");
	docker_case_begin(&c);
	docker_case_json(&c, 201, "{\"Id\":\"abc\"}");
	docker_case_reply(&c, "HTTP/1.1 204 No Content\r\n\r\n", "", 0);
	docker_case_reply(&c, "HTTP/1.1 304 Not Modified\r\n\r\n", "", 0);
	docker_case_json(&c, 404, "{\"message\":\"no such volume\"}");
	docker_case_json(&c, 409, "{\"message\":\"volume is in use\"}");
	docker_case_json(&c, 200, "{\"a\":");
	docker_case_json(&c, 200, "");
	docker_case_open(&c);
	assert_int_equal(docker_post(c.d, body, &j, &c.err, "/volumes/%s", "create"), 0);
	assert_string_equal(json_str_or(j, "Id", ""), "abc");
	json_decref(j);
	json_decref(body);
	assert_int_equal(docker_post(c.d, NULL, &j, &c.err, "/containers/x/stop"), 0);
	assert_null(j);
	assert_int_equal(docker_post(c.d, NULL, NULL, &c.err, "/containers/x/start"), 0);
	assert_int_equal(docker_delete(c.d, &c.err, "/volumes/%d", 7), 0);
	assert_int_equal(docker_delete(c.d, &c.err, "/volumes/8"), -1);
	docker_case_failed(&c, ERR_EXISTS, "volume is in use (HTTP status 409)");
	assert_int_equal(docker_get(c.d, &j, &c.err, "/cut"), -1);
	assert_int_equal(c.err.code, ERR_CORRUPT);
	assert_non_null(strstr(c.err.msg, "answer of Docker to '/cut': not JSON"));
	assert_int_equal(docker_get(c.d, &j, &c.err, "/empty"), -1);
	docker_case_failed(&c, ERR_CORRUPT, "Docker gave an empty answer");
	docker_case_stop(&c);
	assert_non_null(strstr(c.fake.heads, "POST /v1.41/volumes/create HTTP/1.1\r\n"));
	assert_non_null(strstr(c.fake.heads, "DELETE /v1.41/volumes/7 HTTP/1.1\r\n"));
	assert_non_null(strstr(c.fake.body, "{\"Name\":\"v 1\"}"));
}

static void call__daemon_goes_away__unreachable(void **state)
{
	(void)state;
	struct docker_case c;
	docker_case_begin(&c);
	docker_case_json(&c, 200, "{}")->then = FAKE_CLOSE;
	docker_case_open(&c);
	assert_int_equal(docker_get(c.d, NULL, &c.err, "/info"), 0);
	unlink(docker_case_socket(&c));
	assert_int_equal(docker_get(c.d, NULL, &c.err, "/info"), -1);
	assert_int_equal(c.err.code, ERR_UNREACHABLE);
	assert_non_null(strstr(c.err.hint, "unix://"));
	docker_case_stop(&c);
}

static void filters__json__percent_encoded(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char *text = NULL;
	json_t *j = json_pack("{s:[s]}", "label", "a=b&c");
	assert_int_equal(docker_filters(j, &text, &err), 0);
	assert_string_equal(text, "?filters=%7B%22label%22%3A%5B%22a%3Db%26c%22%5D%7D");
	json_decref(j);
	free(text);
}

/* ---- stat ---- */

static void stat__kinds_of_files__as_go_describes_them(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		unsigned type, perm;
		long long mtime;
		long nsec;
		const char *link;
	} said[] = {
	    {"{\"name\":\"data\",\"size\":4096,\"mode\":2147484096,\"mtime\":"
	     "\"2026-11-23T07:55:16.561889122Z\",\"linkTarget\":\"\"}",
	     AE_IFDIR, 0700, 1795420516, 561889122, NULL},
	    {"{\"name\":\"l\",\"size\":7,\"mode\":134218239,\"mtime\":\"2020-09-13T14:26:40+02:"
	     "00\","
	     "\"linkTarget\":\"/data/b\"}",
	     AE_IFLNK, 0777, 1600000000, 0, "/data/b"},
	    {"{\"name\":\"f\",\"size\":2,\"mode\":384,\"mtime\":\"2020-09-13T08:56:40.5-03:30\"}",
	     AE_IFREG, 0600, 1600000000, 500000000, NULL},
	    {"{\"name\":\"t\",\"size\":0,\"mode\":2148532735,\"mtime\":\"1970-01-01T00:00:00Z\"}",
	     AE_IFDIR, 01777, 0, 0, NULL},
	    {"{\"name\":\"su\",\"size\":0,\"mode\":12583405,\"mtime\":\"1970-01-01T00:00:00Z\"}",
	     AE_IFREG, 06755, 0, 0, NULL},
	    {"{\"name\":\"p\",\"size\":0,\"mode\":33554852,\"mtime\":\"1970-01-01T00:00:00Z\"}",
	     AE_IFIFO, 0644, 0, 0, NULL},
	    {"{\"name\":\"s\",\"size\":0,\"mode\":16777636,\"mtime\":\"1970-01-01T00:00:00Z\"}",
	     AE_IFSOCK, 0644, 0, 0, NULL},
	    {"{\"name\":\"c\",\"size\":0,\"mode\":69206454,\"mtime\":\"1970-01-01T00:00:00Z\"}",
	     AE_IFCHR, 0666, 0, 0, NULL},
	    {"{\"name\":\"b\",\"size\":0,\"mode\":67109286,\"mtime\":\"1970-01-01T00:00:00Z\"}",
	     AE_IFBLK, 0646, 0, 0, NULL},
	};
	struct docker_case c;
	docker_case_begin(&c);
	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		docker_case_stat(&c, said[i].json);
	docker_case_open(&c);
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		struct archive_entry *e = NULL;
		char *link = NULL;
		if (docker_stat(c.d, "box", "/a b", &e, &link, &c.err) < 0)
			fail_msg("%s", c.err.msg);
		assert_int_equal(archive_entry_filetype(e), said[i].type);
		assert_int_equal(archive_entry_perm(e), said[i].perm);
		assert_int_equal(archive_entry_mtime(e), said[i].mtime);
		assert_int_equal(archive_entry_mtime_nsec(e), said[i].nsec);
		if (said[i].link != NULL)
			assert_string_equal(link, said[i].link);
		else
			assert_null(link);
		free(link);
		archive_entry_free(e);
	}
	docker_case_stop(&c);
	assert_non_null(
	    strstr(c.fake.heads, "HEAD /v1.41/containers/box/archive?path=%2Fa%20b HTTP/1.1\r\n"));
}

static void stat__no_such_path__absent(void **state)
{
	(void)state;
	struct docker_case c;
	struct archive_entry *e = NULL;
	docker_case_begin(&c);
	docker_case_reply(&c, "HTTP/1.1 404 Not Found\r\nContent-Length: 20\r\n\r\n", "", 0);
	docker_case_reply(&c, "HTTP/1.1 500 Oh\r\n\r\n", "", 0)->then = FAKE_CLOSE;
	docker_case_json(&c, 500, "{\"message\":\"too many levels of symbolic links\"}");
	docker_case_reply(&c, "HTTP/1.1 500 Oh\r\n\r\n", "", 0)->then = FAKE_CLOSE;
	docker_case_json(&c, 500, "{\"message\":\"lstat /f/x: not a directory\"}");
	docker_case_reply(&c, "HTTP/1.1 500 Oh\r\n\r\n", "", 0)->then = FAKE_CLOSE;
	docker_case_tar(&c, "x", 1);
	docker_case_reply(&c, "HTTP/1.1 200 OK\r\n\r\n", "", 0);
	docker_case_open(&c);
	assert_int_equal(docker_stat(c.d, "box", "/nope", &e, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_ABSENT, "there is no '/nope' in container 'box'");
	assert_int_equal(docker_stat(c.d, "box", "/nope", &e, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_FAILED,
			   "'/nope' in container 'box': too many levels of symbolic links "
			   "(HTTP status 500)");
	assert_int_equal(docker_stat(c.d, "box", "/f/x", &e, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_ABSENT,
			   "'/f/x' in container 'box': lstat /f/x: not a directory "
			   "(HTTP status 500)");
	assert_int_equal(docker_stat(c.d, "box", "/nope", &e, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_FAILED,
			   "'/nope' in container 'box': Docker gave no reason (HTTP status 500)");
	assert_int_equal(docker_stat(c.d, "box", "/nope", &e, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_CORRUPT, "Docker does not describe '/nope'");
	assert_int_equal(docker_stat(c.d, "box", "relative", &e, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_FAILED, "'relative' is no absolute path in a container");
	assert_null(e);
	docker_case_stop(&c);
}

static void parse_stat__lies__corrupt(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "",
	    "a",
	    "====",
	    "!!!!",
	    "e30=",                             /* {} */
	    "W10=",                             /* [] */
	    "eyJuYW1lIjoieCJ9",                 /* {"name":"x"} */
	    "eyJuYW1lIjoieCIsInNpemUiOi0xfQ==", /* a negative size */
	    /* mtime is "yesterday" */
	    "eyJuYW1lIjoieCIsInNpemUiOjEsIm1vZGUiOjEsIm10aW1lIjoieWVzdGVyZGF5In0=",
	    /* mtime is "2026-11-23T08:00:00+1:00" */
	    ("eyJuYW1lIjoieCIsInNpemUiOjEsIm1vZGUiOjEsIm10aW1lIjoiMjAyNi0xMS0yM1QwODowMDowMCsxOjAwI"
	     "n"
	     "0="),
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err err = ERR_INIT;
		struct archive_entry *e = NULL;
		char *link = NULL;
		if (docker_archive_parse_stat(bad[i], &e, &link, &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_non_null(strstr(err.msg, "Docker's description of a file: "));
		assert_null(e);
		assert_null(link);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(open__a_daemon__version_and_nearness),
	    cmocka_unit_test(open__a_daemon_that_forgot_1_41__its_oldest_version),
	    cmocka_unit_test(open__wrong_daemons__refused),
	    cmocka_unit_test(open__no_socket__unreachable_with_a_hint),
	    cmocka_unit_test(open__a_socket_nobody_listens_on__unreachable),
	    cmocka_unit_test(open__no_rights__denied_with_a_hint),
	    cmocka_unit_test(open__addresses_that_are_none__configuration),
	    cmocka_unit_test(open__tls_without_certificates__configuration),
	    cmocka_unit_test(open__host_of_the_environment__used),
	    cmocka_unit_test(call__statuses__codes_and_the_daemons_words),
	    cmocka_unit_test(call__answers__parsed_or_none),
	    cmocka_unit_test(call__daemon_goes_away__unreachable),
	    cmocka_unit_test(filters__json__percent_encoded),
	    cmocka_unit_test(stat__kinds_of_files__as_go_describes_them),
	    cmocka_unit_test(stat__no_such_path__absent),
	    cmocka_unit_test(parse_stat__lies__corrupt),
	};
	return cmocka_run_group_tests_name("docker", tests, NULL, NULL);
}
