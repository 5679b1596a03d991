/*
 * PostgreSQL into a fresh volume: a cluster like the source's, its configuration, its roles, its
 * databases; then everything to the disk.
 *
 * All settings for loading stand on the server's command line, so the files in the volume are
 * production's from the start and nothing has to be undone.
 */
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "restore/place_postgres.h"

static unsigned major_of(const json_t *section)
{
	return (unsigned)json_u64_or(json_object_get(section, "server"), "major", 0);
}

static const char *superuser_of(const json_t *section)
{
	return json_str_or(json_object_get(section, "server"), "bootstrap_role", "postgres");
}

bool restore_wants_database(const struct sandbox *sb, const char *name)
{
	return sb->job->database == NULL || strcmp(sb->job->database, name) == 0;
}

bool restore_wants_table(const struct sandbox *sb, const char *schema, const char *name)
{
	size_t i;
	json_t *table;
	json_array_foreach(sb->tables, i, table)
	{
		if (strcmp(json_str_or(table, "schema", ""), schema) == 0 &&
		    strcmp(json_str_or(table, "name", ""), name) == 0)
			return true;
	}
	return sb->job->table == NULL;
}

static int url_by(struct sandbox *sb, const json_t *section, const char *host, char **ret,
		  struct err *err)
{
	struct buf b;
	buf_init(&b, 8192);
	if (pg_conninfo_put(&b, "host", host, err) < 0 ||
	    buf_printf(&b, err, "port=%u ", server_port(sb->postgres)) < 0 ||
	    pg_conninfo_put(&b, "user", superuser_of(section), err) < 0 ||
	    pg_conninfo_put(&b, "dbname", "template1", err) < 0 || buf_take(&b, ret, err) < 0) {
		buf_done(&b);
		return -1;
	}
	return 0;
}

int load_postgres_url(struct sandbox *sb, const json_t *section, char **ret, struct err *err)
{
	return url_by(sb, section, server_door(sb->postgres), ret, err);
}

int load_postgres_env(struct sandbox *sb, const json_t *section, struct strlist *ret,
		      struct err *err)
{
	CLEANUP(freep) char *url = NULL;
	if (url_by(sb, section, server_socket_dir(sb->postgres), &url, err) < 0)
		return -1;
	return pg_tool_env(&(struct pg_opts){.url = url, .connect_timeout_ms = 20000}, ret, err);
}

/* ---- the cluster ---- */

static const char *setting(const json_t *server, const char *name, const char *otherwise)
{
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(server, "settings"), i, s)
	{
		if (strcmp(json_str_or(s, "name", ""), name) == 0)
			return json_str_or(s, "value", otherwise);
	}
	return otherwise;
}

static unsigned port_of(const json_t *section)
{
	return (unsigned)strtoul(setting(json_object_get(section, "server"), "port", "5432"), NULL,
				 10);
}

static int locale_args(struct strlist *argv, const json_t *server, struct err *err)
{
	static const char *const categories[] = {"lc_messages", "lc_monetary", "lc_numeric",
						 "lc_time"};
	const char *provider = json_str_or(server, "locale_provider", "libc");
	uint64_t major = json_u64_or(server, "major", 0);
	if (strlist_pushf(argv, err, "--lc-collate=%s", json_str_or(server, "collate", "C")) < 0 ||
	    strlist_pushf(argv, err, "--lc-ctype=%s", json_str_or(server, "ctype", "C")) < 0)
		return -1;
	for (size_t i = 0; i < sizeof categories / sizeof *categories; i++) {
		const char *value = setting(server, categories[i], NULL);
		if (value != NULL && value[0] != '\0' &&
		    strlist_pushf(argv, err, "--lc-%s=%s", categories[i] + 3, value) < 0)
			return -1;
	}
	if (major < 15)
		return 0;
	if (strlist_pushf(argv, err, "--locale-provider=%s", provider) < 0)
		return -1;
	if (strcmp(provider, "libc") == 0)
		return 0;
	return strlist_pushf(argv, err, "--%s-locale=%s",
			     strcmp(provider, "builtin") == 0 ? "builtin" : "icu",
			     json_str_or(server, "icu_locale", ""));
}

