/* The facts of one run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "agent/daemon/run.h"

static void of_job(enum job_kind kind, const char *document, const char *backup)
{
	struct err err = ERR_INIT;
	struct agenda_entry e = {.run_began_ms = 1795435200000, .run_attempt = 1};
	CLEANUP(json_freep) json_t *result = NULL;
	CLEANUP(json_freep) json_t *run = NULL;
	assert_int_equal(json_parse(document, strlen(document), &result, &err), 0);
	struct supervise_end end = {.outcome = JOB_SUCCEEDED, .result = result};
	assert_int_equal(run_new(kind, &e, 7, &run, &err), 0);
	assert_int_equal(run_finish(run, kind, &e, 1795435201000, 1000, &end, &err), 0);
	const char *found = json_str_or(run, "backup", NULL);
	if (backup == NULL)
		assert_null(found);
	else
		assert_string_equal(found, backup);
	assert_null(json_object_get(run, "pid"));
}

static void run_finish__of_backup_and_drill__names_the_backup(void **state)
{
	(void)state;
	of_job(JOB_BACKUP, "{\"id\": \"20261123T020000Z-1234\"}", "20261123T020000Z-1234");
	/* Evidence begins with the backup's id (docs/drills.md). */
	of_job(JOB_DRILL, "{\"format\": \"lifeboat-evidence\", \"id\": \"20261123T020000Z-1234\"}",
	       "20261123T020000Z-1234");
	of_job(JOB_DRILL, "{\"error\": {\"code\": \"failed\"}}", NULL);
	of_job(JOB_VERIFY, "{\"verified\": []}", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(run_finish__of_backup_and_drill__names_the_backup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
