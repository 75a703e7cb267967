/*
 * job: what a socket asked for and what takes a while. A job outlives its socket: a message that
 * was on its way when the tab closed is still shown in the other ones.
 */
#include "channels/web/web_impl.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/store/attachment.h"
#include <stdio.h>

#define RETRY_MS 2000

void web_job_free(struct web_job *job)
{
    op_cancel(&job->op);
    list_drop(&job->link);
    if (job->socket) job->socket->n_jobs--;
    pg_rows_done(&job->rows);
    pg_rows_done(&job->messages);
    json_free(job->doc);
    free(job);
}

/* What the person reads, and whether trying again may help. */
static const char *failure_text(enum err_kind kind, bool *ret_again)
{
    *ret_again =
        kind != ERR_PROTO && kind != ERR_REFUSED && kind != ERR_BUG && kind != ERR_NOT_FOUND;
    return *ret_again ? "The database does not answer at the moment. It is tried again."
           : kind == ERR_NOT_FOUND ? "There is no such conversation."
                                   : "The database refused this.";
}

void web_job_failed(struct web_job *job)
{
    struct err why = job->op.err;
    uint32_t wait_ms = why.retry_after_ms ? why.retry_after_ms : RETRY_MS;
    bool again;
    const char *text = failure_text(why.kind, &again);
    log_warn(job->web->channel.name, "what a page asked for failed", "identity=%s kind=%s text=%s",
             job->identity, err_rule(why.kind)->name, log_quote(str_of(why.msg)));
    err_set(&why, why.kind, "%s", text);
    why.retry_after_ms = again ? wait_ms : 0;
    if (job->socket) web_socket_error(job->socket, job->in.id, &why);
    web_job_free(job);
}

/* ---- send ---- */

static void answer_accepted(struct web_job *job)
{
    struct json_out o = web_frame(job->web, "accepted");
    json_field_str(&o, "id", str_of(job->in.id));
    json_field_str(&o, "thread", str_of(job->in.thread));
    web_put_uuid(&o, "message", job->accepted.message);
    web_put_uuid(&o, "request", job->accepted.request);
    web_frame_send(job->socket, &o);
}

static void put_attachments(struct json_out *o, const struct web_job *job)
{
    if (!job->in.n_attachments) return;
    json_key(o, "attachments");
    json_open(o, '[');
    for (size_t i = 0; i < job->in.n_attachments; i++) {
        json_open(o, '{');
        json_field_str(o, "kind", job->attachments[i].kind);
        json_field_str(o, "name", job->attachments[i].name);
        json_close(o, '}');
    }
    json_close(o, ']');
}

/* The person's other tabs see what was written here. */
static void push_own(struct web_job *job)
{
    struct json_out o = web_frame(job->web, "message");
    json_field_str(&o, "thread", str_of(job->in.thread));
    json_field_str(&o, "client", str_of(job->in.id));
    web_put_uuid(&o, "id", job->accepted.message);
    web_put_uuid(&o, "request", job->accepted.request);
    json_field_str(&o, "role", STR("user"));
    json_field_i64(&o, "at", clock_wall_ms());
    json_field_str(&o, "text", job->in.text);
    put_attachments(&o, job);
    web_frame_push(job->web, str_of(job->identity), job->socket, &o);
}

static void on_accepted(struct op *op)
{
    struct web_job *job = container_of(op, struct web_job, op);
    if (op->err.kind) {
        web_job_failed(job);
        return;
    }
    if (job->socket) answer_accepted(job);
    if (!job->accepted.duplicate) push_own(job);
    web_job_free(job);
}

static void accept_start(struct web_job *job)
{
    char event[SESSION_IDENTITY_MAX + UUID_TEXT_MAX];
    snprintf(event, sizeof(event), "%s:%s", job->identity, job->in.id);
    const struct inbound in = {
        .kind = INBOUND_MESSAGE,
        .event_id = str_of(event),
        .where = { STR_NONE, str_of(job->identity), str_of(job->in.thread) },
        .direct = true,
        .from = { str_of(job->identity), STR_NONE, STR_NONE },
        .message_id = str_of(job->in.id),
        .text = job->in.text,
        .attachments = job->attachments,
        .n_attachments = job->in.n_attachments,
        .ip = job->socket ? str_of(job->socket->ip) : STR_NONE,
    };
    job->op.done = on_accepted;
    chat_accept(job->web->channel.host->chat, &job->op, &job->web->channel, &in, &job->accepted);
}

/* Pictures can be looked at, by who sees. */
static void attachment_fill(struct web_job *job, int i)
{
    struct attachment *a = &job->attachments[i];
    struct uuid id = pg_rows_uuid(&job->rows, i, 0);
    char text[UUID_TEXT_MAX];
    uuid_text(&id, text);
    snprintf(job->refs[i], WEB_REF_MAX, ATTACHMENT_REF "%s", text);
    *a = (struct attachment){ .name = pg_rows_str(&job->rows, i, 1),
                              .mime = pg_rows_str(&job->rows, i, 2),
                              .ref = str_of(job->refs[i]),
                              .bytes = pg_rows_i64(&job->rows, i, 3) };
    a->kind = str_of(web_attachment_kind(a->mime));
    if (str_eq(a->kind, STR("photo"))) a->url = a->ref;
}

