#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "storage/s3/s3.h"

enum {
	QUERY_MAX = 16 << 10,
	PAGE = 1000,
	PAGE_IN_TESTS = 7,
	OBJECTS_MAX = 1000000,
	UNFINISHED_MAX = 100000,
	PAGES_MAX = 200000 /* a server that invents marks ends there */
};

/* ---- pages ---- */

static const char *text_or(const struct xml_node *node, const char *path, const char *otherwise)
{
	const char *text = xml_text(node, path);
	return text != NULL ? text : otherwise;
}

/* Undoes the encoding that was asked for with encoding-type=url. */
static int decode_key(const struct xml_node *page, const char *key, char **ret, struct err *err)
{
	if (strcmp(text_or(page, "EncodingType", ""), "url") != 0)
		return str_dup(key, ret, err);
	char *out = mem_zalloc(strlen(key) + 1, "a key", err);
	if (out == NULL)
		return -1;
	for (size_t n = 0; *key != '\0'; n++) {
		char hex[3] = {0};
		char *end = hex;
		out[n] = *key == '+' ? ' ' : *key;
		if (*key == '%' && key[1] != '\0') {
			memcpy(hex, key + 1, 2);
			char c = (char)strtoul(hex, &end, 16);
			out[n] = end == hex + 2 ? c : out[n];
		}
		key += end == hex + 2 ? 3 : 1;
	}
	*ret = out;
	return 0;
}

/* *ret is the name of the object, or NULL where the key is not one of ours. */
static int name_of(const struct s3 *s, const struct xml_node *page, const struct xml_node *item,
		   const char *prefix, char **ret, struct err *err)
{
	CLEANUP(freep) char *key = NULL;
	size_t folder = strlen(s->prefix);
	*ret = NULL;
	if (decode_key(page, text_or(item, "Key", ""), &key, err) < 0)
		return -1;
	if (strncmp(key, s->prefix, folder) != 0)
		return 0;
	const char *name = key + folder;
	if (!store_name_is_valid(name) || strncmp(name, prefix, strlen(prefix)) != 0)
		return 0;
	return str_dup(name, ret, err);
}

static int page_size(void)
{
	return fault_skips("s3-large-pages") ? PAGE_IN_TESTS : PAGE;
}

static int put_param(struct buf *b, const char *name, const char *value, struct err *err)
{
	if (buf_printf(b, err, "%s%s=", b->len > 0 ? "&" : "", name) < 0)
		return -1;
	return http_escape(b, value, err);
}

static int put_prefix(const struct s3 *s, struct buf *b, const char *prefix, struct err *err)
{
	CLEANUP(freep) char *key = NULL;
	if (str_printf(&key, err, "%s%s", s->prefix, prefix) < 0)
		return -1;
	return put_param(b, "prefix", key, err);
}

/* Asks for a page of `root` elements. */
static int ask(struct s3 *s, const char *query, const char *root, struct http_response *r,
	       struct xml **ret, struct err *err)
{
	const struct s3_request q = {.method = "GET", .query = query, .expects = root};
	if (s3_call(s, &q, r, err) < 0)
		return -1;
	if (r->status / 100 != 2)
		return s3_refused(s, &q, r, err);
	return s3_document(r, ret, err);
}

static bool is_truncated(const struct xml_node *page)
{
	return strcmp(text_or(page, "IsTruncated", "false"), "true") == 0;
}

static int endless(const struct s3 *s, const char *why, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "bucket '%s': the store's list %s", s->bucket, why);
}

/* Takes the mark from which the next page goes on; it must be another one. */
static int go_on(const struct s3 *s, const char *text, char **mark, struct err *err)
{
	if (text == NULL || text[0] == '\0' || (*mark != NULL && strcmp(*mark, text) == 0))
		return endless(s, "goes on, and does not say where", err);
	char *next;
	if (str_dup(text, &next, err) < 0)
		return -1;
	free(*mark);
	*mark = next;
	return 0;
}

