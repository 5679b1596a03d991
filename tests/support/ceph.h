/*
 * A real Ceph with its RADOS Gateway for a test (tests/support/ceph.py), two seconds to start.
 *
 *  1. ceph_start(&c)                 c.url; the keys are CEPH_ACCESS_KEY and CEPH_SECRET_KEY
 *  2. ceph_run(&c, "radosgw-admin …")
 *  3. ceph_stop(&c)
 *
 * Anything that fails ends the test.
 */
#ifndef LIFEBOAT_TESTS_CEPH_H
#define LIFEBOAT_TESTS_CEPH_H

#include "base/child.h"

#define CEPH_ACCESS_KEY "AKone"
#define CEPH_SECRET_KEY "SKone"

struct ceph {
	struct child *child;
	char url[64];
	unsigned osds;
	struct buf said;
};

/* As LIFEBOAT_TEST_CEPH says ("forky 3 bluestore"), else "trixie 1 memstore". */
void ceph_start(struct ceph *c);
void ceph_stop(struct ceph *c);
/* A command inside; what it printed, valid until the next. */
const char *ceph_run(struct ceph *c, const char *command);

#endif
