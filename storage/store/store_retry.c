#include <stdlib.h>
#include "base/log.h"
#include "storage/store/store_impl.h"

/* A connection that brought as much as this has earned all its retries again. With less, each
 * broken one counts: a server that breaks every one after a few bytes is given up. */
#define PROGRESS_BYTES (UINT64_C(256) << 10)

bool store_again(const struct store *s, struct retry *r, const char *what, struct err *err)
{
	if (err->retryable && r->failed < r->retries)
		log_debug("store '%s': '%s': %s: trying again", s->name, what, err->msg);
	if (retry_again(r, err))
		return true;
	/* An answer that is cut again and again says nothing of the object: it is no damage. */
	if (err->retryable && err->code == ERR_CORRUPT)
		err->code = ERR_UNREACHABLE;
	return false;
}

struct lasting {
	struct store *store;
	char *name;
	struct source *now; /* NULL: to be opened again */
	uint64_t offset;    /* of the next byte */
	uint64_t left;      /* UINT64_MAX: to the end */
	uint64_t since;     /* bytes since it was opened */
	struct retry retry;
};

static int lasting_open(struct lasting *l, struct err *err)
{
	struct store *s = l->store;
	while (s->ops->get(s->self, l->name, l->offset, l->left, &l->now, err) < 0) {
		l->now = NULL;
		if (!store_again(s, &l->retry, l->name, err))
			return -1;
	}
	l->since = 0;
	return 0;
}

static void advance(struct lasting *l, size_t n)
{
	l->offset += n;
	l->since += n;
	if (l->left != UINT64_MAX)
		l->left -= n < l->left ? n : l->left;
	if (l->since >= PROGRESS_BYTES)
		l->retry.failed = 0;
}

static int lasting_read(void *self, uint8_t *buf, size_t cap, size_t *ret_n, struct err *err)
{
	struct lasting *l = self;
	size_t n;
	for (;;) {
		if (l->now == NULL && lasting_open(l, err) < 0)
			return -1;
		if (source_read(l->now, buf, cap, &n, err) == 0)
			break;
		if (!store_again(l->store, &l->retry, l->name, err))
			return -1;
		source_free(l->now);
		l->now = NULL;
		/* All that was asked for had come when it broke. */
		if (l->left == 0) {
			n = 0;
			break;
		}
	}
	advance(l, n);
	*ret_n = n;
	return 0;
}

static void lasting_free(void *self)
{
	struct lasting *l = self;
	source_free(l->now);
	free(l->name);
	free(l);
}

int store_get_lasting(struct store *s, const char *name, uint64_t offset, uint64_t len,
		      struct source **ret, struct err *err)
{
	static const struct source_ops ops = {.read = lasting_read, .free = lasting_free};
	if (!s->ops->remote)
		return s->ops->get(s->self, name, offset, len, ret, err);
	struct lasting *l = mem_zalloc(sizeof *l, "a source", err);
	if (l == NULL)
		return -1;
	*l = (struct lasting){.store = s, .offset = offset, .left = len, .retry = s->retry};
	if (str_dup(name, &l->name, err) < 0 || lasting_open(l, err) < 0) {
		lasting_free(l);
		return -1;
	}
	return source_new(&ops, l, ret, err);
}
