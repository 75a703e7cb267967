/*
 * Payloads after Slack's documentation (docs.slack.dev/reference/events, interactivity), with what
 * we must make of them in one line each; forms; timestamps.
 */
#include "channels/slack/parse.h"
#include "core/base/utf8.h"
#include "core/chat/command.h"
#include <criterion/criterion.h>
#include <stdio.h>

/* Ours is as long as the turn behind it; the parser only looks at the words. */
const struct command commands[] = {
    { .name = "help", .args = "" },        { .name = "new", .args = "" },
    { .name = "model", .args = "[name]" }, { .name = "continue", .args = "[number]" },
    { .name = "stop", .args = "" },        { .name = NULL },
};

static struct json *fixture(const char *name)
{
    static struct buf text = BUF_INIT(1 << 20);
    struct json *doc = NULL;
    struct err why = ERR_INIT;
    char path[512], piece[4096];
    snprintf(path, sizeof(path), FIXTURES "/slack/%s", name);
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s", path);
    for (size_t n; (n = fread(piece, 1, sizeof(piece), f)) > 0;) buf_add(&text, str_from(piece, n));
    fclose(f);
    cr_assert_eq(json_parse(buf_str(&text), &doc, &why), ERR_NONE, "%s", why.msg);
    return doc;
}

static struct str get(struct json *obj, const char *key)
{
    struct str s = STR_NONE;
    json_get_str(obj, key, &s);
    return s;
}

static struct conf_list list_of(struct json *arr, const char *v[8])
{
    struct conf_list list = { json_length(arr), v };
    for (size_t i = 0; i < list.n; i++) {
        struct str s = STR_NONE;
        json_str(json_at(arr, i), &s);
        v[i] = s.p;
    }
    return list;
}

/* "message m:C1:1.2 T1/C1/1.2 U1 ada re:1.2 +1 back | text [photo cat.png image/png 1 F1]" */
static struct str line_of(struct arena *a, const struct inbound *in)
{
    static const char *const kinds[] = { "message", "edit", "delete", "moved", "vote" };
    _cleanup_(buf_done) struct buf b = BUF_INIT(65536);
    buf_addf(&b, "%s %.*s %s%.*s/%.*s/%.*s %.*s", kinds[in->kind], STR_ARG(in->event_id),
             in->direct ? "direct " : "", STR_ARG(in->where.workspace), STR_ARG(in->where.channel),
             STR_ARG(in->where.thread), STR_ARG(in->from.id));
    if (in->from.username.n) buf_addf(&b, " %.*s", STR_ARG(in->from.username));
    if (in->message_id.n) buf_addf(&b, " re:%.*s", STR_ARG(in->message_id));
    if (in->vote) buf_addf(&b, " %+d", in->vote);
    if (in->taken_back) buf_add_cstr(&b, " back");
    buf_addf(&b, " | %.*s", STR_ARG(in->text));
    for (size_t i = 0; i < in->n_attachments; i++) {
        const struct attachment *att = &in->attachments[i];
        buf_addf(&b, " [%.*s %.*s %.*s %lld %.*s]", STR_ARG(att->kind), STR_ARG(att->name),
                 STR_ARG(att->mime), (long long)att->bytes, STR_ARG(att->ref));
    }
    return arena_dup(a, buf_str(&b));
}

static void check_case(struct json *c)
{
    static const char *const verdicts[] = { "take", "skip", "gone", "broken" };
    const char *name = get(c, "name").p, *channels[8], *allow[8];
    struct json *who = json_get(c, "reader");
    struct str kind = get(c, "kind");
    int64_t groups = 0;
    json_get_i64(who, "groups", &groups);
    const struct slack_reader reader = { .user = STR("UBOT"),
                                         .groups = (int)groups,
                                         .channels = list_of(json_get(who, "channels"), channels),
                                         .allow = list_of(json_get(who, "allow"), allow) };
    struct slack_event event;
    struct arena a;
    arena_init(&a);
    slack_parse(&reader,
                str_eq(kind, STR("command"))  ? SLACK_COMMAND
                : str_eq(kind, STR("action")) ? SLACK_ACTION
                                              : SLACK_EVENT,
                json_get(c, "payload"), &a, &event);
    cr_expect_str_eq(verdicts[event.verdict], get(c, "verdict").p, "%s: %s (%s)", name,
                     verdicts[event.verdict], event.reason);
    if (get(c, "reason").n) cr_expect_str_eq(event.reason, get(c, "reason").p, "%s", name);
    if (event.verdict == SLACK_TAKE) {
        struct str line = line_of(&a, &event.in);
        cr_expect_str_eq(line.p, get(c, "want").p, "%s", name);
    }
    arena_done(&a);
}

