/*
 * Pub/sub on a connection of its own, because a subscribed connection takes no commands. A server
 * that went away silently is noticed by subscribing anew every few seconds: it must be confirmed
 * (PING will not do: hiredis 0.14 has no callback for its answer on a subscribed connection).
 */
#include "core/base/clock.h"
#include "core/net/redis_impl.h"
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#define BEAT_MS 10000

static void on_event(redisAsyncContext *ac, void *reply, void *arg);

static struct redis_sub *sub_of(struct list *link)
{
    return container_of(link, struct redis_sub, link);
}

static void sub_send(struct redis *r, const char *verb, const char *channel)
{
    const char *args[] = { verb, channel };

    if (redis_conn_is_up(&r->sub)) redisAsyncCommandArgv(r->sub.ac, on_event, r, 2, args, NULL);
}

/*
 * Call everyone on `channel`; confirmed: only those who do not know yet that this connection
 * listens. A callback may subscribe, unsubscribe and close, so the way on is kept where
 * redis_unsubscribe can mend it.
 */
static void deliver(struct redis *r, struct str channel, struct str payload, bool confirmed)
{
    for (struct list *at = r->subs.next; at != &r->subs; at = r->next_sub) {
        struct redis_sub *sub = sub_of(at);
        r->next_sub = at->next;
        if (!str_eq(str_of(sub->channel), channel) || (confirmed && sub->told)) continue;
        if (confirmed) sub->told = true;
        sub->on_message(sub, payload);
    }
    r->next_sub = NULL;
}

static bool is_text(const redisReply *v)
{
    return v->type == REDIS_REPLY_STRING;
}

/* ["message", channel, payload] or ["subscribe", channel, count]; NULL when the connection ends */
static void on_event(redisAsyncContext *ac, void *answer, void *arg)
{
    const redisReply *reply = answer;
    struct redis *r = arg;

    (void)ac;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) return;
    if (!is_text(reply->element[0]) || !is_text(reply->element[1])) return;
    r->heard = true;
    struct str kind = str_of(reply->element[0]->str);
    struct str channel = str_from(reply->element[1]->str, reply->element[1]->len);
    if (str_eq(kind, STR("subscribe")))
        deliver(r, channel, STR_NONE, true);
    else if (str_eq(kind, STR("message")) && is_text(reply->element[2]))
        deliver(r, channel, str_from(reply->element[2]->str, reply->element[2]->len), false);
}

static void on_up(struct redis_conn *c)
{
    struct redis *r = c->owner;

    list_each (it, next, &r->subs) {
        sub_of(it)->told = false;
        sub_send(r, "SUBSCRIBE", sub_of(it)->channel);
    }
    r->heard = true;
    timer_set(r->loop, &r->beat, r->beat_ms);
}

static void on_down(struct redis_conn *c)
{
    struct redis *r = c->owner;
    timer_clear(r->loop, &r->beat);
}

static void on_beat(struct timer *t)
{
    struct redis *r = container_of(t, struct redis, beat);
    struct err why = ERR_INIT;

    if (!r->heard) {
        err_set(&why, ERR_TIMEOUT, "redis: the subscriber connection is dead");
        redis_conn_drop(&r->sub, &why);
        return;
    }
    timer_set(r->loop, t, r->beat_ms);
    if (list_empty(&r->subs)) return;
    r->heard = false;
    sub_send(r, "SUBSCRIBE", sub_of(r->subs.next)->channel);
}

void redis_sub_init(struct redis *r)
{
    list_init(&r->subs);
    r->beat.fire = on_beat;
    r->beat_ms = BEAT_MS;
    r->sub.on_up = on_up;
    r->sub.on_down = on_down;
}

void redis_sub_close(struct redis *r)
{
    list_each (it, next, &r->subs) list_drop(it);
    r->next_sub = &r->subs;
    timer_clear(r->loop, &r->beat);
    redis_conn_close(&r->sub);
}

void redis_subscribe(struct redis *r, struct redis_sub *sub)
{
    sub->told = false;
    list_push(&r->subs, &sub->link);
    if (r->sub.refs == 0) {
        r->n_conns++;
        redis_conn_open(&r->sub);
    }
    sub_send(r, "SUBSCRIBE", sub->channel);
}

static bool is_wanted(struct redis *r, const char *channel)
{
    list_each (it, next, &r->subs)
        if (strcmp(sub_of(it)->channel, channel) == 0) return true;
    return false;
}

void redis_unsubscribe(struct redis *r, struct redis_sub *sub)
{
    if (!sub->link.next || list_empty(&sub->link)) return;
    if (r->next_sub == &sub->link) r->next_sub = sub->link.next;
    list_drop(&sub->link);
    if (!is_wanted(r, sub->channel)) sub_send(r, "UNSUBSCRIBE", sub->channel);
}

void redis_publish(struct redis *r, const char *channel, struct str payload)
{
    const struct str args[] = { STR("PUBLISH"), str_of(channel), payload };

    redis_send(r, args, 3);
}
