/* The command line, the configuration and the pages when memory runs out at every single point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/cli.h"
#include "agent/completion.h"
#include "agent/config/config.h"
#include "agent/output/output.h"
#include "agent/pages.h"
#include "base/file.h"
#include "tests/support/fail_alloc.h"

enum { MOST = 5000 };

/* `step` makes something and throws it away. It must fail for memory alone, as long as some
 * allocation fails; the count says that the sweep went on at all. */
static void sweep(int (*step)(struct err *err), unsigned at_least)
{
	unsigned n = 1;
	do {
		struct err err = ERR_INIT;
		fail_alloc_at(n);
		int done = step(&err);
		fail_alloc_off();
		if (fail_alloc_hit() && done < 0)
			assert_int_equal(err.code, ERR_NOMEM);
		else if (done < 0)
			fail_msg("%s", err.msg);
		else if (fail_alloc_hit())
			fail_msg("allocation %u failed and nobody said so", n);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, at_least, MOST - 1);
}

static int load(struct err *err)
{
	CLEANUP(config_freep) struct config *c = NULL;
	return config_load("agent.conf", &c, err);
}

static void config_load__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(load, 60);
}

static int load_wrong(struct err *err)
{
	CLEANUP(config_freep) struct config *c = NULL;
	if (config_load("wrong.conf", &c, err) == 0)
		return 0;
	return err->code == ERR_CONFIG ? 0 : -1;
}

static void config_load__memory_runs_out_over_a_mistake__one_of_the_two_is_said(void **state)
{
	(void)state;
	/* The mistake may be found before memory is missed, never the other way round. */
	for (unsigned n = 1; n < MOST; n++) {
		struct err err = ERR_INIT;
		fail_alloc_at(n);
		int done = load_wrong(&err);
		fail_alloc_off();
		if (done < 0)
			assert_int_equal(err.code, ERR_NOMEM);
		else
			assert_string_equal(err.msg,
					    "wrong.conf:6: 'method' in [redis]: 'bgsav' is "
					    "not 'auto', 'bgsave' or 'stream'");
		if (!fail_alloc_hit())
			return;
	}
	fail_msg("no end");
}

static int parse(struct err *err)
{
	static const char *const argv[] = {"lifeboat", "-c",     "x",      "backup", "--label",
					   "text",     "--only", "a,b,,c", "--only", "d"};
	CLEANUP(cli_freep) struct cli *c = NULL;
	struct strlist only = {0};
	if (cli_parse(10, argv, &c, err) < 0)
		return -1;
	int done = cli_list(c, "only", &only, err);
	if (done == 0)
		assert_int_equal(only.count, 4);
	strlist_done(&only);
	return done;
}

static void cli_parse__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(parse, 8);
}

static int pages(struct err *err)
{
	CLEANUP(freep) char *overview = NULL;
	CLEANUP(freep) char *manual = NULL;
	CLEANUP(freep) char *config = NULL;
	CLEANUP(freep) char *script = NULL;
	if (page_overview(&overview, err) < 0 || page_lifeboat(DOC_MAN, &manual, err) < 0 ||
	    page_config(DOC_TEXT, &config, err) < 0)
		return -1;
	return completion_script("bash", &script, err);
}

static void pages__memory_runs_out__fail_cleanly(void **state)
{
	(void)state;
	sweep(pages, 20);
}

static int table(struct err *err)
{
	static const struct table_column columns[] = {{"A", false}, {"B", true}};
	CLEANUP(table_freep) struct table *t = NULL;
	struct buf out;
	buf_init(&out, 1 << 16);
	int done = table_new(columns, 2, &t, err);
	for (int i = 0; done == 0 && i < 5; i++)
		done = table_add(t, (const char *const[]){"one", "two"}, err);
	if (done == 0)
		done = table_text(t, true, &out, err);
	buf_done(&out);
	return done;
}

static void table__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	sweep(table, 10);
}

static char folder[] = "/tmp/lifeboat-alloc-XXXXXX";

static int put(const char *name, const char *text)
{
	struct err err = ERR_INIT;
	return file_write_all(name, 0600, text, strlen(text), &err);
}

static int enter(void **state)
{
	(void)state;
	clearenv();
	if (mkdtemp(folder) == NULL || chdir(folder) != 0)
		return -1;
	setenv("LIFEBOAT_POSTGRES_URL_FILE", "url", 1);
	if (put("url", "postgresql://h/d\n") < 0 || put(".env", "PW='a b'\nNAME=hdms\n") < 0 ||
	    put("wrong.conf",
		"[stack]\nname=a\nvolumes_dir=v\n[redis]\nurl=redis://h\nmethod=bgsav\n") < 0)
		return -1;
	return put("agent.conf",
		   "[stack]\nname=${NAME}\nvolumes_dir=v\nenv_file=.env\n[postgres]\n"
		   "url=postgresql://u:${PW}@h/d\n[redis]\nurl=redis://:${PW}@h\n"
		   "[volume m]\n[store a]\nurl=file:///b\nkeep=last 3\n[store b]\nurl=file:///c\n");
}

static int leave(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	return chdir("/") == 0 ? dir_remove(folder, &err) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(config_load__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(config_load__memory_runs_out_over_a_mistake__one_of_the_two_is_said),
	    cmocka_unit_test(cli_parse__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(pages__memory_runs_out__fail_cleanly),
	    cmocka_unit_test(table__memory_runs_out__fails_cleanly),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}
