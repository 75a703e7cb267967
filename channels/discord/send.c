/*
 * send - one outbound message is one call, and at most a few more: a look whether it is there
 * already, another way when an interaction's token is dead, without the reply where that is
 * refused.
 */
#include "channels/discord/send.h"

#include "channels/discord/format.h"
#include "channels/discord/interaction.h"
#include "channels/discord/rest.h"
#include "channels/discord/ticket.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/chat/press.h"
#include "core/net/sign.h"

#define BODY_MAX      (8 * DISCORD_TEXT_MAX)
#define SEND_PATH_MAX 900
#define SEND_MAX_MS   240000 /* behind what the calls can take */
#define TICKET_MS     870000 /* of the token's 15 minutes */
#define HISTORY_MAX   100
#define CLOCKS_MS     60000 /* that Discord's clock and ours may differ */
#define NOTES_MAX     64
#define NOTE_MS       5000

/* docs.discord.com/developers/components/reference#button */
enum { STYLE_SECONDARY = 2, STYLE_SUCCESS = 3, STYLE_DANGER = 4 };

#define FLAG_EPHEMERAL   64
#define CODE_NO_ACCESS   50001
#define CODE_NO_PERM     50013
#define CODE_NO_HISTORY  160002
#define CODE_UNKNOWN_MSG 10008

/* The ways a message can go. */
enum way {
    CREATE,    /* into the channel */
    EDIT,      /* a message in it */
    ORIGINAL,  /* fill in the placeholder of a command */
    EDIT_HOOK, /* a message that an interaction's token made */
    FOLLOW,    /* a message by that token, where we may not write otherwise */
    WHISPER,   /* the same, seen by who pressed the button only */
    N_WAYS
};

static const char *const methods[N_WAYS] = { "POST", "PATCH", "PATCH", "PATCH", "POST", "POST" };
static const char *const routes[N_WAYS] = {
    "/channels/{}/messages",       "/channels/{}/messages/{}", "/webhooks/{}/{}/messages/@",
    "/webhooks/{}/{}/messages/{}", "/webhooks/{}/{}",          "/webhooks/{}/{}",
};

struct send {
    struct op inner, *outer;
    struct discord *bot;
    const struct outbound *out;
    struct sent *ret;
    struct discord_call call;
    struct discord_reply reply;
    enum way way;
    bool has_ticket; /* one that still works, as far as we know */
    bool no_reply;   /* Discord does not let us refer to the question */
    bool anew;       /* what had our nonce was deleted */
    char edits[DISCORD_ID_MAX];
    struct discord_ticket ticket;
    struct buf body, text;
    char path[SEND_PATH_MAX];
};

/* --- what it says --- */

static void put_button(struct json_out *o, int style, const char *label, const char *emoji,
                       const char *id)
{
    json_open(o, '{');
    json_field_i64(o, "type", 2);
    json_field_i64(o, "style", style);
    if (*label) json_field_str(o, "label", str_of(label));
    if (*emoji) {
        json_key(o, "emoji");
        json_open(o, '{');
        json_field_str(o, "name", str_of(emoji));
        json_close(o, '}');
    }
    json_field_str(o, "custom_id", str_of(id));
    json_close(o, '}');
}

static bool has_row(const struct outbound *out)
{
    bool last = out->part + 1 == out->n_parts;
    return press_asks(out) || (!out->notice && (out->preview || last));
}

static void put_decision(struct json_out *o, const struct outbound *out)
{
    char data[PRESS_MAX];
    press_write(out, true, data);
    put_button(o, STYLE_SUCCESS, PRESS_ALLOW_TEXT, "", data);
    press_write(out, false, data);
    put_button(o, STYLE_DANGER, PRESS_DENY_TEXT, "", data);
}

static void put_row(const struct send *s, struct json_out *o)
{
    const struct outbound *out = s->out;
    bool asks = press_asks(out);
    if (!s->bot->buttons || !has_row(out)) return;
    json_open(o, '{');
    json_field_i64(o, "type", 1);
    json_key(o, "components");
    json_open(o, '[');
    if (asks) {
        put_decision(o, out);
    } else if (out->preview) {
        put_button(o, STYLE_DANGER, "Stop", "", DISCORD_BUTTON_STOP);
    } else {
        put_button(o, STYLE_SECONDARY, "Regenerate", "", DISCORD_BUTTON_REGENERATE);
    }
    if (!asks && !out->preview && !out->no_votes) {
        put_button(o, STYLE_SECONDARY, "", "👍", DISCORD_BUTTON_UP);
        put_button(o, STYLE_SECONDARY, "", "👎", DISCORD_BUTTON_DOWN);
    }
    json_close(o, ']');
    json_close(o, '}');
}

