/* Trees and volumes on a disk that is full, and contents that end at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "stack/engine/tree.h"
#include "tests/support/scratch.h"
#include "tests/support/temp_dir.h"

/* Zeros without end, or until they fail. */
struct stream {
	uint64_t left;
	bool fails;
};

static int stream_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct stream *s = self;
	if (s->left == 0 && s->fails)
		return err_set(err, ERR_CORRUPT, "the stream broke");
	size_t n = s->left < cap ? (size_t)s->left : cap;
	memset(buf, 'x', n);
	s->left -= n;
	*ret_n = n;
	return 0;
}

static const struct source_ops stream_ops = {.read = stream_read};

static int add(struct tree_writer *t, const char *name, int64_t size, struct stream *s,
	       struct err *err)
{
	struct source *from;
	assert_int_equal(source_new(&stream_ops, s, &from, err), 0);
	struct archive_entry *e = archive_entry_new();
	archive_entry_copy_pathname(e, name);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0600);
	archive_entry_set_size(e, size);
	int rc = tree_writer_add(t, e, from, err);
	archive_entry_free(e);
	source_free(from);
	return rc;
}

static void writer_add__disk_full__no_space_with_the_name(void **state)
{
	(void)state;
	struct temp_dir small;
	if (!temp_dir_make_small(&small, 1 << 20)) {
		print_message("no file system can be mounted here\n");
		return;
	}
	struct tree_writer *t;
	struct err err = ERR_INIT;
	struct stream s = {.left = 4 << 20};
	assert_int_equal(tree_disk_writer(small.path, NULL, &t, &err), 0);
	assert_int_equal(add(t, "big", 4 << 20, &s, &err), -1);
	assert_int_equal(err.code, ERR_NOSPACE);
	assert_string_equal(err.msg, "can't write 'big': No space left on device");
	tree_writer_free(t);
	/* The same for what is to become a volume. */
	struct engine *e;
	const struct engine_opts opts = {
	    .kind = "local", .stack = "s", .volumes_dir = small.path, .run_as = "root"};
	assert_int_equal(engine_open(&opts, &e, &err), 0);
	assert_int_equal(engine_volume_create(e, "v", &(struct volume_spec){0}, &err), -1);
	assert_int_equal(err.code, ERR_NOSPACE);
	engine_free(e);
	temp_dir_remove(&small);
}

static void writer_add__content_breaks_at_every_byte__its_error_comes_through(void **state)
{
	(void)state;
	char *dir = scratch_new();
	for (uint64_t at = 0; at < 40; at++) {
		struct tree_writer *t;
		struct err err = ERR_INIT;
		struct stream s = {.left = at, .fails = true};
		char *to = scratch_path(dir, "%llu", (unsigned long long)at);
		scratch_file(to, "x", "");
		assert_int_equal(tree_disk_writer(to, NULL, &t, &err), 0);
		assert_int_equal(add(t, "file", 40, &s, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_string_equal(err.msg, "content of 'file': the stream broke");
		err_clear(&err);
		s = (struct stream){.left = at};
		assert_int_equal(add(t, "file", 40, &s, &err), -1);
		assert_string_equal(err.msg, "'file' has less than the 40 bytes it announced");
		/* The next one is written all the same. */
		s = (struct stream){.left = 40};
		if (add(t, "file", 40, &s, &err) < 0 || tree_writer_close(t, &err) < 0)
			fail_msg("%s", err.msg);
		tree_writer_free(t);
		char *text = scratch_read(to, "file");
		assert_int_equal(strlen(text), 40);
		free(text);
		free(to);
	}
	scratch_free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writer_add__disk_full__no_space_with_the_name),
	    cmocka_unit_test(writer_add__content_breaks_at_every_byte__its_error_comes_through),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
