/* The parts of the page. Inside page*.c only. */
#ifndef LIFEBOAT_AGENT_REPORT_PAGE_IMPL_H
#define LIFEBOAT_AGENT_REPORT_PAGE_IMPL_H

#include "agent/report/html.h"
#include "agent/report/page.h"

/* Everything up to the content of <main>, and from there to the end. `up`: what leads to the first
 * page from here ("" or "../"). */
void page_begin(struct html *h, const char *title, const char *up);
void page_end(struct html *h, const char *version, const char *up);

/* Around something that leads to the page of a backup. */
void page_backup_link(struct html *h, const char *id);
void page_backup_link_end(struct html *h);

/* A dt and the beginning of its dd: the caller writes the value and "</dd>". */
void page_term(struct html *h, const char *term);
/* A word on a coloured ground: passed, failed … */
void page_badge(struct html *h, const char *outcome);
void page_calendar(struct html *h, const json_t *days);
void page_drills(struct html *h, const json_t *drills);
/* One drill: a details element. `e` is an entry of "drills" of the status document. */
void page_drill(struct html *h, const json_t *e, bool open);
void page_backups(struct html *h, const json_t *stores);
void page_stores(struct html *h, const json_t *stores);
void page_jobs(struct html *h, const json_t *agent);
void page_plots(struct html *h, const json_t *doc);

/* Is this backup also in a store before number `store`? */
bool page_seen(const json_t *stores, size_t store, const char *id);

#endif
