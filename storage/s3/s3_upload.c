#include "storage/s3/s3_upload.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "storage/s3/s3_part.h"

enum { WORKERS = 3, BUFFERS = WORKERS + 1, COMMIT_IDLE_MS = 300000, XML_MAX = 4 << 20 };

struct part {
	struct buf data;
	unsigned number; /* from 1 */
};

struct s3_upload {
	struct s3 *s;
	char *name;
	char *id; /* encoded for a query */
	char token[S3_TOKEN_BYTES];
	bool committed;

	pthread_t workers[WORKERS];
	size_t worker_count;
	int stop_fd; /* readable: let go of what is on its way */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct part waiting[BUFFERS]; /* in the order of their numbers */
	size_t waiting_count;
	size_t on_way; /* waiting, or with a worker */
	struct buf spare[BUFFERS];
	size_t spare_count;
	bool ended; /* workers go home */
	struct err failed;
	char **etags; /* by number - 1; NULL: not there yet */
	unsigned parts;
	uint64_t bytes;
};

/* ---- one part ---- */

/* As it goes into XML and back: bare, without quotes. */
static int take_etag(const struct s3_upload *u, unsigned number, const struct http_response *r,
		     char **ret, struct err *err)
{
	const char *etag = http_header(r, "ETag");
	size_t len = etag != NULL ? strlen(etag) : 0;
	if (len >= 2 && etag[0] == '"' && etag[len - 1] == '"') {
		etag++;
		len -= 2;
	}
	if (len == 0 || len >= S3_ETAG_BYTES || memchr(etag, '"', len) != NULL)
		return err_set(err, ERR_CORRUPT,
			       "part %u of '%s': the store took it without an ETag", number,
			       u->name);
	return str_dupn(etag, len, ret, err);
}

static int send_part(struct s3_upload *u, const struct part *p, char **ret_etag, struct err *err)
{
	CLEANUP(freep) char *query = NULL;
	CLEANUP(strlist_done) struct strlist headers = {0};
	CLEANUP(http_response_done) struct http_response r = {0};
	if (fault_point("s3-part", err) < 0 ||
	    str_printf(&query, err, "partNumber=%u&uploadId=%s", p->number, u->id) < 0 ||
	    (u->s->lock_mode != NULL && s3_put_md5(p->data.data, p->data.len, &headers, err) < 0))
		return -1;
	const struct s3_request q = {
	    .method = "PUT",
	    .name = u->name,
	    .query = query,
	    .headers = (const char *const *)headers.items,
	    .body = p->data.data,
	    .body_bytes = p->data.len,
	    .stop_fd = u->stop_fd,
	};
	if (s3_insist(u->s, &q, &r, err) < 0)
		return err_wrap(err, "part %u", p->number);
	if (r.status / 100 == 2)
		return take_etag(u, p->number, &r, ret_etag, err);
	s3_refused(u->s, &q, &r, err);
	return err_wrap(err, "part %u", p->number);
}

/* With the lock held. The first to fail is the one that counts; the others are told to stop. */
static void fail(struct s3_upload *u, const struct err *err)
{
	if (u->failed.code != ERR_NONE)
		return;
	u->failed = *err;
	eventfd_write(u->stop_fd, 1);
}

static void *work(void *arg)
{
	struct s3_upload *u = arg;
	pthread_mutex_lock(&u->lock);
	for (;;) {
		while (u->waiting_count == 0 && !u->ended)
			pthread_cond_wait(&u->changed, &u->lock);
		if (u->waiting_count == 0)
			break;
		struct part p = u->waiting[0];
		u->waiting_count--;
		memmove(u->waiting, u->waiting + 1, u->waiting_count * sizeof *u->waiting);
		bool wanted = u->failed.code == ERR_NONE && !u->ended;
		pthread_mutex_unlock(&u->lock);
		struct err err = ERR_INIT;
		char *etag = NULL;
		int rc = wanted ? send_part(u, &p, &etag, &err) : 0;
		pthread_mutex_lock(&u->lock);
		if (rc < 0)
			fail(u, &err);
		u->etags[p.number - 1] = etag;
		buf_reset(&p.data);
		u->spare[u->spare_count++] = p.data;
		u->on_way--;
		pthread_cond_broadcast(&u->changed);
	}
	pthread_mutex_unlock(&u->lock);
	return NULL;
}

/* ---- beginning ---- */

static int ask_for_it(struct s3_upload *u, struct err *err)
{
	CLEANUP(strlist_done) struct strlist headers = {0};
	CLEANUP(http_response_done) struct http_response r = {0};
	CLEANUP(xml_freep) struct xml *x = NULL;
	CLEANUP(buf_done) struct buf id;
	if (s3_put_headers(u->s, u->name, u->token, &headers, err) < 0)
		return -1;
	const struct s3_request q = {
	    .method = "POST",
	    .name = u->name,
	    .query = "uploads=",
	    .headers = (const char *const *)headers.items,
	    .expects = "InitiateMultipartUploadResult",
	};
	if (s3_insist(u->s, &q, &r, err) < 0)
		return -1;
	if (r.status / 100 != 2)
		return s3_refused(u->s, &q, &r, err);
	buf_init(&id, 16 << 10);
	if (s3_document(&r, &x, err) < 0)
		return -1;
	const char *text = xml_text(xml_root(x), "UploadId");
	if (text == NULL || text[0] == '\0')
		return err_set(err, ERR_CORRUPT, "'%s': the store began an upload without an id",
			       u->name);
	return http_escape(&id, text, err) < 0 ? -1 : buf_take(&id, &u->id, err);
}

