/* Documents that a child process makes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/daemon/web_impl.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

enum {
	STATUS_FRESH_MS = 10000,
	BACKUP_FRESH_MS = 60000, /* what it holds does not change; its drills do */
	USABLE_MS = 15 * 60 * 1000,
	CHILD_MS = 120000,
	CHILDREN_MAX = 3,
	DOCUMENT_MAX_BYTES = 32 << 20,
	ERROR_MAX_BYTES = 64 << 10
};

bool web_document_is_fresh(const struct web_document *d)
{
	int64_t age = clock_monotonic_ms() - d->made_ms;
	return d->made_ms > 0 && age < (d->id[0] != '\0' ? BACKUP_FRESH_MS : STATUS_FRESH_MS);
}

bool web_document_is_usable(const struct web_document *d)
{
	return d->made_ms > 0 && clock_monotonic_ms() - d->made_ms < USABLE_MS;
}

static bool has_waiting(const struct web *w, const struct web_document *d)
{
	for (const struct web_request *r = w->waiting; r != NULL; r = r->next)
		if (r->document == d)
			return true;
	return false;
}

static void forget(struct web_document *d)
{
	for (size_t f = 0; f < WEB_FORMATS; f++) {
		if (d->made[f] != NULL)
			MHD_destroy_response(d->made[f]);
		d->made[f] = NULL;
	}
	d->made_ms = 0;
}

struct web_document *web_document_find(struct web *w, const char *id)
{
	struct web_document *oldest = NULL;
	if (id[0] == '\0')
		return &w->documents[0];
	for (size_t i = 1; i < WEB_DOCUMENTS; i++) {
		struct web_document *d = &w->documents[i];
		if (strcmp(d->id, id) == 0) {
			d->used_ms = clock_monotonic_ms();
			return d;
		}
		if (d->child == NULL && !has_waiting(w, d) &&
		    (oldest == NULL || d->used_ms < oldest->used_ms))
			oldest = d;
	}
	if (oldest == NULL)
		return NULL;
	forget(oldest);
	memcpy(oldest->id, id, strnlen(id, sizeof oldest->id - 1) + 1);
	oldest->used_ms = clock_monotonic_ms();
	return oldest;
}

static void close_files(struct web *w, struct web_document *d)
{
	if (d->child_fd >= 0)
		epoll_ctl(w->epoll, EPOLL_CTL_DEL, d->child_fd, NULL);
	fd_closep(&d->child_fd);
	for (size_t f = 0; f < WEB_FORMATS; f++)
		fd_closep(&d->files[f]);
	d->child_fd = -1;
	d->files[WEB_JSON] = d->files[WEB_HTML] = d->files[WEB_METRICS] = -1;
}

static void set_error(struct web *w, struct web_document *d, unsigned status, const char *text)
{
	forget(d);
	d->status = status;
	d->made_ms = clock_monotonic_ms();
	for (enum web_format f = 0; f < WEB_FORMATS; f++)
		d->made[f] = web_answer_error(
		    w, f,
		    status == MHD_HTTP_NOT_FOUND ? "There is no such backup"
		    : d->id[0] != '\0'           ? "This backup can\xE2\x80\x99t be shown now"
						 : "The status could not be made",
		    text);
}

static int open_files(struct web_document *d, struct err *err)
{
	for (size_t f = 0; f < WEB_FORMATS; f++) {
		d->files[f] = memfd_create("lifeboat page", MFD_CLOEXEC);
		if (d->files[f] < 0)
			return err_sys(err, ERR_IO, errno, "a document of the page");
	}
	return 0;
}

static int start_child(struct web *w, struct web_document *d, struct err *err)
{
	char html[32], metrics[32], held[64];
	const char *argv[14] = {"lifeboat", "-c", w->config_path, "--json", "--quiet"};
	const char *env[6] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", NULL};
	size_t n = 5;
	CLEANUP(fd_closep) int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (nothing < 0 || open_files(d, err) < 0)
		return nothing < 0 ? err_sys(err, ERR_IO, errno, "/dev/null") : -1;
	snprintf(html, sizeof html, "/dev/fd/%d", d->files[WEB_HTML]);
	snprintf(metrics, sizeof metrics, "/dev/fd/%d", d->files[WEB_METRICS]);
	argv[n++] = d->id[0] != '\0' ? "show" : "status";
	argv[n++] = "--html";
	argv[n++] = html;
	argv[n++] = d->id[0] != '\0' ? d->id : "--metrics";
	argv[n++] = d->id[0] != '\0' ? NULL : metrics;
	struct child_opts opts = {
	    .argv = argv,
	    .program = w->program != NULL ? w->program : "/proc/self/exe",
	    .env = env,
	    .stdout_fd = d->files[WEB_JSON],
	    .stderr_fd = nothing,
	    .pass_fds = {d->files[WEB_HTML], d->files[WEB_METRICS]},
	};
	if (w->config_fd != NULL && *w->config_fd > 0) {
		snprintf(held, sizeof held, "LIFEBOAT_CONFIG_FD=%d", *w->config_fd);
		env[3] = held;
		opts.pass_fds[2] = *w->config_fd;
	}
	return child_start(&opts, &d->child, err);
}

