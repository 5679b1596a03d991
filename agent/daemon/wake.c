#include "agent/daemon/wake.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"

/* The year 2200: timerfd wants some time, and a clock that is set must wake it. */
#define FAR_MS INT64_C(7258118400000)

int wake_open(struct wake *w, struct err *err)
{
	static const int all[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
	sigset_t mask;
	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		sigaddset(&mask, all[i]);
	*w = (struct wake){.signals = -1, .timer = -1};
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return err_sys(err, ERR_IO, errno, "blocking signals");
	w->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	w->timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->signals >= 0 && w->timer >= 0)
		return 0;
	int why = errno;
	wake_done(w);
	return err_sys(err, ERR_IO, why, "signals and timers");
}

void wake_done(struct wake *w)
{
	if (w->signals >= 0)
		close(w->signals);
	if (w->timer >= 0)
		close(w->timer);
	*w = (struct wake){.signals = -1, .timer = -1};
}

void wake_at(struct wake *w, int64_t wall_ms)
{
	int64_t at = wall_ms < FAR_MS ? wall_ms - clock_offset_ms() : FAR_MS;
	if (at < 1)
		at = 1; /* 0 would disarm it */
	struct itimerspec when = {
	    .it_value = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000}};
	timerfd_settime(w->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

void wake_take(struct wake *w, struct wake_signals *ret)
{
	struct signalfd_siginfo s;
	uint64_t times;
	/* ECANCELED, which says that the clock was set, is as good as a number. */
	ssize_t ignored = read(w->timer, &times, sizeof times);
	(void)ignored;
	while (read(w->signals, &s, sizeof s) == (ssize_t)sizeof s) {
		if (s.ssi_signo == SIGTERM || s.ssi_signo == SIGINT) {
			if (ret->stop++ == 0)
				ret->stop_signal = (int)s.ssi_signo;
		} else if (s.ssi_signo == SIGHUP) {
			ret->reload = true;
		} else if (s.ssi_signo == SIGUSR1) {
			ret->backup = true;
		}
	}
}
