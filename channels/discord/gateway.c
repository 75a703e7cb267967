/*
 * gateway - one flow until it works: setup, how many shards, and a shard.c flow for each. Every
 * process has all of them; the leases spread them.
 */
#include "channels/discord/gateway.h"

#include "channels/discord/setup.h"
#include "channels/discord/shard.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/retry.h"

#define STOP_MS    300000 /* a human has to act */
#define SHARDS_MAX 1024

enum step { SETUP, COUNT, REST, N_STEPS };

static const struct retry backoff = { 1000, 60000 };

struct discord_gateway {
    struct flow flow;
    struct discord *bot;
    struct discord_setup setup;
    struct discord_reply reply;
    struct list shards;
    bool running; /* the flow */
    unsigned attempt;
    struct err why;
};

static struct discord_gateway *of_flow(struct flow *f)
{
    return container_of(f, struct discord_gateway, flow);
}

static enum flow_rc trouble(struct flow *f)
{
    struct discord_gateway *g = of_flow(f);
    g->why = f->op.err;
    channel_down(&g->bot->channel, &g->why);
    flow_goto(f, REST);
    return FLOW_NEXT;
}

static enum flow_rc setup_start(struct flow *f)
{
    struct discord_gateway *g = of_flow(f);
    discord_setup_init(&g->setup, g->bot);
    flow_call(f, &g->setup.flow, &discord_setup_flow);
    return FLOW_WAIT;
}

static enum flow_rc setup_done(struct flow *f)
{
    struct discord_gateway *g = of_flow(f);
    if (g->bot->mode == DISCORD_GATEWAY) return FLOW_NEXT;
    channel_up(&g->bot->channel);
    return FLOW_STOP;
}

static enum flow_rc spawn(struct discord_gateway *g, int64_t count)
{
    for (int64_t i = 0; i < count && i < SHARDS_MAX; i++)
        list_push(&g->shards, &discord_shard_start(g->bot, i, count)->link);
    return FLOW_STOP;
}

static enum flow_rc count_start(struct flow *f)
{
    struct discord_gateway *g = of_flow(f);
    static const struct discord_call call = { .method = "GET",
                                              .route = "/gateway/bot",
                                              .path = { "/gateway/bot", 12 } };
    if (g->bot->shards > 0) return spawn(g, g->bot->shards);
    discord_reply_done(&g->reply);
    discord_call(g->bot, &f->op, &call, &g->reply);
    return FLOW_WAIT;
}

static enum flow_rc count_done(struct flow *f)
{
    struct discord_gateway *g = of_flow(f);
    int64_t advised = 1;
    json_get_i64(g->reply.doc, "shards", &advised);
    return spawn(g, advised > 0 ? advised : 1);
}

static enum flow_rc rest_start(struct flow *f)
{
    struct discord_gateway *g = of_flow(f);
    bool hopeless = g->why.kind == ERR_AUTH || g->why.kind == ERR_CONF;
    op_sleep(&f->op,
             hopeless ? STOP_MS : retry_delay_ms(&backoff, ++g->attempt, g->why.retry_after_ms));
    return FLOW_WAIT;
}

static enum flow_rc rest_done(struct flow *f)
{
    flow_goto(f, SETUP);
    return FLOW_NEXT;
}

static void gateway_end(struct flow *f)
{
    of_flow(f)->running = false;
}

static const struct flow_step steps[N_STEPS] = {
    [SETUP] = { "setup", setup_start, setup_done, trouble },
    [COUNT] = { "count", count_start, count_done, trouble },
    [REST] = { "rest", rest_start, rest_done, NULL },
};
static const struct flow_kind gateway_flow = { "discord.gateway", steps, N_STEPS, 0, gateway_end };

void discord_gateway_start(struct discord *d)
{
    struct discord_gateway *g = mem_new(struct discord_gateway);
    g->bot = d;
    list_init(&g->shards);
    g->running = true;
    d->gateway = g;
    flow_start(&g->flow, &gateway_flow, d->channel.host->loop, NULL);
}

void discord_gateway_stop(struct discord *d)
{
    struct discord_gateway *g = d->gateway;
    if (!g) return;
    if (g->running) flow_stop(&g->flow, ERR_CANCELLED, "the channel pauses");
    while (!list_empty(&g->shards))
        discord_shard_stop(list_first(&g->shards, struct discord_shard, link));
    discord_reply_done(&g->reply);
    free(g);
    d->gateway = NULL;
}
