/*
 * Calls of Discord's API within its limits: buckets, 429 of every kind, the address's budget, a
 * token that is no good, lost answers. Invariant 9.
 */
#include "discord_http.h"

#define LIMIT_HEAD(left, after)                                          \
    "Via: 1.1 google\r\nX-RateLimit-Bucket: abc\r\nX-RateLimit-Limit: 5" \
    "\r\nX-RateLimit-Remaining: " left "\r\nX-RateLimit-Reset-After: " after "\r\n"
#define REFUSED(after, global) \
    "{\"message\":\"You are being rate limited.\",\"retry_after\":" after ",\"global\":" global "}"

enum { N = 24 };
static struct op ops[N];
static struct discord_reply replies[N];
static uint64_t ended_ms[N];
static char paths[N][64], majors[N][32];

static void on_done(struct op *op)
{
    ended_ms[op - ops] = clock_ms();
}

static void begin_call(size_t i, struct discord_call call, const char *channel)
{
    op_init(&ops[i], &fx.loop, on_done);
    ended_ms[i] = 0;
    snprintf(paths[i], sizeof(paths[i]), "/channels/%s/messages", channel);
    snprintf(majors[i], sizeof(majors[i]), "%s", channel);
    call.route = "/channels/{}/messages";
    call.path = str_of(paths[i]);
    call.major = str_of(majors[i]);
    if (!call.method) call.method = "POST";
    discord_call(&fx.bot, &ops[i], &call, &replies[i]);
}

static void begin(size_t i, const char *channel)
{
    begin_call(i, (struct discord_call){ .body = { "{}", 2 } }, channel);
}

static void run_ms(uint64_t ms)
{
    loop_run_for(&fx.loop, ms);
}

static void end(void)
{
    for (size_t i = 0; i < N; i++) {
        if (ops[i].loop) op_cancel(&ops[i]);
        discord_reply_done(&replies[i]);
    }
    fakes_close();
}

TestSuite(discord_rest, .init = fakes_open, .fini = end, .timeout = 30);

Test(discord_rest, sends_what_discord_demands)
{
    begin(0, "5");
    run_ms(10);
    cr_assert_eq(fx.n_calls, 1);
    cr_expect_str_eq(fx.calls[0].url, "https://discord.test/api/v10/channels/5/messages");
    cr_expect_str_eq(fx.calls[0].auth, "Bot TOKEN.secret");
    cr_expect_eq(ops[0].err.kind, ERR_NONE);
    cr_expect_eq(replies[0].status, 200);
    cr_expect_eq(replies[0].message, 1);
    cr_expect_eq(fx.n_rates, 1);
}

Test(discord_rest, by_its_own_token_nothing_is_counted)
{
    begin_call(0, (struct discord_call){ .interaction = true }, "5");
    run_ms(10);
    cr_expect_str_eq(fx.calls[0].auth, "");
    cr_expect_eq(fx.n_rates, 0);
}

Test(discord_rest, one_channel_is_a_queue_and_another_does_not_wait)
{
    next((struct answer){ .method = "POST", .path = "/channels/5/", .hangs = true });
    begin(0, "5");
    begin(1, "5");
    begin(2, "6");
    run_ms(100);
    cr_expect_eq(fx.n_calls, 2);
    cr_expect_neq(ended_ms[2], 0);
    op_cancel(&ops[0]);
    run_ms(100);
    cr_expect_eq(fx.n_calls, 3, "a cancelled call makes room");
    cr_expect_neq(ended_ms[1], 0);
}

Test(discord_rest, waits_for_the_bucket_to_fill)
{
    next((struct answer){
        .method = "POST", .path = "", .status = 200, .headers = LIMIT_HEAD("0", "1.5") });
    begin(0, "5");
    begin(1, "5");
    begin(2, "6");
    run_ms(1400);
    cr_expect_eq(fx.n_calls, 2, "the bucket is the channel's alone");
    run_ms(300);
    cr_expect_eq(fx.n_calls, 3);
    cr_expect_geq(fx.calls[2].at_ms, HTTP_START_MS + 1500);
    cr_expect_eq(ops[1].err.kind, ERR_NONE);
}

Test(discord_rest, what_would_wait_too_long_is_told_when)
{
    next((struct answer){
        .method = "POST", .path = "", .status = 200, .headers = LIMIT_HEAD("0", "30") });
    begin(0, "5");
    begin(1, "5");
    run_ms(10);
    cr_expect_eq(fx.n_calls, 1);
    cr_expect_eq(ops[1].err.kind, ERR_LIMIT);
    cr_expect_gt(ops[1].err.retry_after_ms, 29000);
}

Test(discord_rest, previews_leave_the_last_call_to_answers)
{
    next((struct answer){
        .method = "POST", .path = "", .status = 200, .headers = LIMIT_HEAD("1", "3") });
    begin(0, "5");
    run_ms(10);
    begin_call(1, (struct discord_call){ .yields = true }, "5");
    begin(2, "5");
    run_ms(10);
    cr_expect_eq(ops[1].err.kind, ERR_LIMIT);
    cr_expect_gt(ops[1].err.retry_after_ms, 2000);
    cr_expect_eq(ops[2].err.kind, ERR_NONE);
}

