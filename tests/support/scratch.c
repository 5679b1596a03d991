#include "tests/support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/file.h"

char *scratch_new(void)
{
	const char *tmp = getenv("TMPDIR");
	struct err err = ERR_INIT;
	char *dir;
	assert_int_equal(str_printf(&dir, &err, "%s/lb-test-XXXXXX", tmp != NULL ? tmp : "/tmp"),
			 0);
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	return dir;
}

void scratch_free(char *dir)
{
	struct err err = ERR_INIT;
	if (dir_remove(dir, &err) < 0)
		fail_msg("%s", err.msg);
	free(dir);
}

char *scratch_path(const char *dir, const char *fmt, ...)
{
	char name[4096];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(name, sizeof name, fmt, args);
	va_end(args);
	assert_true(n >= 0 && (size_t)n < sizeof name);
	struct err err = ERR_INIT;
	char *path;
	assert_int_equal(str_printf(&path, &err, "%s/%s", dir, name), 0);
	return path;
}

void scratch_file(const char *dir, const char *name, const char *text)
{
	struct err err = ERR_INIT;
	char *path = scratch_path(dir, "%s", name);
	char *slash = strrchr(path, '/');
	*slash = '\0';
	if (dir_make(path, 0755, &err) < 0)
		fail_msg("%s", err.msg);
	*slash = '/';
	if (file_write_all(path, 0644, text, strlen(text), &err) < 0)
		fail_msg("%s", err.msg);
	free(path);
}

char *scratch_read(const char *dir, const char *name)
{
	struct err err = ERR_INIT;
	struct buf b;
	char *path = scratch_path(dir, "%s", name), *text = NULL;
	buf_init(&b, 64 << 20);
	if (file_read_all(path, &b, &err) < 0 || buf_take(&b, &text, &err) < 0)
		fail_msg("%s", err.msg);
	free(path);
	return text;
}

bool scratch_has(const char *dir, const char *name)
{
	char *path = scratch_path(dir, "%s", name);
	bool has = file_exists(path);
	free(path);
	return has;
}
