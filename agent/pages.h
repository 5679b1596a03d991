/*
 * What is documented from the tables: --help, lifeboat(1), agent.conf(5).
 */
#ifndef LIFEBOAT_AGENT_PAGES_H
#define LIFEBOAT_AGENT_PAGES_H

#include "agent/cli.h"
#include "agent/output/doc.h"

/* Exit statuses of the program, in order; status -1 ends it. */
struct page_status {
	int status;
	const char *meaning;
};
extern const struct page_status page_statuses[];

/* Text of `lifeboat help` and of `lifeboat help COMMAND`. */
int page_overview(char **ret, struct err *err) MUST_USE;
int page_command(const struct cli_command *c, char **ret, struct err *err) MUST_USE;
/* lifeboat(1), and agent.conf(5) in pages_config.c. */
int page_lifeboat(enum doc_format format, char **ret, struct err *err) MUST_USE;
int page_config(enum doc_format format, char **ret, struct err *err) MUST_USE;

#endif
