/* What goes wrong with an SFTP server, on a real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <libssh2.h>

#include "base/clock.h"
#include "base/file.h"
#include "storage/store/store.h"
#include "tests/support/live_redis.h"
#include "tests/support/live_sshd.h"

enum { SHORT_MS = 2000, PIECE = 1 << 20 };

struct room {
	struct live_sshd sshd;
	struct store *store;
	struct err err;
	uint8_t *piece;
};

/* libssh2 1.10 forgets to free a number of 24 bytes at each use of an ECDSA key, and 51 bytes at
 * each exchange of session keys behind the first: what is allocated between these two is not
 * looked for, where anything is. */
extern void __lsan_disable(void) __attribute__((weak));
extern void __lsan_enable(void) __attribute__((weak));

static void allow_leaks(bool yes)
{
	if (__lsan_disable != NULL && __lsan_enable != NULL)
		(yes ? __lsan_disable : __lsan_enable)();
}

/* One server for all tests; each has a folder of its own. */
static struct live_sshd shared;

static struct store_opts options(const struct room *r, char url[TEMP_DIR_BYTES + 128])
{
	const struct live_sshd *l = &r->sshd;
	snprintf(url, TEMP_DIR_BYTES + 128, "sftp://%s@127.0.0.1:%u%s/a/b", l->user,
		 (unsigned)l->port, l->folder);
	return (struct store_opts){.name = "far",
				   .url = url,
				   .key_file = l->key,
				   .known_hosts = l->known_hosts,
				   .retries = 1,
				   .timeout_ms = 20000};
}

static int open_with(struct room *r, const struct store_opts *opts)
{
	store_free(r->store);
	r->store = NULL;
	return store_open(opts, &r->store, &r->err);
}

static void open_usual(struct room *r)
{
	char url[TEMP_DIR_BYTES + 128];
	struct store_opts opts = options(r, url);
	assert_int_equal(open_with(r, &opts), 0);
}

static void open_impatient(struct room *r)
{
	char url[TEMP_DIR_BYTES + 128];
	struct store_opts opts = options(r, url);
	opts.timeout_ms = SHORT_MS;
	assert_int_equal(open_with(r, &opts), 0);
}

static int begin(void **state, bool own, const char *config)
{
	struct room *r = calloc(1, sizeof *r);
	assert_non_null(r);
	r->piece = calloc(1, PIECE);
	if (own)
		live_sshd_start(&r->sshd, config);
	else
		r->sshd = shared;
	open_usual(r);
	*state = r;
	return 0;
}

static int setup(void **state)
{
	return begin(state, false, "");
}

static int setup_own(void **state)
{
	return begin(state, true, "");
}

static int teardown(void **state)
{
	struct room *r = *state;
	struct err err = ERR_INIT;
	char path[TEMP_DIR_BYTES + 64];
	store_free(r->store);
	if (r->sshd.child != shared.child) {
		live_sshd_stop(&r->sshd);
	} else {
		snprintf(path, sizeof path, "%s/a", r->sshd.folder);
		assert_int_equal(dir_remove(path, &err), 0);
		live_sshd_trust(&r->sshd, "ed25519");
	}
	free(r->piece);
	free(r);
	return 0;
}

static void assert_failed(struct room *r, int rc, enum err_code code, const char *text,
			  const char *hint)
{
	assert_int_equal(rc, -1);
	if (r->err.code != code || strstr(r->err.msg, text) == NULL ||
	    strstr(r->err.hint, hint) == NULL)
		fail_msg("%s: %s\nHINT: %s", err_code_name(r->err.code), r->err.msg, r->err.hint);
	err_clear(&r->err);
}

static int list(struct room *r, size_t *ret)
{
	struct store_objects found = {0};
	int rc = store_list(r->store, "", &found, &r->err);
	*ret = found.count;
	store_objects_done(&found);
	return rc;
}

static void assert_lists_fail(struct room *r, enum err_code code, const char *text,
			      const char *hint)
{
	size_t n;
	assert_failed(r, list(r, &n), code, text, hint);
}

static void assert_works(struct room *r)
{
	int rc = store_put_bytes(r->store, "x", "hello", 5, &r->err);
	if (rc < 0)
		fail_msg("%s\nHINT: %s", r->err.msg, r->err.hint);
}

