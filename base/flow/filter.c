#include "base/flow/filter.h"

#include <stdlib.h>
#include "base/buf.h"

struct filter {
	const struct filter_ops *ops;
	void *self;
};

int filter_new(const struct filter_ops *ops, void *self, struct filter **ret, struct err *err)
{
	struct filter *f = mem_zalloc(sizeof *f, "a filter", err);
	if (f == NULL) {
		ops->free(self);
		return -1;
	}
	*f = (struct filter){.ops = ops, .self = self};
	*ret = f;
	return 0;
}

int filter_step(struct filter *f, const uint8_t *in, size_t in_len, bool last, size_t *ret_used,
		uint8_t *out, size_t out_cap, size_t *ret_made, enum filter_state *ret_state,
		struct err *err)
{
	return f->ops->step(f->self, in, in_len, last, ret_used, out, out_cap, ret_made, ret_state,
			    err);
}

void filter_free(struct filter *f)
{
	if (f == NULL)
		return;
	f->ops->free(f->self);
	free(f);
}
