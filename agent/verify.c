#include "agent/verify.h"

#include <string.h>
#include "base/digest.h"
#include "storage/decrypting.h"
#include "storage/digesting.h"

/* Everything: what is stored against the sidecar, what is in it against itself. */
static int verify_archive(struct store *archives, const struct backup *b,
			  const struct reader_watch *w, struct reader_report *ret,
			  bool *ret_rebuilt, struct err *err)
{
	CLEANUP(reader_freep) struct reader *r = NULL;
	const char *sha256 = storage_is_encrypted(b->archive) ? NULL : b->sha256;
	if (reader_open(archives, b->archive, &r, err) < 0 ||
	    catalog_check_manifest(b, reader_manifest(r), err) < 0 ||
	    reader_verify(r, sha256, w, ret, err) < 0)
		return -1;
	*ret_rebuilt = reader_was_rebuilt(r);
	return 0;
}

static int check_digest(const struct backup *b, struct sha256 *sha, uint64_t bytes, struct err *err)
{
	char hex[SHA256_HEX_BYTES];
	sha256_hex(sha, hex);
	if (bytes != b->stored_bytes)
		return err_set(err, ERR_CORRUPT, "'%s': %llu of its %llu bytes were read",
			       b->archive, (unsigned long long)bytes,
			       (unsigned long long)b->stored_bytes);
	if (strcmp(hex, b->sha256) != 0)
		return err_set(err, ERR_CORRUPT,
			       "'%s': its SHA-256 is %.16s…, and should be %.16s…", b->archive, hex,
			       b->sha256);
	return 0;
}

/* Of an encrypted archive the digest of what is stored is taken as it is decrypted. */
static int verify_encrypted(struct job *j, const struct backup *b, const struct reader_watch *w,
			    struct reader_report *ret, bool *ret_rebuilt, struct err *err)
{
	CLEANUP(sha256_freep) struct sha256 *sha = NULL;
	CLEANUP(store_freep) struct store *digesting = NULL;
	CLEANUP(store_freep) struct store *archives = NULL;
	if (sha256_new(&sha, err) < 0)
		return -1;
	struct digested digested = {.sha = sha};
	if (store_digesting(j->store, b->archive, &digested, &digesting, err) < 0 ||
	    store_decrypting(digesting, &j->identities, &archives, err) < 0 ||
	    verify_archive(archives, b, w, ret, ret_rebuilt, err) < 0 ||
	    store_digest_rest(j->store, b->archive, &digested, err) < 0 ||
	    check_digest(b, sha, digested.bytes, err) < 0)
		return -1;
	ret->stored_bytes = b->stored_bytes;
	return 0;
}

struct counting {
	const struct reader_watch *watch;
	uint64_t done, of;
};

static void count(void *ctx, size_t n)
{
	struct counting *c = ctx;
	c->done += n;
	c->watch->progress(c->watch->ctx, c->done, c->of);
}

/* Without an identity: what is stored, and no more. */
static int verify_stored(struct job *j, const struct backup *b, const struct reader_watch *w,
			 struct reader_report *ret, struct err *err)
{
	CLEANUP(sha256_freep) struct sha256 *sha = NULL;
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	struct counting counting = {.watch = w, .of = b->stored_bytes};
	struct sink *digest, *meter;
	uint64_t bytes;
	if (sha256_new(&sha, err) < 0 || sink_sha256(sha, &digest, err) < 0)
		return -1;
	if (sink_meter(count, &counting, &meter, err) < 0) {
		sink_free(digest);
		return -1;
	}
	if (sink_both(digest, meter, &to, err) < 0 ||
	    store_get(j->store, b->archive, 0, UINT64_MAX, &from, err) < 0 ||
	    flow_copy(from, to, &bytes, err) < 0 || check_digest(b, sha, bytes, err) < 0)
		return -1;
	*ret = (struct reader_report){.stored_bytes = bytes};
	return 0;
}

/* What needs an identity and has none that fits is no failure, and no success either. */
int verify_backup(struct job *j, const struct backup *b, const struct reader_watch *w,
		  struct reader_report *ret, bool *ret_rebuilt, struct err *err)
{
	struct store *ignored;
	struct err why = ERR_INIT;
	if (!storage_is_encrypted(b->archive))
		return verify_archive(j->store, b, w, ret, ret_rebuilt, err);
	if (job_archives(j, b, &ignored, &why) == 0)
		return verify_encrypted(j, b, w, ret, ret_rebuilt, err);
	bool identity_given = secret_is_set(&j->app->config->archive.identity);
	if (why.code != ERR_DENIED && (why.code != ERR_CONFIG || identity_given)) {
		*err = why;
		return -1;
	}
	if (verify_stored(j, b, w, ret, err) < 0)
		return -1;
	err_set(err, ERR_UNVERIFIED,
		"its %llu bytes are as they were written, but what is in them could not be "
		"verified: %s",
		(unsigned long long)ret->stored_bytes, why.msg);
	return err_hint(err, "%s", why.hint);
}