static void assert_objects(struct room *r, size_t count)
{
	size_t n = 0;
	assert_int_equal(list(r, &n), 0);
	assert_int_equal(n, count);
}

static const char *stored(const struct room *r, const char *name)
{
	static char path[TEMP_DIR_BYTES + 256];
	snprintf(path, sizeof path, "%s/a/b%s%s", r->sshd.folder, name[0] != '\0' ? "/" : "", name);
	return path;
}

/* Names in the folder, also hidden ones; the path of the last is in `ret`. */
static size_t count_files(const struct room *r, char ret[TEMP_DIR_BYTES + 256])
{
	struct strlist names = {0};
	struct err err = ERR_INIT;
	assert_int_equal(dir_list(stored(r, ""), &names, &err), 0);
	size_t n = names.count;
	if (n > 0 && ret != NULL)
		snprintf(ret, TEMP_DIR_BYTES + 256, "%s", stored(r, names.items[n - 1]));
	strlist_done(&names);
	return n;
}

static void make_old(const char *path)
{
	struct timespec then[2];
	clock_gettime(CLOCK_REALTIME, &then[0]);
	then[0].tv_sec -= 25 * 3600;
	then[1] = then[0];
	assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

static struct sink *begin_upload(struct room *r, const char *name)
{
	struct sink *to = NULL;
	if (store_put(r->store, name, &to, &r->err) < 0)
		fail_msg("%s", r->err.msg);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sink_write(to, r->piece, PIECE, &r->err), 0);
	return to;
}

/* Writes until it fails, at most 64 MiB. */
static int write_on(struct room *r, struct sink *to)
{
	int rc = 0;
	for (int i = 0; i < 64 && rc == 0; i++)
		rc = sink_write(to, r->piece, PIECE, &r->err);
	return rc;
}

/* ---- who is there ---- */

static void host__unknown__is_denied_with_the_way_to_know_it(void **state)
{
	struct room *r = *state;
	temp_dir_write(&r->sshd.dir, "known_hosts", "", 0);
	assert_lists_fail(r, ERR_DENIED, "its host key (ED25519, SHA256:", "ssh-keyscan -t ");
	unlink(r->sshd.known_hosts);
	assert_lists_fail(r, ERR_DENIED, "known_hosts'", "after comparing");
	char url[TEMP_DIR_BYTES + 128];
	struct store_opts opts = options(r, url);
	opts.known_hosts = NULL;
	setenv("HOME", r->sshd.dir.path, 1);
	assert_int_equal(open_with(r, &opts), 0);
	assert_lists_fail(r, ERR_DENIED, "/.ssh/known_hosts'", "ssh-keyscan");
}

static void host__changed__is_denied(void **state)
{
	struct room *r = *state;
	assert_works(r);
	live_sshd_rekey(&r->sshd);
	live_sshd_restart(&r->sshd, "");
	live_sshd_trust(&r->sshd, "ed25519");
	open_usual(r);
	assert_works(r);
	live_sshd_rekey(&r->sshd);
	live_sshd_restart(&r->sshd, "");
	open_usual(r);
	assert_lists_fail(r, ERR_DENIED, "is another than that in '",
			  "ssh-keygen -R '[127.0.0.1]:");
	/* The changed one among other types that it never had. */
	assert_lists_fail(r, ERR_DENIED, "somebody else answers", "Ask who runs it");
}

static void host__known_by_several_keys__is_known(void **state)
{
	struct room *r = *state;
	live_sshd_trust(&r->sshd, "rsa ed25519 ecdsa");
	assert_works(r);
	live_sshd_trust(&r->sshd, "rsa ecdsa");
	open_usual(r);
	assert_works(r);
	/* Written by ssh-keygen -H, as Debian's ssh does. */
	const char *const argv[] = {"ssh-keygen", "-q", "-H", "-f", r->sshd.known_hosts, NULL};
	assert_int_equal(
	    child_run(&(struct child_opts){.argv = argv}, NULL, deadline_in(20000), &r->err), 0);
	open_usual(r);
	assert_works(r);
}

