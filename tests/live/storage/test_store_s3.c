/* The store on a real Ceph: the suite of all kinds, and what only S3 has. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "storage/s3/s3.h"
#include "tests/support/ceph.h"
#include "tests/support/store_suite.h"

enum { PART = 16 << 20 };

static struct ceph ceph;
static struct err err;

static struct store_opts options(const char *url)
{
	return (struct store_opts){.name = "offsite",
				   .url = url,
				   .endpoint = ceph.url,
				   .access_key = ceph.access_key,
				   .secret_key = ceph.secret_key,
				   .retries = 2};
}

static struct store *store_at(const struct store_opts *o)
{
	struct store *s = NULL;
	if (store_open(o, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static struct s3 *client(const char *url)
{
	const struct store_opts o = options(url);
	struct s3 *s = NULL;
	char *where = NULL;
	if (s3_open(&o, &s, &where, &err) < 0)
		fail_msg("%s", err.msg);
	free(where);
	return s;
}

static void must(int rc)
{
	if (rc != 0)
		fail_msg("%s (%s)", err.msg, err_code_name(err.code));
}

static void assert_failed(int rc, enum err_code code, const char *text)
{
	assert_int_equal(rc, -1);
	if (err.code != code || strstr(err.msg, text) == NULL)
		fail_msg("%s: '%s', and not %s: '%s'", err_code_name(err.code), err.msg,
			 err_code_name(code), text);
	err_clear(&err);
}

/* Any request, past the store; the status. */
static long ask(const char *url, const struct s3_request *q, struct http_response *r)
{
	struct http_response own = {0};
	struct s3 *s = client(url);
	must(s3_call(s, q, r != NULL ? r : &own, &err));
	long status = r != NULL ? r->status : own.status;
	http_response_done(&own);
	s3_free(s);
	return status;
}

static void make_bucket(const char *url, const char *const *headers)
{
	const struct s3_request q = {.method = "PUT", .headers = headers};
	struct http_response r = {0};
	struct s3 *s = client(url);
	/* Swift answers 503 for a few seconds. */
	s->retries = 12;
	if (s3_insist(s, &q, &r, &err) < 0 || r.status != 200)
		fail_msg("bucket: %ld %s", r.status, err.msg);
	http_response_done(&r);
	s3_free(s);
}

/* ---- the suite ---- */

static int suite_open(void *ctx, const char *folder, struct store **ret, struct err *why)
{
	(void)ctx;
	char url[100];
	snprintf(url, sizeof url, "s3://suite/deep/%s", folder);
	const struct store_opts o = options(url);
	return store_open(&o, ret, why);
}

static void suite_plant(void *ctx, const char *folder, const char *name)
{
	(void)ctx;
	char url[100];
	snprintf(url, sizeof url, "s3://suite/deep/%s", folder);
	const struct s3_request q = {.method = "PUT", .name = name, .body = "x", .body_bytes = 1};
	assert_int_equal(ask(url, &q, NULL), 200);
}

static void suite_leave(void *ctx, const char *folder, const char *name)
{
	(void)ctx;
	char url[100];
	snprintf(url, sizeof url, "s3://suite/deep/%s", folder);
	const struct s3_request q = {.method = "POST", .name = name, .query = "uploads="};
	assert_int_equal(ask(url, &q, NULL), 200);
}

