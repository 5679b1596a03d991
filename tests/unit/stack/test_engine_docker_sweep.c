/* What a sweep of Docker removes, lets go on, and leaves alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "stack/compose/engine_docker.h"
#include "stack/engine/process.h"
#include "tests/support/fake_docker.h"

#define COUNT(a)    (sizeof(a) / sizeof *(a))
#define STACK       "org.lifeboat.stack=hdms"
#define QUERY(more) "?filters={\"label\":[\"" STACK "\",\"org.lifeboat." more "\"]}"

#define CONTAINER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Makers: who is dead, who lives, of whom nobody can tell. */
struct makers {
	char dead[256], living[256], far[256];
};

static void know(struct makers *m)
{
	char boot[64], space[64];
	process_boot(boot);
	process_space(space);
	snprintf(m->dead, sizeof m->dead, "host %s %s 1999999999 5", boot, space);
	snprintf(m->living, sizeof m->living, "host %s %s %ld %llu", boot, space, (long)getpid(),
		 (unsigned long long)process_start(getpid()));
	snprintf(m->far, sizeof m->far, "host %s pid:[1] 5 5", boot);
}

/* A label set in a buffer of its own, kept until the next test. */
static char texts[64][4096];
static size_t text_count;

static const char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *text(const char *fmt, ...)
{
	va_list args;
	assert_true(text_count < COUNT(texts));
	va_start(args, fmt);
	vsnprintf(texts[text_count], sizeof *texts, fmt, args);
	va_end(args);
	return texts[text_count++];
}

static const char *labels(const char *run, const char *kind, const char *purpose, const char *maker)
{
	return text("{\"org.lifeboat.stack\":\"hdms\",\"org.lifeboat.run\":\"%s\","
		    "\"org.lifeboat.kind\":\"%s\",\"org.lifeboat.purpose\":\"%s\","
		    "\"org.lifeboat.maker\":\"%s\"}",
		    run, kind, purpose, maker);
}

static const char *volume(const char *name, const char *label_set)
{
	return text("{\"Name\":\"%s\",\"Labels\":%s}", name, label_set);
}

static const char *container(const char *id, const char *state, const char *label_set)
{
	return text("{\"Id\":\"%s\",\"Names\":[\"/lifeboat-%s\"],\"State\":\"%s\",\"Labels\":%s}",
		    id, id, state, label_set);
}

static struct engine *opened(const struct fake_docker *daemon, const char *purpose)
{
	struct engine *e;
	struct err err = ERR_INIT;
	const struct engine_opts opts = {.kind = "docker",
					 .stack = "hdms",
					 .run_id = "own",
					 .purpose = purpose,
					 .docker_host = daemon->host};
	if (engine_open(&opts, &e, &err) < 0)
		fail_msg("%s", err.msg);
	return e;
}

static struct strlist swept(struct fake_docker *daemon, const struct fake_route *routes,
			    size_t count, bool dry_run)
{
	struct strlist lines = {0};
	struct err err = ERR_INIT;
	fake_docker_start(daemon, routes, count);
	struct engine *e = opened(daemon, "drill");
	if (engine_sweep(e, dry_run, &lines, &err) < 0)
		fail_msg("%s", err.msg);
	engine_free(e);
	fake_docker_stop(daemon);
	return lines;
}

static int fresh(void **state)
{
	(void)state;
	text_count = 0;
	return 0;
}

/* A dead run, a living one, one of which nobody can tell, a finished restore, and a drill whose
 * mark somebody has pruned. */
