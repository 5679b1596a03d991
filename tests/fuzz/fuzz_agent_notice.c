/* Templates and messages from anywhere, a zero byte between them: a template that the configuration
 * takes gives JSON whatever the message is. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "agent/config/config_notify.h"
#include "agent/daemon/notice.h"
#include "base/json.h"
#include "base/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_json(const char *text)
{
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *parsed = NULL;
	int rc = json_parse(text, strlen(text), &parsed, &err);
	assert(rc == 0);
}

static json_t *notice_of(const char *message)
{
	CLEANUP(json_freep)
	json_t *facts =
	    json_pack("{s:s, s:o, s:{s:o}}", "outcome", "failure", "backup",
		      json_text_value(message), "error", "message", json_text_value(message));
	struct notice_opts o = {.event = ALARM_FAILURE,
				.job = JOB_BACKUP,
				.stack = "hdms",
				.facts = facts,
				.now_ms = INT64_C(1774746000000)};
	json_t *notice = notice_new(&o);
	assert(notice != NULL);
	return notice;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char url[] = "https://example.com/hook";
	static const char *const kinds[] = {"webhook", "slack", "discord", "teams"};
	const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
	size_t len = zero != NULL ? (size_t)(zero - data) : size;
	struct err err = ERR_INIT;
	CLEANUP(freep) char *message = NULL;
	if (size > 1 << 14 || str_dupn(zero != NULL ? (const char *)zero + 1 : "",
				       zero != NULL ? size - len - 1 : 0, &message, &err) < 0)
		return 0;
	CLEANUP(json_freep) json_t *notice = notice_of(message);
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct config_notify n = {0};
		char *body = NULL;
		err_clear(&err);
		int rc = notice_body(notice, kinds[k], &body, &err);
		assert(rc == 0);
		is_json(body);
		free(body);
		body = NULL;
		if (str_dupn((const char *)data, len, &n.template, &err) < 0 ||
		    str_dup(kinds[k], &n.kind, &err) < 0 || secret_set(&n.url, url, &err) < 0)
			abort();
		if (config_notify_complete(&n, &err) == 0) {
			rc = notice_fill(notice, kinds[k], n.template, &body, &err);
			assert(rc == 0 || err.code == ERR_LIMIT);
			if (rc == 0)
				is_json(body);
		} else {
			assert(err.code == ERR_CONFIG);
		}
		free(body);
		free(n.template);
		free(n.kind);
		free(n.on);
		secret_done(&n.url);
	}
	return 0;
}
