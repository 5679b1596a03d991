#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "storage/adopt.h"
#include "storage/catalog.h"
#include "storage/store/lease.h"
#include "storage/leftovers.h"
#include "tests/support/small_archive.h"

#define OLD "20261121T020000Z-0001"
#define ID  "20261123T020000Z-3f9c"
#define NEW "20261124T020000Z-0002"
#define DAY INT64_C(86400000)

static struct memory_store *m;
static struct store *store;

static int begin(void **state)
{
	(void)state;
	memory_store_open_remote(&m, &store);
	return 0;
}

static int end(void **state)
{
	(void)state;
	store_free(store);
	return 0;
}

static json_t *whole_manifest(const char *id)
{
	return json_pack(
	    "{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:[s], s:{s:{s:[{s:s, s:{s:i}, s:[{s:i}, "
	    "{s:i}]}]}, s:{s:{s:[{s:i}, {s:i}]}}}}",
	    "format", "lifeboat-archive", "format_version", 1, "id", id, "stack", "hdms", "label",
	    "by hand", "lifeboat_version", "0.1.0", "started", "2026-11-23T02:00:00Z", "finished",
	    "2026-11-23T02:01:00Z", "warnings", "one thing", "components", "postgres", "databases",
	    "name", "hdms_db", "large_objects", "count", 3, "tables", "rows", 40, "rows", 2,
	    "redis", "rdb", "databases", "keys", 5, "keys", 7);
}

/* An archive as a backup leaves it that is killed before its commit. */
static struct writer_totals put_archive(const char *name, const char *id)
{
	struct err err = ERR_INIT;
	struct writer_totals totals;
	struct writer *w = small_open(store, name);
	json_t *manifest = whole_manifest(id);
	must_be_ok(writer_file(w, "RESTORE.md", 0644, "by hand\n", 8, &err), err);
	small_put_stream(w, SMALL_STREAM, "some rows", 9);
	small_put_entry(w, small_entry("volumes/media/a.txt", AE_IFREG), "first", 5);
	small_put_entry(w, small_entry("volumes/media/b.txt", AE_IFREG), "second", 6);
	must_be_ok(writer_close(w, manifest, &totals, &err), err);
	json_decref(manifest);
	writer_free(w);
	return totals;
}

/* A backup that can be used. */
static void put_backup(const char *id)
{
	struct err err = ERR_INIT;
	char name[80];
	json_t *sidecar = NULL;
	snprintf(name, sizeof name, "hdms-%s.tar.zst", id);
	put_archive(name, id);
	const struct adopt_opts opts = {.stack = "hdms", .archive = name};
	must_be_ok(adopt_run(store, &opts, &sidecar, &err), err);
	json_decref(sidecar);
}

static void assert_left(bool all, size_t count, const char *const *names, const char *const *whats,
			const char *const *whys)
{
	struct err err = ERR_INIT;
	struct leftovers found;
	must_be_ok(leftovers_find(store, "hdms", all, &found, &err), err);
	assert_int_equal(found.count, count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(found.items[i].name, names[i]);
		assert_non_null(strstr(found.items[i].what, whats[i]));
		assert_string_equal(found.items[i].why, whys[i] != NULL ? whys[i] : "");
		assert_int_equal(found.items[i].goes, whys[i] == NULL);
	}
	leftovers_done(&found);
}

static const char young[] = "younger than a day: a job of another host may be at work on it";

static void orphan__of_any_age__goes_after_a_day_of_the_store(void **state)
{
	static const char *const names[] = {"hdms-" ID ".drill-20261124T040000Z.json",
					    SMALL_OBJECT};
	static const char *const whats[] = {"evidence of a drill",
					    "whole archive of 1 databases, 42 rows, 12 Redis keys"};
	static const char *const stay[] = {young, young}, *const go[] = {NULL, NULL};
	(void)state;
	memory_store_set_time(m, 5000);
	put_archive(SMALL_OBJECT, ID);
	put_backup(NEW);
	memory_store_set(m, names[0], "{}", 2);
	memory_store_set_time(m, 5000 + DAY - 1);
	assert_left(false, 2, names, whats, stay);
	assert_left(true, 2, names, whats, go);
	memory_store_set_time(m, 5000 + DAY);
	assert_left(false, 2, names, whats, go);
}

