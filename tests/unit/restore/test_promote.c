/* The story of a promotion, told to an engine that only writes down what it is asked. */
#include "restore/promote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "stack/engine/engine_kind.h"
#include "stack/engine/engine_promote.h"

/* ---- the engine ---- */

struct fake {
	struct engine base;
	const char *sources; /* JSON */
	int fails_at;        /* this step; -1: none */
	bool undo_fails;
	char steps[64];  /* "BSVMTHC": the first letters of what was asked */
	bool fast;       /* of the last plan's spec */
	const char *run; /* of its source */
	char run_text[64];
};

static int fake_sources(struct engine *base, json_t **ret, struct err *err)
{
	const char *text = ((struct fake *)base)->sources;
	return json_parse(text, strlen(text), ret, err);
}

static int fake_plan(struct engine *base, const struct promotion_spec *spec, json_t **ret,
		     struct err *err)
{
	struct fake *f = (struct fake *)base;
	(void)err;
	f->fast = spec->fast;
	strncpy(f->run_text, json_str_or(spec->source, "run", ""), sizeof f->run_text - 1);
	f->run = f->run_text;
	*ret = json_pack("{s:s, s:s, s:O?, s:[]}", "id", spec->id, "source", f->run_text, "backup",
			 json_object_get(spec->source, "backup"), "volumes");
	return *ret != NULL ? 0 : -1;
}

static int fake_step(struct engine *base, enum promotion_step step, const json_t *plan,
		     struct err *err)
{
	static const char letters[] = "BSVMTHCU";
	struct fake *f = (struct fake *)base;
	(void)plan;
	f->steps[strlen(f->steps)] = letters[step];
	if ((int)step == f->fails_at)
		return err_set(err, ERR_FAILED, "step %d went wrong", (int)step);
	if (step == PROMOTION_UNDO && f->undo_fails)
		return err_set(err, ERR_UNREACHABLE, "nobody answers");
	return 0;
}

static const struct promote_ops promote_ops = {
    .sources = fake_sources, .plan = fake_plan, .step = fake_step};
static const struct engine_ops ops = {.promote = &promote_ops};
static const struct engine_ops ops_without = {.promote = NULL};

#define TWO_RESTORES                                                                               \
	"[{\"kind\":\"promotion\",\"run\":\"20261123T050000Z-p2\",\"suffix\":\"before_x\","        \
	"\"fast\":true,\"volumes\":[]},"                                                           \
	"{\"kind\":\"restore\",\"run\":\"20261123T040000Z-r2\",\"backup\":\"20261123T020000Z-"     \
	"b2\","                                                                                    \
	"\"suffix\":\"monday\",\"fast\":false,\"volumes\":[{\"name\":\"v\",\"of\":\"o\","          \
	"\"caution\":null}]},"                                                                     \
	"{\"kind\":\"promotion\",\"run\":\"20261122T050000Z-p1\",\"suffix\":\"before_y\","         \
	"\"fast\":false,\"volumes\":[]},"                                                          \
	"{\"kind\":\"restore\",\"run\":\"20261122T040000Z-r1\",\"backup\":\"20261123T010000Z-"     \
	"b1\","                                                                                    \
	"\"suffix\":\"sunday\",\"fast\":false,\"volumes\":[]}]"

/* ---- the job ---- */

static struct fake fake;
static int asked;
static bool refuses;

static int confirm(void *ctx, const json_t *plan, struct err *err)
{
	(void)ctx;
	assert_non_null(plan);
	asked++;
	return refuses ? err_set(err, ERR_CANCELLED, "no") : 0;
}

static struct promote_job job_of(const char *sources)
{
	fake = (struct fake){.base.ops = &ops, .sources = sources, .fails_at = -1};
	asked = 0;
	refuses = false;
	return (struct promote_job){
	    .engine = &fake.base, .id = "20261124T000000Z-me", .confirm = confirm};
}

