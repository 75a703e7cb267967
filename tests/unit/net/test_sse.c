/*
 * Server-sent events: every case is fed whole, byte by byte, and in every split in two, and must
 * come out the same.
 */
#include "core/base/mem.h"
#include "core/net/sse.h"
#include <criterion/criterion.h>

static enum err_kind on_event(void *ctx, struct str event, struct str data, struct err *why)
{
    if (str_eq(data, STR("stop"))) return err_set(why, ERR_REFUSED, "stop");
    buf_add_char(ctx, '[');
    buf_add(ctx, event);
    buf_add_char(ctx, '|');
    buf_add(ctx, data);
    buf_add_char(ctx, ']');
    return ERR_NONE;
}

/* The input in pieces of at most `step` bytes, the first of `first`. */
static void run(struct str in, size_t first, size_t step, struct buf *out)
{
    struct sse s;
    struct err why;
    buf_clear(out);
    sse_init(&s, 4096, on_event, out);
    enum err_kind kind = sse_feed(&s, str_head(in, first), &why);
    for (in = str_skip(in, first); in.n && !kind; in = str_skip(in, step))
        kind = sse_feed(&s, str_head(in, step), &why);
    if (!kind) kind = sse_end(&s, &why);
    cr_expect_eq(kind, ERR_NONE);
    sse_done(&s);
}

/* What Last-Event-ID would be, and the time before, after so much of a stream. */
Test(sse, where_to_go_on)
{
    static const struct {
        struct str in, id;
        int64_t retry_ms;
    } rows[] = {
        { STR("data: a\n\n"), STR(""), -1 },
        { STR("id: 1\ndata: a\n\n"), STR("1"), -1 },
        { STR("id: 1\ndata: a\n"), STR(""), -1 }, /* it did not come whole */
        { STR("id: 1\ndata: a\n\nid: 2\ndata: b"), STR("1"), -1 },
        { STR("id: 1\ndata: a\n\ndata: b\n\n"), STR("1"), -1 }, /* it stays */
        { STR("id: 1\n\nid\n\n"), STR(""), -1 },
        { STR("retry: 70\nid: 1\ndata:\n\n"), STR("1"), 70 },
        { STR("retry: 70\nretry: soon\nretry: -1\n\n"), STR(""), 70 },
        { STR("id: 1\n\nid: a\0b\n\n"), STR("1"), -1 },
        { STR("id: 1\n\nid: a\x1b\n\n"), STR("1"), -1 },
        { STR("id: z\xc3\xbc\n\n"), STR("z\xc3\xbc"), -1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t step = 1; step <= rows[i].in.n; step++) {
            _cleanup_(buf_done) struct buf out = BUF_INIT(4096);
            struct sse s;
            sse_init(&s, 4096, on_event, &out);
            for (struct str in = rows[i].in; in.n; in = str_skip(in, step))
                cr_expect_eq(sse_feed(&s, str_head(in, step), NULL), ERR_NONE);
            sse_end(&s, NULL);
            cr_expect(str_eq(buf_str(&s.id), rows[i].id), "row %zu: %s", i, s.id.p);
            cr_expect_eq(s.retry_ms, rows[i].retry_ms, "row %zu", i);
            sse_done(&s);
        }
}

Test(sse, an_id_that_is_too_long_is_none)
{
    _cleanup_(buf_done) struct buf in = BUF_INIT(4096), out = BUF_INIT(4096);
    struct sse s;
    sse_init(&s, 4096, on_event, &out);
    buf_add_cstr(&in, "id: 1\n\nid: ");
    for (int i = 0; i <= SSE_ID_MAX; i++) buf_add_char(&in, 'x');
    buf_add_cstr(&in, "\ndata: a\n\n");
    cr_expect_eq(sse_feed(&s, buf_str(&in), NULL), ERR_NONE);
    cr_expect(str_eq(buf_str(&s.id), STR("")), "it is not known where to go on");
    cr_expect_str_eq(out.p, "[|a]");
    sse_done(&s);
}

static const struct {
    struct str in;
    const char *want;
} cases[] = {
    { STR(""), "" },
    { STR("data: a\n\n"), "[|a]" },
    { STR("data: a\r\n\r\ndata: b\r\n\r\n"), "[|a][|b]" },
    { STR("data: a\r\rdata: b\r\r"), "[|a][|b]" },
    { STR("data: a\n\r\ndata: b\r\n\n"), "[|a][|b]" },
    { STR("data: a\r\n\ndata: b\n\r"), "[|a][|b]" },
    { STR("\xef\xbb\xbf"
          "data: a\n\n"),
      "[|a]" },
    { STR("data: a\n\n\xef\xbb\xbf"
          "data: b\n\n"),
      "[|a]" },
    { STR("data:a\n\n"), "[|a]" },
    { STR("data:  a\n\n"), "[| a]" },
    { STR("data: a"), "[|a]" },
    { STR("data: a\n"), "[|a]" },
    { STR("data: a\r"), "[|a]" },
    { STR("data: a\ndata: b\ndata\n\n"), "[|a\nb\n]" },
    { STR("data\n\n"), "[|]" },
    { STR("data:\n\n"), "[|]" },
    { STR("\n\n\n"), "" },
    { STR(": comment\n\ndata: a\n: more\n\n:\n\n"), "[|a]" },
    { STR("event: x\ndata: a\n\ndata: b\n\n"), "[x|a][|b]" },
    { STR("event: x\n\ndata: b\n\n"), "[|b]" },
    { STR("event: x\nevent: y\ndata: b\n\n"), "[y|b]" },
    { STR("id: 1\nretry: 5\nwhat: ever\nnonsense\ndata: a\n\n"), "[|a]" },
    { STR("data: a:b: c\n\n"), "[|a:b: c]" },
    { STR("Data: a\n data: b\ndata : c\n\n"), "" },
    { STR("data: \xc3\xa4\xf0\x9f\x98\x80\n\n"), "[|\xc3\xa4\xf0\x9f\x98\x80]" },
};

Test(sse, any_chunking_gives_the_same)
{
    struct buf out = BUF_INIT(65536);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (size_t first = 0; first <= cases[i].in.n; first++) {
            run(cases[i].in, first, SIZE_MAX, &out);
            cr_expect(str_eq(buf_str(&out), str_of(cases[i].want)), "case %zu split at %zu: %s", i,
                      first, out.p);
        }
        for (size_t step = 1; step < 4; step++) {
            run(cases[i].in, 0, step, &out);
            cr_expect(str_eq(buf_str(&out), str_of(cases[i].want)), "case %zu by %zu: %s", i, step,
                      out.p);
        }
    }
    buf_done(&out);
}

