/* Encryption and decryption of a whole file as filters. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include "base/flow/age_impl.h"

/* What both have: input that is gathered to a chunk, and output that waits to be taken. */
struct gather {
	uint64_t number;
	size_t have;        /* in `in` */
	size_t made, taken; /* of `out` */
	bool ended;
	uint8_t in[AGE_SEALED_BYTES], out[AGE_SEALED_BYTES];
};

/* Moves input into `in` up to `want` bytes of it; returns how many. */
static size_t fill(struct gather *g, size_t want, const uint8_t *in, size_t in_len)
{
	size_t n = want > g->have ? want - g->have : 0;
	if (n > in_len)
		n = in_len;
	if (n > 0)
		memcpy(g->in + g->have, in, n);
	g->have += n;
	return n;
}

static size_t drain(struct gather *g, uint8_t *out, size_t cap)
{
	size_t n = g->made - g->taken;
	if (n > cap)
		n = cap;
	if (n > 0)
		memcpy(out, g->out + g->taken, n);
	g->taken += n;
	return n;
}

/* ---- encryption ---- */

struct encrypt {
	uint8_t key[AGE_KEY_BYTES];
	struct buf head; /* header and nonce */
	size_t head_taken;
	struct gather g;
};

static int encrypt_step(void *self, const uint8_t *in, size_t in_len, bool last, size_t *ret_used,
			uint8_t *out, size_t out_cap, size_t *ret_made,
			enum filter_state *ret_state, struct err *err)
{
	struct encrypt *e = self;
	struct gather *g = &e->g;
	size_t used = 0, made = e->head.len - e->head_taken;
	if (made > out_cap)
		made = out_cap;
	if (made > 0)
		memcpy(out, e->head.data + e->head_taken, made);
	e->head_taken += made;
	for (;;) {
		made += drain(g, out + made, out_cap - made);
		if (g->taken < g->made || e->head_taken < e->head.len || g->ended)
			break;
		used += fill(g, AGE_CHUNK_BYTES, in + used, in_len - used);
		/* A full chunk waits: only what follows says that it is not the last. */
		bool more = used < in_len;
		if (!more && !last)
			break;
		if (age_chunk_seal(e->key, g->number, !more, g->in, g->have, g->out, err) < 0)
			return -1;
		g->number++;
		g->made = g->have + AGE_TAG_BYTES;
		g->taken = g->have = 0;
		g->ended = !more;
	}
	*ret_used = used;
	*ret_made = made;
	*ret_state = g->taken < g->made || e->head_taken < e->head.len ? FILTER_FULL
		     : g->ended                                        ? FILTER_BETWEEN
								       : FILTER_INSIDE;
	return 0;
}

static void encrypt_free(void *self)
{
	struct encrypt *e = self;
	buf_done(&e->head);
	OPENSSL_cleanse(e, sizeof *e);
	free(e);
}

static const struct filter_ops encrypt_ops = {.step = encrypt_step, .free = encrypt_free};

static int begin_encrypt(struct encrypt *e, const struct age_recipients *r, struct err *err)
{
	uint8_t file_key[AGE_FILE_KEY_BYTES], nonce[AGE_NONCE_BYTES];
	int rc = -1;
	buf_init(&e->head, AGE_HEADER_MAX);
	if (r->count == 0)
		return err_set(err, ERR_USAGE, "encryption to no recipient");
	if (age_random(file_key, sizeof file_key, err) == 0 &&
	    age_random(nonce, sizeof nonce, err) == 0 &&
	    age_header_write(r, file_key, &e->head, err) == 0 &&
	    buf_append(&e->head, nonce, sizeof nonce, err) == 0)
		rc = age_payload_key(file_key, nonce, e->key, err);
	OPENSSL_cleanse(file_key, sizeof file_key);
	return rc;
}

int filter_age_encrypt(const struct age_recipients *r, struct filter **ret, struct err *err)
{
	struct encrypt *e = mem_zalloc(sizeof *e, "encryption", err);
	if (e == NULL)
		return -1;
	if (begin_encrypt(e, r, err) < 0) {
		encrypt_free(e);
		return err_wrap(err, "encryption");
	}
	return filter_new(&encrypt_ops, e, ret, err);
}

