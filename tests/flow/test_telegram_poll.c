#include "telegram_fakes.h"

#include "channels/telegram/poll.h"

TestSuite(telegram_poll, .init = fakes_open, .fini = fakes_close, .timeout = 60);

static void run_s(uint64_t seconds)
{
    loop_run_for(&fx.loop, seconds * 1000);
}

static void expect_all(int64_t from, size_t n)
{
    cr_expect_eq(fx.n_accepted, n, "%zu accepted", fx.n_accepted);
    for (size_t i = 0; i < fx.n_accepted && i < n; i++) {
        char event[96];
        int64_t id = from + (int64_t)i;
        snprintf(event, sizeof(event), "%lld:7:%lld", (long long)id, (long long)id);
        cr_expect_str_eq(fx.accepted[i], event);
    }
    cr_expect_eq(fx.n_queue, 0, "%zu were not confirmed", fx.n_queue);
}

Test(telegram_poll, begins_with_who_we_are)
{
    bot_open(TELEGRAM_POLL);
    run_s(1);
    cr_assert_eq(fx.n_calls, 4);
    cr_expect_str_eq(fx.calls[0].method, "getMe");
    cr_expect_str_eq(fx.calls[1].method, "deleteWebhook");
    cr_expect_str_eq(fx.calls[2].method, "setMyCommands");
    cr_expect_str_eq(fx.calls[2].body,
                     "{\"commands\":[{\"command\":\"help\",\"description\":\"What I can do\"},"
                     "{\"command\":\"new\",\"description\":\"Begin anew\"}]}");
    cr_expect_str_eq(fx.calls[3].body,
                     "{\"limit\":100,\"timeout\":20,\"allowed_updates\":"
                     "[\"message\",\"edited_message\",\"callback_query\",\"message_reaction\"]}");
    cr_expect_str_eq(fx.bot->username, "parley_bot");
    cr_expect(fx.bot->channel.up);
}

Test(telegram_poll, stores_then_saves_then_confirms)
{
    bot_open(TELEGRAM_POLL);
    for (int64_t id = 900; id < 905; id++) push(id, NULL);
    run_s(1);
    cr_expect_str_eq(fx.texts[4], "m904");
    cr_expect_eq(fx.saved_offset, 905);
    expect_all(900, 5);
    push(905, NULL);
    run_s(25);
    expect_all(900, 6);
    run_s(300);
    cr_expect_eq(fx.n_accepts, 6, "nothing is handed over twice");
    cr_expect_leq(fx.n_calls, 3 + 4 + 330 / 20, "no busy polling: %zu", fx.n_calls);
    cr_expect_eq(fx.n_down, 0);
}

Test(telegram_poll, goes_on_where_the_last_owner_was)
{
    snprintf(fx.lease_state, sizeof(fx.lease_state), "{\"offset\":901}");
    fx.saved_offset = 901;
    bot_open(TELEGRAM_POLL);
    run_s(1);
    cr_expect(strstr(fx.calls[3].body, "\"offset\":901,"), "%s", fx.calls[3].body);
}

Test(telegram_poll, ids_that_start_anew_are_taken)
{
    snprintf(fx.lease_state, sizeof(fx.lease_state), "{\"offset\":2000000001}");
    bot_open(TELEGRAM_POLL);
    run_s(1);
    /* An offset far behind the tail counts as "from the head". */
    script(
        "getUpdates", 200,
        "{\"ok\":true,\"result\":[{\"update_id\":17,\"message\":{\"message_id\":17,\"chat\":{\"id\":"
        "7,\"type\":\"private\"},\"from\":{\"id\":7},\"text\":\"low\"}}]}",
        ERR_NONE);
    run_s(25);
    cr_expect_eq(fx.n_accepted, 1);
    cr_expect_eq(fx.saved_offset, 18);
}

Test(telegram_poll, what_is_not_for_us_is_confirmed)
{
    push(900, "{\"update_id\":900,\"callback_query\":{\"id\":\"1\"}}");
    push(901, "{\"update_id\":901,\"message\":{\"chat\":5}}");
    push(902, "{\"update_id\":902}");
    push(903, NULL);
    bot_open(TELEGRAM_POLL);
    run_s(5);
    cr_expect_eq(fx.n_accepted, 1);
    cr_expect_eq(fx.n_queue, 0);
    cr_expect(strstr(fx.log, "update=901"));
}

Test(telegram_poll, an_event_that_cannot_be_stored_is_dropped)
{
    for (int64_t id = 900; id < 903; id++) push(id, NULL);
    fx.refuse_event = "901:";
    bot_open(TELEGRAM_POLL);
    run_s(5);
    cr_expect_eq(fx.n_accepted, 2);
    cr_expect_eq(fx.n_queue, 0);
    cr_expect(strstr(fx.log, "cannot be stored"));
}

