#include "agent/config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/config/config_env.h"
#include "agent/config/config_keys.h"
#include "agent/config/config_layout.h"
#include "agent/config/config_notify.h"
#include "agent/config/config_store.h"
#include "agent/config/web_address.h"
#include "base/clock.h"
#include "base/env_file.h"
#include "base/expand.h"
#include "base/file.h"
#include "base/inifile.h"

enum { CONFIG_MAX_BYTES = 1 << 20 };

struct loading {
	struct config *config;
	struct inifile *file;
	struct env_file *env;
	char *folder; /* absolute, of agent.conf */
	int text_fd;  /* where its text is, in place of the file; -1 */
	struct config_layout layout;
	struct strlist env_names;
	struct err *err;
};

/* ---- finding and reading the file ---- */

static int find_path(const char *path, char **ret, struct err *err)
{
	static const char *const places[] = {"agent.conf", "/etc/lifeboat/agent.conf"};
	const char *from_env = getenv("LIFEBOAT_CONFIG");
	if (path == NULL && from_env != NULL && from_env[0] != '\0')
		path = from_env;
	if (path != NULL)
		return str_dup(path, ret, err);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (file_exists(places[i]))
			return str_dup(places[i], ret, err);
	err_set(err, ERR_CONFIG, "no agent.conf in the working directory nor in /etc/lifeboat");
	return err_hint(err, "name it: lifeboat -c FILE");
}

static int find_folder(const char *path, char **ret, struct err *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(freep) char *here = NULL;
	if (path[0] == '/')
		return str_dupn(path, slash == path ? 1 : (size_t)(slash - path), ret, err);
	here = getcwd(NULL, 0);
	if (here == NULL)
		return err_set(err, ERR_IO, "the working directory is gone");
	if (slash == NULL)
		return str_dup(here, ret, err);
	return str_printf(ret, err, "%s/%.*s", here, (int)(slash - path), path);
}

/* The descriptor that lifeboat run passes; nobody else is to find it in the environment. */
static int held_text(void)
{
	const char *number = getenv(CONFIG_FD_VARIABLE);
	char *end = NULL;
	long fd = number != NULL ? strtol(number, &end, 10) : -1;
	bool is_number = number != NULL && end != number && *end == '\0';
	if (is_number)
		unsetenv(CONFIG_FD_VARIABLE);
	return is_number && fd > 2 && fd < 1 << 20 ? (int)fd : -1;
}

static int read_file(struct loading *l)
{
	struct buf text;
	char held[32];
	snprintf(held, sizeof held, "/proc/self/fd/%d", l->text_fd);
	buf_init(&text, CONFIG_MAX_BYTES);
	int done = file_read_all(l->text_fd >= 0 ? held : l->config->path, &text, l->err);
	if (done < 0 && l->err->code != ERR_NOMEM) {
		l->err->code = ERR_CONFIG;
		err_wrap(l->err, "configuration");
	}
	if (done == 0)
		done = inifile_parse(buf_text(&text), text.len, l->config->path, &l->file, l->err);
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	buf_done(&text);
	return done;
}

/* ---- values ---- */

static const char *lookup(void *ctx, const char *name)
{
	const struct loading *l = ctx;
	const char *value = getenv(name);
	return value != NULL ? value : env_file_get(l->env, name);
}

static const struct inifile_entry *entry_find(const struct config_instance *in, const char *key)
{
	if (in->in_file != NULL)
		for (size_t i = 0; i < in->in_file->count; i++)
			if (strcmp(in->in_file->entries[i].key, key) == 0)
				return &in->in_file->entries[i];
	return NULL;
}

static int missing(struct loading *l, const struct config_instance *in,
		   const struct config_key *key)
{
	if (in->in_file == NULL) {
		err_set(l->err, ERR_CONFIG, "%s: there is no section [%s]", l->config->path,
			in->kind->name);
		return err_hint(l->err, "`lifeboat init` writes one for the servers that it finds; "
					"by hand, begin it with [stack] and name = NAME");
	}
	err_set(l->err, ERR_CONFIG, "%s:%u: [%s] has no '%s'", l->config->path, in->in_file->line,
		in->in_file->name, key->key);
	return err_hint(l->err, "add a line: %s = %s", key->key, key->example);
}

