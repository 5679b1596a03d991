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

#define NOW  INT64_C(1774746000000) /* 2026-03-29T01:00:00Z */
#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)

static char ops[] = "ops", webhook[] = "webhook", proof[] = "proof", backup[] = "backup";

enum {
	DEFAULTS = 1 << ALARM_FAILURE | 1 << ALARM_RECOVERY | 1 << ALARM_OVERDUE |
		   1 << ALARM_SUSPICIOUS | 1 << ALARM_UNPROVEN
};

static struct config_notify notifier(unsigned events)
{
	return (struct config_notify){.label = ops,
				      .kind = webhook,
				      .after = proof,
				      .events = events,
				      .remind_ms = DAY,
				      .unproven_after_ms = 14 * DAY};
}

static struct alarms *fresh(void)
{
	struct alarms *a = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(alarms_new(NOW, &a, &err), 0);
	return a;
}

static enum alarm_event heed(struct alarms *a, enum daemon_event_kind kind, enum job_kind job,
			     int64_t at, const char *facts)
{
	json_t *f = json_loads(facts, 0, NULL);
	assert_non_null(f);
	struct daemon_event e = {.kind = kind, .job = job, .wall_ms = at, .facts = f};
	enum alarm_event what = alarms_heed(a, &e);
	json_decref(f);
	return what;
}

static enum alarm_event ended(struct alarms *a, enum job_kind job, int64_t at, const char *outcome)
{
	char facts[256];
	snprintf(facts, sizeof facts,
		 "{\"job\":\"%s\",\"outcome\":\"%s\",\"backup\":\"B1\",\"duration_ms\":2000,"
		 "\"error\":{\"message\":\"no room\",\"hint\":null},\"retry_at\":null}",
		 job_kind_name(job), outcome);
	return heed(a, DAEMON_JOB_ENDED, job, at, facts);
}

/* All that is told now, as "event:job" words, "!" behind reminders. */
static void tells(struct alarms *a, const struct config_notify *n, int64_t at, const char *expect)
{
	char all[512] = "";
	json_t *notice = NULL;
	while (alarms_next(a, n, "hdms", at, &notice)) {
		size_t len = strlen(all);
		snprintf(all + len, sizeof all - len, "%s%s:%s%s", len > 0 ? " " : "",
			 json_str_or(notice, "event", "?"), json_str_or(notice, "job", "?"),
			 json_is_true(json_object_get(notice, "reminder")) ? "!" : "");
		json_decref(notice);
		notice = NULL;
	}
	assert_string_equal(all, expect);
}

/* ---- the decision ---- */

static void alarms__failure__told_once_then_reminded_then_recovery(void **state)
{
	(void)state;
	CLEANUP(alarms_freep) struct alarms *a = fresh();
	struct config_notify n = notifier(DEFAULTS);
	tells(a, &n, NOW, "");
	assert_int_equal(ended(a, JOB_BACKUP, NOW, "failure"), ALARM_FAILURE);
	tells(a, &n, NOW, "failure:backup");
	tells(a, &n, NOW + HOUR, "");
	assert_int_equal(ended(a, JOB_BACKUP, NOW + 2 * HOUR, "timeout"), ALARM_FAILURE);
	tells(a, &n, NOW + 2 * HOUR, "");
	assert_int_equal(alarms_due(a, &n, NOW + 2 * HOUR), NOW + DAY);
	tells(a, &n, NOW + DAY - 1, "");
	tells(a, &n, NOW + DAY, "failure:backup!");
	tells(a, &n, NOW + DAY, "");
	assert_int_equal(ended(a, JOB_BACKUP, NOW + DAY + HOUR, "success"), ALARM_SUCCESS);
	tells(a, &n, NOW + DAY + HOUR, "recovery:backup");
	tells(a, &n, NOW + DAY + HOUR, "");
	assert_int_equal(alarms_due(a, &n, NOW + DAY + HOUR), NOW + 14 * DAY + 1);
	assert_int_equal(ended(a, JOB_BACKUP, NOW + 2 * DAY, "success"), ALARM_SUCCESS);
	tells(a, &n, NOW + 2 * DAY, "");
}