Test(telegram_poll, an_update_that_cannot_be_read_is_found_and_left_out)
{
    for (int64_t id = 900; id < 905; id++) push(id, NULL);
    fx.extra[2] = "{\"update_id\":902,\"message\":{\"text\":\"\\ud800\"}}";
    bot_open(TELEGRAM_POLL);
    run_s(120);
    cr_expect_eq(fx.n_accepted, 4);
    cr_expect_eq(fx.n_queue, 0);
    cr_expect(strstr(fx.log, "cannot be read, dropped"));
    cr_expect(strstr(fx.log, "update=902"));
}

Test(telegram_poll, postgresql_away_confirms_nothing)
{
    bot_open(TELEGRAM_POLL);
    run_s(1);
    fx.db_away = true;
    push(900, NULL);
    run_s(600);
    cr_expect_eq(fx.n_queue, 1);
    cr_expect(!fx.bot->channel.up, "and the channel says so");
    fx.db_away = false;
    run_s(60);
    expect_all(900, 1);
    cr_expect(fx.bot->channel.up);
}

Test(telegram_poll, another_process_has_the_lease)
{
    fx.lease_taken = true;
    bot_open(TELEGRAM_POLL);
    push(900, NULL);
    run_s(60);
    cr_expect_eq(fx.n_calls, 0, "only the owner speaks");
    fx.lease_taken = false;
    run_s(10);
    expect_all(900, 1);
}

Test(telegram_poll, losing_the_lease_ends_the_polling)
{
    bot_open(TELEGRAM_POLL);
    run_s(1);
    fx.lease_taken = true; /* we slept too long, and another took over */
    fx.fence++;
    snprintf(fx.lease_owner, sizeof(fx.lease_owner), "host:2:bb");
    push(900, NULL);
    run_s(22);
    size_t n = fx.n_calls;
    run_s(60);
    cr_expect_eq(fx.n_calls, n);
    cr_expect_eq(fx.saved_offset, 0);
    fx.lease_taken = false;
    snprintf(fx.lease_state, sizeof(fx.lease_state), "{\"offset\":900}");
    run_s(10);
    expect_all(900, 1);
    cr_expect_eq(count_calls("getMe"), 2, "set up anew");
}

Test(telegram_poll, a_conflict_is_waited_out)
{
    static const char body[] =
        "{\"ok\":false,\"error_code\":409,\"description\":\"Conflict: terminated "
        "by other getUpdates request; make sure that only one bot instance is running\"}";
    for (int i = 0; i < 5; i++) script("getUpdates", 409, body, ERR_NONE);
    push(900, NULL);
    bot_open(TELEGRAM_POLL);
    run_s(60);
    expect_all(900, 1);
    cr_expect_eq(fx.n_down, 0, "an old poll that is still held is nothing to alarm for");
    for (size_t i = 4; i < 8; i++) {
        uint64_t gap = fx.calls[i].at_ms - fx.calls[i - 1].at_ms;
        cr_expect(gap >= 3000 && gap <= 7100, "%llu", (unsigned long long)gap);
    }
}

Test(telegram_poll, a_lasting_conflict_is_reported)
{
    static const char body[] =
        "{\"ok\":false,\"error_code\":409,\"description\":\"Conflict: terminated by other getUpdates\"}";
    for (int i = 0; i < 16; i++) script("getUpdates", 409, body, ERR_NONE);
    bot_open(TELEGRAM_POLL);
    run_s(75);
    cr_expect_gt(fx.n_down, 0);
    run_s(120);
    cr_expect(fx.bot->channel.up, "and it is never given up");
}

Test(telegram_poll, a_webhook_that_somebody_set_is_removed)
{
    bot_open(TELEGRAM_POLL);
    run_s(1);
    fx.webhook_set = true;
    push(900, NULL);
    run_s(30);
    cr_expect(!fx.webhook_set);
    expect_all(900, 1);
    cr_expect(strstr(fx.log, "somebody has set a webhook"));
}

Test(telegram_poll, a_refused_token_is_not_hammered)
{
    for (int i = 0; i < 3; i++)
        script("getMe", 401, "{\"ok\":false,\"error_code\":401,\"description\":\"Unauthorized\"}",
               ERR_NONE);
    bot_open(TELEGRAM_POLL);
    run_s(599);
    cr_expect_eq(count_calls("getMe"), 2);
    cr_expect_eq(fx.last_down.kind, ERR_AUTH);
    run_s(601);
    cr_expect(fx.bot->channel.up);
}

Test(telegram_poll, too_many_requests_waits_as_told)
{
    script("getUpdates", 429,
           "{\"ok\":false,\"error_code\":429,\"description\":\"Too Many Requests: retry after 35\","
           "\"parameters\":{\"retry_after\":35}}",
           ERR_NONE);
    bot_open(TELEGRAM_POLL);
    run_s(34);
    cr_expect_eq(count_calls("getUpdates"), 1);
    run_s(30);
    cr_expect_geq(count_calls("getUpdates"), 2);
}

