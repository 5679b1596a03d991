#include "agent/daemon/notice.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/daemon/state.h"
#include "agent/output/format.h"
#include "agent/output/output.h"

/* Discord takes 2000 characters, which is the least of all. */
enum { TEXT_BYTES = 1500, BODY_BYTES = 1 << 18 };

/* ---- words ---- */

static void make_title(const struct notice_opts *o, char *out, size_t cap)
{
	bool is_config = o->job == JOB_KINDS;
	const char *job = is_config ? "agent.conf" : job_kind_name(o->job);
	const char *outcome = json_str_or(o->facts, "outcome", "");
	const char *words = "";
	switch (o->event) {
	case ALARM_FAILURE:
		words = is_config                            ? " was refused"
			: strcmp(outcome, "unverified") == 0 ? " could not verify"
			: strcmp(outcome, "locked") == 0     ? " found a lock"
			: strcmp(outcome, "timeout") == 0    ? " was not done in time"
							     : " failed";
		break;
	case ALARM_RECOVERY:
		words = is_config ? " is accepted again" : " works again";
		break;
	case ALARM_SUCCESS:
		words = " succeeded";
		break;
	case ALARM_OVERDUE:
		words = " is overdue";
		break;
	case ALARM_SUSPICIOUS:
		words = " is suspicious";
		break;
	case ALARM_START:
		words = " begins";
		break;
	case ALARM_UNPROVEN:
	case ALARM_EVENTS:
		break;
	}
	snprintf(out, cap, "%s: %s%s%s", o->stack,
		 o->event == ALARM_UNPROVEN ? "backups are not proved any more" : job, words,
		 o->reminder ? " (still)" : "");
}

static int say_since(const struct notice_opts *o, struct buf *b, struct err *err)
{
	char when[CLOCK_TEXT_BYTES], age[FORMAT_BYTES];
	if (o->since_ms == 0 || !o->reminder)
		return 0;
	return buf_printf(b, err, "%sSince %s, for %s.", b->len > 0 ? "\n" : "",
			  clock_rfc3339(o->since_ms, when),
			  format_duration(o->now_ms - o->since_ms, age));
}

static int say_unproven(const struct notice_opts *o, struct buf *b, struct err *err)
{
	char when[CLOCK_TEXT_BYTES], age[FORMAT_BYTES];
	return buf_printf(b, err,
			  "No drill has passed since %s, for %s. Whether the backups can be "
			  "restored is not known.",
			  clock_rfc3339(o->since_ms, when),
			  format_duration(o->now_ms - o->since_ms, age));
}

static int say_failure(const struct notice_opts *o, struct buf *b, struct err *err)
{
	const json_t *e = json_object_get(o->facts, "error");
	const char *hint = json_str_or(e, "hint", NULL);
	const char *again = json_str_or(o->facts, "retry_at", NULL);
	const char *loaded = json_str_or(o->facts, "loaded", NULL);
	if (buf_puts(b, json_str_or(e, "message", "The reason is not known."), err) < 0 ||
	    (hint != NULL && buf_printf(b, err, "\nHint: %s", hint) < 0))
		return -1;
	if (again != NULL && buf_printf(b, err, "\nIt is tried again at %s.", again) < 0)
		return -1;
	return loaded == NULL ? 0 : buf_printf(b, err, "\nThe one of %s stays in use.", loaded);
}

static int say_overdue(const struct notice_opts *o, struct buf *b, struct err *err)
{
	const char *due = json_str_or(o->facts, "due", NULL);
	const char *last = json_str_or(o->facts, "last_success", NULL);
	if (due != NULL && buf_printf(b, err, "It was due at %s. ", due) < 0)
		return -1;
	return last != NULL ? buf_printf(b, err, "The last success was at %s.", last)
			    : buf_puts(b, "It has not succeeded since.", err);
}

static int say_end(const struct notice_opts *o, struct buf *b, struct err *err)
{
	const char *backup = json_str_or(o->facts, "backup", NULL);
	const json_t *ms = json_object_get(o->facts, "duration_ms");
	char took[FORMAT_BYTES];
	/* What ended because the configuration changed has no run. */
	if (json_is_integer(ms) &&
	    buf_printf(b, err, "Done in %s.", format_duration(json_integer_value(ms), took)) < 0)
		return -1;
	return backup == NULL ? 0 : buf_printf(b, err, " Backup %s.", backup);
}