static int set_from_file(struct loading *l, const struct config_instance *in,
			 const struct config_key *key, const struct inifile_entry *e)
{
	struct expand_opts opts = {.lookup = lookup,
				   .ctx = l,
				   .strict = true,
				   .url =
				       key->type == CONFIG_SECRET_URL || key->type == CONFIG_URL};
	char *text = NULL;
	int done = expand(e->value, &opts, &text, l->err);
	if (done == 0)
		done = config_value_set(key, in->at, text, l->folder, l->err);
	secret_wipe(text);
	if (done < 0)
		err_wrap(l->err, "%s:%u: '%s' in [%s]", l->config->path, e->line, key->key,
			 in->in_file->name);
	return done;
}

/* A variable that would put a value into a section that is not there. */
static int override_without_section(struct loading *l, const struct config_instance *in,
				    const char *name)
{
	err_set(l->err, ERR_CONFIG, "%s is set, but %s has no section [%s]", name, l->config->path,
		in->kind->name);
	return err_hint(l->err, "add the line [%s]", in->kind->name);
}

/* What is given must be of use: a key_file of an s3:// store belongs somewhere else. */
static int check_use(struct loading *l, const struct config_instance *in,
		     const struct config_key *key, const char *env_name,
		     const struct inifile_entry *e)
{
	if (key->schemes == NULL || config_store_uses(in->at, key->schemes))
		return 0;
	if (env_name == NULL)
		err_set(l->err, ERR_CONFIG, "%s:%u: '%s' in [%s]: no use for it with this url",
			l->config->path, e->line, key->key, in->in_file->name);
	else
		err_set(l->err, ERR_CONFIG, "%s: no use for it with the url of [%s]", env_name,
			in->in_file->name);
	return err_hint(l->err, "it is for urls that begin with one of: %s", key->schemes);
}

static int load_key(struct loading *l, const struct config_instance *in,
		    const struct config_key *key)
{
	CLEANUP(freep) char *name = NULL;
	char *from_env = NULL;
	const struct inifile_entry *e = entry_find(in, key->key);
	if (config_env_name(key->section, in->label, key->key, &name, l->err) < 0 ||
	    strlist_push(&l->env_names, name, l->err) < 0 ||
	    config_env_value(name, &from_env, l->err) < 0)
		return -1;
	bool absent = in->kind->component && in->in_file == NULL;
	int done = 0;
	if (from_env != NULL && absent) {
		done = override_without_section(l, in, name);
	} else if ((from_env != NULL || e != NULL) &&
		   check_use(l, in, key, from_env != NULL ? name : NULL, e) < 0) {
		done = -1;
	} else if (from_env != NULL) {
		done = config_value_set(key, in->at, from_env, l->folder, l->err);
		if (done < 0)
			err_wrap(l->err, "%s", name);
	} else if (e != NULL) {
		done = set_from_file(l, in, key, e);
	} else if (!absent && key->required) {
		done = missing(l, in, key);
	} else if (key->fallback != NULL) {
		done = config_value_set(key, in->at, key->fallback, l->folder, l->err);
	}
	secret_wipe(from_env);
	return done;
}

/* Each value by itself may stand there: the place is the section's. */
static int wrong_together(struct loading *l, const char *kind, const char *label)
{
	const struct inifile_section *s = NULL;
	for (size_t i = 0; i < l->layout.count; i++) {
		const struct config_instance *in = &l->layout.items[i];
		if (strcmp(in->kind->name, kind) == 0 &&
		    (label == NULL || strcmp(in->label, label) == 0))
			s = in->in_file;
	}
	if (label != NULL)
		err_wrap(l->err, "[%s %s]", kind, label);
	/* Of the environment alone. */
	if (s == NULL)
		return err_wrap(l->err, "%s", l->config->path);
	return err_wrap(l->err, "%s:%u", l->config->path, s->line);
}

/* Reads the .env files that a comma-separated list names, each relative to agent.conf. */
static int read_env_files(struct loading *l)
{
	const char *rest = l->config->stack.env_file;
	while (rest != NULL && *rest != '\0') {
		rest += strspn(rest, " ,\t\n");
		size_t len = strcspn(rest, ",\n");
		size_t trimmed = len;
		while (trimmed > 0 && (rest[trimmed - 1] == ' ' || rest[trimmed - 1] == '\t'))
			trimmed--;
		if (trimmed == 0)
			break;
		CLEANUP(freep) char *path = NULL;
		if (str_printf(&path, l->err, "%s%s%.*s", *rest == '/' ? "" : l->folder,
			       *rest == '/' ? "" : "/", (int)trimmed, rest) < 0)
			return -1;
		if (env_file_read(l->env, path, l->err) < 0) {
			if (l->err->code == ERR_ABSENT || l->err->code == ERR_IO)
				l->err->code = ERR_CONFIG;
			err_wrap(l->err, "env_file");
			return wrong_together(l, "stack", NULL);
		}
		rest += len;
	}
	return 0;
}

