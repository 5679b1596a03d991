#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "storage/sidecar.h"

static struct sidecar sample(void)
{
	return (struct sidecar){
	    .id = "20261123T020000Z-3f9c",
	    .stack = "hdms",
	    .archive = "hdms-20261123T020000Z-3f9c.tar.zst",
	    .bytes = 5,
	    .sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	    .started = "2026-11-23T02:00:00Z",
	    .finished = "2026-11-23T02:01:30Z",
	    .label = "before the migration",
	    .pinned = true,
	    .suspicious = true,
	    .lifeboat_version = "0.1.0",
	    .databases = 1,
	    .tables = 2,
	    .rows = 3,
	    .large_objects = 4,
	    .redis_keys = 5,
	    .files = 6,
	    .raw_bytes = 7,
	    .warnings = 8,
	};
}

static void json__a_sidecar__comes_back_as_it_was(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = NULL, *names = json_pack("[ss]", "postgres", "redis");
	struct sidecar in = sample(), out = {0};
	in.components = names;
	assert_int_equal(sidecar_json(&in, &j, &err), 0);
	json_decref(names);
	assert_int_equal(sidecar_parse(j, &out, &err), 0);
	assert_string_equal(out.id, in.id);
	assert_string_equal(out.stack, in.stack);
	assert_string_equal(out.archive, in.archive);
	assert_string_equal(out.sha256, in.sha256);
	assert_string_equal(out.started, in.started);
	assert_string_equal(out.finished, in.finished);
	assert_string_equal(out.label, in.label);
	assert_string_equal(out.lifeboat_version, in.lifeboat_version);
	assert_true(out.pinned && out.suspicious);
	assert_int_equal(out.bytes, 5);
	assert_int_equal(out.databases, 1);
	assert_int_equal(out.tables, 2);
	assert_int_equal(out.rows, 3);
	assert_int_equal(out.large_objects, 4);
	assert_int_equal(out.redis_keys, 5);
	assert_int_equal(out.files, 6);
	assert_int_equal(out.raw_bytes, 7);
	assert_int_equal(out.warnings, 8);
	assert_int_equal(json_array_size(out.components), 2);
	json_decref(j);
}

static void json__of_an_encrypted_archive__has_the_recipients(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = NULL, *recipients = json_pack("[ss]", "age1x", "age1y");
	struct sidecar in = sample(), out = {0};
	in.archive = "hdms-20261123T020000Z-3f9c.tar.zst.age";
	in.recipients = recipients;
	assert_int_equal(sidecar_json(&in, &j, &err), 0);
	assert_int_equal(sidecar_parse(j, &out, &err), 0);
	assert_int_equal(json_array_size(out.recipients), 2);
	assert_string_equal(json_string_value(json_array_get(out.recipients, 1)), "age1y");
	const json_t *encrypted = json_object_get(j, "encrypted");
	assert_string_equal(json_string_value(json_object_get(encrypted, "format")), "age");
	json_decref(j);
	json_decref(recipients);
}

static void encrypted__that_contradicts_the_name_or_itself__is_corrupt(void **state)
{
	(void)state;
	static const struct {
		const char *archive, *encrypted, *msg;
	} cases[] = {
	    {"a.tar.zst", "{\"recipients\":[]}", "field 'encrypted' is not what 'a.tar.zst' says"},
	    {"a.tar.zst.age", "false", "field 'encrypted' is not what 'a.tar.zst.age' says"},
	    {"a.tar.zst.age", NULL, "field 'encrypted' is not what 'a.tar.zst.age' says"},
	    {"a.tar.zst.age", "true", "field 'encrypted' is neither an object nor false"},
	    {"a.tar.zst.age", "{}", "field 'encrypted': field 'recipients' is missing"},
	    {"a.tar.zst.age", "{\"recipients\":[1]}",
	     "field 'encrypted' has a recipient that is not text"},
	    {"a.tar.zst", NULL, NULL},
	    {"a.tar.zst.age", "{\"recipients\":[]}", NULL},
	};
	struct sidecar good = sample();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		struct sidecar out;
		json_t *j = NULL;
		assert_int_equal(sidecar_json(&good, &j, &err), 0);
		json_object_set_new(j, "archive", json_string(cases[i].archive));
		if (cases[i].encrypted == NULL)
			json_object_del(j, "encrypted");
		else
			json_object_set_new(j, "encrypted",
					    json_loads(cases[i].encrypted, JSON_DECODE_ANY, NULL));
		assert_int_equal(sidecar_parse(j, &out, &err), cases[i].msg != NULL ? -1 : 0);
		if (cases[i].msg != NULL)
			assert_string_equal(err.msg, cases[i].msg);
		json_decref(j);
	}
}

