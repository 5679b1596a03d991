#include <stdlib.h>
#include <string.h>
#include "stack/docker/docker_tar.h"
#include "stack/docker/docker_tar_impl.h"

struct vouched {
	struct source *from;
	char *what;
	uint8_t block[DOCKER_TAR_BLOCK]; /* the head that is being gathered */
	size_t have;
	uint64_t skip; /* content and padding until the next head */
	size_t keep;   /* of that, bytes that belong to a pax head */
	unsigned zeros;
	uint64_t next_size; /* what a pax head says of the next entry; UINT64_MAX: nothing */
	struct buf pax;
};

/* A size of more than 8 GiB stands in the pax head alone. */
static int take_pax(struct vouched *v, struct err *err)
{
	struct docker_tar_record r;
	for (size_t at = 0;;) {
		if (docker_tar_pax_next(v->pax.data, v->pax.len, &at, &r, err) < 0)
			return -1;
		if (r.key == NULL)
			return 0;
		if (strcmp(r.key, "size") == 0 && r.len > 0 &&
		    docker_tar_pax_number(&r, &v->next_size, err) < 0)
			return -1;
	}
}

static int take_head(struct vouched *v, struct err *err)
{
	struct docker_tar_head h;
	if (docker_tar_is_zero(v->block)) {
		v->zeros++;
		return 0;
	}
	if (v->zeros > 0)
		return err_set(err, ERR_CORRUPT, "an entry after the end");
	if (docker_tar_head(v->block, &h, err) < 0)
		return -1;
	uint64_t size = h.size;
	if (h.type == 'x') {
		if (size > DOCKER_TAR_PAX_MAX)
			return err_set(err, ERR_LIMIT, "a head of %llu bytes",
				       (unsigned long long)size);
		buf_reset(&v->pax);
		v->keep = (size_t)size;
	} else if (h.type != 'g' && h.type != 'L' && h.type != 'K') {
		if (v->next_size != UINT64_MAX && docker_tar_has_content(h.type))
			size = v->next_size;
		v->next_size = UINT64_MAX;
	}
	if (size > INT64_MAX)
		return err_set(err, ERR_CORRUPT, "a size is too large");
	v->skip = size + -size % DOCKER_TAR_BLOCK;
	return 0;
}

static int follow(struct vouched *v, const uint8_t *data, size_t len, struct err *err)
{
	/* Behind the end lies only what fills up a record. */
	while (len > 0 && v->zeros < 2) {
		size_t n;
		if (v->skip > 0) {
			n = len < v->skip ? len : (size_t)v->skip;
			if (v->keep > 0 && n > v->keep)
				n = v->keep;
			v->skip -= n;
			if (v->keep > 0) {
				if (buf_append(&v->pax, data, n, err) < 0)
					return -1;
				v->keep -= n;
				if (v->keep == 0 && take_pax(v, err) < 0)
					return -1;
			}
		} else {
			n = DOCKER_TAR_BLOCK - v->have;
			if (n > len)
				n = len;
			memcpy(v->block + v->have, data, n);
			v->have = (v->have + n) % DOCKER_TAR_BLOCK;
			if (v->have == 0 && take_head(v, err) < 0)
				return -1;
		}
		data += n;
		len -= n;
	}
	return 0;
}

static int vouched_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct vouched *v = self;
	size_t n;
	if (source_read(v->from, buf, cap, &n, err) < 0)
		return -1;
	if (n > 0 && follow(v, buf, n, err) < 0)
		return err_wrap(err, "'%s'", v->what);
	if (n == 0 && v->zeros < 2)
		return docker_tar_cut(v->what, NULL, err);
	*ret_n = n;
	return 0;
}

static void vouched_free(void *self)
{
	struct vouched *v = self;
	source_free(v->from);
	buf_done(&v->pax);
	free(v->what);
	free(v);
}

static const struct source_ops vouched_ops = {.read = vouched_read, .free = vouched_free};

int docker_tar_vouched(struct source *from, const char *what, struct source **ret, struct err *err)
{
	struct vouched *v = mem_zalloc(sizeof *v, "a tar stream", err);
	if (v == NULL || str_dup(what, &v->what, err) < 0) {
		free(v);
		source_free(from);
		return -1;
	}
	v->from = from;
	v->next_size = UINT64_MAX;
	buf_init(&v->pax, DOCKER_TAR_PAX_MAX);
	return source_new(&vouched_ops, v, ret, err);
}
