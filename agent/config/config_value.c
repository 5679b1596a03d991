#include "agent/config/config_keys.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "agent/config/cron.h"
#include "agent/output/format.h"
#include "base/expand.h"
#include "base/names.h"
#include "base/zone.h"
#include "storage/retention.h"

static void *field(const struct config_key *key, void *at)
{
	return (char *)at + key->offset;
}

void config_value_done(const struct config_key *key, void *at)
{
	switch (key->type) {
	case CONFIG_SECRET:
	case CONFIG_SECRET_URL:
	case CONFIG_IDENTITY:
		secret_done(field(key, at));
		break;
	case CONFIG_TEXT:
	case CONFIG_NAME:
	case CONFIG_VOLUME:
	case CONFIG_CHOICE:
	case CONFIG_PATH:
	case CONFIG_KEYS:
	case CONFIG_URL:
	case CONFIG_CRON:
	case CONFIG_ZONE:
	case CONFIG_KEEP: {
		char **text = field(key, at);
		free(*text);
		*text = NULL;
		break;
	}
	case CONFIG_DURATION:
	case CONFIG_SIZE:
	case CONFIG_RATE:
	case CONFIG_COUNT:
	case CONFIG_LEVEL:
		break;
	}
}

static int set_text(const struct config_key *key, void *at, const char *text, struct err *err)
{
	char **to = field(key, at), *copy;
	if (str_dup(text, &copy, err) < 0)
		return -1;
	free(*to);
	*to = copy;
	return 0;
}

/* The one mistake that names, numbers and paths have in common. */
static int hint_quotes(const char *text, struct err *err)
{
	if (text[0] == '"' || text[0] == '\'')
		return err_hint(err, "write it without quotes");
	if (strstr(text, " #") != NULL)
		return err_hint(err, "behind a value a comment begins with ' ;'");
	return -1;
}

static bool is_name(const char *text)
{
	size_t len = 0;
	while (isalnum((unsigned char)text[len]) || text[len] == '_' || text[len] == '-')
		len++;
	return len > 0 && len <= 64 && text[len] == '\0' && text[0] != '-';
}

static bool is_volume(const char *text)
{
	size_t len = 0;
	while (isalnum((unsigned char)text[len]) || (text[len] != '\0' && strchr("_.-", text[len])))
		len++;
	return len > 0 && len <= 200 && text[len] == '\0' && text[0] != '.' && text[0] != '-';
}

static int check_name(const char *text, bool ok, const char *allowed, struct err *err)
{
	if (ok)
		return 0;
	err_set(err, ERR_CONFIG, "'%s' is not a name: %s", text, allowed);
	return hint_quotes(text, err);
}

/* The words of key->choices. */
static int split_choices(const struct config_key *key, struct strlist *ret, struct err *err)
{
	for (const char *word = key->choices; *word != '\0';) {
		size_t len = strcspn(word, " ");
		if (strlist_pushf(ret, err, "%.*s", (int)len, word) < 0)
			return -1;
		word += len + strspn(word + len, " ");
	}
	return 0;
}

static int check_choice(const struct config_key *key, const char *text, struct err *err)
{
	CLEANUP(strlist_done) struct strlist words = {0};
	struct buf all;
	if (split_choices(key, &words, err) < 0)
		return -1;
	if (strlist_has(&words, text))
		return 0;
	buf_init(&all, 1024);
	for (size_t i = 0; i < words.count; i++) {
		const char *before = i == 0 ? "" : i + 1 < words.count ? ", " : " or ";
		if (buf_printf(&all, err, "%s'%s'", before, words.items[i]) < 0) {
			buf_done(&all);
			return -1;
		}
	}
	err_set(err, ERR_CONFIG, "'%s' is not %s", text, buf_text(&all));
	buf_done(&all);
	const char *nearest = names_nearest(text, (const char *const *)words.items, words.count);
	return nearest != NULL ? err_hint(err, "did you mean '%s'?", nearest)
			       : hint_quotes(text, err);
}

