#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "storage/s3/s3.h"

/* What a code of S3 means for us. Where it says nothing of a hint, there is none that would be
 * right for all that may be behind it. */
struct meaning {
	const char *code;
	enum err_code as;
	bool retryable;
	const char *hint;
};

static const struct meaning meanings[] = {
    {"NoSuchKey", ERR_ABSENT, false, NULL},
    {"NoSuchUpload", ERR_ABSENT, false, NULL},
    {"NoSuchVersion", ERR_ABSENT, false, NULL},
    {"NoSuchBucket", ERR_CONFIG, false,
     "Make the bucket first, or correct the store's url and endpoint."},
    {"InvalidBucketName", ERR_CONFIG, false, "Correct the bucket's name in the store's url."},
    {"InvalidAccessKeyId", ERR_DENIED, false,
     "The store does not know this access_key: was it deleted, or is it another store's?"},
    {"SignatureDoesNotMatch", ERR_DENIED, false,
     "The secret_key is not that of the access_key, or a proxy changes requests on their way."},
    {"ExpiredToken", ERR_DENIED, false,
     "Credentials with a session_token live for hours: renew them, or use a key of a user."},
    {"TokenRefreshRequired", ERR_DENIED, false, "Renew the credentials with their session_token."},
    {"InvalidToken", ERR_DENIED, false,
     "The session_token does not belong to this access_key, or is not whole."},
    {"InvalidClientTokenId", ERR_DENIED, false,
     "The session_token does not belong to this access_key, or is not whole."},
    {"AccountProblem", ERR_DENIED, false, NULL},
    {"InvalidObjectState", ERR_DENIED, false,
     "It lies in an archive class: have the store restore it first, then try again."},
    {"InvalidStorageClass", ERR_CONFIG, false,
     "This store does not have that storage_class: leave it out or name another."},
    {"ServerSideEncryptionConfigurationNotFoundError", ERR_CONFIG, false, NULL},
    {"ObjectLockConfigurationNotFoundError", ERR_CONFIG, false,
     "object_lock needs a bucket that was made with it."},
    {"InvalidRetentionPeriod", ERR_CONFIG, false, "Correct object_lock_days."},
    {"PreconditionFailed", ERR_EXISTS, false, NULL},
    {"QuotaExceeded", ERR_NOSPACE, false,
     "The quota of the bucket or of its owner is used up: raise it, or keep less."},
    {"ServiceQuotaExceeded", ERR_NOSPACE, false, NULL},
    {"InsufficientCapacity", ERR_NOSPACE, false, NULL},
    {"EntityTooLarge", ERR_LIMIT, false, NULL},
    {"NotImplemented", ERR_FAILED, false, NULL},
    {"XAmzContentSHA256Mismatch", ERR_CORRUPT, true, NULL},
    {"BadDigest", ERR_CORRUPT, true, NULL},
    {"IncompleteBody", ERR_UNREACHABLE, true, NULL},
    {"RequestTimeout", ERR_TIMEOUT, true, NULL},
    {"OperationAborted", ERR_FAILED, true, NULL},
    {"ConditionalRequestConflict", ERR_FAILED, true, NULL},
    {"ConcurrentModification", ERR_FAILED, true, NULL},
    {"InternalError", ERR_UNREACHABLE, true, NULL},
    {"ServiceUnavailable", ERR_UNREACHABLE, true, NULL},
    {"SlowDown", ERR_UNREACHABLE, true,
     "The store asks for fewer requests: try later, or set a limit."},
    {"Throttling", ERR_UNREACHABLE, true, NULL},
    {"RequestLimitExceeded", ERR_UNREACHABLE, true, NULL},
    {"BandwidthLimitExceeded", ERR_UNREACHABLE, true, NULL},
};

static const struct meaning *find_meaning(const char *code)
{
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (strcmp(meanings[i].code, code) == 0)
			return &meanings[i];
	return NULL;
}

/* By the status alone: a HEAD has no body, and a proxy's answer no code. */
static struct meaning meaning_of_status(long status)
{
	switch (status) {
	case 401:
	case 403:
		return (struct meaning){.as = ERR_DENIED};
	case 404:
		return (struct meaning){.as = ERR_ABSENT};
	case 409:
		return (struct meaning){.as = ERR_FAILED, .retryable = true};
	case 412:
		return (struct meaning){.as = ERR_EXISTS};
	case 408:
		return (struct meaning){.as = ERR_TIMEOUT, .retryable = true};
	case 413:
	case 507:
		return (struct meaning){.as = ERR_NOSPACE};
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return (struct meaning){.as = ERR_UNREACHABLE, .retryable = true};
	default:
		return (struct meaning){.as = ERR_FAILED};
	}
}

