#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/config/config_keys.h"
#include "tests/support/config_case.h"

/* ---- what is read ---- */

static void config_load__smallest_file__has_defaults(void **state)
{
	(void)state;
	CLEANUP(config_freep) struct config *c = loaded(STACK);
	assert_string_equal(c->path, "agent.conf");
	assert_string_equal(c->stack.name, "hdms");
	assert_string_equal(c->stack.engine, "local");
	assert_string_equal(c->stack.run_as, "postgres");
	assert_false(c->postgres.enabled || c->redis.enabled || c->pgbouncer.enabled);
	assert_false(secret_is_set(&c->postgres.url));
	assert_int_equal(c->archive.level, 3);
	assert_int_equal(c->archive.part_bytes, 8 << 20);
	assert_int_equal(c->archive.threads, 0);
	assert_int_equal(c->health.interval_ms, 30000);
	assert_int_equal(c->health.timeout_ms, 10000);
	assert_int_equal(c->health.retries, 3);
	assert_null(c->timezone);
	assert_int_equal(c->store_count + c->volume_count + c->check_count, 0);
	assert_int_equal(c->warnings.count, 0);
}

static void config_load__everything__is_where_it_belongs(void **state)
{
	(void)state;
	CLEANUP(config_freep)
	struct config *c = loaded(
	    "[stack]\nname=a-b_1\nengine=local\nvolumes_dir=vol\nrun_as=me\n"
	    "[postgres]\nurl=postgres://u@h/d\nvolume=pg.1\nconnect_timeout=5m\n"
	    "[redis]\nurl=unix://:p@/run/redis.sock\nvolume=r\nmethod=stream\nsave_timeout=2h\n"
	    "connect_timeout=500ms\n"
	    "[pgbouncer]\nurl=postgresql://u@h:6432/d\nadmin_url=postgresql://a@h:6432/pgbouncer\n"
	    "volume=b\nconfig=/etc/pgbouncer/pgbouncer.ini\n"
	    "[volume media]\n[volume up-loads]\nname = uploads\n"
	    "[store local]\nurl=file:///b\nkeep=last 3\n[store other]\nurl=file:///c\n"
	    "[check one]\ndatabase=d\nsql=SELECT 1\n  FROM t\nexpect=1\n"
	    "[check two]\ndatabase=d\nsql=SELECT true\n"
	    "[archive]\nlevel=19\npart_size=64KiB\nthreads=2\n"
	    "[health]\ninterval=1\ntimeout=2s\nretries=9\n[schedule]\ntimezone=UTC\n");
	CLEANUP(freep) char *here = getcwd(NULL, 0);
	CLEANUP(freep) char *volumes = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(str_printf(&volumes, &err, "%s/vol", here), 0);
	assert_string_equal(c->stack.volumes_dir, volumes);
	assert_string_equal(c->stack.run_as, "me");
	assert_true(c->postgres.enabled && c->redis.enabled && c->pgbouncer.enabled);
	assert_string_equal(secret_text(&c->postgres.url), "postgres://u@h/d");
	assert_string_equal(c->postgres.volume, "pg.1");
	assert_int_equal(c->postgres.connect_timeout_ms, 300000);
	assert_string_equal(secret_text(&c->redis.url), "unix://:p@/run/redis.sock");
	assert_string_equal(c->redis.method, "stream");
	assert_int_equal(c->redis.save_timeout_ms, 7200000);
	assert_int_equal(c->redis.connect_timeout_ms, 500);
	assert_string_equal(secret_text(&c->pgbouncer.admin_url),
			    "postgresql://a@h:6432/pgbouncer");
	assert_string_equal(c->pgbouncer.config, "/etc/pgbouncer/pgbouncer.ini");
	assert_int_equal(c->pgbouncer.connect_timeout_ms, 20000);
	assert_int_equal(c->volume_count, 2);
	assert_string_equal(c->volumes[0].label, "media");
	assert_string_equal(c->volumes[0].name, "media");
	assert_string_equal(c->volumes[1].name, "uploads");
	assert_int_equal(c->store_count, 2);
	assert_string_equal(c->stores[0].label, "local");
	assert_string_equal(c->stores[0].keep, "last 3");
	assert_string_equal(c->stores[1].url, "file:///c");
	assert_null(c->stores[1].keep);
	assert_int_equal(c->check_count, 2);
	assert_string_equal(c->checks[0].sql, "SELECT 1\nFROM t");
	assert_string_equal(c->checks[0].expect, "1");
	assert_string_equal(c->checks[1].expect, "t");
	assert_int_equal(c->archive.level, 19);
	assert_int_equal(c->archive.part_bytes, 65536);
	assert_int_equal(c->archive.threads, 2);
	assert_int_equal(c->health.interval_ms, 1000);
	assert_int_equal(c->health.retries, 9);
	assert_string_equal(c->timezone, "UTC");
}

