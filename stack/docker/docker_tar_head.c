#include <string.h>
#include "stack/docker/docker_tar.h"
#include "stack/docker/docker_tar_impl.h"

/* Fields of a ustar head: IEEE Std 1003.1, pax, "ustar Interchange Format". */
enum { SIZE_AT = 124, SUM_AT = 148, SUM_LEN = 8, TYPE_AT = 156 };

bool docker_tar_is_zero(const uint8_t block[DOCKER_TAR_BLOCK])
{
	static const uint8_t zeros[DOCKER_TAR_BLOCK];
	return memcmp(block, zeros, DOCKER_TAR_BLOCK) == 0;
}

bool docker_tar_has_content(char type)
{
	return type < '1' || type > '6';
}

/* Octal digits between spaces and zeros, or (as GNU tar has it) a large number in base 256. */
int docker_tar_number(const uint8_t *field, size_t len, uint64_t *ret, struct err *err)
{
	uint64_t n = 0;
	size_t i = 0;
	if ((field[0] & 0x80) != 0) {
		for (; i < len; i++) {
			uint8_t byte = i == 0 ? field[0] & 0x7F : field[i];
			if (n >> 55 != 0)
				return err_set(err, ERR_CORRUPT, "a number is too large");
			n = n << 8 | byte;
		}
		*ret = n;
		return 0;
	}
	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		n = n << 3 | (uint64_t)(field[i] - '0');
	for (; i < len; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return err_set(err, ERR_CORRUPT, "a number is none");
	*ret = n;
	return 0;
}

int docker_tar_head(const uint8_t block[DOCKER_TAR_BLOCK], struct docker_tar_head *ret,
		    struct err *err)
{
	uint64_t said, size, sum = 0;
	for (size_t i = 0; i < DOCKER_TAR_BLOCK; i++)
		sum += i >= SUM_AT && i < SUM_AT + SUM_LEN ? ' ' : block[i];
	if (docker_tar_number(block + SUM_AT, SUM_LEN, &said, err) < 0 || said != sum)
		return err_set(err, ERR_CORRUPT, "a tar head with a wrong sum");
	if (docker_tar_number(block + SIZE_AT, 12, &size, err) < 0)
		return -1;
	char type = (char)block[TYPE_AT];
	if (type == '\0' || type == '7')
		type = '0';
	if ((type < '0' || type > '6') && type != 'x' && type != 'g' && type != 'L' && type != 'K')
		return err_set(err, ERR_CORRUPT, "a tar head of the unknown type 0x%02x",
			       (unsigned)(uint8_t)type);
	*ret = (struct docker_tar_head){type, docker_tar_has_content(type) ? size : 0};
	return 0;
}

/* ---- pax records: "27 mtime=1600000000.123456\n" ---- */

int docker_tar_pax_next(uint8_t *data, size_t len, size_t *at, struct docker_tar_record *ret,
			struct err *err)
{
	size_t begin = *at, n = 0, i = begin;
	if (begin == len) {
		*ret = (struct docker_tar_record){0};
		return 0;
	}
	for (; i < len && i < begin + 8 && data[i] >= '0' && data[i] <= '9'; i++)
		n = n * 10 + (size_t)(data[i] - '0');
	/* At least " k=\n" follows the length. */
	if (i == begin || i == len || data[i] != ' ' || n > len - begin || n < i - begin + 4 ||
	    data[begin + n - 1] != '\n')
		return err_set(err, ERR_CORRUPT, "a pax record without a sound length");
	uint8_t *key = data + i + 1, *end = data + begin + n - 1;
	uint8_t *equals = memchr(key, '=', (size_t)(end - key));
	if (equals == NULL || equals == key || memchr(key, '\0', (size_t)(equals - key)) != NULL)
		return err_set(err, ERR_CORRUPT, "a pax record without a key");
	*equals = '\0';
	*ret =
	    (struct docker_tar_record){(const char *)key, equals + 1, (size_t)(end - equals - 1)};
	*at = begin + n;
	return 0;
}

int docker_tar_pax_number(const struct docker_tar_record *r, uint64_t *ret, struct err *err)
{
	uint64_t n = 0;
	for (size_t i = 0; i < r->len; i++) {
		if (r->value[i] < '0' || r->value[i] > '9' || n > (INT64_MAX - 9) / 10)
			return err_set(err, ERR_CORRUPT, "the pax record '%.40s' is no number",
				       r->key);
		n = n * 10 + (uint64_t)(r->value[i] - '0');
	}
	if (r->len == 0)
		return err_set(err, ERR_CORRUPT, "the pax record '%.40s' is empty", r->key);
	*ret = n;
	return 0;
}
