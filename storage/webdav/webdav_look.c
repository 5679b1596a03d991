/* PROPFIND, and its multistatus. */
#include <stdlib.h>
#include <string.h>
#include "base/xml.h"
#include "storage/webdav/webdav.h"

void webdav_entries_done(struct webdav_entries *e)
{
	for (size_t i = 0; i < e->count; i++)
		free(e->items[i].name);
	free(e->items);
	*e = (struct webdav_entries){0};
}

static int hex_digit(char c)
{
	const char *at = c != '\0' ? strchr("0123456789abcdef", c | 0x20) : NULL;
	return at != NULL ? (int)(at - "0123456789abcdef") : -1;
}

/* The last part of a path or url, decoded. What can't be decoded is nobody's name of ours. */
static int name_of(const char *href, char **ret, struct err *err)
{
	size_t len = strcspn(href, "?#");
	while (len > 0 && href[len - 1] == '/')
		len--;
	size_t begin = len, out = 0;
	while (begin > 0 && href[begin - 1] != '/')
		begin--;
	char *name = NULL;
	if (str_dupn(href + begin, len - begin, &name, err) < 0)
		return -1;
	for (const char *p = name; *p != '\0'; p++) {
		int high = *p == '%' ? hex_digit(p[1]) : -1;
		int low = high >= 0 ? hex_digit(p[2]) : -1;
		bool coded = low >= 0 && high * 16 + low != 0;
		name[out++] = coded ? (char)(high * 16 + low) : *p;
		p += coded ? 2 : 0;
	}
	name[out] = '\0';
	*ret = name;
	return 0;
}

static bool read_number(const char *text, uint64_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 19 || text[digits] != '\0')
		return false;
	*ret = strtoull(text, NULL, 10);
	return true;
}

/* The properties that were found: those of the status 200. */
static const struct xml_node *found_props(const struct xml_node *response)
{
	const struct xml_node *p = xml_child(response, "propstat");
	for (; p != NULL; p = xml_next(p, "propstat")) {
		const char *status = xml_text(p, "status");
		if (status != NULL && strstr(status, " 200") != NULL)
			return xml_child(p, "prop");
	}
	return NULL;
}

static int add_entry(const struct xml_node *response, struct webdav_entries *e, struct err *err)
{
	const struct xml_node *props = found_props(response);
	const char *href = xml_text(response, "href");
	const char *status = xml_text(response, "status");
	struct webdav_entry entry = {0};
	if (href == NULL || (status != NULL && strstr(status, " 404") != NULL))
		return 0;
	void *items = mem_grow(e->items, e->count, sizeof *e->items, "a list of objects", err);
	if (items == NULL)
		return -1;
	e->items = items;
	if (name_of(href, &entry.name, err) < 0)
		return -1;
	const char *bytes = xml_text(props, "getcontentlength");
	const char *modified = xml_text(props, "getlastmodified");
	const char *room = xml_text(props, "quota-available-bytes");
	/* Of what the server refuses to look at the name is all that it tells (403, 500). */
	entry.is_folder = props != NULL
			      ? xml_child(xml_child(props, "resourcetype"), "collection") != NULL
			      : href[0] != '\0' && href[strlen(href) - 1] == '/';
	entry.has_bytes = bytes != NULL && read_number(bytes, &entry.bytes);
	if (modified != NULL && !http_date(modified, &entry.modified_ms))
		entry.modified_ms = 0;
	if (e->count == 0 && room != NULL && !read_number(room, &e->room))
		e->room = UINT64_MAX;
	e->items[e->count++] = entry;
	return 0;
}

int webdav_parse(const void *data, size_t len, struct webdav_entries *ret, struct err *err)
{
	CLEANUP(xml_freep) struct xml *doc = NULL;
	CLEANUP(webdav_entries_done) struct webdav_entries e = {.room = UINT64_MAX};
	if (xml_parse(data, len, &doc, err) < 0)
		return -1;
	const struct xml_node *root = xml_root(doc);
	if (strcmp(root->name, "multistatus") != 0)
		return err_set(err, ERR_CORRUPT, "a <%.40s> instead of a <multistatus>",
			       root->name);
	const struct xml_node *response = xml_child(root, "response");
	for (; response != NULL; response = xml_next(response, "response"))
		if (add_entry(response, &e, err) < 0)
			return -1;
	*ret = e;
	e = (struct webdav_entries){0};
	return 0;
}

int webdav_look(struct webdav *d, const char *name, unsigned depth, struct webdav_entries *ret,
		struct err *err)
{
	static const char wanted[] =
	    "<?xml version=\"1.0\" encoding=\"utf-8\"?><propfind xmlns=\"DAV:\"><prop>"
	    "<resourcetype/><getcontentlength/><getlastmodified/><quota-available-bytes/>"
	    "</prop></propfind>";
	CLEANUP(http_response_done) struct http_response answer = {0};
	const char *const headers[] = {depth == 0 ? "Depth: 0" : "Depth: 1",
				       "Content-Type: application/xml", NULL};
	const char *what = name[0] != '\0' ? name : d->at.path;
	if (webdav_call(d, "PROPFIND", name, headers, wanted, &answer, err) < 0)
		return -1;
	if (answer.status == 404)
		return err_set(err, ERR_ABSENT, "there is no '%s'%s%s", what,
			       name[0] != '\0' ? " in " : "", name[0] != '\0' ? d->at.path : "");
	if (answer.status != 207)
		return webdav_refused(d, &answer, err, "can't look at '%s'", what);
	if (webdav_parse(answer.body.data, answer.body.len, ret, err) < 0)
		return err_wrap(err, "properties of '%s'", what);
	const char *date = http_header(&answer, "Date");
	if (date == NULL || !http_date(date, &ret->now_ms))
		ret->now_ms = 0;
	if (depth == 0 && ret->count == 0) {
		webdav_entries_done(ret);
		return err_set(err, ERR_CORRUPT, "properties of '%s': the answer has none", what);
	}
	return 0;
}
