#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/daemon/daemon.h"
#include "agent/daemon/state.h"
#include "base/file.h"
#include "tests/support/temp_dir.h"

#define NOW INT64_C(1774746000000) /* 2026-03-29T01:00:00Z */

static struct temp_dir folder;
static char stack_name[] = "hdms", config_path[] = "/etc/lifeboat/agent.conf",
	    nightly[] = "0 2 * * *";

static int make_folder(void **state)
{
	(void)state;
	temp_dir_make(&folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	temp_dir_remove(&folder);
	return 0;
}

static struct config config(void)
{
	struct config c = {.path = config_path};
	c.stack.name = stack_name;
	c.agent.state_dir = folder.path;
	c.schedule.cron[JOB_BACKUP] = nightly;
	return c;
}

static struct state *opened(const struct config *c)
{
	struct err err = ERR_INIT;
	struct state *s = NULL;
	if (state_open(c, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static json_t *a_run(const char *id, const char *job)
{
	json_t *run = json_pack("{s:s, s:s, s:s}", "run", id, "job", job, "outcome", "success");
	assert_non_null(run);
	return run;
}

static void add_run(struct state *s, enum job_kind kind, bool success, const char *id)
{
	struct err err = ERR_INIT;
	json_t *run = a_run(id, job_kind_name(kind));
	assert_int_equal(state_ended(s, kind, success, run, &err), 0);
	json_decref(run);
}

static const struct agenda_entry busy = {.since_ms = NOW - 100000000,
					 .handled_ms = NOW - 5000,
					 .due_ms = NOW - 6000,
					 .trigger = JOB_BY_CATCH_UP,
					 .retry_ms = NOW + 7000,
					 .attempts = 2,
					 .run_began_ms = NOW - 8000,
					 .run_due_ms = NOW - 9000,
					 .run_trigger = JOB_BY_RETRY,
					 .run_attempt = 3,
					 .success_ms = NOW - 10000,
					 .failures = 4,
					 .failing_since_ms = NOW - 11000,
					 .overdue_since_ms = NOW - 12000};

/* Everything that a state can hold, as the text of its file. */
static char *full_text(const struct config *c, struct state *s)
{
	struct err err = ERR_INIT;
	struct agenda a = {.running = JOB_DRILL};
	struct zone *z = NULL;
	struct strlist warnings = {0};
	json_t *doc = NULL, *run = a_run("r-running", "drill");
	char *text = NULL;
	assert_int_equal(zone_load(NULL, &z, &err), 0);
	a.opts.zone = z;
	a.rules[JOB_BACKUP].scheduled = true;
	assert_int_equal(cron_parse(nightly, &a.rules[JOB_BACKUP].cron, &err), 0);
	a.entries[JOB_BACKUP] = busy;
	s->plans[JOB_BACKUP] = strdup("0 2 * * * UTC");
	add_run(s, JOB_BACKUP, true, "r-1");
	add_run(s, JOB_BACKUP, false, "r-2");
	state_began(s, run);
	json_decref(run);
	assert_int_equal(strlist_push(&warnings, "mind the gap", &err), 0);
	struct state_facts f = {
	    .config = c, .agenda = &a, .now_ms = NOW, .started_ms = NOW, .warnings = &warnings};
	assert_int_equal(state_document(s, &f, &doc, &err), 0);
	assert_int_equal(json_text(doc, false, &text, &err), 0);
	strlist_done(&warnings);
	json_decref(doc);
	zone_free(z);
	return text;
}

static void state__written_and_read__is_the_same(void **state)
{
	(void)state;
	struct config c = config();
	struct err err = ERR_INIT;
	struct state *s = opened(&c);
	char *text = full_text(&c, s);
	assert_null(s->warning);
	assert_int_equal(state_save(s, text, &err), 0);
	state_close(s);
	free(text);
	s = opened(&c);
	assert_null(s->warning);
	assert_memory_equal(&s->entries[JOB_BACKUP], &busy, sizeof busy);
	assert_string_equal(s->plans[JOB_BACKUP], "0 2 * * * UTC");
	assert_null(s->plans[JOB_DRILL]);
	assert_int_equal(json_array_size(s->history), 2);
	assert_string_equal(json_str_or(json_array_get(s->history, 0), "run", ""), "r-2");
	assert_string_equal(json_str_or(s->last[JOB_BACKUP], "run", ""), "r-2");
	assert_string_equal(json_str_or(s->last_success[JOB_BACKUP], "run", ""), "r-1");
	assert_string_equal(json_str_or(s->running, "run", ""), "r-running");
	state_close(s);
}

static void state__cut_anywhere__is_set_aside_and_begun_anew(void **state)
{
	(void)state;
	struct config c = config();
	struct state *s = opened(&c);
	char *text = full_text(&c, s);
	size_t len = strlen(text);
	state_close(s);
	for (size_t cut = 0; cut < len; cut += cut < 200 || cut + 100 > len ? 1 : 7) {
		temp_dir_write(&folder, "hdms.json", text, cut);
		s = opened(&c);
		assert_non_null(s->warning);
		assert_non_null(strstr(s->warning, "hdms.json.broken', and what has run is "
						   "forgotten"));
		assert_int_equal(json_array_size(s->history), 0);
		assert_null(s->running);
		assert_int_equal(s->entries[JOB_BACKUP].since_ms, 0);
		assert_false(file_exists(temp_dir_in(&folder, "hdms.json")));
		assert_true(file_exists(temp_dir_in(&folder, "hdms.json.broken")));
		state_close(s);
	}
	free(text);
}

static void state__lies__are_told(void **state)
{
	static const char *const cases[][2] = {
	    {"[]", "field 'version' is missing"},
	    {"{\"version\":2}", "it is of version 2, not 1"},
	    {"{\"version\":1,\"jobs\":{},\"history\":{}}", "field 'history'"},
	    {"{\"version\":1,\"jobs\":{\"dance\":{}},\"history\":[]}", "an unknown job 'dance'"},
	    {"{\"version\":1,\"jobs\":{\"backup\":{}},\"history\":[]}",
	     "job 'backup': field 'agenda'"},
	    {"{\"version\":1,\"jobs\":{},\"history\":[{\"job\":\"backup\"}]}",
	     "history: field 'run' is missing"},
	    {"{\"version\":1,\"jobs\":{},\"history\":[],\"running\":{\"job\":\"x\"}}",
	     "running: a run of an unknown job 'x'"},
	};
	(void)state;
	struct config c = config();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		temp_dir_write(&folder, "hdms.json", cases[i][0], strlen(cases[i][0]));
		struct state *s = opened(&c);
		if (s->warning == NULL || strstr(s->warning, cases[i][1]) == NULL)
			fail_msg("'%s': '%s'", cases[i][0], s->warning ? s->warning : "fine");
		state_close(s);
	}
	/* Numbers and times out of bounds, each in an otherwise good file. */
	static const char *const swaps[][2] = {
	    {"\"attempts\":2", "\"attempts\":-2"},
	    {"\"attempts\":2", "\"attempts\":99999999"},
	    {"\"since\":\"2026-", "\"since\":\"1926-"},
	    {"\"since\":\"2026-", "\"since\":\"soon-"},
	    {"\"trigger\":\"catch-up\"", "\"trigger\":\"catch-us\""},
	    {"\"counts\":{\"runs\":{\"success\":2", "\"counts\":{\"runs\":{\"success\":-2"},
	    {"\"counts\":{\"runs\":{\"success\":2",
	     "\"counts\":{\"runs\":{\"success\":99999999999"},
	    {"\"counts\":{\"runs\":{\"success\":2}", "\"counts\":{\"runs\":null"},
	};
	for (size_t i = 0; i < sizeof swaps / sizeof *swaps; i++) {
		struct state *s = opened(&c);
		char *text = full_text(&c, s), *at = strstr(text, swaps[i][0]), *made = NULL;
		struct err err = ERR_INIT;
		assert_non_null(at);
		state_close(s);
		assert_int_equal(str_printf(&made, &err, "%.*s%s%s", (int)(at - text), text,
					    swaps[i][1], at + strlen(swaps[i][0])),
				 0);
		temp_dir_write(&folder, "hdms.json", made, strlen(made));
		s = opened(&c);
		if (s->warning == NULL)
			fail_msg("'%s' is taken", swaps[i][1]);
		state_close(s);
		free(text);
		free(made);
	}
}

static uint64_t counted(const struct state *s, const char *group, const char *name)
{
	return json_u64_or(json_object_get(s->counts[JOB_BACKUP], group), name, 0);
}

static void end_run(struct state *s, const char *outcome, const char *code)
{
	struct err err = ERR_INIT;
	json_t *run = json_pack("{s:s, s:s, s:s, s:{s:s*}}", "run", "r", "job", "backup", "outcome",
				outcome, "error", "code", code);
	assert_non_null(run);
	assert_int_equal(state_ended(s, JOB_BACKUP, false, run, &err), 0);
	json_decref(run);
}

static void counts__of_all_runs__outlive_history_and_daemon(void **state)
{
	(void)state;
	struct config c = config();
	struct err err = ERR_INIT;
	struct state *s = opened(&c);
	for (int i = 0; i < STATE_HISTORY; i++)
		end_run(s, "failure", "unreachable");
	end_run(s, "timeout", "timeout");
	end_run(s, "crashed", "failed");
	end_run(s, "lost", NULL);
	end_run(s, "failure", NULL);
	/* No failures, these two. */
	end_run(s, "locked", "locked");
	end_run(s, "cancelled", "cancelled");
	char *text = full_text(&c, s);
	assert_int_equal(state_save(s, text, &err), 0);
	free(text);
	state_close(s);
	s = opened(&c);
	static const struct {
		const char *group, *name;
		uint64_t count;
	} want[] = {{"runs", "failure", STATE_HISTORY + 1},
		    {"runs", "timeout", 1},
		    {"runs", "crashed", 1},
		    {"runs", "lost", 1},
		    {"runs", "locked", 1},
		    {"runs", "cancelled", 1},
		    {"runs", "success", 2},
		    {"failures", "unreachable", STATE_HISTORY},
		    {"failures", "timeout", 1},
		    {"failures", "crashed", 1},
		    {"failures", "lost", 1},
		    {"failures", "failed", 1},
		    {"failures", "locked", 0},
		    {"failures", "cancelled", 0}};
	for (size_t i = 0; i < sizeof want / sizeof *want; i++)
		if (counted(s, want[i].group, want[i].name) != want[i].count)
			fail_msg("%s %s: %llu", want[i].group, want[i].name,
				 (unsigned long long)counted(s, want[i].group, want[i].name));
	state_close(s);
}

static void history__many_runs__keeps_the_newest(void **state)
{
	(void)state;
	struct config c = config();
	struct state *s = opened(&c);
	char id[32];
	for (int i = 0; i < STATE_HISTORY + 50; i++) {
		snprintf(id, sizeof id, "r-%d", i);
		add_run(s, i % 2 ? JOB_BACKUP : JOB_PRUNE, true, id);
	}
	assert_int_equal(json_array_size(s->history), STATE_HISTORY);
	assert_string_equal(json_str_or(json_array_get(s->history, 0), "run", ""), id);
	state_close(s);
}

static void open__twice__is_locked(void **state)
{
	(void)state;
	struct config c = config();
	struct state *s = opened(&c), *second = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(state_open(&c, &second, &err), -1);
	assert_int_equal(err.code, ERR_LOCKED);
	assert_non_null(strstr(err.msg, "lifeboat run is already there for stack 'hdms': pid "));
	assert_null(second);
	state_close(s);
	state_close(opened(&c));
}

static void status_read__without_a_daemon__nothing_runs(void **state)
{
	(void)state;
	struct config c = config();
	struct err err = ERR_INIT;
	json_t *doc = NULL;
	assert_int_equal(daemon_status(&c, &doc, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	struct state *s = opened(&c);
	char *text = full_text(&c, s);
	assert_int_equal(state_save(s, text, &err), 0);
	/* While it is locked */
	assert_int_equal(daemon_status(&c, &doc, &err), 0);
	assert_true(json_is_object(json_object_get(doc, "running")));
	assert_int_equal(json_u64_or(doc, "pid", 0), getpid());
	assert_null(json_object_get(doc, "version"));
	const json_t *backup = json_object_get(json_object_get(doc, "jobs"), "backup");
	assert_null(json_object_get(backup, "agenda"));
	assert_string_equal(json_str_or(backup, "next", ""), "2026-03-29T02:00:00Z");
	assert_string_equal(json_str_or(backup, "schedule", ""), nightly);
	json_decref(doc);
	/* and after that. */
	state_close(s);
	assert_int_equal(daemon_status(&c, &doc, &err), 0);
	assert_true(json_is_null(json_object_get(doc, "running")));
	assert_true(json_is_null(json_object_get(doc, "pid")));
	json_decref(doc);
	free(text);
}

static void folder__by_configuration_or_system__is_found(void **state)
{
	(void)state;
	struct config c = config();
	struct err err = ERR_INIT;
	char *path = NULL;
	assert_int_equal(state_folder(&c, &path, &err), 0);
	assert_string_equal(path, folder.path);
	free(path);
	c.agent.state_dir = NULL;
	setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1);
	assert_int_equal(state_folder(&c, &path, &err), 0);
	assert_string_equal(path, "/var/lib/one");
	free(path);
	unsetenv("STATE_DIRECTORY");
	setenv("XDG_STATE_HOME", "/home-of/state", 1);
	assert_int_equal(state_folder(&c, &path, &err), 0);
	assert_string_equal(path, geteuid() == 0 ? "/var/lib/lifeboat" : "/home-of/state/lifeboat");
	free(path);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_FOLDER(state__written_and_read__is_the_same),
	    IN_FOLDER(state__cut_anywhere__is_set_aside_and_begun_anew),
	    IN_FOLDER(state__lies__are_told),
	    IN_FOLDER(counts__of_all_runs__outlive_history_and_daemon),
	    IN_FOLDER(history__many_runs__keeps_the_newest),
	    IN_FOLDER(open__twice__is_locked),
	    IN_FOLDER(status_read__without_a_daemon__nothing_runs),
	    IN_FOLDER(folder__by_configuration_or_system__is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
