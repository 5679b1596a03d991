#include "stack/docker/docker_tar.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "stack/docker/docker_tar_impl.h"

enum { SKIP_BYTES = 64 << 10 };

struct docker_tar {
	struct source *from;
	char *what;
	char *name;     /* of the entry at hand */
	uint64_t left;  /* of its content */
	size_t padding; /* behind it */
	bool ended;
	/* What came before the head that it belongs to. */
	struct buf pax, long_name, long_link;
	uint8_t skipped[SKIP_BYTES];
};

int docker_tar_cut(const char *what, const char *inside, struct err *err)
{
	if (inside != NULL)
		err_set(err, ERR_FAILED, "'%s' broke off inside the file '%.500s'", what, inside);
	else
		err_set(err, ERR_FAILED, "'%s' broke off before its end", what);
	return err_hint(err, "A file that becomes shorter while it is read makes Docker break "
			     "off: let the agent pause or stop what writes to it.");
}

int docker_tar_open(struct source *from, const char *what, struct docker_tar **ret, struct err *err)
{
	struct docker_tar *t = mem_zalloc(sizeof *t, "a tar reader", err);
	if (t == NULL || str_dup(what, &t->what, err) < 0) {
		free(t);
		source_free(from);
		return -1;
	}
	t->from = from;
	buf_init(&t->pax, DOCKER_TAR_PAX_MAX);
	buf_init(&t->long_name, DOCKER_TAR_PAX_MAX);
	buf_init(&t->long_link, DOCKER_TAR_PAX_MAX);
	*ret = t;
	return 0;
}

void docker_tar_free(struct docker_tar *t)
{
	if (t == NULL)
		return;
	source_free(t->from);
	buf_done(&t->pax);
	buf_done(&t->long_name);
	buf_done(&t->long_link);
	free(t->what);
	free(t->name);
	free(t);
}

int docker_tar_read(struct docker_tar *t, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	size_t n = 0;
	if (cap > t->left)
		cap = (size_t)t->left;
	if (cap > 0) {
		if (source_read(t->from, buf, cap, &n, err) < 0)
			return -1;
		if (n == 0)
			return docker_tar_cut(t->what, t->name, err);
	}
	t->left -= n;
	*ret_n = n;
	return 0;
}

/* All of `len`. */
static int read_all(struct docker_tar *t, uint8_t *buf, size_t len, struct err *err)
{
	size_t n;
	if (source_read_full(t->from, buf, len, &n, err) < 0)
		return -1;
	return n == len ? 0 : docker_tar_cut(t->what, NULL, err);
}

static int pass_over(struct docker_tar *t, struct err *err)
{
	while (t->left > 0) {
		size_t n;
		if (docker_tar_read(t, t->skipped, sizeof t->skipped, &n, err) < 0)
			return -1;
	}
	size_t padding = t->padding;
	t->padding = 0;
	return read_all(t, t->skipped, padding, err);
}

static void begin_content(struct docker_tar *t, uint64_t size)
{
	t->left = size;
	t->padding = (size_t)(-size % DOCKER_TAR_BLOCK);
}

/* Content that describes the next entry. */
static int keep_content(struct docker_tar *t, struct buf *b, uint64_t size, struct err *err)
{
	if (size > DOCKER_TAR_PAX_MAX)
		return err_set(err, ERR_LIMIT, "'%s': a head of %llu bytes", t->what,
			       (unsigned long long)size);
	if (b->len > 0)
		return err_set(err, ERR_CORRUPT, "two heads for one entry");
	if (buf_reserve(b, (size_t)size, err) < 0 || read_all(t, b->data, (size_t)size, err) < 0)
		return -1;
	b->len = (size_t)size;
	b->data[b->len] = 0;
	begin_content(t, size);
	t->left = 0;
	return pass_over(t, err);
}

/* ---- entries ---- */

static void set_text(struct archive_entry *e, const uint8_t *field, size_t len,
		     void (*set)(struct archive_entry *, const char *))
{
	char text[256];
	size_t n = strnlen((const char *)field, len);
	memcpy(text, field, n);
	text[n] = '\0';
	if (n > 0)
		set(e, text);
}

static void set_name(struct archive_entry *e, const uint8_t *block)
{
	char text[257];
	size_t prefix = 0, n = strnlen((const char *)block, 100);
	/* GNU's own format has other things where POSIX has the first part of the name. */
	if (memcmp(block + 257, "ustar\0", 6) == 0)
		prefix = strnlen((const char *)block + 345, 155);
	memcpy(text, block + 345, prefix);
	if (prefix > 0)
		text[prefix++] = '/';
	memcpy(text + prefix, block, n);
	text[prefix + n] = '\0';
	archive_entry_copy_pathname(e, text);
}

static __LA_MODE_T file_type(char type)
{
	switch (type) {
	case '2':
		return AE_IFLNK;
	case '3':
		return AE_IFCHR;
	case '4':
		return AE_IFBLK;
	case '5':
		return AE_IFDIR;
	case '6':
		return AE_IFIFO;
	default:
		return AE_IFREG;
	}
}

