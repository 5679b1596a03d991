#include "agent/daemon/hook.h"

#include <stdio.h>
#include <unistd.h>
#include "agent/config/config_env.h"

static int push_fact(struct strlist *env, const char *name, const char *value, struct err *err)
{
	/* What is not known is not there, whatever our own environment says. */
	return value != NULL ? strlist_pushf(env, err, "%s=%s", name, value)
			     : strlist_push(env, name, err);
}

int hook_start(const char *command, const struct hook_facts *f, struct child **ret, struct err *err)
{
	CLEANUP(strlist_done) struct strlist env = {0};
	char took[32];
	snprintf(took, sizeof took, "%lld", (long long)f->duration_ms);
	const char *const values[] = {
	    job_kind_name(f->job),           f->stack, f->outcome, f->error, f->backup,
	    f->outcome != NULL ? took : NULL};
	for (size_t i = 0; config_env_hook[i] != NULL; i++)
		if (push_fact(&env, config_env_hook[i], values[i], err) < 0)
			return -1;
	const char *const argv[] = {"sh", "-c", command, NULL};
	struct child_opts opts = {
	    .argv = argv, .env = (const char *const *)env.items, .stdout_fd = STDERR_FILENO};
	return child_start(&opts, ret, err);
}

int hook_end(struct child *c, struct deadline d, struct err *err)
{
	if (child_wait(c, d, err) < 0)
		return -1;
	const char *said = child_stderr(c);
	if (said[0] != '\0')
		dprintf(STDERR_FILENO, "%s\n", said);
	return 0;
}
