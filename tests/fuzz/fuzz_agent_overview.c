/* A store in which one object holds whatever it may: a verdict, evidence, a mark, a lease or the
 * sidecar itself (the first byte says which). It is looked at, and what comes of it is shown. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/config/config.h"
#include "agent/report/page.h"
#include "agent/report/metrics.h"
#include "agent/report/overview.h"
#include "base/file.h"
#include "storage/leftovers.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ID     "20261123T020000Z-3f9c"
#define BACKUP "hdms-" ID

static const char *const objects[] = {
    BACKUP ".verify-20261123T030000Z.json", BACKUP ".drill-20261123T030000Z.json",
    BACKUP ".mark-0123456789abcdef", "hdms.lease-000000001", BACKUP ".json"};
enum { OBJECTS = sizeof objects / sizeof *objects, SIDECAR = OBJECTS - 1 };

static const char sidecar[] =
    "{\"format\": \"lifeboat-sidecar\", \"format_version\": 1, \"id\": \"" ID "\", \"stack\": "
    "\"hdms\", \"archive\": \"" BACKUP ".tar.zst\", \"bytes\": 1, \"sha256\": "
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", \"started\": "
    "\"2026-11-23T02:00:00Z\", \"finished\": \"2026-11-23T02:01:30Z\", \"label\": null, "
    "\"pinned\": "
    "false, \"suspicious\": false, \"lifeboat_version\": \"0.1.0\", \"counts\": {\"databases\": 1, "
    "\"tables\": 2, \"rows\": 3, \"large_objects\": 4, \"redis_keys\": 5, \"files\": 6, "
    "\"raw_bytes\": 7}, \"components\": [\"postgres\", \"redis\"], \"warnings\": 0}";

static char folder[] = "/tmp/lifeboat-fuzz-XXXXXX";
static struct config *config;
static struct store *store;

static void forget(void)
{
	struct err ignored = ERR_INIT;
	store_free(store);
	config_free(config);
	if (dir_remove(folder, &ignored) < 0)
		perror(folder);
}

static void put(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(name, "w");
	assert(f != NULL);
	fwrite(data, 1, len, f);
	fclose(f);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	struct err err = ERR_INIT;
	char text[512], url[64];
	clearenv();
	if (mkdtemp(folder) == NULL || chdir(folder) < 0 || mkdir("store", 0700) < 0)
		return -1;
	snprintf(url, sizeof url, "file://%s/store", folder);
	int len = snprintf(text, sizeof text,
			   "[stack]\nname = hdms\nvolumes_dir = /v\n[volume media]\n[store a]\n"
			   "url = %s\n[agent]\nstate_dir = %s\n",
			   url, folder);
	put("agent.conf", text, (size_t)len);
	int rc = config_load("agent.conf", &config, &err);
	assert(rc == 0);
	rc = store_open(&(struct store_opts){.name = "a", .url = url}, &store, &err);
	assert(rc == 0 && chdir("store") == 0);
	put(BACKUP ".tar.zst", "x", 1);
	atexit(forget);
	return 0;
}

static void show(int (*how)(const json_t *, struct buf *, struct err *), const json_t *doc,
		 bool markup)
{
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 64 << 20);
	int rc = how(doc, &out, &err);
	assert(rc == 0 && (!markup || strstr(buf_text(&out), "<q") == NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *doc = NULL;
	struct leftovers left = {0};
	if (size < 1 || size > 1 << 16)
		return 0;
	unsigned which = data[0] % OBJECTS;
	put(objects[SIDECAR], sidecar, sizeof sidecar - 1);
	put(objects[which], data + 1, size - 1);
	int rc = overview_load(config, NULL, NULL, &doc, &err);
	assert(rc == 0);
	show(page_html, doc, true);
	show(metrics_text, doc, false);
	rc = leftovers_find(store, "hdms", true, &left, &err);
	assert(rc == 0);
	leftovers_done(&left);
	unlink(objects[which]);
	return 0;
}
