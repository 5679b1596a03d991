#include "base/flow/filter.h"

#include <stdlib.h>
#include <zstd.h>
#include "base/buf.h"

struct unzstd {
	ZSTD_DCtx *ctx;
	bool inside; /* a frame has begun and not ended */
};

static int unzstd_step(void *self, const uint8_t *in, size_t in_len, bool last, size_t *ret_used,
		       uint8_t *out, size_t out_cap, size_t *ret_made, enum filter_state *ret_state,
		       struct err *err)
{
	(void)last;
	struct unzstd *z = self;
	*ret_used = *ret_made = 0;
	*ret_state = FILTER_BETWEEN;
	/* At a boundary with nothing to read, zstd would ask for a next header: that is not
	 * "inside". */
	if (in_len == 0 && !z->inside)
		return 0;
	ZSTD_inBuffer src = {.src = in, .size = in_len};
	ZSTD_outBuffer dst = {.dst = out, .size = out_cap};
	size_t hint = ZSTD_decompressStream(z->ctx, &dst, &src);
	if (ZSTD_isError(hint))
		return err_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(hint));
	z->inside = hint != 0;
	*ret_used = src.pos;
	*ret_made = dst.pos;
	if (z->inside)
		*ret_state = dst.pos == dst.size ? FILTER_FULL : FILTER_INSIDE;
	return 0;
}

static void unzstd_free(void *self)
{
	struct unzstd *z = self;
	ZSTD_freeDCtx(z->ctx);
	free(z);
}

static const struct filter_ops unzstd_ops = {.step = unzstd_step, .free = unzstd_free};

int filter_unzstd(int window_log_max, struct filter **ret, struct err *err)
{
	struct unzstd *z = mem_zalloc(sizeof *z, "zstd", err);
	if (z == NULL)
		return -1;
	z->ctx = ZSTD_createDCtx();
	if (z->ctx == NULL ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(z->ctx, ZSTD_d_windowLogMax, window_log_max))) {
		unzstd_free(z);
		return err_nomem(err, "zstd");
	}
	return filter_new(&unzstd_ops, z, ret, err);
}
