/*
 * send - one outbound message is one call, and at most a few more: a look whether it is there
 * already, an edit where a stream has died, without what Slack does not take.
 */
#include "channels/slack/send.h"

#include "channels/slack/api.h"
#include "channels/slack/body.h"
#include "channels/slack/format.h"
#include "channels/slack/look.h"
#include "channels/slack/note.h"
#include "channels/slack/stream.h"
#include "channels/slack/team.h"
#include "channels/slack/ticket.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define BODY_MAX    ((size_t)256 * 1024)
#define SEND_MAX_MS 240000 /* behind what the calls can take */
#define CALLS_MAX   6

/* The ways a message can go. */
enum way {
    POST,    /* a new message */
    UPDATE,  /* an edit of ours */
    START,   /* a new message that grows */
    APPEND,  /* more of it */
    STOP,    /* its end */
    RESPOND, /* by the response_url of a command or button */
    N_WAYS
};

static const char *const methods[N_WAYS] = { "chat.postMessage", "chat.update",
                                             "chat.startStream", "chat.appendStream",
                                             "chat.stopStream",  "response_url" };

struct send {
    struct op inner, *outer;
    struct slack *bot;
    const struct outbound *out;
    struct sent *ret;
    struct slack_call call;
    struct slack_reply reply;
    struct slack_look look;
    enum way way;
    unsigned n_calls;
    bool then_update; /* the stream ends; its text is another */
    bool no_blocks, no_thread;
    bool has_ticket;
    struct slack_ticket ticket;
    struct buf text, markdown; /* in both of Slack's dialects */
    struct buf body;
    char ts[64]; /* of the message that is edited, or was made */
    char token[256], user[SLACK_ID_MAX];
};

static void send_by(struct send *s, enum way way);

/* --- what it says --- */

static void build_text(struct send *s)
{
    const struct outbound *out = s->out;
    if (!slack_format(out->text, &s->text)) slack_escape(out->text, &s->text);
    if (s->bot->text == SLACK_TEXT_MARKDOWN) slack_markdown(out->text, &s->markdown);
}

static void put_face(const struct send *s, struct json_out *o)
{
    const struct slack_face face = { buf_str(&s->text), buf_str(&s->markdown), s->bot->buttons };
    json_field_str(o, "text", face.text);
    json_key(o, "blocks");
    if (s->no_blocks)
        json_put_raw(o, STR("[]"));
    else
        slack_put_blocks(o, s->out, &face);
}

static void put_thread(const struct send *s, struct json_out *o)
{
    if (s->out->where.thread.n && !s->no_thread)
        json_field_str(o, "thread_ts", s->out->where.thread);
}

static void put_post(const struct send *s, struct json_out *o)
{
    put_thread(s, o);
    put_face(s, o);
    json_field_bool(o, "unfurl_links", false);
    json_field_bool(o, "unfurl_media", false);
    slack_put_marker(o, s->out);
}

/* For who gave the command or pressed the button. What asks for a yes stays until it has one. */
static bool is_whisper(const struct send *s)
{
    return s->has_ticket && s->out->notice && !s->out->asks;
}

static void put_respond(const struct send *s, struct json_out *o)
{
    json_field_str(o, "response_type", is_whisper(s) ? STR("ephemeral") : STR("in_channel"));
    json_field_bool(o, "replace_original", false);
    put_thread(s, o);
    put_face(s, o);
}

/* What the stream does not show yet. A preview ends at a blank: what a half word or sign means may
 * change with its other half. */
static struct str stream_text(const struct send *s, struct buf *to)
{
    struct str text = s->out->preview ? s->out->so_far : s->out->text;
    while (s->out->preview && text.n && text.p[text.n - 1] != ' ' && text.p[text.n - 1] != '\n')
        text.n--;
    return slack_markdown(text, to) ? buf_str(to) : STR_NONE;
}

static void put_stream(const struct send *s, struct json_out *o)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(BODY_MAX);
    struct str text = stream_text(s, &b), rest = text;
    if (s->way == START) {
        put_thread(s, o);
        json_field_str(o, "recipient_user_id", s->out->person);
        json_field_str(o, "recipient_team_id", s->out->where.workspace);
    } else if (s->then_update ||
               !slack_stream_rest(s->bot, s->out->where.channel, str_of(s->ts), text, &rest)) {
        rest = STR_NONE;
    }
    if (rest.n) json_field_str(o, "markdown_text", rest);
    if (s->way != STOP || s->then_update) return;
    if (s->bot->buttons && !s->no_blocks) {
        json_key(o, "blocks");
        slack_put_buttons(o, s->out);
    }
    slack_put_marker(o, s->out);
}

static void build_body(struct send *s)
{
    struct json_out o = JSON_OUT(&s->body);
    buf_clear(&s->body);
    json_open(&o, '{');
    if (s->way != RESPOND) json_field_str(&o, "channel", s->out->where.channel);
    if (s->way == UPDATE || s->way == APPEND || s->way == STOP)
        json_field_str(&o, "ts", str_of(s->ts));
    switch (s->way) {
    case POST: put_post(s, &o); break;
    case UPDATE: put_face(s, &o); break;
    case RESPOND: put_respond(s, &o); break;
    default: put_stream(s, &o); break;
    }
    json_close(&o, '}');
}

