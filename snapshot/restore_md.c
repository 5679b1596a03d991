/*
 * RESTORE.md, the first member of every archive: how to restore this very archive by hand, with
 * nothing but sh, zstd, tar, psql, pg_restore and redis-server, and with its own names in it.
 *
 * The text is written before the dumps are, so it knows what will be taken and not yet how much.
 * Every line in a code block is meant to be pasted as it stands; a test does just that.
 */
#include <stdlib.h>
#include <string.h>
#include "snapshot/snapshot.h"
#include "storage/store/decrypting.h"

/* 'text' for the shell. */
static int put_quoted(struct buf *b, const char *text, struct err *err)
{
	if (buf_puts(b, "'", err) < 0)
		return -1;
	for (const char *p = text; *p != '\0'; p++)
		if ((*p == '\'' ? buf_puts(b, "'\\''", err) : buf_append(b, p, 1, err)) < 0)
			return -1;
	return buf_puts(b, "'", err);
}

/* Text with one %s, which is quoted for the shell. */
static int put_with(struct buf *b, const char *before, const char *text, const char *after,
		    struct err *err)
{
	if (buf_puts(b, before, err) < 0 || put_quoted(b, text, err) < 0)
		return -1;
	return buf_puts(b, after, err);
}

static int put_intro(struct buf *b, const json_t *manifest, const char *archive, struct err *err)
{
	bool encrypted = storage_is_encrypted(archive);
	if (buf_printf(
		b, err,
		"# How to restore this archive by hand\n\n"
		"This is the backup `%s` of the stack `%s`, begun at %s. It is a tar file in "
		"zstd frames%s`zstd`, `tar` and the servers' own programs are all that is "
		"needed.\n\n"
		"The commands below are to be pasted into one `sh`, as the user that the "
		"servers will run as (often `postgres`). Nothing existing is written over: "
		"choose a new, empty folder.\n\n",
		json_str_or(manifest, "id", "?"), json_str_or(manifest, "stack", "?"),
		json_str_or(manifest, "started", "?"),
		encrypted ? ", encrypted by `age`: `age`, an identity that opens it, " : ": ") < 0)
		return -1;
	if (put_with(b, "```sh\nset -eu\nARCHIVE=${ARCHIVE:-", archive, "}\n", err) < 0)
		return -1;
	if (buf_puts(b,
		     "RESTORED=${RESTORED:-$PWD/restored}\n"
		     "mkdir -m 700 \"$RESTORED\"\n",
		     err) < 0)
		return -1;
	if (encrypted &&
	    buf_puts(b,
		     "case $ARCHIVE in *.age)         # not after `lifeboat unlock`\n"
		     "  age -d -i \"${IDENTITY:-identity.txt}\" -o \"$RESTORED/archive.tar.zst\" "
		     "\"$ARCHIVE\"\n"
		     "  ARCHIVE=$RESTORED/archive.tar.zst;;\nesac\n",
		     err) < 0)
		return -1;
	if (buf_puts(
		b,
		"zstd -tq \"$ARCHIVE\"            # every frame carries a checksum\n"
		"member() { zstd -dcq \"$ARCHIVE\" | tar -xOf - --wildcards \"$1\"; }\n"
		"```\n\n"
		"`manifest.json`, the last member, says what there should be: rows and a digest "
		"for each table, keys for each Redis database, SHA-256 for each stream. "
		"`member manifest.json` prints it.\n\n",
		err) < 0)
		return -1;
	return encrypted ? buf_puts(b,
				    "`archive.tar.zst` is the archive without its encryption, and "
				    "has what it protected: remove it in the end.\n\n",
				    err)
			 : 0;
}

static int put_initdb(struct buf *b, const json_t *server, struct err *err)
{
	const char *provider = json_str_or(server, "locale_provider", "libc");
	uint64_t major = json_u64_or(server, "major", 0);
	if (buf_printf(b, err,
		       "PGBIN=${PGBIN:-/usr/lib/postgresql/%llu/bin}\nPGDATA=$RESTORED/postgres\n"
		       "SOCKET=$(mktemp -d)\n\"$PGBIN/initdb\" -D \"$PGDATA\"",
		       (unsigned long long)major) < 0 ||
	    put_with(b, " --username=", json_str_or(server, "bootstrap_role", "postgres"), "",
		     err) < 0 ||
	    put_with(b, " --encoding=", json_str_or(server, "encoding", "UTF8"), "", err) < 0 ||
	    put_with(b, " --lc-collate=", json_str_or(server, "collate", "C"), "", err) < 0 ||
	    put_with(b, " --lc-ctype=", json_str_or(server, "ctype", "C"), "", err) < 0)
		return -1;
	if (strcmp(provider, "libc") != 0) {
		const char *option =
		    strcmp(provider, "builtin") == 0 ? " --builtin-locale=" : " --icu-locale=";
		if (put_with(b, " --locale-provider=", provider, "", err) < 0 ||
		    put_with(b, option, json_str_or(server, "icu_locale", ""), "", err) < 0)
			return -1;
	}
	bool checksums = json_is_true(json_object_get(server, "data_checksums"));
	if (buf_puts(b,
		     checksums     ? " --data-checksums"
		     : major >= 18 ? " --no-data-checksums"
				   : "",
		     err) < 0)
		return -1;
	return buf_puts(b,
			" >\"$RESTORED/initdb.log\"\n"
			"\"$PGBIN/pg_ctl\" -D \"$PGDATA\" -l \"$RESTORED/load.log\" -w -t 600 \\\n"
			"  -o \"-c listen_addresses='' -c unix_socket_directories=$SOCKET\" start\n"
			"export PGHOST=$SOCKET PGPORT=5432",
			err);
}

