/* The daemon's state file from anywhere: what is read is written the same, what is not is set aside
 * and said; it never keeps the daemon from starting. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/daemon/daemon.h"
#include "agent/daemon/state.h"
#include "base/file.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/lifeboat-fuzz-XXXXXX", name[] = "hdms", path[] = "agent.conf",
	    nightly[] = "0 2 * * *";
static struct config config = {.path = path};

static void forget(void)
{
	struct err ignored = ERR_INIT;
	if (dir_remove(folder, &ignored) < 0)
		perror(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	if (mkdtemp(folder) == NULL || chdir(folder) < 0)
		return -1;
	config.stack.name = name;
	config.agent.state_dir = folder;
	config.schedule.cron[JOB_BACKUP] = nightly;
	atexit(forget);
	return 0;
}

static void put(const void *data, size_t len)
{
	FILE *f = fopen("hdms.json", "w");
	assert(f != NULL);
	fwrite(data, 1, len, f);
	fclose(f);
}

/* The text that the daemon would write now. */
static char *written(const struct state *s)
{
	CLEANUP(zone_freep) struct zone *z = NULL;
	CLEANUP(json_freep) json_t *doc = NULL;
	struct err err = ERR_INIT;
	struct agenda a = {.running = JOB_KINDS};
	struct strlist none = {0};
	struct state_facts facts = {
	    .config = &config, .agenda = &a, .now_ms = 1, .started_ms = 1, .warnings = &none};
	char *text = NULL;
	memcpy(a.entries, s->entries, sizeof a.entries);
	int rc = zone_load(NULL, &z, &err);
	assert(rc == 0);
	a.opts.zone = z;
	a.rules[JOB_BACKUP].scheduled = true;
	rc = cron_parse(nightly, &a.rules[JOB_BACKUP].cron, &err);
	assert(rc == 0);
	rc = state_document(s, &facts, &doc, &err);
	assert(rc == 0);
	rc = json_text(doc, false, &text, &err);
	assert(rc == 0);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(freep) char *first = NULL;
	CLEANUP(freep) char *second = NULL;
	CLEANUP(json_freep) json_t *status = NULL;
	struct state *s = NULL;
	put(data, size);
	int seen = daemon_status(&config, &status, &err);
	assert(seen == 0 || err.msg[0] != '\0');
	int rc = state_open(&config, &s, &err);
	assert(rc == 0);
	/* Who only looks may see less than the daemon, never more. */
	assert(s->warning != NULL || seen == 0);
	first = written(s);
	state_close(s);
	put(first, strlen(first));
	rc = state_open(&config, &s, &err);
	assert(rc == 0 && s->warning == NULL);
	second = written(s);
	state_close(s);
	assert(strcmp(first, second) == 0);
	return 0;
}
