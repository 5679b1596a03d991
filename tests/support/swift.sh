#!/bin/bash
# Swift with s3api on 127.0.0.1, inside of the root that tests/support/swift.py has made, as process 1 of its
# own. Takes commands from stdin, as ceph.sh does.
#   PORT OBJECT CONTAINER ACCOUNT MEMCACHED
set -eu
mkdir -p /srv/node/sdb1 /var/cache/swift /run/swift /var/log/swift
cd /etc/swift
cat >swift.conf <<CONF
[swift-hash]
swift_hash_path_prefix = a
swift_hash_path_suffix = b
CONF
for kind in object container account; do
	upper=${kind^^}
	swift-ring-builder $kind.builder create 6 1 0 >/dev/null
	swift-ring-builder $kind.builder add "r1z1-127.0.0.1:${!upper}/sdb1" 1 >/dev/null
	swift-ring-builder $kind.builder rebalance >/dev/null 2>&1
	cat >$kind-server.conf <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${!upper}
user = root
devices = /srv/node
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
workers = 1
[pipeline:main]
pipeline = $kind-server
[app:$kind-server]
use = egg:swift#$kind
CONF
done
cat >proxy-server.conf <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $PORT
user = root
workers = 2
[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$MEMCACHED
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = SKone .admin
user_other_tester = SKtwo .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
[filter:symlink]
use = egg:swift#symlink
CONF
memcached -u root -l 127.0.0.1 -p "$MEMCACHED" -d
for kind in account container object proxy; do
	swift-$kind-server /etc/swift/$kind-server.conf >/var/log/swift/$kind.log 2>&1 </dev/null &
done
for _ in $(seq 300); do
	(exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && break
	sleep 0.1
done
echo READY
while read -r line; do
	status=0
	eval "$line" 2>&1 </dev/null || status=$?
	echo "DONE $status"
done
