#!/bin/sh
# Lifeboat on a small real stack, from nothing to a proven restore: sh examples/demo.sh
#
# On a bare Debian 12, as root or with sudo. Installs Debian packages, builds the program, starts
# PostgreSQL, Redis and PgBouncer with a help desk's data in a temporary folder, runs every command
# of the main job, compares what came back with what was there, and cleans up. With --docker it does
# so on a Compose stack (examples/demo-docker.sh) where Docker is there.
set -eu
cd "$(dirname "$0")/.."
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C.UTF-8

# ---------------------------------------------------------------- the program
sh packaging/install-packages.sh build demo
if [ -z "${LIFEBOAT:-}" ]; then
	echo 'Building (build/release) ...'
	log=$(mktemp)
	{ cmake --preset release -DBUILD_TESTING=OFF && cmake --build build/release; } >"$log" 2>&1 || {
		cat "$log"
		exit 1
	}
	rm -f "$log"
	LIFEBOAT=$PWD/build/release/lifeboat
fi
if [ "${1:-}" = --docker ]; then
	if docker version >/dev/null 2>&1; then
		export LIFEBOAT
		exec sh examples/demo-docker.sh
	fi
	echo 'Docker does not answer here: the demo goes on with servers of this machine.'
fi
# Of tests/run.sh, where it is set; lifeboat takes it for a key of agent.conf that it does not know.
unset LIFEBOAT_BUILD
helpdesk=$PWD/examples/helpdesk
pgbin=$(find /usr/lib/postgresql -path '*/bin/initdb' | sort -V | tail -n 1)
pgbin=${pgbin%/initdb}

# ---------------------------------------------------------------- a folder, ports, a clean end
demo=$(mktemp -d)
chmod 755 "$demo"
mkdir "$demo/volumes" "$demo/run" "$demo/compare"
servers=
as_server=
if [ "$(id -u)" -eq 0 ]; then
	as_server='setpriv --reuid=postgres --regid=postgres --init-groups'
	chown postgres "$demo/volumes" "$demo/run"
fi

