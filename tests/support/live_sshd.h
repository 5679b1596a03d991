/*
 * A throw-away OpenSSH server: on a free port of 127.0.0.1, with host keys and a user's key of its
 * own, as sshd of this machine. Who may log in is the user that runs the test.
 *
 *  1. live_sshd_start(&l, "")              or lines of sshd_config, instead of "Subsystem sftp …"
 *  2. l.url ("sftp://user@127.0.0.1:port<folder>"), l.folder, l.key, l.known_hosts
 *  3. live_sshd_stop(&l)                   stopped by pid, all files removed
 *
 * Anything that fails ends the test.
 */
#ifndef LIFEBOAT_TESTS_LIVE_SSHD_H
#define LIFEBOAT_TESTS_LIVE_SSHD_H

#include <stdint.h>
#include "base/child.h"
#include "tests/support/temp_dir.h"

struct live_sshd {
	struct child *child;
	struct temp_dir dir;
	uint16_t port;
	char folder[TEMP_DIR_BYTES + 16], key[TEMP_DIR_BYTES + 16],
	    known_hosts[TEMP_DIR_BYTES + 16];
	char user[64];
};

void live_sshd_start(struct live_sshd *l, const char *config);
/* The same once more, after its process was stopped; on another port where that one is taken. */
void live_sshd_restart(struct live_sshd *l, const char *config);
void live_sshd_stop(struct live_sshd *l);

/* To the server and all its sessions: SIGSTOP, SIGCONT. */
void live_sshd_signal(struct live_sshd *l, int signal_number);
/* SIGKILL to its sessions alone. */
void live_sshd_cut(struct live_sshd *l);

/* ssh-keygen: a new pair under `path` (and .pub), which is overwritten. */
void live_sshd_make_key(const char *path, const char *type, const char *passphrase);
/* The user with that key may log in too. */
void live_sshd_allow(struct live_sshd *l, const char *public_key_path);
/* Writes known_hosts with the host's keys of those types ("ed25519 ecdsa rsa"). */
void live_sshd_trust(struct live_sshd *l, const char *types);
/* New host keys, from the next start. */
void live_sshd_rekey(struct live_sshd *l);

#endif