/* ---- objects ---- */

static int take_object(struct s3 *s, const struct xml_node *page, const struct xml_node *item,
		       const char *prefix, struct store_objects *to, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	struct store_object o = {0};
	char *end = NULL;
	if (name_of(s, page, item, prefix, &name, err) < 0)
		return -1;
	if (name == NULL)
		return 0;
	const char *size = text_or(item, "Size", "");
	o.bytes = strtoull(size, &end, 10);
	if (end == size || *end != '\0' ||
	    !s3_time(text_or(item, "LastModified", ""), &o.modified_ms))
		return err_set(err, ERR_CORRUPT,
			       "bucket '%s': the store's list has no size or time of '%s'",
			       s->bucket, name);
	if (to->count == OBJECTS_MAX)
		return err_set(err, ERR_LIMIT, "bucket '%s': more than %d objects", s->bucket,
			       (int)OBJECTS_MAX);
	memcpy(o.name, name, strlen(name));
	struct store_object *items =
	    mem_grow(to->items, to->count, sizeof *items, "a list of objects", err);
	if (items == NULL)
		return -1;
	to->items = items;
	items[to->count++] = o;
	return 0;
}

int s3_page_objects(struct s3 *s, const struct xml_node *page, const char *prefix,
		    struct store_objects *to, struct err *err)
{
	for (const struct xml_node *i = xml_child(page, "Contents"); i != NULL;
	     i = xml_next(i, "Contents"))
		if (take_object(s, page, i, prefix, to, err) < 0)
			return -1;
	return 0;
}

/* The parameters in the order of their names. */
static int list_query(const struct s3 *s, const char *prefix, const char *mark, struct buf *b,
		      struct err *err)
{
	buf_reset(b);
	if ((mark != NULL && put_param(b, "continuation-token", mark, err) < 0) ||
	    put_param(b, "delimiter", "/", err) < 0 ||
	    put_param(b, "encoding-type", "url", err) < 0 ||
	    put_param(b, "list-type", "2", err) < 0 ||
	    buf_printf(b, err, "&max-keys=%d", page_size()) < 0)
		return -1;
	return put_prefix(s, b, prefix, err);
}

int s3_list(struct s3 *s, const char *prefix, struct store_objects *ret, struct err *err)
{
	CLEANUP(store_objects_done) struct store_objects found = {0};
	CLEANUP(freep) char *mark = NULL;
	CLEANUP(buf_done) struct buf query;
	buf_init(&query, QUERY_MAX);
	unsigned pages = 0;
	for (bool more = true; more;) {
		if (pages++ == PAGES_MAX)
			return endless(s, "does not end", err);
		CLEANUP(http_response_done) struct http_response r = {0};
		CLEANUP(xml_freep) struct xml *x = NULL;
		if (list_query(s, prefix, mark, &query, err) < 0 ||
		    ask(s, buf_text(&query), "ListBucketResult", &r, &x, err) < 0)
			return -1;
		if (s3_page_objects(s, xml_root(x), prefix, &found, err) < 0)
			return -1;
		more = is_truncated(xml_root(x));
		if (more &&
		    go_on(s, xml_text(xml_root(x), "NextContinuationToken"), &mark, err) < 0)
			return -1;
	}
	*ret = found;
	found = (struct store_objects){0};
	return 0;
}

/* ---- unfinished uploads ---- */

void s3_unfinished_done(struct s3_unfinished_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i].id);
	free(l->items);
	*l = (struct s3_unfinished_list){0};
}

static int escaped(const char *text, char **ret, struct err *err)
{
	CLEANUP(buf_done) struct buf b;
	buf_init(&b, QUERY_MAX);
	return http_escape(&b, text, err) < 0 ? -1 : buf_take(&b, ret, err);
}

