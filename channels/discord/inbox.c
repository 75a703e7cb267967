/*
 * inbox - one record an event. Messages are handed to the core at once, all of them; what is about
 * another message waits until that one is stored; what stands in a thread may have to ask first
 * which channel the thread belongs to.
 */
#include "channels/discord/inbox.h"

#include "channels/discord/interaction.h"
#include "channels/discord/rest.h"
#include "channels/discord/send.h"
#include "channels/discord/ticket.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/retry.h"
#include "core/chat/chat.h"

#define PARENTS_MAX      4096
#define CHANNEL_PATH_MAX 64
#define DAY_MS           INT64_C(86400000)
#define NO_PARENT        STR("-") /* it is no thread */

static const struct retry again = { 500, 10000 };

static struct metric m_taken = METRIC(METRIC_COUNTER, "parley_discord_events_total", "for=\"us\"",
                                      "Dispatched events of the gateway");
static struct metric m_ignored = METRIC(METRIC_COUNTER, "parley_discord_events_total",
                                        "for=\"others\"", "Dispatched events of the gateway");

enum state { WAITING, ASKING, STORING, RESTING };

struct item {
    struct list link;
    struct discord_inbox *box;
    enum state state;
    int64_t seq; /* 0: of a session that has ended */
    struct op op;
    struct arena arena; /* with doc, what `in` points to */
    struct json *doc;
    struct discord_interaction *interaction; /* NULL: a message, or about one */
    struct inbound in;
    struct str type;
    unsigned attempts;
    char path[CHANNEL_PATH_MAX];
    struct discord_reply reply;
};

struct parent {
    struct map_node node;
    char thread[DISCORD_ID_MAX], channel[DISCORD_ID_MAX];
};

static void advance(struct discord_inbox *b);

/* Those that are not with the core yet are counted: mostly there are none, and nothing to look for.
 */
static void set_state(struct item *it, enum state state)
{
    if (it->state != STORING) it->box->n_held--;
    it->state = state;
    if (it->state != STORING) it->box->n_held++;
}

/* --- threads and their channels --- */

static struct str parent_known(const struct discord_inbox *b, struct str thread)
{
    struct map_node *n = b->parents.n ? map_get(&b->parents, thread) : NULL;
    return n ? str_of(container_of(n, struct parent, node)->channel) : STR_NONE;
}

static void parents_forget(struct discord_inbox *b)
{
    for (struct map_node *n; (n = map_any(&b->parents)) != NULL;) {
        map_drop(&b->parents, n);
        free(container_of(n, struct parent, node));
    }
}

static void parent_learn(struct discord_inbox *b, struct str thread, struct str channel)
{
    if (parent_known(b, thread).n) return;
    if (b->parents.n >= PARENTS_MAX) parents_forget(b);
    struct parent *p = mem_new(struct parent);
    snprintf(p->thread, sizeof(p->thread), "%.*s", STR_ARG(thread));
    snprintf(p->channel, sizeof(p->channel), "%.*s", STR_ARG(channel));
    map_put(&b->parents, &p->node, str_of(p->thread));
}

/* Only threads have a channel above them that matters; of other channels it is a category. */
static struct str parent_of(struct json *channel)
{
    int64_t type = 0;
    struct str parent = NO_PARENT;
    json_get_i64(channel, "type", &type);
    if (type >= 10 && type <= 12) json_get_str(channel, "parent_id", &parent);
    return parent;
}

/* --- messages that were taken --- */

static void recent_add(struct discord_inbox *b, uint64_t id)
{
    b->recent[b->n_recent++ % DISCORD_RECENT_MAX] = id;
}

/* May the message be one that waits? Those from before our time, for as long as one can. */
static bool may_wait(const struct discord_inbox *b, uint64_t id)
{
    size_t n = b->n_recent < DISCORD_RECENT_MAX ? b->n_recent : DISCORD_RECENT_MAX;
    for (size_t i = 0; i < n; i++)
        if (b->recent[i] == id) return true;
    int64_t written_ms = discord_id_ms(id);
    return written_ms < b->opened_ms && written_ms > clock_wall_ms() - DAY_MS;
}