static int start_workers(struct s3_upload *u, struct err *err)
{
	for (; u->worker_count < WORKERS; u->worker_count++) {
		int rc = pthread_create(&u->workers[u->worker_count], NULL, work, u);
		/* Fewer will do. */
		if (rc != 0 && u->worker_count == 0)
			return err_sys(err, ERR_NOMEM, rc, "can't start a thread");
		if (rc != 0)
			break;
	}
	return 0;
}

int s3_upload_begin(struct s3 *s, const char *name, const char *token, struct s3_upload **ret,
		    struct err *err)
{
	struct s3_upload *u = mem_zalloc(sizeof *u, "an upload", err);
	if (u == NULL)
		return -1;
	u->s = s;
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->changed, NULL);
	snprintf(u->token, sizeof u->token, "%s", token);
	u->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int rc = u->stop_fd < 0 ? err_sys(err, ERR_IO, errno, "eventfd") : 0;
	if (rc < 0 || str_dup(name, &u->name, err) < 0 || ask_for_it(u, err) < 0 ||
	    start_workers(u, err) < 0) {
		s3_upload_free(u);
		return -1;
	}
	*ret = u;
	return 0;
}

/* ---- parts ---- */

/* With the lock held: until so few are on their way, or one has failed. */
static int wait_for_room(struct s3_upload *u, size_t most, struct err *err)
{
	while (u->on_way > most && u->failed.code == ERR_NONE)
		pthread_cond_wait(&u->changed, &u->lock);
	if (u->failed.code == ERR_NONE)
		return 0;
	*err = u->failed;
	return -1;
}

static int hand_over(struct s3_upload *u, struct buf *part, struct err *err)
{
	if (u->parts == S3_PARTS_MAX)
		return err_set(err, ERR_LIMIT, "'%s': an upload has at most %d parts", u->name,
			       (int)S3_PARTS_MAX);
	char **etags = mem_grow(u->etags, u->parts, sizeof *etags, "a list of parts", err);
	if (etags == NULL)
		return -1;
	u->etags = etags;
	etags[u->parts++] = NULL;
	u->bytes += part->len;
	u->waiting[u->waiting_count++] = (struct part){.data = *part, .number = u->parts};
	u->on_way++;
	pthread_cond_broadcast(&u->changed);
	size_t next_bytes = s3_part_bytes(u->bytes);
	/* What is there now is the workers'. */
	buf_init(part, next_bytes);
	unsigned buffers = s3_part_buffers(next_bytes);
	if (wait_for_room(u, (buffers < BUFFERS ? buffers : BUFFERS) - 1, err) < 0)
		return -1;
	if (u->spare_count > 0) {
		*part = u->spare[--u->spare_count];
		part->max = next_bytes;
	}
	return 0;
}

int s3_upload_part(struct s3_upload *u, struct buf *part, struct err *err)
{
	pthread_mutex_lock(&u->lock);
	int rc = wait_for_room(u, BUFFERS - 1, err);
	if (rc == 0)
		rc = hand_over(u, part, err);
	pthread_mutex_unlock(&u->lock);
	return rc;
}

/* ---- the end ---- */

static int put_list(const struct s3_upload *u, struct buf *b, struct err *err)
{
	if (buf_puts(b, "<CompleteMultipartUpload>", err) < 0)
		return -1;
	for (unsigned i = 0; i < u->parts; i++)
		if (buf_printf(b, err, "<Part><PartNumber>%u</PartNumber><ETag>&quot;", i + 1) <
			0 ||
		    xml_escape(b, u->etags[i], err) < 0 ||
		    buf_puts(b, "&quot;</ETag></Part>", err) < 0)
			return -1;
	return buf_puts(b, "</CompleteMultipartUpload>", err);
}

/* After an answer that got lost, or that came twice: is the object there that these parts make? */
static bool is_there(struct s3_upload *u)
{
	struct s3_head h;
	struct err ignored = ERR_INIT;
	return s3_head(u->s, u->name, NULL, true, &h, &ignored) == 0 && h.bytes == u->bytes &&
	       strcmp(h.token, u->token) == 0;
}

