#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "storage/store/store.h"
#include "tests/support/temp_dir.h"

#define DEAD "hdms-20261123T020000Z-3f9c.json"

struct room {
	struct temp_dir dir;
	struct store *store;
	struct err err;
};

static struct store *open_store(const struct temp_dir *dir, struct err *err)
{
	char url[TEMP_DIR_BYTES + 16];
	struct store *s = NULL;
	snprintf(url, sizeof url, "file://%s", dir->path);
	assert_int_equal(store_open(&(struct store_opts){.name = "local", .url = url}, &s, err), 0);
	return s;
}

static int setup(void **state)
{
	struct room *r = calloc(1, sizeof *r);
	temp_dir_make(&r->dir);
	r->store = open_store(&r->dir, &r->err);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct room *r = *state;
	store_free(r->store);
	temp_dir_remove(&r->dir);
	free(r);
	return 0;
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void put(struct room *r, const char *name, const char *text)
{
	assert_int_equal(store_put_bytes(r->store, name, text, strlen(text), &r->err), 0);
}

static void assert_content(struct room *r, const char *name, const char *text)
{
	struct buf b;
	buf_init(&b, 1 << 20);
	assert_int_equal(store_get_bytes(r->store, name, &b, &r->err), 0);
	assert_string_equal(buf_text(&b), text);
	buf_done(&b);
}

static size_t count_objects(struct room *r, const char *prefix)
{
	struct store_objects o = {0};
	assert_int_equal(store_list(r->store, prefix, &o, &r->err), 0);
	size_t count = o.count;
	store_objects_done(&o);
	return count;
}

static void open__absent_folder__is_made_for_the_owner_alone(void **state)
{
	struct room *r = *state;
	char url[TEMP_DIR_BYTES + 64];
	struct store *s = NULL;
	snprintf(url, sizeof url, "file://%s/a%%20b/c/", r->dir.path);
	assert_int_equal(store_open(&(struct store_opts){.name = "x", .url = url}, &s, &r->err), 0);
	assert_string_equal(store_where(s), temp_dir_in(&r->dir, "a b/c"));
	assert_string_equal(store_name(s), "x");
	assert_int_equal(mode_of(temp_dir_in(&r->dir, "a b/c")), 0700);
	store_free(s);
}

static void open__wrong_urls__are_refused_with_what_to_write(void **state)
{
	static const struct {
		const char *url, *message, *hint;
	} cases[] = {
	    {"file://var/backups", "store 'x': 'file://var/backups' names no absolute folder",
	     "Three slashes: file:///var/backups/hdms."},
	    {"file:///a%2", "store 'x': 'file:///a%2': '%' is not followed by two digits", ""},
	    {"file:///a%00b", "store 'x': 'file:///a%00b': '%' is not followed by two digits", ""},
	    {"gopher://u:secret@h/", "store 'x': there is no kind of store for 'gopher://'",
	     "A folder of this machine is written as file:///absolute/folder."},
	    {"/var/backups", "store 'x': its url has no 'scheme://'",
	     "A folder of this machine is written as file:///absolute/folder."},
	    {"", "store 'x': its url has no 'scheme://'",
	     "A folder of this machine is written as file:///absolute/folder."},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct store *s = NULL;
		struct store_opts opts = {.name = "x", .url = cases[i].url};
		assert_int_equal(store_open(&opts, &s, &err), -1);
		assert_null(s);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_string_equal(err.msg, cases[i].message);
		assert_string_equal(err.hint, cases[i].hint);
	}
}

static void open__a_file_in_the_way__is_an_error(void **state)
{
	struct room *r = *state;
	char url[TEMP_DIR_BYTES + 64], expected[TEMP_DIR_BYTES + 64];
	struct store *s = NULL;
	temp_dir_write(&r->dir, "file", "x", 1);
	snprintf(url, sizeof url, "file://%s/file", r->dir.path);
	assert_int_equal(store_open(&(struct store_opts){.name = "x", .url = url}, &s, &r->err),
			 -1);
	assert_int_equal(r->err.code, ERR_EXISTS);
	snprintf(expected, sizeof expected, "store 'x': '%s/file' exists and is not a folder",
		 r->dir.path);
	assert_string_equal(r->err.msg, expected);
}

static void put__closed__is_there_whole_and_private(void **state)
{
	struct room *r = *state;
	put(r, "hdms.json", "hello");
	assert_content(r, "hdms.json", "hello");
	assert_int_equal(mode_of(temp_dir_in(&r->dir, "hdms.json")), 0600);
	assert_int_equal(temp_dir_count(&r->dir), 1);
}

static void create__a_new_name__is_there(void **state)
{
	struct room *r = *state;
	assert_int_equal(store_create_bytes(r->store, "hdms.json", "one", 3, &r->err), 0);
	assert_content(r, "hdms.json", "one");
	assert_int_equal(temp_dir_count(&r->dir), 1);
}

static void create__of_what_is_there__is_refused_and_it_stays(void **state)
{
	struct room *r = *state;
	put(r, "hdms.json", "one");
	assert_int_equal(store_create_bytes(r->store, "hdms.json", "two", 3, &r->err), -1);
	assert_int_equal(r->err.code, ERR_EXISTS);
	assert_non_null(strstr(r->err.msg, "hdms.json' is there already"));
	assert_content(r, "hdms.json", "one");
	assert_int_equal(temp_dir_count(&r->dir), 1);
}

static void create__overtaken_before_its_close__leaves_the_other_one(void **state)
{
	struct room *r = *state;
	struct sink *s = NULL;
	assert_int_equal(store_create(r->store, "hdms.json", &s, &r->err), 0);
	assert_int_equal(sink_write(s, "two", 3, &r->err), 0);
	FILE *other = fopen(temp_dir_in(&r->dir, "hdms.json"), "w");
	assert_non_null(other);
	assert_int_equal(fputs("one", other) >= 0 && fclose(other) == 0, 1);
	assert_int_equal(sink_close(s, &r->err), -1);
	assert_int_equal(r->err.code, ERR_EXISTS);
	sink_free(s);
	assert_content(r, "hdms.json", "one");
	assert_int_equal(temp_dir_count(&r->dir), 1);
}

static void put__freed_without_close__leaves_nothing_and_the_old_one(void **state)
{
	struct room *r = *state;
	struct sink *s = NULL;
	put(r, "x", "old");
	assert_int_equal(store_put(r->store, "x", &s, &r->err), 0);
	assert_int_equal(sink_write(s, "new", 3, &r->err), 0);
	assert_content(r, "x", "old");
	sink_free(s);
	assert_content(r, "x", "old");
	assert_int_equal(temp_dir_count(&r->dir), 1);
}

static void put__unfinished__is_in_no_list(void **state)
{
	struct room *r = *state;
	struct sink *s = NULL;
	assert_int_equal(store_put(r->store, "x", &s, &r->err), 0);
	assert_int_equal(temp_dir_count(&r->dir), 1);
	assert_int_equal(count_objects(r, ""), 0);
	assert_int_equal(sink_close(s, &r->err), 0);
	sink_free(s);
	assert_int_equal(count_objects(r, ""), 1);
}

static void put__twice_at_once__the_second_is_refused(void **state)
{
	struct room *r = *state;
	struct sink *a = NULL, *b = NULL;
	char expected[TEMP_DIR_BYTES + 64];
	assert_int_equal(store_put(r->store, "x", &a, &r->err), 0);
	assert_int_equal(store_put(r->store, "x", &b, &r->err), -1);
	assert_null(b);
	assert_int_equal(r->err.code, ERR_LOCKED);
	snprintf(expected, sizeof expected,
		 "store 'local': '%s/x.part' is being written by another process", r->dir.path);
	assert_string_equal(r->err.msg, expected);
	assert_int_equal(sink_write(a, "one", 3, &r->err), 0);
	assert_int_equal(sink_close(a, &r->err), 0);
	sink_free(a);
	assert_content(r, "x", "one");
}

static void put__full_disk__says_so_and_leaves_nothing(void **state)
{
	(void)state;
	struct temp_dir small;
	struct err err = ERR_INIT;
	struct sink *sink = NULL;
	if (!temp_dir_make_small(&small, 256 << 10))
		skip();
	struct store *s = open_store(&small, &err);
	static const uint8_t block[64 << 10];
	assert_int_equal(store_put_bytes(s, "old", "old", 3, &err), 0);
	assert_int_equal(store_put(s, "big", &sink, &err), 0);
	int rc = 0;
	for (int i = 0; rc == 0 && i < 100; i++)
		rc = sink_write(sink, block, sizeof block, &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_NOSPACE);
	assert_non_null(strstr(err.msg, "/big.part': No space left on device"));
	struct err again = ERR_INIT;
	assert_int_equal(sink_close(sink, &again), -1);
	assert_int_equal(again.code, ERR_NOSPACE);
	sink_free(sink);
	assert_int_equal(temp_dir_count(&small), 1);
	uint64_t bytes = 0;
	assert_int_equal(store_free_bytes(s, &bytes, &err), 0);
	assert_true(bytes > 100 << 10);
	store_free(s);
	temp_dir_remove(&small);
}

static void names__that_could_leave_the_folder__are_refused(void **state)
{
	static const char *const wrong[] = {"",    ".",      "..", ".hidden", "a/b", "../x", "a b",
					    "a\n", "x.part", "ä",  "a\\b",    "a:b", "*"};
	struct room *r = *state;
	char longest[202];
	memset(longest, 'a', sizeof longest);
	longest[200] = '\0';
	assert_true(store_name_is_valid(longest));
	longest[200] = 'a', longest[201] = '\0';
	assert_false(store_name_is_valid(longest));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct sink *sink = NULL;
		struct source *source = NULL;
		struct store_object o;
		struct store_lock *lock = NULL;
		char expected[300];
		snprintf(expected, sizeof expected,
			 "store 'local': '%s' can't be the name of an object", wrong[i]);
		assert_false(store_name_is_valid(wrong[i]));
		assert_int_equal(store_put(r->store, wrong[i], &sink, &r->err), -1);
		assert_int_equal(r->err.code, ERR_USAGE);
		assert_string_equal(r->err.msg, expected);
		assert_int_equal(store_put_bytes(r->store, wrong[i], "", 0, &r->err), -1);
		assert_int_equal(store_get(r->store, wrong[i], 0, 1, &source, &r->err), -1);
		assert_int_equal(store_stat(r->store, wrong[i], &o, &r->err), -1);
		assert_int_equal(store_remove(r->store, wrong[i], &r->err), -1);
		assert_int_equal(store_lock(r->store, wrong[i], &lock, &r->err), -1);
		assert_string_equal(r->err.msg, expected);
	}
	assert_int_equal(temp_dir_count(&r->dir), 0);
	assert_true(store_name_is_valid("hdms-20261123T020000Z-3f9c.tar.zst.age"));
	assert_true(store_name_is_valid("part"));
	assert_true(store_name_is_valid("-x_Y.9"));
}

