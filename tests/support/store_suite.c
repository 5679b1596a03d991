#include "tests/support/store_suite.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "storage/catalog.h"
#include "storage/store/lease.h"
#include "storage/sidecar.h"

enum { BIG_BYTES = 20 << 20, READERS = 4 };

struct room {
	const struct store_suite *suite;
	char folder[32];
	struct store *store;
	struct err err;
};

static struct store *connect_to(struct room *r)
{
	struct store *s = NULL;
	if (r->suite->open(r->suite->ctx, r->folder, &s, &r->err) < 0)
		fail_msg("%s", r->err.msg);
	return s;
}

static int setup(void **state)
{
	static unsigned folders;
	struct room *r = calloc(1, sizeof *r);
	assert_non_null(r);
	r->suite = *state;
	snprintf(r->folder, sizeof r->folder, "suite-%u", ++folders);
	r->store = connect_to(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct room *r = *state;
	store_free(r->store);
	free(r);
	return 0;
}

/* What failed says why. */
static void ok(struct room *r, int rc)
{
	if (rc != 0)
		fail_msg("%s (%s)", r->err.msg, err_code_name(r->err.code));
}

static void assert_failed(struct room *r, int rc, enum err_code code)
{
	assert_int_equal(rc, -1);
	if (r->err.code != code)
		fail_msg("'%s' is '%s', not '%s'", r->err.msg, err_code_name(r->err.code),
			 err_code_name(code));
	err_clear(&r->err);
}

static void put(struct room *r, const char *name, const char *text)
{
	ok(r, store_put_bytes(r->store, name, text, strlen(text), &r->err));
}

/* Begun and written, neither closed nor freed. */
static struct sink *begin(struct room *r, struct store *s, bool fresh, const char *name,
			  const char *text)
{
	struct sink *object = NULL;
	ok(r, (fresh ? store_create : store_put)(s, name, &object, &r->err));
	ok(r, sink_write(object, text, strlen(text), &r->err));
	return object;
}

static void assert_content(struct room *r, const char *name, const char *text)
{
	struct buf b;
	buf_init(&b, 1 << 20);
	ok(r, store_get_bytes(r->store, name, &b, &r->err));
	assert_string_equal(buf_text(&b), text);
	buf_done(&b);
}

/* An error of a range may come with the range or with its bytes. */
static int read_range(struct store *s, const char *name, uint64_t offset, uint64_t len,
		      uint8_t *out, size_t cap, size_t *ret_n, struct err *err)
{
	CLEANUP(source_freep) struct source *object = NULL;
	if (store_get(s, name, offset, len, &object, err) < 0)
		return -1;
	return source_read_full(object, out, cap, ret_n, err);
}

static void assert_range(struct room *r, const char *name, uint64_t offset, uint64_t len,
			 const char *text)
{
	uint8_t got[64];
	size_t n = 0;
	ok(r, read_range(r->store, name, offset, len, got, sizeof got, &n, &r->err));
	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, n);
}

static void assert_no_range(struct room *r, const char *name, uint64_t offset, uint64_t len,
			    enum err_code code)
{
	uint8_t got[64];
	size_t n = 0;
	int rc = read_range(r->store, name, offset, len, got, sizeof got, &n, &r->err);
	assert_failed(r, rc, code);
}

/* The names, with a space behind each. */
static void assert_names(struct room *r, const char *prefix, const char *names)
{
	struct store_objects found = {0};
	char got[512] = "";
	size_t len = 0;
	ok(r, store_list(r->store, prefix, &found, &r->err));
	for (size_t i = 0; i < found.count && len < sizeof got; i++)
		len += (size_t)snprintf(got + len, sizeof got - len, "%s ", found.items[i].name);
	store_objects_done(&found);
	assert_string_equal(got, names);
}

/* Bytes that no compression and no shift leaves the same. */
static uint8_t byte_at(uint64_t i)
{
	uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint8_t)(x >> 56);
}

static void assert_bytes_at(uint64_t offset, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != byte_at(offset + i))
			fail_msg("byte %llu is another", (unsigned long long)(offset + i));
}

/* ---- whole objects ---- */

static void put__closed__is_there(void **state)
{
	struct room *r = *state;
	put(r, "hdms.tar.zst", "hello");
	assert_content(r, "hdms.tar.zst", "hello");
	assert_names(r, "", "hdms.tar.zst ");
}

