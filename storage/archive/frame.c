#include "storage/archive/frame.h"

#include <zstd_errors.h>
#include "storage/archive/seek_table.h"

enum {
	HEAD_MAX_BYTES = 18, /* ZSTD_FRAMEHEADERSIZE_MAX */
	/* Frame_Header_Descriptor, RFC 8878 section 3.1.1.1.1 */
	CHECKSUM_FLAG = 0x04,
	MUST_BE_ZERO = 0x1B /* unused, reserved, dictionary id */
};

ZSTD_CCtx *frame_packer(int level)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	if (ctx == NULL)
		return NULL;
	if (ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1))) {
		ZSTD_freeCCtx(ctx);
		return NULL;
	}
	return ctx;
}

int frame_pack(ZSTD_CCtx *ctx, const uint8_t *in, size_t len, uint8_t *out, size_t out_cap,
	       size_t *ret_stored, struct err *err)
{
	size_t n = ZSTD_compress2(ctx, out, out_cap, in, len);
	if (ZSTD_isError(n)) {
		if (ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
			return err_nomem(err, "compression");
		return err_set(err, ERR_FAILED, "zstd: %s", ZSTD_getErrorName(n));
	}
	*ret_stored = n;
	return 0;
}

static int check_head(const uint8_t *in, size_t len, uint64_t raw_max, uint64_t *ret_raw,
		      struct err *err)
{
	if (len >= 4 && seek_table_le32(in) != ZSTD_MAGICNUMBER)
		return err_set(err, ERR_CORRUPT, "no zstd frame begins there");
	if (len >= 5 && (in[4] & (CHECKSUM_FLAG | MUST_BE_ZERO)) != CHECKSUM_FLAG)
		return err_set(err, ERR_CORRUPT, "its header has unexpected flags (0x%02x)", in[4]);
	if (len < HEAD_MAX_BYTES)
		return 0;
	unsigned long long raw = ZSTD_getFrameContentSize(in, len);
	if (raw == ZSTD_CONTENTSIZE_ERROR || raw == ZSTD_CONTENTSIZE_UNKNOWN)
		return err_set(err, ERR_CORRUPT, "its header does not say how much is in it");
	if (raw > raw_max)
		return err_set(err, ERR_LIMIT, "it claims %llu bytes, more than the %llu allowed",
			       raw, (unsigned long long)raw_max);
	*ret_raw = raw;
	return 0;
}

int frame_shape(const uint8_t *in, size_t len, uint64_t raw_max, size_t *ret_stored,
		uint64_t *ret_raw, struct err *err)
{
	uint64_t raw = 0;
	if (check_head(in, len, raw_max, &raw, err) < 0)
		return -1;
	size_t stored = len < HEAD_MAX_BYTES ? 0 : ZSTD_findFrameCompressedSize(in, len);
	if (ZSTD_isError(stored)) {
		if (ZSTD_getErrorCode(stored) != ZSTD_error_srcSize_wrong)
			return err_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(stored));
		stored = 0;
	}
	*ret_stored = stored;
	*ret_raw = raw;
	return 0;
}

int frame_unpack(ZSTD_DCtx *ctx, const uint8_t *in, size_t len, uint8_t *out, size_t raw_bytes,
		 struct err *err)
{
	uint64_t raw = 0;
	size_t stored = 0;
	if (frame_shape(in, len, raw_bytes, &stored, &raw, err) < 0)
		return -1;
	if (stored != len || raw != raw_bytes)
		return err_set(err, ERR_CORRUPT,
			       "it is %zu bytes that unpack to %llu, where %zu and %zu are listed",
			       stored, (unsigned long long)raw, len, raw_bytes);
	size_t n = ZSTD_decompressDCtx(ctx, out, raw_bytes, in, len);
	if (ZSTD_isError(n)) {
		if (ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
			return err_nomem(err, "decompression");
		return err_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(n));
	}
	if (n != raw_bytes)
		return err_set(err, ERR_CORRUPT, "it unpacked to %zu bytes instead of %zu", n,
			       raw_bytes);
	return 0;
}

uint32_t frame_checksum(const uint8_t *in, size_t len)
{
	return len < 4 ? 0 : seek_table_le32(in + len - 4);
}
