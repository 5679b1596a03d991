#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/process.h"
#include "storage/store/lease.h"
#include "storage/store/lease_object.h"
#include "tests/support/memory_store.h"
#include "tests/support/temp_dir.h"

#define MARKED "hdms-20261123T020000Z-3f9c"

static struct memory_store *m;
static struct store *store, *second; /* two hosts */
static struct lease *taken, *other;

static int begin(void **state)
{
	(void)state;
	memory_store_open_remote(&m, &store);
	memory_store_share(m, &second);
	memory_store_set_time(m, 1000000);
	taken = other = NULL;
	return 0;
}

static int end(void **state)
{
	(void)state;
	lease_free(taken);
	lease_free(other);
	store_free(second);
	store_free(store);
	return 0;
}

/* What a holder wrote: of this host, or of another one. */
static void plant(const char *object, bool elsewhere, bool dead_process, bool ended)
{
	struct err err = ERR_INIT;
	struct lease_holder h = {.process = process_self(),
				 .command = "restore",
				 .token = "0123456789abcdef",
				 .since = "2026-11-23T02:00:00Z",
				 .good_for_ms = LEASE_MS,
				 .ended = ended};
	CLEANUP(freep) char *text = NULL;
	snprintf(h.process.host, sizeof h.process.host, "%s", elsewhere ? "far" : "near");
	h.process.pid = elsewhere ? 17 : h.process.pid;
	if (elsewhere)
		h.process.boot[0] = h.process.boot[0] == '0' ? '1' : '0';
	if (dead_process)
		h.process.started--;
	assert_int_equal(lease_holder_text(&h, &text, &err), 0);
	memory_store_set(m, object, text, strlen(text));
}

static bool is_there(const char *object)
{
	size_t len;
	return memory_store_bytes(m, object, &len) != NULL;
}

static bool is_ended(const char *object)
{
	struct err err = ERR_INIT;
	struct lease_holder h;
	assert_int_equal(lease_holder_read(store, object, &h, &err), 0);
	return h.ended;
}

static void assert_locked(const char *by)
{
	struct err err = ERR_INIT;
	assert_int_equal(lease_take(second, "hdms", "prune", &other, &err), -1);
	assert_int_equal(err.code, ERR_LOCKED);
	assert_true(err.retryable);
	assert_string_equal(err.msg, by);
	assert_true(strstr(err.hint, "15 minutes") != NULL);
}

static void assert_taken(unsigned number)
{
	struct err err = ERR_INIT;
	char name[64];
	snprintf(name, sizeof name, "hdms.lease-%09u", number);
	assert_int_equal(lease_take(second, "hdms", "prune", &other, &err), 0);
	assert_true(is_there(name));
	assert_int_equal(lease_check(other, &err), 0);
}

/* ---- names ---- */

static void names__of_leases_alone__are_known(void **state)
{
	static const char *const yes[] = {"hdms.lease-000000001", "hdms.mark-0123456789abcdef",
					  "a-b.probe-ffffffffffffffff",
					  "x.lease-1.lease-123456789"};
	static const char *const no[] = {"hdms.lease-1",
					 "hdms.lease-0000000001",
					 "hdms.lease-00000000a",
					 ".lease-000000001",
					 "hdms.mark-0123456789ABCDEF",
					 MARKED ".json",
					 MARKED ".tar.zst",
					 ""};
	(void)state;
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		assert_true(lease_name_is(yes[i]));
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		assert_false(lease_name_is(no[i]));
	struct lease_name n;
	assert_true(lease_name_parse("x.lease-1.lease-123456789", &n));
	assert_string_equal(n.name, "x.lease-1");
	assert_int_equal(n.number, 123456789);
}

/* ---- one at a time ---- */

static void take__nobody_there__is_ours_until_it_is_given_back(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(lease_take(store, "hdms", "backup", &taken, &err), 0);
	assert_int_equal(lease_check(taken, &err), 0);
	struct process_name self = process_self();
	char who[200];
	struct lease_holder h;
	assert_int_equal(lease_holder_read(store, "hdms.lease-000000001", &h, &err), 0);
	snprintf(who, sizeof who, "another job is running: host %s, pid %llu (backup) since %s",
		 self.host, (unsigned long long)self.pid, h.since);
	assert_locked(who);
	lease_free(taken);
	taken = NULL;
	assert_true(is_ended("hdms.lease-000000001"));
	assert_taken(2);
	assert_false(is_there("hdms.lease-000000001"));
}

static void take__of_another_stack__is_another_lease(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(lease_take(store, "hdms-2", "backup", &taken, &err), 0);
	assert_taken(1);
	assert_int_equal(lease_check(taken, &err), 0);
}