static void put__of_nothing__is_an_empty_object(void **state)
{
	struct room *r = *state;
	struct store_object o;
	put(r, "empty", "");
	assert_content(r, "empty", "");
	ok(r, store_stat(r->store, "empty", &o, &r->err));
	assert_int_equal(o.bytes, 0);
	assert_range(r, "empty", 0, 0, "");
	assert_no_range(r, "empty", 0, 1, ERR_CORRUPT);
	assert_names(r, "", "empty ");
}

static void put__not_closed__is_not_there(void **state)
{
	struct room *r = *state;
	struct store_object o;
	struct sink *object = begin(r, r->store, false, "x", "half");
	assert_names(r, "", "");
	assert_failed(r, store_stat(r->store, "x", &o, &r->err), ERR_ABSENT);
	sink_free(object);
	assert_names(r, "", "");
	assert_failed(r, store_stat(r->store, "x", &o, &r->err), ERR_ABSENT);
	assert_no_range(r, "x", 0, UINT64_MAX, ERR_ABSENT);
}

static void put__not_written_and_freed__is_not_there(void **state)
{
	struct room *r = *state;
	struct sink *object = NULL;
	ok(r, store_put(r->store, "x", &object, &r->err));
	sink_free(object);
	assert_names(r, "", "");
}

static void put__existing__replaces_it_when_closed(void **state)
{
	struct room *r = *state;
	put(r, "x", "old and long");
	struct sink *object = begin(r, r->store, false, "x", "new");
	assert_content(r, "x", "old and long");
	ok(r, sink_close(object, &r->err));
	sink_free(object);
	assert_content(r, "x", "new");
	assert_names(r, "", "x ");
}

static void put__existing_and_freed__leaves_the_old_one(void **state)
{
	struct room *r = *state;
	put(r, "x", "old");
	sink_free(begin(r, r->store, false, "x", "new"));
	assert_content(r, "x", "old");
}

static void put__again_after_an_abort__is_there(void **state)
{
	struct room *r = *state;
	sink_free(begin(r, r->store, false, "x", "half"));
	put(r, "x", "whole");
	assert_content(r, "x", "whole");
}

static void put__big_and_of_unknown_length__comes_back(void **state)
{
	struct room *r = *state;
	enum { PIECE = 300007 };
	uint8_t *piece = malloc(PIECE);
	struct sink *to = NULL;
	struct source *from = NULL;
	struct store_object o;
	size_t n = 1;
	assert_non_null(piece);
	ok(r, store_put(r->store, "big", &to, &r->err));
	for (size_t at = 0; at < BIG_BYTES; at += n) {
		n = BIG_BYTES - at < PIECE ? BIG_BYTES - at : PIECE;
		for (size_t i = 0; i < n; i++)
			piece[i] = byte_at(at + i);
		ok(r, sink_write(to, piece, n, &r->err));
	}
	ok(r, sink_close(to, &r->err));
	sink_free(to);
	ok(r, store_stat(r->store, "big", &o, &r->err));
	assert_int_equal(o.bytes, BIG_BYTES);
	ok(r, store_get(r->store, "big", 0, UINT64_MAX, &from, &r->err));
	for (size_t at = 0; n > 0; at += n) {
		ok(r, source_read(from, piece, PIECE, &n, &r->err));
		assert_bytes_at(at, piece, n);
	}
	assert_int_equal(source_bytes(from), BIG_BYTES);
	source_free(from);
	free(piece);
}

/* ---- creating ---- */

static void create__a_new_name__is_there(void **state)
{
	struct room *r = *state;
	ok(r, store_create_bytes(r->store, "x", "1", 1, &r->err));
	assert_content(r, "x", "1");
	sink_free(begin(r, r->store, true, "y", "half"));
	assert_names(r, "", "x ");
	ok(r, store_create_bytes(r->store, "y", "2", 1, &r->err));
	assert_content(r, "y", "2");
}

