/* What the parts of the daemon hear, and in which order: a whole life of it, with parts and jobs of
 * the test's own. The jobs are this very program, as the daemon's are. qemu-user can't start them:
 * this one is not run there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/daemon/daemon.h"
#include "base/file.h"
#include "tests/support/temp_dir.h"

#define GOOD "2030-05-01T12:00:00Z"
#define CONF                                                                                       \
	"[stack]\nname = hdms\nvolumes_dir = volumes\n[volume media]\n[store local]\nurl = "       \
	"file:///nowhere\n[agent]\nlisten = off\nstate_dir = state\n[schedule]\nbackup = 0 2 * * " \
	"*\nretries = 0\ncatch_up = 0s\noverdue = 1h\n"

static struct temp_dir folder;
static char config_path[4096], clock_path[4096], job_path[4096];

/* What one of the parts has heard. */
struct ear {
	json_t *heard; /* array of {"event", "job", "facts"} */
	unsigned starts, reloads, wakes, stops;
	struct deadline due;
};
static struct ear first, late, absent;

static void put(const char *path, const char *text)
{
	struct err err = ERR_INIT;
	if (file_write_all(path, 0600, text, strlen(text), &err) < 0)
		abort();
}

/* The time that the daemon reads. */
static void set_clock(const char *time)
{
	char text[32];
	int64_t want = 0;
	struct err err = ERR_INIT;
	if (clock_parse_rfc3339(time, &want, &err) < 0)
		abort();
	snprintf(text, sizeof text, "%lld\n",
		 (long long)(want - clock_wall_ms() + clock_offset_ms()));
	put(clock_path, text);
}

/* ---- the parts ---- */

static int ear_start(struct ear *e, void **ret)
{
	e->starts++;
	*ret = e;
	return 0;
}

static int first_start(struct daemon *d, const struct config *c, void **ret, struct err *err)
{
	(void)d, (void)c, (void)err;
	first.due = deadline_in(0);
	return ear_start(&first, ret);
}

/* It can't, before a reload. */
static int late_start(struct daemon *d, const struct config *c, void **ret, struct err *err)
{
	(void)d, (void)c;
	if (late.starts++ == 0)
		return err_set(err, ERR_IO, "not yet");
	late.starts--;
	late.due = DEADLINE_NEVER;
	return ear_start(&late, ret);
}

/* It has nothing to do. */
static int absent_start(struct daemon *d, const struct config *c, void **ret, struct err *err)
{
	(void)d, (void)c, (void)ret, (void)err;
	absent.starts++;
	return 0;
}

static int ear_reload(void *part, const struct config *c, struct err *err)
{
	(void)c, (void)err;
	((struct ear *)part)->reloads++;
	return 0;
}

static const char *event_name(enum daemon_event_kind kind)
{
	static const char *const names[] = {
	    [DAEMON_STARTED] = "started",     [DAEMON_JOB_BEGAN] = "job_began",
	    [DAEMON_JOB_ENDED] = "job_ended", [DAEMON_OVERDUE] = "overdue",
	    [DAEMON_RECOVERED] = "recovered", [DAEMON_MISSED] = "missed",
	    [DAEMON_RELOADED] = "reloaded",   [DAEMON_REFUSED] = "refused",
	    [DAEMON_STOPPING] = "stopping"};
	return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "?";
}

static void hear(void *part, const struct daemon_event *e)
{
	struct ear *ear = part;
	json_t *job = e->job == JOB_KINDS ? json_null() : json_string(job_kind_name(e->job));
	json_t *facts = json_deep_copy(e->facts);
	json_array_append_new(ear->heard, json_pack("{s:s, s:o, s:o}", "event", event_name(e->kind),
						    "job", job, "facts", facts));
}

/* Each thing that happens makes the next one happen. */
static void first_event(void *part, const struct daemon_event *e)
{
	static unsigned ended;
	hear(part, e);
	if (e->kind == DAEMON_STARTED) {
		kill(getpid(), SIGUSR1);
	} else if (e->kind == DAEMON_JOB_ENDED && ended++ == 0) {
		put(config_path, CONF "drill = never\n");
		kill(getpid(), SIGHUP);
	} else if (e->kind == DAEMON_REFUSED) {
		put(config_path, CONF "drill = @weekly\n");
		put(job_path, "0");
		kill(getpid(), SIGHUP);
	} else if (e->kind == DAEMON_RELOADED) {
		kill(getpid(), SIGUSR1);
	} else if (e->kind == DAEMON_RECOVERED) {
		set_clock("2030-05-03T12:00:00Z");
		kill(getpid(), SIGUSR2);
	} else if (e->kind == DAEMON_OVERDUE) {
		kill(getpid(), SIGTERM);
	}
}

static void ear_wish(void *part, struct daemon_wish *w)
{
	w->due = ((struct ear *)part)->due;
}

static void ear_wake(void *part)
{
	struct ear *e = part;
	e->wakes++;
	e->due = DEADLINE_NEVER;
}

static void ear_stop(void *part)
{
	((struct ear *)part)->stops++;
}

static int ear_describe(void *part, json_t *doc, struct err *err)
{
	return json_put(doc, "wakes", json_integer(((struct ear *)part)->wakes), err);
}

static const struct daemon_part first_part = {.name = "first",
					      .start = first_start,
					      .reload = ear_reload,
					      .event = first_event,
					      .wish = ear_wish,
					      .wake = ear_wake,
					      .stop = ear_stop,
					      .describe = ear_describe};
static const struct daemon_part late_part = {
    .name = "late", .start = late_start, .reload = ear_reload, .event = hear, .stop = ear_stop};
