#include "agent/config/config_store.h"

#include <string.h>
#include <strings.h>

bool config_store_uses(const struct config_store *s, const char *schemes)
{
	size_t len = strcspn(s->url, ":");
	for (const char *word = schemes; *word != '\0'; word += strspn(word, " ")) {
		size_t n = strcspn(word, " ");
		if (n == len && strncasecmp(word, s->url, n) == 0)
			return true;
		word += n;
	}
	return false;
}

static int from_variable(struct secret *s, const char *value, struct err *err)
{
	return value == NULL || value[0] == '\0' ? 0 : secret_set(s, value, err);
}

/* All three together or none of them: a token belongs to its keys. */
static int find_keys(struct config_store *s, const char *(*lookup)(void *ctx, const char *),
		     void *ctx, struct err *err)
{
	if (secret_is_set(&s->access_key) && !secret_is_set(&s->secret_key))
		return err_set(err, ERR_CONFIG, "'access_key' without 'secret_key'");
	if (!secret_is_set(&s->access_key) &&
	    (secret_is_set(&s->secret_key) || secret_is_set(&s->session_token)))
		return err_set(err, ERR_CONFIG, "'%s' without 'access_key'",
			       secret_is_set(&s->secret_key) ? "secret_key" : "session_token");
	if (secret_is_set(&s->access_key))
		return 0;
	if (from_variable(&s->access_key, lookup(ctx, "AWS_ACCESS_KEY_ID"), err) < 0 ||
	    from_variable(&s->secret_key, lookup(ctx, "AWS_SECRET_ACCESS_KEY"), err) < 0 ||
	    from_variable(&s->session_token, lookup(ctx, "AWS_SESSION_TOKEN"), err) < 0)
		return -1;
	return 0;
}

int config_store_complete(struct config_store *s, const char *(*lookup)(void *ctx, const char *),
			  void *ctx, struct err *err)
{
	if (!config_store_uses(s, "s3"))
		return 0;
	if (find_keys(s, lookup, ctx, err) < 0)
		return -1;
	const char *region = lookup(ctx, "AWS_REGION");
	if (s->region == NULL && region != NULL && region[0] != '\0' &&
	    str_dup(region, &s->region, err) < 0)
		return -1;
	if (s->kms_key != NULL && (s->encryption == NULL || strcmp(s->encryption, "aws:kms") != 0))
		return err_set(err, ERR_CONFIG, "'kms_key' without 'encryption = aws:kms'");
	if ((s->object_lock != NULL) != (s->object_lock_days > 0))
		return err_set(err, ERR_CONFIG, "'%s' without '%s'",
			       s->object_lock != NULL ? "object_lock" : "object_lock_days",
			       s->object_lock != NULL ? "object_lock_days" : "object_lock");
	return 0;
}

static const char *optional(const struct secret *s)
{
	return secret_is_set(s) ? secret_text(s) : NULL;
}

struct store_opts config_store_opts(const struct config_store *s)
{
	return (struct store_opts){.name = s->label,
				   .url = s->url,
				   .limit_bytes_s = s->limit_bytes_s,
				   .timeout_ms = s->timeout_ms,
				   .retries = s->retries,
				   .proxy = optional(&s->proxy),
				   .ca_file = s->ca_file,
				   .endpoint = s->endpoint,
				   .region = s->region,
				   .addressing = s->addressing,
				   .access_key = optional(&s->access_key),
				   .secret_key = optional(&s->secret_key),
				   .session_token = optional(&s->session_token),
				   .storage_class = s->storage_class,
				   .encryption = s->encryption,
				   .kms_key = s->kms_key,
				   .object_lock = s->object_lock,
				   .object_lock_days = s->object_lock_days,
				   .user = s->user,
				   .password = optional(&s->password),
				   .key_file = s->key_file,
				   .key_passphrase = optional(&s->key_passphrase),
				   .known_hosts = s->known_hosts};
}

int config_store_open(const struct config_store *s, struct store **ret, struct err *err)
{
	struct store_opts opts = config_store_opts(s);
	return store_open(&opts, ret, err);
}
