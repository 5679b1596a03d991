/* What the daemon remembers, when memory runs out at every single point: it says so, and the file
 * that was there is there still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "agent/daemon/daemon.h"
#include "agent/daemon/state.h"
#include "base/file.h"
#include "tests/support/fail_alloc.h"
#include "tests/support/temp_dir.h"

enum { MOST = 5000 };

static struct temp_dir folder;
static char stack_name[] = "hdms", config_path[] = "agent.conf", nightly[] = "0 2 * * *";
static struct config config;
static char *good; /* the text of a state file */

static int note_run(struct state *s, struct err *err)
{
	CLEANUP(json_freep)
	json_t *run = json_pack("{s:s, s:s}", "run", "20261123T020000Z-3f9c", "job", "backup");
	if (run == NULL)
		return err_nomem(err, "a run");
	state_began(s, run);
	return state_ended(s, JOB_BACKUP, true, run, err);
}

static int write_text(struct state *s, char **ret, struct err *err)
{
	CLEANUP(zone_freep) struct zone *z = NULL;
	CLEANUP(json_freep) json_t *doc = NULL;
	struct agenda a = {.running = JOB_KINDS};
	struct strlist none = {0};
	struct state_facts facts = {
	    .config = &config, .agenda = &a, .now_ms = 1, .started_ms = 1, .warnings = &none};
	if (zone_load(NULL, &z, err) < 0)
		return -1;
	a.opts.zone = z;
	a.rules[JOB_BACKUP].scheduled = true;
	if (cron_parse(nightly, &a.rules[JOB_BACKUP].cron, err) < 0 ||
	    state_document(s, &facts, &doc, err) < 0)
		return -1;
	return json_text(doc, false, ret, err);
}

static int remember(struct err *err)
{
	CLEANUP(state_closep) struct state *s = NULL;
	CLEANUP(freep) char *text = NULL;
	if (state_open(&config, &s, err) < 0)
		return -1;
	/* It must not take a lack of memory for a broken file. */
	assert_null(s->warning);
	if (note_run(s, err) < 0 || write_text(s, &text, err) < 0)
		return -1;
	return state_save(s, text, err);
}

static int look(struct err *err)
{
	CLEANUP(json_freep) json_t *doc = NULL;
	return daemon_status(&config, &doc, err);
}

static int begin_anew(struct err *err)
{
	CLEANUP(state_closep) struct state *s = NULL;
	if (state_open(&config, &s, err) < 0)
		return -1;
	assert_non_null(s->warning);
	return 0;
}

static void sweep(int (*step)(struct err *err), const char *file, unsigned at_least)
{
	unsigned n = 1;
	do {
		struct err err = ERR_INIT;
		temp_dir_write(&folder, "hdms.json", file, strlen(file));
		fail_alloc_at(n);
		int done = step(&err);
		fail_alloc_off();
		if (fail_alloc_hit() && done < 0)
			assert_int_equal(err.code, ERR_NOMEM);
		else if (done < 0)
			fail_msg("%s", err.msg);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, at_least, MOST - 1);
}

static void state__memory_runs_out__says_so_and_keeps_the_file(void **state)
{
	(void)state;
	sweep(remember, good, 100);
	sweep(look, good, 20);
	sweep(begin_anew, "{", 8);
}

static int enter(void **state)
{
	(void)state;
	/* What jansson wants counts too. */
	json_set_alloc_funcs(malloc, free);
	struct err err = ERR_INIT;
	temp_dir_make(&folder);
	config.path = config_path;
	config.stack.name = stack_name;
	config.agent.state_dir = folder.path;
	config.schedule.cron[JOB_BACKUP] = nightly;
	CLEANUP(state_closep) struct state *s = NULL;
	return state_open(&config, &s, &err) < 0 || note_run(s, &err) < 0
		   ? -1
		   : write_text(s, &good, &err);
}

static int leave(void **state)
{
	(void)state;
	free(good);
	temp_dir_remove(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(state__memory_runs_out__says_so_and_keeps_the_file),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}
