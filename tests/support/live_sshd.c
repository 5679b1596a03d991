#include "tests/support/live_sshd.h"

#include <dirent.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/file.h"
#include "tests/support/live_redis.h"

static _Noreturn void give_up(const char *what, const char *why)
{
	fprintf(stderr, "live_sshd: %s: %s\n", what, why);
	abort();
}

/* ---- keys ---- */

void live_sshd_make_key(const char *path, const char *type, const char *passphrase)
{
	struct err err = ERR_INIT;
	char public[TEMP_DIR_BYTES + 64];
	snprintf(public, sizeof public, "%s.pub", path);
	unlink(path);
	unlink(public);
	const char *const argv[] = {"ssh-keygen", "-q",   "-t", type, "-N", passphrase,
				    "-C",         "test", "-f", path, NULL};
	if (child_run(&(struct child_opts){.argv = argv}, NULL, deadline_in(60000), &err) < 0)
		give_up("ssh-keygen", err.msg);
}

static void read_text(const char *path, struct buf *b)
{
	struct err err = ERR_INIT;
	if (file_read_all(path, b, &err) < 0)
		give_up(path, err.msg);
}

static void write_text(const char *path, const struct buf *b)
{
	struct err err = ERR_INIT;
	if (file_write_all(path, 0600, b->data, b->len, &err) < 0)
		give_up(path, err.msg);
}

void live_sshd_allow(struct live_sshd *l, const char *public_key_path)
{
	struct buf b;
	const char *path = temp_dir_in(&l->dir, "authorized_keys");
	buf_init(&b, 1 << 20);
	if (file_exists(path))
		read_text(path, &b);
	read_text(public_key_path, &b);
	write_text(path, &b);
	buf_done(&b);
}

void live_sshd_trust(struct live_sshd *l, const char *types)
{
	static const char *const all[] = {"rsa", "ed25519", "ecdsa"};
	struct buf b;
	struct err err = ERR_INIT;
	char name[64];
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (strstr(types, all[i]) == NULL)
			continue;
		snprintf(name, sizeof name, "host_%s.pub", all[i]);
		if (buf_printf(&b, &err, "[127.0.0.1]:%u ", (unsigned)l->port) < 0)
			give_up("known_hosts", err.msg);
		read_text(temp_dir_in(&l->dir, name), &b);
	}
	write_text(l->known_hosts, &b);
	buf_done(&b);
}

void live_sshd_rekey(struct live_sshd *l)
{
	live_sshd_make_key(temp_dir_in(&l->dir, "host_ed25519"), "ed25519", "");
	live_sshd_make_key(temp_dir_in(&l->dir, "host_ecdsa"), "ecdsa", "");
}

/* ---- processes ---- */

static pid_t parent_of(pid_t pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return 0;
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	/* pid (name) state ppid */
	const char *behind = strrchr(text, ')');
	return behind != NULL ? (pid_t)strtol(behind + 4, NULL, 10) : 0;
}

static int descends(pid_t pid, pid_t from)
{
	for (int depth = 0; depth < 8 && pid > 1; depth++) {
		pid = parent_of(pid);
		if (pid == from)
			return 1;
	}
	return 0;
}

/* All are found before the first is told: the children of one that went descend from nobody here.
 */
static void signal_sessions(struct live_sshd *l, int signal_number)
{
	pid_t found[64];
	size_t n = 0;
	DIR *dir = opendir("/proc");
	if (dir == NULL)
		give_up("/proc", "can't be read");
	for (struct dirent *e; (e = readdir(dir)) != NULL && n < sizeof found / sizeof *found;) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
		if (pid > 1 && descends(pid, child_pid(l->child)))
			found[n++] = pid;
	}
	closedir(dir);
	for (size_t i = 0; i < n; i++)
		kill(found[i], signal_number);
}

void live_sshd_signal(struct live_sshd *l, int signal_number)
{
	signal_sessions(l, signal_number);
	kill(child_pid(l->child), signal_number);
}

void live_sshd_cut(struct live_sshd *l)
{
	signal_sessions(l, SIGKILL);
}

/* ---- the server ---- */