static void alarms__backup_gets_its_copies__has_recovered(void **state)
{
	(void)state;
	CLEANUP(alarms_freep) struct alarms *a = fresh();
	struct config_notify n = notifier(DEFAULTS);
	assert_int_equal(ended(a, JOB_BACKUP, NOW, "failure"), ALARM_FAILURE);
	tells(a, &n, NOW, "failure:backup");
	assert_int_equal(ended(a, JOB_COPY, NOW + HOUR, "success"), ALARM_SUCCESS);
	tells(a, &n, NOW + HOUR, "");
	heed(a, DAEMON_RECOVERED, JOB_BACKUP, NOW + HOUR, "{\"job\":\"backup\",\"failures\":1}");
	tells(a, &n, NOW + HOUR, "recovery:backup");
	tells(a, &n, NOW + 2 * DAY, "");
}

static void alarms__clock_goes_back__nothing_waits_for_the_future(void **state)
{
	(void)state;
	CLEANUP(alarms_freep) struct alarms *a = fresh();
	struct config_notify n = notifier(DEFAULTS);
	/* A drill and a failure on a day that turns out to be a year too late. */
	assert_int_equal(ended(a, JOB_DRILL, NOW + 365 * DAY, "success"), ALARM_SUCCESS);
	assert_int_equal(ended(a, JOB_BACKUP, NOW + 365 * DAY, "failure"), ALARM_FAILURE);
	tells(a, &n, NOW + 365 * DAY, "failure:backup");
	tells(a, &n, NOW, "");
	assert_int_equal(alarms_due(a, &n, NOW), NOW + DAY);
	tells(a, &n, NOW + DAY, "failure:backup!");
	assert_int_equal(ended(a, JOB_BACKUP, NOW + DAY, "success"), ALARM_SUCCESS);
	tells(a, &n, NOW + DAY, "recovery:backup");
	tells(a, &n, NOW + 14 * DAY + 1, "unproven:drill");
}

static void alarms__refused_configuration__told_once_and_when_mended(void **state)
{
	(void)state;
	CLEANUP(alarms_freep) struct alarms *a = fresh();
	CLEANUP(alarms_freep) struct alarms *later = fresh();
	struct config_notify n = notifier(DEFAULTS);
	const char *facts =
	    "{\"error\":{\"message\":\"no such key\"},\"loaded\":\"2026-03-01T00:00:00Z\"}";
	assert_int_equal(heed(a, DAEMON_REFUSED, JOB_KINDS, NOW, facts), ALARM_EVENTS);
	tells(a, &n, NOW, "failure:?");
	heed(a, DAEMON_REFUSED, JOB_KINDS, NOW + HOUR, facts);
	tells(a, &n, NOW + HOUR, "");
	tells(a, &n, NOW + DAY, "failure:?!");
	/* A success of a job is another matter, and a restart forgets nothing. */
	assert_int_equal(ended(a, JOB_BACKUP, NOW + DAY, "success"), ALARM_SUCCESS);
	tells(a, &n, NOW + DAY, "");
	json_t *doc = alarms_document(a);
	alarms_restore(later, doc);
	json_decref(doc);
	tells(later, &n, NOW + DAY + HOUR, "");
	heed(later, DAEMON_RELOADED, JOB_KINDS, NOW + DAY + HOUR, "{}");
	tells(later, &n, NOW + DAY + HOUR, "recovery:?");
	tells(later, &n, NOW + DAY + HOUR, "");
	/* The daemon that starts has read a good one. */
	heed(a, DAEMON_STARTED, JOB_KINDS, NOW + DAY, "{}");
	tells(a, &n, NOW + DAY, "recovery:?");
}

