/* What lives around the scheduler. */
#include <stddef.h>
#include "agent/daemon/daemon.h"

const struct daemon_part *const daemon_parts[] = {&web_part, &notify_part, NULL};
