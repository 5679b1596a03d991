/* What systemd wants to hear (sd_notify(3)): one datagram to the socket that NOTIFY_SOCKET names.
 * Without it nothing happens. */
#ifndef LIFEBOAT_AGENT_DAEMON_SYSTEMD_H
#define LIFEBOAT_AGENT_DAEMON_SYSTEMD_H

#include <stdint.h>

/* "READY=1\nSTATUS=…". What can't be told is not. */
void systemd_tell(const char *text);
/* How often the watchdog wants to be told WATCHDOG=1, at the least; 0: not at all. */
int64_t systemd_watchdog_ms(void);

#endif
