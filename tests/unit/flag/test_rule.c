/* Rules of flags: which one decides, for whom, when, and for how many. */
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/flag/rule.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#define ALICE  "01890000-0000-7000-8000-00000000000a"
#define BOB    "01890000-0000-7000-8000-00000000000b"
#define PEOPLE 10000

static struct flag_table *table(const char *doc)
{
    struct err why = ERR_INIT;
    struct flag_table *t = flag_table_parse(str_of(doc), &why);
    cr_assert(t, "%s: %s", doc, why.msg);
    return t;
}

static struct flag_who who_of(const char *person)
{
    struct flag_who who = { .channel_type = STR("slack"),
                            .channel = STR("team"),
                            .workspace = STR("T1"),
                            .place = STR("C1"),
                            .thread = STR("17.1") };
    if (person) cr_assert(uuid_parse(str_of(person), &who.person));
    flag_who_ready(&who);
    return who;
}

#define RULE(id, what) "{\"id\": " #id ", " what ", \"value\": " #id "}"
#define FLAG(set)      "{\"max_conversation_length\": {" set "}}"
#define RULES(list)    FLAG("\"value\": 50, \"rules\": [" list "]")

/* The value of a number's flag is the id of its rule, so that it says which one decided. */
Test(rule, the_most_specific_one_decides)
{
    static const struct {
        const char *doc;
        const char *person;
        int64_t value;
        enum flag_by by;
    } cases[] = {
        { "{}", ALICE, 0, FLAG_BY_DEFAULT },
        { FLAG(""), ALICE, 0, FLAG_BY_DEFAULT },
        { FLAG("\"value\": 50"), ALICE, 50, FLAG_BY_VALUE },
        { FLAG("\"value\": 50, \"killed\": true"), ALICE, 0, FLAG_BY_KILL },
        { RULES(RULE(1, "\"share\": 10000")), ALICE, 1, FLAG_BY_EVERYBODY },
        { RULES(RULE(1, "\"share\": 0")), ALICE, 50, FLAG_BY_VALUE },
        { RULES(RULE(1, "\"share\": 10000") "," RULE(2, "\"channel_type\": \"slack\"")), ALICE, 2,
          FLAG_BY_TYPE },
        { RULES(RULE(2, "\"channel_type\": \"discord\"")), ALICE, 50, FLAG_BY_VALUE },
        { RULES(RULE(2, "\"channel_type\": \"slack\"") "," RULE(3, "\"channel\": \"team\"")), ALICE,
          3, FLAG_BY_CHANNEL },
        { RULES(RULE(3, "\"channel\": \"team\"") "," RULE(4, "\"workspace\": \"T1\"")), ALICE, 4,
          FLAG_BY_WORKSPACE },
        { RULES(RULE(4, "\"workspace\": \"T1\"") "," RULE(5, "\"place\": \"C1\"")), ALICE, 5,
          FLAG_BY_PLACE },
        { RULES(
              RULE(5, "\"place\": \"C1\"") "," RULE(6, "\"place\": \"C1\", \"thread\": \"17.1\"")),
          ALICE, 6, FLAG_BY_THREAD },
        { RULES(RULE(6, "\"place\": \"C1\", \"thread\": \"17.2\"")), ALICE, 50, FLAG_BY_VALUE },
        { RULES(RULE(6, "\"place\": \"C1\", \"thread\": \"17.1\"") "," RULE(
              7, "\"person\": \"" ALICE "\"")),
          ALICE, 7, FLAG_BY_PERSON },
        { RULES(RULE(7, "\"person\": \"" ALICE "\"")), BOB, 50, FLAG_BY_VALUE },
        { RULES(RULE(7, "\"person\": \"" ALICE "\"")), NULL, 50, FLAG_BY_VALUE },
        /* all that a rule names must be so */
        { RULES(RULE(5, "\"place\": \"C1\", \"workspace\": \"T2\"")), ALICE, 50, FLAG_BY_VALUE },
        { RULES(RULE(7, "\"person\": \"" ALICE "\", \"channel_type\": \"discord\"")), ALICE, 50,
          FLAG_BY_VALUE },
        /* the one that names more, whatever its age; then the older one */
        { RULES(
              RULE(1, "\"place\": \"C1\"") "," RULE(2, "\"place\": \"C1\", \"channel\": \"team\"")),
          ALICE, 2, FLAG_BY_PLACE },
        { RULES(RULE(9, "\"place\": \"C1\"") "," RULE(8, "\"place\": \"C1\"")), ALICE, 8,
          FLAG_BY_PLACE },
        /* who is not in goes on to the next rule */
        { RULES(RULE(1, "\"place\": \"C1\", \"share\": 0") "," RULE(2, "\"channel\": \"team\"")),
          ALICE, 2, FLAG_BY_CHANNEL },
        { FLAG("\"killed\": true, \"rules\": [" RULE(7, "\"person\": \"" ALICE "\"") "]"), ALICE, 0,
          FLAG_BY_KILL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct flag_table *t = table(cases[i].doc);
        struct flag_who who = who_of(cases[i].person);
        struct flag_why why;
        const struct flag_value *v = flag_table_find(t, FLAG_MAX_CONVERSATION_LENGTH, &who, &why);
        cr_expect_eq(v->number, cases[i].value, "%s: %" PRId64, cases[i].doc, v->number);
        cr_expect_eq(why.by, cases[i].by, "%s: by %s", cases[i].doc, flag_by_words[why.by]);
        cr_expect_eq(why.rule,
                     why.by >= FLAG_BY_PERSON && why.by <= FLAG_BY_EVERYBODY ? v->number : 0);
        cr_expect_eq(t->n_ignored, 0, "%s", cases[i].doc);
        flag_table_free(t);
    }
}

Test(rule, a_layer_goes_before_rules_and_after_the_kill_switch)
{
    const struct flag_value nine = { .set = true, .number = 9 };
    struct flag_layer layer = { .v = { [FLAG_MAX_CONVERSATION_LENGTH] = &nine },
                                .by = { [FLAG_MAX_CONVERSATION_LENGTH] = "long talks" } };
    struct flag_who who = who_of(ALICE);
    struct flag_why why;
    who.layer = &layer;
    struct flag_table *t = table(RULES(RULE(7, "\"person\": \"" ALICE "\"")));
    cr_expect_eq(flag_table_find(t, FLAG_MAX_CONVERSATION_LENGTH, &who, &why)->number, 9);
    cr_expect_eq(why.by, FLAG_BY_LAYER);
    cr_expect_str_eq(why.layer, "long talks");
    cr_expect_eq(flag_table_find(t, FLAG_STREAMING, &who, &why)->number, 1,
                 "it says nothing of that");
    t->v[FLAG_MAX_CONVERSATION_LENGTH].killed = true;
    cr_expect_eq(flag_table_find(t, FLAG_MAX_CONVERSATION_LENGTH, &who, &why)->number, 0);
    flag_table_free(t);
    cr_expect_eq(flag_table_find(NULL, FLAG_MAX_CONVERSATION_LENGTH, &who, &why)->number, 9);
}

Test(rule, nobody_in_particular_gets_what_is_about_everybody)
{
    static const struct {
        const char *doc;
        int64_t value;
    } cases[] = {
        { RULES(RULE(1, "\"share\": 10000")), 1 },
        { RULES(RULE(1, "\"share\": 9999")), 50 },
        { RULES(RULE(1, "\"share\": 9999, \"by_place\": true")), 50 },
        { RULES(RULE(2, "\"channel_type\": \"slack\"")), 50 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct flag_table *t = table(cases[i].doc);
        cr_expect_eq(flag_table_find(t, FLAG_MAX_CONVERSATION_LENGTH, NULL, NULL)->number,
                     cases[i].value, "%s", cases[i].doc);
        flag_table_free(t);
    }
}

static struct flag_table *rolled_out(int percent, const char *more)
{
    char doc[256];
    snprintf(doc, sizeof doc,
             "{\"streaming\": {\"rules\": [{\"id\": 1, \"value\": false, \"share\": %d%s}]}}",
             percent * 100, more);
    return table(doc);
}

Test(rule, a_percentage_is_of_people_and_growing_it_keeps_who_was_in)
{
    struct flag_table *thirty = rolled_out(30, ""), *same = rolled_out(30, ""),
                      *forty = rolled_out(40, ""), *all = rolled_out(100, "");
    int n_thirty = 0, n_forty = 0;
    for (int i = 0; i < PEOPLE; i++) {
        struct flag_who who = who_of(NULL);
        who.person = uuid_v7();
        flag_who_ready(&who);
        bool in = !flag_table_find(thirty, FLAG_STREAMING, &who, NULL)->number;
        bool in_later = !flag_table_find(forty, FLAG_STREAMING, &who, NULL)->number;
        cr_assert_eq(in, !flag_table_find(same, FLAG_STREAMING, &who, NULL)->number);
        cr_assert(!in || in_later, "somebody fell out");
        cr_assert_not(flag_table_find(all, FLAG_STREAMING, &who, NULL)->number);
        who.channel_type = STR("telegram"); /* the same person elsewhere */
        flag_who_ready(&who);
        cr_assert_eq(in, !flag_table_find(thirty, FLAG_STREAMING, &who, NULL)->number);
        n_thirty += in;
        n_forty += in_later;
    }
    cr_expect(n_thirty > PEOPLE * 27 / 100 && n_thirty < PEOPLE * 33 / 100, "%d", n_thirty);
    cr_expect(n_forty > PEOPLE * 37 / 100 && n_forty < PEOPLE * 43 / 100, "%d", n_forty);
    flag_table_free(thirty);
    flag_table_free(same);
    flag_table_free(forty);
    flag_table_free(all);
}

Test(rule, a_percentage_of_places_is_the_same_for_all_in_one)
{
    struct flag_table *half = rolled_out(50, ", \"by_place\": true");
    int n = 0;
    for (int i = 0; i < PEOPLE; i++) {
        char place[16];
        snprintf(place, sizeof place, "C%d", i);
        struct flag_who a = who_of(ALICE), b = who_of(BOB), nobody = who_of(NULL);
        a.place = b.place = nobody.place = str_of(place);
        flag_who_ready(&a), flag_who_ready(&b), flag_who_ready(&nobody);
        bool in = !flag_table_find(half, FLAG_STREAMING, &a, NULL)->number;
        cr_assert_eq(in, !flag_table_find(half, FLAG_STREAMING, &b, NULL)->number);
        cr_assert_eq(in, !flag_table_find(half, FLAG_STREAMING, &nobody, NULL)->number);
        n += in;
    }
    cr_expect(n > PEOPLE * 47 / 100 && n < PEOPLE * 53 / 100, "%d", n);
    flag_table_free(half);
}

/* A change of the hash would move everybody: other programs may compute it, too. */
Test(rule, buckets_are_for_ever)
{
    struct uuid alice;
    uuid_parse(STR(ALICE), &alice);
    cr_expect_eq(flag_bucket(flag_seed("streaming"), alice.b, 16), 895);
    cr_expect_eq(flag_bucket(flag_seed("tools"), alice.b, 16), 1560,
                 "each flag shuffles people anew");
}

Test(rule, it_starts_and_ends_in_time)
{
    clock_virtual(0);
    int64_t now = clock_wall_ms();
    char doc[256];
    snprintf(doc, sizeof doc,
             "{\"streaming\": {\"rules\": [{\"id\": 1, \"value\": false, \"from_ms\": %" PRId64
             ", \"until_ms\": %" PRId64 "}]}}",
             now + 1000, now + 3000);
    struct flag_table *t = table(doc);
    struct flag_who who = who_of(ALICE);
    static const struct {
        int64_t at;
        bool on;
        int64_t since;
    } cases[] = { { 0, true, 0 },        { 999, true, 0 },     { 1000, false, 1000 },
                  { 2999, false, 1000 }, { 3000, true, 3000 }, { 9000, true, 3000 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clock_virtual((uint64_t)cases[i].at);
        cr_expect_eq(flag_table_find(t, FLAG_STREAMING, &who, NULL)->number, cases[i].on,
                     "at %" PRId64, cases[i].at);
        cr_expect_eq(flag_table_since(t, clock_wall_ms()),
                     cases[i].since ? now + cases[i].since : 0);
    }
    flag_table_free(t);
    clock_real();
}

Test(rule, what_does_not_fit_is_left_out)
{
    static const struct {
        const char *doc;
        unsigned n_ignored;
    } cases[] = {
        { "{\"streaming\": {\"value\": 1}}", 1 },
        { "{\"streaming\": {\"value\": \"true\"}}", 1 },
        { "{\"max_conversation_length\": {\"value\": -1}}", 1 },
        { "{\"max_conversation_length\": {\"value\": 1000001}}", 1 },
        { "{\"max_conversation_length\": {\"value\": 1.5}}", 1 },
        { "{\"max_conversation_length\": {\"value\": 1000000}}", 0 },
        { "{\"response_cache\": {\"value\": \"everybody\"}}", 1 },
        { "{\"response_cache\": {\"value\": \"person\"}}", 0 },
        { "{\"model\": {\"value\": \"\"}}", 1 },
        { "{\"model\": {\"value\": \"best\"}}", 0 },
        { "{\"of_tomorrow\": {\"value\": true}}", 1 },
        { "{\"streaming\": {\"rules\": [{\"id\": 1, \"value\": 7}]}}", 1 },
        { "{\"streaming\": {\"rules\": [{\"id\": 1}]}}", 1 },
        { "{\"streaming\": {\"rules\": [{\"id\": 1, \"value\": false, \"share\": 15000}]}}", 1 },
        { "{\"streaming\": {\"rules\": [{\"id\": 1, \"value\": false, \"person\": \"me\"}]}}", 1 },
        { "{\"streaming\": 3}", 0 },
    };
    struct flag_who who = who_of(ALICE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct flag_table *t = table(cases[i].doc);
        cr_expect_eq(t->n_ignored, cases[i].n_ignored, "%s: %u", cases[i].doc, t->n_ignored);
        cr_expect_eq(flag_table_find(t, FLAG_STREAMING, &who, NULL)->number, 1, "%s", cases[i].doc);
        flag_table_free(t);
    }
    struct err why = ERR_INIT;
    cr_expect_null(flag_table_parse(STR("[]"), &why));
    cr_expect_eq(why.kind, ERR_PROTO);
    cr_expect_null(flag_table_parse(STR("{"), &why));
}

/* The table of the code is whole: what it says of itself fits. */
Test(rule, the_registry_makes_sense)
{
    for (enum flag_id id = 0; id < FLAG_N; id++) {
        const struct flag_spec *s = &flag_specs[id];
        cr_assert(s->name && s->help, "flag %u", id);
        cr_expect_eq(flag_by_name(str_of(s->name)), id, "%s is there twice", s->name);
        cr_expect(!s->def.set || flag_may_be(id, &s->def), "%s", s->name);
        cr_expect(!s->killed.set || flag_may_be(id, &s->killed), "%s", s->name);
        cr_expect(s->type != FLAG_BOOLEAN || s->killed.set, "%s: a kill switch needs a side",
                  s->name);
    }
    cr_expect_eq(flag_by_name(STR("no_such")), FLAG_N);
    cr_expect(flag_specs[FLAG_MCP_SECURITY].killed.number, "a kill switch opens no door");
}

/* Many people with rules of their own: each is found, among many, and nobody else's. */
Test(rule, thousands_of_people)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 20);
    static struct uuid people[2000];
    buf_add_cstr(&b, "{\"max_conversation_length\": {\"rules\": [");
    for (int i = 0; i < 2000; i++) {
        char id[UUID_TEXT_MAX];
        people[i] = uuid_v7();
        uuid_text(&people[i], id);
        buf_addf(&b, "%s{\"id\": %d, \"person\": \"%s\", \"value\": %d}", i ? "," : "", i + 1, id,
                 i + 1);
    }
    buf_add_cstr(&b, "]}}");
    struct flag_table *t = table(b.p);
    for (int i = 0; i < 2000; i++) {
        struct flag_who who = { .person = people[i] };
        flag_who_ready(&who);
        cr_assert_eq(flag_table_find(t, FLAG_MAX_CONVERSATION_LENGTH, &who, NULL)->number, i + 1);
        who.person = uuid_v7();
        flag_who_ready(&who);
        cr_assert_eq(flag_table_find(t, FLAG_MAX_CONVERSATION_LENGTH, &who, NULL)->number, 0);
    }
    flag_table_free(t);
}