static int make_message(const struct notice_opts *o, struct buf *b, struct err *err)
{
	switch (o->event) {
	case ALARM_FAILURE:
		return say_failure(o, b, err) < 0 ? -1 : say_since(o, b, err);
	case ALARM_OVERDUE:
		return say_overdue(o, b, err) < 0 ? -1 : say_since(o, b, err);
	case ALARM_SUSPICIOUS:
		if (buf_printf(b, err,
			       "Backup %s is much smaller than those before it. If it is right, "
			       "say so: lifeboat trust",
			       json_str_or(o->facts, "backup", "?")) < 0)
			return -1;
		return say_since(o, b, err);
	case ALARM_UNPROVEN:
		return say_unproven(o, b, err);
	case ALARM_RECOVERY:
	case ALARM_SUCCESS:
		return say_end(o, b, err);
	case ALARM_START:
	case ALARM_EVENTS:
		break;
	}
	return 0;
}

/* The first `max` bytes at most, not ending inside a character. */
static void cut_text(char *text, size_t max)
{
	if (strlen(text) <= max)
		return;
	while (max > 0 && ((unsigned char)text[max] & 0xC0) == 0x80)
		max--;
	text[max] = '\0';
}

/* ---- the notice ---- */

json_t *notice_new(const struct notice_opts *o)
{
	char title[256], when[CLOCK_TEXT_BYTES];
	struct err ignored = ERR_INIT;
	CLEANUP(freep) char *plain = NULL;
	struct buf message;
	buf_init(&message, BODY_BYTES);
	make_title(o, title, sizeof title);
	int done = make_message(o, &message, &ignored);
	if (done == 0)
		done = output_plain(buf_text(&message), &plain, &ignored);
	buf_done(&message);
	if (done < 0)
		return NULL;
	cut_text(plain, TEXT_BYTES);
	return json_pack("{s:s, s:o, s:s?, s:s?, s:s?, s:o, s:o, s:s, s:o, s:b}", "event",
			 alarm_event_name(o->event), "stack", json_text_value(o->stack), "job",
			 o->job == JOB_KINDS ? NULL : job_kind_name(o->job), "outcome",
			 json_str_or(o->facts, "outcome", NULL), "backup",
			 json_str_or(o->facts, "backup", NULL), "title", json_text_value(title),
			 "message", json_text_value(plain), "time", clock_rfc3339(o->now_ms, when),
			 "since", state_time(o->since_ms), "reminder", o->reminder);
}

json_t *notice_test(const char *stack, int64_t now_ms)
{
	char title[256], when[CLOCK_TEXT_BYTES];
	snprintf(title, sizeof title, "%s: test of Lifeboat's alarms", stack);
	return json_pack("{s:s, s:o, s:n, s:n, s:n, s:o, s:s, s:s, s:n, s:b}", "event", "test",
			 "stack", json_text_value(stack), "job", "outcome", "backup", "title",
			 json_text_value(title), "message",
			 "Nothing is wrong. An alarm would look like this.", "time",
			 clock_rfc3339(now_ms, when), "since", "reminder", false);
}

/* ---- bodies ---- */

/* Behind an @ it keeps the name from being one, and nobody sees it: a zero width space. */
#define NO_NAME "\xe2\x80\x8b"

int notice_calm(const char *kind, const char *text, char **ret, struct err *err)
{
	bool slack = strcmp(kind, "slack") == 0, names = slack || strcmp(kind, "discord") == 0;
	struct buf out;
	int done = 0;
	buf_init(&out, BODY_BYTES);
	for (const char *c = text; done == 0 && *c != '\0'; c++) {
		/* That of a mail address calls nobody. */
		bool begins = c == text || !isalnum((unsigned char)c[-1]);
		done = slack && *c == '&'             ? buf_puts(&out, "&amp;", err)
		       : slack && *c == '<'           ? buf_puts(&out, "&lt;", err)
		       : slack && *c == '>'           ? buf_puts(&out, "&gt;", err)
		       : names && *c == '@' && begins ? buf_puts(&out, "@" NO_NAME, err)
						      : buf_append(&out, c, 1, err);
	}
	if (done == 0)
		done = buf_take(&out, ret, err);
	buf_done(&out);
	return done;
}