void web_document_make(struct web *w, struct web_document *d)
{
	struct err err = ERR_INIT;
	size_t running = 0;
	if (d->child != NULL)
		return;
	for (size_t i = 0; i < WEB_DOCUMENTS; i++)
		running += w->documents[i].child != NULL;
	/* One place is kept for the status. */
	if (running >= CHILDREN_MAX - (d->id[0] != '\0'))
		return;
	struct epoll_event e = {.events = EPOLLIN};
	int done = start_child(w, d, &err);
	if (done == 0) {
		d->until = deadline_in(CHILD_MS);
		d->child_fd = pidfd_open(child_pid(d->child), 0);
		if (d->child_fd < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, d->child_fd, &e) < 0)
			done = err_sys(&err, ERR_IO, errno, "a document of the page");
	}
	if (done == 0)
		return;
	log_debug("page: %s", err.msg);
	child_free(d->child);
	d->child = NULL;
	close_files(w, d);
	set_error(w, d, MHD_HTTP_SERVICE_UNAVAILABLE, err.msg);
}

/* What the child said went wrong, from its error object. */
static unsigned read_error(int fd, size_t len, char *text, size_t size)
{
	char *data = len > 0 && len <= ERROR_MAX_BYTES ? malloc(len) : NULL;
	unsigned status = MHD_HTTP_SERVICE_UNAVAILABLE;
	json_t *doc = NULL;
	struct err ignored = ERR_INIT;
	snprintf(text, size, "the child process that makes it ended without a word");
	if (data != NULL && pread(fd, data, len, 0) == (ssize_t)len &&
	    json_parse(data, len, &doc, &ignored) == 0) {
		const json_t *e = json_object_get(doc, "error");
		const char *code = json_str_or(e, "code", "");
		snprintf(text, size, "%s", json_str_or(e, "message", "?"));
		if (strcmp(code, err_code_name(ERR_ABSENT)) == 0)
			status = MHD_HTTP_NOT_FOUND;
	}
	json_decref(doc);
	free(data);
	return status;
}

static void take_files(struct web *w, struct web_document *d)
{
	struct MHD_Response *made[WEB_FORMATS] = {NULL};
	size_t sizes[WEB_FORMATS] = {0};
	char why[2048];
	bool whole = true;
	for (enum web_format f = 0; f < WEB_FORMATS; f++) {
		struct stat st;
		sizes[f] = fstat(d->files[f], &st) == 0 && st.st_size <= DOCUMENT_MAX_BYTES
			       ? (size_t)st.st_size
			       : 0;
		/* A backup has no metrics. */
		whole = whole && (sizes[f] > 0 || (f == WEB_METRICS && d->id[0] != '\0'));
	}
	if (!whole) {
		unsigned status = read_error(d->files[WEB_JSON], sizes[WEB_JSON], why, sizeof why);
		set_error(w, d, status, why);
		return;
	}
	for (enum web_format f = 0; f < WEB_FORMATS; f++) {
		made[f] = web_answer_file(w, f, d->files[f], sizes[f]);
		d->files[f] = -1; /* the answer has it */
	}
	forget(d);
	memcpy(d->made, made, sizeof made);
	d->status = MHD_HTTP_OK;
	d->made_ms = clock_monotonic_ms();
}

bool web_document_step(struct web *w, struct web_document *d)
{
	struct err err = ERR_INIT;
	if (d->child == NULL)
		return false;
	bool late = deadline_left_ms(d->until) == 0;
	if (child_running(d->child) && !late)
		return false;
	if (late) {
		if (!web_document_is_usable(d))
			set_error(w, d, MHD_HTTP_SERVICE_UNAVAILABLE,
				  "it took too long: a store may be slow");
	} else if (child_wait(d->child, deadline_in(0), &err) < 0) {
		/* Its exit status is its verdict; whether it did its work its files say. */
		log_debug("page: %s", err.msg);
	}
	if (!late)
		take_files(w, d);
	child_free(d->child);
	d->child = NULL;
	close_files(w, d);
	return true;
}

void web_document_done(struct web *w, struct web_document *d)
{
	child_free(d->child);
	d->child = NULL;
	close_files(w, d);
	forget(d);
}
