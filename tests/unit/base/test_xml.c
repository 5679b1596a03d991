#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/xml.h"

static struct xml *parse(const char *text)
{
	struct err err = ERR_INIT;
	struct xml *x = NULL;
	if (xml_parse(text, strlen(text), &x, &err) < 0)
		fail_msg("%s", err.msg);
	return x;
}

static void parse__namespaces__leave_local_names(void **state)
{
	(void)state;
	CLEANUP(xml_freep)
	struct xml *x =
	    parse("<?xml version='1.0'?><!-- c --><D:multistatus xmlns:D='DAV:'>"
		  "<D:response><D:href>/a</D:href></D:response>"
		  "<response xmlns='DAV:' a='b'><href>\n /b&amp;c \n</href><e/></response>"
		  "</D:multistatus>");
	const struct xml_node *root = xml_root(x);
	assert_string_equal(root->name, "multistatus");
	const struct xml_node *r = xml_child(root, "response");
	assert_string_equal(xml_text(r, "href"), "/a");
	r = xml_next(r, "response");
	assert_string_equal(xml_text(r, "href"), "/b&c");
	assert_string_equal(xml_text(r, "e"), "");
	assert_null(xml_next(r, "response"));
	assert_string_equal(xml_text(root, "response/href"), "/a");
	assert_null(xml_text(root, "response/nothing"));
	assert_null(xml_text(root, "nothing/href"));
	assert_null(xml_child(NULL, "x"));
	/* A container's own text is not kept. */
	assert_string_equal(root->text, "");
}

static void parse__text_in_pieces__is_joined(void **state)
{
	(void)state;
	CLEANUP(xml_freep)
	struct xml *x = parse("<a>x<!-- c -->&lt;<![CDATA[<y>]]>&#233;\nz</a>");
	assert_string_equal(xml_root(x)->text, "x<<y>\xc3\xa9\nz");
}

static void parse__what_is_no_document__is_corrupt(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
	    {"", "no element found"},
	    {"<a>\n<b></a>", "mismatched tag"},
	    {"<a/><b/>", "junk after document element"},
	    {"<a>&nothing;</a>", "undefined entity"},
	    {"<a>\xff</a>", "not well-formed (invalid token)"},
	    {"<p:a/>", "unbound prefix"},
	    {"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "it has a document type"},
	    {"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "it has a document type"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct xml *x = NULL;
		char says[200];
		snprintf(says, sizeof says, "not a document of XML that we read: %s",
			 cases[i].says);
		assert_int_equal(xml_parse(cases[i].text, strlen(cases[i].text), &x, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_string_equal(err.msg, says);
		assert_null(x);
	}
}

static char *nested(size_t depth)
{
	char *text = calloc(depth, 8);
	assert_non_null(text);
	for (size_t i = 0; i < depth; i++)
		memcpy(text + 3 * i, "<a>", 3);
	for (size_t i = 0; i < depth; i++)
		memcpy(text + 3 * depth + 4 * i, "</a>", 4);
	return text;
}

static void parse__too_much__is_a_limit(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct xml *x = NULL;
	CLEANUP(freep) char *deep = nested(XML_DEPTH_MAX);
	xml_free(parse(deep));
	CLEANUP(freep) char *deeper = nested(XML_DEPTH_MAX + 1);
	assert_int_equal(xml_parse(deeper, strlen(deeper), &x, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "not a document of XML that we read: more than 32 elements in "
				     "each other");
	assert_int_equal(xml_parse("<a/>", (size_t)XML_BYTES_MAX + 1, &x, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "an XML document of 67108865 bytes");
	size_t len = 3 << 19;
	CLEANUP(freep) char *wide = malloc(len);
	assert_non_null(wide);
	memset(wide, 'x', len);
	memcpy(wide, "<a>", 3);
	assert_int_equal(xml_parse(wide, len, &x, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.msg, "the text of an element: "));
	assert_null(x);
}

static void escape__marks__stand_for_themselves(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf b;
	buf_init(&b, 100);
	assert_int_equal(buf_puts(&b, "<a>", &err), 0);
	assert_int_equal(xml_escape(&b, "x<y>&\"'z\xc3\xa9", &err), 0);
	assert_string_equal(buf_text(&b), "<a>x&lt;y&gt;&amp;&quot;&apos;z\xc3\xa9");
	assert_int_equal(buf_puts(&b, "</a>", &err), 0);
	CLEANUP(xml_freep) struct xml *x = parse(buf_text(&b));
	assert_string_equal(xml_root(x)->text, "x<y>&\"'z\xc3\xa9");
	buf_done(&b);
	buf_init(&b, 6);
	assert_int_equal(xml_escape(&b, "ab<<", &err), -1);
	assert_int_equal(b.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parse__namespaces__leave_local_names),
	    cmocka_unit_test(parse__text_in_pieces__is_joined),
	    cmocka_unit_test(parse__what_is_no_document__is_corrupt),
	    cmocka_unit_test(parse__too_much__is_a_limit),
	    cmocka_unit_test(escape__marks__stand_for_themselves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
