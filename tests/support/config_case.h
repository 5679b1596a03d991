/* An agent.conf in a folder of its own, for the tests of the configuration. */
#ifndef LIFEBOAT_TESTS_CONFIG_CASE_H
#define LIFEBOAT_TESTS_CONFIG_CASE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/config/config.h"
#include "base/file.h"

#define S3    STACK "[store a]\nurl=s3://bucket/p\n"
#define STACK "[stack]\nname = hdms\nvolumes_dir = /v\n"

static char config_case_folder[] = "/tmp/lifeboat-config-XXXXXX";

static inline void put(const char *name, mode_t mode, const char *text)
{
	struct err err = ERR_INIT;
	if (file_write_all(name, mode, text, strlen(text), &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(chmod(name, mode), 0);
}

static inline struct config *loaded(const char *text)
{
	struct config *c = NULL;
	struct err err = ERR_INIT;
	put("agent.conf", 0600, text);
	if (config_load("agent.conf", &c, &err) < 0)
		fail_msg("%s (%s)", err.msg, err.hint);
	return c;
}

static inline void refused(const char *text, const char *message, const char *hint)
{
	struct config *c = NULL;
	struct err err = ERR_INIT;
	put("agent.conf", 0600, text);
	assert_int_equal(config_load("agent.conf", &c, &err), -1);
	assert_string_equal(err.msg, message);
	assert_string_equal(err.hint, hint);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_null(c);
}

static inline int config_case_enter(void **state)
{
	/* What whoever runs the tests has set is not for them. */
	clearenv();
	/* The project's folder, from where the test is. */
	static char root[4096];
	snprintf(root, sizeof root, "%s", __FILE__);
	char *end = strstr(root, "/tests/support/");
	if (end == NULL || mkdtemp(config_case_folder) == NULL || chdir(config_case_folder) != 0)
		return -1;
	*end = '\0';
	*state = root;
	return 0;
}

static inline int config_case_leave(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	return chdir("/") == 0 ? dir_remove(config_case_folder, &err) : -1;
}

#endif
