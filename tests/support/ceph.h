/*
 * A real Ceph with its RADOS Gateway for a test (tests/support/ceph.py), two seconds to start.
 *
 *  1. ceph_start(&c)                 c.url, c.access_key, c.secret_key
 *  2. ceph_run(&c, "radosgw-admin …")
 *  3. ceph_stop(&c)
 *
 * Anything that fails ends the test.
 */
#ifndef LIFEBOAT_TESTS_CEPH_H
#define LIFEBOAT_TESTS_CEPH_H

#include "base/child.h"

struct ceph {
	struct child *child;
	char url[64];
	const char *access_key, *secret_key;
	unsigned osds; /* 0: OpenStack Swift, which has less */
	struct buf said;
};

/* As LIFEBOAT_TEST_CEPH says ("forky 3 bluestore", "swift 0 none"), else "trixie 1 memstore". */
void ceph_start(struct ceph *c);
void ceph_stop(struct ceph *c);
/* A command inside; what it printed, valid until the next. */
const char *ceph_run(struct ceph *c, const char *command);

#endif
