/* permit: see permit.h. */
#include "core/chat/permit.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/store/tool.h"

#define SAVED_MAX    ((size_t)1024 * 1024) /* json-c takes 9 ms for it: the loop's patience */
#define QUESTION_MAX ((size_t)256 * 1024)

/* ---- the question ---- */

struct str permit_question(struct turn *t, const struct model_call *calls, size_t n)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(QUESTION_MAX);
    char wait[CLOCK_SPAN_MAX];
    clock_span((uint64_t)t->chat->mcp->approval_ms, wait);
    buf_addf(&b, "May I call %s?\n", n == 1 ? "this tool" : "these tools");
    for (size_t i = 0; i < n; i++) {
        buf_add_cstr(&b, "\n```\n");
        size_t begin = b.n;
        tools_describe(t->chat->tools, &calls[i], &b);
        for (size_t k = begin; k < b.n; k++) /* it cannot end the block of code that shows it */
            if (b.p[k] == '`') b.p[k] = '\'';
        buf_add_cstr(&b, "\n```\n");
    }
    buf_addf(&b, "\nAnswer `/tool yes` or `/tool no` within %s.", wait);
    return arena_dup(&t->arena, buf_str(&b));
}

/* ---- what is kept until the answer ---- */

static void put_message(struct json_out *o, const struct model_message *m, const char *by)
{
    json_open(o, '{');
    json_field_str(o, "text", m->text);
    if (m->role == MODEL_TOOL_RESULT) {
        json_field_str(o, "id", m->call_id);
        json_field_str(o, "name", m->call_name);
        json_field_bool(o, "failed", m->failed);
    } else {
        json_field_str(o, "by", str_of(by));
        if (m->kept.n) json_field_str(o, "kept", m->kept);
        json_key(o, "calls");
        json_open(o, '[');
        for (size_t i = 0; i < m->n_calls; i++) {
            json_open(o, '{');
            json_field_str(o, "id", m->calls[i].id);
            json_field_str(o, "name", m->calls[i].name);
            json_field_str(o, "arguments", m->calls[i].arguments);
            json_close(o, '}');
        }
        json_close(o, ']');
    }
    json_close(o, '}');
}

struct str permit_save(struct turn *t)
{
    const struct toolbox *box = &t->toolbox;
    _cleanup_(buf_done) struct buf b = BUF_INIT(SAVED_MAX);
    struct json_out o = JSON_OUT(&b);
    char asked[UUID_TEXT_MAX];
    uuid_text(&t->request.request, asked);
    json_open(&o, '{');
    json_field_str(&o, "asked", str_of(asked)); /* first: see TOOL_STATE_HEAD */
    json_field_i64(&o, "rounds", box->rounds);
    json_key(&o, "messages");
    json_open(&o, '[');
    for (size_t i = 0; i < box->n; i++) put_message(&o, &box->messages[i], box->by[i]);
    json_close(&o, ']');
    json_close(&o, '}');
    return b.full ? STR_NONE : arena_dup(&t->arena, buf_str(&b));
}

static struct str text_of(struct turn *t, struct json *obj, const char *key)
{
    struct str s = STR_NONE;
    json_get_str(obj, key, &s);
    return arena_dup(&t->arena, s);
}

static void read_message(struct turn *t, struct json *v)
{
    struct json *list = json_get(v, "calls");
    struct model_message m = { .role = MODEL_TOOL_RESULT, .text = text_of(t, v, "text") };
    if (!list) {
        m.call_id = text_of(t, v, "id");
        m.call_name = text_of(t, v, "name");
        json_get_bool(v, "failed", &m.failed);
        t->toolbox.result_bytes += m.text.n;
        toolbox_add(t, &m, "");
        return;
    }
    struct model_call *calls = arena_new_array(&t->arena, struct model_call, json_length(list) + 1);
    for (size_t i = 0; i < json_length(list); i++)
        calls[i] = (struct model_call){ text_of(t, json_at(list, i), "id"),
                                        text_of(t, json_at(list, i), "name"),
                                        text_of(t, json_at(list, i), "arguments") };
    m.role = MODEL_ASSISTANT;
    m.calls = calls;
    m.n_calls = json_length(list);
    m.kept = text_of(t, v, "kept");
    toolbox_add(t, &m, text_of(t, v, "by").p);
}