static int init_cluster(struct sandbox *sb, const json_t *section, const char *volume,
			struct err *err)
{
	CLEANUP(strlist_done) struct strlist argv = {0};
	const json_t *server = json_object_get(section, "server");
	bool checksums = json_is_true(json_object_get(server, "data_checksums"));
	uint64_t segment = json_u64_or(server, "wal_segment_bytes", (uint64_t)16 << 20);
	if (strlist_push(&argv, "-D", err) < 0 || strlist_push(&argv, TOOL_VOLUME, err) < 0 ||
	    strlist_push(&argv, "--no-sync", err) < 0 ||
	    strlist_push(&argv, "--auth-local=peer", err) < 0 ||
	    strlist_push(&argv, "--auth-host=scram-sha-256", err) < 0 ||
	    strlist_pushf(&argv, err, "--username=%s", superuser_of(section)) < 0 ||
	    strlist_pushf(&argv, err, "--encoding=%s", json_str_or(server, "encoding", "UTF8")) <
		0 ||
	    strlist_pushf(&argv, err, "--wal-segsize=%llu", (unsigned long long)(segment >> 20)) <
		0 ||
	    locale_args(&argv, server, err) < 0)
		return -1;
	if (checksums && strlist_push(&argv, "--data-checksums", err) < 0)
		return -1;
	if (!checksums && major_of(section) >= 18 &&
	    strlist_push(&argv, "--no-data-checksums", err) < 0)
		return -1;
	struct tool t = {.component = "postgres",
			 .major = major_of(section),
			 .name = "initdb",
			 .argv = (const char *const *)argv.items,
			 .volume = volume,
			 .sandbox = true,
			 .as_server = true,
			 .idle_ms = -1};
	return engine_tool_run(sb->job->engine, &t, NULL, deadline_in(600000), err);
}

/* fsync of the whole data folder by PostgreSQL's own means. */
static int sync_cluster(struct sandbox *sb, const json_t *section, const char *volume,
			struct err *err)
{
	const char *argv[] = {"-D", TOOL_VOLUME, "--sync-only", NULL};
	struct tool t = {.component = "postgres",
			 .major = major_of(section),
			 .name = "initdb",
			 .argv = argv,
			 .volume = volume,
			 .sandbox = true,
			 .as_server = true,
			 .idle_ms = -1};
	return engine_tool_run(sb->job->engine, &t, NULL, DEADLINE_NEVER, err);
}

static int put_config(struct sandbox *sb, const char *volume, struct err *err)
{
	CLEANUP(tree_writer_freep) struct tree_writer *to = NULL;
	if (engine_volume_write(sb->job->engine, volume, &to, err) < 0 ||
	    sandbox_unpack(sb, "postgres/config/", UNPACK_SERVERS, to, err) < 0)
		return err_wrap(err, "configuration files");
	return tree_writer_close(to, err);
}

/* ---- loading ---- */

/* Nothing else uses the volume yet, and it is synced as a whole at the end: no write needs to be
 * safe before that. */
static const char *const loading_settings[] = {
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=4GB",
    "checkpoint_timeout=1h",
    "maintenance_work_mem=256MB",
    "autovacuum=off",
    "default_transaction_read_only=off",
    "statement_timeout=0",
    "lock_timeout=0",
    "idle_in_transaction_session_timeout=0",
    "cron.launch_active_jobs=off",
    /* Role passwords pass by: no statement may end in a log. */
    "log_statement=none",
    "log_min_duration_statement=-1",
    "log_min_error_statement=panic",
};

static int settings_for_loading(unsigned major, struct strlist *ret, struct err *err)
{
	for (size_t i = 0; i < sizeof loading_settings / sizeof *loading_settings; i++)
		if (strlist_push(ret, loading_settings[i], err) < 0)
			return -1;
	if (major < 17)
		return 0;
	/* The first needs a higher wal_level. */
	return strlist_push(ret, "summarize_wal=off", err) < 0
		   ? -1
		   : strlist_push(ret, "transaction_timeout=0", err);
}

/* Volumes that the server sees besides its data. */
static int others_of(const struct sandbox *sb, struct strlist *ret, struct err *err)
{
	for (size_t i = 0; i < sb->tablespaces.count; i++)
		if (strlist_push(ret, sb->tablespaces.items[i], err) < 0)
			return -1;
	return sb->postgres_outside != NULL ? strlist_push(ret, sb->postgres_outside, err) : 0;
}

struct globals {
	struct sandbox *sb;
	const json_t *section;
	char *create_quoted, *create_bare; /* CREATE ROLE of the one that initdb made */
	size_t tablespaces;                /* seen so far */
	json_t *plan;                      /* of each_tablespace */
	struct pg *pg;
	struct err err;
	bool failed;
};

