/*
 * XML by expat, for the answers of servers: a small tree, with bounds.
 *
 *  1. xml_parse(data, len, &doc, err)        the whole document, or ERR_CORRUPT, ERR_LIMIT
 *  2. xml_root(doc), xml_child, xml_next     walk it; xml_text takes a path from a node
 *  3. xml_free                               everything borrowed goes with it
 *
 * Names are local: "multistatus" for <D:multistatus xmlns:D="DAV:">. Text is UTF-8, without the
 * white space around it, and only of elements that have no elements inside. Attributes, comments
 * and processing instructions are skipped. A document type is refused, and with it every entity of
 * its own (XML 1.0, 4.2).
 */
#ifndef LIFEBOAT_BASE_XML_H
#define LIFEBOAT_BASE_XML_H

#include <stddef.h>
#include "base/err.h"

enum { XML_BYTES_MAX = 64 << 20, XML_DEPTH_MAX = 32, XML_NODES_MAX = 1000000 };

struct xml_node {
	const char *name; /* local */
	char *text;       /* never NULL */
	struct xml_node *first, *next;
};

struct xml;
int xml_parse(const void *data, size_t len, struct xml **ret, struct err *err) MUST_USE;
void xml_free(struct xml *x);
DEFINE_CLEANUP(struct xml, xml_free)
const struct xml_node *xml_root(const struct xml *x);

/* The first child of that name, or NULL. `node` may be NULL. */
const struct xml_node *xml_child(const struct xml_node *node, const char *name);
/* The next sibling of that name, or NULL. */
const struct xml_node *xml_next(const struct xml_node *node, const char *name);
/* Text of the first element at "propstat/prop/getetag" below `node`; NULL where there is none. */
const char *xml_text(const struct xml_node *node, const char *path);

/* Appends `text` with & < > " ' written so that it stands for itself in a document. */
struct buf;
int xml_escape(struct buf *b, const char *text, struct err *err) MUST_USE;

#endif
