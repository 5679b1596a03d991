#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/support/store_suite.h"
#include "tests/support/temp_dir.h"

static int open_folder(void *ctx, const char *folder, struct store **ret, struct err *err)
{
	const struct temp_dir *dir = ctx;
	char url[TEMP_DIR_BYTES + 64];
	snprintf(url, sizeof url, "file://%s/%s", dir->path, folder);
	return store_open(&(struct store_opts){.name = "local", .url = url}, ret, err);
}

static void plant(void *ctx, const char *folder, const char *name)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	temp_dir_write(ctx, path, "not ours", 8);
}

/* Nobody holds its lock. */
static void leave(void *ctx, const char *folder, const char *name)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s" STORE_PART_SUFFIX, folder, name);
	temp_dir_write(ctx, path, "half", 4);
}

int main(void)
{
	struct temp_dir dir;
	temp_dir_make(&dir);
	int rc =
	    store_suite_run("live/storage/store_file_suite",
			    &(struct store_suite){
				.open = open_folder, .ctx = &dir, .plant = plant, .leave = leave});
	temp_dir_remove(&dir);
	return rc;
}
