/* What a notifier can be told: the words of `on` in [notify NAME], and of notices. */
#ifndef LIFEBOAT_AGENT_CONFIG_ALARM_EVENT_H
#define LIFEBOAT_AGENT_CONFIG_ALARM_EVENT_H

enum alarm_event {
	ALARM_FAILURE,
	ALARM_RECOVERY,
	ALARM_SUCCESS,
	ALARM_OVERDUE,
	ALARM_SUSPICIOUS,
	ALARM_UNPROVEN,
	ALARM_START, /* of pings */
	ALARM_EVENTS
};
/* "failure", …; "?" for ALARM_EVENTS. */
const char *alarm_event_name(enum alarm_event e);

#endif
