/* `lifeboat notify`: who is told; a test of them; and, for lifeboat run, one notice sent. */
#include <string.h>
#include <unistd.h>
#include "agent/commands.h"
#include "agent/config/config_notify.h"
#include "agent/daemon/notice.h"
#include "agent/daemon/notify_send.h"
#include "agent/output/format.h"
#include "base/file.h"

enum { NOTICE_MAX_BYTES = 1 << 18 };

static int find(const struct config *c, const char *label, const struct config_notify **ret,
		struct err *err)
{
	for (size_t i = 0; i < c->notifier_count; i++) {
		if (strcmp(c->notifiers[i].label, label) == 0) {
			*ret = &c->notifiers[i];
			return 0;
		}
	}
	err_set(err, ERR_USAGE, "there is no notifier '%s' in %s", label, c->path);
	return err_hint(err, "`lifeboat notify` lists them.");
}

/* ---- what lifeboat run starts ---- */

static int send_one(struct app *app, const struct config_notify *n, struct err *err)
{
	CLEANUP(buf_done) struct buf text;
	CLEANUP(json_freep) json_t *notice = NULL;
	buf_init(&text, NOTICE_MAX_BYTES);
	int64_t wait_ms = 0;
	if (file_read_all("/dev/stdin", &text, err) < 0 ||
	    json_parse(buf_text(&text), text.len, &notice, err) < 0)
		return err_wrap(err, "the notice on stdin");
	if (notify_send(n, notice, &wait_ms, err) == 0)
		return 0;
	/* The exit status says whether it is worth another try, the output when. */
	if (wait_ms > 0)
		output_line(app->out, "%lld", (long long)wait_ms);
	if (err->code != ERR_NOMEM && err->code != ERR_CANCELLED)
		err->code = err->retryable ? ERR_UNREACHABLE : ERR_FAILED;
	return -1;
}

/* ---- for people ---- */

static int note(json_t *list, const struct config_notify *n, const struct err *why, struct err *err)
{
	json_t *item = json_pack("{s:s, s:s, s:s}", "name", n->label, "kind", n->kind, "on", n->on);
	if (item != NULL && why != NULL &&
	    (json_put(item, "sent", json_boolean(why->code == ERR_NONE), err) < 0 ||
	     json_put(item, "error",
		      why->code != ERR_NONE ? json_text_value(why->msg) : json_null(), err) < 0)) {
		json_decref(item);
		return -1;
	}
	return json_push(list, item, err);
}

static int test_one(struct app *app, const struct config_notify *n, json_t *list, bool *ok,
		    struct err *err)
{
	CLEANUP(json_freep)
	json_t *notice = notice_test(app->config->stack.name, clock_wall_ms());
	char took[FORMAT_BYTES];
	struct err why = ERR_INIT;
	int64_t began = clock_monotonic_ms(), ignored;
	if (notice == NULL)
		return err_nomem(err, "a notice");
	if (cancel_check(err) < 0)
		return -1;
	*ok = notify_send(n, notice, &ignored, &why) == 0;
	if (*ok)
		output_line(app->out, "%s (%s): " STYLE_GOOD "sent" STYLE_END " in %s", n->label,
			    n->kind, format_duration(clock_monotonic_ms() - began, took));
	else
		output_line(app->out, "%s (%s): " STYLE_BAD "failed" STYLE_END ": %s", n->label,
			    n->kind, why.msg);
	if (!*ok && why.hint[0] != '\0')
		output_line(app->out, "  HINT: %s", why.hint);
	return note(list, n, &why, err);
}

static int for_people(struct app *app, const char *only, bool test, struct err *err)
{
	const struct config *c = app->config;
	CLEANUP(json_freep) json_t *list = json_array();
	size_t failed = 0, tried = 0;
	for (size_t i = 0; i < c->notifier_count; i++) {
		const struct config_notify *n = &c->notifiers[i];
		bool ok = true;
		if (only != NULL && strcmp(only, n->label) != 0)
			continue;
		if (!test)
			output_line(app->out, "%s (%s): %s", n->label, n->kind, n->on);
		if ((test ? test_one(app, n, list, &ok, err) : note(list, n, NULL, err)) < 0)
			return -1;
		tried++;
		failed += !ok;
	}
	if (output_json(app->out, json_pack("{s:O}", "notifiers", list), err) < 0)
		return -1;
	if (failed > 0)
		return err_set(err, ERR_FAILED, "%zu of %zu notifiers failed", failed, tried);
	return 0;
}

int cmd_notify(struct app *app, struct err *err)
{
	const struct config *c = app->config;
	const char *label = cli_arg(app->cli, 0);
	const struct config_notify *n = NULL;
	bool test = cli_flag(app->cli, "test"), send = cli_flag(app->cli, "send");
	if (test && send)
		return err_set(err, ERR_USAGE, "--test and --send exclude each other");
	if (send && label == NULL)
		return err_set(err, ERR_USAGE, "--send needs the name of a notifier");
	if (c->notifier_count == 0) {
		err_set(err, ERR_CONFIG, "%s names nobody who is told", c->path);
		return err_hint(err, "add a section: [notify ops] with url = https://...");
	}
	if (label != NULL && find(c, label, &n, err) < 0)
		return -1;
	if (send)
		return send_one(app, n, err);
	return for_people(app, label, test, err);
}
