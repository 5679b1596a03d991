/* What goes wrong with a WebDAV server, on real ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "storage/store/store.h"
#include "storage/store/store_part.h"
#include "tests/support/live_webdav.h"

enum { SHORT_MS = 2000, PIECE = 1 << 20 };

struct room {
	struct live_webdav server;
	struct store *store;
	struct err err;
	uint8_t *piece;
};

static struct store_opts usual(const struct room *r, const char *url)
{
	return (struct store_opts){.name = "far",
				   .url = url,
				   .user = LIVE_WEBDAV_USER,
				   .password = LIVE_WEBDAV_PASSWORD,
				   .ca_file = r->server.opts.tls ? r->server.certificate : NULL,
				   .retries = 1,
				   .timeout_ms = 20000};
}

static void open_with(struct room *r, const struct store_opts *opts)
{
	store_free(r->store);
	r->store = NULL;
	if (store_open(opts, &r->store, &r->err) < 0)
		fail_msg("%s", r->err.msg);
}

static void start(struct room *r, struct live_webdav_opts opts)
{
	live_webdav_start(&r->server, opts);
	struct store_opts with = usual(r, r->server.url);
	open_with(r, &with);
}

static int setup(void **state)
{
	struct room *r = calloc(1, sizeof *r);
	assert_non_null(r);
	r->piece = calloc(1, PIECE);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct room *r = *state;
	store_free(r->store);
	if (r->server.child != NULL)
		live_webdav_stop(&r->server);
	free(r->piece);
	free(r);
	return 0;
}

static void assert_failed(struct room *r, int rc, enum err_code code, const char *text,
			  const char *hint)
{
	assert_int_equal(rc, -1);
	if (r->err.code != code || strstr(r->err.msg, text) == NULL ||
	    strstr(r->err.hint, hint) == NULL)
		fail_msg("%s: %s\nHINT: %s", err_code_name(r->err.code), r->err.msg, r->err.hint);
	err_clear(&r->err);
}

static int list(struct room *r, size_t *ret)
{
	struct store_objects found = {0};
	int rc = store_list(r->store, "", &found, &r->err);
	*ret = found.count;
	store_objects_done(&found);
	return rc;
}

static void assert_lists_fail(struct room *r, enum err_code code, const char *text,
			      const char *hint)
{
	size_t n;
	assert_failed(r, list(r, &n), code, text, hint);
}

static void assert_objects(struct room *r, size_t count)
{
	size_t n = 0;
	if (list(r, &n) < 0)
		fail_msg("%s", r->err.msg);
	assert_int_equal(n, count);
}

static void assert_works(struct room *r)
{
	if (store_put_bytes(r->store, "x", "hello", 5, &r->err) < 0)
		fail_msg("%s\nHINT: %s", r->err.msg, r->err.hint);
}

/* Writes until it fails, at most 64 MiB. */
static int write_on(struct room *r, struct sink *to)
{
	int rc = 0;
	for (int i = 0; i < 64 && rc == 0; i++)
		rc = sink_write(to, r->piece, PIECE, &r->err);
	return rc;
}

static struct sink *begin_upload(struct room *r, const char *name)
{
	struct sink *to = NULL;
	if (store_put(r->store, name, &to, &r->err) < 0)
		fail_msg("%s", r->err.msg);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sink_write(to, r->piece, PIECE, &r->err), 0);
	return to;
}

/* ---- who asks, and whom ---- */

static void password__wrong__is_denied(struct room *r, const char *auth)
{
	start(r, (struct live_webdav_opts){.server = LIVE_APACHE, .auth = auth});
	assert_works(r);
	struct store_opts opts = usual(r, r->server.url);
	opts.password = "guess";
	open_with(r, &opts);
	assert_lists_fail(r, ERR_DENIED, "user 'backup' or the password is wrong", "");
	assert_failed(r, store_put_bytes(r->store, "y", "1", 1, &r->err), ERR_DENIED,
		      "user 'backup' or the password is wrong", "");
	assert_null(strstr(r->err.msg, "guess"));
	opts.user = NULL;
	opts.password = NULL;
	open_with(r, &opts);
	assert_lists_fail(r, ERR_DENIED, "the server wants a user and a password",
			  "given as user and password");
}

static void password__wrong_for_basic__is_denied(void **state)
{
	password__wrong__is_denied(*state, "Basic");
}

