/* Long JSON texts on a thread: results, errors, and nobody waiting any more. */
#include "core/loop/work_json.h"
#include <criterion/criterion.h>

static struct loop loop;
static struct op op;
static struct buf text = BUF_INIT((size_t)4 << 20);
static struct json *doc;
static unsigned n_done;

static void on_done(struct op *o)
{
    (void)o;
    n_done++;
    loop_stop(&loop);
}

static void begin(const char *start, const char *end)
{
    loop_open(&loop);
    op_init(&op, &loop, on_done);
    buf_add_cstr(&text, start);
    for (int i = 0; i < 100000; i++) buf_add_cstr(&text, "1234567890,");
    buf_add_cstr(&text, end);
}

static void end(void)
{
    json_free(doc);
    buf_done(&text);
    loop_close(&loop);
}

Test(work_json, parses_and_gives_the_text_back)
{
    begin("[", "1]");
    size_t n = text.n;
    work_json_parse(&op, &text, &doc);
    cr_expect_eq(text.n, 0);
    loop_run(&loop);
    cr_expect_eq(op.err.kind, ERR_NONE);
    cr_expect_eq(json_length(doc), 100001);
    cr_expect_eq(text.n, n);
    end();
}

Test(work_json, says_what_is_wrong)
{
    begin("[", "!]");
    work_json_parse(&op, &text, &doc);
    loop_run(&loop);
    cr_expect_eq(op.err.kind, ERR_PROTO);
    cr_expect(op.err.msg[0]);
    cr_expect_eq(doc, NULL);
    cr_expect_gt(text.n, 1000000);
    end();
}

Test(work_json, cancelled)
{
    begin("[", "1]");
    work_json_parse(&op, &text, &doc);
    op_cancel(&op);
    cr_expect_eq(text.n, 0);
    loop_run_for(&loop, 200);
    cr_expect_eq(n_done, 0);
    cr_expect_eq(doc, NULL);
    end();
}
