/*
 * Updates and answers of the Bot API as they were recorded (or as they should never be), with what
 * we must make of them: tests/fixtures/telegram/.
 */
#include "channels/telegram/parse.h"
#include "channels/telegram/reply.h"

#include "core/chat/command.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* Ours is as long as the turn behind it; the parser only looks at the names. */
const struct command commands[] = { { .name = "help" }, { .name = "stop" }, { .name = NULL } };

static char bytes[1 << 20];

static struct json *fixture(const char *name)
{
    char path[512];
    struct json *doc;
    struct err why = ERR_INIT;
    snprintf(path, sizeof(path), "%s/telegram/%s", FIXTURES, name);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    cr_assert_eq(json_parse(str_from(bytes, n), &doc, &why), ERR_NONE, "%s: %s", path, why.msg);
    return doc;
}

static struct str get(struct json *obj, const char *key)
{
    struct str s = STR_NONE;
    json_get_str(obj, key, &s);
    return s;
}

static size_t index_of(struct str word, const char *const *words)
{
    size_t i = 0;
    while (words[i] && !str_eq(word, str_of(words[i]))) i++;
    cr_assert_not_null(words[i], "unknown word %.*s", STR_ARG(word));
    return i;
}

/* --- updates --- */

static const char *const verdicts[] = { "take", "skip", "broken", "later", NULL };
static const char *const kinds[] = { "message", "edit", "delete", "moved", "vote", NULL };
static const char *const groups[] = { "mention", "all", "off", NULL };

static struct telegram_reader reader_of(struct json *conf, const char **allow)
{
    struct telegram_reader r = { .id = 123456, .username = STR("parley_bot") };
    json_get_str(conf, "username", &r.username);
    if (get(conf, "groups").n) r.groups = (int)index_of(get(conf, "groups"), groups);
    struct json *list = json_get(conf, "allow");
    for (size_t i = 0; i < json_length(list); i++) {
        struct str s;
        json_str(json_at(list, i), &s);
        allow[i] = s.p;
    }
    r.allow = (struct conf_list){ json_length(list), allow };
    return r;
}

static void expect_str(const char *name, const char *key, struct json *event, struct str got)
{
    struct str want = get(event, key);
    cr_expect(str_eq(got, want), "%s: %s is \"%.*s\", not \"%.*s\"", name, key, STR_ARG(got),
              STR_ARG(want));
}

static void expect_attachments(const char *name, struct json *list, const struct inbound *in)
{
    cr_assert_eq(in->n_attachments, json_length(list), "%s: %zu attachments", name,
                 in->n_attachments);
    for (size_t i = 0; i < in->n_attachments; i++) {
        const struct attachment *a = &in->attachments[i];
        struct json *want = json_at(list, i);
        int64_t n_bytes = -1;
        expect_str(name, "kind", want, a->kind);
        expect_str(name, "name", want, a->name);
        expect_str(name, "mime", want, a->mime);
        expect_str(name, "ref", want, a->ref);
        json_get_i64(want, "bytes", &n_bytes);
        cr_expect_eq(a->bytes, n_bytes, "%s: %lld bytes", name, (long long)a->bytes);
    }
}

static void expect_event(const char *name, struct json *want, const struct inbound *in)
{
    bool direct = false;
    cr_expect_eq((size_t)in->kind, index_of(get(want, "kind"), kinds), "%s: kind", name);
    expect_str(name, "event_id", want, in->event_id);
    expect_str(name, "channel", want, in->where.channel);
    expect_str(name, "thread", want, in->where.thread);
    expect_str(name, "from", want, in->from.id);
    expect_str(name, "username", want, in->from.username);
    expect_str(name, "display_name", want, in->from.display_name);
    expect_str(name, "message_id", want, in->message_id);
    expect_str(name, "text", want, in->text);
    expect_str(name, "album", want, in->album);
    expect_str(name, "moved_to", want, in->moved_to);
    json_get_bool(want, "direct", &direct);
    cr_expect_eq(in->direct, direct, "%s: direct", name);
    int64_t vote = 0;
    bool taken_back = false;
    json_get_i64(want, "vote", &vote);
    json_get_bool(want, "taken_back", &taken_back);
    cr_expect_eq(in->vote, vote, "%s: vote", name);
    cr_expect_eq(in->taken_back, taken_back, "%s: taken_back", name);
    cr_expect_eq(in->where.workspace.n + in->ip.n, 0);
    if (in->kind != INBOUND_MOVED) expect_attachments(name, json_get(want, "attachments"), in);
}

