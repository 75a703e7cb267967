/*
 * intake: a platform's event becomes rows, and then work. A flow of one wait; a vote on what we do
 * not know of has a second one.
 *
 * The flow belongs to nobody: should the adapter give up waiting, the message may be stored all the
 * same, and then its turn must start.
 */
#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/cache/active.h"
#include "core/cache/session.h"
#include "core/chat/command.h"
#include "core/chat/keeper.h"
#include "core/chat/lane.h"
#include "core/chat/news.h"
#include "core/chat/turn.h"
#include "core/store/conversation.h"
#include "core/store/hook.h"
#include "core/store/people.h"
#include "core/store/request.h"

#define INTAKE_BUDGET_MS 60000
#define METADATA_MAX     16384
#define VOTE_AGAIN_MS    2000 /* until an answer that is seen is surely recorded */

enum { INTAKE_STORE, INTAKE_WAIT, INTAKE_N };

struct intake {
    struct flow flow;
    struct chat *chat;
    struct channel *channel;
    struct op *outer;
    struct accepted *ret;
    struct arena arena;
    struct pg_rows rows;
    enum inbound_kind kind;
    bool album; /* others that were sent together with it follow */
    struct request_new rq;
    struct hook_news news; /* INBOUND_NEWS */
    struct str moved_to;
    int vote;
    bool taken_back;
    struct request_ids ids;
    bool begins; /* its turn begins with it, if nobody is busy there: it has a place */
    unsigned tries;
    uint64_t began_ms;
};

static struct metric m_messages =
    METRIC(METRIC_COUNTER, "parley_messages_received_total", "", "Messages taken in");
static struct metric m_duplicates = METRIC(METRIC_COUNTER, "parley_duplicates_dropped_total", "",
                                           "Events that were delivered to us again");
static struct metric m_votes[] = {
    METRIC(METRIC_COUNTER, "parley_votes_total", "vote=\"up\"", "Votes on answers"),
    METRIC(METRIC_COUNTER, "parley_votes_total", "vote=\"down\"", "Votes on answers"),
};
static struct metric m_intake =
    METRIC(METRIC_HISTOGRAM, "parley_intake_seconds", "", "From the event to its commit");

static struct intake *of_flow(struct flow *f)
{
    return container_of(f, struct intake, flow);
}

static bool votes_count(const struct intake *in)
{
    const struct place where = { in->rq.workspace, in->rq.place, in->rq.thread };
    return switch_on_in(in->chat, in->channel, &where, FLAG_VOTES);
}

static void vote_start(struct intake *in)
{
    const struct vote vote = { .channel_type = in->rq.channel_type,
                               .channel = in->rq.channel,
                               .place = in->rq.place,
                               .message = in->rq.platform_message,
                               .from = in->rq.from,
                               .vote = in->vote,
                               .taken_back = in->taken_back };
    store_vote(in->chat->store, &in->flow.op, &vote, &in->rows);
}

static enum flow_rc store_start(struct flow *f)
{
    struct intake *in = of_flow(f);
    struct store *store = in->chat->store;
    if (in->kind == INBOUND_VOTE && !votes_count(in)) return FLOW_STOP;
    switch (in->kind) {
    case INBOUND_MESSAGE: store_accept(store, &f->op, &in->rq, &in->rows); break;
    case INBOUND_EDIT: store_edit(store, &f->op, &in->rq, &in->rows); break;
    case INBOUND_DELETE: store_withdraw(store, &f->op, &in->rq, &in->rows); break;
    case INBOUND_MOVED:
        store_move(store, &f->op, in->rq.channel, in->rq.place, in->moved_to);
        break;
    case INBOUND_VOTE: vote_start(in); break;
    case INBOUND_NEWS: store_accept_hook(store, &f->op, &in->rq, &in->news, &in->rows); break;
    }
    return FLOW_WAIT;
}

/* Its rows are a request. */
static bool is_request(const struct intake *in)
{
    return in->kind == INBOUND_MESSAGE || in->kind == INBOUND_NEWS;
}

/* Who waits for us hears that it went well; the flow may go on by itself. */
static void release(struct intake *in)
{
    if (in->outer && in->ret)
        *in->ret = (struct accepted){
            .duplicate = !in->ids.fresh && is_request(in),
            .changed = !is_request(in) && in->rows.n > 0,
            .request = in->ids.request,
            .conversation = in->ids.conversation,
            .message = in->ids.message,
        };
    if (in->outer) op_finish(in->outer);
    in->outer = NULL;
}

/* People are quick: an answer may be voted on before its id is recorded. Most such events are about
 * somebody else's message, so nobody waits for the second look. */
static enum flow_rc vote_done(struct intake *in)
{
    bool known = in->rows.n > 0;
    if (known) metric_add(&m_votes[in->vote > 0 ? 0 : 1], in->taken_back ? 0 : 1);
    if (known || in->tries++ > 0 || in->chat->draining) return FLOW_STOP;
    release(in);
    return FLOW_NEXT;
}

