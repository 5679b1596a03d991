#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "storage/catalog.h"
#include "storage/store/lease.h"
#include "storage/sidecar.h"
#include "tests/support/temp_dir.h"

#define ID1 "20261121T020000Z-aaaa"
#define ID2 "20261122T020000Z-bbbb"
#define ID3 "20261123T020000Z-3f9c"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct room {
	struct temp_dir dir;
	struct store *store;
	struct err err;
};

static int setup(void **state)
{
	struct room *r = calloc(1, sizeof *r);
	char url[TEMP_DIR_BYTES + 16];
	temp_dir_make(&r->dir);
	snprintf(url, sizeof url, "file://%s", r->dir.path);
	*state = r;
	return store_open(&(struct store_opts){.name = "local", .url = url}, &r->store, &r->err);
}

static int teardown(void **state)
{
	struct room *r = *state;
	store_free(r->store);
	temp_dir_remove(&r->dir);
	free(r);
	return 0;
}

static struct sidecar sample(const char *stack, const char *id, const char *archive)
{
	return (struct sidecar){
	    .stack = stack,
	    .id = id,
	    .archive = archive,
	    .bytes = 5,
	    .sha256 = SHA,
	    .started = "2026-11-23T02:00:00Z",
	    .finished = "2026-11-23T02:01:30Z",
	    .lifeboat_version = "0.1.0",
	    .databases = 2,
	    .tables = 30,
	    .rows = 1000,
	    .large_objects = 1,
	    .redis_keys = 7,
	    .files = 4,
	    .raw_bytes = 123456,
	    .warnings = 1,
	};
}

static void put(struct room *r, const char *name, const char *text)
{
	assert_int_equal(store_put_bytes(r->store, name, text, strlen(text), &r->err), 0);
}

static void put_json(struct room *r, const char *name, json_t *j)
{
	char *text = NULL;
	assert_int_equal(json_text(j, true, &text, &r->err), 0);
	put(r, name, text);
	free(text);
	json_decref(j);
}

static json_t *sidecar_of(const char *stack, const char *id, const char *started)
{
	struct err err = ERR_INIT;
	char archive[201];
	json_t *j = NULL, *names = json_pack("[ss]", "postgres", "redis");
	assert_int_equal(catalog_archive_name(stack, id, archive, &err), 0);
	struct sidecar s = sample(stack, id, archive);
	s.started = started;
	s.components = names;
	assert_int_equal(sidecar_json(&s, &j, &err), 0);
	json_decref(names);
	return j;
}

/* A backup with its archive; `started` is what the id says. */
static void put_backup(struct room *r, const char *stack, const char *id)
{
	char name[201], started[CLOCK_TEXT_BYTES];
	snprintf(started, sizeof started, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", id, id + 4, id + 6,
		 id + 9, id + 11, id + 13);
	assert_int_equal(catalog_archive_name(stack, id, name, &r->err), 0);
	put(r, name, "bytes");
	assert_int_equal(catalog_sidecar_name(stack, id, name, &r->err), 0);
	put_json(r, name, sidecar_of(stack, id, started));
}

static void put_evidence(struct room *r, const char *id, const char *day, const char *outcome)
{
	char name[201], time[CLOCK_TEXT_BYTES];
	int64_t ms = 0;
	snprintf(time, sizeof time, "%sT04:00:00Z", day);
	assert_int_equal(clock_parse_rfc3339(time, &ms, &r->err), 0);
	assert_int_equal(catalog_evidence_name("hdms", id, ms, name, &r->err), 0);
	put_json(r, name,
		 json_pack("{ss si ss ss ss ss ss}", "format", "lifeboat-evidence",
			   "format_version", 1, "id", id, "stack", "hdms", "outcome", outcome,
			   "started", time, "finished", time));
}

static struct catalog load(struct room *r)
{
	struct catalog c = {0};
	assert_int_equal(catalog_load(r->store, "hdms", &c, &r->err), 0);
	return c;
}

/* ---- ids and names ---- */

static void new_id__now__is_valid_and_differs(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char a[32], b[32];
	int same = 0;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(catalog_new_id(INT64_C(1795399200000), a, &err), 0);
		assert_int_equal(catalog_new_id(INT64_C(1795399200000), b, &err), 0);
		assert_true(catalog_id_is_valid(a));
		assert_memory_equal(a, "20261123T020000Z-", 17);
		same += strcmp(a, b) == 0;
	}
	assert_true(same < 50);
}