static int put_database(struct buf *b, const char *name, const char *maintenance, struct err *err)
{
	CLEANUP(freep) char *encoded = NULL, *pattern = NULL;
	if (snapshot_member_name(name, &encoded, err) < 0 ||
	    str_printf(&pattern, err, "postgres/databases/%s/dump/*", encoded) < 0 ||
	    put_with(b, "member ", pattern, " |\n", err) < 0)
		return -1;
	return put_with(b,
			"  \"$PGBIN/pg_restore\" --create --clean --if-exists --exit-on-error "
			"--dbname=",
			maintenance, "\n", err);
}

static int put_databases(struct buf *b, const json_t *databases, struct err *err)
{
	size_t i;
	json_t *db;
	bool has_postgres = false, has_template1 = false;
	json_array_foreach(databases, i, db)
	{
		const char *name = json_str_or(db, "name", "");
		has_postgres = has_postgres || strcmp(name, "postgres") == 0;
		has_template1 = has_template1 || strcmp(name, "template1") == 0;
		if (strcmp(name, "template1") != 0 && put_database(b, name, "template1", err) < 0)
			return -1;
	}
	/* template1 comes last: while it is replaced, the connection is to another database. */
	if (has_template1 && put_database(b, "template1", "postgres", err) < 0)
		return -1;
	if (!has_postgres && json_array_size(databases) > 0)
		return buf_puts(b, "\"$PGBIN/dropdb\" --maintenance-db=template1 postgres\n", err);
	return 0;
}

/* pg_dumpall quotes a role's name only where it must: both forms are told. */
static int quoted_create(const char *role, char **ret, struct err *err)
{
	struct buf b;
	buf_init(&b, 4096);
	int rc = buf_puts(&b, "CREATE ROLE \"", err);
	for (const char *p = role; rc == 0 && *p != '\0'; p++)
		rc = buf_printf(&b, err, "%s%c", *p == '"' ? "\"" : "", *p);
	if (rc < 0 || buf_puts(&b, "\";", err) < 0 || buf_take(&b, ret, err) < 0) {
		buf_done(&b);
		return -1;
	}
	return 0;
}

static int put_postgres(struct buf *b, const json_t *section, struct err *err)
{
	const json_t *server = json_object_get(section, "server");
	const char *role = json_str_or(server, "bootstrap_role", "postgres");
	CLEANUP(freep) char *create = NULL, *quoted = NULL;
	if (buf_printf(
		b, err,
		"## PostgreSQL %s\n\n"
		"A fresh cluster like the one that was saved, roles and their passwords first, "
		"then the databases. The role `%s` exists already, so the line that creates it "
		"is left out. To take only some databases, leave lines out.\n\n```sh\n",
		json_str_or(server, "server_version", "?"), role) < 0 ||
	    put_initdb(b, server, err) < 0 || put_with(b, " PGUSER=", role, "\n", err) < 0)
		return -1;
	if (str_printf(&create, err, "CREATE ROLE %s;", role) < 0 ||
	    quoted_create(role, &quoted, err) < 0 ||
	    put_with(b, "member postgres/globals.sql | grep -vxF -e ", create, "", err) < 0 ||
	    put_with(b, " -e ", quoted, " |\n", err) < 0 ||
	    buf_puts(b, "  \"$PGBIN/psql\" -Xq -v ON_ERROR_STOP=1 -d template1 -f - >/dev/null\n",
		     err) < 0 ||
	    put_databases(b, json_object_get(section, "databases"), err) < 0)
		return -1;
	return buf_puts(
	    b,
	    "\"$PGBIN/vacuumdb\" --all --analyze-only --quiet --maintenance-db=template1\n"
	    "\"$PGBIN/pg_ctl\" -D \"$PGDATA\" -w -m fast stop\n"
	    "zstd -dcq \"$ARCHIVE\" | tar -xf - -C \"$PGDATA\" --strip-components=2 "
	    "--wildcards 'postgres/config/*' || true\n"
	    "```\n\n"
	    "The last line puts back `postgresql.conf`, `pg_hba.conf` and the like, if the "
	    "backup has them. Files that lay outside the data folder are members "
	    "`postgres/outside/…`, named by where they were. Start the server on `$PGDATA` "
	    "as production does.\n\n",
	    err);
}

