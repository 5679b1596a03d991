#include "tests/support/redis_ask.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

static const char *const debuggable[] = {"--enable-debug-command", "yes", NULL};

/* What a thread does to the server while a save runs. */
struct meddler {
	const struct live_redis *l;
	void (*act)(const struct live_redis *l, struct redisdoor *r);
	pthread_t thread;
};

static void *meddle(void *self)
{
	struct meddler *m = self;
	struct redisdoor *r = open_url(m->l->url);
	/* Until the save has begun. */
	for (;;) {
		char *running = NULL;
		struct err err = ERR_INIT;
		if (redisdoor_info(r, "persistence", "rdb_bgsave_in_progress", &running, &err) < 0)
			abort();
		int yes = strcmp(running, "1") == 0;
		free(running);
		if (yes)
			break;
		if (wait_ms(5, &err) < 0)
			abort();
	}
	m->act(m->l, r);
	redisdoor_free(r);
	return NULL;
}

static void start_meddling(struct meddler *m, const struct live_redis *l,
			   void (*act)(const struct live_redis *, struct redisdoor *))
{
	*m = (struct meddler){.l = l, .act = act};
	assert_int_equal(pthread_create(&m->thread, NULL, meddle, m), 0);
}

static void end_meddling(struct meddler *m)
{
	pthread_join(m->thread, NULL);
}

/* Each key takes a while, so that there is time to meddle. */
static void slow_down(struct redisdoor *r, const char *keys, const char *delay_us)
{
	do_it(r, "DEBUG", "POPULATE", keys, NULL);
	do_it(r, "CONFIG", "SET", "rdb-key-save-delay", delay_us);
}