static int load_values(struct loading *l)
{
	const struct config_key *key;
	/* The .env files first: everything else may use what they say. */
	for (size_t i = 0; i < l->layout.count; i++)
		if (strcmp(l->layout.items[i].kind->name, "stack") == 0 &&
		    load_key(l, &l->layout.items[i], config_key_find("stack", "env_file")) < 0)
			return -1;
	if (read_env_files(l) < 0)
		return -1;
	for (size_t i = 0; i < l->layout.count; i++)
		for (size_t k = 0; (key = config_key_at(k)) != NULL; k++)
			if (strcmp(key->section, l->layout.items[i].kind->name) == 0 &&
			    strcmp(key->key, "env_file") != 0 &&
			    load_key(l, &l->layout.items[i], key) < 0)
				return -1;
	for (size_t i = 0; i < l->config->volume_count; i++) {
		struct config_volume *v = &l->config->volumes[i];
		if (v->name == NULL && str_dup(v->label, &v->name, l->err) < 0)
			return -1;
	}
	for (size_t i = 0; i < l->config->store_count; i++)
		if (config_store_complete(&l->config->stores[i], lookup, l, l->err) < 0)
			return wrong_together(l, "store", l->config->stores[i].label);
	for (size_t i = 0; i < l->config->notifier_count; i++)
		if (config_notify_complete(&l->config->notifiers[i], l->err) < 0)
			return wrong_together(l, "notify", l->config->notifiers[i].label);
	const struct config_agent *a = &l->config->agent;
	struct web_address ignored;
	if (web_address_check(a->listen, secret_is_set(&a->token) ? secret_text(&a->token) : NULL,
			      a->tls_cert, a->tls_key, &ignored, l->err) < 0)
		return wrong_together(l, "agent", NULL);
	return 0;
}

static int check_environment(struct loading *l)
{
	if (strlist_push(&l->env_names, "LIFEBOAT_CONFIG", l->err) < 0)
		return -1;
#ifdef LIFEBOAT_FAULTS
	if (strlist_push(&l->env_names, "LIFEBOAT_FAULT", l->err) < 0 ||
	    strlist_push(&l->env_names, CLOCK_OFFSET_VARIABLE, l->err) < 0)
		return -1;
#endif
	return config_env_check(&l->env_names, l->err);
}

/* ---- a password that everyone may read ---- */

/* Is there a password in it that does not come from a ${…}? */
static bool has_literal_password(const char *url)
{
	size_t from, to, depth = 0;
	if (!expand_userinfo(url, &from, &to))
		return strcasestr(url, "password=") != NULL;
	for (size_t i = from; i + 1 < to; i++) {
		if (url[i] == '{')
			depth++;
		else if (url[i] == '}' && depth > 0)
			depth--;
		else if (url[i] == ':' && depth == 0)
			return url[i + 1] != '$';
	}
	return false;
}

static int warn_of_identity(struct loading *l)
{
	struct stat st;
	const struct config_archive *a = &l->config->archive;
	const char *path = secret_text(&a->identity);
	if (!config_identity_is_path(a) || stat(path, &st) < 0 || (st.st_mode & S_IROTH) == 0)
		return 0;
	return strlist_pushf(&l->config->warnings, l->err,
			     "'%s' has an identity that opens the archives, and everyone may read "
			     "it (chmod 600 it)",
			     path);
}

static int warn_of_readers(struct loading *l)
{
	struct stat st;
	if (stat(l->config->path, &st) < 0 || (st.st_mode & S_IROTH) == 0)
		return 0;
	for (size_t i = 0; i < l->layout.count; i++) {
		const struct config_instance *in = &l->layout.items[i];
		for (size_t k = 0; in->in_file != NULL && k < in->in_file->count; k++) {
			const struct inifile_entry *e = &in->in_file->entries[k];
			const struct config_key *key = config_key_find(in->kind->name, e->key);
			if ((key->type == CONFIG_SECRET_URL && has_literal_password(e->value)) ||
			    (key->type == CONFIG_SECRET_URL &&
			     strcmp(key->section, "notify") == 0 &&
			     strstr(e->value, "${") == NULL) ||
			    (key->type == CONFIG_SECRET && strstr(e->value, "${") == NULL) ||
			    (key->type == CONFIG_IDENTITY &&
			     strcasestr(e->value, "age-secret-key-") != NULL))
				return strlist_pushf(
				    &l->config->warnings, l->err,
				    "%s:%u: there is a password in a file that everyone may read "
				    "(chmod 600 it, or write ${NAME} and name an env_file)",
				    l->config->path, e->line);
		}
	}
	return 0;
}