static int put_redis(struct buf *b, const json_t *section, struct err *err)
{
	const json_t *server = json_object_get(section, "server");
	const json_t *config = json_object_get(server, "config");
	const char *aof = json_str_or(config, "appendfilename", "appendonly.aof");
	if (buf_printf(b, err, "## Redis %s\n\n```sh\nmkdir \"$RESTORED/redis\"\n",
		       json_str_or(server, "version", "?")) < 0 ||
	    put_with(b, "member 'redis/dump.rdb/*' >\"$RESTORED/redis/\"",
		     json_str_or(config, "dbfilename", "dump.rdb"), "\n", err) < 0)
		return -1;
	if (strcmp(json_str_or(config, "appendonly", "no"), "yes") != 0)
		return buf_puts(b, "```\n\nStart `redis-server --dir \"$RESTORED/redis\"`.\n\n",
				err);
	const char *rdb = json_str_or(config, "dbfilename", "dump.rdb");
	if (json_u64_or(server, "major", 7) < 7) {
		if (put_with(b, "cp \"$RESTORED/redis/\"", rdb, " \"$RESTORED/redis/\"", err) < 0 ||
		    put_with(b, "", aof, "\n", err) < 0)
			return -1;
	} else {
		const char *dir = json_str_or(config, "appenddirname", "appendonlydir");
		if (put_with(b, "AOF=", aof, "\n", err) < 0 ||
		    put_with(b, "AOFDIR=$RESTORED/redis/", dir, "\nmkdir \"$AOFDIR\"\n", err) < 0 ||
		    put_with(b, "cp \"$RESTORED/redis/\"", rdb, " \"$AOFDIR/$AOF.1.base.rdb\"\n",
			     err) < 0 ||
		    buf_puts(b,
			     "printf 'file %s.1.base.rdb seq 1 type b\\n' \"$AOF\" "
			     ">\"$AOFDIR/$AOF.manifest\"\n",
			     err) < 0)
			return -1;
	}
	return buf_puts(
	    b,
	    "```\n\n"
	    "The server runs with `appendonly yes`: it reads the append-only files and "
	    "*ignores* the dump file. That is why the dump was also put where the base of "
	    "the append-only files belongs. Without that the server starts empty.\n\n"
	    "Start `redis-server --dir \"$RESTORED/redis\" --appendonly yes`.\n\n",
	    err);
}

static int put_rest(struct buf *b, const json_t *components, struct err *err)
{
	if (json_object_get(components, "pgbouncer") != NULL &&
	    buf_puts(b,
		     "## PgBouncer\n\n```sh\nmkdir \"$RESTORED/pgbouncer\"\n"
		     "zstd -dcq \"$ARCHIVE\" | tar -xf - -C \"$RESTORED/pgbouncer\" "
		     "--strip-components=2 --wildcards 'pgbouncer/config/*'\n```\n\n"
		     "This is the folder of `pgbouncer.ini`. Files that it names and that lay "
		     "elsewhere are members `pgbouncer/outside/…`.\n\n",
		     err) < 0)
		return -1;
	const char *label;
	json_t *item;
	json_object_foreach(json_object_get(components, "volumes"), label, item)
	{
		CLEANUP(freep) char *pattern = NULL;
		if (str_printf(&pattern, err, "volumes/%s/*", label) < 0 ||
		    buf_printf(b, err,
			       "## Volume `%s`\n\n```sh\nmkdir \"$RESTORED/%s\"\n"
			       "zstd -dcq \"$ARCHIVE\" | tar -xpf - -C \"$RESTORED/%s\" "
			       "--strip-components=2 --wildcards ",
			       label, label, label) < 0 ||
		    put_quoted(b, pattern, err) < 0 || buf_puts(b, "\n```\n\n", err) < 0)
			return -1;
	}
	return 0;
}

int restore_md_text(const json_t *manifest, const char *archive, char **ret, struct err *err)
{
	const json_t *components = json_object_get(manifest, "components");
	const json_t *postgres = json_object_get(components, "postgres");
	const json_t *redis = json_object_get(components, "redis");
	struct buf b;
	buf_init(&b, (size_t)64 << 20);
	if (put_intro(&b, manifest, archive, err) < 0 ||
	    (postgres != NULL && put_postgres(&b, postgres, err) < 0) ||
	    (redis != NULL && put_redis(&b, redis, err) < 0) || put_rest(&b, components, err) < 0 ||
	    buf_take(&b, ret, err) < 0) {
		buf_done(&b);
		return -1;
	}
	return 0;
}