static int fill_from_head(struct archive_entry *e, const uint8_t *block, char type, struct err *err)
{
	uint64_t mode, uid, gid, mtime, major_number, minor_number;
	if (docker_tar_number(block + 100, 8, &mode, err) < 0 ||
	    docker_tar_number(block + 108, 8, &uid, err) < 0 ||
	    docker_tar_number(block + 116, 8, &gid, err) < 0 ||
	    docker_tar_number(block + 136, 12, &mtime, err) < 0 ||
	    docker_tar_number(block + 329, 8, &major_number, err) < 0 ||
	    docker_tar_number(block + 337, 8, &minor_number, err) < 0)
		return -1;
	set_name(e, block);
	archive_entry_set_filetype(e, file_type(type));
	archive_entry_set_perm(e, (__LA_MODE_T)(mode & 07777));
	archive_entry_set_uid(e, (la_int64_t)(uid & INT64_MAX));
	archive_entry_set_gid(e, (la_int64_t)(gid & INT64_MAX));
	archive_entry_set_mtime(e, (time_t)(mtime & INT64_MAX), 0);
	set_text(e, block + 265, 32, archive_entry_copy_uname);
	set_text(e, block + 297, 32, archive_entry_copy_gname);
	if (type == '1')
		set_text(e, block + 157, 100, archive_entry_copy_hardlink);
	if (type == '2')
		set_text(e, block + 157, 100, archive_entry_copy_symlink);
	if (type == '3' || type == '4')
		archive_entry_set_rdev(e, makedev((unsigned)major_number, (unsigned)minor_number));
	return 0;
}

/* "1600000000.123456789", "-1.5". */
static int set_time(struct archive_entry *e, const struct docker_tar_record *r, struct err *err)
{
	struct docker_tar_record whole = *r;
	uint64_t seconds;
	long nanos = 0;
	bool negative = r->len > 0 && r->value[0] == '-';
	whole.value += negative;
	whole.len -= negative;
	const uint8_t *dot = memchr(whole.value, '.', whole.len), *end = r->value + r->len;
	if (dot != NULL) {
		whole.len = (size_t)(dot - whole.value);
		int digits = 0;
		for (const uint8_t *p = dot + 1; p < end; p++, digits++) {
			if (*p < '0' || *p > '9')
				return err_set(err, ERR_CORRUPT, "the pax record 'mtime' is none");
			if (digits < 9)
				nanos = nanos * 10 + (*p - '0');
		}
		for (; digits < 9; digits++)
			nanos *= 10;
	}
	if (docker_tar_pax_number(&whole, &seconds, err) < 0)
		return -1;
	int64_t at = negative ? -(int64_t)seconds : (int64_t)seconds;
	if (negative && nanos > 0) {
		at--;
		nanos = 1000000000 - nanos;
	}
	archive_entry_set_mtime(e, (time_t)at, nanos);
	return 0;
}

static int set_pax_text(struct archive_entry *e, const struct docker_tar_record *r,
			void (*set)(struct archive_entry *, const char *), struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	if (memchr(r->value, '\0', r->len) != NULL)
		return err_set(err, ERR_CORRUPT, "a name with a zero in it");
	if (str_dupn((const char *)r->value, r->len, &text, err) < 0)
		return -1;
	set(e, text);
	return 0;
}

static int set_pax_id(struct archive_entry *e, const struct docker_tar_record *r,
		      void (*set)(struct archive_entry *, la_int64_t), struct err *err)
{
	uint64_t n;
	if (docker_tar_pax_number(r, &n, err) < 0)
		return -1;
	set(e, (la_int64_t)n);
	return 0;
}

static int apply_record(struct archive_entry *e, const struct docker_tar_record *r, char type,
			uint64_t *size, struct err *err)
{
	static const char xattr[] = "SCHILY.xattr.", sparse[] = "GNU.sparse.";
	if (strncmp(r->key, sparse, sizeof sparse - 1) == 0)
		return err_set(err, ERR_CORRUPT, "a sparse member, which Docker does not write");
	if (strncmp(r->key, xattr, sizeof xattr - 1) == 0) {
		archive_entry_xattr_add_entry(e, r->key + sizeof xattr - 1, r->value, r->len);
		return 0;
	}
	/* An empty value takes a global one back, and there is none. */
	if (r->len == 0)
		return 0;
	if (strcmp(r->key, "path") == 0)
		return set_pax_text(e, r, archive_entry_copy_pathname, err);
	if (strcmp(r->key, "linkpath") == 0 && type == '1')
		return set_pax_text(e, r, archive_entry_copy_hardlink, err);
	if (strcmp(r->key, "linkpath") == 0 && type == '2')
		return set_pax_text(e, r, archive_entry_copy_symlink, err);
	if (strcmp(r->key, "uname") == 0)
		return set_pax_text(e, r, archive_entry_copy_uname, err);
	if (strcmp(r->key, "gname") == 0)
		return set_pax_text(e, r, archive_entry_copy_gname, err);
	if (strcmp(r->key, "uid") == 0)
		return set_pax_id(e, r, archive_entry_set_uid, err);
	if (strcmp(r->key, "gid") == 0)
		return set_pax_id(e, r, archive_entry_set_gid, err);
	if (strcmp(r->key, "mtime") == 0)
		return set_time(e, r, err);
	uint64_t ignored;
	if (strcmp(r->key, "size") == 0)
		return docker_tar_pax_number(r, docker_tar_has_content(type) ? size : &ignored,
					     err);
	return 0;
}

