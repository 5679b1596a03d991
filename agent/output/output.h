/*
 * What a command says on stdout: lines and tables for people, one JSON document for programs.
 *
 *  1. output_line(out, "…")               result text; nothing with --json
 *     output_say(out, "…")                the same, and nothing with --quiet: what is nice to know
 *     table_new, table_add, output_table  columns
 *     output_json(out, document)          kept, and printed at the end, with --json
 *  2. output_finish                       main: prints the document, with the error in it if any
 *
 * Text may carry the STYLE_ marks below; they become colours on a terminal (not with NO_COLOR or
 * TERM=dumb) and nothing elsewhere. Every other control character is made visible, so that a name
 * from a server can't play tricks on the terminal.
 */
#ifndef LIFEBOAT_AGENT_OUTPUT_OUTPUT_H
#define LIFEBOAT_AGENT_OUTPUT_OUTPUT_H

#include <stdio.h>
#include "agent/output/table.h"
#include "base/buf.h"
#include "base/json.h"

#define STYLE_GOOD "\x01"
#define STYLE_WARN "\x02"
#define STYLE_BAD  "\x03"
#define STYLE_DIM  "\x04"
#define STYLE_BOLD "\x05"
#define STYLE_END  "\x06"

struct output_opts {
	FILE *file; /* stdout; borrowed */
	bool json, quiet;
	bool colour;    /* see output_colour_wanted */
	unsigned width; /* of the terminal, see output_width; 0: there is none */
};

struct output;
int output_new(const struct output_opts *opts, struct output **ret, struct err *err) MUST_USE;
void output_free(struct output *o);
DEFINE_CLEANUP(struct output, output_free)

/* A terminal, and neither NO_COLOR (no-color.org) nor TERM=dumb says no. */
bool output_colour_wanted(int fd);

/* Columns of the terminal; 0 where there is none, or one too narrow to break lines for. */
unsigned output_width(int fd);

bool output_is_json(const struct output *o);
bool output_is_quiet(const struct output *o);

void output_line(struct output *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* On a terminal broken between words to its width, `indent` columns in after the first line. */
void output_wrapped(struct output *o, size_t indent, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Lines that are there already, each with its newline. */
void output_text(struct output *o, const char *text);
void output_say(struct output *o, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* `text` with control characters made visible and without STYLE_ marks: for what goes elsewhere.
 * free() it. */
int output_plain(const char *text, char **ret, struct err *err) MUST_USE;

/* Keeps `document` (taken, also on failure; NULL is ERR_NOMEM), which --json prints at the end. The
 * last one counts. */
int output_json(struct output *o, json_t *document, struct err *err) MUST_USE;
/* What is kept; NULL. Borrowed. */
const json_t *output_document(const struct output *o);

/* Writes a document to a file that an option named: in one step, mode 0644; into a pipe, a terminal
 * or what /dev/ leads to as it is. */
int output_file(const char *path, const struct buf *text, struct err *err) MUST_USE;
/* Is it a descriptor that somebody holds, like the web server, and no file that stays? */
bool output_is_handed_on(const char *path);

/* Prints what is kept. `failure` is the command's error or NULL; with --json it becomes
 * {"error":{"code","message","hint"}}, inside the document if there is one. ERR_IO when stdout does
 * not take it; a reader that went away is fine. */
int output_finish(struct output *o, const struct err *failure, struct err *err) MUST_USE;

/* Nothing with --json or without rows; no headings with --quiet. */
int output_table(struct output *o, const struct table *t, struct err *err) MUST_USE;

#endif