static void id__anything_else__is_not_valid(void **state)
{
	static const char *const wrong[] = {"",
					    "latest",
					    "20261123T020000Z",
					    "20261123T020000Z-",
					    "20261123T020000Z-3f9",
					    "20261123T020000Z-3f9c0",
					    "20261123T020000Z-3F9C",
					    "20261123T020000Z-3f9g",
					    "20261323T020000Z-3f9c",
					    "20260231T020000Z-3f9c",
					    "20261123T250000Z-3f9c",
					    "20261123 020000Z-3f9c",
					    "2026 123T020000Z-3f9c",
					    "20261123T020000+-3f9c",
					    "-0261123T020000Z-3f9c"};
	(void)state;
	assert_true(catalog_id_is_valid(ID3));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(catalog_id_is_valid(wrong[i]));
}

static void names__of_a_backup__are_made_of_stack_and_id(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char name[201];
	assert_int_equal(catalog_archive_name("hdms", ID3, name, &err), 0);
	assert_string_equal(name, "hdms-" ID3 ".tar.zst");
	assert_int_equal(catalog_sidecar_name("hdms", ID3, name, &err), 0);
	assert_string_equal(name, "hdms-" ID3 ".json");
	assert_int_equal(catalog_evidence_name("hdms", ID3, INT64_C(1795406400123), name, &err), 0);
	assert_string_equal(name, "hdms-" ID3 ".drill-20261123T040000Z.json");
}

