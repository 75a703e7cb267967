/*
 * work_json - one record a text, which the thread owns while it works.
 */
#include "core/loop/work_json.h"

#include "core/base/mem.h"
#include "core/loop/work.h"

#define PARSE_MAX_MS 60000
#define SLACK_MS     1000 /* our own deadline comes last */

struct parse {
    struct op inner, *outer;
    struct buf text, *give_back;
    struct json *doc, **ret;
    struct err why;
};

static void parse_free(void *arg)
{
    struct parse *p = arg;
    buf_done(&p->text);
    json_free(p->doc);
    free(p);
}

static void parse_run(void *arg)
{
    struct parse *p = arg;
    json_parse(buf_str(&p->text), &p->doc, &p->why);
}

static void parse_drop(struct op *op)
{
    struct parse *p = op->impl;
    op_cancel(&p->inner); /* the thread frees it */
}

static const struct op_kind parse_kind = { "work.json", parse_drop };

static void on_parsed(struct op *inner)
{
    struct parse *p = container_of(inner, struct parse, inner);
    if (inner->err.kind) { /* the thread has it still */
        op_fail(p->outer, &inner->err);
        return;
    }
    *p->give_back = p->text;
    p->text = (struct buf)BUF_INIT(0);
    if (p->why.kind) {
        op_fail(p->outer, &p->why);
    } else {
        *p->ret = p->doc;
        p->doc = NULL;
        op_finish(p->outer);
    }
    parse_free(p);
}

void work_json_parse(struct op *op, struct buf *text, struct json **ret)
{
    struct parse *p = mem_new(struct parse);
    *p = (struct parse){ .outer = op, .text = *text, .give_back = text, .ret = ret };
    *text = (struct buf)BUF_INIT(0);
    op_init(&p->inner, op->loop, on_parsed);
    op_begin(op, &parse_kind, p, PARSE_MAX_MS + SLACK_MS);
    work_run(&p->inner, parse_run, p, parse_free, PARSE_MAX_MS);
}
