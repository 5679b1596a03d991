/* Files of known size: the frames that hold them, read by libarchive. */
#include <stdlib.h>
#include <string.h>
#include "storage/archive/member_name.h"
#include "storage/archive/reader_parts.h"
#include "storage/archive/tar_member.h"

/* Members [first, last] of the index, which lie one behind the other. */
struct run {
	struct reader *r;
	size_t first, last;
	struct unpack_pipe *pipe;
	struct archive *tar;
	size_t skip; /* bytes of the first frame that lie before the first member */
	bool failed;
	struct err why; /* of the pipe: libarchive knows no such errors */
};

static la_ssize_t read_frame(struct archive *a, void *ctx, const void **ret)
{
	(void)a;
	struct run *run = ctx;
	struct unpacked u;
	if (unpack_pipe_next(run->pipe, &u, &run->why) < 0) {
		run->failed = true;
		return -1;
	}
	if (u.data == NULL)
		return 0;
	*ret = u.data + run->skip;
	size_t n = u.len - run->skip;
	run->skip = 0;
	return (la_ssize_t)n;
}

static int run_failed(const struct run *run, struct err *err)
{
	if (run->failed)
		*err = run->why;
	return -1;
}

int reader_check_entry(const struct reader *r, const struct index_member *m,
		       struct archive_entry *entry, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	char shown[MEMBER_NAME_SHOWN_BYTES];
	const char *target = archive_entry_hardlink(entry);
	if (tar_member_name(entry, &name, err) < 0)
		return -1;
	if (strcmp(name, m->name) != 0)
		return err_set(err, ERR_CORRUPT, "its tar header says '%s'",
			       member_name_shown(name, shown));
	la_int64_t size = m->type == 'f' ? archive_entry_size(entry) : 0;
	if (tar_member_type(entry) != m->type || size < 0 || (uint64_t)size != m->bytes)
		return err_set(err, ERR_CORRUPT,
			       "type '%c' and %llu bytes are listed, its tar header says '%c' and "
			       "%lld",
			       m->type, (unsigned long long)m->bytes, tar_member_type(entry),
			       (long long)size);
	if (target == NULL)
		return 0;
	const struct index_member *linked = index_find_member(&r->index, target);
	if (linked == NULL || linked->type != 'f' || linked->at >= m->at)
		return err_set(err, ERR_CORRUPT,
			       "it is a hard link to '%s', which is no file before it",
			       member_name_shown(target, shown));
	return 0;
}

/* ---- the content of one member ---- */

struct content {
	struct run *run;
	const struct index_member *m;
	struct sha256 *sha;
	uint64_t bytes;
};

static int check_end(const struct content *c, struct err *err)
{
	char hex[SHA256_HEX_BYTES];
	if (c->bytes != c->m->bytes)
		return err_set(err, ERR_CORRUPT, "it ended after %llu of %llu bytes",
			       (unsigned long long)c->bytes, (unsigned long long)c->m->bytes);
	sha256_hex(c->sha, hex);
	if (strcmp(hex, c->m->sha256) != 0)
		return err_set(err, ERR_CORRUPT, "its SHA-256 is %.16s…, the manifest says %.16s…",
			       hex, c->m->sha256);
	return 0;
}

static int read_content(struct content *c, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	la_ssize_t n = archive_read_data(c->run->tar, buf, cap);
	if (n < 0 && c->run->failed)
		return run_failed(c->run, err);
	if (n < 0)
		return err_set(err, ERR_CORRUPT, "%s", archive_error_string(c->run->tar));
	if (n == 0)
		return check_end(c, err);
	sha256_update(c->sha, buf, (size_t)n);
	c->bytes += (uint64_t)n;
	*ret_n = (size_t)n;
	return 0;
}

static int content_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct content *c = self;
	char shown[MEMBER_NAME_SHOWN_BYTES];
	*ret_n = 0;
	if (read_content(c, buf, cap, ret_n, err) < 0)
		return err_wrap(err, "member '%s'", member_name_shown(c->m->name, shown));
	return 0;
}

static void content_free(void *self)
{
	struct content *c = self;
	sha256_free(c->sha);
	free(c);
}

static const struct source_ops content_ops = {.read = content_read, .free = content_free};

static int open_content(struct run *run, const struct index_member *m, struct source **ret,
			struct err *err)
{
	if (m->type != 'f')
		return source_memory(NULL, 0, ret, err);
	struct content *c = mem_zalloc(sizeof *c, "a member", err);
	if (c == NULL)
		return -1;
	c->run = run;
	c->m = m;
	if (sha256_new(&c->sha, err) < 0) {
		content_free(c);
		return -1;
	}
	return source_new(&content_ops, c, ret, err);
}