/* ---- decryption ---- */

struct decrypt {
	uint8_t (*identities)[AGE_KEY_BYTES]; /* until the header is read */
	size_t identity_count;
	struct buf head; /* until the header is whole */
	bool opened;
	struct age_file file;
	struct gather g;
};

/* Header and nonce; what follows them stays input. Sets `opened` when both are there. */
static int read_head(struct decrypt *d, const uint8_t *in, size_t in_len, size_t *ret_used,
		     struct err *err)
{
	CLEANUP(age_header_done) struct age_header h = {0};
	const struct age_identities i = {.keys = d->identities, .count = d->identity_count};
	size_t before = d->head.len, room = d->head.max - before;
	size_t n = in_len < room ? in_len : room, header;
	if (buf_append(&d->head, in, n, err) < 0 ||
	    age_header_parse(d->head.data, d->head.len, &header, &h, err) < 0)
		return -1;
	*ret_used = n;
	size_t whole = header + AGE_NONCE_BYTES;
	if (header == 0 || d->head.len < whole)
		return 0;
	if (age_open(&i, d->head.data, d->head.len, &d->file, err) < 0)
		return -1;
	/* The head was not whole before this input, so the rest of it is input. */
	*ret_used = whole - before;
	d->opened = true;
	return 0;
}

static int decrypt_chunks(struct decrypt *d, const uint8_t *in, size_t in_len, bool last,
			  size_t *ret_used, uint8_t *out, size_t out_cap, size_t *ret_made,
			  struct err *err)
{
	struct gather *g = &d->g;
	size_t used = 0, made = 0;
	for (;;) {
		made += drain(g, out + made, out_cap - made);
		if (g->taken < g->made || g->ended)
			break;
		used += fill(g, AGE_SEALED_BYTES, in + used, in_len - used);
		bool more = used < in_len;
		if (!more && !last)
			break;
		if (age_unseal(&d->file, g->number, !more, g->in, g->have, g->out, &g->made, err) <
		    0)
			return -1;
		g->number++;
		g->taken = g->have = 0;
		g->ended = !more;
	}
	*ret_used = used;
	*ret_made = made;
	return 0;
}

static int decrypt_step(void *self, const uint8_t *in, size_t in_len, bool last, size_t *ret_used,
			uint8_t *out, size_t out_cap, size_t *ret_made,
			enum filter_state *ret_state, struct err *err)
{
	struct decrypt *d = self;
	struct gather *g = &d->g;
	size_t head = 0, used = 0, made = 0;
	if (!d->opened && in_len > 0 && read_head(d, in, in_len, &head, err) < 0)
		return -1;
	if (d->opened &&
	    decrypt_chunks(d, in + head, in_len - head, last, &used, out, out_cap, &made, err) < 0)
		return -1;
	*ret_used = head + used;
	*ret_made = made;
	*ret_state = g->taken < g->made ? FILTER_FULL : g->ended ? FILTER_BETWEEN : FILTER_INSIDE;
	return 0;
}

static void decrypt_free(void *self)
{
	struct decrypt *d = self;
	if (d->identities != NULL)
		OPENSSL_cleanse(d->identities, d->identity_count * AGE_KEY_BYTES);
	free(d->identities);
	buf_done(&d->head);
	OPENSSL_cleanse(d, sizeof *d);
	free(d);
}

static const struct filter_ops decrypt_ops = {.step = decrypt_step, .free = decrypt_free};

int filter_age_decrypt(const struct age_identities *i, struct filter **ret, struct err *err)
{
	struct decrypt *d = mem_zalloc(sizeof *d, "decryption", err);
	if (d == NULL)
		return -1;
	buf_init(&d->head, AGE_HEADER_MAX + AGE_NONCE_BYTES);
	d->identities = mem_zalloc((i->count + 1) * AGE_KEY_BYTES, "decryption", err);
	if (d->identities == NULL) {
		decrypt_free(d);
		return -1;
	}
	if (i->count > 0)
		memcpy(d->identities, i->keys, i->count * AGE_KEY_BYTES);
	d->identity_count = i->count;
	return filter_new(&decrypt_ops, d, ret, err);
}