static const char *url_form(const struct config_key *key)
{
	static const struct {
		const char *first, *form;
	} forms[] = {
	    {"postgresql", "postgresql://user:password@host:port/database"},
	    {"redis", "redis://:password@host:port/0"},
	    {"file", "file:///absolute/folder, s3://bucket/prefix, sftp://user@host/folder or "
		     "davs://host/folder"},
	    {"http", "http://host:port"},
	};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (strncmp(key->choices, forms[i].first, strlen(forms[i].first)) == 0)
			return forms[i].form;
	return key->example;
}

/* Says nothing of the value but its scheme: the rest may be secret. */
static int check_url(const struct config_key *key, const char *text, struct err *err)
{
	CLEANUP(strlist_done) struct strlist schemes = {0};
	const char *colon = strstr(text, "://");
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	bool is_scheme = len > 0 && len <= 16;
	for (size_t i = 0; i < len; i++)
		is_scheme = is_scheme && isalnum((unsigned char)text[i]);
	if (split_choices(key, &schemes, err) < 0)
		return -1;
	if (!is_scheme) {
		err_set(err, ERR_CONFIG, "not a URL");
		return err_hint(err, "write %s%s", url_form(key),
				text[0] == '"' || text[0] == '\'' ? ", without quotes" : "");
	}
	bool known = false;
	for (size_t i = 0; i < schemes.count; i++)
		known = known || (strlen(schemes.items[i]) == len &&
				  strncasecmp(schemes.items[i], text, len) == 0);
	if (!known) {
		err_set(err, ERR_CONFIG, "a URL that begins with '%.*s://'", (int)len, text);
		return err_hint(err, "write %s", url_form(key));
	}
	for (const char *c = text; *c != '\0'; c++) {
		if (isspace((unsigned char)*c) || iscntrl((unsigned char)*c)) {
			err_set(err, ERR_CONFIG, "a URL with a space or a control character in it");
			return err_hint(err, "write a space as %%20; behind a value a comment "
					     "begins with ' ;'");
		}
	}
	return 0;
}

static int check_plain_url(const struct config_key *key, const char *text, struct err *err)
{
	size_t from, to;
	if (check_url(key, text, err) < 0)
		return -1;
	bool with_user = expand_userinfo(text, &from, &to);
	if (with_user && memchr(text + from, ':', to - from) != NULL) {
		err_set(err, ERR_CONFIG, "a URL with a password in it");
		return err_hint(err, "davs has a key for it: password = ${NAME}; sftp takes the "
				     "key_file or the SSH agent");
	}
	if (with_user && strncasecmp(text, "sftp:", 5) != 0 && strncasecmp(text, "dav", 3) != 0)
		return err_set(err, ERR_CONFIG, "a URL with a user in it");
	if (strncasecmp(text, "file://", 7) == 0 && text[7] != '/') {
		err_set(err, ERR_CONFIG, "'%s' is not the URL of an absolute folder", text);
		return err_hint(err, "write three slashes: file:///var/backups");
	}
	return 0;
}

static int check_zone(const char *text, struct err *err)
{
	CLEANUP(zone_freep) struct zone *ignored = NULL;
	return zone_load(text, &ignored, err);
}

static int check_keep(const char *text, struct err *err)
{
	struct retention_rules ignored;
	return text[0] == '\0' ? err_set(err, ERR_CONFIG, "an empty value")
			       : retention_parse(text, &ignored, err);
}

static int set_path(const struct config_key *key, void *at, const char *text, const char *folder,
		    struct err *err)
{
	CLEANUP(freep) char *absolute = NULL;
	if (text[0] == '\0')
		return err_set(err, ERR_CONFIG, "an empty path");
	if (text[0] == '"' || text[0] == '\'') {
		err_set(err, ERR_CONFIG, "a path that begins with a quote");
		return hint_quotes(text, err);
	}
	if (text[0] != '/' && str_printf(&absolute, err, "%s/%s", folder, text) < 0)
		return -1;
	return set_text(key, at, absolute != NULL ? absolute : text, err);
}

