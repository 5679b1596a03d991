#include "agent/output/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/output/columns.h"
#include "base/file.h"

enum { TEXT_MAX_BYTES = 64 << 20, NARROW = 40 };

struct output {
	struct output_opts opts;
	json_t *document;
	int write_errno; /* of the first line that could not be written */
};

int output_new(const struct output_opts *opts, struct output **ret, struct err *err)
{
	struct output *o = mem_zalloc(sizeof *o, "the output", err);
	if (o == NULL)
		return -1;
	o->opts = *opts;
	*ret = o;
	return 0;
}

void output_free(struct output *o)
{
	if (o == NULL)
		return;
	json_decref(o->document);
	free(o);
}

bool output_colour_wanted(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	if ((no != NULL && no[0] != '\0') || (term != NULL && strcmp(term, "dumb") == 0))
		return false;
	return isatty(fd) == 1;
}

unsigned output_width(int fd)
{
	struct winsize size;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= NARROW ? size.ws_col : 0;
}

bool output_is_json(const struct output *o)
{
	return o->opts.json;
}

bool output_is_quiet(const struct output *o)
{
	return o->opts.quiet;
}

/* Appends `text` as it may reach a terminal. Bytes from 0x80 on are UTF-8 and left alone, but for
 * C1 control characters (U+0080 to U+009F), which some terminals obey. */
static int clean(const char *text, bool colour, struct buf *out, struct err *err)
{
	static const char *const colours[] = {"", "32", "33", "31", "2", "1", "0"};
	int done = 0;
	for (; done == 0 && *text != '\0'; text++) {
		unsigned char c = (unsigned char)text[0], next = (unsigned char)text[1];
		if (c >= STYLE_GOOD[0] && c <= STYLE_END[0]) {
			if (colour)
				done = buf_printf(out, err, "\033[%sm", colours[c]);
		} else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
			done = buf_printf(out, err, "\\x%02x", c);
		} else if (c == 0xC2 && next >= 0x80 && next <= 0x9F) {
			done = buf_printf(out, err, "\\u%04x", next);
			text++;
		} else {
			done = buf_append(out, text, 1, err);
		}
	}
	return done;
}

int output_plain(const char *text, char **ret, struct err *err)
{
	struct buf out;
	buf_init(&out, TEXT_MAX_BYTES);
	if (clean(text, false, &out, err) == 0 && buf_take(&out, ret, err) == 0)
		return 0;
	buf_done(&out);
	return -1;
}

static void put_text(struct output *o, const char *text)
{
	struct buf out;
	struct err err = ERR_INIT;
	buf_init(&out, TEXT_MAX_BYTES);
	errno = 0;
	if (clean(text, o->opts.colour, &out, &err) < 0)
		errno = ENOMEM;
	else if (out.len == 0 || fwrite(out.data, out.len, 1, o->opts.file) == 1)
		goto out;
	if (o->write_errno == 0)
		o->write_errno = errno != 0 ? errno : EIO;
out:
	buf_done(&out);
}

PRINTF_LIKE(2, 0)
static void put_line(struct output *o, const char *fmt, va_list args)
{
	char *text = NULL;
	if (vasprintf(&text, fmt, args) < 0) {
		o->write_errno = ENOMEM;
		return;
	}
	put_text(o, text);
	put_text(o, "\n");
	free(text);
}

void output_line(struct output *o, const char *fmt, ...)
{
	if (o->opts.json)
		return;
	va_list args;
	va_start(args, fmt);
	put_line(o, fmt, args);
	va_end(args);
}

void output_wrapped(struct output *o, size_t indent, const char *fmt, ...)
{
	CLEANUP(freep) char *text = NULL;
	struct buf lines;
	struct err err = ERR_INIT;
	va_list args;
	if (o->opts.json)
		return;
	va_start(args, fmt);
	int len = vasprintf(&text, fmt, args);
	va_end(args);
	buf_init(&lines, TEXT_MAX_BYTES);
	size_t width = o->opts.width > 0 ? o->opts.width : SIZE_MAX;
	if (len < 0 || columns_wrap(text, width, indent, &lines, &err) < 0 ||
	    buf_append(&lines, "\n", 1, &err) < 0)
		o->write_errno = ENOMEM;
	else
		put_text(o, buf_text(&lines));
	buf_done(&lines);
}

void output_text(struct output *o, const char *text)
{
	if (!o->opts.json)
		put_text(o, text);
}

void output_say(struct output *o, const char *fmt, ...)
{
	if (o->opts.json || o->opts.quiet)
		return;
	va_list args;
	va_start(args, fmt);
	put_line(o, fmt, args);
	va_end(args);
}

bool output_is_handed_on(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0;
}

int output_file(const char *path, const struct buf *text, struct err *err)
{
	struct stat st;
	bool special = output_is_handed_on(path) || (stat(path, &st) == 0 && !S_ISREG(st.st_mode));
	if (!special)
		return file_write_all(path, 0644, text->data, text->len, err);
	CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "opening '%s'", path);
	return file_write_fd(fd, text->data, text->len, path, err);
}

int output_table(struct output *o, const struct table *t, struct err *err)
{
	struct buf text;
	if (o->opts.json || table_rows(t) == 0)
		return 0;
	buf_init(&text, TEXT_MAX_BYTES);
	int done = table_text(t, !o->opts.quiet, &text, err);
	if (done == 0)
		put_text(o, buf_text(&text));
	buf_done(&text);
	return done;
}

int output_json(struct output *o, json_t *document, struct err *err)
{
	if (document == NULL)
		return err_nomem(err, "the JSON output");
	json_decref(o->document);
	o->document = document;
	return 0;
}

const json_t *output_document(const struct output *o)
{
	return o->document;
}

/* Puts {"error":…} into the document. */
static int add_failure(struct output *o, const struct err *failure, struct err *err)
{
	json_t *e = json_object();
	if (json_put(e, "code", json_text_value(err_code_name(failure->code)), err) < 0 ||
	    json_put(e, "message", json_text_value(failure->msg), err) < 0 ||
	    json_put(e, "hint",
		     failure->hint[0] != '\0' ? json_text_value(failure->hint) : json_null(),
		     err) < 0) {
		json_decref(e);
		return -1;
	}
	if (!json_is_object(o->document)) {
		json_decref(o->document);
		o->document = json_object();
	}
	return json_put(o->document, "error", e, err);
}

static int print_document(struct output *o, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	if (json_text(o->document, true, &text, err) < 0)
		return -1;
	errno = 0;
	if ((fputs(text, o->opts.file) < 0 || fputc('\n', o->opts.file) < 0) && o->write_errno == 0)
		o->write_errno = errno;
	return 0;
}

int output_finish(struct output *o, const struct err *failure, struct err *err)
{
	if (o->opts.json) {
		if (failure != NULL && add_failure(o, failure, err) < 0)
			return -1;
		if (o->document == NULL)
			o->document = json_object();
		if (print_document(o, err) < 0)
			return -1;
	}
	if (fflush(o->opts.file) != 0 && o->write_errno == 0)
		o->write_errno = errno;
	if (o->write_errno != 0 && o->write_errno != EPIPE)
		return err_sys(err, ERR_IO, o->write_errno, "writing to stdout");
	return 0;
}
