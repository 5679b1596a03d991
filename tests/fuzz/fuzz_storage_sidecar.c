/* Sidecars and names of objects from anywhere: what is taken is written back the same. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "storage/catalog.h"
#include "storage/store/catalog_name.h"
#include "storage/sidecar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sidecar(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *j = NULL;
	CLEANUP(json_freep) json_t *again = NULL;
	struct sidecar s, t;
	if (json_parse((const char *)data, size, &j, &err) < 0 || sidecar_parse(j, &s, &err) < 0) {
		assert(err.code == ERR_CORRUPT && err.msg[0] != '\0');
		return;
	}
	assert(catalog_id_is_valid(s.id) && store_name_is_valid(s.archive));
	int rc = sidecar_json(&s, &again, &err);
	assert(rc == 0);
	rc = sidecar_parse(again, &t, &err);
	assert(rc == 0);
	assert(strcmp(s.sha256, t.sha256) == 0 && strcmp(s.started, t.started) == 0 &&
	       s.bytes == t.bytes && s.rows == t.rows && s.pinned == t.pinned);
}

static void check_name(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(freep) char *name = NULL;
	struct catalog_name parts;
	if (str_dupn((const char *)data, size, &name, &err) < 0 ||
	    !catalog_name_parse("hdms", name, &parts))
		return;
	char sidecar[STORE_NAME_MAX + 1];
	assert(store_name_is_valid(name) && catalog_id_is_valid(parts.id));
	int rc = catalog_sidecar_name("hdms", parts.id, sidecar, &err);
	assert(rc == 0);
	assert((parts.kind == CATALOG_NAME_SIDECAR) == (strcmp(sidecar, name) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_sidecar(data, size);
	check_name(data, size);
	return 0;
}
