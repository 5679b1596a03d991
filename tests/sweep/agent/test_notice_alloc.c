/* Notices and what is remembered of them when memory runs out at every single point: less is told,
 * and what is told is whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "agent/config/config_notify.h"
#include "agent/daemon/alarm.h"
#include "agent/daemon/notice.h"
#include "agent/daemon/notify_send.h"
#include "tests/support/fail_alloc.h"

enum { MOST = 20000 };
#define NOW INT64_C(1774746000000)

static json_t *facts, *good; /* a notice */
static char ops[] = "ops", proof[] = "proof", command[] = "exit 3", command_kind[] = "command";

static void sweep(int (*step)(struct err *err), unsigned at_least)
{
	unsigned n = 1;
	do {
		struct err err = ERR_INIT;
		fail_alloc_at(n);
		int done = step(&err);
		fail_alloc_off();
		if (done < 0)
			assert_int_equal(err.code, ERR_NOMEM);
		else if (fail_alloc_hit())
			fail_msg("allocation %u failed and nobody said so", n);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, at_least, MOST - 1);
}

static int make(struct err *err)
{
	struct notice_opts o = {.event = ALARM_FAILURE,
				.job = JOB_BACKUP,
				.stack = "hdms",
				.facts = facts,
				.since_ms = NOW - 5000,
				.now_ms = NOW,
				.reminder = true};
	CLEANUP(json_freep) json_t *notice = notice_new(&o);
	CLEANUP(json_freep) json_t *test = notice != NULL ? notice_test("hdms", NOW) : NULL;
	return test == NULL ? err_nomem(err, "a notice") : 0;
}

static int bodies(struct err *err)
{
	static const char *const kinds[] = {"webhook", "slack", "discord", "teams"};
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		CLEANUP(freep) char *body = NULL;
		CLEANUP(freep) char *filled = NULL;
		if (notice_body(good, kinds[k], &body, err) < 0 ||
		    notice_fill(good, kinds[k], "{\"a\":\"{title} {message}\"}", &filled, err) < 0)
			return -1;
		assert_non_null(strstr(body, "hdms: backup failed"));
		assert_non_null(strstr(filled, "hdms: backup failed"));
	}
	return 0;
}

static void notice__memory_runs_out__is_whole_or_none(void **state)
{
	(void)state;
	sweep(make, 20);
	sweep(bodies, 30);
}

static int send_by_command(struct err *err)
{
	const struct config_notify n = {
	    .label = ops, .kind = command_kind, .command = command, .timeout_ms = 10000};
	int64_t wait_ms = -1;
	if (notify_send(&n, good, &wait_ms, err) == 0)
		fail_msg("it was told");
	assert_int_equal(wait_ms, 0);
	if (err->code == ERR_NOMEM)
		return -1;
	/* Whatever became of the words. */
	assert_int_equal(err->code, ERR_FAILED);
	assert_true(err->retryable);
	return 0;
}

static void send__memory_runs_out__says_so(void **state)
{
	(void)state;
	unsigned n = 1;
	do {
		struct err err = ERR_INIT;
		fail_alloc_at(n);
		int done = send_by_command(&err);
		fail_alloc_off();
		assert_true(done == 0 || err.code == ERR_NOMEM);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, 5, MOST - 1);
}

/* What is remembered without memory may be less, and is told again; nothing breaks. */
static void alarms__memory_runs_out__nothing_breaks(void **state)
{
	(void)state;
	const struct config_notify n = {.label = ops,
					.kind = command_kind,
					.after = proof,
					.events = (1U << ALARM_EVENTS) - 1,
					.remind_ms = 86400000,
					.unproven_after_ms = 86400000};
	const struct daemon_event e = {
	    .kind = DAEMON_JOB_ENDED, .job = JOB_BACKUP, .wall_ms = NOW, .facts = facts};
	unsigned at = 1;
	do {
		struct err err = ERR_INIT;
		struct alarms *a = NULL;
		json_t *notice = NULL, *doc = NULL;
		unsigned told = 0;
		fail_alloc_at(at);
		if (alarms_new(NOW, &a, &err) == 0) {
			alarms_heed(a, &e);
			while (told < 50 && alarms_next(a, &n, "hdms", NOW, &notice)) {
				json_decref(notice);
				notice = NULL;
				told++;
			}
			doc = alarms_document(a);
			if (doc != NULL)
				alarms_restore(a, doc);
		}
		fail_alloc_off();
		assert_in_range(told, 0, 5);
		json_decref(doc);
		alarms_free(a);
	} while (fail_alloc_hit() && ++at < MOST);
	assert_in_range(at, 30, MOST - 1);
}

static int enter(void **state)
{
	(void)state;
	/* What jansson wants counts too. */
	json_set_alloc_funcs(malloc, free);
	facts = json_pack("{s:s, s:s, s:{s:s, s:s}}", "outcome", "failure", "backup", "B1", "error",
			  "message", "no room for <b> & @all", "hint", "free some");
	struct notice_opts o = {.event = ALARM_FAILURE,
				.job = JOB_BACKUP,
				.stack = "hdms",
				.facts = facts,
				.now_ms = NOW};
	good = notice_new(&o);
	return facts == NULL || good == NULL;
}

static int leave(void **state)
{
	(void)state;
	json_decref(facts);
	json_decref(good);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(notice__memory_runs_out__is_whole_or_none),
	    cmocka_unit_test(send__memory_runs_out__says_so),
	    cmocka_unit_test(alarms__memory_runs_out__nothing_breaks),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}
