#include "telegram_fakes.h"

#include "channels/telegram/webhook.h"

TestSuite(telegram_webhook, .init = fakes_open, .fini = fakes_close, .timeout = 60);

#define UPDATE(id, text)                                    \
    "{\"update_id\":" id ",\"message\":{\"message_id\":" id \
    ",\"chat\":{\"id\":7,\"type\":\"private\"},\"from\":{\"id\":7},\"text\":\"" text "\"}}"
#define GROUP_UPDATE                                                                              \
    "{\"update_id\":950,\"message\":{\"message_id\":950,\"chat\":{\"id\":-7,\"type\":\"group\"}," \
    "\"from\":{\"id\":7},\"text\":\"@parley_bot hi\",\"entities\":[{\"type\":\"mention\","        \
    "\"offset\":0,\"length\":11}]}}"

static void open_bot(void)
{
    bot_open(TELEGRAM_WEBHOOK);
    loop_run_for(&fx.loop, 100);
}

static size_t post_with(const char *secret, const char *body)
{
    size_t i = fx.n_hooks++;
    fx.hooks[i].header =
        (struct http_header){ STR("x-telegram-bot-api-secret-token"), str_of(secret) };
    fx.hooks[i].in = (struct http_in){ .method = STR("POST"),
                                       .path = str_of(fx.route->path),
                                       .body = str_of(body),
                                       .peer = STR("127.0.0.1"),
                                       .headers = &fx.hooks[i].header,
                                       .n_headers = secret ? 1 : 0 };
    fx.route->handle(fx.route, &fx.hooks[i].in);
    return i;
}

static int post(const char *body)
{
    size_t i = post_with("hook-secret_1", body);
    loop_run_for(&fx.loop, 100);
    return fx.hooks[i].status;
}

Test(telegram_webhook, answers_when_it_is_stored)
{
    open_bot();
    cr_expect_str_eq(fx.route->path, "/hooks/telegram/support");
    cr_expect_str_eq(fx.route->method, "POST");
    cr_expect_eq(fx.route->body_max, 1 << 20);
    size_t i = post_with("hook-secret_1", UPDATE("900", "hello"));
    cr_expect_eq(fx.hooks[i].status, 0, "not before");
    loop_run_for(&fx.loop, 100);
    cr_expect_eq(fx.hooks[i].status, 200);
    cr_expect_str_eq(fx.accepted[0], "900:7:900");
    cr_expect_eq(post(UPDATE("900", "hello")), 200);
    cr_expect_eq(fx.n_accepted, 1);
}

Test(telegram_webhook, without_the_secret_nothing_is_stored)
{
    static const char *const wrong[] = { NULL, "", "hook-secret_", "hook-secret_12",
                                         "HOOK-SECRET_1" };
    open_bot();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        size_t k = post_with(wrong[i], UPDATE("900", "x"));
        loop_run_for(&fx.loop, 100);
        cr_expect_eq(fx.hooks[k].status, 401);
    }
    cr_expect_eq(fx.n_accepts, 0);
    cr_expect(strstr(fx.log, "webhook call refused"));
    cr_expect(!strstr(fx.log, "hook-secret"));
}

Test(telegram_webhook, bad_input)
{
    open_bot();
    cr_expect_eq(post("hello"), 400);
    cr_expect(fx.error[0] && strstr(fx.log, "webhook call is no update"));
    cr_expect_eq(post(""), 400);
    cr_expect_eq(post("[]"), 400);
    cr_expect_eq(post("{}"), 400);
    cr_expect(strstr(fx.error, "update_id"));
    cr_expect_eq(post("{\"update_id\":1,\"x\":\"\xFF\"}"), 400);
    cr_expect_eq(post("{\"update_id\":99999999999999999999}"), 400);
    cr_expect_eq(post("{\"update_id\":1}"), 200);
    cr_expect_eq(post("{\"update_id\":1,\"message\":{\"chat\":5}}"), 200);
    cr_expect(strstr(fx.log, "cannot be understood, dropped"));
    cr_expect_eq(fx.n_accepts, 0);
    cr_expect_eq(post(UPDATE("900", "a\\u0000b")), 200);
    cr_expect_str_eq(fx.texts[0], "a\xEF\xBF\xBD"
                                  "b");
}

Test(telegram_webhook, postgresql_away_is_503)
{
    open_bot();
    fx.db_away = true;
    cr_expect_eq(post(UPDATE("900", "x")), 503);
    cr_expect_str_eq(fx.retry_after, "2");
    fx.db_away = false;
    cr_expect_eq(post(UPDATE("900", "x")), 200);

    fx.refuse_event = "901:";
    cr_expect_eq(post(UPDATE("901", "x")), 200, "repeating it would not help");
    cr_expect(strstr(fx.log, "cannot be stored, dropped"));
}