bool permit_restore(struct turn *t, struct str saved, const struct model_call **ret_calls,
                    size_t *ret_n)
{
    struct json *doc = NULL;
    if (json_parse(saved, &doc, NULL) != ERR_NONE) return false;
    struct json *list = json_get(doc, "messages");
    json_get_i64(doc, "rounds", &t->toolbox.rounds);
    for (size_t i = 0; i < json_length(list); i++) read_message(t, json_at(list, i));
    json_free(doc);
    struct toolbox *b = &t->toolbox;
    if (b->n == 0 || b->messages[b->n - 1].n_calls == 0) {
        b->n = 0; /* half of it would be refused by the provider */
        return false;
    }
    *ret_calls = b->messages[b->n - 1].calls;
    *ret_n = b->messages[b->n - 1].n_calls;
    return true;
}

/* ---- the answer ---- */

/* In the memory of the turn. */
struct permit_closing {
    struct op op;
    struct outbound question;
    struct sent sent;
};

enum flow_rc permit_run(struct turn *t, struct str args)
{
    struct str which = args, word = str_cut(&which, ' ');
    struct permit *p = &t->permit;
    p->yes = str_eq_nocase(word, STR("yes"));
    p->pressed = which.n > 0;
    bool known = p->yes || str_eq_nocase(word, STR("no"));
    if (!known || (p->pressed && !uuid_parse(str_trim(which), &p->asked))) {
        turn_say(t, "`/tool yes` lets me make the call that I asked about, `/tool no` does not.");
        return FLOW_NEXT;
    }
    store_tool_answer(t->chat->store, &t->flow.op, &t->request, p->asked, &t->rows);
    return FLOW_WAIT;
}

static void on_closed(struct op *op)
{
    if (op->err.kind)
        log_debug("turn", "buttons of a question stay", "why=%s", log_quote(str_of(op->err.msg)));
}

/* The message that asked loses its buttons and says what became of it, while the turn goes on.
 * Should that fail, they do nothing any more. */
static void close_question(struct turn *t, const char *mark)
{
    const struct pg_rows *rows = &t->rows;
    const struct channel_type *type = t->channel->type;
    struct str message = pg_rows_str(rows, 0, 7), text = pg_rows_str(rows, 0, 8);
    struct permit_closing *c = t->permit.closing;
    if (!message.n || (c && op_busy(&c->op))) return;
    struct str marked = arena_printf(&t->arena, "%.*s\n\n_(%s)_", STR_ARG(text), mark);
    bool fits = utf8_length(marked, type->text_unit) <= type->text_max;
    c = t->permit.closing = arena_new(&t->arena, struct permit_closing);
    c->question = turn_outbound(t);
    c->question.request = pg_rows_uuid(rows, 0, 6);
    c->question.edits = arena_dup(&t->arena, message);
    c->question.text = fits ? marked : arena_dup(&t->arena, text);
    c->question.notice = true;
    /* It is no answer to what was said just now. */
    c->question.reply_to = c->question.ticket = STR_NONE;
    op_init(&c->op, t->chat->loop, on_closed);
    type->send(t->channel, &c->op, &c->question, &c->sent);
}

/* A second press, or one that came after the typed word, does nothing. */
static void say_nothing_open(struct turn *t)
{
    if (!t->permit.pressed) {
        turn_say(t, "There is no call of a tool that waits for your yes.");
    } else if (pg_rows_bool(&t->rows, 0, 5)) {
        t->outcome = "cancelled";
        t->reason = "decided already";
    } else {
        close_question(t, "no longer open");
        turn_say(t, "That question is no longer open.");
    }
}

enum flow_rc permit_done(struct turn *t)
{
    const struct pg_rows *rows = &t->rows;
    if (rows->n == 0 || pg_rows_str(rows, 0, 0).n == 0) {
        say_nothing_open(t);
    } else if (pg_rows_bool(rows, 0, 4)) {
        close_question(t, "too late");
        turn_say(t, "That took too long: the call is not made any more. Please ask again.");
    } else if (pg_rows_str(rows, 0, 2).n == 0) {
        close_question(t, "no longer open");
        turn_say(t, "The question that it was about is gone.");
    } else {
        close_question(t, t->permit.yes ? "allowed" : "refused");
        turn_ask_anew(t, pg_rows_str(rows, 0, 2), pg_rows_str(rows, 0, 1), pg_rows_str(rows, 0, 3));
        t->anew = false; /* it was not answered yet */
        t->permit.saved = arena_dup(&t->arena, pg_rows_str(rows, 0, 0));
    }
    return FLOW_NEXT;
}

void permit_end(struct turn *t)
{
    if (t->permit.closing) op_cancel(&t->permit.closing->op);
}
