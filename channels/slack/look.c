/*
 * look - conversations.replies or conversations.history, page by page. Methods that read take forms
 * only.
 */
#include "channels/slack/look.h"

#include "channels/slack/api.h"
#include "channels/slack/body.h"
#include "core/base/mem.h"
#include "core/net/http_form.h"

#define PAGE      100
#define PAGES_MAX 10
#define CLOCKS_MS 60000 /* that Slack's clock and ours may differ */
#define LOOK_MS   200000
#define FORM_MAX  2048

struct look {
    struct op inner, *outer;
    struct slack *bot;
    const struct outbound *out;
    struct slack_look *look;
    struct slack_call call;
    struct slack_reply reply;
    unsigned pages;
    struct buf form;
    char cursor[512];
};

static void look_free(struct look *l)
{
    op_cancel(&l->inner);
    slack_reply_done(&l->reply);
    buf_done(&l->form);
    free(l);
}

static void look_drop(struct op *op)
{
    look_free(op->impl);
}

static const struct op_kind look_kind = { "slack.look", look_drop };

static void field(struct look *l, const char *key, struct str value)
{
    buf_addf(&l->form, "%s%s=", l->form.n ? "&" : "", key);
    http_form_put(&l->form, value);
}

static void on_page(struct op *inner);

static void ask(struct look *l)
{
    const struct place *where = &l->out->where;
    int64_t since_ms = (int64_t)uuid_wall_ms(&l->out->request) - CLOCKS_MS;
    char oldest[32];
    snprintf(oldest, sizeof(oldest), "%lld.%03lld000", (long long)(since_ms / 1000),
             (long long)(since_ms % 1000));
    buf_clear(&l->form);
    field(l, "channel", where->channel);
    if (where->thread.n) field(l, "ts", where->thread);
    field(l, "oldest", str_of(oldest));
    field(l, "include_all_metadata", STR("true"));
    buf_addf(&l->form, "&limit=%d", PAGE);
    if (l->cursor[0]) field(l, "cursor", str_of(l->cursor));
    l->call = (struct slack_call){
        .method = where->thread.n ? "conversations.replies" : "conversations.history",
        .team = where->workspace,
        .token = l->look->token,
        .body = buf_str(&l->form),
        .form = true,
        .reply_max = (size_t)8 << 20,
    };
    op_init(&l->inner, l->outer->loop, on_page);
    slack_reply_done(&l->reply);
    slack_call(l->bot, &l->inner, &l->call, &l->reply);
}

/* A stream has its marker at its end only; but one answer is written in a thread at a time. */
static bool is_it(const struct look *l, struct json *message)
{
    struct str user = STR_NONE;
    json_get_str(message, "user", &user);
    if (slack_has_marker(message, l->out)) return true;
    return l->out->part == 0 && l->out->where.thread.n && str_eq(user, l->look->user) &&
           json_get(message, "streaming_state");
}

static bool find(struct look *l)
{
    struct json *messages = json_get(l->reply.doc, "messages");
    struct str ts = STR_NONE;
    for (size_t i = 0; i < json_length(messages); i++) {
        struct json *message = json_at(messages, i);
        if (!is_it(l, message) || !json_get_str(message, "ts", &ts)) continue;
        snprintf(l->look->ts, sizeof(l->look->ts), "%.*s", STR_ARG(ts));
        return true;
    }
    return false;
}

static bool has_more(struct look *l)
{
    struct str cursor = STR_NONE;
    json_get_str(json_get(l->reply.doc, "response_metadata"), "next_cursor", &cursor);
    if (!cursor.n || cursor.n >= sizeof(l->cursor) || ++l->pages == PAGES_MAX) return false;
    snprintf(l->cursor, sizeof(l->cursor), "%.*s", STR_ARG(cursor));
    return true;
}

static void on_page(struct op *inner)
{
    struct look *l = container_of(inner, struct look, inner);
    if (inner->err.kind) {
        struct err why = inner->err;
        if (why.kind == ERR_UNKNOWN) why.kind = ERR_IO; /* reading does nothing */
        op_fail(l->outer, &why);
        look_free(l);
    } else if (find(l) || !has_more(l)) {
        op_finish(l->outer);
        look_free(l);
    } else {
        ask(l);
    }
}

void slack_look(struct slack *s, struct op *op, const struct outbound *out, struct slack_look *look)
{
    struct look *l = mem_new(struct look);
    l->outer = op;
    l->bot = s;
    l->out = out;
    l->look = look;
    look->ts[0] = '\0';
    buf_init(&l->form, FORM_MAX);
    op_begin(op, &look_kind, l, LOOK_MS);
    ask(l);
}
