#include "agent/verify.h"

#include <string.h>
#include "base/digest.h"
#include "storage/store/decrypting.h"
#include "storage/store/digesting.h"

void verifying_done(struct verifying *v)
{
	damage_free(v->damage);
	v->damage = NULL;
}

static void seen(void *ctx, uint64_t done, uint64_t of)
{
	struct verifying *v = ctx;
	job_progress(v->job, done, of, v->backup->id);
}

static void found(void *ctx, const struct reader_damage *d)
{
	struct verifying *v = ctx;
	damage_add(v->damage, d);
}

/* Everything: what is stored against the sidecar, what is in it against itself. Or a sample. */
static int verify_archive(struct verifying *v, struct store *archives, struct err *err)
{
	CLEANUP(reader_freep) struct reader *r = NULL;
	const struct backup *b = v->backup;
	const char *sha256 = storage_is_encrypted(b->archive) ? NULL : b->sha256;
	const struct reader_watch watch = {.progress = seen, .damaged = found, .ctx = v};
	if (reader_open(archives, b->archive, &r, err) < 0 ||
	    catalog_check_manifest(b, reader_manifest(r), err) < 0 ||
	    damage_new(reader_manifest(r), &v->damage, err) < 0)
		return -1;
	v->rebuilt = reader_was_rebuilt(r);
	if (v->kind == VERDICT_SAMPLE)
		return reader_sample(r, v->share_ppm, v->seed, &watch, &v->report, err);
	return reader_verify(r, sha256, &watch, &v->report, err);
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
static int verify_encrypted(struct verifying *v, struct err *err)
{
	CLEANUP(sha256_freep) struct sha256 *sha = NULL;
	CLEANUP(store_freep) struct store *digesting = NULL;
	CLEANUP(store_freep) struct store *archives = NULL;
	struct store *inner = v->job->store;
	const struct backup *b = v->backup;
	if (sha256_new(&sha, err) < 0)
		return -1;
	struct digested digested = {.sha = sha};
	if (store_digesting(inner, b->archive, &digested, &digesting, err) < 0 ||
	    store_decrypting(digesting, &v->job->identities, &archives, err) < 0 ||
	    verify_archive(v, archives, err) < 0 ||
	    store_digest_rest(inner, b->archive, &digested, err) < 0 ||
	    check_digest(b, sha, digested.bytes, err) < 0)
		return -1;
	v->report.stored_bytes = b->stored_bytes;
	return 0;
}

struct counting {
	struct verifying *v;
	uint64_t done;
};

static void count(void *ctx, size_t n)
{
	struct counting *c = ctx;
	c->done += n;
	seen(c->v, c->done, c->v->backup->stored_bytes);
}

/* Without an identity: what is stored, and no more. */
static int verify_stored(struct verifying *v, struct err *err)
{
	CLEANUP(sha256_freep) struct sha256 *sha = NULL;
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	const struct backup *b = v->backup;
	struct counting counting = {.v = v};
	struct sink *digest, *meter;
	uint64_t bytes;
	v->kind = VERDICT_STORED;
	if (sha256_new(&sha, err) < 0 || sink_sha256(sha, &digest, err) < 0)
		return -1;
	if (sink_meter(count, &counting, &meter, err) < 0) {
		sink_free(digest);
		return -1;
	}
	if (sink_both(digest, meter, &to, err) < 0 ||
	    store_get(v->job->store, b->archive, 0, UINT64_MAX, &from, err) < 0 ||
	    flow_copy(from, to, &bytes, err) < 0 || check_digest(b, sha, bytes, err) < 0)
		return -1;
	v->report = (struct reader_report){.stored_bytes = bytes};
	return 0;
}

/* A backup that can't be used: of an archive that is cut, how far it goes. */
static int look_at_broken(struct verifying *v, struct err *err)
{
	CLEANUP(reader_freep) struct reader *r = NULL;
	const struct backup *b = v->backup;
	struct err why = ERR_INIT;
	err_set(err, ERR_CORRUPT, "%s", b->broken);
	if (!storage_is_encrypted(b->archive) &&
	    reader_open(v->job->store, b->archive, &r, &why) < 0 && why.code == ERR_CORRUPT) {
		*err = why;
		err_wrap(err, "%s", b->broken);
	}
	return -1;
}

/* What needs an identity and has none that fits is no failure, and no success either. */
int verify_backup(struct verifying *v, struct err *err)
{
	struct store *archives;
	struct err why = ERR_INIT;
	if (v->backup->broken[0] != '\0')
		return look_at_broken(v, err);
	if (job_mark(v->job, v->backup, "verify", err) < 0)
		return -1;
	if (!storage_is_encrypted(v->backup->archive))
		return verify_archive(v, v->job->store, err);
	if (job_archives(v->job, v->backup, &archives, &why) == 0)
		return v->kind == VERDICT_SAMPLE ? verify_archive(v, archives, err)
						 : verify_encrypted(v, err);
	bool identity_given = secret_is_set(&v->job->app->config->archive.identity);
	if (why.code != ERR_DENIED && (why.code != ERR_CONFIG || identity_given)) {
		*err = why;
		return -1;
	}
	if (v->kind == VERDICT_SAMPLE) {
		err_set(err, ERR_UNVERIFIED, "it could not be looked at: %s", why.msg);
		return err_hint(err, "%s", why.hint);
	}
	if (verify_stored(v, err) < 0)
		return -1;
	err_set(err, ERR_UNVERIFIED,
		"its %llu bytes are as they were written, but what is in them could not be "
		"verified: %s",
		(unsigned long long)v->report.stored_bytes, why.msg);
	return err_hint(err, "%s", why.hint);
}
