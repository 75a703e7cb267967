/* reuse: see reuse.h. */
#include "core/chat/reuse.h"

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/chat/keeper.h"
#include "core/chat/question.h"
#include "core/chat/turn.h"
#include "core/net/sign.h"
#include "core/store/response.h"
#include <inttypes.h>

#define QUESTION_MAX (16 << 20)
#define LOOKUP_MS    200 /* asking the model is what it would save */

#define LOOKUP(result)                                                           \
    METRIC(METRIC_COUNTER, "parley_answer_cache_total", "result=\"" result "\"", \
           "Questions looked up among the answers that are kept.")
static struct metric m_hits = LOOKUP("hit"), m_misses = LOOKUP("miss"), m_failed = LOOKUP("failed");

const char *const reuse_scope_words[] = { "off", "person", "channel", NULL };

/* ---- the key ---- */

/* With its length in front, so that no text can pass for two others. */
static void put(struct buf *to, const char *what, struct str text)
{
    buf_addf(to, "%s %zu:", what, text.n);
    buf_add(to, text);
    buf_add_char(to, '\n');
}

static void put_hash(struct buf *to, const char *what, struct str text)
{
    uint8_t hash[32];
    char hex[REUSE_KEY_MAX];
    sign_sha256(text, hash);
    sign_hex(hash, sizeof hash, hex);
    put(to, what, str_of(hex));
}

static void put_list(struct buf *to, const char *key, const struct conf_list *list)
{
    for (size_t i = 0; i < list->n; i++) put(to, key, str_of(list->v[i]));
}

/* A setting, whatever the backend: the address, the temperature, how much it thinks. Not the key:
 * another one asks the same model. */
static void put_field(struct buf *to, const struct model *m, const struct conf_field *f)
{
    const void *at = (const char *)m + f->offset;
    char number[64] = "";
    switch (f->type) {
    case CONF_SECRET: return;
    case CONF_LIST: put_list(to, f->key, at); return;
    case CONF_OBJECT:
    case CONF_STR: put(to, f->key, str_of(*(const char *const *)at)); return;
    case CONF_BOOL: snprintf(number, sizeof number, "%d", *(const bool *)at); break;
    case CONF_ENUM: snprintf(number, sizeof number, "%d", *(const int *)at); break;
    case CONF_FLOAT: snprintf(number, sizeof number, "%a", *(const double *)at); break;
    default: snprintf(number, sizeof number, "%" PRId64, *(const int64_t *)at); break;
    }
    put(to, f->key, str_of(number));
}

static void put_model(struct buf *to, const struct model *m, const struct model_ask *ask)
{
    put(to, "model", str_of(m->name));
    put(to, "id", str_of(m->model ? model_id(m) : ""));
    buf_addf(to, "max_tokens %" PRId64 "\n",
             ask->max_tokens ? (int64_t)ask->max_tokens : m->max_tokens);
    if (!m->type) return;
    put(to, "backend", str_of(m->type->name));
    for (const struct conf_field *f = m->type->fields; f && f->key; f++) put_field(to, m, f);
}

static bool put_message(struct buf *to, const struct model_message *message)
{
    buf_addf(to, "role %d\n", (int)message->role);
    put(to, "text", message->text);
    for (size_t i = 0; i < message->n_pictures; i++) {
        const struct model_picture *p = &message->pictures[i];
        if (!p->data.n) return false;
        put(to, "picture", p->type);
        put_hash(to, "data", p->data);
    }
    for (size_t i = 0; i < message->n_calls; i++) {
        put(to, "call", message->calls[i].name);
        put(to, "arguments", message->calls[i].arguments);
    }
    return true;
}

bool reuse_key(const struct model *m, const struct model_ask *ask, struct str scope,
               char ret[REUSE_KEY_MAX])
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(QUESTION_MAX);
    uint8_t hash[32];
    put(&b, "for", scope);
    put_model(&b, m, ask);
    for (size_t i = 0; i < ask->n_tools; i++) {
        put(&b, "tool", ask->tools[i].name);
        put_hash(&b, "description", ask->tools[i].description);
        put_hash(&b, "schema", ask->tools[i].schema);
    }
    for (size_t i = 0; i < ask->n_messages; i++)
        if (!put_message(&b, &ask->messages[i])) return false;
    if (b.full) return false;
    sign_sha256(buf_str(&b), hash);
    sign_hex(hash, sizeof hash, ret);
    return true;
}

/* ---- the steps ---- */

