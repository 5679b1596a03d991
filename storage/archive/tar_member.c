#include "storage/archive/tar_member.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "storage/archive/member_name.h"

enum { COPY_BYTES = 64 << 10 };

size_t tar_member_padding(uint64_t bytes)
{
	return (size_t)(-bytes % TAR_BLOCK_BYTES);
}

/* Not "< ARCHIVE_WARN": ARCHIVE_RETRY, which a damaged header gets, is the smaller evil to
 * libarchive.
 */
static bool is_fine(int rc)
{
	return rc == ARCHIVE_OK || rc == ARCHIVE_WARN;
}

/* ---- writing ---- */

struct emitter {
	tar_member_emit *emit;
	void *ctx;
	struct err *err;
	bool failed;
	struct archive *a;
};

/* A failure is kept here and not told to libarchive, which would leak; whoever called it asks. */
static la_ssize_t emit_block(struct archive *a, void *ctx, const void *data, size_t len)
{
	(void)a;
	struct emitter *e = ctx;
	if (e->emit == NULL)
		return -1;
	if (!e->failed)
		e->failed = e->emit(e->ctx, data, len, e->err) < 0;
	return (la_ssize_t)len;
}

static bool is_ascii(const char *text)
{
	if (text == NULL)
		return true;
	for (; *text != '\0'; text++)
		if (!isascii((unsigned char)*text))
			return false;
	return true;
}

/* Names that are not ASCII are kept byte for byte and marked so: read as text, libarchive would
 * change how letters with accents are composed, and refuse what is not UTF-8. */
static bool needs_binary(struct archive_entry *e)
{
	return !is_ascii(archive_entry_pathname(e)) || !is_ascii(archive_entry_hardlink(e)) ||
	       !is_ascii(archive_entry_symlink(e)) || !is_ascii(archive_entry_uname(e)) ||
	       !is_ascii(archive_entry_gname(e));
}

/* Freeing it makes libarchive pad the member and end the archive, so it is cut off first: nothing
 * that it makes from now on goes anywhere. (archive_write_fail would do, but leaks.) */
static void let_go(struct emitter *e)
{
	e->emit = NULL;
	archive_write_free(e->a);
}

static int write_failed(const struct emitter *e, struct err *err)
{
	if (e->failed)
		return -1; /* err says why */
	const char *why = archive_error_string(e->a);
	return err_set(err, ERR_FAILED, "libarchive: %s", why != NULL ? why : "failed");
}

static int write_header(struct archive_entry *entry, struct emitter *e, struct err *err)
{
	e->a = archive_write_new();
	if (e->a == NULL)
		return err_nomem(err, "a tar header");
	/* The restricted flavour drops fractions of seconds. */
	int rc = archive_entry_mtime_nsec(entry) != 0
		     ? archive_write_set_format_pax(e->a)
		     : archive_write_set_format_pax_restricted(e->a);
	if (rc != ARCHIVE_OK || archive_write_add_filter_none(e->a) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(e->a, 0) != ARCHIVE_OK ||
	    archive_write_set_options(e->a, "xattrheader=SCHILY") != ARCHIVE_OK ||
	    (needs_binary(entry) &&
	     archive_write_set_options(e->a, "hdrcharset=BINARY") != ARCHIVE_OK) ||
	    archive_write_open(e->a, e, NULL, emit_block, NULL) != ARCHIVE_OK ||
	    !is_fine(archive_write_header(e->a, entry)) || e->failed)
		return write_failed(e, err);
	return 0;
}

static int write_content(const struct emitter *e, uint64_t bytes, struct source *content,
			 struct sha256 *digest, struct err *err)
{
	CLEANUP(freep) uint8_t *block = malloc(COPY_BYTES);
	if (block == NULL)
		return err_nomem(err, "a copy");
	uint64_t left = bytes;
	while (left > 0) {
		size_t n, want = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
		if (source_read(content, block, want, &n, err) < 0)
			return -1;
		if (n == 0)
			return err_set(err, ERR_FAILED, "it ended after %llu of %llu bytes",
				       (unsigned long long)(bytes - left),
				       (unsigned long long)bytes);
		if (digest != NULL)
			sha256_update(digest, block, n);
		if (archive_write_data(e->a, block, n) != (la_ssize_t)n || e->failed)
			return write_failed(e, err);
		left -= n;
	}
	size_t more;
	if (source_read(content, block, 1, &more, err) < 0)
		return -1;
	if (more > 0)
		return err_set(err, ERR_FAILED, "it is longer than the %llu bytes that were said",
			       (unsigned long long)bytes);
	return 0;
}

int tar_member_write(struct archive_entry *entry, struct source *content, struct sha256 *digest,
		     tar_member_emit *emit, void *ctx, struct err *err)
{
	CLEANUP(let_go) struct emitter e = {.emit = emit, .ctx = ctx, .err = err};
	if (write_header(entry, &e, err) < 0)
		return -1;
	if (content != NULL &&
	    write_content(&e, (uint64_t)archive_entry_size(entry), content, digest, err) < 0)
		return -1;
	if (!is_fine(archive_write_finish_entry(e.a)) || e.failed)
		return write_failed(&e, err);
	return 0;
}

