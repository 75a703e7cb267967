/*
 * Messages on their way to Discord: what is posted, edited, filled in by an interaction's token;
 * and that no lost answer makes a second message. Invariants 5, 6.
 */
#include "channels/discord/interaction.h"
#include "channels/discord/send.h"
#include "channels/discord/ticket.h"
#include "discord_http.h"

static struct op op;
static struct outbound out;
static struct sent sent;
static bool done;
static char ticket[TICKET_MAX + 1];

static void on_done(struct op *o)
{
    (void)o;
    done = true;
}

static void begin(void)
{
    fakes_open();
    op_init(&op, &fx.loop, on_done);
    out = (struct outbound){ .where = { STR("10"), STR("50"), STR_NONE },
                             .text = STR("hello"),
                             .reply_to = STR("77"),
                             .delivery = uuid_v7(),
                             .request = uuid_v7(),
                             .message = uuid_v7(),
                             .n_parts = 1 };
}

static void end(void)
{
    op_cancel(&op);
    discord_notes_cancel(&fx.bot);
    fakes_close();
}

TestSuite(discord_send, .init = begin, .fini = end, .timeout = 30);

static void send_it(void)
{
    done = false;
    discord_send(&fx.bot.channel, &op, &out, &sent);
    loop_run_for(&fx.loop, 100);
}

static void expect_call(size_t i, const char *method, const char *path)
{
    cr_assert_gt(fx.n_calls, i, "%zu calls", fx.n_calls);
    cr_expect_str_eq(fx.calls[i].method, method, "call %zu", i);
    const char *at = strstr(fx.calls[i].url, "/v10");
    cr_assert(at);
    cr_expect_str_eq(at + 4, path, "call %zu", i);
}

static struct json *body_of(size_t i)
{
    struct json *doc = NULL;
    cr_assert_eq(json_parse(str_of(fx.calls[i].body), &doc, NULL), ERR_NONE);
    return doc;
}

static void nonce_of(size_t i, char *ret, size_t cap)
{
    struct json *doc = body_of(i);
    struct str nonce = STR_NONE;
    bool enforced = false;
    json_get_str(doc, "nonce", &nonce);
    json_get_bool(doc, "enforce_nonce", &enforced);
    cr_expect_eq(enforced, nonce.n > 0);
    cr_expect_leq(nonce.n, 25);
    snprintf(ret, cap, "%.*s", STR_ARG(nonce));
    json_free(doc);
}

static void with_ticket(enum discord_ticket_kind kind, int64_t age_ms)
{
    struct discord_ticket t = { .kind = kind, .application = "901", .token = "INTERACTION-token" };
    _cleanup_(buf_done) struct buf text = BUF_INIT(TICKET_MAX);
    t.interaction = discord_id_at(clock_wall_ms() - age_ms);
    cr_assert(discord_ticket_seal(&fx.bot, &t, &text));
    cr_assert(str_find(buf_str(&text), STR("INTERACTION")) == SIZE_MAX);
    memcpy(ticket, text.p, text.n + 1);
    out.ticket = str_of(ticket);
    out.reply_to = STR_NONE;
}

Test(discord_send, a_message)
{
    send_it();
    expect_call(0, "POST", "/channels/50/messages");
    cr_expect_eq(op.err.kind, ERR_NONE);
    cr_expect_str_eq(sent.message_id, "1");
    cr_expect(strstr(fx.calls[0].body, "\"content\":\"hello\""));
    cr_expect(
        strstr(fx.calls[0].body, "\"allowed_mentions\":{\"parse\":[],\"replied_user\":false}"));
    cr_expect(strstr(fx.calls[0].body,
                     "\"message_reference\":{\"message_id\":\"77\",\"fail_if_not_exists\":false}"));
    cr_expect(strstr(fx.calls[0].body, "\"custom_id\":\"regenerate\""));
    cr_expect(strstr(fx.calls[0].body, "\"custom_id\":\"up\""));
    cr_expect_eq(fx.n_calls, 1);
}

Test(discord_send, in_private_nobody_needs_a_reference)
{
    out.where.workspace = STR_NONE;
    send_it();
    cr_expect_not(strstr(fx.calls[0].body, "message_reference"));
}

