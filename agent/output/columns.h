/*
 * How wide text is on a terminal, and text broken to fit. Characters of UTF-8 count one, STYLE_
 * marks (output.h) nothing, other control characters the four that they are shown with. Names in
 * wide scripts come out a little ragged; nothing else depends on it.
 */
#ifndef LIFEBOAT_AGENT_OUTPUT_COLUMNS_H
#define LIFEBOAT_AGENT_OUTPUT_COLUMNS_H

#include "base/buf.h"

size_t columns_of(const char *text, size_t len);

/* Appends `text`, broken between words where a line would get wider than `width`; what follows a
 * break begins `indent` columns in. A word that is too wide by itself stays whole. */
int columns_wrap(const char *text, size_t width, size_t indent, struct buf *out, struct err *err)
    MUST_USE;

#endif
