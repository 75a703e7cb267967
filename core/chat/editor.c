/* editor: previews of a growing answer, one on its way at a time, no faster than the platform
 * likes. */
#include "core/chat/editor.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/chat/turn.h"

#define SETTLE_MS 30000
#define NOTE_MAX  1024
#define MORE_MARK " …" /* a sign that more is coming */

/* In the memory of the turn, once there is one; never where answers are shown piece by piece. */
struct preview {
    struct editor *editor;
    struct op send, note; /* on its way; its id being kept */
    struct outbound out;
    struct sent sent;
    struct buf text; /* what is being sent */
};

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
    op_cancel(&e->preview->send);
}

static const struct op_kind settle_kind = { "editor.settle", settle_drop };

void editor_init(struct editor *e, struct turn *t)
{
    const struct channel_type *type = t->channel->type;
    e->turn = t;
    e->later.fire = on_later;
    e->message = t->request.preview_message;
    e->every_ms = t->request.direct ? type->preview_ms : type->preview_group_ms;
    e->next_ms = clock_ms() + (uint64_t)t->chat->conf.preview_after_ms;
    e->off = !can_edit(e);
    buf_init(&e->notice, NOTE_MAX);
}

void editor_done(struct editor *e)
{
    if (!e->turn) return;
    timer_clear(e->turn->chat->loop, &e->later);
    buf_done(&e->notice);
    if (!e->preview) return;
    op_cancel(&e->preview->send);
    op_cancel(&e->preview->note);
    buf_done(&e->preview->text);
}

/* The part of the answer that fits one message. */
static struct str preview_head(const struct editor *e)
{
    const struct channel_type *type = e->turn->channel->type;
    struct str all = buf_str(&e->turn->answer.text);
    size_t room = type->text_max - utf8_length(STR(MORE_MARK), type->text_unit);
    return str_head(all, utf8_prefix(all, room, type->text_unit));
}

static void on_noted(struct op *op)
{
    (void)op; /* not kept: should we die now, the preview stays behind */
}

static struct preview *preview_of(struct editor *e)
{
    struct turn *t = e->turn;
    if (e->preview) return e->preview;
    struct preview *p = e->preview = arena_new(&t->arena, struct preview);
    p->editor = e;
    op_init(&p->send, t->chat->loop, on_sent);
    op_init(&p->note, t->chat->loop, on_noted);
    buf_init(&p->text, t->channel->type->text_max * 4 + sizeof MORE_MARK);
    return p;
}

static bool is_sending(const struct editor *e)
{
    return e->preview && op_busy(&e->preview->send);
}

static void send_preview(struct editor *e)
{
    struct turn *t = e->turn;
    if (!turn_holds(t)) return; /* it would take the place of an answer that another process gave */
    struct str head = preview_head(e);
    bool waits = head.n == 0 && e->notice.n > 0;
    if (head.n == e->shown && !waits) return; /* full: the rest comes with the final parts */
    e->shown = head.n;
    struct preview *p = preview_of(e);
    buf_clear(&p->text);
    if (waits)
        buf_add(&p->text, buf_str(&e->notice));
    else
        buf_addf(&p->text, "%.*s" MORE_MARK, STR_ARG(head));
    p->out = turn_outbound(t);
    p->out.text = buf_str(&p->text);
    p->out.so_far = str_head(p->out.text, head.n);
    p->out.edits = e->message;
    p->out.preview = true;
    p->sent = (struct sent){ .message_id = "" };
    t->channel->type->send(t->channel, &p->send, &p->out, &p->sent);
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

static void on_sent(struct op *op)
{
    struct preview *p = container_of(op, struct preview, send);
    struct editor *e = p->editor;
    struct turn *t = e->turn;
    e->next_ms = clock_ms() + (uint64_t)e->every_ms;
    if (op->err.kind == ERR_NONE && !e->message.n && p->sent.message_id[0]) {
        e->message = arena_dup(&t->arena, str_of(p->sent.message_id));
        store_preview(t->chat->store, &p->note, t->request.request, t->request.attempt, e->message);
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
    if (e->off || is_sending(e) || timer_armed(&e->later)) return;
    uint64_t now = clock_ms();
    if (now >= e->next_ms)
        send_preview(e);
    else
        timer_set(t->chat->loop, &e->later, e->next_ms - now);
}

static void show_progress(struct editor *e, struct str so_far, struct str piece)
{
    const struct claimed *rq = &e->turn->request;
    struct channel *ch = e->turn->channel;
    if (!ch->type->progress || !turn_holds(e->turn)) return;
    const struct place where = { rq->workspace, rq->place, rq->thread };
    ch->type->progress(ch, &where, rq->request, so_far, piece);
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
    if (!is_sending(e)) return false;
    e->settle = op;
    op_begin(op, &settle_kind, e, SETTLE_MS);
    return true;
}
