#include "agent/config/alarm_event.h"

#include <stddef.h>

const char *alarm_event_name(enum alarm_event e)
{
	static const char *const names[] = {"failure",    "recovery", "success", "overdue",
					    "suspicious", "unproven", "start"};
	return (size_t)e < ALARM_EVENTS ? names[e] : "?";
}
