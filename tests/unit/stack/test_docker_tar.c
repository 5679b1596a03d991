#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/sysmacros.h>
#include <cmocka.h>
#include "stack/docker/docker_tar.h"
#include "tests/support/tar_build.h"

#define PAX(t, records) tar_build_pax(t, records, sizeof(records) - 1)

static struct tar_build t;

static struct docker_tar *open_built(size_t len)
{
	struct source *s = NULL;
	struct docker_tar *tar = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(source_memory(t.bytes, len, &s, &err), 0);
	assert_int_equal(docker_tar_open(s, "/data", &tar, &err), 0);
	return tar;
}

/* Reads it to its end; names and contents as one text: "data=|data/f=hi|". */
static int read_built(size_t len, char *out, size_t cap, struct err *err)
{
	CLEANUP(docker_tar_freep) struct docker_tar *tar = open_built(len);
	out[0] = '\0';
	for (;;) {
		struct archive_entry *e = NULL;
		size_t at = strlen(out), n = 1;
		if (docker_tar_next(tar, &e, err) < 0)
			return -1;
		if (e == NULL)
			return 0;
		at += (size_t)snprintf(out + at, cap - at, "%s=", archive_entry_pathname(e));
		archive_entry_free(e);
		for (; n > 0; at += n) {
			assert_true(at + 1 < cap);
			if (docker_tar_read(tar, (uint8_t *)out + at, cap - at - 2, &n, err) < 0)
				return -1;
		}
		memcpy(out + at, "|", 2);
	}
}

static struct archive_entry *first(void)
{
	struct docker_tar *tar = open_built(t.len);
	struct archive_entry *e = NULL;
	struct err err = ERR_INIT;
	if (docker_tar_next(tar, &e, &err) < 0)
		fail_msg("%s", err.msg);
	docker_tar_free(tar);
	return e;
}

static void build_small(void)
{
	t.len = 0;
	tar_build_head(&t, '5', "data/", NULL, 0700, 0);
	tar_build_file(&t, "data/f", "hi");
	tar_build_head(&t, '1', "data/g", "data/f", 0640, 0);
	PAX(&t, "19 path=data/lo\xC3\xA9g\n");
	tar_build_file(&t, "data/lo_g", "");
	tar_build_file(&t, "data/z", "zz");
	tar_build_end(&t);
}

static void next__entries__names_and_contents(void **state)
{
	(void)state;
	char text[512];
	struct err err = ERR_INIT;
	build_small();
	assert_int_equal(read_built(t.len, text, sizeof text, &err), 0);
	assert_string_equal(text, "data/=|data/f=hi|data/g=|data/lo\xC3\xA9g=|data/z=zz|");
}

static void next__contents_unread__passed_over(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	unsigned count = 0;
	build_small();
	CLEANUP(docker_tar_freep) struct docker_tar *tar = open_built(t.len);
	for (struct archive_entry *e = NULL;; count++) {
		assert_int_equal(docker_tar_next(tar, &e, &err), 0);
		if (e == NULL)
			break;
		archive_entry_free(e);
	}
	assert_int_equal(count, 5);
	struct archive_entry *again = NULL;
	assert_int_equal(docker_tar_next(tar, &again, &err), 0);
	assert_null(again);
}

static void next__fields__all_kept(void **state)
{
	(void)state;
	t.len = 0;
	tar_build_head(&t, '0', "f", NULL, 06755, 5);
	struct archive_entry *e = first();
	assert_int_equal(archive_entry_perm(e), 06755);
	assert_int_equal(archive_entry_filetype(e), AE_IFREG);
	assert_int_equal(archive_entry_uid(e), 999);
	assert_int_equal(archive_entry_gid(e), 998);
	assert_int_equal(archive_entry_size(e), 5);
	assert_int_equal(archive_entry_mtime(e), 1600000000);
	assert_string_equal(archive_entry_uname(e), "postgres");
	archive_entry_free(e);
}