static void orphan__newer_than_every_backup__stays_with_its_evidence(void **state)
{
	static const char *const names[] = {"hdms-" ID ".drill-20261124T040000Z.json",
					    SMALL_OBJECT};
	static const char *const whats[] = {"evidence of a drill", "whole archive"};
	static const char *const stay[] = {"newer than every backup", "newer than every backup"};
	(void)state;
	put_archive(SMALL_OBJECT, ID);
	memory_store_set(m, names[0], "{}", 2);
	memory_store_set_time(m, 9 * DAY);
	assert_left(false, 2, names, whats, stay);
	put_backup(OLD);
	memory_store_set_time(m, 19 * DAY);
	assert_left(false, 2, names, whats, stay);
}

/* What holds a part, or looks wrong, stands in for nothing. */
static void orphan__newer_ones_are_partial_or_suspicious__stays(void **state)
{
	static const char *const names[] = {SMALL_OBJECT}, *const whats[] = {"whole archive"},
				 *const stay[] = {"newer than every backup"}, *const go[] = {NULL};
	static const char *const fields[] = {"partial", "suspicious"};
	(void)state;
	struct err err = ERR_INIT;
	put_backup(OLD);
	put_backup(NEW);
	put_archive(SMALL_OBJECT, ID);
	memory_store_set_time(m, 9 * DAY);
	assert_left(false, 1, names, whats, go);
	for (size_t i = 0; i < 2; i++) {
		struct sidecar s;
		CLEANUP(json_freep) json_t *j = NULL;
		CLEANUP(freep) char *was = NULL, *text = NULL;
		must_be_ok(sidecar_load(store, "hdms-" NEW ".json", &j, &s, &err), err);
		must_be_ok(json_text(j, false, &was, &err), err);
		json_object_set_new(j, fields[i], json_true());
		must_be_ok(json_text(j, false, &text, &err), err);
		memory_store_set(m, "hdms-" NEW ".json", text, strlen(text));
		assert_left(false, 1, names, whats, stay);
		memory_store_set(m, "hdms-" NEW ".json", was, strlen(was));
	}
}

static void orphans__more_than_backups__stay(void **state)
{
	static const char *const names[] = {"hdms-20261120T020000Z-0009.tar.zst",
					    "hdms-20261122T020000Z-0009.tar.zst.age"};
	static const char *const whats[] = {"archive that can't be read", "encrypted archive"};
	static const char *const stay[] = {"more archives without a sidecar than backups",
					   "more archives without a sidecar than backups"};
	static const char *const go[] = {NULL, NULL};
	(void)state;
	memory_store_set(m, names[0], "cut", 3);
	memory_store_set(m, names[1], "age", 3);
	put_backup(ID);
	memory_store_set_time(m, 9 * DAY);
	assert_left(false, 2, names, whats, stay);
	put_backup(NEW);
	assert_left(false, 2, names, whats, go);
}

static void orphan__in_use__stays_even_if_all_are_to_go(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct leftovers found;
	struct lease *mark;
	put_archive(SMALL_OBJECT, ID);
	put_backup(NEW);
	memory_store_set_time(m, 9 * DAY);
	must_be_ok(lease_mark(store, "hdms-" ID, "copy", &mark, &err), err);
	must_be_ok(leftovers_find(store, "hdms", true, &found, &err), err);
	assert_int_equal(found.count, 1);
	assert_false(found.items[0].goes);
	assert_memory_equal(found.items[0].why, "in use: host ", 13);
	assert_non_null(strstr(found.items[0].why, "(copy)"));
	leftovers_done(&found);
	lease_free(mark);
}

static void orphan__store_that_can_only_be_read__is_of_unknown_age(void **state)
{
	static const char *const names[] = {SMALL_OBJECT}, *const whats[] = {"whole archive"},
				 *const stay[] = {"its age is not known"};
	(void)state;
	put_archive(SMALL_OBJECT, ID);
	put_backup(NEW);
	memory_store_set_time(m, 9 * DAY);
	memory_store_refuse(m, MEMORY_PUT, 100, ERR_DENIED, false);
	assert_left(false, 1, names, whats, stay);
}

static void leftovers__other_things__are_none(void **state)
{
	static const char *const others[] = {"hdms-2-" ID ".tar.zst", "hdms.lease-000000001",
					     "hdms-" ID ".mark-0123456789abcdef", "hdms-notes",
					     "hdms-" ID ".tar.gz"};
	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		memory_store_set(m, others[i], "{}", 2);
	assert_left(true, 0, NULL, NULL, NULL);
}

