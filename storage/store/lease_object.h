/* The objects of leases: their names, and the JSON that says who holds them. */
#ifndef LIFEBOAT_STORAGE_STORE_LEASE_OBJECT_H
#define LIFEBOAT_STORAGE_STORE_LEASE_OBJECT_H

#include "base/process.h"
#include "storage/store/lease.h"

enum lease_kind { LEASE_LEASE, LEASE_MARK, LEASE_PROBE };
enum { LEASE_LAST_NUMBER = 999999999, LEASE_TOKEN_BYTES = 17 };

struct lease_name {
	enum lease_kind kind;
	char name[STORE_NAME_MAX + 1]; /* what comes before ".lease-" */
	unsigned number;               /* of a lease */
};
/* False for what is none; *ret is then untouched. */
bool lease_name_parse(const char *object, struct lease_name *ret);

struct lease_holder {
	struct process_name process;
	char command[33];
	char token[LEASE_TOKEN_BYTES];
	char since[32];
	int64_t good_for_ms;
	bool ended;
};
int lease_token(char out[LEASE_TOKEN_BYTES], struct err *err) MUST_USE;
/* free() the text. */
int lease_holder_text(const struct lease_holder *h, char **ret, struct err *err) MUST_USE;
/* What is no lease's JSON is a holder of whom nothing is known. ERR_ABSENT when it went away. */
int lease_holder_read(struct store *store, const char *object, struct lease_holder *ret,
		      struct err *err) MUST_USE;
/* "host a, pid 17 (backup)". */
void lease_holder_say(const struct lease_holder *h, char *out, size_t out_bytes);
/* At the store's time `now_ms`; INT64_MIN: that is not known. */
bool lease_holder_is_dead(const struct lease_holder *h, int64_t modified_ms, int64_t now_ms);

#endif