Test(telegram_webhook, any_failure_to_store_is_repeated)
{
    static const enum err_kind kinds[] = { ERR_IO, ERR_TIMEOUT, ERR_UNKNOWN, ERR_LIMIT, ERR_BUG };
    open_bot();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        fx.fail_at = fx.n_ops + 1;
        fx.fail_kind = kinds[i];
        fx.fail_after = i % 2;
        cr_expect_eq(post(UPDATE("900", "x")), 503);
        cr_expect_eq(post(UPDATE("900", "x")), 200);
        cr_expect_eq(fx.n_accepted, 1);
    }
}

Test(telegram_webhook, a_peer_that_leaves_is_not_answered)
{
    open_bot();
    size_t i = post_with("hook-secret_1", UPDATE("900", "x"));
    fx.hooks[i].in.on_gone(&fx.hooks[i].in);
    memset(&fx.hooks[i].in, 0xAB, sizeof(fx.hooks[i].in)); /* it is gone */
    loop_run_for(&fx.loop, 100);
    cr_expect_eq(fx.hooks[i].status, 0);
    cr_expect_eq(fx.n_accepted, 1);
}

Test(telegram_webhook, drain_and_close)
{
    open_bot();
    fx.bot->channel.paused = true;
    cr_expect_eq(post(UPDATE("900", "x")), 503);
    fx.bot->channel.paused = false;
    size_t i = post_with("hook-secret_1", UPDATE("900", "x"));
    bot_close();
    cr_expect_eq(fx.hooks[i].status, 503, "Telegram will ask the next process");
    cr_expect_null(fx.route);
}

Test(telegram_webhook, our_name_must_be_known_for_groups)
{
    for (int i = 0; i < 5; i++) script("getMe", 0, NULL, ERR_IO);
    open_bot();
    cr_expect_eq(post(GROUP_UPDATE), 503);
    cr_expect_eq(post(UPDATE("900", "x")), 200, "private chats do not need it");
    cr_expect(!fx.bot->channel.up);
    loop_run_for(&fx.loop, 120000);
    cr_expect(fx.bot->channel.up);
    cr_expect_eq(post(GROUP_UPDATE), 200);
    cr_expect_str_eq(fx.texts[1], "hi");
}

Test(telegram_webhook, registers_itself)
{
    struct err why;
    struct telegram *t = bot_new(TELEGRAM_WEBHOOK);
    t->public_url = "https://chat.example.org/";
    cr_assert_eq(telegram_type.open(&t->channel, &why), ERR_NONE);
    script(
        "setWebhook", 429,
        "{\"ok\":false,\"error_code\":429,\"description\":\"x\",\"parameters\":{\"retry_after\":1}}",
        ERR_NONE);
    loop_run_for(&fx.loop, 60000);
    cr_expect_eq(count_calls("setWebhook"), 2);
    cr_expect_eq(count_calls("deleteWebhook"), 0);
    cr_expect_str_eq(
        fx.calls[1].body,
        "{\"url\":\"https://chat.example.org/hooks/telegram/support\",\"secret_token\":"
        "\"hook-secret_1\",\"allowed_updates\":[\"message\",\"edited_message\",\"callback_query\",\"message_reaction\"]}");
    cr_expect(t->channel.up);
}

Test(telegram_webhook, any_call_of_the_setup_may_fail_or_be_the_last)
{
    for (unsigned at = 1; at <= 4; at++) {
        struct err why;
        struct telegram *t = bot_new(TELEGRAM_WEBHOOK);
        t->public_url = "https://chat.example.org";
        fx.fail_at = at;
        fx.fail_kind = ERR_UNKNOWN;
        cr_assert_eq(telegram_type.open(&t->channel, &why), ERR_NONE);
        loop_run_for(&fx.loop, at % 2 ? 120000 : 0);
        if (at % 2) cr_expect(t->channel.up && fx.webhook_set, "call %u", at);
        fakes_close();
        fakes_open();
    }
}

Test(telegram_webhook, configuration_is_checked)
{
    static const struct {
        const char *secret, *url, *name, *says;
    } cases[] = {
        { "", "", "a", "secret_token" },
        { "with blank", "", "a", "secret_token" },
        { "fine", "ftp://x", "a", "public_url" },
        { "fine", "chat.example.org", "a", "public_url" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err why = ERR_INIT;
        struct telegram *t = bot_new(TELEGRAM_WEBHOOK);
        t->secret_token = cases[i].secret;
        t->public_url = cases[i].url;
        t->channel.name = cases[i].name;
        cr_expect_eq(telegram_type.open(&t->channel, &why), ERR_CONF, "%zu", i);
        cr_expect(strstr(why.msg, cases[i].says), "%s", why.msg);
        free(t);
        fx.bot = NULL;
    }
}
