#include "base/flow/mail.h"

#include <curl/curl.h>
#include <openssl/evp.h>
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
	char refusal[200]; /* the last reply of 4yz or 5yz; empty: none */
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

/* ---- the head ---- */

static bool is_ascii(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

/* `text` as encoded words (RFC 2047), none longer than 75 characters nor cut inside a character. */
static int put_words(struct buf *out, const char *text, size_t len, struct err *err)
{
	enum { WORD_BYTES = 42 };
	while (len > 0) {
		unsigned char word[WORD_BYTES * 2];
		size_t n = len < WORD_BYTES ? len : WORD_BYTES;
		while (n < len && n > 1 && ((unsigned char)text[n] & 0xC0) == 0x80)
			n--;
		EVP_EncodeBlock(word, (const unsigned char *)text, (int)n);
		if (buf_printf(out, err, "=?utf-8?B?%s?=%s", (const char *)word,
			       n < len ? "\r\n " : "") < 0)
			return -1;
		text += n;
		len -= n;
	}
	return 0;
}

/* Of addresses only the names may be words: "Läufer <a@b>, …". */
static int put_addresses(struct buf *out, const char *text, struct err *err)
{
	while (*text != '\0') {
		text += strspn(text, " \t");
		size_t len = strcspn(text, ","), open = strcspn(text, "<");
		size_t name = open < len ? open : 0;
		while (name > 0 && (text[name - 1] == ' ' || text[name - 1] == '\t'))
			name--;
		bool plain = is_ascii(text, name);
		bool quoted = name > 1 && text[0] == '"' && text[name - 1] == '"';
		size_t cut = quoted ? 1 : 0;
		if (!plain && put_words(out, text + cut, name - 2 * cut, err) < 0)
			return -1;
		if (buf_append(out, text + (plain ? 0 : name), len - (plain ? 0 : name), err) < 0)
			return -1;
		text += len;
		if (*text == ',' && buf_puts(out, ", ", err) < 0)
			return -1;
		text += *text == ',';
	}
	return 0;
}

int mail_header(const char *name, const char *text, bool addresses, char **ret, struct err *err)
{
	struct buf out;
	int done;
	buf_init(&out, 64 << 10);
	done = buf_printf(&out, err, "%s: ", name);
	if (done == 0)
		done = addresses                      ? put_addresses(&out, text, err)
		       : is_ascii(text, strlen(text)) ? buf_puts(&out, text, err)
						      : put_words(&out, text, strlen(text), err);
	if (done == 0)
		done = buf_take(&out, ret, err);
	buf_done(&out);
	return done;
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
	if (mail_header("From", m->from, true, &from, err) < 0 ||
	    mail_header("To", m->to, true, &to, err) < 0 ||
	    mail_header("Subject", m->subject, false, &subject, err) < 0 ||
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

/* ---- the server ---- */

/* Each line of its replies (RFC 5321, 4.2). */
static size_t on_reply(char *line, size_t one, size_t len, void *ctx)
{
	struct sending *s = ctx;
	size_t n = 0;
	(void)one;
	if (len < 4 || (line[0] != '4' && line[0] != '5'))
		return len;
	for (; n < len && n < sizeof s->refusal - 1 && line[n] != '\r' && line[n] != '\n'; n++)
		s->refusal[n] = (unsigned char)line[n] < 0x20 || line[n] == 0x7f ? ' ' : line[n];
	s->refusal[n] = '\0';
	return len;
}

/* Lines end with CR and LF: a line feed alone would be encoded as a character. free() it. */
static int lines_of(const char *text, char **ret, struct err *err)
{
	struct buf out;
	int done = 0;
	buf_init(&out, 1 << 20);
	while (done == 0 && *text != '\0') {
		size_t len = strcspn(text, "\n");
		size_t kept = len > 0 && text[len - 1] == '\r' ? len - 1 : len;
		done = buf_append(&out, text, kept, err);
		text += len;
		if (done == 0 && *text == '\n') {
			done = buf_puts(&out, "\r\n", err);
			text++;
		}
	}
	if (done == 0)
		done = buf_take(&out, ret, err);
	buf_done(&out);
	return done;
}

static bool set_up(struct sending *s, const struct mail *m, const char *from, const char *text)
{
	CURL *e = s->easy;
	long ssl = m->clear ? CURLUSESSL_NONE : CURLUSESSL_ALL;
	curl_mimepart *part;
	s->mime = curl_mime_init(e);
	part = s->mime != NULL ? curl_mime_addpart(s->mime) : NULL;
	if (part == NULL || curl_mime_data(part, text, CURL_ZERO_TERMINATED) != CURLE_OK ||
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
	       /* An address that is none any more keeps the mail from nobody else. */
	       curl_easy_setopt(e, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_reply) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HEADERDATA, s) == CURLE_OK &&
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

/* What is said of an address, not of a command. */
static bool is_of_recipient(const char *reply)
{
	return strncmp(reply, "45", 2) == 0 ||
	       (strncmp(reply, "55", 2) == 0 && reply[2] >= '0' && reply[2] <= '4');
}

static int judge(struct sending *s, CURLcode rc, const char *name, struct err *err)
{
	const char *reason = s->said[0] != '\0' ? s->said : curl_easy_strerror(rc);
	long status = 0;
	if (rc == CURLE_OK && !is_of_recipient(s->refusal))
		return 0;
	if (rc == CURLE_OK) {
		err_set_message(err, ERR_FAILED, "%s: it was sent, but not to all of them: %s",
				name, s->refusal);
		return -1;
	}
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
	bool has_words = s->refusal[0] != '\0' && status / 100 >= 4;
	err_set_message(err, code, "%s: %s%s%s", name, reason, has_words ? ": " : "",
			has_words ? s->refusal : "");
	if (rc == CURLE_USE_SSL_FAILED)
		err_set_hint(err, "it offers no TLS; tls = off sends in clear");
	err->retryable = again;
	return -1;
}

int mail_send(const struct mail *m, struct err *err)
{
	CLEANUP(freep) char *from = NULL;
	CLEANUP(freep) char *name = NULL;
	CLEANUP(freep) char *text = NULL;
	if (lines_of(m->text, &text, err) < 0)
		return -1;
	if (mail_address(m->from, &from, err) < 0 || name_server(m->server, &name, err) < 0)
		return -1;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_nomem(err, "a mail");
	CLEANUP(sending_done) struct sending s = {.easy = curl_easy_init()};
	if (s.easy == NULL)
		return err_nomem(err, "a mail");
	if (push_recipients(&s, m->to, err) < 0 || push_headers(&s, m, err) < 0)
		return -1;
	if (!set_up(&s, m, from, text))
		return err_nomem(err, "a mail");
	return judge(&s, curl_easy_perform(s.easy), name, err);
}