static int take_unfinished(struct s3 *s, const struct xml_node *page, const struct xml_node *item,
			   const char *prefix, struct s3_unfinished_list *to, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	struct s3_unfinished u = {0};
	const char *id = text_or(item, "UploadId", "");
	if (name_of(s, page, item, prefix, &name, err) < 0)
		return -1;
	/* What has no time is not known to be old. */
	if (name == NULL || id[0] == '\0' || !s3_time(text_or(item, "Initiated", ""), &u.begun_ms))
		return 0;
	if (to->count == UNFINISHED_MAX)
		return err_set(err, ERR_LIMIT, "bucket '%s': more than %d unfinished uploads",
			       s->bucket, (int)UNFINISHED_MAX);
	struct s3_unfinished *items =
	    mem_grow(to->items, to->count, sizeof *items, "a list of uploads", err);
	if (items == NULL)
		return -1;
	to->items = items;
	if (escaped(id, &u.id, err) < 0)
		return -1;
	memcpy(u.name, name, strlen(name));
	items[to->count++] = u;
	return 0;
}

int s3_page_unfinished(struct s3 *s, const struct xml_node *page, const char *prefix,
		       struct s3_unfinished_list *to, struct err *err)
{
	for (const struct xml_node *i = xml_child(page, "Upload"); i != NULL;
	     i = xml_next(i, "Upload"))
		if (take_unfinished(s, page, i, prefix, to, err) < 0)
			return -1;
	return 0;
}

static int uploads_query(const struct s3 *s, const char *prefix, const char *key_mark,
			 const char *id_mark, struct buf *b, struct err *err)
{
	buf_reset(b);
	if (put_param(b, "delimiter", "/", err) < 0 ||
	    put_param(b, "encoding-type", "url", err) < 0 ||
	    (key_mark != NULL && put_param(b, "key-marker", key_mark, err) < 0) ||
	    buf_printf(b, err, "&max-uploads=%d", page_size()) < 0 ||
	    put_prefix(s, b, prefix, err) < 0 ||
	    (id_mark != NULL && put_param(b, "upload-id-marker", id_mark, err) < 0))
		return -1;
	return put_param(b, "uploads", "", err);
}

int s3_list_unfinished(struct s3 *s, const char *prefix, struct s3_unfinished_list *ret,
		       struct err *err)
{
	CLEANUP(s3_unfinished_done) struct s3_unfinished_list found = {0};
	CLEANUP(freep) char *key_mark = NULL;
	CLEANUP(freep) char *id_mark = NULL;
	CLEANUP(buf_done) struct buf query;
	buf_init(&query, QUERY_MAX);
	unsigned pages = 0;
	for (bool more = true; more;) {
		if (pages++ == PAGES_MAX)
			return endless(s, "does not end", err);
		CLEANUP(http_response_done) struct http_response r = {0};
		CLEANUP(xml_freep) struct xml *x = NULL;
		CLEANUP(freep) char *key = NULL;
		if (uploads_query(s, prefix, key_mark, id_mark, &query, err) < 0 ||
		    ask(s, buf_text(&query), "ListMultipartUploadsResult", &r, &x, err) < 0)
			return -1;
		const char *date = http_header(&r, "Date");
		if (date == NULL || !s3_time(date, &found.now_ms))
			return endless(s, "came without the store's own time", err);
		const struct xml_node *page = xml_root(x);
		if (s3_page_unfinished(s, page, prefix, &found, err) < 0)
			return -1;
		more = is_truncated(page);
		if (!more)
			break;
		if (go_on(s, xml_text(page, "NextUploadIdMarker"), &id_mark, err) < 0 ||
		    decode_key(page, text_or(page, "NextKeyMarker", ""), &key, err) < 0)
			return -1;
		free(key_mark);
		key_mark = key;
		key = NULL;
	}
	*ret = found;
	found = (struct s3_unfinished_list){0};
	return 0;
}

