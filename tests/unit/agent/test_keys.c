#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/config/keys.h"
#include "tests/support/age_case.h"
#include "tests/support/temp_dir.h"

static struct temp_dir dir;
static struct age_pair ours, theirs;

static struct config *loaded(const char *archive)
{
	struct config *c = NULL;
	struct err err = ERR_INIT;
	CLEANUP(freep) char *text = NULL;
	assert_int_equal(str_printf(&text, &err, "[stack]\nname=hdms\nvolumes_dir=v\n%s", archive),
			 0);
	temp_dir_write(&dir, "agent.conf", text, strlen(text));
	assert_int_equal(chmod(temp_dir_in(&dir, "agent.conf"), 0600), 0);
	if (config_load(temp_dir_in(&dir, "agent.conf"), &c, &err) < 0)
		fail_msg("%s (%s)", err.msg, err.hint);
	return c;
}

static void recipients__keys_and_files__are_all_of_them(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(freep) char *text = NULL;
	struct age_recipients r;
	assert_int_equal(
	    str_printf(&text, &err,
		       "[archive]\nrecipients = %s, age-theirs.pub,\n  %s/age-theirs.pub\n",
		       ours.recipient, dir.path),
	    0);
	CLEANUP(config_freep) struct config *c = loaded(text);
	assert_int_equal(keys_recipients(c, &r, &err), 0);
	assert_int_equal(r.count, 2);
	assert_memory_equal(r.keys[0], ours.r.keys[0], 32);
	assert_memory_equal(r.keys[1], theirs.r.keys[0], 32);
	assert_int_equal(keys_try(&r, &ours.i, &err), 0);
	assert_int_equal(keys_try(&r, &theirs.i, &err), 0);
	assert_int_equal(keys_try(&ours.r, &theirs.i, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	age_recipients_done(&r);
}

static void keys__of_no_configuration__are_none(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_recipients r;
	struct age_identities i;
	CLEANUP(config_freep) struct config *c = loaded("");
	assert_int_equal(keys_recipients(c, &r, &err), 0);
	assert_int_equal(keys_identities(c, &i, &err), 0);
	assert_int_equal(r.count + i.count, 0);
}

static void recipients__that_are_wrong__name_the_key_and_what_is_wrong(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_recipients r;
	CLEANUP(config_freep) struct config *typo = loaded("[archive]\nrecipients = age1xyz\n");
	assert_int_equal(keys_recipients(typo, &r, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, "'recipients' in [archive]: 'age1xyz' is no recipient of age");
	CLEANUP(config_freep) struct config *gone = loaded("[archive]\nrecipients = gone.pub\n");
	assert_int_equal(keys_recipients(gone, &r, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "/gone.pub': No such file"));
}

static void identity__as_path_or_text_or_from_the_environment__is_the_same(void **state)
{
	(void)state;
	static const char *const names[] = {"LIFEBOAT_ARCHIVE_IDENTITY",
					    "LIFEBOAT_ARCHIVE_IDENTITY_FILE"};
	struct err err = ERR_INIT;
	CLEANUP(freep) char *absolute = NULL;
	assert_int_equal(str_printf(&absolute, &err, "%s/age-ours.txt", dir.path), 0);
	const struct {
		const char *conf, *name, *value;
	} cases[] = {
	    {"[archive]\nidentity = age-ours.txt\n", NULL, NULL},
	    {"", names[0], "age-ours.txt"},
	    {"[archive]\nidentity = gone.txt\n", names[0], absolute},
	    {"", names[0], ours.identity},
	    {"", names[1], absolute},
	};
	for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
		struct age_identities i;
		if (cases[n].name != NULL)
			setenv(cases[n].name, cases[n].value, 1);
		CLEANUP(config_freep) struct config *c = loaded(cases[n].conf);
		assert_int_equal(config_identity_is_path(&c->archive), n < 3);
		if (keys_identities(c, &i, &err) < 0)
			fail_msg("%zu: %s", n, err.msg);
		assert_int_equal(i.count, 1);
		assert_memory_equal(i.keys[0], ours.i.keys[0], 32);
		age_identities_done(&i);
		unsetenv(names[0]);
		unsetenv(names[1]);
	}
}

static void identity__that_is_wrong__is_told_and_not_shown(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct age_identities i;
	CLEANUP(config_freep)
	struct config *c = loaded("[archive]\nidentity = AGE-SECRET-KEY-1S3CRET\n");
	assert_int_equal(keys_identities(c, &i, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg,
			    "'identity' in [archive]: line 1: a line is no identity of age");
	CLEANUP(config_freep) struct config *gone = loaded("[archive]\nidentity = gone.txt\n");
	assert_int_equal(keys_identities(gone, &i, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "/gone.txt': No such file"));
}

static void identity__that_everyone_may_read__is_a_warning(void **state)
{
	(void)state;
	assert_int_equal(chmod(temp_dir_in(&dir, "age-ours.txt"), 0644), 0);
	CLEANUP(config_freep) struct config *open = loaded("[archive]\nidentity = age-ours.txt\n");
	assert_int_equal(open->warnings.count, 1);
	assert_non_null(strstr(open->warnings.items[0],
			       "/age-ours.txt' has an identity that opens the "
			       "archives, and everyone may read it"));
	assert_int_equal(chmod(temp_dir_in(&dir, "age-ours.txt"), 0640), 0);
	CLEANUP(config_freep)
	struct config *closed = loaded("[archive]\nidentity = age-ours.txt\n");
	assert_int_equal(closed->warnings.count, 0);
}

static int enter(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	clearenv();
	temp_dir_make(&dir);
	if (age_pair_make(&ours, &err) < 0 || age_pair_make(&theirs, &err) < 0)
		return -1;
	temp_dir_write(&dir, "age-ours.txt", ours.identity, strlen(ours.identity));
	temp_dir_write(&dir, "age-theirs.pub", theirs.recipient, strlen(theirs.recipient));
	return 0;
}

static int leave(void **state)
{
	(void)state;
	temp_dir_remove(&dir);
	age_pair_done(&ours);
	age_pair_done(&theirs);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(recipients__keys_and_files__are_all_of_them),
	    cmocka_unit_test(keys__of_no_configuration__are_none),
	    cmocka_unit_test(recipients__that_are_wrong__name_the_key_and_what_is_wrong),
	    cmocka_unit_test(identity__as_path_or_text_or_from_the_environment__is_the_same),
	    cmocka_unit_test(identity__that_is_wrong__is_told_and_not_shown),
	    cmocka_unit_test(identity__that_everyone_may_read__is_a_warning),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}