Test(discord_send, notices_and_earlier_parts_have_no_buttons)
{
    out.n_parts = 2;
    send_it();
    cr_expect(strstr(fx.calls[0].body, "\"components\":[]"));
    out.notice = true;
    out.part = 1;
    send_it();
    cr_expect(strstr(fx.calls[1].body, "\"components\":[]"));
    cr_expect_not(strstr(fx.calls[1].body, "message_reference"), "the first part has it");
}

Test(discord_send, a_question_has_two_buttons)
{
    out.notice = out.asks = true;
    out.person = STR("1334385199974967042");
    cr_assert(uuid_parse(STR("01a21694-fee0-7436-804c-7a08df49e6d0"), &out.request));
    send_it();
    cr_expect(strstr(fx.calls[0].body,
                     "\"components\":[{\"type\":1,\"components\":["
                     "{\"type\":2,\"style\":3,\"label\":\"Allow\",\"custom_id\":"
                     "\"tool+01a21694-fee0-7436-804c-7a08df49e6d0:1334385199974967042\"},"
                     "{\"type\":2,\"style\":4,\"label\":\"Refuse\",\"custom_id\":"
                     "\"tool-01a21694-fee0-7436-804c-7a08df49e6d0:1334385199974967042\"}]}]"),
              "%s", fx.calls[0].body);
    out.asks = false;
    out.edits = STR("42");
    send_it();
    expect_call(1, "PATCH", "/channels/50/messages/42");
    cr_expect(strstr(fx.calls[1].body, "\"components\":[]"), "it was decided: they go");
}

Test(discord_send, the_same_row_has_the_same_nonce_and_parts_have_others)
{
    char a[32], b[32], c[32];
    send_it();
    send_it();
    out.part = 1;
    send_it();
    nonce_of(0, a, sizeof(a));
    nonce_of(1, b, sizeof(b));
    nonce_of(2, c, sizeof(c));
    cr_expect_str_eq(a, b);
    cr_expect_str_neq(a, c);
}

Test(discord_send, a_preview_and_its_answer_are_one_message)
{
    char a[32], b[32];
    struct uuid row = out.delivery;
    out.preview = true;
    out.delivery = (struct uuid){ { 0 } };
    send_it();
    cr_expect(strstr(fx.calls[0].body, "\"custom_id\":\"stop\""));
    /* Its id was lost with the process: Discord knows the nonce and shows the preview. */
    next((struct answer){ .method = "POST",
                          .path = "",
                          .status = 200,
                          .body = "{\"id\":\"1\",\"content\":\"hel …\"}" });
    out.preview = false;
    out.delivery = row;
    send_it();
    nonce_of(0, a, sizeof(a));
    nonce_of(1, b, sizeof(b));
    cr_expect_str_eq(a, b);
    expect_call(2, "PATCH", "/channels/50/messages/1");
    cr_expect(strstr(fx.calls[2].body, "\"content\":\"hello\""));
    cr_expect_str_eq(sent.message_id, "1");
}

Test(discord_send, an_edit)
{
    out.edits = STR("33");
    send_it();
    expect_call(0, "PATCH", "/channels/50/messages/33");
    cr_expect_str_eq(sent.message_id, "33");
    cr_expect_not(strstr(fx.calls[0].body, "nonce"));
    cr_expect(strstr(fx.calls[0].body, "allowed_mentions"), "the defaults apply anew to each edit");
}

Test(discord_send, what_was_edited_is_gone)
{
    out.edits = STR("33");
    next((struct answer){ "PATCH", "", 404, NULL,
                          "{\"message\":\"Unknown Message\",\"code\":10008}", ERR_NONE, false });
    send_it();
    cr_expect_eq(op.err.kind, ERR_NOT_FOUND);
    cr_expect_eq(fx.n_calls, 1);
}

Test(discord_send, a_lost_edit_was_just_not_made)
{
    out.edits = STR("33");
    next((struct answer){ .method = "PATCH", .path = "", .kind = ERR_UNKNOWN });
    send_it();
    cr_expect_eq(op.err.kind, ERR_IO);
}

Test(discord_send, a_lost_post_may_have_arrived)
{
    next((struct answer){ .method = "POST", .path = "", .kind = ERR_UNKNOWN });
    send_it();
    cr_expect_eq(op.err.kind, ERR_UNKNOWN);
}

