/*
 * store_case - what tests of the store begin with: a store on a real PostgreSQL, one op to wait
 * for, and the rows that it brings.
 */
#pragma once
#include "core/store/request.h"
#include "tests/support/store_fixture.h"
#include <criterion/criterion.h>

static struct store_fixture fx;
static struct loop loop;
static struct op op;
static struct pg_rows rows;

#define SQL(text) pg_server_sql(&fx.server, text)

static inline void wait_for(struct op *o)
{
    cr_assert_eq(store_fixture_wait(o), ERR_NONE, "%s", o->err.msg);
}

static inline void case_open(void)
{
    loop_open(&loop);
    store_fixture_open(&fx, &loop);
    op_init(&op, &loop, store_fixture_done);
}

static inline void case_close(void)
{
    pg_rows_done(&rows);
    store_fixture_close(&fx);
    loop_close(&loop);
}

/* What somebody writes to a bot of Telegram. */
static inline struct request_new message(const char *event, const char *place)
{
    return (struct request_new){ .request = uuid_v7(),
                                 .message = uuid_v7(),
                                 .user = uuid_v7(),
                                 .conversation = uuid_v7(),
                                 .channel_type = STR("telegram"),
                                 .channel = STR("bot"),
                                 .event = str_of(event),
                                 .place = str_of(place),
                                 .from = STR("p1"),
                                 .username = STR("anna"),
                                 .platform_message = str_of(event),
                                 .query = STR("What is it?"),
                                 .metadata = STR("{\"direct\": true}") };
}