static void create__an_existing_name__is_refused(void **state)
{
	struct room *r = *state;
	put(r, "x", "first");
	assert_failed(r, store_create_bytes(r->store, "x", "second", 6, &r->err), ERR_EXISTS);
	assert_content(r, "x", "first");
	assert_names(r, "", "x ");
	ok(r, store_remove(r->store, "x", &r->err));
	ok(r, store_create_bytes(r->store, "x", "third", 5, &r->err));
	assert_content(r, "x", "third");
}

static void create__raced_by_two_agents__has_one_winner(void **state)
{
	struct room *r = *state;
	struct store *other = connect_to(r);
	struct sink *first = begin(r, r->store, true, "x", "first"), *second = NULL;
	int rc = store_create(other, "x", &second, &r->err);
	if (rc == 0)
		rc = sink_write(second, "second", 6, &r->err);
	/* One that locks may say so at once. */
	if (rc < 0)
		assert_int_equal(r->err.code, ERR_LOCKED);
	ok(r, sink_close(first, &r->err));
	sink_free(first);
	if (rc == 0) {
		rc = sink_close(second, &r->err);
		if (!r->suite->create_is_weak)
			assert_failed(r, rc, ERR_EXISTS);
	}
	sink_free(second);
	if (!r->suite->create_is_weak)
		assert_content(r, "x", "first");
	assert_names(r, "", "x ");
	store_free(other);
}

/* ---- two agents ---- */

static void put__by_one_agent__is_seen_by_another(void **state)
{
	struct room *r = *state;
	struct store *other = connect_to(r);
	ok(r, store_put_bytes(other, "x", "theirs", 6, &r->err));
	assert_content(r, "x", "theirs");
	ok(r, store_remove(other, "x", &r->err));
	store_free(other);
	assert_no_range(r, "x", 0, UINT64_MAX, ERR_ABSENT);
}

/* ---- lists ---- */

static void list__empty__is_nothing(void **state)
{
	struct room *r = *state;
	assert_names(r, "", "");
	assert_names(r, "x", "");
}

static void list__by_prefix__is_sorted(void **state)
{
	struct room *r = *state;
	put(r, "hdms-b.json", "1");
	put(r, "hdms-a.tar.zst", "2");
	put(r, "other-a.json", "3");
	put(r, "HDMS-c", "4");
	put(r, "hdms-a", "5");
	assert_names(r, "", "HDMS-c hdms-a hdms-a.tar.zst hdms-b.json other-a.json ");
	assert_names(r, "hdms-", "hdms-a hdms-a.tar.zst hdms-b.json ");
	assert_names(r, "hdms-a", "hdms-a hdms-a.tar.zst ");
	assert_names(r, "hdms-a.tar.zst.age", "");
}

static void list__foreign_names__are_not_seen(void **state)
{
	struct room *r = *state;
	static const char *const foreign[] = {".hidden", "with space", "a%b&c<d>\"e'+=,;",
					      "\xc3\xbcml\xc3\xa4ut", "x.part"};
	if (r->suite->plant == NULL)
		skip();
	put(r, "x", "ours");
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
		r->suite->plant(r->suite->ctx, r->folder, foreign[i]);
	assert_names(r, "", "x ");
	assert_content(r, "x", "ours");
}

static void list__many__has_all_with_their_sizes(void **state)
{
	struct room *r = *state;
	static const char text[] = "0123456789";
	unsigned many = r->suite->many > 0 ? r->suite->many : 30;
	struct store_objects found = {0};
	char name[32];
	for (unsigned i = 0; i < many; i++) {
		snprintf(name, sizeof name, "many-%05u", i);
		ok(r, store_put_bytes(r->store, name, text, i % 10, &r->err));
	}
	int64_t now = clock_wall_ms();
	ok(r, store_list(r->store, "many-", &found, &r->err));
	assert_int_equal(found.count, many);
	for (unsigned i = 0; i < many; i++) {
		snprintf(name, sizeof name, "many-%05u", i);
		assert_string_equal(found.items[i].name, name);
		assert_int_equal(found.items[i].bytes, i % 10);
		assert_true(llabs(found.items[i].modified_ms - now) < 600000);
	}
	store_objects_done(&found);
	assert_names(r, "many-00007", "many-00007 ");
}

static void stat__of_what_is_there__has_size_and_time(void **state)
{
	struct room *r = *state;
	struct store_object o;
	put(r, "x", "12345");
	ok(r, store_stat(r->store, "x", &o, &r->err));
	assert_string_equal(o.name, "x");
	assert_int_equal(o.bytes, 5);
	assert_true(llabs(o.modified_ms - clock_wall_ms()) < 600000);
}

