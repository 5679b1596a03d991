/* .env files from anywhere: they are read or refused, and no message has a value. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/env_file.h"

#define SECRET "hunter2hunter2"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	clearenv();
	setenv("HOST_SECRET", SECRET, 1);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(env_file_freep) struct env_file *e = NULL;
	if (env_file_new(&e, &err) < 0)
		return 0;
	if (env_file_parse(e, (const char *)data, size, ".env", &err) < 0) {
		assert(err.code == ERR_CONFIG || err.code == ERR_LIMIT);
		assert(strncmp(err.msg, ".env:", 5) == 0);
		/* Unless the file itself has it, as a name. */
		assert(strstr(err.msg, SECRET) == NULL ||
		       memmem(data, size, SECRET, sizeof SECRET - 1) != NULL);
	}
	for (size_t i = 0; i < env_file_count(e); i++)
		assert(env_file_name(e, i)[0] != '\0' &&
		       env_file_get(e, env_file_name(e, i)) != NULL);
	return 0;
}
