#!/bin/sh
# Makes of the common root file system what one kind of image has: runs inside a container, whose state
# becomes the image. sh prepare.sh postgres|redis|valkey|pgbouncer
set -eu

# The official images' servers are all user 999, each in its own image.
become_999() {
	for user in postgres redis valkey; do
		[ "$user" = "$1" ] || ! id "$user" >/dev/null 2>&1 || userdel "$user"
	done
	groupadd -o -f -g 999 "$1"
	groupmod -o -g 999 "$1"
	usermod -u 999 -g 999 -d "$2" "$1"
}

case $1 in
postgres)
	become_999 postgres /var/lib/postgresql
	rm -rf /etc/postgresql/* /var/lib/postgresql/* /var/log/postgresql
	major=$(ls /usr/lib/postgresql)
	sed -i "s/^#listen_addresses = 'localhost'/listen_addresses = '*'  /" \
		"/usr/share/postgresql/$major/postgresql.conf.sample"
	if [ "$major" -lt 18 ]; then
		install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data
	fi
	chown postgres:postgres /var/lib/postgresql
	install -d -o postgres -g postgres -m 3775 /var/run/postgresql
	mkdir -p /docker-entrypoint-initdb.d
	;;
redis | valkey)
	become_999 "$1" /data
	rm -rf /usr/lib/postgresql /usr/sbin/pgbouncer "/var/lib/$1" "/var/log/$1"
	case $1 in
	redis) rm -f /usr/bin/valkey-* ;;
	valkey) rm -f /usr/bin/redis-* ;;
	esac
	install -d -o "$1" -g "$1" /data
	;;
pgbouncer)
	# The pooler comes with PostgreSQL's client programs and runs as the same user from the start.
	become_999 postgres /var/lib/postgresql
	rm -rf /usr/lib/postgresql/*/bin/postgres /var/lib/postgresql/* /etc/pgbouncer /usr/bin/redis-* /usr/bin/valkey-*
	install -d -o postgres -g postgres -m 0755 /etc/pgbouncer /var/run/pgbouncer /var/log/pgbouncer
	;;
esac
