/*
 * metric - counters, gauges and histograms in Prometheus' text form. Static objects that register
 * themselves on first use; one loop, no locks.
 */
#pragma once
#include "core/base/buf.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_BUCKETS \
    14 /* upper bounds in ms: 1 2 5 10 25 50 100 250 500 1000 2500 10000 60000 +Inf */

struct metric {
    const char *name;   /* "parley_requests_total"; histograms end in _seconds */
    const char *labels; /* "outcome=\"answered\"" or "" ; metrics of one name share type and help */
    const char *help;
    enum metric_type type;
    double value; /* counter, gauge */
    uint64_t buckets[METRIC_BUCKETS], count;
    double sum_ms;
    bool listed;
    struct metric *next;
};

#define METRIC(type_, name_, labels_, help_)                                   \
    {                                                                          \
        .name = (name_), .labels = (labels_), .help = (help_), .type = (type_) \
    }

void metric_add(struct metric *m, double by);
void metric_set(struct metric *m, double value);
void metric_observe_ms(struct metric *m, double ms);

/* Call before each rendering, e.g. to set a gauge from a queue's length. The node is borrowed for
 * ever. */
struct metric_probe {
    void (*update)(void *ctx);
    void *ctx;
    struct metric_probe *next;
};
void metric_probe_add(struct metric_probe *p);
void metric_probe_drop(struct metric_probe *p);

/* Everything registered, sorted by name, in text format 0.0.4. False: `to` is full. */
bool metric_render(struct buf *to);
