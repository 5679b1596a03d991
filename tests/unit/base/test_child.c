#include <fcntl.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/child.h"

enum { LONG_MS = 20000 };

#define SH(script) ((const char *const[]){"/bin/sh", "-c", script, NULL})

static int run(const struct child_opts *o, struct buf *out, struct err *err)
{
	return child_run(o, out, deadline_in(LONG_MS), err);
}

/* The output of a shell script that succeeds. */
static void assert_output(struct child_opts o, const char *script, const char *expected)
{
	struct err err = ERR_INIT;
	struct buf out;
	buf_init(&out, 1 << 20);
	o.argv = SH(script);
	if (run(&o, &out, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(buf_text(&out), expected);
	buf_done(&out);
}

static void assert_fails(const char *script, const char *expected)
{
	struct err err = ERR_INIT;
	assert_int_equal(run(&(struct child_opts){.argv = SH(script)}, NULL, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_string_equal(err.msg, expected);
}

/* Runs `test` in a process of its own, as what it does can't be undone; 0 is success. */
static void assert_in_process(int (*test)(void))
{
	int status = 0;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		exit(test());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- how it ends ---- */

static void run__exit_status_and_signals__are_told(void **state)
{
	(void)state;
	assert_output((struct child_opts){.argv = NULL}, "exit 0", "");
	assert_fails("exit 3", "'sh' exited with status 3");
	assert_fails("echo oops >&2; exit 1", "'sh' exited with status 1: oops");
	assert_fails("printf 'a\\nb\\n\\n' >&2; exit 1", "'sh' exited with status 1: a\nb");
	assert_fails("kill -KILL $$", "'sh' was killed by SIGKILL");
	assert_fails("echo dying >&2; kill -SEGV $$", "'sh' was killed by SIGSEGV: dying");
}

static void run__output_but_failure__is_a_failure_and_leaves_the_buffer(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf out;
	buf_init(&out, 100);
	assert_int_equal(buf_puts(&out, "before", &err), 0);
	assert_int_equal(
	    run(&(struct child_opts){.argv = SH("echo all of it; exit 1")}, &out, &err), -1);
	assert_string_equal(err.msg, "'sh' exited with status 1");
	assert_string_equal(buf_text(&out), "before");
	buf_done(&out);
}

static void run__output_up_to_the_maximum__fits_and_one_more_does_not(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf out;
	buf_init(&out, 5);
	assert_int_equal(run(&(struct child_opts){.argv = SH("printf 12345")}, &out, &err), 0);
	assert_string_equal(buf_text(&out), "12345");
	buf_reset(&out);
	assert_int_equal(run(&(struct child_opts){.argv = SH("printf 123456")}, &out, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "output of 'sh' is larger than 5 bytes");
	assert_string_equal(buf_text(&out), "");
	buf_done(&out);
}

static void stderr__much_of_it__its_end_is_kept(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct child *c = NULL;
	struct child_opts o = {
	    .argv =
		SH("i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1")};
	assert_int_equal(child_start(&o, &c, &err), 0);
	assert_int_equal(child_wait(c, deadline_in(LONG_MS), &err), -1);
	const char *said = child_stderr(c);
	assert_true(strlen(said) >= 8000 && strlen(said) <= 8192);
	assert_string_equal(said + strlen(said) - 9, "line 2999");
	assert_true(strlen(err.msg) < 1100);
	assert_string_equal(err.msg + strlen(err.msg) - 9, "line 2999");
	assert_memory_equal(err.msg, "'sh' exited with status 1: ", 27);
	/* Asked again, it says the same. */
	struct err again = ERR_INIT;
	assert_int_equal(child_wait(c, deadline_in(0), &again), -1);
	assert_string_equal(again.msg, err.msg);
	child_free(c);
}

static void start__no_such_program__is_absent(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct child *c = NULL;
	const char *const nowhere[] = {"/nowhere/pg_dump", NULL};
	const char *const unknown[] = {"lifeboat-no-such-program", NULL};
	assert_int_equal(child_start(&(struct child_opts){.argv = nowhere}, &c, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg,
			    "can't start '/nowhere/pg_dump' (exec): No such file or directory");
	assert_int_equal(child_start(&(struct child_opts){.argv = unknown}, &c, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_int_equal(
	    child_start(&(struct child_opts){.argv = SH("true"), .cwd = "/nowhere"}, &c, &err), -1);
	assert_string_equal(err.msg, "can't start '/bin/sh' (chdir): No such file or directory");
	const char *const folder[] = {"/etc", NULL};
	assert_int_equal(child_start(&(struct child_opts){.argv = folder}, &c, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_string_equal(err.msg, "can't start '/etc' (exec): Permission denied");
	assert_null(c);
}

/* ---- its surroundings ---- */

static void env__set_unset_and_override__reach_the_child(void **state)
{
	(void)state;
	setenv("LB_OLD", "old", 1);
	setenv("LB_GONE", "there", 1);
	const char *const env[] = {"LB_OLD=new", "LB_GONE",  "LB_TWICE=1", "LB_TWICE=2",
				   "LB=a=b",     "LB_NEVER", NULL};
	assert_output((struct child_opts){.env = env},
		      "echo $LB_OLD ${LB_GONE-gone} $LB_TWICE $LB ${LB_NEVER-never} ${HOME:+home}",
		      getenv("HOME") != NULL ? "new gone 2 a=b never home\n"
					     : "new gone 2 a=b never\n");
	assert_output((struct child_opts){.env = NULL}, "echo $LB_OLD $LB_GONE", "old there\n");
	unsetenv("LB_OLD");
	unsetenv("LB_GONE");
}

static void env__another_path__is_where_the_program_is_searched(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *const env[] = {"PATH=/nowhere", NULL};
	const char *const argv[] = {"sh", "-c", "true", NULL};
	assert_int_equal(run(&(struct child_opts){.argv = argv}, NULL, &err), 0);
	assert_int_equal(run(&(struct child_opts){.argv = argv, .env = env}, NULL, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
}

static void cwd__given__is_where_it_runs(void **state)
{
	(void)state;
	assert_output((struct child_opts){.cwd = "/usr"}, "pwd", "/usr\n");
}

static void descriptors__not_passed__are_closed(void **state)
{
	(void)state;
	char script[200];
	int passed = open("/dev/null", O_RDONLY), other = open("/dev/null", O_RDONLY);
	int high = fcntl(other, F_DUPFD, 900);
	snprintf(script, sizeof script,
		 "for fd in %d %d %d; do test -e /proc/self/fd/$fd && echo $fd; done; true", passed,
		 other, high);
	char expected[20];
	snprintf(expected, sizeof expected, "%d\n", passed);
	struct child_opts o = {.pass_fds = {passed}};
	assert_output(o, script, expected);
	close(passed);
	close(other);
	close(high);
}

static void descriptors__given_for_stdin_and_stdout__are_used(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	int ends[2], in[2];
	char got[16] = "";
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(write(in[1], "hello", 5), 5);
	close(in[1]);
	struct child_opts o = {.argv = SH("cat; echo err >&2"),
			       .stdin_fd = in[0],
			       .stdout_fd = ends[1],
			       .stderr_fd = ends[1]};
	assert_int_equal(run(&o, NULL, &err), 0);
	assert_int_equal(read(ends[0], got, sizeof got - 1), 9);
	assert_string_equal(got, "helloerr\n");
	close(ends[0]);
	close(ends[1]);
	close(in[0]);
	assert_output((struct child_opts){.argv = NULL}, "cat", "");
}

static int with_closed_stdio(void)
{
	struct err err = ERR_INIT;
	struct buf out;
	buf_init(&out, 100);
	close(0);
	close(1);
	close(2);
	int rc = run(&(struct child_opts){.argv = SH("cat; echo out; echo err >&2; exit 1")}, &out,
		     &err);
	if (rc != -1 || strcmp(err.msg, "'sh' exited with status 1: err") != 0)
		return 1;
	rc = run(&(struct child_opts){.argv = SH("cat; echo out")}, &out, &err);
	rc = rc == 0 && strcmp(buf_text(&out), "out\n") == 0 ? 0 : 2;
	buf_done(&out);
	return rc;
}

static void descriptors__ours_are_closed__its_own_are_right(void **state)
{
	(void)state;
	assert_in_process(with_closed_stdio);
}

static void run_as__another_user__with_its_groups(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct identity who;
	char expected[64];
	if (geteuid() != 0)
		skip();
	assert_int_equal(identity_find("nobody", &who, &err), 0);
	snprintf(expected, sizeof expected, "%u %u %u nobody\n", (unsigned)who.uid,
		 (unsigned)who.uid, (unsigned)who.gid);
	assert_output((struct child_opts){.run_as = &who},
		      "echo $(id -u) $(id -ru) $(id -G) $(id -un)", expected);
	/* And nothing of root is left to go back to. */
	assert_output(
	    (struct child_opts){.run_as = &who},
	    "grep -E '^(Uid|Gid):' /proc/self/status | tr -s '\\t ' '\\n' | sort -u | wc -l",
	    who.uid == who.gid ? "3\n" : "4\n");
}

static void identity__unknown_user__is_absent(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct identity who = {.uid = 77};
	assert_int_equal(identity_find("lifeboat-nobody", &who, &err), -1);
	assert_int_equal(err.code, ERR_ABSENT);
	assert_string_equal(err.msg, "there is no user 'lifeboat-nobody'");
	assert_int_equal(who.uid, 77);
}

static void group__of_a_child__is_its_own_and_a_session_if_it_outlives(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct child *c = NULL;
	assert_int_equal(child_start(&(struct child_opts){.argv = SH("sleep 100")}, &c, &err), 0);
	assert_int_equal(getpgid(child_pid(c)), child_pid(c));
	assert_int_equal(getsid(child_pid(c)), getsid(0));
	child_free(c);
	struct child_opts o = {.argv = SH("sleep 100"), .outlives = true};
	assert_int_equal(child_start(&o, &c, &err), 0);
	assert_int_equal(getpgid(child_pid(c)), child_pid(c));
	assert_int_equal(getsid(child_pid(c)), child_pid(c));
	child_free(c);
}

static void signals__blocked_or_ignored_by_us__are_not_for_the_child(void **state)
{
	(void)state;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	signal(SIGPIPE, SIG_IGN);
	assert_output((struct child_opts){.argv = NULL},
		      "grep -E '^Sig(Blk|Ign):' /proc/self/status",
		      "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- talking to it ---- */

static void pipes__in_and_out__carry_megabytes_past_a_talkative_stderr(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct child *c = NULL;
	struct child_opts o = {.argv = SH("head -c 1000000 /dev/zero >&2; cat | wc -c"),
			       .pipe_stdin = true,
			       .pipe_stdout = true};
	static const char block[100000];
	char got[32] = "";
	size_t n = 1, len = 0;
	assert_int_equal(child_start(&o, &c, &err), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(child_write(c, block, sizeof block, deadline_in(LONG_MS), &err),
				 0);
	child_close_stdin(c);
	while (n > 0) {
		assert_int_equal(
		    child_read(c, got + len, sizeof got - 1 - len, &n, deadline_in(LONG_MS), &err),
		    0);
		len += n;
	}
	assert_string_equal(got, "5000000\n");
	assert_int_equal(child_wait(c, deadline_in(LONG_MS), &err), 0);
	assert_int_equal(child_write(c, "x", 1, deadline_in(LONG_MS), &err), -1);
	child_free(c);
}

/* In pieces of 4 KiB, as pg_dump writes; its beginning and its end are not those of a stream. */
static void read__of_a_stream_in_small_writes__is_all_of_it(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct child *c = NULL;
	struct child_opts o = {.argv = SH("dd if=/dev/zero bs=4096 count=1000 status=none; echo x"),
			       .pipe_stdout = true};
	static char block[1 << 18];
	size_t n = 1, total = 0;
	char last = '\0';
	assert_int_equal(child_start(&o, &c, &err), 0);
	while (n > 0) {
		assert_int_equal(child_read(c, block, sizeof block, &n, deadline_in(LONG_MS), &err),
				 0);
		total += n;
		last = n > 0 ? block[n - 1] : last;
	}
	assert_int_equal(total, 4096002);
	assert_int_equal(last, '\n');
	assert_int_equal(child_wait(c, deadline_in(LONG_MS), &err), 0);
	child_free(c);
}

static void write__to_one_that_stopped_reading__fails_and_wait_says_why(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct child *c = NULL;
	struct child_opts o = {.argv = SH("exec <&-; echo enough >&2; exit 4"), .pipe_stdin = true};
	static const char block[100000];
	int rc = 0;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(child_start(&o, &c, &err), 0);
	for (int i = 0; rc == 0 && i < 1000; i++)
		rc = child_write(c, block, sizeof block, deadline_in(LONG_MS), &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_string_equal(err.msg, "'sh' no longer reads");
	assert_int_equal(child_wait(c, deadline_in(LONG_MS), &err), -1);
	assert_string_equal(err.msg, "'sh' exited with status 4: enough");
	child_free(c);
}

static void deadlines__passed__are_timeouts_and_it_still_runs(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct child *c = NULL;
	char byte;
	size_t n;
	static const char block[1 << 20];
	struct child_opts o = {.argv = SH("sleep 100"), .pipe_stdin = true, .pipe_stdout = true};
	assert_int_equal(child_start(&o, &c, &err), 0);
	assert_int_equal(child_read(c, &byte, 1, &n, deadline_in(10), &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_string_equal(err.msg, "'sh': timed out");
	int rc = 0;
	for (int i = 0; rc == 0 && i < 10; i++)
		rc = child_write(c, block, sizeof block, deadline_in(10), &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	err_clear(&err);
	assert_int_equal(child_wait(c, deadline_in(10), &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_string_equal(err.msg, "'sh': timed out");
	assert_true(child_running(c));
	child_free(c);
}

static int cancelled_waits(void)
{
	struct err err = ERR_INIT;
	struct child *c = NULL;
	char byte;
	size_t n;
	struct child_opts o = {.argv = SH("sleep 100"), .pipe_stdout = true};
	if (cancel_install(&err) < 0 || child_start(&o, &c, &err) < 0)
		return 1;
	pid_t pid = child_pid(c);
	raise(SIGTERM);
	if (child_read(c, &byte, 1, &n, deadline_in(LONG_MS), &err) == 0 ||
	    err.code != ERR_CANCELLED || strcmp(err.msg, "'sh': cancelled by SIGTERM") != 0)
		return 2;
	if (child_wait(c, deadline_in(LONG_MS), &err) == 0 || err.code != ERR_CANCELLED)
		return 3;
	/* Ending it works nevertheless. */
	child_stop(c, SIGTERM, LONG_MS);
	if (child_running(c) || kill(pid, 0) == 0 || errno != ESRCH)
		return 4;
	child_free(c);
	return 0;
}

static void cancel__while_waiting__ends_the_wait(void **state)
{
	(void)state;
	assert_in_process(cancelled_waits);
}

/* ---- ending it ---- */

static void free__while_it_runs__kills_its_whole_group(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct child *c = NULL;
	char text[32] = "";
	size_t n = 0;
	struct child_opts o = {.argv = SH("sleep 100 & echo $!; wait"), .pipe_stdout = true};
	/* The grandchild falls to us when its parent is gone, so that we can see it go. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	assert_int_equal(child_start(&o, &c, &err), 0);
	assert_int_equal(child_read(c, text, sizeof text - 1, &n, deadline_in(LONG_MS), &err), 0);
	pid_t pid = child_pid(c), grandchild = (pid_t)strtol(text, NULL, 10);
	assert_true(grandchild > 0);
	child_free(c);
	assert_int_equal(kill(pid, 0), -1);
	int status;
	assert_int_equal(waitpid(grandchild, &status, 0), grandchild);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void stop__one_that_listens__ends_by_the_signal(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct child *c = NULL;
	char byte;
	size_t n;
	struct child_opts o = {.argv = SH("trap 'exit 7' TERM; echo; while :; do sleep 0.01; done"),
			       .pipe_stdout = true};
	assert_int_equal(child_start(&o, &c, &err), 0);
	assert_int_equal(child_read(c, &byte, 1, &n, deadline_in(LONG_MS), &err), 0);
	child_stop(c, SIGTERM, LONG_MS);
	assert_false(child_running(c));
	assert_int_equal(child_wait(c, deadline_in(0), &err), -1);
	assert_string_equal(err.msg, "'sh' exited with status 7");
	child_free(c);
}

static void stop__one_that_does_not_listen__is_killed(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct child *c = NULL;
	char byte;
	size_t n;
	struct child_opts o = {.argv = SH("trap '' TERM; echo; while :; do sleep 0.01; done"),
			       .pipe_stdout = true};
	assert_int_equal(child_start(&o, &c, &err), 0);
	assert_int_equal(child_read(c, &byte, 1, &n, deadline_in(LONG_MS), &err), 0);
	child_stop(c, SIGTERM, 30);
	assert_false(child_running(c));
	assert_int_equal(child_wait(c, deadline_in(0), &err), -1);
	assert_string_equal(err.msg, "'sh' was killed by SIGKILL");
	child_free(c);
}

/* Starts a child in a process that is killed at once; returns the child's pid. */
static pid_t orphan(bool outlives)
{
	struct err err = ERR_INIT;
	int report[2];
	pid_t child = 0;
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	pid_t parent = fork();
	if (parent == 0) {
		struct child *c;
		struct child_opts o = {.argv = SH("exec sleep 100"), .outlives = outlives};
		if (child_start(&o, &c, &err) < 0)
			_exit(1);
		pid_t pid = child_pid(c);
		if (write(report[1], &pid, sizeof pid) != sizeof pid)
			_exit(1);
		pause();
	}
	assert_int_equal(read(report[0], &child, sizeof child), sizeof child);
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	close(report[0]);
	close(report[1]);
	return child;
}

static void death_of_the_parent__by_sigkill__kills_the_child(void **state)
{
	(void)state;
	int status;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid_t child = orphan(false);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void death_of_the_parent__of_one_that_outlives__leaves_it(void **state)
{
	(void)state;
	int status;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid_t child = orphan(true);
	assert_int_equal(waitpid(child, &status, WNOHANG), 0);
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void leave__one_that_outlives__does_not_kill(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct child *c = NULL;
	int status;
	struct child_opts o = {.argv = SH("exec sleep 100"), .outlives = true};
	assert_int_equal(child_start(&o, &c, &err), 0);
	pid_t pid = child_pid(c);
	child_leave(c);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* ---- beside other threads ---- */

static atomic_bool threads_end;

static void *allocate(void *unused)
{
	(void)unused;
	while (!atomic_load(&threads_end)) {
		void *volatile p = malloc(100);
		free(p);
	}
	return NULL;
}

static void start__beside_threads_that_allocate__never_hangs(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	pthread_t threads[2];
	const char *const env[] = {"LB_X=1", NULL};
	atomic_store(&threads_end, false);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, allocate, NULL), 0);
	for (int i = 0; i < 30; i++) {
		struct child_opts o = {.argv = (const char *const[]){"/bin/true", NULL},
				       .env = env};
		assert_int_equal(run(&o, NULL, &err), 0);
	}
	atomic_store(&threads_end, true);
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* In a process of its own: who adopts orphans does so for good. */
static int adopt_and_kill(void)
{
	struct err err = ERR_INIT;
	struct child *stays = NULL, *dies = NULL;
	char byte;
	size_t n;
	struct child_opts o = {.argv = SH("exec sleep 300"), .pipe_stdout = true};
	if (child_adopt_orphans(&err) < 0 || child_start(&o, &stays, &err) < 0)
		return 1;
	/* Orphans with groups of their own, two deep, one that has ended, and a name that tries to
	 * look like the fields behind it. */
	o.argv = SH(
	    "exec 2>/dev/null; ln -sf /bin/sleep '/tmp/lb-) S 1 1'; (setsid '/tmp/lb-) S 1 1' 301 &"
	    " setsid sh -c 'sleep 302; true' & true) & sleep 0.1; echo; exec sleep 303");
	if (child_start(&o, &dies, &err) < 0 ||
	    child_read(dies, &byte, 1, &n, deadline_in(LONG_MS), &err) < 0)
		return 2;
	long long birth = child_birth(child_pid(dies));
	if (birth < 0)
		return 3;
	child_signal(dies, SIGKILL);
	while (child_running(dies))
		continue;
	unlink("/tmp/lb-) S 1 1");
	child_kill_orphans(birth);
	child_free(dies);
	/* The one that was started stays, also where it has ended and nobody has asked yet. */
	if (!child_running(stays))
		return 4;
	child_signal(stays, SIGKILL);
	siginfo_t who;
	waitid(P_PID, (id_t)child_pid(stays), &who, WEXITED | WNOWAIT);
	child_reap_orphans();
	if (child_wait(stays, deadline_in(LONG_MS), &err) == 0 ||
	    strcmp(err.msg, "'sh' was killed by SIGKILL") != 0)
		return 5;
	child_free(stays);
	return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? 0 : 6;
}

/* One that cleans up when it is told to end, with a child of its own, and one that does not listen.
 */
static int adopt_and_end(void)
{
	struct err err = ERR_INIT;
	struct child *dies = NULL;
	char byte;
	size_t n;
	struct child_opts o = {
	    .argv =
		SH("exec 2>/dev/null; setsid sh -c 'trap \"exit 0\" TERM; sleep 301 & echo; wait' &"
		   " setsid sh -c 'trap \"\" TERM; echo; sleep 302; sleep 303' & exec sleep 304"),
	    .pipe_stdout = true};
	if (child_adopt_orphans(&err) < 0 || child_start(&o, &dies, &err) < 0)
		return 1;
	for (size_t got = 0; got < 2; got += n)
		if (child_read(dies, &byte, 1, &n, deadline_in(LONG_MS), &err) < 0 || n == 0)
			return 2;
	long long birth = child_birth(child_pid(dies));
	child_signal(dies, SIGKILL);
	while (child_running(dies))
		continue;
	/* They come to us a moment later than its end does. */
	while (child_signal_orphans(birth, 0) < 2)
		usleep(1000);
	if (child_signal_orphans(birth + 100000, SIGKILL) != 0 ||
	    child_signal_orphans(-1, SIGKILL) != 0)
		return 3;
	/* The first goes, its child comes, is told too and goes; the second stays. */
	while (child_signal_orphans(birth, SIGTERM) > 1)
		usleep(1000);
	usleep(20000);
	if (child_signal_orphans(birth, 0) != 1)
		return 4;
	child_kill_orphans(birth);
	child_free(dies);
	return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? 0 : 5;
}

static void orphans__of_one_that_was_killed__are_told_to_end(void **state)
{
	(void)state;
	assert_in_process(adopt_and_end);
}

static void orphans__of_one_that_was_killed__are_killed_and_reaped(void **state)
{
	(void)state;
	assert_in_process(adopt_and_kill);
}

static void start__program_under_another_name__is_run(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct buf out;
	buf_init(&out, 100);
	struct child_opts o = {.argv = (const char *const[]){"anyone", "-c", "echo $0", "me", NULL},
			       .program = "/bin/sh"};
	assert_int_equal(run(&o, &out, &err), 0);
	assert_string_equal(buf_text(&out), "me\n");
	buf_done(&out);
	o.argv = (const char *const[]){"anyone", "-c", "exit 4", NULL};
	assert_int_equal(run(&o, NULL, &err), -1);
	assert_string_equal(err.msg, "'anyone' exited with status 4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(run__exit_status_and_signals__are_told),
	    cmocka_unit_test(run__output_but_failure__is_a_failure_and_leaves_the_buffer),
	    cmocka_unit_test(run__output_up_to_the_maximum__fits_and_one_more_does_not),
	    cmocka_unit_test(stderr__much_of_it__its_end_is_kept),
	    cmocka_unit_test(orphans__of_one_that_was_killed__are_killed_and_reaped),
	    cmocka_unit_test(orphans__of_one_that_was_killed__are_told_to_end),
	    cmocka_unit_test(start__program_under_another_name__is_run),
	    cmocka_unit_test(start__no_such_program__is_absent),
	    cmocka_unit_test(env__set_unset_and_override__reach_the_child),
	    cmocka_unit_test(env__another_path__is_where_the_program_is_searched),
	    cmocka_unit_test(cwd__given__is_where_it_runs),
	    cmocka_unit_test(descriptors__not_passed__are_closed),
	    cmocka_unit_test(descriptors__given_for_stdin_and_stdout__are_used),
	    cmocka_unit_test(descriptors__ours_are_closed__its_own_are_right),
	    cmocka_unit_test(run_as__another_user__with_its_groups),
	    cmocka_unit_test(identity__unknown_user__is_absent),
	    cmocka_unit_test(group__of_a_child__is_its_own_and_a_session_if_it_outlives),
	    cmocka_unit_test(signals__blocked_or_ignored_by_us__are_not_for_the_child),
	    cmocka_unit_test(pipes__in_and_out__carry_megabytes_past_a_talkative_stderr),
	    cmocka_unit_test(read__of_a_stream_in_small_writes__is_all_of_it),
	    cmocka_unit_test(write__to_one_that_stopped_reading__fails_and_wait_says_why),
	    cmocka_unit_test(deadlines__passed__are_timeouts_and_it_still_runs),
	    cmocka_unit_test(cancel__while_waiting__ends_the_wait),
	    cmocka_unit_test(free__while_it_runs__kills_its_whole_group),
	    cmocka_unit_test(stop__one_that_listens__ends_by_the_signal),
	    cmocka_unit_test(stop__one_that_does_not_listen__is_killed),
	    cmocka_unit_test(death_of_the_parent__by_sigkill__kills_the_child),
	    cmocka_unit_test(death_of_the_parent__of_one_that_outlives__leaves_it),
	    cmocka_unit_test(leave__one_that_outlives__does_not_kill),
	    cmocka_unit_test(start__beside_threads_that_allocate__never_hangs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