/* --- one event --- */

static void item_free(struct item *it)
{
    op_cancel(&it->op);
    if (it->state != STORING) it->box->n_held--;
    list_drop(&it->link);
    it->box->n_items--;
    discord_reply_done(&it->reply);
    json_free(it->doc);
    arena_done(&it->arena);
    free(it);
}

static void store_again(struct item *it, const struct err *why)
{
    if (it->attempts++ == 0)
        log_warn(it->box->bot->channel.name, "event could not be stored, trying again",
                 "event=%.*s kind=%s why=%s", STR_ARG(it->in.event_id), err_rule(why->kind)->name,
                 log_quote(str_of(why->msg)));
    set_state(it, RESTING);
    op_sleep(&it->op, retry_delay_ms(&again, it->attempts, why->retry_after_ms));
}

static void on_stored(struct item *it)
{
    const struct err *err = &it->op.err;
    struct discord_inbox *b = it->box;
    if (err->kind != ERR_NONE && err->kind != ERR_PROTO) {
        store_again(it, err);
        return;
    }
    if (err->kind == ERR_PROTO)
        log_error(b->bot->channel.name, "event cannot be stored, dropped", "event=%.*s why=%s",
                  STR_ARG(it->in.event_id), log_quote(str_of(err->msg)));
    else if (it->interaction)
        discord_acknowledge(b->bot, it->interaction, str_of(it->interaction->say));
    item_free(it);
    advance(b);
}

static struct discord_reader reader_of(const struct discord_inbox *b, struct str thread)
{
    struct discord_reader reader = discord_reader(b->bot);
    reader.parent = parent_known(b, thread);
    return reader;
}

/* The thread's channel is known now, or nobody may know it: then it is not one of ours. */
static void on_parent(struct item *it)
{
    struct discord_inbox *b = it->box;
    const struct err *err = &it->op.err;
    if (err->kind == ERR_IO || err->kind == ERR_UNKNOWN || err->kind == ERR_LIMIT ||
        err->kind == ERR_TIMEOUT) {
        set_state(it, RESTING);
        it->attempts++;
        op_sleep(&it->op, retry_delay_ms(&again, it->attempts, err->retry_after_ms));
        return;
    }
    set_state(it, WAITING);
    parent_learn(b, it->in.where.channel, err->kind ? NO_PARENT : parent_of(it->reply.doc));
    struct discord_event e;
    struct discord_reader reader = reader_of(b, it->in.where.channel);
    discord_parse(&reader, it->type, it->doc, 0, &it->arena, &e);
    it->in = e.in;
    if (e.verdict != DISCORD_TAKE) item_free(it);
    advance(b);
}

static bool needs_parent(const struct item *it)
{
    return !it->in.event_id.n; /* the parser has left it open */
}

static void on_item(struct op *op)
{
    struct item *it = container_of(op, struct item, op);
    if (it->state == STORING) {
        on_stored(it);
    } else if (it->state == ASKING) {
        on_parent(it);
    } else {
        set_state(it, WAITING);
        advance(it->box);
    }
}

static void ask_parent(struct item *it)
{
    set_state(it, ASKING);
    snprintf(it->path, sizeof(it->path), "/channels/%.*s", STR_ARG(it->in.where.channel));
    const struct discord_call call = { .method = "GET",
                                       .route = "/channels/{}",
                                       .path = str_of(it->path),
                                       .major = it->in.where.channel };
    discord_reply_done(&it->reply);
    discord_call(it->box->bot, &it->op, &call, &it->reply);
}

/* Must something earlier be through first? */
static bool is_behind(const struct item *it)
{
    struct discord_inbox *b = it->box;
    if (b->items.next == &it->link) return false;
    if (it->in.kind != INBOUND_MESSAGE) return true; /* it is about one that may be on its way */
    if (b->n_held == 1) return false;                /* this one itself */
    list_each (at, next, &b->items) {
        const struct item *other = container_of(at, struct item, link);
        if (other == it) return false;
        if (other->state != STORING && str_eq(other->in.where.channel, it->in.where.channel))
            return true;
    }
    return false;
}