static void alarms__no_reminders_wanted__told_once(void **state)
{
	(void)state;
	CLEANUP(alarms_freep) struct alarms *a = fresh();
	struct config_notify n = notifier(DEFAULTS);
	n.remind_ms = 0;
	n.unproven_after_ms = 1000 * DAY;
	ended(a, JOB_COPY, NOW, "crashed");
	tells(a, &n, NOW, "failure:copy");
	tells(a, &n, NOW + 300 * DAY, "");
	assert_int_equal(alarms_due(a, &n, NOW), NOW + 1000 * DAY + 1);
}

static void alarms__cancelled_or_waiting_for_a_lock__is_no_failure(void **state)
{
	(void)state;
	CLEANUP(alarms_freep) struct alarms *a = fresh();
	struct config_notify n = notifier(DEFAULTS);
	assert_int_equal(ended(a, JOB_BACKUP, NOW, "cancelled"), ALARM_EVENTS);
	assert_int_equal(heed(a, DAEMON_JOB_ENDED, JOB_BACKUP, NOW,
			      "{\"outcome\":\"locked\",\"retry_at\":\"2026-03-29T01:05:00Z\"}"),
			 ALARM_EVENTS);
	tells(a, &n, NOW, "");
	assert_int_equal(ended(a, JOB_BACKUP, NOW, "locked"), ALARM_FAILURE);
	tells(a, &n, NOW, "failure:backup");
}

static void alarms__failing_and_overdue__one_recovery(void **state)
{
	(void)state;
	CLEANUP(alarms_freep) struct alarms *a = fresh();
	struct config_notify n = notifier(DEFAULTS);
	ended(a, JOB_DRILL, NOW, "unverified");
	heed(a, DAEMON_OVERDUE, JOB_DRILL, NOW + HOUR, "{\"due\":\"2026-03-29T01:00:00Z\"}");
	tells(a, &n, NOW + HOUR, "failure:drill overdue:drill");
	ended(a, JOB_DRILL, NOW + 2 * HOUR, "success");
	tells(a, &n, NOW + 2 * HOUR, "recovery:drill");
}

static void alarms__suspicious__until_a_backup_is_not(void **state)
{
	(void)state;
	CLEANUP(alarms_freep) struct alarms *a = fresh();
	struct config_notify n = notifier(DEFAULTS);
	heed(a, DAEMON_JOB_ENDED, JOB_BACKUP, NOW,
	     "{\"outcome\":\"success\",\"backup\":\"B2\",\"result\":{\"suspicious\":true}}");
	tells(a, &n, NOW, "suspicious:backup");
	ended(a, JOB_BACKUP, NOW + HOUR, "success");
	tells(a, &n, NOW + HOUR, "");
	heed(a, DAEMON_JOB_ENDED, JOB_BACKUP, NOW + 2 * HOUR,
	     "{\"outcome\":\"success\",\"result\":{\"suspicious\":false}}");
	tells(a, &n, NOW + 2 * HOUR, "recovery:backup");
}

static void alarms__no_drill_passes__unproven_until_one_does(void **state)
{
	(void)state;
	CLEANUP(alarms_freep) struct alarms *a = fresh();
	struct config_notify n = notifier(DEFAULTS);
	assert_int_equal(alarms_due(a, &n, NOW), NOW + 14 * DAY + 1);
	tells(a, &n, NOW + 14 * DAY, "");
	assert_int_equal(alarms_due(a, &n, NOW + 14 * DAY + 1), NOW + 14 * DAY + 1);
	tells(a, &n, NOW + 14 * DAY + 1, "unproven:drill");
	ended(a, JOB_BACKUP, NOW + 15 * DAY, "success");
	tells(a, &n, NOW + 15 * DAY, "");
	ended(a, JOB_DRILL, NOW + 15 * DAY, "success");
	tells(a, &n, NOW + 15 * DAY, "recovery:drill");
	assert_int_equal(alarms_due(a, &n, NOW + 15 * DAY), NOW + 29 * DAY + 1);
}

