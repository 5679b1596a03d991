#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/config.h"
#include "agent/config/config_notify.h"
#include "agent/daemon/alarm.h"
#include "base/file.h"
#include "tests/support/temp_dir.h"

#define HEAD "[stack]\nname = hdms\nvolumes_dir = /v\n[notify ops]\n"

static struct temp_dir folder;

static int load(const char *text, struct config **ret, struct err *err)
{
	char path[600];
	snprintf(path, sizeof path, "%s/agent.conf", folder.path);
	assert_int_equal(file_write_all(path, 0600, text, strlen(text), err), 0);
	return config_load(path, ret, err);
}

static void refused(const char *text, const char *message, const char *hint)
{
	CLEANUP(config_freep) struct config *c = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(load(text, &c, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, message));
	assert_string_equal(err.hint, hint);
	assert_null(strstr(err.msg, "s3cret"));
}

static void kind__of_known_hosts__is_inferred(void **state)
{
	(void)state;
	static const struct {
		const char *url, *kind;
	} all[] = {{"https://hooks.slack.com/services/a/b", "slack"},
		   {"https://user@hooks.slack.com:443/x", "slack"},
		   {"https://ptb.discord.com/api/webhooks/1/x", "discord"},
		   {"https://x.webhook.office.com/y", "teams"},
		   {"https://ntfy.sh/topic", "ntfy"},
		   {"https://hc-ping.com/uuid", "ping"},
		   {"smtps://mail.example.com", "mail"}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		assert_string_equal(config_notify_kind(all[i].url), all[i].kind);
	assert_null(config_notify_kind("https://example.com/ntfy.sh"));
	assert_null(config_notify_kind("https://nothooks.slack.com.example.com/x"));
	assert_null(config_notify_kind("https://evildiscord.com/x"));
}

static void config__smallest_notifier__has_defaults(void **state)
{
	(void)state;
	CLEANUP(config_freep) struct config *c = NULL;
	struct err err = ERR_INIT;
	if (load(HEAD "url = https://example.com/s3cret\n[notify alive]\n"
		      "url = https://hc-ping.com/s3cret\n",
		 &c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(c->notifier_count, 2);
	const struct config_notify *n = &c->notifiers[0];
	assert_string_equal(n->label, "ops");
	assert_string_equal(n->kind, "webhook");
	assert_int_equal(n->events, 1 << ALARM_FAILURE | 1 << ALARM_RECOVERY | 1 << ALARM_OVERDUE |
					1 << ALARM_SUSPICIOUS | 1 << ALARM_UNPROVEN);
	assert_int_equal(n->remind_ms, 86400000);
	assert_int_equal(n->unproven_after_ms, INT64_C(14) * 86400000);
	assert_int_equal(n->timeout_ms, 30000);
	assert_int_equal(n->retries, 10);
	assert_string_equal(c->notifiers[1].kind, "ping");
	assert_string_equal(c->notifiers[1].after, "proof");
	assert_int_equal(c->notifiers[1].events,
			 1 << ALARM_START | 1 << ALARM_SUCCESS | 1 << ALARM_FAILURE);
}

static void config__what_does_not_belong_together__is_refused(void **state)
{
	(void)state;
	refused(HEAD, "agent.conf:4: [notify ops]: neither 'url' nor 'command'",
		"add a line: url = https://...");
	refused(HEAD "url = https://h/s3cret\non = failure, overdu\n",
		"[notify ops]: 'on': 'overdu' is nothing that happens", "did you mean 'overdue'?");
	/* What would never be told. */
	refused(HEAD "url = https://h/s3cret\non = failure, start\n",
		"[notify ops]: 'on': 'start' is never told with 'kind = webhook'",
		"write some of: failure, recovery, success, overdue, suspicious, unproven");
	refused(HEAD "url = https://hc-ping.com/s3cret\non = success, overdue\n",
		"[notify ops]: 'on': 'overdue' is never told with 'kind = ping'",
		"write some of: start, success, failure");
	refused(HEAD "url = https://h/s3cret\non = ,\n", "[notify ops]: 'on' names nothing",
		"write some of: failure, recovery, success, overdue, suspicious, unproven");
	refused(HEAD "url = https://h/s3cret\ncommand = true\n",
		"[notify ops]: both 'command' and 'url'", "");
	refused(HEAD "kind = slack\ncommand = true\n",
		"[notify ops]: 'command' with 'kind = slack'", "");
	refused(HEAD "kind = mail\nurl = https://h/s3cret\n",
		"[notify ops]: 'kind = mail' with a url that begins with http", "");
	refused(HEAD "kind = slack\nurl = smtp://h\n",
		"[notify ops]: 'kind = slack' with a url that begins with smtp", "");
	refused(HEAD "url = smtp://h\nto = a@b\n", "[notify ops]: a mail without 'from'", "");
	refused(HEAD "url = smtp://h\nfrom = a@b\nto = a@b\nuser = u\n",
		"[notify ops]: 'user' without 'password'", "");
	refused(HEAD "url = smtp://h\nfrom = a@b\nto = a@b\nuser = u\npassword = s3cret\n"
		     "tls = off\n",
		"[notify ops]: 'password' with 'tls = off': it would be sent in clear",
		"leave tls away, or user and password");
	refused(HEAD "url = https://h/s3cret\nfrom = a@b\n",
		"are of mails, not of 'kind = webhook'", "");
	refused(HEAD "url = https://h/s3cret\ntemplate = {\"a\": {message}}\n",
		"[notify ops]: 'template' is not JSON: ",
		"placeholders stand in strings: {\"text\": \"{title}: {message}\"}");
	refused(HEAD "url = https://ntfy.sh/s3cret\ntemplate = {}\n",
		"[notify ops]: 'template' with 'kind = ntfy': it sends no JSON", "");
	refused(HEAD "url = ftp://s3cret\n", "'url' in [notify ops]: ", "write http://host:port");
}

static int enter(void **state)
{
	(void)state;
	clearenv();
	temp_dir_make(&folder);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	temp_dir_remove(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kind__of_known_hosts__is_inferred),
	    cmocka_unit_test(config__smallest_notifier__has_defaults),
	    cmocka_unit_test(config__what_does_not_belong_together__is_refused),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}