static void on_attachments(struct op *op)
{
    struct web_job *job = container_of(op, struct web_job, op);
    struct err why = ERR_INIT;
    if (op->err.kind) {
        web_job_failed(job);
    } else if ((size_t)job->rows.n < job->in.n_attachments) {
        err_set(&why, ERR_NOT_FOUND, "A file is not there any more. Please attach it again.");
        if (job->socket) web_socket_error(job->socket, job->in.id, &why);
        web_job_free(job);
    } else {
        for (int i = 0; i < job->rows.n; i++) attachment_fill(job, i);
        accept_start(job);
    }
}

static void send_start(struct web_job *job)
{
    char id[UUID_TEXT_MAX];
    size_t n = 0;
    if (!job->in.n_attachments) {
        accept_start(job);
        return;
    }
    for (size_t i = 0; i < job->in.n_attachments; i++) {
        uuid_text(&job->in.attachments[i], id);
        n += (size_t)snprintf(job->ids + n, sizeof(job->ids) - n, "%c%s", i ? ',' : '{', id);
    }
    snprintf(job->ids + n, sizeof(job->ids) - n, "}");
    job->op.done = on_attachments;
    store_attachments_send(job->web->channel.host->store, &job->op, str_of(job->web->channel.name),
                           str_of(job->identity), str_of(job->ids), &job->rows);
}

/* ---- edit, take_back: of a message that waits ---- */

static void push_change(struct web_job *job)
{
    bool edited = job->in.verb == WEB_EDIT;
    struct json_out o = web_frame(job->web, edited ? "edited" : "taken_back");
    json_field_str(&o, "thread", str_of(job->in.thread));
    json_field_str(&o, "client", str_of(job->in.message));
    if (edited) json_field_str(&o, "text", job->in.text);
    web_frame_push(job->web, str_of(job->identity), NULL, &o);
}

static void on_waiting_changed(struct op *op)
{
    struct web_job *job = container_of(op, struct web_job, op);
    if (op->err.kind) {
        web_job_failed(job);
        return;
    }
    struct err why = ERR_INIT;
    err_set(&why, ERR_NOT_FOUND, "It is being answered already.");
    if (job->accepted.changed)
        push_change(job);
    else if (job->socket)
        web_socket_error(job->socket, job->in.id, &why);
    web_job_free(job);
}

static void change_waiting_start(struct web_job *job)
{
    const struct inbound in = {
        .kind = job->in.verb == WEB_EDIT ? INBOUND_EDIT : INBOUND_DELETE,
        .where = { STR_NONE, str_of(job->identity), str_of(job->in.thread) },
        .direct = true,
        .from = { str_of(job->identity), STR_NONE, STR_NONE },
        .message_id = str_of(job->in.message),
        .text = job->in.text,
    };
    job->op.done = on_waiting_changed;
    chat_accept(job->web->channel.host->chat, &job->op, &job->web->channel, &in, &job->accepted);
}

/* ---- vote ---- */

static void on_voted(struct op *op)
{
    struct web_job *job = container_of(op, struct web_job, op);
    if (op->err.kind)
        web_job_failed(job);
    else
        web_job_free(job);
}

static void vote_start(struct web_job *job)
{
    const struct inbound in = {
        .kind = INBOUND_VOTE,
        .where = { STR_NONE, str_of(job->identity), str_of(job->in.thread) },
        .direct = true,
        .from = { str_of(job->identity), STR_NONE, STR_NONE },
        .message_id = str_of(job->in.message),
        .vote = (int)job->in.vote,
        .taken_back = job->in.taken_back,
    };
    job->op.done = on_voted;
    chat_accept(job->web->channel.host->chat, &job->op, &job->web->channel, &in, NULL);
}

/* ---- public ---- */

static void (*const starts[WEB_VERB_N])(struct web_job *job) = {
    [WEB_SEND] = send_start,
    [WEB_LIST] = web_list_start,
    [WEB_HISTORY] = web_history_start,
    [WEB_RENAME] = web_change_start,
    [WEB_PIN] = web_change_start,
    [WEB_HIDE] = web_change_start,
    [WEB_VOTE] = vote_start,
    [WEB_EDIT] = change_waiting_start,
    [WEB_TAKE_BACK] = change_waiting_start,
};

static const char *not_now(const struct web_socket *s, const struct web_in *in)
{
    if (s->n_jobs >= WEB_JOBS_MAX)
        return "That is too much at once. It is tried again in a moment.";
    if (in->verb == WEB_SEND && s->web->channel.paused)
        return "The gateway is restarting. The message is sent when it is back.";
    return NULL;
}

void web_job_start(struct web_socket *s, const struct web_in *in, struct json *doc)
{
    const char *refusal = not_now(s, in);
    if (refusal) {
        struct err why = ERR_INIT;
        err_set(&why, ERR_LIMIT, "%s", refusal);
        why.retry_after_ms = RETRY_MS / 2;
        web_socket_error(s, in->id, &why);
        json_free(doc);
        return;
    }
    struct web_job *job = mem_new(struct web_job);
    job->web = s->web;
    job->socket = s;
    job->in = *in;
    job->doc = doc;
    memcpy(job->identity, s->person->id, sizeof(job->identity));
    list_push(&s->web->jobs, &job->link);
    s->n_jobs++;
    op_init(&job->op, s->web->channel.host->loop, NULL);
    starts[in->verb](job);
}

void web_jobs_leave(struct web_socket *s)
{
    list_each (it, next, &s->web->jobs) {
        struct web_job *job = container_of(it, struct web_job, link);
        if (job->socket == s) job->socket = NULL;
    }
}

void web_jobs_drop(struct web *w)
{
    while (!list_empty(&w->jobs)) web_job_free(list_first(&w->jobs, struct web_job, link));
}