/* ---- adopting ---- */

static void adopt__whole_archive__is_a_backup_again(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *json = NULL;
	struct sidecar s;
	struct catalog c;
	struct writer_totals totals = put_archive(SMALL_OBJECT, ID);
	const struct adopt_opts opts = {.stack = "hdms", .archive = SMALL_OBJECT, .pinned = true};
	must_be_ok(adopt_run(store, &opts, &json, &err), err);
	must_be_ok(sidecar_parse(json, &s, &err), err);
	assert_string_equal(s.sha256, totals.sha256);
	assert_int_equal(s.bytes, totals.stored_bytes);
	assert_int_equal(s.raw_bytes, totals.raw_bytes);
	assert_int_equal(s.rows, 42);
	assert_int_equal(s.tables, 2);
	assert_int_equal(s.databases, 1);
	assert_int_equal(s.large_objects, 3);
	assert_int_equal(s.redis_keys, 12);
	assert_int_equal(s.files, 2);
	assert_int_equal(s.warnings, 1);
	assert_int_equal(json_array_size(s.components), 2);
	assert_string_equal(s.label, "by hand");
	assert_true(s.pinned && !s.partial && !s.suspicious);
	json_decref(json);
	must_be_ok(catalog_load(store, "hdms", &c, &err), err);
	assert_int_equal(c.count, 1);
	assert_string_equal(c.items[0].broken, "");
	catalog_done(&c);
	assert_int_equal(adopt_run(store, &opts, &json, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_string_equal(err.msg,
			    "'" SMALL_OBJECT "' has its sidecar: there is nothing to adopt");
}

static void adopt__much_smaller_than_those_before__is_suspicious(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *json = NULL;
	struct sidecar s;
	char *text = NULL;
	size_t len;
	struct adopt_opts opts = {.stack = "hdms",
				  .archive = "hdms-" NEW ".tar.zst",
				  .suspicion = {.history = 5, .rows = 50}};
	put_backup(ID);
	must_be_ok(sidecar_load(store, "hdms-" ID ".json", &json, &s, &err), err);
	json_object_set_new(json_object_get(json, "counts"), "rows", json_integer(1000));
	must_be_ok(json_text(json, false, &text, &err), err);
	memory_store_set(m, "hdms-" ID ".json", text, strlen(text));
	json_decref(json);
	free(text);
	put_archive(opts.archive, NEW);
	must_be_ok(adopt_run(store, &opts, &json, &err), err);
	must_be_ok(sidecar_parse(json, &s, &err), err);
	assert_true(s.suspicious);
	assert_string_equal(json_string_value(json_array_get(s.suspicion, 0)),
			    "rows: 42, where 1000 are normal (median of 1 backup before)");
	json_decref(json);
	/* What came later is no measure. */
	put_archive("hdms-20261119T020000Z-0001.tar.zst", "20261119T020000Z-0001");
	opts.archive = "hdms-20261119T020000Z-0001.tar.zst";
	must_be_ok(adopt_run(store, &opts, &json, &err), err);
	must_be_ok(sidecar_parse(json, &s, &err), err);
	assert_false(s.suspicious);
	json_decref(json);
	assert_non_null(memory_store_bytes(m, "hdms-20261119T020000Z-0001.json", &len));
}

static void adopt__lock_lost_meanwhile__is_no_commit(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *json = NULL;
	struct store_lock *lock = NULL;
	size_t len;
	must_be_ok(store_lock(store, "hdms", &lock, &err), err);
	const struct adopt_opts opts = {.stack = "hdms", .archive = SMALL_OBJECT, .lock = lock};
	put_archive(SMALL_OBJECT, ID);
	memory_store_set(m, "hdms.lease-000000002", "{}", 2);
	assert_int_equal(adopt_run(store, &opts, &json, &err), -1);
	assert_int_equal(err.code, ERR_LOCKED);
	assert_non_null(strstr(err.msg, "the lease was lost"));
	assert_null(memory_store_bytes(m, "hdms-" ID ".json", &len));
	store_unlock(lock);
}

static void assert_refused(const char *archive, enum err_code code, const char *msg)
{
	struct err err = ERR_INIT;
	json_t *json = NULL;
	size_t len;
	const struct adopt_opts opts = {.stack = "hdms", .archive = archive};
	assert_int_equal(adopt_run(store, &opts, &json, &err), -1);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.msg, msg));
	assert_null(memory_store_bytes(m, "hdms-" ID ".json", &len));
}