static void read_file(const struct redis_save *save, struct rdb *rdb)
{
	struct err err = ERR_INIT;
	CLEANUP(source_freep) struct source *from = NULL;
	int fd = open(save->path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(source_fd(fd, UINT64_MAX, save->path, &from, &err), 0);
	if (read_rdb(from, rdb, &err) < 0)
		fail_msg("%s", err.msg);
}

static void redisdoor_bgsave__four_in_a_row__each_is_the_newest(void **state)
{
	(void)state;
	struct live_redis l;
	live_redis_start(&l, NULL);
	CLEANUP(redisdoor_freep) struct redisdoor *r = open_url(l.url);
	for (int i = 1; i <= 4; i++) {
		struct redis_save save;
		struct err err = ERR_INIT;
		char key[16];
		snprintf(key, sizeof key, "k%d", i);
		do_it(r, "SET", key, "v", NULL);
		do_it(r, "SELECT", i % 2 == 0 ? "0" : "9", NULL, NULL);
		if (redisdoor_bgsave(r, deadline_in(60000), &save, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(save.dbsize_total, i);
		CLEANUP(rdb_freep) struct rdb *rdb = NULL;
		assert_int_equal(rdb_new(&(struct rdb_opts){.need_checksum = true}, &rdb, &err), 0);
		read_file(&save, rdb);
		const struct rdb_summary *s = rdb_summary(rdb);
		assert_true(s->created_s >= save.began_s);
		assert_int_equal(keys_in(rdb, 0) + keys_in(rdb, 9), i);
	}
	live_redis_stop(&l);
}

static void kill_child(const struct live_redis *l, struct redisdoor *r)
{
	(void)l;
	/* SIGUSR1 by CONFIG: becoming a replica of itself would do as well; FLUSHALL without save
	 * points kills the child and saves nothing. */
	do_it(r, "CONFIG", "SET", "rdb-key-save-delay", "0");
	do_it(r, "FLUSHALL", NULL, NULL, NULL);
	do_it(r, "SET", "after", "1", NULL);
}

static void redisdoor_bgsave__aborted_by_flushall__is_begun_again(void **state)
{
	(void)state;
	struct live_redis l;
	live_redis_start(&l, debuggable);
	CLEANUP(redisdoor_freep) struct redisdoor *r = open_url(l.url);
	slow_down(r, "1000", "20000");
	struct meddler m;
	start_meddling(&m, &l, kill_child);
	struct redis_save save;
	struct err err = ERR_INIT;
	if (redisdoor_bgsave(r, deadline_in(60000), &save, &err) < 0)
		fail_msg("%s", err.msg);
	end_meddling(&m);
	CLEANUP(rdb_freep) struct rdb *rdb = NULL;
	assert_int_equal(rdb_new(NULL, &rdb, &err), 0);
	read_file(&save, rdb);
	assert_true(rdb_summary(rdb)->created_s >= save.began_s);
	assert_int_equal(keys_in(rdb, 0), 1);
	live_redis_stop(&l);
}

static void kill_server(const struct live_redis *l, struct redisdoor *r)
{
	(void)r;
	kill(child_pid(l->child), SIGKILL);
}

static void redisdoor_bgsave__server_killed__is_unreachable(void **state)
{
	(void)state;
	struct live_redis l;
	live_redis_start(&l, debuggable);
	CLEANUP(redisdoor_freep) struct redisdoor *r = open_url(l.url);
	slow_down(r, "1000", "20000");
	struct meddler m;
	start_meddling(&m, &l, kill_server);
	struct redis_save save;
	struct err err = ERR_INIT;
	assert_int_equal(redisdoor_bgsave(r, deadline_in(60000), &save, &err), -1);
	end_meddling(&m);
	assert_int_equal(err.code, ERR_UNREACHABLE);
	live_redis_stop(&l);
}

static void redisdoor_bgsave__somebody_elses_save__is_waited_for_not_adopted(void **state)
{
	(void)state;
	struct live_redis l;
	live_redis_start(&l, debuggable);
	CLEANUP(redisdoor_freep) struct redisdoor *r = open_url(l.url);
	slow_down(r, "50", "20000");
	do_it(r, "BGSAVE", NULL, NULL, NULL);
	do_it(r, "SET", "written while the other save runs", "1", NULL);
	struct redis_save save;
	struct err err = ERR_INIT;
	if (redisdoor_bgsave(r, deadline_in(60000), &save, &err) < 0)
		fail_msg("%s", err.msg);
	CLEANUP(rdb_freep) struct rdb *rdb = NULL;
	assert_int_equal(rdb_new(NULL, &rdb, &err), 0);
	read_file(&save, rdb);
	assert_int_equal(keys_in(rdb, 0), 51);
	live_redis_stop(&l);
}

static void redisdoor_bgsave__too_slow__is_a_timeout(void **state)
{
	(void)state;
	struct live_redis l;
	live_redis_start(&l, debuggable);
	CLEANUP(redisdoor_freep) struct redisdoor *r = open_url(l.url);
	slow_down(r, "1000", "50000");
	struct redis_save save;
	struct err err = ERR_INIT;
	assert_int_equal(redisdoor_bgsave(r, deadline_in(2500), &save, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_non_null(strstr(err.msg, "BGSAVE did not finish in time"));
	live_redis_stop(&l);
}

/* A file system so small that the second save does not fit beside the first. */
static void redisdoor_bgsave__disk_full__is_loud_and_heals(void **state)
{
	(void)state;
	char small[] = "/tmp/live-redis-small-XXXXXX";
	assert_non_null(mkdtemp(small));
	if (mount("tmpfs", small, "tmpfs", 0, "size=3m") < 0) {
		rmdir(small);
		skip();
	}
	struct live_redis l;
	live_redis_start_in(&l, small, debuggable);
	CLEANUP(redisdoor_freep) struct redisdoor *r = open_url(l.url);
	do_it(r, "CONFIG", "SET", "rdbcompression", "no");
	do_it(r, "DEBUG", "POPULATE", "1", NULL);
	const char *const fill[] = {"DEBUG", "POPULATE", "100", "key", "20000"};
	struct redis_save save;
	struct err err = ERR_INIT;
	char *text;
	assert_int_equal(redisdoor_bgsave(r, deadline_in(60000), &save, &err), 0);
	assert_int_equal(redisdoor_command(r, &text, &err, 5, fill), 0);
	free(text);
	assert_int_equal(redisdoor_bgsave(r, deadline_in(60000), &save, &err), 0);

	/* 2 MB lie there, 2 MB more don't fit. Without save points writes still work. */
	const char *risk;
	assert_int_equal(redisdoor_bgsave_risk(r, 1 << 20, &risk, &err), 0);
	assert_non_null(strstr(risk, "1 MiB are free under"));
	assert_int_equal(redisdoor_bgsave(r, deadline_in(60000), &save, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "BGSAVE failed on Redis at"));
	assert_non_null(strstr(err.hint, small));
	assert_non_null(strstr(err.hint, "Writes still work."));

	/* With save points the server refuses writes now. */
	do_it(r, "CONFIG", "SET", "save", "3600 1");
	assert_int_equal(redisdoor_bgsave(r, deadline_in(60000), &save, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "NOW REFUSES ALL WRITES (MISCONF)"));
	assert_non_null(strstr(err.msg, "2 tries"));
	assert_non_null(strstr(err.hint, small));
	assert_int_equal(redisdoor_bgsave_risk(r, UINT64_MAX, &risk, &err), 0);
	assert_string_equal(risk, "the server's last save failed (rdb_last_bgsave_status:err)");
	assert_int_equal(
	    redisdoor_command(r, &text, &err, 3, (const char *const[]){"SET", "a", "b"}), -1);
	assert_non_null(strstr(err.msg, "MISCONF"));

	/* Room again: the next save heals it. */
	assert_int_equal(mount("tmpfs", small, "tmpfs", MS_REMOUNT, "size=30m"), 0);
	if (redisdoor_bgsave(r, deadline_in(60000), &save, &err) < 0)
		fail_msg("%s", err.msg);
	do_it(r, "SET", "a", "b", NULL);
	assert_int_equal(redisdoor_bgsave_risk(r, 100 << 20, &risk, &err), 0);
	assert_null(risk);
	live_redis_stop(&l);
	umount(small);
	rmdir(small);
}

static void redisdoor_bgsave__without_the_right__is_denied(void **state)
{
	(void)state;
	struct live_redis l;
	char url[512];
	live_redis_start(&l, NULL);
	struct redisdoor *r = open_url(l.url);
	const char *const user[] = {"ACL",   "SETUSER", "few",   "on",      ">pw",
				    "-@all", "+info",   "+time", "+select", "+ping"};
	struct err err = ERR_INIT;
	char *text;
	assert_int_equal(redisdoor_command(r, &text, &err, 10, user), 0);
	free(text);
	redisdoor_free(r);
	r = open_url(url_of(&l, "redis://few:pw@127.0.0.1:*", url));
	struct redis_save save;
	const char *risk;
	assert_int_equal(redisdoor_bgsave(r, deadline_in(60000), &save, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_non_null(strstr(err.msg, "refused BGSAVE: NOPERM"));
	assert_non_null(strstr(err.hint, "+bgsave"));
	assert_int_equal(redisdoor_bgsave_risk(r, UINT64_MAX, &risk, &err), 0);
	assert_non_null(strstr(risk, "CONFIG GET dir is not allowed"));
	redisdoor_free(r);
	live_redis_stop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(redisdoor_bgsave__four_in_a_row__each_is_the_newest),
	    cmocka_unit_test(redisdoor_bgsave__aborted_by_flushall__is_begun_again),
	    cmocka_unit_test(redisdoor_bgsave__server_killed__is_unreachable),
	    cmocka_unit_test(redisdoor_bgsave__somebody_elses_save__is_waited_for_not_adopted),
	    cmocka_unit_test(redisdoor_bgsave__too_slow__is_a_timeout),
	    cmocka_unit_test(redisdoor_bgsave__disk_full__is_loud_and_heals),
	    cmocka_unit_test(redisdoor_bgsave__without_the_right__is_denied),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
