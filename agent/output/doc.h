/*
 * A page of documentation, written once and printed two ways: as text of 80 columns for --help, and
 * in man(7) for the manual.
 *
 *  1. doc_new(DOC_TEXT, &d, err)
 *  2. doc_heading, doc_text, doc_item, doc_code …     in order; errors are kept until the end
 *  3. doc_take(d, &text, err)                         the page; doc_free
 *
 * Text has STYLE_BOLD marks of output.h around headings.
 */
#ifndef LIFEBOAT_AGENT_OUTPUT_DOC_H
#define LIFEBOAT_AGENT_OUTPUT_DOC_H

#include "base/buf.h"

enum doc_format { DOC_TEXT, DOC_MAN };
enum { DOC_WIDTH = 80 };

struct doc;
int doc_new(enum doc_format format, struct doc **ret, struct err *err) MUST_USE;
void doc_free(struct doc *d);
DEFINE_CLEANUP(struct doc, doc_free)
bool doc_is_man(const struct doc *d);

/* Of a manual page; nothing in text. */
void doc_title(struct doc *d, const char *name, int section, const char *what);
/* "Options"; in a manual "OPTIONS". */
void doc_heading(struct doc *d, const char *text);
void doc_subheading(struct doc *d, const char *text);
/* One or more paragraphs, separated by "\n\n"; single newlines are spaces. */
void doc_text(struct doc *d, const char *text);
void doc_textf(struct doc *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A term and what it means. In text, the meanings of the items that follow begin at `column`. */
void doc_column(struct doc *d, unsigned column);
void doc_item(struct doc *d, const char *term, const char *meaning);
/* Lines as they are. */
void doc_code(struct doc *d, const char *lines);

/* free() the text. */
int doc_take(struct doc *d, char **ret, struct err *err) MUST_USE;

#endif
