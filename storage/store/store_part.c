#include "storage/store/store_part.h"

#include <openssl/rand.h>
#include <string.h>
#include "storage/store/catalog_name.h"

int store_part_make(const char *name, char **ret, struct err *err)
{
	uint8_t r[4];
	if (RAND_bytes(r, sizeof r) != 1)
		return err_set(err, ERR_FAILED, "no random numbers");
	return str_printf(ret, err, "%s.%02x%02x%02x%02x" STORE_PART_SUFFIX, name, r[0], r[1], r[2],
			  r[3]);
}

bool store_part_is(const char *part, const char *stack)
{
	char object[STORE_NAME_MAX + 1];
	size_t len = strlen(part), end = strlen(".01234567" STORE_PART_SUFFIX);
	if (len <= end || len - end >= sizeof object || part[len - end] != '.' ||
	    strspn(part + len - end + 1, "0123456789abcdef") != 8 ||
	    strcmp(part + len - strlen(STORE_PART_SUFFIX), STORE_PART_SUFFIX) != 0)
		return false;
	memcpy(object, part, len - end);
	object[len - end] = '\0';
	return store_name_is_valid(object) && catalog_name_belongs(stack, object);
}
