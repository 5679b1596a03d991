#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "storage/store/store_part.h"
#include "storage/store/store_url.h"
#include "storage/webdav/webdav.h"
#include "tests/support/fake_http.h"

#define SIDECAR "hdms-20261123T020000Z-3f9c.json"

static int parse(const char *text, struct webdav_entries *ret, struct err *err)
{
	return webdav_parse(text, strlen(text), ret, err);
}

/* ---- multistatus ---- */

/* As Apache 2.4 writes it: one prefix per namespace, what is not found in a propstat of its own. */
static const char apache[] =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
    "<D:multistatus xmlns:D=\"DAV:\">\n"
    "<D:response xmlns:lp1=\"DAV:\" xmlns:lp2=\"http://apache.org/dav/props/\" "
    "xmlns:g0=\"DAV:\">\n<D:href>/dav/hdms/</D:href>\n<D:propstat>\n<D:prop>\n"
    "<lp1:resourcetype><D:collection/></lp1:resourcetype>\n"
    "<lp1:getlastmodified>Mon, 23 Nov 2026 12:00:00 GMT</lp1:getlastmodified>\n"
    "<lp1:quota-available-bytes>4096</lp1:quota-available-bytes>\n"
    "</D:prop>\n<D:status>HTTP/1.1 200 OK</D:status>\n</D:propstat>\n"
    "<D:propstat>\n<D:prop>\n<g0:getcontentlength/>\n</D:prop>\n"
    "<D:status>HTTP/1.1 404 Not Found</D:status>\n</D:propstat>\n</D:response>\n"
    "<D:response xmlns:lp1=\"DAV:\">\n<D:href>/dav/hdms/%c3%bc+x%20y</D:href>\n"
    "<D:propstat>\n<D:prop>\n<D:quota-available-bytes/>\n</D:prop>\n"
    "<D:status>HTTP/1.1 404 Not Found</D:status>\n</D:propstat>\n<D:propstat>\n<D:prop>\n"
    "<lp1:resourcetype/>\n<lp1:getcontentlength>18446744073709551</lp1:getcontentlength>\n"
    "<lp1:getlastmodified>Thu, 01 Jan 1970 00:00:01 GMT</lp1:getlastmodified>\n</D:prop>\n"
    "<D:status>HTTP/1.1 200 OK</D:status>\n</D:propstat>\n</D:response>\n</D:multistatus>\n";

static void parse__an_answer_of_apache__has_all(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct webdav_entries e = {0};
	assert_int_equal(parse(apache, &e, &err), 0);
	assert_int_equal(e.count, 2);
	assert_int_equal(e.room, 4096);
	assert_string_equal(e.items[0].name, "hdms");
	assert_true(e.items[0].is_folder);
	assert_false(e.items[0].has_bytes);
	assert_int_equal(e.items[0].modified_ms, INT64_C(1795435200000));
	assert_string_equal(e.items[1].name, "\xc3\xbc+x y");
	assert_false(e.items[1].is_folder);
	assert_true(e.items[1].has_bytes);
	assert_int_equal(e.items[1].bytes, UINT64_C(18446744073709551));
	assert_int_equal(e.items[1].modified_ms, 1000);
	webdav_entries_done(&e);
}

/* Properties in one propstat, or several; hrefs as urls; no prefix at all. */
static void parse__odd_answers__are_understood_or_passed_over(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct webdav_entries e = {0};
	static const char text[] =
	    "<multistatus xmlns='DAV:'>"
	    "<response><href>https://host:1/a/one%zz%2</href><propstat><prop><getcontentlength>7"
	    "</getcontentlength></prop><status>HTTP/1.1 200 OK</status></propstat></response>"
	    "<response><href>/a/gone</href><status>HTTP/1.1 404 Not Found</status></response>"
	    "<response><propstat><prop/><status>HTTP/1.1 200 OK</status></propstat></response>"
	    "<response><href>/a/two?x=1</href><propstat><prop><getcontentlength>-1"
	    "</getcontentlength><getlastmodified>yesterday</getlastmodified></prop>"
	    "<status>HTTP/1.1 200 OK</status></propstat></response>"
	    "<response><href>/</href><propstat><prop><getcontentlength>99999999999999999999"
	    "</getcontentlength></prop><status>HTTP/1.1 200 OK</status></propstat></response>"
	    "<other/></multistatus>";
	assert_int_equal(parse(text, &e, &err), 0);
	assert_int_equal(e.count, 3);
	assert_int_equal(e.room, UINT64_MAX);
	assert_string_equal(e.items[0].name, "one%zz%2");
	assert_int_equal(e.items[0].bytes, 7);
	assert_int_equal(e.items[0].modified_ms, 0);
	assert_string_equal(e.items[1].name, "two");
	assert_false(e.items[1].has_bytes);
	assert_int_equal(e.items[1].modified_ms, 0);
	assert_string_equal(e.items[2].name, "");
	assert_false(e.items[2].has_bytes);
	webdav_entries_done(&e);
}

