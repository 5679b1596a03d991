#include "agent/config/config_notify.h"

#include <string.h>
#include <strings.h>
#include "agent/config/alarm_event.h"
#include "base/json.h"
#include "base/names.h"

/* Does the host of `url` end with `name`, as a whole or behind a dot? */
static bool host_is(const char *url, const char *name)
{
	const char *host = strstr(url, "://");
	if (host == NULL)
		return false;
	host += 3;
	size_t len = strcspn(host, "/?#"), name_len = strlen(name);
	for (size_t i = 0; i < len; i++) {
		if (host[i] == '@') {
			host += i + 1;
			len -= i + 1;
			i = 0;
		}
	}
	const char *port = memchr(host, ':', len);
	if (port != NULL)
		len = (size_t)(port - host);
	return len >= name_len && strncasecmp(host + len - name_len, name, name_len) == 0 &&
	       (len == name_len || host[len - name_len - 1] == '.');
}

const char *config_notify_kind(const char *url)
{
	static const struct {
		const char *host, *kind;
	} known[] = {{"hooks.slack.com", "slack"},  {"discord.com", "discord"},
		     {"discordapp.com", "discord"}, {"webhook.office.com", "teams"},
		     {"logic.azure.com", "teams"},  {"api.powerplatform.com", "teams"},
		     {"ntfy.sh", "ntfy"},           {"hc-ping.com", "ping"},
		     {"healthchecks.io", "ping"}};
	if (strncasecmp(url, "smtp", 4) == 0)
		return "mail";
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (host_is(url, known[i].host))
			return known[i].kind;
	return NULL;
}

/* ---- on ---- */

static bool is_told(enum alarm_event e, bool to_ping)
{
	if (to_ping)
		return e == ALARM_START || e == ALARM_SUCCESS || e == ALARM_FAILURE;
	return e < ALARM_EVENTS && e != ALARM_START;
}

static int hint_on(bool is_ping, struct err *err)
{
	return err_hint(err, "write some of: %s",
			is_ping ? "start, success, failure"
				: "failure, recovery, success, overdue, suspicious, unproven");
}

static int parse_on(struct config_notify *n, bool is_ping, struct err *err)
{
	const char *names[ALARM_EVENTS];
	for (enum alarm_event e = 0; e < ALARM_EVENTS; e++)
		names[e] = alarm_event_name(e);
	n->events = 0;
	for (const char *rest = n->on; *rest != '\0';) {
		CLEANUP(freep) char *word = NULL;
		rest += strspn(rest, " ,\t\n");
		size_t len = strcspn(rest, " ,\t\n");
		if (len == 0)
			break;
		if (str_dupn(rest, len, &word, err) < 0)
			return -1;
		rest += len;
		size_t e = 0;
		while (e < ALARM_EVENTS && strcmp(names[e], word) != 0)
			e++;
		if (is_told((enum alarm_event)e, is_ping)) {
			n->events |= 1U << e;
			continue;
		}
		if (e < ALARM_EVENTS) {
			err_set(err, ERR_CONFIG, "'on': '%s' is never told with 'kind = %s'", word,
				n->kind);
			return hint_on(is_ping, err);
		}
		err_set(err, ERR_CONFIG, "'on': '%s' is nothing that happens", word);
		const char *nearest = names_nearest(word, names, ALARM_EVENTS);
		if (nearest != NULL)
			return err_hint(err, "did you mean '%s'?", nearest);
		return hint_on(is_ping, err);
	}
	if (n->events != 0)
		return 0;
	err_set(err, ERR_CONFIG, "'on' names nothing");
	return hint_on(is_ping, err);
}

static int default_on(struct config_notify *n, bool is_ping, struct err *err)
{
	if (n->on != NULL)
		return 0;
	return str_dup(is_ping ? "start, success, failure"
			       : "failure, recovery, overdue, suspicious, unproven",
		       &n->on, err);
}

/* ---- what belongs together ---- */

