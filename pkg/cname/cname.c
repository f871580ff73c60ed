/* SPDX-License-Identifier: Apache-2.0 */
#include "cname/cname.h"

#include "base/backoff.h"

const char *cname_reason_text(enum cname_reason reason)
{
	static const char *const texts[] = {
		[CNAME_NO_REASON] = "as it should be",
		[CNAME_TIMEOUT] = "no answer in time",
		[CNAME_UNREACHABLE] = "the DNS servers cannot be reached",
		[CNAME_SERVFAIL] = "the DNS servers fail to look it up (SERVFAIL)",
		[CNAME_REFUSED] = "the DNS servers refuse to answer (REFUSED)",
		[CNAME_ERROR] = "the DNS servers answer with an error",
		[CNAME_MALFORMED] = "the answer of the DNS servers cannot be read",
		[CNAME_LAME] = "the DNS servers asked do not know this zone",
		[CNAME_OWN_ZONE] = "the name is a zone of its own, which may or may not do",
		[CNAME_NO_ZONE] = "the zone that it is in was not found",
		[CNAME_NO_SERVERS] = "no addresses of the zone's DNS servers were found",
		[CNAME_ADDRESS_REFUSED] = "its DNS servers have addresses that must not be used",
		[CNAME_NO_NAME] = "there is no such name",
		[CNAME_NO_CNAME] = "no CNAME, but maybe another record in its place (TXT, A)",
		[CNAME_NOT_DELEGATED] = "its parent zone does not delegate it",
		[CNAME_ELSEWHERE] = "the CNAME leads elsewhere",
		[CNAME_LOOP] = "the CNAMEs lead in circles or through too many names",
		[CNAME_HAS_DS] =
			"a DS record says that the zone is signed, and acme-dns cannot sign",
	};

	return texts[reason];
}

static int64_t up_to(uint64_t random, int64_t ms)
{
	return (int64_t)(random % (uint64_t)(ms + 1));
}

void cname_schedule_begin(struct cname_schedule *schedule, enum cname_verdict known, int64_t now_ms,
			  uint64_t random)
{
	int64_t spread_ms = known == CNAME_FOUND ? CNAME_SLOW_MS : CNAME_SPREAD_MS;

	*schedule = (struct cname_schedule){.verdict = known,
					    .next_ms = now_ms + up_to(random, spread_ms)};
}

void cname_schedule_hurry(struct cname_schedule *schedule, int64_t now_ms)
{
	schedule->asked = true;
	schedule->tries = 0;
	schedule->next_ms = now_ms;
}

/* A cache would only repeat itself. */
static int64_t cached_ms(uint32_t ttl_s)
{
	return 1000 * (int64_t)(ttl_s < CNAME_TTL_MOST_S ? ttl_s : CNAME_TTL_MOST_S);
}

static int64_t pause_ms(struct cname_schedule *schedule, enum cname_verdict verdict, uint32_t ttl_s,
			uint64_t random)
{
	bool hasty = schedule->urgent || schedule->doubt != CNAME_UNKNOWN;
	int64_t ms;

	if (verdict == CNAME_FOUND) {
		schedule->tries = 0;
		return CNAME_SLOW_MS * 3 / 4 + up_to(random, CNAME_SLOW_MS / 2);
	}
	ms = backoff_ms(CNAME_FAST_MS, schedule->tries++,
			schedule->urgent ? CNAME_URGENT_MS : CNAME_FAST_MOST_MS);
	if (!hasty && ms < cached_ms(ttl_s))
		ms = cached_ms(ttl_s);
	return ms + up_to(random, ms / 4);
}

static bool fold_failure(struct cname_schedule *schedule, int64_t now_ms)
{
	if (schedule->failures++ == 0)
		schedule->failing_since_ms = now_ms;
	if (schedule->verdict == CNAME_UNKNOWN)
		return schedule->failures == 1 || schedule->asked;
	return schedule->failures >= CNAME_FAILURES &&
	       now_ms - schedule->failing_since_ms >= CNAME_FAILING_MS;
}

static bool fold_verdict(struct cname_schedule *schedule, enum cname_verdict verdict)
{
	enum cname_verdict doubt = schedule->doubt;

	schedule->failures = 0;
	schedule->doubt = CNAME_UNKNOWN;
	if (verdict == schedule->verdict)
		return schedule->asked;
	if (schedule->verdict != CNAME_FOUND || verdict == doubt)
		return true;
	schedule->doubt = verdict;
	return false;
}

bool cname_schedule_fold(struct cname_schedule *schedule, enum cname_verdict verdict,
			 uint32_t ttl_s, int64_t now_ms, uint64_t random)
{
	bool is_news = verdict == CNAME_UNKNOWN ? fold_failure(schedule, now_ms)
						: fold_verdict(schedule, verdict);

	schedule->next_ms = now_ms + pause_ms(schedule, verdict, ttl_s, random);
	if (!is_news)
		return false;
	schedule->verdict = verdict;
	schedule->asked = false;
	return true;
}
