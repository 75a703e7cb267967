/*
 * send - one outbound message is one call, and at most two more: as plain text when Telegram
 * refuses our HTML, to the new id when the group has moved.
 */
#include "channels/telegram/send.h"

#include "channels/telegram/api.h"
#include "channels/telegram/format.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/cache/rate.h"
#include "core/chat/chat.h"
#include "core/chat/press.h"

#define BODY_MAX    (8 * TELEGRAM_HTML_MAX) /* escapes in JSON */
#define SEND_MAX_MS 180000                  /* behind what three calls can take */
#define NOTES_MAX   64
#define PREVIEWS    20 /* a second, of the 30 that Telegram allows a bot; the rest is for answers */
#define NOTE_MS     5000 /* "typing" is shown for five seconds: later is pointless */

struct send {
    struct op inner, *outer;
    struct telegram *bot;
    const struct outbound *out;
    struct sent *ret;
    struct telegram_call call;
    struct telegram_reply reply;
    struct buf body;
    struct rate_answer rate;
    char chat[32];
    bool plain, moved;
};

/* An id goes out as a number where it is one. */
static void put_id(struct json_out *o, const char *key, struct str id)
{
    int64_t n;
    if (str_i64(id, &n))
        json_field_i64(o, key, n);
    else
        json_field_str(o, key, id);
}

/* --- sending --- */

static void send_free(struct send *s)
{
    op_cancel(&s->inner);
    telegram_reply_done(&s->reply);
    buf_done(&s->body);
    free(s);
}

static void send_drop(struct op *op)
{
    send_free(op->impl);
}

static const struct op_kind send_kind = { "telegram.send", send_drop };

static void put_text(struct send *s, struct json_out *o)
{
    _cleanup_(buf_done) struct buf html = BUF_INIT(2 * TELEGRAM_HTML_MAX);
    if (!s->plain && telegram_format(s->out->text, &html)) {
        json_field_str(o, "text", buf_str(&html));
        json_field_str(o, "parse_mode", STR("HTML"));
    } else {
        json_field_str(o, "text", s->out->text);
    }
}

/* In a group, show whom the answer is for. Ids of messages do not survive a move. */
static void put_reply_to(const struct send *s, struct json_out *o)
{
    bool group = s->chat[0] == '-';
    if (!group || s->moved || !s->out->reply_to.n || s->out->part > 0) return;
    json_key(o, "reply_parameters");
    json_open(o, '{');
    put_id(o, "message_id", s->out->reply_to);
    json_field_bool(o, "allow_sending_without_reply", true);
    json_close(o, '}');
}

static void put_button(struct json_out *o, const char *text, const char *data)
{
    json_open(o, '{');
    json_field_str(o, "text", str_of(text));
    json_field_str(o, "callback_data", str_of(data));
    json_close(o, '}');
}

static void put_decision(struct json_out *o, const struct outbound *out, bool yes)
{
    char data[PRESS_MAX];
    press_write(out, yes, data);
    put_button(o, yes ? PRESS_ALLOW_TEXT : PRESS_DENY_TEXT, data);
}

static bool has_buttons(const struct outbound *out)
{
    bool last = out->part + 1 == out->n_parts;
    return press_asks(out) || (!out->notice && (out->preview || last));
}

/* An edit without them takes away those that were there. */
static void put_buttons(const struct send *s, struct json_out *o)
{
    const struct outbound *out = s->out;
    bool asks = press_asks(out);
    if (!s->bot->buttons || !has_buttons(out)) return;
    json_key(o, "reply_markup");
    json_open(o, '{');
    json_key(o, "inline_keyboard");
    json_open(o, '[');
    json_open(o, '[');
    if (asks) {
        put_decision(o, out, true);
        put_decision(o, out, false);
    } else if (out->preview) {
        put_button(o, "Stop", TELEGRAM_PRESS_STOP);
    } else {
        put_button(o, "Regenerate", TELEGRAM_PRESS_REGENERATE);
    }
    if (!asks && !out->preview && !out->no_votes) {
        put_button(o, "👍", TELEGRAM_PRESS_UP);
        put_button(o, "👎", TELEGRAM_PRESS_DOWN);
    }
    json_close(o, ']');
    json_close(o, ']');
    json_close(o, '}');
}

static void build_body(struct send *s)
{
    struct json_out o = JSON_OUT(&s->body);
    buf_clear(&s->body);
    json_open(&o, '{');
    put_id(&o, "chat_id", str_of(s->chat));
    if (s->out->edits.n) {
        put_id(&o, "message_id", s->out->edits);
    } else {
        if (s->out->where.thread.n) put_id(&o, "message_thread_id", s->out->where.thread);
        put_reply_to(s, &o);
    }
    put_text(s, &o);
    put_buttons(s, &o);
    json_key(&o, "link_preview_options");
    json_put_raw(&o, STR("{\"is_disabled\":true}"));
    json_close(&o, '}');
}

static void send_begin(struct send *s)
{
    build_body(s);
    s->call = (struct telegram_call){
        .method = s->out->edits.n ? "editMessageText" : "sendMessage",
        .body = buf_str(&s->body),
        .chat = str_of(s->chat),
    };
    telegram_call(s->bot, &s->inner, &s->call, &s->reply);
}

static void send_again(struct send *s)
{
    telegram_reply_done(&s->reply);
    send_begin(s);
}

static void send_succeeded(struct send *s)
{
    if (s->out->edits.n)
        snprintf(s->ret->message_id, sizeof(s->ret->message_id), "%.*s", STR_ARG(s->out->edits));
    else if (s->reply.message_id)
        snprintf(s->ret->message_id, sizeof(s->ret->message_id), "%lld",
                 (long long)s->reply.message_id);
    if (s->moved) snprintf(s->ret->moved_to, sizeof(s->ret->moved_to), "%s", s->chat);
    op_finish(s->outer);
    send_free(s);
}

