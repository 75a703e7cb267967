/*
 * poll - one flow as long as the channel is open: lease, setup, then round and round: poll, accept,
 * save. Whatever fails rests a while and goes back to the lease, which says where to go on.
 */
#include "channels/telegram/poll.h"

#include "channels/telegram/api.h"
#include "channels/telegram/batch.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/retry.h"
#include "core/chat/chat.h"

#define BATCH_MAX   100
#define REPLY_MAX   ((size_t)16 << 20)
#define AUTH_MS     300000 /* a human has to act */
#define GRACE_MS    15000  /* short troubles are not worth a word */
#define CONFLICT_MS 60000  /* the poll of a process that died is held for so long */

enum step { LEASE, SETUP, POLL, ACCEPT, SAVE, REST, N_STEPS };

struct telegram_poll {
    struct flow flow;
    struct telegram *bot;
    struct lease lease;
    int64_t fence;  /* of the lease under which `offset` is right; 0 = none */
    int64_t offset; /* the first update that we have not stored; 0 = whatever there is */
    bool ready;     /* setup is done */
    bool told;      /* that another process has the lease */
    struct telegram_setup setup;
    struct telegram_reply reply;
    struct telegram_batch batch;
    int limit; /* updates a poll; 1 while we look for one that cannot be read */
    char body[256], state[64];
    unsigned attempt;          /* failures in a row */
    uint64_t failing_since_ms; /* clock of the first of them */
    uint32_t rest_ms;
};

static const struct retry backoff = { 1000, 30000 };

static struct telegram_poll *of_flow(struct flow *f)
{
    return container_of(f, struct telegram_poll, flow);
}

/* --- resting --- */

static enum flow_rc rest(struct telegram_poll *p, uint32_t ms)
{
    p->rest_ms = ms;
    flow_goto(&p->flow, REST);
    return FLOW_NEXT;
}

static enum flow_rc rest_start(struct flow *f)
{
    op_sleep(&f->op, of_flow(f)->rest_ms);
    return FLOW_WAIT;
}

static enum flow_rc rest_done(struct flow *f)
{
    flow_goto(f, LEASE);
    return FLOW_NEXT;
}

/* grace_ms: how long a failure may last before it is one of the channel. */
static void note_failure(struct telegram_poll *p, const struct err *why, uint64_t grace_ms)
{
    if (!p->attempt++) p->failing_since_ms = clock_ms();
    if (clock_ms() - p->failing_since_ms >= grace_ms) channel_down(&p->bot->channel, why);
}

static enum flow_rc trouble(struct telegram_poll *p, const struct err *why, uint64_t grace_ms)
{
    note_failure(p, why, grace_ms);
    if (why->kind == ERR_AUTH) return rest(p, AUTH_MS);
    return rest(p, retry_delay_ms(&backoff, p->attempt, why->retry_after_ms));
}

static uint64_t grace(const struct telegram_poll *p)
{
    return p->bot->channel.up ? GRACE_MS : 0;
}

/* --- lease --- */

/* Longer than a poll and its renewal. */
static int64_t lease_ms(const struct telegram_poll *p)
{
    return 2 * p->bot->poll_ms + 5000;
}

static enum flow_rc lease_start(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    const struct channel_host *host = p->bot->channel.host;
    store_lease_take(host->store, &f->op, str_of(p->bot->lease), str_of(host->owner), lease_ms(p),
                     &p->lease);
    return FLOW_WAIT;
}

/* Somebody else has polled since: what we know is old. */
static void begin_anew(struct telegram_poll *p)
{
    struct json *state = NULL;
    telegram_batch_done(&p->batch);
    telegram_reply_done(&p->reply);
    p->fence = p->lease.fence;
    p->offset = 0;
    p->ready = false;
    if (p->lease.state[0] && json_parse(str_of(p->lease.state), &state, NULL) == ERR_NONE)
        json_get_i64(state, "offset", &p->offset);
    json_free(state);
    log_info(p->bot->channel.name, "polling", "fence=%lld offset=%lld", (long long)p->fence,
             (long long)p->offset);
}

static enum flow_rc lease_done(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    if (!p->lease.mine) {
        if (!p->told)
            log_info(p->bot->channel.name, "another process polls, waiting", "owner=%s",
                     p->lease.owner);
        p->told = true;
        p->fence = 0;
        p->attempt = 0;
        /* Standing by is as good as it gets. */
        channel_up(&p->bot->channel);
        return rest(p, (uint32_t)(lease_ms(p) / 9));
    }
    p->told = false;
    if (p->fence != p->lease.fence) begin_anew(p);
    if (p->ready) flow_goto(f, p->batch.open ? ACCEPT : POLL);
    return FLOW_NEXT;
}

static enum flow_rc lease_failed(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    return trouble(p, &f->op.err, grace(p));
}

/* --- setup --- */

static enum flow_rc setup_start(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    telegram_setup_init(&p->setup, p->bot);
    flow_call(f, &p->setup.flow, &telegram_setup_flow);
    return FLOW_WAIT;
}

static enum flow_rc setup_done(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    p->ready = true;
    channel_up(&p->bot->channel); /* the first poll may take a while to come back */
    return FLOW_NEXT;
}

static enum flow_rc setup_failed(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    return trouble(p, &f->op.err, grace(p));
}

/* --- poll --- */