static bool is_tablespace(const char *statement)
{
	return strncmp(statement, "CREATE TABLESPACE ", strlen("CREATE TABLESPACE ")) == 0;
}

/* Where in the statement its location begins: the last one, since the name before it may hold
 * anything. */
static int find_location(const char *statement, const char **ret, struct err *err)
{
	*ret = NULL;
	for (const char *p = statement; (p = strstr(p, " LOCATION '")) != NULL; p++)
		*ret = p;
	if (*ret != NULL)
		return 0;
	return err_set(err, ERR_CORRUPT, "a tablespace without a location: %.80s", statement);
}

/* A tablespace needs a volume of its own, and the server must see it when it starts. */
static int add_tablespace(struct globals *g, const char *statement, struct err *err)
{
	CLEANUP(freep) char *volume = NULL, *base = NULL, *path = NULL;
	const char *location, *end;
	if (find_location(statement, &location, err) < 0)
		return -1;
	location += strlen(" LOCATION '");
	end = strrchr(location, '\'');
	if (str_dupn(location, end != NULL ? (size_t)(end - location) : strlen(location), &path,
		     err) < 0 ||
	    str_printf(&base, err, "%s-tablespace-%zu",
		       json_str_or(g->section, "volume", "postgres_data"), ++g->tablespaces) < 0)
		return -1;
	if (g->plan != NULL)
		return plan_beside(g->sb, g->plan, "postgres", base, err);
	if (sandbox_beside(g->sb, "postgres", base, path,
			   "it holds a tablespace, which production's container has elsewhere",
			   &volume, err) < 0)
		return -1;
	return strlist_push(&g->sb->tablespaces, volume, err);
}

static bool see_tablespace(void *ctx, const char *statement)
{
	struct globals *g = ctx;
	if (is_tablespace(statement) && !g->failed && add_tablespace(g, statement, &g->err) < 0)
		g->failed = true;
	return true; /* nothing is executed */
}

/* It lies where production's is; the sandbox has a folder of its own for it. */
static int make_tablespace(struct globals *g, const char *statement, struct err *err)
{
	CLEANUP(freep) char *head = NULL, *sql = NULL, *quoted = NULL, *path = NULL;
	const char *location;
	if (find_location(statement, &location, err) < 0)
		return -1;
	if (g->tablespaces >= g->sb->tablespaces.count)
		return err_set(err, ERR_CORRUPT, "a tablespace too many: %.80s", statement);
	if (str_dupn(statement, (size_t)(location - statement), &head, err) < 0 ||
	    server_volume_path(g->sb->postgres, g->sb->tablespaces.items[g->tablespaces++], &path,
			       err) < 0 ||
	    pg_quote_literal(g->pg, path, &quoted, err) < 0 ||
	    str_printf(&sql, err, "%s LOCATION %s", head, quoted) < 0)
		return -1;
	return pg_exec(g->pg, sql, DEADLINE_NEVER, err);
}

/* What of the globals is not for this cluster as it stands. */
static bool skip_statement(void *ctx, const char *statement)
{
	struct globals *g = ctx;
	if (strcmp(statement, g->create_quoted) == 0 || strcmp(statement, g->create_bare) == 0)
		return true; /* initdb made it */
	if (!is_tablespace(statement))
		return false;
	if (!g->failed && make_tablespace(g, statement, &g->err) < 0)
		g->failed = true;
	return true;
}

/* Runs the globals, or with `pg` NULL only shows each statement to `see`. */
static int script_globals(struct globals *g, bool (*see)(void *ctx, const char *statement),
			  struct err *err)
{
	struct buf sql;
	buf_init(&sql, (size_t)256 << 20);
	int rc = sandbox_member(g->sb, "postgres/globals.sql", &sql, err);
	if (rc == 0)
		rc = pg_script(g->pg, buf_text(&sql), see, g, err);
	if (sql.data != NULL)
		explicit_bzero(sql.data, sql.len);
	buf_done(&sql);
	if (rc == 0 && g->failed) {
		*err = g->err;
		rc = -1;
	}
	return rc < 0 ? err_wrap(err, "globals") : 0;
}

/* Into the plan; without one, their volumes are made. */
static int each_tablespace(struct sandbox *sb, const json_t *section, json_t *plan, struct err *err)
{
	struct globals g = {.sb = sb, .section = section, .plan = plan};
	return script_globals(&g, see_tablespace, err);
}