/* --- the end --- */

static void send_free(struct send *s)
{
    op_cancel(&s->inner);
    slack_reply_done(&s->reply);
    buf_done(&s->text);
    buf_done(&s->markdown);
    buf_done(&s->body);
    free(s);
}

static void send_drop(struct op *op)
{
    send_free(op->impl);
}

static const struct op_kind send_kind = { "slack.send", send_drop };

/* The sign at the question goes when the answer is there. */
static void send_succeeded(struct send *s)
{
    const struct outbound *out = s->out;
    if (!out->preview && out->part == 0 && out->reply_to.n)
        slack_react(s->bot, &out->where, out->reply_to, false);
    snprintf(s->ret->message_id, sizeof(s->ret->message_id), "%s", s->ts);
    op_finish(s->outer);
    send_free(s);
}

/* What repeats itself without harm was just not done, rather than perhaps. */
static void send_failed(struct send *s, struct err why)
{
    bool fresh = s->way == POST || s->way == START;
    if (s->way == APPEND && why.kind != ERR_LIMIT)
        slack_stream_spoil(s->bot, s->out->where.channel, str_of(s->ts));
    if (why.kind == ERR_UNKNOWN && !fresh && s->way != RESPOND) why.kind = ERR_IO;
    if (why.kind == ERR_UNKNOWN && fresh && s->out->preview) slack_doubt(s->bot, &s->out->request);
    /* Only a message of ours that is gone is "not found" to those who asked for an edit. */
    if (why.kind == ERR_NOT_FOUND && !s->out->edits.n) why.kind = ERR_REFUSED;
    op_fail(s->outer, &why);
    send_free(s);
}

/* --- sending --- */

static void on_sent(struct op *inner);

static void send_by(struct send *s, enum way way)
{
    s->way = way;
    if (++s->n_calls > CALLS_MAX) {
        send_failed(s, (struct err){ ERR_REFUSED, 0, "Slack takes the message in no way" });
        return;
    }
    build_body(s);
    s->call = (struct slack_call){
        .method = methods[way],
        .team = s->out->where.workspace,
        .token = way == RESPOND ? STR_NONE : str_of(s->token),
        .channel = s->out->where.channel,
        .body = buf_str(&s->body),
        .yields = s->out->preview,
        .url = way == RESPOND ? s->ticket.url : NULL,
    };
    op_init(&s->inner, s->outer->loop, on_sent);
    slack_reply_done(&s->reply);
    slack_call(s->bot, &s->inner, &s->call, &s->reply);
}

static void take_ts(struct send *s)
{
    struct str ts;
    if (json_get_str(s->reply.doc, "ts", &ts)) snprintf(s->ts, sizeof(s->ts), "%.*s", STR_ARG(ts));
}

static void accepted(struct send *s)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(BODY_MAX);
    struct str channel = s->out->where.channel;
    if (s->way == POST || s->way == START) take_ts(s);
    if (s->way == START || s->way == APPEND)
        slack_stream_put(s->bot, channel, str_of(s->ts), stream_text(s, &b));
    if (s->way == STOP) slack_stream_drop(s->bot, channel, str_of(s->ts));
    if (s->way == STOP && s->then_update)
        send_by(s, UPDATE);
    else
        send_succeeded(s);
}

static bool is_closed_to_us(const struct send *s)
{
    static const char *const errors[] = { "not_in_channel", "channel_not_found", "is_archived" };
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
        if (slack_reply_is(&s->reply, errors[i])) return true;
    return false;
}

static bool is_thread_gone(const struct send *s)
{
    return slack_reply_is(&s->reply, "thread_not_found") ||
           slack_reply_is(&s->reply, "invalid_thread_ts");
}

static bool are_blocks_refused(const struct send *s)
{
    return slack_reply_is(&s->reply, "invalid_blocks") ||
           slack_reply_is(&s->reply, "invalid_blocks_format") ||
           slack_reply_is(&s->reply, "msg_blocks_too_long");
}

/* The way that is left when a new message was refused; N_WAYS = none. */
static enum way instead_of_new(struct send *s, const struct err *why)
{
    if (s->way == START && why->kind != ERR_UNKNOWN && why->kind != ERR_IO) {
        if (why->kind != ERR_LIMIT) slack_stream_refused(s->bot, s->out->where.channel);
        return POST;
    }
    if (s->way == POST && is_closed_to_us(s) && s->has_ticket && !s->out->preview) return RESPOND;
    if (s->way == POST && is_thread_gone(s) && !s->no_thread) {
        s->no_thread = true;
        return POST;
    }
    if (s->way == RESPOND &&
        (why->kind == ERR_REFUSED || why->kind == ERR_NOT_FOUND || why->kind == ERR_AUTH)) {
        s->has_ticket = false;
        return POST;
    }
    return N_WAYS;
}

