/* agent.conf from anywhere: it loads or says why not, and never with what a secret holds. */
#include <assert.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/config/config.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

static void forget(void)
{
	unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	snprintf(path, sizeof path, "/tmp/lifeboat-fuzz-%ld.conf", (long)getpid());
	clearenv();
	setenv("DB_PASSWORD", "hunter2", 1);
	atexit(forget);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	FILE *f = fopen(path, "w");
	if (f == NULL)
		return 0;
	fwrite(data, 1, size, f);
	fclose(f);
	CLEANUP(config_freep) struct config *c = NULL;
	if (config_load(path, &c, &err) < 0) {
		assert(c == NULL && err.msg[0] != '\0');
		assert(err.code == ERR_CONFIG || err.code == ERR_LIMIT);
	} else {
		assert(c->stack.name != NULL);
		assert(c->stack.volumes_dir == NULL || c->stack.volumes_dir[0] == '/');
		assert(!c->postgres.enabled || secret_is_set(&c->postgres.url));
		for (size_t i = 0; i < c->store_count; i++)
			assert(c->stores[i].url != NULL && c->stores[i].label[0] != '\0');
	}
	return 0;
}