static void host__written_by_ssh_keyscan__is_known(void **state)
{
	struct room *r = *state;
	struct buf b;
	char port[16];
	buf_init(&b, 1 << 20);
	snprintf(port, sizeof port, "%u", (unsigned)r->sshd.port);
	const char *const argv[] = {"ssh-keyscan", "-p", port, "127.0.0.1", NULL};
	assert_int_equal(
	    child_run(&(struct child_opts){.argv = argv}, &b, deadline_in(20000), &r->err), 0);
	temp_dir_write(&r->sshd.dir, "known_hosts", b.data, b.len);
	open_usual(r);
	assert_works(r);
	/* The last line may lack its newline. */
	temp_dir_write(&r->sshd.dir, "known_hosts", b.data, b.len - 1);
	open_usual(r);
	assert_works(r);
	buf_done(&b);
}

static void host__known_by_rsa_alone__is_told(void **state)
{
	struct room *r = *state;
	live_sshd_trust(&r->sshd, "rsa");
	if (libssh2_version(0x010b00) != NULL) {
		assert_works(r);
		return;
	}
	assert_lists_fail(r, ERR_DENIED, "knows its RSA host key alone", "ssh-keyscan -t ed25519");
}

static void host__revoked__is_denied(void **state)
{
	struct room *r = *state;
	struct buf b;
	buf_init(&b, 1 << 20);
	assert_int_equal(buf_puts(&b, "# comment\n\n@cert-authority * nonsense\n", &r->err), 0);
	assert_int_equal(file_read_all(r->sshd.known_hosts, &b, &r->err), 0);
	temp_dir_write(&r->sshd.dir, "known_hosts", b.data, b.len);
	assert_works(r);
	open_usual(r);
	assert_int_equal(buf_puts(&b, "@revoked * ", &r->err), 0);
	assert_int_equal(file_read_all(temp_dir_in(&r->sshd.dir, "host_ed25519.pub"), &b, &r->err),
			 0);
	temp_dir_write(&r->sshd.dir, "known_hosts", b.data, b.len);
	buf_done(&b);
	assert_lists_fail(r, ERR_DENIED, "is revoked in '", "");
}

/* ---- who we are ---- */

static void use_key(struct room *r, const char *name, const char *passphrase)
{
	char url[TEMP_DIR_BYTES + 128];
	struct store_opts opts = options(r, url);
	opts.key_file = name != NULL ? temp_dir_in(&r->sshd.dir, name) : NULL;
	opts.key_passphrase = passphrase;
	assert_int_equal(open_with(r, &opts), 0);
}

static void make_key(struct room *r, const char *name, const char *type, const char *passphrase,
		     bool allow)
{
	char public[64];
	snprintf(public, sizeof public, "%s.pub", name);
	live_sshd_make_key(temp_dir_in(&r->sshd.dir, name), type, passphrase);
	if (allow)
		live_sshd_allow(&r->sshd, temp_dir_in(&r->sshd.dir, public));
}

static void key__not_authorized__is_denied(void **state)
{
	struct room *r = *state;
	make_key(r, "stranger", "ed25519", "", false);
	use_key(r, "stranger", NULL);
	assert_lists_fail(r, ERR_DENIED, "refuses the key '", "ssh-copy-id -i '");
	assert_lists_fail(r, ERR_DENIED, "of user '", "authorized_keys");
}

static void key__rsa__is_told_to_be_too_old(void **state)
{
	struct room *r = *state;
	make_key(r, "rsa", "rsa", "", true);
	use_key(r, "rsa", NULL);
	if (libssh2_version(0x010b00) != NULL) {
		assert_works(r);
		return;
	}
	assert_lists_fail(r, ERR_DENIED, "it is for RSA", "ssh-keygen -t ed25519");
}

static void key__of_ecdsa__is_taken(void **state)
{
	struct room *r = *state;
	make_key(r, "ecdsa", "ecdsa", "", true);
	use_key(r, "ecdsa", NULL);
	allow_leaks(true);
	assert_works(r);
	allow_leaks(false);
}

static void key__with_a_passphrase__needs_it(void **state)
{
	struct room *r = *state;
	make_key(r, "locked", "ed25519", "open sesame", true);
	use_key(r, "locked", "open sesame");
	assert_works(r);
	use_key(r, "locked", "wrong");
	assert_lists_fail(r, ERR_CONFIG, "or its passphrase is another", "ssh-keygen -y -f '");
	use_key(r, "locked", NULL);
	assert_lists_fail(r, ERR_CONFIG, "or it needs a passphrase", "key_passphrase");
}

