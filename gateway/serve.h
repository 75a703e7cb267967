/*
 * serve - the running gateway: start, reload, drain, stop.
 */
#pragma once
#include "core/loop/flow.h"
#include "core/store/migrate.h"
#include "gateway/admin/admin.h"
#include "gateway/app.h"
#include "gateway/configs.h"
#include "gateway/export.h"
#include "gateway/health.h"
#include "gateway/hooks.h"

struct serve {
    struct app app;
    struct flow start;
    struct migrate_report report;
    struct health health;
    struct export_route exports;
    struct admin admin;
    struct configs configs;
    struct hooks hooks;
    struct hooks_out *webhooks; /* NULL: there is no admin.secret to open theirs */
    struct op partitions, tools;
    struct pg_rows partition_rows;
    struct timer daily, drain_check;
    uv_signal_t term, intr, hup;
    uint64_t drain_until_ms;
    struct settings *reloaded; /* owns the strings of what SIGHUP changed; NULL = nothing yet */
    bool started, draining;
    bool reload_wanted; /* it was asked for while starting */
    int status;         /* of the process */
};
