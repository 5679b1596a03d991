#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/json.h"
#include "stack/engine/engine.h"
#include "tests/support/scratch.h"

static struct engine *opened(const char *dir, const char *purpose)
{
	struct engine *e;
	struct err err = ERR_INIT;
	char *volumes = scratch_path(dir, "volumes");
	const struct engine_opts opts = {.kind = "local",
					 .stack = "hdms",
					 .volumes_dir = volumes,
					 .run_as = "nobody",
					 .run_id = "20261123T020000Z-3f9c",
					 .purpose = purpose};
	if (engine_open(&opts, &e, &err) < 0)
		fail_msg("%s", err.msg);
	free(volumes);
	return e;
}

static int setup(void **state)
{
	*state = scratch_new();
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

#define OK(call)                                                                                   \
	do {                                                                                       \
		struct err why = ERR_INIT;                                                         \
		if ((call) < 0)                                                                    \
			fail_msg("%s", why.msg);                                                   \
	} while (0)

/* ---- opening ---- */

static void engine_open__wrong_options__config(void **state)
{
	(void)state;
	struct engine *e = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(engine_open(&(struct engine_opts){.kind = "cloud"}, &e, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, "there is no engine 'cloud'");
	assert_int_equal(engine_open(&(struct engine_opts){.kind = "local"}, &e, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, "the local engine needs a folder for its volumes");
	assert_string_equal(err.hint, "Set [stack] volumes_dir.");
	const struct engine_opts nobody = {
	    .kind = "local", .volumes_dir = "/tmp", .run_as = "no-such-user"};
	if (geteuid() == 0) {
		assert_int_equal(engine_open(&nobody, &e, &err), -1);
		assert_int_equal(err.code, ERR_ABSENT);
		assert_string_equal(err.msg,
				    "user that servers run as: there is no user 'no-such-user'");
		assert_string_equal(err.hint, "Set [stack] run_as to a user of this machine.");
	}
	assert_null(e);
}

static void volume_names__as_the_rules_say(void **state)
{
	(void)state;
	assert_true(engine_volume_name_is_valid("hdms_postgres_data_20261123T020000Z-3f9c"));
	assert_true(engine_volume_name_is_valid("_a.b-c"));
	const char *const bad[] = {"", ".a", "-a", "a/b", "..", "a b", "a\nb", "\xc3\xbc"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(engine_volume_name_is_valid(bad[i]));
	char name[202];
	memset(name, 'a', sizeof name);
	name[201] = '\0';
	assert_false(engine_volume_name_is_valid(name));
	name[200] = '\0';
	assert_true(engine_volume_name_is_valid(name));
}

static void volume__wrong_name__config_everywhere(void **state)
{
	struct engine *e = opened(*state, "restore");
	bool exists;
	struct err err = ERR_INIT;
	assert_int_equal(engine_volume_create(e, "../x", &(struct volume_spec){0}, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.msg, "'../x' can't be the name of a volume");
	assert_int_equal(engine_volume_remove(e, "../x", &err), -1);
	assert_int_equal(engine_volume_exists(e, "../x", &exists, &err), -1);
	assert_int_equal(engine_volume_finish(e, "../x", &err), -1);
	struct tree_writer *t;
	assert_int_equal(engine_volume_write(e, "../x", &t, &err), -1);
	assert_int_equal(engine_volume_read(e, "../x", NULL, NULL, &err), -1);
	engine_free(e);
}

/* ---- volumes ---- */

static void volume_create__new__empty_0700_and_marked_beside(void **state)
{
	struct engine *e = opened(*state, "restore");
	bool exists = true;
	OK(engine_volume_exists(e, "v1", &exists, &why));
	assert_false(exists);
	OK(engine_volume_create(e, "v1", &(struct volume_spec){0}, &why));
	OK(engine_volume_exists(e, "v1", &exists, &why));
	assert_true(exists);
	char *path = scratch_path(*state, "volumes/v1");
	assert_string_equal(engine_volume_where(e, "v1"), path);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, 040700);
	if (geteuid() == 0)
		assert_int_equal(st.st_uid, 65534);
	struct strlist names = {0};
	OK(dir_list(path, &names, &why));
	assert_int_equal(names.count, 0);
	char *mark = scratch_read(*state, "volumes/.lifeboat/v1.json");
	assert_non_null(strstr(mark, "\"purpose\": \"restore\""));
	assert_non_null(strstr(mark, "\"run\": \"20261123T020000Z-3f9c\""));
	assert_non_null(strstr(mark, "\"finished\": false"));
	uint64_t bytes = 0;
	OK(engine_volume_free_bytes(e, &bytes, &why));
	assert_true(bytes > 0);
	free(mark);
	free(path);
	engine_free(e);
}

static void volume_create__name_taken__exists_and_untouched(void **state)
{
	scratch_file(*state, "volumes/prod/precious", "data");
	struct engine *e = opened(*state, "restore");
	struct err err = ERR_INIT;
	assert_int_equal(engine_volume_create(e, "prod", &(struct volume_spec){0}, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_non_null(strstr(err.msg, "volume 'prod' exists: '"));
	assert_string_equal(err.hint,
			    "Choose another name; a volume that exists is never written into.");
	assert_false(scratch_has(*state, "volumes/.lifeboat/prod.json"));
	struct tree_writer *t = NULL;
	assert_int_equal(engine_volume_write(e, "prod", &t, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_string_equal(err.msg, "volume 'prod' was not made here: not written into");
	assert_int_equal(engine_volume_remove(e, "prod", &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_string_equal(err.msg, "volume 'prod' was not made here: not removed");
	assert_true(scratch_has(*state, "volumes/prod/precious"));
	engine_free(e);
}

static void volume_remove__ours__gone_with_its_mark(void **state)
{
	struct engine *e = opened(*state, "restore");
	struct tree_writer *t;
	OK(engine_volume_create(e, "v1", &(struct volume_spec){0}, &why));
	OK(engine_volume_write(e, "v1", &t, &why));
	OK(tree_writer_file(t, "a/b", 0600, "x", 1, &why));
	OK(tree_writer_close(t, &why));
	tree_writer_free(t);
	OK(engine_volume_remove(e, "v1", &why));
	assert_false(scratch_has(*state, "volumes/v1"));
	assert_false(scratch_has(*state, "volumes/.lifeboat/v1.json"));
	OK(engine_volume_remove(e, "v1", &why)); /* absent is fine */
	engine_free(e);
}

static void volume_remove__replaced_by_hand__denied(void **state)
{
	struct engine *e = opened(*state, "restore");
	OK(engine_volume_create(e, "v1", &(struct volume_spec){0}, &why));
	char *path = scratch_path(*state, "volumes/v1"), *away = scratch_path(*state, "away");
	assert_int_equal(rename(path, away), 0);
	scratch_file(*state, "volumes/v1/precious", "data");
	struct err err = ERR_INIT;
	assert_int_equal(engine_volume_remove(e, "v1", &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_int_equal(engine_volume_finish(e, "v1", &err), -1);
	assert_non_null(strstr(err.msg, "is no longer the volume that was made"));
	struct strlist swept = {0};
	OK(engine_sweep(e, false, &swept, &why));
	engine_free(e);
	e = opened(*state, "restore");
	OK(engine_sweep(e, false, &swept, &why));
	assert_int_equal(swept.count, 0);
	assert_true(scratch_has(*state, "volumes/v1/precious"));
	engine_free(e);
	free(path);
	free(away);
}

/* ---- sweeping ---- */

/* Runs `fn` in a process of its own that is then killed, as by kill -9. */
static void killed(void (*fn)(const char *dir), const char *dir)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fn(dir);
		raise(SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void make_three(const char *dir)
{
	struct engine *e = opened(dir, "drill");
	struct server *s;
	OK(engine_volume_create(e, "drill_pg", &(struct volume_spec){0}, &why));
	OK(engine_server_new(e, "redis", 0, &s, &why));
	e = opened(dir, "restore");
	OK(engine_volume_create(e, "half", &(struct volume_spec){0}, &why));
	OK(engine_volume_create(e, "whole", &(struct volume_spec){0}, &why));
	OK(engine_volume_finish(e, "whole", &why));
	/* And in the middle of writing a mark. */
	struct file_new *mark;
	OK(file_new_open(scratch_path(dir, "volumes/.lifeboat/next.json"), 0600, &mark, &why));
}

static void sweep__after_a_kill__removes_all_but_the_finished_restore(void **state)
{
	killed(make_three, *state);
	struct engine *e = opened(*state, "restore");
	OK(engine_volume_create(e, "mine", &(struct volume_spec){0}, &why));
	struct strlist would = {0}, did = {0};
	OK(engine_sweep(e, true, &would, &why));
	assert_true(scratch_has(*state, "volumes/drill_pg"));
	assert_true(scratch_has(*state, "volumes/.lifeboat/next.json.part"));
	OK(engine_sweep(e, false, &did, &why));
	assert_false(scratch_has(*state, "volumes/.lifeboat/next.json.part"));
	assert_int_equal(did.count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(did.items[i], would.items[i]);
	assert_non_null(strstr(did.items[0], "work folder '"));
	assert_non_null(strstr(did.items[0], "of redis, made by drill 20261123T020000Z-3f9c"));
	assert_string_equal(did.items[1], "volume 'drill_pg' of drill 20261123T020000Z-3f9c");
	assert_string_equal(did.items[2], "volume 'half' of restore 20261123T020000Z-3f9c");
	assert_false(scratch_has(*state, "volumes/drill_pg"));
	assert_false(scratch_has(*state, "volumes/half"));
	assert_true(scratch_has(*state, "volumes/whole"));
	assert_true(scratch_has(*state, "volumes/mine"));
	char *folder = strchr(did.items[0], '\'') + 1;
	*strchr(folder, '\'') = '\0';
	assert_false(file_exists(folder));
	strlist_done(&would);
	strlist_done(&did);
	OK(engine_sweep(e, false, &did, &why));
	assert_int_equal(did.count, 0);
	/* Locks of the dead are gone, ours is held. */
	char *work = scratch_path(*state, "volumes/.lifeboat/work");
	OK(dir_list(work, &did, &why));
	assert_int_equal(did.count, 1);
	strlist_done(&did);
	engine_free(e);
	OK(dir_list(work, &did, &why));
	assert_int_equal(did.count, 0);
	free(work);
}

static void sweep__a_run_that_lives__is_left_alone(void **state)
{
	int go[2], done[2];
	char byte;
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(done), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(go[1]);
		make_three(*state);
		if (write(done[1], "", 1) != 1 || read(go[0], &byte, 1) != 0)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(read(done[0], &byte, 1), 1);
	struct engine *e = opened(*state, "restore");
	struct strlist did = {0};
	OK(engine_sweep(e, false, &did, &why));
	assert_int_equal(did.count, 0);
	assert_true(scratch_has(*state, "volumes/drill_pg"));
	struct err err = ERR_INIT;
	assert_int_equal(engine_volume_create(e, "drill_pg", &(struct volume_spec){0}, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	OK(engine_sweep(e, false, &did, &why));
	assert_int_equal(did.count, 3);
	strlist_done(&did);
	engine_free(e);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(done[i]);
	}
}

static void sweep__killed_between_mark_and_folder__forgotten(void **state)
{
	struct engine *e = opened(*state, "drill");
	scratch_file(*state, "volumes/.lifeboat/early.json",
		     "{\"purpose\":\"drill\",\"maker\":\"run-000000000000\",\"run\":\"x\"}");
	scratch_file(*state, "volumes/.lifeboat/other.json",
		     "{\"purpose\":\"drill\",\"maker\":\"run-000000000000\",\"run\":\"x\"}");
	char *early = scratch_path(*state, "volumes/early");
	assert_int_equal(mkdir(early, 0700), 0); /* made, not marked */
	scratch_file(*state, "volumes/other/precious", "somebody else's");
	struct strlist did = {0};
	OK(engine_sweep(e, false, &did, &why));
	assert_int_equal(did.count, 0);
	assert_false(file_exists(early));
	assert_true(scratch_has(*state, "volumes/other/precious"));
	assert_false(scratch_has(*state, "volumes/.lifeboat/early.json"));
	assert_false(scratch_has(*state, "volumes/.lifeboat/other.json"));
	/* A name whose maker died before the folder was there can be used again. */
	scratch_file(*state, "volumes/.lifeboat/again.json", "{\"maker\":\"run-000000000000\"}");
	OK(engine_volume_create(e, "again", &(struct volume_spec){0}, &why));
	free(early);
	engine_free(e);
}

static void sweep__a_broken_mark__the_rest_is_swept_and_it_is_reported(void **state)
{
	killed(make_three, *state);
	scratch_file(*state, "volumes/.lifeboat/aaa.json", "{nonsense");
	struct engine *e = opened(*state, "restore");
	struct strlist did = {0};
	struct err err = ERR_INIT;
	assert_int_equal(engine_sweep(e, false, &did, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "aaa.json': not JSON"));
	assert_int_equal(did.count, 3);
	strlist_done(&did);
	engine_free(e);
}

static void sweep__no_volumes_at_all__nothing(void **state)
{
	struct engine *e = opened(*state, NULL);
	struct strlist did = {0};
	OK(engine_sweep(e, false, &did, &why));
	assert_int_equal(did.count, 0);
	uint64_t bytes = 0;
	OK(engine_volume_free_bytes(e, &bytes, &why));
	assert_true(bytes > 0);
	assert_false(scratch_has(*state, "volumes"));
	engine_free(e);
}

/* ---- reach ---- */

static void volume_create__folder_closed_to_the_servers_user__denied(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(*state, 0700), 0);
	struct engine *e = opened(*state, "restore");
	struct err err = ERR_INIT;
	assert_int_equal(engine_volume_create(e, "v1", &(struct volume_spec){0}, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_non_null(strstr(err.msg, "user 'nobody' can't reach folder '"));
	assert_non_null(strstr(err.hint, "chmod o+x"));
	assert_false(scratch_has(*state, "volumes/v1"));
	engine_free(e);
}

/* ---- tools ---- */

static void tool_find__not_there__absent_with_the_package(void **state)
{
	struct engine *e = opened(*state, NULL);
	char *path = NULL;
	static const struct {
		struct tool tool;
		const char *msg, *hint;
	} cases[] = {
	    {{.component = "postgres", .major = 77, .name = "pg_dump"},
	     "pg_dump of PostgreSQL 77 is not installed",
	     "Install postgresql-client-77."},
	    {{.component = "postgres", .major = 77, .name = "initdb"},
	     "initdb of PostgreSQL 77 is not installed",
	     "Install postgresql-77."},
	    {{.component = "redis", .major = 99, .name = "redis-server"},
	     "redis-server of version 99 or newer is not installed",
	     "Install redis-server or valkey-server."},
	    {{.component = "pgbouncer", .name = "no-such-program"},
	     "no-such-program is not installed",
	     "Install pgbouncer."},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		assert_int_equal(engine_tool_find(e, &cases[i].tool, &path, &err), -1);
		assert_int_equal(err.code, ERR_ABSENT);
		assert_true(strncmp(err.msg, cases[i].msg, strlen(cases[i].msg)) == 0);
		assert_string_equal(err.hint, cases[i].hint);
	}
	assert_null(path);
	engine_free(e);
}

/* Programs of our own making, found in PATH. */
static char *with_path(const char *dir)
{
	char *bin = scratch_path(dir, "bin");
	setenv("PATH", bin, 1);
	return bin;
}

static void program(const char *dir, const char *name, const char *script)
{
	char *file = scratch_path(dir, "bin/%s", name);
	char *relative = file + strlen(dir) + 1;
	scratch_file(dir, relative, script);
	assert_int_equal(chmod(file, 0755), 0);
	free(file);
}

static void tool_find__another_version__says_which(void **state)
{
	char *path_before = strdup(getenv("PATH")), *bin = with_path(*state);
	program(*state, "pg_config", "#!/bin/sh\necho \"${0%/*}\"\n");
	program(*state, "pg_dump", "#!/bin/sh\necho 'pg_dump (PostgreSQL) 76.3 (Debian 76.3-1)'\n");
	struct engine *e = opened(*state, NULL);
	char *path = NULL;
	struct err err = ERR_INIT;
	struct tool t = {.component = "postgres", .major = 77, .name = "pg_dump"};
	assert_int_equal(engine_tool_find(e, &t, &path, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_non_null(strstr(err.msg, "not installed; '"));
	assert_non_null(strstr(err.msg, "bin/pg_dump' is of version 76"));
	t.major = 76;
	OK(engine_tool_find(e, &t, &path, &why));
	assert_true(strncmp(path, bin, strlen(bin)) == 0);
	free(path);
	setenv("PATH", path_before, 1);
	engine_free(e);
	free(bin);
	free(path_before);
}

static void tool__source_sink_and_run__output_input_and_status(void **state)
{
	char *path_before = strdup(getenv("PATH")), *bin = with_path(*state);
	program(*state, "say", "#!/bin/sh\necho \"$1 $2 $LB_TEST\"; exit ${3:-0}\n");
	program(*state, "eat", "#!/bin/sh\n/bin/cat > \"$1\"; exit ${2:-0}\n");
	struct engine *e = opened(*state, "restore");
	OK(engine_volume_create(e, "v1", &(struct volume_spec){0}, &why));
	struct tool say = {.component = "other",
			   .name = "say",
			   .argv = (const char *const[]){TOOL_VOLUME, "b", NULL},
			   .env = (const char *const[]){"LB_TEST=set", NULL},
			   .volume = "v1",
			   .idle_ms = 10000};
	char want[512], got[512] = "";
	snprintf(want, sizeof want, "%s b set\n", engine_volume_where(e, "v1"));
	struct source *s;
	size_t n;
	OK(engine_tool_source(e, &say, &s, &why));
	OK(source_read_full(s, (uint8_t *)got, sizeof got - 1, &n, &why));
	assert_string_equal(got, want);
	source_free(s);
	struct buf out;
	buf_init(&out, 1024);
	OK(engine_tool_run(e, &say, &out, deadline_in(10000), &why));
	assert_string_equal(buf_text(&out), want);
	OK(engine_tool_run(e, &say, NULL, deadline_in(10000), &why));
	buf_done(&out);
	struct err err = ERR_INIT;
	say.argv = (const char *const[]){"a", "b", "3", NULL};
	assert_int_equal(engine_tool_run(e, &say, NULL, deadline_in(10000), &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_string_equal(err.msg, "'say' exited with status 3");

	char *file = scratch_path(*state, "eaten");
	struct tool eat = {.component = "other",
			   .name = "eat",
			   .argv = (const char *const[]){file, NULL},
			   .idle_ms = 10000};
	struct sink *k;
	OK(engine_tool_sink(e, &eat, &k, &why));
	OK(sink_write(k, "food", 4, &why));
	OK(sink_close(k, &why));
	sink_free(k);
	char *text = scratch_read(*state, "eaten");
	assert_string_equal(text, "food");
	eat.argv = (const char *const[]){file, "4", NULL};
	OK(engine_tool_sink(e, &eat, &k, &why));
	assert_int_equal(sink_close(k, &err), -1);
	assert_string_equal(err.msg, "'eat' exited with status 4");
	sink_free(k);
	setenv("PATH", path_before, 1);
	free(text);
	free(file);
	engine_free(e);
	free(bin);
	free(path_before);
}

/* ---- servers that are programs of our own making ---- */

static void server__fails_at_once__check_has_its_last_words(void **state)
{
	char *path_before = strdup(getenv("PATH")), *bin = with_path(*state);
	program(*state, "pgbouncer", "#!/bin/sh\necho 'cannot bind' >&2; exit 7\n");
	struct engine *e = opened(*state, "drill");
	struct server *s;
	OK(engine_server_new(e, "pgbouncer", 0, &s, &why));
	assert_string_equal(server_host(s), "127.0.0.1");
	assert_true(server_port(s) > 1023);
	assert_true(strlen(server_socket_dir(s)) < 90);
	struct err err = ERR_INIT;
	assert_int_equal(server_check(s, &err), -1);
	assert_string_equal(err.msg, "pgbouncer does not run");
	assert_int_equal(server_start(s, &(struct server_spec){0}, &err), -1);
	assert_string_equal(err.msg,
			    "start of pgbouncer: pgbouncer needs the text of its configuration");
	const struct server_spec spec = {.settings = (const char *const[]){"[pgbouncer]\n", NULL}};
	OK(server_start(s, &spec, &why));
	while (server_check(s, &err) == 0)
		usleep(1000);
	assert_int_equal(err.code, ERR_FAILED);
	assert_string_equal(err.msg, "pgbouncer 'pgbouncer' exited with status 7\ncannot bind");
	assert_int_equal(server_stop(s, 1000, &err), -1);
	assert_string_equal(err.msg,
			    "stop of pgbouncer: 'pgbouncer' exited with status 7\ncannot bind");
	assert_int_equal(server_pid(s), 0);
	OK(server_stop(s, 1000, &why));
	char *work = strdup(server_work_dir(s));
	assert_true(file_exists(work));
	server_free(s);
	assert_false(file_exists(work));
	assert_int_equal(engine_server_new(e, "mysql", 0, &s, &err), -1);
	assert_string_equal(err.msg, "there is no server for 'mysql'");
	setenv("PATH", path_before, 1);
	free(work);
	engine_free(e);
	free(bin);
	free(path_before);
}

static void server__does_not_stop__killed_after_the_grace(void **state)
{
	char *path_before = strdup(getenv("PATH")), *bin = with_path(*state);
	program(*state, "pgbouncer",
		"#!/bin/sh\ntrap '' INT TERM\necho up\nwhile :; do /bin/sleep 0.05; done\n");
	struct engine *e = opened(*state, "drill");
	struct server *s;
	const struct server_spec spec = {.settings = (const char *const[]){"[pgbouncer]\n", NULL}};
	OK(engine_server_new(e, "pgbouncer", 0, &s, &why));
	OK(server_start(s, &spec, &why));
	while (strcmp(server_log_tail(s), "up") != 0)
		usleep(1000);
	long pid = server_pid(s);
	struct err err = ERR_INIT;
	assert_int_equal(server_start(s, &spec, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_int_equal(server_leave(s, &err), -1);
	assert_string_equal(err.msg, "pgbouncer was not started to be left running");
	assert_int_equal(server_stop(s, 100, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_string_equal(err.msg, "pgbouncer did not stop within 100 ms and was killed");
	assert_int_equal(kill((pid_t)pid, 0), -1);
	server_free(s);
	setenv("PATH", path_before, 1);
	engine_free(e);
	free(bin);
	free(path_before);
}

static void server__log_of_many_lines__tail_begins_with_a_whole_one(void **state)
{
	char *path_before = strdup(getenv("PATH")), *bin = with_path(*state);
	program(*state, "pgbouncer",
		"#!/bin/sh\ni=0; while [ $i -lt 500 ]; do i=$((i+1)); "
		"echo \"line $i of the log\"; done; exit 1\n");
	struct engine *e = opened(*state, "drill");
	struct server *s;
	const struct server_spec spec = {.settings = (const char *const[]){"[pgbouncer]\n", NULL}};
	OK(engine_server_new(e, "pgbouncer", 0, &s, &why));
	OK(server_start(s, &spec, &why));
	struct err err = ERR_INIT;
	while (server_check(s, &err) == 0)
		usleep(1000);
	assert_true(strncmp(server_log_tail(s), "line ", 5) == 0);
	assert_non_null(strstr(err.msg, "line 500 of the log"));
	assert_true(strlen(err.msg) < ERR_MSG_BYTES - 64);
	server_free(s);
	setenv("PATH", path_before, 1);
	engine_free(e);
	free(bin);
	free(path_before);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(engine_open__wrong_options__config),
	    cmocka_unit_test(volume_names__as_the_rules_say),
	    CASE(volume__wrong_name__config_everywhere),
	    CASE(volume_create__new__empty_0700_and_marked_beside),
	    CASE(volume_create__name_taken__exists_and_untouched),
	    CASE(volume_remove__ours__gone_with_its_mark),
	    CASE(volume_remove__replaced_by_hand__denied),
	    CASE(sweep__after_a_kill__removes_all_but_the_finished_restore),
	    CASE(sweep__a_run_that_lives__is_left_alone),
	    CASE(sweep__killed_between_mark_and_folder__forgotten),
	    CASE(sweep__a_broken_mark__the_rest_is_swept_and_it_is_reported),
	    CASE(sweep__no_volumes_at_all__nothing),
	    CASE(volume_create__folder_closed_to_the_servers_user__denied),
	    CASE(tool_find__not_there__absent_with_the_package),
	    CASE(tool_find__another_version__says_which),
	    CASE(tool__source_sink_and_run__output_input_and_status),
	    CASE(server__fails_at_once__check_has_its_last_words),
	    CASE(server__does_not_stop__killed_after_the_grace),
	    CASE(server__log_of_many_lines__tail_begins_with_a_whole_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
