/*
 * Events that differ only in their text: what is taken for one, and that an answer reads the same
 * when no two of its events are alike.
 */
#include "core/base/mem.h"
#include "core/model/alike.h"
#include "core/model/reader.h"
#include "core/model/types.h"
#include "tests/unit/model/codec_case.h"

static const struct openai openai = {
    .remote.base = { .type = &model_openai, .name = "m", .model = "", .reply_max = 4096 },
    .remote.base_url = "https://api.example/v1",
    .remote.api_key = "",
    .organization = "",
    .project = "",
};
static const struct anthropic anthropic = {
    .remote.base = { .type = &model_anthropic, .name = "m", .model = "", .reply_max = 4096 },
    .remote.base_url = "https://api.example",
    .remote.api_key = "",
};
static const struct cohere cohere = {
    .remote.base = { .type = &model_cohere, .name = "m", .model = "", .reply_max = 4096 },
    .remote.base_url = "https://api.example",
    .remote.api_key = "",
};

/* NULL: it does not fit. */
static const char *fit(const char *kept, const char *key, const char *event)
{
    static char text[256];
    struct alike a;
    struct str raw;
    alike_init(&a);
    alike_keep(&a, str_of(kept), key);
    bool fits = alike_fits(&a, str_of(event), &raw);
    if (fits) snprintf(text, sizeof text, "%.*s", STR_ARG(raw));
    alike_done(&a);
    return fits ? text : NULL;
}

Test(alike, an_event_with_another_text)
{
    cr_expect_str_eq(fit("{\"a\":1,\"t\":\"x\"}", "t", "{\"a\":1,\"t\":\"yy\"}"), "\"yy\"");
    cr_expect_str_eq(fit("{\"a\":1,\"t\":\"x\"}", "t", "{\"a\":1,\"t\":\"\"}"), "\"\"");
    cr_expect_str_eq(
        fit("{\"t\" : \"\", \"b\":\"t\\\"\"}", "t", "{\"t\" : \"\\\"\\u00e9\", \"b\":\"t\\\"\"}"),
        "\"\\\"\\u00e9\"");
    cr_expect_str_eq(fit("{\"t\":\"a \\\\\",\"b\":\"c\"}", "t", "{\"t\":\"d\",\"b\":\"c\"}"),
                     "\"d\"");
}

/* The caller sees that it is no string. */
Test(alike, more_than_a_text_is_handed_out_as_it_is)
{
    cr_expect_str_eq(fit("{\"t\":\"x\"}", "t", "{\"t\":\"a\",\"b\":\"c\"}"), "\"a\",\"b\":\"c\"");
    cr_expect_str_eq(fit("{\"t\":\"x\"}", "t", "{\"t\":17}"), "17");
}

Test(alike, an_event_with_another_difference)
{
    const char *kept = "{\"a\":1,\"t\":\"x\",\"b\":2}";
    cr_expect_null(fit(kept, "t", "{\"a\":2,\"t\":\"x\",\"b\":2}"));
    cr_expect_null(fit(kept, "t", "{\"a\":1,\"t\":\"x\",\"b\":3}"));
    cr_expect_null(fit(kept, "t", "{\"a\":1,\"t\":,\"b\":2}")); /* nothing is no text */
    cr_expect_null(fit(kept, "t", "{\"a\":1,\"t\":"));
    cr_expect_null(fit(kept, "t", ""));
}

Test(alike, what_is_not_kept)
{
    cr_expect_null(fit("{\"a\":\"x\"}", "t", "{\"a\":\"x\"} "));
    cr_expect_null(fit("{\"t\":1}", "t", "{\"t\":2}"));
    cr_expect_null(fit("[\"t\" \"x\"]", "t", "[\"t\" \"y\"]"));
    cr_expect_null(fit("[\"t\"]", "t", "[\"t\"]"));
    cr_expect_null(fit("{\"t\":[\"x\"]}", "t", "{\"t\":[\"y\"]}"));
    cr_expect_null(
        fit("{\"t\":\"x\",\"a\":{\"t\":\"x\"}}", "t", "{\"t\":\"y\",\"a\":{\"t\":\"x\"}}"));
    cr_expect_null(fit("{\"a\":\"t\",\"t\":\"x\"}", "t", "{\"a\":\"t\",\"t\":\"y\"}"));
    cr_expect_null(fit("", "t", "\"x\""));
    char large[2000], other[2000];
    snprintf(large, sizeof large, "{\"t\":\"x\",\"a\":\"%01500d\"}", 0);
    snprintf(other, sizeof other, "{\"t\":\"y\",\"a\":\"%01500d\"}", 0);
    cr_expect_null(fit(large, "t", other));
}

static unsigned n_read;

static enum err_kind on_json(void *ctx, struct json *doc, struct err *why)
{
    (void)why;
    struct str text;
    n_read++;
    if (json_get_str(doc, "t", &text)) reader_text(ctx, text);
    if (json_get_str(doc, "t", &text)) reader_only_text(ctx, "t");
    return ERR_NONE;
}

Test(alike, is_read_without_the_codec)
{
    struct reader r;
    struct codec_taken t;
    struct err why = ERR_INIT;
    n_read = 0;
    codec_taken_init(&t);
    reader_init(&r, &openai.remote.base, &t.sink, false, on_json, &r);
    const struct str events =
        STR("data: {\"t\":\"a\"}\n\ndata: {\"t\":\"b\"}\n\ndata: {\"t\":\"c\"}\n\n"
            "data: {}\n\ndata: {\"t\":\"d\"}\n\ndata: {\"t\":\"e\"}\n\n");
    cr_expect_eq(reader_feed(&r, STR_NONE, events, true, &why), ERR_NONE);
    cr_expect(str_eq(buf_str(&t.text), STR("abcde")), "%s", t.text.p);
    cr_expect_eq(n_read, 3, "%u", n_read);
    reader_done(&r);
    codec_taken_done(&t);
}