static void absent__of_everything__is_said(void **state)
{
	struct room *r = *state;
	struct store_object o;
	struct buf b;
	buf_init(&b, 100);
	ok(r, buf_puts(&b, "kept", &r->err));
	assert_failed(r, store_stat(r->store, "x", &o, &r->err), ERR_ABSENT);
	assert_no_range(r, "x", 0, UINT64_MAX, ERR_ABSENT);
	assert_no_range(r, "x", 3, 4, ERR_ABSENT);
	assert_failed(r, store_get_bytes(r->store, "x", &b, &r->err), ERR_ABSENT);
	assert_string_equal(buf_text(&b), "kept");
	buf_done(&b);
}

/* ---- reading ---- */

static void get__ranges__are_exact(void **state)
{
	struct room *r = *state;
	put(r, "x", "0123456789");
	assert_range(r, "x", 0, UINT64_MAX, "0123456789");
	assert_range(r, "x", 0, 10, "0123456789");
	assert_range(r, "x", 0, 1, "0");
	assert_range(r, "x", 3, 4, "3456");
	assert_range(r, "x", 9, 1, "9");
	assert_range(r, "x", 4, UINT64_MAX, "456789");
	assert_range(r, "x", 9, UINT64_MAX, "9");
	assert_range(r, "x", 5, 0, "");
	assert_range(r, "x", 10, 0, "");
	assert_range(r, "x", 10, UINT64_MAX, "");
}

static void get__beyond_the_end__is_corrupt(void **state)
{
	struct room *r = *state;
	put(r, "x", "0123456789");
	assert_no_range(r, "x", 0, 11, ERR_CORRUPT);
	assert_no_range(r, "x", 9, 2, ERR_CORRUPT);
	assert_no_range(r, "x", 10, 1, ERR_CORRUPT);
	assert_no_range(r, "x", 11, 1, ERR_CORRUPT);
	assert_no_range(r, "x", 11, UINT64_MAX, ERR_CORRUPT);
	assert_range(r, "x", 8, 2, "89");
}

static void get__given_up_in_the_middle__harms_nothing(void **state)
{
	struct room *r = *state;
	enum { BYTES = 3 << 20 };
	uint8_t *data = malloc(BYTES);
	struct source *from = NULL;
	size_t n = 0;
	assert_non_null(data);
	for (size_t i = 0; i < BYTES; i++)
		data[i] = byte_at(i);
	ok(r, store_put_bytes(r->store, "x", data, BYTES, &r->err));
	ok(r, store_get(r->store, "x", 0, UINT64_MAX, &from, &r->err));
	ok(r, source_read(from, data, 100, &n, &r->err));
	assert_true(n > 0);
	assert_bytes_at(0, data, n);
	source_free(from);
	ok(r, read_range(r->store, "x", BYTES - 5, 5, data, 10, &n, &r->err));
	assert_int_equal(n, 5);
	assert_bytes_at(BYTES - 5, data, 5);
	free(data);
}

static void get_bytes__more_than_the_buffer_takes__is_a_limit(void **state)
{
	struct room *r = *state;
	struct buf b;
	buf_init(&b, 8);
	put(r, "x", "0123456789");
	ok(r, buf_puts(&b, "kept", &r->err));
	assert_failed(r, store_get_bytes(r->store, "x", &b, &r->err), ERR_LIMIT);
	assert_string_equal(buf_text(&b), "kept");
	buf_done(&b);
	assert_content(r, "x", "0123456789");
}

struct reader {
	struct store *store;
	uint64_t offset;
	struct err err;
	bool wrong;
};

static void *read_pieces(void *arg)
{
	struct reader *q = arg;
	uint8_t got[5000];
	size_t n;
	for (unsigned i = 0; i < 8 && q->err.code == ERR_NONE; i++) {
		uint64_t at = q->offset + i * sizeof got;
		if (read_range(q->store, "x", at, sizeof got, got, sizeof got, &n, &q->err) < 0)
			return NULL;
		for (size_t k = 0; k < sizeof got; k++)
			q->wrong |= n != sizeof got || got[k] != byte_at(at + k);
	}
	return NULL;
}