/* A JSON string without its quotes. */
static int escape(const char *kind, const char *text, struct buf *out, struct err *err)
{
	CLEANUP(freep) char *calm = NULL;
	if (notice_calm(kind, text, &calm, err) < 0)
		return -1;
	CLEANUP(json_freep) json_t *value = json_text_value(calm);
	CLEANUP(freep) char *quoted = value != NULL ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
	if (quoted == NULL)
		return err_nomem(err, "a notice");
	return buf_append(out, quoted + 1, strlen(quoted) - 2, err);
}

int notice_fill(const json_t *notice, const char *kind, const char *text, char **ret,
		struct err *err)
{
	static const char *const names[] = {"stack",  "job",   "event",   "outcome",
					    "backup", "title", "message", "time"};
	struct buf out;
	int done = 0;
	buf_init(&out, BODY_BYTES);
	while (done == 0 && *text != '\0') {
		size_t len = 0, i = 0;
		for (; text[0] == '{' && i < sizeof names / sizeof *names; i++) {
			len = strlen(names[i]);
			if (strncmp(text + 1, names[i], len) == 0 && text[1 + len] == '}')
				break;
		}
		if (text[0] == '{' && i < sizeof names / sizeof *names) {
			done = escape(kind, json_str_or(notice, names[i], ""), &out, err);
			text += len + 2;
		} else {
			done = buf_append(&out, text++, 1, err);
		}
	}
	if (done == 0)
		done = buf_take(&out, ret, err);
	buf_done(&out);
	return done;
}

static int slack_body(const char *title, const char *message, json_t **ret, struct err *err)
{
	CLEANUP(freep) char *first = NULL;
	CLEANUP(freep) char *rest = NULL;
	CLEANUP(freep) char *all = NULL;
	if (notice_calm("slack", title, &first, err) < 0 ||
	    notice_calm("slack", message, &rest, err) < 0 ||
	    str_printf(&all, err, "*%s*\n%s", first, rest) < 0)
		return -1;
	*ret = json_pack("{s:o}", "text", json_text_value(all));
	return 0;
}

static int discord_body(const char *title, const char *message, json_t **ret, struct err *err)
{
	CLEANUP(freep) char *all = NULL;
	if (str_printf(&all, err, "**%s**\n%s", title, message) < 0)
		return -1;
	/* Nobody is called by an @everyone in an error message. */
	*ret = json_pack("{s:o, s:{s:[]}}", "content", json_text_value(all), "allowed_mentions",
			 "parse");
	return 0;
}

static json_t *teams_line(const char *text, const char *weight)
{
	return json_pack("{s:s, s:o, s:s, s:b}", "type", "TextBlock", "text", json_text_value(text),
			 "weight", weight, "wrap", 1);
}

/* An adaptive card, as the workflows of Teams take it. */
static json_t *teams_body(const char *title, const char *message)
{
	return json_pack(
	    "{s:s, s:[{s:s, s:n, s:{s:s, s:s, s:s, s:[o, o]}}]}", "type", "message", "attachments",
	    "contentType", "application/vnd.microsoft.card.adaptive", "contentUrl", "content",
	    "$schema", "http://adaptivecards.io/schemas/adaptive-card.json", "type", "AdaptiveCard",
	    "version", "1.2", "body", teams_line(title, "Bolder"), teams_line(message, "Default"));
}

int notice_body(const json_t *notice, const char *kind, char **ret, struct err *err)
{
	const char *title = json_str_or(notice, "title", "");
	const char *message = json_str_or(notice, "message", "");
	CLEANUP(json_freep) json_t *body = NULL;
	int done = 0;
	if (strcmp(kind, "slack") == 0)
		done = slack_body(title, message, &body, err);
	else if (strcmp(kind, "discord") == 0)
		done = discord_body(title, message, &body, err);
	else if (strcmp(kind, "teams") == 0)
		body = teams_body(title, message);
	else
		body = json_deep_copy(notice);
	if (done < 0)
		return -1;
	return body == NULL ? err_nomem(err, "a notice") : json_text(body, false, ret, err);
}