/* Does it begin as a key does, public or private, in whatever form? Then it is no path. */
static bool looks_like_key(const char *text)
{
	static const char *const keys[] = {
	    "age1", "age-secret-key-", "age-plugin-", "age-encryption.org/", "-----BEGIN ", "ssh-"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (strncasecmp(text, keys[i], strlen(keys[i])) == 0)
			return true;
	return false;
}

/* Each item that is no key of age is a file. */
static int set_keys(const struct config_key *key, void *at, const char *text, const char *folder,
		    struct err *err)
{
	CLEANUP(freep) char *all = NULL;
	struct buf b;
	buf_init(&b, EXPAND_MAX_BYTES);
	int rc = 0;
	while (rc == 0 && *text != '\0') {
		text += strspn(text, " ,\t\n");
		size_t len = strcspn(text, ",\n"), trimmed = len;
		while (trimmed > 0 && (text[trimmed - 1] == ' ' || text[trimmed - 1] == '\t'))
			trimmed--;
		bool is_path = text[0] != '/' && !looks_like_key(text);
		if (trimmed > 0)
			rc = buf_printf(&b, err, "%s%s%s%.*s", b.len > 0 ? "," : "",
					is_path ? folder : "", is_path ? "/" : "", (int)trimmed,
					text);
		text += len;
	}
	if (rc == 0 && b.len == 0)
		rc = err_set(err, ERR_CONFIG, "an empty value");
	if (rc == 0)
		rc = buf_take(&b, &all, err);
	buf_done(&b);
	return rc < 0 ? -1 : set_text(key, at, all, err);
}

bool config_identity_is_path(const struct config_archive *a)
{
	return secret_text(&a->identity)[0] == '/';
}

/* A path is one line; an identity's text is known by how it begins or by its lines. */
static int set_identity(const struct config_key *key, void *at, const char *text,
			const char *folder, struct err *err)
{
	CLEANUP(freep) char *absolute = NULL;
	bool is_text = strchr(text, '\n') != NULL || looks_like_key(text);
	if (text[0] == '\0')
		return err_set(err, ERR_CONFIG, "an empty value");
	if (is_text || text[0] == '/')
		return secret_set(field(key, at), text, err);
	if (str_printf(&absolute, err, "%s/%s", folder, text) < 0)
		return -1;
	return secret_set(field(key, at), absolute, err);
}

static int check_bounds(const struct config_key *key, const char *text, uint64_t n, struct err *err)
{
	if ((key->min == 0 && key->max == 0) ||
	    (n >= (uint64_t)key->min && n <= (uint64_t)key->max))
		return 0;
	char low[FORMAT_BYTES], high[FORMAT_BYTES];
	if (key->type == CONFIG_DURATION)
		return err_set(err, ERR_CONFIG, "'%s' is not between %s and %s", text,
			       format_duration(key->min, low), format_duration(key->max, high));
	if (key->type == CONFIG_SIZE || key->type == CONFIG_RATE)
		return err_set(err, ERR_CONFIG, "'%s' is not between %s and %s%s", text,
			       format_exact_size((uint64_t)key->min, low),
			       format_exact_size((uint64_t)key->max, high),
			       key->type == CONFIG_RATE ? " in a second" : "");
	return err_set(err, ERR_CONFIG, "'%s' is not between %lld and %lld", text,
		       (long long)key->min, (long long)key->max);
}

/* "20MiB/s": a size, and the second spelt out, for a line's speed is often told in bits. */
static int parse_rate(const char *text, uint64_t *ret, struct err *err)
{
	size_t len = strlen(text);
	CLEANUP(freep) char *size = NULL;
	struct err why = ERR_INIT;
	if (len > 2 && strcmp(text + len - 2, "/s") == 0 && str_dupn(text, len - 2, &size, err) < 0)
		return -1;
	if (size != NULL && format_parse_size(size, ret, &why) == 0)
		return 0;
	err_set(err, ERR_CONFIG, "'%s' is not bytes in a second", text);
	return err_hint(err, "write a number with KiB/s, MiB/s or GiB/s: 20MiB/s");
}

static int set_number(const struct config_key *key, void *at, const char *text, struct err *err)
{
	if (key->type == CONFIG_DURATION) {
		int64_t ms;
		if (format_parse_duration(text, &ms, err) < 0 ||
		    check_bounds(key, text, (uint64_t)ms, err) < 0)
			return -1;
		memcpy(field(key, at), &ms, sizeof ms);
		return 0;
	}
	if (key->type == CONFIG_SIZE || key->type == CONFIG_RATE) {
		uint64_t bytes;
		if ((key->type == CONFIG_SIZE ? format_parse_size : parse_rate)(text, &bytes, err) <
			0 ||
		    check_bounds(key, text, bytes, err) < 0)
			return -1;
		memcpy(field(key, at), &bytes, sizeof bytes);
		return 0;
	}
	char *rest;
	errno = 0;
	unsigned long n = strtoul(text, &rest, 10);
	if (key->choices != NULL && strcmp(rest, key->choices) == 0)
		rest += strlen(rest);
	if (!isdigit((unsigned char)text[0]) || *rest != '\0' || errno != 0 || n > 1000000) {
		err_set(err, ERR_CONFIG, "'%s' is not a number between %lld and %lld", text,
			(long long)key->min, (long long)key->max);
		return hint_quotes(text, err);
	}
	if (check_bounds(key, text, n, err) < 0)
		return -1;
	int level = (int)n;
	unsigned count = (unsigned)n;
	if (key->type == CONFIG_LEVEL)
		memcpy(field(key, at), &level, sizeof level);
	else
		memcpy(field(key, at), &count, sizeof count);
	return 0;
}

int config_value_set(const struct config_key *key, void *at, const char *text, const char *folder,
		     struct err *err)
{
	struct cron cron;
	int ok = 0;
	switch (key->type) {
	case CONFIG_SECRET:
		if (text[0] == '\0')
			return err_set(err, ERR_CONFIG, "an empty value");
		return secret_set(field(key, at), text, err);
	case CONFIG_SECRET_URL:
		return check_url(key, text, err) < 0 ? -1 : secret_set(field(key, at), text, err);
	case CONFIG_PATH:
		return set_path(key, at, text, folder, err);
	case CONFIG_KEYS:
		return set_keys(key, at, text, folder, err);
	case CONFIG_IDENTITY:
		return set_identity(key, at, text, folder, err);
	case CONFIG_DURATION:
	case CONFIG_SIZE:
	case CONFIG_RATE:
	case CONFIG_COUNT:
	case CONFIG_LEVEL:
		return set_number(key, at, text, err);
	case CONFIG_NAME:
		ok = check_name(text, is_name(text),
				"at most 64 letters, digits, '_' and '-', not beginning with '-'",
				err);
		break;
	case CONFIG_VOLUME:
		ok = check_name(text, is_volume(text),
				"at most 200 letters, digits, '_', '.' and '-', "
				"not beginning with '.' or '-'",
				err);
		break;
	case CONFIG_CHOICE:
		ok = check_choice(key, text, err);
		break;
	case CONFIG_URL:
		ok = check_plain_url(key, text, err);
		break;
	case CONFIG_ZONE:
		ok = check_zone(text, err);
		break;
	case CONFIG_KEEP:
		ok = check_keep(text, err);
		break;
	case CONFIG_CRON:
		ok = cron_parse(text, &cron, err);
		break;
	case CONFIG_TEXT:
		if (text[0] == '\0')
			ok = err_set(err, ERR_CONFIG, "an empty value");
		break;
	}
	return ok < 0 ? -1 : set_text(key, at, text, err);
}
