#include "storage/s3/s3_part.h"

enum { MIB = 1 << 20, SHARE = 1550 };

size_t s3_part_bytes(uint64_t sent)
{
	uint64_t share = (sent / SHARE + MIB - 1) / MIB * MIB;
	return (size_t)(share > S3_PART_BYTES ? share : S3_PART_BYTES);
}

unsigned s3_part_buffers(size_t part_bytes)
{
	unsigned fit = (unsigned)(S3_BUFFERS_BYTES / part_bytes);
	if (fit >= 2)
		return fit;
	return part_bytes <= (size_t)256 * MIB ? 2 : 1;
}
