/*
 * Another configuration while the models of the one before still answer: nobody loses what they
 * hold, and what did not change goes on as it was. Time is virtual.
 */
#include "core/base/clock.h"
#include "core/model/health.h"
#include "core/model/prices.h"
#include "core/model/route.h"
#include "tests/support/stub_http.h"
#include <criterion/criterion.h>
#include <stdlib.h>

#define ASKERS_MAX 3
#define FAILURES   5

static struct loop loop;
static struct http_client *http;
static struct conf_doc *doc;
static struct models *models;
static struct stub stub;
static struct stub_conn *streaming[ASKERS_MAX]; /* those that have begun to answer */
static unsigned n_streaming;

static struct asker {
    struct op op;
    struct model_answer answer;
    struct route_log log;
    unsigned n_done;
    size_t place;
} askers[ASKERS_MAX];

static struct conf_doc *parse(const char *text)
{
    struct conf_doc *ret = NULL;
    struct err why = ERR_INIT;
    cr_assert_eq(conf_open_text(str_of(text), "t.conf", &ret, &why), ERR_NONE, "%s", why.msg);
    return ret;
}

static void on_done(struct op *op)
{
    container_of(op, struct asker, op)->n_done++;
}

static void setup(void)
{
    struct http_client_conf conf = { "", "", "", "", "test", 100 };
    struct err why;
    unsetenv("OPENAI_API_KEY");
    unsetenv("OPENAI_BASE_URL");
    clock_virtual(1000);
    loop_open(&loop);
    for (int i = 0; i < ASKERS_MAX; i++) op_init(&askers[i].op, &loop, on_done);
    cr_assert_eq(http_client_open(&loop, &conf, &http, &why), ERR_NONE);
}

static void teardown(void)
{
    for (int i = 0; i < ASKERS_MAX; i++) {
        op_cancel(&askers[i].op);
        model_answer_done(&askers[i].answer);
        route_log_done(&askers[i].log);
    }
    models_close(models);
    conf_close(doc);
    http_client_close(http);
    if (stub.loop) stub_shut(&stub);
    clock_real();
    loop_run_for(&loop, 30);
    loop_close(&loop);
}

TestSuite(generations, .init = setup, .fini = teardown, .timeout = 60);

#define HEAD \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define PIECE "data: {\"choices\":[{\"delta\":{\"content\":\"Hi!\"}}]}\n\n"
#define FINISH                                                        \
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}" \
    "\n\ndata: [DONE]\n\n"

static void chunk(struct stub_conn *c, const char *data)
{
    char text[1000];
    int n = snprintf(text, sizeof(text), "%zx\r\n%s\r\n", strlen(data), data);
    stub_send(c, str_from(text, (size_t)n));
}

/* The first piece, and the rest when the test says so. */
static void stream(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR(HEAD));
    chunk(c, PIECE);
    streaming[n_streaming++] = c;
}

static void refuse(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 500, NULL, "", STR("broken"));
}

/* "m" at the stub, with more settings, and what else the text says. */
static const char *conf_text(const char *more, const char *others)
{
    static char text[2000];
    snprintf(text, sizeof(text),
             "models = ( { name = \"m\"; type = \"openai\"; tries = 1; base_url = "
             "\"http://127.0.0.1:%u/v1\"; %s } %s );",
             stub.port, more, others);
    return text;
}

static void begin_with(const char *more, void (*on_request)(struct stub_conn *c, unsigned nth))
{
    struct err why = ERR_INIT;
    stub_open(&stub, &loop, on_request);
    doc = parse(conf_text(more, ""));
    cr_assert_eq(models_open(&loop, http, doc, &models, &why), ERR_NONE, "%s", why.msg);
}

/* Another generation takes the place of the one before, which nobody holds but who asks. */
static void renew(const char *text)
{
    struct models *next = NULL;
    struct conf_doc *other = parse(text);
    struct err why = ERR_INIT;
    cr_assert_eq(models_renew(models, &other, 1, &next, &why), ERR_NONE, "%s", why.msg);
    conf_close(other);
    models_close(models);
    models = next;
}

static const struct model_ask *question(void *ctx, const struct model *m, struct str so_far)
{
    static const struct model_message message = { .role = MODEL_USER, .text = { "hello", 5 } };
    static const struct model_ask ask = { .messages = &message, .n_messages = 1 };
    (void)ctx, (void)m, (void)so_far;
    return &ask;
}

static void on_text(void *ctx, struct str piece)
{
    (void)ctx, (void)piece;
}

static void on_restart(void *ctx)
{
    (void)ctx;
}

static void on_place(void *ctx, size_t place, uint64_t wait_ms)
{
    (void)wait_ms;
    ((struct asker *)ctx)->place = place;
}

