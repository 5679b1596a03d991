#include "base/xml.h"

#include <expat.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

enum { TEXT_MAX = 1 << 20 };
static char nothing[] = "";

struct xml {
	struct xml_node *root;
};

/* While it is read: the open elements, and the text of the innermost. */
struct parsing {
	XML_Parser parser;
	struct xml_node *root;
	struct xml_node *open[XML_DEPTH_MAX];
	struct xml_node *last[XML_DEPTH_MAX]; /* the youngest child of each */
	size_t depth, nodes;
	struct buf text;
	struct err why; /* why it was stopped; code ERR_NONE: it was not */
};

/* As deep as XML_DEPTH_MAX. */
static void free_nodes(struct xml_node *node)
{
	while (node != NULL) {
		struct xml_node *next = node->next;
		free_nodes(node->first);
		if (node->text != nothing)
			free(node->text);
		free(node);
		node = next;
	}
}

static void stop(struct parsing *p)
{
	XML_StopParser(p->parser, XML_FALSE);
}

/* The name lies behind the node. With namespaces expat says "uri local". */
static struct xml_node *new_node(const char *name, struct err *err)
{
	const char *space = strrchr(name, ' ');
	if (space != NULL)
		name = space + 1;
	size_t len = strlen(name) + 1;
	struct xml_node *node = mem_zalloc(sizeof *node + len, "an XML element", err);
	if (node == NULL)
		return NULL;
	char *copy = (char *)(node + 1);
	memcpy(copy, name, len);
	node->name = copy;
	node->text = nothing;
	return node;
}

static void XMLCALL on_start(void *self, const char *name, const char **attributes)
{
	struct parsing *p = self;
	(void)attributes;
	if (p->why.code != ERR_NONE)
		return;
	if (p->depth == XML_DEPTH_MAX || p->nodes == XML_NODES_MAX) {
		err_set_message(&p->why, ERR_LIMIT,
				p->depth == XML_DEPTH_MAX ? "more than %d elements in each other"
							  : "more than %d elements",
				(int)(p->depth == XML_DEPTH_MAX ? XML_DEPTH_MAX : XML_NODES_MAX));
		stop(p);
		return;
	}
	struct xml_node *node = new_node(name, &p->why);
	if (node == NULL) {
		stop(p);
		return;
	}
	if (p->depth == 0)
		p->root = node;
	else if (p->last[p->depth - 1] == NULL)
		p->open[p->depth - 1]->first = node;
	else
		p->last[p->depth - 1]->next = node;
	if (p->depth > 0)
		p->last[p->depth - 1] = node;
	p->open[p->depth] = node;
	p->last[p->depth++] = NULL;
	p->nodes++;
	buf_reset(&p->text);
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void XMLCALL on_end(void *self, const char *name)
{
	struct parsing *p = self;
	(void)name;
	if (p->why.code != ERR_NONE)
		return;
	struct xml_node *node = p->open[--p->depth];
	size_t from = 0, to = p->text.len;
	while (from < to && is_space(p->text.data[from]))
		from++;
	while (to > from && is_space(p->text.data[to - 1]))
		to--;
	char *text;
	if (node->first == NULL && to > from) {
		if (str_dupn((char *)p->text.data + from, to - from, &text, &p->why) < 0)
			stop(p);
		else
			node->text = text;
	}
	buf_reset(&p->text);
}

static void XMLCALL on_text(void *self, const char *text, int len)
{
	struct parsing *p = self;
	if (p->why.code != ERR_NONE)
		return;
	if (buf_append(&p->text, text, (size_t)len, &p->why) < 0) {
		err_wrap(&p->why, "the text of an element");
		stop(p);
	}
}

static void XMLCALL on_doctype(void *self, const char *name, const char *sysid, const char *pubid,
			       int internal)
{
	struct parsing *p = self;
	(void)name, (void)sysid, (void)pubid, (void)internal;
	if (p->why.code == ERR_NONE)
		err_set_message(&p->why, ERR_CORRUPT, "it has a document type");
	stop(p);
}

static int parse(struct parsing *p, const void *data, size_t len, struct err *err)
{
	p->parser = XML_ParserCreateNS(NULL, ' ');
	if (p->parser == NULL)
		return err_nomem(err, "an XML parser");
	XML_SetUserData(p->parser, p);
	XML_SetElementHandler(p->parser, on_start, on_end);
	XML_SetCharacterDataHandler(p->parser, on_text);
	XML_SetStartDoctypeDeclHandler(p->parser, on_doctype);
	if (XML_Parse(p->parser, data, (int)len, 1) == XML_STATUS_OK)
		return 0;
	enum XML_Error code = XML_GetErrorCode(p->parser);
	if (p->why.code != ERR_NONE)
		*err = p->why;
	else if (code == XML_ERROR_NO_MEMORY)
		err_set_nomem(err, "an XML document");
	else
		err_set_message(err, ERR_CORRUPT, "%s", XML_ErrorString(code));
	return err_wrap(err, "not a document of XML that we read");
}

int xml_parse(const void *data, size_t len, struct xml **ret, struct err *err)
{
	if (len > XML_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "an XML document of %zu bytes", len);
	struct xml *x = mem_zalloc(sizeof *x, "an XML document", err);
	if (x == NULL)
		return -1;
	struct parsing p = {.root = NULL};
	buf_init(&p.text, TEXT_MAX);
	int rc = parse(&p, len > 0 ? data : "", len, err);
	if (p.parser != NULL)
		XML_ParserFree(p.parser);
	buf_done(&p.text);
	x->root = p.root;
	if (rc < 0) {
		xml_free(x);
		return -1;
	}
	*ret = x;
	return 0;
}

void xml_free(struct xml *x)
{
	if (x == NULL)
		return;
	free_nodes(x->root);
	free(x);
}

const struct xml_node *xml_root(const struct xml *x)
{
	return x->root;
}

static bool is_named(const struct xml_node *node, const char *name, size_t len)
{
	return strncmp(node->name, name, len) == 0 && node->name[len] == '\0';
}

static const struct xml_node *find_child(const struct xml_node *node, const char *name, size_t len)
{
	const struct xml_node *child = node != NULL ? node->first : NULL;
	while (child != NULL && !is_named(child, name, len))
		child = child->next;
	return child;
}

const struct xml_node *xml_child(const struct xml_node *node, const char *name)
{
	return find_child(node, name, strlen(name));
}

const struct xml_node *xml_next(const struct xml_node *node, const char *name)
{
	size_t len = strlen(name);
	for (node = node->next; node != NULL && !is_named(node, name, len);)
		node = node->next;
	return node;
}

const char *xml_text(const struct xml_node *node, const char *path)
{
	for (;;) {
		size_t len = strcspn(path, "/");
		node = find_child(node, path, len);
		if (node == NULL || path[len] == '\0')
			return node != NULL ? node->text : NULL;
		path += len + 1;
	}
}

int xml_escape(struct buf *b, const char *text, struct err *err)
{
	static const struct {
		char what;
		const char *as;
	} marks[] = {
	    {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&apos;"}};
	size_t before = b->len;
	while (*text != '\0') {
		size_t plain = strcspn(text, "&<>\"'");
		int rc = buf_append(b, text, plain, err);
		text += plain;
		for (size_t i = 0; rc == 0 && *text != '\0' && i < sizeof marks / sizeof *marks;
		     i++)
			if (*text == marks[i].what)
				rc = buf_puts(b, marks[i].as, err);
		if (rc < 0) {
			buf_cut(b, before);
			return -1;
		}
		text += *text != '\0';
	}
	return 0;
}