static void password__wrong_for_digest__is_denied(void **state)
{
	password__wrong__is_denied(*state, "Digest");
}

/* 0.0.0.0 is this machine too, but not by its name. */
static void open_by_another_name(struct room *r, char url[64])
{
	snprintf(url, 64, "dav://0.0.0.0:%u/dav", (unsigned)r->server.port);
	struct store_opts opts = usual(r, url);
	open_with(r, &opts);
}

static void plain__basic__does_not_get_the_password(void **state)
{
	struct room *r = *state;
	char url[64];
	start(r, (struct live_webdav_opts){.server = LIVE_NGINX, .auth = "Basic"});
	assert_works(r);
	open_by_another_name(r, url);
	assert_lists_fail(r, ERR_DENIED, "over a connection that anybody may listen to",
			  "Use davs://");
}

static void plain__digest__works_with_a_caveat(void **state)
{
	struct room *r = *state;
	struct strlist caveats = {0};
	char url[64];
	start(r, (struct live_webdav_opts){.server = LIVE_APACHE, .auth = "Digest"});
	open_by_another_name(r, url);
	assert_works(r);
	assert_int_equal(store_caveats(r->store, &caveats, &r->err), 0);
	assert_int_equal(caveats.count, 2);
	assert_non_null(strstr(caveats.items[0], "is not encrypted on its way"));
	strlist_done(&caveats);
}

/* What may be looked at by everybody asks for a password only when a body is on its way. */
static void password__wanted_for_writing_alone__is_sent(void **state)
{
	struct room *r = *state;
	static const char *const auths[] = {"Basic", "Digest"};
	for (size_t i = 0; i < 2; i++) {
		start(r, (struct live_webdav_opts){
			     .server = LIVE_APACHE,
			     .auth = auths[i],
			     .more = "<Limit PROPFIND>\nRequire all granted\n</Limit>"});
		struct sink *to = begin_upload(r, "big");
		if (sink_close(to, &r->err) < 0)
			fail_msg("%s", r->err.msg);
		sink_free(to);
		assert_works(r);
		assert_objects(r, 2);
		live_webdav_stop(&r->server);
		r->server.child = NULL;
	}
}

static void certificate__not_trusted__is_denied(void **state)
{
	struct room *r = *state;
	char url[64];
	start(r, (struct live_webdav_opts){.server = LIVE_NGINX, .tls = true});
	assert_works(r);
	struct store_opts opts = usual(r, r->server.url);
	opts.ca_file = NULL;
	open_with(r, &opts);
	assert_lists_fail(r, ERR_DENIED, "self-signed certificate", "ca_file");
	/* A name that is not in it. */
	snprintf(url, sizeof url, "davs://localhost:%u/dav", (unsigned)r->server.port);
	opts = usual(r, url);
	open_with(r, &opts);
	assert_lists_fail(r, ERR_DENIED, "no alternative certificate subject name", "");
	/* No TLS where there is some, and the other way round. */
	snprintf(url, sizeof url, "dav://127.0.0.1:%u/dav", (unsigned)r->server.port);
	open_with(r, &opts);
	assert_lists_fail(r, ERR_FAILED, "HTTP status 400", "davs://");
}

static void tls__where_there_is_none__is_told(void **state)
{
	struct room *r = *state;
	char url[64];
	start(r, (struct live_webdav_opts){.server = LIVE_NGINX});
	snprintf(url, sizeof url, "davs://127.0.0.1:%u/dav", (unsigned)r->server.port);
	struct store_opts opts = usual(r, url);
	open_with(r, &opts);
	assert_lists_fail(r, ERR_UNREACHABLE, "wrong version number", "");
}

/* ---- what the server allows ---- */

static void server__that_forbids_writing__is_denied(void **state)
{
	struct room *r = *state;
	start(r,
	      (struct live_webdav_opts){.server = LIVE_NGINX,
					.more = "limit_except GET PROPFIND OPTIONS { deny all; }"});
	assert_failed(r, store_put_bytes(r->store, "y", "1", 1, &r->err), ERR_DENIED,
		      "can't write 'y.", "");
	temp_dir_write(&r->server.dir, "stored/x", "1", 1);
	assert_failed(r, store_remove(r->store, "x", &r->err), ERR_DENIED,
		      "can't remove 'x': the server forbids it (HTTP status 403)", "");
	assert_objects(r, 1);
}

