/*
 * conf - the section "admin" of the configuration.
 */
#pragma once
#include "core/base/conf.h"

struct admin_conf {
    const char *secret; /* "" = no admin API */
    int64_t rate_per_minute;
};
extern const struct conf_field admin_conf_fields[];
