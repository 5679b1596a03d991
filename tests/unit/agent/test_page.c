/* The page, the metrics and the verdict: pure functions of a document. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/report/html.h"
#include "agent/report/page.h"
#include "agent/config/web_address.h"
#include "agent/report/metrics.h"
#include "agent/report/overview.h"

#define HOSTILE      "<script>alert(\"x\")</script>&'"
#define HOSTILE_JSON "<script>alert(\\\"x\\\")</script>&'"
#define HOSTILE_HTML "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;"

enum { NOW_S = 1795435200 }; /* 2026-11-23T12:00:00Z */

static json_t *parsed(const char *text)
{
	json_t *j = NULL;
	struct err err = ERR_INIT;
	if (json_parse(text, strlen(text), &j, &err) < 0)
		fail_msg("%s", err.msg);
	return j;
}

/* ---- escaping ---- */

static void escapes(const char *text, const char *expected)
{
	struct buf out;
	struct err err = ERR_INIT;
	buf_init(&out, 1 << 16);
	assert_int_equal(html_escape(text, &out, &err), 0);
	assert_string_equal(buf_text(&out), expected);
	buf_done(&out);
}

static void html_escape__anything__is_text(void **state)
{
	(void)state;
	escapes("", "");
	escapes("plain \xC3\xA4\xE2\x82\xAC\n\t.", "plain \xC3\xA4\xE2\x82\xAC\n\t.");
	escapes(HOSTILE, HOSTILE_HTML);
	escapes("\x1b[31m\x7f", "\xEF\xBF\xBD[31m\xEF\xBF\xBD");
	/* A control character of C1, and one that turns the direction of writing. */
	escapes("a\xC2\x85z", "a\xEF\xBF\xBDz");
	escapes("a\xE2\x80\xAEz\xE2\x81\xA6", "a\xEF\xBF\xBDz\xEF\xBF\xBD");
	/* Cut in the middle: nothing is read behind the end. */
	escapes("\xE2", "\xE2");
	escapes("\xE2\x80", "\xE2\x80");
	escapes("\xC2", "\xC2");
}

/* ---- the page ---- */

static const char document[] =
    "{\"stack\":\"" HOSTILE_JSON "\",\"level\":\"" HOSTILE_JSON "\",\"verdict\":\"" HOSTILE_JSON
    "\",\"reasons\":[{\"text\":\"a\"},{\"text\":\"" HOSTILE_JSON
    "\"}],\"generated\":\"2026-11-23T12:00:00Z\",\"version\":\"" HOSTILE_JSON
    "\",\"newest\":{\"id\":\"" HOSTILE_JSON "\",\"taken\":\"2026-11-23T02:00:00Z\"},\"stores\":[{"
    "\"label\":\"" HOSTILE_JSON "\",\"where\":\"" HOSTILE_JSON "\",\"site\":\"" HOSTILE_JSON
    "\",\"error\":\"" HOSTILE_JSON "\",\"backups\":[{\"id\":\"" HOSTILE_JSON
    "\",\"taken\":\"2026-11-23T02:00:00Z\",\"label\":\"" HOSTILE_JSON "\",\"proof\":\"" HOSTILE_JSON
    "\",\"bytes\":9223372036854775807,\"duration_ms\":9223372036854775807}]}],\"drills\":[{"
    "\"id\":\"" HOSTILE_JSON "\",\"outcome\":\"" HOSTILE_JSON "\",\"error\":\"" HOSTILE_JSON
    "\",\"controls\":{\"" HOSTILE_JSON "\":true},\"differences\":[{\"where\":\"" HOSTILE_JSON
    "\",\"what\":\"" HOSTILE_JSON "\",\"expected\":\"" HOSTILE_JSON "\",\"found\":\"" HOSTILE_JSON
    "\"}],\"unknowns\":[{\"where\":\"" HOSTILE_JSON "\",\"why\":\"" HOSTILE_JSON
    "\"}],\"notes\":[\"" HOSTILE_JSON "\"]}],\"agent\":{\"running\":{\"job\":\"" HOSTILE_JSON
    "\"},\"jobs\":{\"" HOSTILE_JSON "\":{\"last\":{\"outcome\":\"" HOSTILE_JSON
    "\",\"error\":{\"message\":\"" HOSTILE_JSON "\"}}}},\"history\":[{\"job\":\"" HOSTILE_JSON
    "\",\"outcome\":\"" HOSTILE_JSON "\",\"error\":{\"message\":\"" HOSTILE_JSON
    "\"}}]},\"not_backed_up\":[{\"what\":\"" HOSTILE_JSON "\",\"why\":\"" HOSTILE_JSON
    "\"}],\"days\":[{\"date\":\"" HOSTILE_JSON "\",\"outcome\":\"" HOSTILE_JSON
    "\"},{\"date\":\"2026-11-23\",\"outcome\":\"proven\"}]}";

