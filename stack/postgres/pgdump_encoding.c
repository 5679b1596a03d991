/*
 * Names in a dump are in the database's encoding; everybody else speaks UTF-8.
 *
 * The entry ENCODING comes first and says which: "SET client_encoding = 'LATIN1';". Text of an
 * encoding that is not known here, and text that does not fit its encoding, stays as it is.
 */
#include <stdlib.h>
#include <string.h>
#include "stack/postgres/pgdump_impl.h"

/* Server encodings of PostgreSQL (src/common/encnames.c) as iconv calls them. */
static const char *const encodings[][2] = {
    {"LATIN1", "ISO-8859-1"},     {"LATIN2", "ISO-8859-2"},
    {"LATIN3", "ISO-8859-3"},     {"LATIN4", "ISO-8859-4"},
    {"LATIN5", "ISO-8859-9"},     {"LATIN6", "ISO-8859-10"},
    {"LATIN7", "ISO-8859-13"},    {"LATIN8", "ISO-8859-14"},
    {"LATIN9", "ISO-8859-15"},    {"LATIN10", "ISO-8859-16"},
    {"ISO_8859_5", "ISO-8859-5"}, {"ISO_8859_6", "ISO-8859-6"},
    {"ISO_8859_7", "ISO-8859-7"}, {"ISO_8859_8", "ISO-8859-8"},
    {"WIN866", "CP866"},          {"WIN874", "CP874"},
    {"WIN1250", "CP1250"},        {"WIN1251", "CP1251"},
    {"WIN1252", "CP1252"},        {"WIN1253", "CP1253"},
    {"WIN1254", "CP1254"},        {"WIN1255", "CP1255"},
    {"WIN1256", "CP1256"},        {"WIN1257", "CP1257"},
    {"WIN1258", "CP1258"},        {"KOI8R", "KOI8-R"},
    {"KOI8U", "KOI8-U"},          {"EUC_JP", "EUC-JP"},
    {"EUC_CN", "EUC-CN"},         {"EUC_KR", "EUC-KR"},
    {"EUC_TW", "EUC-TW"},         {"EUC_JIS_2004", "EUC-JISX0213"},
};

void pgdump_encoding_set(struct pgdump *d, const char *definition)
{
	const char *name = strchr(definition, '\'');
	size_t len = name != NULL ? strcspn(name + 1, "'") : 0;
	for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
		if (strlen(encodings[i][0]) == len &&
		    strncmp(encodings[i][0], name + 1, len) == 0 && d->to_utf8 == (iconv_t)-1)
			d->to_utf8 = iconv_open("UTF-8", encodings[i][1]);
}

int pgdump_encoding_convert(struct pgdump *d, const char **text, size_t *len, struct err *err)
{
	if (d->to_utf8 == (iconv_t)-1)
		return 0;
	/* No character of these takes more than 4 bytes in UTF-8, and none less than 1 here. */
	buf_reset(&d->converted);
	if (buf_reserve(&d->converted, *len * 4, err) < 0)
		return -1;
	char *from = (char *)(uintptr_t)*text, *to = (char *)d->converted.data;
	size_t from_left = *len, to_left = *len * 4;
	iconv(d->to_utf8, NULL, NULL, NULL, NULL);
	if (iconv(d->to_utf8, &from, &from_left, &to, &to_left) == (size_t)-1)
		return 0;
	d->converted.len = *len * 4 - to_left;
	d->converted.data[d->converted.len] = 0;
	*text = buf_text(&d->converted);
	*len = d->converted.len;
	return 0;
}