/* The same for a message that is there. */
static enum way instead_of_edit(struct send *s, const struct err *why)
{
    bool stream = s->way == APPEND || s->way == STOP;
    if (stream && (why->kind == ERR_REFUSED || why->kind == ERR_NOT_FOUND)) {
        slack_stream_drop(s->bot, s->out->where.channel, str_of(s->ts));
        return UPDATE; /* it has died, or somebody stopped it */
    }
    if (s->way == UPDATE && slack_reply_is(&s->reply, "streaming_state_conflict") &&
        !s->then_update) {
        s->then_update = true; /* begun by a process that is no more */
        return STOP;
    }
    return N_WAYS;
}

static void on_sent(struct op *inner)
{
    struct send *s = container_of(inner, struct send, inner);
    const struct err why = inner->err;
    if (why.kind == ERR_NONE) {
        accepted(s);
        return;
    }
    enum way other = instead_of_new(s, &why);
    if (other == N_WAYS) other = instead_of_edit(s, &why);
    if (other == N_WAYS && are_blocks_refused(s) && !s->no_blocks) {
        s->no_blocks = true;
        other = s->way;
    }
    if (other == N_WAYS)
        send_failed(s, why);
    else
        send_by(s, other);
}

/* --- which way first --- */

static bool may_stream(const struct send *s)
{
    const struct outbound *out = s->out;
    return s->bot->streaming && out->preview && out->where.thread.n && out->person.n &&
           slack_stream_may(s->bot, out->where.channel);
}

static enum way way_of_edit(struct send *s)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(BODY_MAX);
    struct str channel = s->out->where.channel, rest = STR_NONE;
    if (!slack_stream_is(s->bot, channel, str_of(s->ts))) return UPDATE;
    if (slack_stream_rest(s->bot, channel, str_of(s->ts), stream_text(s, &b), &rest))
        return s->out->preview ? APPEND : STOP;
    s->then_update = true;
    return STOP;
}

static enum way first_way(struct send *s)
{
    if (s->ts[0]) return way_of_edit(s);
    if (is_whisper(s)) return RESPOND;
    return may_stream(s) ? START : POST;
}

static bool adds_nothing(struct send *s, enum way way)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(BODY_MAX);
    struct str text = stream_text(s, &b), rest = text;
    if (way == START) return !text.n;
    return way == APPEND &&
           slack_stream_rest(s->bot, s->out->where.channel, str_of(s->ts), text, &rest) && !rest.n;
}

static void go(struct send *s)
{
    enum way way = first_way(s);
    if (way == START && adds_nothing(s, way)) way = POST;
    if (adds_nothing(s, way))
        send_succeeded(s);
    else
        send_by(s, way);
}

/* It is there: what it says is made what it should say, which also repeats without harm. */
static void on_looked(struct op *inner)
{
    struct send *s = container_of(inner, struct send, inner);
    const struct err why = inner->err;
    if (why.kind) {
        s->way = UPDATE; /* nothing was posted */
        send_failed(s, why);
        return;
    }
    if (s->look.ts[0]) snprintf(s->ts, sizeof(s->ts), "%s", s->look.ts);
    go(s);
}

static void on_team(struct op *inner)
{
    struct send *s = container_of(inner, struct send, inner);
    const struct slack_team *team = slack_team(s->bot, s->out->where.workspace);
    struct err why = inner->err;
    if (!why.kind && !team) err_set(&why, ERR_IO, "the workspace was left in this moment");
    if (why.kind) {
        if (why.kind == ERR_NOT_FOUND) why.kind = ERR_REFUSED;
        s->way = POST;
        send_failed(s, why);
        return;
    }
    snprintf(s->token, sizeof(s->token), "%s", team->token);
    snprintf(s->user, sizeof(s->user), "%s", team->user);
    bool fresh = !s->out->edits.n && !is_whisper(s);
    if (fresh && (s->out->repeated || slack_doubted(s->bot, &s->out->request))) {
        op_init(&s->inner, s->outer->loop, on_looked);
        s->look = (struct slack_look){ .token = str_of(s->token), .user = str_of(s->user) };
        slack_look(s->bot, &s->inner, s->out, &s->look);
    } else {
        go(s);
    }
}

void slack_send(struct channel *ch, struct op *op, const struct outbound *out, struct sent *ret)
{
    struct send *s = mem_new(struct send);
    s->outer = op;
    s->bot = slack_of(ch);
    s->out = out;
    s->ret = ret;
    *ret = (struct sent){ "", "" };
    buf_init(&s->text, BODY_MAX);
    buf_init(&s->markdown, BODY_MAX);
    buf_init(&s->body, BODY_MAX);
    snprintf(s->ts, sizeof(s->ts), "%.*s", STR_ARG(out->edits));
    s->has_ticket = out->ticket.n && slack_ticket_open(s->bot, out->ticket, &s->ticket);
    build_text(s);
    op_init(&s->inner, ch->host->loop, on_team);
    op_begin(op, &send_kind, s, SEND_MAX_MS);
    slack_teams_find(s->bot, &s->inner, out->where.workspace);
}
