/*
 * note - one record a call; more than some are not begun.
 */
#include "channels/slack/note.h"

#include "channels/slack/api.h"
#include "channels/slack/team.h"
#include "channels/slack/ticket.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define NOTES_MAX 64
#define NOTE_MAX  4096

struct note {
    struct list link;
    struct op op;
    struct slack_call call;
    struct slack_reply reply;
    struct buf body;
    char token[256], team[SLACK_ID_MAX], url[SLACK_URL_MAX];
};

static void note_free(struct note *n)
{
    op_cancel(&n->op);
    list_drop(&n->link);
    slack_reply_done(&n->reply);
    buf_done(&n->body);
    free(n);
}

static void on_noted(struct op *op)
{
    struct note *n = container_of(op, struct note, op);
    if (op->err.kind)
        log_debug("slack", "a sign could not be given", "method=%s why=%s", n->call.method,
                  log_quote(str_of(op->err.msg)));
    note_free(n);
}

/* NULL: too many are under way. */
static struct note *note_new(struct slack *s, const char *method)
{
    if (list_length(&s->notes) >= NOTES_MAX) return NULL;
    struct note *n = mem_new(struct note);
    buf_init(&n->body, NOTE_MAX);
    n->call = (struct slack_call){ .method = method, .yields = true };
    op_init(&n->op, s->channel.host->loop, on_noted);
    list_push(&s->notes, &n->link);
    return n;
}

static void note_send(struct slack *s, struct note *n)
{
    n->call.body = buf_str(&n->body);
    slack_call(s, &n->op, &n->call, &n->reply);
}

/* In a workspace: NULL when it is not known, which a sign is not worth asking for. */
static struct note *note_in(struct slack *s, const struct place *where, const char *method)
{
    const struct slack_team *team = slack_team(s, where->workspace);
    struct note *n = team ? note_new(s, method) : NULL;
    if (!n) return NULL;
    snprintf(n->token, sizeof(n->token), "%s", team->token);
    snprintf(n->team, sizeof(n->team), "%s", team->id);
    n->call.token = str_of(n->token);
    n->call.team = str_of(n->team);
    return n;
}

void slack_react(struct slack *s, const struct place *where, struct str ts, bool add)
{
    struct note *n =
        *s->reaction ? note_in(s, where, add ? "reactions.add" : "reactions.remove") : NULL;
    if (!n) return;
    struct json_out o = JSON_OUT(&n->body);
    json_open(&o, '{');
    json_field_str(&o, "channel", where->channel);
    json_field_str(&o, "timestamp", ts);
    json_field_str(&o, "name", str_of(s->reaction));
    json_close(&o, '}');
    note_send(s, n);
}

void slack_typing(struct channel *ch, const struct place *where)
{
    struct slack *s = slack_of(ch);
    struct note *n = where->thread.n ? note_in(s, where, "assistant.threads.setStatus") : NULL;
    if (!n) return;
    struct json_out o = JSON_OUT(&n->body);
    json_open(&o, '{');
    json_field_str(&o, "channel_id", where->channel);
    json_field_str(&o, "thread_ts", where->thread);
    json_field_str(&o, "status", STR("is thinking ..."));
    json_close(&o, '}');
    note_send(s, n);
}

void slack_whisper(struct slack *s, struct str url, struct str text)
{
    struct note *n = url.n && url.n < SLACK_URL_MAX && slack_is_slacks(s, url)
                         ? note_new(s, "response_url")
                         : NULL;
    if (!n) return;
    snprintf(n->url, sizeof(n->url), "%.*s", STR_ARG(url));
    n->call.url = n->url;
    struct json_out o = JSON_OUT(&n->body);
    json_open(&o, '{');
    json_field_str(&o, "response_type", STR("ephemeral"));
    json_field_bool(&o, "replace_original", false);
    json_field_str(&o, "text", text);
    json_close(&o, '}');
    note_send(s, n);
}

void slack_notes_cancel(struct slack *s)
{
    list_each (it, next, &s->notes) note_free(container_of(it, struct note, link));
}