static int whose(struct turn *t)
{
    struct str word = switch_text(t, FLAG_RESPONSE_CACHE);
    for (int i = 0; reuse_scope_words[i]; i++)
        if (str_eq(word, str_of(reuse_scope_words[i]))) return i;
    return t->chat->conf.cache;
}

/* In a group, too, a person is the one who asks. */
static struct str scope_of(struct turn *t, int scope)
{
    if (scope == REUSE_CHANNEL) return arena_printf(&t->arena, "channel:%s", t->channel->name);
    char user[UUID_TEXT_MAX];
    uuid_text(&t->request.user, user);
    return arena_printf(&t->arena, "person:%s", user);
}

/* Of the route's first model: what another one answers in its place is not what they asked for. */
static void find_key(struct turn *t, int scope)
{
    char key[REUSE_KEY_MAX];
    const struct model *m = turn_route(t)->v[0];
    if (reuse_key(m, question_draft(t, m, STR_NONE), scope_of(t, scope), key))
        t->reuse = (struct reuse){ .key = arena_dup(&t->arena, str_of(key)), .model = m };
}

enum flow_rc reuse_start(struct flow *f)
{
    struct turn *t = turn_of(f);
    t->reuse = (struct reuse){ .model = NULL };
    int scope = whose(t);
    if (scope == REUSE_OFF || t->stop != TURN_GOES_ON) return FLOW_NEXT;
    if (t->permit.saved.n) return FLOW_NEXT; /* their yes is for a call, not for an old answer */
    if (toolbox_offers(t) && !t->toolbox.n_tools)
        return FLOW_NEXT; /* which ones is not known yet */
    find_key(t, scope);
    t->question = NULL; /* no model was asked yet, and a bill must not say so */
    if (!t->reuse.key.n || t->anew) return FLOW_NEXT;
    store_response_get(t->chat->store, &t->flow.op, t->reuse.key, &t->rows);
    /* With a full queue it has failed already, and has no deadline any more. */
    if (list_empty(&t->flow.op.ready)) op_extend(&t->flow.op, LOOKUP_MS);
    return FLOW_WAIT;
}

bool reuse_found(struct turn *t)
{
    if (t->flow.op.err.kind) {
        metric_add(&m_failed, 1);
        log_warn("turn", "kept answers not looked up, asking the model", "turn=%s text=%s", t->id,
                 log_quote(str_of(t->flow.op.err.msg)));
        return false;
    }
    bool found = t->rows.n > 0 && t->stop == TURN_GOES_ON;
    metric_add(found ? &m_hits : &m_misses, 1);
    if (!found) return false;
    t->reply = arena_dup(&t->arena, pg_rows_str(&t->rows, 0, 0));
    t->reuse.made_at = arena_dup(&t->arena, pg_rows_str(&t->rows, 0, 2));
    t->model = t->reuse.model;
    t->outcome = "answered";
    t->asked_ms = clock_ms();
    return true;
}

/* ---- keeping ---- */

/* What tools have found out may be different tomorrow; those of the model's server, too. */
static bool used_tools(const struct model_ask *ask)
{
    for (size_t i = 0; i < ask->n_messages; i++)
        if (ask->messages[i].role == MODEL_TOOL_RESULT || ask->messages[i].n_calls ||
            ask->messages[i].kept.n)
            return true;
    return false;
}

static bool is_worth_keeping(const struct turn *t)
{
    return t->reuse.key.n && !t->reuse.made_at.n && !t->notice && t->stop == TURN_GOES_ON &&
           t->model == t->reuse.model && t->answer.finish == MODEL_STOP && t->answer.text.n > 0 &&
           !t->asked.replaced && !t->asked.continued && t->question && !used_tools(t->question);
}

static struct str usage_json(struct turn *t)
{
    const struct model_usage *u = &t->answer.usage;
    return arena_printf(&t->arena, "{\"prompt\": %" PRId64 ", \"completion\": %" PRId64 "}",
                        u->prompt_tokens, u->completion_tokens);
}

void reuse_keep(struct turn *t)
{
    uint8_t hash[32];
    char hex[REUSE_KEY_MAX];
    if (!is_worth_keeping(t)) return;
    sign_sha256(t->query, hash);
    sign_hex(hash, sizeof hash, hex);
    const struct response_row row = {
        .key = t->reuse.key,
        .query_hash = str_of(hex),
        .content = buf_str(&t->answer.text), /* not the reply: a budget's alert may be under it */
        .model = str_of(t->model->name),
        .usage = usage_json(t),
        .user = t->request.user,
        .ttl_ms = t->chat->conf.cache_ttl_ms,
    };
    keeper_remember(t->chat, &row);
}