/* The same events, none of which is like the one before: with white space, never as much as there.
 */
static void unlike(struct str in, struct buf *to)
{
    const struct str data = STR("data: {");
    for (size_t at, n = 0; (at = str_find(in, data)) != SIZE_MAX; n++) {
        at += data.n;
        buf_add(to, str_head(in, at));
        for (size_t i = 0; i < n % 3; i++) buf_add_char(to, ' ');
        in = str_skip(in, at);
    }
    buf_add(to, in);
}

static void expect_same(const struct model *m, const char *events, const char *text,
                        const char *calls)
{
    struct buf other = BUF_INIT(1 << 20);
    struct codec_taken is, want;
    struct err why = ERR_INIT;
    unlike(str_of(events), &other);
    enum err_kind kind = codec_decode(m, str_of(events), "", SIZE_MAX, &is, &why);
    cr_expect_eq(codec_decode(m, buf_str(&other), "", SIZE_MAX, &want, &why), kind);
    cr_expect(str_eq(buf_str(&is.text), buf_str(&want.text)), "%s\n%s", is.text.p, want.text.p);
    cr_expect(str_eq(buf_str(&is.calls), buf_str(&want.calls)), "%s", is.calls.p);
    cr_expect(str_eq(buf_str(&is.text), str_of(text)), "%s", is.text.p);
    cr_expect(str_eq(buf_str(&is.calls), str_of(calls)), "%s", is.calls.p);
    cr_expect_eq(is.sink.finish, want.sink.finish);
    cr_expect_eq(is.sink.ended, want.sink.ended);
    codec_taken_done(&is);
    codec_taken_done(&want);
    buf_done(&other);
}

#define CHUNK(members) \
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{" members "}}]}\n\n"
#define SAYS(text) CHUNK("\"content\":\"" text "\"")
#define CALLS(more) \
    more            \
        "\"tool_calls\":[{\"index\":0,\"id\":\"i\",\"function\":{\"name\":\"n\",\"arguments\":\"1\"}}]"
#define DONE "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"

Test(alike, chat_completions)
{
    const struct model *m = &openai.remote.base;
    expect_same(m, SAYS("a") SAYS("b") SAYS("") SAYS("\\n\\\"c\\\"") SAYS("d") DONE, "ab\n\"c\"d",
                "");
    expect_same(m, SAYS("content") SAYS("\\\"content\\\":\\\"x\\\"") SAYS("y") DONE,
                "content\"content\":\"x\"y", "");
    /* halves of a character, U+0000, what is not UTF-8 */
    expect_same(m,
                SAYS("a") SAYS("\\ud83d") SAYS("\\ude00") SAYS("b") SAYS("\\ud83d") SAYS("c") DONE,
                "a\xf0\x9f\x98\x80"
                "b\xef\xbf\xbd"
                "c",
                "");
    expect_same(m, SAYS("a") SAYS("\\u0000") SAYS("\xff") SAYS("b") DONE,
                "a\xef\xbf\xbd\xef\xbf\xbd"
                "b",
                "");
    /* a tool call, a refusal and another choice are not left out because they came before */
    expect_same(
        m, SAYS("a") CHUNK(CALLS("\"content\":\"b\",")) CHUNK(CALLS("\"content\":\"c\",")) DONE,
        "abc", "i n 11;");
    expect_same(m,
                CHUNK("\"content\":\"a\",\"refusal\":\"no\"")
                    CHUNK("\"content\":\"b\",\"refusal\":\"no\"") DONE,
                "anobno", "");
    expect_same(m,
                "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\"}}]}\n\n"
                "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n" SAYS("c")
                    DONE,
                "c", "");
    /* the same members after something else */
    expect_same(m, SAYS("a") CHUNK("") SAYS("b") SAYS("c") DONE SAYS("d"), "abc", "");
    expect_same(m, SAYS("a") SAYS("b") "data: {\"error\":{\"message\":\"no\"}}\n\n" SAYS("c"), "ab",
                "");
    /* not a text */
    expect_same(m, SAYS("a") SAYS("b\",\"content\":\"c") CHUNK("\"content\":null") SAYS("d") DONE,
                "acd", "");
    expect_same(m, SAYS("a") SAYS("b\"\"") SAYS("c"), "a", "");
}

#define DELTA(members)                                                                                    \
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{" members \
    "}}\n\n"
#define WRITES(text) DELTA("\"type\":\"text_delta\",\"text\":\"" text "\"")

Test(alike, messages)
{
    expect_same(&anthropic.remote.base,
                WRITES("a") WRITES("b") "data: {\"type\":\"ping\"}\n\n" WRITES("c\\n") WRITES("d")
                    DELTA("\"type\":\"thinking_delta\",\"thinking\":\"x\"")
                        WRITES("e") "data: {\"type\":\"message_stop\"}\n\n" WRITES("f"),
                "abc\nde", "");
}

#define COHERE(block)                                                                           \
    "data: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{" block \
    "}}}}\n\n"

Test(alike, cohere)
{
    expect_same(
        &cohere.remote.base,
        "data: {\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":"
        "{\"type\":\"text\",\"text\":\"\"}}}}\n\n" COHERE("\"text\":\"a\"") COHERE("\"text\":\"b\"")
            COHERE("\"thinking\":\"hm\"") COHERE(
                "\"text\":\"c\"") "data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\"}}\n\n",
        "abc", "");
}