static void get__ranges__are_exact(void **state)
{
	struct room *r = *state;
	static const char text[] = "0123456789";
	put(r, "x", text);
	for (uint64_t offset = 0; offset <= 10; offset++) {
		for (uint64_t len = 0; len <= 11 - offset; len++) {
			/* One more than there is stands for "to the end". */
			bool rest = len == 11 - offset;
			struct source *s = NULL;
			uint8_t got[16];
			size_t n;
			assert_int_equal(
			    store_get(r->store, "x", offset, rest ? UINT64_MAX : len, &s, &r->err),
			    0);
			assert_int_equal(source_read_full(s, got, sizeof got, &n, &r->err), 0);
			assert_int_equal(n, rest ? 10 - offset : len);
			assert_memory_equal(got, text + offset, n);
			source_free(s);
		}
	}
}

static void get__beyond_the_end__is_corrupt(void **state)
{
	struct room *r = *state;
	struct source *s = NULL;
	put(r, "x", "0123456789");
	assert_int_equal(store_get(r->store, "x", 5, 6, &s, &r->err), -1);
	assert_int_equal(r->err.code, ERR_CORRUPT);
	assert_string_equal(r->err.msg, "store 'local': 'x' has 10 bytes: too few to read 6 at "
					"offset 5");
	assert_int_equal(store_get(r->store, "x", 11, UINT64_MAX, &s, &r->err), -1);
	assert_int_equal(r->err.code, ERR_CORRUPT);
	assert_int_equal(store_get(r->store, "x", UINT64_MAX - 1, 5, &s, &r->err), -1);
	assert_int_equal(r->err.code, ERR_CORRUPT);
	assert_null(s);
}