static enum flow_rc store_done(struct flow *f)
{
    struct intake *in = of_flow(f);
    if (in->kind == INBOUND_VOTE) return vote_done(in);
    if (!is_request(in)) return FLOW_STOP;
    if (store_accepted(&in->rows, &in->ids)) {
        metric_add(in->ids.fresh ? &m_messages : &m_duplicates, 1);
        return FLOW_STOP;
    }
    /* The place's conversation was ended by /new in the same moment; the second try begins another.
     */
    if (++in->tries < 3) {
        flow_goto(f, INTAKE_STORE);
        return FLOW_NEXT;
    }
    err_set(&f->err, ERR_IO, "the conversation could not be opened");
    return FLOW_STOP;
}

/* Its turn comes by the lane. */
static void begins_not(struct intake *in)
{
    in->chat->n_beginning -= in->begins;
    in->begins = false;
    in->rq.owner = STR_NONE;
}

static enum flow_rc store_failed(struct flow *f)
{
    struct intake *in = of_flow(f);
    if (in->begins && store_accept_outrun(&f->op.err)) {
        begins_not(in);
        flow_goto(f, INTAKE_STORE);
        return FLOW_NEXT;
    }
    /* PostgreSQL will refuse this row however often it comes. */
    if (f->op.err.kind == ERR_REFUSED) err_set(&f->err, ERR_PROTO, "%s", f->op.err.msg);
    return FLOW_STOP;
}

static enum flow_rc wait_start(struct flow *f)
{
    op_sleep(&f->op, VOTE_AGAIN_MS);
    return FLOW_WAIT;
}

static enum flow_rc wait_done(struct flow *f)
{
    pg_rows_done(&of_flow(f)->rows);
    flow_goto(f, INTAKE_STORE);
    return FLOW_NEXT;
}

/* What Redis knows of the person; lost without harm. */
static void remember(const struct intake *in)
{
    char user[UUID_TEXT_MAX];
    uuid_text(&in->ids.user, user);
    const struct cache_session session = { .user = in->ids.user,
                                           .conversation = in->ids.conversation };
    cache_session_put(in->chat->redis, in->rq.channel, in->rq.from, &session);
    cache_active_touch(in->chat->redis, in->rq.channel, str_of(user));
}

/* A command neither interrupts an answer nor waits for company; an album is one question. */
static int queue_of(const struct intake *in)
{
    if (in->rq.command || in->kind == INBOUND_NEWS) return QUEUE_WAIT;
    return in->album ? QUEUE_MERGE : channel_queue(in->chat, in->channel);
}

/* Whether the turn may begin in the commit that takes the message in. It must not where others are
 * to come first, or to be merged. */
static bool begins(const struct intake *in)
{
    return in->kind == INBOUND_MESSAGE && !in->chat->draining &&
           (in->rq.urgent || (queue_of(in) != QUEUE_MERGE && lane_has_place(in->chat)));
}

static void start_work(struct intake *in)
{
    struct chat *chat = in->chat;
    struct claimed rq = { .attempt = 0 };
    bool claimed = store_claimed(&in->rows, &rq);
    if (chat->draining) {
        if (claimed) keeper_requeue(chat, rq.request, rq.attempt);
    } else if (in->rq.urgent) {
        turn_start(chat, NULL, in->ids.conversation, in->ids.request, claimed ? &in->rows : NULL,
                   in->began_ms);
    } else if (claimed) {
        lane_take(chat, in->ids.conversation, &in->rows, in->began_ms);
    } else {
        lane_notify(chat, in->ids.conversation, queue_of(in));
    }
}

static void intake_end(struct flow *f)
{
    struct intake *in = of_flow(f);
    bool ok = f->err.kind == ERR_NONE;
    if (ok)
        release(in);
    else if (in->outer)
        op_fail(in->outer, &f->err);
    metric_observe_ms(&m_intake, (double)(clock_ms() - in->began_ms));
    /* Should it be there after all, it need not wait until our lease runs out. */
    if (!ok && in->begins) keeper_requeue(in->chat, in->rq.request, 1);
    begins_not(in);
    if (ok && in->ids.fresh && in->kind == INBOUND_MESSAGE) remember(in);
    if (ok && in->ids.fresh) start_work(in);
    lane_start_waiting(in->chat); /* a turn that did not begin leaves its place */
    pg_rows_done(&in->rows);
    arena_done(&in->arena);
    free(in);
}

static const struct flow_step intake_steps[] = {
    [INTAKE_STORE] = { "store", store_start, store_done, store_failed },
    [INTAKE_WAIT] = { "wait", wait_start, wait_done, NULL },
};
const struct flow_kind intake_flow = { "intake", intake_steps, INTAKE_N, INTAKE_BUDGET_MS,
                                       intake_end };

static void intake_drop(struct op *op)
{
    ((struct intake *)op->impl)->outer = NULL;
}

static const struct op_kind intake_op = { "chat.accept", intake_drop };

/* Addresses of what a model could look at: ["https://...", ...]. */
static void put_pictures(struct json_out *o, const struct inbound *in)
{
    size_t n = 0;
    for (size_t i = 0; i < in->n_attachments; i++) n += in->attachments[i].url.n > 0;
    if (n == 0) return;
    json_key(o, "pictures");
    json_open(o, '[');
    for (size_t i = 0; i < in->n_attachments; i++)
        if (in->attachments[i].url.n) json_put_str(o, in->attachments[i].url);
    json_close(o, ']');
}