static void get__by_several_threads__gives_each_its_own(void **state)
{
	struct room *r = *state;
	enum { BYTES = 400000 };
	uint8_t *data = malloc(BYTES);
	struct reader readers[READERS];
	pthread_t threads[READERS];
	assert_non_null(data);
	for (size_t i = 0; i < BYTES; i++)
		data[i] = byte_at(i);
	ok(r, store_put_bytes(r->store, "x", data, BYTES, &r->err));
	free(data);
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.store = r->store, .offset = i * 90000u};
		assert_int_equal(pthread_create(&threads[i], NULL, read_pieces, &readers[i]), 0);
	}
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (unsigned i = 0; i < READERS; i++) {
		assert_string_equal(readers[i].err.msg, "");
		assert_false(readers[i].wrong);
	}
}

/* ---- removing ---- */

static void remove__what_is_there__is_gone(void **state)
{
	struct room *r = *state;
	put(r, "x", "1");
	put(r, "xy", "2");
	ok(r, store_remove(r->store, "x", &r->err));
	assert_names(r, "", "xy ");
}

static void remove__absent__is_fine(void **state)
{
	struct room *r = *state;
	ok(r, store_remove(r->store, "x", &r->err));
	put(r, "x", "1");
	ok(r, store_remove(r->store, "x", &r->err));
	ok(r, store_remove(r->store, "x", &r->err));
}

static void names__that_can_not_be__are_refused(void **state)
{
	struct room *r = *state;
	static const char *const bad[] = {"",         ".",     "..",     ".hidden", "a/b",   "../x",
					  "a b",      "a%2fb", "x.part", "a\nb",    "x?y=1", "x#y",
					  "\xc3\xbc", "a'b",   "a\"b",   "a\\b",    "*"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct sink *to = NULL;
		struct source *from = NULL;
		struct store_object o;
		assert_failed(r, store_put(r->store, bad[i], &to, &r->err), ERR_USAGE);
		assert_failed(r, store_create(r->store, bad[i], &to, &r->err), ERR_USAGE);
		assert_failed(r, store_get(r->store, bad[i], 0, 1, &from, &r->err), ERR_USAGE);
		assert_failed(r, store_stat(r->store, bad[i], &o, &r->err), ERR_USAGE);
		assert_failed(r, store_remove(r->store, bad[i], &r->err), ERR_USAGE);
	}
}

static void names__of_all_that_may_be__are_taken(void **state)
{
	struct room *r = *state;
	char longest[STORE_NAME_MAX + 1], listed[STORE_NAME_MAX + 2];
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	put(r, "ABCXYZabcxyz0189._-", "1");
	put(r, "_-.part.x", "2");
	put(r, "-rf", "3");
	put(r, longest, "4");
	assert_content(r, "ABCXYZabcxyz0189._-", "1");
	assert_content(r, "_-.part.x", "2");
	assert_content(r, "-rf", "3");
	assert_content(r, longest, "4");
	snprintf(listed, sizeof listed, "%s ", longest);
	assert_names(r, "x", listed);
	ok(r, store_remove(r->store, "-rf", &r->err));
	ok(r, store_remove(r->store, longest, &r->err));
	assert_names(r, "", "ABCXYZabcxyz0189._- _-.part.x ");
}

/* ---- sweeping ---- */

#define ID1 "20261121T020000Z-aaaa"
#define ID2 "20261122T020000Z-bbbb"

static void assert_swept(struct room *r, const char *stack, bool dry_run, size_t count)
{
	struct strlist swept = {0};
	ok(r, store_sweep(r->store, stack, dry_run, &swept, &r->err));
	assert_int_equal(swept.count, count);
	for (size_t i = 0; i < count; i++)
		assert_non_null(strstr(swept.items[i], ID1));
	strlist_done(&swept);
}

static void leave(struct room *r, const char *name)
{
	r->suite->leave(r->suite->ctx, r->folder, name);
}

