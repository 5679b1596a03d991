#include "stack/engine/tree_digest.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/buf.h"

struct tap {
	struct tree_digest *digest;
	struct source *content;
};

static int tap_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct tap *tap = self;
	size_t n;
	if (source_read(tap->content, buf, cap, &n, err) < 0)
		return -1;
	XXH3_128bits_update(tap->digest->state, buf, n);
	tap->digest->bytes += n;
	*ret_n = n;
	return 0;
}

static int reset(struct tree_digest *t, struct err *err)
{
	if (t->state == NULL)
		t->state = XXH3_createState();
	if (t->state == NULL || XXH3_128bits_reset(t->state) != XXH_OK)
		return err_nomem(err, "a digest");
	return 0;
}

int tree_digest_tap(struct tree_digest *t, struct source *content, struct source **ret,
		    struct err *err)
{
	static const struct source_ops ops = {.read = tap_read, .free = free};
	struct tap *tap = mem_zalloc(sizeof *tap, "a digest", err);
	if (tap == NULL)
		return -1;
	if (reset(t, err) < 0) {
		free(tap);
		return -1;
	}
	*tap = (struct tap){.digest = t, .content = content};
	return source_new(&ops, tap, ret, err);
}

int tree_digest_add(struct tree_digest *t, const char *name, struct archive_entry *entry,
		    struct err *err)
{
	XXH128_canonical_t content = {{0}};
	struct buf text;
	buf_init(&text, 65536);
	if (t->state != NULL)
		XXH128_canonicalFromHash(&content, XXH3_128bits_digest(t->state));
	const char *symlink = archive_entry_symlink(entry);
	const char *hardlink = archive_entry_hardlink(entry);
	/* A NUL ends each text, so that no two entries are written alike. A further name of a file
	 * has the file's mode by nature. */
	unsigned mode = hardlink != NULL ? 0 : (unsigned)archive_entry_mode(entry);
	int rc = buf_append(&text, name, strlen(name) + 1, err);
	if (rc == 0)
		rc = buf_printf(&text, err, "%o %s", mode, symlink != NULL ? symlink : "");
	if (rc == 0)
		rc = buf_append(&text, "", 1, err);
	if (rc == 0 && hardlink != NULL)
		rc = buf_puts(&text, hardlink, err);
	if (rc == 0)
		rc = buf_append(&text, content.digest, sizeof content.digest, err);
	if (rc == 0) {
		rows_digest_add(&t->sum, text.data, text.len);
		rc = reset(t, err);
	}
	buf_done(&text);
	return rc;
}

void tree_digest_done(struct tree_digest *t)
{
	XXH3_freeState(t->state);
	t->state = NULL;
}