static int find_kind(struct config_notify *n, struct err *err)
{
	bool has_url = secret_is_set(&n->url);
	if (n->kind != NULL)
		return 0;
	if (n->command != NULL)
		return str_dup("command", &n->kind, err);
	const char *kind = has_url ? config_notify_kind(secret_text(&n->url)) : NULL;
	if (has_url)
		return str_dup(kind != NULL ? kind : "webhook", &n->kind, err);
	err_set(err, ERR_CONFIG, "neither 'url' nor 'command'");
	return err_hint(err, "add a line: url = https://...");
}

static int check_target(const struct config_notify *n, bool is_mail, struct err *err)
{
	bool is_command = strcmp(n->kind, "command") == 0;
	bool has_url = secret_is_set(&n->url);
	if (is_command && n->command == NULL)
		return err_set(err, ERR_CONFIG, "'kind = command' without 'command'");
	if (is_command && has_url)
		return err_set(err, ERR_CONFIG, "both 'command' and 'url'");
	if (!is_command && n->command != NULL)
		return err_set(err, ERR_CONFIG, "'command' with 'kind = %s'", n->kind);
	if (!is_command && !has_url)
		return err_set(err, ERR_CONFIG, "'kind = %s' without 'url'", n->kind);
	bool by_mail = has_url && strncasecmp(secret_text(&n->url), "smtp", 4) == 0;
	if (has_url && by_mail != is_mail)
		return err_set(err, ERR_CONFIG, "'kind = %s' with a url that begins with %s",
			       n->kind, by_mail ? "smtp" : "http");
	return 0;
}

static int check_mail(const struct config_notify *n, bool is_mail, struct err *err)
{
	if (!is_mail &&
	    (n->from != NULL || n->to != NULL || n->user != NULL || secret_is_set(&n->password)))
		return err_set(err, ERR_CONFIG,
			       "'from', 'to', 'user' and 'password' are of mails, "
			       "not of 'kind = %s'",
			       n->kind);
	if (!is_mail)
		return 0;
	if (n->from == NULL || n->to == NULL)
		return err_set(err, ERR_CONFIG, "a mail without '%s'",
			       n->from == NULL ? "from" : "to");
	if ((n->user != NULL) != secret_is_set(&n->password))
		return err_set(err, ERR_CONFIG, "'%s' without '%s'",
			       n->user != NULL ? "user" : "password",
			       n->user != NULL ? "password" : "user");
	if (n->user != NULL && strcmp(n->tls, "off") == 0) {
		err_set(err, ERR_CONFIG, "'password' with 'tls = off': it would be sent in clear");
		return err_hint(err, "leave tls away, or user and password");
	}
	return 0;
}

/* With placeholders in its strings it must still be JSON. */
static int check_template(const struct config_notify *n, struct err *err)
{
	if (n->template == NULL)
		return 0;
	if (strcmp(n->kind, "ntfy") == 0 || strcmp(n->kind, "ping") == 0 ||
	    strcmp(n->kind, "mail") == 0 || strcmp(n->kind, "command") == 0)
		return err_set(err, ERR_CONFIG, "'template' with 'kind = %s': it sends no JSON",
			       n->kind);
	CLEANUP(json_freep) json_t *parsed = NULL;
	struct err why = ERR_INIT;
	if (json_parse(n->template, strlen(n->template), &parsed, &why) == 0)
		return 0;
	err_set(err, ERR_CONFIG, "'template' is not JSON: %s", why.msg);
	return err_hint(err, "placeholders stand in strings: {\"text\": \"{title}: {message}\"}");
}

int config_notify_complete(struct config_notify *n, struct err *err)
{
	if (find_kind(n, err) < 0)
		return -1;
	bool is_mail = strcmp(n->kind, "mail") == 0, is_ping = strcmp(n->kind, "ping") == 0;
	if (check_target(n, is_mail, err) < 0 || check_mail(n, is_mail, err) < 0 ||
	    check_template(n, err) < 0 || default_on(n, is_ping, err) < 0)
		return -1;
	return parse_on(n, is_ping, err);
}
