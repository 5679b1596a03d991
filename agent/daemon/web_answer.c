/* Answers and the headers that all of them carry. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/report/page.h"
#include "agent/daemon/web_impl.h"
#include "agent/report/metrics.h"
#include "base/json.h"

static const char *const types[WEB_FORMATS] = {[WEB_JSON] = "application/json",
					       [WEB_HTML] = "text/html; charset=utf-8",
					       [WEB_METRICS] = METRICS_CONTENT_TYPE};

int web_answer_policy(char **ret, struct err *err)
{
	unsigned char sum[EVP_MAX_MD_SIZE], text[64];
	unsigned len = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool done = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
	for (const char *const *part = page_style(); done && *part != NULL; part++)
		done = EVP_DigestUpdate(ctx, *part, strlen(*part)) == 1;
	done = done && EVP_DigestFinal_ex(ctx, sum, &len) == 1;
	EVP_MD_CTX_free(ctx);
	if (!done)
		return err_nomem(err, "the page's style");
	EVP_EncodeBlock(text, sum, (int)len);
	return str_printf(ret, err,
			  "default-src 'none'; style-src 'sha256-%s'; img-src data:; "
			  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			  (const char *)text);
}

static struct MHD_Response *with_headers(const struct web *w, enum web_format format,
					 struct MHD_Response *r)
{
	const char *const headers[][2] = {
	    {"Content-Type", types[format]},       {"Content-Security-Policy", w->csp},
	    {"X-Content-Type-Options", "nosniff"}, {"X-Frame-Options", "DENY"},
	    {"Referrer-Policy", "no-referrer"},    {"Cross-Origin-Resource-Policy", "same-origin"},
	    {"Cache-Control", "no-store"}};
	if (r == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
		if (MHD_add_response_header(r, headers[i][0], headers[i][1]) == MHD_YES)
			continue;
		MHD_destroy_response(r);
		return NULL;
	}
	return r;
}

struct MHD_Response *web_answer_of(const struct web *w, enum web_format format, const void *data,
				   size_t len)
{
	/* Copied: it is not written to. */
	return with_headers(
	    w, format,
	    MHD_create_response_from_buffer(len, (void *)(uintptr_t)data, MHD_RESPMEM_MUST_COPY));
}

struct MHD_Response *web_answer_file(const struct web *w, enum web_format format, int fd,
				     size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_fd64(len, fd);
	if (r == NULL)
		close(fd);
	return with_headers(w, format, r);
}

/* The error object of docs/json.md. */
static int error_json(const char *text, struct buf *out, struct err *err)
{
	CLEANUP(json_freep)
	json_t *doc =
	    json_pack("{s:{s:s, s:o, s:n}}", "error", "code", err_code_name(ERR_UNREACHABLE),
		      "message", json_text_value(text), "hint");
	CLEANUP(freep) char *json = NULL;
	if (doc == NULL)
		return err_nomem(err, "an answer");
	if (json_text(doc, true, &json, err) < 0)
		return -1;
	return buf_printf(out, err, "%s\n", json);
}

struct MHD_Response *web_answer_error(const struct web *w, enum web_format format,
				      const char *title, const char *text)
{
	struct buf out;
	struct err err = ERR_INIT;
	struct MHD_Response *r = NULL;
	buf_init(&out, 1 << 20);
	int done = format == WEB_HTML   ? page_error_html(title, text, &out, &err)
		   : format == WEB_JSON ? error_json(text, &out, &err)
					: buf_printf(&out, &err, "# %s\n", title);
	if (done == 0)
		r = web_answer_of(w, format, out.data, out.len);
	buf_done(&out);
	return r;
}
