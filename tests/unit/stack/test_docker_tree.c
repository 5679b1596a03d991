#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "stack/docker/docker_impl.h"
#include "stack/docker/docker_tar.h"
#include "tests/support/docker_case.h"
#include "tests/support/tar_build.h"

static struct tar_build t;

/* ---- reading ---- */

struct seen {
	char text[1024];
	bool reads;
};

static int see(void *ctx, struct archive_entry *e, struct source *content, struct err *err)
{
	struct seen *s = ctx;
	char got[64] = "";
	size_t n = 0, at = strlen(s->text);
	if (s->reads && content != NULL &&
	    source_read_full(content, (uint8_t *)got, sizeof got - 1, &n, err) < 0)
		return -1;
	const char *link = archive_entry_hardlink(e);
	snprintf(s->text + at, sizeof s->text - at, "%s%s%s=%s|", archive_entry_pathname(e),
		 link != NULL ? "->" : "", link != NULL ? link : "", content != NULL ? got : "-");
	return 0;
}

static void build_data(const char *name)
{
	char path[100];
	t.len = 0;
	snprintf(path, sizeof path, "%s/", name);
	tar_build_head(&t, '5', path, NULL, 0700, 0);
	snprintf(path, sizeof path, "%s/base/", name);
	tar_build_head(&t, '5', path, NULL, 0700, 0);
	snprintf(path, sizeof path, "%s/base/1", name);
	tar_build_file(&t, path, "one");
	char again[100];
	snprintf(again, sizeof again, "%s/two", name);
	tar_build_head(&t, '1', again, path, 0640, 0);
	snprintf(again, sizeof again, "%s/link", name);
	tar_build_head(&t, '2', again, "base/1", 0777, 0);
	snprintf(again, sizeof again, "%s/empty", name);
	tar_build_file(&t, again, "");
	tar_build_end(&t);
}

static void read__a_folder__names_below_it(void **state)
{
	(void)state;
	static const char *const names[] = {"data", ".", "", "a b"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		for (int reads = 0; reads < 2; reads++) {
			struct docker_case c;
			struct seen s = {.reads = reads};
			docker_case_begin(&c);
			docker_case_is(&c, "data", true);
			build_data(names[i]);
			docker_case_tar(&c, t.bytes, t.len);
			docker_case_open(&c);
			if (docker_tree_read(c.d, "db", "/var/data/", see, &s, &c.err) < 0)
				fail_msg("%s", c.err.msg);
			assert_string_equal(s.text,
					    reads ? ".=-|base=-|base/1=one|two->base/1=-|link=-|"
						    "empty=|"
						  : ".=-|base=-|base/1=|two->base/1=-|link=-|"
						    "empty=|");
			docker_case_stop(&c);
			assert_non_null(strstr(
			    c.fake.heads,
			    "GET /v1.41/containers/db/archive?path=%2Fvar%2Fdata HTTP/1.1\r\n"));
		}
	}
}

static void read__links_on_the_way__followed_first(void **state)
{
	(void)state;
	struct docker_case c;
	struct seen s = {.reads = true};
	docker_case_begin(&c);
	docker_case_stat(&c, "{\"name\":\"l\",\"size\":7,\"mode\":134218239,\"mtime\":"
			     "\"2020-09-13T12:26:40Z\",\"linkTarget\":\"there\"}");
	docker_case_stat(&c, "{\"name\":\"there\",\"size\":7,\"mode\":134218239,\"mtime\":"
			     "\"2020-09-13T12:26:40Z\",\"linkTarget\":\"/data\"}");
	docker_case_is(&c, "data", true);
	build_data("data");
	docker_case_tar(&c, t.bytes, t.len);
	docker_case_open(&c);
	assert_int_equal(docker_tree_read(c.d, "db", "/x/l", see, &s, &c.err), 0);
	docker_case_stop(&c);
	assert_non_null(strstr(c.fake.heads, "HEAD /v1.41/containers/db/archive?path=%2Fx%2Fl "));
	assert_non_null(
	    strstr(c.fake.heads, "HEAD /v1.41/containers/db/archive?path=%2Fx%2Fthere "));
	assert_non_null(strstr(c.fake.heads, "GET /v1.41/containers/db/archive?path=%2Fdata "));
}

