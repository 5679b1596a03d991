/*
 * The status document (overview.h) as metrics for Prometheus, in its text format 0.0.4. A pure
 * function. docs/monitoring.md lists the metrics.
 */
#ifndef LIFEBOAT_AGENT_REPORT_METRICS_H
#define LIFEBOAT_AGENT_REPORT_METRICS_H

#include "base/buf.h"
#include "base/json.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends to `out`. */
int metrics_text(const json_t *doc, struct buf *out, struct err *err) MUST_USE;

#endif