/* The same edit may be made twice: where a message would be perhaps sent, it is just not done. */
static void send_failed(struct send *s, struct err why)
{
    bool edit = s->out->edits.n != 0;
    if (why.kind == ERR_LIMIT && !why.retry_after_ms) why.kind = ERR_UNKNOWN;
    if (why.kind == ERR_UNKNOWN && edit) why.kind = ERR_IO;
    if (s->moved) snprintf(s->ret->moved_to, sizeof(s->ret->moved_to), "%s", s->chat);
    op_fail(s->outer, &why);
    send_free(s);
}

static void on_sent(struct op *inner)
{
    struct send *s = container_of(inner, struct send, inner);
    if (inner->err.kind == ERR_NONE) {
        send_succeeded(s);
    } else if (s->reply.problem == TELEGRAM_UNPARSABLE && !s->plain) {
        log_warn(s->bot->channel.name, "HTML was refused, sending plain text", "why=%s",
                 log_quote(str_of(inner->err.msg)));
        s->plain = true;
        send_again(s);
    } else if (s->reply.problem == TELEGRAM_MIGRATED && !s->moved) {
        s->moved = true;
        snprintf(s->chat, sizeof(s->chat), "%lld", (long long)s->reply.migrate_to);
        send_again(s);
    } else {
        send_failed(s, inner->err);
    }
}

/* Previews of all processes are counted together, by Redis, and yield to what must arrive. */
static void on_counted(struct op *inner)
{
    struct send *s = container_of(inner, struct send, inner);
    struct err why;
    if (s->rate.allowed) {
        op_init(&s->inner, s->outer->loop, on_sent);
        send_begin(s);
        return;
    }
    err_set(&why, ERR_LIMIT, "the bot's previews are used up for now");
    why.retry_after_ms = s->rate.retry_after_ms ? s->rate.retry_after_ms : 1;
    send_failed(s, why);
}

static void count_preview(struct send *s)
{
    const struct rate_ask ask = { .scope = RATE_BOT,
                                  .id = str_of(s->bot->lease),
                                  .endpoint = "preview",
                                  .max = PREVIEWS,
                                  .window_ms = 1000 };
    op_init(&s->inner, s->outer->loop, on_counted);
    cache_rate_take(s->bot->channel.host->chat->rate, &s->inner, &ask, &s->rate);
}

void telegram_send(struct channel *ch, struct op *op, const struct outbound *out, struct sent *ret)
{
    struct send *s = mem_new(struct send);
    s->outer = op;
    s->bot = telegram_of(ch);
    s->out = out;
    s->ret = ret;
    *ret = (struct sent){ "", "" };
    snprintf(s->chat, sizeof(s->chat), "%.*s", STR_ARG(out->where.channel));
    buf_init(&s->body, BODY_MAX);
    op_init(&s->inner, ch->host->loop, on_sent);
    op_begin(op, &send_kind, s, SEND_MAX_MS);
    if (out->preview)
        count_preview(s);
    else
        send_begin(s);
}

/* --- what nobody waits for --- */

/* A call that nobody waits for. */
struct note {
    struct list link;
    struct op op;
    struct telegram_call call;
    struct telegram_reply reply;
    struct buf body;
    char chat[32];
};

static void note_free(struct note *n)
{
    op_cancel(&n->op);
    list_drop(&n->link);
    telegram_reply_done(&n->reply);
    buf_done(&n->body);
    free(n);
}

static void on_noted(struct op *op)
{
    note_free(container_of(op, struct note, op));
}

/* chat: "" = nobody in particular. NULL: too many are under way, or the chat wants to be left
 * alone.
 */
static struct note *note_new(struct telegram *t, const char *method, struct str chat)
{
    if (telegram_pause_left(&t->pauses, chat) || list_length(&t->notes) >= NOTES_MAX) return NULL;
    struct note *n = mem_new(struct note);
    snprintf(n->chat, sizeof(n->chat), "%.*s", STR_ARG(chat));
    buf_init(&n->body, 1024);
    n->call =
        (struct telegram_call){ .method = method, .chat = str_of(n->chat), .wait_ms = NOTE_MS };
    op_init(&n->op, t->channel.host->loop, on_noted);
    list_push(&t->notes, &n->link);
    return n;
}

static void note_send(struct telegram *t, struct note *n)
{
    n->call.body = buf_str(&n->body);
    telegram_call(t, &n->op, &n->call, &n->reply);
}

void telegram_noticed_press(struct telegram *t, const struct telegram_update *u)
{
    struct note *n = u->press.n ? note_new(t, "answerCallbackQuery", STR_NONE) : NULL;
    if (!n) return;
    struct json_out o = JSON_OUT(&n->body);
    json_open(&o, '{');
    json_field_str(&o, "callback_query_id", u->press);
    if (u->say) json_field_str(&o, "text", str_of(u->say));
    json_close(&o, '}');
    note_send(t, n);
}

void telegram_typing(struct channel *ch, const struct place *where)
{
    struct telegram *t = telegram_of(ch);
    struct note *n = note_new(t, "sendChatAction", where->channel);
    if (!n) return;
    struct json_out o = JSON_OUT(&n->body);
    json_open(&o, '{');
    put_id(&o, "chat_id", where->channel);
    if (where->thread.n) put_id(&o, "message_thread_id", where->thread);
    json_field_str(&o, "action", STR("typing"));
    json_close(&o, '}');
    note_send(t, n);
}

void telegram_notes_cancel(struct telegram *t)
{
    list_each (it, next, &t->notes) note_free(container_of(it, struct note, link));
}
