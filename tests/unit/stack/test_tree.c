#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/digest.h"
#include "stack/engine/tree.h"
#include "tests/support/scratch.h"

static int setup(void **state)
{
	*state = scratch_new();
	char *from = scratch_path(*state, "from"), *to = scratch_path(*state, "to");
	assert_int_equal(mkdir(from, 0755), 0);
	assert_int_equal(mkdir(to, 0700), 0);
	free(from);
	free(to);
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

/* ---- names ---- */

static void name_check__stays_inside__accepted(void **state)
{
	(void)state;
	const char *const good[] = {".", "a", "a/b", "./a", "a/", "..a", "a..", "a/...", "a/./b"};
	struct err err = ERR_INIT;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(tree_name_check(good[i], &err), 0);
}

static void name_check__escapes__corrupt(void **state)
{
	(void)state;
	static const struct {
		const char *name, *text;
	} bad[] = {
	    {NULL, "a file without a name"},
	    {"", "a file without a name"},
	    {"/etc/passwd", "the name '/etc/passwd' is absolute"},
	    {"..", "the name '..' leads outside"},
	    {"../a", "the name '../a' leads outside"},
	    {"a/../../b", "the name 'a/../../b' leads outside"},
	    {"a/..", "the name 'a/..' leads outside"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err err = ERR_INIT;
		assert_int_equal(tree_name_check(bad[i].name, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_string_equal(err.msg, bad[i].text);
	}
	char longest[5000];
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	struct err err = ERR_INIT;
	assert_int_equal(tree_name_check(longest, &err), -1);
	assert_non_null(strstr(err.msg, "is too long"));
}

/* ---- reading ---- */

/* One line per file, in the order of names: kind, mode, size, name, link, digest of the content. */
struct listing {
	struct strlist lines;
	struct tree_writer *copy; /* also written there, when set */
	int64_t sparse_bytes;     /* of data in sparse files */
};

static int list_one(void *ctx, struct archive_entry *e, struct source *content, struct err *err)
{
	struct listing *l = ctx;
	const char *name = archive_entry_pathname(e);
	const char *link = archive_entry_hardlink(e) != NULL ? archive_entry_hardlink(e)
							     : archive_entry_symlink(e);
	if (archive_entry_sparse_count(e) > 0) {
		la_int64_t at, len;
		archive_entry_sparse_reset(e);
		while (archive_entry_sparse_next(e, &at, &len) == 0)
			l->sparse_bytes += len;
		archive_entry_sparse_reset(e);
	}
	if (strlist_pushf(&l->lines, err, "%s %o %lld%s%s%s", name, (unsigned)archive_entry_mode(e),
			  (long long)archive_entry_size(e), link != NULL ? " -> " : "",
			  link != NULL ? link : "", content != NULL ? " +" : "") < 0)
		return -1;
	return l->copy != NULL ? tree_writer_add(l->copy, e, content, err) : 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *listed(struct listing *l)
{
	struct buf b;
	struct err err = ERR_INIT;
	char *text;
	buf_init(&b, 1 << 20);
	qsort(l->lines.items, l->lines.count, sizeof *l->lines.items, by_text);
	for (size_t i = 0; i < l->lines.count; i++)
		assert_int_equal(buf_printf(&b, &err, "%s\n", l->lines.items[i]), 0);
	assert_int_equal(buf_take(&b, &text, &err), 0);
	strlist_done(&l->lines);
	return text;
}

static char *list_tree(const char *dir, const char *name)
{
	struct listing l = {0};
	struct err err = ERR_INIT;
	char *root = scratch_path(dir, "%s", name);
	if (tree_disk_read(root, list_one, &l, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(strncmp(l.lines.items[0], ". 40", 4) == 0); /* the root comes first */
	free(root);
	return listed(&l);
}

static void copy_tree(const char *dir, int64_t *sparse_bytes)
{
	struct listing l = {0};
	struct err err = ERR_INIT;
	char *from = scratch_path(dir, "from"), *to = scratch_path(dir, "to");
	if (tree_disk_writer(to, NULL, &l.copy, &err) < 0 ||
	    tree_disk_read(from, list_one, &l, &err) < 0 || tree_writer_close(l.copy, &err) < 0)
		fail_msg("%s", err.msg);
	tree_writer_free(l.copy);
	strlist_done(&l.lines);
	if (sparse_bytes != NULL)
		*sparse_bytes = l.sparse_bytes;
	free(from);
	free(to);
}

static void make(const char *dir, const char *name, unsigned mode)
{
	char *path = scratch_path(dir, "%s", name);
	assert_int_equal(chmod(path, mode), 0);
	free(path);
}

static void disk_read__all_kinds__each_once_with_its_attributes(void **state)
{
	const char *dir = *state;
	scratch_file(dir, "from/a/b/file", "hello");
	scratch_file(dir, "from/empty", "");
	make(dir, "from/a/b/file", 04751);
	make(dir, "from/a", 0710);
	make(dir, "from/a/b", 0700);
	char *one = scratch_path(dir, "from/a/b/file"), *two = scratch_path(dir, "from/z-link");
	char *sym = scratch_path(dir, "from/sym"), *fifo = scratch_path(dir, "from/pipe");
	assert_int_equal(link(one, two), 0);
	assert_int_equal(symlink("/nowhere/at all", sym), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	snprintf(at.sun_path, sizeof at.sun_path, "%s/from/socket", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	close(fd);

	char *text = list_tree(dir, "from");
	/* Which of the two names comes first is the file system's choice. */
	bool link_later = strstr(text, "z-link 104751 5 +") == NULL;
	assert_non_null(strstr(text, link_later ? "z-link 104751 0 -> a/b/file\n"
						: "a/b/file 104751 0 -> z-link\n"));
	assert_non_null(strstr(text, link_later ? "a/b/file 104751 5 +" : "z-link 104751 5 +"));
	assert_non_null(strstr(text, ". 40755 0\na 40710 0\n"));
	assert_non_null(strstr(text, "a/b 40700 0\n"));
	assert_non_null(strstr(text, "empty 100644 0 +\n"));
	assert_non_null(strstr(text, "pipe 10600 0\n"));
	assert_non_null(strstr(text, "sym 120777 0 -> /nowhere/at all\n"));
	assert_null(strstr(text, "socket"));
	free(text);
	free(one);
	free(two);
	free(sym);
	free(fifo);
}

static void disk_read__copied__lists_the_same(void **state)
{
	const char *dir = *state;
	scratch_file(dir, "from/a/b/file", "hello");
	scratch_file(dir, "from/a/other", "other text");
	char *one = scratch_path(dir, "from/a/b/file"), *two = scratch_path(dir, "from/two");
	char *sym = scratch_path(dir, "from/a/sym"), *fifo = scratch_path(dir, "from/pipe");
	char *sub = scratch_path(dir, "from/a");
	assert_int_equal(link(one, two), 0);
	assert_int_equal(symlink("../../outside", sym), 0);
	assert_int_equal(mkfifo(fifo, 0640), 0);
	make(dir, "from/a/other", 0400);
	make(dir, "from/a/b", geteuid() == 0 ? 0500 : 0700); /* the others could not remove it */
	make(dir, "from", 0751);
	struct timespec old[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
	assert_int_equal(utimensat(AT_FDCWD, one, old, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, sub, old, 0), 0);
	if (geteuid() == 0)
		assert_int_equal(lchown(sym, 4321, 1234), 0);
	bool has_xattr = setxattr(one, "user.note", "kept", 4, 0) == 0;
	bool has_label = setxattr(one, "trusted.label", "machine's", 9, 0) == 0;

	copy_tree(dir, NULL);
	char *before = list_tree(dir, "from"), *after = list_tree(dir, "to");
	assert_string_equal(after, before);
	struct stat st, st2;
	char *there = scratch_path(dir, "to/a/b/file"), *text = scratch_read(dir, "to/a/b/file");
	assert_string_equal(text, "hello");
	assert_int_equal(stat(there, &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mtim.tv_sec, 1100000000);
	assert_int_equal(st.st_mtim.tv_nsec, 987654321);
	char value[8] = "";
	if (has_xattr)
		assert_int_equal(getxattr(there, "user.note", value, sizeof value), 4);
	if (has_label)
		assert_int_equal(getxattr(there, "trusted.label", value, sizeof value), -1);
	free(there);
	there = scratch_path(dir, "to/a");
	assert_int_equal(stat(there, &st2), 0);
	assert_int_equal(st2.st_mtim.tv_sec, 1100000000);
	free(there);
	there = scratch_path(dir, "to/a/sym");
	assert_int_equal(lstat(there, &st2), 0);
	if (geteuid() == 0)
		assert_true(st2.st_uid == 4321 && st2.st_gid == 1234);
	free(there);
	free(text);
	free(before);
	free(after);
	free(one);
	free(two);
	free(sym);
	free(fifo);
	free(sub);
}

/* As the kernel keeps them: linux/posix_acl_xattr.h, and vfs_cap_data in linux/capability.h. */
static const uint8_t acl[] = {2,    0,    0,    0,    1,    0,    6,    0,    0xff, 0xff, 0xff,
			      0xff, 2,    0,    4,    0,    0xe1, 0x10, 0,    0,    4,    0,
			      4,    0,    0xff, 0xff, 0xff, 0xff, 0x10, 0,    4,    0,    0xff,
			      0xff, 0xff, 0xff, 0x20, 0,    4,    0,    0xff, 0xff, 0xff, 0xff};
static const uint8_t capability[20] = {1, 0, 0, 2, 0, 4};

static void disk_read__acl_and_capability__copied(void **state)
{
	const char *dir = *state;
	scratch_file(dir, "from/file", "hello");
	char *from = scratch_path(dir, "from/file"), *to = scratch_path(dir, "to/file");
	bool has_acl = setxattr(from, "system.posix_acl_access", acl, sizeof acl, 0) == 0;
	bool has_capability =
	    setxattr(from, "security.capability", capability, sizeof capability, 0) == 0;
	copy_tree(dir, NULL);
	uint8_t got[64];
	if (has_acl) {
		assert_int_equal(getxattr(to, "system.posix_acl_access", got, sizeof got),
				 sizeof acl);
		assert_memory_equal(got, acl, sizeof acl);
	}
	if (has_capability) {
		assert_int_equal(getxattr(to, "security.capability", got, sizeof got),
				 sizeof capability);
		assert_memory_equal(got, capability, sizeof capability);
	}
	if (!has_acl && !has_capability)
		print_message("neither ACLs nor capabilities here\n");
	free(from);
	free(to);
}

static void disk_read__sparse_file__holes_are_recorded_and_come_back(void **state)
{
	const char *dir = *state;
	char *path = scratch_path(dir, "from/sparse"), *there = scratch_path(dir, "to/sparse");
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "begin", 5, 0), 5);
	assert_int_equal(pwrite(fd, "middle", 6, 20 << 20), 6);
	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	int64_t sparse_bytes;
	copy_tree(dir, &sparse_bytes);
	assert_true(sparse_bytes > 0 && sparse_bytes < 1 << 20);
	struct stat a, b;
	assert_int_equal(stat(path, &a), 0);
	assert_int_equal(stat(there, &b), 0);
	assert_int_equal(b.st_size, 64 << 20);
	assert_true(b.st_blocks * 512 < 4 << 20);
	char got[6];
	fd = open(there, O_RDONLY);
	assert_int_equal(pread(fd, got, 6, 20 << 20), 6);
	assert_memory_equal(got, "middle", 6);
	close(fd);
	free(path);
	free(there);
}

static void disk_read__only_a_hole__comes_back(void **state)
{
	const char *dir = *state;
	char *path = scratch_path(dir, "from/hole"), *there = scratch_path(dir, "to/hole");
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 8 << 20), 0);
	close(fd);
	copy_tree(dir, NULL);
	struct stat b;
	assert_int_equal(stat(there, &b), 0);
	assert_int_equal(b.st_size, 8 << 20);
	assert_true(b.st_blocks * 512 < 1 << 20);
	free(path);
	free(there);
}

static void disk_read__written_zeros__are_not_made_a_hole(void **state)
{
	const char *dir = *state;
	char *path = scratch_path(dir, "from/zeros"), *there = scratch_path(dir, "to/zeros");
	char *zeros = calloc(1, 4 << 20);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, zeros, 4 << 20), 4 << 20);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	copy_tree(dir, NULL);
	struct stat b;
	assert_int_equal(stat(there, &b), 0);
	assert_true(b.st_blocks * 512 >= 4 << 20);
	free(zeros);
	free(path);
	free(there);
}

/* Changes files while they are read. */
static int meddle(void *ctx, struct archive_entry *e, struct source *content, struct err *err)
{
	const char *const *what = ctx; /* root, "shrink" | "grow" | "none" */
	if (content == NULL)
		return 0;
	char *path = scratch_path(what[0], "%s", archive_entry_pathname(e));
	if (strcmp(what[1], "shrink") == 0)
		assert_int_equal(truncate(path, 3), 0);
	if (strcmp(what[1], "grow") == 0)
		assert_int_equal(truncate(path, 1 << 20), 0);
	free(path);
	uint8_t space[4096];
	size_t n;
	if (source_read_full(content, space, sizeof space, &n, err) < 0)
		return -1;
	assert_int_equal(n, 10);
	return 0;
}

static void disk_read__file_shrinks__failed_with_its_name(void **state)
{
	char *root = scratch_path(*state, "from");
	scratch_file(root, "sub/data", "0123456789");
	const char *what[] = {root, "shrink"};
	struct err err = ERR_INIT;
	assert_int_equal(tree_disk_read(root, meddle, what, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_string_equal(err.msg, "'sub/data' changed while it was read: it became shorter");
	assert_string_equal(err.hint, "Let the agent pause or stop what writes to it.");
	free(root);
}

static void disk_read__file_grows__the_announced_size_is_read(void **state)
{
	char *root = scratch_path(*state, "from");
	scratch_file(root, "data", "0123456789");
	const char *what[] = {root, "grow"};
	struct err err = ERR_INIT;
	assert_int_equal(tree_disk_read(root, meddle, what, &err), 0);
	free(root);
}

/* Removes every other file when the first one is seen. */
static int remove_others(void *ctx, struct archive_entry *e, struct source *content,
			 struct err *err)
{
	(void)err;
	const char *root = ctx;
	if (content == NULL)
		return 0;
	for (int i = 0; i < 10; i++) {
		char name[16];
		snprintf(name, sizeof name, "f%d", i);
		char *path = scratch_path(root, "%s", name);
		if (strcmp(name, archive_entry_pathname(e)) != 0)
			unlink(path);
		free(path);
	}
	return 0;
}

static void disk_read__file_disappears__failed_with_its_name(void **state)
{
	char *root = scratch_path(*state, "from");
	for (int i = 0; i < 10; i++) {
		char name[16];
		snprintf(name, sizeof name, "f%d", i);
		scratch_file(root, name, "x");
	}
	struct err err = ERR_INIT;
	assert_int_equal(tree_disk_read(root, remove_others, root, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "changed while it was read: it is gone"));
	free(root);
}

static void disk_read__no_folder__absent(void **state)
{
	char *root = scratch_path(*state, "nowhere");
	struct listing l = {0};
	struct err err = ERR_INIT;
	assert_int_equal(tree_disk_read(root, list_one, &l, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_non_null(strstr(err.msg, "nowhere': No such file or directory"));
	free(root);
}

static void disk_read__too_deep__limit(void **state)
{
	char *root = scratch_path(*state, "from");
	int at = open(root, O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 402; i++) {
		assert_int_equal(mkdirat(at, "d", 0755), 0);
		int below = openat(at, "d", O_RDONLY | O_DIRECTORY);
		close(at);
		at = below;
	}
	close(at);
	struct listing l = {0};
	struct err err = ERR_INIT;
	assert_int_equal(tree_disk_read(root, list_one, &l, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.msg, "is nested more than 400 folders deep"));
	strlist_done(&l.lines);
	free(root);
}

static void disk_file__through_a_link__content_and_entry(void **state)
{
	scratch_file(*state, "real", "text");
	char *path = scratch_path(*state, "link"), *real = scratch_path(*state, "real");
	assert_int_equal(symlink("real", path), 0);
	struct source *s;
	struct archive_entry *e;
	struct err err = ERR_INIT;
	assert_int_equal(tree_disk_file(path, &s, &e, &err), 0);
	/* A rename over it changes nothing for whoever has it open. */
	scratch_file(*state, "new", "something else");
	char *new = scratch_path(*state, "new");
	assert_int_equal(rename(new, real), 0);
	uint8_t text[64];
	size_t n;
	assert_int_equal(source_read_full(s, text, sizeof text, &n, &err), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(text, "text", 4);
	assert_int_equal(archive_entry_size(e), 4);
	assert_int_equal(archive_entry_filetype(e), AE_IFREG);
	archive_entry_free(e);
	source_free(s);
	free(new);
	free(path);
	free(real);
}

static void disk_file__absent_or_a_folder__says_so(void **state)
{
	char *path = scratch_path(*state, "none");
	struct source *s = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(tree_disk_file(path, &s, NULL, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_int_equal(tree_disk_file(*state, &s, NULL, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "is not a file"));
	assert_null(s);
	free(path);
}

/* ---- writing ---- */

struct member {
	const char *name;
	unsigned type;
	const char *link; /* of a symbolic link, or after '=' of a hard link */
	const char *text;
	int64_t size; /* -1: the text's */
};

static int add(struct tree_writer *t, const struct member *m, struct err *err)
{
	struct archive_entry *e = archive_entry_new();
	struct source *content = NULL;
	archive_entry_copy_pathname(e, m->name);
	archive_entry_set_filetype(e, (__LA_MODE_T)m->type);
	archive_entry_set_perm(e, m->type == AE_IFDIR ? 0755 : 0644);
	if (m->link != NULL && m->link[0] == '=')
		archive_entry_copy_hardlink(e, m->link + 1);
	else if (m->link != NULL)
		archive_entry_copy_symlink(e, m->link);
	if (m->text != NULL) {
		assert_int_equal(source_memory(m->text, strlen(m->text), &content, err), 0);
		archive_entry_set_size(e, m->size >= 0 ? m->size : (int64_t)strlen(m->text));
	}
	int rc = tree_writer_add(t, e, content, err);
	source_free(content);
	archive_entry_free(e);
	return rc;
}

static struct tree_writer *writer(const char *dir)
{
	char *to = scratch_path(dir, "to");
	struct tree_writer *t;
	struct err err = ERR_INIT;
	if (tree_disk_writer(to, NULL, &t, &err) < 0)
		fail_msg("%s", err.msg);
	free(to);
	return t;
}

static void writer_add__names_that_escape__corrupt_and_nothing_outside(void **state)
{
	const char *dir = *state;
	scratch_file(dir, "outside/secret", "untouched");
	static const struct {
		struct member before, bad; /* before.name NULL: none */
		const char *text;
	} cases[] = {
	    {{0}, {"../outside/new", AE_IFREG, NULL, "x", -1}, "leads outside"},
	    {{0}, {"/tmp/lb-absolute", AE_IFREG, NULL, "x", -1}, "is absolute"},
	    {{0}, {"a/../../outside/new", AE_IFREG, NULL, "x", -1}, "leads outside"},
	    {{"out", AE_IFLNK, "../outside", NULL, -1},
	     {"out/new", AE_IFREG, NULL, "x", -1},
	     "leads through the symbolic link 'out'"},
	    {{"out2", AE_IFLNK, "..", NULL, -1},
	     {"out2/outside/secret", AE_IFREG, NULL, "x", -1},
	     "leads through the symbolic link 'out2'"},
	    {{"out3", AE_IFLNK, "../outside", NULL, -1},
	     {"./out3/sub/", AE_IFDIR, NULL, NULL, -1},
	     "leads through the symbolic link 'out3'"},
	    {{0}, {"hard", AE_IFREG, "=../outside/secret", NULL, -1}, "leads outside"},
	    {{0}, {"hard", AE_IFREG, "=/etc/passwd", NULL, -1}, "is absolute"},
	    {{"out4", AE_IFLNK, "../outside", NULL, -1},
	     {"hard4", AE_IFREG, "=out4/secret", NULL, -1},
	     "leads through the symbolic link 'out4'"},
	    {{0}, {"", AE_IFREG, NULL, "x", -1}, "without a name"},
	    {{0}, {"sock", AE_IFSOCK, NULL, NULL, -1}, "is a socket"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tree_writer *t = writer(dir);
		struct err err = ERR_INIT;
		if (cases[i].before.name != NULL && add(t, &cases[i].before, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(add(t, &cases[i].bad, &err), -1);
		if (err.code != ERR_CORRUPT || strstr(err.msg, cases[i].text) == NULL)
			fail_msg("case %zu: %s: %s", i, err_code_name(err.code), err.msg);
		tree_writer_free(t);
	}
	char *text = scratch_read(dir, "outside/secret");
	assert_string_equal(text, "untouched");
	assert_false(scratch_has(dir, "outside/new"));
	assert_false(scratch_has(dir, "outside/sub"));
	free(text);
}

static void writer_add__file_over_a_symbolic_link__replaces_the_link(void **state)
{
	const char *dir = *state;
	scratch_file(dir, "outside/secret", "untouched");
	struct tree_writer *t = writer(dir);
	struct err err = ERR_INIT;
	const struct member link = {"x", AE_IFLNK, "../outside/secret", NULL, -1};
	const struct member file = {"x", AE_IFREG, NULL, "mine", -1};
	assert_int_equal(add(t, &link, &err), 0);
	if (add(t, &file, &err) < 0 || tree_writer_close(t, &err) < 0)
		fail_msg("%s", err.msg);
	tree_writer_free(t);
	char *mine = scratch_read(dir, "to/x"), *text = scratch_read(dir, "outside/secret");
	assert_string_equal(mine, "mine");
	assert_string_equal(text, "untouched");
	free(mine);
	free(text);
}

static void writer_add__content_of_another_length__corrupt(void **state)
{
	static const struct {
		int64_t size;
		const char *text;
	} cases[] = {{3, "'f' has more than the 3 bytes it announced"},
		     {9, "'f' has less than the 9 bytes it announced"}};
	for (size_t i = 0; i < 2; i++) {
		struct tree_writer *t = writer(*state);
		struct err err = ERR_INIT;
		const struct member m = {"f", AE_IFREG, NULL, "12345", cases[i].size};
		assert_int_equal(add(t, &m, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_string_equal(err.msg, cases[i].text);
		tree_writer_free(t);
	}
}

static void writer_file__with_parents__belongs_to_the_owner(void **state)
{
	const char *dir = *state;
	char *to = scratch_path(dir, "to");
	struct identity owner = {.uid = geteuid() == 0 ? 4321 : geteuid(),
				 .gid = geteuid() == 0 ? 1234 : getegid()};
	struct tree_writer *t;
	struct err err = ERR_INIT;
	if (tree_disk_writer(to, &owner, &t, &err) < 0 ||
	    tree_writer_file(t, "conf.d/deep/x.conf", 0640, "port = 1\n", 9, &err) < 0)
		fail_msg("%s", err.msg);
	struct source *s;
	assert_int_equal(source_memory("streamed", 8, &s, &err), 0);
	if (tree_writer_stream(t, "dump.rdb", 0600, s, &err) < 0 || tree_writer_close(t, &err) < 0)
		fail_msg("%s", err.msg);
	source_free(s);
	tree_writer_free(t);
	const struct {
		const char *name;
		unsigned mode;
	} want[] = {{"to/conf.d", 040700},
		    {"to/conf.d/deep", 040700},
		    {"to/conf.d/deep/x.conf", 0100640},
		    {"to/dump.rdb", 0100600}};
	for (size_t i = 0; i < 4; i++) {
		char *path = scratch_path(dir, "%s", want[i].name);
		struct stat st;
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode, want[i].mode);
		assert_true(st.st_uid == owner.uid && st.st_gid == owner.gid);
		free(path);
	}
	char *text = scratch_read(dir, "to/dump.rdb");
	assert_string_equal(text, "streamed");
	free(text);
	assert_int_equal(tree_disk_writer("/nowhere/at/all", NULL, &t, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	free(to);
}

static void writer_file__name_that_escapes__corrupt(void **state)
{
	struct tree_writer *t = writer(*state);
	struct err err = ERR_INIT;
	assert_int_equal(tree_writer_file(t, "../x", 0600, "x", 1, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	const struct member link = {"out", AE_IFLNK, "..", NULL, -1};
	assert_int_equal(add(t, &link, &err), 0);
	assert_int_equal(tree_writer_file(t, "out/x", 0600, "x", 1, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, "the name 'out/x' leads through the symbolic link 'out'");
	assert_false(scratch_has(*state, "x"));
	tree_writer_free(t);
}

static void writer__root_behind_a_link__fine(void **state)
{
	const char *dir = *state;
	char *alias = scratch_path(dir, "alias");
	assert_int_equal(symlink("to", alias), 0);
	struct tree_writer *t;
	struct err err = ERR_INIT;
	if (tree_disk_writer(alias, NULL, &t, &err) < 0 ||
	    tree_writer_file(t, "x", 0600, "x", 1, &err) < 0 || tree_writer_close(t, &err) < 0)
		fail_msg("%s", err.msg);
	tree_writer_free(t);
	assert_true(scratch_has(dir, "to/x"));
	free(alias);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(name_check__stays_inside__accepted),
	    cmocka_unit_test(name_check__escapes__corrupt),
	    CASE(disk_read__all_kinds__each_once_with_its_attributes),
	    CASE(disk_read__copied__lists_the_same),
	    CASE(disk_read__acl_and_capability__copied),
	    CASE(disk_read__sparse_file__holes_are_recorded_and_come_back),
	    CASE(disk_read__only_a_hole__comes_back),
	    CASE(disk_read__written_zeros__are_not_made_a_hole),
	    CASE(disk_read__file_shrinks__failed_with_its_name),
	    CASE(disk_read__file_grows__the_announced_size_is_read),
	    CASE(disk_read__file_disappears__failed_with_its_name),
	    CASE(disk_read__no_folder__absent),
	    CASE(disk_read__too_deep__limit),
	    CASE(disk_file__through_a_link__content_and_entry),
	    CASE(disk_file__absent_or_a_folder__says_so),
	    CASE(writer_add__names_that_escape__corrupt_and_nothing_outside),
	    CASE(writer_add__file_over_a_symbolic_link__replaces_the_link),
	    CASE(writer_add__content_of_another_length__corrupt),
	    CASE(writer_file__with_parents__belongs_to_the_owner),
	    CASE(writer_file__name_that_escapes__corrupt),
	    CASE(writer__root_behind_a_link__fine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