static void get__cut_while_it_is_read__is_corrupt(void **state)
{
	struct room *r = *state;
	struct source *s = NULL;
	uint8_t got[4];
	size_t n;
	put(r, "x", "0123456789");
	assert_int_equal(store_get(r->store, "x", 0, UINT64_MAX, &s, &r->err), 0);
	assert_int_equal(source_read(s, got, sizeof got, &n, &r->err), 0);
	assert_int_equal(truncate(temp_dir_in(&r->dir, "x"), 6), 0);
	assert_int_equal(source_read(s, got, sizeof got, &n, &r->err), 0);
	assert_int_equal(source_read(s, got, sizeof got, &n, &r->err), -1);
	assert_int_equal(r->err.code, ERR_CORRUPT);
	assert_string_equal(r->err.msg, "'x' ended after 6 bytes, 4 too early");
	source_free(s);
}

static void absent__everywhere__is_absent(void **state)
{
	struct room *r = *state;
	struct source *s = NULL;
	struct store_object o;
	struct buf b;
	char expected[TEMP_DIR_BYTES + 64];
	snprintf(expected, sizeof expected, "store 'local': there is no 'x' in '%s'", r->dir.path);
	buf_init(&b, 10);
	assert_int_equal(store_get(r->store, "x", 0, 1, &s, &r->err), -1);
	assert_int_equal(r->err.code, ERR_ABSENT);
	assert_string_equal(r->err.msg, expected);
	assert_int_equal(store_stat(r->store, "x", &o, &r->err), -1);
	assert_int_equal(r->err.code, ERR_ABSENT);
	assert_int_equal(store_get_bytes(r->store, "x", &b, &r->err), -1);
	assert_int_equal(r->err.code, ERR_ABSENT);
	assert_int_equal(store_remove(r->store, "x", &r->err), 0);
	assert_int_equal(mkdir(temp_dir_in(&r->dir, "folder"), 0700), 0);
	assert_int_equal(store_stat(r->store, "folder", &o, &r->err), -1);
	assert_int_equal(r->err.code, ERR_ABSENT);
}

