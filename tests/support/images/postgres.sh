#!/bin/sh
# What the tests' PostgreSQL images start with. It does what the official images do where a backup can
# notice: the same variables, owner and data path, a first start on the Unix socket alone, and trust for
# local connections but passwords for all others.
set -eu

# from_file NAME: takes NAME's value from the file that NAME_FILE names.
from_file() {
	eval "file=\${$1_FILE:-}"
	[ -z "$file" ] || export "$1=$(cat "$file")"
	unset "$1_FILE"
}

make_folders() {
	mkdir -p "$PGDATA" /var/run/postgresql
	# With a volume of another owner these may fail; the server then says what is wrong.
	chmod 00700 "$PGDATA" || :
	chmod 03775 /var/run/postgresql || :
	[ "$(id -u)" -eq 0 ] || return 0
	find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
}

# From 18 on the data stands in a folder of the major version, and the volume is one level up: data of
# an older image, or a volume at the older place, would silently be left out.
refuse_old_layout() {
	[ "$PG_MAJOR" -ge 18 ] || return 0
	old=
	for place in /var/lib/postgresql /var/lib/postgresql/data; do
		[ ! -s "$place/PG_VERSION" ] || old="$old $place"
	done
	if [ "$PGDATA" != /var/lib/postgresql/data ] && grep -q ' /var/lib/postgresql/data ' /proc/self/mountinfo; then
		old="$old /var/lib/postgresql/data (unused mount/volume)"
	fi
	[ -n "$old" ] || return 0
	echo "Error: in 18+, these images keep data in $PGDATA, but there is PostgreSQL data in:$old" >&2
	exit 1
}

temporary_server() {
	set -- "$@" -c listen_addresses= -p "${PGPORT:-5432}"
	quoted=
	for word in "$@"; do
		quoted="$quoted '$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'"
	done
	NOTIFY_SOCKET='' PGUSER=${PGUSER:-$POSTGRES_USER} pg_ctl -D "$PGDATA" -o "$quoted" -w start
}

as_admin() {
	PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" "$@"
}

make_database() {
	[ "$POSTGRES_DB" != postgres ] || return 0
	printf '%s\n' 'CREATE DATABASE :"db" ;' | as_admin --dbname postgres --set db="$POSTGRES_DB"
}

run_init_files() {
	for file in /docker-entrypoint-initdb.d/*; do
		case $file in
		*.sh)
			if [ -x "$file" ]; then "$file"; else . "$file"; fi
			;;
		*.sql) as_admin --dbname "$POSTGRES_DB" -f "$file" ;;
		*.sql.gz) gunzip -c "$file" | as_admin --dbname "$POSTGRES_DB" ;;
		*.sql.zst) zstd -dc "$file" | as_admin --dbname "$POSTGRES_DB" ;;
		esac
	done
}

first_start() {
	if [ -z "$POSTGRES_PASSWORD" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
		echo 'Error: Database is uninitialized and superuser password is not specified.' >&2
		exit 1
	fi
	password=$(mktemp)
	printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
	eval "initdb --username=\"\$POSTGRES_USER\" --pwfile=\"\$password\" ${POSTGRES_INITDB_ARGS:-} -D \"\$PGDATA\""
	rm -f "$password"
	method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -D "$PGDATA" -C password_encryption "$@")}
	printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
	export PGPASSWORD="$POSTGRES_PASSWORD"
	temporary_server "$@"
	make_database
	run_init_files
	pg_ctl -D "$PGDATA" -m fast -w stop
	unset PGPASSWORD
	printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

case ${1:-} in
-*) set -- postgres "$@" ;;
esac
if [ "${1:-}" = postgres ]; then
	make_folders
	if [ "$(id -u)" -eq 0 ]; then
		exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
	fi
	from_file POSTGRES_PASSWORD
	from_file POSTGRES_USER
	from_file POSTGRES_DB
	from_file POSTGRES_INITDB_ARGS
	: "${POSTGRES_USER:=postgres}" "${POSTGRES_PASSWORD:=}"
	: "${POSTGRES_DB:=$POSTGRES_USER}"
	if [ -s "$PGDATA/PG_VERSION" ]; then
		printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
	else
		refuse_old_layout
		shift
		first_start "$@"
		set -- postgres "$@"
	fi
fi
exec "$@"