static void names__wrong_stack_or_id__are_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char name[201] = "untouched", longest[202];
	memset(longest, 'a', 201);
	longest[201] = '\0';
	assert_int_equal(catalog_archive_name("hdms", "latest", name, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	assert_string_equal(err.msg, "'latest' is not the id of a backup");
	assert_int_equal(catalog_archive_name("../x", ID3, name, &err), -1);
	assert_string_equal(err.msg, "'../x' can't be the name of a stack");
	assert_int_equal(catalog_archive_name(longest, ID3, name, &err), -1);
	assert_int_equal(catalog_archive_name("", ID3, name, &err), -1);
	assert_int_equal(catalog_archive_name("hdms.part", ID3, name, &err), -1);
	assert_string_equal(name, "untouched");
}

/* ---- loading ---- */

static void load__empty_store__has_nothing(void **state)
{
	struct room *r = *state;
	struct catalog c = load(r);
	const struct backup *b = NULL;
	assert_int_equal(c.count, 0);
	assert_int_equal(catalog_find(&c, "latest", &b, &r->err), -1);
	assert_int_equal(r->err.code, ERR_ABSENT);
	assert_string_equal(r->err.msg, "no backup that can be used: there are no backups yet");
	assert_string_equal(r->err.hint, "'lifeboat backup' takes one.");
	assert_null(b);
	catalog_done(&c);
}

static void load__some_backups__newest_first_with_what_the_sidecar_says(void **state)
{
	struct room *r = *state;
	put_backup(r, "hdms", ID2);
	put_backup(r, "hdms", ID3);
	put_backup(r, "hdms", ID1);
	struct catalog c = load(r);
	assert_int_equal(c.count, 3);
	assert_string_equal(c.items[0].id, ID3);
	assert_string_equal(c.items[1].id, ID2);
	assert_string_equal(c.items[2].id, ID1);
	const struct backup *b = &c.items[0];
	assert_string_equal(b->archive, "hdms-" ID3 ".tar.zst");
	assert_string_equal(b->sidecar, "hdms-" ID3 ".json");
	assert_string_equal(b->sha256, SHA);
	assert_int_equal(b->taken_ms, INT64_C(1795399200000));
	assert_int_equal(b->stored_bytes, 5);
	assert_string_equal(b->broken, "");
	assert_int_equal(b->proof, PROOF_NONE);
	assert_int_equal(b->proved_ms, 0);
	assert_false(b->pinned);
	assert_int_equal(json_array_size(b->evidence), 0);
	assert_int_equal(json_u64_or(json_object_get(b->sidecar_json, "counts"), "rows", 0), 1000);
	catalog_done(&c);
}

/* Of an archive that was adopted the sidecar says what its manifest said. */
static void load__sidecar_that_claims_another_time__counts_by_its_id(void **state)
{
	struct room *r = *state;
	struct catalog c = {0};
	const char *older = "20261122T020000Z-0000", *newer = "20261123T020000Z-3f9c";
	char name[201];
	put_backup(r, "hdms", older);
	put_backup(r, "hdms", newer);
	assert_int_equal(catalog_sidecar_name("hdms", older, name, &r->err), 0);
	put_json(r, name, sidecar_of("hdms", older, "2999-01-01T00:00:00Z"));
	assert_int_equal(catalog_load(r->store, "hdms", &c, &r->err), 0);
	assert_string_equal(c.items[0].id, newer);
	catalog_done(&c);
}

static void load__foreign_objects__are_not_seen(void **state)
{
	struct room *r = *state;
	put_backup(r, "hdms-2", ID1);
	put_backup(r, "hdms2", ID1);
	put_backup(r, "hdms-" ID1, ID2);
	put(r, "hdms-.json", "{}");
	put(r, "hdms-" ID1 ".json.old", "{}");
	put(r, "hdms-" ID1 "-x.json", "{}");
	put(r, "hdms-x" ID1 ".json", "{}");
	put(r, "hdms-" ID1 ".drill-now.json", "{}");
	put(r, "hdms-" ID1 ".tar.zst", "an archive without a sidecar");
	put_evidence(r, ID1, "2026-11-23", "passed");
	struct catalog c = load(r);
	assert_int_equal(c.count, 0);
	catalog_done(&c);
}

/* Changes one field of a good sidecar and says what the catalog makes of it. */
static void assert_broken(struct room *r, const char *field, json_t *value, const char *why)
{
	put_backup(r, "hdms", ID2);
	put_backup(r, "hdms", ID3);
	json_t *j = sidecar_of("hdms", ID3, "2026-11-23T02:00:00Z");
	if (value == NULL)
		json_object_del(j, field);
	else
		json_object_set_new(j, field, value);
	put_json(r, "hdms-" ID3 ".json", j);
	struct catalog c = load(r);
	const struct backup *b = NULL;
	assert_int_equal(c.count, 2);
	assert_string_equal(c.items[0].id, ID3);
	assert_string_equal(c.items[0].broken, why);
	assert_int_equal(catalog_find(&c, "latest", &b, &r->err), 0);
	assert_string_equal(b->id, ID2);
	assert_int_equal(catalog_find(&c, "2026112", &b, &r->err), 0);
	assert_string_equal(b->id, ID2);
	assert_int_equal(catalog_find(&c, "20261123", &b, &r->err), -1);
	assert_int_equal(r->err.code, ERR_CORRUPT);
	assert_memory_equal(r->err.msg, "backup '" ID3 "' can't be used: ", 45);
	assert_int_equal(catalog_find(&c, ID3, &b, &r->err), 0);
	assert_string_equal(b->broken, why);
	catalog_done(&c);
}

static void load__an_encrypted_backup__is_listed_and_removed_whole(void **state)
{
	struct room *r = *state;
	put_backup(r, "hdms", ID2);
	put(r, "hdms-" ID3 ".tar.zst.age", "bytes");
	struct catalog c;
	struct store_objects orphans;
	assert_int_equal(catalog_orphans(r->store, "hdms", &orphans, &r->err), 0);
	assert_int_equal(orphans.count, 1);
	assert_string_equal(orphans.items[0].name, "hdms-" ID3 ".tar.zst.age");
	store_objects_done(&orphans);
	/* Also of a sidecar that says nothing the archive's name is known. */
	put(r, "hdms-" ID3 ".json", "{}");
	c = load(r);
	assert_string_equal(c.items[0].archive, "hdms-" ID3 ".tar.zst.age");
	assert_string_not_equal(c.items[0].broken, "");
	catalog_done(&c);
	json_t *j = sidecar_of("hdms", ID3, "2026-11-23T02:00:00Z");
	json_object_set_new(j, "archive", json_string("hdms-" ID3 ".tar.zst.age"));
	json_object_set_new(j, "encrypted", json_pack("{s:[s]}", "recipients", "age1x"));
	put_json(r, "hdms-" ID3 ".json", j);
	c = load(r);
	assert_int_equal(c.count, 2);
	assert_string_equal(c.items[0].archive, "hdms-" ID3 ".tar.zst.age");
	assert_string_equal(c.items[0].broken, "");
	assert_int_equal(catalog_remove(r->store, "hdms", &c.items[0], &r->err), 0);
	catalog_done(&c);
	assert_int_equal(store_list(r->store, "hdms-" ID3, &orphans, &r->err), 0);
	assert_int_equal(orphans.count, 0);
	store_objects_done(&orphans);
}

static void load__a_wrong_field__is_broken_with_the_reason(void **state)
{
	struct room *r = *state;
	assert_broken(r, "format", json_string("x"),
		      "field 'format' is 'x', not 'lifeboat-sidecar'");
	assert_broken(r, "format", NULL, "field 'format' is missing");
	assert_broken(r, "format_version", json_integer(2), "format_version 2 is not known");
	assert_broken(r, "id", json_string(ID2), "it belongs to another backup: '" ID2 "'");
	assert_broken(r, "id", json_string("x"), "field 'id' is 'x', which is no backup id");
	assert_broken(r, "stack", json_string("hdms-2"), "it belongs to another stack: 'hdms-2'");
	assert_broken(r, "stack", json_string("a/b"), "field 'stack' is not a name");
	assert_broken(r, "archive", json_string("hdms-" ID2 ".tar.zst"),
		      "it names another archive: 'hdms-" ID2 ".tar.zst'");
	assert_broken(r, "archive", json_string("hdms-" ID3 ".json"),
		      "it names another archive: 'hdms-" ID3 ".json'");
	assert_broken(r, "archive", json_string("../../etc/passwd"),
		      "field 'archive' is not the name of an object");
	assert_broken(r, "archive", json_string("hdms-" ID3 ".tar.zst.age"),
		      "field 'encrypted' is not what 'hdms-" ID3 ".tar.zst.age' says");
	assert_broken(r, "encrypted", json_true(),
		      "field 'encrypted' is neither an object nor false");
	assert_broken(r, "bytes", json_integer(6), "its archive has 5 bytes instead of 6");
	assert_broken(r, "bytes", json_integer(-1), "field 'bytes' is not a whole number");
	assert_broken(r, "bytes", json_real(5.0), "field 'bytes' is not a whole number");
	assert_broken(r, "sha256", json_string("abc"), "field 'sha256' is not a SHA-256");
	assert_broken(r, "started", json_string("yesterday"),
		      "field 'started': 'yesterday' is not a time like 2026-11-23T02:00:00Z");
	assert_broken(r, "finished", json_string("2026-02-31T02:00:00Z"),
		      "field 'finished': '2026-02-31T02:00:00Z' is not a time like "
		      "2026-11-23T02:00:00Z");
	assert_broken(r, "label", json_integer(1), "field 'label' is neither text nor null");
	assert_broken(r, "pinned", json_string("yes"), "field 'pinned' is not true or false");
	assert_broken(r, "suspicious", NULL, "field 'suspicious' is missing");
	assert_broken(r, "counts", json_array(), "field 'counts' is not an object");
	assert_broken(r, "counts", json_object(), "field 'counts': field 'databases' is missing");
	assert_broken(r, "components", json_pack("[i]", 1),
		      "field 'components' holds something that is not text");
	assert_broken(r, "warnings", json_null(), "field 'warnings' is not a whole number");
	assert_broken(r, "lifeboat_version", NULL, "field 'lifeboat_version' is missing");
}

static void load__no_json_at_all__is_broken(void **state)
{
	struct room *r = *state;
	static const struct {
		const char *text, *why;
	} cases[] = {
	    {"", "not JSON: line 1: '[' or '{' expected near end of file"},
	    {"[]", "not a JSON object"},
	    {"{\"id\": 1, \"id\": 2}", "not JSON: line 1: duplicate object key"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		put(r, "hdms-" ID1 ".json", cases[i].text);
		struct catalog c = load(r);
		assert_int_equal(c.count, 1);
		assert_memory_equal(c.items[0].broken, cases[i].why, strlen(cases[i].why));
		assert_int_equal(c.items[0].taken_ms, INT64_C(1795226400000));
		assert_string_equal(c.items[0].archive, "hdms-" ID1 ".tar.zst");
		catalog_done(&c);
	}
}

static void load__a_huge_sidecar__is_broken(void **state)
{
	struct room *r = *state;
	char *huge = malloc((1 << 20) + 2);
	memset(huge, ' ', (1 << 20) + 1);
	huge[(1 << 20) + 1] = '\0';
	put(r, "hdms-" ID1 ".json", huge);
	free(huge);
	struct catalog c = load(r);
	assert_int_equal(c.count, 1);
	assert_string_equal(c.items[0].broken,
			    "store 'local': 'hdms-" ID1 ".json': more than 1048576 bytes");
	catalog_done(&c);
}

static void load__sidecar_cut_at_every_length__is_broken(void **state)
{
	struct room *r = *state;
	char *text = NULL;
	put_backup(r, "hdms", ID3);
	json_t *j = sidecar_of("hdms", ID3, "2026-11-23T02:00:00Z");
	assert_int_equal(json_text(j, false, &text, &r->err), 0);
	json_decref(j);
	size_t len = strlen(text);
	for (size_t i = 0; i <= len; i++) {
		assert_int_equal(store_put_bytes(r->store, "hdms-" ID3 ".json", text, i, &r->err),
				 0);
		struct catalog c = load(r);
		assert_int_equal(c.count, 1);
		assert_int_equal(c.items[0].broken[0] == '\0', i == len);
		catalog_done(&c);
	}
	free(text);
}

/* ---- proof ---- */

static void proof__the_newest_verdict__stands(void **state)
{
	static const struct {
		const char *outcomes[3];
		enum proof proof;
		const char *proved;
	} cases[] = {
	    {{"passed", NULL, NULL}, PROOF_PASSED, "2026-12-01T04:00:00Z"},
	    {{"failed", NULL, NULL}, PROOF_FAILED, "2026-12-01T04:00:00Z"},
	    {{"could not verify", NULL, NULL}, PROOF_UNVERIFIED, NULL},
	    {{"passed", "failed", NULL}, PROOF_FAILED, "2026-12-02T04:00:00Z"},
	    {{"failed", "passed", NULL}, PROOF_PASSED, "2026-12-02T04:00:00Z"},
	    {{"passed", "could not verify", NULL}, PROOF_PASSED, "2026-12-01T04:00:00Z"},
	    {{"could not verify", "failed", "could not verify"},
	     PROOF_FAILED,
	     "2026-12-02T04:00:00Z"},
	    {{"fine", NULL, NULL}, PROOF_UNVERIFIED, NULL},
	    {{"none", "passed", "none"}, PROOF_PASSED, "2026-12-02T04:00:00Z"},
	};
	struct room *r = *state;
	static const char *const days[] = {"2026-12-01", "2026-12-02", "2026-12-03"};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t proved = 0;
		put_backup(r, "hdms", ID3);
		size_t drills = 0;
		for (; drills < 3 && cases[i].outcomes[drills] != NULL; drills++)
			put_evidence(r, ID3, days[drills], cases[i].outcomes[drills]);
		if (cases[i].proved != NULL)
			assert_int_equal(clock_parse_rfc3339(cases[i].proved, &proved, &r->err), 0);
		struct catalog c = load(r);
		assert_int_equal(c.items[0].proof, cases[i].proof);
		assert_int_equal(c.items[0].proved_ms, proved);
		assert_int_equal(json_array_size(c.items[0].evidence), drills);
		assert_int_equal(catalog_remove(r->store, "hdms", &c.items[0], &r->err), 0);
		assert_int_equal(temp_dir_count(&r->dir), 0);
		catalog_done(&c);
	}
}

/* Whatever the clocks of the hosts say: a drill takes back what it knew of. */
static void proof__failure_that_no_pass_has_answered__stands(void **state)
{
	struct room *r = *state;
	static const char name1[] = "hdms-" ID3 ".drill-20261201T040000Z.json",
			  name2[] = "hdms-" ID3 ".drill-20261202T040000Z.json";
	static const struct {
		const char *outcomes[2], *answers;
		enum proof proof;
	} cases[] = {
	    /* At the same time on two hosts. */
	    {{"failed", "passed"}, NULL, PROOF_FAILED},
	    {{"failed", "passed"}, name1, PROOF_PASSED},
	    /* By a host whose clock is a day behind. */
	    {{"passed", "failed"}, name2, PROOF_PASSED},
	    {{"passed", "failed"}, NULL, PROOF_FAILED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		put_backup(r, "hdms", ID3);
		for (unsigned k = 0; k < 2; k++) {
			json_t *answers = json_array();
			if (cases[i].answers != NULL && strcmp(cases[i].outcomes[k], "passed") == 0)
				json_array_append_new(answers, json_string(cases[i].answers));
			put_json(r, k == 0 ? name1 : name2,
				 json_pack("{ss si ss ss ss ss ss so}", "format",
					   "lifeboat-evidence", "format_version", 1, "id", ID3,
					   "stack", "hdms", "outcome", cases[i].outcomes[k],
					   "started", "2026-12-01T04:00:00Z", "finished",
					   "2026-12-01T04:00:00Z", "answers", answers));
		}
		struct catalog c = load(r);
		assert_int_equal(c.items[0].proof, cases[i].proof);
		assert_int_equal(catalog_remove(r->store, "hdms", &c.items[0], &r->err), 0);
		catalog_done(&c);
	}
}

static void proof__evidence_that_lies__is_no_pass(void **state)
{
	struct room *r = *state;
	put_backup(r, "hdms", ID2);
	put_backup(r, "hdms", ID3);
	/* Evidence of one backup under the name of another. */
	put_json(r, "hdms-" ID3 ".drill-20261201T040000Z.json",
		 json_pack("{ss si ss ss ss ss ss}", "format", "lifeboat-evidence",
			   "format_version", 1, "id", ID2, "stack", "hdms", "outcome", "passed",
			   "started", "2026-12-01T04:00:00Z", "finished", "2026-12-01T04:00:00Z"));
	put(r, "hdms-" ID3 ".drill-20261202T040000Z.json", "{\"outcome\": \"passed\"");
	struct catalog c = load(r);
	const struct backup *b = NULL;
	assert_int_equal(c.items[0].proof, PROOF_UNVERIFIED);
	assert_int_equal(json_array_size(c.items[0].evidence), 2);
	const json_t *first = json_array_get(c.items[0].evidence, 0);
	assert_string_equal(json_str_or(first, "broken", ""),
			    "it belongs to another backup: '" ID2 "' of 'hdms'");
	assert_string_equal(json_str_or(first, "outcome", ""), "could not verify");
	assert_string_equal(json_str_or(first, "object", ""),
			    "hdms-" ID3 ".drill-20261201T040000Z.json");
	assert_int_equal(c.items[1].proof, PROOF_NONE);
	assert_int_equal(catalog_find(&c, "proven", &b, &r->err), -1);
	assert_int_equal(r->err.code, ERR_ABSENT);
	assert_string_equal(r->err.msg,
			    "no proven backup: there are 2 (0 broken), the newest is " ID3);
	assert_string_equal(r->err.hint, "'lifeboat drill' proves one.");
	c.items[1].proof = PROOF_PASSED;
	c.items[1].suspicious = true;
	assert_int_equal(catalog_find(&c, "proven", &b, &r->err), -1);
	assert_string_equal(r->err.hint,
			    ID2 " passed its drill, but is suspicious: name it to take it "
				"all the same, or 'lifeboat trust' it.");
	c.items[1].suspicious = false;
	assert_int_equal(catalog_find(&c, "proven", &b, &r->err), 0);
	assert_ptr_equal(b, &c.items[1]);
	catalog_done(&c);
}

static void proof_name__each__is_a_word(void **state)
{
	(void)state;
	assert_string_equal(proof_name(PROOF_NONE), "none");
	assert_string_equal(proof_name(PROOF_PASSED), "passed");
	assert_string_equal(proof_name(PROOF_FAILED), "failed");
	assert_string_equal(proof_name(PROOF_UNVERIFIED), "could not verify");
	assert_string_equal(proof_name((enum proof)99), "none");
}

/* ---- finding ---- */

static void find__ids_prefixes_and_words__choose_one(void **state)
{
	struct room *r = *state;
	const struct backup *b = NULL;
	put_backup(r, "hdms", ID1);
	put_backup(r, "hdms", ID2);
	put_backup(r, "hdms", ID3);
	put_evidence(r, ID1, "2026-11-24", "passed");
	put_evidence(r, ID2, "2026-11-24", "failed");
	struct catalog c = load(r);
	assert_int_equal(catalog_find(&c, "latest", &b, &r->err), 0);
	assert_string_equal(b->id, ID3);
	assert_int_equal(catalog_find(&c, "proven", &b, &r->err), 0);
	assert_string_equal(b->id, ID1);
	assert_int_equal(catalog_find(&c, ID2, &b, &r->err), 0);
	assert_string_equal(b->id, ID2);
	assert_int_equal(catalog_find(&c, "20261122T", &b, &r->err), 0);
	assert_string_equal(b->id, ID2);

	assert_int_equal(catalog_find(&c, "2026112", &b, &r->err), -1);
	assert_int_equal(r->err.code, ERR_USAGE);
	assert_string_equal(r->err.msg,
			    "'2026112' is the beginning of 3 backups: " ID3 ", " ID2 ", " ID1);
	assert_int_equal(catalog_find(&c, "2027", &b, &r->err), -1);
	assert_int_equal(r->err.code, ERR_ABSENT);
	assert_string_equal(r->err.msg,
			    "no backup '2027': there are 3 (0 broken), the newest is " ID3);
	assert_string_equal(r->err.hint, "'lifeboat list' shows them all.");
	assert_int_equal(catalog_find(&c, "", &b, &r->err), -1);
	assert_int_equal(r->err.code, ERR_ABSENT);
	assert_int_equal(catalog_find(&c, ID3 "0", &b, &r->err), -1);
	assert_string_equal(b->id, ID2);
	catalog_done(&c);
}

static void find__many_candidates__names_the_newest_six(void **state)
{
	struct room *r = *state;
	const struct backup *b = NULL;
	char id[32];
	for (int i = 10; i < 20; i++) {
		snprintf(id, sizeof id, "202611%dT020000Z-aaaa", i);
		put_backup(r, "hdms", id);
	}
	struct catalog c = load(r);
	assert_int_equal(catalog_find(&c, "2", &b, &r->err), -1);
	assert_string_equal(r->err.msg,
			    "'2' is the beginning of 10 backups: 20261119T020000Z-aaaa, "
			    "20261118T020000Z-aaaa, 20261117T020000Z-aaaa, 20261116T020000Z-aaaa, "
			    "20261115T020000Z-aaaa, 20261114T020000Z-aaaa and 4 more");
	catalog_done(&c);
}

/* ---- removing ---- */

static void remove__one__takes_all_of_it_and_nothing_else(void **state)
{
	struct room *r = *state;
	put_backup(r, "hdms", ID1);
	put_backup(r, "hdms", ID2);
	put_backup(r, "hdms-2", ID2);
	put_evidence(r, ID2, "2026-11-24", "passed");
	put_evidence(r, ID2, "2026-11-25", "passed");
	put(r, "hdms-" ID2 ".notes", "mine");
	struct catalog c = load(r);
	assert_string_equal(c.items[0].id, ID2);
	assert_int_equal(catalog_remove(r->store, "hdms", &c.items[0], &r->err), 0);
	catalog_done(&c);
	assert_int_equal(temp_dir_count(&r->dir), 5);
	c = load(r);
	assert_int_equal(c.count, 1);
	assert_string_equal(c.items[0].id, ID1);
	assert_string_equal(c.items[0].broken, "");
	catalog_done(&c);
}

static void remove__pinned__is_refused(void **state)
{
	struct room *r = *state;
	put_backup(r, "hdms", ID3);
	json_t *j = sidecar_of("hdms", ID3, "2026-11-23T02:00:00Z");
	json_object_set_new(j, "pinned", json_true());
	put_json(r, "hdms-" ID3 ".json", j);
	struct catalog c = load(r);
	assert_true(c.items[0].pinned);
	assert_int_equal(catalog_remove(r->store, "hdms", &c.items[0], &r->err), -1);
	assert_int_equal(r->err.code, ERR_FAILED);
	assert_string_equal(r->err.msg, "backup '" ID3 "' is pinned: not removed");
	assert_int_equal(temp_dir_count(&r->dir), 2);
	catalog_done(&c);
}

/* Marked between the plan of a prune and the removal: whoever marks looks for the sidecar then. */
static void remove__somebody_has_begun_to_read_it__leaves_it_whole(void **state)
{
	struct room *r = *state;
	struct lease *mark = NULL;
	put_backup(r, "hdms", ID3);
	struct catalog c = load(r);
	assert_int_equal(lease_mark(r->store, "hdms-" ID3, "restore", &mark, &r->err), 0);
	assert_int_equal(catalog_remove(r->store, "hdms", &c.items[0], &r->err), -1);
	assert_int_equal(r->err.code, ERR_LOCKED);
	assert_non_null(strstr(r->err.msg, "being read by host "));
	catalog_done(&c);
	c = load(r);
	assert_int_equal(c.count, 1);
	assert_string_equal(c.items[0].broken, "");
	lease_free(mark);
	err_clear(&r->err);
	assert_int_equal(catalog_remove(r->store, "hdms", &c.items[0], &r->err), 0);
	catalog_done(&c);
}

static void remove__a_sidecar_that_names_anothers_archive__spares_that(void **state)
{
	struct room *r = *state;
	put_backup(r, "hdms", ID1);
	put_backup(r, "hdms", ID3);
	json_t *j = sidecar_of("hdms", ID3, "2026-11-23T02:00:00Z");
	json_object_set_new(j, "archive", json_string("hdms-" ID1 ".tar.zst"));
	put_json(r, "hdms-" ID3 ".json", j);
	struct catalog c = load(r);
	assert_int_equal(catalog_remove(r->store, "hdms", &c.items[0], &r->err), 0);
	catalog_done(&c);
	c = load(r);
	assert_int_equal(c.count, 1);
	assert_string_equal(c.items[0].broken, "");
	assert_int_equal(temp_dir_count(&r->dir), 2);
	catalog_done(&c);
}

static void orphans__without_a_sidecar__are_named(void **state)
{
	struct room *r = *state;
	struct store_objects o = {0};
	put_backup(r, "hdms", ID1);
	put_backup(r, "hdms-2", ID2);
	put_evidence(r, ID1, "2026-11-24", "passed");
	put_evidence(r, ID2, "2026-11-24", "passed");
	put(r, "hdms-" ID2 ".tar.zst", "bytes");
	put(r, "hdms-" ID3 ".tar.zst.age", "bytes");
	put(r, "hdms-notes", "bytes");
	assert_int_equal(catalog_orphans(r->store, "hdms", &o, &r->err), 0);
	assert_int_equal(o.count, 3);
	assert_string_equal(o.items[0].name, "hdms-" ID2 ".drill-20261124T040000Z.json");
	assert_string_equal(o.items[1].name, "hdms-" ID2 ".tar.zst");
	assert_string_equal(o.items[2].name, "hdms-" ID3 ".tar.zst.age");
	store_objects_done(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(new_id__now__is_valid_and_differs),
	    T(id__anything_else__is_not_valid),
	    T(names__of_a_backup__are_made_of_stack_and_id),
	    T(names__wrong_stack_or_id__are_refused),
	    T(load__empty_store__has_nothing),
	    T(load__some_backups__newest_first_with_what_the_sidecar_says),
	    T(load__an_encrypted_backup__is_listed_and_removed_whole),
	    T(load__sidecar_that_claims_another_time__counts_by_its_id),
	    T(load__foreign_objects__are_not_seen),
	    T(load__a_wrong_field__is_broken_with_the_reason),
	    T(load__no_json_at_all__is_broken),
	    T(load__a_huge_sidecar__is_broken),
	    T(load__sidecar_cut_at_every_length__is_broken),
	    T(proof__the_newest_verdict__stands),
	    T(proof__failure_that_no_pass_has_answered__stands),
	    T(proof__evidence_that_lies__is_no_pass),
	    T(proof_name__each__is_a_word),
	    T(find__ids_prefixes_and_words__choose_one),
	    T(find__many_candidates__names_the_newest_six),
	    T(remove__one__takes_all_of_it_and_nothing_else),
	    T(remove__pinned__is_refused),
	    T(remove__somebody_has_begun_to_read_it__leaves_it_whole),
	    T(remove__a_sidecar_that_names_anothers_archive__spares_that),
	    T(orphans__without_a_sidecar__are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
