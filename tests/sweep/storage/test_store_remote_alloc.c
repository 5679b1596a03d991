/* Stores on real servers when memory runs out at every single point: for good, and for one
 * allocation only. Whatever fails is called a lack of memory, and nothing half-made is visible. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "storage/store/store.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/live_sshd.h"
#include "tests/support/live_webdav.h"

enum { MOST = 5000 };

static struct store_opts opts;
static struct store *warm; /* has its connection already */

static int put(struct err *err)
{
	return store_put_bytes(warm, "x", "hello", 5, err);
}

static int create(struct err *err)
{
	int rc = store_create_bytes(warm, "x", "hello", 5, err);
	/* One that was there after all, of the sweep's last round. */
	return rc < 0 && err->code == ERR_EXISTS ? 0 : rc;
}

static int stat_it(struct err *err)
{
	struct store_object o;
	if (store_stat(warm, "x", &o, err) < 0)
		return -1;
	assert_int_equal(o.bytes, 5);
	return 0;
}

static int list(struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects found = {0};
	if (store_list(warm, "", &found, err) < 0)
		return -1;
	assert_int_equal(found.count, 1);
	return 0;
}

static int get(struct err *err)
{
	CLEANUP(buf_done) struct buf b;
	buf_init(&b, 1000);
	if (store_get_bytes(warm, "x", &b, err) < 0)
		return -1;
	assert_string_equal(buf_text(&b), "hello");
	return 0;
}

static int find_leftovers(struct err *err)
{
	CLEANUP(strlist_done) struct strlist swept = {0};
	uint64_t room;
	return store_sweep(warm, "hdms", true, &swept, err) < 0
		   ? -1
		   : store_free_bytes(warm, &room, err);
}

static int remove_it(struct err *err)
{
	return store_remove(warm, "x", err);
}

/* From nothing to the first answer. */
static int first_look(struct err *err)
{
	CLEANUP(store_freep) struct store *s = NULL;
	struct store_objects found = {0};
	if (store_open(&opts, &s, err) < 0 || store_list(s, "", &found, err) < 0)
		return -1;
	store_objects_done(&found);
	return 0;
}

/* What is there is whole. */
static void check(void)
{
	struct err err = ERR_INIT;
	struct buf b;
	buf_init(&b, 1000);
	if (store_get_bytes(warm, "x", &b, &err) == 0)
		assert_string_equal(buf_text(&b), "hello");
	else if (err.code != ERR_ABSENT)
		fail_msg("%s", err.msg);
	buf_done(&b);
}

static void sweep(int (*work)(struct err *err), bool changes, bool once)
{
	unsigned n = 1;
	do {
		struct err err = ERR_INIT;
		if (once)
			fail_alloc_once_at(n);
		else
			fail_alloc_at(n);
		int rc = work(&err);
		fail_alloc_off();
		if (rc < 0 && err.code != ERR_NOMEM)
			fail_msg("allocation %u: %s", n, err.msg);
		if (changes)
			check();
	} while (fail_alloc_hit() && ++n < MOST);
	assert_true(n > 1 && n < MOST);
}

static void sweep_all(int rounds)
{
	struct err err = ERR_INIT;
	if (store_open(&opts, &warm, &err) < 0)
		fail_msg("%s", err.msg);
	for (int once = 0; once < rounds; once++) {
		sweep(create, true, once);
		sweep(put, true, once);
		sweep(stat_it, false, once);
		sweep(list, false, once);
		sweep(get, false, once);
		sweep(find_leftovers, false, once);
		sweep(remove_it, true, once);
	}
	/* A connection each. */
	sweep(first_look, false, false);
	store_free(warm);
	warm = NULL;
}

static void sftp__every_allocation_fails__is_told(void **state)
{
	(void)state;
	struct live_sshd l;
	char url[TEMP_DIR_BYTES + 128];
	live_sshd_start(&l, "");
	snprintf(url, sizeof url, "sftp://%s@127.0.0.1:%u%s/a", l.user, (unsigned)l.port, l.folder);
	opts = (struct store_opts){
	    .name = "far", .url = url, .key_file = l.key, .known_hosts = l.known_hosts};
	sweep_all(2);
	live_sshd_stop(&l);
}

static void webdav__every_allocation_fails__is_told(void **state)
{
	(void)state;
	struct live_webdav l;
	char url[128];
	live_webdav_start(&l, (struct live_webdav_opts){.server = LIVE_NGINX, .auth = "Basic"});
	snprintf(url, sizeof url, "%s/a", l.url);
	opts = (struct store_opts){
	    .name = "far", .url = url, .user = LIVE_WEBDAV_USER, .password = LIVE_WEBDAV_PASSWORD};
	/* Answers are read into many small pieces: one round is long enough. */
	sweep_all(1);
	live_webdav_stop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sftp__every_allocation_fails__is_told),
	    cmocka_unit_test(webdav__every_allocation_fails__is_told),
	};
	return cmocka_run_group_tests_name("sweep/storage/store_remote", tests, NULL, NULL);
}
