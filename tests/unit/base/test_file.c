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
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "tests/support/temp_dir.h"

struct room {
	struct temp_dir dir;
	struct err err;
};

static int setup(void **state)
{
	struct room *r = calloc(1, sizeof *r);
	temp_dir_make(&r->dir);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct room *r = *state;
	temp_dir_remove(&r->dir);
	free(r);
	return 0;
}

static const char *in(const struct room *r, const char *name)
{
	return temp_dir_in(&r->dir, name);
}

static void assert_content(const struct room *r, const char *name, const char *text)
{
	struct err err = ERR_INIT;
	struct buf b;
	buf_init(&b, 1000);
	if (file_read_all(in(r, name), &b, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(buf_text(&b), text);
	buf_done(&b);
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* ---- new files ---- */

static void new__closed__is_there_with_its_mode(void **state)
{
	struct room *r = *state;
	struct file_new *f = NULL;
	mode_t before = umask(077);
	assert_int_equal(file_new_open(in(r, "x"), 0640, &f, &r->err), 0);
	umask(before);
	assert_int_equal(file_new_write(f, "hello ", 6, &r->err), 0);
	assert_int_equal(file_new_write(f, "world", 5, &r->err), 0);
	assert_false(file_exists(in(r, "x")));
	assert_true(file_exists(in(r, "x.part")));
	assert_int_equal(file_new_close(f, &r->err), 0);
	file_new_free(f);
	assert_content(r, "x", "hello world");
	assert_int_equal(mode_of(in(r, "x")), 0640);
	assert_int_equal(temp_dir_count(&r->dir), 1);
}

static void new__freed_without_close__never_was(void **state)
{
	struct room *r = *state;
	struct file_new *f = NULL;
	temp_dir_write(&r->dir, "x", "old", 3);
	assert_int_equal(file_new_open(in(r, "x"), 0600, &f, &r->err), 0);
	assert_int_equal(file_new_write(f, "new", 3, &r->err), 0);
	file_new_free(f);
	file_new_free(NULL);
	assert_content(r, "x", "old");
	assert_int_equal(temp_dir_count(&r->dir), 1);
}

static void new__no_folder__is_an_error_with_its_name(void **state)
{
	struct room *r = *state;
	struct file_new *f = NULL;
	char expected[TEMP_DIR_BYTES + 64];
	assert_int_equal(file_new_open(in(r, "none/x"), 0600, &f, &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
	snprintf(expected, sizeof expected,
		 "can't create '%s/none/x.part': No such file or directory", r->dir.path);
	assert_string_equal(r->err.msg, expected);
	assert_null(f);
}

static void new__over_a_folder__fails_and_leaves_nothing(void **state)
{
	struct room *r = *state;
	assert_int_equal(mkdir(in(r, "x"), 0700), 0);
	assert_int_equal(file_write_all(in(r, "x"), 0600, "a", 1, &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
	assert_non_null(strstr(r->err.msg, "rename of '"));
	assert_int_equal(temp_dir_count(&r->dir), 1);
}

static void new__the_folder_goes_meanwhile__is_an_error(void **state)
{
	struct room *r = *state;
	struct file_new *f = NULL;
	assert_int_equal(mkdir(in(r, "d"), 0700), 0);
	assert_int_equal(file_new_open(in(r, "d/x"), 0600, &f, &r->err), 0);
	assert_int_equal(dir_remove(in(r, "d"), &r->err), 0);
	assert_int_equal(file_new_close(f, &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
	file_new_free(f);
}

/* Stands in for the C library's, so that something can happen between an open and its lock. */
static void (*before_lock)(void);
static const struct room *lock_room;

int flock(int fd, int operation)
{
	if (before_lock != NULL) {
		void (*happen)(void) = before_lock;
		before_lock = NULL;
		happen();
	}
	return (int)syscall(SYS_flock, fd, operation);
}

static void finish_the_file(void)
{
	assert_int_equal(rename(in(lock_room, "x.part"), in(lock_room, "x")), 0);
}

static void replace_the_file(void)
{
	finish_the_file();
	int fd = open(in(lock_room, "x.part"), O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "next", 4), 4);
	close(fd);
}

static void new__opened_while_another_writer_finishes__spares_the_finished_file(void **state)
{
	struct room *r = *state;
	struct file_new *f = NULL;
	temp_dir_write(&r->dir, "x.part", "whole", 5);
	lock_room = r;
	before_lock = finish_the_file;
	assert_int_equal(file_new_open(in(r, "x"), 0600, &f, &r->err), 0);
	assert_content(r, "x", "whole");
	assert_int_equal(file_new_write(f, "mine", 4, &r->err), 0);
	assert_content(r, "x", "whole");
	assert_int_equal(file_new_close(f, &r->err), 0);
	file_new_free(f);
	assert_content(r, "x", "mine");
	assert_int_equal(temp_dir_count(&r->dir), 1);
}

static void leftover__that_becomes_another_file__is_not_removed(void **state)
{
	struct room *r = *state;
	bool removed = true;
	temp_dir_write(&r->dir, "x.part", "whole", 5);
	lock_room = r;
	before_lock = replace_the_file;
	assert_int_equal(file_remove_leftover(in(r, "x.part"), &removed, &r->err), 0);
	assert_false(removed);
	assert_content(r, "x.part", "next");
	before_lock = finish_the_file;
	assert_false(file_is_leftover(in(r, "x.part")));
}

static void full_disk__write_or_close__says_so_and_leaves_nothing(void **state)
{
	(void)state;
	struct temp_dir small;
	struct err err = ERR_INIT;
	struct file_new *f = NULL;
	static const uint8_t block[32 << 10];
	if (!temp_dir_make_small(&small, 128 << 10))
		skip();
	temp_dir_write(&small, "old", "old", 3);
	assert_int_equal(file_new_open(temp_dir_in(&small, "new"), 0600, &f, &err), 0);
	int rc = 0;
	for (int i = 0; rc == 0 && i < 100; i++)
		rc = file_new_write(f, block, sizeof block, &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_NOSPACE);
	assert_int_equal(err.sys_errno, ENOSPC);
	assert_non_null(strstr(err.msg, "/new.part': No space left on device"));
	file_new_free(f);
	assert_int_equal(temp_dir_count(&small), 1);
	uint64_t bytes = 0;
	assert_int_equal(dir_free_bytes(small.path, &bytes, &err), 0);
	assert_true(bytes >= 96 << 10 && bytes <= 128 << 10);
	temp_dir_remove(&small);
}

/* ---- leftovers ---- */

static pid_t start_writer(struct room *r)
{
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct file_new *f;
		if (file_new_open(in(r, "x"), 0600, &f, &r->err) < 0 ||
		    file_new_write(f, "half", 4, &r->err) < 0 || write(ready[1], "!", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void leftover__of_a_killed_writer__is_told_from_a_living_one(void **state)
{
	struct room *r = *state;
	struct file_new *f = NULL;
	bool removed = true;
	char expected[TEMP_DIR_BYTES + 64];
	pid_t pid = start_writer(r);
	assert_false(file_is_leftover(in(r, "x.part")));
	assert_int_equal(file_remove_leftover(in(r, "x.part"), &removed, &r->err), 0);
	assert_false(removed);
	assert_int_equal(file_new_open(in(r, "x"), 0600, &f, &r->err), -1);
	assert_int_equal(r->err.code, ERR_LOCKED);
	snprintf(expected, sizeof expected, "'%s/x.part' is being written by another process",
		 r->dir.path);
	assert_string_equal(r->err.msg, expected);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(file_is_leftover(in(r, "x.part")));
	assert_true(file_exists(in(r, "x.part")));
	assert_int_equal(file_remove_leftover(in(r, "x.part"), &removed, &r->err), 0);
	assert_true(removed);
	assert_int_equal(temp_dir_count(&r->dir), 0);
	assert_int_equal(file_remove_leftover(in(r, "x.part"), &removed, &r->err), 0);
	assert_false(removed);
	assert_false(file_is_leftover(in(r, "x.part")));
}

static void leftover__of_a_killed_writer__is_overwritten_by_the_next(void **state)
{
	struct room *r = *state;
	pid_t pid = start_writer(r);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(file_write_all(in(r, "x"), 0600, "n", 1, &r->err), 0);
	assert_content(r, "x", "n");
	assert_int_equal(temp_dir_count(&r->dir), 1);
}

static void leftover__what_is_no_file__is_none_and_does_not_block(void **state)
{
	struct room *r = *state;
	assert_int_equal(mkdir(in(r, "d.part"), 0700), 0);
	assert_int_equal(mkfifo(in(r, "f.part"), 0600), 0);
	assert_int_equal(symlink("/etc/passwd", in(r, "l.part")), 0);
	assert_false(file_is_leftover(in(r, "d.part")));
	assert_false(file_is_leftover(in(r, "f.part")));
	assert_false(file_is_leftover(in(r, "l.part")));
}

/* A sweep beside writers never takes a file from one of them. */
static void leftover__swept_beside_a_writer__never_costs_it_its_file(void **state)
{
	struct room *r = *state;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			bool removed;
			if (file_remove_leftover(in(r, "x.part"), &removed, &r->err) < 0)
				_exit(1);
		}
	}
	for (int i = 0; i < 100; i++) {
		if (file_write_all(in(r, "x"), 0600, "whole", 5, &r->err) < 0)
			fail_msg("%s", r->err.msg);
		assert_content(r, "x", "whole");
	}
	int status;
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- reading ---- */

static void read_all__bounds_and_absence__leave_the_buffer(void **state)
{
	struct room *r = *state;
	struct buf b;
	char expected[TEMP_DIR_BYTES + 64];
	temp_dir_write(&r->dir, "x", "0123456789", 10);
	buf_init(&b, 12);
	assert_int_equal(buf_puts(&b, "ab", &r->err), 0);
	assert_int_equal(file_read_all(in(r, "x"), &b, &r->err), 0);
	assert_string_equal(buf_text(&b), "ab0123456789");
	assert_int_equal(file_read_all(in(r, "x"), &b, &r->err), -1);
	assert_int_equal(r->err.code, ERR_LIMIT);
	snprintf(expected, sizeof expected, "'%s/x' is larger than 12 bytes", r->dir.path);
	assert_string_equal(r->err.msg, expected);
	assert_string_equal(buf_text(&b), "ab0123456789");
	assert_int_equal(file_read_all(in(r, "none"), &b, &r->err), -1);
	assert_int_equal(r->err.code, ERR_ABSENT);
	snprintf(expected, sizeof expected, "can't open '%s/none': No such file or directory",
		 r->dir.path);
	assert_string_equal(r->err.msg, expected);
	assert_int_equal(file_read_all(r->dir.path, &b, &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
	assert_string_equal(buf_text(&b), "ab0123456789");
	buf_done(&b);
	temp_dir_write(&r->dir, "empty", "", 0);
	buf_init(&b, 0);
	assert_int_equal(file_read_all(in(r, "empty"), &b, &r->err), 0);
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

/* ---- folders ---- */

static void dir_make__nested__has_the_mode_and_twice_is_fine(void **state)
{
	struct room *r = *state;
	char path[TEMP_DIR_BYTES + 32], expected[TEMP_DIR_BYTES + 64];
	snprintf(path, sizeof path, "%s/a//b/c/", r->dir.path);
	assert_int_equal(dir_make(path, 0700, &r->err), 0);
	assert_int_equal(dir_make(path, 0700, &r->err), 0);
	assert_int_equal(mode_of(in(r, "a")), 0700);
	assert_int_equal(mode_of(in(r, "a/b/c")), 0700);
	assert_int_equal(dir_make("/", 0700, &r->err), 0);
	assert_int_equal(dir_make("", 0700, &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
	temp_dir_write(&r->dir, "file", "", 0);
	assert_int_equal(dir_make(in(r, "file"), 0700, &r->err), -1);
	assert_int_equal(r->err.code, ERR_EXISTS);
	snprintf(expected, sizeof expected, "'%s/file' exists and is not a folder", r->dir.path);
	assert_string_equal(r->err.msg, expected);
	assert_int_equal(dir_make(in(r, "file/below"), 0700, &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
	snprintf(expected, sizeof expected, "can't create folder '%s/file/below': Not a directory",
		 r->dir.path);
	assert_string_equal(r->err.msg, expected);
}

static void dir_list__names__are_sorted_and_all(void **state)
{
	struct room *r = *state;
	struct strlist l = {0};
	temp_dir_write(&r->dir, "b", "", 0);
	temp_dir_write(&r->dir, ".hidden", "", 0);
	temp_dir_write(&r->dir, "a", "", 0);
	assert_int_equal(mkdir(in(r, "c"), 0700), 0);
	assert_int_equal(dir_list(r->dir.path, &l, &r->err), 0);
	assert_int_equal(l.count, 4);
	assert_string_equal(l.items[0], ".hidden");
	assert_string_equal(l.items[1], "a");
	assert_string_equal(l.items[2], "b");
	assert_string_equal(l.items[3], "c");
	strlist_done(&l);
	assert_int_equal(dir_list(in(r, "none"), &l, &r->err), -1);
	assert_int_equal(r->err.code, ERR_ABSENT);
	assert_int_equal(dir_list(in(r, "a"), &l, &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
	assert_int_equal(l.count, 0);
}

static void dir_remove__a_tree__spares_what_links_point_at(void **state)
{
	struct room *r = *state;
	assert_int_equal(dir_make(in(r, "keep"), 0700, &r->err), 0);
	temp_dir_write(&r->dir, "keep/file", "x", 1);
	assert_int_equal(dir_make(in(r, "tree/a/b/c"), 0700, &r->err), 0);
	temp_dir_write(&r->dir, "tree/a/file", "x", 1);
	assert_int_equal(symlink("../../keep", in(r, "tree/a/link")), 0);
	assert_int_equal(symlink("nowhere", in(r, "tree/dangling")), 0);
	assert_int_equal(mkfifo(in(r, "tree/fifo"), 0600), 0);
	assert_int_equal(dir_remove(in(r, "tree"), &r->err), 0);
	assert_false(file_exists(in(r, "tree")));
	assert_true(file_exists(in(r, "keep/file")));
	assert_int_equal(dir_remove(in(r, "tree"), &r->err), 0);
	char expected[TEMP_DIR_BYTES + 64];
	assert_int_equal(dir_remove(in(r, "keep/file"), &r->err), -1);
	snprintf(expected, sizeof expected, "'%s/keep/file' is not a folder: not removed",
		 r->dir.path);
	assert_string_equal(r->err.msg, expected);
	assert_int_equal(symlink("keep", in(r, "link")), 0);
	assert_int_equal(dir_remove(in(r, "link"), &r->err), -1);
	assert_true(file_exists(in(r, "keep/file")));
}

static void dir_remove__another_file_system_below__is_refused(void **state)
{
	struct room *r = *state;
	assert_int_equal(dir_make(in(r, "tree/mounted"), 0700, &r->err), 0);
	if (mount("lifeboat-test", in(r, "tree/mounted"), "tmpfs", 0, "size=64k") < 0)
		skip();
	temp_dir_write(&r->dir, "tree/mounted/file", "x", 1);
	int rc = dir_remove(in(r, "tree"), &r->err);
	bool there = file_exists(in(r, "tree/mounted/file"));
	assert_int_equal(umount(in(r, "tree/mounted")), 0);
	assert_int_equal(rc, -1);
	assert_true(there);
	assert_int_equal(r->err.code, ERR_FAILED);
	assert_non_null(
	    strstr(r->err.msg, "/tree/mounted' is on another file system: not removed"));
}

static void dir_sync__of_what_is_none__is_an_error(void **state)
{
	struct room *r = *state;
	uint64_t bytes = 7;
	assert_int_equal(dir_sync(r->dir.path, &r->err), 0);
	assert_int_equal(dir_sync(in(r, "none"), &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
	assert_int_equal(dir_free_bytes(in(r, "none"), &bytes, &r->err), -1);
	assert_int_equal(bytes, 7);
}

/* ---- locks ---- */

static void lock__held__names_the_holder_until_it_is_closed(void **state)
{
	struct room *r = *state;
	int a = -1, b = -1;
	char expected[64];
	assert_int_equal(file_lock(in(r, ".lock"), &a, &r->err), 0);
	assert_int_equal(mode_of(in(r, ".lock")), 0600);
	assert_int_equal(file_lock(in(r, ".lock"), &b, &r->err), -1);
	assert_int_equal(b, -1);
	assert_int_equal(r->err.code, ERR_LOCKED);
	assert_true(r->err.retryable);
	snprintf(expected, sizeof expected, "another job is running: pid %ld since 20",
		 (long)getpid());
	assert_memory_equal(r->err.msg, expected, strlen(expected));
	close(a);
	assert_int_equal(file_lock(in(r, ".lock"), &b, &r->err), 0);
	close(b);
}

static void lock__of_a_killed_process__is_free(void **state)
{
	struct room *r = *state;
	int ready[2], fd = -1;
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (file_lock(in(r, ".lock"), &fd, &r->err) < 0 || write(ready[1], "!", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(file_lock(in(r, ".lock"), &fd, &r->err), -1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(file_lock(in(r, ".lock"), &fd, &r->err), 0);
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

static void lock__of_a_link__is_refused(void **state)
{
	struct room *r = *state;
	int fd = -1;
	assert_int_equal(symlink("elsewhere", in(r, ".lock")), 0);
	assert_int_equal(file_lock(in(r, ".lock"), &fd, &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
	assert_false(file_exists(in(r, "elsewhere")));
}

/* uid and gid of a path. */
static void assert_owner(const char *path, uid_t uid)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, uid);
}

static void made_by_root__in_anothers_folder__is_the_others(void **state)
{
	struct room *r = *state;
	bool root = geteuid() == 0;
	uid_t owner = root ? 4321 : geteuid();
	int fd = -1;
	assert_int_equal(mkdir(in(r, "theirs"), 0700), 0);
	assert_int_equal(chown(in(r, "theirs"), owner, root ? owner : getegid()), 0);
	if (!root)
		return; /* nobody else can give a file away */
	assert_int_equal(file_write_all(in(r, "theirs/file"), 0600, "x", 1, &r->err), 0);
	assert_int_equal(dir_make(in(r, "theirs/a/b"), 0700, &r->err), 0);
	assert_int_equal(file_lock(in(r, "theirs/lock"), &fd, &r->err), 0);
	close(fd);
	assert_owner(in(r, "theirs/file"), owner);
	assert_owner(in(r, "theirs/a"), owner);
	assert_owner(in(r, "theirs/a/b"), owner);
	assert_owner(in(r, "theirs/lock"), owner);
	/* What was there keeps its owner. */
	assert_int_equal(chown(in(r, "theirs/lock"), 0, 0), 0);
	assert_int_equal(file_lock(in(r, "theirs/lock"), &fd, &r->err), 0);
	close(fd);
	assert_owner(in(r, "theirs/lock"), 0);
	assert_int_equal(file_write_all(in(r, "own"), 0600, "x", 1, &r->err), 0);
	assert_owner(in(r, "own"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(made_by_root__in_anothers_folder__is_the_others),
	    T(new__closed__is_there_with_its_mode),
	    T(new__freed_without_close__never_was),
	    T(new__no_folder__is_an_error_with_its_name),
	    T(new__over_a_folder__fails_and_leaves_nothing),
	    T(new__the_folder_goes_meanwhile__is_an_error),
	    T(new__opened_while_another_writer_finishes__spares_the_finished_file),
	    T(leftover__that_becomes_another_file__is_not_removed),
	    T(full_disk__write_or_close__says_so_and_leaves_nothing),
	    T(leftover__of_a_killed_writer__is_told_from_a_living_one),
	    T(leftover__of_a_killed_writer__is_overwritten_by_the_next),
	    T(leftover__what_is_no_file__is_none_and_does_not_block),
	    T(leftover__swept_beside_a_writer__never_costs_it_its_file),
	    T(read_all__bounds_and_absence__leave_the_buffer),
	    T(dir_make__nested__has_the_mode_and_twice_is_fine),
	    T(dir_list__names__are_sorted_and_all),
	    T(dir_remove__a_tree__spares_what_links_point_at),
	    T(dir_remove__another_file_system_below__is_refused),
	    T(dir_sync__of_what_is_none__is_an_error),
	    T(lock__held__names_the_holder_until_it_is_closed),
	    T(lock__of_a_killed_process__is_free),
	    T(lock__of_a_link__is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
