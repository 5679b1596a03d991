/* Rules of retention from anywhere, and plans after them: what must never go stays. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "storage/retention.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 64, ITEM_BYTES = 5 };

/* Five bytes an item: four for its time, one for what is known about it. */
static size_t items_of(const uint8_t *data, size_t size, struct retention_item *items)
{
	size_t count = 0;
	for (; size >= ITEM_BYTES && count < MOST; data += ITEM_BYTES, size -= ITEM_BYTES) {
		uint32_t seconds;
		memcpy(&seconds, data, sizeof seconds);
		items[count++] = (struct retention_item){
		    .taken_ms = (int64_t)seconds * 1000,
		    .proof = (enum proof)(data[4] & 3),
		    .pinned = (data[4] & 0x30) == 0x30,
		    .suspicious = (data[4] & 0x0c) == 0x0c,
		};
	}
	return count;
}

static void check_plan(const struct retention_rules *rules, const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct retention_item items[MOST];
	size_t count = items_of(data, size, items), kept = 0;
	int rc = retention_plan(rules, NULL, INT64_C(1795399200000), items, count, &err);
	assert(rc == 0);
	const struct retention_item *newest = NULL;
	for (size_t i = 0; i < count; i++) {
		kept += items[i].keep;
		assert(items[i].keep || !items[i].pinned);
		assert(items[i].reason[0] != '\0');
		if (items[i].keep && (newest == NULL || items[i].taken_ms > newest->taken_ms))
			newest = &items[i];
	}
	for (size_t i = 0; i < count; i++)
		assert(items[i].taken_ms <= newest->taken_ms);
	assert(kept >= rules->min || kept == count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(freep) char *text = NULL;
	struct retention_rules rules = {.any = false};
	if (str_dupn((const char *)data, size, &text, &err) < 0)
		return 0;
	/* The rules end at the first NUL, and the items follow. */
	size_t used = strlen(text);
	if (retention_parse(text, &rules, &err) < 0) {
		assert(err.code == ERR_CONFIG && err.msg[0] != '\0' && err.hint[0] != '\0');
		return 0;
	}
	check_plan(&rules, data + used, size - used);
	return 0;
}