/* What must be there: without it the message could not be answered as it should. */
static void put_basics(struct json_out *o, const struct inbound *in)
{
    json_field_bool(o, "direct", in->direct);
    if (in->late_ms > 0) json_field_i64(o, "late_ms", in->late_ms);
    if (in->ticket.n) json_field_str(o, "ticket", in->ticket);
}

/* {"direct": true, "attachments": [{"kind": "photo", ...}], "pictures": [...], "ticket": ...} */
static struct str metadata_of(struct arena *a, const struct inbound *in)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(METADATA_MAX);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '{');
    put_basics(&o, in);
    put_pictures(&o, in);
    if (in->n_attachments > 0) {
        json_key(&o, "attachments");
        json_open(&o, '[');
        for (size_t i = 0; i < in->n_attachments; i++) {
            const struct attachment *att = &in->attachments[i];
            json_open(&o, '{');
            json_field_str(&o, "kind", att->kind);
            json_field_str(&o, "name", att->name);
            json_field_str(&o, "mime", att->mime);
            json_field_i64(&o, "bytes", att->bytes);
            json_field_str(&o, "ref", att->ref);
            json_close(&o, '}');
        }
        json_close(&o, ']');
    }
    json_close(&o, '}');
    if (!b.full) return arena_dup(a, buf_str(&b));
    buf_clear(&b);
    o = (struct json_out)JSON_OUT(&b);
    json_open(&o, '{');
    put_basics(&o, in);
    json_close(&o, '}');
    return arena_dup(a, buf_str(&b));
}

/*
 * What the model and the database see of a message: valid, bounded, with a line for each
 * attachment, since not every model can look at them.
 */
static struct str query_of(struct arena *a, const struct inbound *in, int64_t message_max)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT((size_t)message_max * 3 + METADATA_MAX);
    struct str text = str_head(in->text, utf8_prefix(in->text, (size_t)message_max, TEXT_BYTES));
    utf8_clean(&b, text);
    if (text.n < in->text.n)
        buf_addf(&b, "\n[cut: the message had %zu bytes, %lld are kept]", in->text.n,
                 (long long)message_max);
    for (size_t i = 0; i < in->n_attachments; i++) {
        const struct attachment *att = &in->attachments[i];
        buf_addf(&b, "%s[attached: %.*s%s%.*s]", b.n ? "\n" : "", STR_ARG(att->kind),
                 att->name.n ? " " : "", STR_ARG(att->name));
    }
    return arena_dup(a, buf_str(&b));
}

static struct str keep_str(struct arena *a, struct str s)
{
    return arena_dup(a, utf8_cleaned(a, s));
}

static void request_fill(struct intake *i, const struct inbound *in)
{
    struct arena *a = &i->arena;
    struct str query = query_of(a, in, i->chat->conf.message_max);
    const struct command *command = in->kind == INBOUND_NEWS ? NULL : command_find(query);
    i->rq = (struct request_new){
        .request = uuid_v7(),
        .message = uuid_v7(),
        .user = uuid_v7(),
        .conversation = uuid_v7(),
        .channel_type = str_of(i->channel->type->name),
        .channel = str_of(i->channel->name),
        .event = keep_str(a, in->event_id),
        .workspace = keep_str(a, in->where.workspace),
        .place = keep_str(a, in->where.channel),
        .thread = keep_str(a, in->where.thread),
        .from = keep_str(a, in->from.id),
        .username = keep_str(a, in->from.username),
        .display_name = keep_str(a, in->from.display_name),
        .platform_message = keep_str(a, in->message_id),
        .query = query,
        .ip = keep_str(a, in->ip),
        .metadata = metadata_of(a, in),
        .command = command != NULL,
        .urgent = command && command->urgent,
    };
    i->moved_to = keep_str(a, in->moved_to);
    i->vote = in->vote;
    i->taken_back = in->taken_back;
    if (in->kind != INBOUND_NEWS) return;
    i->rq.user = in->news->user;
    i->news = (struct hook_news){ news_write(a, in->news), in->news->key, in->news->daily };
}

void chat_accept(struct chat *chat, struct op *op, struct channel *ch, const struct inbound *in,
                 struct accepted *ret)
{
    struct intake *i = mem_new(struct intake);
    i->chat = chat;
    i->channel = ch;
    i->outer = op;
    i->ret = ret;
    i->kind = in->kind;
    i->album = in->album.n > 0;
    i->began_ms = clock_ms();
    arena_init(&i->arena);
    request_fill(i, in);
    i->begins = begins(i);
    chat->n_beginning += i->begins;
    i->rq.owner = str_of(i->begins ? chat->owner : "");
    i->rq.lease_ms = chat->conf.lease_ms;
    op_begin(op, &intake_op, i, INTAKE_BUDGET_MS + 1000);
    flow_start(&i->flow, &intake_flow, chat->loop, &chat->intakes);
}