static void alarms__not_wanted__not_told(void **state)
{
	(void)state;
	CLEANUP(alarms_freep) struct alarms *a = fresh();
	struct config_notify n = notifier(1 << ALARM_RECOVERY);
	ended(a, JOB_PRUNE, NOW, "failure");
	tells(a, &n, NOW, "");
	ended(a, JOB_PRUNE, NOW + HOUR, "success");
	tells(a, &n, NOW + HOUR, "recovery:prune");
	n.events = 1 << ALARM_OVERDUE;
	ended(a, JOB_PRUNE, NOW, "failure");
	tells(a, &n, NOW, "");
	ended(a, JOB_PRUNE, NOW + HOUR, "success");
	tells(a, &n, NOW + HOUR, "");
}

static void alarms__restart__repeats_nothing(void **state)
{
	(void)state;
	CLEANUP(alarms_freep) struct alarms *a = fresh();
	CLEANUP(alarms_freep) struct alarms *again = fresh();
	struct config_notify n = notifier(DEFAULTS), second = n;
	char other[] = "other";
	second.label = other;
	ended(a, JOB_BACKUP, NOW, "failure");
	heed(a, DAEMON_OVERDUE, JOB_COPY, NOW, "{}");
	tells(a, &n, NOW, "failure:backup overdue:copy");
	CLEANUP(json_freep) json_t *doc = alarms_document(a);
	assert_non_null(doc);
	alarms_restore(again, doc);
	heed(again, DAEMON_STARTED, JOB_KINDS, NOW + HOUR,
	     "{\"jobs\":{\"backup\":{\"overdue\":false,\"failures\":1,\"last\":{\"outcome\":"
	     "\"failure\"}},\"copy\":{\"overdue\":true,\"failures\":0}}}");
	tells(again, &n, NOW + HOUR, "");
	tells(again, &second, NOW + HOUR, "failure:backup overdue:copy");
	ended(again, JOB_BACKUP, NOW + HOUR, "success");
	tells(again, &n, NOW + HOUR, "recovery:backup");
	/* The schedule is gone, and its alarm with it. */
	heed(again, DAEMON_RELOADED, JOB_KINDS, NOW + HOUR, "{\"jobs\":{}}");
	tells(again, &n, NOW + HOUR, "");
	alarms_keep(again, &n, 1);
	tells(again, &second, NOW + HOUR, "");
}

static void alarms_restore__garbage__is_left_out(void **state)
{
	(void)state;
	static const char *const docs[] = {
	    "[]", "{\"conditions\":7,\"told\":[]}",
	    ("{\"conditions\":{\"failure/backup\":5,\"unproven\":{\"since_ms\":-1}},"
	     "\"told\":{\"ops\":{\"failure/backup\":\"x\"},\"b\":null}}")};
	for (size_t i = 0; i < sizeof docs / sizeof *docs; i++) {
		CLEANUP(alarms_freep) struct alarms *a = fresh();
		struct config_notify n = notifier(DEFAULTS);
		CLEANUP(json_freep) json_t *doc = json_loads(docs[i], 0, NULL);
		alarms_restore(a, doc);
		ended(a, JOB_BACKUP, NOW, "failure");
		json_t *notice = NULL;
		assert_true(alarms_next(a, &n, "hdms", NOW, &notice));
		json_decref(notice);
	}
}

static void alarms_ping__after_proof__only_a_drill_is_life(void **state)
{
	(void)state;
	struct config_notify n =
	    notifier(1 << ALARM_START | 1 << ALARM_SUCCESS | 1 << ALARM_FAILURE);
	assert_int_equal(alarms_ping(&n, ALARM_SUCCESS, JOB_BACKUP), ALARM_EVENTS);
	assert_int_equal(alarms_ping(&n, ALARM_SUCCESS, JOB_DRILL), ALARM_SUCCESS);
	assert_int_equal(alarms_ping(&n, ALARM_START, JOB_DRILL), ALARM_START);
	assert_int_equal(alarms_ping(&n, ALARM_FAILURE, JOB_BACKUP), ALARM_FAILURE);
	assert_int_equal(alarms_ping(&n, ALARM_FAILURE, JOB_COPY), ALARM_EVENTS);
	assert_int_equal(alarms_ping(&n, ALARM_EVENTS, JOB_DRILL), ALARM_EVENTS);
	n.after = backup;
	assert_int_equal(alarms_ping(&n, ALARM_SUCCESS, JOB_BACKUP), ALARM_SUCCESS);
	assert_int_equal(alarms_ping(&n, ALARM_SUCCESS, JOB_DRILL), ALARM_EVENTS);
	n.events = 1 << ALARM_SUCCESS;
	assert_int_equal(alarms_ping(&n, ALARM_FAILURE, JOB_BACKUP), ALARM_EVENTS);
}

