/*
 * keeper: renewals when a third of a lease is over, a sweep every second.
 *
 * The sweep asks for work with an expired lease, and for messages that have waited SWEEP_IDLE_MS
 * without anybody busy in their conversation. It is what makes a kill -9, a lost wake-up between
 * two processes, or a failed requeue heal.
 */
#include "core/chat/keeper.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/chat/turn.h"
#include "core/net/redis.h"
#include "core/store/budget.h"
#include "core/store/conversation.h"
#include "core/store/response.h"

#define SWEEP_MS      1000
#define SWEEP_IDLE_MS 1500
#define SWEEP_LIMIT   200
#define RENEW_MAX     500 /* at once: the rows are locked meanwhile, and who writes one waits */
#define STOP_CHANNEL  "parley:stop"

struct keeper {
    struct chat *chat;
    struct timer renew_timer, sweep_timer;
    struct op renew, sweep, backlog;
    struct pg_rows renew_rows, sweep_rows, backlog_rows;
    struct buf channels; /* "{a,b}" */
    struct buf renewing; /* "{uuid,...}", lives until the renewal is through */
    size_t n_renewing;
    uint64_t renewing_ms; /* when it began; in each of its turns, too */
    struct redis_sub stops;
    struct list background; /* struct background.link */
    int64_t oldest_ms;
    uint64_t oldest_seen_ms;
    bool started;
};

static struct metric m_oldest =
    METRIC(METRIC_GAUGE, "parley_oldest_unanswered_seconds", "", "Age of the oldest open request");
static struct metric m_open = METRIC(METRIC_GAUGE, "parley_requests_open", "",
                                     "Requests that wait or are being answered, in all processes");
static struct metric m_lost = METRIC(METRIC_COUNTER, "parley_leases_lost_total", "",
                                     "Turns whose lease passed to another process");

/* ---- leases ---- */

static struct turn *turn_by_id(struct chat *chat, struct uuid request)
{
    list_each (it, next, &chat->turns) {
        struct turn *t = container_of(it, struct turn, flow.link);
        if (uuid_eq(&t->request.request, &request)) return t;
    }
    return NULL;
}

static uint64_t third_ms(const struct keeper *k)
{
    return (uint64_t)k->chat->conf.lease_ms / 3;
}

static void renew_arm(struct keeper *k)
{
    timer_set(k->chat->loop, &k->renew_timer, k->n_renewing < RENEW_MAX ? third_ms(k) / 2 : 0);
}

/* They are to be asked for again, at once. */
static void renew_failed(struct keeper *k)
{
    list_each (it, next, &k->chat->turns) {
        struct turn *t = container_of(it, struct turn, flow.link);
        if (t->renewed_ms == k->renewing_ms) t->renewed_ms = 0;
    }
    k->n_renewing = 0;
}

/* Those that were not, the answer names: they are told afterwards. */
static void renewed(struct keeper *k)
{
    list_each (it, next, &k->chat->turns) {
        struct turn *t = container_of(it, struct turn, flow.link);
        if (t->renewed_ms == k->renewing_ms) t->leased_ms = k->renewing_ms;
    }
}

/*
 * It belongs to somebody else now, unless it ended in this very moment: it has to be gone twice.
 * Until then it can write nothing anyway.
 */
static void lease_gone(struct turn *t)
{
    t->leased_ms = 0;
    if (++t->missed_renewals < 2) return;
    metric_add(&m_lost, 1);
    log_warn("turn", "lease lost, leaving the answer to its new owner", "turn=%s", t->id);
    turn_lost(t);
}

static void on_renewed(struct op *op)
{
    struct keeper *k = container_of(op, struct keeper, renew);
    if (op->err.kind) {
        log_warn("turn", "leases not renewed, trying again", "text=%s",
                 log_quote(str_of(op->err.msg)));
        renew_failed(k);
    } else {
        renewed(k);
    }
    renew_arm(k);
    for (int i = 0; op->err.kind == ERR_NONE && i < k->renew_rows.n; i++) {
        struct turn *t = turn_by_id(k->chat, pg_rows_uuid(&k->renew_rows, i, 0));
        if (!t) continue;
        if (pg_rows_bool(&k->renew_rows, i, 1))
            lease_gone(t);
        else
            turn_stop(t);
    }
    pg_rows_done(&k->renew_rows);
}