int s3_document(const struct http_response *answer, struct xml **ret, struct err *err)
{
	const uint8_t *data = answer->body.data;
	size_t len = answer->body.len;
	/* Sent while a long answer is in the making, so that nobody gives up. */
	while (len > 0 && strchr(" \t\r\n", *data) != NULL && *data != '\0') {
		data++;
		len--;
	}
	return xml_parse(data, len, ret, err);
}

/* The error document, NULL if the body is none. Some servers wrap it in an ErrorResponse. */
static const struct xml_node *error_of(const struct http_response *answer, struct xml **x)
{
	struct err ignored = ERR_INIT;
	if (s3_document(answer, x, &ignored) < 0)
		return NULL;
	const struct xml_node *root = xml_root(*x);
	return strcmp(root->name, "Error") == 0 ? root : xml_child(root, "Error");
}

void s3_error_code(const struct http_response *answer, char out[S3_CODE_BYTES])
{
	CLEANUP(xml_freep) struct xml *x = NULL;
	const char *code = xml_text(error_of(answer, &x), "Code");
	size_t len = code != NULL ? strlen(code) : 0;
	if (len >= S3_CODE_BYTES)
		len = S3_CODE_BYTES - 1;
	memcpy(out, code != NULL ? code : "", len);
	out[len] = '\0';
}

bool s3_time(const char *text, int64_t *ret_ms)
{
	struct err ignored = ERR_INIT;
	char seconds[32];
	size_t len = strcspn(text, ".Z");
	if (len == 19 && text[10] == 'T') {
		memcpy(seconds, text, len);
		memcpy(seconds + len, "Z", 2);
		return clock_parse_rfc3339(seconds, ret_ms, &ignored) == 0;
	}
	return http_date(text, ret_ms);
}

/* ---- what deserves more words ---- */

/* RequestTimeTooSkewed, with both times. */
static void say_skew(const struct http_response *answer, const struct xml_node *error,
		     struct err *err)
{
	const char *theirs = xml_text(error, "ServerTime");
	const char *date = http_header(answer, "Date");
	char now[CLOCK_TEXT_BYTES], there[CLOCK_TEXT_BYTES];
	int64_t ms;
	if ((theirs == NULL || !s3_time(theirs, &ms)) && (date == NULL || !s3_time(date, &ms)))
		snprintf(there, sizeof there, "another time");
	else
		clock_rfc3339(ms, there);
	err_set_message(err, ERR_DENIED, "the clocks differ too much: here it is %s, there %s",
			clock_rfc3339(clock_wall_ms(), now), there);
	err_set_hint(err, "Set this machine's clock (NTP); S3 refuses what is signed 15 minutes "
			  "too early or too late.");
}

static bool is_region_error(long status, const char *code)
{
	static const char *const codes[] = {"PermanentRedirect", "TemporaryRedirect", "Redirect",
					    "AuthorizationHeaderMalformed",
					    "IllegalLocationConstraintException"};
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return status / 100 == 3 && status != 304;
}

static void say_region(const struct s3 *s, const struct http_response *answer,
		       const struct xml_node *error, const char *code, struct err *err)
{
	const char *region = xml_text(error, "Region");
	const char *endpoint = xml_text(error, "Endpoint");
	if (region == NULL || region[0] == '\0')
		region = http_header(answer, "x-amz-bucket-region");
	if (region != NULL && strcmp(region, s->region) != 0) {
		err_set_message(err, ERR_CONFIG,
				"bucket '%s' is in the region '%.60s', and was asked for in '%s'",
				s->bucket, region, s->region);
		err_set_hint(err, "Set region = %.60s.", region);
		return;
	}
	err_set_message(err, ERR_CONFIG, "bucket '%s' is elsewhere: %ld %s", s->bucket,
			answer->status, code);
	if (endpoint != NULL && endpoint[0] != '\0')
		err_set_hint(err,
			     "The store says it is at '%.200s': correct endpoint, region or "
			     "addressing.",
			     endpoint);
	else
		err_set_hint(err, "Correct endpoint, region or addressing.");
}

/* The right that a policy must give for it. */
/* Has it a header that begins so? */
static bool has_header(const struct s3_request *q, const char *beginning)
{
	for (size_t i = 0; q->headers != NULL && q->headers[i] != NULL; i++)
		if (strncmp(q->headers[i], beginning, strlen(beginning)) == 0)
			return true;
	return false;
}

