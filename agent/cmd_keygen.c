/* A new pair of keys, in the form of age-keygen. */
#include <stdlib.h>
#include <string.h>
#include "agent/commands.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/flow/age.h"

static void wiped(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_done(b);
}

static int write_identity(const char *path, const struct buf *text, struct err *err)
{
	CLEANUP(file_new_freep) struct file_new *file = NULL;
	if (file_exists(path)) {
		err_set(err, ERR_EXISTS, "'%s' is there already: not overwritten", path);
		return err_hint(err, "An identity that is gone takes its backups with it: choose "
				     "another name.");
	}
	if (file_new_open(path, 0600, &file, err) < 0 ||
	    file_new_write(file, text->data, text->len, err) < 0)
		return -1;
	return file_new_close_fresh(file, err);
}

int cmd_keygen(struct app *app, struct err *err)
{
	char identity[AGE_IDENTITY_BYTES], recipient[AGE_RECIPIENT_BYTES], now[CLOCK_TEXT_BYTES];
	const char *path = cli_value(app->cli, "output");
	CLEANUP(wiped) struct buf text;
	buf_init(&text, 1024);
	if (buf_reserve(&text, text.max, err) < 0 || age_keygen(identity, recipient, err) < 0)
		return -1;
	int rc = buf_printf(&text, err, "# created: %s\n# public key: %s\n%s\n",
			    clock_rfc3339(clock_wall_ms(), now), recipient, identity);
	explicit_bzero(identity, sizeof identity);
	if (rc < 0)
		return -1;
	if (path == NULL) {
		output_text(app->out, buf_text(&text));
		return output_json(
		    app->out,
		    json_pack("{s:s, s:s}", "recipient", recipient, "identity", buf_text(&text)),
		    err);
	}
	if (write_identity(path, &text, err) < 0)
		return -1;
	output_line(app->out, "recipient: " STYLE_BOLD "%s" STYLE_END, recipient);
	output_say(app->out,
		   "The identity is in '%s'. Lose it, and every backup that only it opens "
		   "is lost: keep a copy elsewhere.",
		   path);
	return output_json(app->out, json_pack("{s:s, s:s}", "recipient", recipient, "file", path),
			   err);
}
