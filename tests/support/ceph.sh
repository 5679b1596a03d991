#!/bin/bash
# A Ceph with a RADOS Gateway on 127.0.0.1, inside of the root that tests/support/ceph.py has made, as
# process 1 of its own. It takes commands from stdin, one to a line, and says "DONE status" after each.
# When stdin ends, so does everything.
# Its settings: OSDS STORE MGR PORT MON_PORT STS (not empty: session tokens)
set -eu
d=/var/lib/ceph/mini
fsid=$(cat /proc/sys/kernel/random/uuid)
copies=$((OSDS >= 3 ? 3 : 1))
mkdir -p $d /run/ceph
cat >/etc/ceph/ceph.conf <<CONF
[global]
fsid = $fsid
mon_host = [v2:127.0.0.1:$MON_PORT]
mon_initial_members = a
auth_allow_insecure_global_id_reclaim = false
keyring = $d/keyring
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
pid_file = /run/ceph/\$name.pid
admin_socket = /run/ceph/\$name.asok
log_file = /var/log/ceph/\$name.log
osd_crush_chooseleaf_type = 0
osd_pool_default_size = $copies
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_data_avail_warn = 2
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
[mon]
mon_data = $d/mon.\$id
[mgr]
mgr_data = $d/mgr.\$id
mgr_disabled_modules = dashboard restful cephadm rook k8sevents
[osd]
osd_data = $d/osd.\$id
osd_objectstore = $STORE
memstore_device_bytes = 8589934592
bluestore_block_size = 21474836480
bluestore_fsck_on_mount = false
osd_memory_target = 939524096
osd_mclock_skip_benchmark = true
[client]
rgw_frontends = beast endpoint=127.0.0.1:$PORT
rgw_thread_pool_size = 64
rgw_dns_name = localhost
rgw_enable_usage_log = false
rgw_bucket_quota_ttl = 0
rgw_gc_obj_min_wait = 5
${STS:+rgw_s3_auth_use_sts = true}
${STS:+rgw_sts_key = abcdefghijklmnop}
rgw_user_quota_bucket_sync_interval = 1
CONF
cap() {
	ceph-authtool $d/keyring --gen-key -n "$@" >/dev/null
}
ceph-authtool --create-keyring $d/keyring --gen-key -n mon. --cap mon 'allow *' >/dev/null
cap client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
cap client.rgw.a --cap mon 'allow rwx' --cap osd 'allow rwx' --cap mgr 'allow rw'
cap mgr.a --cap mon 'allow profile mgr' --cap osd 'allow *'
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$MON_PORT]" $d/monmap >/dev/null 2>&1
ceph-mon --mkfs -i a --monmap $d/monmap --keyring $d/keyring
ceph-mon -i a
if [ "$MGR" = 1 ]; then
	mkdir -p $d/mgr.a
	ceph-mgr -i a
fi
start_osd() {
	ceph-osd -i "$1" --keyring "$d/osd.$1/keyring" >>/var/log/ceph/start.log 2>&1
}
for i in $(seq 0 $((OSDS - 1))); do
	uuid=$(cat /proc/sys/kernel/random/uuid)
	key=$(ceph-authtool --gen-print-key)
	mkdir -p "$d/osd.$i"
	echo "{\"cephx_secret\":\"$key\"}" | ceph osd new "$uuid" "$i" -i - >/dev/null
	printf '[osd.%d]\n\tkey = %s\n' "$i" "$key" >"$d/osd.$i/keyring"
	ceph-osd -i "$i" --mkfs --osd-uuid "$uuid" --keyring "$d/osd.$i/keyring" >>/var/log/ceph/start.log 2>&1
	start_osd "$i"
done
for _ in $(seq 300); do
	ceph osd stat | grep -q "$OSDS up" && break
	sleep 0.1
done
for who in one two; do
	radosgw-admin user create --uid $who --display-name $who --access-key "AK${who}" --secret-key "SK${who}" \
		>>/var/log/ceph/start.log 2>&1
done
radosgw -n client.rgw.a --keyring $d/keyring >>/var/log/ceph/start.log 2>&1
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
