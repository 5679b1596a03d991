#include "agent/config/config_env.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/expand.h"
#include "base/file.h"
#include "base/names.h"
#include "base/secret.h"

#define PREFIX    "LIFEBOAT_"
#define FROM_FILE "_FILE"

int config_env_name(const char *section, const char *label, const char *key, char **ret,
		    struct err *err)
{
	char *name;
	if (str_printf(&name, err, PREFIX "%s%s%s_%s", section, label != NULL ? "_" : "",
		       label != NULL ? label : "", key) < 0)
		return -1;
	for (char *c = name; *c != '\0'; c++)
		*c = (char)(isalnum((unsigned char)*c) ? toupper((unsigned char)*c) : '_');
	*ret = name;
	return 0;
}

static int read_value_file(const char *name, const char *path, char **ret, struct err *err)
{
	struct buf text;
	buf_init(&text, EXPAND_MAX_BYTES);
	int done = file_read_all(path, &text, err);
	if (done == 0 && text.len > 0 && memchr(text.data, '\0', text.len) != NULL)
		done = err_set(err, ERR_CONFIG, "'%s' has bytes that are not text", path);
	if (done == 0 && text.len > 0 && text.data[text.len - 1] == '\n')
		text.len--;
	if (done == 0 && text.len > 0 && text.data[text.len - 1] == '\r')
		text.len--;
	if (done == 0)
		done = str_dupn(buf_text(&text), text.len, ret, err);
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	buf_done(&text);
	if (done < 0) {
		err_wrap(err, "%s", name);
		if (err->code != ERR_NOMEM)
			err->code = ERR_CONFIG;
	}
	return done;
}

int config_env_value(const char *name, char **ret, struct err *err)
{
	CLEANUP(freep) char *file_name = NULL;
	if (str_printf(&file_name, err, "%s" FROM_FILE, name) < 0)
		return -1;
	const char *value = getenv(name), *path = getenv(file_name);
	if (value != NULL && path != NULL)
		return err_set(err, ERR_CONFIG, "both %s and %s are set", name, file_name);
	if (path != NULL)
		return read_value_file(file_name, path, ret, err);
	return value != NULL ? str_dup(value, ret, err) : 0;
}

const char *const config_env_hook[] = {"LIFEBOAT_JOB",
				       "LIFEBOAT_STACK",
				       "LIFEBOAT_OUTCOME",
				       "LIFEBOAT_ERROR",
				       "LIFEBOAT_BACKUP_ID",
				       "LIFEBOAT_DURATION_MS",
				       NULL};
const char *const config_env_notify[] = {
    "LIFEBOAT_EVENT", "LIFEBOAT_TITLE",   "LIFEBOAT_MESSAGE",   "LIFEBOAT_STACK",
    "LIFEBOAT_JOB",   "LIFEBOAT_OUTCOME", "LIFEBOAT_BACKUP_ID", NULL};

/* `variable` as in environ: NAME=value. */
static bool is_one_of(const char *const *names, const char *variable)
{
	for (size_t i = 0; names[i] != NULL; i++) {
		size_t len = strlen(names[i]);
		if (strncmp(variable, names[i], len) == 0 && variable[len] == '=')
			return true;
	}
	return false;
}

/* Kubernetes sets LIFEBOAT_SERVICE_HOST, LIFEBOAT_PORT and the like in every container beside a
 * service that is called lifeboat. */
static bool is_foreign(const char *name)
{
	/* A hook, or the command of a notifier, may call lifeboat. */
	return is_one_of(config_env_hook, name) || is_one_of(config_env_notify, name) ||
	       strncmp(name, PREFIX "SERVICE_", sizeof PREFIX "SERVICE_" - 1) == 0 ||
	       strncmp(name, PREFIX "PORT", sizeof PREFIX "PORT" - 1) == 0;
}

static bool is_known(const struct strlist *known, const char *name, size_t len)
{
	size_t suffix = sizeof FROM_FILE - 1;
	size_t short_len = len > suffix && memcmp(name + len - suffix, FROM_FILE, suffix) == 0
			       ? len - suffix
			       : len;
	for (size_t i = 0; i < known->count; i++) {
		size_t known_len = strlen(known->items[i]);
		if ((known_len == len || known_len == short_len) &&
		    memcmp(known->items[i], name, known_len) == 0)
			return true;
	}
	return false;
}

int config_env_check(const struct strlist *known, struct err *err)
{
	for (char **e = environ; e != NULL && *e != NULL; e++) {
		size_t len = strcspn(*e, "=");
		if (strncmp(*e, PREFIX, sizeof PREFIX - 1) != 0 || is_foreign(*e) ||
		    is_known(known, *e, len))
			continue;
		CLEANUP(freep) char *name = NULL;
		if (str_dupn(*e, len, &name, err) < 0)
			return -1;
		err_set(err, ERR_CONFIG,
			"%s in the environment is no key of a section that agent.conf has", name);
		const char *nearest =
		    names_nearest(name, (const char *const *)known->items, known->count);
		if (nearest != NULL)
			return err_hint(err, "did you mean %s?", nearest);
		return err_hint(err, "names are LIFEBOAT_<SECTION>_<KEY>: LIFEBOAT_STACK_NAME");
	}
	return 0;
}