static size_t many_runs(struct fake_route *r)
{
	static struct makers m;
	know(&m);
	const char *marks =
	    text("{\"Volumes\":[%s,%s,%s]}",
		 volume("lifeboat-run-dead", labels("dead", "run", "drill", m.dead)),
		 volume("lifeboat-run-live", labels("live", "run", "drill", m.living)),
		 volume("lifeboat-run-far", labels("far", "run", "drill", m.far)));
	const char *volumes =
	    text("%s,%s,%s", volume("v_dead", labels("dead", "volume", "drill", m.dead)),
		 volume("v_live", labels("live", "volume", "drill", m.living)),
		 volume("v_far", labels("far", "volume", "drill", m.far)));
	const char *more = text("{\"Volumes\":[%s,%s,%s]}", volumes,
				volume("v_done", labels("done", "volume", "restore", m.dead)),
				volume("v_pruned", labels("pruned", "volume", "drill", m.dead)));
	const char *containers = text(
	    "[%s,%s]", container("c-dead", "running", labels("dead", "server", "drill", m.dead)),
	    container("c-live", "running", labels("live", "server", "drill", m.living)));
	const char *networks = text("[{\"Id\":\"n-dead\",\"Name\":\"net\",\"Labels\":%s}]",
				    labels("dead", "network", "drill", m.dead));
	const struct fake_route all[] = {
	    {"GET /volumes" QUERY("kind=run"), 200, marks, NULL, 0},
	    {"GET /volumes" QUERY("kind=hold"), 200, "{\"Volumes\":null}", NULL, 0},
	    {"GET /volumes" QUERY("run"), 200, more, NULL, 0},
	    {"GET /volumes?", 200, "{\"Volumes\":null}", NULL, 0},
	    {"GET /containers/json?filters={\"label\":[\"" STACK "\",\"org.lifeboat.run\"]}", 200,
	     containers, NULL, 0},
	    {"GET /containers/json?", 200, "[]", NULL, 0},
	    {"GET /networks?", 200, networks, NULL, 0},
	    {"GET /networks/n-dead", 200,
	     "{\"Id\":\"n-dead\",\"Containers\":{\"someone\":{\"Name\":\"x\"}}}", NULL, 0},
	    {"GET /volumes/lifeboat-run-dead", 200, "{}", NULL, 0},
	    {"GET /volumes/lifeboat-run-live", 200, "{}", NULL, 0},
	    {"GET /volumes/lifeboat-run-far", 200, "{}", NULL, 0},
	    {"POST /networks/n-dead/disconnect", 200, "", NULL, 0},
	    {"DELETE /", 204, NULL, NULL, 0},
	};
	memcpy(r, all, sizeof all);
	return COUNT(all);
}

static void engine_sweep__runs_of_all_kinds__only_the_dead_ones_go(void **state)
{
	(void)state;
	struct fake_route routes[32];
	struct fake_docker daemon;
	size_t count = many_runs(routes);
	struct strlist lines = swept(&daemon, routes, count, false);
	assert_int_equal(lines.count, 5);
	assert_string_equal(lines.items[0], "container 'lifeboat-c-dead' of drill dead");
	assert_string_equal(lines.items[1], "network 'net' of drill dead");
	assert_string_equal(lines.items[2], "volume 'v_dead' of drill dead");
	assert_string_equal(lines.items[3],
			    "drill far: can't tell from here whether it still works; left alone");
	assert_string_equal(lines.items[4], "volume 'v_pruned' of drill pruned");
	strlist_done(&lines);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE "), 5);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE /containers/c-dead?force=true&v=true"),
			 1);
	assert_int_equal(
	    fake_docker_asked(&daemon,
			      "POST /networks/n-dead/disconnect {\"Container\":\"someone\""),
	    1);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE /networks/n-dead"), 1);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE /volumes/v_dead"), 1);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE /volumes/v_pruned"), 1);
	/* The mark is the last to go. */
	assert_int_equal(fake_docker_asked(&daemon, "DELETE /volumes/lifeboat-run-dead"), 1);
	assert_true(strstr(daemon.log, "DELETE /volumes/lifeboat-run-dead") >
		    strstr(daemon.log, "DELETE /volumes/v_pruned"));
}

static void engine_sweep__dry_run__lists_the_same_and_removes_nothing(void **state)
{
	(void)state;
	struct fake_route routes[32];
	struct fake_docker daemon;
	size_t count = many_runs(routes);
	struct strlist lines = swept(&daemon, routes, count, true);
	assert_int_equal(lines.count, 5);
	strlist_done(&lines);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE "), 0);
	assert_int_equal(fake_docker_asked(&daemon, "POST "), 0);
}

static void engine_sweep__thing_that_stays__keeps_its_mark_and_not_the_rest(void **state)
{
	(void)state;
	struct fake_route routes[33];
	struct fake_docker daemon;
	struct err err = ERR_INIT;
	struct strlist lines = {0};
	routes[0] = (struct fake_route){"DELETE /volumes/v_dead", 500,
					"{\"message\":\"disk is on fire\"}", NULL, 0};
	size_t count = 1 + many_runs(routes + 1);
	fake_docker_start(&daemon, routes, count);
	struct engine *e = opened(&daemon, "drill");
	assert_int_equal(engine_sweep(e, false, &lines, &err), -1);
	assert_non_null(strstr(err.msg, "sweep: can't remove 'v_dead': disk is on fire"));
	engine_free(e);
	fake_docker_stop(&daemon);
	strlist_done(&lines);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE /volumes/v_pruned"), 1);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE /volumes/lifeboat-run-dead"), 0);
}

