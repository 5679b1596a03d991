#include "tests/support/fake_tls.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check(bool ok)
{
	if (!ok)
		abort();
}

void fake_tls_certificate(const char *cert_file, const char *key_file, const char *address)
{
	char alt[100];
	snprintf(alt, sizeof alt, "IP:%s", address);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	check(key != NULL && cert != NULL);
	X509_NAME *name = X509_get_subject_name(cert);
	check(X509_set_version(cert, 2) && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
	      X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL &&
	      X509_gmtime_adj(X509_getm_notAfter(cert), 3600) != NULL &&
	      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					 (const unsigned char *)"lifeboat test", -1, -1, 0) &&
	      X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, key));
	const struct {
		int nid;
		const char *value;
	} extensions[] = {{NID_basic_constraints, "critical,CA:TRUE"}, {NID_subject_alt_name, alt}};
	for (size_t i = 0; i < 2; i++) {
		X509_EXTENSION *e =
		    X509V3_EXT_conf_nid(NULL, NULL, extensions[i].nid, extensions[i].value);
		check(e != NULL && X509_add_ext(cert, e, -1));
		X509_EXTENSION_free(e);
	}
	check(X509_sign(cert, key, EVP_sha256()) > 0);
	FILE *out = fopen(cert_file, "w");
	check(out != NULL && PEM_write_X509(out, cert) && fclose(out) == 0);
	out = fopen(key_file, "w");
	check(out != NULL && PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) &&
	      fclose(out) == 0);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static bool read_head(SSL *ssl)
{
	char head[10000];
	size_t len = 0;
	while (len < sizeof head && memmem(head, len, "\r\n\r\n", 4) == NULL) {
		int n = SSL_read(ssl, head + len, (int)(sizeof head - len));
		if (n <= 0)
			return false;
		len += (size_t)n;
	}
	return len < sizeof head;
}

static void talk(const struct fake_tls *f, SSL *ssl)
{
	static char block[20000];
	if (SSL_accept(ssl) != 1 || !read_head(ssl) ||
	    SSL_write(ssl, f->reply, (int)strlen(f->reply)) <= 0)
		return;
	for (int n; f->echo && (n = SSL_read(ssl, block, sizeof block)) > 0;)
		if (SSL_write(ssl, block, n) <= 0)
			return;
	if (f->echo && !(SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN))
		return;
	if (f->echo && SSL_write(ssl, "bye", 3) <= 0)
		return;
	if (!f->cut)
		SSL_shutdown(ssl);
}

static void *run(void *self)
{
	struct fake_tls *f = self;
	for (;;) {
		struct pollfd p[2] = {{.fd = f->wake[0], .events = POLLIN},
				      {.fd = f->listener, .events = POLLIN}};
		if (poll(p, 2, -1) < 0 || p[0].revents != 0)
			return NULL;
		int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
		/* A client that forgets to end must not hold up the test. */
		struct timeval most = {.tv_sec = 20};
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
		SSL *ssl = SSL_new(f->ctx);
		check(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
		talk(f, ssl);
		SSL_free(ssl);
		/* So that an end is an end and no reset, which could overtake the last bytes. */
		char rest[1000];
		shutdown(fd, SHUT_WR);
		while (recv(fd, rest, sizeof rest, 0) > 0)
			;
		close(fd);
	}
}

void fake_tls_start(struct fake_tls *f, const char *cert_file, const char *key_file,
		    const char *client_ca)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof a;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	check(ctx != NULL && SSL_CTX_use_certificate_chain_file(ctx, cert_file) == 1 &&
	      SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) == 1);
	if (client_ca != NULL) {
		check(SSL_CTX_load_verify_locations(ctx, client_ca, NULL) == 1);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	f->ctx = ctx;
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(f->listener >= 0 && bind(f->listener, (const struct sockaddr *)&a, sizeof a) == 0 &&
	      listen(f->listener, 16) == 0 &&
	      getsockname(f->listener, (struct sockaddr *)&a, &len) == 0 && pipe(f->wake) == 0);
	snprintf(f->url, sizeof f->url, "https://127.0.0.1:%u", (unsigned)ntohs(a.sin_port));
	check(pthread_create(&f->thread, NULL, run, f) == 0);
}

void fake_tls_stop(struct fake_tls *f)
{
	close(f->wake[1]);
	pthread_join(f->thread, NULL);
	close(f->wake[0]);
	close(f->listener);
	SSL_CTX_free(f->ctx);
}
