/* What Docker says of a project's containers, from anywhere, {"listed": …, "inspected": …} or a
 * list of them: the agent.conf that comes of it has no line that somebody else wrote, and no
 * password. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/init/init.h"
#include "base/inifile.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No part of the rest of agent.conf, and no user or name. */
#define PASSWORD "Z9z9Z9z9"

static char folder[] = "/tmp/lifeboat-fuzz-XXXXXX";

static void forget(void)
{
	char path[64];
	snprintf(path, sizeof path, "%s/.env", folder);
	unlink(path);
	rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	if (mkdtemp(folder) == NULL || chdir(folder) < 0)
		return -1;
	FILE *f = fopen(".env", "w");
	assert(f != NULL);
	fputs("SECRET=" PASSWORD "\nDB_USER=desk\nREDIS_PASSWORD=x\n", f);
	fclose(f);
	atexit(forget);
	return 0;
}

static void add(struct init *i, const json_t *pair)
{
	struct err err = ERR_INIT;
	int rc = init_container(i, json_object_get(pair, "listed"),
				json_object_get(pair, "inspected"), &err);
	assert(rc == 0);
}

static void check(struct init *i, const uint8_t *data, size_t size)
{
	static const char *const sections[] = {"stack",   "postgres",    "redis",   "pgbouncer",
					       "archive", "store local", "schedule"};
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf text;
	CLEANUP(inifile_freep) struct inifile *ini = NULL;
	buf_init(&text, 1 << 20);
	if (init_text(i, true, &text, &err) < 0) {
		assert(err.code == ERR_LIMIT);
		return;
	}
	assert(strstr(buf_text(&text), PASSWORD) == NULL ||
	       memmem(data, size, "_USER", 5) != NULL || memmem(data, size, "volume", 6) != NULL ||
	       memmem(data, size, "service", 7) != NULL);
	if (inifile_parse(buf_text(&text), text.len, "agent.conf", &ini, &err) < 0) {
		/* Of two volumes one has a dot where the other has a line, or a name is long. */
		assert(strstr(err.msg, "volume ") != NULL || err.code == ERR_CONFIG);
		return;
	}
	for (size_t s = 0; s < ini->count; s++) {
		bool known = strncmp(ini->sections[s].name, "volume ", 7) == 0;
		for (size_t n = 0; n < sizeof sections / sizeof *sections; n++)
			known = known || strcmp(ini->sections[s].name, sections[n]) == 0;
		assert(known);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *doc = NULL;
	CLEANUP(init_done) struct init i = {0};
	size_t n;
	json_t *item;
	if (size > 1 << 15 || json_parse((const char *)data, size, &doc, &err) < 0)
		return 0;
	if (str_dup(folder, &i.folder, &err) < 0 || str_dup("desk", &i.project, &err) < 0)
		return 0;
	if (json_is_array(doc))
		json_array_foreach(doc, n, item) add(&i, item);
	else
		add(&i, doc);
	int rc = init_env(&i, &err);
	assert(rc == 0);
	check(&i, data, size);
	return 0;
}
