#!/bin/bash
# Does what the application does, with its own variables, and says of each thing whether it works:
# transaction pooling, the timeouts, and the three databases of Redis. Needs bash and psql.
set -u
failed=0

passed() { printf 'ok      %s\n' "$*"; }
broken() {
	printf 'FAILED  %s\n' "$*"
	failed=1
}

export PGHOST=$DB_HOST PGPORT=$DB_PORT PGUSER=$DB_USER PGPASSWORD=$DB_PASSWORD PGDATABASE=$DB_NAME
export PGCONNECT_TIMEOUT=$DB_CONNECT_TIMEOUT
# As Django's OPTIONS send it.
export PGOPTIONS="-c statement_timeout=$DB_STATEMENT_TIMEOUT"
sql() { psql -XqAt -v ON_ERROR_STOP=1 "$@"; }

# A server that accepts and then says nothing: PostgreSQL's greeting is half a line to Redis, which waits
# for the rest. It takes as long as connecting may take, so it runs beside everything else.
place=${REDIS_CACHE_URL##*@}
place=${place#redis://}
place=${place%%/*}
(
	begin=$(date +%s)
	psql -h "${place%:*}" -p "${place#*:}" -c 'SELECT 1' >/dev/null 2>&1 && exit 1
	took=$(($(date +%s) - begin))
	[ $took -ge $((DB_CONNECT_TIMEOUT - 1)) ] && [ $took -le $((DB_CONNECT_TIMEOUT * 3)) ]
) &
silence=$!

# ---- through the pooler
port=$(sql -c 'SELECT inet_server_port()')
if [ "$port" = 5432 ] && [ "$DB_PORT" != 5432 ]; then
	passed "connected through $DB_HOST:$DB_PORT to $DB_NAME as $DB_USER"
else
	broken "no connection through $DB_HOST:$DB_PORT, or no pooler behind it: '$port'"
fi

mode=$(sql -d pgbouncer -F ' ' -c 'SHOW CONFIG' | awk '$1 == "pool_mode" {print $2}')
pool=$(sql -d pgbouncer -F ' ' -c 'SHOW CONFIG' | awk '$1 == "default_pool_size" {print $2}')
if [ "$mode" = transaction ]; then passed "pool_mode = $mode"; else broken "pool_mode = '$mode'"; fi

# More clients than there are connections to the server: all get their turn, and they share.
clients=$((${pool:-25} * 2))
pids=$(
	waiting=
	for _ in $(seq $clients); do
		sql -c BEGIN -c 'SELECT pg_backend_pid() FROM pg_sleep(0.2)' -c COMMIT &
		waiting="$waiting $!"
	done
	# shellcheck disable=SC2086
	wait $waiting
)
answers=$(printf '%s\n' "$pids" | grep -c .)
servers=$(printf '%s\n' "$pids" | sort -u | grep -c .)
if [ "$answers" -eq $clients ] && [ "$servers" -le "${pool:-0}" ]; then
	passed "pooling: $clients clients shared $servers of at most $pool connections"
else
	broken "pooling: $answers of $clients clients were served, by $servers connections (at most '$pool')"
fi

# ---- a timeout of statements
limit=$(sql -c 'SHOW statement_timeout')
if [ "$limit" = "$DB_STATEMENT_TIMEOUT" ]; then
	passed "statement_timeout = $limit"
else
	broken "statement_timeout = '$limit', and not '$DB_STATEMENT_TIMEOUT'"
fi
# ---- Redis, in its inline protocol
# redis URL COMMAND...: the last command's answer, one line of it.
redis() {
	local url=$1 rest password='' place database command line
	shift
	rest=${url#redis://}
	case $rest in
	*@*)
		password=${rest%@*}
		password=${password#*:}
		rest=${rest##*@}
		;;
	esac
	place=${rest%%/*} database=${rest#*/}
	exec 3<>"/dev/tcp/${place%:*}/${place#*:}" || return 1
	[ -z "$password" ] || printf 'AUTH "%s"\r\n' "$password" >&3
	printf 'SELECT %s\r\n' "$database" >&3
	for command in "$@"; do
		printf '%s\r\n' "$command" >&3
	done
	printf 'QUIT\r\n' >&3
	tr -d '\r' <&3 | sed '$d' | tail -n 1
	exec 3>&-
}

mark="check-$$-$(date +%s)"
for url in "$REDIS_CACHE_URL" "$REDIS_CHANNELS_URL" "$REDIS_BROKER_URL"; do
	database=${url##*/}
	set_answer=$(redis "$url" "SET $mark in-$database EX 60")
	get_answer=$(redis "$url" "GET $mark")
	gone=$(redis "$url" "DEL $mark")
	if [ "$set_answer $get_answer $gone" = "+OK in-$database :1" ]; then
		passed "Redis database $database: written, read, deleted"
	else
		broken "Redis database $database: '$set_answer', '$get_answer', '$gone'"
	fi
done

if wait $silence; then
	passed "connect_timeout: gave up on a silent server after $DB_CONNECT_TIMEOUT s"
else
	broken "connect_timeout: it was not $DB_CONNECT_TIMEOUT s after which a silent server was given up"
fi

exit $failed