static void write_config(struct live_sshd *l, const char *config)
{
	struct err err = ERR_INIT;
	struct buf b;
	const char *dir = l->dir.path;
	buf_init(&b, 1 << 16);
	if (buf_printf(&b, &err,
		       "Port %u\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\n"
		       "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
		       "PermitRootLogin prohibit-password\nLogLevel VERBOSE\nUseDNS no\n"
		       "HostKey %s/host_ed25519\nHostKey %s/host_ecdsa\nHostKey %s/host_rsa\n"
		       "AuthorizedKeysFile %s/authorized_keys\n%s\n",
		       (unsigned)l->port, dir, dir, dir, dir,
		       config[0] != '\0' ? config : "Subsystem sftp internal-sftp") < 0)
		give_up("sshd_config", err.msg);
	write_text(temp_dir_in(&l->dir, "sshd_config"), &b);
	buf_done(&b);
}

/* From 9.8 on it turns away who failed often, as the tests do, unless it is told not to. */
static int has_penalties(const char *config)
{
	struct err ignored = ERR_INIT;
	const char *const argv[] = {"/usr/sbin/sshd", "-t", "-o", "PerSourcePenalties=no", "-f",
				    config,           NULL};
	return child_run(&(struct child_opts){.argv = argv}, NULL, deadline_in(60000), &ignored) ==
	       0;
}

static int try_start(struct live_sshd *l)
{
	struct err err = ERR_INIT;
	const char *config = temp_dir_in(&l->dir, "sshd_config");
	const char *const argv[] = {
	    "/usr/sbin/sshd",        "-D", "-e", "-f", config, has_penalties(config) ? "-o" : NULL,
	    "PerSourcePenalties=no", NULL};
	if (child_start(&(struct child_opts){.argv = argv}, &l->child, &err) < 0)
		give_up("sshd", err.msg);
	for (int i = 0; i < 600 && child_running(l->child); i++) {
		if (strstr(child_stderr(l->child), "Server listening") != NULL)
			return 1;
		poll(NULL, 0, 10);
	}
	fprintf(stderr, "live_sshd: %s\n", child_stderr(l->child));
	child_free(l->child);
	l->child = NULL;
	return 0;
}

static void start(struct live_sshd *l, const char *config)
{
	/* Somebody else may take the port between our look and its start. */
	for (int i = 0; i < 5; i++) {
		write_config(l, config);
		if (try_start(l))
			return;
		l->port = live_redis_free_port();
	}
	give_up("sshd", "does not start");
}

void live_sshd_start(struct live_sshd *l, const char *config)
{
	const struct passwd *me = getpwuid(geteuid());
	*l = (struct live_sshd){0};
	temp_dir_make(&l->dir);
	snprintf(l->folder, sizeof l->folder, "%s/stored", l->dir.path);
	snprintf(l->key, sizeof l->key, "%s/key", l->dir.path);
	snprintf(l->known_hosts, sizeof l->known_hosts, "%s/known_hosts", l->dir.path);
	snprintf(l->user, sizeof l->user, "%s", me != NULL ? me->pw_name : "root");
	/* Where it wants to lock itself in. */
	if (geteuid() == 0)
		mkdir("/run/sshd", 0755);
	if (mkdir(l->folder, 0700) < 0)
		give_up(l->folder, "can't be made");
	live_sshd_rekey(l);
	live_sshd_make_key(temp_dir_in(&l->dir, "host_rsa"), "rsa", "");
	live_sshd_make_key(l->key, "ed25519", "");
	live_sshd_allow(l, temp_dir_in(&l->dir, "key.pub"));
	l->port = live_redis_free_port();
	start(l, config);
	live_sshd_trust(l, "ed25519");
}

static void halt(struct live_sshd *l)
{
	live_sshd_signal(l, SIGCONT);
	live_sshd_cut(l);
	child_free(l->child);
	l->child = NULL;
}

void live_sshd_restart(struct live_sshd *l, const char *config)
{
	halt(l);
	start(l, config);
}

void live_sshd_stop(struct live_sshd *l)
{
	halt(l);
	temp_dir_remove(&l->dir);
}
