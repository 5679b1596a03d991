#include "agent/findings.h"

#include <stdlib.h>
#include <string.h>

int findings_add(struct findings *f, const char *level, const char *what, const char *text,
		 struct err *err)
{
	const char *style = strcmp(level, "ok") == 0        ? STYLE_GOOD
			    : strcmp(level, "warning") == 0 ? STYLE_WARN
							    : STYLE_BAD;
	f->warnings += strcmp(level, "warning") == 0;
	f->bad += strcmp(level, "failed") == 0;
	output_line(f->app->out, "%s%-7s" STYLE_END "  %s: %s", style, level, what, text);
	return json_push(f->list,
			 json_pack("{s:s, s:s, s:o}", "level", level, "what", what, "text",
				   json_text_value(text)),
			 err);
}

int findings_fail(struct findings *f, const char *what, const struct err *why, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	if (f->first.code == ERR_NONE)
		f->first = *why;
	/* An error of a store names it already. */
	size_t len = strlen(what);
	bool named = strncmp(why->msg, what, len) == 0 && strncmp(why->msg + len, ": ", 2) == 0;
	/* What PostgreSQL says may end with a question. */
	size_t end = strlen(why->msg);
	const char *between = end > 0 && why->msg[end - 1] == '?' ? " " : ". ";
	if (str_printf(&text, err, "%s%s%s", why->msg + (named ? len + 2 : 0),
		       why->hint[0] ? between : "", why->hint) < 0)
		return -1;
	return findings_add(f, "failed", what, text, err);
}