/* ---- words ---- */

static json_t *hostile(void)
{
	json_t *facts = json_pack(
	    "{s:s, s:s, s:{s:s, s:s}}", "outcome", "failure", "backup", "B1", "error", "message",
	    "table \"<script>\" \\ {stack} @everyone & \x1b[31m\nnext", "hint", "free some");
	struct notice_opts o = {.event = ALARM_FAILURE,
				.job = JOB_BACKUP,
				.stack = "hdms",
				.facts = facts,
				.now_ms = NOW};
	json_t *notice = notice_new(&o);
	json_decref(facts);
	assert_non_null(notice);
	return notice;
}

static void notice__hostile_text__stays_text_in_every_body(void **state)
{
	(void)state;
	static const char *const kinds[] = {"webhook", "slack", "discord", "teams"};
	CLEANUP(json_freep) json_t *notice = hostile();
	assert_string_equal(json_str_or(notice, "title", ""), "hdms: backup failed");
	assert_string_equal(json_str_or(notice, "message", ""),
			    "table \"<script>\" \\ {stack} @everyone & \\x1b[31m\nnext\n"
			    "Hint: free some");
	for (size_t i = 0; i < 4; i++) {
		CLEANUP(freep) char *body = NULL;
		struct err err = ERR_INIT;
		assert_int_equal(notice_body(notice, kinds[i], &body, &err), 0);
		CLEANUP(json_freep) json_t *parsed = json_loads(body, 0, NULL);
		assert_non_null(parsed);
		if (i == 1)
			assert_string_equal(
			    json_str_or(parsed, "text", ""),
			    "*hdms: backup failed*\ntable \"&lt;script&gt;\" \\ {stack} "
			    "@\xe2\x80\x8b"
			    "everyone &amp; \\x1b[31m\nnext\nHint: free some");
		if (i == 2)
			assert_int_equal(json_array_size(json_object_get(
					     json_object_get(parsed, "allowed_mentions"), "parse")),
					 0);
	}
}

static void notice_fill__placeholders__are_escaped_and_filled_once(void **state)
{
	(void)state;
	CLEANUP(json_freep) json_t *notice = hostile();
	CLEANUP(freep) char *body = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(
	    notice_fill(notice, "webhook",
			"{\"a\":{\"b\":\"{stack} {job} {outcome} {backup} {nothing}\"},"
			"\"m\":\"{message}\"}",
			&body, &err),
	    0);
	CLEANUP(json_freep) json_t *parsed = json_loads(body, 0, NULL);
	assert_non_null(parsed);
	assert_string_equal(json_str_or(json_object_get(parsed, "a"), "b", ""),
			    "hdms backup failure B1 {nothing}");
	assert_string_equal(json_str_or(parsed, "m", ""), json_str_or(notice, "message", ""));
}