/* On a server, show whom the answer is for. */
static void put_reference(const struct send *s, struct json_out *o)
{
    const struct outbound *out = s->out;
    if (s->no_reply || !out->where.workspace.n || !out->reply_to.n || out->part > 0) return;
    json_key(o, "message_reference");
    json_open(o, '{');
    json_field_str(o, "message_id", out->reply_to);
    json_field_bool(o, "fail_if_not_exists", false);
    json_close(o, '}');
}

/*
 * The nonce of a part's row, of at most 25 characters. A preview has no row yet: it and the first
 * part go by the request, so that of the two there is only one message, whatever was lost between.
 */
static void put_nonce(const struct send *s, struct json_out *o)
{
    uint8_t hash[32];
    char id[UUID_TEXT_MAX], text[25];
    uuid_text(s->out->part == 0 && !s->anew ? &s->out->request : &s->out->delivery, id);
    sign_sha256(str_of(id), hash);
    sign_hex(hash, 12, text);
    json_field_str(o, "nonce", str_of(text));
    json_field_bool(o, "enforce_nonce", true);
}

static void build_body(struct send *s)
{
    struct json_out o = JSON_OUT(&s->body);
    buf_clear(&s->body);
    json_open(&o, '{');
    json_field_str(&o, "content", buf_str(&s->text));
    json_key(&o, "allowed_mentions");
    json_put_raw(&o, STR("{\"parse\":[],\"replied_user\":false}"));
    json_key(&o, "components");
    json_open(&o, '[');
    put_row(s, &o);
    json_close(&o, ']');
    if (s->way == CREATE) {
        put_nonce(s, &o);
        put_reference(s, &o);
    }
    if (s->way == WHISPER) json_field_i64(&o, "flags", FLAG_EPHEMERAL);
    json_close(&o, '}');
}

static void build_text(struct send *s)
{
    if (!discord_format(s->out->text, &s->text)) buf_add(&s->text, s->out->text);
}

/* --- where it goes --- */

static void build_path(struct send *s)
{
    const struct outbound *out = s->out;
    const struct discord_ticket *t = &s->ticket;
    switch (s->way) {
    case CREATE:
        snprintf(s->path, sizeof(s->path), "/channels/%.*s/messages", STR_ARG(out->where.channel));
        break;
    case EDIT:
        snprintf(s->path, sizeof(s->path), "/channels/%.*s/messages/%s",
                 STR_ARG(out->where.channel), s->edits);
        break;
    case ORIGINAL:
        snprintf(s->path, sizeof(s->path), "/webhooks/%s/%s/messages/@original", t->application,
                 t->token);
        break;
    case EDIT_HOOK:
        snprintf(s->path, sizeof(s->path), "/webhooks/%s/%s/messages/%s", t->application, t->token,
                 s->edits);
        break;
    default:
        snprintf(s->path, sizeof(s->path), "/webhooks/%s/%s?wait=true", t->application, t->token);
        break;
    }
}

static bool is_by_token(enum way way)
{
    return way != CREATE && way != EDIT;
}

static enum way first_way(const struct send *s)
{
    const struct outbound *out = s->out;
    bool command = s->has_ticket && s->ticket.kind == DISCORD_TICKET_COMMAND;
    if (out->edits.n) return command ? EDIT_HOOK : EDIT;
    if (command && out->part == 0) return ORIGINAL;
    /* What asks for a yes stays there until it has one. */
    if (s->has_ticket && !command && out->notice && !out->asks) return WHISPER;
    return CREATE;
}

static void take_ticket(struct send *s)
{
    if (!s->out->ticket.n) return;
    if (!discord_ticket_open(s->bot, s->out->ticket, &s->ticket)) {
        log_warn(s->bot->channel.name, "a ticket cannot be opened: was the token changed?", "");
        return;
    }
    s->has_ticket = clock_wall_ms() - discord_id_ms(s->ticket.interaction) < TICKET_MS;
}

/* --- sending --- */

static void send_free(struct send *s)
{
    op_cancel(&s->inner);
    discord_reply_done(&s->reply);
    buf_done(&s->body);
    buf_done(&s->text);
    free(s);
}

static void send_drop(struct op *op)
{
    send_free(op->impl);
}

static const struct op_kind send_kind = { "discord.send", send_drop };

static void on_sent(struct op *inner);

static void send_by(struct send *s, enum way way)
{
    s->way = way;
    build_body(s);
    build_path(s);
    s->call = (struct discord_call){
        .method = methods[way],
        .route = routes[way],
        .path = str_of(s->path),
        .major = is_by_token(way) ? str_of(s->ticket.token) : s->out->where.channel,
        .body = buf_str(&s->body),
        .yields = s->out->preview && s->out->edits.n,
        .interaction = is_by_token(way),
    };
    op_init(&s->inner, s->outer->loop, on_sent);
    discord_reply_done(&s->reply);
    discord_call(s->bot, &s->inner, &s->call, &s->reply);
}

