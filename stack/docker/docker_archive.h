/* The header in which Docker describes a path of a container, for those who test its parser. */
#ifndef LIFEBOAT_STACK_DOCKER_DOCKER_ARCHIVE_H
#define LIFEBOAT_STACK_DOCKER_DOCKER_ARCHIVE_H

#include <archive_entry.h>
#include "base/err.h"

/* X-Docker-Container-Path-Stat: base64 of JSON. See docker_stat. ERR_CORRUPT. */
int docker_archive_parse_stat(const char *header, struct archive_entry **ret, char **ret_link,
			      struct err *err) MUST_USE;

#endif
