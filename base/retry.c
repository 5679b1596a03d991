#include "base/retry.h"

#include <poll.h>
#include <sys/random.h>
#include "base/clock.h"

int64_t retry_delay_ms(unsigned failed, int64_t base_ms, int64_t cap_ms, uint64_t random)
{
	int64_t most = base_ms < cap_ms ? base_ms : cap_ms;
	for (unsigned i = 1; i < failed && most < cap_ms; i++)
		most = most > cap_ms / 2 ? cap_ms : most * 2;
	return most > 0 ? (int64_t)(random % ((uint64_t)most + 1)) : 0;
}

static uint64_t some_number(void)
{
	uint64_t number = 0;
	/* Without one the clock will do: it only has to differ between agents. */
	if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
		number = (uint64_t)clock_monotonic_ms() * UINT64_C(0x9e3779b97f4a7c15) >> 20;
	return number;
}

bool retry_again(struct retry *r, struct err *err)
{
	if (!err->retryable)
		return false;
	r->failed++;
	if (r->failed > r->retries) {
		if (r->failed > 1)
			err_add_context(err, "gave up after %u tries", r->failed);
		return false;
	}
	int64_t ms = retry_delay_ms(r->failed, r->base_ms > 0 ? r->base_ms : RETRY_BASE_MS,
				    r->cap_ms > 0 ? r->cap_ms : RETRY_CAP_MS, some_number());
	if (ms < r->least_ms)
		ms = r->least_ms;
	r->least_ms = 0;
	struct err stop = ERR_INIT;
	if (r->stop_fd > 0) {
		if (wait_fd(r->stop_fd, POLLIN, deadline_in(ms), &stop) == 0)
			err_set_message(&stop, ERR_CANCELLED, "stopped");
		if (stop.code == ERR_TIMEOUT) {
			err_clear(err);
			return true;
		}
		*err = stop;
		return false;
	}
	if ((r->wait != NULL ? r->wait : wait_ms)(ms, &stop) < 0) {
		*err = stop;
		return false;
	}
	err_clear(err);
	return true;
}