static void adopt__what_is_no_whole_archive_of_the_stack__is_refused(void **state)
{
	(void)state;
	assert_refused("hdms-2-" ID ".tar.zst", ERR_USAGE, "is no archive of the stack 'hdms'");
	assert_refused("hdms-" ID ".json", ERR_USAGE, "is no archive of the stack 'hdms'");
	assert_refused(SMALL_OBJECT, ERR_ABSENT, "there is no '" SMALL_OBJECT "'");
	put_archive(SMALL_OBJECT, NEW);
	assert_refused(SMALL_OBJECT, ERR_CORRUPT, "holds backup '" NEW "' of stack 'hdms'");
}

static void adopt__a_flipped_byte_anywhere__is_refused(void **state)
{
	(void)state;
	size_t len;
	put_archive(SMALL_OBJECT, ID);
	const uint8_t *data = memory_store_bytes(m, SMALL_OBJECT, &len);
	uint8_t *copy = malloc(len);
	memcpy(copy, data, len);
	/* Behind the frames stands the seek table, of which not every byte means something. */
	for (size_t at = 0; at < len / 2; at += 97) {
		struct err err = ERR_INIT;
		json_t *json = NULL;
		const struct adopt_opts opts = {.stack = "hdms", .archive = SMALL_OBJECT};
		copy[at] ^= 0x10;
		memory_store_set(m, SMALL_OBJECT, copy, len);
		copy[at] ^= 0x10;
		assert_int_equal(adopt_run(store, &opts, &json, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_null(memory_store_bytes(m, "hdms-" ID ".json", &len));
		len = len > 0 ? len : 0;
		memory_store_bytes(m, SMALL_OBJECT, &len);
	}
	free(copy);
}

/* ---- a store that refuses to remove ---- */

static void remove__archive_that_is_locked__stays_a_backup(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct catalog c;
	size_t len;
	put_backup(ID);
	must_be_ok(catalog_load(store, "hdms", &c, &err), err);
	memory_store_refuse(m, MEMORY_REMOVE, 1, ERR_LOCKED, false);
	assert_int_equal(catalog_remove(store, "hdms", &c.items[0], &err), -1);
	assert_int_equal(err.code, ERR_LOCKED);
	assert_non_null(memory_store_bytes(m, SMALL_OBJECT, &len));
	assert_non_null(memory_store_bytes(m, "hdms-" ID ".json", &len));
	catalog_done(&c);
}

static void remove__sidecar_gone_and_archive_locked__sidecar_comes_back(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct catalog c;
	put_backup(ID);
	must_be_ok(catalog_load(store, "hdms", &c, &err), err);
	memory_store_refuse_later(m, MEMORY_REMOVE, 1, ERR_LOCKED);
	assert_int_equal(catalog_remove(store, "hdms", &c.items[0], &err), -1);
	assert_int_equal(err.code, ERR_LOCKED);
	catalog_done(&c);
	must_be_ok(catalog_load(store, "hdms", &c, &err), err);
	assert_int_equal(c.count, 1);
	assert_string_equal(c.items[0].broken, "");
	must_be_ok(catalog_remove(store, "hdms", &c.items[0], &err), err);
	catalog_done(&c);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(orphan__of_any_age__goes_after_a_day_of_the_store),
	    TEST(orphan__newer_than_every_backup__stays_with_its_evidence),
	    TEST(orphan__newer_ones_are_partial_or_suspicious__stays),
	    TEST(orphans__more_than_backups__stay),
	    TEST(orphan__in_use__stays_even_if_all_are_to_go),
	    TEST(orphan__store_that_can_only_be_read__is_of_unknown_age),
	    TEST(leftovers__other_things__are_none),
	    TEST(adopt__whole_archive__is_a_backup_again),
	    TEST(adopt__much_smaller_than_those_before__is_suspicious),
	    TEST(adopt__lock_lost_meanwhile__is_no_commit),
	    TEST(adopt__what_is_no_whole_archive_of_the_stack__is_refused),
	    TEST(adopt__a_flipped_byte_anywhere__is_refused),
	    TEST(remove__archive_that_is_locked__stays_a_backup),
	    TEST(remove__sidecar_gone_and_archive_locked__sidecar_comes_back),
	};
	return cmocka_run_group_tests_name("storage/leftovers", tests, NULL, NULL);
}
