/*
 * delivery: the parts of a reply go out in order, one at a time.
 *
 * A part is marked "sending" in the database before its first byte leaves, and recorded afterwards;
 * the first one in the commit that keeps the reply. Where a process died, or a connection broke,
 * between the two, nobody can know whether the platform took it: for a platform with idempotency
 * keys, and for an edit, it is simply sent again; for others chat.unknown_outcome decides.
 */
#include "core/chat/delivery.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/retry.h"
#include "core/chat/keeper.h"
#include "core/chat/split.h"
#include "core/chat/turn.h"
#include <stdio.h>

#define DELIVERY_BUDGET_MS (6 * 3600 * 1000) /* platforms have asked bots to wait for hours */
#define PARTS_MAX          20
#define STORE_RETRY_MS     500

enum {
    STEP_LOAD,
    STEP_WAIT,
    STEP_MARK,
    STEP_SEND,
    STEP_RECORD,
    STEP_NOTICE,
    STEP_RECORD_WAIT,
    STEP_N
};

static const struct retry send_retry = { .base_ms = 1000, .max_ms = 60000 };

static struct metric m_sent[] = {
    METRIC(METRIC_COUNTER, "parley_deliveries_total", "outcome=\"sent\"",
           "Parts of replies by outcome"),
    METRIC(METRIC_COUNTER, "parley_deliveries_total", "outcome=\"retried\"",
           "Parts of replies by outcome"),
    METRIC(METRIC_COUNTER, "parley_deliveries_total", "outcome=\"unknown\"",
           "Parts of replies by outcome"),
    METRIC(METRIC_COUNTER, "parley_deliveries_total", "outcome=\"dead\"",
           "Parts of replies by outcome"),
};
enum { SENT, RETRIED, UNKNOWN, DEAD };

static struct delivery *of_flow(struct flow *f)
{
    return container_of(f, struct delivery, flow);
}
static struct delivery_part *part(struct delivery *d)
{
    return &d->parts[d->at];
}

/* Sending the same part twice shows it once: the platform knows our key, or it is an edit. */
static bool is_repeatable(const struct delivery *d)
{
    return (d->turn->channel->type->caps & CHANNEL_KEYED) || d->out.edits.n > 0;
}

static enum flow_rc go(struct delivery *d, uint16_t step)
{
    flow_goto(&d->flow, step);
    return FLOW_NEXT;
}

/* The message that showed the answer growing becomes its first part. */
static struct str edits_for(const struct delivery *d, int at)
{
    return at == 0 && !d->preview_gone ? d->turn->editor.message : STR_NONE;
}

static void prepare(struct delivery *d)
{
    struct turn *t = d->turn;
    d->out = turn_outbound(t);
    d->out.text = part(d)->text;
    d->out.edits = edits_for(d, d->at);
    d->out.delivery = part(d)->id;
    d->out.message = d->message;
    d->out.part = d->at;
    d->out.n_parts = d->n_parts;
    d->out.repeated = part(d)->unknown;
    if (d->at > 0) d->out.reply_to = STR_NONE; /* only the first part quotes the question */
    d->sent = (struct sent){ .message_id = "" };
    d->result = (struct delivery_result){ .delivery = part(d)->id,
                                          .request = t->request.request,
                                          .attempt = t->request.attempt,
                                          .last = d->at + 1 == d->n_parts };
}

/* This part is over without having been seen to arrive. */
static void give_up(struct delivery *d, int outcome)
{
    part(d)->open = false;
    d->result.status = outcome == UNKNOWN ? STR("unknown") : STR("dead");
    metric_add(&m_sent[outcome], 1);
}

/* ---- load: the parts that another process kept ---- */

static enum flow_rc load_start(struct flow *f)
{
    struct delivery *d = of_flow(f);
    if (d->parts) return FLOW_NEXT;
    store_parts(d->turn->chat->store, &f->op, d->turn->request.request, &d->rows);
    return FLOW_WAIT;
}