static void ask(int i, const char *name)
{
    struct asker *a = &askers[i];
    const struct route_asker asker = { .ask = question,
                                       .on_text = on_text,
                                       .on_restart = on_restart,
                                       .on_place = on_place,
                                       .ctx = a,
                                       .channel = STR("c"),
                                       .person = STR("p") };
    model_answer_done(&a->answer);
    a->answer = (struct model_answer){ .tries = 0 };
    route_log_done(&a->log);
    a->n_done = 0;
    route_ask(models, routes_find(models, str_of(name)), &a->op, &asker, &a->answer, &a->log);
}

static void until_streaming(unsigned n)
{
    for (int i = 0; i < 500 && n_streaming < n; i++) loop_run_for(&loop, 1);
    cr_assert_eq(n_streaming, n);
    loop_run_for(&loop, 50);
}

static void finish(int i, unsigned conn)
{
    chunk(streaming[conn], PIECE);
    chunk(streaming[conn], FINISH);
    stub_send(streaming[conn], STR("0\r\n\r\n"));
    for (int k = 0; k < 500 && !askers[i].n_done; k++) loop_run_for(&loop, 1);
    cr_assert_eq(askers[i].n_done, 1);
    cr_expect_eq(askers[i].op.err.kind, ERR_NONE, "%s", askers[i].op.err.msg);
    cr_expect(str_eq(buf_str(&askers[i].answer.text), STR("Hi!Hi!")), "%s",
              askers[i].answer.text.p);
}

/* ---- who answers goes on ---- */

Test(generations, an_answer_under_way_is_finished)
{
    begin_with("", stream);
    ask(0, "m");
    until_streaming(1);
    renew("models = ( { name = \"m\"; type = \"demo\"; } );");
    renew("models = ( { name = \"other\"; type = \"demo\"; } );");
    cr_expect_null(models_find(models, STR("m")));
    finish(0, 0);
    ask(1, "other");
    for (int k = 0; k < 500 && !askers[1].n_done; k++) loop_run_for(&loop, 100);
    cr_expect_eq(askers[1].n_done, 1);
    cr_expect_eq(stub.n_requests, 1, "the new one is asked by its own settings");
}

Test(generations, one_that_is_given_up_frees_them)
{
    begin_with("", stream);
    ask(0, "m");
    until_streaming(1);
    renew("models = ( { name = \"m\"; type = \"demo\"; } );");
    op_cancel(&askers[0].op);
    loop_run_for(&loop, 20);
    cr_expect_eq(askers[0].n_done, 0);
}

Test(generations, all_may_go_before_the_answer)
{
    begin_with("", stream);
    ask(0, "m");
    until_streaming(1);
    models_close(models);
    models = NULL;
    finish(0, 0);
}

/* ---- what did not change stays ---- */

Test(generations, the_same_settings_are_the_same_model)
{
    begin_with("", stream);
    const struct model *m = models_find(models, STR("m"));
    renew(conf_text("", ", { name = \"n\"; type = \"demo\"; }"));
    cr_expect_eq(models_find(models, STR("m")), m);
    cr_expect_eq(models_count(models), 2);
    const struct model *n = models_find(models, STR("n"));
    renew(conf_text("temperature = 0.5;", ", { name = \"n\"; type = \"demo\"; }"));
    cr_expect_neq(models_find(models, STR("m")), m);
    cr_expect_eq(models_find(models, STR("n")), n);
    renew(conf_text("temperature = 0.5; extra = { top_k = 1; };", ""));
    m = models_find(models, STR("m"));
    renew(conf_text("temperature = 0.5; extra = \"{ \\\"top_k\\\": 1 }\";", ""));
    cr_expect_eq(models_find(models, STR("m")), m, "the same, otherwise written");
    renew(conf_text("temperature = 0.5; extra = { top_k = 2; };", ""));
    cr_expect_neq(models_find(models, STR("m")), m);
}

static void fail_often(void)
{
    for (int i = 0; i < FAILURES; i++) {
        ask(0, "m");
        for (int k = 0; k < 500 && !askers[0].n_done; k++) loop_run_for(&loop, 10);
        cr_assert_eq(askers[0].op.err.kind, ERR_IO, "%s", askers[0].op.err.msg);
    }
}

Test(generations, a_model_that_rests_rests_on_unless_it_changed)
{
    begin_with("", refuse);
    fail_often();
    cr_expect_gt(health_rest_ms(models, models_find(models, STR("m"))), 0);
    renew(conf_text("", ", { name = \"n\"; type = \"demo\"; }"));
    cr_expect_gt(health_rest_ms(models, models_find(models, STR("m"))), 0);
    renew(conf_text("max_tokens = 7;", ""));
    cr_expect_eq(health_rest_ms(models, models_find(models, STR("m"))), 0,
                 "that it failed says nothing of its new settings");
}

