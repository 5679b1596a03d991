#include "agent/output/progress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "agent/output/format.h"
#include "agent/output/output.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

enum { BAR_EVERY_MS = 100, LINE_EVERY_MS = 10000, BAR_CELLS = 20, LINE_BYTES = 512 };

struct progress {
	pthread_mutex_t lock; /* of everything but the two atomics */
	atomic_uint_fast64_t bytes;
	atomic_int_fast64_t next_ms; /* nothing to show before this time */
	uint64_t total;
	int64_t begun_ms;
	char *label;
	int fd;
	int64_t (*now)(void);
	bool quiet, bar;
	bool shown; /* a bar stands on the terminal */
};

/* The one whose bar log lines must not run into. Locks are taken in this order: that of the log,
 * terminal_lock, progress.lock. */
static pthread_mutex_t terminal_lock = PTHREAD_MUTEX_INITIALIZER;
static struct progress *on_terminal;
static bool hooked;

/* ---- what is written ---- */

static void write_out(struct progress *p, const char *text)
{
	/* A terminal that is gone is no reason to fail a backup. */
	ssize_t ignored = write(p->fd, text, strlen(text));
	(void)ignored;
}

static unsigned columns(const struct progress *p)
{
	struct winsize size;
	if (ioctl(p->fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
		return size.ws_col;
	return 80;
}

/* "1.2 GiB of 3.4 GiB, 120.0 MiB/s, 20 s left" */
static void describe(const struct progress *p, int64_t now, char *out, size_t out_bytes)
{
	char done[FORMAT_BYTES], total[FORMAT_BYTES], rate[FORMAT_BYTES], left[FORMAT_BYTES];
	uint64_t bytes = atomic_load(&p->bytes);
	int64_t ms = now - p->begun_ms;
	double per_second = ms > 0 ? (double)bytes * 1000 / (double)ms : 0;
	int len =
	    snprintf(out, out_bytes, "%s%s%s, %s/s", format_size(bytes, done),
		     p->total > 0 ? " of " : "", p->total > 0 ? format_size(p->total, total) : "",
		     format_size((uint64_t)per_second, rate));
	if (len < 0 || (size_t)len >= out_bytes || bytes == 0)
		return;
	/* The total is an estimate of the server's: passing it is no mistake, only no forecast. */
	if (p->total > bytes && per_second > 0) {
		int64_t left_s = (int64_t)((double)(p->total - bytes) / per_second);
		snprintf(left, sizeof left, "%lld s", (long long)left_s);
		snprintf(out + len, out_bytes - (size_t)len, ", %s left",
			 left_s < 60 ? left : format_duration(left_s * 1000, left));
	}
}

static void show_bar(struct progress *p, int64_t now)
{
	char text[LINE_BYTES], line[LINE_BYTES], bar[BAR_CELLS + 8] = "";
	uint64_t bytes = atomic_load(&p->bytes);
	CLEANUP(freep) char *label = NULL;
	struct err ignored = ERR_INIT;
	/* It may be a name that a server has, and the terminal gets it as it is. */
	if (output_plain(p->label, &label, &ignored) < 0)
		return;
	for (char *c = label; *c != '\0'; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
	describe(p, now, text, sizeof text);
	if (p->total > 0) {
		double part = bytes < p->total ? (double)bytes / (double)p->total : 1;
		int full = (int)(part * (double)BAR_CELLS);
		snprintf(bar, sizeof bar, " [%.*s%*s]", full, "####################",
			 BAR_CELLS - full, "");
	}
	int len = snprintf(line, sizeof line, "%s%s %s", label, bar, text);
	/* A line that wraps could not be taken back. */
	size_t room = columns(p) - 1;
	if (len > 0 && (size_t)len > room && room < sizeof line) {
		while (room > 0 && ((unsigned char)line[room] & 0xC0U) == 0x80U)
			room--;
		line[room] = '\0';
	}
	char all[LINE_BYTES + 16];
	snprintf(all, sizeof all, "\r%s\033[K", line);
	write_out(p, all);
	p->shown = true;
}

static void show_line(struct progress *p, int64_t now)
{
	char text[LINE_BYTES], percent[16] = "";
	uint64_t bytes = atomic_load(&p->bytes);
	describe(p, now, text, sizeof text);
	if (p->total >= bytes && p->total > 0)
		snprintf(percent, sizeof percent, "%.0f %%, ",
			 (double)bytes * 100 / (double)p->total);
	log_line(LOG_INFO, "%s: %s%s", p->label, percent, text);
}

static void take_bar_away(struct progress *p)
{
	if (p->shown)
		write_out(p, "\r\033[K");
	p->shown = false;
}

static void before_log(void)
{
	pthread_mutex_lock(&terminal_lock);
	if (on_terminal != NULL) {
		pthread_mutex_lock(&on_terminal->lock);
		take_bar_away(on_terminal);
		pthread_mutex_unlock(&on_terminal->lock);
	}
	pthread_mutex_unlock(&terminal_lock);
}

static void claim_terminal(struct progress *p)
{
	pthread_mutex_lock(&terminal_lock);
	if (on_terminal == NULL)
		on_terminal = p;
	bool first = !hooked;
	hooked = true;
	pthread_mutex_unlock(&terminal_lock);
	/* Once and for good: other threads may be about to log when the bar goes. */
	if (first)
		log_set_hooks(before_log, NULL);
}

static void leave_terminal(struct progress *p)
{
	pthread_mutex_lock(&terminal_lock);
	if (on_terminal == p)
		on_terminal = NULL;
	pthread_mutex_unlock(&terminal_lock);
}

/* ---- counting ---- */

static int64_t interval(const struct progress *p)
{
	return p->bar ? BAR_EVERY_MS : LINE_EVERY_MS;
}

void progress_add(void *progress, size_t bytes)
{
	struct progress *p = progress;
	atomic_fetch_add(&p->bytes, bytes);
	if (p->quiet)
		return;
	/* Whoever is first after the interval shows it; nobody waits. */
	int64_t now = p->now(), next = atomic_load(&p->next_ms);
	if (now < next || !atomic_compare_exchange_strong(&p->next_ms, &next, now + interval(p)))
		return;
	if (pthread_mutex_trylock(&p->lock) != 0)
		return;
	if (p->bar)
		show_bar(p, now);
	else
		show_line(p, now);
	pthread_mutex_unlock(&p->lock);
}

void progress_label(struct progress *p, const char *label)
{
	struct err ignored = ERR_INIT;
	char *copy = NULL;
	pthread_mutex_lock(&p->lock);
	if (strcmp(label, p->label) != 0 && str_dup(label, &copy, &ignored) == 0) {
		free(p->label);
		p->label = copy;
	}
	pthread_mutex_unlock(&p->lock);
}

uint64_t progress_bytes(const struct progress *p)
{
	return atomic_load(&p->bytes);
}

int progress_new(const struct progress_opts *opts, struct progress **ret, struct err *err)
{
	struct progress *p = mem_zalloc(sizeof *p, "progress", err);
	if (p == NULL)
		return -1;
	if (str_dup(opts->label != NULL ? opts->label : "", &p->label, err) < 0) {
		free(p);
		return -1;
	}
	pthread_mutex_init(&p->lock, NULL);
	p->fd = opts->fd != 0 ? opts->fd : STDERR_FILENO;
	p->now = opts->now != NULL ? opts->now : clock_monotonic_ms;
	p->quiet = opts->quiet;
	const char *term = getenv("TERM");
	bool dumb = term == NULL || strcmp(term, "dumb") == 0;
	p->bar = opts->terminal > 0 || (opts->terminal == 0 && !dumb && isatty(p->fd) == 1);
	p->total = opts->total_bytes;
	p->begun_ms = p->now();
	atomic_store(&p->next_ms, p->begun_ms + interval(p));
	if (p->bar && !p->quiet)
		claim_terminal(p);
	*ret = p;
	return 0;
}

void progress_free(struct progress *p)
{
	if (p == NULL)
		return;
	leave_terminal(p);
	take_bar_away(p);
	pthread_mutex_destroy(&p->lock);
	free(p->label);
	free(p);
}