static void send_succeeded(struct send *s, struct str id)
{
    snprintf(s->ret->message_id, sizeof(s->ret->message_id), "%.*s", STR_ARG(id));
    op_finish(s->outer);
    send_free(s);
}

/* What repeats itself without harm was just not done, rather than perhaps. */
static void send_failed(struct send *s, struct err why)
{
    bool edit = s->way != CREATE && s->way != FOLLOW && s->way != WHISPER;
    if (why.kind == ERR_UNKNOWN && edit) why.kind = ERR_IO;
    /* Only a message of ours that is gone is "not found" to those who asked for an edit. */
    if (why.kind == ERR_NOT_FOUND && !s->out->edits.n) why.kind = ERR_REFUSED;
    op_fail(s->outer, &why);
    send_free(s);
}

/* The way that is left when this one is closed; N_WAYS = none. */
static enum way other_way(const struct send *s, const struct err *why)
{
    int64_t code = s->reply.code;
    bool token_dead = why->kind == ERR_NOT_FOUND && code != CODE_UNKNOWN_MSG;
    if (s->way == EDIT_HOOK && (token_dead || why->kind == ERR_REFUSED)) return EDIT;
    if ((s->way == ORIGINAL || s->way == WHISPER) && why->kind == ERR_NOT_FOUND) return CREATE;
    bool closed = code == CODE_NO_ACCESS || code == CODE_NO_PERM;
    if (s->way == CREATE && closed && s->has_ticket) return FOLLOW;
    return N_WAYS;
}

/* Discord knew the nonce, and shows the message that had it first: a preview. */
static bool is_earlier(const struct send *s)
{
    struct str text = STR_NONE;
    if (s->way != CREATE || s->out->preview) return false;
    return json_get_str(s->reply.doc, "content", &text) &&
           !str_eq(str_trim(text), str_trim(buf_str(&s->text)));
}

static void accepted(struct send *s)
{
    if (s->reply.message && s->way != EDIT && s->way != EDIT_HOOK)
        snprintf(s->edits, sizeof(s->edits), "%llu", (unsigned long long)s->reply.message);
    if (is_earlier(s))
        send_by(s, EDIT);
    else
        send_succeeded(s, str_of(s->edits));
}

/* Once each, something may be left out that Discord does not take. */
static bool can_do_without(struct send *s)
{
    bool *without = s->reply.code == CODE_NO_HISTORY    ? &s->no_reply
                    : s->reply.code == CODE_UNKNOWN_MSG ? &s->anew
                                                        : NULL;
    if (s->way != CREATE || !without || *without || uuid_is_nil(&s->out->delivery)) return false;
    return *without = true;
}

static void on_sent(struct op *inner)
{
    struct send *s = container_of(inner, struct send, inner);
    if (inner->err.kind == ERR_NONE) {
        accepted(s);
        return;
    }
    struct err why = inner->err;
    enum way other = can_do_without(s) ? s->way : other_way(s, &why);
    if (other == CREATE || other == EDIT) s->has_ticket = false;
    if (other == N_WAYS)
        send_failed(s, why);
    else
        send_by(s, other);
}

/* --- is it there already? --- */

static bool is_it(const struct send *s, struct json *message)
{
    struct str author = STR_NONE, text = STR_NONE, refers_to = STR_NONE;
    json_get_str(json_get(message, "author"), "id", &author);
    json_get_str(message, "content", &text);
    json_get_str(json_get(message, "message_reference"), "message_id", &refers_to);
    bool refers = s->out->reply_to.n && s->out->where.workspace.n && s->out->part == 0;
    return str_eq(author, str_of(s->bot->id)) &&
           str_eq(str_trim(text), str_trim(buf_str(&s->text))) &&
           (!refers || !refers_to.n || str_eq(refers_to, s->out->reply_to));
}

/* Discord forgets a nonce after some minutes; the channel does not. */
static void on_history(struct op *inner)
{
    struct send *s = container_of(inner, struct send, inner);
    struct str id = STR_NONE;
    if (inner->err.kind == ERR_LIMIT || inner->err.kind == ERR_AUTH) {
        send_failed(s, inner->err);
        return;
    }
    for (size_t i = 0; i < json_length(s->reply.doc); i++) {
        struct json *message = json_at(s->reply.doc, i);
        if (is_it(s, message) && json_get_str(message, "id", &id)) {
            send_succeeded(s, id);
            return;
        }
    }
    send_by(s, CREATE);
}

