/* lane: when the next turn of a conversation starts. */
#include "core/chat/lane.h"
#include "core/base/mem.h"
#include "core/base/retry.h"
#include "core/chat/turn.h"

static const struct retry lane_retry = { .base_ms = 500, .max_ms = 30000 };

static struct str lane_key(const struct uuid *conversation)
{
    return str_from((const char *)conversation->b, sizeof conversation->b);
}

static struct lane *lane_find(const struct chat *chat, const struct uuid *conversation)
{
    struct map_node *node = map_get(&chat->lanes, lane_key(conversation));
    return node ? container_of(node, struct lane, node) : NULL;
}

static void lane_free(struct lane *lane)
{
    timer_clear(lane->chat->loop, &lane->later);
    list_drop(&lane->ready);
    map_drop(&lane->chat->lanes, &lane->node);
    free(lane);
}

bool lane_has_place(const struct chat *chat)
{
    return chat->n_running + chat->n_beginning < (size_t)chat->conf.turns_max;
}

static void lane_start(struct lane *lane, struct pg_rows *taken, uint64_t since)
{
    lane->more = false;
    lane->chat->n_running++;
    turn_start(lane->chat, lane, lane->conversation, (struct uuid){ { 0 } }, taken, since);
}

static void lane_go(struct lane *lane)
{
    struct chat *chat = lane->chat;
    if (chat->draining) {
        lane_free(lane);
        return;
    }
    if (!lane_has_place(chat)) {
        list_drop(&lane->ready);
        list_push(&chat->ready, &lane->ready);
        return;
    }
    lane_start(lane, NULL, 0);
}

static void on_later(struct timer *t)
{
    lane_go(container_of(t, struct lane, later));
}

static struct lane *lane_new(struct chat *chat, struct uuid conversation)
{
    struct lane *lane = mem_new(struct lane);
    lane->chat = chat;
    lane->conversation = conversation;
    lane->later.fire = on_later;
    list_init(&lane->ready);
    map_put(&chat->lanes, &lane->node, lane_key(&lane->conversation));
    return lane;
}

void lane_notify(struct chat *chat, struct uuid conversation, int queue)
{
    struct lane *lane = lane_find(chat, &conversation);
    if (lane && lane->turn) {
        lane->more = true;
        lane->merge |= queue == QUEUE_MERGE;
        if (queue == QUEUE_INTERRUPT) turn_interrupt(lane->turn);
        return;
    }
    if (lane && !list_empty(&lane->ready)) return;
    if (!lane) lane = lane_new(chat, conversation);
    lane->merge |= queue == QUEUE_MERGE;
    if (queue == QUEUE_MERGE)
        timer_set(chat->loop, &lane->later, (uint64_t)chat->conf.merge_ms);
    else if (!timer_armed(&lane->later))
        lane_go(lane);
}

void lane_take(struct chat *chat, struct uuid conversation, struct pg_rows *taken, uint64_t since)
{
    struct lane *lane = lane_find(chat, &conversation);
    if (!lane) lane = lane_new(chat, conversation);
    if (lane->turn) {
        lane->more = true;
        return;
    }
    timer_clear(chat->loop, &lane->later);
    list_drop(&lane->ready);
    lane_start(lane, taken, since);
}

void lane_start_waiting(struct chat *chat)
{
    while (!list_empty(&chat->ready) && !chat->draining && lane_has_place(chat)) {
        struct lane *next = list_first(&chat->ready, struct lane, ready);
        list_drop(&next->ready);
        lane_go(next);
    }
}

void lane_turn_ended(struct lane *lane, bool done, bool more)
{
    struct chat *chat = lane->chat;
    lane->turn = NULL;
    chat->n_running--;
    if (!done && !chat->draining) {
        uint32_t wait_ms = retry_delay_ms(&lane_retry, ++lane->failures, 0);
        timer_set(chat->loop, &lane->later, wait_ms);
    } else if (more || lane->more) {
        lane->failures = 0;
        /* Behind the others: one busy conversation does not keep a place for ever. */
        list_push(&chat->ready, &lane->ready);
    } else {
        lane_free(lane);
    }
    lane_start_waiting(chat);
}

struct turn *lane_running(const struct chat *chat, struct uuid conversation)
{
    struct lane *lane = lane_find(chat, &conversation);
    return lane ? lane->turn : NULL;
}

void lane_free_all(struct chat *chat)
{
    struct map_node *node;
    while ((node = map_any(&chat->lanes))) lane_free(container_of(node, struct lane, node));
}
