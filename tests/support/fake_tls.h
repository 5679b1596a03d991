/*
 * A TLS server with a certificate of its own: a thread that gives one reply to each connection and,
 * if told, sends back what comes behind it. The certificate is its own CA, and a client's too.
 */
#ifndef LIFEBOAT_TESTS_FAKE_TLS_H
#define LIFEBOAT_TESTS_FAKE_TLS_H

#include <pthread.h>
#include <stdbool.h>

struct fake_tls {
	pthread_t thread;
	int listener;
	int wake[2];
	void *ctx; /* SSL_CTX */
	const char *reply;
	bool echo; /* until close_notify, then "bye" */
	bool cut;  /* ends without close_notify */
	char url[64];
};

/* Writes a certificate for the IP address and its key, both PEM. */
void fake_tls_certificate(const char *cert_file, const char *key_file, const char *address);
/* `client_ca` may be NULL; else clients need a certificate that it signed. */
void fake_tls_start(struct fake_tls *f, const char *cert_file, const char *key_file,
		    const char *client_ca);
void fake_tls_stop(struct fake_tls *f);

#endif