static void item_go(struct item *it)
{
    struct discord_inbox *b = it->box;
    if (is_behind(it)) return;
    if (needs_parent(it)) {
        ask_parent(it);
        return;
    }
    uint64_t id;
    if (it->in.kind == INBOUND_MESSAGE && discord_id(it->in.message_id, &id)) recent_add(b, id);
    set_state(it, STORING);
    chat_accept(b->bot->channel.host->chat, &it->op, &b->bot->channel, &it->in, NULL);
}

/* Something is through: what waited for it may go. */
static void advance(struct discord_inbox *b)
{
    list_each (at, next, &b->items) {
        struct item *it = container_of(at, struct item, link);
        if (it->state == WAITING) item_go(it);
    }
}

static struct item *item_new(struct discord_inbox *b, const struct discord_frame *frame)
{
    struct item *it = mem_new(struct item);
    it->box = b;
    it->seq = frame->seq;
    op_init(&it->op, b->bot->channel.host->loop, on_item);
    arena_init(&it->arena);
    it->type = arena_dup(&it->arena, str_of(frame->type));
    list_push(&b->items, &it->link);
    b->n_items++;
    b->n_held++;
    return it;
}

/* --- reading --- */

/* A lone half of a surrogate pair must not cost a message. */
static struct json *read_data(struct discord *d, const struct discord_frame *frame)
{
    struct err why;
    struct json *doc = NULL;
    struct str data = discord_frame_data(frame->text);
    if (json_parse(data, &doc, &why) == ERR_NONE) return doc;
    _cleanup_(buf_done) struct buf mended = BUF_INIT(data.n + 1);
    json_mend_halves(data, &mended, NULL);
    if (json_parse(buf_str(&mended), &doc, NULL) == ERR_NONE) return doc;
    log_warn(d->channel.name, "event cannot be read, dropped", "type=%s seq=%lld why=%s",
             frame->type, (long long)frame->seq, log_quote(str_of(why.msg)));
    return NULL;
}

/* False: it ends here. */
static bool is_taken(struct item *it, enum discord_verdict verdict, const char *reason)
{
    const char *who = it->box->bot->channel.name;
    if (verdict == DISCORD_BROKEN)
        log_warn(who, "event cannot be understood, dropped", "type=%.*s why=%s", STR_ARG(it->type),
                 log_quote(str_of(reason)));
    if (verdict == DISCORD_SKIP)
        log_debug(who, "event is not for us", "type=%.*s why=%s", STR_ARG(it->type),
                  log_quote(str_of(reason)));
    return verdict == DISCORD_TAKE || verdict == DISCORD_PARENT;
}

static void take_interaction(struct item *it)
{
    struct discord *d = it->box->bot;
    struct discord_interaction *ia = arena_new(&it->arena, struct discord_interaction);
    struct discord_reader reader = discord_reader(d);
    discord_interaction_parse(&reader, it->doc, &it->arena, ia);
    if (ia->verdict == DISCORD_SKIP && *ia->say) {
        ia->ack = DISCORD_ACK_MESSAGE;
        discord_acknowledge(d, ia, str_of(ia->say));
    }
    if (!is_taken(it, ia->verdict, ia->reason)) {
        item_free(it);
        return;
    }
    it->interaction = ia;
    it->in = ia->in;
    it->in.ticket = discord_ticket_of(d, ia, &it->arena);
    item_go(it);
}

static bool concerns_us(const struct item *it)
{
    uint64_t id;
    bool others_wait = it->box->n_held > 1; /* perhaps the very message */
    if (it->in.kind != INBOUND_DELETE || others_wait) return true;
    return discord_id(it->in.message_id, &id) && may_wait(it->box, id);
}