cleanup() {
	status=$?
	trap - EXIT INT TERM
	for pid in $servers; do
		kill -INT "$pid" 2>/dev/null || true
	done
	for pid in $servers; do
		tries=0
		while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do
			sleep 0.1
			tries=$((tries + 1))
		done
		kill -KILL "$pid" 2>/dev/null || true
	done
	if [ $status -ne 0 ]; then
		echo
		echo "The demo FAILED (status $status). The servers' last words:"
		tail -n 5 "$demo"/*.log 2>/dev/null || true
	fi
	rm -rf "$demo"
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Three ports that nobody listens on.
free_ports() {
	port=$((20000 + $$ % 10000))
	found=
	count=0
	while [ $count -lt "$1" ]; do
		port=$((port + 1))
		hex=$(printf '%04X' $port)
		if ! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ":$hex 0*:0000 0A"; then
			found="$found $port"
			count=$((count + 1))
		fi
	done
	echo "$found"
}
# shellcheck disable=SC2046
set -- $(free_ports 5)
pg_port=$1 redis_port=$2 bouncer_port=$3 proof_pg_port=$4 proof_redis_port=$5

# server LOG COMMAND...: in the background, as the user that servers run as; its pid is in $last.
server() {
	log=$demo/$1.log
	shift
	# shellcheck disable=SC2086
	(cd / && exec $as_server "$@") >"$log" 2>&1 </dev/null &
	last=$!
	servers="$last $servers"
}
# until_works COMMAND...: for at most 30 s.
until_works() {
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || {
			echo "this never worked: $*" >&2
			return 1
		}
		sleep 0.1
	done
}
fill_in() {
	sed -e "s|@FOLDER@|$demo|g" -e "s|@VOLUME@|$demo/volumes/pgbouncer_data|g" \
		-e "s|@POSTGRES_PORT@|$pg_port|g" -e "s|@REDIS_PORT@|$redis_port|g" \
		-e "s|@PGBOUNCER_PORT@|$bouncer_port|g" -e "s|@PORT@|$bouncer_port|g" "$1"
}

# ---------------------------------------------------------------- the stack
echo "Starting PostgreSQL, Redis and PgBouncer in $demo ..."
cp "$helpdesk/env" "$demo/.env"
chmod 600 "$demo/.env"
# shellcheck source=/dev/null
. "$demo/.env"
fill_in "$helpdesk/agent.conf" >"$demo/agent.conf"
chmod 600 "$demo/agent.conf"
# For the servers' eyes alone.
keep_secret() {
	chmod 600 "$@"
	[ -z "$as_server" ] || chown postgres:postgres "$@"
}
volume() {
	mkdir "$demo/volumes/$1"
	[ -z "$as_server" ] || chown postgres:postgres "$demo/volumes/$1"
}
export PGHOST=127.0.0.1 PGPORT="$pg_port" PGUSER="$DB_USER" PGPASSWORD="$DB_PASSWORD" PGDATABASE=postgres
export REDISCLI_AUTH="$REDIS_PASSWORD"

volume postgres_data
echo "$DB_PASSWORD" >"$demo/run/password"
keep_secret "$demo/run/password"
# shellcheck disable=SC2086
(cd / && $as_server $pgbin/initdb -D "$demo/volumes/postgres_data" --username="$DB_USER" \
	--pwfile="$demo/run/password" --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums) >/dev/null
cat >>"$demo/volumes/postgres_data/postgresql.conf" <<EOF
listen_addresses = '127.0.0.1'
port = $pg_port
unix_socket_directories = '$demo/run'
wal_level = logical
EOF
server postgres $pgbin/postgres -D "$demo/volumes/postgres_data"
until_works psql -c 'SELECT 1'
psql -Xq -v ON_ERROR_STOP=1 -f "$helpdesk/1-globals.sql"
psql -Xq -v ON_ERROR_STOP=1 -d hdms_db -f "$helpdesk/2-hdms_db.sql" >/dev/null
psql -Xq -v ON_ERROR_STOP=1 -d hdms_audit -f "$helpdesk/3-hdms_audit.sql" >/dev/null

volume redis_data
printf 'bind 127.0.0.1\nport %s\ndir %s\nrequirepass %s\nappendonly yes\n' \
	"$redis_port" "$demo/volumes/redis_data" "$REDIS_PASSWORD" >"$demo/redis.conf"
keep_secret "$demo/redis.conf"
server redis redis-server "$demo/redis.conf"
until_works redis-cli -e -p "$redis_port" PING
redis-cli -p "$redis_port" <"$helpdesk/redis.txt" >/dev/null

volume pgbouncer_data
for file in pgbouncer.ini databases.ini; do
	fill_in "$helpdesk/$file" >"$demo/volumes/pgbouncer_data/$file"
done
psql -XqAt -c "SELECT format('\"%s\" \"%s\"', rolname, rolpassword) FROM pg_authid WHERE rolpassword IS NOT NULL" \
	>"$demo/volumes/pgbouncer_data/userlist.txt"
keep_secret "$demo"/volumes/pgbouncer_data/*
server pgbouncer pgbouncer "$demo/volumes/pgbouncer_data/pgbouncer.ini"
until_works psql -p "$bouncer_port" -d hdms_db -c 'SELECT 1'

# ---------------------------------------------------------------- what lifeboat says
cd "$demo"
lifeboat() {
	printf '\n$ lifeboat %s\n' "$*"
	"$LIFEBOAT" "$@"
}

lifeboat check
lifeboat backup --label demo
lifeboat list
lifeboat show
lifeboat verify
lifeboat restore --as proof
lifeboat drill
lifeboat list

# ---------------------------------------------------------------- what came back
# The restored volumes get servers of their own, and are compared with production from outside.
echo
echo 'Comparing the restored volumes with the originals ...'
# shellcheck disable=SC2086
server restored-postgres $pgbin/postgres -D "$demo/volumes/postgres_data_proof" \
	-c port="$proof_pg_port" -c unix_socket_directories="$demo/run"
until_works psql -p "$proof_pg_port" -c 'SELECT 1'
printf 'bind 127.0.0.1\nport %s\ndir %s\nrequirepass %s\nappendonly yes\n' \
	"$proof_redis_port" "$demo/volumes/redis_data_proof" "$REDIS_PASSWORD" >"$demo/restored-redis.conf"
keep_secret "$demo/restored-redis.conf"
server restored-redis redis-server "$demo/restored-redis.conf"
until_works redis-cli -e -p "$proof_redis_port" PING

# same NAME COMMAND...: its output, with PORT replaced, is the same on both sides.
# pg_dump marks each plain dump with a random key; that line alone is left out.
same() {
	what=$1 original=$2 restored=$3
	shift 3
	"$@" "$original" | sed '/^\\\(un\)\{0,1\}restrict /d' >"$demo/compare/original"
	"$@" "$restored" | sed '/^\\\(un\)\{0,1\}restrict /d' >"$demo/compare/restored"
	if ! cmp -s "$demo/compare/original" "$demo/compare/restored"; then
		echo "  DIFFERENT: $what"
		diff "$demo/compare/original" "$demo/compare/restored" | head -n 20
		exit 1
	fi
	[ -s "$demo/compare/original" ] || {
		echo "  NOTHING TO COMPARE: $what"
		exit 1
	}
	printf '  identical: %-42s %9s bytes\n' "$what" "$(wc -c <"$demo/compare/original")"
}
dump_of() { pg_dump --create -d "$1" -p "$2"; }
globals_at() { pg_dumpall --globals-only -p "$1"; }
# Every key of the three databases: name, type, expiry and a hash of its value.
redis_at() {
	for db in 0 1 2; do
		redis-cli -p "$1" -n $db --no-raw --eval "$helpdesk/contents.lua"
	done
}
same "pg_dump of hdms_db" "$pg_port" "$proof_pg_port" dump_of hdms_db
same "pg_dump of hdms_audit" "$pg_port" "$proof_pg_port" dump_of hdms_audit
same "pg_dumpall --globals-only" "$pg_port" "$proof_pg_port" globals_at
same "keys of Redis, with type, expiry and value" "$redis_port" "$proof_redis_port" redis_at

tickets=$(psql -XqAt -p "$proof_pg_port" -d hdms_db -c 'SELECT count(*) FROM tickets')
keys=$(wc -l <"$demo/compare/restored")
echo
echo "Proven: $tickets tickets, both databases, all roles and $keys keys came back from one archive, byte for byte."