static void key__absent_or_no_key__is_told(void **state)
{
	struct room *r = *state;
	use_key(r, "nowhere", NULL);
	assert_lists_fail(r, ERR_CONFIG, "nowhere'", "");
	temp_dir_write(&r->sshd.dir, "text", "hello\n", 6);
	use_key(r, "text", NULL);
	assert_lists_fail(r, ERR_CONFIG, "it is no private key", "");
}

static void agent__with_the_key__is_asked(void **state)
{
	struct room *r = *state;
	char socket[TEMP_DIR_BYTES + 32];
	struct child *agent = NULL;
	unsetenv("SSH_AUTH_SOCK");
	use_key(r, NULL, NULL);
	assert_lists_fail(r, ERR_CONFIG, "no agent runs ($SSH_AUTH_SOCK is not set)", "key_file");
	snprintf(socket, sizeof socket, "%s/agent", r->sshd.dir.path);
	setenv("SSH_AUTH_SOCK", socket, 1);
	assert_lists_fail(r, ERR_CONFIG, "($SSH_AUTH_SOCK) does not answer", "");
	const char *const argv[] = {"ssh-agent", "-D", "-a", socket, NULL};
	assert_int_equal(child_start(&(struct child_opts){.argv = argv}, &agent, &r->err), 0);
	for (int i = 0; i < 500 && !file_exists(socket); i++)
		assert_int_equal(wait_ms(10, &r->err), 0);
	assert_lists_fail(r, ERR_DENIED, "refuses all 0 keys of the agent", "ssh-add -L");
	const char *const add[] = {"ssh-add", "-q", r->sshd.key, NULL};
	assert_int_equal(
	    child_run(&(struct child_opts){.argv = add}, NULL, deadline_in(20000), &r->err), 0);
	assert_works(r);
	child_free(agent);
	unsetenv("SSH_AUTH_SOCK");
}

/* ---- what the server allows ---- */

static void server__without_sftp__is_told(void **state)
{
	struct room *r = *state;
	live_sshd_restart(&r->sshd, "MaxSessions 10");
	open_usual(r);
	assert_lists_fail(r, ERR_DENIED, "offers no SFTP to '", "Subsystem sftp internal-sftp");
}

static void server__without_keys__is_told(void **state)
{
	struct room *r = *state;
	live_sshd_restart(&r->sshd, "PubkeyAuthentication no\nGSSAPIAuthentication no\n"
				    "HostbasedAuthentication yes");
	open_usual(r);
	assert_lists_fail(r, ERR_DENIED, "lets nobody in by key, only by 'hostbased'", "");
}

static void server__read_only__denies_writing(void **state)
{
	struct room *r = *state;
	assert_works(r);
	live_sshd_restart(&r->sshd, "Subsystem sftp internal-sftp -R");
	open_usual(r);
	assert_objects(r, 1);
	assert_failed(r, store_put_bytes(r->store, "y", "1", 1, &r->err), ERR_DENIED,
		      "permission denied", "");
	assert_failed(r, store_remove(r->store, "x", &r->err), ERR_DENIED, "can't remove '", "");
	assert_objects(r, 1);
}

/* Replaced in three steps then; what a line that breaks in between takes away comes back. */
static void server__without_posix_rename__loses_no_object(void **state)
{
	struct room *r = *state;
	struct buf b;
	live_sshd_restart(&r->sshd, "Subsystem sftp internal-sftp -P posix-rename");
	open_usual(r);
	assert_int_equal(store_put_bytes(r->store, "x.json", "first", 5, &r->err), 0);
	assert_int_equal(store_put_bytes(r->store, "x.json", "second", 6, &r->err), 0);
	assert_int_equal(count_files(r, NULL), 1);
	setenv("LIFEBOAT_FAULT", "sftp-second-rename=fail", 1);
	assert_int_equal(store_put_bytes(r->store, "x.json", "third", 5, &r->err), -1);
	unsetenv("LIFEBOAT_FAULT");
	err_clear(&r->err);
	buf_init(&b, 100);
	assert_int_equal(store_get_bytes(r->store, "x.json", &b, &r->err), 0);
	assert_string_equal(buf_text(&b), "second");
	buf_done(&b);
	assert_objects(r, 1);
	assert_int_equal(count_files(r, NULL), 1);
}