/* ---- the whole ---- */

static void loading_done(struct loading *l)
{
	inifile_free(l->file);
	env_file_free(l->env);
	free(l->folder);
	config_layout_done(&l->layout);
	strlist_done(&l->env_names);
	config_free(l->config);
}

int config_load(const char *path, struct config **ret, struct err *err)
{
	int held = held_text();
	if (config_load_fd(path, held, ret, err) < 0)
		return -1;
	/* lifeboat run has said them when it read that text; its jobs would each say them again. */
	if (held >= 0)
		strlist_done(&(*ret)->warnings);
	return 0;
}

int config_load_fd(const char *path, int fd, struct config **ret, struct err *err)
{
	CLEANUP(loading_done) struct loading l = {.err = err, .text_fd = fd};
	l.config = mem_zalloc(sizeof *l.config, "the configuration", err);
	if (l.config == NULL || find_path(path, &l.config->path, err) < 0 ||
	    find_folder(l.config->path, &l.folder, err) < 0 || env_file_new(&l.env, err) < 0 ||
	    read_file(&l) < 0 || config_layout_make(l.config, l.file, &l.layout, err) < 0 ||
	    load_values(&l) < 0 || check_environment(&l) < 0 || warn_of_readers(&l) < 0 ||
	    warn_of_identity(&l) < 0)
		return -1;
	*ret = l.config;
	l.config = NULL;
	return 0;
}

static void *in_config(struct config *c, size_t offset)
{
	return (char *)c + offset;
}

static void free_section(const struct config_section *kind, void *at)
{
	const struct config_key *key;
	for (size_t k = 0; (key = config_key_at(k)) != NULL; k++)
		if (strcmp(key->section, kind->name) == 0)
			config_value_done(key, at);
}

void config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (size_t s = 0; s < config_section_count; s++) {
		const struct config_section *kind = &config_sections[s];
		if (!kind->labelled) {
			free_section(kind, in_config(c, kind->offset));
			continue;
		}
		char *array;
		size_t count;
		memcpy(&array, in_config(c, kind->offset), sizeof array);
		memcpy(&count, in_config(c, kind->count_offset), sizeof count);
		for (size_t i = 0; i < count; i++) {
			char **label = (void *)(array + kind->item_bytes * i);
			free(*label);
			free_section(kind, label);
		}
		free(array);
	}
	strlist_done(&c->warnings);
	free(c->path);
	free(c);
}

int config_store_find(const struct config *c, const char *label, const struct config_store **ret,
		      struct err *err)
{
	if (c->store_count == 0) {
		err_set(err, ERR_CONFIG, "%s has no store", c->path);
		return err_hint(err, "add a section: [store local] with url = file:///var/backups");
	}
	for (size_t i = 0; i < c->store_count; i++) {
		if (label == NULL || strcmp(c->stores[i].label, label) == 0) {
			*ret = &c->stores[i];
			return 0;
		}
	}
	struct buf all;
	buf_init(&all, ERR_HINT_BYTES);
	bool fits = true;
	for (size_t i = 0; i < c->store_count; i++)
		fits = fits &&
		       buf_printf(&all, err, "%s%s", i > 0 ? ", " : "", c->stores[i].label) == 0;
	err_set(err, ERR_USAGE, "there is no store '%s' in %s", label, c->path);
	err_hint(err, "its stores are: %s", buf_text(&all));
	buf_done(&all);
	return -1;
}

int config_require_component(const struct config *c, struct err *err)
{
	if (c->postgres.enabled || c->redis.enabled || c->pgbouncer.enabled || c->volume_count > 0)
		return 0;
	err_set(err, ERR_CONFIG, "%s names nothing to back up", c->path);
	return err_hint(err, "add a section: [postgres], [redis], [pgbouncer] or [volume NAME]");
}