static void take__holder_elsewhere__waits_for_its_fifteen_minutes(void **state)
{
	(void)state;
	static const char by[] =
	    "another job is running: host far, pid 17 (restore) since 2026-11-23T02:00:00Z";
	plant("hdms.lease-000000007", true, false, false);
	assert_locked(by);
	memory_store_set_time(m, 1000000 + LEASE_MS - 1);
	assert_locked(by);
	memory_store_set_time(m, 1000000 + LEASE_MS);
	assert_taken(8);
	assert_false(is_there("hdms.lease-000000007"));
}

static void take__store_of_another_century__counts_by_its_own_clock(void **state)
{
	(void)state;
	memory_store_set_time(m, INT64_C(-2000000000000));
	plant("hdms.lease-000000007", true, false, false);
	memory_store_set_time(m, INT64_C(-2000000000000) + LEASE_MS - 1000);
	assert_locked("another job is running: host far, pid 17 (restore) since "
		      "2026-11-23T02:00:00Z");
	memory_store_set_time(m, INT64_C(-2000000000000) + LEASE_MS + 1000);
	assert_taken(8);
}

static void take__holder_was_a_process_of_this_host__is_free_at_once(void **state)
{
	(void)state;
	plant("hdms.lease-000000007", false, true, false);
	assert_taken(8);
}

static void take__ended_one__is_free_whatever_the_time(void **state)
{
	(void)state;
	plant("hdms.lease-000000007", true, false, true);
	assert_taken(8);
	assert_int_equal(memory_store_calls(m, MEMORY_STAT), 0);
}

static void take__lease_of_garbage__is_held_for_its_time(void **state)
{
	(void)state;
	static char huge[5000];
	memory_store_set(m, "hdms.lease-000000007", "not JSON", 8);
	assert_locked("another job is running: a holder of whom nothing is known");
	memset(huge, 'x', sizeof huge);
	memory_store_set(m, "hdms.lease-000000007", huge, sizeof huge);
	assert_locked("another job is running: a holder of whom nothing is known");
	memory_store_set_time(m, 1000000 + LEASE_MS);
	assert_taken(8);
}

static void take__last_number_of_the_dead__begins_anew(void **state)
{
	(void)state;
	plant("hdms.lease-000000003", true, false, true);
	plant("hdms.lease-999999999", true, false, true);
	assert_taken(4);
}

static void take__lower_numbers__count_for_nothing_and_go(void **state)
{
	(void)state;
	plant("hdms.lease-000000003", true, false, false);
	plant("hdms.lease-000000009", true, false, true);
	assert_taken(10);
	assert_false(is_there("hdms.lease-000000003"));
	assert_false(is_there("hdms.lease-000000009"));
}

static void holder__cut_or_flipped_anywhere__is_bounded_and_no_error(void **state)
{
	(void)state;
	size_t len;
	uint8_t copy[1024];
	char who[160];
	plant("hdms.lease-000000001", true, false, false);
	const uint8_t *data = memory_store_bytes(m, "hdms.lease-000000001", &len);
	assert_true(len < sizeof copy);
	memcpy(copy, data, len);
	for (size_t at = 0; at < len; at++) {
		for (unsigned bit = 0; bit <= 8; bit++) {
			struct err err = ERR_INIT;
			struct lease_holder h;
			/* Cut first, then each bit. */
			copy[at] ^= (uint8_t)(bit > 0 ? 1U << (bit - 1) : 0);
			memory_store_set(m, "x", copy, bit > 0 ? len : at);
			copy[at] ^= (uint8_t)(bit > 0 ? 1U << (bit - 1) : 0);
			assert_int_equal(lease_holder_read(store, "x", &h, &err), 0);
			lease_holder_say(&h, who, sizeof who);
			assert_true(strlen(who) > 0 && h.good_for_ms >= 0);
		}
	}
}

/* ---- two at once ---- */

static void second_takes(void)
{
	struct err err = ERR_INIT;
	assert_int_equal(lease_take(second, "hdms", "second", &other, &err), 0);
}

static void two_takers__at_the_same_moment__one_wins(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	/* The first has looked, found nobody, and is about to create its lease. */
	memory_store_at_write(m, 2, second_takes);
	assert_int_equal(lease_take(store, "hdms", "first", &taken, &err), -1);
	assert_int_equal(err.code, ERR_LOCKED);
	assert_true(strstr(err.msg, "(second)") != NULL);
	assert_int_equal(lease_check(other, &err), 0);
}

