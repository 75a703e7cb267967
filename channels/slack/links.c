/*
 * links - a seat a connection. When Slack announces the end of one, its successor is connected
 * first, so that there is no moment without any. Whoever fails rests, longer each time, until a
 * hello has held for a while: that TCP connects says nothing.
 */
#include "channels/slack/links.h"

#include "channels/slack/socket.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/retry.h"

#define STABLE_MS   30000
#define OVERLAP_MS  8000   /* Slack gives about ten seconds' notice */
#define DISABLED_MS 900000 /* a human has to act */
#define TOO_MANY_MS 30000
#define GRACE_MS    15000 /* short troubles are not worth a word */

static const struct retry backoff = { 1000, 60000 }, crowded = { TOO_MANY_MS, 300000 };

struct seat {
    struct slack_links *links;
    struct slack_socket *now, *next; /* next: the successor, until it is live */
    struct timer rest;               /* before another try */
    struct timer overlap;            /* how long `now` may wait for its successor */
    unsigned attempt;
    uint64_t live_since_ms;
};

struct slack_links {
    struct slack *bot;
    struct timer grace;
    struct err why; /* of the last failure */
    size_t n;
    struct seat seats[];
};

static struct loop *loop_of(const struct seat *seat)
{
    return seat->links->bot->channel.host->loop;
}

static void dial(struct seat *seat);

static bool any_live(const struct slack_links *links)
{
    for (size_t i = 0; i < links->n; i++)
        if (slack_socket_is_live(links->seats[i].now)) return true;
    return false;
}

static void rest(struct seat *seat, uint32_t ms)
{
    timer_set(loop_of(seat), &seat->rest, ms);
}

/* --- up or down --- */

static void on_grace(struct timer *t)
{
    struct slack_links *links = container_of(t, struct slack_links, grace);
    if (!any_live(links)) channel_down(&links->bot->channel, &links->why);
}

static void trouble(struct seat *seat, const struct err *why, const struct retry *how)
{
    struct slack_links *links = seat->links;
    links->why = *why;
    if (seat->live_since_ms && clock_ms() - seat->live_since_ms > STABLE_MS) seat->attempt = 0;
    seat->live_since_ms = 0;
    rest(seat, retry_delay_ms(how, ++seat->attempt, why->retry_after_ms));
    if (any_live(links)) return;
    if (!links->bot->channel.up)
        channel_down(&links->bot->channel, why);
    else if (!timer_armed(&links->grace))
        timer_set(loop_of(seat), &links->grace, GRACE_MS);
}

/* --- one seat --- */

static void settle(struct seat *seat)
{
    timer_clear(loop_of(seat), &seat->overlap);
    if (seat->now) slack_socket_retire(seat->now);
    seat->now = seat->next;
    seat->next = NULL;
}

static void on_live(void *user, struct slack_socket *k)
{
    struct seat *seat = user;
    if (k == seat->next) settle(seat);
    seat->live_since_ms = clock_ms();
    timer_clear(loop_of(seat), &seat->links->grace);
    channel_up(&seat->links->bot->channel);
}

/* Of a successor that fails there is another try, while the old connection lasts. */
static void on_over(void *user, const struct slack_socket *k, const struct err *why)
{
    struct seat *seat = user;
    log_info(seat->links->bot->channel.name, "a connection of Socket Mode ended", "text=%s",
             log_quote(str_of(why->msg)));
    bool successor = k == seat->next;
    if (successor) seat->next = NULL;
    if (!successor) {
        timer_clear(loop_of(seat), &seat->overlap);
        seat->now = seat->next; /* on its way already, if there is one */
        seat->next = NULL;
    }
    if (successor || !seat->now) trouble(seat, why, &backoff);
}

static void on_overlap(struct timer *t)
{
    struct seat *seat = container_of(t, struct seat, overlap);
    if (seat->next) settle(seat);
}

static void switched_off(struct slack_links *links)
{
    err_set(&links->why, ERR_AUTH,
            "Socket Mode is switched off: turn it on in the app's settings, or set transport = "
            "\"events\"");
    channel_down(&links->bot->channel, &links->why);
    for (size_t i = 0; i < links->n; i++) {
        struct seat *seat = &links->seats[i];
        if (seat->next) slack_socket_drop(seat->next);
        if (seat->now) slack_socket_retire(seat->now);
        seat->now = seat->next = NULL;
        seat->live_since_ms = 0;
        timer_clear(loop_of(seat), &seat->overlap);
        rest(seat, DISABLED_MS);
    }
}

static void on_leave(void *user, struct slack_socket *k, enum slack_leave reason)
{
    struct seat *seat = user;
    if (reason == SLACK_LEAVE_DISABLED) {
        switched_off(seat->links);
    } else if (reason == SLACK_LEAVE_TOO_MANY) {
        struct err why;
        err_set(&why, ERR_LIMIT, "Slack counts more than ten connections of this app");
        if (seat->next) slack_socket_drop(seat->next);
        if (seat->now) slack_socket_retire(seat->now);
        seat->now = seat->next = NULL;
        trouble(seat, &why, &crowded);
    } else if (k == seat->now && !seat->next) {
        timer_clear(loop_of(seat), &seat->rest);
        dial(seat);
        timer_set(loop_of(seat), &seat->overlap, OVERLAP_MS);
    }
}

static void dial(struct seat *seat)
{
    static const struct slack_socket_handler handler = { on_live, on_leave, on_over };
    struct slack_socket *k = slack_socket_open(seat->links->bot, &handler, seat);
    if (seat->now)
        seat->next = k;
    else
        seat->now = k;
}

static void on_rest(struct timer *t)
{
    struct seat *seat = container_of(t, struct seat, rest);
    if (!seat->next) dial(seat);
}

/* --- life --- */

void slack_links_start(struct slack *s)
{
    size_t n = (size_t)s->sockets;
    struct slack_links *links = mem_alloc(sizeof(*links) + n * sizeof(links->seats[0]));
    links->bot = s;
    links->n = n;
    links->grace.fire = on_grace;
    s->links = links;
    for (size_t i = 0; i < n; i++) {
        struct seat *seat = &links->seats[i];
        seat->links = links;
        seat->rest.fire = on_rest;
        seat->overlap.fire = on_overlap;
        dial(seat);
    }
}

void slack_links_stop(struct slack *s)
{
    struct slack_links *links = s->links;
    if (!links) return;
    s->links = NULL;
    for (size_t i = 0; i < links->n; i++) {
        struct seat *seat = &links->seats[i];
        timer_clear(s->channel.host->loop, &seat->rest);
        timer_clear(s->channel.host->loop, &seat->overlap);
        if (seat->next) slack_socket_drop(seat->next);
        if (seat->now) slack_socket_retire(seat->now);
    }
    timer_clear(s->channel.host->loop, &links->grace);
    free(links);
}