static void config_load__variables__come_from_environment_then_env_files(void **state)
{
	(void)state;
	put(".env", 0600, "DB_USER=hdms\nDB_PASSWORD='p@ss/w#rd%1:?'\nLB_T_HOST=db\nLEVEL=4\n");
	put("more env", 0600, "LEVEL=5\n");
	setenv("LB_T_HOST", "outer", 1);
	CLEANUP(config_freep)
	struct config *c = loaded(
	    "[stack]\nname=${NAME_OF_STACK:-hdms}\nvolumes_dir=/v\nenv_file = .env, more env\n"
	    "[postgres]\nurl=postgresql://${DB_USER}:${DB_PASSWORD}@${LB_T_HOST}:5432/x$$y\n"
	    "[archive]\nlevel=${LEVEL}\n");
	unsetenv("LB_T_HOST");
	assert_string_equal(c->stack.name, "hdms");
	assert_string_equal(secret_text(&c->postgres.url),
			    "postgresql://hdms:p%40ss%2Fw%23rd%251%3A%3F@outer:5432/x$y");
	assert_int_equal(c->archive.level, 5);
}

static void config_load__path_with_folder__is_where_names_are_relative_to(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(dir_make("sub", 0700, &err), 0);
	put("sub/secrets.env", 0600, "N=inner\n");
	put("sub/x.conf", 0600, "[stack]\nname=${N}\nvolumes_dir=v\nenv_file=secrets.env\n");
	CLEANUP(config_freep) struct config *c = NULL;
	if (config_load("sub/x.conf", &c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(c->stack.name, "inner");
	assert_non_null(strstr(c->stack.volumes_dir, "/sub/v"));
	assert_true(c->stack.volumes_dir[0] == '/');
}

static void config_load__no_path__looks_in_the_usual_places(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	put("agent.conf", 0600, STACK);
	put("other.conf", 0600, "[stack]\nname=other\nvolumes_dir=/v\n");
	CLEANUP(config_freep) struct config *here = NULL;
	assert_int_equal(config_load(NULL, &here, &err), 0);
	assert_string_equal(here->stack.name, "hdms");
	setenv("LIFEBOAT_CONFIG", "other.conf", 1);
	CLEANUP(config_freep) struct config *named = NULL;
	assert_int_equal(config_load(NULL, &named, &err), 0);
	unsetenv("LIFEBOAT_CONFIG");
	assert_string_equal(named->stack.name, "other");
}

static void config_load__no_file__says_how_to_name_one(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct config *c = NULL;
	unlink("agent.conf");
	if (!file_exists("/etc/lifeboat/agent.conf")) {
		assert_int_equal(config_load(NULL, &c, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_string_equal(err.msg,
				    "no agent.conf in the working directory nor in /etc/lifeboat");
		assert_string_equal(err.hint, "name it: lifeboat -c FILE");
	}
	assert_int_equal(config_load("none.conf", &c, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "none.conf"));
}

/* ---- overrides ---- */

static void config_load__overrides__win_over_the_file(void **state)
{
	(void)state;
	put("url.txt", 0600, "postgresql://u:a$b@h/d\n");
	setenv("LIFEBOAT_ARCHIVE_LEVEL", "7", 1);
	setenv("LIFEBOAT_POSTGRES_URL_FILE", "url.txt", 1);
	setenv("LIFEBOAT_STORE_OFF_SITE_URL", "file:///over", 1);
	setenv("LIFEBOAT_PORT_80_TCP", "tcp://10.0.0.1:80", 1);
	setenv("LIFEBOAT_SERVICE_HOST", "10.0.0.1", 1);
	CLEANUP(config_freep)
	struct config *c = loaded(STACK "[postgres]\nurl=postgresql://${UNDEFINED}@h/d\n"
					"[store off-site]\nurl=file:///b\n");
	unsetenv("LIFEBOAT_ARCHIVE_LEVEL");
	unsetenv("LIFEBOAT_POSTGRES_URL_FILE");
	unsetenv("LIFEBOAT_STORE_OFF_SITE_URL");
	unsetenv("LIFEBOAT_PORT_80_TCP");
	unsetenv("LIFEBOAT_SERVICE_HOST");
	assert_int_equal(c->archive.level, 7);
	assert_string_equal(secret_text(&c->postgres.url), "postgresql://u:a$b@h/d");
	assert_string_equal(c->stores[0].url, "file:///over");
}

static void with_variable(const char *name, const char *value, const char *message,
			  const char *hint)
{
	setenv(name, value, 1);
	refused(STACK "[postgres]\nurl=postgresql://h/d\n", message, hint);
	unsetenv(name);
}

static void config_load__wrong_overrides__are_named(void **state)
{
	(void)state;
	with_variable("LIFEBOAT_POSTGRES_ULR", "x",
		      "LIFEBOAT_POSTGRES_ULR in the environment is no key of a section that "
		      "agent.conf has",
		      "did you mean LIFEBOAT_POSTGRES_URL?");
	with_variable("LIFEBOAT_X", "x",
		      "LIFEBOAT_X in the environment is no key of a section that agent.conf has",
		      "names are LIFEBOAT_<SECTION>_<KEY>: LIFEBOAT_STACK_NAME");
	with_variable("LIFEBOAT_REDIS_URL", "redis://h",
		      "LIFEBOAT_REDIS_URL is set, but agent.conf has no section [redis]",
		      "add the line [redis]");
	with_variable("LIFEBOAT_ARCHIVE_LEVEL", "20",
		      "LIFEBOAT_ARCHIVE_LEVEL: '20' is not between 1 and 19", "");
	with_variable(
	    "LIFEBOAT_POSTGRES_URL_FILE", "/nonexistent",
	    "LIFEBOAT_POSTGRES_URL_FILE: can't open '/nonexistent': No such file or directory", "");
	setenv("LIFEBOAT_POSTGRES_URL", "postgresql://h/d", 1);
	with_variable("LIFEBOAT_POSTGRES_URL_FILE", "x",
		      "both LIFEBOAT_POSTGRES_URL and LIFEBOAT_POSTGRES_URL_FILE are set", "");
	unsetenv("LIFEBOAT_POSTGRES_URL");
}

/* ---- mistakes ---- */

static void config_load__unknown_names__get_a_suggestion(void **state)
{
	(void)state;
	refused(STACK "[postgres]\nvolum = x\n", "agent.conf:5: unknown key 'volum' in [postgres]",
		"did you mean 'volume'?");
	refused(STACK "[postgre]\n", "agent.conf:4: unknown section [postgre]",
		"did you mean [postgres]?");
	refused(STACK "[stroe local]\n", "agent.conf:4: unknown section [stroe local]",
		"did you mean [store LABEL]?");
	refused(STACK "[elephant]\n", "agent.conf:4: unknown section [elephant]",
		"agent.conf(5) has all sections: lifeboat help agent.conf");
	refused(STACK "[archive]\nkeep = last 3\n", "agent.conf:5: unknown key 'keep' in [archive]",
		"'keep' belongs in [store LABEL]");
	refused(STACK "[archive]\nzebra = 3\n", "agent.conf:5: unknown key 'zebra' in [archive]",
		"the keys of [archive] are: level, threads, part_size, recipients, identity");
}

static void config_load__labels__are_checked(void **state)
{
	(void)state;
	refused(STACK "[postgres main]\n", "agent.conf:4: [postgres] takes no label",
		"write [postgres]");
	refused(STACK "[store]\n", "agent.conf:4: [store] needs a label", "write [store NAME]");
	refused(STACK "[store a.b]\n", "agent.conf:4: 'a.b' is not a label",
		"use letters, digits, '_' and '-'");
	refused(STACK "[store a-b]\nurl=file:///x\n[store A_b]\nurl=file:///x\n",
		"agent.conf:6: the labels of [store A_b] and of [store a-b] in line 4 are the same "
		"in the environment",
		"");
}

static void config_load__missing__says_what_to_add(void **state)
{
	(void)state;
	refused("", "agent.conf: there is no section [stack]",
		"`lifeboat init` writes one for the servers that it finds; by hand, begin it with "
		"[stack] and name = NAME");
	refused("[stack]\nvolumes_dir=/v\n", "agent.conf:1: [stack] has no 'name'",
		"add a line: name = hdms");
	refused(STACK "[store local]\nkeep=last 3\n", "agent.conf:4: [store local] has no 'url'",
		"add a line: url = file:///var/backups/hdms");
}

static const struct {
	const char *lines, *message, *hint;
} wrong_values[] = {
    {"[postgres]\nurl = mysql://u:secret@h/d",
     "'url' in [postgres]: a URL that begins with 'mysql://'",
     "write postgresql://user:password@host:port/database"},
    {"[postgres]\nurl = host=db password=secret", "'url' in [postgres]: not a URL",
     "write postgresql://user:password@host:port/database"},
    {"[redis]\nurl = 'redis://:secret@h'", "'url' in [redis]: not a URL",
     "write redis://:password@host:port/0, without quotes"},
    {"[redis]\nurl = redis://:secret@h # why",
     "'url' in [redis]: a URL with a space or a control character in it",
     "write a space as %20; behind a value a comment begins with ' ;'"},
    {"[postgres]\nurl = postgresql://${NO_SUCH}@h/d",
     "'url' in [postgres]: ${NO_SUCH} is not defined",
     "set NO_SUCH in the environment or in a file that env_file names"},
    {"[postgres]\nurl = postgresql://u:pa$s@h/d",
     "'url' in [postgres]: a '$' that is not part of ${NAME}", "write $$ for a dollar sign"},
    {"[redis]\nmethod = bgsav",
     "'method' in [redis]: 'bgsav' is not 'auto', 'bgsave' or "
     "'stream'",
     "did you mean 'bgsave'?"},
    {"[redis]\nconnect_timeout = soon",
     "'connect_timeout' in [redis]: 'soon' is not a "
     "duration",
     "write seconds, or a number with ms, s, m, h, d or w: 20, 5m"},
    {"[redis]\nconnect_timeout = 2h",
     "'connect_timeout' in [redis]: '2h' is not between "
     "100 ms and 1 h 0 min",
     ""},
    {"[postgres]\nvolume = ../x",
     "'volume' in [postgres]: '../x' is not a name: at most 200 letters, digits, '_', '.' "
     "and '-', not beginning with '.' or '-'",
     ""},
    {"[postgres]\nvolume = \"x\"",
     "'volume' in [postgres]: '\"x\"' is not a name: at most 200 letters, digits, '_', '.' "
     "and '-', not beginning with '.' or '-'",
     "write it without quotes"},
    {"[archive]\nlevel = 0", "'level' in [archive]: '0' is not between 1 and 19", ""},
    {"[archive]\nlevel = 3 # fast",
     "'level' in [archive]: '3 # fast' is not a number between 1 and 19",
     "behind a value a comment begins with ' ;'"},
    {"[archive]\nlevel = -1", "'level' in [archive]: '-1' is not a number between 1 and 19", ""},
    {"[archive]\npart_size = 1GiB",
     "'part_size' in [archive]: '1GiB' is not between 64 KiB and 64 MiB", ""},
    {"[archive]\npart_size = big", "'part_size' in [archive]: 'big' is not a size",
     "write bytes, or a number with KiB, MiB or GiB: 8MiB"},
    {"[store a]\nurl = file://b",
     "'url' in [store a]: 'file://b' is not the URL of an absolute folder",
     "write three slashes: file:///var/backups"},
    {"[store a]\nurl = file://u:secret@h/b", "'url' in [store a]: a URL with a password in it",
     "davs has a key for it: password = ${NAME}; sftp takes the key_file or the SSH agent"},
    {"[store a]\nurl = s3://u@b/p", "'url' in [store a]: a URL with a user in it", ""},
    {"[store a]\nurl = ftp://h/p", "'url' in [store a]: a URL that begins with 'ftp://'",
     "write file:///absolute/folder, s3://bucket/prefix, sftp://user@host/folder or "
     "davs://host/folder"},
    {"[store a]\nlimit = 20MiB", "'limit' in [store a]: '20MiB' is not bytes in a second",
     "write a number with KiB/s, MiB/s or GiB/s: 20MiB/s"},
    {"[store a]\nlimit = 1B/s",
     "'limit' in [store a]: '1B/s' is not between 1 KiB and 1 TiB in a second", ""},
    {"[store a]\nkey_file = /k", "'key_file' in [store a]: no use for it with this url",
     "it is for urls that begin with one of: sftp"},
    {"[store a]\nsession_token = secret",
     "'session_token' in [store a]: no use for it with this url",
     "it is for urls that begin with one of: s3"},
    {"[store a]\nretries = 3", "'retries' in [store a]: no use for it with this url",
     "it is for urls that begin with one of: s3 sftp davs dav"},
    {"[store a]\nkeep =", "'keep' in [store a]: an empty value", ""},
    {"[store a]\nkeep = last 3, dayly 7", "'keep' in [store a]: 'dayly 7' is not a rule",
     "Rules are last N, hourly N, daily N, weekly N, monthly N, yearly N, within 30d (h, d or w) "
     "and min N, with commas between them."},
    {"[schedule]\nbackup = 0 25 * * *", "'backup' in [schedule]: the hour '25' is none",
     "allowed are *, 0 to 23, ranges (a-b), steps (*/n, a-b/n) and lists (a,b)"},
    {"[schedule]\nbackups = @daily", "unknown key 'backups' in [schedule]",
     "did you mean 'backup'?"},
    {"[schedule]\ncatch_up = 31d",
     "'catch_up' in [schedule]: '31d' is not between 0 ms and 30 d 0 h", NULL},
    {"[schedule]\ntimezone = Europe/Berln",
     "'timezone' in [schedule]: 'Europe/Berln' is not a time zone", NULL},
    /* A folder, and a file that is no zone. */
    {"[schedule]\ntimezone = Europe", "'timezone' in [schedule]: 'Europe' is not a time zone",
     NULL},
    {"[schedule]\ntimezone = zone.tab", "'timezone' in [schedule]: 'zone.tab' is not a time zone",
     NULL},
    {"[schedule]\ntimezone = ../../etc/passwd",
     "'timezone' in [schedule]: '../../etc/passwd' is not a time zone", NULL},
};

static void config_load__wrong_values__say_what_is_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrong_values / sizeof wrong_values[0]; i++) {
		struct err err = ERR_INIT;
		CLEANUP(freep) char *text = NULL;
		CLEANUP(freep) char *message = NULL;
		/* `url` first, so that nothing else is missing. */
		const char *head = strstr(wrong_values[i].lines, "\nurl") != NULL ? "" : NULL;
		if (head == NULL)
			head = strncmp(wrong_values[i].lines, "[store", 6) == 0 ? "url=file:///x\n"
			       : strncmp(wrong_values[i].lines, "[redis", 6) == 0
				   ? "url=redis://h\n"
			       : strncmp(wrong_values[i].lines, "[postgres", 9) == 0
				   ? "url=postgresql://h/d\n"
				   : "";
		const char *rest = strchr(wrong_values[i].lines, '\n') + 1;
		assert_int_equal(str_printf(&text, &err, STACK "%.*s%s%s\n",
					    (int)(rest - wrong_values[i].lines),
					    wrong_values[i].lines, head, rest),
				 0);
		assert_int_equal(str_printf(&message, &err, "agent.conf:%d: %s",
					    head[0] != '\0' ? 6 : 5, wrong_values[i].message),
				 0);
		struct config *c = NULL;
		put("agent.conf", 0600, text);
		assert_int_equal(config_load("agent.conf", &c, &err), -1);
		assert_string_equal(err.msg, message);
		if (wrong_values[i].hint != NULL)
			assert_string_equal(err.hint, wrong_values[i].hint);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_null(strstr(err.msg, "secret"));
		assert_null(strstr(err.hint, "secret"));
	}
}

static void config_load__wrong_names_of_the_stack__are_refused(void **state)
{
	(void)state;
	static const char *const names[] = {"a.b", "a b", "-a", "a/b", "\xC3\xA4"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct err err = ERR_INIT;
		CLEANUP(freep) char *text = NULL;
		struct config *c = NULL;
		assert_int_equal(
		    str_printf(&text, &err, "[stack]\nname=%s\nvolumes_dir=/v\n", names[i]), 0);
		put("agent.conf", 0600, text);
		assert_int_equal(config_load("agent.conf", &c, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.msg, "is not a name: at most 64 letters, digits"));
	}
}

static void config_load__env_file_that_is_wrong__is_named(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct config *c = NULL;
	put("agent.conf", 0600, STACK "env_file = none.env\n");
	assert_int_equal(config_load("agent.conf", &c, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "agent.conf:1: env_file: can't open '"));
	assert_non_null(strstr(err.msg, "/none.env': No such file or directory"));
	put("bad.env", 0600, "A=1\nB='secret\n");
	put("agent.conf", 0600, STACK "env_file = bad.env\n");
	assert_int_equal(config_load("agent.conf", &c, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.msg, "/bad.env:2: the quote is never closed"));
	assert_null(strstr(err.msg, "secret"));
}

static void config_load__address_that_is_wrong__is_told_with_its_place(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct config *c = NULL;
	put("agent.conf", 0600, STACK "[agent]\nlisten = 8094\n");
	assert_int_equal(config_load("agent.conf", &c, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg,
			    "agent.conf:4: 'listen' in [agent]: '8094' is not ADDRESS:PORT");
	/* Without such a section there is no line. */
	put("agent.conf", 0600, STACK);
	setenv("LIFEBOAT_AGENT_LISTEN", "x", 1);
	assert_int_equal(config_load("agent.conf", &c, &err), -1);
	unsetenv("LIFEBOAT_AGENT_LISTEN");
	assert_string_equal(err.msg, "agent.conf: 'listen' in [agent]: 'x' is not ADDRESS:PORT");
}

/* ---- the rest ---- */

static size_t warnings(const char *url, mode_t mode, char *ret_first, size_t bytes)
{
	struct err err = ERR_INIT;
	CLEANUP(freep) char *text = NULL;
	CLEANUP(config_freep) struct config *c = NULL;
	setenv("LB_T_PW", "x", 1);
	assert_int_equal(str_printf(&text, &err, STACK "[postgres]\nurl=%s\n", url), 0);
	put("agent.conf", mode, text);
	if (config_load("agent.conf", &c, &err) < 0)
		fail_msg("%s", err.msg);
	unsetenv("LB_T_PW");
	snprintf(ret_first, bytes, "%s", c->warnings.count > 0 ? c->warnings.items[0] : "");
	return c->warnings.count;
}

static void config_load__password_for_everyone__is_a_warning(void **state)
{
	(void)state;
	char text[256];
	assert_int_equal(warnings("postgresql://u:secret@h/d", 0644, text, sizeof text), 1);
	assert_string_equal(text, "agent.conf:5: there is a password in a file that everyone may "
				  "read (chmod 600 it, or write ${NAME} and name an env_file)");
	assert_int_equal(warnings("postgresql://u:secret@h/d", 0640, text, sizeof text), 0);
	assert_int_equal(warnings("postgresql://u:${LB_T_PW}@h/d", 0644, text, sizeof text), 0);
	assert_int_equal(warnings("postgresql://${U:-u}:${LB_T_PW}@h/d", 0644, text, sizeof text),
			 0);
	assert_int_equal(warnings("postgresql://${U:-u}:x@h/d", 0644, text, sizeof text), 1);
	assert_int_equal(warnings("postgresql://u@h/d", 0644, text, sizeof text), 0);
	/* A job of lifeboat run, which has said it. */
	put("held.conf", 0600, STACK "[postgres]\nurl=postgresql://u:secret@h/d\n");
	int fd = open("held.conf", O_RDONLY);
	char held[16];
	snprintf(held, sizeof held, "%d", fd);
	setenv(CONFIG_FD_VARIABLE, held, 1);
	assert_int_equal(warnings("postgresql://u:secret@h/d", 0644, text, sizeof text), 0);
	assert_null(getenv(CONFIG_FD_VARIABLE));
	close(fd);
	assert_int_equal(warnings("postgresql://h/d?password=x", 0644, text, sizeof text), 1);
}

static void config_store_find__labels__find_or_list_what_there_is(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct config_store *s = NULL;
	CLEANUP(config_freep)
	struct config *c = loaded(STACK "[store a]\nurl=file:///a\n[store b]\nurl=file:///b\n");
	assert_int_equal(config_store_find(c, NULL, &s, &err), 0);
	assert_string_equal(s->label, "a");
	assert_int_equal(config_store_find(c, "b", &s, &err), 0);
	assert_string_equal(s->url, "file:///b");
	assert_int_equal(config_store_find(c, "c", &s, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	assert_string_equal(err.msg, "there is no store 'c' in agent.conf");
	assert_string_equal(err.hint, "its stores are: a, b");
	CLEANUP(config_freep) struct config *none = loaded(STACK);
	assert_int_equal(config_store_find(none, NULL, &s, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, "agent.conf has no store");
}

static void config_require_component__nothing__is_an_error(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(config_freep) struct config *none = loaded(STACK);
	assert_int_equal(config_require_component(none, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, "agent.conf names nothing to back up");
	CLEANUP(config_freep) struct config *one = loaded(STACK "[volume m]\n");
	assert_int_equal(config_require_component(one, &err), 0);
}

/* Does a line of the sample begin with `key` as a key, in use or commented out? */
static bool sample_has(const char *section, const char *key)
{
	size_t len = strlen(key);
	for (const char *line = section; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (line != section && (line[0] == '[' || strncmp(line, ";[", 2) == 0))
			return false;
		const char *at = line + (*line == ';');
		if (strncmp(at, key, len) == 0 && strncmp(at + len, " = ", 3) == 0)
			return true;
	}
	return false;
}

static void sample__has_every_key__and_loads(void **state)
{
	(void)state;
	const char *root = state[0];
	CLEANUP(freep) char *path = NULL;
	struct err err = ERR_INIT;
	struct buf text;
	assert_int_equal(str_printf(&path, &err, "%s/agent.conf", root), 0);
	buf_init(&text, 1 << 20);
	if (file_read_all(path, &text, &err) < 0)
		fail_msg("%s", err.msg);
	const struct config_key *k;
	for (size_t i = 0; (k = config_key_at(i)) != NULL; i++) {
		const struct config_section *s = config_section_find(k->section);
		char heading[64];
		snprintf(heading, sizeof heading, "[%s%s", k->section, s->labelled ? " " : "]");
		/* One of them: no store has them all. */
		const char *section = strstr(buf_text(&text), heading);
		while (section != NULL && !sample_has(section, k->key))
			section = strstr(section + 1, heading);
		if (section == NULL)
			fail_msg("the sample has no '%s' in [%s]", k->key, k->section);
	}
	put(".env", 0600, "DB_USER=u\nDB_PASSWORD=p\nREDIS_PASSWORD=r\n");
	CLEANUP(config_freep) struct config *c = loaded(buf_text(&text));
	assert_true(c->postgres.enabled && c->redis.enabled && c->pgbouncer.enabled);
	/* The sample again with every commented key in use: what it shows is valid. */
	for (char *at = (char *)text.data; (at = strchr(at, '\n')) != NULL; at++)
		if (at[1] == ';' && at[2] != ' ' && at[2] != '\n')
			at[1] = ' ';
	struct buf used;
	buf_init(&used, 1 << 20);
	for (const char *at = buf_text(&text); *at != '\0'; at++)
		if (!(at[0] == ' ' && at > buf_text(&text) && at[-1] == '\n'))
			assert_int_equal(buf_append(&used, at, 1, &err), 0);
	static const char *const names[] = {"STATS_PASSWORD",   "S3_ACCESS_KEY",  "S3_SECRET_KEY",
					    "S3_SESSION_TOKEN", "KEY_PASSPHRASE", "DAV_PASSWORD",
					    "PAGE_TOKEN",       "SLACK_HOOK",     "PING_ID",
					    "SMTP_PASSWORD"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		setenv(names[i], "0123456789abcdef", 1);
	CLEANUP(config_freep) struct config *all = loaded(buf_text(&used));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unsetenv(names[i]);
	assert_int_equal(all->store_count, 4);
	assert_int_equal(all->check_count, 1);
	assert_int_equal(all->notifier_count, 5);
	assert_int_equal(all->volume_count, 1);
	assert_int_equal(all->archive.part_bytes, c->archive.part_bytes);
	buf_done(&used);
	buf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(config_load__smallest_file__has_defaults),
	    cmocka_unit_test(config_load__everything__is_where_it_belongs),
	    cmocka_unit_test(config_load__variables__come_from_environment_then_env_files),
	    cmocka_unit_test(config_load__path_with_folder__is_where_names_are_relative_to),
	    cmocka_unit_test(config_load__no_path__looks_in_the_usual_places),
	    cmocka_unit_test(config_load__no_file__says_how_to_name_one),
	    cmocka_unit_test(config_load__overrides__win_over_the_file),
	    cmocka_unit_test(config_load__wrong_overrides__are_named),
	    cmocka_unit_test(config_load__unknown_names__get_a_suggestion),
	    cmocka_unit_test(config_load__labels__are_checked),
	    cmocka_unit_test(config_load__missing__says_what_to_add),
	    cmocka_unit_test(config_load__wrong_values__say_what_is_right),
	    cmocka_unit_test(config_load__wrong_names_of_the_stack__are_refused),
	    cmocka_unit_test(config_load__env_file_that_is_wrong__is_named),
	    cmocka_unit_test(config_load__address_that_is_wrong__is_told_with_its_place),
	    cmocka_unit_test(config_load__password_for_everyone__is_a_warning),
	    cmocka_unit_test(config_store_find__labels__find_or_list_what_there_is),
	    cmocka_unit_test(config_require_component__nothing__is_an_error),
	    cmocka_unit_test(sample__has_every_key__and_loads),
	};
	return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