static int emit_to_buf(void *ctx, const void *data, size_t len, struct err *err)
{
	return buf_append(ctx, data, len, err);
}

static void entry_freep(struct archive_entry **e)
{
	archive_entry_free(*e);
}

int tar_member_header(const char *name, int64_t mtime_s, uint64_t bytes, struct buf *out,
		      struct err *err)
{
	CLEANUP(let_go) struct emitter e = {.emit = emit_to_buf, .ctx = out, .err = err};
	CLEANUP(entry_freep) struct archive_entry *entry = archive_entry_new();
	if (entry == NULL)
		return err_nomem(err, "a tar header");
	archive_entry_copy_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_mtime(entry, (time_t)mtime_s, 0);
	archive_entry_set_size(entry, (la_int64_t)bytes);
	return write_header(entry, &e, err);
}

char tar_member_type(struct archive_entry *entry)
{
	if (archive_entry_hardlink(entry) != NULL)
		return 'h';
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return 'f';
	case AE_IFDIR:
		return 'd';
	case AE_IFLNK:
		return 'l';
	case AE_IFCHR:
		return 'c';
	case AE_IFBLK:
		return 'b';
	case AE_IFIFO:
		return 'p';
	default:
		return 0;
	}
}

/* ---- reading ---- */

static void reader_freep(struct archive **a)
{
	archive_read_free(*a);
}

static int new_reader(struct archive **ret, struct err *err)
{
	CLEANUP(reader_freep) struct archive *a = archive_read_new();
	if (a == NULL)
		return err_nomem(err, "a tar reader");
	if (archive_read_support_filter_none(a) != ARCHIVE_OK ||
	    archive_read_support_format_tar(a) != ARCHIVE_OK)
		return err_set(err, ERR_FAILED, "libarchive: %s", archive_error_string(a));
	*ret = a;
	a = NULL;
	return 0;
}

static int not_tar(struct archive *a, struct err *err)
{
	const char *why = archive_error_string(a);
	if (archive_errno(a) == ENOMEM)
		return err_nomem(err, "a tar header");
	return err_set(err, ERR_CORRUPT, "no sound tar header: %s", why != NULL ? why : "?");
}

int tar_member_reader(archive_read_callback *read, void *ctx, struct archive **ret, struct err *err)
{
	CLEANUP(reader_freep) struct archive *a = NULL;
	if (new_reader(&a, err) < 0)
		return -1;
	if (archive_read_open(a, ctx, NULL, read, NULL) != ARCHIVE_OK)
		return not_tar(a, err);
	*ret = a;
	a = NULL;
	return 0;
}

int tar_member_next(struct archive *a, struct archive_entry **ret_entry, struct err *err)
{
	struct archive_entry *entry = NULL;
	int rc = archive_read_next_header(a, &entry);
	if (rc == ARCHIVE_EOF) {
		*ret_entry = NULL;
		return 0;
	}
	if (!is_fine(rc))
		return not_tar(a, err);
	*ret_entry = entry;
	return 0;
}

int tar_member_name(struct archive_entry *entry, char **ret, struct err *err)
{
	const char *name = archive_entry_pathname(entry);
	if (name == NULL)
		return err_set(err, ERR_CORRUPT, "a tar header without a name");
	size_t n = strlen(name);
	if (n > 1 && archive_entry_filetype(entry) == AE_IFDIR && name[n - 1] == '/')
		n--;
	return str_dupn(name, n, ret, err);
}

int tar_member_find(const uint8_t *raw, size_t len, const char *name, struct tar_found *ret,
		    struct err *err)
{
	CLEANUP(reader_freep) struct archive *a = NULL;
	CLEANUP(freep) char *found = NULL;
	struct archive_entry *entry = NULL;
	char shown[MEMBER_NAME_SHOWN_BYTES];
	if (new_reader(&a, err) < 0)
		return -1;
	if (archive_read_open_memory(a, raw, len) != ARCHIVE_OK)
		return not_tar(a, err);
	if (tar_member_next(a, &entry, err) < 0)
		return -1;
	if (entry == NULL)
		return err_set(err, ERR_CORRUPT, "no tar header");
	if (tar_member_name(entry, &found, err) < 0)
		return -1;
	if (strcmp(found, name) != 0)
		return err_set(err, ERR_CORRUPT, "its tar header says '%s'",
			       member_name_shown(found, shown));
	la_int64_t size = archive_entry_size(entry);
	if (tar_member_type(entry) != 'f' || size < 0 || (uint64_t)size > len)
		return err_set(err, ERR_CORRUPT, "its tar header is not that of its data");
	const void *data = raw + len;
	size_t n = 0;
	la_int64_t at = 0;
	if (size > 0 && (archive_read_data_block(a, &data, &n, &at) != ARCHIVE_OK || at != 0 ||
			 n != (size_t)size))
		return err_set(err, ERR_CORRUPT, "its data is cut");
	/* What libarchive reads from memory it hands out where it lies, not as a copy. */
	uintptr_t head = (uintptr_t)data - (uintptr_t)raw;
	if (head > len || len - head < n)
		return err_set(err, ERR_FAILED, "libarchive handed out a copy");
	*ret = (struct tar_found){.data = data, .head_bytes = head, .bytes = n};
	return 0;
}