Test(discord_rest, a_preview_does_not_queue)
{
    next((struct answer){ .method = "POST", .path = "", .hangs = true });
    begin(0, "5");
    begin_call(1, (struct discord_call){ .yields = true }, "5");
    run_ms(10);
    cr_expect_eq(ops[1].err.kind, ERR_LIMIT);
    cr_expect_gt(ops[1].err.retry_after_ms, 0);
}

Test(discord_rest, a_short_429_is_waited_out_in_its_place)
{
    next((struct answer){ "POST", "/5/", 429, "Via: 1.1 google\r\nRetry-After: 1\r\n",
                          REFUSED("1.2", "false"), ERR_NONE, false });
    begin(0, "5");
    begin(1, "5");
    begin(2, "6");
    run_ms(1100);
    cr_expect_eq(fx.n_calls, 2, "the longer of the two waits");
    run_ms(1000);
    cr_expect_eq(fx.n_calls, 4);
    cr_expect_eq(ops[0].err.kind, ERR_NONE);
    cr_expect_leq(ended_ms[0], ended_ms[1], "in order");
}

Test(discord_rest, a_long_429_is_told_and_holds_the_queue)
{
    next((struct answer){ "POST", "/5/", 429, "Via: 1.1 google\r\nRetry-After: 60\r\n",
                          REFUSED("60.0", "false"), ERR_NONE, false });
    begin(0, "5");
    run_ms(10);
    begin(1, "5");
    run_ms(10);
    cr_expect_eq(fx.n_calls, 1);
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(ops[i].err.kind, ERR_LIMIT);
        cr_expect_gt(ops[i].err.retry_after_ms, 59000);
    }
    run_ms(61000);
    begin(2, "5");
    run_ms(10);
    cr_expect_eq(ops[2].err.kind, ERR_NONE);
}

Test(discord_rest, a_global_429_silences_the_bot)
{
    next((struct answer){ "POST", "/5/", 429, "Via: 1.1 google\r\nX-RateLimit-Global: true\r\n",
                          REFUSED("2.0", "true"), ERR_NONE, false });
    begin(0, "5");
    run_ms(10);
    begin(1, "6");
    begin_call(2, (struct discord_call){ .interaction = true }, "7");
    run_ms(1900);
    cr_expect_eq(fx.n_calls, 2, "but not the interactions");
    run_ms(500);
    cr_expect_eq(fx.n_calls, 4);
    cr_expect_eq(ops[1].err.kind, ERR_NONE);
}

Test(discord_rest, cloudflare_silences_everything)
{
    next((struct answer){ "POST", "/5/", 429, "Content-Type: text/html\r\nRetry-After: 100\r\n",
                          "<html>error 1015</html>", ERR_NONE, false });
    begin(0, "5");
    run_ms(10);
    begin(1, "6");
    begin_call(2, (struct discord_call){ .interaction = true }, "7");
    run_ms(10);
    cr_expect_eq(fx.n_calls, 1);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(ops[i].err.kind, ERR_LIMIT, "%d", i);
        cr_expect_gt(ops[i].err.retry_after_ms, 90000);
    }
}

Test(discord_rest, the_global_limit_of_all_processes)
{
    fx.n_refused = 2;
    begin(0, "5");
    begin_call(1, (struct discord_call){ .yields = true }, "6");
    run_ms(250);
    cr_expect_eq(fx.n_calls, 0);
    cr_expect_eq(ops[1].err.kind, ERR_LIMIT);
    run_ms(400);
    cr_expect_eq(fx.n_calls, 1);
    cr_expect_eq(ops[0].err.kind, ERR_NONE);
}

Test(discord_rest, stops_well_before_the_address_is_banned)
{
    for (int i = 0; i < 2000; i++) discord_budget_spend();
    begin(0, "5");
    run_ms(10);
    cr_expect_eq(fx.n_calls, 0);
    cr_expect_eq(ops[0].err.kind, ERR_LIMIT);
    cr_expect(strstr(fx.log, "too many refused requests"));
    run_ms(600000);
    begin(1, "5");
    run_ms(10);
    cr_expect_eq(ops[1].err.kind, ERR_NONE, "after ten minutes they are forgotten");
}