static void next__pax_records__stronger_than_fields(void **state)
{
	(void)state;
	t.len = 0;
	PAX(&t, "30 mtime=1600000001.123456789\n"
		"15 uid=3000000\n"
		"15 gid=3000001\n"
		"12 uname=x\xFF\n"
		"20 size=12345678901\n"
		"13 linkpath=\n"
		"25 SCHILY.xattr.user.a=\0\n"
		"18 LIBARCHIVE.x=y\n");
	tar_build_head(&t, '0', "f", NULL, 0644, 5);
	struct archive_entry *e = first();
	assert_int_equal(archive_entry_mtime(e), 1600000001);
	assert_int_equal(archive_entry_mtime_nsec(e), 123456789);
	assert_int_equal(archive_entry_uid(e), 3000000);
	assert_int_equal(archive_entry_gid(e), 3000001);
	assert_string_equal(archive_entry_uname(e), "x\xFF");
	assert_int_equal(archive_entry_size(e), 12345678901);
	const char *name;
	const void *value;
	size_t len;
	assert_int_equal(archive_entry_xattr_reset(e), 1);
	assert_int_equal(archive_entry_xattr_next(e, &name, &value, &len), 0);
	assert_string_equal(name, "user.a");
	assert_int_equal(len, 1);
	archive_entry_free(e);
}

static void next__times_before_1970__kept(void **state)
{
	(void)state;
	t.len = 0;
	PAX(&t, "15 mtime=-1.25\n");
	tar_build_head(&t, '0', "f", NULL, 0644, 0);
	struct archive_entry *e = first();
	assert_int_equal(archive_entry_mtime(e), -2);
	assert_int_equal(archive_entry_mtime_nsec(e), 750000000);
	archive_entry_free(e);
}

static void next__links_and_devices__their_targets(void **state)
{
	(void)state;
	static const struct {
		char type;
		unsigned filetype;
	} kinds[] = {{'2', AE_IFLNK}, {'3', AE_IFCHR}, {'4', AE_IFBLK}, {'6', AE_IFIFO}};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		t.len = 0;
		/* What has no content has none, whatever its size says. */
		uint8_t *b = tar_build_head(&t, kinds[i].type, "x", "target", 0600, 700);
		memcpy(b + 329, "0000012\0000000034", 16);
		tar_build_sum(b);
		struct archive_entry *e = first();
		assert_int_equal(archive_entry_filetype(e), kinds[i].filetype);
		assert_int_equal(archive_entry_size(e), 0);
		if (kinds[i].type == '2')
			assert_string_equal(archive_entry_symlink(e), "target");
		if (kinds[i].type == '3' || kinds[i].type == '4')
			assert_int_equal(archive_entry_rdev(e), makedev(012, 034));
		archive_entry_free(e);
	}
}

static void next__long_names__prefix_and_gnu(void **state)
{
	(void)state;
	t.len = 0;
	uint8_t *b = tar_build_head(&t, '0', "file", NULL, 0644, 0);
	memcpy(b + 345, "a/long/prefix", 13);
	tar_build_sum(b);
	struct archive_entry *e = first();
	assert_string_equal(archive_entry_pathname(e), "a/long/prefix/file");
	archive_entry_free(e);
	t.len = 0;
	tar_build_head(&t, 'K', "././@LongLink", NULL, 0644, 7);
	memcpy(tar_build_room(&t, 7), "target", 7);
	tar_build_head(&t, 'L', "././@LongLink", NULL, 0644, 9);
	memcpy(tar_build_room(&t, 9), "gnu/name", 9);
	tar_build_head(&t, '2', "gnu/na", "tar", 0644, 0);
	e = first();
	assert_string_equal(archive_entry_pathname(e), "gnu/name");
	assert_string_equal(archive_entry_symlink(e), "target");
	archive_entry_free(e);
}