static const char shown[] =
    "{\"proof\":\"none\",\"sidecar\":{\"id\":\"" HOSTILE_JSON "\",\"stack\":\"" HOSTILE_JSON
    "\",\"label\":\"" HOSTILE_JSON "\",\"sha256\":\"" HOSTILE_JSON
    "\"},\"manifest\":{\"warnings\":[\"" HOSTILE_JSON
    "\"],\"components\":{\"postgres\":{\"volume\":\"" HOSTILE_JSON
    "\",\"server\":{\"server_version\":\"" HOSTILE_JSON
    "\"},\"databases\":[{\"name\":\"" HOSTILE_JSON "\",\"owner\":\"" HOSTILE_JSON
    "\",\"encoding\":\"UTF8\",\"tables\":[{\"schema\":\"" HOSTILE_JSON "\",\"name\":\"" HOSTILE_JSON
    "\",\"rows\":7}]}]},\"redis\":{\"volume\":\"" HOSTILE_JSON "\",\"method\":\"" HOSTILE_JSON
    "\",\"rdb\":{\"databases\":[{\"number\":0,\"keys\":5}]}},\"pgbouncer\":{\"files\":[{\"path\":"
    "\"" HOSTILE_JSON "\",\"role\":\"" HOSTILE_JSON "\"}]},\"volumes\":{\"" HOSTILE_JSON
    "\":{\"volume\":\"" HOSTILE_JSON "\",\"files\":3}}}},\"drills\":[{\"outcome\":\"passed\"}]}";

static size_t count(const char *text, const char *part)
{
	size_t n = 0;
	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return n;
}

/* `what` makes a page of a document in which every text is hostile. */
static void stands(int (*what)(const json_t *, struct buf *, struct err *), const char *text,
		   size_t at_least)
{
	struct buf out;
	struct err err = ERR_INIT;
	json_t *doc = parsed(text);
	buf_init(&out, 1 << 20);
	if (what(doc, &out, &err) < 0)
		fail_msg("%s", err.msg);
	assert_null(strstr(buf_text(&out), "<script"));
	assert_null(strstr(buf_text(&out), "alert(\"x"));
	assert_in_range(count(buf_text(&out), HOSTILE_HTML), at_least, 200);
	/* As many elements are closed as are opened. */
	static const char *const pairs[][2] = {
	    {"<section", "</section>"}, {"<details", "</details>"},
	    {"<table", "</table>"},     {"<div", "</div>"},
	    {"<dl", "</dl>"},           {"<ul", "</ul>"},
	    {"<svg", "</svg>"},         {"<tr", "</tr>"}};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		assert_int_equal(count(buf_text(&out), pairs[i][0]),
				 count(buf_text(&out), pairs[i][1]));
	buf_done(&out);
	json_decref(doc);
}

static void page_html__hostile_names__are_text(void **state)
{
	(void)state;
	stands(page_html, document, 30);
	stands(page_backup_html, shown, 16);
}