static void server__that_fails__is_told(void **state)
{
	struct room *r = *state;
	start(r, (struct live_webdav_opts){.server = LIVE_APACHE});
	if (geteuid() != 0)
		skip();
	/* Its own user, which is not root, may not write there: Apache says no more. */
	assert_int_equal(chmod(r->server.folder, 0555), 0);
	assert_failed(r, store_put_bytes(r->store, "y", "1", 1, &r->err), ERR_UNREACHABLE,
		      "HTTP status 500", "log");
}

static void server__without_webdav__is_told(void **state)
{
	struct room *r = *state;
	start(r, (struct live_webdav_opts){.server = LIVE_APACHE, .more = "Dav Off"});
	assert_lists_fail(r, ERR_FAILED, "is WebDAV on?", "");
}

static void server__somewhere_else__is_told(void **state)
{
	struct room *r = *state;
	start(r, (struct live_webdav_opts){.server = LIVE_NGINX,
					   .more = "return 301 https://elsewhere.example/dav/;"});
	assert_lists_fail(r, ERR_CONFIG, "somewhere else: 'https://elsewhere.example/dav/'",
			  "store's url");
}

static void server__with_a_limit__is_told(void **state)
{
	struct room *r = *state;
	start(r,
	      (struct live_webdav_opts){.server = LIVE_NGINX, .more = "client_max_body_size 1m;"});
	assert_works(r);
	struct sink *to = NULL;
	assert_int_equal(store_put(r->store, "big", &to, &r->err), 0);
	assert_failed(r, write_on(r, to), ERR_LIMIT, "larger than the server takes",
		      "client_max_body_size 0");
	sink_free(to);
	assert_objects(r, 1);
}

static void folder__of_odd_letters__is_made(void **state)
{
	struct room *r = *state;
	char url[128];
	struct stat st;
	for (int i = 0; i < 2; i++) {
		start(r, (struct live_webdav_opts){.server = i == 0 ? LIVE_APACHE : LIVE_NGINX});
		snprintf(url, sizeof url, "%s/a%%20b/%%C3%%BC+%%25%%26/c/", r->server.url);
		struct store_opts opts = usual(r, url);
		open_with(r, &opts);
		assert_objects(r, 0);
		assert_works(r);
		assert_objects(r, 1);
		assert_int_equal(
		    stat(temp_dir_in(&r->server.dir, "stored/a b/\xc3\xbc+%&/c/x"), &st), 0);
		live_webdav_stop(&r->server);
		r->server.child = NULL;
	}
}

static void remove__of_a_folder__is_refused(void **state)
{
	struct room *r = *state;
	struct store_object o;
	start(r, (struct live_webdav_opts){.server = LIVE_APACHE});
	assert_int_equal(mkdir(temp_dir_in(&r->server.dir, "stored/sub"), 0755), 0);
	temp_dir_write(&r->server.dir, "stored/sub/precious", "1", 1);
	assert_failed(r, store_remove(r->store, "sub", &r->err), ERR_FAILED, "it is a folder", "");
	assert_failed(r, store_stat(r->store, "sub", &o, &r->err), ERR_ABSENT,
		      "'sub' is not a file", "");
	assert_objects(r, 0);
	assert_true(file_exists(temp_dir_in(&r->server.dir, "stored/sub/precious")));
}

/* ---- disks, lines, deaths ---- */

static void disk__full__is_no_space_and_leaves_nothing(void **state)
{
	struct room *r = *state;
	struct temp_dir small;
	struct sink *to = NULL;
	if (!temp_dir_make_small(&small, 4 << 20))
		skip();
	chmod(small.path, 0755);
	start(r, (struct live_webdav_opts){.server = LIVE_APACHE, .folder = small.path});
	assert_int_equal(store_put(r->store, "x", &to, &r->err), 0);
	int rc = write_on(r, to);
	if (rc == 0)
		rc = sink_close(to, &r->err);
	assert_failed(r, rc, ERR_NOSPACE, "no space left on the server", "");
	sink_free(to);
	assert_objects(r, 0);
	assert_works(r);
	live_webdav_stop(&r->server);
	r->server.child = NULL;
	temp_dir_remove(&small);
}