static void promote__all_goes_well__every_step_once_in_order(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *plan = NULL;
	struct promote_job job = job_of(TWO_RESTORES);
	assert_int_equal(promote_run(&job, &plan, &err), 0);
	assert_string_equal(fake.steps, "BSVMTHC");
	assert_int_equal(asked, 1);
	assert_string_equal(fake.run, "20261123T040000Z-r2");
	assert_string_equal(json_str_or(plan, "data_from", ""), "2026-11-23T02:00:00Z");
	assert_non_null(json_object_get(plan, "downtime_ms"));
}

static void promote__any_step_fails__is_undone_once(void **state)
{
	(void)state;
	static const char *const expected[] = {"B",      "BSU",     "BSVU",    "BSVMU",
					       "BSVMTU", "BSVMTHU", "BSVMTHCU"};
	for (int at = PROMOTION_BEGIN; at <= PROMOTION_COMMIT; at++) {
		struct err err = ERR_INIT;
		json_t *plan = NULL;
		struct promote_job job = job_of(TWO_RESTORES);
		fake.fails_at = at;
		assert_int_equal(promote_run(&job, &plan, &err), -1);
		assert_null(plan);
		assert_string_equal(fake.steps, expected[at]);
		assert_int_equal(err.code, ERR_FAILED);
		if (at > PROMOTION_BEGIN) {
			assert_non_null(strstr(err.msg, "production was moved back: step"));
			assert_string_equal(err.hint, "The old state is back.");
		}
	}
}

static void promote__the_way_back_fails__says_both_and_where_the_data_is(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *plan = NULL;
	struct promote_job job = job_of(TWO_RESTORES);
	fake.fails_at = PROMOTION_MOVE;
	fake.undo_fails = true;
	assert_int_equal(promote_run(&job, &plan, &err), -1);
	assert_string_equal(err.msg, "the old state could not be brought back (nobody answers), "
				     "after: step 3 went wrong");
	assert_non_null(strstr(err.hint, "_before_20261124T000000Z-me"));
}

