/* From the options to a running program. Between fork and exec only calls are made that a process
 * with other threads may make there (signal-safety(7)): whatever allocates is prepared before. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/child_impl.h"
#include "base/file.h"

enum { PIPE_BYTES = 1 << 20, GROUPS_MAX = 65536, FIRST_FD = 3, FD_GUESS = 1024 };

int identity_find(const char *user, struct identity *ret, struct err *err)
{
	struct passwd pw, *found = NULL;
	char space[4096];
	int rc = getpwnam_r(user, &pw, space, sizeof space, &found);
	if (found == NULL) {
		if (rc != 0)
			return err_sys(err, ERR_ABSENT, rc, "user '%s'", user);
		return err_set(err, ERR_ABSENT, "there is no user '%s'", user);
	}
	struct identity id = {.uid = pw.pw_uid, .gid = pw.pw_gid};
	if (strlen(user) >= sizeof id.name)
		return err_set(err, ERR_LIMIT, "the name of user '%s' is too long", user);
	memcpy(id.name, user, strlen(user) + 1);
	*ret = id;
	return 0;
}

/* Everything that the new process needs, made before it exists. */
struct launch {
	const struct child_opts *opts;
	char **env;    /* borrowed strings */
	gid_t *groups; /* NULL: the user stays */
	int group_count;
	int in, out, errs; /* its stdin, stdout and stderr: borrowed */
	int null;
	int in_pipe[2], out_pipe[2], err_pipe[2], report[2];
	pid_t parent;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void launch_done(struct launch *l)
{
	int *const pipes[] = {l->in_pipe, l->out_pipe, l->err_pipe, l->report};
	for (size_t i = 0; i < sizeof pipes / sizeof *pipes; i++) {
		close_fd(&pipes[i][0]);
		close_fd(&pipes[i][1]);
	}
	close_fd(&l->null);
	free(l->env);
	free(l->groups);
}

/* ---- preparing ---- */

static size_t name_length(const char *assignment)
{
	return strcspn(assignment, "=");
}

static bool is_same_name(const char *a, const char *b)
{
	size_t len = name_length(a);
	return len == name_length(b) && strncmp(a, b, len) == 0;
}

/* Does a later entry of `env` speak of the same variable? */
static bool is_overridden(const char *entry, const char *const *env)
{
	for (size_t i = 0; env != NULL && env[i] != NULL; i++)
		if (is_same_name(entry, env[i]))
			return true;
	return false;
}

/* May it be told to a program of another user? Passwords and keys of ours are in the environment
 * too, and what is restored can read its own. */
static bool may_cross(const char *entry)
{
	static const char *const some[] = {"PATH", "LANG",   "LANGUAGE",
					   "TZ",   "TMPDIR", "LD_LIBRARY_PATH"};
	for (size_t i = 0; i < sizeof some / sizeof *some; i++)
		if (is_same_name(entry, some[i]))
			return true;
	return strncmp(entry, "LC_", 3) == 0;
}

static int prepare_env(struct launch *l, struct err *err)
{
	const char *const *ours = l->opts->env;
	const struct identity *who = l->opts->run_as;
	bool crosses = who != NULL && who->uid != geteuid();
	size_t count = 0, n = 0;
	for (size_t i = 0; environ != NULL && environ[i] != NULL; i++)
		count++;
	for (size_t i = 0; ours != NULL && ours[i] != NULL; i++)
		count++;
	l->env = mem_zalloc((count + 1) * sizeof *l->env, "an environment", err);
	if (l->env == NULL)
		return -1;
	for (size_t i = 0; environ != NULL && environ[i] != NULL; i++)
		if (!is_overridden(environ[i], ours) && (!crosses || may_cross(environ[i])))
			l->env[n++] = environ[i];
	for (size_t i = 0; ours != NULL && ours[i] != NULL; i++)
		if (strchr(ours[i], '=') != NULL && !is_overridden(ours[i], ours + i + 1))
			l->env[n++] = (char *)(uintptr_t)ours[i];
	return 0;
}

static int prepare_groups(struct launch *l, struct err *err)
{
	const struct identity *who = l->opts->run_as;
	if (who == NULL || who->uid == geteuid())
		return 0;
	int count = 32;
	for (;;) {
		int wanted = count;
		free(l->groups);
		l->groups = mem_zalloc((size_t)count * sizeof *l->groups, "groups", err);
		if (l->groups == NULL)
			return -1;
		if (getgrouplist(who->name, who->gid, l->groups, &wanted) >= 0) {
			l->group_count = wanted;
			return 0;
		}
		count = wanted > count ? wanted : count * 2;
		if (count > GROUPS_MAX)
			return err_set(err, ERR_LIMIT, "user '%s' is in too many groups",
				       who->name);
	}
}

static int make_pipe(int ends[2], bool wanted, struct err *err)
{
	if (wanted && pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, ERR_IO, errno, "pipe");
	return 0;
}

static int prepare_descriptors(struct launch *l, struct err *err)
{
	const struct child_opts *o = l->opts;
	l->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (l->null < 0)
		return err_sys(err, ERR_IO, errno, "can't open '/dev/null'");
	if (make_pipe(l->in_pipe, o->pipe_stdin, err) < 0 ||
	    make_pipe(l->out_pipe, o->pipe_stdout, err) < 0 ||
	    make_pipe(l->err_pipe, o->stderr_fd == 0, err) < 0 ||
	    make_pipe(l->report, true, err) < 0)
		return -1;
	l->in = o->stdin_fd > 0 ? o->stdin_fd : l->null;
	l->out = o->stdout_fd > 0 ? o->stdout_fd : l->null;
	l->errs = o->stderr_fd;
	if (o->pipe_stdin)
		l->in = l->in_pipe[0];
	if (o->pipe_stdout)
		l->out = l->out_pipe[1];
	if (o->stderr_fd == 0)
		l->errs = l->err_pipe[1];
	return 0;
}

/* ---- in the child, between fork and exec ---- */

/* What a starting child tells its parent when it can't run the program. */
struct start_failure {
	int sys_errno;
	char step[32];
};

static _Noreturn void fail_start(int report, const char *step)
{
	struct start_failure f = {.sys_errno = errno};
	strncpy(f.step, step, sizeof f.step - 1);
	ssize_t ignored = write(report, &f, sizeof f);
	(void)ignored;
	_exit(127);
}

/* A copy above stderr, so that no dup2 below overwrites what another one still needs. */
static int lift(int fd, int report)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
	if (copy < 0)
		fail_start(report, "descriptor");
	return copy;
}