static void line__silent_in_an_upload__ends_at_the_deadline(void **state)
{
	struct room *r = *state;
	start(r, (struct live_webdav_opts){.server = LIVE_NGINX});
	struct store_opts opts = usual(r, r->server.url);
	opts.timeout_ms = SHORT_MS;
	open_with(r, &opts);
	struct sink *to = begin_upload(r, "x");
	live_webdav_signal(&r->server, SIGSTOP);
	int rc = write_on(r, to);
	bool again = r->err.retryable;
	assert_failed(r, rc, ERR_TIMEOUT, "nothing for 2000 ms", "");
	assert_true(again);
	sink_free(to);
	live_webdav_signal(&r->server, SIGCONT);
	assert_objects(r, 0);
	assert_works(r);
}

static void line__cut_in_an_upload__leaves_nothing_visible(void **state)
{
	struct room *r = *state;
	struct temp_dir kept;
	struct strlist names = {0}, swept = {0};
	struct timespec then[2];
	temp_dir_make(&kept);
	chmod(kept.path, 0755);
	start(r, (struct live_webdav_opts){.server = LIVE_APACHE, .folder = kept.path});
	struct sink *to = begin_upload(r, "hdms-20261123T020000Z-3f9c.json");
	live_webdav_signal(&r->server, SIGKILL);
	int rc = write_on(r, to);
	bool again = r->err.retryable;
	assert_failed(r, rc, ERR_UNREACHABLE, "no answer: ", "");
	assert_true(again);
	sink_free(to);
	live_webdav_stop(&r->server);
	assert_lists_fail(r, ERR_UNREACHABLE, "", "");
	start(r, (struct live_webdav_opts){.server = LIVE_APACHE, .folder = kept.path});
	assert_objects(r, 0);
	/* Apache writes in place: what it had is there, and young. */
	assert_int_equal(dir_list(kept.path, &names, &r->err), 0);
	assert_int_equal(store_sweep(r->store, "hdms", false, &swept, &r->err), 0);
	assert_int_equal(swept.count, 0);
	clock_gettime(CLOCK_REALTIME, &then[0]);
	then[0].tv_sec -= 25 * 3600;
	then[1] = then[0];
	size_t parts = 0;
	for (size_t i = 0; i < names.count; i++) {
		parts += store_part_is(names.items[i], "hdms");
		utimensat(AT_FDCWD, temp_dir_in(&kept, names.items[i]), then, 0);
	}
	assert_int_equal(store_sweep(r->store, "hdms", false, &swept, &r->err), 0);
	assert_int_equal(swept.count, parts);
	strlist_done(&swept);
	strlist_done(&names);
	live_webdav_stop(&r->server);
	r->server.child = NULL;
	temp_dir_remove(&kept);
}

static void writer__killed__leaves_nothing_visible(void **state)
{
	struct room *r = *state;
	int ready[2], status;
	char byte;
	start(r, (struct live_webdav_opts){.server = LIVE_APACHE, .auth = "Digest"});
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct store_opts opts = usual(r, r->server.url);
		r->store = NULL;
		open_with(r, &opts);
		begin_upload(r, "hdms-20261123T020000Z-3f9c.json");
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ready[0]);
	close(ready[1]);
	assert_objects(r, 0);
	assert_works(r);
	assert_objects(r, 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(password__wrong_for_basic__is_denied),
	    TEST(password__wrong_for_digest__is_denied),
	    TEST(plain__basic__does_not_get_the_password),
	    TEST(plain__digest__works_with_a_caveat),
	    TEST(password__wanted_for_writing_alone__is_sent),
	    TEST(certificate__not_trusted__is_denied),
	    TEST(tls__where_there_is_none__is_told),
	    TEST(server__that_forbids_writing__is_denied),
	    TEST(server__that_fails__is_told),
	    TEST(server__without_webdav__is_told),
	    TEST(server__somewhere_else__is_told),
	    TEST(server__with_a_limit__is_told),
	    TEST(folder__of_odd_letters__is_made),
	    TEST(remove__of_a_folder__is_refused),
	    TEST(disk__full__is_no_space_and_leaves_nothing),
	    TEST(line__silent_in_an_upload__ends_at_the_deadline),
	    TEST(line__cut_in_an_upload__leaves_nothing_visible),
	    TEST(writer__killed__leaves_nothing_visible),
	};
	return cmocka_run_group_tests_name("live/storage/store_webdav", tests, NULL, NULL);
}
