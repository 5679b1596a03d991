/* The web server's parts. Inside web*.c only. */
#ifndef LIFEBOAT_AGENT_DAEMON_WEB_IMPL_H
#define LIFEBOAT_AGENT_DAEMON_WEB_IMPL_H

#include <microhttpd.h>
#include "agent/daemon/web.h"
#include "base/buf.h"
#include "base/child.h"

enum web_format { WEB_JSON, WEB_HTML, WEB_METRICS, WEB_FORMATS };
enum { WEB_BACKUPS = 8, WEB_DOCUMENTS = 1 + WEB_BACKUPS, WEB_ID_BYTES = 32 };

/* A document in all its forms, the child that makes it anew, and who waits for that. */
struct web_document {
	char id[WEB_ID_BYTES]; /* of a backup; empty: the status */
	struct MHD_Response *made[WEB_FORMATS];
	unsigned status;
	int64_t made_ms, used_ms; /* monotonic; 0: never */
	struct child *child;      /* NULL: none runs */
	int child_fd;             /* readable when it has ended */
	int files[WEB_FORMATS];   /* that it writes to */
	struct deadline until;
};

/* One request; held while it waits. */
struct web_request {
	struct web_request *next;
	struct MHD_Connection *connection;
	struct web_document *document;
	enum web_format format;
	struct deadline until;
	bool held, waited;
};

/* One connection, for its age. */
struct web_link {
	struct web_link *next;
	int fd;
	int64_t since_ms;
	bool busy; /* its request is whole, and is being answered */
};

struct web {
	struct MHD_Daemon *mhd;
	int epoll;
	char *listen, *config_path, *program, *csp;
	const int *config_fd;
	unsigned char token[32]; /* SHA-256 of it */
	char cookie[65];
	bool has_token, tls;
	struct web_document documents[WEB_DOCUMENTS];
	struct web_request *waiting;
	struct web_link *links;
};

/* ---- web_document.c ---- */

/* The slot for that id, with what is known of it; NULL when all are busy. */
struct web_document *web_document_find(struct web *w, const char *id);
bool web_document_is_fresh(const struct web_document *d);
/* Is there something to show, although it is not fresh? */
bool web_document_is_usable(const struct web_document *d);
/* Starts a child unless one runs. What fails becomes the document. */
void web_document_make(struct web *w, struct web_document *d);
/* Looks after the child. True: it has just ended. */
bool web_document_step(struct web *w, struct web_document *d);
void web_document_done(struct web *w, struct web_document *d);

/* ---- web_answer.c ---- */

/* With the headers that every answer has. NULL without memory. */
struct MHD_Response *web_answer_of(const struct web *w, enum web_format format, const void *data,
				   size_t len);
struct MHD_Response *web_answer_file(const struct web *w, enum web_format format, int fd,
				     size_t len);
/* A sentence, in the form that was asked for. */
struct MHD_Response *web_answer_error(const struct web *w, enum web_format format,
				      const char *title, const char *text);
/* The Content-Security-Policy, with the hash of the page's style. free() it. */
int web_answer_policy(char **ret, struct err *err) MUST_USE;

#endif
