/* Readers of text when memory runs out at every single point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/env_file.h"
#include "base/expand.h"
#include "base/inifile.h"
#include "tests/support/fail_alloc.h"

enum { MOST = 1000 };

/* Memory is what failed, and nothing else is blamed. */
static void check_end(int done, const struct err *err)
{
	if (fail_alloc_hit()) {
		assert_int_equal(done, -1);
		assert_int_equal(err->code, ERR_NOMEM);
	} else if (done < 0) {
		fail_msg("%s", err->msg);
	}
}

static void inifile_parse__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	static const char text[] = "[a]\nk = v\n  more\nl = w\n[b]\n[c d]\nm=1\n";
	unsigned n = 1;
	do {
		struct inifile *f = NULL;
		struct err err = ERR_INIT;
		fail_alloc_at(n);
		int done = inifile_parse(text, sizeof text - 1, "x", &f, &err);
		fail_alloc_off();
		check_end(done, &err);
		assert_true((f != NULL) == (done == 0));
		inifile_free(f);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, 8, MOST - 1);
}

static void env_file_parse__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	static const char text[] = "A=1\nexport B=\"x $A ${N:-y}\"\nA='2\n3'\nPATH\nC\n";
	unsigned n = 1;
	do {
		struct env_file *e = NULL;
		struct err err = ERR_INIT;
		fail_alloc_at(n);
		int done = env_file_new(&e, &err);
		if (done == 0)
			done = env_file_parse(e, text, sizeof text - 1, "x", &err);
		fail_alloc_off();
		check_end(done, &err);
		env_file_free(e);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, 8, MOST - 1);
}

static const char *lookup(void *ctx, const char *name)
{
	(void)ctx, (void)name;
	return "a value that is long enough to make a buffer grow: 0123456789012345678901234567890";
}

static void expand__memory_runs_out__fails_cleanly(void **state)
{
	(void)state;
	struct expand_opts opts = {.lookup = lookup, .strict = true, .url = true};
	unsigned n = 1;
	do {
		char *text = NULL;
		struct err err = ERR_INIT;
		fail_alloc_at(n);
		int done = expand("a://${U}:${P:-x}@h/${D}", &opts, &text, &err);
		fail_alloc_off();
		check_end(done, &err);
		assert_true((text != NULL) == (done == 0));
		free(text);
	} while (fail_alloc_hit() && ++n < MOST);
	assert_in_range(n, 3, MOST - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(inifile_parse__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(env_file_parse__memory_runs_out__fails_cleanly),
	    cmocka_unit_test(expand__memory_runs_out__fails_cleanly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
