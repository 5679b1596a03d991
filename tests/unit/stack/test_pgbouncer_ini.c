#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/buf.h"
#include "stack/pgbouncer/pgbouncer_ini.h"

/* Files in memory. */
struct files {
	const char *const (*list)[2];
	size_t count;
};

static int read_file(void *ctx, const char *path, struct buf *out, struct err *err)
{
	const struct files *f = ctx;
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->list[i][0], path) == 0)
			return buf_puts(out, f->list[i][1], err);
	return err_set(err, ERR_ABSENT, "can't open '%s'", path);
}

#define FILES(...)                                                                                 \
	static const char *const list[][2] = {__VA_ARGS__};                                        \
	struct files files = {list, sizeof list / sizeof *list}

static struct pgbouncer_ini *loaded(struct files *f)
{
	struct pgbouncer_ini *ini = NULL;
	struct err err = ERR_INIT;
	if (pgbouncer_ini_load("/etc/pgb/p.ini", NULL, read_file, f, &ini, &err) < 0)
		fail_msg("%s", err.msg);
	return ini;
}

/* "[section] name=value;" for each item, includes as "<path>". */
static void check(struct files *f, const char *want)
{
	struct pgbouncer_ini *ini = loaded(f);
	struct buf b;
	struct err err = ERR_INIT;
	buf_init(&b, 65536);
	for (size_t i = 0; i < ini->count; i++) {
		const struct pgbouncer_item *it = &ini->items[i];
		int rc = it->kind == PGBOUNCER_SECTION ? buf_printf(&b, &err, "[%s]", it->name)
			 : it->kind == PGBOUNCER_INCLUDE
			     ? buf_printf(&b, &err, "<%s>", it->value)
			     : buf_printf(&b, &err, "%s=%s;", it->name, it->value);
		assert_int_equal(rc, 0);
	}
	assert_string_equal(buf_text(&b), want);
	buf_done(&b);
	pgbouncer_ini_free(ini);
}

static void refused(const char *text, const char *message)
{
	const char *const list[][2] = {{"/etc/pgb/p.ini", text}};
	struct files f = {list, 1};
	struct pgbouncer_ini *ini = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(pgbouncer_ini_load("/etc/pgb/p.ini", NULL, read_file, &f, &ini, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, message);
	assert_null(ini);
}

/* ---- the format ---- */

static void ini_load__lines__as_pgbouncer_reads_them(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini", "; a comment\n# another = one\n\n"
				 "[databases]\n"
				 "hdms_db = host=pg port=5432 ; no comment here  \t\n"
				 "  'my db' =host=x\n"
				 "* = host=pg\n"
				 "empty =\n"
				 "a.b-c_d= v\r\n"
				 "[pgbouncer] listen_port = 6432\n"
				 "admin_users\t=\tpostgres, me\n"
				 "last = end"});
	check(&files, "[databases]hdms_db=host=pg port=5432 ; no comment here;my db=host=x;"
		      "*=host=pg;empty=;a.b-c_d=v;"
		      "[pgbouncer]listen_port=6432;admin_users=postgres, me;last=end;");
}

static void ini_load__include__is_folded_in_and_sections_go_on(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini", "[databases]\na = host=x\n%include db.ini \nc = host=z\n"
				 "%include /other/end.ini"},
	      {"/etc/pgb/db.ini", "b = host=y\n[pgbouncer]\nlisten_port = 1\n"},
	      {"/other/end.ini", "%includes = 1\n"});
	struct pgbouncer_ini *ini = NULL;
	struct err err = ERR_INIT;
	/* "%includes" is a name, but not one that stands without quotes. */
	assert_int_equal(pgbouncer_ini_load("/etc/pgb/p.ini", NULL, read_file, &files, &ini, &err),
			 -1);
	assert_string_equal(err.msg, "/etc/pgb/p.ini:5: %include: /other/end.ini:1: '=' is missing "
				     "after a setting's name");
	files.list = (const char *const[][2]){
	    {list[0][0], list[0][1]}, {list[1][0], list[1][1]}, {list[2][0], "d=1"}};
	check(&files, "[databases]a=host=x;</etc/pgb/db.ini>b=host=y;[pgbouncer]listen_port=1;"
		      "c=host=z;</other/end.ini>d=1;");
}