Test(discord_rest, refusals_count_but_for_shared_limits)
{
    for (int i = 0; i < 1999; i++) discord_budget_spend();
    next((struct answer){ "POST", "/5/", 429,
                          "Via: 1.1 google\r\nX-RateLimit-Scope: shared\r\nRetry-After: 60\r\n",
                          REFUSED("60.0", "false"), ERR_NONE, false });
    next((struct answer){ "POST", "/6/", 403, NULL,
                          "{\"message\":\"Missing Permissions\",\"code\":50013}", ERR_NONE,
                          false });
    begin(0, "5");
    run_ms(10);
    begin(1, "6");
    run_ms(10);
    cr_expect_eq(ops[1].err.kind, ERR_REFUSED);
    cr_expect_eq(replies[1].code, 50013);
    cr_expect(strstr(ops[1].err.msg, "Missing Permissions"));
    begin(2, "7");
    run_ms(10);
    cr_expect_eq(ops[2].err.kind, ERR_LIMIT);
}

Test(discord_rest, a_token_that_is_no_good_is_not_tried_again_at_once)
{
    next((struct answer){ "POST", "", 401, NULL, "{\"message\":\"401: Unauthorized\",\"code\":0}",
                          ERR_NONE, false });
    begin(0, "5");
    run_ms(10);
    begin(1, "6");
    run_ms(10);
    cr_expect_eq(fx.n_calls, 1);
    cr_expect_eq(ops[0].err.kind, ERR_AUTH);
    cr_expect_eq(ops[1].err.kind, ERR_AUTH);
    cr_expect(strstr(ops[1].err.msg, "Reset Token"), "%s", ops[1].err.msg);
    run_ms(301000);
    begin(2, "5");
    run_ms(10);
    cr_expect_eq(ops[2].err.kind, ERR_NONE);
}

static const struct {
    int status;
    const char *body;
    enum err_kind kind;
} answers[] = {
    { 204, "", ERR_NONE },
    { 400,
      "{\"message\":\"Invalid Form Body\",\"code\":50035,\"errors\":{\"content\":{\"_errors\":"
      "[{\"code\":\"BASE_TYPE_MAX_LENGTH\",\"message\":\"Must be 2000 or fewer\"}]}}}",
      ERR_REFUSED },
    { 403, "{\"message\":\"Missing Access\",\"code\":50001}", ERR_REFUSED },
    { 404, "{\"message\":\"Unknown Message\",\"code\":10008}", ERR_NOT_FOUND },
    { 404, "{\"message\":\"404: Not Found\",\"code\":0}", ERR_NOT_FOUND },
    { 401, "{\"message\":\"Invalid Webhook Token\",\"code\":50027}", ERR_NOT_FOUND },
    { 403, "{\"message\":\"bad token\",\"code\":50014}", ERR_AUTH },
    { 500, "{\"message\":\"500: Internal Server Error\",\"code\":0}", ERR_UNKNOWN },
    { 502, "<html>Bad Gateway</html>", ERR_UNKNOWN },
    { 503, "{\"message\":\"overloaded\",\"code\":130000}", ERR_LIMIT },
    { 302, "", ERR_REFUSED },
    { 403, "<html>blocked</html>", ERR_LIMIT },
};

Test(discord_rest, every_answer_has_its_kind)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        next((struct answer){
            .method = "POST", .path = "", .status = answers[i].status, .body = answers[i].body });
        begin(0, "5");
        run_ms(100);
        cr_expect_eq(ops[0].err.kind, answers[i].kind, "%d %s: %s", answers[i].status,
                     answers[i].body, ops[0].err.msg);
        if (answers[i].kind == ERR_LIMIT) cr_expect_gt(ops[0].err.retry_after_ms, 0);
        discord_reply_done(&replies[0]);
        run_ms(400000);
    }
}

Test(discord_rest, what_a_lost_exchange_means)
{
    static const struct {
        enum err_kind http, kind;
    } cases[] = { { ERR_IO, ERR_IO },           { ERR_UNKNOWN, ERR_UNKNOWN },
                  { ERR_TIMEOUT, ERR_UNKNOWN }, { ERR_PROTO, ERR_UNKNOWN },
                  { ERR_LIMIT, ERR_REFUSED },   { ERR_AUTH, ERR_IO } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        next((struct answer){ .method = "POST", .path = "", .kind = cases[i].http });
        begin(0, "5");
        run_ms(10);
        cr_expect_eq(ops[0].err.kind, cases[i].kind, "%zu", i);
    }
}

Test(discord_rest, cancelled_and_closed_at_any_time)
{
    for (uint64_t ms = 0; ms < 2000; ms += 47) {
        fx.n_next = fx.n_calls = 0;
        next((struct answer){
            .method = "POST", .path = "/5/", .status = 200, .headers = LIMIT_HEAD("0", "1.0") });
        next((struct answer){ .method = "POST", .path = "/6/", .hangs = true });
        for (size_t i = 0; i < 8; i++) begin(i, i % 2 ? "5" : "6");
        run_ms(ms);
        op_cancel(&ops[ms % 8]);
        op_cancel(&ops[(ms + 3) % 8]);
        run_ms(ms % 100);
        discord_rest_close(&fx.bot);
        for (size_t i = 0; i < 8; i++) {
            cr_assert_not(op_busy(&ops[i]));
            discord_reply_done(&replies[i]);
        }
        discord_rest_open(&fx.bot);
    }
}
