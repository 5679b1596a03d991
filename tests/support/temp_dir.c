#include "tests/support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include "base/file.h"

static _Noreturn void give_up(const char *what, const char *why)
{
	fprintf(stderr, "temp_dir: %s: %s\n", what, why);
	abort();
}

void temp_dir_make(struct temp_dir *d)
{
	/* In memory where there is such a folder: tests sync a lot. */
	const char *tmp = getenv("TMPDIR");
	if (tmp == NULL || tmp[0] == '\0')
		tmp = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
	*d = (struct temp_dir){.mounted = false};
	int n = snprintf(d->path, sizeof d->path, "%s/lifeboat-test-XXXXXX", tmp);
	if (n < 0 || (size_t)n >= sizeof d->path || mkdtemp(d->path) == NULL)
		give_up(d->path, "can't be made");
}

bool temp_dir_make_small(struct temp_dir *d, size_t bytes)
{
	char options[64];
	temp_dir_make(d);
	snprintf(options, sizeof options, "size=%zu,mode=0700", bytes);
	d->mounted = mount("lifeboat-test", d->path, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
	if (!d->mounted)
		temp_dir_remove(d);
	return d->mounted;
}

void temp_dir_remove(struct temp_dir *d)
{
	struct err err = ERR_INIT;
	if (d->path[0] == '\0')
		return;
	if (d->mounted)
		umount2(d->path, MNT_DETACH);
	if (dir_remove(d->path, &err) < 0)
		give_up(d->path, err.msg);
	d->path[0] = '\0';
}

const char *temp_dir_in(const struct temp_dir *d, const char *name)
{
	static char paths[8][TEMP_DIR_BYTES + 512];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof paths[0], "%s/%s", d->path, name);
	return path;
}

void temp_dir_write(const struct temp_dir *d, const char *name, const void *data, size_t len)
{
	struct err err = ERR_INIT;
	if (file_write_all(temp_dir_in(d, name), 0600, data, len, &err) < 0)
		give_up(name, err.msg);
}

size_t temp_dir_count(const struct temp_dir *d)
{
	struct err err = ERR_INIT;
	struct strlist names = {0};
	if (dir_list(d->path, &names, &err) < 0)
		give_up(d->path, err.msg);
	size_t count = names.count;
	strlist_done(&names);
	return count;
}
