#include <stdlib.h>
#include <string.h>
#include "stack/redis/redis_door.h"

int redisdoor_info_text(struct redisdoor *r, const char *section, char **ret, struct err *err)
{
	const char *const argv[] = {"INFO", section};
	return redisdoor_command(r, ret, err, section != NULL ? 2 : 1, argv);
}

/* The value of "field:" at the beginning of a line, NULL when there is none. */
static const char *find_field(const char *info, const char *field, size_t *ret_len)
{
	size_t len = strlen(field);
	for (const char *line = info; *line != '\0';) {
		size_t line_len = strcspn(line, "\r\n");
		if (line_len > len && line[len] == ':' && strncmp(line, field, len) == 0) {
			*ret_len = line_len - len - 1;
			return line + len + 1;
		}
		line += line_len;
		line += strspn(line, "\r\n");
	}
	return NULL;
}

bool redisdoor_field(const char *info, const char *field, char *out, size_t cap)
{
	size_t len = 0;
	const char *value = find_field(info, field, &len);
	if (len >= cap)
		len = cap - 1;
	if (value != NULL)
		memcpy(out, value, len);
	out[len] = '\0';
	return value != NULL;
}

int64_t redisdoor_field_number(const char *info, const char *field, int64_t otherwise)
{
	char text[32], *end;
	if (!redisdoor_field(info, field, text, sizeof text))
		return otherwise;
	long long v = strtoll(text, &end, 10);
	return end != text ? v : otherwise;
}

int redisdoor_info(struct redisdoor *r, const char *section, const char *field, char **ret,
		   struct err *err)
{
	CLEANUP(freep) char *info = NULL;
	size_t len = 0;
	if (redisdoor_info_text(r, section, &info, err) < 0)
		return -1;
	const char *value = find_field(info, field, &len);
	return str_dupn(value != NULL ? value : "", len, ret, err);
}

int redisdoor_config(struct redisdoor *r, const char *name, char **ret, struct err *err)
{
	CLEANUP(redis_reply_freep) redisReply *reply = NULL;
	const char *const argv[] = {"CONFIG", "GET", name};
	if (redisdoor_ask(r, &reply, err, 3, argv) < 0)
		return -1;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
	    reply->element[1]->type != REDIS_REPLY_STRING)
		return str_dup("", ret, err);
	return str_dupn(reply->element[1]->str, (size_t)reply->element[1]->len, ret, err);
}