static void sweep__leftovers__are_removed_by_stack(void **state)
{
	struct room *r = *state;
	if (r->suite->leave == NULL)
		skip();
	put(r, "hdms-" ID2 ".json", "1");
	leave(r, "hdms-" ID1 ".tar.zst");
	leave(r, "hdms-" ID1 ".json");
	/* Stacks whose names begin in the same way. */
	leave(r, "hdms-eu-" ID1 ".tar.zst");
	leave(r, "hdms2-" ID1 ".tar.zst");
	leave(r, "hdms.eu-" ID1 ".tar.zst");
	assert_swept(r, "other", false, 0);
	assert_swept(r, "hdm", false, 0);
	assert_swept(r, "hdms", true, 2);
	assert_swept(r, "hdms", true, 2);
	assert_swept(r, "hdms-eu", false, 1);
	assert_swept(r, "hdms", true, 2);
	ok(r, store_sweep(r->store, "hdms", false, NULL, &r->err));
	assert_swept(r, "hdms", true, 0);
	assert_swept(r, "hdms2", true, 1);
	assert_swept(r, "hdms.eu", true, 1);
	assert_names(r, "", "hdms-" ID2 ".json ");
}

static void sweep__while_one_writes__leaves_it(void **state)
{
	struct room *r = *state;
	struct store *other = connect_to(r);
	struct sink *object = begin(r, other, false, "hdms-" ID1 ".json", "so far");
	assert_swept(r, "hdms", false, 0);
	ok(r, sink_write(object, " and on", 7, &r->err));
	ok(r, sink_close(object, &r->err));
	sink_free(object);
	store_free(other);
	assert_content(r, "hdms-" ID1 ".json", "so far and on");
}

/* ---- two stacks in one store, the name of one the beginning of the other's ---- */

static void put_backup(struct room *r, const char *stack, const char *id)
{
	char archive[201], sidecar[201], verdict[201], *text = NULL;
	json_t *j = NULL, *names = json_pack("[s]", "redis");
	ok(r, catalog_archive_name(stack, id, archive, &r->err));
	ok(r, catalog_sidecar_name(stack, id, sidecar, &r->err));
	ok(r, catalog_verdict_name(stack, id, INT64_C(1795000000000), verdict, &r->err));
	struct sidecar s = {.stack = stack,
			    .id = id,
			    .archive = archive,
			    .bytes = 5,
			    .sha256 =
				"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
			    .started = "2026-11-22T02:00:00Z",
			    .finished = "2026-11-22T02:00:00Z",
			    .lifeboat_version = "0.2.0",
			    .components = names};
	ok(r, sidecar_json(&s, &j, &r->err));
	ok(r, json_text(j, false, &text, &r->err));
	put(r, archive, "hello");
	put(r, sidecar, text);
	put(r, verdict, "{}");
	free(text);
	json_decref(j);
	json_decref(names);
}

static void assert_backups(struct room *r, const char *stack, const char *ids)
{
	CLEANUP(catalog_done) struct catalog c = {0};
	char got[256] = "";
	size_t len = 0;
	ok(r, catalog_load(r->store, stack, &c, &r->err));
	for (size_t i = 0; i < c.count; i++) {
		assert_string_equal(c.items[i].broken, "");
		assert_int_equal(json_array_size(c.items[i].verdicts), 1);
		len += (size_t)snprintf(got + len, sizeof got - len, "%s ", c.items[i].id);
	}
	assert_string_equal(got, ids);
}

/* Each has a lock of its own, and marks that the other's sweep leaves. */
static void assert_own_leases(struct room *r)
{
	CLEANUP(lease_marks_done) struct lease_marks marks = {0};
	CLEANUP(lease_freep) struct lease *mark = NULL;
	CLEANUP(store_unlockp) struct store_lock *ours = NULL;
	CLEANUP(store_unlockp) struct store_lock *theirs = NULL;
	ok(r, store_lock(r->store, "hdms", &ours, &r->err));
	ok(r, store_lock(r->store, "hdms-eu", &theirs, &r->err));
	ok(r, lease_mark(r->store, "hdms-eu-" ID1, "restore", &mark, &r->err));
	ok(r, lease_sweep(r->store, "hdms", false, NULL, &r->err));
	ok(r, lease_find_marks(r->store, "hdms-", &marks, &r->err));
	assert_null(lease_marks_holder(&marks, "hdms-" ID1));
	assert_non_null(lease_marks_holder(&marks, "hdms-eu-" ID1));
	ok(r, store_lock_check(theirs, &r->err));
}

