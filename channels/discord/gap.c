/*
 * gap - a flow: which channels could it be (those with conversations, the configured ones, those
 * whose server says that something new is there), then their messages, oldest first.
 */
#include "channels/discord/gap.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/retry.h"
#include "core/chat/chat.h"
#include "core/store/conversation.h"

#define BUDGET_MS    (30 * 60 * 1000)
#define PLACES_MAX   300
#define PLACES_DAYS  30
#define GUILDS_MAX   100
#define PAGE         100
#define TRIES_MAX    6
#define MARGIN_MS    5000 /* clocks differ */
#define LATE_MS      30000
#define ACCEPT_MS    90000
#define REPLY_MAX    ((size_t)8 << 20)
#define GAP_PATH_MAX 160
#define NO_PARENT    STR("-") /* it is no thread */

enum step { PLACES, GUILDS, CHANNELS, THREADS, PAGES, ACCEPT, REST, N_STEPS };

static const struct retry backoff = { 1000, 30000 };
static struct metric m_found = METRIC(METRIC_COUNTER, "parley_discord_gap_messages_total", "",
                                      "Messages that were found when a gap was filled");

struct spot {
    struct map_node node;
    char channel[DISCORD_ID_MAX], guild[DISCORD_ID_MAX], parent[DISCORD_ID_MAX];
};

struct discord_gap {
    struct flow flow;
    struct discord_shard *shard;
    uint64_t from; /* the lowest snowflake of the gap */
    struct pg_rows rows;
    struct discord_reply reply;
    char path[GAP_PATH_MAX], id[DISCORD_ID_MAX];
    unsigned tries;
    uint32_t rest_ms;
    uint16_t again; /* the step to repeat */

    char (*guilds)[DISCORD_ID_MAX];
    size_t n_guilds, at_guild;
    struct spot *spots;
    size_t n_spots, at_spot;
    struct map known; /* of spots */

    uint64_t after; /* in the channel at hand */
    size_t n_here, n_page;
    struct arena arena; /* the page */
    struct inbound *in;
    size_t n_in;
    struct op *ops;
    struct op_join join;
    size_t n_found;
};

static struct discord_gap *of_flow(struct flow *f)
{
    return container_of(f, struct discord_gap, flow);
}

static enum flow_rc go(struct discord_gap *g, uint16_t step)
{
    g->tries = 0;
    flow_goto(&g->flow, step);
    return FLOW_NEXT;
}

static enum flow_rc call(struct discord_gap *g, const char *route, struct str major)
{
    const struct discord_call call = { .method = "GET",
                                       .route = route,
                                       .path = str_of(g->path),
                                       .major = major,
                                       .reply_max = REPLY_MAX };
    discord_reply_done(&g->reply);
    discord_call(g->shard->bot, &g->flow.op, &call, &g->reply);
    return FLOW_WAIT;
}

/* Again after a while, or `otherwise` when it is pointless. */
static enum flow_rc again_or(struct discord_gap *g, uint16_t step, uint16_t otherwise)
{
    const struct err *why = &g->flow.op.err;
    bool hopeless = why->kind == ERR_REFUSED || why->kind == ERR_NOT_FOUND;
    if (why->kind == ERR_AUTH) return FLOW_STOP;
    if (!hopeless && ++g->tries < TRIES_MAX) {
        g->again = step;
        g->rest_ms = retry_delay_ms(&backoff, g->tries, why->retry_after_ms);
        flow_goto(&g->flow, REST);
        return FLOW_NEXT;
    }
    log_debug(g->shard->bot->channel.name, "part of a gap cannot be looked at", "path=%s why=%s",
              g->path, log_quote(str_of(why->msg)));
    return go(g, otherwise);
}

/* Servers are spread over shards by their id; all else belongs to the first.
 * docs.discord.com/developers/events/gateway#sharding-sharding-formula */
static bool is_ours(const struct discord_gap *g, struct str guild)
{
    uint64_t id = 0;
    if (guild.n && !discord_id(guild, &id)) return false;
    return (int64_t)((id >> 22) % (uint64_t)g->shard->count) == g->shard->number;
}

static void add_spot(struct discord_gap *g, struct str channel, struct str guild, struct str parent)
{
    uint64_t id;
    struct map_node *n = map_get(&g->known, channel);
    if (n) { /* the server's list knows better */
        struct spot *known = container_of(n, struct spot, node);
        snprintf(known->parent, sizeof(known->parent), "%.*s", STR_ARG(parent));
        return;
    }
    if (g->n_spots == PLACES_MAX || !discord_id(channel, &id) || !is_ours(g, guild)) return;
    struct spot *s = &g->spots[g->n_spots++];
    snprintf(s->channel, sizeof(s->channel), "%.*s", STR_ARG(channel));
    snprintf(s->guild, sizeof(s->guild), "%.*s", STR_ARG(guild));
    snprintf(s->parent, sizeof(s->parent), "%.*s", STR_ARG(parent));
    map_put(&g->known, &s->node, str_of(s->channel));
}