static void ini_load__relative_include__from_the_working_directory(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini", "%include sub/x.ini\n"}, {"/run/sub/x.ini", "[databases]\n"});
	struct pgbouncer_ini *ini = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(
	    pgbouncer_ini_load("/etc/pgb/p.ini", "/run", read_file, &files, &ini, &err), 0);
	assert_string_equal(ini->files.items[1], "/run/sub/x.ini");
	assert_string_equal(ini->items[1].file, "/run/sub/x.ini");
	pgbouncer_ini_free(ini);
}

static void ini_load__what_pgbouncer_refuses__corrupt_with_its_line(void **state)
{
	(void)state;
	refused("[databases\n", "/etc/pgb/p.ini:1: a section without ']'");
	refused("[a]\n\nb c = 1\n", "/etc/pgb/p.ini:3: '=' is missing after a setting's name");
	refused("[a]\n'b = 1\n", "/etc/pgb/p.ini:2: a quoted name that is empty or has no end");
	refused("[a]\n'' = 1\n", "/etc/pgb/p.ini:2: a quoted name that is empty or has no end");
	refused("a = secret\n", "/etc/pgb/p.ini:1: a setting before the first section");
	refused("[a]\nsecret", "/etc/pgb/p.ini:2: '=' is missing after a setting's name");
}

static void ini_load__missing_include__absent_with_the_line(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini", "\n%include none.ini\n"});
	struct pgbouncer_ini *ini = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(pgbouncer_ini_load("/etc/pgb/p.ini", NULL, read_file, &files, &ini, &err),
			 -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "/etc/pgb/p.ini:2: %include: can't open '/etc/pgb/none.ini'");
}

static void ini_load__file_that_includes_itself__corrupt(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini", "%include p.ini\n%include p.ini\n"});
	struct pgbouncer_ini *ini = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(pgbouncer_ini_load("/etc/pgb/p.ini", NULL, read_file, &files, &ini, &err),
			 -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "files are included more than 10 deep"));
}

static void ini_load__include_bomb__limit(void **state)
{
	(void)state;
	/* Ten levels of eight: a thousand million. */
	static char names[10][32], texts[10][256];
	static const char *list[10][2];
	for (int i = 0; i < 10; i++) {
		snprintf(names[i], sizeof names[i], i == 0 ? "/etc/pgb/p.ini" : "/etc/pgb/%d.ini",
			 i);
		texts[i][0] = '\0';
		for (int k = 0; i < 9 && k < 8; k++) {
			size_t len = strlen(texts[i]);
			snprintf(texts[i] + len, sizeof texts[i] - len, "%%include %d.ini\n",
				 i + 1);
		}
		list[i][0] = names[i];
		list[i][1] = texts[i];
	}
	struct files files = {(const char *const(*)[2])list, 10};
	struct pgbouncer_ini *ini = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(pgbouncer_ini_load("/etc/pgb/p.ini", NULL, read_file, &files, &ini, &err),
			 -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.msg, "'/etc/pgb/p.ini' includes too much"));
}

