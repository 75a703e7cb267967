/* turn_log: one line and the metrics of a turn that is over. */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/chat/turn.h"

static const char *const outcomes[] = { "answered", "refused", "cancelled", "expired", "given_up" };
static struct metric m_turn =
    METRIC(METRIC_HISTOGRAM, "parley_turn_seconds", "", "From the claim to the delivered reply");
#define FINISHED(outcome)                                                      \
    METRIC(METRIC_COUNTER, "parley_requests_total", "outcome=\"" outcome "\"", \
           "Finished requests by outcome")
static struct metric m_outcomes[] = { FINISHED("answered"), FINISHED("refused"),
                                      FINISHED("cancelled"), FINISHED("expired"),
                                      FINISHED("given_up") };
static void log_line(const struct turn *t, const char *outcome)
{
    const struct claimed *rq = &t->request;
    log_info(
        "turn", "ended",
        "turn=%s outcome=%s channel=%.*s attempt=%d model=%s tokens=%lld+%lld tries=%u first_ms=%u ms=%llu text=%s",
        t->id, outcome, STR_ARG(rq->channel), rq->attempt, t->model ? t->model->name : "-",
        (long long)t->answer.usage.prompt_tokens, (long long)t->answer.usage.completion_tokens,
        t->answer.tries, t->answer.first_token_ms, (unsigned long long)(clock_ms() - t->began_ms),
        log_quote(str_of(t->flow.err.kind ? t->flow.err.msg : t->reason)));
}

void turn_log(const struct turn *t)
{
    const char *outcome = t->done && t->flow.err.kind == ERR_NONE ? t->outcome : "given_up";
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
        if (strcmp(outcome, outcomes[i]) == 0) metric_add(&m_outcomes[i], 1);
    metric_observe_ms(&m_turn, (double)(clock_ms() - t->began_ms));
    log_line(t, outcome);
}
