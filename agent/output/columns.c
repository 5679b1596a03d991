#include "agent/output/columns.h"

#include <string.h>
#include "agent/output/output.h"

size_t columns_of(const char *text, size_t len)
{
	size_t width = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		bool style = c >= STYLE_GOOD[0] && c <= STYLE_END[0];
		if (c < 0x20 && !style)
			width += 4; /* shown as \x1b */
		else if (!style && (c & 0xC0U) != 0x80U)
			width++;
	}
	return width;
}

static int put_spaces(size_t count, struct buf *out, struct err *err)
{
	int done = 0;
	while (done == 0 && count-- > 0)
		done = buf_append(out, " ", 1, err);
	return done;
}

int columns_wrap(const char *text, size_t width, size_t indent, struct buf *out, struct err *err)
{
	size_t at = 0;
	while (*text != '\0') {
		size_t gap = strspn(text, " "), len = strcspn(text + gap, " ");
		size_t wide = columns_of(text + gap, len);
		bool breaks = at + gap > indent && at + gap + wide > width;
		if (breaks && buf_append(out, "\n", 1, err) < 0)
			return -1;
		if (put_spaces(breaks ? indent : gap, out, err) < 0 ||
		    buf_append(out, text + gap, len, err) < 0)
			return -1;
		at = (breaks ? indent : at + gap) + wide;
		text += gap + len;
	}
	return 0;
}