Test(generations, the_row_at_a_gate_is_one_row)
{
    begin_with("running_max = 1;", stream);
    ask(0, "m");
    until_streaming(1);
    ask(1, "m");
    loop_run_for(&loop, 20);
    cr_expect_eq(askers[1].place, 1);
    renew(conf_text("running_max = 1;", ", { name = \"n\"; type = \"demo\"; }"));
    ask(2, "m");
    loop_run_for(&loop, 20);
    cr_expect_eq(askers[2].place, 2, "behind those of the generation before");
    finish(0, 0);
    until_streaming(2);
    finish(1, 1);
    until_streaming(3);
    finish(2, 2);
}

Test(generations, who_waits_at_a_gate_that_is_gone_is_let_in)
{
    begin_with("running_max = 1;", stream);
    ask(0, "m");
    until_streaming(1);
    ask(1, "m");
    loop_run_for(&loop, 20);
    renew("models = ( { name = \"m\"; type = \"demo\"; } );");
    finish(0, 0);
    until_streaming(2);
    finish(1, 1);
}

Test(generations, prices_follow_the_settings)
{
    begin_with("input_price = \"1\"; output_price = \"2\";", stream);
    const struct model *m = models_find(models, STR("m"));
    cr_expect_eq(models_price(models, m)->base.input, 1000000000);
    renew(conf_text("input_price = \"3\"; output_price = \"2\";", ""));
    m = models_find(models, STR("m"));
    cr_expect_eq(models_price(models, m)->base.input, 3000000000);
    renew(conf_text("", ""));
    cr_expect_not(models_price(models, models_find(models, STR("m")))->known);
    cr_expect_not(models_prices_known(models), "nobody has looked for its price yet");
}

/* ---- which there are ---- */

static struct models *layers(const char *const *texts, size_t n, struct err *why)
{
    struct conf_doc *docs[3];
    struct models *ret = NULL;
    for (size_t i = 0; i < n; i++) docs[i] = parse(texts[i]);
    models_renew(models, docs, n, &ret, why);
    for (size_t i = 0; i < n; i++) conf_close(docs[i]);
    return ret;
}

Test(generations, layers_replace_by_name_and_add)
{
    const char *const texts[] = {
        "models = ( { name = \"a\"; type = \"demo\"; max_tokens = 1; }, { name = \"b\"; type = "
        "\"demo\"; } ); routes = ( { name = \"r\"; models = [ \"a\" ]; } );",
        "models = ( { name = \"c\"; type = \"demo\"; }, { name = \"A\"; type = \"demo\"; "
        "max_tokens = 2; } );",
        "routes = ( { name = \"s\"; models = [ \"c\", \"b\" ]; }, { name = \"r\"; models = [ "
        "\"b\" ]; } );",
    };
    struct err why = ERR_INIT;
    begin_with("", stream);
    struct models *next = layers(texts, 3, &why);
    cr_assert_not_null(next, "%s", why.msg);
    cr_expect_eq(models_count(next), 3);
    cr_expect_str_eq(models_at(next, 0)->name, "A");
    cr_expect_eq(models_at(next, 0)->max_tokens, 2);
    cr_expect_str_eq(models_at(next, 2)->name, "c");
    cr_expect_eq(routes_count(next), 2);
    cr_expect_str_eq(routes_default(next)->name, "r");
    cr_expect_str_eq(routes_default(next)->v[0]->name, "b");
    models_close(next);
}

Test(generations, a_bad_one_changes_nothing)
{
    static const struct {
        const char *text, *msg;
    } bad[] = {
        { "models = ( { name = \"x\"; type = \"demo\"; colour = 1; } );", "models.colour" },
        { "models = ( { name = \"x\"; type = \"demo\"; }, { name = \"x\"; type = \"demo\"; } );",
          "another model" },
        { "models = ( { name = \"x\"; type = \"demo\"; } ); routes = ( { name = \"r\"; models = "
          "[ \"m\" ]; } );",
          "no model is named" },
    };
    begin_with("", stream);
    const struct model *m = models_find(models, STR("m"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct err why = ERR_INIT;
        cr_expect_null(layers(&bad[i].text, 1, &why));
        cr_expect(strstr(why.msg, bad[i].msg), "%s", why.msg);
    }
    cr_expect_eq(models_find(models, STR("m")), m);
    ask(0, "m");
    until_streaming(1);
    finish(0, 0);
}

Test(generations, what_was_found_is_back_when_nothing_is_configured)
{
    struct err why = ERR_INIT;
    doc = parse("");
    cr_assert_eq(models_open(&loop, http, doc, &models, &why), ERR_NONE);
    const struct model *demo = models_at(models, 0);
    cr_expect_str_eq(demo->name, "demo");
    renew("models = ( { name = \"a\"; type = \"demo\"; } );");
    cr_expect_eq(models_count(models), 1);
    cr_expect_str_eq(models_at(models, 0)->name, "a");
    renew("");
    cr_expect_eq(models_count(models), 1);
    cr_expect_eq(models_at(models, 0), demo);
    renew("models = ( { name = \"a\"; type = \"demo\"; } );");
}