static int load_globals(struct sandbox *sb, const json_t *section, struct pg *pg, struct err *err)
{
	struct globals g = {.sb = sb, .section = section, .pg = pg};
	CLEANUP(freep) char *role = NULL, *quoted = NULL, *bare = NULL;
	/* pg_dumpall quotes a name only where it must; libpq always does. */
	if (pg_quote_ident(pg, superuser_of(section), &role, err) < 0 ||
	    str_printf(&quoted, err, "CREATE ROLE %s", role) < 0 ||
	    str_printf(&bare, err, "CREATE ROLE %s", superuser_of(section)) < 0)
		return -1;
	g.create_quoted = quoted;
	g.create_bare = bare;
	return script_globals(&g, skip_statement, err);
}

/* Every extension that the databases use must be there before hours of loading are spent. */
static int check_extensions(struct sandbox *sb, const json_t *section, struct pg *pg,
			    struct err *err)
{
	size_t i, k;
	json_t *db, *ext;
	json_array_foreach(json_object_get(section, "databases"), i, db)
	{
		if (!restore_wants_database(sb, json_str_or(db, "name", "")))
			continue;
		json_array_foreach(json_object_get(db, "extensions"), k, ext)
		{
			const char *name = json_str_or(ext, "name", "");
			CLEANUP(freep) char *literal = NULL, *there = NULL;
			if (pg_quote_literal(pg, name, &literal, err) < 0 ||
			    pg_valuef(pg, &there, err,
				      "SELECT count(*) FROM pg_catalog.pg_available_extensions "
				      "WHERE name = %s",
				      literal) < 0)
				return -1;
			if (strcmp(there, "0") != 0)
				continue;
			err_set(err, ERR_ABSENT,
				"database '%s' needs extension '%s', which is not installed here",
				json_str_or(db, "name", "?"), name);
			return err_hint(err,
					"Install the package that has it for this PostgreSQL.");
		}
	}
	return 0;
}

static int load_database(struct sandbox *sb, const json_t *section, const json_t *db,
			 const char *const *env, struct err *err)
{
	const char *name = json_str_or(db, "name", ""), *stream;
	CLEANUP(source_freep) struct source *from = NULL;
	CLEANUP(sink_freep) struct sink *to = NULL;
	if (json_get_str(db, "dump", &stream, err) < 0)
		return -1;
	/* A database can't be replaced over a connection to itself. */
	const char *maintenance =
	    strcmp(name, "template1") == 0 ? "dbname=postgres" : "dbname=template1";
	const char *argv[] = {"--create", "--clean",   "--if-exists", "--no-password",
			      "--dbname", maintenance, NULL};
	struct tool t = {.component = "postgres",
			 .major = major_of(section),
			 .name = "pg_restore",
			 .argv = argv,
			 .env = env,
			 .sandbox = true,
			 .idle_ms = -1};
	sb->loading = name;
	if (fault_point("load-database", err) < 0 || sandbox_stream(sb, stream, &from, err) < 0 ||
	    engine_tool_sink(sb->job->engine, &t, &to, err) < 0 ||
	    flow_copy(from, to, NULL, err) < 0)
		return -1;
	if (sink_close(to, err) == 0)
		return 0;
	/* Some statement failed and all the others were carried out: what is there is worth having,
	 * and the proof will say what is wrong with it. */
	if (err->code != ERR_FAILED || strstr(err->msg, "errors ignored on restore") == NULL ||
	    sandbox_is_full(sb))
		return -1;
	int rc = strlist_pushf(&sb->load_errors, err, "database '%s': %s", name, err->msg);
	if (rc == 0)
		err_clear(err);
	return rc;
}

static bool is_template1(const json_t *db)
{
	return strcmp(json_str_or(db, "name", ""), "template1") == 0;
}

