#include "telegram_fakes.h"

#include "channels/telegram/send.h"

static void setup(void)
{
    fakes_open();
    bot_open(TELEGRAM_WEBHOOK);
    loop_run_for(&fx.loop, 100);
    fx.n_calls = 0;
    fx.n_ops = 0;
}

TestSuite(telegram_send, .init = setup, .fini = fakes_close, .timeout = 60);

/* One send, and how it ended. */
static struct {
    struct op op;
    struct sent sent;
    unsigned n_done;
} tx;

static void on_done(struct op *op)
{
    (void)op;
    tx.n_done++;
}

static struct outbound message(const char *chat, const char *text)
{
    return (struct outbound){ .where = { STR_NONE, str_of(chat), STR_NONE },
                              .text = str_of(text),
                              .n_parts = 1 };
}

static void begin(const struct outbound *out)
{
    memset(&tx, 0, sizeof(tx));
    op_init(&tx.op, &fx.loop, on_done);
    telegram_type.send(&fx.bot->channel, &tx.op, out, &tx.sent);
    cr_assert_eq(tx.n_done, 0, "completed inside the call");
}

static enum err_kind deliver(const struct outbound *out)
{
    begin(out);
    loop_run_for(&fx.loop, 400 * 1000);
    cr_assert_eq(tx.n_done, 1);
    return tx.op.err.kind;
}

Test(telegram_send, a_message)
{
    struct outbound out = message("7", "Hi **you** & \"me\"");
    cr_expect_eq(deliver(&out), ERR_NONE);
    cr_expect_str_eq(tx.sent.message_id, "42");
    cr_expect_str_eq(tx.sent.moved_to, "");
    cr_assert_eq(fx.n_calls, 1);
    cr_expect_str_eq(fx.calls[0].method, "sendMessage");
    cr_expect_str_eq(fx.calls[0].body,
                     "{\"chat_id\":7,\"text\":\"Hi <b>you</b> &amp; \\\"me\\\"\",\"parse_mode\":"
                     "\"HTML\",\"link_preview_options\":{\"is_disabled\":true}}");
}

Test(telegram_send, buttons)
{
    struct outbound out = message("7", "x");
    fx.bot->buttons = true;
    out.n_parts = 2;
    deliver(&out);
    cr_expect(!strstr(fx.calls[0].body, "reply_markup"), "more follows");
    out.part = 1;
    deliver(&out);
    cr_expect(strstr(fx.calls[1].body, "parley:regenerate"));
    cr_expect(strstr(fx.calls[1].body, "parley:up") && strstr(fx.calls[1].body, "parley:down"));
    out.notice = true;
    deliver(&out);
    cr_expect(!strstr(fx.calls[2].body, "reply_markup"), "nothing to vote on");
    struct outbound growing = message("7", "x");
    growing.preview = true;
    deliver(&growing);
    cr_expect(strstr(fx.calls[3].body, "parley:stop"));
}

Test(telegram_send, a_question_has_two_buttons)
{
    struct outbound out = message("7", "May I?");
    fx.bot->buttons = true;
    out.notice = out.asks = true;
    out.person = STR("7");
    cr_assert(uuid_parse(STR("01a21694-fee0-7436-804c-7a08df49e6d0"), &out.request));
    deliver(&out);
    cr_expect(strstr(fx.calls[0].body, "\"reply_markup\":{\"inline_keyboard\":[["
                                       "{\"text\":\"Allow\",\"callback_data\":"
                                       "\"tool+01a21694-fee0-7436-804c-7a08df49e6d0:7\"},"
                                       "{\"text\":\"Refuse\",\"callback_data\":"
                                       "\"tool-01a21694-fee0-7436-804c-7a08df49e6d0:7\"}]]}"),
              "%s", fx.calls[0].body);
    out.asks = false;
    out.edits = STR("42");
    deliver(&out);
    cr_expect_str_eq(fx.calls[1].method, "editMessageText");
    cr_expect(!strstr(fx.calls[1].body, "reply_markup"), "it was decided: they go");
}

Test(telegram_send, previews_yield)
{
    struct outbound out = message("7", "x");
    fx.previews_used_up = true;
    out.preview = true;
    cr_expect_eq(deliver(&out), ERR_LIMIT);
    cr_expect_eq(tx.op.err.retry_after_ms, 400);
    cr_expect_eq(fx.n_calls, 0);
    out.preview = false;
    cr_expect_eq(deliver(&out), ERR_NONE);
    cr_expect_eq(fx.n_calls, 1);
}

Test(telegram_send, a_reply_in_a_topic_of_a_group)
{
    struct outbound out = message("-100500", "x");
    out.where.thread = STR("77");
    out.reply_to = STR("5");
    cr_expect_eq(deliver(&out), ERR_NONE);
    cr_expect_str_eq(fx.calls[0].body,
                     "{\"chat_id\":-100500,\"message_thread_id\":77,\"reply_parameters\":{"
                     "\"message_id\":5,\"allow_sending_without_reply\":true},\"text\":\"x\","
                     "\"parse_mode\":\"HTML\",\"link_preview_options\":{\"is_disabled\":true}}");
    out.part = 1;
    deliver(&out);
    cr_expect(!strstr(fx.calls[1].body, "reply_parameters"), "only the first part replies");
    struct outbound direct = message("7", "x");
    direct.reply_to = STR("5");
    deliver(&direct);
    cr_expect(!strstr(fx.calls[2].body, "reply_parameters"), "nor is there need to in private");
}

