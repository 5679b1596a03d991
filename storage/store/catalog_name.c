#include "storage/store/catalog_name.h"

#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "storage/store/decrypting.h"
#include "storage/store/lease_object.h"

enum {
	TIME_CHARS = sizeof "20261123T020000Z" - 1,
	ID_CHARS = TIME_CHARS + sizeof "-3f9c" - 1,
};

static const char drill[] = ".drill-", verify[] = ".verify-";

/* "20261123T020000Z" at the beginning of `text`, a day that exists. */
static bool parse_time(const char *text, int64_t *ret_ms)
{
	struct err ignored = ERR_INIT;
	char rfc3339[CLOCK_TEXT_BYTES];
	if (strnlen(text, TIME_CHARS) < TIME_CHARS)
		return false;
	snprintf(rfc3339, sizeof rfc3339, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", text, text + 4,
		 text + 6, text + 9, text + 11, text + 13);
	return text[8] == 'T' && text[15] == 'Z' &&
	       clock_parse_rfc3339(rfc3339, ret_ms, &ignored) == 0;
}

/* An id at the beginning of `text`. */
static bool parse_id(const char *text, int64_t *ret_ms)
{
	return parse_time(text, ret_ms) && text[TIME_CHARS] == '-' &&
	       strspn(text + TIME_CHARS + 1, "0123456789abcdef") >= ID_CHARS - TIME_CHARS - 1;
}

bool catalog_id_is_valid(const char *id)
{
	int64_t ignored;
	return strlen(id) == ID_CHARS && parse_id(id, &ignored);
}

/* "<word><time>.json" */
static bool is_dated(const char *suffix, const char *word, int64_t *ret_ms)
{
	size_t len = strlen(word);
	return strncmp(suffix, word, len) == 0 && parse_time(suffix + len, ret_ms) &&
	       strcmp(suffix + len + TIME_CHARS, ".json") == 0;
}

bool catalog_name_parse(const char *stack, const char *name, struct catalog_name *ret)
{
	struct catalog_name parts = {.kind = CATALOG_NAME_SIDECAR};
	size_t len = strlen(stack);
	if (strncmp(name, stack, len) != 0 || name[len] != '-')
		return false;
	const char *id = name + len + 1;
	if (!parse_id(id, &parts.id_ms))
		return false;
	const char *suffix = id + ID_CHARS;
	if (strcmp(suffix, ".tar.zst") == 0 || strcmp(suffix, ".tar.zst.age") == 0)
		parts.kind = CATALOG_NAME_ARCHIVE;
	else if (is_dated(suffix, drill, &parts.result_ms))
		parts.kind = CATALOG_NAME_EVIDENCE;
	else if (is_dated(suffix, verify, &parts.result_ms))
		parts.kind = CATALOG_NAME_VERDICT;
	else if (strcmp(suffix, ".json") != 0)
		return false;
	memcpy(parts.id, id, ID_CHARS);
	*ret = parts;
	return true;
}

bool catalog_name_belongs(const char *stack, const char *name)
{
	struct catalog_name parts;
	struct lease_name lease;
	size_t len = strlen(stack);
	if (catalog_name_parse(stack, name, &parts))
		return true;
	if (!lease_name_parse(name, &lease) || strncmp(lease.name, stack, len) != 0)
		return false;
	/* The lock and the clock are the stack's, a mark is one of its backups'. */
	return lease.name[len] == '\0' ||
	       (lease.name[len] == '-' && catalog_id_is_valid(lease.name + len + 1));
}

/* "<stack>-<id><suffix>", checked as a whole. */
static int make_name(const char *stack, const char *id, const char *suffix, char out[201],
		     struct err *err)
{
	char name[STORE_NAME_MAX + 1];
	struct catalog_name parts;
	if (!catalog_id_is_valid(id))
		return err_set(err, ERR_USAGE, "'%.40s' is not the id of a backup", id);
	int needed = snprintf(name, sizeof name, "%s-%s%s", stack, id, suffix);
	if (needed < 0 || (size_t)needed >= sizeof name || !store_name_is_valid(stack) ||
	    !store_name_is_valid(name) || !catalog_name_parse(stack, name, &parts))
		return err_set(err, ERR_USAGE, "'%.220s' can't be the name of a stack", stack);
	memcpy(out, name, (size_t)needed + 1);
	return 0;
}

int catalog_archive_name(const char *stack, const char *id, char out[201], struct err *err)
{
	return make_name(stack, id, ".tar.zst", out, err);
}

int catalog_encrypted_name(const char *stack, const char *id, char out[201], struct err *err)
{
	return make_name(stack, id, ".tar.zst" STORAGE_AGE_SUFFIX, out, err);
}

int catalog_sidecar_name(const char *stack, const char *id, char out[201], struct err *err)
{
	return make_name(stack, id, ".json", out, err);
}

static int dated_name(const char *stack, const char *id, const char *word, int64_t ms,
		      char out[201], struct err *err)
{
	char time[CLOCK_TEXT_BYTES], suffix[sizeof verify + CLOCK_TEXT_BYTES + 8];
	snprintf(suffix, sizeof suffix, "%s%s.json", word, clock_basic(ms, time));
	return make_name(stack, id, suffix, out, err);
}

int catalog_evidence_name(const char *stack, const char *id, int64_t drill_ms, char out[201],
			  struct err *err)
{
	return dated_name(stack, id, drill, drill_ms, out, err);
}

int catalog_verdict_name(const char *stack, const char *id, int64_t verify_ms, char out[201],
			 struct err *err)
{
	return dated_name(stack, id, verify, verify_ms, out, err);
}