static enum flow_rc poll_start(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    char offset[40] = "";
    if (p->offset) snprintf(offset, sizeof(offset), "\"offset\":%lld,", (long long)p->offset);
    snprintf(p->body, sizeof(p->body), "{%s\"limit\":%d,\"timeout\":%lld,\"allowed_updates\":%s}",
             offset, p->limit, (long long)p->bot->poll_ms / 1000, TELEGRAM_ALLOWED_UPDATES.p);
    const struct telegram_call call = {
        .method = "getUpdates",
        .body = str_of(p->body),
        .wait_ms = (uint32_t)p->bot->poll_ms * 3 / 2 + 1000, /* a poll that hangs longer is dead */
        .reply_max = REPLY_MAX,
    };
    telegram_reply_done(&p->reply);
    telegram_call(p->bot, &f->op, &call, &p->reply);
    return FLOW_WAIT;
}

static enum flow_rc poll_done(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    struct err why = ERR_INIT;
    p->attempt = 0;
    p->limit = BATCH_MAX;
    channel_up(&p->bot->channel);
    if (telegram_batch_read(&p->batch, p->bot, p->reply.result, p->offset, &why))
        return trouble(p, &why, 0);
    return FLOW_NEXT;
}

/* An answer that we cannot read, or is too long: find out which update it is, and leave that out.
 */
static enum flow_rc poll_unreadable(struct telegram_poll *p, const struct err *why)
{
    int64_t id = p->reply.unreadable_id;
    if (p->limit == 1 && id && !__builtin_add_overflow(id, (int64_t)1, &p->batch.next_offset)) {
        log_error(p->bot->channel.name, "update cannot be read, dropped", "update=%lld",
                  (long long)id);
        flow_goto(&p->flow, SAVE);
        return FLOW_NEXT;
    }
    p->limit = 1;
    return trouble(p, why, grace(p));
}

static enum flow_rc poll_failed(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    const struct err *why = &f->op.err;
    bool too_long = why->kind == ERR_LIMIT && !why->retry_after_ms;
    if (too_long || p->reply.unreadable_id) return poll_unreadable(p, why);
    if (p->reply.problem == TELEGRAM_HOOKED) {
        log_warn(p->bot->channel.name, "somebody has set a webhook, removing it", "");
        p->ready = false;
    }
    if (p->reply.problem == TELEGRAM_CONFLICT) {
        note_failure(p, why, CONFLICT_MS);
        /* Two that try in step would throw each other out for ever. */
        return rest(p, 3000 + (uint32_t)rand_below(4000));
    }
    return trouble(p, why, grace(p));
}

/* --- accept --- */

static enum flow_rc accept_start(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    if (!p->batch.n_open) return FLOW_NEXT;
    telegram_batch_accept(&p->batch, &f->op);
    return FLOW_WAIT;
}

static enum flow_rc accept_done(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    struct err why = ERR_INIT;
    if (telegram_batch_settle(&p->batch, &why) == ERR_NONE) return FLOW_NEXT;
    log_warn(p->bot->channel.name, "messages could not be stored, trying again",
             "n=%zu kind=%s why=%s", p->batch.n_open, err_rule(why.kind)->name,
             log_quote(str_of(why.msg)));
    return trouble(p, &why, GRACE_MS);
}

/* --- save --- */

static enum flow_rc save_start(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    snprintf(p->state, sizeof(p->state), "{\"offset\":%lld}", (long long)p->batch.next_offset);
    store_lease_save(p->bot->channel.host->store, &f->op, str_of(p->bot->lease), p->fence,
                     str_of(p->state), lease_ms(p));
    return FLOW_WAIT;
}

static enum flow_rc save_done(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    p->offset = p->batch.next_offset;
    p->attempt = 0;
    telegram_batch_done(&p->batch);
    telegram_reply_done(&p->reply);
    flow_goto(f, POLL);
    return FLOW_NEXT;
}

static enum flow_rc save_failed(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    if (f->op.err.kind != ERR_REFUSED) return trouble(p, &f->op.err, GRACE_MS);
    log_warn(p->bot->channel.name, "another process has taken over", "fence=%lld",
             (long long)p->fence);
    flow_goto(f, LEASE);
    return FLOW_NEXT;
}

/* --- life --- */

static void poll_end(struct flow *f)
{
    struct telegram_poll *p = of_flow(f);
    p->bot->poll = NULL;
    telegram_batch_done(&p->batch);
    telegram_reply_done(&p->reply);
    free(p);
}

static const struct flow_step steps[N_STEPS] = {
    [LEASE] = { "lease", lease_start, lease_done, lease_failed },
    [SETUP] = { "setup", setup_start, setup_done, setup_failed },
    [POLL] = { "poll", poll_start, poll_done, poll_failed },
    [ACCEPT] = { "accept", accept_start, accept_done, NULL },
    [SAVE] = { "save", save_start, save_done, save_failed },
    [REST] = { "rest", rest_start, rest_done, NULL },
};
static const struct flow_kind poll_flow = { "telegram.poll", steps, N_STEPS, 0, poll_end };

void telegram_poll_start(struct telegram *t)
{
    struct telegram_poll *p = mem_new(struct telegram_poll);
    p->bot = t;
    p->limit = BATCH_MAX;
    t->poll = p;
    flow_start(&p->flow, &poll_flow, t->channel.host->loop, NULL);
}

void telegram_poll_stop(struct telegram *t)
{
    struct telegram_poll *p = t->poll;
    if (!p) return;
    if (p->lease.mine && p->fence && !op_busy(&t->drop_lease))
        store_lease_drop(t->channel.host->store, &t->drop_lease, str_of(t->lease), p->fence);
    flow_stop(&p->flow, ERR_CANCELLED, "the channel pauses");
}