static void page_html__of_anything__is_a_page(void **state)
{
	(void)state;
	static const char *const odd[] = {
	    "{}", "{\"stores\":[],\"drills\":null,\"days\":[]}",
	    "{\"stores\":[{}],\"drills\":[{}],\"days\":[{}],\"agent\":{},\"newest\":{}}",
	    "{\"stores\":7,\"drills\":\"x\",\"days\":{},\"agent\":[1],\"newest\":[]}",
	    "{\"stores\":[null,1,\"x\"],\"reasons\":[1,2],\"not_backed_up\":[null]}"};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		stands(page_html, odd[i], 0);
		stands(page_backup_html, odd[i], 0);
	}
}

static void page_html__both_pages__have_the_times_of_one_zone(void **state)
{
	(void)state;
	static const char status[] =
	    "{\"timezone\":\"Europe/Berlin\",\"generated\":\"2026-11-23T12:00:00Z\"}";
	static const char backup[] = "{\"timezone\":\"Europe/Berlin\",\"sidecar\":{\"started\":"
				     "\"2026-11-23T12:00:00Z\"}}";
	static const struct {
		int (*make)(const json_t *doc, struct buf *out, struct err *err);
		const char *doc;
	} pages[] = {{page_html, status}, {page_backup_html, backup}};
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		struct buf out;
		struct err err = ERR_INIT;
		json_t *doc = parsed(pages[i].doc);
		buf_init(&out, 1 << 20);
		assert_int_equal(pages[i].make(doc, &out, &err), 0);
		assert_non_null(strstr(buf_text(&out), "imes in Europe/Berlin</span>"));
		assert_non_null(strstr(buf_text(&out), ">2026-11-23 13:00</time>"));
		buf_done(&out);
		json_decref(doc);
	}
}