Test(slack_parse, payloads)
{
    struct json *doc = fixture("payloads.json");
    cr_assert_gt(json_length(doc), 60);
    for (size_t i = 0; i < json_length(doc); i++) check_case(json_at(doc, i));
    json_free(doc);
}

/* What only begins like a command is a question. */
Test(slack_parse, sentences_are_no_commands)
{
    static const struct {
        int command;
        const char *args;
        bool fits;
    } cases[] = {
        { 0, "", true },           { 0, "me, please", false }, { 2, "gpt", true },
        { 2, "gpt always", true }, { 2, "a town", true },      { 2, "a small town", false },
        { 2, "planes?", false },   { 3, "2", true },           { 3, "", true },
        { 3, "the story", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_expect_eq(command_fits(&commands[cases[i].command], str_of(cases[i].args)),
                     cases[i].fits, "%zu", i);
}

Test(slack_parse, late)
{
    struct json *doc = fixture("payloads.json");
    struct slack_reader reader = { .user = STR("UBOT"), .now_ms = INT64_C(1700000000000) + 60000 };
    struct slack_event event;
    struct arena a;
    arena_init(&a);
    slack_parse(&reader, SLACK_EVENT, json_get(json_at(doc, 0), "payload"), &a, &event);
    cr_expect_eq(event.in.late_ms, 0, "a minute is no delay");
    reader.now_ms = INT64_C(1700000000000) + 3600000;
    slack_parse(&reader, SLACK_EVENT, json_get(json_at(doc, 0), "payload"), &a, &event);
    cr_expect_eq(event.in.late_ms, 3600000);
    arena_done(&a);
    json_free(doc);
}

Test(slack_parse, timestamps)
{
    int64_t ms = -1;
    cr_expect(slack_ts_ms(STR("1700000000.123456"), &ms));
    cr_expect_eq(ms, INT64_C(1700000000123));
    static const char *const bad[] = { "",         "1700000000",      "1700000000.", ".5",
                                       "17e8.0",   "-1.000000",       "1.2.3",       "nan.000000",
                                       " 1.00000", "99999999999999.1" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        cr_expect_not(slack_ts_ms(str_of(bad[i]), &ms), "\"%s\"", bad[i]);
}

Test(slack_parse, forms)
{
    static const struct {
        const char *form, *json;
    } cases[] = {
        { "", "{}" },
        { "a=1&b=2", "{\"a\":\"1\",\"b\":\"2\"}" },
        { "text=a+b%2Bc&x", "{\"text\":\"a b+c\",\"x\":\"\"}" },
        { "text=%F0%9F%98%80%0A", "{\"text\":\"\xF0\x9F\x98\x80\\n\"}" },
        { "a=%2", NULL },
        { "a=%zz", NULL },
        { "a=%ff%fe", NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(4096);
        bool ok = slack_form_json(str_of(cases[i].form), &b);
        cr_expect_eq(ok, cases[i].json != NULL, "\"%s\"", cases[i].form);
        if (ok && cases[i].json) cr_expect_str_eq(b.p, cases[i].json);
    }
    _cleanup_(buf_done) struct buf many = BUF_INIT(4096);
    _cleanup_(buf_done) struct buf b = BUF_INIT(65536);
    for (int i = 0; i < 65; i++) buf_addf(&many, "k%d=v&", i);
    cr_expect_not(slack_form_json(buf_str(&many), &b), "65 fields");
}

Test(slack_parse, halves_of_characters_are_mended)
{
    struct json *doc = NULL;
    struct err why = ERR_INIT;
    cr_expect_eq(slack_json(STR("{\"text\":\"a\\ud83d\"}"), &doc, &why), ERR_NONE, "%s", why.msg);
    cr_expect(utf8_valid(get(doc, "text")));
    json_free(doc);
    cr_expect_eq(slack_json(STR("{\"text\":"), &doc, &why), ERR_PROTO);
}
