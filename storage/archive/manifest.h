/*
 * manifest.json, the last member: JSON whose first fields say what kind of archive this is. It lies
 * together with the two zero blocks that end a tar file in one frame, whatever its size.
 */
#ifndef LIFEBOAT_ARCHIVE_MANIFEST_H
#define LIFEBOAT_ARCHIVE_MANIFEST_H

#include "base/json.h"
#include "storage/archive/frame.h"

#define MANIFEST_NAME      "manifest.json"
#define MANIFEST_TEXT_MAX  ((size_t)256 << 20)
#define MANIFEST_FRAME_MAX (MANIFEST_TEXT_MAX + FRAME_HEAD_MAX)

/* "format" is "lifeboat-archive", "format_version" is 1, "id" and "stack" are not empty. A newer
 * version is ERR_FAILED with a hint. */
int manifest_check(const json_t *manifest, struct err *err) MUST_USE;

/* What the last frame holds: header, text, padding, end of the tar file. */
int manifest_frame(const json_t *manifest, int64_t mtime_s, struct buf *out, struct err *err)
    MUST_USE;
/* Takes it apart again: is it such a frame, and what does the text say? The text is borrowed, the
 * fields are checked, the JSON is a new reference. */
int manifest_find(const uint8_t *raw, size_t len, const char **ret_text, size_t *ret_len,
		  struct err *err) MUST_USE;
int manifest_parse(const char *text, size_t len, json_t **ret, struct err *err) MUST_USE;

#endif
