/*
 * discord_fixture - recorded events with what we must make of them: tests/fixtures/discord/.
 */
#pragma once
#include "channels/discord/parse.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define ALLOW_MAX 8

static char bytes[1 << 20];

static struct json *fixture(const char *name)
{
    char path[512];
    struct json *doc;
    struct err why = ERR_INIT;
    snprintf(path, sizeof(path), "%s/discord/%s", FIXTURES, name);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    cr_assert_eq(json_parse(str_from(bytes, n), &doc, &why), ERR_NONE, "%s: %s", path, why.msg);
    cr_assert_gt(json_length(doc), 10);
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

static const char *const verdicts[] = { "take", "skip", "broken", "parent", NULL };
static const char *const kinds[] = { "message", "edit", "delete", "moved", "vote", NULL };
static const char *const groups[] = { "mention", "all", "off", NULL };

struct lists {
    const char *channels[ALLOW_MAX], *allow[ALLOW_MAX];
};

static struct conf_list list_of(struct json *list, const char **v)
{
    for (size_t i = 0; i < json_length(list); i++) {
        struct str s = STR_NONE;
        json_str(json_at(list, i), &s);
        v[i] = s.p;
    }
    return (struct conf_list){ json_length(list), v };
}

static struct discord_reader reader_of(struct json *conf, struct lists *lists)
{
    struct discord_reader r = { .user = STR("9000000000000000001") };
    json_get_str(conf, "user", &r.user);
    json_get_str(conf, "parent", &r.parent);
    json_get_str(conf, "guild", &r.guild);
    if (get(conf, "groups").n) r.groups = (int)index_of(get(conf, "groups"), groups);
    r.channels = list_of(json_get(conf, "channels"), lists->channels);
    r.allow = list_of(json_get(conf, "allow"), lists->allow);
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
        expect_str(name, "url", want, a->url);
        json_get_i64(want, "bytes", &n_bytes);
        cr_expect_eq(a->bytes, n_bytes, "%s: %lld bytes", name, (long long)a->bytes);
    }
}

static void expect_event(const char *name, struct json *want, const struct inbound *in)
{
    bool direct = false, taken_back = false;
    int64_t vote = 0;
    cr_expect_eq((size_t)in->kind, index_of(get(want, "kind"), kinds), "%s: kind", name);
    expect_str(name, "event_id", want, in->event_id);
    expect_str(name, "workspace", want, in->where.workspace);
    expect_str(name, "channel", want, in->where.channel);
    expect_str(name, "from", want, in->from.id);
    expect_str(name, "username", want, in->from.username);
    expect_str(name, "display_name", want, in->from.display_name);
    expect_str(name, "message_id", want, in->message_id);
    expect_str(name, "text", want, in->text);
    json_get_bool(want, "direct", &direct);
    json_get_bool(want, "taken_back", &taken_back);
    json_get_i64(want, "vote", &vote);
    cr_expect_eq(in->direct, direct, "%s: direct", name);
    cr_expect_eq(in->taken_back, taken_back, "%s: taken_back", name);
    cr_expect_eq(in->vote, vote, "%s: vote is %d", name, in->vote);
    cr_expect_eq(in->where.thread.n + in->ip.n + in->album.n + in->moved_to.n + in->ticket.n, 0);
    expect_attachments(name, json_get(want, "attachments"), in);
}
