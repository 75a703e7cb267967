/*
 * wire_stdio - messages in lines, to and from a program that we run. What it writes to standard
 * error is for the debug log; a line of standard output that is no message is skipped.
 */
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/tool/pending.h"
#include <stdio.h>

#define UNSENT_MAX   ((size_t)4 * 1024 * 1024)
#define GRACE_MS     1000
#define NAME_MAX_LEN 64

struct wire_stdio {
    struct wire base;
    struct child *child; /* NULL: it has ended */
    struct pendings pendings;
    char log_name[NAME_MAX_LEN];
};

static enum err_kind send_line(struct wire_stdio *w, struct str body, struct err *why)
{
    _cleanup_(buf_done) struct buf line = BUF_INIT(body.n + 1);
    if (!w->child) return err_set(why, ERR_IO, "the program has ended");
    buf_add(&line, body);
    buf_add_char(&line, '\n');
    return child_write(w->child, buf_str(&line), why);
}

/* ---- what comes ---- */

static void reply_to(struct wire_stdio *w, const struct rpc_message *m)
{
    _cleanup_(buf_done) struct buf body = BUF_INIT(4096);
    rpc_put_reply(&body, m->raw_id, m->method);
    if (!body.full) send_line(w, buf_str(&body), NULL);
}

static void on_line(void *ctx, struct str line, bool cut)
{
    struct wire_stdio *w = ctx;
    struct rpc_message m;
    struct err why = ERR_INIT;
    if (cut) { /* whose answer it was is not known */
        err_set(&why, ERR_LIMIT, "the answer is larger than %zu bytes", WIRE_MESSAGE_MAX);
        pendings_fail_all(&w->pendings, &why);
        return;
    }
    if (rpc_parse(line, &m, &why) != ERR_NONE) {
        log_debug(w->log_name, "a line is no message, skipping it", "why=%s line=%s",
                  log_quote(str_of(why.msg)), log_quote(line));
        return;
    }
    if (m.what == RPC_RESULT || m.what == RPC_ERROR) {
        pendings_answer(&w->pendings, &m);
        return;
    }
    if (m.what == RPC_NOTE) w->base.user.on_note(w->base.user.ctx, m.method);
    if (m.what == RPC_REQUEST) reply_to(w, &m);
    rpc_message_done(&m);
}

static void on_note_line(void *ctx, struct str line)
{
    const struct wire_stdio *w = ctx;
    log_debug(w->log_name, "it says", "line=%s", log_quote(line));
}

static void on_exit_of(void *ctx, int64_t status, int number)
{
    struct wire_stdio *w = ctx;
    struct err why;
    if (number)
        err_set(&why, ERR_UNKNOWN, "the program was ended by signal %d before it answered", number);
    else
        err_set(&why, ERR_UNKNOWN, "the program ended with status %lld before it answered",
                (long long)status);
    w->child = NULL;
    pendings_fail_all(&w->pendings, &why);
    w->base.user.on_gone(w->base.user.ctx);
}

/* ---- the wire ---- */

static void on_cancel(void *ctx, struct str body)
{
    send_line(ctx, body, NULL);
}

static const struct op_kind at_once_kind = { "mcp.stdio", NULL };

static void stdio_ask(struct wire *base, struct op *op, const struct wire_ask *ask,
                      struct wire_answer *ret)
{
    struct wire_stdio *w = container_of(base, struct wire_stdio, base);
    struct err why = ERR_INIT;
    if (pendings_full(&w->pendings))
        err_set(&why, ERR_LIMIT, "too many requests at once");
    else
        send_line(w, ask->body, &why);
    if (why.kind == ERR_NONE && ask->id) {
        pendings_add(&w->pendings, op, ask, ret);
        return;
    }
    op_begin(op, &at_once_kind, NULL, 1);
    if (why.kind != ERR_NONE)
        op_fail(op, &why);
    else
        op_finish(op);
}

static void stdio_end(struct wire *base, struct op *op)
{
    (void)base; /* closing its input is all there is to say */
    op_sleep(op, 0);
}

static void stdio_close(struct wire *base)
{
    struct wire_stdio *w = container_of(base, struct wire_stdio, base);
    const struct err why = { .kind = ERR_UNKNOWN, .msg = "the program was given up" };
    pendings_fail_all(&w->pendings, &why);
    child_close(w->child);
    free(w);
}

static const struct wire_type stdio_type = { stdio_ask, stdio_end, stdio_close };

enum err_kind wire_stdio_open(struct loop *loop, const struct wire_program *program,
                              const struct wire_user *user, struct wire **ret, struct err *why)
{
    struct wire_stdio *w = mem_new(struct wire_stdio);
    *w = (struct wire_stdio){ .base = { .type = &stdio_type, .loop = loop, .user = *user } };
    pendings_init(&w->pendings, on_cancel, w);
    snprintf(w->log_name, sizeof(w->log_name), "%s", program->log_name);
    const struct child_conf conf = {
        .argv = program->argv,
        .env = program->env,
        .directory = program->directory,
        .limits = program->limits,
        .line_max = WIRE_MESSAGE_MAX,
        .unsent_max = UNSENT_MAX,
        .grace_ms = GRACE_MS,
        .on_line = on_line,
        .on_note = on_note_line,
        .on_exit = on_exit_of,
        .ctx = w,
    };
    if (child_open(loop, &conf, &w->child, why) != ERR_NONE) {
        free(w);
        return why->kind;
    }
    *ret = &w->base;
    return ERR_NONE;
}
