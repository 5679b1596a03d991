/* A backup's way into a store and out of it, with each system call in turn failing, or being the
 * last thing that the process did. Whatever happens: earlier backups are untouched, a backup is
 * there whole or not at all, and the next run works. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "storage/catalog.h"
#include "storage/sidecar.h"
#include "tests/support/temp_dir.h"

#define ID1 "20261122T020000Z-bbbb"
#define ID2 "20261123T020000Z-3f9c"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { MOST = 500 };

static struct temp_dir dir;
static char url[TEMP_DIR_BYTES + 16];

/* ---- the calls, which stand in for the C library's ---- */

static unsigned calls_left; /* 0: all work */
static bool kills, was_hit;

static bool fails(void)
{
	if (calls_left == 0 || --calls_left > 0)
		return false;
	was_hit = true;
	if (kills)
		syscall(SYS_kill, getpid(), SIGKILL);
	errno = EIO;
	return true;
}

int open64(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	int mode = va_arg(args, int);
	va_end(args);
	return fails() ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t len)
{
	return fails() ? -1 : (ssize_t)syscall(SYS_write, fd, data, len);
}

int fsync(int fd)
{
	return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
	return fails() ? -1 : renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlink(const char *path)
{
	return fails() ? -1 : unlinkat(AT_FDCWD, path, 0);
}

int flock(int fd, int operation)
{
	return fails() ? -1 : (int)syscall(SYS_flock, fd, operation);
}

/* ---- the stories ---- */

static int open_store(struct store **ret, struct err *err)
{
	return store_open(&(struct store_opts){.name = "local", .url = url}, ret, err);
}

static int put_archive(struct store *s, const char *name, struct err *err)
{
	CLEANUP(sink_freep) struct sink *object = NULL;
	if (store_put(s, name, &object, err) < 0 || sink_write(object, "by", 2, err) < 0 ||
	    sink_write(object, "te", 2, err) < 0 || sink_write(object, "s", 1, err) < 0)
		return -1;
	return sink_close(object, err);
}

static int publish(const char *id, struct err *err)
{
	CLEANUP(store_freep) struct store *s = NULL;
	CLEANUP(store_unlockp) struct store_lock *lock = NULL;
	CLEANUP(json_freep) json_t *j = NULL;
	CLEANUP(freep) char *text = NULL;
	char archive[201], sidecar[201];
	struct sidecar side = {.stack = "hdms",
			       .id = id,
			       .archive = archive,
			       .bytes = 5,
			       .sha256 = SHA,
			       .started = "2026-11-23T02:00:00Z",
			       .finished = "2026-11-23T02:00:00Z",
			       .lifeboat_version = "0.1.0"};
	if (open_store(&s, err) < 0 || store_lock(s, "hdms", &lock, err) < 0 ||
	    store_sweep(s, "hdms", false, NULL, err) < 0 ||
	    catalog_archive_name("hdms", id, archive, err) < 0 ||
	    catalog_sidecar_name("hdms", id, sidecar, err) < 0 ||
	    put_archive(s, archive, err) < 0 || sidecar_json(&side, &j, err) < 0 ||
	    json_text(j, false, &text, err) < 0)
		return -1;
	return store_put_bytes(s, sidecar, text, strlen(text), err);
}

static int publish_second(struct err *err)
{
	return publish(ID2, err);
}

static int withdraw_second(struct err *err)
{
	CLEANUP(store_freep) struct store *s = NULL;
	CLEANUP(store_unlockp) struct store_lock *lock = NULL;
	CLEANUP(catalog_done) struct catalog c = {0};
	const struct backup *b;
	if (open_store(&s, err) < 0 || store_lock(s, "hdms", &lock, err) < 0 ||
	    catalog_load(s, "hdms", &c, err) < 0 || catalog_find(&c, ID2, &b, err) < 0)
		return -1;
	return catalog_remove(s, "hdms", b, err);
}

/* ---- what must hold ---- */

/* Is the second backup there? Everything else is as it must be, and is cleaned up. */
static bool check_store(void)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;
	struct store_lock *lock = NULL;
	struct catalog c = {0};
	struct store_objects orphans = {0};
	assert_int_equal(open_store(&s, &err), 0);
	if (store_lock(s, "hdms", &lock, &err) < 0 ||
	    store_sweep(s, "hdms", false, NULL, &err) < 0 ||
	    catalog_load(s, "hdms", &c, &err) < 0 || catalog_orphans(s, "hdms", &orphans, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(c.count == 1 || c.count == 2);
	assert_string_equal(c.items[c.count - 1].id, ID1);
	for (size_t i = 0; i < c.count; i++) {
		struct buf b;
		assert_string_equal(c.items[i].broken, "");
		buf_init(&b, 100);
		assert_int_equal(store_get_bytes(s, c.items[i].archive, &b, &err), 0);
		assert_string_equal(buf_text(&b), "bytes");
		buf_done(&b);
	}
	for (size_t i = 0; i < orphans.count; i++)
		assert_int_equal(store_remove(s, orphans.items[i].name, &err), 0);
	/* Two objects a backup, and the lock. */
	bool there = c.count == 2;
	assert_int_equal(temp_dir_count(&dir), 2 * c.count + 1);
	store_objects_done(&orphans);
	catalog_done(&c);
	store_unlock(lock);
	store_free(s);
	return there;
}

static int run_here(int (*story)(struct err *err), unsigned n, bool *ret_hit)
{
	struct err err = ERR_INIT;
	calls_left = n;
	kills = was_hit = false;
	int rc = story(&err);
	calls_left = 0;
	*ret_hit = was_hit;
	if (rc < 0 && err.msg[0] == '\0')
		fail_msg("call %u failed without a word", n);
	return rc;
}

/* 0: it came to its end; -1: it was killed. */
static int run_killed(int (*story)(struct err *err), unsigned n, bool *ret_hit)
{
	int status = 0;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		calls_left = n;
		kills = true;
		_exit(story(&err) < 0 ? 1 : 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*ret_hit = WIFSIGNALED(status);
	assert_true(*ret_hit ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
	return *ret_hit ? -1 : 0;
}

static void setup_first(void)
{
	struct err err = ERR_INIT;
	temp_dir_make(&dir);
	snprintf(url, sizeof url, "file://%s", dir.path);
	assert_int_equal(publish(ID1, &err), 0);
}

static void put_back(bool there, bool wanted)
{
	struct err err = ERR_INIT;
	if (there == wanted)
		return;
	if ((wanted ? publish_second(&err) : withdraw_second(&err)) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(check_store(), wanted);
}

static void sweep_story(int (*run)(int (*story)(struct err *err), unsigned n, bool *ret_hit),
			int (*story)(struct err *err), bool before, bool after)
{
	unsigned n = 1;
	bool hit = true;
	setup_first();
	put_back(false, before);
	for (; hit && n < MOST; n++) {
		int rc = run(story, n, &hit);
		bool there = check_store();
		/* What says it succeeded has; what was not disturbed succeeds. */
		if (rc == 0)
			assert_int_equal(there, after);
		assert_true(hit || rc == 0);
		put_back(there, before);
	}
	assert_in_range(n, 10, MOST - 1);
	temp_dir_remove(&dir);
}

static void publish__each_call_fails__there_whole_or_not_at_all(void **state)
{
	(void)state;
	sweep_story(run_here, publish_second, false, true);
}

static void publish__killed_at_each_call__there_whole_or_not_at_all(void **state)
{
	(void)state;
	sweep_story(run_killed, publish_second, false, true);
}

static void remove__each_call_fails__there_whole_or_not_at_all(void **state)
{
	(void)state;
	sweep_story(run_here, withdraw_second, true, false);
}

static void remove__killed_at_each_call__there_whole_or_not_at_all(void **state)
{
	(void)state;
	sweep_story(run_killed, withdraw_second, true, false);
}

/* A publish that failed is not there: whoever is told so may remove the archive. */
static void publish__each_call_fails__failure_means_absence(void **state)
{
	(void)state;
	unsigned n = 1;
	bool hit = true;
	setup_first();
	for (; hit && n < MOST; n++) {
		int rc = run_here(publish_second, n, &hit);
		bool there = check_store();
		assert_int_equal(there, rc == 0);
		put_back(there, false);
	}
	temp_dir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(publish__each_call_fails__there_whole_or_not_at_all),
	    cmocka_unit_test(publish__killed_at_each_call__there_whole_or_not_at_all),
	    cmocka_unit_test(remove__each_call_fails__there_whole_or_not_at_all),
	    cmocka_unit_test(remove__killed_at_each_call__there_whole_or_not_at_all),
	    cmocka_unit_test(publish__each_call_fails__failure_means_absence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
