/*
 * Metrics as Prometheus reads them.
 */
#include "core/base/metric.h"

#include <criterion/criterion.h>
#include <math.h>

static struct metric answered =
    METRIC(METRIC_COUNTER, "parley_requests_total", "outcome=\"answered\"", "Requests by outcome.");
static struct metric failed =
    METRIC(METRIC_COUNTER, "parley_requests_total", "outcome=\"failed\"", "Requests by outcome.");
static struct metric lag = METRIC(METRIC_GAUGE, "parley_lag", "", "Lag.");
static struct metric turn = METRIC(METRIC_HISTOGRAM, "parley_turn_seconds", "", "Turns.");
static struct metric ask =
    METRIC(METRIC_HISTOGRAM, "parley_ask_seconds", "model=\"demo\"", "Asks.");

static char *rendered(void)
{
    struct buf b = BUF_INIT(100000);
    cr_assert(metric_render(&b));
    return buf_take(&b);
}

static void expect_line(const char *line)
{
    char *text = rendered();
    struct str rest = str_of(text);
    bool found = false;
    while (rest.n && !found) found = str_eq(str_cut(&rest, '\n'), str_of(line));
    cr_expect(found, "no line '%s' in\n%s", line, text);
    free(text);
}

Test(metric, nothing_before_first_use)
{
    char *text = rendered();
    cr_expect_str_eq(text, "");
    free(text);
}

Test(metric, sorted_with_one_head_a_name)
{
    metric_add(&failed, 0);
    metric_add(&lag, 1);
    metric_add(&answered, 2);
    metric_add(&answered, 0.5);
    metric_set(&lag, -3);
    char *text = rendered();
    cr_expect_str_eq(text, "# HELP parley_lag Lag.\n"
                           "# TYPE parley_lag gauge\n"
                           "parley_lag -3\n"
                           "# HELP parley_requests_total Requests by outcome.\n"
                           "# TYPE parley_requests_total counter\n"
                           "parley_requests_total{outcome=\"answered\"} 2.5\n"
                           "parley_requests_total{outcome=\"failed\"} 0\n");
    free(text);
}

Test(metric, numbers)
{
    static const struct {
        double v;
        const char *line;
    } table[] = {
        { 1e9, "parley_lag 1000000000" }, { 123456789012345, "parley_lag 123456789012345" },
        { 0.25, "parley_lag 0.25" },      { INFINITY, "parley_lag +Inf" },
        { -INFINITY, "parley_lag -Inf" }, { NAN, "parley_lag NaN" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        metric_set(&lag, table[i].v);
        expect_line(table[i].line);
    }
}

Test(metric, histogram)
{
    static const double observed[] = { 0, 1, 1.5, 60000, 60001, 1e9, 250 };
    for (size_t i = 0; i < sizeof(observed) / sizeof(observed[0]); i++)
        metric_observe_ms(&turn, observed[i]);
    char *text = rendered();
    cr_expect_str_eq(text, "# HELP parley_turn_seconds Turns.\n"
                           "# TYPE parley_turn_seconds histogram\n"
                           "parley_turn_seconds_bucket{le=\"0.001\"} 2\n"
                           "parley_turn_seconds_bucket{le=\"0.002\"} 3\n"
                           "parley_turn_seconds_bucket{le=\"0.005\"} 3\n"
                           "parley_turn_seconds_bucket{le=\"0.01\"} 3\n"
                           "parley_turn_seconds_bucket{le=\"0.025\"} 3\n"
                           "parley_turn_seconds_bucket{le=\"0.05\"} 3\n"
                           "parley_turn_seconds_bucket{le=\"0.1\"} 3\n"
                           "parley_turn_seconds_bucket{le=\"0.25\"} 4\n"
                           "parley_turn_seconds_bucket{le=\"0.5\"} 4\n"
                           "parley_turn_seconds_bucket{le=\"1\"} 4\n"
                           "parley_turn_seconds_bucket{le=\"2.5\"} 4\n"
                           "parley_turn_seconds_bucket{le=\"10\"} 4\n"
                           "parley_turn_seconds_bucket{le=\"60\"} 5\n"
                           "parley_turn_seconds_bucket{le=\"+Inf\"} 7\n"
                           "parley_turn_seconds_sum 1000120.2535\n"
                           "parley_turn_seconds_count 7\n");
    free(text);
}

Test(metric, histogram_with_labels)
{
    metric_observe_ms(&ask, 5);
    expect_line("parley_ask_seconds_bucket{model=\"demo\",le=\"0.002\"} 0");
    expect_line("parley_ask_seconds_bucket{model=\"demo\",le=\"0.005\"} 1");
    expect_line("parley_ask_seconds_sum{model=\"demo\"} 0.005");
    expect_line("parley_ask_seconds_count{model=\"demo\"} 1");
}

static void set_lag(void *ctx)
{
    metric_set(&lag, *(double *)ctx);
}

Test(metric, probes)
{
    double one = 1, two = 2;
    struct metric_probe a = { .update = set_lag, .ctx = &one }, b = { set_lag, &two, NULL };
    metric_probe_add(&a);
    expect_line("parley_lag 1");
    metric_probe_add(&b);
    metric_probe_drop(&a);
    metric_probe_drop(&a);
    one = 5;
    expect_line("parley_lag 2");
    metric_probe_drop(&b);
    metric_set(&lag, 9);
    expect_line("parley_lag 9");
}

Test(metric, full)
{
    metric_add(&answered, 1);
    for (size_t max = 0; max < 100; max += 9) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(max);
        cr_expect_not(metric_render(&b));
    }
}