static int load_databases(struct sandbox *sb, const json_t *section, const char *const *env,
			  struct err *err)
{
	size_t i;
	json_t *db, *databases = json_object_get(section, "databases");
	bool has_postgres = false;
	/* template1 last: until then the others connect to it. */
	for (int last = 0; last < 2; last++) {
		json_array_foreach(databases, i, db)
		{
			const char *name = json_str_or(db, "name", "");
			if (is_template1(db) != (last == 1) || !restore_wants_database(sb, name))
				continue;
			has_postgres = has_postgres || strcmp(name, "postgres") == 0;
			if (sb->job->table != NULL
				? load_postgres_table(sb, section, db, env, err) < 0
				: load_database(sb, section, db, env, err) < 0)
				return err_wrap(err, "database '%s'", name);
		}
	}
	if (has_postgres || sb->job->database != NULL)
		return 0;
	/* initdb made a database that the source does not have. */
	CLEANUP(freep) char *url = NULL;
	CLEANUP(pg_freep) struct pg *again = NULL;
	if (load_postgres_url(sb, section, &url, err) < 0 ||
	    pg_connect(&(struct pg_opts){.url = url, .connect_timeout_ms = 20000}, NULL, &again,
		       err) < 0)
		return -1;
	return pg_exec(again, "DROP DATABASE IF EXISTS postgres", DEADLINE_NEVER, err);
}

static bool server_check_quietly(struct sandbox *sb)
{
	struct err ignored = ERR_INIT;
	return server_check(sb->postgres, &ignored) == 0;
}

/* A fresh database has no statistics, and its first queries would be planned blindly. */
static int analyze(struct sandbox *sb, const json_t *section, const char *url, struct err *err)
{
	size_t i;
	json_t *db;
	json_array_foreach(json_object_get(section, "databases"), i, db)
	{
		const char *name = json_str_or(db, "name", "");
		CLEANUP(pg_freep) struct pg *pg = NULL;
		if (!restore_wants_database(sb, name))
			continue;
		struct pg_opts opts = {.url = url, .connect_timeout_ms = 20000};
		if (pg_connect(&opts, name, &pg, err) < 0)
			return err_wrap(err, "database '%s'", name);
		/* Statistics are no data: a function of the user's may fail in them. */
		if (pg_exec(pg, "ANALYZE", DEADLINE_NEVER, err) < 0) {
			if (err->code == ERR_CANCELLED || !server_check_quietly(sb))
				return err_wrap(err, "statistics of database '%s'", name);
			err_clear(err);
		}
	}
	return 0;
}

static int load_contents(struct sandbox *sb, const json_t *section, struct err *err)
{
	CLEANUP(freep) char *url = NULL;
	CLEANUP(pg_tool_env_done) struct strlist env = {0};
	struct pg *pg = NULL;
	if (load_postgres_url(sb, section, &url, err) < 0)
		return -1;
	struct pg_opts opts = {.url = url, .connect_timeout_ms = 20000};
	if (pg_wait_ready(&opts, NULL, sandbox_alive, sb->postgres, sandbox_ready_deadline(sb), &pg,
			  err) < 0)
		return sandbox_not_ready(sb->postgres, err);
	int rc = check_extensions(sb, section, pg, err);
	if (rc == 0)
		rc = load_globals(sb, section, pg, err);
	/* Closed before template1 is replaced. */
	pg_free(pg);
	if (rc < 0 || load_postgres_env(sb, section, &env, err) < 0 ||
	    load_databases(sb, section, (const char *const *)env.items, err) < 0)
		return -1;
	return analyze(sb, section, url, err);
}

int load_postgres(struct sandbox *sb, const json_t *section, struct err *err)
{
	CLEANUP(freep) char *volume = NULL, *hba = NULL;
	CLEANUP(strlist_done) struct strlist settings = {0}, others = {0};
	const char *production = json_str_or(section, "volume", "postgres_data");
	sb->loading = "postgres";
	const char *path = json_str_or(json_object_get(section, "server"), "data_directory", NULL);
	if (sandbox_volume(sb, "postgres", production, path, &volume, err) < 0 ||
	    init_cluster(sb, section, volume, err) < 0 || put_config(sb, volume, err) < 0 ||
	    sandbox_outside(sb, "postgres", production, &sb->postgres_outside, err) < 0 ||
	    each_tablespace(sb, section, NULL, err) < 0 ||
	    engine_server_new(sb->job->engine, "postgres", major_of(section), &sb->postgres, err) <
		0 ||
	    place_postgres_config(sb, section, superuser_of(section), err) < 0 ||
	    others_of(sb, &others, err) < 0 ||
	    settings_for_loading(major_of(section), &settings, err) < 0 ||
	    place_postgres_tls(sb, section, &settings, err) < 0 ||
	    str_dupn(sb->postgres_hba, sb->postgres_hba_own, &hba, err) < 0)
		return -1;
	struct server_spec spec = {.volume = volume,
				   .others = (const char *const *)others.items,
				   .port = port_of(section),
				   .settings = (const char *const *)settings.items,
				   .hba = hba,
				   .conf = sb->postgres_conf,
				   .by_socket = true};
	if (server_start(sb->postgres, &spec, err) < 0)
		return -1;
	if (load_contents(sb, section, err) < 0) {
		const char *log = server_log_tail(sb->postgres);
		if (err->code == ERR_UNREACHABLE && log[0] != '\0')
			err_wrap(err, "the server's log ends with \"%s\"", log);
		return -1;
	}
	if (server_stop(sb->postgres, 600000, err) < 0)
		return -1;
	return sync_cluster(sb, section, volume, err);
}

