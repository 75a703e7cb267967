/*
 * health - GET /healthz (the process lives), /readyz (it can do its work; says what is missing),
 * /metrics.
 */
#pragma once
#include "core/base/metric.h"
#include "gateway/app.h"

struct health {
    struct app *app;
    struct http_route healthz, readyz, metrics;
    struct metric_probe probe;
    struct timer watch; /* says once when Redis goes away, and when it is back */
    bool redis_away;
    bool draining;
};

void health_open(struct health *h, struct app *app);
void health_close(struct health *h);
