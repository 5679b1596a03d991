/* Who we are: a key in a file, or one of the agent's. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "storage/sftp/sftp.h"

enum { KEY_FILE_MAX = 64 << 10 };

/* Is the key in the file one for RSA? OpenSSH's own format has the public half, with its type, at
 * its beginning, in the clear also where the private one is encrypted (PROTOCOL.key). */
static bool is_rsa(const struct buf *file)
{
	static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----", rsa[] = "ssh-rsa";
	const char *text = strstr(buf_text(file), begin);
	if (text == NULL)
		return strstr(buf_text(file), "BEGIN RSA PRIVATE KEY") != NULL;
	unsigned char head[256];
	int n = 0;
	EVP_ENCODE_CTX *decoder = EVP_ENCODE_CTX_new();
	if (decoder == NULL)
		return false;
	text += strlen(begin);
	size_t len = strnlen(text, 280);
	EVP_DecodeInit(decoder);
	if (EVP_DecodeUpdate(decoder, head, &n, (const unsigned char *)text, (int)len) < 0)
		n = 0;
	EVP_ENCODE_CTX_free(decoder);
	return n > 0 && memmem(head, (size_t)n, rsa, sizeof rsa - 1) != NULL;
}

static int refused(const struct sftp *c, const struct buf *key, struct err *err)
{
	const struct sftp_site *s = c->site;
	if (is_rsa(key) && libssh2_version(0x010b00) == NULL) {
		err_set(err, ERR_DENIED,
			"%s: refuses the key '%s' of user '%s': it is for RSA, which libssh2 %s "
			"signs with SHA-1, and servers take that no more",
			s->server, s->key_file, s->user, libssh2_version(0));
		return err_hint(err, "Make one with ssh-keygen -t ed25519.");
	}
	err_set(err, ERR_DENIED, "%s: refuses the key '%s' of user '%s'", s->server, s->key_file,
		s->user);
	return err_hint(err,
			"Its public half belongs into the authorized_keys of that user: "
			"ssh-copy-id -i '%s.pub' -p %u %s@%s",
			s->key_file, (unsigned)s->at.port, s->user, s->at.host);
}

static int unreadable(struct sftp *c, struct err *err)
{
	const struct sftp_site *s = c->site;
	bool has = secret_is_set(&s->passphrase);
	err_set(err, ERR_CONFIG, "key '%s': %s", s->key_file,
		has ? "it is no private key, or its passphrase is another"
		    : "it is no private key, or it needs a passphrase");
	return err_hint(err,
			has ? "ssh-keygen -y -f '%s' asks for the passphrase and tells."
			    : "A passphrase is given as key_passphrase; ssh-keygen -y -f '%s' "
			      "tells whether there is one.",
			s->key_file);
}

/* Did the connection fail? Of a key that it can't read libssh2 says all kinds of things. */
static bool broke(int rc)
{
	return rc == LIBSSH2_ERROR_SOCKET_DISCONNECT || rc == LIBSSH2_ERROR_SOCKET_SEND ||
	       rc == LIBSSH2_ERROR_SOCKET_RECV || rc == LIBSSH2_ERROR_ALLOC;
}

static int with_file(struct sftp *c, struct err *err)
{
	const struct sftp_site *s = c->site;
	struct buf key;
	int rc;
	buf_init(&key, KEY_FILE_MAX);
	if (file_read_all(s->key_file, &key, err) < 0) {
		if (err->code == ERR_ABSENT)
			err->code = ERR_CONFIG;
		buf_done(&key);
		return err_wrap(err, "key");
	}
	while ((rc = libssh2_userauth_publickey_frommemory(
		    c->ssh, s->user, strlen(s->user), NULL, 0, buf_text(&key), key.len,
		    secret_text(&s->passphrase))) == LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c, err) < 0)
			break;
	if (rc == LIBSSH2_ERROR_EAGAIN)
		rc = -1;
	else if (rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED ||
		 rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
		rc = refused(c, &key, err);
	else if (rc < 0)
		rc = broke(rc) ? sftp_failed(c, rc, err, "user '%s'", s->user) : unreadable(c, err);
	if (key.data != NULL)
		explicit_bzero(key.data, key.cap);
	buf_done(&key);
	return rc;
}

static void agent_freep(LIBSSH2_AGENT **agent)
{
	if (*agent == NULL)
		return;
	libssh2_agent_disconnect(*agent);
	libssh2_agent_free(*agent);
}

/* One key after the other. */
static int with_each(struct sftp *c, LIBSSH2_AGENT *agent, struct err *err)
{
	const struct sftp_site *s = c->site;
	struct libssh2_agent_publickey *key = NULL;
	unsigned tried = 0;
	int rc;
	while (libssh2_agent_get_identity(agent, &key, key) == 0) {
		while ((rc = libssh2_agent_userauth(agent, s->user, key)) == LIBSSH2_ERROR_EAGAIN)
			if (sftp_wait(c, err) < 0)
				return -1;
		if (rc == 0)
			return 0;
		if (broke(rc))
			return sftp_failed(c, rc, err, "user '%s'", s->user);
		tried++;
	}
	err_set(err, ERR_DENIED, "%s: refuses all %u keys of the agent for user '%s'", s->server,
		tried, s->user);
	return err_hint(err, "ssh-add -L lists them. One must be in the authorized_keys of that "
			     "user, and be for ed25519 or ecdsa. Or name a key_file.");
}

static int with_agent(struct sftp *c, struct err *err)
{
	CLEANUP(agent_freep) LIBSSH2_AGENT *agent = NULL;
	const char *socket = getenv("SSH_AUTH_SOCK");
	if (socket == NULL || socket[0] == '\0') {
		err_set(err, ERR_CONFIG,
			"there is no key for %s: no key_file is named, and no "
			"agent runs ($SSH_AUTH_SOCK is not set)",
			c->site->server);
		return err_hint(err, "Make one with ssh-keygen -t ed25519, and name it as "
				     "key_file.");
	}
	agent = libssh2_agent_init(c->ssh);
	if (agent == NULL)
		return err_nomem(err, "the agent's keys");
	if (libssh2_agent_connect(agent) != 0 || libssh2_agent_list_identities(agent) != 0)
		return err_set(err, ERR_CONFIG,
			       "the agent at '%s' ($SSH_AUTH_SOCK) does not answer", socket);
	return with_each(c, agent, err);
}

int sftp_auth(struct sftp *c, struct err *err)
{
	const struct sftp_site *s = c->site;
	char *methods;
	while ((methods = libssh2_userauth_list(c->ssh, s->user, (unsigned)strlen(s->user))) ==
	       NULL) {
		/* It lets everybody in. */
		if (libssh2_userauth_authenticated(c->ssh))
			return 0;
		int rc = libssh2_session_last_errno(c->ssh);
		if (rc != LIBSSH2_ERROR_EAGAIN)
			return sftp_failed(c, rc, err, "user '%s'", s->user);
		if (sftp_wait(c, err) < 0)
			return -1;
	}
	if (strstr(methods, "publickey") == NULL)
		return err_set(err, ERR_DENIED, "%s: lets nobody in by key, only by '%s'",
			       s->server, methods);
	return s->key_file != NULL ? with_file(c, err) : with_agent(c, err);
}
