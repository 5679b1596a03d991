#!/bin/sh
# Starts PgBouncer. An empty volume gets its first pgbouncer.ini and userlist.txt; what is there already
# stays as it is. Only environment.ini is written at every start.
set -eu
etc=/etc/pgbouncer
umask 077

# Quotes of userlist.txt are doubled inside.
quoted() {
	printf '"%s"' "$(printf '%s' "$1" | sed 's/"/""/g')"
}

[ -s "$etc/userlist.txt" ] || echo "$(quoted "$DB_USER") $(quoted "$DB_PASSWORD")" >"$etc/userlist.txt"
cat >"$etc/environment.ini" <<EOF
default_pool_size = ${DEFAULT_POOL_SIZE:-25}
max_client_conn = ${MAX_CLIENT_CONN:-500}
stats_users = $DB_USER
EOF
[ -s "$etc/pgbouncer.ini" ] || cp "${0%/*}/pgbouncer.ini" "$etc/pgbouncer.ini"
exec "$@"