static void read__links_in_a_circle__failed(void **state)
{
	(void)state;
	struct docker_case c;
	docker_case_begin(&c);
	docker_case_stat(&c, "{\"name\":\"l\",\"size\":7,\"mode\":134218239,\"mtime\":"
			     "\"2020-09-13T12:26:40Z\",\"linkTarget\":\"/l\"}");
	docker_case_open(&c);
	assert_int_equal(docker_tree_read(c.d, "db", "/l", see, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_FAILED, "'/l' in container 'db': too many symbolic links");
	docker_case_stop(&c);
}

static void read__archives_that_lie__corrupt(void **state)
{
	(void)state;
	static const struct {
		char type;
		const char *name, *link, *message;
	} bad[] = {
	    {'0', "other/x", NULL, "'other/x' is not in '/data'"},
	    {'0', "database", NULL, "'database' is not in '/data'"},
	    {'0', "data/../x", NULL, "the name '../x' leads outside"},
	    {'1', "data/x", "etc/passwd", "'etc/passwd' is not in '/data'"},
	    {'1', "data/x", "data/../x", "the name '../x' leads outside"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct docker_case c;
		struct seen s = {.reads = true};
		docker_case_begin(&c);
		docker_case_is(&c, "data", true);
		t.len = 0;
		tar_build_head(&t, '5', "data/", NULL, 0700, 0);
		tar_build_head(&t, bad[i].type, bad[i].name, bad[i].link, 0600, 0);
		tar_build_end(&t);
		docker_case_tar(&c, t.bytes, t.len);
		docker_case_open(&c);
		assert_int_equal(docker_tree_read(c.d, "db", "/data", see, &s, &c.err), -1);
		docker_case_failed(&c, ERR_CORRUPT, bad[i].message);
		docker_case_stop(&c);
	}
}

/* HTTP says that all has come; tar knows better. */
static void read__a_tar_that_is_cut__failed(void **state)
{
	(void)state;
	build_data("data");
	for (size_t len = 512; len < t.len; len += 512) {
		struct docker_case c;
		struct seen s = {.reads = true};
		docker_case_begin(&c);
		docker_case_is(&c, "data", true);
		docker_case_tar(&c, t.bytes, len);
		docker_case_open(&c);
		assert_int_equal(docker_tree_read(c.d, "db", "/data", see, &s, &c.err), -1);
		docker_case_failed(&c, ERR_FAILED,
				   len == 1536 ? "'/data' broke off inside the file 'data/base/1'"
					       : "'/data' broke off before its end");
		docker_case_stop(&c);
	}
}

/* The connection breaks: HTTP itself knows that something is missing. */
static void read__daemon_goes_away__no_end(void **state)
{
	(void)state;
	struct docker_case c;
	struct seen s = {.reads = true};
	docker_case_begin(&c);
	docker_case_is(&c, "data", true);
	build_data("data");
	struct fake_reply *r = docker_case_tar(&c, t.bytes, t.len);
	r->len -= 7 + 1024; /* the last chunk and the end of the archive */
	r->then = FAKE_CLOSE;
	docker_case_open(&c);
	assert_int_equal(docker_tree_read(c.d, "db", "/data", see, &s, &c.err), -1);
	assert_non_null(strstr(c.err.msg, "/v1.41/containers/db/archive"));
	assert_int_not_equal(c.err.code, ERR_NONE);
	docker_case_stop(&c);
}

static void read__what_is_no_folder__failed(void **state)
{
	(void)state;
	struct docker_case c;
	docker_case_begin(&c);
	docker_case_is(&c, "f", false);
	docker_case_is(&c, "f", true);
	t.len = 0;
	tar_build_file(&t, "f", "");
	tar_build_end(&t);
	docker_case_tar(&c, t.bytes, t.len);
	docker_case_is(&c, "f", true);
	docker_case_json(&c, 404, "{\"message\":\"Could not find the file /f in container db\"}");
	docker_case_open(&c);
	assert_int_equal(docker_tree_read(c.d, "db", "/f", see, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_FAILED, "'/f' is not a folder");
	assert_int_equal(docker_tree_read(c.d, "db", "/f", see, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_FAILED, "'/f' is no longer a folder");
	assert_int_equal(docker_tree_read(c.d, "db", "/f", see, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_ABSENT,
			   "Could not find the file /f in container db (HTTP status 404)");
	docker_case_stop(&c);
}

static void file__a_regular_one__content_and_entry(void **state)
{
	(void)state;
	/* Whole, and with something behind it, and without an end. */
	static const char *const messages[] = {NULL, "Docker sent more than one file",
					       "'/data/f' broke off before its end"};
	for (int i = 0; i < 3; i++) {
		struct docker_case c;
		struct source *s = NULL;
		struct archive_entry *e = NULL;
		char text[64] = "";
		size_t n;
		docker_case_begin(&c);
		docker_case_is(&c, "f", false);
		t.len = 0;
		tar_build_file(&t, "f", "hello");
		if (i == 1)
			tar_build_file(&t, "g", "");
		if (i != 2)
			tar_build_end(&t);
		docker_case_tar(&c, t.bytes, t.len);
		docker_case_open(&c);
		if (docker_tree_file(c.d, "db", "/data/f", &s, &e, &c.err) < 0)
			fail_msg("%s", c.err.msg);
		assert_string_equal(archive_entry_pathname(e), "/data/f");
		assert_int_equal(archive_entry_size(e), 5);
		assert_int_equal(archive_entry_uid(e), 999);
		int rc = source_read_full(s, (uint8_t *)text, sizeof text - 1, &n, &c.err);
		assert_int_equal(rc, i == 0 ? 0 : -1);
		if (i > 0)
			assert_string_equal(c.err.msg, messages[i]);
		assert_string_equal(text, "hello");
		archive_entry_free(e);
		source_free(s);
		docker_case_stop(&c);
	}
}

static void file__a_folder__failed(void **state)
{
	(void)state;
	struct docker_case c;
	struct source *s = NULL;
	docker_case_begin(&c);
	docker_case_is(&c, "data", true);
	docker_case_open(&c);
	assert_int_equal(docker_tree_file(c.d, "db", "/data", &s, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_FAILED, "'/data' is not a file");
	docker_case_stop(&c);
}

/* ---- writing ---- */

static struct tree_writer *open_writer(struct docker_case *c, int status, const char *answer)
{
	struct tree_writer *w = NULL;
	docker_case_begin(c);
	docker_case_is(c, "data", true);
	docker_case_json(c, status, answer);
	docker_case_open(c);
	if (docker_tree_write(c->d, "db", "/var/data", 999, 998, &w, &c->err) < 0)
		fail_msg("%s", c->err.msg);
	return w;
}

/* Entries of the archive that was put: "data/=999:998:700:|data/f=…:content|". */
static void put_archive(const struct docker_case *c, char *text, size_t cap)
{
	struct source *s = NULL;
	struct docker_tar *tar = NULL;
	struct err err = ERR_INIT;
	size_t len = c->fake.body_bytes < sizeof c->fake.body ? (size_t)c->fake.body_bytes
							      : sizeof c->fake.body;
	text[0] = '\0';
	assert_int_equal(source_memory(c->fake.body, len, &s, &err), 0);
	assert_int_equal(docker_tar_open(s, "put", &tar, &err), 0);
	for (struct archive_entry *e = NULL;; archive_entry_free(e)) {
		char got[64] = "";
		size_t n, at = strlen(text);
		if (docker_tar_next(tar, &e, &err) < 0)
			fail_msg("%s", err.msg);
		if (e == NULL)
			break;
		assert_int_equal(docker_tar_read(tar, (uint8_t *)got, 63, &n, &err), 0);
		const char *link = archive_entry_hardlink(e);
		snprintf(text + at, cap - at, "%s=%d:%d:%o:%s%s|", archive_entry_pathname(e),
			 (int)archive_entry_uid(e), (int)archive_entry_gid(e),
			 (unsigned)archive_entry_perm(e), link != NULL ? link : "", got);
	}
	docker_tar_free(tar);
}

static struct archive_entry *entry(const char *name, unsigned type, const char *target)
{
	struct archive_entry *e = archive_entry_new();
	archive_entry_copy_pathname(e, name);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, 0750);
	archive_entry_set_uid(e, 70);
	archive_entry_set_gid(e, 71);
	if (target != NULL && type == AE_IFLNK)
		archive_entry_copy_symlink(e, target);
	else if (target != NULL)
		archive_entry_copy_hardlink(e, target);
	return e;
}

static int add(struct tree_writer *w, const char *name, unsigned type, const char *target,
	       const char *text, struct err *err)
{
	struct source *s = NULL;
	struct archive_entry *e = entry(name, type, target);
	if (text != NULL) {
		assert_int_equal(source_memory(text, strlen(text), &s, err), 0);
		archive_entry_set_size(e, 3);
	}
	int rc = tree_writer_add(w, e, s, err);
	source_free(s);
	archive_entry_free(e);
	return rc;
}

static void write__entries__below_the_folders_own_name(void **state)
{
	(void)state;
	struct docker_case c;
	char text[1024];
	struct tree_writer *w = open_writer(&c, 200, "");
	struct source *s = NULL;
	assert_int_equal(add(w, ".", AE_IFDIR, NULL, NULL, &c.err), 0);
	assert_int_equal(add(w, "./f", AE_IFREG, NULL, "abc", &c.err), 0);
	assert_int_equal(add(w, "g", AE_IFREG, "./f", NULL, &c.err), 0);
	assert_int_equal(tree_writer_file(w, "a/b//c", 0640, "hi", 2, &c.err), 0);
	assert_int_equal(source_memory("stream", 6, &s, &c.err), 0);
	assert_int_equal(tree_writer_stream(w, "a/s", 0600, s, &c.err), 0);
	source_free(s);
	if (tree_writer_close(w, &c.err) < 0)
		fail_msg("%s", c.err.msg);
	tree_writer_free(w);
	docker_case_stop(&c);
	assert_non_null(
	    strstr(c.fake.heads, "PUT /v1.41/containers/db/archive?path=%2Fvar%2F HTTP/1.1\r\n"));
	put_archive(&c, text, sizeof text);
	assert_string_equal(text, "data/=70:71:750:|data/f=70:71:750:abc|"
				  "data/g=70:71:750:data/f|data/a/=999:998:700:|"
				  "data/a/b/=999:998:700:|data/a/b/c=999:998:640:hi|"
				  "data/a/s=999:998:600:stream|");
	assert_int_equal(c.fake.cut, 0);
}

static void write__through_a_link__corrupt(void **state)
{
	(void)state;
	struct docker_case c;
	struct tree_writer *w = open_writer(&c, 200, "");
	assert_int_equal(add(w, "l", AE_IFLNK, "/etc", NULL, &c.err), 0);
	assert_int_equal(add(w, "l/x", AE_IFREG, NULL, "abc", &c.err), -1);
	docker_case_failed(&c, ERR_CORRUPT, "the name 'l/x' leads through the symbolic link 'l'");
	assert_int_equal(tree_writer_file(w, "./l//x", 0600, "", 0, &c.err), -1);
	docker_case_failed(&c, ERR_CORRUPT, "the name 'l/x' leads through the symbolic link 'l'");
	assert_int_equal(add(w, "h", AE_IFREG, "l/passwd", NULL, &c.err), -1);
	docker_case_failed(&c, ERR_CORRUPT,
			   "the name 'l/passwd' leads through the symbolic link 'l'");
	assert_int_equal(add(w, "../x", AE_IFREG, NULL, "abc", &c.err), -1);
	docker_case_failed(&c, ERR_CORRUPT, "the name '../x' leads outside");
	/* A folder in its place is one. */
	assert_int_equal(add(w, "l", AE_IFDIR, NULL, NULL, &c.err), 0);
	assert_int_equal(add(w, "l/x", AE_IFREG, NULL, "abc", &c.err), 0);
	assert_int_equal(add(w, "s", AE_IFSOCK, NULL, NULL, &c.err), -1);
	docker_case_failed(&c, ERR_CORRUPT, "'s' is a socket");
	tree_writer_free(w);
	docker_case_stop(&c);
	/* Nobody closed it: no whole archive got to the daemon. */
	assert_int_equal(c.fake.whole, 0);
}

static void write__content_of_another_size__corrupt(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} bad[] = {{"ab", "'f' has less than the 3 bytes it announced"},
		   {"abcd", "'f' has more than the 3 bytes it announced"}};
	for (int i = 0; i < 2; i++) {
		struct docker_case c;
		struct tree_writer *w = open_writer(&c, 200, "");
		assert_int_equal(add(w, "f", AE_IFREG, NULL, bad[i].text, &c.err), -1);
		docker_case_failed(&c, ERR_CORRUPT, bad[i].message);
		tree_writer_free(w);
		docker_case_stop(&c);
	}
}

static void write__daemon_has_no_room__no_space(void **state)
{
	(void)state;
	struct docker_case c;
	struct tree_writer *w =
	    open_writer(&c, 500, "{\"message\":\"write /x: no space left on device\"}");
	assert_int_equal(add(w, "f", AE_IFREG, NULL, "abc", &c.err), 0);
	assert_int_equal(tree_writer_close(w, &c.err), -1);
	docker_case_failed(&c, ERR_NOSPACE, "write /x: no space left on device (HTTP status 500)");
	tree_writer_free(w);
	docker_case_stop(&c);
}

static void write__daemon_answers_early__what_it_says(void **state)
{
	(void)state;
	struct docker_case c;
	struct tree_writer *w = NULL;
	static uint8_t block[1 << 20];
	docker_case_begin(&c);
	docker_case_is(&c, "data", true);
	struct fake_reply *r =
	    docker_case_json(&c, 500, "{\"message\":\"write /x: no space left on device\"}");
	r->early = true;
	r->take = 100000;
	r->then = FAKE_CLOSE;
	docker_case_open(&c);
	assert_int_equal(docker_tree_write(c.d, "db", "/data", 0, 0, &w, &c.err), 0);
	int rc = 0;
	for (int i = 0; rc == 0 && i < 32; i++)
		rc = tree_writer_file(w, "f", 0600, block, sizeof block, &c.err);
	assert_int_equal(rc, -1);
	docker_case_failed(&c, ERR_NOSPACE,
			   "'f': write /x: no space left on device (HTTP status 500)");
	assert_int_equal(tree_writer_close(w, &c.err), -1);
	assert_int_equal(c.err.code, ERR_NOSPACE);
	tree_writer_free(w);
	docker_case_stop(&c);
}

static int stream_mebibytes(struct tree_writer *w, size_t count, struct err *err)
{
	size_t len = count << 20;
	uint8_t *data = calloc(1, len);
	struct source *s = NULL;
	assert_non_null(data);
	assert_int_equal(source_memory(data, len, &s, err), 0);
	int rc = tree_writer_stream(w, "big", 0600, s, err);
	source_free(s);
	free(data);
	return rc;
}

static void write__a_long_stream__spooled_where_tmpdir_says(void **state)
{
	(void)state;
	struct docker_case c;
	struct tree_writer *w = open_writer(&c, 200, "");
	setenv("TMPDIR", c.dir.path, 1);
	int rc = stream_mebibytes(w, 3, &c.err);
	unsetenv("TMPDIR");
	if (rc < 0 || tree_writer_close(w, &c.err) < 0)
		fail_msg("%s", c.err.msg);
	tree_writer_free(w);
	assert_int_equal(temp_dir_count(&c.dir), 1); /* the socket alone */
	docker_case_stop(&c);
	assert_in_range(c.fake.body_bytes, 3 << 20, (3 << 20) + 8192);
}

static void write__no_folder_or_room_for_the_spool__says_so(void **state)
{
	(void)state;
	struct docker_case c;
	struct temp_dir small;
	struct tree_writer *w = open_writer(&c, 200, "");
	setenv("TMPDIR", "/no/such/folder", 1);
	assert_int_equal(stream_mebibytes(w, 3, &c.err), -1);
	docker_case_failed(&c, ERR_IO,
			   "content of 'big': can't make a temporary file in '/no/such/folder': "
			   "No such file or directory");
	assert_string_equal(c.err.hint, "Name a folder with room in TMPDIR.");
	unsetenv("TMPDIR");
	if (temp_dir_make_small(&small, 2 << 20)) {
		setenv("TMPDIR", small.path, 1);
		assert_int_equal(stream_mebibytes(w, 8, &c.err), -1);
		assert_int_equal(c.err.code, ERR_NOSPACE);
		temp_dir_remove(&small);
	}
	unsetenv("TMPDIR");
	tree_writer_free(w);
	docker_case_stop(&c);
}

static void write__no_folder_to_write_into__refused(void **state)
{
	(void)state;
	struct docker_case c;
	struct tree_writer *w = NULL;
	docker_case_begin(&c);
	docker_case_is(&c, "f", false);
	docker_case_reply(&c, "HTTP/1.1 404 Not Found\r\n\r\n", "", 0);
	docker_case_open(&c);
	assert_int_equal(docker_tree_write(c.d, "db", "/f", 0, 0, &w, &c.err), -1);
	docker_case_failed(&c, ERR_FAILED, "'/f' is not a folder");
	assert_int_equal(docker_tree_write(c.d, "db", "/f", 0, 0, &w, &c.err), -1);
	docker_case_failed(&c, ERR_ABSENT, "there is no '/f' in container 'db'");
	assert_null(w);
	docker_case_stop(&c);
}

/* ---- ACLs ---- */

static void acl__access_and_default__linuxs_own_form(void **state)
{
	(void)state;
	static const uint8_t wanted[] = {2,   0,   0,   0,   1,   0,    6,  0,   255, 255, 255,
					 255, 2,   0,   6,   0,   0xD2, 4,  0,   0,   4,   0,
					 4,   0,   255, 255, 255, 255,  16, 0,   6,   0,   255,
					 255, 255, 255, 32,  0,   4,    0,  255, 255, 255, 255};
	struct err err = ERR_INIT;
	static const struct {
		int type;
		const char *name;
	} kinds[] = {{ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access"},
		     {ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default"}};
	for (int i = 0; i < 2; i++) {
		struct archive_entry *e = entry("d", AE_IFDIR, NULL);
		int rw = ARCHIVE_ENTRY_ACL_READ | ARCHIVE_ENTRY_ACL_WRITE,
		    r = ARCHIVE_ENTRY_ACL_READ, type = kinds[i].type;
		archive_entry_acl_add_entry(e, type, rw, ARCHIVE_ENTRY_ACL_MASK, -1, NULL);
		archive_entry_acl_add_entry(e, type, rw, ARCHIVE_ENTRY_ACL_USER, 1234, "x");
		archive_entry_acl_add_entry(e, type, rw, ARCHIVE_ENTRY_ACL_USER_OBJ, -1, NULL);
		archive_entry_acl_add_entry(e, type, r, ARCHIVE_ENTRY_ACL_GROUP_OBJ, -1, NULL);
		archive_entry_acl_add_entry(e, type, r, ARCHIVE_ENTRY_ACL_OTHER, -1, NULL);
		if (i == 0) /* libarchive keeps these three in the mode */
			archive_entry_set_perm(e, 0644);
		assert_int_equal(docker_acl_as_xattrs(e, &err), 0);
		const char *name;
		const void *value;
		size_t len;
		assert_int_equal(archive_entry_xattr_reset(e), 1);
		assert_int_equal(archive_entry_xattr_next(e, &name, &value, &len), 0);
		assert_string_equal(name, kinds[i].name);
		assert_int_equal(len, sizeof wanted);
		assert_memory_equal(value, wanted, len);
		assert_int_equal(archive_entry_perm(e), i == 0 ? 0664 : 0750);
		assert_int_equal(archive_entry_acl_types(e), 0);
		archive_entry_free(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(read__a_folder__names_below_it),
	    cmocka_unit_test(read__links_on_the_way__followed_first),
	    cmocka_unit_test(read__links_in_a_circle__failed),
	    cmocka_unit_test(read__archives_that_lie__corrupt),
	    cmocka_unit_test(read__a_tar_that_is_cut__failed),
	    cmocka_unit_test(read__daemon_goes_away__no_end),
	    cmocka_unit_test(read__what_is_no_folder__failed),
	    cmocka_unit_test(file__a_regular_one__content_and_entry),
	    cmocka_unit_test(file__a_folder__failed),
	    cmocka_unit_test(write__entries__below_the_folders_own_name),
	    cmocka_unit_test(write__through_a_link__corrupt),
	    cmocka_unit_test(write__content_of_another_size__corrupt),
	    cmocka_unit_test(write__daemon_has_no_room__no_space),
	    cmocka_unit_test(write__daemon_answers_early__what_it_says),
	    cmocka_unit_test(write__a_long_stream__spooled_where_tmpdir_says),
	    cmocka_unit_test(write__no_folder_or_room_for_the_spool__says_so),
	    cmocka_unit_test(write__no_folder_to_write_into__refused),
	    cmocka_unit_test(acl__access_and_default__linuxs_own_form),
	};
	return cmocka_run_group_tests_name("docker_tree", tests, NULL, NULL);
}