/* --- which channels --- */

static enum flow_rc places_start(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    const struct channel *ch = &g->shard->bot->channel;
    store_places(ch->host->store, &f->op, str_of(ch->name), PLACES_DAYS, PLACES_MAX, &g->rows);
    return FLOW_WAIT;
}

static enum flow_rc places_done(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    for (int i = 0; i < g->rows.n; i++)
        add_spot(g, pg_rows_str(&g->rows, i, 0), pg_rows_str(&g->rows, i, 1), NO_PARENT);
    return go(g, GUILDS);
}

static enum flow_rc places_failed(struct flow *f)
{
    return again_or(of_flow(f), PLACES, GUILDS);
}

static enum flow_rc guilds_start(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    snprintf(g->path, sizeof(g->path), "/users/@me/guilds?limit=200");
    return call(g, "/users/@me/guilds", STR_NONE);
}

static enum flow_rc guilds_done(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    size_t n = json_length(g->reply.doc);
    for (size_t i = 0; i < n && g->n_guilds < GUILDS_MAX; i++) {
        struct str id = STR_NONE;
        json_get_str(json_at(g->reply.doc, i), "id", &id);
        if (id.n && id.n < DISCORD_ID_MAX && is_ours(g, id))
            snprintf(g->guilds[g->n_guilds++], DISCORD_ID_MAX, "%.*s", STR_ARG(id));
    }
    return go(g, CHANNELS);
}

static enum flow_rc guilds_failed(struct flow *f)
{
    return again_or(of_flow(f), GUILDS, PAGES);
}

static bool can_hold_messages(int64_t type)
{
    return type == 0 || type == 2 || type == 5 || (type >= 10 && type <= 13);
}

/* Those whose last message is younger than the gap. */
static void add_channels(struct discord_gap *g, struct json *list)
{
    size_t n = json_length(list);
    for (size_t i = 0; i < n; i++) {
        struct json *c = json_at(list, i);
        struct str id = STR_NONE, last = STR_NONE, parent = NO_PARENT;
        int64_t type = -1;
        uint64_t last_id;
        json_get_i64(c, "type", &type);
        json_get_str(c, "id", &id);
        json_get_str(c, "last_message_id", &last);
        if (type >= 10 && type <= 12) json_get_str(c, "parent_id", &parent);
        if (can_hold_messages(type) && discord_id(last, &last_id) && last_id > g->from)
            add_spot(g, id, str_of(g->guilds[g->at_guild]), parent);
    }
}

static enum flow_rc channels_start(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    if (g->at_guild == g->n_guilds) return go(g, PAGES);
    const char *guild = g->guilds[g->at_guild];
    snprintf(g->path, sizeof(g->path), "/guilds/%s/channels", guild);
    return call(g, "/guilds/{}/channels", str_of(guild));
}

static enum flow_rc channels_done(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    add_channels(g, g->reply.doc);
    return go(g, THREADS);
}

static enum flow_rc channels_failed(struct flow *f)
{
    return again_or(of_flow(f), CHANNELS, THREADS);
}

static enum flow_rc threads_start(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    const char *guild = g->guilds[g->at_guild];
    snprintf(g->path, sizeof(g->path), "/guilds/%s/threads/active", guild);
    return call(g, "/guilds/{}/threads/active", str_of(guild));
}

static enum flow_rc threads_done(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    add_channels(g, json_get(g->reply.doc, "threads"));
    g->at_guild++;
    return go(g, CHANNELS);
}

static enum flow_rc threads_failed(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    enum flow_rc rc = again_or(g, THREADS, CHANNELS);
    if (!g->tries) g->at_guild++;
    return rc;
}

/* --- their messages --- */

static enum flow_rc next_spot(struct discord_gap *g)
{
    g->at_spot++;
    g->after = g->from;
    g->n_here = 0;
    return go(g, PAGES);
}

static enum flow_rc pages_start(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    if (g->at_spot == g->n_spots) return go(g, N_STEPS);
    const char *channel = g->spots[g->at_spot].channel;
    snprintf(g->path, sizeof(g->path), "/channels/%s/messages?limit=%d&after=%llu", channel, PAGE,
             (unsigned long long)g->after);
    return call(g, "/channels/{}/messages", str_of(channel));
}

/* The newest comes first; ours go in oldest first. */
static void read_page(struct discord_gap *g)
{
    const struct spot *spot = &g->spots[g->at_spot];
    struct discord_reader reader = discord_reader(g->shard->bot);
    reader.guild = str_of(spot->guild);
    reader.parent = str_of(spot->parent);
    arena_done(&g->arena);
    arena_init(&g->arena);
    g->n_page = json_length(g->reply.doc);
    g->in = arena_new_array(&g->arena, struct inbound, g->n_page + 1);
    g->n_in = 0;
    for (size_t i = g->n_page; i-- > 0;) {
        struct discord_event e;
        struct json *message = json_at(g->reply.doc, i);
        struct str id = STR_NONE;
        uint64_t at;
        if (!json_get_str(message, "id", &id) || !discord_id(id, &at)) continue;
        if (at > g->after) g->after = at;
        discord_parse(&reader, STR("MESSAGE_CREATE"), message, 0, &g->arena, &e);
        if (e.verdict != DISCORD_TAKE) continue;
        int64_t age_ms = clock_wall_ms() - discord_id_ms(at);
        if (age_ms > LATE_MS) e.in.late_ms = age_ms;
        g->in[g->n_in++] = e.in;
    }
    g->ops = arena_new_array(&g->arena, struct op, g->n_in + 1);
}