static void json__it_all__is_written_in_this_order(void **state)
{
	static const char expected[] =
	    "{\"format\":\"lifeboat-sidecar\",\"format_version\":1,"
	    "\"id\":\"20261123T020000Z-3f9c\",\"stack\":\"hdms\","
	    "\"archive\":\"hdms-20261123T020000Z-3f9c.tar.zst\",\"bytes\":5,"
	    "\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
	    "\"started\":\"2026-11-23T02:00:00Z\",\"finished\":\"2026-11-23T02:01:30Z\","
	    "\"label\":null,\"pinned\":false,\"partial\":false,\"suspicious\":false,\"lifeboat_"
	    "version\":\"0.1.0\","
	    "\"counts\":{\"databases\":1,\"tables\":2,\"rows\":3,\"large_objects\":4,"
	    "\"redis_keys\":5,\"files\":6,\"raw_bytes\":7},\"components\":[],\"warnings\":8,"
	    "\"encrypted\":false}";
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = NULL;
	char *text = NULL;
	struct sidecar s = sample();
	s.label = NULL;
	s.pinned = s.suspicious = false;
	assert_int_equal(sidecar_json(&s, &j, &err), 0);
	assert_int_equal(json_text(j, false, &text, &err), 0);
	assert_string_equal(text, expected);
	free(text);
	json_decref(j);
}

static void json__components_as_an_object__become_its_keys(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = NULL, *sections = json_pack("{s{}s{}}", "postgres", "volumes");
	struct sidecar s = sample();
	s.components = sections;
	assert_int_equal(sidecar_json(&s, &j, &err), 0);
	const json_t *names = json_object_get(j, "components");
	assert_int_equal(json_array_size(names), 2);
	assert_string_equal(json_string_value(json_array_get(names, 0)), "postgres");
	assert_string_equal(json_string_value(json_array_get(names, 1)), "volumes");
	json_decref(sections);
	json_decref(j);
}

static void json__label_that_is_not_utf8__is_replaced(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = NULL;
	struct sidecar s = sample();
	s.label = "a\xff"
		  "b";
	assert_int_equal(sidecar_json(&s, &j, &err), 0);
	assert_string_equal(json_str_or(j, "label", ""), "a\xEF\xBF\xBD"
							 "b");
	json_decref(j);
}

static void json__what_nobody_could_read__is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = NULL;
	struct sidecar s = sample();
	s.finished = "";
	assert_int_equal(sidecar_json(&s, &j, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, "sidecar of '20261123T020000Z-3f9c': field 'finished': '' is "
				     "not a time like 2026-11-23T02:00:00Z");
	s = sample();
	s.rows = UINT64_MAX;
	assert_int_equal(sidecar_json(&s, &j, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "field 'rows': 18446744073709551615 is too large");
	assert_null(j);
	/* The manifest of an archive that is adopted may hold any label. */
	char *label = calloc(1, SIDECAR_MAX_BYTES);
	memset(label, 'x', SIDECAR_MAX_BYTES - 100);
	s = sample();
	s.label = label;
	err_clear(&err);
	assert_int_equal(sidecar_json(&s, &j, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "sidecar of '20261123T020000Z-3f9c': it would be longer than "
				     "the 524288 bytes that leave room for decisions");
	assert_null(j);
	free(label);
}

static void parse__too_many_components__is_corrupt(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = NULL, *names = json_array();
	struct sidecar s = sample();
	for (int i = 0; i < 64; i++)
		json_array_append_new(names, json_string("x"));
	s.components = names;
	assert_int_equal(sidecar_json(&s, &j, &err), 0);
	json_decref(j);
	j = NULL;
	json_array_append_new(names, json_string("x"));
	assert_int_equal(sidecar_json(&s, &j, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "field 'components' has 65 entries, at most 64"));
	json_decref(names);
}

static void parse__another_version__says_what_to_do(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_t *j = NULL;
	struct sidecar s = sample(), out = {.id = "untouched"};
	assert_int_equal(sidecar_json(&s, &j, &err), 0);
	json_object_set_new(j, "format_version", json_integer(2));
	assert_int_equal(sidecar_parse(j, &out, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, "format_version 2 is not known");
	assert_string_equal(err.hint, "It was written by another version of lifeboat: use that "
				      "one, or a newer one.");
	assert_string_equal(out.id, "untouched");
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(json__a_sidecar__comes_back_as_it_was),
	    cmocka_unit_test(json__of_an_encrypted_archive__has_the_recipients),
	    cmocka_unit_test(encrypted__that_contradicts_the_name_or_itself__is_corrupt),
	    cmocka_unit_test(json__it_all__is_written_in_this_order),
	    cmocka_unit_test(json__components_as_an_object__become_its_keys),
	    cmocka_unit_test(json__label_that_is_not_utf8__is_replaced),
	    cmocka_unit_test(json__what_nobody_could_read__is_refused),
	    cmocka_unit_test(parse__too_many_components__is_corrupt),
	    cmocka_unit_test(parse__another_version__says_what_to_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