static enum flow_rc load_done(struct flow *f)
{
    struct delivery *d = of_flow(f);
    struct turn *t = d->turn;
    d->n_parts = d->rows.n;
    d->parts = arena_new_array(&t->arena, struct delivery_part, (size_t)d->n_parts + 1);
    for (int i = 0; i < d->n_parts; i++) {
        struct str status = pg_rows_str(&d->rows, i, 5);
        d->parts[i] = (struct delivery_part){
            .id = pg_rows_uuid(&d->rows, i, 0),
            .text = arena_dup(&t->arena, pg_rows_str(&d->rows, i, 3)),
            .attempts = (int)pg_rows_i64(&d->rows, i, 6),
            .wait_ms = pg_rows_i64(&d->rows, i, 7),
            .open = str_eq(status, STR("pending")) || str_eq(status, STR("sending")),
            .unknown = str_eq(status, STR("sending")),
        };
        t->notice = pg_rows_bool(&d->rows, i, 4);
        t->permit.asks = pg_rows_bool(&d->rows, i, 9);
    }
    return FLOW_NEXT;
}

/* ---- wait: until the platform wants to hear from us again; skip what is through ---- */

/* All parts are through: sent by a process that died before it could end the request. */
static void end_request(struct delivery *d)
{
    d->result = (struct delivery_result){ .request = d->turn->request.request,
                                          .attempt = d->turn->request.attempt,
                                          .status = STR("sent"),
                                          .last = true };
}

static enum flow_rc wait_start(struct flow *f)
{
    struct delivery *d = of_flow(f);
    while (d->at < d->n_parts && !part(d)->open) d->at++;
    if (d->at == d->n_parts) {
        end_request(d);
        return go(d, STEP_RECORD);
    }
    prepare(d);
    if (part(d)->unknown && !is_repeatable(d) &&
        d->turn->chat->conf.unknown_outcome != UNKNOWN_RESEND) {
        d->result.error = STR("the process died while sending");
        give_up(d, UNKNOWN);
        return go(d, STEP_RECORD);
    }
    if (part(d)->wait_ms <= 0) return FLOW_NEXT;
    op_sleep(&f->op, (uint64_t)part(d)->wait_ms);
    return FLOW_WAIT;
}

/* ---- mark: from here on the outcome is unknown until it is recorded ---- */

static enum flow_rc mark_start(struct flow *f)
{
    struct delivery *d = of_flow(f);
    struct turn *t = d->turn;
    part(d)->wait_ms = 0;
    if (part(d)->marked) {
        part(d)->marked = false;
        return FLOW_NEXT;
    }
    t->leasing_ms = clock_ms();
    store_mark(t->chat->store, &f->op, part(d)->id, t->request.request, t->request.attempt,
               t->chat->conf.lease_ms, &d->rows);
    return FLOW_WAIT;
}

static enum flow_rc mark_done(struct flow *f)
{
    struct delivery *d = of_flow(f);
    if (d->rows.n > 0) {
        d->turn->leased_ms = d->turn->leasing_ms;
        return FLOW_NEXT;
    }
    err_set(&f->err, ERR_CANCELLED, "the lease was lost");
    return FLOW_STOP;
}

/* Marked or not, nothing was sent: wait for PostgreSQL and mark again. */
static enum flow_rc mark_failed(struct flow *f)
{
    struct delivery *d = of_flow(f);
    if (store_refused(&f->op.err)) return FLOW_STOP;
    part(d)->unknown = false;
    part(d)->wait_ms = STORE_RETRY_MS;
    return go(d, STEP_WAIT);
}

/* ---- send ---- */

static enum flow_rc send_start(struct flow *f)
{
    struct delivery *d = of_flow(f);
    if (!turn_holds(d->turn)) return go(d, STEP_MARK); /* asleep for long: is it still ours? */
    part(d)->attempts++;
    d->turn->channel->type->send(d->turn->channel, &f->op, &d->out, &d->sent);
    return FLOW_WAIT;
}

