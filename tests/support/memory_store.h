/*
 * A store in memory for tests, which fails on cue. Objects can be looked at and replaced.
 *
 *  1. memory_store_open(&m, &store)      store_free(store) frees both
 *  2. memory_store_fail_write(m, 3)      the third write to an object fails, and all behind it
 *     memory_store_fail_read(m, 2)       the same for reads of ranges; 0: none fails
 */
#ifndef LIFEBOAT_TESTS_MEMORY_STORE_H
#define LIFEBOAT_TESTS_MEMORY_STORE_H

#include "storage/store/store.h"

struct memory_store;
void memory_store_open(struct memory_store **ret, struct store **ret_store);
/* Borrowed until the object changes; NULL: there is none. */
const uint8_t *memory_store_bytes(const struct memory_store *m, const char *name, size_t *ret_len);
/* A copy of `data` becomes the object. */
void memory_store_set(struct memory_store *m, const char *name, const void *data, size_t len);
void memory_store_fail_write(struct memory_store *m, unsigned nth);
void memory_store_fail_read(struct memory_store *m, unsigned nth);
/* Calls fn at the nth write, in whatever thread that is; 0: never. Closing is a write too. */
void memory_store_at_write(struct memory_store *m, unsigned nth, void (*fn)(void));
void memory_store_at_read(struct memory_store *m, unsigned nth, void (*fn)(void));
/* Reads hand out at most so many bytes at a time; 0: no limit. */
void memory_store_chop_reads(struct memory_store *m, size_t bytes);
/* Each write takes so long. */
void memory_store_slow_writes(struct memory_store *m, unsigned ms);
/* Each request for a range takes so long before its first byte; requests side by side wait side by
 * side. */
void memory_store_slow_gets(struct memory_store *m, unsigned ms);
/* Until so many have been open at the same time, requests wait for each other (10 s at most). */
void memory_store_gather_gets(struct memory_store *m, unsigned count);
/* Ranges that were asked for, the bytes of them that were handed out, where the last one began, and
 * how many were open at the same time at most. */
unsigned memory_store_gets(const struct memory_store *m);
uint64_t memory_store_got(const struct memory_store *m);
uint64_t memory_store_last_offset(const struct memory_store *m);
unsigned memory_store_gets_at_once(const struct memory_store *m);
/* Puts that were begun and neither closed nor freed. */
unsigned memory_store_open_puts(const struct memory_store *m);

/* The same as if it were on another machine: calls are tried again, without waiting. */
void memory_store_open_remote(struct memory_store **ret, struct store **ret_store);
/* Another connection to a remote one, to be freed before the first. */
void memory_store_share(struct memory_store *m, struct store **ret_store);

/* The wall clock of the store: what is written from now on was modified then. 0 at first. */
void memory_store_set_time(struct memory_store *m, int64_t now_ms);

enum memory_call { MEMORY_PUT, MEMORY_GET, MEMORY_STAT, MEMORY_LIST, MEMORY_REMOVE, MEMORY_CALLS };
/* The next `times` calls fail with `code` "the store in memory refuses". */
void memory_store_refuse(struct memory_store *m, enum memory_call call, unsigned times,
			 enum err_code code, bool retryable);
/* The call after the next `after` fails. */
void memory_store_refuse_later(struct memory_store *m, enum memory_call call, unsigned after,
			       enum err_code code);
/* The next `times` puts succeed and say that they failed, retryably. */
void memory_store_lose_answers(struct memory_store *m, unsigned times);
/* From now on store_create replaces what is there, as where a store knows no condition. */
void memory_store_weak_create(struct memory_store *m);
unsigned memory_store_calls(const struct memory_store *m, enum memory_call call);
/* The next `sources` each break after so many bytes, retryably. */
void memory_store_break_reads(struct memory_store *m, unsigned sources, size_t after_bytes);

#endif