static void engine_sweep__finished_meanwhile__stays(void **state)
{
	(void)state;
	struct makers m;
	know(&m);
	/* The mark was listed, but is gone by the time its maker is found dead. */
	const char *marks = text("{\"Volumes\":[%s]}",
				 volume("lifeboat-run-r", labels("r", "run", "restore", m.dead)));
	const char *volumes =
	    text("{\"Volumes\":[%s]}", volume("v", labels("r", "volume", "restore", m.dead)));
	const struct fake_route routes[] = {
	    {"GET /volumes" QUERY("kind=run"), 200, marks, NULL, 0},
	    {"GET /volumes" QUERY("run"), 200, volumes, NULL, 0},
	    {"GET /volumes?", 200, "{\"Volumes\":null}", NULL, 0},
	    {"GET /containers/json?", 200, "[]", NULL, 0},
	    {"GET /networks?", 200, "[]", NULL, 0},
	    {"DELETE /", 204, NULL, NULL, 0},
	};
	struct fake_docker daemon;
	struct strlist lines = swept(&daemon, routes, COUNT(routes), false);
	assert_int_equal(lines.count, 0);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE "), 0);
	strlist_done(&lines);
}

/* A maker in a container: alive while that runs since the same moment. */
static void engine_sweep__makers_in_containers__judged_by_their_container(void **state)
{
	(void)state;
	const char *since = "2026-11-23T02:00:00.5Z";
	static const struct {
		const char *answer; /* NULL: no such container */
		bool dead;
	} cases[] = {
	    {NULL, true},
	    {"{\"State\":{\"Running\":false,\"StartedAt\":\"2026-11-23T02:00:00.5Z\"}}", true},
	    {"{\"State\":{\"Running\":true,\"StartedAt\":\"2026-11-23T03:00:00.5Z\"}}", true},
	    {"{\"State\":{\"Running\":true,\"StartedAt\":\"2026-11-23T02:00:00.5Z\"}}", false}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		text_count = 0;
		const char *maker = text("container " CONTAINER " %s 7 99", since);
		const char *marks =
		    text("{\"Volumes\":[%s]}",
			 volume("lifeboat-run-r", labels("r", "run", "drill", maker)));
		const struct fake_route routes[] = {
		    {"GET /volumes" QUERY("kind=run"), 200, marks, NULL, 0},
		    {"GET /volumes?", 200, "{\"Volumes\":null}", NULL, 0},
		    {"GET /volumes/lifeboat-run-r", 200, "{}", NULL, 0},
		    {"GET /containers/json?", 200, "[]", NULL, 0},
		    {"GET /networks?", 200, "[]", NULL, 0},
		    {"GET /containers/" CONTAINER "/json", cases[i].answer != NULL ? 200 : 404,
		     cases[i].answer != NULL ? cases[i].answer : "{\"message\":\"none\"}", NULL, 0},
		    {"DELETE /volumes/lifeboat-run-r", 204, NULL, NULL, 0},
		};
		struct fake_docker daemon;
		struct strlist lines = swept(&daemon, routes, COUNT(routes), false);
		assert_int_equal(lines.count, cases[i].dead ? 1 : 0);
		assert_int_equal(fake_docker_asked(&daemon, "DELETE "), cases[i].dead ? 1 : 0);
		if (cases[i].dead)
			assert_string_equal(lines.items[0], "mark of drill r");
		strlist_done(&lines);
	}
}