/* The group has become another one: this turn's remaining parts and all later turns go there. */
static void place_moved(struct delivery *d)
{
    struct turn *t = d->turn;
    struct str place = arena_dup(&t->arena, str_of(d->sent.moved_to));
    log_info(t->channel->name, "place moved", "turn=%s", t->id);
    keeper_move(t->chat, t->request.channel, t->request.place, place);
    t->request.place = place;
}

static enum flow_rc send_done(struct flow *f)
{
    struct delivery *d = of_flow(f);
    part(d)->open = false;
    d->result.status = STR("sent");
    d->result.platform_message = str_of(d->sent.message_id);
    if (d->sent.moved_to[0]) place_moved(d);
    metric_add(&m_sent[SENT], 1);
    return FLOW_NEXT;
}

static void send_again(struct delivery *d, int64_t wait_ms)
{
    part(d)->wait_ms = wait_ms;
    d->result.status = STR("pending");
    d->result.retry_ms = wait_ms;
    d->result.last = false;
    metric_add(&m_sent[RETRIED], 1);
}

/* Nothing was sent: again, when the platform or our back-off allows, but not for ever. */
static void send_later(struct delivery *d, const struct err *why)
{
    int attempts = part(d)->attempts;
    bool limited = why->kind == ERR_LIMIT && why->retry_after_ms > 0;
    if (!limited && attempts >= d->turn->chat->conf.send_attempts)
        give_up(d, DEAD);
    else
        send_again(d, retry_delay_ms(&send_retry, (unsigned)attempts, why->retry_after_ms));
}

static enum flow_rc send_failed(struct flow *f)
{
    struct delivery *d = of_flow(f);
    const struct err *why = &f->op.err;
    bool perhaps_sent = why->kind == ERR_UNKNOWN || why->kind == ERR_TIMEOUT;
    bool blindly = is_repeatable(d) || d->turn->chat->conf.unknown_outcome == UNKNOWN_RESEND;
    log_warn(d->turn->channel->name, "send failed",
             "turn=%s part=%d attempt=%d kind=%s retry_ms=%u text=%s", d->turn->id, d->at,
             part(d)->attempts, err_rule(why->kind)->name, why->retry_after_ms,
             log_quote(str_of(why->msg)));
    /* A copy: recording uses the same op, perhaps several times. */
    d->result.error = arena_dup(&d->turn->arena, str_of(why->msg));
    if (why->kind == ERR_NOT_FOUND && d->out.edits.n) {
        d->preview_gone = true;
        send_again(d, 0);
    } else if (perhaps_sent && !blindly) {
        give_up(d, UNKNOWN);
    } else if (why->kind == ERR_REFUSED) {
        give_up(d, DEAD);
    } else {
        part(d)->unknown = part(d)->unknown || perhaps_sent;
        send_later(d, why);
    }
    return FLOW_NEXT;
}

/* ---- record: a fact; repeated until PostgreSQL has it ---- */

static enum flow_rc record_start(struct flow *f)
{
    struct delivery *d = of_flow(f);
    store_record(d->turn->chat->store, &f->op, &d->result, &d->rows);
    return FLOW_WAIT;
}

static enum flow_rc after_record(struct delivery *d)
{
    return go(d, d->result.last ? STEP_N : STEP_WAIT);
}

static enum flow_rc record_done(struct flow *f)
{
    struct delivery *d = of_flow(f);
    struct chat *chat = d->turn->chat;
    d->turn->more = d->rows.n > 0 && pg_rows_bool(&d->rows, 0, 1);
    if (str_eq(d->result.status, STR("unknown")) && chat->conf.unknown_outcome == UNKNOWN_NOTICE)
        return FLOW_NEXT;
    return after_record(d);
}

static enum flow_rc record_failed(struct flow *f)
{
    if (store_refused(&f->op.err)) return FLOW_STOP;
    return go(of_flow(f), STEP_RECORD_WAIT);
}