static const char *right_for(const struct s3_request *q)
{
	const char *query = q->query != NULL ? q->query : "";
	bool version = strstr(query, "versionId=") != NULL;
	if (q->name == NULL)
		return strstr(query, "uploads=") != NULL    ? "s3:ListBucketMultipartUploads"
		       : strstr(query, "versions=") != NULL ? "s3:ListBucketVersions"
		       : strstr(query, "object-lock") != NULL
			   ? "s3:GetBucketObjectLockConfiguration"
			   : "s3:ListBucket";
	if (strcmp(q->method, "GET") == 0 && strstr(query, "uploadId=") != NULL)
		return "s3:ListMultipartUploadParts";
	if (strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0)
		return version ? "s3:GetObjectVersion" : "s3:GetObject and s3:ListBucket";
	if (strcmp(q->method, "DELETE") == 0)
		return strstr(query, "uploadId=") != NULL ? "s3:AbortMultipartUpload"
		       : version                          ? "s3:DeleteObjectVersion"
							  : "s3:DeleteObject";
	if (has_header(q, "x-amz-object-lock") || strstr(query, "retention=") != NULL)
		return "s3:PutObject and s3:PutObjectRetention";
	return "s3:PutObject";
}

/* A plain "bad request" may be about what not every store has. */
static const char *option_for(const struct s3_request *q)
{
	bool class = has_header(q, "x-amz-storage-class");
	bool encryption = has_header(q, "x-amz-server-side-encryption");
	bool lock = has_header(q, "x-amz-object-lock");
	if (class + encryption + lock > 1)
		return "storage_class, encryption or object_lock";
	return class ? "storage_class" : encryption ? "encryption" : lock ? "object_lock" : NULL;
}

static void say_plainly(const struct s3_request *q, const struct http_response *answer,
			const char *code, const char *message, struct err *err)
{
	const struct meaning *known = find_meaning(code);
	struct meaning m = known != NULL ? *known : meaning_of_status(answer->status);
	/* A server that is tired says so with its status; its codes differ. */
	if (known == NULL && answer->status / 100 == 2)
		m = (struct meaning){.as = ERR_CORRUPT, .retryable = true};
	if (code[0] != '\0')
		err_set_message(err, m.as, "the store answered %ld %s%s%.500s", answer->status,
				code, message[0] != '\0' ? ": " : "", message);
	else if (answer->status / 100 == 2)
		err_set_message(err, m.as,
				"the store answered %ld without the <%s> that belongs "
				"there",
				answer->status, q->expects != NULL ? q->expects : "answer");
	else
		err_set_message(err, m.as, "the store answered %ld", answer->status);
	err->retryable = m.retryable;
	if (m.as == ERR_FAILED && (answer->status == 400 || answer->status == 501) &&
	    option_for(q) != NULL) {
		err->code = ERR_CONFIG;
		err_set_hint(err, "Perhaps this store has no such %s: leave it out or change it.",
			     option_for(q));
	}
	if (m.hint != NULL)
		err_set_hint(err, "%s", m.hint);
	else if (m.as == ERR_DENIED)
		err_set_hint(err, "The key needs the right to %s (docs/store-s3.md has a policy).",
			     right_for(q));
}

int s3_refused(const struct s3 *s, const struct s3_request *q, const struct http_response *answer,
	       struct err *err)
{
	CLEANUP(xml_freep) struct xml *x = NULL;
	char code[S3_CODE_BYTES];
	const struct xml_node *error = error_of(answer, &x);
	const char *message = xml_text(error, "Message");
	s3_error_code(answer, code);
	if (strcmp(code, "RequestTimeTooSkewed") == 0)
		say_skew(answer, error, err);
	else if (is_region_error(answer->status, code))
		say_region(s, answer, error, code, err);
	else
		say_plainly(q, answer, code, message != NULL ? message : "", err);
	if (q->name != NULL)
		return err_wrap(err, "%s of '%s'", q->method, q->name);
	return err_wrap(err, "bucket '%s'", s->bucket);
}

int s3_unreached(const struct s3 *s, struct err *err)
{
	if (err->code == ERR_DENIED && !s->is_plain)
		err_set_hint(err, s->has_ca_file
				      ? "The certificate must be signed by a CA in the store's "
					"ca_file, for the endpoint's host."
				      : "If the store's certificate is not from a public CA, name "
					"its CA's certificate with ca_file.");
	return -1;
}