static void next__lies__corrupt(void **state)
{
	(void)state;
	char text[64];
	struct err err = ERR_INIT;
	static const char *const records[] = {
	    "x path=a\n",
	    "99 path=a\n",
	    "9 path=a",
	    "10 path=ab",
	    "4 =\n",
	    "8 patha\n",
	    "9 size=x\n",
	    "8 size=\n8",
	    "0\n",
	    "13 mtime=1.x\n",
	    "22 GNU.sparse.major=1\n",
	    "13 mtime=abc\n",
	    "999999999 a=b\n",
	};
	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		t.len = 0;
		tar_build_pax(&t, records[i], strlen(records[i]));
		tar_build_file(&t, "f", "hi");
		tar_build_end(&t);
		if (read_built(t.len, text, sizeof text, &err) == 0)
			fail_msg("'%s' was taken", records[i]);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_non_null(strstr(err.msg, "'/data': "));
	}
	t.len = 0;
	PAX(&t, "11 path=a\0\n");
	tar_build_file(&t, "f", "hi");
	assert_int_equal(read_built(t.len, text, sizeof text, &err), -1);
	assert_string_equal(err.msg, "'/data': a name with a zero in it");
	t.len = 0;
	tar_build_file(&t, "f", "hi");
	t.bytes[3]++;
	assert_int_equal(read_built(t.len, text, sizeof text, &err), -1);
	assert_string_equal(err.msg, "'/data': a tar head with a wrong sum");
	t.len = 0;
	tar_build_head(&t, 'S', "f", NULL, 0644, 0);
	assert_int_equal(read_built(t.len, text, sizeof text, &err), -1);
	assert_string_equal(err.msg, "'/data': a tar head of the unknown type 0x53");
	t.len = 0;
	tar_build_head(&t, '0', "", NULL, 0644, 0);
	assert_int_equal(read_built(t.len, text, sizeof text, &err), -1);
	assert_string_equal(err.msg, "'/data': a tar head without a name or a target");
	t.len = 0;
	tar_build_head(&t, '1', "f", NULL, 0644, 0);
	assert_int_equal(read_built(t.len, text, sizeof text, &err), -1);
	assert_string_equal(err.msg, "'/data': a tar head without a name or a target");
	t.len = 0;
	tar_build_head(&t, 'x', "f", NULL, 0644, (size_t)5 << 20);
	assert_int_equal(read_built(t.len, text, sizeof text, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	t.len = 0;
	PAX(&t, "10 path=a\n");
	tar_build_end(&t);
	assert_int_equal(read_built(t.len, text, sizeof text, &err), -1);
	assert_string_equal(err.msg, "'/data': a head without its entry");
	t.len = 0;
	PAX(&t, "10 path=a\n");
	PAX(&t, "10 path=b\n");
	tar_build_file(&t, "f", "");
	assert_int_equal(read_built(t.len, text, sizeof text, &err), -1);
	assert_string_equal(err.msg, "'/data': two heads for one entry");
	t.len = 0;
	tar_build_room(&t, 512);
	tar_build_file(&t, "after", "");
	assert_int_equal(read_built(t.len, text, sizeof text, &err), -1);
	assert_string_equal(err.msg, "'/data': an entry after the end");
}

/* Zeros of a file are no end: only the two blocks behind the last entry are. */
static void cut__at_every_length__failed_and_says_so(void **state)
{
	(void)state;
	char text[2048];
	t.len = 0;
	tar_build_head(&t, '5', "data/", NULL, 0700, 0);
	tar_build_head(&t, '0', "data/zeros", NULL, 0600, 1500);
	tar_build_room(&t, 1500);
	PAX(&t, "18 path=data/last\n");
	tar_build_file(&t, "x", "end");
	tar_build_end(&t);
	for (size_t len = 0; len < t.len; len++) {
		struct err err = ERR_INIT;
		assert_int_equal(read_built(len, text, sizeof text, &err), -1);
		assert_int_equal(err.code, ERR_FAILED);
		if (len >= 1024 && len < 1024 + 1500)
			assert_string_equal(err.msg,
					    "'/data' broke off inside the file 'data/zeros'");
		assert_non_null(strstr(err.msg, "'/data' broke off "));
		assert_non_null(strstr(err.hint, "becomes shorter"));
	}
	struct err err = ERR_INIT;
	assert_int_equal(read_built(t.len, text, sizeof text, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(next__entries__names_and_contents),
	    cmocka_unit_test(next__contents_unread__passed_over),
	    cmocka_unit_test(next__fields__all_kept),
	    cmocka_unit_test(next__pax_records__stronger_than_fields),
	    cmocka_unit_test(next__times_before_1970__kept),
	    cmocka_unit_test(next__links_and_devices__their_targets),
	    cmocka_unit_test(next__long_names__prefix_and_gnu),
	    cmocka_unit_test(next__lies__corrupt),
	    cmocka_unit_test(cut__at_every_length__failed_and_says_so),
	};
	return cmocka_run_group_tests_name("docker_tar", tests, NULL, NULL);
}
