#include "storage/copy.h"

#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/fault.h"
#include "base/log.h"
#include "storage/store/catalog_name.h"
#include "storage/decisions.h"
#include "storage/store/lease.h"
#include "storage/sidecar.h"

enum { BLOCK_BYTES = 256 << 10 };

struct copying {
	struct store *from, *to;
	const char *stack;
	const struct backup *backup;
	const struct copy_progress *progress;
	struct buf sidecar; /* for a new copy */
	/* what is in `to` */
	bool committed;   /* the same backup, whole */
	bool has_sidecar; /* of this backup, or one that can't be read */
	bool has_archive;
};

static int in_backup(const struct copying *c, struct store *s, struct err *err)
{
	return err_wrap(err, "store '%s': backup '%s'", store_name(s), c->backup->id);
}

/* ---- what is there ---- */

static int read_sidecar(struct store *s, const char *name, struct buf *text, json_t **ret_json,
			struct sidecar *ret, struct err *err)
{
	return store_get_bytes(s, name, text, err) < 0 ||
		       json_parse(buf_text(text), text->len, ret_json, err) < 0 ||
		       sidecar_parse(*ret_json, ret, err) < 0
		   ? -1
		   : 0;
}

/* What was decided for `from` alone stays there. */
static int leave(struct copying *c, json_t *sidecar, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	bool changed;
	if (decisions_leave(sidecar, &changed, err) < 0)
		return -1;
	if (!changed)
		return 0;
	buf_reset(&c->sidecar);
	return json_text(sidecar, true, &text, err) < 0 ? -1 : buf_puts(&c->sidecar, text, err);
}

/* The sidecar as it is now: it may have been pinned since the catalog was read. */
static int look_at_source(struct copying *c, struct err *err)
{
	CLEANUP(json_freep) json_t *json = NULL;
	struct sidecar side;
	if (c->backup->broken[0] != '\0') {
		err_set(err, ERR_CORRUPT, "%s", c->backup->broken);
		return in_backup(c, c->from, err);
	}
	if (read_sidecar(c->from, c->backup->sidecar, &c->sidecar, &json, &side, err) < 0)
		return -1;
	if (strcmp(side.sha256, c->backup->sha256) == 0 && side.bytes == c->backup->stored_bytes)
		return leave(c, json, err);
	err_set(err, ERR_CORRUPT, "its sidecar was changed meanwhile");
	return in_backup(c, c->from, err);
}

static int stat_archive(struct copying *c, uint64_t *ret_bytes, struct err *err)
{
	struct store_object archive;
	struct err why = ERR_INIT;
	c->has_archive = store_stat(c->to, c->backup->archive, &archive, &why) == 0;
	if (!c->has_archive && why.code != ERR_ABSENT) {
		*err = why;
		return -1;
	}
	*ret_bytes = c->has_archive ? archive.bytes : 0;
	return 0;
}

