#include "base/flow/mail.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"

struct sending {
	CURL *easy;
	curl_mime *mime;
	struct curl_slist *headers, *to;
	char said[CURL_ERROR_SIZE];
};

static void sending_done(struct sending *s)
{
	curl_mime_free(s->mime);
	curl_easy_cleanup(s->easy);
	curl_slist_free_all(s->headers);
	curl_slist_free_all(s->to);
	curl_global_cleanup();
}

static bool has_controls(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

int mail_address(const char *text, char **ret, struct err *err)
{
	const char *open = strrchr(text, '<');
	const char *from = open != NULL ? open + 1 : text + strspn(text, " \t");
	size_t len = strcspn(from, open != NULL ? ">" : " \t");
	const char *rest = from + len + (open != NULL && from[len] == '>');
	const char *at = memchr(from, '@', len);
	bool ok = !has_controls(text) && rest[strspn(rest, " \t")] == '\0' && at != NULL &&
		  at != from && at != from + len - 1 && memchr(from, ' ', len) == NULL &&
		  (open == NULL || from[len] == '>');
	if (!ok) {
		err_set(err, ERR_CONFIG, "'%.100s' is no mail address",
			has_controls(text) ? "" : text);
		return err_hint(err, "write ops@example.com or Name <ops@example.com>");
	}
	return str_printf(ret, err, "<%.*s>", (int)len, from);
}

static int push(struct curl_slist **list, const char *text, struct err *err)
{
	struct curl_slist *longer = curl_slist_append(*list, text);
	if (longer == NULL)
		return err_nomem(err, "a mail");
	*list = longer;
	return 0;
}

static int push_recipients(struct sending *s, const char *to, struct err *err)
{
	while (*to != '\0') {
		CLEANUP(freep) char *one = NULL;
		CLEANUP(freep) char *address = NULL;
		size_t len = strcspn(to, ",");
		if (str_dupn(to, len, &one, err) < 0 || mail_address(one, &address, err) < 0 ||
		    push(&s->to, address, err) < 0)
			return -1;
		to += len + (to[len] == ',');
	}
	return 0;
}

static int push_headers(struct sending *s, const struct mail *m, struct err *err)
{
	CLEANUP(freep) char *from = NULL;
	CLEANUP(freep) char *to = NULL;
	CLEANUP(freep) char *subject = NULL;
	CLEANUP(freep) char *id = NULL;
	char date[64], host[128] = "";
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm parts;
	if (has_controls(m->subject) || has_controls(m->to) || has_controls(m->from))
		return err_set(err, ERR_CONFIG, "a mail's head has a control character in it");
	gethostname(host, sizeof host - 1);
	if (gmtime_r(&now, &parts) == NULL ||
	    strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S +0000", &parts) == 0)
		return err_set(err, ERR_FAILED, "the date of a mail");
	if (str_printf(&from, err, "From: %s", m->from) < 0 ||
	    str_printf(&to, err, "To: %s", m->to) < 0 ||
	    str_printf(&subject, err, "Subject: %s", m->subject) < 0 ||
	    str_printf(&id, err, "Message-ID: <%lld.%ld@%s>", (long long)clock_wall_ms(),
		       (long)getpid(), host[0] != '\0' ? host : "localhost") < 0)
		return -1;
	/* Answering machines leave it alone (RFC 3834). */
	const char *const all[] = {date, from, to, subject, id, "Auto-Submitted: auto-generated"};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (push(&s->headers, all[i], err) < 0)
			return -1;
	return 0;
}

static bool set_up(struct sending *s, const struct mail *m, const char *from)
{
	CURL *e = s->easy;
	long ssl = m->clear ? CURLUSESSL_NONE : CURLUSESSL_ALL;
	curl_mimepart *part;
	s->mime = curl_mime_init(e);
	part = s->mime != NULL ? curl_mime_addpart(s->mime) : NULL;
	if (part == NULL || curl_mime_data(part, m->text, CURL_ZERO_TERMINATED) != CURLE_OK ||
	    curl_mime_type(part, "text/plain; charset=utf-8") != CURLE_OK ||
	    curl_mime_encoder(part, "quoted-printable") != CURLE_OK)
		return false;
	return curl_easy_setopt(e, CURLOPT_ERRORBUFFER, s->said) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_URL, m->server) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_USE_SSL, ssl) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)m->timeout_ms) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_MAIL_FROM, from) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_MAIL_RCPT, s->to) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HTTPHEADER, s->headers) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_MIMEPOST, s->mime) == CURLE_OK &&
	       (m->ca_file == NULL ||
		curl_easy_setopt(e, CURLOPT_CAINFO, m->ca_file) == CURLE_OK) &&
	       (m->user == NULL ||
		(curl_easy_setopt(e, CURLOPT_USERNAME, m->user) == CURLE_OK &&
		 curl_easy_setopt(e, CURLOPT_PASSWORD, m->password) == CURLE_OK));
}

/* Without user and password, should the url have them. */
static int name_server(const char *url, char **ret, struct err *err)
{
	const char *host = strstr(url, "://");
	const char *at = strrchr(url, '@');
	host = at != NULL ? at + 1 : host != NULL ? host + 3 : url;
	return str_printf(ret, err, "mail server '%.*s'", (int)strcspn(host, "/?#"), host);
}

static int judge(struct sending *s, CURLcode rc, const char *name, struct err *err)
{
	const char *reason = s->said[0] != '\0' ? s->said : curl_easy_strerror(rc);
	long status = 0;
	if (rc == CURLE_OK)
		return 0;
	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	enum err_code code = ERR_FAILED;
	bool again = status >= 400 && status < 500;
	if (rc == CURLE_OUT_OF_MEMORY)
		return err_nomem(err, "a mail");
	if (rc == CURLE_COULDNT_CONNECT || rc == CURLE_COULDNT_RESOLVE_HOST ||
	    rc == CURLE_RECV_ERROR || rc == CURLE_GOT_NOTHING || rc == CURLE_SEND_ERROR ||
	    rc == CURLE_SSL_CONNECT_ERROR) {
		code = ERR_UNREACHABLE;
		again = again || status < 500;
	} else if (rc == CURLE_OPERATION_TIMEDOUT) {
		code = ERR_TIMEOUT;
		again = true;
	} else if (rc == CURLE_LOGIN_DENIED || rc == CURLE_PEER_FAILED_VERIFICATION) {
		code = ERR_DENIED;
	}
	err_set_message(err, code, "%s: %s", name, reason);
	if (rc == CURLE_USE_SSL_FAILED)
		err_set_hint(err, "it offers no TLS; tls = off sends in clear");
	err->retryable = again;
	return -1;
}

int mail_send(const struct mail *m, struct err *err)
{
	CLEANUP(freep) char *from = NULL;
	CLEANUP(freep) char *name = NULL;
	if (mail_address(m->from, &from, err) < 0 || name_server(m->server, &name, err) < 0)
		return -1;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_nomem(err, "a mail");
	CLEANUP(sending_done) struct sending s = {.easy = curl_easy_init()};
	if (s.easy == NULL)
		return err_nomem(err, "a mail");
	if (push_recipients(&s, m->to, err) < 0 || push_headers(&s, m, err) < 0)
		return -1;
	if (!set_up(&s, m, from))
		return err_nomem(err, "a mail");
	return judge(&s, curl_easy_perform(s.easy), name, err);
}
