#include "agent/config/keys.h"

#include <string.h>
#include "base/flow/sink.h"

static int add_item(struct age_recipients *r, const char *item, struct err *err)
{
	return item[0] == '/' ? age_recipients_add_file(r, item, err)
			      : age_recipients_add(r, item, err);
}

static int wrong(struct err *err, const char *key)
{
	if (err->code != ERR_NOMEM)
		err->code = ERR_CONFIG;
	return err_wrap(err, "'%s' in [archive]", key);
}

int keys_recipients(const struct config *c, struct age_recipients *ret, struct err *err)
{
	struct age_recipients r = {.keys = NULL};
	const char *rest = c->archive.recipients;
	while (rest != NULL && *rest != '\0') {
		CLEANUP(freep) char *item = NULL;
		size_t len = strcspn(rest, ",");
		if (str_dupn(rest, len, &item, err) < 0 || add_item(&r, item, err) < 0) {
			age_recipients_done(&r);
			return wrong(err, "recipients");
		}
		rest += len + (rest[len] == ',');
	}
	*ret = r;
	return 0;
}

int keys_identities(const struct config *c, struct age_identities *ret, struct err *err)
{
	struct age_identities i = {.keys = NULL};
	const char *text = secret_text(&c->archive.identity);
	int rc = 0;
	if (config_identity_is_path(&c->archive))
		rc = age_identities_add_file(&i, text, NULL, err);
	else if (secret_is_set(&c->archive.identity))
		rc = age_identities_add_text(&i, text, err);
	if (rc < 0) {
		age_identities_done(&i);
		return wrong(err, "identity");
	}
	*ret = i;
	return 0;
}

int keys_try(const struct age_recipients *r, const struct age_identities *i, struct err *err)
{
	CLEANUP(buf_done) struct buf file;
	CLEANUP(sink_freep) struct sink *encrypted = NULL;
	struct sink *to;
	struct filter *filter;
	struct age_file opened;
	buf_init(&file, AGE_HEADER_MAX);
	if (sink_buf(&file, &to, err) < 0)
		return -1;
	if (filter_age_encrypt(r, &filter, err) < 0) {
		sink_free(to);
		return -1;
	}
	if (sink_filtered(filter, to, &encrypted, err) < 0 || sink_close(encrypted, err) < 0 ||
	    age_open(i, file.data, file.len, &opened, err) < 0)
		return -1;
	age_file_done(&opened);
	return 0;
}
