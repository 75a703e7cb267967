/* history: what a page asks of the past, and what it changes there. All within the person's own
 * place, so that a foreign thread is simply not there. */
#include "core/store/history.h"
#include "channels/web/web_impl.h"

#define THREADS_MAX 500
#define PAGE_BYTES  (512 * 1024)

static struct store *store_of(const struct web_job *job)
{
    return job->web->channel.host->store;
}

static struct thread thread_of(const struct web_job *job)
{
    return (struct thread){ str_of(job->web->channel.name), str_of(job->identity),
                            str_of(job->in.thread) };
}

/* ---- list ---- */

static void put_thread(struct json_out *o, const struct pg_rows *rows, int i)
{
    json_open(o, '{');
    json_field_str(o, "thread", pg_rows_str(rows, i, 0));
    json_field_str(o, "title", pg_rows_str(rows, i, 1));
    json_field_str(o, "first", pg_rows_str(rows, i, 2));
    json_field_i64(o, "at", pg_rows_i64(rows, i, 3));
    json_field_bool(o, "pinned", pg_rows_bool(rows, i, 4));
    json_close(o, '}');
}

static void on_threads(struct op *op)
{
    struct web_job *job = container_of(op, struct web_job, op);
    if (op->err.kind) {
        web_job_failed(job);
        return;
    }
    struct json_out o = web_frame(job->web, "list");
    json_key(&o, "threads");
    json_open(&o, '[');
    for (int i = 0; i < job->rows.n; i++) put_thread(&o, &job->rows, i);
    json_close(&o, ']');
    if (job->socket) web_frame_send(job->socket, &o);
    web_job_free(job);
}

void web_list_start(struct web_job *job)
{
    job->op.done = on_threads;
    store_threads(store_of(job), &job->op, str_of(job->web->channel.name), str_of(job->identity),
                  THREADS_MAX, &job->rows);
}

/* ---- history: messages first, then what is open, so that no answer falls between the two ---- */

static void put_message(struct json_out *o, const struct pg_rows *rows, int i)
{
    struct uuid id = pg_rows_uuid(rows, i, 0);
    json_open(o, '{');
    web_put_uuid(o, "id", id);
    json_field_str(o, "role", pg_rows_bool(rows, i, 1) ? STR("user") : STR("assistant"));
    json_field_bool(o, "notice", pg_rows_bool(rows, i, 2));
    json_field_i64(o, "at", uuid_wall_ms(&id));
    json_field_str(o, "text", pg_rows_str(rows, i, 3));
    json_close(o, '}');
}

/* Oldest first, whichever way they were read. */
static void put_messages(struct json_out *o, const struct web_job *job)
{
    const struct pg_rows *rows = &job->messages;
    bool forward = !uuid_is_nil(&job->in.after);
    bool more = rows->n > 0 && pg_rows_i64(rows, 0, 4) > rows->n;
    json_field_bool(o, "more", more);
    json_key(o, "messages");
    json_open(o, '[');
    for (int i = 0; i < rows->n; i++) put_message(o, rows, forward ? i : rows->n - 1 - i);
    json_close(o, ']');
}

static bool is_question(const struct pg_rows *rows, int i)
{
    return str_eq(pg_rows_str(rows, i, 2), STR("asks"));
}

/* The question whether a tool may be called that waits for a yes. */
static void put_question(struct json_out *o, const struct pg_rows *rows)
{
    for (int i = 0; i < rows->n; i++) {
        if (!is_question(rows, i)) continue;
        json_key(o, "asks");
        json_open(o, '{');
        web_put_uuid(o, "request", pg_rows_uuid(rows, i, 0));
        web_put_uuid(o, "message", pg_rows_uuid(rows, i, 1));
        json_close(o, '}');
        return; /* a conversation has one at most */
    }
}

static void put_open(struct json_out *o, const struct pg_rows *rows)
{
    json_key(o, "open");
    json_open(o, '[');
    for (int i = 0; i < rows->n; i++) {
        if (is_question(rows, i)) continue;
        json_open(o, '{');
        web_put_uuid(o, "request", pg_rows_uuid(rows, i, 0));
        web_put_uuid(o, "message", pg_rows_uuid(rows, i, 1));
        json_field_str(o, "status", pg_rows_str(rows, i, 2));
        json_field_str(o, "client", pg_rows_str(rows, i, 3));
        json_close(o, '}');
    }
    json_close(o, ']');
}

static void on_open_requests(struct op *op)
{
    struct web_job *job = container_of(op, struct web_job, op);
    if (op->err.kind) {
        web_job_failed(job);
        return;
    }
    struct json_out o = web_frame(job->web, "history");
    if (*job->in.id) json_field_str(&o, "id", str_of(job->in.id));
    json_field_str(&o, "thread", str_of(job->in.thread));
    web_put_uuid(&o, "before", job->in.before);
    web_put_uuid(&o, "after", job->in.after);
    put_messages(&o, job);
    put_open(&o, &job->rows);
    put_question(&o, &job->rows);
    if (job->socket) web_frame_send(job->socket, &o);
    web_job_free(job);
}

static void on_messages(struct op *op)
{
    struct web_job *job = container_of(op, struct web_job, op);
    if (op->err.kind) {
        web_job_failed(job);
        return;
    }
    const struct thread t = thread_of(job);
    op->done = on_open_requests;
    store_thread_open(store_of(job), op, &t, &job->rows);
}

void web_history_start(struct web_job *job)
{
    const struct thread t = thread_of(job);
    const struct thread_page page = { .before = job->in.before,
                                      .after = job->in.after,
                                      .limit = job->in.limit,
                                      .bytes_max = PAGE_BYTES };
    job->op.done = on_messages;
    store_thread_messages(store_of(job), &job->op, &t, &page, &job->messages);
}

/* ---- rename, pin, hide: every tab learns of it ---- */

static void on_changed(struct op *op)
{
    struct web_job *job = container_of(op, struct web_job, op);
    if (op->err.kind) {
        web_job_failed(job);
        return;
    }
    if (job->rows.n_affected == 0) {
        err_set(&op->err, ERR_NOT_FOUND, "no such conversation");
        web_job_failed(job);
        return;
    }
    struct json_out o = web_frame(job->web, "changed");
    json_field_str(&o, "thread", str_of(job->in.thread));
    json_field_bool(&o, "hidden", job->in.verb == WEB_HIDE);
    web_frame_push(job->web, str_of(job->identity), NULL, &o);
    web_job_free(job);
}

void web_change_start(struct web_job *job)
{
    const struct thread t = thread_of(job);
    job->op.done = on_changed;
    if (job->in.verb == WEB_RENAME)
        store_thread_rename(store_of(job), &job->op, &t, job->in.text, &job->rows);
    else if (job->in.verb == WEB_PIN)
        store_thread_pin(store_of(job), &job->op, &t, job->in.pinned, &job->rows);
    else
        store_thread_hide(store_of(job), &job->op, &t, &job->rows);
}
