#include "agent/commands.h"

#include <archive.h>
#include <curl/curl.h>
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <libssh2.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <zstd.h>
#include "agent/output/format.h"

enum { LIBRARIES = 8 };

struct library {
	const char *name;
	char version[32];
};

static void collect(struct library libraries[LIBRARIES])
{
	int pq = PQlibVersion();
	snprintf(libraries[0].version, sizeof libraries[0].version, "%d.%d", pq / 10000,
		 pq % 10000);
	snprintf(libraries[1].version, sizeof libraries[1].version, "%d.%d.%d", HIREDIS_MAJOR,
		 HIREDIS_MINOR, HIREDIS_PATCH);
	int ar = archive_version_number();
	snprintf(libraries[2].version, sizeof libraries[2].version, "%d.%d.%d", ar / 1000000,
		 ar / 1000 % 1000, ar % 1000);
	snprintf(libraries[3].version, sizeof libraries[3].version, "%s", ZSTD_versionString());
	snprintf(libraries[4].version, sizeof libraries[4].version, "%s",
		 curl_version_info(CURLVERSION_NOW)->version);
	snprintf(libraries[5].version, sizeof libraries[5].version, "%s",
		 OpenSSL_version(OPENSSL_VERSION_STRING));
	snprintf(libraries[6].version, sizeof libraries[6].version, "%s", jansson_version_str());
	snprintf(libraries[7].version, sizeof libraries[7].version, "%s", libssh2_version(0));
}

static int as_json(struct output *out, const struct library libraries[LIBRARIES], struct err *err)
{
	json_t *doc = json_object(), *all = json_object();
	int done = json_put(doc, "version", json_string(LIFEBOAT_VERSION), err);
	for (size_t i = 0; done == 0 && i < LIBRARIES; i++)
		done = json_put(all, libraries[i].name, json_text_value(libraries[i].version), err);
	if (done < 0) {
		json_decref(all);
		json_decref(doc);
		return -1;
	}
	if (json_put(doc, "libraries", all, err) < 0) {
		json_decref(doc);
		return -1;
	}
	return output_json(out, doc, err);
}

int cmd_version(struct app *app, struct err *err)
{
	struct library libraries[LIBRARIES] = {
	    {.name = "libpq"},   {.name = "hiredis"}, {.name = "libarchive"}, {.name = "libzstd"},
	    {.name = "libcurl"}, {.name = "openssl"}, {.name = "jansson"},    {.name = "libssh2"}};
	collect(libraries);
	if (output_is_json(app->out))
		return as_json(app->out, libraries, err);
	output_line(app->out, "lifeboat %s", LIFEBOAT_VERSION);
	for (size_t i = 0; i < LIBRARIES; i++)
		output_say(app->out, "  %-10s %s", libraries[i].name, libraries[i].version);
	return 0;
}