Test(telegram_send, an_edit)
{
    struct outbound out = message("7", "_so far_");
    out.edits = STR("41");
    cr_expect_eq(deliver(&out), ERR_NONE);
    cr_expect_str_eq(fx.calls[0].method, "editMessageText");
    cr_expect(
        strstr(fx.calls[0].body, "\"chat_id\":7,\"message_id\":41,\"text\":\"<i>so far</i>\""));
    cr_expect_str_eq(tx.sent.message_id, "41");

    script(
        "editMessageText", 400,
        "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: message is not modified: "
        "specified new message content and reply markup are exactly the same\"}",
        ERR_NONE);
    cr_expect_eq(deliver(&out), ERR_NONE, "as good as done");
    cr_expect_str_eq(tx.sent.message_id, "41");

    script(
        "editMessageText", 400,
        "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: message to edit not found\"}",
        ERR_NONE);
    cr_expect_eq(deliver(&out), ERR_NOT_FOUND);

    script("editMessageText", 0, NULL, ERR_UNKNOWN);
    cr_expect_eq(deliver(&out), ERR_IO, "an edit may be made twice");
}

Test(telegram_send, refused_html_goes_as_plain_text_once)
{
    static const char refusal[] =
        "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: can't "
        "parse entities: Unsupported start tag\"}";
    struct outbound out = message("7", "**x**");
    script("sendMessage", 400, refusal, ERR_NONE);
    cr_expect_eq(deliver(&out), ERR_NONE);
    cr_assert_eq(fx.n_calls, 2);
    cr_expect_str_eq(fx.calls[1].body,
                     "{\"chat_id\":7,\"text\":\"**x**\",\"link_preview_options\":{"
                     "\"is_disabled\":true}}");
    cr_expect(strstr(fx.log, "HTML was refused"));

    script("sendMessage", 400, refusal, ERR_NONE);
    script("sendMessage", 400, refusal, ERR_NONE);
    cr_expect_eq(deliver(&out), ERR_REFUSED);
    cr_expect_eq(fx.n_calls, 4);
}

Test(telegram_send, a_group_that_moved_is_followed_once)
{
    static const char moved[] =
        "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: group chat "
        "was upgraded to a supergroup chat\",\"parameters\":{\"migrate_to_chat_id\":"
        "-1001234567890}}";
    struct outbound out = message("-40", "x");
    out.reply_to = STR("5");
    script("sendMessage", 400, moved, ERR_NONE);
    cr_expect_eq(deliver(&out), ERR_NONE);
    cr_expect_str_eq(tx.sent.moved_to, "-1001234567890");
    cr_expect(strstr(fx.calls[1].body, "\"chat_id\":-1001234567890,"));
    cr_expect(!strstr(fx.calls[1].body, "reply_parameters"), "message ids do not move along");

    script("sendMessage", 400, moved, ERR_NONE);
    script("sendMessage", 400, moved, ERR_NONE);
    cr_expect_eq(deliver(&out), ERR_REFUSED);
    cr_expect_eq(fx.n_calls, 4);
}

Test(telegram_send, outcomes)
{
    static const struct {
        int status;
        const char *body;
        enum err_kind fails, want;
    } cases[] = {
        { 403,
          "{\"ok\":false,\"error_code\":403,\"description\":\"Forbidden: bot was blocked by the user\"}",
          ERR_NONE, ERR_REFUSED },
        { 400, "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: chat not found\"}",
          ERR_NONE, ERR_REFUSED },
        { 401, "{\"ok\":false,\"error_code\":401,\"description\":\"Unauthorized\"}", ERR_NONE,
          ERR_AUTH },
        { 500,
          "{\"ok\":false,\"error_code\":500,\"description\":\"Internal Server Error: restart\"}",
          ERR_NONE, ERR_IO },
        { 504, "<html>", ERR_NONE, ERR_UNKNOWN },
        { 200, "not json", ERR_NONE, ERR_UNKNOWN },
        { 200, "", ERR_NONE, ERR_UNKNOWN },
        { 0, NULL, ERR_IO, ERR_IO },
        { 0, NULL, ERR_UNKNOWN, ERR_UNKNOWN },
        { 0, NULL, ERR_TIMEOUT, ERR_UNKNOWN },
        { 0, NULL, ERR_LIMIT, ERR_UNKNOWN },
        { 0, NULL, ERR_PROTO, ERR_UNKNOWN },
        { 0, NULL, ERR_AUTH, ERR_AUTH },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct outbound out = message("7", "x");
        script("sendMessage", cases[i].status, cases[i].body, cases[i].fails);
        enum err_kind got = deliver(&out);
        cr_expect_eq(got, cases[i].want, "%zu: %s", i, err_rule(got)->name);
        cr_expect_eq(fx.n_calls, i + 1, "%zu: never repeated by itself", i);
        cr_expect_str_eq(tx.sent.message_id, "");
    }
}