static void engine_sweep__container_left_paused__goes_on(void **state)
{
	(void)state;
	struct makers m;
	know(&m);
	const char *mark = text(
	    "{\"Volumes\":[{\"Name\":\"lifeboat-hold-r-1\",\"Labels\":{"
	    "\"org.lifeboat.kind\":\"hold\",\"org.lifeboat.run\":\"r\",\"org.lifeboat.for\":"
	    "\"" CONTAINER "\",\"org.lifeboat.hold\":\"pause\",\"org.lifeboat.name\":\"web_1\","
	    "\"org.lifeboat.maker\":\"%s\"}}]}",
	    m.dead);
	const struct fake_route routes[] = {
	    {"GET /volumes" QUERY("kind=hold"), 200, mark, NULL, 0},
	    {"GET /volumes?", 200, "{\"Volumes\":null}", NULL, 0},
	    {"GET /volumes/lifeboat-hold-r-1", 200, "{\"CreatedAt\":\"2026-11-23T02:00:00Z\"}",
	     NULL, 0},
	    {"GET /containers/json?", 200, "[]", NULL, 0},
	    {"GET /networks?", 200, "[]", NULL, 0},
	    {"GET /containers/" CONTAINER "/json", 200,
	     "{\"State\":{\"Running\":true,\"Paused\":true}}", NULL, 0},
	    {"POST /containers/" CONTAINER "/unpause", 204, NULL, NULL, 0},
	    {"DELETE /volumes/lifeboat-hold-r-1", 204, NULL, NULL, 0},
	};
	struct fake_docker daemon;
	struct strlist lines = swept(&daemon, routes, COUNT(routes), false);
	assert_int_equal(lines.count, 1);
	assert_string_equal(lines.items[0], "container 'web_1', which run r left paused");
	strlist_done(&lines);
	assert_int_equal(fake_docker_asked(&daemon, "POST /containers/" CONTAINER "/unpause"), 1);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE /volumes/lifeboat-hold-r-1"), 1);
}

/* ---- marks ---- */

static void run_mark__name_taken__exists(void **state)
{
	(void)state;
	/* The daemon hands back what was there before, with other labels. */
	const struct fake_route routes[] = {
	    {"POST /volumes/create", 201,
	     "{\"Name\":\"lifeboat-run-own\",\"Labels\":{\"org.lifeboat.nonce\":\"other\"}}", NULL,
	     0}};
	struct fake_docker daemon;
	struct err err = ERR_INIT;
	fake_docker_start(&daemon, routes, COUNT(routes));
	struct engine *e = opened(&daemon, "drill");
	assert_int_equal(run_mark((struct engine_docker *)e, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_string_equal(err.msg, "mark 'lifeboat-run-own' is there already");
	engine_free(e);
	fake_docker_stop(&daemon);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE "), 0);
}

static void run_unmark__something_left__keeps_the_mark(void **state)
{
	(void)state;
	struct makers m;
	know(&m);
	const char *left =
	    text("[%s]", container("c", "created", labels("own", "helper", "drill", m.living)));
	const struct fake_route routes[] = {
	    {"GET /containers/json?", 200, left, NULL, 1},
	    {"GET /containers/json?", 200, "[]", NULL, 0},
	    {"GET /networks?", 200, "[]", NULL, 0},
	    {"GET /volumes?", 200, "{\"Volumes\":[]}", NULL, 0},
	    {"DELETE /volumes/lifeboat-run-own", 204, NULL, NULL, 0}};
	struct fake_docker daemon;
	struct err err = ERR_INIT;
	fake_docker_start(&daemon, routes, COUNT(routes));
	struct engine *base = opened(&daemon, "drill");
	struct engine_docker *e = (struct engine_docker *)base;
	e->marked = true;
	assert_int_equal(run_unmark(e, &err), 0);
	assert_true(e->marked);
	assert_int_equal(run_unmark(e, &err), 0);
	assert_false(e->marked);
	engine_free(base);
	fake_docker_stop(&daemon);
	assert_int_equal(fake_docker_asked(&daemon, "DELETE "), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(engine_sweep__runs_of_all_kinds__only_the_dead_ones_go, fresh),
	    cmocka_unit_test_setup(engine_sweep__dry_run__lists_the_same_and_removes_nothing,
				   fresh),
	    cmocka_unit_test_setup(engine_sweep__thing_that_stays__keeps_its_mark_and_not_the_rest,
				   fresh),
	    cmocka_unit_test_setup(engine_sweep__finished_meanwhile__stays, fresh),
	    cmocka_unit_test_setup(engine_sweep__makers_in_containers__judged_by_their_container,
				   fresh),
	    cmocka_unit_test_setup(engine_sweep__container_left_paused__goes_on, fresh),
	    cmocka_unit_test_setup(run_mark__name_taken__exists, fresh),
	    cmocka_unit_test_setup(run_unmark__something_left__keeps_the_mark, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