static int parts_query(const struct s3_unfinished *u, const char *mark, struct buf *b,
		       struct err *err)
{
	buf_reset(b);
	if (buf_printf(b, err, "max-parts=%d", page_size()) < 0 ||
	    (mark != NULL && put_param(b, "part-number-marker", mark, err) < 0))
		return -1;
	return buf_printf(b, err, "&uploadId=%s", u->id);
}

static int64_t newest_part(const struct xml_node *page, int64_t newest_ms)
{
	for (const struct xml_node *i = xml_child(page, "Part"); i != NULL;
	     i = xml_next(i, "Part")) {
		int64_t ms;
		if (!s3_time(text_or(i, "LastModified", ""), &ms))
			return INT64_MAX;
		newest_ms = ms > newest_ms ? ms : newest_ms;
	}
	return newest_ms;
}

int s3_last_part(struct s3 *s, const struct s3_unfinished *u, int64_t *ret_ms, struct err *err)
{
	CLEANUP(freep) char *mark = NULL;
	CLEANUP(buf_done) struct buf query;
	int64_t newest_ms = u->begun_ms;
	unsigned pages = 0;
	buf_init(&query, QUERY_MAX);
	for (bool more = true; more;) {
		CLEANUP(http_response_done) struct http_response r = {0};
		CLEANUP(xml_freep) struct xml *x = NULL;
		if (pages++ == PAGES_MAX)
			return endless(s, "does not end", err);
		if (parts_query(u, mark, &query, err) < 0)
			return -1;
		const struct s3_request q = {.method = "GET",
					     .name = u->name,
					     .query = buf_text(&query),
					     .expects = "ListPartsResult"};
		if (s3_call(s, &q, &r, err) < 0)
			return -1;
		if (r.status / 100 != 2)
			return s3_refused(s, &q, &r, err);
		if (s3_document(&r, &x, err) < 0)
			return -1;
		newest_ms = newest_part(xml_root(x), newest_ms);
		more = is_truncated(xml_root(x));
		if (more && go_on(s, xml_text(xml_root(x), "NextPartNumberMarker"), &mark, err) < 0)
			return -1;
	}
	*ret_ms = newest_ms;
	return 0;
}

/* ---- versions ---- */

/* Versions and marks of deletion of this very key, in the order of the page: the newest first. */
int s3_page_versions(struct s3 *s, const struct xml_node *page, const char *name,
		     struct strlist *to, struct err *err)
{
	for (const struct xml_node *i = page->first; i != NULL; i = i->next) {
		CLEANUP(freep) char *its = NULL;
		CLEANUP(freep) char *id = NULL;
		if (strcmp(i->name, "Version") != 0 && strcmp(i->name, "DeleteMarker") != 0)
			continue;
		if (name_of(s, page, i, name, &its, err) < 0)
			return -1;
		if (its == NULL || strcmp(its, name) != 0)
			continue;
		if (escaped(text_or(i, "VersionId", "null"), &id, err) < 0 ||
		    strlist_push(to, id, err) < 0)
			return -1;
	}
	return 0;
}

int s3_list_versions(struct s3 *s, const char *name, struct strlist *ret, struct err *err)
{
	CLEANUP(buf_done) struct buf query;
	CLEANUP(http_response_done) struct http_response r = {0};
	CLEANUP(xml_freep) struct xml *x = NULL;
	buf_init(&query, QUERY_MAX);
	/* One page: of what is locked there is one version, and of the rest a few. */
	if (put_param(&query, "encoding-type", "url", err) < 0 ||
	    buf_printf(&query, err, "&max-keys=%d", (int)S3_VERSIONS_MAX) < 0 ||
	    put_prefix(s, &query, name, err) < 0 || put_param(&query, "versions", "", err) < 0 ||
	    ask(s, buf_text(&query), "ListVersionsResult", &r, &x, err) < 0)
		return -1;
	return s3_page_versions(s, xml_root(x), name, ret, err);
}