static enum flow_rc pages_done(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    read_page(g);
    return go(g, ACCEPT);
}

static enum flow_rc pages_failed(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    enum flow_rc rc = again_or(g, PAGES, PAGES);
    return g->tries || rc == FLOW_STOP ? rc : next_spot(g);
}

static void accept_one(size_t i, struct op *child, void *ctx)
{
    struct discord_gap *g = ctx;
    struct channel *ch = &g->shard->bot->channel;
    chat_accept(ch->host->chat, child, ch, &g->in[i], NULL);
}

static enum flow_rc accept_done(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    for (size_t i = 0; i < g->n_in; i++) {
        enum err_kind kind = g->ops[i].err.kind;
        if (kind == ERR_NONE || kind == ERR_PROTO) continue;
        f->op.err = g->ops[i].err;
        return again_or(g, ACCEPT, N_STEPS);
    }
    metric_add(&m_found, (double)g->n_in);
    g->n_found += g->n_in;
    g->n_here += g->n_page;
    bool more = g->n_page == PAGE && (int64_t)g->n_here < g->shard->bot->gap_messages;
    return more ? go(g, PAGES) : next_spot(g);
}

static enum flow_rc accept_start(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    if (!g->n_in) return accept_done(f);
    op_join(&f->op, &g->join, g->ops, g->n_in, accept_one, g, ACCEPT_MS);
    return FLOW_WAIT;
}

static enum flow_rc accept_failed(struct flow *f)
{
    return again_or(of_flow(f), ACCEPT, N_STEPS);
}

static enum flow_rc rest_start(struct flow *f)
{
    op_sleep(&f->op, of_flow(f)->rest_ms);
    return FLOW_WAIT;
}

static enum flow_rc rest_done(struct flow *f)
{
    flow_goto(f, of_flow(f)->again);
    return FLOW_NEXT;
}

/* --- life --- */

static void gap_end(struct flow *f)
{
    struct discord_gap *g = of_flow(f);
    struct discord_shard *s = g->shard;
    bool filled = f->err.kind == ERR_NONE && g->at_spot == g->n_spots;
    s->gap = NULL;
    pg_rows_done(&g->rows);
    discord_reply_done(&g->reply);
    arena_done(&g->arena);
    map_done(&g->known);
    if (filled)
        log_info(s->bot->channel.name, "gap looked through",
                 "shard=%lld/%lld channels=%zu found=%zu", (long long)s->number,
                 (long long)s->count, g->n_spots, g->n_found);
    else if (f->err.kind != ERR_CANCELLED)
        log_warn(s->bot->channel.name, "gap not looked through yet, trying again", "text=%s",
                 log_quote(str_of(f->err.msg)));
    free(g->spots);
    free(g->guilds);
    free(g);
    if (filled) discord_shard_filled(s);
}

static const struct flow_step steps[N_STEPS] = {
    [PLACES] = { "places", places_start, places_done, places_failed },
    [GUILDS] = { "guilds", guilds_start, guilds_done, guilds_failed },
    [CHANNELS] = { "channels", channels_start, channels_done, channels_failed },
    [THREADS] = { "threads", threads_start, threads_done, threads_failed },
    [PAGES] = { "pages", pages_start, pages_done, pages_failed },
    [ACCEPT] = { "accept", accept_start, accept_done, accept_failed },
    [REST] = { "rest", rest_start, rest_done, NULL },
};
static const struct flow_kind gap_flow = { "discord.gap", steps, N_STEPS, BUDGET_MS, gap_end };

void discord_gap_start(struct discord_shard *s)
{
    const struct discord *d = s->bot;
    struct discord_gap *g = mem_new(struct discord_gap);
    int64_t oldest = clock_wall_ms() - d->gap_ms, from = s->gap_ms - MARGIN_MS;
    g->shard = s;
    g->from = g->after = discord_id_at(from > oldest ? from : oldest);
    g->spots = mem_alloc(PLACES_MAX * sizeof(*g->spots));
    g->guilds = mem_alloc(GUILDS_MAX * sizeof(*g->guilds));
    map_init(&g->known);
    arena_init(&g->arena);
    s->gap = g;
    flow_start(&g->flow, &gap_flow, d->channel.host->loop, NULL);
}

void discord_gap_stop(struct discord_shard *s)
{
    if (s->gap) flow_stop(&s->gap->flow, ERR_CANCELLED, "the shard stops");
}
