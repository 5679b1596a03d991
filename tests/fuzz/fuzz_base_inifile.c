/* Ini files and .env files from anywhere: no crash, and what is read keeps its promises. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/env_file.h"
#include "base/inifile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(inifile_freep) struct inifile *f = NULL;
	if (inifile_parse((const char *)data, size, "x", &f, &err) == 0) {
		for (size_t s = 0; s < f->count; s++) {
			assert(f->sections[s].name[0] != '\0' && f->sections[s].line > 0);
			for (size_t k = 0; k < f->sections[s].count; k++)
				assert(f->sections[s].entries[k].key[0] != '\0');
		}
	} else {
		assert(err.code == ERR_CONFIG && err.msg[0] != '\0');
	}
	CLEANUP(env_file_freep) struct env_file *e = NULL;
	if (env_file_new(&e, &err) == 0 &&
	    env_file_parse(e, (const char *)data, size, "x", &err) == 0)
		for (size_t i = 0; i < env_file_count(e); i++)
			assert(env_file_get(e, env_file_name(e, i)) != NULL);
	return 0;
}
