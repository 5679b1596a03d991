#!/bin/sh
# Makes of the common root file system what one kind of image has: runs inside a container, whose state
# becomes the image. sh prepare.sh postgres|postgres-70|redis|valkey|pgbouncer|pgbouncer-bare
set -eu

# own NUMBER USER HOME: the server's user gets the number that it has in the official image, and whoever
# had it before moves out.
own() {
	for other in postgres redis valkey; do
		[ "$other" = "$2" ] || ! id "$other" >/dev/null 2>&1 || userdel "$other"
	done
	user=$(getent passwd "$1" | cut -d: -f1)
	[ -z "$user" ] || [ "$user" = "$2" ] || usermod -u 899 "$user"
	group=$(getent group "$1" | cut -d: -f1)
	[ -z "$group" ] || [ "$group" = "$2" ] || groupmod -g 899 "$group"
	groupadd -f "$2"
	groupmod -g "$1" "$2"
	usermod -u "$1" -g "$1" -d "$3" "$2"
}

postgres() {
	own "$1" postgres /var/lib/postgresql
	rm -rf /etc/postgresql/* /var/lib/postgresql/* /var/log/postgresql /usr/bin/redis-* /usr/bin/valkey-*
	major=$(ls /usr/lib/postgresql)
	sed -i "s/^#listen_addresses = 'localhost'/listen_addresses = '*'  /" \
		"/usr/share/postgresql/$major/postgresql.conf.sample"
	if [ "$major" -lt 18 ]; then
		chown postgres:postgres /var/lib/postgresql
		install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data
	else
		install -d -o postgres -g postgres -m 1777 /var/lib/postgresql
	fi
	install -d -o postgres -g postgres -m 3775 /var/run/postgresql
	mkdir -p /docker-entrypoint-initdb.d
}

# The pooler comes with PostgreSQL's client programs and runs as the same user from the start.
pgbouncer() {
	own 999 postgres /var/lib/postgresql
	rm -rf /usr/lib/postgresql/*/bin/postgres /usr/lib/postgresql/*/bin/postmaster /var/lib/postgresql/* \
		/etc/pgbouncer /usr/bin/redis-* /usr/bin/valkey-*
	install -d -o postgres -g postgres -m 0755 /etc/pgbouncer /var/run/pgbouncer /var/log/pgbouncer
}

case $1 in
postgres) postgres 999 ;;
# As Alpine numbers it.
postgres-70) postgres 70 ;;
redis)
	own 999 redis /data
	rm -rf /usr/lib/postgresql /usr/sbin/pgbouncer /usr/bin/valkey-* /var/lib/redis /var/log/redis
	install -d -o redis -g redis /data
	;;
valkey)
	own 999 valkey /data
	rm -rf /usr/lib/postgresql /usr/sbin/pgbouncer /usr/bin/redis-* /var/lib/valkey /var/log/valkey
	# It answers to the older names too.
	for program in server cli benchmark check-aof check-rdb; do
		ln -s "valkey-$program" "/usr/bin/redis-$program"
	done
	install -d -o valkey -g valkey /data
	;;
pgbouncer) pgbouncer ;;
# Nothing in it can be run but the pooler and the clients: no shell, no tar, no cat.
pgbouncer-bare)
	pgbouncer
	rm -f /bin/sh /bin/bash /bin/dash /usr/bin/perl* /bin/tar /bin/cat /bin/cp /bin/ls /usr/bin/find /bin/rm
	;;
esac
