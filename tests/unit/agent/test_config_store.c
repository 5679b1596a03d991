#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "agent/config/config_store.h"
#include "tests/support/config_case.h"

static void config_store_opts__s3__has_every_key(void **state)
{
	(void)state;
	CLEANUP(config_freep)
	struct config *c = loaded(
	    S3 "site=x\nlimit=20MiB/s\ntimeout=5\nretries=2\nproxy=http://u:p@proxy:1\n"
	       "ca_file=/ca\nendpoint=http://h:1\nregion=r\naddressing=virtual\naccess_key=ak\n"
	       "secret_key=sk\nsession_token=st\nstorage_class=COLD\nencryption=aws:kms\n"
	       "kms_key=kk\nobject_lock=compliance\nobject_lock_days=9\n");
	struct store_opts o = config_store_opts(&c->stores[0]);
	assert_string_equal(o.name, "a");
	assert_string_equal(o.url, "s3://bucket/p");
	assert_string_equal(c->stores[0].site, "x");
	assert_int_equal(o.limit_bytes_s, 20 << 20);
	assert_int_equal(o.timeout_ms, 5000);
	assert_int_equal(o.retries, 2);
	assert_string_equal(o.proxy, "http://u:p@proxy:1");
	assert_string_equal(o.ca_file, "/ca");
	assert_string_equal(o.endpoint, "http://h:1");
	assert_string_equal(o.region, "r");
	assert_string_equal(o.addressing, "virtual");
	assert_string_equal(o.access_key, "ak");
	assert_string_equal(o.secret_key, "sk");
	assert_string_equal(o.session_token, "st");
	assert_string_equal(o.storage_class, "COLD");
	assert_string_equal(o.encryption, "aws:kms");
	assert_string_equal(o.kms_key, "kk");
	assert_string_equal(o.object_lock, "compliance");
	assert_int_equal(o.object_lock_days, 9);
	assert_null(o.user);
	assert_null(o.password);
	assert_null(o.key_file);
	assert_null(o.key_passphrase);
	assert_null(o.known_hosts);
}

static void config_store_opts__sftp_and_dav__have_their_keys(void **state)
{
	(void)state;
	CLEANUP(config_freep)
	struct config *c =
	    loaded(STACK "[store a]\nurl=sftp://me@h/p\nuser=u\nkey_file=/k\nkey_passphrase=pp\n"
			 "known_hosts=/kh\n[store b]\nurl=davs://h/p\nuser=u\npassword=pw\n");
	struct store_opts a = config_store_opts(&c->stores[0]);
	struct store_opts b = config_store_opts(&c->stores[1]);
	assert_string_equal(a.url, "sftp://me@h/p");
	assert_string_equal(a.user, "u");
	assert_string_equal(a.key_file, "/k");
	assert_string_equal(a.key_passphrase, "pp");
	assert_string_equal(a.known_hosts, "/kh");
	assert_string_equal(b.user, "u");
	assert_string_equal(b.password, "pw");
	assert_int_equal(b.limit_bytes_s, 0);
	assert_int_equal(b.timeout_ms, 0);
	assert_int_equal(b.retries, 0);
	assert_null(b.proxy);
	assert_null(b.access_key);
}

static void config_store_complete__keys_of_the_environment__where_none_are_given(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "env-ak", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "env-sk", 1);
	setenv("AWS_SESSION_TOKEN", "env-st", 1);
	setenv("AWS_REGION", "env-r", 1);
	CLEANUP(config_freep)
	struct config *c = loaded(S3 "[store b]\nurl=s3://c\naccess_key=ak\nsecret_key=sk\n"
				     "region=r\n[store c]\nurl=file:///c\n");
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("AWS_REGION");
	assert_string_equal(secret_text(&c->stores[0].access_key), "env-ak");
	assert_string_equal(secret_text(&c->stores[0].secret_key), "env-sk");
	assert_string_equal(secret_text(&c->stores[0].session_token), "env-st");
	assert_string_equal(c->stores[0].region, "env-r");
	assert_string_equal(secret_text(&c->stores[1].access_key), "ak");
	assert_false(secret_is_set(&c->stores[1].session_token));
	assert_string_equal(c->stores[1].region, "r");
	assert_false(secret_is_set(&c->stores[2].access_key));
	CLEANUP(config_freep) struct config *none = loaded(S3);
	assert_false(secret_is_set(&none->stores[0].access_key));
	assert_null(config_store_opts(&none->stores[0]).access_key);
}

static void config_store_complete__halves__are_refused(void **state)
{
	(void)state;
	refused(S3 "access_key=x\n", "agent.conf:4: [store a]: 'access_key' without 'secret_key'",
		"");
	refused(S3 "secret_key=x\n", "agent.conf:4: [store a]: 'secret_key' without 'access_key'",
		"");
	refused(S3 "session_token=x\n",
		"agent.conf:4: [store a]: 'session_token' without 'access_key'", "");
	refused(S3 "kms_key=x\nencryption=AES256\n",
		"agent.conf:4: [store a]: 'kms_key' without 'encryption = aws:kms'", "");
	refused(S3 "object_lock=governance\n",
		"agent.conf:4: [store a]: 'object_lock' without 'object_lock_days'", "");
	refused(S3 "object_lock_days=3\n",
		"agent.conf:4: [store a]: 'object_lock_days' without 'object_lock'", "");
	setenv("LIFEBOAT_STORE_A_KEY_FILE", "/k", 1);
	refused(S3, "LIFEBOAT_STORE_A_KEY_FILE: no use for it with the url of [store a]",
		"it is for urls that begin with one of: sftp");
	unsetenv("LIFEBOAT_STORE_A_KEY_FILE");
}

static void config_load__secret_for_everyone__is_a_warning(void **state)
{
	(void)state;
	static const char *const lines[] = {"url=s3://b\naccess_key=x\nsecret_key=${LB_T_PW}\n",
					    "url=davs://h/p\npassword=x\n",
					    "url=s3://b\nproxy=http://u:x@h:1\n"};
	setenv("LB_T_PW", "x", 1);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct err err = ERR_INIT;
		CLEANUP(freep) char *text = NULL;
		CLEANUP(config_freep) struct config *c = NULL;
		assert_int_equal(str_printf(&text, &err, STACK "[store a]\n%s", lines[i]), 0);
		put("agent.conf", 0644, text);
		if (config_load("agent.conf", &c, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(c->warnings.count, 1);
		assert_non_null(strstr(c->warnings.items[0], "agent.conf:6: there is a password"));
	}
	put("agent.conf", 0644,
	    S3 "secret_key=${LB_T_PW}\naccess_key=${LB_T_PW}\nproxy=http://h:1\n");
	struct err err = ERR_INIT;
	CLEANUP(config_freep) struct config *c = NULL;
	assert_int_equal(config_load("agent.conf", &c, &err), 0);
	assert_int_equal(c->warnings.count, 0);
	unsetenv("LB_T_PW");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(config_load__secret_for_everyone__is_a_warning),
	    cmocka_unit_test(config_store_opts__s3__has_every_key),
	    cmocka_unit_test(config_store_opts__sftp_and_dav__have_their_keys),
	    cmocka_unit_test(config_store_complete__keys_of_the_environment__where_none_are_given),
	    cmocka_unit_test(config_store_complete__halves__are_refused),
	};
	return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