static void check_updates(const char *file)
{
    struct json *doc = fixture(file);
    cr_assert_gt(json_length(doc), 10);
    for (size_t i = 0; i < json_length(doc); i++) {
        struct json *c = json_at(doc, i);
        const char *name = get(c, "name").p, *allow[8];
        struct telegram_reader reader = reader_of(json_get(c, "reader"), allow);
        struct telegram_update u;
        struct arena arena;
        struct err why = ERR_INIT;
        int64_t id = 0;
        arena_init(&arena);
        enum err_kind kind = telegram_parse(&reader, json_get(c, "update"), &arena, &u, &why);
        cr_assert_eq(kind, ERR_NONE, "%s: %s", name, why.msg);
        json_get_i64(json_get(c, "update"), "update_id", &id);
        cr_expect_eq(u.id, id);
        size_t verdict = index_of(get(c, "verdict"), verdicts);
        cr_expect_eq((size_t)u.verdict, verdict, "%s: %s, %s", name, verdicts[u.verdict], u.reason);
        expect_str(name, "say", c, u.say ? str_of(u.say) : STR_NONE);
        if ((size_t)u.verdict != verdict) continue;
        if (u.verdict == TELEGRAM_TAKE)
            expect_event(name, json_get(c, "event"), &u.in);
        else if (u.verdict == TELEGRAM_SKIP)
            expect_str(name, "reason", json_get(c, "event"), str_of(u.reason));
        arena_done(&arena);
    }
    json_free(doc);
}

Test(telegram_parse, messages)
{
    check_updates("messages.json");
}

Test(telegram_parse, groups)
{
    check_updates("groups.json");
}

Test(telegram_parse, other_kinds_are_skipped)
{
    check_updates("skipped.json");
}

Test(telegram_parse, buttons_and_reactions)
{
    check_updates("buttons.json");
}

static int64_t lateness(const char *update, int64_t now_ms)
{
    struct telegram_reader reader = { .id = 123456, .now_ms = now_ms };
    struct telegram_update u;
    struct json *doc = NULL;
    struct arena arena;
    arena_init(&arena);
    cr_assert_eq(json_parse(str_of(update), &doc, NULL), ERR_NONE);
    cr_assert_eq(telegram_parse(&reader, doc, &arena, &u, NULL), ERR_NONE);
    cr_assert_eq(u.verdict, TELEGRAM_TAKE);
    arena_done(&arena);
    json_free(doc);
    return u.in.late_ms;
}

#define SENT(kind, date)                                                                 \
    "{\"update_id\":1,\"" kind "\":{\"message_id\":2,\"date\":" date ",\"text\":\"hi\"," \
    "\"chat\":{\"id\":7,\"type\":\"private\"},\"from\":{\"id\":7,\"is_bot\":false}}}"

Test(telegram_parse, late)
{
    const int64_t now_ms = INT64_C(1700003600000);
    cr_expect_eq(lateness(SENT("message", "1700000000"), now_ms), 3600000);
    cr_expect_eq(lateness(SENT("message", "1700003560"), now_ms), 0, "40 s are no delay");
    cr_expect_eq(lateness(SENT("message", "1700009999"), now_ms), 0, "clocks differ");
    cr_expect_eq(lateness(SENT("message", "0"), now_ms), 0);
    cr_expect_eq(lateness(SENT("message", "-9223372036854775808"), now_ms), 0);
    cr_expect_eq(lateness(SENT("edited_message", "1700000000"), now_ms), 0, "it waits here");
}

static const char *outcome(struct str text, struct arena *a, struct telegram_update *ret)
{
    struct telegram_reader reader = { .id = 123456, .username = STR("parley_bot") };
    struct json *doc = NULL;
    struct err why = ERR_INIT;
    const char *result;
    if (json_parse(text, &doc, &why))
        result = "not json";
    else if (telegram_parse(&reader, doc, a, ret, &why))
        result = "no update";
    else
        result = verdicts[ret->verdict];
    if (result[0] == 'n') cr_expect(why.kind == ERR_PROTO && why.msg[0], "no reason is given");
    ret->in.text = arena_dup(a, ret->in.text);
    json_free(doc);
    return result;
}

Test(telegram_parse, bad_input)
{
    struct json *doc = fixture("bad.json");
    for (size_t i = 0; i < json_length(doc); i++) {
        struct json *c = json_at(doc, i);
        struct telegram_update u = { .reason = "" };
        struct arena arena;
        arena_init(&arena);
        const char *got = outcome(get(c, "text"), &arena, &u);
        cr_expect_str_eq(got, get(c, "result").p, "%s: %s %s", get(c, "name").p, got, u.reason);
        if (!strcmp(got, "take")) expect_str(get(c, "name").p, "shown", c, u.in.text);
        arena_done(&arena);
    }
    json_free(doc);
}

Test(telegram_parse, invalid_utf8_is_no_json)
{
    struct telegram_update u = { .reason = "" };
    struct arena arena;
    arena_init(&arena);
    cr_expect_str_eq(outcome(STR("{\"update_id\":1,\"x\":\"\xFF\xFE\"}"), &arena, &u), "not json");
    arena_done(&arena);
}

