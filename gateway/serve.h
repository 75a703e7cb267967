/*
 * serve - the running gateway: start, reload, drain, stop.
 */
#pragma once
#include "core/loop/flow.h"
#include "core/store/migrate.h"
#include "gateway/admin/admin.h"
#include "gateway/app.h"
#include "gateway/export.h"
#include "gateway/health.h"

struct serve {
    struct app app;
    struct flow start;
    struct migrate_report report;
    struct health health;
    struct export_route exports;
    struct admin admin;
    struct hooks_out *webhooks; /* NULL: there is no admin.secret to open theirs */
    struct op partitions, tools;
    struct pg_rows partition_rows;
    struct timer daily, drain_check;
    uv_signal_t term, intr, hup;
    uint64_t drain_until_ms;
    struct settings *reloaded; /* owns the strings of what SIGHUP changed; NULL = nothing yet */
    bool started, draining;
    int status; /* of the process */
};