/* A server of which the disk takes its time, between us and OpenSSH's. */
static void server__that_is_long_at_syncing__is_waited_for(void **state)
{
	struct room *r = *state;
	static const char slow[] =
	    "import os, subprocess, time\n"
	    "p = subprocess.Popen(['/usr/lib/openssh/sftp-server'], stdin=subprocess.PIPE)\n"
	    "while data := os.read(0, 65536):\n"
	    "    if b'fsync@openssh.com' in data:\n"
	    "        time.sleep(0.8)\n"
	    "    p.stdin.write(data)\n"
	    "    p.stdin.flush()\n";
	char url[TEMP_DIR_BYTES + 128], script[TEMP_DIR_BYTES + 32], config[TEMP_DIR_BYTES + 96];
	struct store_opts opts = options(r, url);
	snprintf(script, sizeof script, "%s/slow.py", r->sshd.dir.path);
	snprintf(config, sizeof config, "Subsystem sftp /usr/bin/python3 %s", script);
	FILE *f = fopen(script, "w");
	assert_non_null(f);
	fputs(slow, f);
	fclose(f);
	live_sshd_restart(&r->sshd, config);
	opts = options(r, url);
	opts.timeout_ms = 500;
	assert_int_equal(open_with(r, &opts), 0);
	if (store_put_bytes(r->store, "x", "1", 1, &r->err) < 0)
		fail_msg("%s", r->err.msg);
	assert_objects(r, 1);
}