/* A hostile Update may not keep the loop: many entities, each far inside a long text. */
Test(telegram_parse, many_entities_in_a_long_text, .timeout = 20)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(4 << 20);
    struct telegram_update u;
    struct arena arena;
    arena_init(&arena);
    buf_add_cstr(&b, "{\"update_id\":7,\"message\":{\"message_id\":1,\"chat\":{\"id\":-1,\"type\":"
                     "\"group\"},\"from\":{\"id\":1},\"text\":\"");
    for (int i = 0; i < 200000; i++) buf_add_cstr(&b, "\xC3\xA4");
    buf_add_cstr(&b, "\",\"entities\":[");
    for (int i = 0; i < 20000; i++)
        buf_addf(&b, "%s{\"type\":\"mention\",\"offset\":%d,\"length\":11}", i ? "," : "",
                 32768 - i % 100);
    buf_add_cstr(&b, "]}}");
    cr_expect_str_eq(outcome(buf_str(&b), &arena, &u), "skip");
    arena_done(&arena);
}

/* --- answers --- */

static const char *const problems[] = { "fine",     "migrated", "unparsable", "not modified",
                                        "conflict", "hooked",   "other",      NULL };

Test(telegram_reply, table)
{
    struct json *doc = fixture("errors.json");
    cr_assert_gt(json_length(doc), 40);
    for (size_t i = 0; i < json_length(doc); i++) {
        struct json *c = json_at(doc, i), *body = NULL;
        struct str text = get(c, "body");
        struct telegram_reply r;
        struct err why = ERR_INIT;
        int64_t status = 0, retry_ms = 0, migrate_to = 0, message_id = 0, fast_id = 0;
        json_get_i64(c, "status", &status);
        json_get_i64(c, "retry_ms", &retry_ms);
        json_get_i64(c, "migrate_to", &migrate_to);
        json_get_i64(c, "message_id", &message_id);
        json_parse(text, &body, NULL);
        enum err_kind kind = telegram_reply_read((int)status, body, &r, &why);
        cr_expect_eq(kind, why.kind);
        const char *name = err_rule(kind)->name;
        cr_expect(kind == ERR_NONE ? str_eq(get(c, "kind"), STR("none"))
                                   : str_eq(get(c, "kind"), str_of(name)),
                  "%.*s: %s", STR_ARG(text), name);
        cr_expect(str_eq(get(c, "problem"), str_of(problems[r.problem])), "%.*s: %s", STR_ARG(text),
                  problems[r.problem]);
        cr_expect_eq(why.retry_after_ms, retry_ms, "%.*s: %u", STR_ARG(text), why.retry_after_ms);
        cr_expect_eq(r.migrate_to, migrate_to);
        cr_expect_eq(r.message_id, message_id);
        telegram_reply_done(&r);
        if (telegram_reply_message_id(text, &fast_id)) cr_expect_eq(fast_id, message_id);
    }
    json_free(doc);
}

Test(telegram_reply, the_short_cut_is_sure_of_itself)
{
    int64_t id = 0;
    cr_expect(telegram_reply_message_id(
        STR("{\"ok\":true,\"result\":{\"message_id\":42,\"from\":{}}}"), &id));
    cr_expect_eq(id, 42);
    const char *const unsure[] = {
        "",
        "{\"ok\":true,\"result\":{\"message_id\":",
        "{\"ok\":true,\"result\":{\"message_id\":42",
        "{\"ok\":true,\"result\":{\"message_id\":\"42\"}}",
        "{\"ok\":true,\"result\":{\"message_id\":4.2}}",
        "{\"ok\":true,\"result\":{\"message_id\":99999999999999999999}}",
        "{\"ok\":false,\"result\":{\"message_id\":42}}",
        "{ \"ok\":true}",
    };
    for (size_t i = 0; i < sizeof(unsure) / sizeof(unsure[0]); i++)
        cr_expect(!telegram_reply_message_id(str_of(unsure[i]), &id), "%s", unsure[i]);
}

Test(telegram_reply, an_update_that_cannot_be_read_has_an_id)
{
    cr_expect_eq(
        telegram_reply_unreadable_id(
            STR("{\"ok\":true,\"result\":[{\"update_id\":815,\n\"message\":{\"x\":\"\\ud800\"")),
        815);
    cr_expect_eq(telegram_reply_unreadable_id(STR("<html>\"update_id\":815,")), 0);
    cr_expect_eq(telegram_reply_unreadable_id(STR("{\"ok\":true,\"result\":[{\"update_id\":")), 0);
    cr_expect_eq(telegram_reply_unreadable_id(STR("{\"ok\":true}")), 0);
}