Test(telegram_send, too_many_requests_silence_the_chat)
{
    struct outbound out = message("7", "x"), other = message("8", "x");
    script("sendMessage", 429,
           "{\"ok\":false,\"error_code\":429,\"description\":\"Too Many Requests: retry after 35\","
           "\"parameters\":{\"retry_after\":35}}",
           ERR_NONE);
    begin(&out);
    loop_run_for(&fx.loop, 1000);
    cr_expect_eq(tx.op.err.kind, ERR_LIMIT);
    cr_expect_eq(tx.op.err.retry_after_ms, 35000);
    begin(&out);
    loop_run_for(&fx.loop, 1000);
    cr_expect_eq(tx.op.err.kind, ERR_LIMIT, "no call was made");
    cr_expect(tx.op.err.retry_after_ms > 30000 && tx.op.err.retry_after_ms <= 35000);
    telegram_type.typing(&fx.bot->channel, &out.where);
    cr_expect_eq(fx.n_calls, 1);
    begin(&other);
    loop_run_for(&fx.loop, 40000);
    cr_expect_eq(tx.op.err.kind, ERR_NONE, "others are not concerned");
    begin(&out);
    loop_run_for(&fx.loop, 1000);
    cr_expect_eq(tx.op.err.kind, ERR_NONE, "and it is over some time");
    cr_expect_eq(fx.n_calls, 3);
}

Test(telegram_send, when_several_chats_hit_it_the_bot_is_too_fast)
{
    static const char *const chats[] = { "1", "2", "3" };
    struct outbound out;
    for (size_t i = 0; i < 3; i++) {
        script(
            "sendMessage", 429,
            "{\"ok\":false,\"error_code\":429,\"description\":\"x\",\"parameters\":{\"retry_after\":9}}",
            ERR_NONE);
        out = message(chats[i], "x");
        begin(&out);
        loop_run_for(&fx.loop, 100);
        cr_expect_eq(tx.op.err.kind, ERR_LIMIT);
    }
    out = message("4", "x");
    begin(&out);
    loop_run_for(&fx.loop, 100);
    cr_expect_eq(tx.op.err.kind, ERR_LIMIT);
    cr_expect_eq(fx.n_calls, 3);
    loop_run_for(&fx.loop, 9000);
    begin(&out);
    loop_run_for(&fx.loop, 100);
    cr_expect_eq(tx.op.err.kind, ERR_NONE);
}

Test(telegram_send, cancel_at_every_wait)
{
    for (uint64_t ms = 0; ms < 4; ms++) {
        struct outbound out = message("7", "**x**");
        script("sendMessage", 400, "{\"ok\":false,\"description\":\"can't parse entities\"}",
               ERR_NONE);
        begin(&out);
        for (uint64_t i = 0; i < ms; i++) uv_run(&fx.loop.uv, UV_RUN_NOWAIT);
        op_cancel(&tx.op);
        loop_run_for(&fx.loop, 1000);
        cr_expect_eq(tx.n_done, ms < 3 ? 0 : tx.n_done);
        fx.n_next = 0;
    }
}

Test(telegram_send, typing)
{
    struct place where = { STR_NONE, STR("-100500"), STR("77") };
    telegram_type.typing(&fx.bot->channel, &where);
    cr_assert_eq(fx.n_calls, 1);
    cr_expect_str_eq(fx.calls[0].method, "sendChatAction");
    cr_expect_str_eq(fx.calls[0].body,
                     "{\"chat_id\":-100500,\"message_thread_id\":77,\"action\":\"typing\"}");
    for (int i = 0; i < 500; i++) telegram_type.typing(&fx.bot->channel, &where);
    cr_expect_leq(fx.n_calls, 70, "bounded");
    loop_run_for(&fx.loop, 1000);
    script("sendChatAction", 0, NULL, ERR_IO);
    telegram_type.typing(&fx.bot->channel, &where); /* nobody is told; and one is open at the end */
}

Test(telegram_send, check_says_who_we_are)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(1000);
    memset(&tx, 0, sizeof(tx));
    op_init(&tx.op, &fx.loop, on_done);
    telegram_type.check(&fx.bot->channel, &tx.op, &text);
    loop_run_for(&fx.loop, 1000);
    cr_expect_eq(tx.op.err.kind, ERR_NONE);
    cr_expect_str_eq(text.p, "@parley_bot, by webhook");

    script("getMe", 401, "{\"ok\":false,\"error_code\":401,\"description\":\"Unauthorized\"}",
           ERR_NONE);
    telegram_type.check(&fx.bot->channel, &tx.op, &text);
    loop_run_for(&fx.loop, 1000);
    cr_expect_eq(tx.op.err.kind, ERR_AUTH);
    telegram_type.check(&fx.bot->channel, &tx.op, &text);
    op_cancel(&tx.op);
}