/* False: there is no i-th one in this event. */
static bool take_message(struct item *it, size_t i)
{
    struct discord_event e;
    struct discord_reader reader = discord_reader(it->box->bot);
    discord_parse(&reader, it->type, it->doc, i, &it->arena, &e);
    if (e.verdict == DISCORD_PARENT && parent_known(it->box, e.in.where.channel).n) {
        reader = reader_of(it->box, e.in.where.channel);
        discord_parse(&reader, it->type, it->doc, i, &it->arena, &e);
    }
    it->in = e.in;
    if (e.verdict == DISCORD_PARENT) it->in.event_id = STR_NONE;
    if (!is_taken(it, e.verdict, e.reason)) {
        item_free(it);
        return false;
    }
    if (concerns_us(it))
        item_go(it);
    else
        item_free(it);
    return true;
}

/* One record an id: each is stored by itself. */
static void take_bulk(struct discord_inbox *b, const struct discord_frame *frame)
{
    for (size_t i = 0; i < 100; i++) {
        struct item *it = item_new(b, frame);
        it->doc = read_data(b->bot, frame);
        if (!take_message(it, i)) return;
    }
}

/*
 * Most messages on servers are neither to us nor about us: one that does not hold our id anywhere
 * cannot be, and is not worth parsing.
 */
static bool worth_parsing(const struct discord *d, const struct discord_frame *frame)
{
    struct str type = str_of(frame->type);
    bool message = str_eq(type, STR("MESSAGE_CREATE")) || str_eq(type, STR("MESSAGE_UPDATE"));
    if (!message || d->groups == DISCORD_GROUPS_ALL || d->channels.n) return true;
    if (str_find(frame->text, str_of(d->id)) != SIZE_MAX) return true;
    return !discord_has_key(discord_frame_data(frame->text), "guild_id");
}

void discord_inbox_take(struct discord_inbox *b, const struct discord_frame *frame)
{
    struct str type = str_of(frame->type);
    if (frame->seq > b->seen) b->seen = frame->seq;
    bool wanted = discord_inbox_wants(type);
    if (frame->skipped && wanted)
        log_warn(b->bot->channel.name, "event is too large, dropped", "type=%s seq=%lld",
                 frame->type, (long long)frame->seq);
    if (frame->skipped || !wanted || !worth_parsing(b->bot, frame)) {
        metric_add(&m_ignored, 1);
        return;
    }
    metric_add(&m_taken, 1);
    if (str_eq(type, STR("MESSAGE_DELETE_BULK"))) {
        take_bulk(b, frame);
        return;
    }
    struct item *it = item_new(b, frame);
    it->doc = read_data(b->bot, frame);
    if (!it->doc)
        item_free(it);
    else if (str_eq(type, STR("INTERACTION_CREATE")))
        take_interaction(it);
    else
        take_message(it, 0);
}

bool discord_inbox_wants(struct str type)
{
    static const char *const names[] = {
        "MESSAGE_CREATE",      "MESSAGE_UPDATE",       "MESSAGE_DELETE",
        "MESSAGE_DELETE_BULK", "MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE",
        "INTERACTION_CREATE",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (str_eq(type, str_of(names[i]))) return true;
    return false;
}

/* --- life --- */

int64_t discord_inbox_seq(const struct discord_inbox *b)
{
    list_each (at, next, (struct list *)&b->items) {
        const struct item *it = container_of(at, struct item, link);
        if (it->seq) return it->seq - 1;
    }
    return b->seen;
}

void discord_inbox_begin(struct discord_inbox *b, bool anew, int64_t seq)
{
    if (anew)
        list_each (at, next, &b->items) container_of(at, struct item, link)->seq = 0;
    b->seen = seq;
}

bool discord_inbox_full(const struct discord_inbox *b)
{
    return b->n_items >= DISCORD_INBOX_MAX;
}

void discord_inbox_open(struct discord_inbox *b, struct discord *d)
{
    *b = (struct discord_inbox){ .bot = d, .opened_ms = clock_wall_ms() };
    list_init(&b->items);
    map_init(&b->parents);
    b->recent = mem_alloc(DISCORD_RECENT_MAX * sizeof(*b->recent));
}

void discord_inbox_close(struct discord_inbox *b)
{
    list_each (at, next, &b->items) item_free(container_of(at, struct item, link));
    parents_forget(b);
    map_done(&b->parents);
    free(b->recent);
    b->recent = NULL;
}
