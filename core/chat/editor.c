/* editor: previews of a growing answer, one on its way at a time, no faster than the platform
 * likes. */
#include "core/chat/editor.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/chat/turn.h"

#define SETTLE_MS 30000
#define NOTE_MAX  1024
#define MORE_MARK " …" /* a sign that more is coming */

static void on_later(struct timer *timer);
static void on_sent(struct op *op);

static bool can_edit(const struct editor *e)
{
    return e->turn->channel->type->caps & CHANNEL_CAN_EDIT;
}

/* Not waited for any longer: what comes back late must not meet a later op of the turn. */
static void settle_drop(struct op *op)
{
    struct editor *e = op->impl;
    e->settle = NULL;
    op_cancel(&e->send);
}

static const struct op_kind settle_kind = { "editor.settle", settle_drop };

void editor_init(struct editor *e, struct turn *t)
{
    const struct channel_type *type = t->channel->type;
    e->turn = t;
    op_init(&e->send, t->chat->loop, on_sent);
    op_init(&e->note, t->chat->loop, NULL);
    e->later.fire = on_later;
    e->message = t->request.preview_message;
    e->every_ms = t->request.direct ? type->preview_ms : type->preview_group_ms;
    e->next_ms = clock_ms() + (uint64_t)t->chat->conf.preview_after_ms;
    e->off = !can_edit(e);
    buf_init(&e->text, type->text_max * 4 + sizeof MORE_MARK);
    buf_init(&e->notice, NOTE_MAX);
}

void editor_done(struct editor *e)
{
    if (!e->turn) return;
    op_cancel(&e->send);
    op_cancel(&e->note);
    timer_clear(e->turn->chat->loop, &e->later);
    buf_done(&e->text);
    buf_done(&e->notice);
}

/* The part of the answer that fits one message. */
static struct str preview_head(const struct editor *e)
{
    const struct channel_type *type = e->turn->channel->type;
    struct str all = buf_str(&e->turn->answer.text);
    size_t room = type->text_max - utf8_length(STR(MORE_MARK), type->text_unit);
    return str_head(all, utf8_prefix(all, room, type->text_unit));
}

static void send_preview(struct editor *e)
{
    struct turn *t = e->turn;
    struct str head = preview_head(e);
    bool waits = head.n == 0 && e->notice.n > 0;
    if (head.n == e->shown && !waits) return; /* full: the rest comes with the final parts */
    e->shown = head.n;
    buf_clear(&e->text);
    if (waits)
        buf_add(&e->text, buf_str(&e->notice));
    else
        buf_addf(&e->text, "%.*s" MORE_MARK, STR_ARG(head));
    e->out = turn_outbound(t);
    e->out.text = buf_str(&e->text);
    e->out.so_far = str_head(e->out.text, head.n);
    e->out.edits = e->message;
    e->out.preview = true;
    e->sent = (struct sent){ .message_id = "" };
    t->channel->type->send(t->channel, &e->send, &e->out, &e->sent);
}

/* Switched off while it was growing: the whole answer takes the place of what stands there. */
static bool is_streamed(const struct editor *e)
{
    return switch_on(e->turn, FLAG_STREAMING);
}

static void on_later(struct timer *timer)
{
    struct editor *e = container_of(timer, struct editor, later);
    if (e->notice.n || is_streamed(e)) send_preview(e);
}

static void on_noted(struct op *op)
{
    (void)op; /* not kept: should we die now, the preview stays behind */
}

static void on_sent(struct op *op)
{
    struct editor *e = container_of(op, struct editor, send);
    struct turn *t = e->turn;
    e->next_ms = clock_ms() + (uint64_t)e->every_ms;
    if (op->err.kind == ERR_NONE && !e->message.n && e->sent.message_id[0]) {
        e->message = arena_dup(&t->arena, str_of(e->sent.message_id));
        op_init(&e->note, t->chat->loop, on_noted);
        store_preview(t->chat->store, &e->note, t->request.request, t->request.attempt, e->message);
    } else if (op->err.kind == ERR_LIMIT) {
        /* They complain: from now on at half the pace, and the final text keeps its place in the
         * budget. */
        e->every_ms *= 2;
        e->next_ms = clock_ms() + op->err.retry_after_ms + (uint64_t)e->every_ms;
    } else if (op->err.kind != ERR_NONE) {
        e->off = true;
        if (op->err.kind == ERR_NOT_FOUND) e->message = STR_NONE; /* the person deleted it */
        log_debug("turn", "no more previews", "turn=%s kind=%s", t->id,
                  err_rule(op->err.kind)->name);
    }
    if (e->settle) {
        op_finish(e->settle);
        e->settle = NULL;
    }
}

/* Where previews are edits: now, or as soon as the platform likes. */
static void preview(struct editor *e)
{
    struct turn *t = e->turn;
    if (e->off || op_busy(&e->send) || timer_armed(&e->later)) return;
    uint64_t now = clock_ms();
    if (now >= e->next_ms)
        send_preview(e);
    else
        timer_set(t->chat->loop, &e->later, e->next_ms - now);
}

static void show_progress(struct editor *e, struct str so_far, struct str piece)
{
    struct turn *t = e->turn;
    if (!t->channel->type->progress) return;
    struct outbound head = turn_outbound(t);
    head.preview = true;
    t->channel->type->progress(t->channel, &head, so_far, piece);
}

void editor_grew(struct editor *e, struct str piece)
{
    struct str so_far = buf_str(&e->turn->answer.text);
    buf_clear(&e->notice);
    if (!is_streamed(e)) return;
    show_progress(e, so_far, piece);
    preview(e);
}

void editor_note(struct editor *e, struct str text)
{
    if (e->turn->answer.text.n || str_eq(buf_str(&e->notice), text)) return;
    buf_clear(&e->notice);
    buf_add(&e->notice, text);
    show_progress(e, text, text);
    preview(e);
}

void editor_restart(struct editor *e)
{
    timer_clear(e->turn->chat->loop, &e->later);
    e->shown = 0;
}

bool editor_settle(struct editor *e, struct op *op)
{
    timer_clear(e->turn->chat->loop, &e->later);
    e->off = true;
    if (!op_busy(&e->send)) return false;
    e->settle = op;
    op_begin(op, &settle_kind, e, SETTLE_MS);
    return true;
}
