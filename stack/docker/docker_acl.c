#include "stack/docker/docker_impl.h"

/* Linux's own form of an ACL (linux/posix_acl_xattr.h): a version and entries of tag, rights and
 * id, all little-endian. */
enum { ACL_VERSION = 2, ACL_ENTRY = 8, ACL_MAX = 4 + 1024 * ACL_ENTRY };

/* In the order that the kernel wants. */
static const struct {
	int tag;
	uint16_t value;
	bool has_id;
} tags[] = {
    {ARCHIVE_ENTRY_ACL_USER_OBJ, 0x01, false},  {ARCHIVE_ENTRY_ACL_USER, 0x02, true},
    {ARCHIVE_ENTRY_ACL_GROUP_OBJ, 0x04, false}, {ARCHIVE_ENTRY_ACL_GROUP, 0x08, true},
    {ARCHIVE_ENTRY_ACL_MASK, 0x10, false},      {ARCHIVE_ENTRY_ACL_OTHER, 0x20, false},
};

static int add_number(struct buf *b, uint32_t n, unsigned bytes, struct err *err)
{
	uint8_t le[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
	return buf_append(b, le, bytes, err);
}

/* All entries of one tag. *mask becomes the rights of the mask's entry. */
static int add_tag(struct archive_entry *e, int type, size_t which, struct buf *b, int *mask,
		   struct err *err)
{
	int t, rights, tag, id;
	const char *name;
	archive_entry_acl_reset(e, type);
	while (archive_entry_acl_next(e, type, &t, &rights, &tag, &id, &name) == 0) {
		if (tag != tags[which].tag)
			continue;
		if (tags[which].has_id && id < 0)
			return err_set(err, ERR_CORRUPT, "ACL of '%s': an entry without a number",
				       archive_entry_pathname(e));
		int rwx = (rights & ARCHIVE_ENTRY_ACL_READ ? 4 : 0) |
			  (rights & ARCHIVE_ENTRY_ACL_WRITE ? 2 : 0) |
			  (rights & ARCHIVE_ENTRY_ACL_EXECUTE ? 1 : 0);
		if (tag == ARCHIVE_ENTRY_ACL_MASK)
			*mask = rwx;
		if (add_number(b, tags[which].value, 2, err) < 0 ||
		    add_number(b, (uint32_t)rwx, 2, err) < 0 ||
		    add_number(b, tags[which].has_id ? (uint32_t)id : UINT32_MAX, 4, err) < 0)
			return -1;
	}
	return 0;
}

static int convert(struct archive_entry *e, int type, const char *name, int *mask, struct err *err)
{
	struct buf b;
	if (archive_entry_acl_count(e, type) == 0)
		return 0;
	buf_init(&b, ACL_MAX);
	int rc = add_number(&b, ACL_VERSION, 4, err);
	for (size_t i = 0; rc == 0 && i < sizeof tags / sizeof *tags; i++)
		rc = add_tag(e, type, i, &b, mask, err);
	if (rc == 0)
		archive_entry_xattr_add_entry(e, name, b.data, b.len);
	buf_done(&b);
	return rc;
}

int docker_acl_as_xattrs(struct archive_entry *e, struct err *err)
{
	int mask = -1, unused;
	if (convert(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access", &mask, err) < 0 ||
	    convert(e, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default", &unused, err) <
		0)
		return -1;
	archive_entry_acl_clear(e);
	/* The daemon sets the mode last, and what a mode says of the group is the ACL's mask. */
	if (mask >= 0)
		archive_entry_set_perm(e, (archive_entry_perm(e) & ~070U) | (__LA_MODE_T)mask << 3);
	return 0;
}