static const struct daemon_part absent_part = {.name = "absent",
					       .start = absent_start,
					       .reload = ear_reload,
					       .event = hear,
					       .wish = ear_wish,
					       .wake = ear_wake,
					       .stop = ear_stop};
/* In place of those in parts.c. */
const struct daemon_part *const daemon_parts[] = {&first_part, &late_part, &absent_part, NULL};

/* ---- a life ---- */

static void assert_order(const struct ear *e, const char *expect)
{
	char all[512] = "";
	size_t i;
	json_t *heard;
	json_array_foreach(e->heard, i, heard)
	{
		size_t len = strlen(all);
		const char *job = json_str_or(heard, "job", NULL);
		snprintf(all + len, sizeof all - len, "%s%s%s%s", len > 0 ? " " : "",
			 json_str_or(heard, "event", "?"), job != NULL ? ":" : "",
			 job != NULL ? job : "");
	}
	assert_string_equal(all, expect);
}

static const json_t *facts(size_t i)
{
	return json_object_get(json_array_get(first.heard, i), "facts");
}

static const char *text(size_t i, const char *key)
{
	return json_str_or(facts(i), key, "");
}

static void assert_facts(void)
{
	const json_t *error = json_object_get(facts(2), "error");
	assert_string_equal(text(0, "stack"), "hdms");
	assert_int_equal(json_u64_or(facts(0), "pid", 0), getpid());
	assert_string_equal(text(1, "trigger"), "signal");
	assert_true(json_u64_or(facts(1), "pid", 0) > 0);
	assert_string_equal(text(2, "outcome"), "failure");
	assert_string_equal(json_str_or(error, "message", ""), "no room");
	assert_string_equal(json_str_or(json_object_get(facts(2), "result"), "said", ""), "by job");
	error = json_object_get(facts(3), "error");
	assert_string_equal(json_str_or(error, "code", ""), "configuration");
	assert_non_null(strstr(json_str_or(error, "message", ""), "the minute 'never' is none"));
	assert_string_equal(text(3, "loaded"), text(0, "loaded"));
	assert_true(json_is_null(json_object_get(facts(4), "refused")));
	assert_true(json_is_object(json_object_get(json_object_get(facts(4), "jobs"), "drill")));
	assert_string_equal(text(6, "outcome"), "success");
	assert_int_equal(json_u64_or(facts(7), "failures", 0), 1);
	assert_true(json_is_false(json_object_get(facts(7), "was_overdue")));
	assert_string_equal(text(8, "due"), "2030-05-02T02:00:00Z");
	assert_string_equal(text(9, "due"), "2030-05-02T02:00:00Z");
	assert_string_equal(text(9, "overdue_since"), "2030-05-02T03:00:00Z");
	/* What a part says of itself is in what everybody hears. */
	assert_int_equal(json_u64_or(facts(10), "wakes", 0), 1);
}

static void run__a_whole_life__each_part_hears_all_of_it_in_order(void **state)
{
	(void)state;
	struct config *c = NULL;
	struct err err = ERR_INIT;
	set_clock(GOOD);
	put(config_path, CONF);
	put(job_path, "1");
	if (config_load(config_path, &c, &err) < 0 || daemon_run(c, &err) < 0)
		fail_msg("%s", err.msg);
	config_free(c);
	assert_order(&first, "started job_began:backup job_ended:backup refused reloaded "
			     "job_began:backup job_ended:backup recovered:backup missed:backup "
			     "overdue:backup stopping");
	/* One that could not start is started by the reload. */
	assert_order(&late, "reloaded job_began:backup job_ended:backup recovered:backup "
			    "missed:backup overdue:backup stopping");
	assert_order(&absent, "");
	assert_facts();
	assert_int_equal(first.starts + late.starts, 3);
	assert_int_equal(first.reloads, 1);
	assert_int_equal(late.reloads, 0);
	assert_int_equal(first.wakes, 1);
	assert_int_equal(first.stops + late.stops, 2);
	/* It had its chance at the start and at the reload. */
	assert_int_equal(absent.starts, 2);
	assert_int_equal(absent.reloads + absent.wakes + absent.stops, 0);
}

/* ---- the job ---- */

static int be_a_job(const char *config)
{
	struct err err = ERR_INIT;
	struct buf status;
	buf_init(&status, 8);
	snprintf(job_path, sizeof job_path, "%.*s/job", (int)(strrchr(config, '/') - config),
		 config);
	if (file_read_all(job_path, &status, &err) < 0)
		return 9;
	bool failed = buf_text(&status)[0] == '1';
	printf("{\"said\": \"by job\"%s}\n",
	       failed ? ", \"error\": {\"code\": \"no-space\", \"message\": \"no room\"}" : "");
	buf_done(&status);
	return failed;
}

static int begin(void **state)
{
	(void)state;
	temp_dir_make(&folder);
	snprintf(config_path, sizeof config_path, "%s/agent.conf", folder.path);
	snprintf(clock_path, sizeof clock_path, "%s/clock", folder.path);
	snprintf(job_path, sizeof job_path, "%s/job", folder.path);
	put(clock_path, "0");
	first.heard = json_array();
	late.heard = json_array();
	absent.heard = json_array();
	/* Of tests/run.sh; to the agent a key that it does not know. */
	unsetenv("LIFEBOAT_BUILD");
	return setenv(CLOCK_OFFSET_VARIABLE, clock_path, 1);
}

static int end(void **state)
{
	(void)state;
	json_decref(first.heard);
	json_decref(late.heard);
	json_decref(absent.heard);
	temp_dir_remove(&folder);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(run__a_whole_life__each_part_hears_all_of_it_in_order),
	};
	if (argc > 2 && strcmp(argv[1], "-c") == 0)
		return be_a_job(argv[2]);
	alarm(120);
	return cmocka_run_group_tests(tests, begin, end);
}