static int apply_pax(struct docker_tar *t, struct archive_entry *e, char type, uint64_t *size,
		     struct err *err)
{
	struct docker_tar_record r;
	for (size_t at = 0;;) {
		if (docker_tar_pax_next(t->pax.data, t->pax.len, &at, &r, err) < 0)
			return -1;
		if (r.key == NULL)
			break;
		if (apply_record(e, &r, type, size, err) < 0)
			return -1;
	}
	if (t->long_name.len > 0)
		archive_entry_copy_pathname(e, buf_text(&t->long_name));
	if (t->long_link.len > 0 && type == '1')
		archive_entry_copy_hardlink(e, buf_text(&t->long_link));
	if (t->long_link.len > 0 && type == '2')
		archive_entry_copy_symlink(e, buf_text(&t->long_link));
	buf_reset(&t->pax);
	buf_reset(&t->long_name);
	buf_reset(&t->long_link);
	return 0;
}

static int make_entry(struct docker_tar *t, const uint8_t *block, const struct docker_tar_head *h,
		      struct archive_entry **ret, struct err *err)
{
	uint64_t size = h->size;
	CLEANUP(docker_tar_entry_freep) struct archive_entry *e = archive_entry_new();
	if (e == NULL)
		return err_nomem(err, "a file's entry");
	if (fill_from_head(e, block, h->type, err) < 0 || apply_pax(t, e, h->type, &size, err) < 0)
		return -1;
	const char *name = archive_entry_pathname(e);
	if (name == NULL || name[0] == '\0' || size > INT64_MAX ||
	    (h->type == '1' && archive_entry_hardlink(e) == NULL) ||
	    (h->type == '2' && archive_entry_symlink(e) == NULL))
		return err_set(err, ERR_CORRUPT, "a tar head without a name or a target");
	freep(&t->name);
	t->name = NULL;
	if (str_dup(name, &t->name, err) < 0)
		return -1;
	archive_entry_set_size(e, (la_int64_t)size);
	begin_content(t, size);
	*ret = e;
	e = NULL;
	return 0;
}

/* One block of zeros is there; a second follows, and then the stream ends. */
static int read_end(struct docker_tar *t, struct err *err)
{
	uint8_t block[DOCKER_TAR_BLOCK];
	if (read_all(t, block, sizeof block, err) < 0)
		return -1;
	if (!docker_tar_is_zero(block))
		return err_set(err, ERR_CORRUPT, "an entry after the end");
	if (t->pax.len > 0 || t->long_name.len > 0 || t->long_link.len > 0)
		return err_set(err, ERR_CORRUPT, "a head without its entry");
	for (size_t n = 1; n > 0;)
		if (source_read(t->from, t->skipped, sizeof t->skipped, &n, err) < 0)
			return -1;
	t->ended = true;
	return 0;
}

static int next_entry(struct docker_tar *t, struct archive_entry **ret, struct err *err)
{
	uint8_t block[DOCKER_TAR_BLOCK];
	struct docker_tar_head h;
	for (;;) {
		if (read_all(t, block, sizeof block, err) < 0)
			return -1;
		if (docker_tar_is_zero(block))
			return read_end(t, err);
		if (docker_tar_head(block, &h, err) < 0)
			return -1;
		int rc = 0;
		if (h.type == 'x')
			rc = keep_content(t, &t->pax, h.size, err);
		else if (h.type == 'L')
			rc = keep_content(t, &t->long_name, h.size, err);
		else if (h.type == 'K')
			rc = keep_content(t, &t->long_link, h.size, err);
		else if (h.type != 'g')
			return make_entry(t, block, &h, ret, err);
		else {
			begin_content(t, h.size);
			rc = pass_over(t, err);
		}
		if (rc < 0)
			return -1;
	}
}

int docker_tar_next(struct docker_tar *t, struct archive_entry **ret_entry, struct err *err)
{
	struct archive_entry *e = NULL;
	if (!t->ended) {
		if (pass_over(t, err) < 0)
			return -1;
		if (next_entry(t, &e, err) < 0)
			return err->code == ERR_CORRUPT ? err_wrap(err, "'%s'", t->what) : -1;
	}
	*ret_entry = e;
	return 0;
}
