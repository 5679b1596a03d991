#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <cmocka.h>

#include "tests/support/live_webdav.h"
#include "tests/support/store_suite.h"

static int open_folder(void *ctx, const char *folder, struct store **ret, struct err *err)
{
	const struct live_webdav *l = ctx;
	char url[128];
	snprintf(url, sizeof url, "%s/%s", l->url, folder);
	const struct store_opts opts = {.name = "far",
					.url = url,
					.user = LIVE_WEBDAV_USER,
					.password = LIVE_WEBDAV_PASSWORD,
					.ca_file = l->opts.tls ? l->certificate : NULL};
	return store_open(&opts, ret, err);
}

static void plant(void *ctx, const char *folder, const char *name)
{
	const struct live_webdav *l = ctx;
	char path[TEMP_DIR_BYTES + 128];
	snprintf(path, sizeof path, "stored/%s", folder);
	mkdir(temp_dir_in(&l->dir, path), 0755);
	live_webdav_own(temp_dir_in(&l->dir, path));
	snprintf(path, sizeof path, "stored/%s/%s", folder, name);
	temp_dir_write(&l->dir, path, "not ours", 8);
	chmod(temp_dir_in(&l->dir, path), 0644);
}

/* Last written to two days ago. */
static void leave(void *ctx, const char *folder, const char *name)
{
	const struct live_webdav *l = ctx;
	char part[128], path[TEMP_DIR_BYTES + 256];
	struct timespec then[2];
	snprintf(part, sizeof part, "%s.0123abcd" STORE_PART_SUFFIX, name);
	plant(ctx, folder, part);
	snprintf(path, sizeof path, "%s/%s/%s", l->folder, folder, part);
	clock_gettime(CLOCK_REALTIME, &then[0]);
	then[0].tv_sec -= 2 * 24 * 3600;
	then[1] = then[0];
	assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

static int run(const char *name, struct live_webdav_opts opts)
{
	struct live_webdav l;
	live_webdav_start(&l, opts);
	int rc = store_suite_run(
	    name,
	    &(struct store_suite){.open = open_folder, .ctx = &l, .plant = plant, .leave = leave});
	live_webdav_stop(&l);
	return rc;
}

int main(void)
{
	int rc = run("live/storage/store_webdav_suite_apache",
		     (struct live_webdav_opts){.server = LIVE_APACHE, .auth = "Digest"});
	rc += run("live/storage/store_webdav_suite_nginx",
		  (struct live_webdav_opts){.server = LIVE_NGINX, .auth = "Basic", .tls = true});
	return rc;
}