static void ini_path__relative__to_the_working_directory_or_the_ini(void **state)
{
	(void)state;
	static const char *const cases[][4] = {
	    {"/etc/p.ini", NULL, "/abs", "/abs"},
	    {"/etc/p.ini", NULL, "x", "/etc/x"},
	    {"/etc/p.ini", "/run", "x", "/run/x"},
	    {"/etc/p.ini", "/", "x", "/x"},
	    {"p.ini", NULL, "x", "x"},
	    {"p.ini", "/run", "p.ini", "/run/p.ini"},
	    {"/p.ini", NULL, "x", "/x"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *path;
		struct err err = ERR_INIT;
		assert_int_equal(
		    pgbouncer_ini_path(cases[i][0], cases[i][1], cases[i][2], &path, &err), 0);
		assert_string_equal(path, cases[i][3]);
		free(path);
	}
}

/* ---- connection strings ---- */

static void ini_pair__pairs__as_pgbouncer_reads_them(void **state)
{
	(void)state;
	const char *text = "  host=pg port = 5432 password='it''s = ; here' user= a\tb "
			   "x='quoted'y z=1  ";
	static const char *const want[][2] = {
	    {"host", "pg"},   {"port", "5432"}, {"password", "it's = ; here"},
	    {"user", "a\tb"}, {"x", "quoted"},  {"z", "1"}};
	struct err err = ERR_INIT;
	char *key, *value;
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		assert_int_equal(pgbouncer_ini_pair(&text, &key, &value, &err), 0);
		assert_string_equal(key, want[i][0]);
		assert_string_equal(value, want[i][1]);
		free(key);
		free(value);
	}
	assert_int_equal(pgbouncer_ini_pair(&text, &key, &value, &err), 0);
	assert_null(key);
	assert_null(value);
}

static void ini_pair__broken__corrupt_without_the_text(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	    {"password", "syntax error in a connection string"},
	    {"=secret", "syntax error in a connection string"},
	    {"a b=c", "syntax error in a connection string"},
	    {"password=", "an empty value in a connection string"},
	    {"password='' x=1", "an empty value in a connection string"},
	    {"password='secret", "a quote without end in a connection string"},
	    {"password='secret''", "a quote without end in a connection string"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *text = cases[i][0];
		char *key, *value;
		struct err err = ERR_INIT;
		assert_int_equal(pgbouncer_ini_pair(&text, &key, &value, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_string_equal(err.msg, cases[i][1]);
	}
}

/* ---- collect ---- */

static void collected(struct files *f, const char *cwd, const char *want)
{
	json_t *list = NULL;
	struct err err = ERR_INIT;
	if (pgbouncer_collect("/etc/pgb/p.ini", cwd, read_file, f, &list, &err) < 0)
		fail_msg("%s", err.msg);
	struct buf b;
	buf_init(&b, 65536);
	size_t i;
	json_t *file;
	json_array_foreach(list, i, file)
	{
		assert_int_equal(buf_printf(&b, &err, "%s %s %s\n", json_str_or(file, "path", "?"),
					    json_str_or(file, "role", "?"),
					    json_str_or(file, "setting", "-")),
				 0);
	}
	assert_string_equal(buf_text(&b), want);
	buf_done(&b);
	json_decref(list);
}

static void collect__all_kinds_of_files__each_once(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini", "[pgbouncer]\nauth_file = userlist.txt\nauth_hba_file=hba.conf\n"
				 "auth_ident_file = ident.conf\n%include db.ini\n"
				 "client_tls_key_file = /tls/server.key\n"
				 "client_tls_cert_file = /tls/server.pem\n"
				 "server_tls_ca_file = /tls/server.pem\nclient_tls_ca_file =\n"
				 "logfile = /var/log/none.log\n"},
	      {"/etc/pgb/db.ini", ""}, {"/etc/pgb/userlist.txt", "\"u\" \"p\""},
	      {"/etc/pgb/hba.conf", "# @comment\nhost @dbs,\"@quoted\" @/lists/users all md5\n"
				    "local all @dbs trust #@no\n"},
	      {"/etc/pgb/dbs", "a"}, {"/lists/users", "b"}, {"/etc/pgb/ident.conf", ""},
	      {"/tls/server.key", "k"}, {"/tls/server.pem", "c"});
	collected(&files, NULL,
		  "/etc/pgb/p.ini ini -\n"
		  "/etc/pgb/db.ini include %include\n"
		  "/etc/pgb/userlist.txt auth auth_file\n"
		  "/etc/pgb/hba.conf hba auth_hba_file\n"
		  "/etc/pgb/dbs hba auth_hba_file\n"
		  "/lists/users hba auth_hba_file\n"
		  "/etc/pgb/ident.conf ident auth_ident_file\n"
		  "/tls/server.key tls client_tls_key_file\n"
		  "/tls/server.pem tls client_tls_cert_file\n");
}