static void links__out_of_the_folder__are_not_followed(void **state)
{
	struct room *r = *state;
	struct source *s = NULL;
	assert_int_equal(symlink("/etc/passwd", temp_dir_in(&r->dir, "link")), 0);
	assert_int_equal(symlink("/etc/passwd", temp_dir_in(&r->dir, "new.part")), 0);
	assert_int_equal(store_get(r->store, "link", 0, 1, &s, &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
	assert_non_null(strstr(r->err.msg, "/link': Too many levels of symbolic links"));
	assert_int_equal(count_objects(r, ""), 0);
	assert_int_equal(store_put_bytes(r->store, "new", "x", 1, &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
}

static void get_bytes__too_large__leaves_the_buffer(void **state)
{
	struct room *r = *state;
	struct buf b;
	put(r, "x", "0123456789");
	buf_init(&b, 12);
	assert_int_equal(buf_puts(&b, "abc", &r->err), 0);
	assert_int_equal(store_get_bytes(r->store, "x", &b, &r->err), -1);
	assert_int_equal(r->err.code, ERR_LIMIT);
	assert_string_equal(r->err.msg, "store 'local': 'x': more than 12 bytes");
	assert_string_equal(buf_text(&b), "abc");
	buf_done(&b);
	buf_init(&b, 10);
	assert_int_equal(store_get_bytes(r->store, "x", &b, &r->err), 0);
	assert_string_equal(buf_text(&b), "0123456789");
	buf_done(&b);
}

static void list__foreign_names__are_hidden_and_the_rest_sorted(void **state)
{
	struct room *r = *state;
	struct store_objects o = {0};
	put(r, "hdms-b", "22");
	put(r, "hdms-a", "1");
	put(r, "hdms2-c", "");
	temp_dir_write(&r->dir, ".hdms.lock", "", 0);
	temp_dir_write(&r->dir, "hdms-x y", "", 0);
	temp_dir_write(&r->dir, "hdms-z.part", "", 0);
	assert_int_equal(mkdir(temp_dir_in(&r->dir, "hdms-folder"), 0700), 0);
	assert_int_equal(store_list(r->store, "hdms-", &o, &r->err), 0);
	assert_int_equal(o.count, 2);
	assert_string_equal(o.items[0].name, "hdms-a");
	assert_int_equal(o.items[0].bytes, 1);
	assert_string_equal(o.items[1].name, "hdms-b");
	assert_int_equal(o.items[1].bytes, 2);
	assert_true(o.items[1].modified_ms > INT64_C(1700000000000));
	store_objects_done(&o);
	assert_int_equal(count_objects(r, ""), 3);
	assert_int_equal(count_objects(r, "nothing"), 0);
}

static void stat__an_object__has_its_size(void **state)
{
	struct room *r = *state;
	struct store_object o;
	put(r, "x", "12345");
	assert_int_equal(store_stat(r->store, "x", &o, &r->err), 0);
	assert_string_equal(o.name, "x");
	assert_int_equal(o.bytes, 5);
}

static void remove__an_object__is_gone(void **state)
{
	struct room *r = *state;
	put(r, "x", "1");
	assert_int_equal(store_remove(r->store, "x", &r->err), 0);
	assert_int_equal(temp_dir_count(&r->dir), 0);
}

static void lock__held__names_the_holder(void **state)
{
	struct room *r = *state;
	struct store_lock *a = NULL, *b = NULL, *other = NULL;
	char expected[64];
	assert_int_equal(store_lock(r->store, "hdms", &a, &r->err), 0);
	assert_int_equal(store_lock(r->store, "hdms", &b, &r->err), -1);
	assert_null(b);
	assert_int_equal(r->err.code, ERR_LOCKED);
	assert_true(r->err.retryable);
	snprintf(expected, sizeof expected, "store 'local': another job is running: pid %ld since ",
		 (long)getpid());
	assert_memory_equal(r->err.msg, expected, strlen(expected));
	assert_int_equal(store_lock(r->store, "hdms-2", &other, &r->err), 0);
	store_unlock(other);
	store_unlock(a);
	assert_int_equal(store_lock(r->store, "hdms", &b, &r->err), 0);
	store_unlock(b);
	assert_int_equal(mode_of(temp_dir_in(&r->dir, ".hdms.lock")), 0600);
}

/* A process that puts and locks, says so, and is killed. */
static void kill_a_writer(struct room *r)
{
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct sink *s;
		struct store_lock *l;
		if (store_lock(r->store, "hdms", &l, &r->err) < 0 ||
		    store_put(r->store, DEAD, &s, &r->err) < 0 ||
		    sink_write(s, "half", 4, &r->err) < 0 || write(ready[1], "!", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	/* While it lives: neither lock nor name is to be had, and nothing is swept. */
	struct store_lock *l = NULL;
	struct strlist swept = {0};
	assert_int_equal(store_lock(r->store, "hdms", &l, &r->err), -1);
	assert_int_equal(store_sweep(r->store, "hdms", false, &swept, &r->err), 0);
	assert_int_equal(swept.count, 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ready[0]);
	close(ready[1]);
}

static void kill__in_the_middle_of_a_put__is_swept_and_unlocked(void **state)
{
	struct room *r = *state;
	struct strlist swept = {0};
	struct store_lock *l = NULL;
	kill_a_writer(r);
	assert_int_equal(count_objects(r, ""), 0);
	assert_int_equal(store_lock(r->store, "hdms", &l, &r->err), 0);
	assert_int_equal(store_sweep(r->store, "hdms", true, &swept, &r->err), 0);
	assert_int_equal(swept.count, 1);
	assert_string_equal(swept.items[0], DEAD ".part");
	assert_true(file_exists(temp_dir_in(&r->dir, DEAD ".part")));
	strlist_done(&swept);
	assert_int_equal(store_sweep(r->store, "other", false, NULL, &r->err), 0);
	assert_true(file_exists(temp_dir_in(&r->dir, DEAD ".part")));
	assert_int_equal(store_sweep(r->store, "hdms", false, &swept, &r->err), 0);
	assert_int_equal(swept.count, 1);
	assert_false(file_exists(temp_dir_in(&r->dir, DEAD ".part")));
	strlist_done(&swept);
	store_unlock(l);
}

static void kill__in_the_middle_of_a_put__the_next_put_works(void **state)
{
	struct room *r = *state;
	kill_a_writer(r);
	put(r, DEAD, "new");
	assert_content(r, DEAD, "new");
	assert_false(file_exists(temp_dir_in(&r->dir, DEAD ".part")));
}

static void sweep__names_that_are_not_ours__stay(void **state)
{
	struct room *r = *state;
	temp_dir_write(&r->dir, "hdms-a b.part", "", 0);
	temp_dir_write(&r->dir, ".part", "", 0);
	temp_dir_write(&r->dir, "hdms-x", "", 0);
	assert_int_equal(mkdir(temp_dir_in(&r->dir, "hdms-d.part"), 0700), 0);
	assert_int_equal(mkfifo(temp_dir_in(&r->dir, "hdms-f.part"), 0600), 0);
	temp_dir_write(&r->dir, "hdms-eu-20261123T020000Z-3f9c.json.part", "", 0);
	temp_dir_write(&r->dir, "hdms.eu.lease-000000004.part", "", 0);
	assert_int_equal(store_sweep(r->store, "hdms", false, NULL, &r->err), 0);
	assert_int_equal(store_sweep(r->store, "", false, NULL, &r->err), 0);
	assert_int_equal(temp_dir_count(&r->dir), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(open__absent_folder__is_made_for_the_owner_alone),
	    T(open__wrong_urls__are_refused_with_what_to_write),
	    T(open__a_file_in_the_way__is_an_error),
	    T(put__closed__is_there_whole_and_private),
	    T(create__a_new_name__is_there),
	    T(create__of_what_is_there__is_refused_and_it_stays),
	    T(create__overtaken_before_its_close__leaves_the_other_one),
	    T(put__freed_without_close__leaves_nothing_and_the_old_one),
	    T(put__unfinished__is_in_no_list),
	    T(put__twice_at_once__the_second_is_refused),
	    T(put__full_disk__says_so_and_leaves_nothing),
	    T(names__that_could_leave_the_folder__are_refused),
	    T(get__ranges__are_exact),
	    T(get__beyond_the_end__is_corrupt),
	    T(get__cut_while_it_is_read__is_corrupt),
	    T(absent__everywhere__is_absent),
	    T(links__out_of_the_folder__are_not_followed),
	    T(get_bytes__too_large__leaves_the_buffer),
	    T(list__foreign_names__are_hidden_and_the_rest_sorted),
	    T(stat__an_object__has_its_size),
	    T(remove__an_object__is_gone),
	    T(lock__held__names_the_holder),
	    T(kill__in_the_middle_of_a_put__is_swept_and_unlocked),
	    T(kill__in_the_middle_of_a_put__the_next_put_works),
	    T(sweep__names_that_are_not_ours__stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