Test(telegram_poll, garbage_and_outages_back_off)
{
    static const struct {
        int status;
        const char *body;
        enum err_kind kind;
    } faults[] = {
        { 502, "<html>Bad Gateway</html>", ERR_NONE },
        { 500,
          "{\"ok\":false,\"error_code\":500,\"description\":\"Internal Server Error: restart\"}",
          ERR_NONE },
        { 200, "<html>captive portal</html>", ERR_NONE },
        { 200, "{\"ok\":true,\"result\":5}", ERR_NONE },
        { 200, "{\"ok\":true,\"result\":[{\"x\":1}]}", ERR_NONE },
        { 200, "{\"ok\":true,\"result\":[5,null]}", ERR_NONE },
        { 200, "", ERR_NONE },
        { 0, NULL, ERR_IO },
        { 0, NULL, ERR_UNKNOWN },
        { 0, NULL, ERR_TIMEOUT },
        { 0, NULL, ERR_LIMIT },
        { 0, NULL, ERR_PROTO },
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        script("getUpdates", faults[i].status, faults[i].body, faults[i].kind);
    push(900, NULL);
    bot_open(TELEGRAM_POLL);
    run_s(600);
    expect_all(900, 1);
    cr_expect_eq(fx.n_next, 0);
    cr_expect_leq(count_calls("getUpdates"), 60);
    cr_expect(fx.bot->channel.up);
}

Test(telegram_poll, a_pause_gives_the_lease_back)
{
    bot_open(TELEGRAM_POLL);
    run_s(1);
    cr_expect_str_eq(fx.lease_owner, "host:1:aa");
    telegram_type.pause(&fx.bot->channel);
    push(900, NULL);
    run_s(60);
    cr_expect_str_eq(fx.lease_owner, "");
    cr_expect_eq(fx.n_accepted, 0);
    telegram_type.pause(&fx.bot->channel); /* harmless twice */
}

/* --- op torture --- */

static void torture(enum err_kind kind, bool after)
{
    for (unsigned at = 1; at < 40; at++) {
        fx.fail_at = at;
        fx.fail_kind = kind;
        fx.fail_after = after;
        for (int64_t id = 900; id < 904; id++) push(id, NULL);
        bot_open(TELEGRAM_POLL);
        run_s(30);
        for (int64_t id = 904; id < 907; id++) push(id, NULL);
        run_s(900);
        cr_expect_eq(fx.n_accepted, 7, "op %u: %zu accepted", at, fx.n_accepted);
        cr_expect_eq(fx.n_queue, 0, "op %u: %zu not confirmed", at, fx.n_queue);
        cr_expect(fx.bot->channel.up, "op %u", at);
        fakes_close();
        fakes_open();
    }
}

Test(telegram_poll, any_call_may_fail)
{
    static const enum err_kind kinds[] = { ERR_IO, ERR_TIMEOUT, ERR_UNKNOWN, ERR_LIMIT };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) torture(kinds[i], false);
}

Test(telegram_poll, any_answer_may_be_lost)
{
    torture(ERR_UNKNOWN, true);
}

static struct timer stopper;

static void stop_now(struct timer *t)
{
    (void)t;
    telegram_poll_stop(fx.bot);
}

static void stop_soon(void)
{
    stopper.fire = stop_now;
    timer_set(&fx.loop, &stopper, 0);
}

/* Stopped at every wait, and followed by another process: nothing is missing, nothing is left. */
Test(telegram_poll, any_wait_may_be_the_last)
{
    for (unsigned at = 1; at < 40; at++) {
        fx.stop_at = at;
        fx.on_stop = stop_soon;
        for (int64_t id = 900; id < 904; id++) push(id, NULL);
        bot_open(TELEGRAM_POLL);
        run_s(30);
        push(904, NULL);
        run_s(60);
        bot_close();
        timer_clear(&fx.loop, &stopper);
        fx.stop_at = 0;
        fx.host.owner = "host:2:bb";
        bot_open(TELEGRAM_POLL);
        run_s(60);
        expect_all(900, 5);
        fakes_close();
        fakes_open();
    }
}

/* --- configuration --- */

Test(telegram_poll, a_token_must_look_like_one)
{
    static const char *const tokens[] = { "",
                                          "abc",
                                          "123456",
                                          "123456:",
                                          ":abc",
                                          "12a:abc",
                                          "-1:abc",
                                          "1:a b",
                                          "1:a/../b",
                                          "1:a\nb",
                                          "99999999999999999999:a" };
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        struct err why = ERR_INIT;
        struct telegram *t = bot_new(TELEGRAM_POLL);
        t->token = tokens[i];
        cr_expect_eq(telegram_type.open(&t->channel, &why), ERR_CONF, "%s", tokens[i]);
        cr_expect(strstr(why.msg, "token"));
        free(t);
        fx.bot = NULL;
    }
}
