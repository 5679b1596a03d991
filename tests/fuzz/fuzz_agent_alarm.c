/* What the notifiers remember, from anywhere: it is told in notices that are whole, and then
 * remembered the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "agent/config/config_notify.h"
#include "agent/daemon/alarm.h"
#include "agent/daemon/notice.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1774746000000)

static char ops[] = "ops", webhook[] = "webhook", proof[] = "proof";

static void tell(struct alarms *a, int64_t now)
{
	static const char *const kinds[] = {"webhook", "slack", "discord", "teams"};
	const struct config_notify n = {.label = ops,
					.kind = webhook,
					.after = proof,
					.events = (1U << ALARM_EVENTS) - 1,
					.remind_ms = 86400000,
					.unproven_after_ms = 86400000};
	json_t *notice = NULL;
	struct err err = ERR_INIT;
	unsigned told = 0;
	while (alarms_next(a, &n, "hdms", now, &notice)) {
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
			char *body = NULL;
			int rc = notice_body(notice, kinds[k], &body, &err);
			assert(rc == 0);
			free(body);
		}
		json_decref(notice);
		notice = NULL;
		assert(++told < 100);
	}
	assert(alarms_due(a, &n, now) > now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(alarms_freep) struct alarms *a = NULL;
	CLEANUP(alarms_freep) struct alarms *b = NULL;
	CLEANUP(json_freep) json_t *doc = NULL;
	CLEANUP(json_freep) json_t *first = NULL;
	CLEANUP(json_freep) json_t *second = NULL;
	if (json_parse((const char *)data, size, &doc, &err) < 0)
		return 0;
	if (alarms_new(NOW, &a, &err) < 0 || alarms_new(NOW, &b, &err) < 0)
		return 0;
	alarms_restore(a, doc);
	tell(a, NOW);
	first = alarms_document(a);
	assert(first != NULL);
	alarms_restore(b, first);
	second = alarms_document(b);
	assert(json_equal(first, second));
	tell(b, NOW + INT64_C(10) * 86400000);
	return 0;
}
