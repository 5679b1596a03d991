#include "stack/engine/tree_writer.h"

#include "stack/engine/engine_kind.h"
#include "stack/engine/tree.h"

int tree_writer_add(struct tree_writer *t, struct archive_entry *entry, struct source *content,
		    struct err *err)
{
	const char *link = archive_entry_hardlink(entry);
	if (tree_name_check(archive_entry_pathname(entry), err) < 0)
		return -1;
	if (link != NULL && tree_name_check(link, err) < 0)
		return err_wrap(err, "target of the hard link '%s'", archive_entry_pathname(entry));
	return t->ops->add(t, entry, link != NULL ? NULL : content, err);
}

int tree_writer_file(struct tree_writer *t, const char *name, unsigned mode, const void *data,
		     size_t len, struct err *err)
{
	CLEANUP(source_freep) struct source *from = NULL;
	if (tree_name_check(name, err) < 0 || source_memory(data, len, &from, err) < 0)
		return -1;
	return t->ops->stream(t, name, mode, from, len, err);
}

int tree_writer_stream(struct tree_writer *t, const char *name, unsigned mode, struct source *from,
		       struct err *err)
{
	if (tree_name_check(name, err) < 0)
		return -1;
	return t->ops->stream(t, name, mode, from, UINT64_MAX, err);
}

int tree_writer_close(struct tree_writer *t, struct err *err)
{
	return t->ops->close(t, err);
}

void tree_writer_free(struct tree_writer *t)
{
	if (t != NULL)
		t->ops->free(t);
}