/* What a server can't look at is there all the same: a sidecar that is overlooked would make an
 * orphan of its archive. */
static void list__object_that_the_server_says_nothing_of__fails(void **state)
{
	(void)state;
	static const char *const refusals[] = {
	    "<status>HTTP/1.1 403 Forbidden</status>",
	    "<propstat><prop><getcontentlength/></prop><status>HTTP/1.1 500 Failed</status>"
	    "</propstat>"};
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		struct fake_http fake;
		struct err err = ERR_INIT;
		struct store *s;
		struct store_objects found = {0};
		char body[512], answer[1024], url[64];
		snprintf(body, sizeof body,
			 "<multistatus xmlns='DAV:'><response><href>/a/" SIDECAR "</href>%s"
			 "</response><response><href>/a/hdms-folder/</href>%s</response>"
			 "<response><href>/a/.trash</href>%s</response></multistatus>",
			 refusals[i], refusals[i], refusals[i]);
		snprintf(answer, sizeof answer,
			 "HTTP/1.1 207 Multi-Status\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
			 body);
		const struct fake_reply replies[] = {{.bytes = answer}, {.bytes = answer}};
		fake_http_start(&fake, replies, 2, NULL);
		snprintf(url, sizeof url, "dav%s/a", strchr(fake.url, ':'));
		const struct store_opts o = {.name = "cloud", .url = url, .proxy = ""};
		assert_int_equal(store_open(&o, &s, &err), 0);
		assert_int_equal(store_list(s, "other-", &found, &err), 0);
		assert_int_equal(found.count, 0);
		store_objects_done(&found);
		assert_int_equal(store_list(s, "hdms-", &found, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_non_null(strstr(err.msg, "'" SIDECAR "': the server does not say how long"));
		store_free(s);
		fake_http_stop(&fake);
	}
}

/* ---- the end of an upload ---- */

#define NO_BODY "Content-Length: 0\r\n\r\n"
#define FOLDER  "<propstat><prop><resourcetype><collection/></resourcetype></prop>"
#define OBJECT  "<propstat><prop><getcontentlength>5</getcontentlength></prop>"

/* What PROPFIND says. */
static void put_207(char out[512], const char *props)
{
	char body[256];
	snprintf(body, sizeof body,
		 "<multistatus xmlns='DAV:'><response><href>/a/x</href>%s<status>HTTP/1.1 200 OK"
		 "</status></propstat></response></multistatus>",
		 props);
	snprintf(out, 512, "HTTP/1.1 207 Multi-Status\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
}

/* Puts five bytes, to a server that takes its time with them. `end`: what it says then. */
static int put_object(const char *const *end, size_t count, int pause_ms, struct err *err)
{
	struct fake_http fake;
	struct fake_reply replies[12];
	struct store *s;
	struct sink *object;
	char folder[512], url[64];
	size_t n = 0;
	put_207(folder, FOLDER);
	replies[n++] = (struct fake_reply){.bytes = folder};
	replies[n++] =
	    (struct fake_reply){.bytes = "HTTP/1.1 201 Created\r\n" NO_BODY, .pause_ms = pause_ms};
	for (size_t i = 0; i < count; i++)
		replies[n++] = (struct fake_reply){.bytes = end[i]};
	fake_http_start(&fake, replies, n, NULL);
	snprintf(url, sizeof url, "dav%s/a", strchr(fake.url, ':'));
	const struct store_opts o = {
	    .name = "cloud", .url = url, .proxy = "", .retries = 2, .timeout_ms = 200};
	assert_int_equal(store_open(&o, &s, err), 0);
	assert_int_equal(store_put(s, "x", &object, err), 0);
	assert_int_equal(sink_write(object, "12345", 5, err), 0);
	int rc = sink_close(object, err);
	sink_free(object);
	store_free(s);
	fake_http_stop(&fake);
	return rc;
}

static void upload__server_away_for_a_moment_at_its_end__is_there(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char whole[512];
	put_207(whole, OBJECT);
	const char *const away = "HTTP/1.1 503 Busy\r\n" NO_BODY,
			  *const gone = "HTTP/1.1 404 Not Found\r\n" NO_BODY,
			  *const moved = "HTTP/1.1 201 Created\r\n" NO_BODY;
	const char *const later[] = {away, whole, away, whole, moved};
	if (put_object(later, 5, 0, &err) < 0)
		fail_msg("%s", err.msg);
	/* It was moved, and only the answer was another. */
	const char *const unheard[] = {whole, away, gone, whole};
	if (put_object(unheard, 4, 0, &err) < 0)
		fail_msg("%s", err.msg);
	/* Somebody took it away: that is no success. */
	const char *const nowhere[] = {whole, away, gone, gone, gone, gone, gone};
	assert_int_equal(put_object(nowhere, 7, 0, &err), -1);
}

/* As nginx does that copies it from its folder for bodies. */
static void upload__server_that_is_long_at_storing_it__is_waited_for(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char whole[512];
	put_207(whole, OBJECT);
	const char *const end[] = {whole, "HTTP/1.1 201 Created\r\n" NO_BODY};
	if (put_object(end, 2, 350, &err) < 0)
		fail_msg("%s", err.msg);
}

/* A dump may wait for a lock while the upload is open. */
static void refused__because_we_were_slow__names_the_setting(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct webdav *d;
	const struct store_opts o = {.name = "cloud", .url = "dav://127.0.0.1/a"};
	const struct http_response slow = {.status = 408};
	assert_int_equal(webdav_open(&o, false, &d, &err), 0);
	assert_int_equal(webdav_refused(d, &slow, &err, "can't write '%s'", "x"), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_true(err.retryable);
	assert_string_equal(err.msg, "'http://127.0.0.1/a': can't write 'x': the server gave up "
				     "waiting (HTTP status 408)");
	assert_string_equal(err.hint,
			    "Apache: RequestReadTimeout body=0; nginx: client_body_timeout 12h.");
	webdav_free(d);
}

static void parse__a_decoded_nul__stays_encoded(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct webdav_entries e = {0};
	assert_int_equal(parse("<multistatus><response><href>/x%00y</href><propstat><prop/>"
			       "<status>HTTP/1.1 200 OK</status></propstat></response>"
			       "</multistatus>",
			       &e, &err),
			 0);
	assert_string_equal(e.items[0].name, "x%00y");
	webdav_entries_done(&e);
}

static void parse__what_is_none__is_corrupt(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "hello", "<html><body/></html>", "<multistatus>"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct err err = ERR_INIT;
		struct webdav_entries e = {0};
		assert_int_equal(parse(wrong[i], &e, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_int_equal(e.count, 0);
	}
	struct err err = ERR_INIT;
	struct webdav_entries e = {0};
	assert_int_equal(parse("<html/>", &e, &err), -1);
	assert_string_equal(err.msg, "a <html> instead of a <multistatus>");
	for (size_t len = 0; len < sizeof apache - 2; len++)
		assert_int_equal(webdav_parse(apache, len, &e, &err), -1);
}

/* ---- names of unfinished objects ---- */

static void part__made__is_one_of_its_object(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(freep) char *one = NULL;
	CLEANUP(freep) char *two = NULL;
	CLEANUP(freep) char *lease = NULL;
	assert_int_equal(store_part_make(SIDECAR, &one, &err), 0);
	assert_int_equal(store_part_make(SIDECAR, &two, &err), 0);
	assert_int_equal(store_part_make("hdms.lease-000000004", &lease, &err), 0);
	assert_string_not_equal(one, two);
	assert_true(store_part_is(one, "hdms"));
	assert_true(store_part_is(lease, "hdms"));
	assert_false(store_part_is(one, "other"));
	assert_false(store_part_is(one, "hdm"));
	assert_false(store_part_is(lease, "hdm"));
	assert_false(store_name_is_valid(one));
}

static void part__of_another_form__is_not_ours(void **state)
{
	(void)state;
	static const char *const foreign[] = {SIDECAR ".part",
					      SIDECAR ".0123abc.part",
					      SIDECAR ".0123abcde.part",
					      SIDECAR ".0123ABCD.part",
					      SIDECAR ".0123abcd",
					      ".0123abcd.part",
					      "." SIDECAR ".0123abcd.part",
					      "hdms-x.0123abcd.part",
					      "hdms-eu-20261123T020000Z-3f9c.json.0123abcd.part",
					      "hdms.eu.lease-000000004.0123abcd.part",
					      SIDECAR ".0123abcd.part.part",
					      ""};
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
		if (store_part_is(foreign[i], "hdms"))
			fail_msg("'%s'", foreign[i]);
	/* Of the longest name that an object can have, and of one that is longer. */
	char stack[STORE_NAME_MAX + 2], name[STORE_NAME_MAX + 80];
	size_t room = STORE_NAME_MAX - strlen("-20261123T020000Z-3f9c.json");
	for (size_t more = 0; more < 2; more++) {
		memset(stack, 'x', room + more);
		stack[room + more] = '\0';
		snprintf(name, sizeof name, "%s-20261123T020000Z-3f9c.json.0123abcd.part", stack);
		assert_int_equal(store_part_is(name, stack), more == 0);
	}
}

/* ---- urls ---- */

static void url__taken_apart__has_its_parts(void **state)
{
	(void)state;
	static const struct {
		const char *url, *user, *host, *path;
		uint16_t port;
		bool loopback;
	} cases[] = {
	    {"sftp://backup@nas/srv/x", "backup", "nas", "/srv/x", 22, false},
	    {"sftp://nas:2222/srv/x///", NULL, "nas", "/srv/x", 2222, false},
	    {"sftp://a%40b@[::1]/%20%25x", "a@b", "[::1]", "/ %x", 22, true},
	    {"dav://LOCALHOST", NULL, "LOCALHOST", "/", 22, true},
	    {"davs://127.0.0.9:8443/../x", NULL, "127.0.0.9", "/../x", 8443, true},
	    {"davs://127.0.0.1.example.com/", NULL, "127.0.0.1.example.com", "/", 22, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct store_url u = {0};
		if (store_url_parse(cases[i].url, 22, &u, &err) < 0)
			fail_msg("%s: %s", cases[i].url, err.msg);
		if (cases[i].user == NULL)
			assert_null(u.user);
		else
			assert_string_equal(u.user, cases[i].user);
		assert_string_equal(u.host, cases[i].host);
		assert_string_equal(u.path, cases[i].path);
		assert_int_equal(u.port, cases[i].port);
		assert_int_equal(store_url_is_loopback(&u), cases[i].loopback);
		store_url_done(&u);
	}
}

static void url__with_a_secret__is_refused_without_showing_it(void **state)
{
	(void)state;
	static const char *const wrong[] = {"sftp://u:secret@h/x", "sftp://:secret@h/x",
					    "davs://u:secret@h:99999/x", "davs://u:secret@/x"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct err err = ERR_INIT;
		struct store_url u = {0};
		assert_int_equal(store_url_parse(wrong[i], 22, &u, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_null(strstr(err.msg, "secret"));
		assert_null(strstr(err.hint, "secret"));
		assert_null(u.host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parse__an_answer_of_apache__has_all),
	    cmocka_unit_test(parse__odd_answers__are_understood_or_passed_over),
	    cmocka_unit_test(list__object_that_the_server_says_nothing_of__fails),
	    cmocka_unit_test(upload__server_away_for_a_moment_at_its_end__is_there),
	    cmocka_unit_test(upload__server_that_is_long_at_storing_it__is_waited_for),
	    cmocka_unit_test(refused__because_we_were_slow__names_the_setting),
	    cmocka_unit_test(parse__a_decoded_nul__stays_encoded),
	    cmocka_unit_test(parse__what_is_none__is_corrupt),
	    cmocka_unit_test(part__made__is_one_of_its_object),
	    cmocka_unit_test(part__of_another_form__is_not_ours),
	    cmocka_unit_test(url__taken_apart__has_its_parts),
	    cmocka_unit_test(url__with_a_secret__is_refused_without_showing_it),
	};
	return cmocka_run_group_tests_name("storage/webdav", tests, NULL, NULL);
}