static int complete(struct s3_upload *u, bool fresh, struct err *err)
{
	CLEANUP(buf_done) struct buf body;
	CLEANUP(freep) char *query = NULL;
	CLEANUP(http_response_done) struct http_response r = {0};
	static const char *const headers[] = {"Content-Type: application/xml", "If-None-Match: *",
					      NULL};
	static const char *const over[] = {"Content-Type: application/xml", NULL};
	buf_init(&body, XML_MAX);
	if (put_list(u, &body, err) < 0 || str_printf(&query, err, "uploadId=%s", u->id) < 0)
		return -1;
	bool conditional = fresh && atomic_load(&u->s->conditional) != S3_CONDITIONAL_NO;
	const struct s3_request q = {
	    .method = "POST",
	    .name = u->name,
	    .query = query,
	    .headers = conditional ? headers : over,
	    .body = body.data,
	    .body_bytes = body.len,
	    .expects = "CompleteMultipartUploadResult",
	    .idle_ms = u->s->timeout_ms > COMMIT_IDLE_MS ? u->s->timeout_ms : COMMIT_IDLE_MS,
	};
	if (s3_insist(u->s, &q, &r, err) < 0)
		return err_wrap(err, "the end of the upload of '%s'", u->name);
	if (r.status / 100 == 2)
		return 0;
	if (r.status == 501 && conditional) {
		atomic_store(&u->s->conditional, S3_CONDITIONAL_NO);
		return complete(u, fresh, err);
	}
	if (r.status == 412)
		return s3_put_exists(u->name, err);
	s3_refused(u->s, &q, &r, err);
	return err_wrap(err, "the end of the upload");
}

/* The object is what was sent, in length at least (the store has checked the sums of the parts),
 * and locked if it has to be. */
static int check_object(struct s3_upload *u, struct err *err)
{
	struct s3_head h;
	struct err ignored = ERR_INIT;
	if (s3_head(u->s, u->name, NULL, true, &h, err) < 0)
		return err_wrap(err, "after the upload");
	if (h.bytes == u->bytes)
		return s3_put_lock(u->s, u->name, &h, err);
	err_set_message(err, ERR_CORRUPT, "'%s' has %llu bytes in the store, and %llu were sent",
			u->name, (unsigned long long)h.bytes, (unsigned long long)u->bytes);
	return s3_remove(u->s, u->name, &ignored) < 0 ? err_wrap(err, "and can't be removed") : -1;
}

int s3_upload_commit(struct s3_upload *u, bool fresh, struct err *err)
{
	struct s3_head h;
	pthread_mutex_lock(&u->lock);
	int rc = wait_for_room(u, 0, err);
	pthread_mutex_unlock(&u->lock);
	if (rc < 0 || fault_point("s3-complete", err) < 0)
		return -1;
	/* Not every server minds the condition at the end of an upload. */
	if (fresh) {
		struct err absent = ERR_INIT;
		if (s3_head(u->s, u->name, NULL, true, &h, &absent) == 0)
			return s3_put_exists(u->name, err);
		if (absent.code != ERR_ABSENT) {
			*err = absent;
			return -1;
		}
	}
	rc = complete(u, fresh, err);
	if (rc < 0 && (err->code == ERR_CANCELLED || !is_there(u)))
		return -1;
	u->committed = true;
	return check_object(u, err);
}

static void stop_workers(struct s3_upload *u)
{
	pthread_mutex_lock(&u->lock);
	u->ended = true;
	if (!u->committed && u->stop_fd >= 0)
		eventfd_write(u->stop_fd, 1);
	pthread_cond_broadcast(&u->changed);
	pthread_mutex_unlock(&u->lock);
	while (u->worker_count > 0)
		pthread_join(u->workers[--u->worker_count], NULL);
}

/* Also after a cancellation, and not for ever: what is left then, a sweep finds. */
static void abort_it(struct s3_upload *u)
{
	CLEANUP(freep) char *query = NULL;
	CLEANUP(http_response_done) struct http_response r = {0};
	struct err ignored = ERR_INIT;
	if (str_printf(&query, &ignored, "uploadId=%s", u->id) < 0)
		return;
	const struct s3_request q = {
	    .method = "DELETE", .name = u->name, .query = query, .idle_ms = 15000};
	cancel_hold();
	int rc = s3_call(u->s, &q, &r, &ignored);
	if (rc < 0 && ignored.retryable) {
		http_response_done(&r);
		rc = s3_call(u->s, &q, &r, &ignored);
	}
	(void)rc;
	cancel_release();
}

void s3_upload_free(struct s3_upload *u)
{
	if (u == NULL)
		return;
	stop_workers(u);
	if (!u->committed && u->id != NULL)
		abort_it(u);
	for (size_t i = 0; i < u->spare_count; i++)
		buf_done(&u->spare[i]);
	for (size_t i = 0; i < u->waiting_count; i++)
		buf_done(&u->waiting[i].data);
	for (unsigned i = 0; i < u->parts; i++)
		free(u->etags[i]);
	free(u->etags);
	if (u->stop_fd >= 0)
		close(u->stop_fd);
	pthread_cond_destroy(&u->changed);
	pthread_mutex_destroy(&u->lock);
	free(u->name);
	free(u->id);
	free(u);
}