static void on_renew_timer(struct timer *timer)
{
    struct keeper *k = container_of(timer, struct keeper, renew_timer);
    struct chat *chat = k->chat;
    buf_clear(&k->renewing);
    k->n_renewing = 0;
    k->renewing_ms = clock_ms();
    list_each (it, next, &chat->turns) {
        struct turn *t = container_of(it, struct turn, flow.link);
        if (t->request.attempt == 0 || k->renewing_ms - t->renewed_ms < third_ms(k)) continue;
        if (k->n_renewing == RENEW_MAX) break;
        t->renewed_ms = k->renewing_ms;
        buf_addf(&k->renewing, "%c%s", k->n_renewing++ ? ',' : '{', t->id);
    }
    if (k->n_renewing == 0) {
        renew_arm(k);
        return;
    }
    buf_add_char(&k->renewing, '}');
    store_renew(chat->store, &k->renew, buf_str(&k->renewing), str_of(chat->owner),
                chat->conf.lease_ms, &k->renew_rows);
}

/* ---- sweep ---- */

/* Also while it is being claimed. */
static bool urgent_runs(const struct chat *chat, struct uuid request)
{
    list_each (it, next, &chat->turns)
        if (uuid_eq(&container_of(it, struct turn, flow.link)->urgent, &request)) return true;
    return false;
}

static void on_swept(struct op *op)
{
    struct keeper *k = container_of(op, struct keeper, sweep);
    struct chat *chat = k->chat;
    timer_set(chat->loop, &k->sweep_timer, SWEEP_MS);
    for (int i = 0; op->err.kind == ERR_NONE && !chat->draining && i < k->sweep_rows.n; i++) {
        struct uuid conversation = pg_rows_uuid(&k->sweep_rows, i, 0),
                    request = pg_rows_uuid(&k->sweep_rows, i, 1);
        if (!pg_rows_bool(&k->sweep_rows, i, 2))
            lane_notify(chat, conversation, QUEUE_WAIT);
        else if (!urgent_runs(chat, request))
            turn_start(chat, NULL, conversation, request, NULL, 0);
    }
    pg_rows_done(&k->sweep_rows);
}

static void on_backlog(struct op *op)
{
    struct keeper *k = container_of(op, struct keeper, backlog);
    if (op->err.kind) return;
    k->oldest_ms = pg_rows_i64(&k->backlog_rows, 0, 1);
    k->oldest_seen_ms = clock_ms();
    metric_set(&m_open, (double)pg_rows_i64(&k->backlog_rows, 0, 0));
    metric_set(&m_oldest, (double)k->oldest_ms / 1000);
    pg_rows_done(&k->backlog_rows);
}

/* Who merges waits for more before the claim; another process's sweep must not be first. */
static int64_t idle_ms(const struct chat *chat)
{
    list_each (it, next, &chat->channels)
        if (channel_queue(chat, container_of(it, struct channel, link)) == QUEUE_MERGE)
            return SWEEP_IDLE_MS + chat->conf.merge_ms;
    return SWEEP_IDLE_MS;
}

/* Names are [A-Za-z0-9_.-]+, so they need no quotes. */
static void list_channels(struct keeper *k)
{
    buf_clear(&k->channels);
    list_each (it, next, &k->chat->channels)
        buf_addf(&k->channels, "%c%s", k->channels.n ? ',' : '{',
                 container_of(it, struct channel, link)->name);
    buf_add_cstr(&k->channels, k->channels.n ? "}" : "{}");
}

static void on_sweep_timer(struct timer *timer)
{
    struct keeper *k = container_of(timer, struct keeper, sweep_timer);
    list_channels(k);
    store_sweep(k->chat->store, &k->sweep, buf_str(&k->channels), idle_ms(k->chat), SWEEP_LIMIT,
                &k->sweep_rows);
    if (!op_busy(&k->backlog)) store_backlog(k->chat->store, &k->backlog, &k->backlog_rows);
}

int64_t keeper_oldest_ms(const struct chat *chat)
{
    const struct keeper *k = chat->keeper;
    return k->oldest_ms ? k->oldest_ms + (int64_t)(clock_ms() - k->oldest_seen_ms) : 0;
}

/* ---- stops asked for in another process ---- */

static void on_stop(struct redis_sub *sub, struct str payload)
{
    struct keeper *k = container_of(sub, struct keeper, stops);
    struct uuid conversation;
    struct turn *t =
        uuid_parse(payload, &conversation) ? lane_running(k->chat, conversation) : NULL;
    if (t) turn_stop(t);
}

void keeper_publish_stop(struct chat *chat, struct uuid conversation)
{
    char id[UUID_TEXT_MAX];
    uuid_text(&conversation, id);
    redis_publish(chat->redis, STOP_CHANNEL, str_of(id));
}

/* ---- in the background ---- */

struct background {
    struct op op;
    struct list link;
    struct arena arena; /* of the op's arguments */
};