static void collect__set_again__the_last_value_counts(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini",
	       "[pgbouncer]\nauth_file = none.txt\nauth_file = users.txt\n"
	       "auth_hba_file = none.conf\n[databases]\nauth_file = host=x\n[pgbouncer]\n"},
	      {"/etc/pgb/users.txt", ""});
	collected(&files, NULL, "/etc/pgb/p.ini ini -\n/etc/pgb/users.txt auth auth_file\n");
}

static void collect__missing_file__absent_with_the_line(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini", "[pgbouncer]\n\nauth_file = none.txt\n"});
	json_t *made = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(pgbouncer_collect("/etc/pgb/p.ini", NULL, read_file, &files, &made, &err),
			 -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "/etc/pgb/p.ini:3: auth_file: can't open '/etc/pgb/none.txt'");
	assert_null(made);
}

static void collect__missing_list_of_names__absent_with_the_line(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini", "[pgbouncer]\nauth_hba_file = hba\n"},
	      {"/etc/pgb/hba", "\nhost @none all all md5\n"});
	json_t *made = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(pgbouncer_collect("/etc/pgb/p.ini", NULL, read_file, &files, &made, &err),
			 -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "/etc/pgb/hba:2: @none: can't open '/etc/pgb/none'");
}

/* ---- rewrite ---- */

static int restored(void *ctx, const char *path, char **ret, struct err *err)
{
	(void)ctx;
	*ret = NULL;
	if (strncmp(path, "/etc/pgb/", 9) == 0)
		return str_printf(ret, err, "/volumes/v/%s", path + 9);
	if (strcmp(path, "/broken") == 0)
		return err_set(err, ERR_ABSENT, "'/broken' was not in the backup");
	return 0;
}

static const struct pgbouncer_sandbox sandbox = {.pg_host = "127.0.0.1",
						 .pg_port = 5555,
						 .pg_socket_dir = "/tmp/s d",
						 .listen_addr = "127.0.0.1",
						 .listen_port = 6666,
						 .work_dir = "/tmp/w",
						 .restored = restored};
#define OURS                                                                                       \
	"listen_addr = 127.0.0.1\nlisten_port = 6666\nunix_socket_dir = /tmp/w\n"                  \
	"pidfile = /tmp/w/pgbouncer.pid\nlogfile =\nsyslog = 0\nso_reuseport = 0\n"

static void rewritten(struct files *f, const char *want)
{
	char *text;
	struct err err = ERR_INIT;
	if (pgbouncer_rewrite("/etc/pgb/p.ini", NULL, read_file, f, &sandbox, &text, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(text, want);
	free(text);
}

static void rewrite__databases__all_lead_to_the_sandbox(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini",
	       "[databases]\n"
	       "tcp = host=pg.prod port=5433 dbname=x user=u password='p w''d' auth_user=a\n"
	       "two = host=a.prod,b.prod dbname=y load_balance_hosts=disable\n"
	       "addr = hostaddr=10.0.0.1 dbname=y\n"
	       "unix = host=/var/run/postgresql\n"
	       "abstract = host=@pg connect_query='SELECT 1'\n"
	       "none = dbname=z auth_dbname=q auth_query='SELECT a FROM b'\n"
	       "'odd name' =\n"
	       "* = host=10.1.1.1\n"
	       "[users]\nu = pool_mode=session\n"
	       "[pgbouncer]\npool_mode = transaction\n"
	       "[peers]\n1 = host=peer.prod\n"});
	rewritten(&files,
		  "; for a sandbox; includes are folded in\n"
		  "\n[databases]\n"
		  "tcp = host=127.0.0.1 port=5555 dbname=x user=u password='p w''d' auth_user=a\n"
		  "two = host=127.0.0.1 port=5555 dbname=y load_balance_hosts=disable\n"
		  "addr = host='/tmp/s d' port=5555 dbname=y\n"
		  "unix = host='/tmp/s d' port=5555\n"
		  "abstract = host='/tmp/s d' port=5555 connect_query='SELECT 1'\n"
		  "none = host='/tmp/s d' port=5555 dbname=z auth_dbname=q auth_query='SELECT a "
		  "FROM b'\n"
		  "'odd name' = host='/tmp/s d' port=5555\n"
		  "* = host=127.0.0.1 port=5555\n"
		  "\n[users]\nu = pool_mode=session\n"
		  "\n[pgbouncer]\npool_mode = transaction\n" OURS);
}

