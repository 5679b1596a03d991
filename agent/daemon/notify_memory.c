/* What the alarms remember, in `<state_dir>/<stack>.notify.json`, and what they show of themselves.
 */
#include <stdio.h>
#include <string.h>
#include "agent/daemon/notify_impl.h"
#include "base/file.h"
#include "base/log.h"

enum { STATE_MAX_BYTES = 4 << 20 };

static json_t *document(const struct notify *p)
{
	CLEANUP(json_freep) json_t *queues = json_object();
	CLEANUP(json_freep) json_t *troubles = json_object();
	for (size_t i = 0; i < p->count; i++) {
		const struct outlet *o = &p->outlets[i];
		if (json_object_set(queues, o->label, o->queue) < 0)
			return NULL;
		if (o->failing_ms == 0)
			continue;
		json_t *trouble =
		    json_pack("{s:I, s:i, s:o}", "since_ms", (json_int_t)o->failing_ms, "lost",
			      (int)o->lost, "error", json_text_value(o->error));
		if (json_object_set_new(troubles, o->label, trouble) < 0)
			return NULL;
	}
	return json_pack("{s:i, s:o, s:O, s:O}", "version", 1, "alarms", alarms_document(p->alarms),
			 "queues", queues, "troubles", troubles);
}

static void write_down(struct notify *p)
{
	struct err err = ERR_INIT;
	CLEANUP(json_freep) json_t *doc = p->changed ? document(p) : NULL;
	CLEANUP(freep) char *text = NULL;
	if (!p->changed)
		return;
	p->changed = false;
	if (doc != NULL && json_text(doc, false, &text, &err) == 0 &&
	    file_write_all(p->path, 0640, text, strlen(text), &err) == 0) {
		p->save_failed = false;
		return;
	}
	if (!p->save_failed)
		log_line(LOG_WARN, "notify: %s; alarms go on, but a restart would repeat them",
			 doc != NULL ? err.msg : "out of memory");
	p->save_failed = true;
}

void notify_save(struct notify *p)
{
	write_down(p);
	/* What is under way is over in a moment, mostly. */
	for (size_t i = 0; i < p->count; i++)
		p->differs =
		    p->differs || (p->outlets[i].child == NULL &&
				   p->outlets[i].shown != json_array_size(p->outlets[i].queue));
	if (!p->differs)
		return;
	p->differs = false;
	daemon_publish(p->daemon);
}

static void load_trouble(struct outlet *o, const json_t *trouble)
{
	uint64_t since = json_u64_or(trouble, "since_ms", 0);
	if (since == 0 || since > INT64_MAX / 2)
		return;
	o->failing_ms = (int64_t)since;
	o->lost = (unsigned)(json_u64_or(trouble, "lost", 0) & INT32_MAX);
	snprintf(o->error, sizeof o->error, "%s", json_str_or(trouble, "error", "?"));
}

void notify_load(struct notify *p)
{
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf text;
	CLEANUP(json_freep) json_t *doc = NULL;
	buf_init(&text, STATE_MAX_BYTES);
	if (file_read_all(p->path, &text, &err) < 0 ||
	    json_parse(buf_text(&text), text.len, &doc, &err) < 0) {
		if (err.code != ERR_ABSENT)
			log_line(LOG_WARN, "notify: '%s': %s; begun anew", p->path, err.msg);
		return;
	}
	alarms_restore(p->alarms, json_object_get(doc, "alarms"));
	for (size_t i = 0; i < p->count; i++) {
		const char *label = p->outlets[i].label;
		load_trouble(&p->outlets[i],
			     json_object_get(json_object_get(doc, "troubles"), label));
		const json_t *queue = json_object_get(json_object_get(doc, "queues"), label);
		size_t n;
		json_t *notice;
		json_array_foreach((json_t *)(uintptr_t)queue, n, notice)
		{
			if (n >= NOTIFY_QUEUE_MAX || !json_is_object(notice) ||
			    json_array_append(p->outlets[i].queue, notice) < 0)
				break;
		}
	}
}

static json_t *facts_of(const struct outlet *o)
{
	bool waits = o->failing_ms != 0 && o->child == NULL && json_array_size(o->queue) > 0;
	int64_t left = deadline_left_ms(o->due);
	return json_pack("{s:o, s:I, s:o, s:o, s:o, s:i}", "notifier", json_text_value(o->label),
			 "waiting", (json_int_t)json_array_size(o->queue), "failing_since",
			 state_time(o->failing_ms), "error",
			 o->failing_ms != 0 ? json_text_value(o->error) : json_null(), "retry_at",
			 state_time(waits && left != INT64_MAX ? clock_wall_ms() + left : 0),
			 "lost", (int)o->lost);
}

int notify_describe(void *part, json_t *doc, struct err *err)
{
	struct notify *p = part;
	CLEANUP(json_freep) json_t *all = json_array();
	for (size_t i = 0; i < p->count; i++)
		if (json_push(all, facts_of(&p->outlets[i]), err) < 0)
			return -1;
	if (json_put(doc, "notifiers", json_incref(all), err) < 0)
		return -1;
	for (size_t i = 0; i < p->count; i++)
		p->outlets[i].shown = json_array_size(p->outlets[i].queue);
	return 0;
}