static void promote__a_signal_came__nothing_more_is_begun_and_it_is_undone(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *plan = NULL;
	struct promote_job job = job_of(TWO_RESTORES);
	cancel_request(15);
	assert_int_equal(promote_run(&job, &plan, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_string_equal(fake.steps, "BU");
}

static void promote__the_answer_is_no__nothing_is_begun(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *plan = NULL;
	struct promote_job job = job_of(TWO_RESTORES);
	refuses = true;
	assert_int_equal(promote_run(&job, &plan, &err), -1);
	assert_string_equal(fake.steps, "");
}

static void promote__dry_run__asks_nobody_and_does_nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *plan = NULL;
	struct promote_job job = job_of(TWO_RESTORES);
	job.dry_run = true;
	assert_int_equal(promote_run(&job, &plan, &err), 0);
	assert_string_equal(fake.steps, "");
	assert_int_equal(asked, 0);
}

static void rollback__no_name__takes_the_newest_promotion_and_its_way(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *plan = NULL;
	struct promote_job job = job_of(TWO_RESTORES);
	job.back = true;
	assert_int_equal(promote_run(&job, &plan, &err), 0);
	assert_string_equal(fake.run, "20261123T050000Z-p2");
	assert_true(fake.fast);
}

static void promote__names__find_suffix_and_backup(void **state)
{
	(void)state;
	static const struct {
		const char *which, *run;
	} cases[] = {{"sunday", "20261122T040000Z-r1"},
		     {"monday", "20261123T040000Z-r2"},
		     {"latest", "20261123T040000Z-r2"},
		     {"20261123T01", "20261122T040000Z-r1"},
		     {"20261122T040000Z-r1", "20261122T040000Z-r1"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		CLEANUP(json_freep) json_t *plan = NULL;
		struct promote_job job = job_of(TWO_RESTORES);
		job.dry_run = true;
		job.which = cases[i].which;
		assert_int_equal(promote_run(&job, &plan, &err), 0);
		assert_string_equal(fake.run, cases[i].run);
	}
}

static void assert_refused(struct promote_job job, enum err_code code, const char *message,
			   const char *hint)
{
	struct err err = ERR_INIT;
	json_t *plan = NULL;
	assert_int_equal(promote_run(&job, &plan, &err), -1);
	assert_string_equal(err.msg, message);
	assert_int_equal(err.code, code);
	assert_string_equal(err.hint, hint);
	assert_string_equal(fake.steps, "");
}

static void promote__an_unclear_name__names_both(void **state)
{
	(void)state;
	struct promote_job job = job_of(TWO_RESTORES);
	job.which = "20261123T0";
	assert_refused(job, ERR_USAGE, "'20261123T0' may be 'monday' or 'sunday'",
		       "Name it by more of it.");
}

static void promote__an_unknown_name__names_what_there_is(void **state)
{
	(void)state;
	struct promote_job job = job_of(TWO_RESTORES);
	job.which = "friday";
	assert_refused(job, ERR_ABSENT,
		       "there is no restore 'friday'; there are: 'monday', 'sunday'", "");
}

static void promote__nothing_there__says_what_makes_some(void **state)
{
	(void)state;
	struct promote_job job = job_of("[]");
	assert_refused(job, ERR_ABSENT, "there is no restore to promote",
		       "Make one with `lifeboat restore`.");
	job.back = true;
	assert_refused(job, ERR_ABSENT, "there is no promotion to take back",
		       "Promotions that were pruned can't be taken back.");
}

#define CAREFUL(of)                                                                                \
	"[{\"kind\":\"restore\",\"run\":\"r\",\"backup\":\"20261123T020000Z-b\",\"suffix\":\"s\"," \
	"\"fast\":false,\"volumes\":[{\"name\":\"v_s\",\"of\":" of                                 \
	",\"caution\":\"it holds half\"}]}]"

static void promote__a_volume_with_a_caution__wants_force(void **state)
{
	(void)state;
	struct promote_job job = job_of(CAREFUL("\"v\""));
	assert_refused(job, ERR_FAILED, "volume 'v_s' is not fit for production: it holds half",
		       "--force promotes it nevertheless.");
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *plan = NULL;
	job.force = true;
	assert_int_equal(promote_run(&job, &plan, &err), 0);
}

static void promote__a_volume_without_a_place__is_refused_even_with_force(void **state)
{
	(void)state;
	struct promote_job job = job_of(CAREFUL("null"));
	job.force = true;
	assert_refused(job, ERR_FAILED, "volume 'v_s' is not fit for production: it holds half",
		       "");
}

static void promote__an_engine_without_it__says_how_by_hand(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *plan = NULL;
	struct promote_job job = job_of(TWO_RESTORES);
	fake.base.ops = &ops_without;
	assert_int_equal(promote_run(&job, &plan, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg,
			    "this engine can't promote: it does not run production's servers");
	assert_non_null(strstr(err.hint, "swap the folders"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(promote__all_goes_well__every_step_once_in_order),
	    cmocka_unit_test(promote__any_step_fails__is_undone_once),
	    cmocka_unit_test(promote__the_way_back_fails__says_both_and_where_the_data_is),
	    cmocka_unit_test(promote__the_answer_is_no__nothing_is_begun),
	    cmocka_unit_test(promote__dry_run__asks_nobody_and_does_nothing),
	    cmocka_unit_test(rollback__no_name__takes_the_newest_promotion_and_its_way),
	    cmocka_unit_test(promote__names__find_suffix_and_backup),
	    cmocka_unit_test(promote__an_unclear_name__names_both),
	    cmocka_unit_test(promote__an_unknown_name__names_what_there_is),
	    cmocka_unit_test(promote__nothing_there__says_what_makes_some),
	    cmocka_unit_test(promote__a_volume_with_a_caution__wants_force),
	    cmocka_unit_test(promote__a_volume_without_a_place__is_refused_even_with_force),
	    cmocka_unit_test(promote__an_engine_without_it__says_how_by_hand),
	    /* The last: a signal is for good. */
	    cmocka_unit_test(promote__a_signal_came__nothing_more_is_begun_and_it_is_undone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
