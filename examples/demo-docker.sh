#!/bin/sh
# The demo on a Compose stack: sh examples/demo.sh --docker calls this with LIFEBOAT set to the program.
#
# Brings up a copy of examples/hdms under a project name of its own, fills it with the help desk's data,
# runs every command of the main job, compares what came back with what was there, and removes all that
# bears that name. Images are those of examples/hdms/.env.example, or what POSTGRES_IMAGE, REDIS_IMAGE and
# PGBOUNCER_IMAGE say.
set -eu
cd "$(dirname "$0")/.."
helpdesk=$PWD/examples/helpdesk
project=lifeboatdemo$$

if docker compose version >/dev/null 2>&1; then
	compose='docker compose'
elif command -v docker-compose >/dev/null; then
	compose=docker-compose
else
	echo 'the demo needs Docker Compose: install docker-compose' >&2
	exit 1
fi

# ---------------------------------------------------------------- a folder, a clean end
demo=$(mktemp -d)
stack=$demo/hdms

# By labels: what Compose made for this project, and what lifeboat made for this stack.
remove_all() {
	for label in "com.docker.compose.project=$project" "org.lifeboat.stack=$project"; do
		docker ps -aq --filter "label=$label" | xargs -r docker rm -fv
		docker network ls -q --filter "label=$label" | xargs -r docker network rm
		docker volume ls -q --filter "label=$label" | xargs -r docker volume rm
	done
}
cleanup() {
	status=$?
	trap - EXIT INT TERM
	if [ $status -ne 0 ]; then
		echo
		echo "The demo FAILED (status $status). The servers' last words:"
		(cd "$stack" && $compose logs --tail 5 2>/dev/null) || true
	fi
	remove_all >/dev/null 2>&1 || true
	rm -rf "$demo"
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ---------------------------------------------------------------- the stack
echo "Bringing up PostgreSQL, PgBouncer and Redis as the Compose project $project ..."
cp -R examples/hdms "$stack"
for example in "$stack"/.env.example "$stack"/*/.env.example; do
	cp "$example" "${example%.example}"
done
chmod 600 "$stack"/.env "$stack"/*/.env
# put FILE NAME VALUE: into a .env file, where the name may stand as a comment.
put() {
	sed -i "s|^#\{0,1\}$2=.*|$2=$3|" "$stack/$1"
}
put .env COMPOSE_PROJECT_NAME "$project"
[ -z "${POSTGRES_IMAGE:-}" ] || put .env POSTGRES_IMAGE "$POSTGRES_IMAGE"
[ -z "${REDIS_IMAGE:-}" ] || put .env REDIS_IMAGE "$REDIS_IMAGE"
[ -z "${PGBOUNCER_IMAGE:-}" ] || put .env PGBOUNCER_IMAGE "$PGBOUNCER_IMAGE"
put postgres/.env POSTGRES_PASSWORD correct-horse
put app/.env DB_PASSWORD app-horse
put redis/.env REDIS_PASSWORD battery-staple
put redis/.env REDISCLI_AUTH battery-staple
sed -i -e "s|^name = .*|name = $project|" -e "s|^url = file:.*|url = file://$demo/store|" "$stack/agent.conf"
# The stack's own checks come every 30 s; the demo need not wait for them.
cat >"$stack/compose.override.yaml" <<'EOF'
services:
  postgres:
    healthcheck: {interval: 1s, start_period: 120s}
  pgbouncer:
    healthcheck: {interval: 1s, start_period: 120s}
  redis:
    healthcheck: {interval: 1s, start_period: 120s}
EOF
cd "$stack"
$compose up -d >"$demo/up.log" 2>&1 || {
	cat "$demo/up.log"
	exit 1
}
# container SERVICE: its id.
container() {
	docker ps -q --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1"
}
for service in postgres pgbouncer redis; do
	tries=0
	until [ "$(docker inspect -f '{{.State.Health.Status}}' "$(container $service)")" = healthy ]; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || {
			echo "$service never became healthy" >&2
			exit 1
		}
		sleep 0.2
	done
done
# By TCP: a first start has a temporary server on the socket.
until docker exec "$(container postgres)" pg_isready -q -h 127.0.0.1; do
	sleep 0.2
done

in_postgres() {
	docker exec -i "$(container postgres)" "$@"
}
in_redis() {
	docker exec -i "$(container redis)" "$@"
}
# The database is there already, and is the application's.
{
	sed 's/^CREATE DATABASE hdms_db OWNER/ALTER DATABASE hdms_db OWNER TO/' "$helpdesk/1-globals.sql"
	echo 'GRANT helpdesk_owner TO hdms;'
} | in_postgres psql -Xq -v ON_ERROR_STOP=1 -U postgres -d postgres
{
	echo 'GRANT ALL ON SCHEMA public TO helpdesk_owner, hdms;'
	cat "$helpdesk/2-hdms_db.sql"
} | in_postgres psql -Xq -v ON_ERROR_STOP=1 -U postgres -d hdms_db >/dev/null
in_postgres psql -Xq -v ON_ERROR_STOP=1 -U postgres -d hdms_audit <"$helpdesk/3-hdms_audit.sql" >/dev/null
in_redis redis-cli <"$helpdesk/redis.txt" >/dev/null

# ---------------------------------------------------------------- what lifeboat says
lifeboat() {
	printf '\n$ lifeboat %s\n' "$*"
	"$LIFEBOAT" "$@"
}

lifeboat check
lifeboat backup --label demo
lifeboat list
lifeboat show
lifeboat verify
lifeboat drill
lifeboat restore --as proof --up
lifeboat list

# ---------------------------------------------------------------- what came back
# The restored servers are still up, on a network without a way out.
echo
echo 'Comparing the restored volumes with the originals ...'
restored() {
	docker ps -q --filter "label=org.lifeboat.stack=$project" --filter "label=org.lifeboat.for=$1"
}
# same NAME ORIGINAL RESTORED COMMAND...: in both containers it says the same.
# pg_dump marks each plain dump with a random key; that line alone is left out.
same() {
	what=$1 original=$2 copy=$3
	shift 3
	docker exec "$original" "$@" | sed '/^\\\(un\)\{0,1\}restrict /d' >"$demo/original"
	docker exec "$copy" "$@" | sed '/^\\\(un\)\{0,1\}restrict /d' >"$demo/restored"
	if ! cmp -s "$demo/original" "$demo/restored"; then
		echo "  DIFFERENT: $what"
		diff "$demo/original" "$demo/restored" | head -n 20
		exit 1
	fi
	[ -s "$demo/original" ] || {
		echo "  NOTHING TO COMPARE: $what"
		exit 1
	}
	printf '  identical: %-42s %9s bytes\n' "$what" "$(wc -c <"$demo/original")"
}
for database in hdms_db hdms_audit; do
	same "pg_dump of $database" "$(container postgres)" "$(restored postgres)" \
		pg_dump --create -U postgres -d "$database"
done
same 'pg_dumpall --globals-only' "$(container postgres)" "$(restored postgres)" \
	pg_dumpall --globals-only -U postgres
# Every key of the three databases: name, type, expiry and a hash of its value.
for side in "$(container redis)" "$(restored redis)"; do
	docker cp "$helpdesk/contents.lua" "$side:/contents.lua" >/dev/null 2>&1
done
for db in 0 1 2; do
	same "keys of Redis database $db" "$(container redis)" "$(restored redis)" \
		redis-cli --no-auth-warning -a battery-staple -n $db --no-raw --eval /contents.lua
done
echo
echo 'Proven: both databases, all roles and every key came back from one archive, byte for byte.'