static void two_takers__where_creating_replaces__one_passes_the_check(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	memory_store_weak_create(m);
	memory_store_at_write(m, 2, second_takes);
	assert_int_equal(lease_take(store, "hdms", "first", &taken, &err), 0);
	assert_int_equal(lease_check(other, &err), -1);
	assert_int_equal(err.code, ERR_LOCKED);
	assert_true(strstr(err.msg, "the lease was lost: another job is running: ") != NULL);
	assert_true(strstr(err.msg, "(first)") != NULL);
	err_clear(&err);
	assert_int_equal(lease_check(taken, &err), 0);
	/* The one that lost gives nothing back that is not its own. */
	lease_free(other);
	other = NULL;
	assert_false(is_ended("hdms.lease-000000001"));
	assert_int_equal(lease_check(taken, &err), 0);
}

/* Somebody took number 1 and gave it back, somebody else has number 2 and cleaned up. */
static void two_rounds(void)
{
	second_takes();
	lease_free(other);
	other = NULL;
	second_takes();
}

static void take__so_late_that_its_number_is_over__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	memory_store_at_write(m, 1, two_rounds);
	assert_int_equal(lease_take(store, "hdms", "first", &taken, &err), -1);
	assert_int_equal(err.code, ERR_LOCKED);
	assert_true(is_there("hdms.lease-000000002"));
	assert_int_equal(lease_check(other, &err), 0);
}

/* ---- losing it ---- */

static void check__taken_over__fails_for_ever_and_gives_nothing_back(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(lease_take(store, "hdms", "backup", &taken, &err), 0);
	plant("hdms.lease-000000002", true, false, false);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(lease_check(taken, &err), -1);
		assert_int_equal(err.code, ERR_LOCKED);
		assert_string_equal(err.msg,
				    "the lease was lost: another job is running: host far, "
				    "pid 17 (restore) since 2026-11-23T02:00:00Z");
	}
	lease_free(taken);
	taken = NULL;
	assert_false(is_ended("hdms.lease-000000002"));
}

static void check__its_object_was_removed__is_lost(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(lease_take(store, "hdms", "backup", &taken, &err), 0);
	assert_int_equal(store_remove(second, "hdms.lease-000000001", &err), 0);
	assert_int_equal(lease_check(taken, &err), -1);
	assert_int_equal(err.code, ERR_LOCKED);
}

