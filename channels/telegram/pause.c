/*
 * pause - a map of chats with a time each; those that are over are swept when another comes.
 */
#include "channels/telegram/pause.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

#define SEVERAL_CHATS 3
#define CHATS_MAX     1000 /* more paused chats than this pause the bot */

struct pause {
    struct map_node node;
    uint64_t until_ms;
    char chat[];
};

struct sweep {
    struct map *map;
    uint64_t now;
};

static struct pause *of_node(struct map_node *node)
{
    return container_of(node, struct pause, node);
}

static void drop(struct map *map, struct pause *p)
{
    map_drop(map, &p->node);
    free(p);
}

static void drop_if_over(struct map_node *node, void *ctx)
{
    const struct sweep *s = ctx;
    if (of_node(node)->until_ms <= s->now) drop(s->map, of_node(node));
}

void telegram_pauses_init(struct telegram_pauses *p)
{
    *p = (struct telegram_pauses){ .bot_until_ms = 0 };
    map_init(&p->chats);
}

void telegram_pauses_done(struct telegram_pauses *p)
{
    for (struct map_node *n; (n = map_any(&p->chats)) != NULL;) drop(&p->chats, of_node(n));
    map_done(&p->chats);
}

uint32_t telegram_pause_left(const struct telegram_pauses *p, struct str chat)
{
    uint64_t now = clock_ms(), until = p->bot_until_ms;
    struct map_node *n = p->chats.n ? map_get(&p->chats, chat) : NULL;
    if (n && of_node(n)->until_ms > until) until = of_node(n)->until_ms;
    return until > now ? (uint32_t)(until - now) : 0;
}

void telegram_pause(struct telegram_pauses *p, struct str chat, uint32_t ms)
{
    struct sweep sweep = { &p->chats, clock_ms() };
    uint64_t until = sweep.now + ms;
    map_walk(&p->chats, drop_if_over, &sweep);
    if (p->chats.n < CHATS_MAX && !map_get(&p->chats, chat)) {
        struct pause *more = mem_alloc(sizeof(*more) + chat.n + 1);
        memcpy(more->chat, chat.p, chat.n);
        map_put(&p->chats, &more->node, str_from(more->chat, chat.n));
    }
    struct map_node *n = map_get(&p->chats, chat);
    if (n) of_node(n)->until_ms = until;
    if (p->chats.n >= SEVERAL_CHATS && until > p->bot_until_ms) p->bot_until_ms = until;
}