static void rewrite__settings__only_what_the_sandbox_needs_changes(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini",
	       "[pgbouncer]\nlisten_addr = *\nlisten_port = 6432\nunix_socket_dir = /run\n"
	       "unix_socket_group = pg\nlogfile = /var/log/p.log\npidfile = /run/p.pid\n"
	       "user = pgbouncer\nsyslog = 1\nso_reuseport = 1\npeer_id = 3\n"
	       "resolv_conf = /etc/resolv.conf\n"
	       "auth_type = scram-sha-256\nauth_file = userlist.txt\nauth_hba_file =\n"
	       "server_tls_sslmode = verify-full\nserver_tls_ca_file = /tls/ca.pem\n"
	       "admin_users = a, b\n%include more.ini\n"},
	      {"/etc/pgb/more.ini", "default_pool_size = 7\n[databases]\n* =\n[pgbouncer]\n"
				    "server_tls_sslmode = require\n"});
	rewritten(&files, "; for a sandbox; includes are folded in\n"
			  "\n[pgbouncer]\nauth_type = scram-sha-256\n"
			  "auth_file = /volumes/v/userlist.txt\nauth_hba_file =\n"
			  "server_tls_sslmode = verify-ca\nserver_tls_ca_file = /tls/ca.pem\n"
			  "admin_users = a, b\ndefault_pool_size = 7\n" OURS
			  "\n[databases]\n* = host='/tmp/s d' port=5555\n"
			  "\n[pgbouncer]\nserver_tls_sslmode = require\n" OURS);
}

static void rewrite__broken__says_where_and_keeps_secrets(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	    {"[pgbouncer]\n[databases]\nx = password='secret\n",
	     "/etc/pgb/p.ini:3: database 'x': a quote without end in a connection string"},
	    {"[databases]\nx = host=y\n", "/etc/pgb/p.ini: there is no [pgbouncer] section"},
	    {"[pgbouncer]\nauth_file = /broken\n", "'/broken' was not in the backup"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const list[][2] = {{"/etc/pgb/p.ini", cases[i][0]}};
		struct files f = {list, 1};
		char *text = NULL;
		struct err err = ERR_INIT;
		assert_int_equal(
		    pgbouncer_rewrite("/etc/pgb/p.ini", NULL, read_file, &f, &sandbox, &text, &err),
		    -1);
		assert_string_equal(err.msg, cases[i][1]);
		assert_null(text);
	}
}

/* ---- access rules ---- */