/* ---- runs ---- */

static bool has_prefix(const struct index_member *m, const char *prefix)
{
	size_t n = strlen(prefix);
	if (strncmp(m->name, prefix, n) == 0)
		return true;
	/* "a/" also finds the folder "a". */
	return n > 1 && prefix[n - 1] == '/' && m->type == 'd' && strlen(m->name) == n - 1 &&
	       strncmp(m->name, prefix, n - 1) == 0;
}

static void tar_freep(struct archive **a)
{
	archive_read_free(*a);
}

struct visitor {
	const char *prefix;
	int (*fn)(void *ctx, struct archive_entry *entry, struct source *content, struct err *err);
	void *ctx;
};

static int visit(struct run *run, const struct index_member *m, const struct visitor *v,
		 struct err *err)
{
	struct archive_entry *entry = NULL;
	CLEANUP(source_freep) struct source *content = NULL;
	uint64_t begin = run->r->index.members[run->first].at;
	if (tar_member_next(run->tar, &entry, err) < 0)
		return run_failed(run, err);
	if (entry == NULL || begin + (uint64_t)archive_read_header_position(run->tar) != m->at)
		return err_set(err, ERR_CORRUPT, "its tar header is not where it is listed");
	if (reader_check_entry(run->r, m, entry, err) < 0)
		return -1;
	if (!has_prefix(m, v->prefix))
		return 0;
	if (open_content(run, m, &content, err) < 0)
		return -1;
	return v->fn(v->ctx, entry, content, err) == 0 ? 0 : -2;
}

static int visit_run(struct run *run, const struct visitor *v, struct err *err)
{
	for (size_t i = run->first; i <= run->last; i++) {
		const struct index_member *m = &run->r->index.members[i];
		char shown[MEMBER_NAME_SHOWN_BYTES];
		int rc = visit(run, m, v, err);
		if (rc == -1)
			return err_wrap(err, "member '%s'", member_name_shown(m->name, shown));
		if (rc < 0)
			return -1; /* fn has said it all */
	}
	return 0;
}

static int read_run(struct reader *r, size_t first, size_t last, const struct visitor *v,
		    struct err *err)
{
	const struct index_member *from = &r->index.members[first], *to = &r->index.members[last];
	struct unpack_span span = {.first = seek_table_find(&r->frames, from->at)};
	span.count = seek_table_find(&r->frames, to->end - 1) - span.first + 1;
	const struct unpack_pipe_opts opts = {
	    .store = r->store,
	    .object = r->object,
	    .frames = &r->frames,
	    .spans = &span,
	    .span_count = 1,
	    .fetched_bytes = &r->fetched_bytes,
	};
	struct run run = {.r = r, .first = first, .last = last};
	run.skip = (size_t)(from->at - r->frames.frames[span.first].raw_offset);
	CLEANUP(unpack_pipe_freep) struct unpack_pipe *pipe = NULL;
	CLEANUP(tar_freep) struct archive *tar = NULL;
	if (unpack_pipe_open(&opts, &pipe, err) < 0)
		return -1;
	run.pipe = pipe;
	if (tar_member_reader(read_frame, &run, &tar, err) < 0)
		return run_failed(&run, err);
	run.tar = tar;
	return visit_run(&run, v, err);
}

/* The last member of the run that begins with the wanted member `first`: members that lie directly
 * behind each other, and not more than a frame of unwanted ones in between. */
static size_t run_end(const struct reader *r, size_t first, const char *prefix)
{
	const struct index_member *m = r->index.members;
	size_t last = first;
	for (size_t i = first + 1; i < r->index.member_count && m[i].at == m[i - 1].end; i++) {
		if (seek_table_find(&r->frames, m[i].at) >
		    seek_table_find(&r->frames, m[last].end - 1) + 1)
			break;
		if (has_prefix(&m[i], prefix))
			last = i;
	}
	return last;
}

int reader_members(struct reader *r, const char *prefix,
		   int (*fn)(void *ctx, struct archive_entry *entry, struct source *content,
			     struct err *err),
		   void *ctx, struct err *err)
{
	const struct visitor v = {.prefix = prefix, .fn = fn, .ctx = ctx};
	for (size_t i = 0; i < r->index.member_count; i++) {
		if (!has_prefix(&r->index.members[i], prefix))
			continue;
		size_t last = run_end(r, i, prefix);
		if (read_run(r, i, last, &v, err) < 0)
			return -1;
		i = last;
	}
	return 0;
}
