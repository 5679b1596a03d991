/* Whole files of age in memory, for tests: encrypted and decrypted through the filters. */
#ifndef LIFEBOAT_TESTS_AGE_CASE_H
#define LIFEBOAT_TESTS_AGE_CASE_H

#include <stdlib.h>
#include <string.h>
#include "base/flow/age.h"
#include "base/flow/sink.h"
#include "base/flow/source.h"

struct age_pair { /* a key pair */
	struct age_identities i;
	struct age_recipients r;
	char identity[AGE_IDENTITY_BYTES], recipient[AGE_RECIPIENT_BYTES];
};

static inline int age_pair_make(struct age_pair *p, struct err *err)
{
	*p = (struct age_pair){.i = {.keys = NULL}};
	if (age_keygen(p->identity, p->recipient, err) < 0 ||
	    age_identities_add(&p->i, p->identity, err) < 0)
		return -1;
	return age_recipients_add(&p->r, p->recipient, err);
}

static inline void age_pair_done(struct age_pair *p)
{
	age_identities_done(&p->i);
	age_recipients_done(&p->r);
}

/* Written in pieces of `piece` bytes (0: at once); appends to out. */
static inline int age_encrypt_all(const struct age_recipients *r, const void *data, size_t len,
				  size_t piece, struct buf *out, struct err *err)
{
	CLEANUP(sink_freep) struct sink *s = NULL;
	struct filter *f;
	struct sink *to;
	if (sink_buf(out, &to, err) < 0)
		return -1;
	if (filter_age_encrypt(r, &f, err) < 0) {
		sink_free(to);
		return -1;
	}
	if (sink_filtered(f, to, &s, err) < 0)
		return -1;
	const uint8_t *from = data;
	for (size_t at = 0, n; at < len; at += n) {
		n = piece > 0 && piece < len - at ? piece : len - at;
		if (sink_write(s, from + at, n, err) < 0)
			return -1;
	}
	return sink_close(s, err);
}

static inline int age_decrypt_sink(const struct age_identities *i, const void *data, size_t len,
				   size_t piece, struct buf *out, struct err *err)
{
	CLEANUP(sink_freep) struct sink *s = NULL;
	struct filter *f;
	struct sink *to;
	if (sink_buf(out, &to, err) < 0)
		return -1;
	if (filter_age_decrypt(i, &f, err) < 0) {
		sink_free(to);
		return -1;
	}
	if (sink_filtered(f, to, &s, err) < 0)
		return -1;
	const uint8_t *from = data;
	for (size_t at = 0, n; at < len; at += n) {
		n = piece > 0 && piece < len - at ? piece : len - at;
		if (sink_write(s, from + at, n, err) < 0)
			return -1;
	}
	return sink_close(s, err);
}

static inline int age_decrypt_all(const struct age_identities *i, const void *data, size_t len,
				  struct buf *out, struct err *err)
{
	CLEANUP(source_freep) struct source *s = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	struct filter *f;
	struct source *from;
	if (sink_buf(out, &to, err) < 0 || source_memory(data, len, &from, err) < 0)
		return -1;
	if (filter_age_decrypt(i, &f, err) < 0) {
		source_free(from);
		return -1;
	}
	if (source_filtered(from, f, &s, err) < 0)
		return -1;
	return flow_copy(s, to, NULL, err);
}

/* `len` bytes that look like none other. */
static inline void age_fill(uint8_t *data, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		data[i] = (uint8_t)(seed >> 24);
	}
}

#endif
