/* The object in the store that an archive becomes: as it is, or encrypted on its way there. */
#include "base/digest.h"
#include "snapshot/snapshot.h"

static void count_stored(void *ctx, size_t n)
{
	struct snapshot *s = ctx;
	s->stored_bytes += n;
}

/* Digest and count of what goes to `object` (taken). */
static int measure(struct snapshot *s, struct sink *object, struct sink **ret, struct err *err)
{
	struct sink *digest, *meter, *both;
	if (sha256_new(&s->stored, err) < 0 || sink_sha256(s->stored, &digest, err) < 0) {
		sink_free(object);
		return -1;
	}
	if (sink_both(digest, object, &both, err) < 0)
		return -1;
	if (sink_meter(count_stored, s, &meter, err) < 0) {
		sink_free(both);
		return -1;
	}
	return sink_both(meter, both, ret, err);
}

int snapshot_object(struct snapshot *s, const char *name, struct sink **ret, struct err *err)
{
	struct sink *object, *measured;
	struct filter *encryption;
	if (s->job->recipients == NULL)
		return store_create(s->job->store, name, ret, err);
	if (filter_age_encrypt(s->job->recipients, &encryption, err) < 0)
		return -1;
	if (store_create(s->job->store, name, &object, err) < 0 ||
	    measure(s, object, &measured, err) < 0) {
		filter_free(encryption);
		return -1;
	}
	return sink_filtered(encryption, measured, ret, err);
}

void snapshot_object_totals(struct snapshot *s, struct writer_totals *totals)
{
	if (s->stored == NULL)
		return;
	totals->stored_bytes = s->stored_bytes;
	sha256_hex(s->stored, totals->sha256);
}

int snapshot_recipients(const struct snapshot *s, json_t **ret, struct err *err)
{
	const struct age_recipients *r = s->job->recipients;
	if (r == NULL) {
		*ret = NULL;
		return 0;
	}
	CLEANUP(json_freep) json_t *list = json_array();
	for (size_t i = 0; i < r->count; i++) {
		char text[AGE_RECIPIENT_BYTES];
		age_recipient_text(r->keys[i], text);
		if (json_push(list, json_string(text), err) < 0)
			return -1;
	}
	*ret = list;
	list = NULL;
	return 0;
}