static void notice__calm__calls_nobody_in_a_chat(void **state)
{
	(void)state;
	static const struct {
		const char *kind, *text, *calm;
	} cases[] = {
	    {"slack", "<!channel> <@U1> a&b", "&lt;!channel&gt; &lt;@\u200bU1&gt; a&amp;b"},
	    {"slack", "@here (@all) ops@example.com", "@\u200bhere (@\u200ball) ops@example.com"},
	    {"discord", "<@&1> @everyone a@b", "<@\u200b&1> @\u200beveryone a@b"},
	    {"webhook", "<!channel> @all &", "<!channel> @all &"},
	    {"teams", "", ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP(freep) char *calm = NULL;
		struct err err = ERR_INIT;
		assert_int_equal(notice_calm(cases[i].kind, cases[i].text, &calm, &err), 0);
		assert_string_equal(calm, cases[i].calm);
	}
}

static void notice_fill__of_a_chat__calls_nobody(void **state)
{
	(void)state;
	CLEANUP(json_freep) json_t *notice = hostile();
	CLEANUP(freep) char *body = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(
	    notice_fill(notice, "slack", "{\"text\":\"<!here> {message}\"}", &body, &err), 0);
	CLEANUP(json_freep) json_t *parsed = json_loads(body, 0, NULL);
	assert_non_null(parsed);
	const char *text = json_str_or(parsed, "text", "");
	/* What the template itself says is its owner's wish. */
	assert_non_null(strstr(text, "<!here> table \"&lt;script&gt;\""));
	assert_null(strstr(text, "@everyone"));
}

static void notice__long_text__is_cut_between_characters(void **state)
{
	(void)state;
	char text[4001];
	for (size_t i = 0; i < 4000; i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	text[4000] = '\0';
	text[0] = text[1] = 'x';
	CLEANUP(json_freep)
	json_t *facts = json_pack("{s:{s:s}}", "error", "message", text);
	struct notice_opts o = {
	    .event = ALARM_FAILURE, .job = JOB_BACKUP, .stack = "hdms", .facts = facts};
	CLEANUP(json_freep) json_t *notice = notice_new(&o);
	assert_int_equal(strlen(json_str_or(notice, "message", "")), 1500);
	memmove(text, text + 1, 4000);
	json_object_set_new(json_object_get(facts, "error"), "message", json_string(text));
	CLEANUP(json_freep) json_t *odd = notice_new(&o);
	assert_int_equal(strlen(json_str_or(odd, "message", "")), 1499);
}

static void ping_url__with_a_query__path_goes_before_it(void **state)
{
	(void)state;
	static const struct {
		const char *url, *path, *expect;
	} all[] = {{"https://h/id", "", "https://h/id"},
		   {"https://h/id", "/fail", "https://h/id/fail"},
		   {"https://h/id/", "/start", "https://h/id/start"},
		   {"https://h/id?a=b/c", "/fail", "https://h/id/fail?a=b/c"}};
	for (size_t i = 0; i < 4; i++) {
		CLEANUP(freep) char *url = NULL;
		struct err err = ERR_INIT;
		assert_int_equal(notify_ping_url(all[i].url, all[i].path, &url, &err), 0);
		assert_string_equal(url, all[i].expect);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(alarms__failure__told_once_then_reminded_then_recovery),
	    cmocka_unit_test(alarms__refused_configuration__told_once_and_when_mended),
	    cmocka_unit_test(alarms__no_reminders_wanted__told_once),
	    cmocka_unit_test(alarms__cancelled_or_waiting_for_a_lock__is_no_failure),
	    cmocka_unit_test(alarms__failing_and_overdue__one_recovery),
	    cmocka_unit_test(alarms__suspicious__until_a_backup_is_not),
	    cmocka_unit_test(alarms__no_drill_passes__unproven_until_one_does),
	    cmocka_unit_test(alarms__backup_gets_its_copies__has_recovered),
	    cmocka_unit_test(alarms__clock_goes_back__nothing_waits_for_the_future),
	    cmocka_unit_test(alarms__not_wanted__not_told),
	    cmocka_unit_test(alarms__restart__repeats_nothing),
	    cmocka_unit_test(alarms_restore__garbage__is_left_out),
	    cmocka_unit_test(alarms_ping__after_proof__only_a_drill_is_life),
	    cmocka_unit_test(notice__hostile_text__stays_text_in_every_body),
	    cmocka_unit_test(notice_fill__placeholders__are_escaped_and_filled_once),
	    cmocka_unit_test(notice__calm__calls_nobody_in_a_chat),
	    cmocka_unit_test(notice_fill__of_a_chat__calls_nobody),
	    cmocka_unit_test(notice__long_text__is_cut_between_characters),
	    cmocka_unit_test(ping_url__with_a_query__path_goes_before_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