static void background_free(struct background *b)
{
    list_drop(&b->link);
    op_cancel(&b->op);
    arena_done(&b->arena);
    free(b);
}

static void on_background(struct op *op)
{
    if (op->err.kind)
        log_warn("keeper", "background statement failed", "kind=%s text=%s",
                 err_rule(op->err.kind)->name, log_quote(str_of(op->err.msg)));
    background_free(container_of(op, struct background, op));
}

static struct background *background_new(struct chat *chat)
{
    struct background *b = mem_new(struct background);
    op_init(&b->op, chat->loop, on_background);
    arena_init(&b->arena);
    list_push(&chat->keeper->background, &b->link);
    return b;
}

void keeper_requeue(struct chat *chat, struct uuid request, int attempt)
{
    store_requeue(chat->store, &background_new(chat)->op, request, attempt);
}

void keeper_move(struct chat *chat, struct str channel, struct str from_place, struct str to_place)
{
    struct background *b = background_new(chat);
    store_move(chat->store, &b->op, arena_dup(&b->arena, channel), arena_dup(&b->arena, from_place),
               arena_dup(&b->arena, to_place));
}

void keeper_remember(struct chat *chat, const struct response_row *row)
{
    struct background *b = background_new(chat);
    struct response_row *copy = arena_new(&b->arena, struct response_row);
    *copy = *row;
    copy->key = arena_dup(&b->arena, row->key);
    copy->query_hash = arena_dup(&b->arena, row->query_hash);
    copy->content = arena_dup(&b->arena, row->content);
    copy->model = arena_dup(&b->arena, row->model);
    copy->usage = arena_dup(&b->arena, row->usage);
    store_response_put(chat->store, &b->op, copy);
}

void keeper_asked(struct chat *chat, struct uuid reservation, struct uuid request,
                  const char *provider, const char *model)
{
    struct background *b = background_new(chat);
    store_budget_asked(chat->store, &b->op, reservation, request,
                       arena_dup(&b->arena, str_of(provider)), arena_dup(&b->arena, str_of(model)));
}

void keeper_settle(struct chat *chat, struct uuid reservation, const struct budget_rows *rows,
                   int64_t cost)
{
    struct background *b = background_new(chat);
    struct budget_rows *copy = arena_new(&b->arena, struct budget_rows);
    *copy = (struct budget_rows){ arena_dup(&b->arena, rows->scopes),
                                  arena_dup(&b->arena, rows->periods),
                                  arena_dup(&b->arena, rows->limits) };
    store_budget_settle(chat->store, &b->op, reservation, copy, cost, NULL);
}

bool keeper_busy(const struct chat *chat)
{
    return !list_empty(&chat->keeper->background);
}

/* ---- life ---- */

void keeper_open(struct chat *chat)
{
    struct keeper *k = mem_new(struct keeper);
    chat->keeper = k;
    k->chat = chat;
    buf_init(&k->renewing, 4 << 20);
    buf_init(&k->channels, 1 << 20);
    list_init(&k->background);
    op_init(&k->renew, chat->loop, on_renewed);
    op_init(&k->sweep, chat->loop, on_swept);
    op_init(&k->backlog, chat->loop, on_backlog);
    k->renew_timer.fire = on_renew_timer;
    k->sweep_timer.fire = on_sweep_timer;
    k->stops = (struct redis_sub){ .channel = STOP_CHANNEL, .on_message = on_stop };
    list_init(&k->stops.link);
}

void keeper_start(struct chat *chat)
{
    struct keeper *k = chat->keeper;
    redis_subscribe(chat->redis, &k->stops);
    k->started = true;
    renew_arm(k);
    timer_set(chat->loop, &k->sweep_timer, 0);
}

void keeper_reload(struct chat *chat)
{
    struct keeper *k = chat->keeper;
    if (k->started && !op_busy(&k->renew)) renew_arm(k);
}

void keeper_close(struct chat *chat)
{
    struct keeper *k = chat->keeper;
    list_each (it, next, &k->background) background_free(container_of(it, struct background, link));
    if (k->started) redis_unsubscribe(chat->redis, &k->stops);
    op_cancel(&k->renew);
    op_cancel(&k->sweep);
    op_cancel(&k->backlog);
    pg_rows_done(&k->renew_rows);
    pg_rows_done(&k->sweep_rows);
    pg_rows_done(&k->backlog_rows);
    timer_clear(chat->loop, &k->renew_timer);
    timer_clear(chat->loop, &k->sweep_timer);
    buf_done(&k->renewing);
    buf_done(&k->channels);
    free(k);
    chat->keeper = NULL;
}