static void stacks__whose_names_begin_alike__never_touch_each_other(void **state)
{
	struct room *r = *state;
	CLEANUP(catalog_done) struct catalog c = {0};
	CLEANUP(store_objects_done) struct store_objects orphans = {0};
	const struct backup *b = NULL;
	put_backup(r, "hdms", ID1);
	put_backup(r, "hdms-eu", ID2);
	put_backup(r, "hdms-eu", ID1);
	put(r, "hdms-eu-20261101T020000Z-cccc.tar.zst", "an orphan");
	assert_backups(r, "hdms", ID1 " ");
	assert_backups(r, "hdms-eu", ID2 " " ID1 " ");
	assert_backups(r, "hdms-e", "");
	ok(r, catalog_orphans(r->store, "hdms", &orphans, &r->err));
	assert_int_equal(orphans.count, 0);
	assert_own_leases(r);
	/* Of two backups of one id that of the stack goes, with all that is its own. */
	ok(r, catalog_load(r->store, "hdms", &c, &r->err));
	ok(r, catalog_find(&c, "latest", &b, &r->err));
	assert_string_equal(b->id, ID1);
	ok(r, catalog_remove(r->store, "hdms", b, &r->err));
	assert_backups(r, "hdms", "");
	assert_backups(r, "hdms-eu", ID2 " " ID1 " ");
	assert_names(r, "hdms-" ID1, "");
	assert_content(r, "hdms-eu-20261101T020000Z-cccc.tar.zst", "an orphan");
}

static void sweep__of_nothing__is_fine(void **state)
{
	struct room *r = *state;
	assert_swept(r, "hdms", false, 0);
}

static void free_bytes__are_some(void **state)
{
	struct room *r = *state;
	uint64_t bytes = 0;
	ok(r, store_free_bytes(r->store, &bytes, &r->err));
	assert_true(bytes > 0);
}

#define TEST(fn)                                                                                   \
	{                                                                                          \
#fn, fn, setup, teardown, NULL                                                     \
	}
static const struct CMUnitTest all[] = {
    TEST(put__closed__is_there),
    TEST(put__of_nothing__is_an_empty_object),
    TEST(put__not_closed__is_not_there),
    TEST(put__not_written_and_freed__is_not_there),
    TEST(put__existing__replaces_it_when_closed),
    TEST(put__existing_and_freed__leaves_the_old_one),
    TEST(put__again_after_an_abort__is_there),
    TEST(put__big_and_of_unknown_length__comes_back),
    TEST(create__a_new_name__is_there),
    TEST(create__an_existing_name__is_refused),
    TEST(create__raced_by_two_agents__has_one_winner),
    TEST(put__by_one_agent__is_seen_by_another),
    TEST(list__empty__is_nothing),
    TEST(list__by_prefix__is_sorted),
    TEST(list__foreign_names__are_not_seen),
    TEST(list__many__has_all_with_their_sizes),
    TEST(stat__of_what_is_there__has_size_and_time),
    TEST(absent__of_everything__is_said),
    TEST(get__ranges__are_exact),
    TEST(get__beyond_the_end__is_corrupt),
    TEST(get__given_up_in_the_middle__harms_nothing),
    TEST(get_bytes__more_than_the_buffer_takes__is_a_limit),
    TEST(get__by_several_threads__gives_each_its_own),
    TEST(remove__what_is_there__is_gone),
    TEST(remove__absent__is_fine),
    TEST(names__that_can_not_be__are_refused),
    TEST(names__of_all_that_may_be__are_taken),
    TEST(stacks__whose_names_begin_alike__never_touch_each_other),
    TEST(sweep__leftovers__are_removed_by_stack),
    TEST(sweep__while_one_writes__leaves_it),
    TEST(sweep__of_nothing__is_fine),
    TEST(free_bytes__are_some),
};

int store_suite_run(const char *name, const struct store_suite *s)
{
	enum { COUNT = sizeof all / sizeof *all };
	struct CMUnitTest tests[COUNT];
	memcpy(tests, all, sizeof all);
	for (size_t i = 0; i < COUNT; i++)
		memcpy(&tests[i].initial_state, &s, sizeof s);
	return _cmocka_run_group_tests(name, tests, COUNT, NULL, NULL);
}
