#include "snapshot/snapshot.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int snapshot_warn(struct snapshot *s, struct err *err, const char *fmt, ...)
{
	char text[1024];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return json_push(s->warnings, json_text_value(text), err);
}

int snapshot_runtime(struct snapshot *s, json_t *section, const char *component, const char *path,
		     const char *configured, struct err *err)
{
	CLEANUP(freep) char *volume = NULL;
	json_t *runtime = NULL;
	if (engine_volume_of(s->job->engine, component, path, configured, &volume, err) < 0 ||
	    json_put(section, "volume", json_text_value(volume), err) < 0 ||
	    engine_describe(s->job->engine, component, &runtime, err) < 0)
		return -1;
	return runtime != NULL ? json_put(section, "runtime", runtime, err) : 0;
}

bool snapshot_wants(const struct snapshot *s, const char *name)
{
	if (s->job->only == NULL)
		return true;
	for (size_t i = 0; s->job->only[i] != NULL; i++)
		if (strcmp(s->job->only[i], name) == 0)
			return true;
	return false;
}

static void seen(void *ctx, size_t n)
{
	struct snapshot *s = ctx;
	s->taken_bytes += n;
	if (s->job->progress != NULL)
		s->job->progress(s->job->progress_ctx, s->taken_bytes, s->expected_bytes,
				 s->taking);
}

/* `from` with progress. Takes it. */
static int metered(struct snapshot *s, struct source *from, struct source **ret, struct err *err)
{
	struct sink *meter;
	if (sink_meter(seen, s, &meter, err) < 0) {
		source_free(from);
		return -1;
	}
	return source_tee(from, meter, ret, err);
}

int snapshot_stream(struct snapshot *s, const char *name, struct source *taken, struct sink *side,
		    uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (side != NULL && source_tee(taken, side, &taken, err) < 0)
		return -1;
	if (metered(s, taken, &from, err) < 0 || writer_stream(s->writer, name, &to, err) < 0)
		return -1;
	if (flow_copy(from, to, ret_bytes, err) < 0)
		return -1;
	return sink_close(to, err);
}

int snapshot_file(struct snapshot *s, const char *name, const void *data, size_t len,
		  struct err *err)
{
	if (writer_file(s->writer, name, 0600, data, len, err) < 0)
		return err_wrap(err, "member '%s'", name);
	s->files++;
	seen(s, len);
	return 0;
}

/* Lends a source: the writer frees what it is given, the caller of the tree keeps its own. */
static int lent_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	return source_read(self, buf, cap, ret_n, err);
}

int snapshot_entry(struct snapshot *s, const char *name, struct archive_entry *entry,
		   struct source *content, struct err *err)
{
	static const struct source_ops lent_ops = {.read = lent_read};
	struct source *from = NULL;
	archive_entry_set_pathname(entry, name);
	if (content != NULL &&
	    (source_new(&lent_ops, content, &from, err) < 0 || metered(s, from, &from, err) < 0))
		return -1;
	if (writer_member(s->writer, entry, from, err) < 0)
		return err_wrap(err, "member '%s'", name);
	s->files++;
	return 0;
}

int snapshot_member_name(const char *text, char **ret, struct err *err)
{
	struct buf b;
	buf_init(&b, strlen(text) * 3);
	int rc = 0;
	for (const char *p = text; rc == 0 && *p != '\0'; p++) {
		bool plain = isascii((unsigned char)*p) &&
			     (isalnum((unsigned char)*p) || strchr("_.-", *p) != NULL);
		if (plain && !(p == text && *p == '.'))
			rc = buf_append(&b, p, 1, err);
		else
			rc = buf_printf(&b, err, "%%%02X", (unsigned)(unsigned char)*p);
	}
	if (rc < 0 || buf_take(&b, ret, err) < 0) {
		buf_done(&b);
		return -1;
	}
	return 0;
}
