/* Any bytes, in blocks of a size that they name themselves: no crash, and the blocks don't matter.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/flow/sink.h"
#include "stack/redis/rdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(const uint8_t *data, size_t size, size_t block, struct rdb *r)
{
	struct sink *s = NULL;
	struct err err = ERR_INIT;
	int rc = rdb_sink(r, &s, &err);
	for (size_t at = 0; rc == 0 && at < size; at += block)
		rc = sink_write(s, data + at, size - at < block ? size - at : block, &err);
	if (rc == 0)
		rc = sink_close(s, &err);
	sink_free(s);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Longer inputs hold more of the same, and take their time. */
	if (size < 1 || size > 1 << 13)
		return 0;
	size_t block = 1 + data[size - 1] % 64;
	struct rdb *whole = NULL, *parts = NULL;
	struct err err = ERR_INIT;
	if (rdb_new(NULL, &whole, &err) < 0 || rdb_new(NULL, &parts, &err) < 0)
		abort();
	int a = feed(data, size, size, whole), b = feed(data, size, block, parts);
	const struct rdb_summary *x = rdb_summary(whole), *y = rdb_summary(parts);
	if (a != b || x->counted != y->counted || x->databases != y->databases)
		abort();
	if (a == 0) {
		json_t *j = NULL;
		if (x->crc64 != y->crc64 ||
		    memcmp(x->db, y->db, x->databases * sizeof *x->db) != 0 ||
		    rdb_json(whole, &j, &err) < 0)
			abort();
		json_decref(j);
	}
	rdb_free(whole);
	rdb_free(parts);
	return 0;
}
