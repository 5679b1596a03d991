#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <time.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "tests/support/live_sshd.h"
#include "tests/support/store_suite.h"

static int open_folder(void *ctx, const char *folder, struct store **ret, struct err *err)
{
	const struct live_sshd *l = ctx;
	char url[TEMP_DIR_BYTES + 128];
	snprintf(url, sizeof url, "sftp://%s@127.0.0.1:%u%s/%s", l->user, (unsigned)l->port,
		 l->folder, folder);
	const struct store_opts opts = {
	    .name = "far", .url = url, .key_file = l->key, .known_hosts = l->known_hosts};
	return store_open(&opts, ret, err);
}

static void plant(void *ctx, const char *folder, const char *name)
{
	const struct live_sshd *l = ctx;
	char path[TEMP_DIR_BYTES + 128];
	snprintf(path, sizeof path, "stored/%s", folder);
	mkdir(temp_dir_in(&l->dir, path), 0700);
	snprintf(path, sizeof path, "stored/%s/%s", folder, name);
	temp_dir_write(&l->dir, path, "not ours", 8);
}

/* Last written to two days ago. */
static void leave(void *ctx, const char *folder, const char *name)
{
	const struct live_sshd *l = ctx;
	char part[128], path[TEMP_DIR_BYTES + 256];
	snprintf(part, sizeof part, "%s.0123abcd" STORE_PART_SUFFIX, name);
	plant(ctx, folder, part);
	snprintf(path, sizeof path, "%s/%s/%s", l->folder, folder, part);
	struct timespec then[2];
	clock_gettime(CLOCK_REALTIME, &then[0]);
	then[0].tv_sec -= 2 * 24 * 3600;
	then[1] = then[0];
	assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

static int run(const char *name, const char *config)
{
	struct live_sshd l;
	live_sshd_start(&l, config);
	int rc = store_suite_run(
	    name,
	    &(struct store_suite){.open = open_folder, .ctx = &l, .plant = plant, .leave = leave});
	live_sshd_stop(&l);
	return rc;
}

int main(void)
{
	int rc = run("live/storage/store_sftp_suite", "");
	/* One that knows none of OpenSSH's own requests. */
	rc += run("live/storage/store_sftp_suite_plain",
		  "Subsystem sftp internal-sftp -P posix-rename,fsync,statvfs");
	return rc;
}