static void hba_is(const char *rules, const char *want)
{
	const char *const list[][2] = {
	    {"/etc/pgb/p.ini", "[pgbouncer]\nauth_hba_file = none\nauth_hba_file = hba\n"},
	    {"/etc/pgb/hba", rules}};
	struct files f = {list, 2};
	char *text = NULL;
	struct err err = ERR_INIT;
	if (pgbouncer_rewrite_hba("/etc/pgb/p.ini", NULL, read_file, &f, &sandbox, &text, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(text, want);
	free(text);
}

static void rewrite_hba__rules__come_again_for_the_loopback_address(void **state)
{
	(void)state;
	hba_is("# rules\n\nlocal all all peer\n"
	       "host  a, b ,\"c d\"\tu1,u2 10.0.0.0/8 scram-sha-256 # in house\n"
	       "hostssl all @users 192.168.1.0 255.255.255.0 cert map=m\r\n"
	       "host all \"a\"\"b\" all md5\n"
	       "host @/abs/dbs all ::1/128 trust\n"
	       "host all all all reject\n",
	       "local all all peer\n"
	       "host a, b, \"c d\" u1, u2 10.0.0.0/8 scram-sha-256\n"
	       "hostssl all @/volumes/v/users 192.168.1.0 255.255.255.0 cert map=m\n"
	       "host all \"a\"\"b\" all md5\n"
	       "host @/abs/dbs all ::1/128 trust\n"
	       "host a, b, \"c d\" u1, u2 127.0.0.1/32 scram-sha-256\n"
	       "hostssl all @/volumes/v/users 127.0.0.1/32 cert map=m\n"
	       "host all \"a\"\"b\" 127.0.0.1/32 md5\n"
	       "host @/abs/dbs all 127.0.0.1/32 trust\n");
}

static void rewrite_hba__lines_that_are_no_rules__are_left_out(void **state)
{
	(void)state;
	hba_is("host\nhost all\nhost all all\nhost all all 10.0.0.1\nhost all all all\n"
	       "host all all 10.0.0.1 255.255.255.255\nnonsense all all all md5\n,,,\n\"\n"
	       "host all, all,\nlocal all all trust",
	       "local all all trust\n");
}

static void rewrite_hba__none_in_use__null(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini", "[pgbouncer]\nauth_hba_file = x\n[pgbouncer]\n"});
	char *text = (char *)&files;
	struct err err = ERR_INIT;
	assert_int_equal(
	    pgbouncer_rewrite_hba("/etc/pgb/p.ini", NULL, read_file, &files, &sandbox, &text, &err),
	    0);
	assert_null(text);
}

static void rewrite_hba__missing__absent_with_the_line(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini", "[pgbouncer]\nauth_hba_file = x\n"});
	char *text = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(
	    pgbouncer_rewrite_hba("/etc/pgb/p.ini", NULL, read_file, &files, &sandbox, &text, &err),
	    -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "/etc/pgb/p.ini:2: auth_hba_file: can't open '/etc/pgb/x'");
}

static void rewrite__with_rules_of_its_own__names_them(void **state)
{
	(void)state;
	FILES({"/etc/pgb/p.ini", "[pgbouncer]\nauth_hba_file = hba\n"});
	struct pgbouncer_sandbox own = sandbox;
	own.hba_path = "/tmp/w/hba";
	char *text;
	struct err err = ERR_INIT;
	assert_int_equal(
	    pgbouncer_rewrite("/etc/pgb/p.ini", NULL, read_file, &files, &own, &text, &err), 0);
	assert_non_null(strstr(text, "[pgbouncer]\nauth_hba_file = /tmp/w/hba\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ini_load__lines__as_pgbouncer_reads_them),
	    cmocka_unit_test(ini_load__include__is_folded_in_and_sections_go_on),
	    cmocka_unit_test(ini_load__relative_include__from_the_working_directory),
	    cmocka_unit_test(ini_load__what_pgbouncer_refuses__corrupt_with_its_line),
	    cmocka_unit_test(ini_load__missing_include__absent_with_the_line),
	    cmocka_unit_test(ini_load__file_that_includes_itself__corrupt),
	    cmocka_unit_test(ini_load__include_bomb__limit),
	    cmocka_unit_test(ini_path__relative__to_the_working_directory_or_the_ini),
	    cmocka_unit_test(ini_pair__pairs__as_pgbouncer_reads_them),
	    cmocka_unit_test(ini_pair__broken__corrupt_without_the_text),
	    cmocka_unit_test(collect__all_kinds_of_files__each_once),
	    cmocka_unit_test(collect__set_again__the_last_value_counts),
	    cmocka_unit_test(collect__missing_file__absent_with_the_line),
	    cmocka_unit_test(collect__missing_list_of_names__absent_with_the_line),
	    cmocka_unit_test(rewrite__databases__all_lead_to_the_sandbox),
	    cmocka_unit_test(rewrite__settings__only_what_the_sandbox_needs_changes),
	    cmocka_unit_test(rewrite__broken__says_where_and_keeps_secrets),
	    cmocka_unit_test(rewrite_hba__rules__come_again_for_the_loopback_address),
	    cmocka_unit_test(rewrite_hba__lines_that_are_no_rules__are_left_out),
	    cmocka_unit_test(rewrite_hba__none_in_use__null),
	    cmocka_unit_test(rewrite_hba__missing__absent_with_the_line),
	    cmocka_unit_test(rewrite__with_rules_of_its_own__names_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
