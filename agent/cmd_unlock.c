/* An encrypted archive as the plain .tar.zst that it holds. */
#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "agent/output/format.h"
#include "agent/job.h"
#include "base/digest.h"
#include "base/file.h"
#include "storage/store/decrypting.h"
#include "storage/store/digesting.h"

struct unlocking {
	struct job *job;
	struct file_new *file;
	uint64_t done, of;
};

static int unlocked_write(void *self, const uint8_t *data, size_t len, struct err *err)
{
	struct unlocking *u = self;
	if (cancel_check(err) < 0 || file_new_write(u->file, data, len, err) < 0)
		return -1;
	u->done += len;
	job_progress(u->job, u->done, u->of, "decrypting");
	return 0;
}

static const struct sink_ops unlocked_ops = {.write = unlocked_write};

/* All of it, in one pass: the chunks vouch for what is in them, the digest for what was stored. */
static int unlock(struct job *j, const struct backup *b, struct unlocking *u, struct err *err)
{
	CLEANUP(sha256_freep) struct sha256 *sha = NULL;
	CLEANUP(store_freep) struct store *digesting = NULL;
	CLEANUP(store_freep) struct store *archives = NULL;
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	struct store_object object;
	char hex[SHA256_HEX_BYTES];
	if (sha256_new(&sha, err) < 0)
		return -1;
	struct digested digested = {.sha = sha};
	if (store_digesting(j->store, b->archive, &digested, &digesting, err) < 0 ||
	    store_decrypting(digesting, &j->identities, &archives, err) < 0 ||
	    store_stat(archives, b->archive, &object, err) < 0 ||
	    store_get(archives, b->archive, 0, UINT64_MAX, &from, err) < 0 ||
	    sink_new(&unlocked_ops, u, &to, err) < 0)
		return -1;
	u->of = object.bytes;
	if (flow_copy(from, to, NULL, err) < 0)
		return -1;
	if (store_digest_rest(j->store, b->archive, &digested, err) < 0)
		return -1;
	sha256_hex(sha, hex);
	if (digested.bytes != b->stored_bytes || strcmp(hex, b->sha256) != 0)
		return err_set(err, ERR_CORRUPT,
			       "'%s': its SHA-256 is %.16s…, and should be %.16s…", b->archive, hex,
			       b->sha256);
	return 0;
}

static int check_output(const char *path, struct err *err)
{
	if (path == NULL) {
		err_set(err, ERR_USAGE, "unlock needs the file to write: -o FILE");
		return err_hint(err,
				"Write for instance: lifeboat unlock latest -o backup.tar.zst");
	}
	if (file_exists(path))
		return err_set(err, ERR_EXISTS, "'%s' is there already: not overwritten", path);
	return 0;
}

int cmd_unlock(struct app *app, struct err *err)
{
	CLEANUP(job_freep) struct job *j = NULL;
	CLEANUP(file_new_freep) struct file_new *file = NULL;
	const char *path = cli_value(app->cli, "output");
	const struct backup *b;
	struct store *ignored;
	char size[FORMAT_BYTES];
	if (check_output(path, err) < 0 ||
	    job_open(app, cli_value(app->cli, "store"), NULL, &j, err) < 0 ||
	    job_find(j, cli_arg(app->cli, 0), &b, err) < 0)
		return -1;
	if (!storage_is_encrypted(b->archive)) {
		err_set(err, ERR_USAGE, "backup '%s' is not encrypted", b->id);
		return err_hint(err, "Its archive is '%s' in %s.", b->archive,
				store_where(j->store));
	}
	if (job_archives(j, b, &ignored, err) < 0 || job_mark(j, b, "unlock", err) < 0 ||
	    file_new_open(path, 0600, &file, err) < 0)
		return -1;
	struct unlocking u = {.job = j, .file = file};
	if (unlock(j, b, &u, err) < 0 || file_new_close_fresh(file, err) < 0)
		return err_wrap(err, "backup '%s'", b->id);
	progress_free(j->progress);
	j->progress = NULL;
	output_line(app->out, "%s  decrypted to '%s', %s", b->id, path, format_size(u.done, size));
	output_say(app->out,
		   "  It has what the encryption protected. RESTORE.md in it says how to go on.");
	return output_json(
	    app->out,
	    json_pack("{s:s, s:s, s:I}", "id", b->id, "file", path, "bytes", (json_int_t)u.done),
	    err);
}