static void page_html__too_large__fails(void **state)
{
	(void)state;
	struct buf out;
	struct err err = ERR_INIT;
	json_t *doc = parsed("{}");
	buf_init(&out, 100);
	assert_int_equal(page_html(doc, &out, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	buf_done(&out);
	json_decref(doc);
}

static void page_html__next_runs__say_how_soon(void **state)
{
	static const char *const times[][2] = {{"2026-11-23T12:00:40Z", "in a moment"},
					       {"2026-11-23T12:23:50Z", "in 23 min"},
					       {"2026-11-23T13:59:00Z", "in 119 min"},
					       {"2026-11-24T02:00:00Z", "in 2 h"}};
	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct buf out;
		struct err err = ERR_INIT;
		char said[64];
		json_t *doc =
		    json_pack("{s:s, s:{s:{s:{s:s}}}}", "generated", "2026-11-23T12:00:00Z",
			      "agent", "jobs", "backup", "next", times[i][0]);
		/* The earlier of the two is told. */
		json_object_set_new(
		    json_object_get(json_object_get(json_object_get(doc, "agent"), "jobs"),
				    "backup"),
		    "retry_at", json_string("2026-11-23T14:00:00Z"));
		buf_init(&out, 1 << 20);
		assert_int_equal(page_html(doc, &out, &err), 0);
		snprintf(said, sizeof said, "<span class=\"soft\">%s</span>", times[i][1]);
		assert_non_null(strstr(buf_text(&out), said));
		buf_done(&out);
		json_decref(doc);
	}
}

/* ---- metrics ---- */

static void metrics__labels__are_escaped(void **state)
{
	(void)state;
	struct buf out;
	struct err err = ERR_INIT;
	json_t *doc = parsed("{\"stack\":\"a\\\\b\\\"c\\nd\",\"stores\":[{\"label\":\"x\\\"} 1\\ny "
			     "1\",\"reachable\":true,\"backups\":[]}]}");
	buf_init(&out, 1 << 20);
	assert_int_equal(metrics_text(doc, &out, &err), 0);
	assert_non_null(strstr(buf_text(&out), "lifeboat_store_up{stack=\"a\\\\b\\\"c\\nd\","
					       "store=\"x\\\"} 1\\ny 1\",site=\"\"} 1\n"));
	buf_done(&out);
	json_decref(doc);
}

/* ---- the verdict ---- */

static struct config_store place = {.label = (char[]){"local"}};

/* The document of one store with these backups, at noon. */
static json_t *overview(struct backup *backups, size_t n, enum err_code code)
{
	struct config c = {.stack = {.name = (char[]){"hdms"}},
			   .agent = {.backup_age_ms = 172800000, .proof_age_ms = 691200000}};
	struct overview_store s = {.config = &place,
				   .where = "/srv",
				   .free_bytes = UINT64_MAX,
				   .catalog = {.items = backups, .count = n}};
	struct overview_facts f = {
	    .config = &c, .now_ms = (int64_t)NOW_S * 1000, .stores = &s, .store_count = 1};
	struct err err = ERR_INIT;
	json_t *doc = NULL;
	if (code != ERR_NONE)
		err_set_message(&s.error, code, "catalog of 'hdms': store 'local': it is away");
	if (overview_build(&f, &doc, &err) < 0)
		fail_msg("%s", err.msg);
	return doc;
}

static void verdict(struct backup b, const char *level, const char *text)
{
	json_t *doc = overview(&b, 1, ERR_NONE);
	assert_string_equal(json_str_or(doc, "verdict", ""), text);
	assert_string_equal(json_str_or(doc, "level", ""), level);
	json_decref(doc);
}

static void overview__of_one_backup__says_how_safe_it_is(void **state)
{
	(void)state;
	json_t *evidence = parsed("[{\"outcome\":\"passed\",\"restore_ms\":3800}]");
	int64_t now = (int64_t)NOW_S * 1000, hour = 3600000;
	struct backup good = {.id = "20261123T020000Z-0001",
			      .taken_ms = now - 10 * hour,
			      .proof = PROOF_PASSED,
			      .proved_ms = now - hour,
			      .evidence = evidence};
	verdict(good, "safe",
		"Safe: the newest proven backup is 10 h old and was restored in 3.8 s.");
	struct backup b = good;
	b.proof = PROOF_NONE;
	verdict(b, "attention", "Attention: no backup has been proved yet: run a drill.");
	b.proof = PROOF_FAILED;
	verdict(b, "danger",
		"Danger: the newest backup failed its drill. There is no proven backup.");
	b = good;
	b.suspicious = true;
	verdict(b, "attention",
		"Attention: the newest backup is suspicious. There is no proven backup.");
	b = good;
	b.damaged = true;
	verdict(b, "danger",
		"Danger: a verify found damage in the newest backup. There is no proven backup.");
	b = good;
	b.taken_ms = now - 72 * hour;
	verdict(b, "attention",
		"Attention: the newest backup is 3 d old. The newest proven backup is 3 d old and "
		"was restored in 3.8 s.");
	b.taken_ms = now - 240 * hour;
	verdict(b, "danger",
		"Danger: the newest backup is 10 d old. The newest proven backup is 10 d old and "
		"was restored in 3.8 s.");
	b = good;
	b.partial = true;
	verdict(b, "danger", "Danger: there is no backup.");
	json_decref(evidence);
}

/* What status calls proven is what `restore proven` takes. */
static void overview__of_a_suspicious_proof__is_not_proven(void **state)
{
	(void)state;
	json_t *evidence = parsed("[{\"outcome\":\"passed\",\"restore_ms\":3800}]");
	int64_t now = (int64_t)NOW_S * 1000, hour = 3600000;
	struct backup old = {.id = "20261120T020000Z-0001",
			     .taken_ms = now - 82 * hour,
			     .proof = PROOF_PASSED,
			     .proved_ms = now - hour,
			     .evidence = evidence};
	struct backup suspicious = {.id = "20261122T020000Z-0001",
				    .taken_ms = now - 34 * hour,
				    .proof = PROOF_PASSED,
				    .proved_ms = now - hour,
				    .suspicious = true,
				    .evidence = evidence};
	struct backup newest = {.id = "20261123T020000Z-0001", .taken_ms = now - 10 * hour};
	struct backup all[] = {old, suspicious, newest};
	json_t *doc = overview(all, 3, ERR_NONE);
	assert_string_equal(json_str_or(json_object_get(doc, "proven"), "id", ""), old.id);
	json_decref(doc);
	doc = overview(all + 1, 2, ERR_NONE);
	assert_string_equal(json_str_or(doc, "verdict", ""),
			    "Attention: every backup that passed a drill is suspicious. There is "
			    "no proven backup.");
	assert_true(json_is_null(json_object_get(doc, "proven")));
	assert_string_equal(
	    json_str_or(json_array_get(json_object_get(doc, "reasons"), 0), "hint", ""),
	    "If 20261122T020000Z-0001 is right, say so with `lifeboat trust "
	    "20261122T020000Z-0001`.");
	json_decref(doc);
	json_decref(evidence);
}

static void overview__without_backups_or_store__is_danger(void **state)
{
	(void)state;
	json_t *doc = overview(NULL, 0, ERR_NONE);
	assert_string_equal(json_str_or(doc, "verdict", ""), "Danger: there is no backup.");
	assert_int_equal(json_array_size(json_object_get(doc, "days")), 90);
	json_decref(doc);
	doc = overview(NULL, 0, ERR_UNREACHABLE);
	assert_string_equal(json_str_or(doc, "verdict", ""), "Danger: no store can be reached.");
	const json_t *reasons = json_object_get(doc, "reasons");
	assert_int_equal(json_array_size(reasons), 2);
	assert_string_equal(json_str_or(json_array_get(reasons, 1), "text", ""),
			    "store 'local' can't be reached: it is away");
	json_decref(doc);
}

/* ---- where it listens ---- */

static void web_address__what_is_none__is_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
	    "",          "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
	    "[::1]",     "::1:80",    "name:80",    "127.0.0.1:-1",
	    "1.2.3:80x", ":80",       "[::1:80",    "127.0.0.1:80 "};
	struct web_address a;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct err err = ERR_INIT;
		assert_int_equal(web_address_parse(wrong[i], &a, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.msg, "is not ADDRESS:PORT"));
	}
	static const struct {
		const char *text;
		bool loopback;
	} right[] = {{"127.0.0.1:8094", true}, {"localhost:0", true}, {"127.1.2.3:1", true},
		     {"[::1]:8094", true},     {"0.0.0.0:80", false}, {"[::]:80", false},
		     {"10.0.0.1:80", false}};
	for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
		struct err err = ERR_INIT;
		assert_int_equal(web_address_parse(right[i].text, &a, &err), 0);
		assert_int_equal(a.loopback, right[i].loopback);
	}
}