static void check__store_away_for_a_while__is_an_error_but_no_loss(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(lease_take(store, "hdms", "backup", &taken, &err), 0);
	memory_store_refuse(m, MEMORY_PUT, 1, ERR_UNREACHABLE, false);
	assert_int_equal(lease_check(taken, &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	err_clear(&err);
	assert_int_equal(lease_check(taken, &err), 0);
}

static void check__renews__so_that_nobody_takes_it(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	plant("hdms.lease-000000001", true, false, true);
	assert_int_equal(lease_take(store, "hdms", "backup", &taken, &err), 0);
	memory_store_set_time(m, 1000000 + LEASE_MS - 1);
	assert_int_equal(lease_check(taken, &err), 0);
	struct store_object o;
	assert_int_equal(store_stat(store, "hdms.lease-000000002", &o, &err), 0);
	assert_int_equal(o.modified_ms, 1000000 + LEASE_MS - 1);
}

static void thread__woken__renews(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(lease_take(store, "hdms", "backup", &taken, &err), 0);
	unsigned before = memory_store_calls(m, MEMORY_PUT);
	lease_renew_now(taken);
	for (unsigned i = 0; i < 5000 && memory_store_calls(m, MEMORY_PUT) == before; i++)
		assert_int_equal(wait_ms(1, &err), 0);
	assert_int_equal(memory_store_calls(m, MEMORY_PUT), before + 1);
}

/* A call of taking a lease fails, the first of its kind or the second: it is an error, and the next
 * host need not wait. */
static void take__any_call_refused__leaves_nothing_that_holds(void **state)
{
	(void)state;
	static const enum memory_call calls[] = {MEMORY_PUT, MEMORY_GET, MEMORY_LIST};
	for (size_t i = 0; i < 2 * sizeof calls / sizeof *calls; i++) {
		struct err err = ERR_INIT;
		memory_store_refuse_later(m, calls[i / 2], i % 2, ERR_DENIED);
		if (lease_take(store, "hdms", "backup", &taken, &err) < 0)
			assert_int_equal(err.code, ERR_DENIED);
		memory_store_refuse(m, calls[i / 2], 0, ERR_DENIED, false);
		lease_free(taken);
		taken = NULL;
		err_clear(&err);
		assert_int_equal(lease_take(second, "hdms", "backup", &taken, &err), 0);
		lease_free(taken);
		taken = NULL;
	}
}

/* ---- marks ---- */

static void marks__any_number__name_their_holders(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct lease_marks marks;
	assert_int_equal(lease_mark(store, MARKED, "restore", &taken, &err), 0);
	assert_int_equal(lease_mark(second, MARKED, "drill", &other, &err), 0);
	assert_int_equal(lease_find_marks(store, "hdms-", &marks, &err), 0);
	assert_int_equal(marks.count, 2);
	assert_string_equal(marks.items[0].name, MARKED);
	assert_true(strstr(lease_marks_holder(&marks, MARKED), ", pid ") != NULL);
	assert_null(lease_marks_holder(&marks, "hdms-20261123T020000Z-3f9d"));
	lease_marks_done(&marks);
	assert_int_equal(lease_check(taken, &err), 0);
	lease_free(taken);
	lease_free(other);
	taken = other = NULL;
	assert_int_equal(lease_find_marks(store, "hdms-", &marks, &err), 0);
	assert_int_equal(marks.count, 0);
	lease_marks_done(&marks);
}

static void marks__of_the_dead__are_none_and_are_swept(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct lease_marks marks;
	CLEANUP(strlist_done) struct strlist gone = {0};
	plant(MARKED ".mark-000000000000000a", true, false, false);
	plant(MARKED ".mark-000000000000000b", false, true, false);
	plant("hdms.probe-000000000000000c", true, false, false);
	plant("hdms.lease-000000004", true, false, true);
	plant("hdms.lease-000000005", true, false, true);
	plant("hdms-2.lease-000000005", true, false, true);
	plant("hdms-2.lease-000000006", true, false, true);
	plant("hdms-2-20261123T020000Z-3f9c.mark-000000000000000d", true, false, false);
	assert_int_equal(lease_find_marks(store, "hdms-", &marks, &err), 0);
	assert_string_equal(lease_marks_holder(&marks, MARKED), "host far, pid 17 (restore)");
	assert_int_equal(marks.count, 2);
	lease_marks_done(&marks);
	memory_store_set_time(m, 1000000 + LEASE_MS);
	plant(MARKED ".mark-000000000000000e", true, false, false);
	assert_int_equal(lease_find_marks(store, "hdms-", &marks, &err), 0);
	assert_int_equal(marks.count, 1);
	lease_marks_done(&marks);
	for (unsigned dry = 1; dry < 2; dry--) {
		strlist_done(&gone);
		assert_int_equal(lease_sweep(store, "hdms", dry == 1, &gone, &err), 0);
		assert_int_equal(gone.count, 4);
		assert_string_equal(gone.items[0], MARKED ".mark-000000000000000a");
		assert_string_equal(gone.items[1], MARKED ".mark-000000000000000b");
		assert_string_equal(gone.items[2], "hdms.lease-000000004");
		assert_string_equal(gone.items[3], "hdms.probe-000000000000000c");
		assert_int_equal(is_there(gone.items[0]), dry == 1);
	}
	assert_true(is_there(MARKED ".mark-000000000000000e"));
	assert_true(is_there("hdms.lease-000000005"));
	assert_true(is_there("hdms-2.lease-000000005"));
}

static void marks__store_that_can_only_be_read__count_all_that_may_live(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct lease_marks marks;
	plant(MARKED ".mark-000000000000000a", true, false, false);
	plant(MARKED ".mark-000000000000000b", false, true, false);
	memory_store_set_time(m, 1000000 + 10 * LEASE_MS);
	memory_store_refuse(m, MEMORY_PUT, 100, ERR_DENIED, false);
	assert_int_equal(lease_find_marks(store, "hdms-", &marks, &err), 0);
	assert_int_equal(marks.count, 1);
	lease_marks_done(&marks);
	assert_int_equal(lease_mark(store, MARKED, "restore", &taken, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
}

static void time__of_the_store__is_its_own_and_leaves_nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct store_objects all;
	int64_t now = 0;
	memory_store_set_time(m, 42);
	assert_int_equal(lease_store_time(store, "hdms", &now, &err), 0);
	assert_int_equal(now, 42);
	assert_int_equal(store_list(store, "", &all, &err), 0);
	assert_int_equal(all.count, 0);
	store_objects_done(&all);
}

/* ---- the lock of a store that has none of its own ---- */

static void lock__of_a_remote_store__is_a_lease(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct store_lock *lock, *no = NULL;
	assert_int_equal(store_lock(store, "hdms", &lock, &err), 0);
	assert_int_equal(store_lock_check(lock, &err), 0);
	assert_int_equal(store_lock(second, "hdms", &no, &err), -1);
	assert_int_equal(err.code, ERR_LOCKED);
	assert_true(strstr(err.msg, "store 'memory': another job is running: host ") != NULL);
	plant("hdms.lease-000000002", true, false, false);
	assert_int_equal(store_lock_check(lock, &err), -1);
	assert_int_equal(err.code, ERR_LOCKED);
	store_unlock(lock);
}

static void folder__used_as_if_it_were_remote__does_the_same(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct temp_dir folder;
	char url[TEMP_DIR_BYTES + 8];
	struct store_ops ops = store_file_ops;
	struct store *a, *b;
	struct store_lock *lock, *no = NULL;
	void *self;
	char *where;
	ops.remote = true;
	ops.lock = NULL;
	temp_dir_make(&folder);
	snprintf(url, sizeof url, "file://%s", folder.path);
	struct store_opts opts = {.name = "far", .url = url};
	assert_int_equal(store_file_ops.open(&opts, &self, &where, &err), 0);
	free(where);
	assert_int_equal(store_wrap(&ops, self, "a", &a, &err), 0);
	assert_int_equal(store_file_ops.open(&opts, &self, &where, &err), 0);
	free(where);
	assert_int_equal(store_wrap(&ops, self, "b", &b, &err), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(store_lock(a, "hdms", &lock, &err), 0);
		assert_int_equal(store_lock(b, "hdms", &no, &err), -1);
		assert_int_equal(err.code, ERR_LOCKED);
		assert_int_equal(store_lock_check(lock, &err), 0);
		store_unlock(lock);
	}
	assert_int_equal(lease_mark(a, MARKED, "restore", &taken, &err), 0);
	struct lease_marks marks;
	assert_int_equal(lease_find_marks(b, "hdms-", &marks, &err), 0);
	assert_int_equal(marks.count, 1);
	lease_marks_done(&marks);
	lease_free(taken);
	taken = NULL;
	struct store_objects all;
	assert_int_equal(store_list(a, "", &all, &err), 0);
	assert_int_equal(all.count, 1);
	assert_string_equal(all.items[0].name, "hdms.lease-000000003");
	store_objects_done(&all);
	/* Of one who was killed while he wrote it. */
	CLEANUP(strlist_done) struct strlist gone = {0};
	temp_dir_write(&folder, "hdms.lease-000000004.part", "{", 1);
	assert_int_equal(store_sweep(a, "hdms", false, &gone, &err), 0);
	assert_int_equal(gone.count, 1);
	assert_string_equal(gone.items[0], "hdms.lease-000000004.part");
	assert_int_equal(temp_dir_count(&folder), 1);
	store_free(a);
	store_free(b);
	temp_dir_remove(&folder);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names__of_leases_alone__are_known),
	    TEST(take__nobody_there__is_ours_until_it_is_given_back),
	    TEST(take__of_another_stack__is_another_lease),
	    TEST(take__holder_elsewhere__waits_for_its_fifteen_minutes),
	    TEST(take__store_of_another_century__counts_by_its_own_clock),
	    TEST(take__holder_was_a_process_of_this_host__is_free_at_once),
	    TEST(take__ended_one__is_free_whatever_the_time),
	    TEST(take__lease_of_garbage__is_held_for_its_time),
	    TEST(take__last_number_of_the_dead__begins_anew),
	    TEST(take__lower_numbers__count_for_nothing_and_go),
	    TEST(holder__cut_or_flipped_anywhere__is_bounded_and_no_error),
	    TEST(two_takers__at_the_same_moment__one_wins),
	    TEST(two_takers__where_creating_replaces__one_passes_the_check),
	    TEST(take__so_late_that_its_number_is_over__is_refused),
	    TEST(check__taken_over__fails_for_ever_and_gives_nothing_back),
	    TEST(check__its_object_was_removed__is_lost),
	    TEST(check__store_away_for_a_while__is_an_error_but_no_loss),
	    TEST(check__renews__so_that_nobody_takes_it),
	    TEST(thread__woken__renews),
	    TEST(take__any_call_refused__leaves_nothing_that_holds),
	    TEST(marks__any_number__name_their_holders),
	    TEST(marks__of_the_dead__are_none_and_are_swept),
	    TEST(marks__store_that_can_only_be_read__count_all_that_may_live),
	    TEST(time__of_the_store__is_its_own_and_leaves_nothing),
	    TEST(lock__of_a_remote_store__is_a_lease),
	    TEST(folder__used_as_if_it_were_remote__does_the_same),
	};
	return cmocka_run_group_tests_name("storage/lease", tests, NULL, NULL);
}