static void folder__made__is_the_owners_alone(void **state)
{
	struct room *r = *state;
	struct stat st;
	assert_works(r);
	assert_int_equal(stat(stored(r, ""), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(stored(r, "x"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void folder__a_file_in_its_way__is_told(void **state)
{
	struct room *r = *state;
	temp_dir_write(&r->sshd.dir, "stored/a", "x", 1);
	assert_failed(r, store_put_bytes(r->store, "y", "1", 1, &r->err), ERR_EXISTS,
		      "/stored/a' exists and is not a folder", "");
	unlink(temp_dir_in(&r->sshd.dir, "stored/a"));
}

/* ---- disks, lines, deaths ---- */

static void disk__full__is_no_space_and_leaves_nothing(void **state)
{
	struct room *r = *state;
	struct temp_dir small;
	char url[TEMP_DIR_BYTES + 128], plain[TEMP_DIR_BYTES + 128];
	struct store_opts opts = options(r, plain);
	uint64_t room = 0;
	if (!temp_dir_make_small(&small, 4 << 20))
		skip();
	snprintf(url, sizeof url, "sftp://%s@127.0.0.1:%u%s", r->sshd.user, (unsigned)r->sshd.port,
		 small.path);
	opts.url = url;
	assert_int_equal(open_with(r, &opts), 0);
	assert_int_equal(store_free_bytes(r->store, &room, &r->err), 0);
	assert_true(room <= 4 << 20);
	struct sink *to = NULL;
	assert_int_equal(store_put(r->store, "x", &to, &r->err), 0);
	assert_failed(r, write_on(r, to), ERR_NOSPACE, "no space left on the server", "");
	sink_free(to);
	assert_int_equal(temp_dir_count(&small), 0);
	assert_works(r);
	temp_dir_remove(&small);
}

static void line__silent_in_an_upload__ends_at_the_deadline(void **state)
{
	struct room *r = *state;
	open_impatient(r);
	struct sink *to = begin_upload(r, "x");
	live_sshd_signal(&r->sshd, SIGSTOP);
	int rc = write_on(r, to);
	bool again = r->err.retryable;
	assert_failed(r, rc, ERR_TIMEOUT, "nothing for 2000 ms", "");
	assert_true(again);
	sink_free(to);
	live_sshd_signal(&r->sshd, SIGCONT);
	open_usual(r);
	assert_objects(r, 0);
	assert_works(r);
}

static void line__silent_from_the_start__ends_at_the_deadline(void **state)
{
	struct room *r = *state;
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof at;
	char url[128];
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(listen(fd, 8), 0);
	char plain[TEMP_DIR_BYTES + 128];
	struct store_opts opts = options(r, plain);
	snprintf(url, sizeof url, "sftp://x@127.0.0.1:%u/y", (unsigned)ntohs(at.sin_port));
	opts.url = url;
	opts.timeout_ms = 200;
	assert_int_equal(open_with(r, &opts), 0);
	assert_lists_fail(r, ERR_TIMEOUT, "nothing for 200 ms", "");
	/* And nobody at all. */
	close(fd);
	assert_lists_fail(r, ERR_UNREACHABLE, "'127.0.0.1' port ", "");
}

static void line__cut_in_an_upload__leaves_nothing_visible(void **state)
{
	struct room *r = *state;
	char part[TEMP_DIR_BYTES + 256];
	struct strlist swept = {0};
	struct sink *to = begin_upload(r, "hdms-20261123T020000Z-3f9c.json");
	live_sshd_cut(&r->sshd);
	int rc = write_on(r, to);
	bool again = r->err.retryable;
	assert_failed(r, rc, ERR_UNREACHABLE, "the connection to '127.0.0.1' port ", "");
	assert_true(again);
	sink_free(to);
	assert_objects(r, 0);
	assert_int_equal(count_files(r, part), 1);
	assert_non_null(strstr(part, ".part"));
	assert_int_equal(store_sweep(r->store, "hdms", false, &swept, &r->err), 0);
	assert_int_equal(swept.count, 0);
	make_old(part);
	assert_int_equal(store_sweep(r->store, "hdms", false, &swept, &r->err), 0);
	assert_int_equal(swept.count, 1);
	assert_int_equal(count_files(r, NULL), 0);
	strlist_done(&swept);
}

static void line__cut_while_reading__goes_on(void **state)
{
	struct room *r = *state;
	struct source *from = NULL;
	size_t n = 1;
	struct sink *to = begin_upload(r, "x");
	assert_int_equal(sink_close(to, &r->err), 0);
	sink_free(to);
	assert_int_equal(store_get(r->store, "x", 0, UINT64_MAX, &from, &r->err), 0);
	assert_int_equal(source_read(from, r->piece, 1000, &n, &r->err), 0);
	live_sshd_cut(&r->sshd);
	while (n > 0)
		assert_int_equal(source_read(from, r->piece, PIECE, &n, &r->err), 0);
	assert_int_equal(source_bytes(from), 3 * PIECE);
	source_free(from);
}

/* The server wants new session keys every few megabytes. */
static void line__rekeyed_on_the_way__goes_on(void **state)
{
	struct room *r = *state;
	enum { BYTES = 24 * PIECE };
	struct source *from = NULL;
	struct sink *to = NULL;
	size_t n = 1;
	live_sshd_restart(&r->sshd, "RekeyLimit 3M\nSubsystem sftp internal-sftp");
	open_usual(r);
	allow_leaks(true);
	assert_int_equal(store_put(r->store, "x", &to, &r->err), 0);
	for (int i = 0; i < BYTES / PIECE; i++) {
		memset(r->piece, i, PIECE);
		if (sink_write(to, r->piece, PIECE, &r->err) < 0)
			fail_msg("%d: %s", i, r->err.msg);
	}
	if (sink_close(to, &r->err) < 0)
		fail_msg("%s", r->err.msg);
	sink_free(to);
	assert_int_equal(store_get(r->store, "x", 0, UINT64_MAX, &from, &r->err), 0);
	for (uint64_t at = 0; n > 0; at += n) {
		if (source_read(from, r->piece, PIECE / 4, &n, &r->err) < 0)
			fail_msg("%s", r->err.msg);
		for (size_t i = 0; i < n; i++)
			if (r->piece[i] != (uint8_t)((at + i) / PIECE))
				fail_msg("byte %llu", (unsigned long long)(at + i));
	}
	assert_int_equal(source_bytes(from), BYTES);
	source_free(from);
	allow_leaks(false);
}

static void line__cut_while_idle__is_dialled_anew(void **state)
{
	struct room *r = *state;
	assert_works(r);
	live_sshd_cut(&r->sshd);
	assert_int_equal(wait_ms(50, &r->err), 0);
	assert_works(r);
}

static void writer__killed__leaves_nothing_visible(void **state)
{
	struct room *r = *state;
	char part[TEMP_DIR_BYTES + 256];
	int ready[2], status;
	char byte;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		open_usual(r);
		begin_upload(r, "hdms-20261123T020000Z-3f9c.json");
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ready[0]);
	close(ready[1]);
	assert_objects(r, 0);
	assert_int_equal(count_files(r, part), 1);
	make_old(part);
	assert_int_equal(store_sweep(r->store, "hdms", false, NULL, &r->err), 0);
	assert_int_equal(count_files(r, NULL), 0);
	assert_works(r);
}

/* The flag that a signal sets stays: in a process of its own. */
static void writer__cancelled__removes_what_it_began(void **state)
{
	struct room *r = *state;
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		open_usual(r);
		struct sink *to = begin_upload(r, "x");
		live_sshd_signal(&r->sshd, SIGSTOP);
		signal(SIGALRM, cancel_request);
		alarm(1);
		int rc = write_on(r, to);
		live_sshd_signal(&r->sshd, SIGCONT);
		sink_free(to);
		store_free(r->store);
		_exit(rc < 0 && r->err.code == ERR_CANCELLED ? 7 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(count_files(r, NULL), 0);
}

static void url__wrong__is_told(void **state)
{
	static const struct {
		const char *url, *text, *hint;
	} cases[] = {
	    {"sftp://u:secret@h/x", "store 'far': its url has a password in it",
	     "write it as password"},
	    {"sftp:///x", "store 'far': its url names no host", "scheme://[user@]host"},
	    {"sftp://h:99999/x", "store 'far': its url is none: ", "scheme://[user@]host"},
	    {"sftp://h/x?y", "store 'far': its url has a '?'", "%3F"},
	    {"sftp://h/x#y", "store 'far': its url has a '#'", "%23"},
	    {"sftp://h/x%01", "store 'far': its url has a '%' that stands for no character", ""},
	};
	struct room *r = *state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct store_opts opts = {.name = "far", .url = cases[i].url};
		assert_failed(r, open_with(r, &opts), ERR_CONFIG, cases[i].text, cases[i].hint);
	}
}

#define SHARED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define OWN(test)    cmocka_unit_test_setup_teardown(test, setup_own, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    SHARED(host__unknown__is_denied_with_the_way_to_know_it),
	    OWN(host__changed__is_denied),
	    SHARED(host__known_by_several_keys__is_known),
	    SHARED(host__written_by_ssh_keyscan__is_known),
	    SHARED(host__known_by_rsa_alone__is_told),
	    SHARED(host__revoked__is_denied),
	    SHARED(key__not_authorized__is_denied),
	    SHARED(key__rsa__is_told_to_be_too_old),
	    SHARED(key__of_ecdsa__is_taken),
	    SHARED(key__with_a_passphrase__needs_it),
	    SHARED(key__absent_or_no_key__is_told),
	    SHARED(agent__with_the_key__is_asked),
	    OWN(server__without_posix_rename__loses_no_object),
	    OWN(server__that_is_long_at_syncing__is_waited_for),
	    OWN(server__without_sftp__is_told),
	    OWN(server__without_keys__is_told),
	    OWN(server__read_only__denies_writing),
	    SHARED(folder__made__is_the_owners_alone),
	    SHARED(folder__a_file_in_its_way__is_told),
	    SHARED(disk__full__is_no_space_and_leaves_nothing),
	    SHARED(line__silent_in_an_upload__ends_at_the_deadline),
	    SHARED(line__silent_from_the_start__ends_at_the_deadline),
	    SHARED(line__cut_in_an_upload__leaves_nothing_visible),
	    SHARED(line__cut_while_reading__goes_on),
	    OWN(line__rekeyed_on_the_way__goes_on),
	    SHARED(line__cut_while_idle__is_dialled_anew),
	    SHARED(writer__killed__leaves_nothing_visible),
	    SHARED(writer__cancelled__removes_what_it_began),
	    SHARED(url__wrong__is_told),
	};
	live_sshd_start(&shared, "");
	int rc = cmocka_run_group_tests_name("live/storage/store_sftp", tests, NULL, NULL);
	live_sshd_stop(&shared);
	return rc;
}