/* A sidecar without its archive, or one that can't be read, is a copy to be put right. */
static int look_at_target(struct copying *c, struct err *err)
{
	CLEANUP(json_freep) json_t *json = NULL;
	CLEANUP(buf_done) struct buf text;
	struct sidecar side;
	struct err why = ERR_INIT;
	uint64_t bytes;
	buf_init(&text, SIDECAR_MAX_BYTES);
	if (stat_archive(c, &bytes, err) < 0)
		return -1;
	if (read_sidecar(c->to, c->backup->sidecar, &text, &json, &side, &why) < 0) {
		c->has_sidecar = why.code == ERR_CORRUPT || why.code == ERR_LIMIT;
		if (c->has_sidecar || why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return -1;
	}
	c->has_sidecar = true;
	if (strcmp(side.sha256, c->backup->sha256) != 0) {
		err_set(err, ERR_EXISTS, "another archive of that id is there");
		return in_backup(c, c->to, err);
	}
	c->committed = c->has_archive && bytes == c->backup->stored_bytes;
	return 0;
}

/* ---- the archive ---- */

static int source_differs(const struct copying *c, const char *how, struct err *err)
{
	err_set(err, ERR_CORRUPT, "its archive %s than its sidecar says: not copied", how);
	in_backup(c, c->from, err);
	return err_hint(err,
			"'lifeboat verify %s --store %s' says where. Where another store has "
			"it whole, 'lifeboat copy %s --from' that one.",
			c->backup->id, store_name(c->from), c->backup->id);
}

/* Into what the sink lends where it does, and through the digest. */
static int pass_bytes(const struct copying *c, struct source *in, struct sink *out, uint8_t *block,
		      struct sha256 *sha, struct err *err)
{
	for (;;) {
		uint8_t *to;
		size_t cap, n;
		if (sink_lend(out, &to, &cap, err) < 0)
			return in_backup(c, c->to, err);
		if (to == NULL) {
			to = block;
			cap = BLOCK_BYTES;
		}
		if (source_read(in, to, cap, &n, err) < 0)
			return in_backup(c, c->from, err);
		if (n == 0)
			return 0;
		sha256_update(sha, to, n);
		if (sink_write(out, to, n, err) < 0)
			return in_backup(c, c->to, err);
		if (c->progress != NULL && c->progress->add != NULL)
			c->progress->add(c->progress->ctx, n);
	}
}

/* A size that differs shows before a byte was moved. */
static int check_size(const struct copying *c, struct err *err)
{
	struct store_object o;
	if (store_stat(c->from, c->backup->archive, &o, err) < 0)
		return -1;
	return o.bytes == c->backup->stored_bytes ? 0 : source_differs(c, "has another size", err);
}

static int send_archive(struct copying *c, bool fresh, struct err *err)
{
	CLEANUP(source_freep) struct source *in = NULL;
	CLEANUP(sink_freep) struct sink *out = NULL;
	CLEANUP(sha256_freep) struct sha256 *sha = NULL;
	CLEANUP(freep) uint8_t *block = mem_zalloc(BLOCK_BYTES, "a block", err);
	char hex[SHA256_HEX_BYTES];
	const char *name = c->backup->archive;
	if (block == NULL || sha256_new(&sha, err) < 0 ||
	    store_get(c->from, name, 0, UINT64_MAX, &in, err) < 0 ||
	    (fresh ? store_create(c->to, name, &out, err) : store_put(c->to, name, &out, err)) <
		0 ||
	    pass_bytes(c, in, out, block, sha, err) < 0)
		return -1;
	sha256_hex(sha, hex);
	if (source_bytes(in) != c->backup->stored_bytes)
		return source_differs(c, "has another size", err);
	if (strcmp(hex, c->backup->sha256) != 0)
		return source_differs(c, "has another SHA-256", err);
	if (fault_point("copy-archive", err) < 0 || sink_close(out, err) < 0)
		return in_backup(c, c->to, err);
	return 0;
}

/* One that is there without its sidecar is of a killed copy, or of another agent that is at it just
 * now and puts the very same bytes there: it is replaced, in one step. */
static int put_archive(struct copying *c, struct err *err)
{
	if (check_size(c, err) < 0)
		return -1;
	if (send_archive(c, !c->has_archive, err) < 0 &&
	    (c->has_archive || err->code != ERR_EXISTS || look_at_target(c, err) < 0 ||
	     (!c->committed && send_archive(c, false, err) < 0)))
		return -1;
	return 0;
}

/* What the store says of the archive, as late as can be: what it lost is not committed. */
static int check_arrived(struct copying *c, struct err *err)
{
	struct store_object o;
	if (store_stat(c->to, c->backup->archive, &o, err) < 0)
		return -1;
	if (o.bytes == c->backup->stored_bytes)
		return 0;
	err_set(err, ERR_CORRUPT, "of %llu bytes that were written it has %llu",
		(unsigned long long)c->backup->stored_bytes, (unsigned long long)o.bytes);
	return in_backup(c, c->to, err);
}

/* ---- the commit ---- */

/* One that is there, of an archive that was cut or lost, may say what `from` did not hear of. */
static int put_over(struct copying *c, struct err *err)
{
	const char *name = c->backup->sidecar;
	CLEANUP(json_freep) json_t *ours = NULL;
	CLEANUP(json_freep) json_t *theirs = NULL;
	CLEANUP(freep) char *text = NULL;
	struct sidecar side;
	struct err why = ERR_INIT;
	bool ignored;
	if (sidecar_load(c->to, name, &ours, &side, &why) < 0) {
		if (why.code == ERR_CORRUPT || why.code == ERR_LIMIT || why.code == ERR_ABSENT)
			return store_put_bytes(c->to, name, c->sidecar.data, c->sidecar.len, err);
		*err = why;
		return -1;
	}
	if (json_parse(buf_text(&c->sidecar), c->sidecar.len, &theirs, err) < 0 ||
	    decisions_merge(ours, theirs, &ignored, err) < 0 ||
	    json_text(ours, true, &text, err) < 0)
		return -1;
	return store_put_bytes(c->to, name, text, strlen(text), err);
}

static int put_sidecar(struct copying *c, struct err *err)
{
	const char *name = c->backup->sidecar;
	if (c->has_sidecar)
		return put_over(c, err);
	if (store_create_bytes(c->to, name, c->sidecar.data, c->sidecar.len, err) == 0)
		return 0;
	/* Of two agents one comes second. The other's is as good, if it is of the same archive. */
	return err->code == ERR_EXISTS && look_at_target(c, err) == 0 && c->committed ? 0 : -1;
}

/* While it is copied, prune keeps its hands off both. Who may only read the source can't say so. */
static int mark(struct copying *c, struct lease **ret_from, struct lease **ret_to, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	struct err why = ERR_INIT;
	if (str_printf(&name, err, "%s-%s", c->stack, c->backup->id) < 0 ||
	    lease_mark(c->to, name, "copy", ret_to, err) < 0)
		return -1;
	if (lease_mark(c->from, name, "copy", ret_from, &why) == 0)
		return 0;
	if (why.code == ERR_CANCELLED) {
		*err = why;
		return -1;
	}
	log_debug("no mark on what is copied: %s", why.msg);
	return 0;
}

/* Somebody may have pinned it while it was on its way, and found no sidecar in `to`. One that was
 * removed meanwhile is worth keeping: its archive is there, whole. */
static int look_again(struct copying *c, struct err *err)
{
	struct buf first = c->sidecar;
	struct err why = ERR_INIT;
	buf_init(&c->sidecar, SIDECAR_MAX_BYTES);
	if (look_at_source(c, &why) == 0) {
		buf_done(&first);
		return 0;
	}
	buf_done(&c->sidecar);
	c->sidecar = first;
	if (why.code == ERR_ABSENT)
		return 0;
	*err = why;
	return -1;
}

static int copy(struct copying *c, uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(lease_freep) struct lease *from_mark = NULL;
	CLEANUP(lease_freep) struct lease *to_mark = NULL;
	size_t ignored;
	if (look_at_source(c, err) < 0 || look_at_target(c, err) < 0)
		return -1;
	bool there = c->committed;
	if ((!there && (mark(c, &from_mark, &to_mark, err) < 0 || put_archive(c, err) < 0 ||
			fault_point("copy-published", err) < 0)) ||
	    copy_evidence(c->from, c->stack, c->backup->id, c->to, &ignored, err) < 0 ||
	    (!there &&
	     (check_arrived(c, err) < 0 || look_again(c, err) < 0 || put_sidecar(c, err) < 0)))
		return -1;
	*ret_bytes = there ? 0 : c->backup->stored_bytes;
	return 0;
}

int copy_backup(struct store *from, const char *stack, const struct backup *b, struct store *to,
		const struct copy_progress *progress, uint64_t *ret_bytes, struct err *err)
{
	struct copying c = {
	    .from = from, .to = to, .stack = stack, .backup = b, .progress = progress};
	buf_init(&c.sidecar, SIDECAR_MAX_BYTES);
	int rc = copy(&c, ret_bytes, err);
	buf_done(&c.sidecar);
	return rc;
}
