#include "storage/archive/manifest.h"

#include <stdlib.h>
#include <string.h>
#include "storage/archive/tar_member.h"

/* In memory a value takes some 50 bytes, in the text two are enough: without this bound a manifest
 * of the largest size would unpack to gigabytes. Room for a million members. */
enum { VALUES_MAX = 8000000, VERSION = 1 };

int manifest_check(const json_t *manifest, struct err *err)
{
	const char *format, *id, *stack;
	uint64_t version;
	if (json_get_str(manifest, "format", &format, err) < 0)
		return -1;
	if (strcmp(format, "lifeboat-archive") != 0)
		return err_set(err, ERR_CORRUPT, "field 'format' is not 'lifeboat-archive'");
	if (json_get_u64(manifest, "format_version", &version, err) < 0)
		return -1;
	if (version > VERSION) {
		err_set(err, ERR_FAILED,
			"the archive has format version %llu, this lifeboat reads version %d",
			(unsigned long long)version, VERSION);
		return err_hint(err, "Use the lifeboat that wrote it, or a newer one.");
	}
	if (version < VERSION)
		return err_set(err, ERR_CORRUPT, "field 'format_version' is %llu",
			       (unsigned long long)version);
	if (json_get_str(manifest, "id", &id, err) < 0 ||
	    json_get_str(manifest, "stack", &stack, err) < 0)
		return -1;
	if (*id == '\0' || *stack == '\0')
		return err_set(err, ERR_CORRUPT, "field '%s' is empty",
			       *id == '\0' ? "id" : "stack");
	return 0;
}

/* Counts what can begin a value: brackets, and commas outside strings. */
static int check_values(const char *text, size_t len, struct err *err)
{
	size_t values = 0;
	bool inside = false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (inside && c == '\\')
			i++;
		else if (c == '"')
			inside = !inside;
		else if (!inside && (c == ',' || c == '[' || c == '{'))
			values++;
	}
	if (values > VALUES_MAX)
		return err_set(err, ERR_LIMIT, "the manifest has more than %d values", VALUES_MAX);
	return 0;
}

int manifest_frame(const json_t *manifest, int64_t mtime_s, struct buf *out, struct err *err)
{
	static const uint8_t zeros[TAR_BLOCK_BYTES + TAR_END_BYTES];
	CLEANUP(freep) char *text = NULL;
	if (json_text(manifest, false, &text, err) < 0)
		return -1;
	size_t len = strlen(text);
	if (len > MANIFEST_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "the manifest would have %zu bytes, more than %zu",
			       len, MANIFEST_TEXT_MAX);
	if (check_values(text, len, err) < 0 ||
	    tar_member_header(MANIFEST_NAME, mtime_s, len, out, err) < 0 ||
	    buf_append(out, text, len, err) < 0)
		return -1;
	return buf_append(out, zeros, tar_member_padding(len) + TAR_END_BYTES, err);
}

static bool all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != 0)
			return false;
	return true;
}

int manifest_find(const uint8_t *raw, size_t len, const char **ret_text, size_t *ret_len,
		  struct err *err)
{
	struct tar_found found;
	if (tar_member_find(raw, len, MANIFEST_NAME, &found, err) < 0)
		return -1;
	size_t tail = tar_member_padding(found.bytes) + TAR_END_BYTES;
	if (len - found.head_bytes - found.bytes != tail ||
	    !all_zero(found.data + found.bytes, tail))
		return err_set(err, ERR_CORRUPT, "the tar file does not end behind the manifest");
	*ret_text = (const char *)found.data;
	*ret_len = found.bytes;
	return 0;
}

int manifest_parse(const char *text, size_t len, json_t **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *manifest = NULL;
	if (check_values(text, len, err) < 0 || json_parse(text, len, &manifest, err) < 0 ||
	    manifest_check(manifest, err) < 0)
		return -1;
	*ret = manifest;
	manifest = NULL;
	return 0;
}
