#include "agent/commands.h"

#include <string.h>
#include "agent/completion.h"
#include "agent/pages.h"

static int manual(const char *page, char **ret, struct err *err)
{
	if (strcmp(page, "lifeboat") == 0)
		return page_lifeboat(DOC_MAN, ret, err);
	if (strcmp(page, "agent.conf") == 0)
		return page_config(DOC_MAN, ret, err);
	err_set(err, ERR_USAGE, "there is no manual page '%s'", page);
	return err_hint(err, "there are lifeboat and agent.conf");
}

static int help(const char *about, char **ret, struct err *err)
{
	if (about == NULL)
		return page_overview(ret, err);
	if (strcmp(about, "agent.conf") == 0)
		return page_config(DOC_TEXT, ret, err);
	const struct cli_command *c = cli_command_find(about);
	return c != NULL ? page_command(c, ret, err) : cli_command_unknown(about, err);
}

int cmd_help(struct app *app, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	const char *page = cli_value(app->cli, "man");
	const char *shell = cli_value(app->cli, "completion");
	int done;
	if (page != NULL)
		done = manual(page, &text, err);
	else if (shell != NULL)
		done = completion_script(shell, &text, err);
	else
		done = help(cli_arg(app->cli, 0), &text, err);
	if (done < 0)
		return -1;
	if (output_is_json(app->out)) {
		CLEANUP(freep) char *plain = NULL;
		if (output_plain(text, &plain, err) < 0)
			return -1;
		json_t *doc = json_object();
		if (json_put(doc, "text", json_text_value(plain), err) < 0) {
			json_decref(doc);
			return -1;
		}
		return output_json(app->out, doc, err);
	}
	output_text(app->out, text);
	return 0;
}