static void web_address__host_by_a_name__is_not_plain(void **state)
{
	(void)state;
	assert_true(web_address_host_is_plain(NULL));
	assert_true(web_address_host_is_plain("localhost"));
	assert_true(web_address_host_is_plain("LOCALHOST:8094"));
	assert_true(web_address_host_is_plain("192.168.1.5:80"));
	assert_true(web_address_host_is_plain("[::1]:8094"));
	assert_false(web_address_host_is_plain(""));
	assert_false(web_address_host_is_plain("evil.example"));
	assert_false(web_address_host_is_plain("127.0.0.1.evil.example"));
	assert_false(web_address_host_is_plain("[::1]evil"));
	assert_false(web_address_host_is_plain("[127.0.0.1]"));
	assert_false(web_address_host_is_plain("::1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(html_escape__anything__is_text),
	    cmocka_unit_test(page_html__hostile_names__are_text),
	    cmocka_unit_test(page_html__of_anything__is_a_page),
	    cmocka_unit_test(page_html__too_large__fails),
	    cmocka_unit_test(page_html__both_pages__have_the_times_of_one_zone),
	    cmocka_unit_test(page_html__next_runs__say_how_soon),
	    cmocka_unit_test(metrics__labels__are_escaped),
	    cmocka_unit_test(overview__of_one_backup__says_how_safe_it_is),
	    cmocka_unit_test(overview__of_a_suspicious_proof__is_not_proven),
	    cmocka_unit_test(overview__without_backups_or_store__is_danger),
	    cmocka_unit_test(web_address__what_is_none__is_refused),
	    cmocka_unit_test(web_address__host_by_a_name__is_not_plain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
