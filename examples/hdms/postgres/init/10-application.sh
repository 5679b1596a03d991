#!/bin/sh
# Once, when the data is made: the application's own user, and the database is its.
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
	--set user="$DB_USER" --set password="$DB_PASSWORD" --set db="$DB_NAME" <<'EOF'
CREATE ROLE :"user" LOGIN PASSWORD :'password';
ALTER DATABASE :"db" OWNER TO :"user";
EOF