/* By the restored PgBouncer, which comes in by production's own rules, and by people afterwards. */
static bool is_reached_by_others(const struct sandbox *sb)
{
	const json_t *components = json_object_get(sb->manifest, "components");
	return sb->job->leave_servers ||
	       (json_object_get(components, "pgbouncer") != NULL && sandbox_wants(sb, "pgbouncer"));
}

int boot_postgres(struct sandbox *sb, const json_t *section, struct err *err)
{
	CLEANUP(strlist_done) struct strlist settings = {0}, others = {0};
	CLEANUP(freep) char *volume = NULL, *url = NULL;
	CLEANUP(pg_freep) struct pg *pg = NULL;
	const char *production = json_str_or(section, "volume", "postgres_data");
	if (sandbox_volume_name(sb, production, &volume, err) < 0 ||
	    others_of(sb, &others, err) < 0 ||
	    strlist_push(&settings, "cron.launch_active_jobs=off", err) < 0 ||
	    place_postgres_tls(sb, section, &settings, err) < 0)
		return -1;
	struct server_spec spec = {.volume = volume,
				   .others = (const char *const *)others.items,
				   .port = port_of(section),
				   .settings = (const char *const *)settings.items,
				   .hba = sb->postgres_hba,
				   .conf = sb->postgres_conf,
				   .by_socket = !is_reached_by_others(sb),
				   .leave_running = sb->job->leave_servers};
	if (server_start(sb->postgres, &spec, err) < 0 ||
	    load_postgres_url(sb, section, &url, err) < 0)
		return -1;
	struct pg_opts opts = {.url = url, .connect_timeout_ms = 20000};
	if (pg_wait_ready(&opts, NULL, sandbox_alive, sb->postgres, sandbox_ready_deadline(sb), &pg,
			  err) < 0)
		return sandbox_not_ready(sb->postgres, err);
	return 0;
}

/* ---- plan ---- */

/* The first that is missing stands for all: they come from one package. */
static int plan_tools(struct sandbox *sb, const json_t *section, json_t *plan, struct err *err)
{
	static const char *const tools[] = {"postgres", "initdb", "pg_restore", "pg_dump"};
	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
		struct tool t = {.component = "postgres",
				 .major = major_of(section),
				 .name = tools[i],
				 .sandbox = true};
		CLEANUP(freep) char *where = NULL;
		struct err why = ERR_INIT;
		if (engine_tool_find(sb->job->engine, &t, &where, &why) < 0)
			return plan_obstacle(plan, err, "%s%s%s", why.msg, why.hint[0] ? ": " : "",
					     why.hint);
	}
	return 0;
}

static int plan(struct sandbox *sb, const json_t *section, json_t *plan, struct err *err)
{
	bool adopted;
	if (sandbox_adopt(sb, "postgres", section, plan, &adopted, err) < 0 ||
	    (adopted && plan_tools(sb, section, plan, err) < 0))
		return -1;
	size_t i;
	json_t *db;
	bool found = sb->job->database == NULL;
	json_array_foreach(json_object_get(section, "databases"), i, db)
	{
		if (!restore_wants_database(sb, json_str_or(db, "name", "")))
			continue;
		found = true;
		sb->expected_bytes += json_u64_or(db, "bytes", 0);
	}
	if (!found &&
	    plan_obstacle(plan, err, "the backup has no database '%s'", sb->job->database) < 0)
		return -1;
	const char *production = json_str_or(section, "volume", "postgres_data");
	if (plan_volume(sb, plan, "postgres", production, err) < 0 ||
	    plan_outside(sb, plan, "postgres", production, err) < 0)
		return -1;
	return each_tablespace(sb, section, plan, err);
}

const struct part part_postgres = {.name = "postgres",
				   .plan = plan,
				   .load = load_postgres,
				   .boot = boot_postgres,
				   .prove = prove_postgres,
				   .control = control_postgres};