static void look_first(struct send *s)
{
    int64_t since_ms = (int64_t)uuid_wall_ms(&s->out->delivery) - CLOCKS_MS;
    snprintf(s->path, sizeof(s->path), "/channels/%.*s/messages?limit=%d&after=%llu",
             STR_ARG(s->out->where.channel), HISTORY_MAX,
             (unsigned long long)discord_id_at(since_ms));
    s->call = (struct discord_call){ .method = "GET",
                                     .route = "/channels/{}/messages",
                                     .path = str_of(s->path),
                                     .major = s->out->where.channel };
    op_init(&s->inner, s->outer->loop, on_history);
    discord_call(s->bot, &s->inner, &s->call, &s->reply);
}

void discord_send(struct channel *ch, struct op *op, const struct outbound *out, struct sent *ret)
{
    struct send *s = mem_new(struct send);
    s->outer = op;
    s->bot = discord_of(ch);
    s->out = out;
    s->ret = ret;
    *ret = (struct sent){ "", "" };
    buf_init(&s->body, BODY_MAX);
    buf_init(&s->text, BODY_MAX);
    op_init(&s->inner, ch->host->loop, on_sent);
    op_begin(op, &send_kind, s, SEND_MAX_MS);
    snprintf(s->edits, sizeof(s->edits), "%.*s", STR_ARG(out->edits));
    take_ticket(s);
    build_text(s);
    enum way way = first_way(s);
    if (way == CREATE && out->repeated)
        look_first(s);
    else
        send_by(s, way);
}

/* --- what nobody waits for --- */

struct note {
    struct list link;
    struct op op;
    struct discord_call call;
    struct discord_reply reply;
    struct buf body;
    char path[SEND_PATH_MAX], major[DISCORD_TOKEN_MAX];
};

static void note_free(struct note *n)
{
    op_cancel(&n->op);
    list_drop(&n->link);
    discord_reply_done(&n->reply);
    buf_done(&n->body);
    free(n);
}

static void on_noted(struct op *op)
{
    struct note *n = container_of(op, struct note, op);
    if (op->err.kind && n->call.interaction)
        log_warn("discord", "an interaction could not be acknowledged", "why=%s",
                 log_quote(str_of(op->err.msg)));
    note_free(n);
}

static struct note *note_new(struct discord *d)
{
    struct note *n = mem_new(struct note);
    buf_init(&n->body, BODY_MAX);
    op_init(&n->op, d->channel.host->loop, on_noted);
    list_push(&d->notes, &n->link);
    return n;
}

void discord_typing(struct channel *ch, const struct place *where)
{
    struct discord *d = discord_of(ch);
    if (list_length(&d->notes) >= NOTES_MAX) return;
    struct note *n = note_new(d);
    snprintf(n->path, sizeof(n->path), "/channels/%.*s/typing", STR_ARG(where->channel));
    snprintf(n->major, sizeof(n->major), "%.*s", STR_ARG(where->channel));
    n->call = (struct discord_call){ .method = "POST",
                                     .route = "/channels/{}/typing",
                                     .path = str_of(n->path),
                                     .major = str_of(n->major),
                                     .yields = true,
                                     .wait_ms = NOTE_MS };
    discord_call(d, &n->op, &n->call, &n->reply);
}

void discord_acknowledge_body(int ack, struct str text, struct buf *to)
{
    struct json_out o = JSON_OUT(to);
    json_open(&o, '{');
    json_field_i64(&o, "type", ack);
    if (ack == DISCORD_ACK_MESSAGE) {
        json_key(&o, "data");
        json_open(&o, '{');
        json_field_str(&o, "content", text);
        json_field_i64(&o, "flags", FLAG_EPHEMERAL);
        json_key(&o, "allowed_mentions");
        json_put_raw(&o, STR("{\"parse\":[]}"));
        json_close(&o, '}');
    }
    json_close(&o, '}');
}

void discord_acknowledge(struct discord *d, const struct discord_interaction *what, struct str text)
{
    struct note *n = note_new(d);
    snprintf(n->path, sizeof(n->path), "/interactions/%.*s/%.*s/callback", STR_ARG(what->id),
             STR_ARG(what->token));
    snprintf(n->major, sizeof(n->major), "%.*s", STR_ARG(what->id));
    discord_acknowledge_body((int)what->ack, text, &n->body);
    n->call = (struct discord_call){ .method = "POST",
                                     .route = "/interactions/{}/{}/callback",
                                     .path = str_of(n->path),
                                     .major = str_of(n->major),
                                     .body = buf_str(&n->body),
                                     .interaction = true,
                                     .wait_ms = NOTE_MS };
    discord_call(d, &n->op, &n->call, &n->reply);
}

void discord_notes_cancel(struct discord *d)
{
    list_each (it, next, &d->notes) note_free(container_of(it, struct note, link));
}