static void repeat_with(const char *history)
{
    out.repeated = true;
    next((struct answer){
        .method = "GET", .path = "messages?limit=", .status = 200, .body = history });
    send_it();
    cr_expect_str_eq(fx.calls[0].method, "GET");
    cr_expect(strstr(fx.calls[0].url, "/channels/50/messages?limit=100&after="));
}

Test(discord_send, a_repeated_one_is_looked_for_first)
{
    repeat_with("[{\"id\":\"8\",\"author\":{\"id\":\"5\"},\"content\":\"hello\"},"
                "{\"id\":\"9\",\"author\":{\"id\":\"900\"},\"content\":\"hello\","
                "\"message_reference\":{\"message_id\":\"77\"}}]");
    cr_expect_eq(fx.n_calls, 1, "it is there");
    cr_expect_str_eq(sent.message_id, "9");
}

Test(discord_send, a_repeated_one_that_is_not_there_is_sent)
{
    repeat_with("[{\"id\":\"8\",\"author\":{\"id\":\"900\"},\"content\":\"hello\","
                "\"message_reference\":{\"message_id\":\"76\"}},"
                "{\"id\":\"9\",\"author\":{\"id\":\"900\"},\"content\":\"another\"}]");
    expect_call(1, "POST", "/channels/50/messages");
    cr_expect_eq(op.err.kind, ERR_NONE);
}

Test(discord_send, without_the_reference_where_history_is_closed)
{
    next((struct answer){ "POST", "", 400, NULL,
                          "{\"message\":\"Cannot reply without permission to read message "
                          "history\",\"code\":160002}",
                          ERR_NONE, false });
    send_it();
    cr_expect_eq(fx.n_calls, 2);
    cr_expect_not(strstr(fx.calls[1].body, "message_reference"));
    cr_expect_eq(op.err.kind, ERR_NONE);
}

Test(discord_send, what_had_the_nonce_was_deleted)
{
    char a[32], b[32];
    next((struct answer){ "POST", "", 404, NULL, "{\"message\":\"Unknown Message\",\"code\":10008}",
                          ERR_NONE, false });
    send_it();
    nonce_of(0, a, sizeof(a));
    nonce_of(1, b, sizeof(b));
    cr_expect_str_neq(a, b);
    cr_expect_eq(op.err.kind, ERR_NONE);
}

Test(discord_send, a_channel_that_is_gone_is_a_final_no)
{
    next((struct answer){ "POST", "", 404, NULL, "{\"message\":\"Unknown Channel\",\"code\":10003}",
                          ERR_NONE, false });
    send_it();
    cr_expect_eq(op.err.kind, ERR_REFUSED);
    cr_expect_eq(fx.n_calls, 1);
}

Test(discord_send, text_that_cannot_be_formatted_goes_as_it_is)
{
    char long_text[1901];
    memset(long_text, '*', 1900);
    long_text[1900] = '\0';
    out.text = str_of(long_text);
    send_it();
    cr_expect_eq(op.err.kind, ERR_NONE);
    struct json *doc = body_of(0);
    struct str text = STR_NONE;
    json_get_str(doc, "content", &text);
    cr_expect_gt(text.n, 0);
    cr_expect_leq(utf8_length(text, TEXT_UTF16), 2000);
    json_free(doc);
}

/* --- interactions --- */

Test(discord_send, a_command_s_answer_fills_its_placeholder)
{
    with_ticket(DISCORD_TICKET_COMMAND, 1000);
    out.preview = true;
    send_it();
    expect_call(0, "PATCH", "/webhooks/901/INTERACTION-token/messages/@original");
    cr_expect_str_eq(fx.calls[0].auth, "");
    cr_expect_eq(fx.n_rates, 0);
    out.preview = false;
    out.edits = STR("1");
    send_it();
    expect_call(1, "PATCH", "/webhooks/901/INTERACTION-token/messages/1");
    out.edits = STR_NONE;
    out.part = 1;
    out.n_parts = 2;
    send_it();
    expect_call(2, "POST", "/channels/50/messages");
}

Test(discord_send, after_fifteen_minutes_the_channel_has_to_do)
{
    with_ticket(DISCORD_TICKET_COMMAND, 15 * 60000);
    send_it();
    expect_call(0, "POST", "/channels/50/messages");
    out.edits = STR("5");
    send_it();
    expect_call(1, "PATCH", "/channels/50/messages/5");
}