Test(sse, nul_bytes_are_data)
{
    struct buf out = BUF_INIT(64);
    run(STR("data: a\0b\n\n"), 0, 1, &out);
    cr_expect(str_eq(buf_str(&out), STR("[|a\0b]")));
    buf_done(&out);
}

static enum err_kind feed(size_t event_max, struct str in, size_t step)
{
    struct buf out = BUF_INIT(4 * 1024 * 1024);
    struct sse s;
    struct err why;
    enum err_kind kind = ERR_NONE;
    sse_init(&s, event_max, on_event, &out);
    for (; in.n && kind == ERR_NONE; in = str_skip(in, step))
        kind = sse_feed(&s, str_head(in, step), &why);
    sse_done(&s);
    buf_done(&out);
    return kind;
}

Test(sse, the_maximum_is_kept)
{
    cr_expect_eq(feed(8, STR("data: 12345678\n\n"), 3), ERR_NONE);
    cr_expect_eq(feed(8, STR("data: 123456789\n\n"), 3), ERR_PROTO);
    cr_expect_eq(feed(8, STR("data: 123456789\n\n"), 100), ERR_PROTO);
    cr_expect_eq(feed(8, STR("data: 1234\ndata: 5678\n\n"), 100), ERR_PROTO);
    cr_expect_eq(feed(8, STR(":this line never ends and is of no use at all"), 3), ERR_PROTO);
    cr_expect_eq(feed(8, STR("data: stop\n\ndata: 123456789\n\n"), 100), ERR_REFUSED);
}

Test(sse, a_line_of_a_megabyte_and_a_flood_of_line_ends, .timeout = 10)
{
    size_t n = 1024 * 1024;
    char *big = mem_alloc(n + 16);
    memcpy(big, "data: ", 6);
    memset(big + 6, 'x', n);
    memcpy(big + 6 + n, "\n\n", 2);
    cr_expect_eq(feed(n, str_from(big, n + 8), 1500), ERR_NONE);
    memset(big, '\r', n);
    cr_expect_eq(feed(64, str_from(big, n), n), ERR_NONE);
    free(big);
}