static enum flow_rc record_wait_start(struct flow *f)
{
    op_sleep(&f->op, STORE_RETRY_MS);
    return FLOW_WAIT;
}

static enum flow_rc record_wait_done(struct flow *f)
{
    return go(of_flow(f), STEP_RECORD);
}

/* ---- notice: the person hears that something may be missing; one try, since it may go missing too
 * ---- */

static enum flow_rc notice_start(struct flow *f)
{
    struct delivery *d = of_flow(f);
    d->out.text =
        STR("My last answer may not have reached you: the connection broke while I was sending it. "
            "Write /again to get it once more.");
    d->out.edits = STR_NONE;
    d->out.notice = true;
    d->out.asks = false;
    d->turn->channel->type->send(d->turn->channel, &f->op, &d->out, &d->sent);
    return FLOW_WAIT;
}

static enum flow_rc notice_over(struct flow *f)
{
    return after_record(of_flow(f));
}

static void delivery_end(struct flow *f)
{
    pg_rows_done(&of_flow(f)->rows);
}

static const struct flow_step delivery_steps[] = {
    [STEP_LOAD] = { "load", load_start, load_done, NULL },
    [STEP_WAIT] = { "wait", wait_start, NULL, NULL },
    [STEP_MARK] = { "mark", mark_start, mark_done, mark_failed },
    [STEP_SEND] = { "send", send_start, send_done, send_failed },
    [STEP_RECORD] = { "record", record_start, record_done, record_failed },
    [STEP_NOTICE] = { "notice", notice_start, notice_over, notice_over },
    [STEP_RECORD_WAIT] = { "record_wait", record_wait_start, record_wait_done, NULL },
};
const struct flow_kind delivery_flow = { "delivery", delivery_steps, STEP_N, DELIVERY_BUDGET_MS,
                                         delivery_end };

/* ---- public ---- */

static struct str parts_json(struct delivery *d)
{
    struct turn *t = d->turn;
    _cleanup_(buf_done) struct buf b = BUF_INIT(64 << 20);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '[');
    for (int i = 0; i < d->n_parts; i++) {
        char id[UUID_TEXT_MAX];
        uuid_text(&d->parts[i].id, id);
        json_open(&o, '{');
        json_field_str(&o, "id", str_of(id));
        json_field_i64(&o, "part", i);
        json_field_str(&o, "text", d->parts[i].text);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    return arena_dup(&t->arena, buf_str(&b));
}

/* The question lay in a gap that was filled: who reads the answer should know why it comes now. */
static struct str marked_late(struct turn *t)
{
    if (t->request.late_ms <= 0 || t->reply.n == 0) return t->reply;
    char age[CLOCK_SPAN_MAX];
    clock_span((uint64_t)t->request.late_ms, age);
    return arena_printf(&t->arena, "_(a late answer: you wrote this %s before I saw it)_\n\n%.*s",
                        age, STR_ARG(t->reply));
}

struct str delivery_cut(struct delivery *d, struct turn *t)
{
    const struct channel_type *type = t->channel->type;
    const struct split_rule rule = { .max = type->text_max,
                                     .unit = type->text_unit,
                                     .parts_max = PARTS_MAX,
                                     .cut_mark = STR("\n\n_(cut: too long)_") };
    struct text_part *texts;
    d->turn = t;
    d->n_parts = (int)split_text(&t->arena, marked_late(t), &rule, &texts);
    d->parts = arena_new_array(&t->arena, struct delivery_part, (size_t)d->n_parts + 1);
    for (int i = 0; i < d->n_parts; i++)
        d->parts[i] = (struct delivery_part){
            .id = uuid_v7(), .text = texts[i].text, .open = true, .marked = i == 0
        };
    return parts_json(d);
}

void delivery_resume(struct delivery *d, struct turn *t)
{
    d->turn = t;
    d->parts = NULL;
}