static void set_descriptors(const struct launch *l, int report)
{
	int in = lift(l->in, report), out = lift(l->out, report), errs = lift(l->errs, report);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(errs, 2) < 0)
		fail_start(report, "dup2");
	/* Libraries may have left descriptors without close-on-exec. Old kernels can't do all. */
	if (close_range(FIRST_FD, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		for (int fd = FIRST_FD; fd < FD_GUESS; fd++)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	const int *pass = l->opts->pass_fds;
	for (size_t i = 0; i < sizeof l->opts->pass_fds / sizeof *pass && pass[i] > 0; i++)
		if (fcntl(pass[i], F_SETFD, 0) < 0)
			fail_start(report, "descriptor");
}

static void reset_signals(void)
{
	const int ours[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD};
	sigset_t none;
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		signal(ours[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(const struct launch *l)
{
	const struct child_opts *o = l->opts;
	/* Handlers are gone before signals come through again: one of ours must not run here. */
	reset_signals();
	int report = lift(l->report[1], l->report[1]);
	/* A session of its own is a group of its own too, and only one that leads no group may
	 * begin a session. */
	if ((o->outlives ? setsid() : setpgid(0, 0)) < 0)
		fail_start(report, "process group");
	set_descriptors(l, report);
	if (l->groups != NULL && (setgroups((size_t)l->group_count, l->groups) < 0 ||
				  setgid(o->run_as->gid) < 0 || setuid(o->run_as->uid) < 0))
		fail_start(report, "change of user");
	if (o->cwd != NULL && chdir(o->cwd) < 0)
		fail_start(report, "chdir");
	/* After the change of user, which clears it. The parent may have died before it was set. */
	if (!o->outlives) {
		prctl(PR_SET_PDEATHSIG, o->death_signal != 0 ? o->death_signal : SIGKILL);
		if (getppid() != l->parent)
			_exit(127);
	}
	environ = l->env;
	execvp(o->program != NULL ? o->program : o->argv[0], (char *const *)(uintptr_t)o->argv);
	fail_start(report, "exec");
}

/* ---- in the parent ---- */

/* Waits until the program runs; the report's pipe closes on exec. */
static int await_exec(struct launch *l, struct err *err)
{
	struct start_failure f = {0};
	ssize_t n;
	close_fd(&l->report[1]);
	do
		n = read(l->report[0], &f, sizeof f);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof f)
		return 0;
	return err_sys(err, f.sys_errno == ENOENT ? ERR_ABSENT : ERR_FAILED, f.sys_errno,
		       "can't start '%s' (%s)", l->opts->argv[0], f.step);
}

static pid_t fork_and_become(struct launch *l)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	l->parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become(l);
	int saved = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return pid;
}

/* Our ends of the pipes pass to `c`. */
static void take_pipes(struct child *c, struct launch *l)
{
	c->in = l->in_pipe[1];
	c->out = l->out_pipe[0];
	c->errs = l->err_pipe[0];
	l->in_pipe[1] = l->out_pipe[0] = l->err_pipe[0] = -1;
	const int ours[] = {c->in, c->out, c->errs};
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (ours[i] >= 0)
			fcntl(ours[i], F_SETFL, fcntl(ours[i], F_GETFL) | O_NONBLOCK);
	/* A large pipe saves context switches on streams of gigabytes; a refusal costs nothing. */
	if (c->out >= 0)
		fcntl(c->out, F_SETPIPE_SZ, PIPE_BYTES);
	if (c->in >= 0)
		fcntl(c->in, F_SETPIPE_SZ, PIPE_BYTES);
}

int child_start(const struct child_opts *o, struct child **ret, struct err *err)
{
	CLEANUP(launch_done)
	struct launch l = {.opts = o,
			   .null = -1,
			   .in_pipe = {-1, -1},
			   .out_pipe = {-1, -1},
			   .err_pipe = {-1, -1},
			   .report = {-1, -1}};
	CLEANUP(child_freep) struct child *c = mem_zalloc(sizeof *c, "a child process", err);
	if (c == NULL)
		return -1;
	c->in = c->out = c->errs = -1;
	const char *slash = strrchr(o->argv[0], '/');
	if (str_dup(slash != NULL ? slash + 1 : o->argv[0], &c->name, err) < 0 ||
	    prepare_env(&l, err) < 0 || prepare_groups(&l, err) < 0 ||
	    prepare_descriptors(&l, err) < 0)
		return -1;
	child_list_lock();
	pid_t pid = fork_and_become(&l);
	int why = errno;
	if (pid > 0) {
		c->pid = pid;
		child_list_add(c);
	}
	child_list_unlock();
	if (pid < 0)
		return err_sys(err, ERR_FAILED, why, "can't start '%s'", c->name);
	/* Both sides make the group: nobody may signal it before it exists. A session is made by
	 * the child alone, and await_exec waits for that. */
	if (!o->outlives)
		setpgid(pid, pid);
	if (await_exec(&l, err) < 0)
		return -1;
	take_pipes(c, &l);
	*ret = c;
	c = NULL;
	return 0;
}