Test(discord_send, a_dead_token_is_no_dead_answer)
{
    static const char *const deaths[] = {
        "{\"message\":\"Unknown Webhook\",\"code\":10015}",
        "{\"message\":\"Invalid Webhook Token\",\"code\":50027}",
        "{\"message\":\"Unknown interaction\",\"code\":10062}",
        "{\"message\":\"Unknown Message\",\"code\":10008}",
    };
    with_ticket(DISCORD_TICKET_COMMAND, 1000);
    for (size_t i = 0; i < 4; i++) {
        fx.n_calls = fx.n_next = 0;
        next((struct answer){
            .method = "PATCH", .path = "@original", .status = 404, .body = deaths[i] });
        send_it();
        expect_call(1, "POST", "/channels/50/messages");
        cr_expect_eq(op.err.kind, ERR_NONE);
    }
    fx.n_calls = fx.n_next = 0;
    out.edits = STR("1");
    next((struct answer){
        .method = "PATCH", .path = "/webhooks/", .status = 401, .body = deaths[1] });
    send_it();
    expect_call(1, "PATCH", "/channels/50/messages/1");
}

Test(discord_send, where_we_may_not_write_the_token_still_can)
{
    with_ticket(DISCORD_TICKET_COMMAND, 1000);
    out.part = 1;
    out.n_parts = 2;
    next((struct answer){ .method = "POST",
                          .path = "/channels/",
                          .status = 403,
                          .body = "{\"message\":\"Missing Access\",\"code\":50001}" });
    send_it();
    expect_call(1, "POST", "/webhooks/901/INTERACTION-token?wait=true");
    cr_expect_eq(op.err.kind, ERR_NONE);
}

Test(discord_send, after_a_button_notices_are_whispered_and_answers_are_not)
{
    with_ticket(DISCORD_TICKET_BUTTON, 1000);
    out.notice = true;
    send_it();
    expect_call(0, "POST", "/webhooks/901/INTERACTION-token?wait=true");
    cr_expect(strstr(fx.calls[0].body, "\"flags\":64"));
    out.notice = false;
    send_it();
    expect_call(1, "POST", "/channels/50/messages");
}

Test(discord_send, another_token_cannot_open_our_tickets)
{
    with_ticket(DISCORD_TICKET_COMMAND, 1000);
    fx.bot.seal[0] ^= 1;
    send_it();
    expect_call(0, "POST", "/channels/50/messages");
    cr_expect(strstr(fx.log, "cannot be opened"));
}

Test(discord_send, acknowledgements)
{
    struct discord_interaction ia = { .ack = DISCORD_ACK_DEFER,
                                      .id = STR("123"),
                                      .token = STR("INTERACTION-token") };
    discord_acknowledge(&fx.bot, &ia, STR_NONE);
    ia.ack = DISCORD_ACK_MESSAGE;
    discord_acknowledge(&fx.bot, &ia, STR("Noted: 👍"));
    loop_run_for(&fx.loop, 10);
    expect_call(0, "POST", "/interactions/123/INTERACTION-token/callback");
    cr_expect_str_eq(fx.calls[0].body, "{\"type\":5}");
    cr_expect(strstr(fx.calls[1].body, "\"flags\":64"));
    cr_expect(list_empty(&fx.bot.notes));
}

Test(discord_send, typing)
{
    struct place where = { STR("10"), STR("50"), STR_NONE };
    discord_typing(&fx.bot.channel, &where);
    loop_run_for(&fx.loop, 10);
    expect_call(0, "POST", "/channels/50/typing");
    for (int i = 0; i < 100; i++) {
        next((struct answer){ .method = "POST", .path = "typing", .hangs = true });
        discord_typing(&fx.bot.channel, &where);
    }
    loop_run_for(&fx.loop, 10);
    cr_expect_leq(fx.n_calls, 3, "one at a time");
}

Test(discord_send, cancelled_at_each_stage)
{
    for (int stage = 0; stage < 3; stage++) {
        out.repeated = true;
        if (stage == 1) next((struct answer){ .method = "GET", .path = "", .hangs = true });
        if (stage == 2) next((struct answer){ .method = "POST", .path = "", .hangs = true });
        done = false;
        discord_send(&fx.bot.channel, &op, &out, &sent);
        if (stage) loop_run_for(&fx.loop, 10);
        op_cancel(&op);
        loop_run_for(&fx.loop, 10);
        cr_expect_not(done);
    }
}
