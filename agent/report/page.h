/*
 * The status page: HTML made of a JSON document and nothing else. It needs no script, no other
 * file and no network.
 *
 *  page_html          of the status document (overview.h)
 *  page_backup_html   of what `show --json` prints
 *  page_error_html    of a sentence
 *
 * Each appends to `out`. Links are relative, so that the page works below any path. Those that end
 * in _alone make a page without links, for a file that no web server of ours stands behind.
 */
#ifndef LIFEBOAT_AGENT_REPORT_PAGE_H
#define LIFEBOAT_AGENT_REPORT_PAGE_H

#include "base/buf.h"
#include "base/json.h"

enum { PAGE_MAX_BYTES = 64 << 20 };

int page_html(const json_t *doc, struct buf *out, struct err *err) MUST_USE;
int page_html_alone(const json_t *doc, struct buf *out, struct err *err) MUST_USE;
int page_backup_html(const json_t *shown, struct buf *out, struct err *err) MUST_USE;
int page_backup_html_alone(const json_t *shown, struct buf *out, struct err *err) MUST_USE;
int page_error_html(const char *title, const char *text, struct buf *out, struct err *err) MUST_USE;
/* What stands between <style> and </style>, in pieces up to a NULL: for a Content-Security-Policy
 * by hash. */
const char *const *page_style(void);

#endif