/* ---- what only S3 has ---- */

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(((i + 1) * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static void write_bytes(struct sink *to, uint64_t from, uint64_t bytes)
{
	enum { BLOCK = 1 << 20 };
	uint8_t *block = malloc(BLOCK);
	assert_non_null(block);
	for (size_t n; bytes > 0; bytes -= n, from += n) {
		n = bytes < BLOCK ? (size_t)bytes : BLOCK;
		for (size_t i = 0; i < n; i++)
			block[i] = byte_at(from + i);
		must(sink_write(to, block, n, &err));
	}
	free(block);
}

static void assert_bytes(struct store *s, const char *name, uint64_t bytes)
{
	enum { BLOCK = 1 << 20 };
	CLEANUP(source_freep) struct source *from = NULL;
	uint8_t *block = malloc(BLOCK);
	uint64_t at = 0;
	size_t n = 1;
	assert_non_null(block);
	must(store_get(s, name, 0, UINT64_MAX, &from, &err));
	for (; n > 0; at += n) {
		must(source_read(from, block, BLOCK, &n, &err));
		for (size_t i = 0; i < n; i++)
			if (block[i] != byte_at(at + i))
				fail_msg("byte %llu differs", (unsigned long long)(at + i));
	}
	assert_true(at == bytes);
	free(block);
}

static size_t unfinished(const char *url)
{
	struct s3_unfinished_list found = {0};
	struct s3 *s = client(url);
	must(s3_list_unfinished(s, "", &found, &err));
	size_t count = found.count;
	s3_unfinished_done(&found);
	s3_free(s);
	return count;
}

/* How long ago the newest part of the one unfinished upload came, by the store's clock. */
static int64_t age_of_last_part(const char *url)
{
	struct s3_unfinished_list found = {0};
	struct s3 *s = client(url);
	int64_t last_ms = 0;
	must(s3_list_unfinished(s, "", &found, &err));
	assert_int_equal(found.count, 1);
	must(s3_last_part(s, &found.items[0], &last_ms, &err));
	assert_true(last_ms >= found.items[0].begun_ms);
	int64_t age_ms = found.now_ms - last_ms;
	s3_unfinished_done(&found);
	s3_free(s);
	return age_ms;
}

static void put__of_several_parts__leaves_no_upload(void **state)
{
	(void)state;
	make_bucket("s3://parts", NULL);
	const struct store_opts o = options("s3://parts/a b/\xc3\xbc+%");
	CLEANUP(store_freep) struct store *s = store_at(&o);
	struct sink *to = NULL;
	const uint64_t bytes = 5 * (uint64_t)PART + 12345;
	must(store_create(s, "x.tar.zst", &to, &err));
	write_bytes(to, 0, bytes);
	must(sink_close(to, &err));
	sink_free(to);
	assert_bytes(s, "x.tar.zst", bytes);
	/* Refused at its end, and given up half-way. */
	assert_failed(store_create(s, "x.tar.zst", &to, &err), ERR_EXISTS,
		      "store 'offsite': 'x.tar.zst' is there already");
	must(store_put(s, "y", &to, &err));
	write_bytes(to, 0, 3 * PART);
	sink_free(to);
	assert_int_equal(unfinished(o.url), 0);
	struct store_object object;
	assert_failed(store_stat(s, "y", &object, &err), ERR_ABSENT, "there is no 'y'");
}

static void put__bucket_named_by_the_host__works(void **state)
{
	(void)state;
	if (ceph.osds == 0)
		skip();
	make_bucket("s3://hosted", NULL);
	char endpoint[64];
	snprintf(endpoint, sizeof endpoint, "http://localhost%s", strrchr(ceph.url, ':'));
	struct store_opts o = options("s3://hosted/p");
	o.endpoint = endpoint;
	o.addressing = "virtual";
	CLEANUP(store_freep) struct store *s = store_at(&o);
	must(store_put_bytes(s, "x", "hello", 5, &err));
	assert_string_equal(store_where(s) + strlen("s3://hosted/p at "), endpoint + 7);
	const struct store_opts path = options("s3://hosted/p");
	CLEANUP(store_freep) struct store *same = store_at(&path);
	struct store_object object;
	must(store_stat(same, "x", &object, &err));
	assert_int_equal(object.bytes, 5);
}

static void open__wrong_credentials_or_bucket__is_told(void **state)
{
	(void)state;
	struct store_objects found;
	struct store_opts o = options("s3://suite");
	o.secret_key = "wrong";
	CLEANUP(store_freep) struct store *secret = store_at(&o);
	assert_failed(store_list(secret, "", &found, &err), ERR_DENIED,
		      "store 'offsite': bucket 'suite': the store answered 403 "
		      "SignatureDoesNotMatch");
	assert_failed(store_put_bytes(secret, "x", "1", 1, &err), ERR_DENIED,
		      "PUT of 'x': the store answered 403 SignatureDoesNotMatch");
	o.secret_key = ceph.secret_key;
	o.access_key = "nobody";
	CLEANUP(store_freep) struct store *key = store_at(&o);
	assert_failed(store_list(key, "", &found, &err), ERR_DENIED,
		      ceph.osds > 0 ? "403 InvalidAccessKeyId" : "403 SignatureDoesNotMatch");
	/* Somebody else's bucket. With Swift each account has its own. */
	o.access_key = ceph.osds > 0 ? "AKtwo" : "other:tester";
	o.secret_key = "SKtwo";
	CLEANUP(store_freep) struct store *other = store_at(&o);
	if (ceph.osds > 0) {
		assert_failed(store_list(other, "", &found, &err), ERR_DENIED, "403 AccessDenied");
		assert_failed(store_remove(other, "x", &err), ERR_DENIED, "403 AccessDenied");
	}
	o = options("s3://missing");
	CLEANUP(store_freep) struct store *bucket = store_at(&o);
	assert_failed(store_list(bucket, "", &found, &err), ERR_CONFIG,
		      "store 'offsite': bucket 'missing': the store answered 404 NoSuchBucket");
	assert_failed(store_put_bytes(bucket, "x", "1", 1, &err), ERR_CONFIG, "404 NoSuchBucket");
	o = options("s3://suite");
	o.storage_class = "GLACIER";
	CLEANUP(store_freep) struct store *class = store_at(&o);
	must(store_put_bytes(class, "x.json", "1", 1, &err));
	assert_failed(store_put_bytes(class, "x.tar.zst", "1", 1, &err), ERR_CONFIG,
		      "the store answered 400 Invalid");
}

static void put__quota_full__is_no_space(void **state)
{
	(void)state;
	if (ceph.osds == 0)
		skip();
	make_bucket("s3://small", NULL);
	ceph_run(&ceph, "radosgw-admin quota set --quota-scope=bucket --uid=one --bucket=small "
			"--max-size=1048576 && radosgw-admin quota enable --quota-scope=bucket "
			"--uid=one --bucket=small");
	const struct store_opts o = options("s3://small");
	CLEANUP(store_freep) struct store *s = store_at(&o);
	struct sink *to = NULL;
	must(store_put_bytes(s, "x", "1", 1, &err));
	must(store_put(s, "y.tar.zst", &to, &err));
	static uint8_t block[1 << 20];
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < 40; i++)
		rc = sink_write(to, block, sizeof block, &err);
	rc = rc == 0 ? sink_close(to, &err) : rc;
	assert_failed(rc, ERR_NOSPACE, "QuotaExceeded");
	sink_free(to);
	assert_int_equal(unfinished("s3://small"), 0);
}

static void remove__locked_object__says_until_when(void **state)
{
	(void)state;
	if (ceph.osds == 0)
		skip();
	static const char *const headers[] = {"x-amz-bucket-object-lock-enabled: true", NULL};
	make_bucket("s3://locked", headers);
	struct store_opts o = options("s3://locked/p");
	o.object_lock = "governance";
	o.object_lock_days = 3;
	CLEANUP(store_freep) struct store *s = store_at(&o);
	struct strlist caveats = {0};
	struct sink *to = NULL;
	struct store_object object;
	must(store_create(s, "x.tar.zst", &to, &err));
	write_bytes(to, 0, PART + 1);
	must(sink_close(to, &err));
	sink_free(to);
	must(store_create_bytes(s, "x.json", "{}", 2, &err));
	assert_failed(store_remove(s, "x.tar.zst", &err), ERR_LOCKED,
		      "store 'offsite': 'x.tar.zst' is locked (GOVERNANCE) until 20");
	assert_failed(store_remove(s, "x.json", &err), ERR_LOCKED, "'x.json' is locked");
	must(store_stat(s, "x.json", &object, &err));
	/* Leases are not locked, and nothing is left of them, nor of the probe. */
	must(store_put_bytes(s, "lease", "1", 1, &err));
	must(store_put_bytes(s, "lease", "2", 1, &err));
	must(store_remove(s, "lease", &err));
	/* Ceph 16 and 18 mind the condition only where there are no versions. */
	must(store_caveats(s, &caveats, &err));
	if (caveats.count == 2)
		assert_non_null(strstr(caveats.items[0], "this server has no conditional put"));
	assert_in_range(caveats.count, 1, 2);
	strlist_done(&caveats);
	struct s3 *raw = client(o.url);
	must(s3_list_versions(raw, "lease", &caveats, &err));
	must(s3_list_versions(raw, "lifeboat-probe", &caveats, &err));
	assert_int_equal(caveats.count, 0);
	s3_free(raw);
}

static void caveats__of_the_server__are_told(void **state)
{
	(void)state;
	const struct store_opts o = options("s3://suite/caveats");
	CLEANUP(store_freep) struct store *s = store_at(&o);
	struct strlist caveats = {0};
	struct store_objects found = {0};
	must(store_caveats(s, &caveats, &err));
	assert_int_equal(caveats.count, ceph.osds > 0 ? 1 : 2);
	assert_non_null(strstr(caveats.items[caveats.count - 1], "the endpoint is http://"));
	if (ceph.osds == 0)
		assert_non_null(strstr(caveats.items[0], "this server has no conditional put"));
	strlist_done(&caveats);
	must(store_list(s, "", &found, &err));
	assert_int_equal(found.count, 0);
	store_objects_done(&found);
}

/* ---- two at once, and death ---- */

enum { AGENTS = 8 };

static void *create_sidecar(void *arg)
{
	struct err *own = arg;
	const struct store_opts o = options("s3://suite/race");
	CLEANUP(store_freep) struct store *s = NULL;
	if (store_open(&o, &s, own) < 0)
		return NULL;
	int rc = store_create_bytes(s, "x.json", "{}", 2, own);
	(void)rc;
	return NULL;
}

static void create__by_many_agents_at_once__has_one_winner(void **state)
{
	(void)state;
	if (ceph.osds == 0)
		skip();
	pthread_t threads[AGENTS];
	static struct err errs[AGENTS];
	unsigned won = 0;
	for (size_t i = 0; i < AGENTS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, create_sidecar, &errs[i]), 0);
	for (size_t i = 0; i < AGENTS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (size_t i = 0; i < AGENTS; i++) {
		won += errs[i].code == ERR_NONE;
		if (errs[i].code != ERR_NONE && errs[i].code != ERR_EXISTS)
			fail_msg("%s", errs[i].msg);
	}
	assert_int_equal(won, 1);
}

static void sweep__after_kill_9_in_an_upload__leaves_nothing(void **state)
{
	(void)state;
	make_bucket("s3://killed", NULL);
	const struct store_opts o = options("s3://killed/p");
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		setenv("LIFEBOAT_FAULT", "s3-part=kill@3", 1);
		struct store *s = store_at(&o);
		struct sink *to = NULL;
		if (store_put(s, "hdms-20261123T020000Z-3f9c.tar.zst", &to, &err) == 0)
			write_bytes(to, 0, 6 * (uint64_t)PART);
		_exit(1);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(unfinished(o.url), 1);
	assert_true(age_of_last_part(o.url) < 600000);
	CLEANUP(store_freep) struct store *s = store_at(&o);
	struct strlist swept = {0};
	struct store_objects found = {0};
	/* It might still be at work. */
	must(store_sweep(s, "hdms", false, &swept, &err));
	assert_int_equal(swept.count, 0);
	setenv("LIFEBOAT_FAULT", "s3-sweep-age=skip", 1);
	must(store_sweep(s, "hdms", false, &swept, &err));
	unsetenv("LIFEBOAT_FAULT");
	assert_int_equal(swept.count, 1);
	assert_string_equal(swept.items[0], "hdms-20261123T020000Z-3f9c.tar.zst");
	strlist_done(&swept);
	assert_int_equal(unfinished(o.url), 0);
	must(store_list(s, "", &found, &err));
	assert_int_equal(found.count, 0);
	store_objects_done(&found);
}

static void lock__by_a_lease__keeps_others_out(void **state)
{
	(void)state;
	const struct store_opts o = options("s3://suite/lease");
	CLEANUP(store_freep) struct store *a = store_at(&o);
	CLEANUP(store_freep) struct store *b = store_at(&o);
	struct store_lock *held = NULL, *other = NULL;
	must(store_lock(a, "hdms", &held, &err));
	assert_failed(store_lock(b, "hdms", &other, &err), ERR_LOCKED, "");
	must(store_lock_check(held, &err));
	store_unlock(held);
	must(store_lock(b, "hdms", &other, &err));
	store_unlock(other);
}

/* ---- the cluster of three ---- */

#define BIG_BYTES (UINT64_C(1) << 30)

static void put__with_an_osd_killed_on_the_way__is_whole(void **state)
{
	(void)state;
	make_bucket("s3://big", NULL);
	const struct store_opts o = options("s3://big/p");
	CLEANUP(store_freep) struct store *s = store_at(&o);
	struct sink *to = NULL;
	must(store_create(s, "x.tar.zst", &to, &err));
	write_bytes(to, 0, BIG_BYTES / 2);
	ceph_run(&ceph, "kill -9 $(cat /run/ceph/osd.2.pid)");
	write_bytes(to, BIG_BYTES / 2, BIG_BYTES / 2);
	must(sink_close(to, &err));
	sink_free(to);
	assert_bytes(s, "x.tar.zst", BIG_BYTES);
	assert_int_equal(unfinished(o.url), 0);
	ceph_run(&ceph, "start_osd 2");
}

static int run_suite(void)
{
	/* Pages of seven, and what was left a moment ago is old. */
	setenv("LIFEBOAT_FAULT", "s3-large-pages=skip,s3-sweep-age=skip", 1);
	const struct store_suite suite = {.open = suite_open,
					  .plant = suite_plant,
					  .leave = suite_leave,
					  .create_is_weak = ceph.osds == 0};
	int failed = store_suite_run("storage/store_s3", &suite);
	unsetenv("LIFEBOAT_FAULT");
	return failed;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(put__of_several_parts__leaves_no_upload),
	    cmocka_unit_test(put__bucket_named_by_the_host__works),
	    cmocka_unit_test(open__wrong_credentials_or_bucket__is_told),
	    cmocka_unit_test(put__quota_full__is_no_space),
	    cmocka_unit_test(remove__locked_object__says_until_when),
	    cmocka_unit_test(caveats__of_the_server__are_told),
	    cmocka_unit_test(create__by_many_agents_at_once__has_one_winner),
	    cmocka_unit_test(sweep__after_kill_9_in_an_upload__leaves_nothing),
	    cmocka_unit_test(lock__by_a_lease__keeps_others_out),
	};
	const struct CMUnitTest cluster[] = {
	    cmocka_unit_test(put__with_an_osd_killed_on_the_way__is_whole),
	};
	ceph_start(&ceph);
	make_bucket("s3://suite", NULL);
	int failed = run_suite();
	failed += cmocka_run_group_tests_name("only S3", tests, NULL, NULL);
	if (ceph.osds >= 3)
		failed += cmocka_run_group_tests_name("cluster", cluster, NULL, NULL);
	ceph_stop(&ceph);
	return failed;
}
