/*
 * Asking a model, against a server on the same loop: what is tried again and what never is, what
 * the asker hears, and cancelling at each stage. Time is virtual.
 */
#include "core/base/json.h"
#include "tests/unit/model/models_case.h"

static struct model_answer answer;
static unsigned n_pieces, cancel_at;
static struct str question = { "hello", 5 };

static const char *conf_text(const char *more)
{
    static char text[1000];
    snprintf(text, sizeof(text),
             "models = ( { name = \"m\"; type = \"openai\"; api_key = \"env:TEST_KEY\"; "
             "base_url = \"http://127.0.0.1:%u/v1\"; tries = 3; %s }, "
             "{ name = \"demo\"; type = \"demo\"; } );",
             stub.port, more);
    return text;
}

static void on_text(void *ctx, struct str piece)
{
    (void)ctx, (void)piece;
    if (++n_pieces == cancel_at) op_cancel(&op);
}

static void setup(void)
{
    setenv("TEST_KEY", "sk-topsecret", 1);
    case_open();
}

static void teardown(void)
{
    op_cancel(&op);
    model_answer_done(&answer);
    case_close();
}

TestSuite(model, .init = setup, .fini = teardown, .timeout = 60);

static void serve(void (*on_request)(struct stub_conn *c, unsigned nth), const char *more)
{
    struct err why;
    stub_open(&stub, &loop, on_request);
    cr_assert_eq(configure(conf_text(more), &why), ERR_NONE, "%s", why.msg);
}

static void begin(const char *name)
{
    static struct model_message message;
    static struct model_ask ask = { &message, 1, 0 };
    message = (struct model_message){ MODEL_USER, question };
    model_answer_done(&answer);
    answer = (struct model_answer){ 0 };
    model_ask(models, models_find(models, str_of(name)), &op, &ask, on_text, NULL, &answer);
    cr_assert_eq(n_done, 0);
}

static void ask(void)
{
    begin("m");
    for (int i = 0; i < 400 && !n_done; i++) loop_run_for(&loop, 1000);
    cr_assert_eq(n_done, 1);
    loop_run_for(&loop, 20);
    cr_assert_eq(n_done, 1);
    cr_expect_eq(strstr(op.err.msg, "topsecret"), NULL);
}

static void expect(enum err_kind kind, const char *msg, const char *text, unsigned tries)
{
    cr_expect_eq(op.err.kind, kind, "%u: %s", op.err.kind, op.err.msg);
    cr_expect_str_eq(op.err.msg, msg);
    cr_expect(str_eq(buf_str(&answer.text), str_of(text)), "%s", answer.text.p);
    cr_expect_eq(answer.tries, tries, "%u tries", answer.tries);
    cr_expect_eq(stub.n_requests, tries);
}

#define HEAD \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define PIECE       "data: {\"choices\":[{\"delta\":{\"content\":\"Hi!\"}}]}\n\n"
#define OTHER_PIECE "data: {\"choices\":[{\"delta\":{\"content\":\"Ho?\"}}]}\n\n"
#define FINISH      "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define USAGE       "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n"
#define DONE        "data: [DONE]\n\n"

static void chunk(struct stub_conn *c, const char *data)
{
    char size[24];
    snprintf(size, sizeof(size), "%zx\r\n", strlen(data));
    stub_send(c, str_of(size));
    stub_send(c, str_of(data));
    stub_send(c, STR("\r\n"));
}

static void good(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR(HEAD));
    chunk(c, PIECE);
    chunk(c, PIECE FINISH USAGE DONE);
    stub_send(c, STR("0\r\n\r\n"));
}

Test(model, streams_an_answer)
{
    serve(good, "model = \"gpt-x\";");
    ask();
    expect(ERR_NONE, "", "Hi!Hi!", 1);
    cr_expect(n_pieces == 1 || n_pieces == 2, "%u: two, unless one read had both", n_pieces);
    cr_expect_eq(answer.finish, MODEL_STOP);
    cr_expect(answer.usage.known);
    cr_expect_eq(answer.usage.prompt_tokens, 7);
    cr_expect_neq(str_find(buf_str(&stub.last_head), STR("POST /v1/chat/completions ")), SIZE_MAX);
    cr_expect_neq(str_find(buf_str(&stub.last_head), STR("Bearer sk-topsecret\r\n")), SIZE_MAX);
    cr_expect_neq(str_find(buf_str(&stub.last_body), STR("\"model\":\"gpt-x\"")), SIZE_MAX);
}

static void no_usage(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 200, "text/event-stream", "", STR(PIECE FINISH DONE));
}

Test(model, estimates_usage_that_is_not_told)
{
    serve(no_usage, "");
    ask();
    expect(ERR_NONE, "", "Hi!", 1);
    cr_expect_not(answer.usage.known);
    cr_expect_eq(answer.usage.prompt_tokens, 8);
    cr_expect_eq(answer.usage.completion_tokens, 2);
}

/* What the first request gets; later ones get a good answer. */
static int bad_status;
static const char *bad_extra, *bad_body;
static void bad_then_good(struct stub_conn *c, unsigned nth)
{
    if (nth > 1)
        good(c, nth);
    else
        stub_answer(c, bad_status, "application/json", bad_extra, str_of(bad_body));
}

static void ask_bad(int status, const char *extra, const char *body)
{
    bad_status = status;
    bad_extra = extra;
    bad_body = body;
    serve(bad_then_good, "");
    ask();
}

Test(model, asks_again_after_503)
{
    ask_bad(503, "", "busy");
    expect(ERR_NONE, "", "Hi!Hi!", 2);
    cr_expect_geq(answer.total_ms, 250);
}

Test(model, waits_as_long_as_429_asks)
{
    ask_bad(429, "Retry-After: 12\r\n", "{}");
    expect(ERR_NONE, "", "Hi!Hi!", 2);
    cr_expect_geq(answer.total_ms, 12000);
}

Test(model, does_not_wait_longer_than_a_person_would)
{
    ask_bad(429, "Retry-After: 21\r\n", "{\"error\":{\"message\":\"slow down\"}}");
    expect(ERR_LIMIT, "openai/m: 429: too many requests: slow down", "", 1);
    cr_expect_eq(op.err.retry_after_ms, 21000);
    cr_expect_eq(answer.finish, MODEL_CUT);
}

Test(model, obeys_x_should_retry)
{
    ask_bad(503, "x-should-retry: false\r\n", "");
    expect(ERR_IO, "openai/m: 503: the server is overloaded or failing", "", 1);
}

Test(model, a_refused_key_is_final)
{
    ask_bad(401, "", "{\"error\":{\"message\":\"Incorrect API key provided: sk-topsecret\"}}");
    expect(ERR_AUTH, "openai/m: 401: the API key was refused", "", 1);
}

Test(model, no_credit_is_final)
{
    ask_bad(429, "Retry-After: 1\r\n", "{\"error\":{\"code\":\"insufficient_quota\"}}");
    expect(ERR_AUTH, "openai/m: 429: no credit is left, or a spending limit is reached", "", 1);
}

Test(model, a_bad_request_is_final)
{
    ask_bad(400, "", "{\"error\":{\"message\":\"Unsupported parameter: 'tools'\"}}");
    expect(ERR_REFUSED, "openai/m: 400: the request was refused: Unsupported parameter: 'tools'",
           "", 1);
}

Test(model, a_setting_is_left_out)
{
    ask_bad(400, "", "{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens'\"}}");
    expect(ERR_NONE, "", "Hi!Hi!", 2);
}

Test(model, an_error_inside_a_stream_before_the_first_piece)
{
    ask_bad(200, "", ": wait\n\ndata: {\"error\":{\"code\":502,\"message\":\"gone\"}}\n\n");
    expect(ERR_NONE, "", "Hi!Hi!", 2);
}

Test(model, an_empty_answer)
{
    ask_bad(200, "", FINISH DONE);
    expect(ERR_PROTO, "openai/m: the answer is empty", "", 1);
}

Test(model, max_tokens_used_up_by_thinking)
{
    ask_bad(200, "", "data: {\"choices\":[{\"finish_reason\":\"length\"}]}\n\n" DONE);
    expect(ERR_PROTO, "openai/m: max_tokens were used up before the first word: raise max_tokens",
           "", 1);
}

static void page(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 200, "text/html", "", STR("<html>It works!</html>"));
}

Test(model, a_web_page_every_time)
{
    serve(page, "");
    ask();
    expect(ERR_IO,
           "openai/m: a web page came instead of an answer: base_url is wrong, or a proxy failed",
           "", 3);
}

Test(model, nobody_there)
{
    serve(good, "");
    stub_shut(&stub);
    stub.loop = NULL;
    loop_run_for(&loop, 10);
    ask();
    cr_expect_eq(op.err.kind, ERR_IO, "%s", op.err.msg);
    cr_expect_eq(answer.tries, 3);
}

static void cut_first(struct stub_conn *c, unsigned nth)
{
    if (nth > 1) {
        good(c, nth);
        return;
    }
    stub_send(c, STR(HEAD));
    chunk(c, ": still thinking\n\n");
    stub_close(c);
}

Test(model, cut_before_the_first_piece)
{
    serve(cut_first, "");
    ask();
    expect(ERR_NONE, "", "Hi!Hi!", 2);
}

static void cut_always(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    cut_first(c, 1);
}

/* What had begun to answer may want money each time. */
Test(model, cut_before_the_first_piece_twice)
{
    serve(cut_always, "");
    ask();
    cr_expect_eq(op.err.kind, ERR_UNKNOWN, "%s", op.err.msg);
    cr_expect_eq(answer.tries, 2);
}

static void drop(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_close(c);
}

Test(model, nothing_came_at_all)
{
    serve(drop, "");
    ask();
    cr_expect_eq(op.err.kind, ERR_UNKNOWN, "%s", op.err.msg);
    cr_expect_eq(answer.tries, 3);
}

static void cut_later(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR(HEAD));
    chunk(c, PIECE);
    stub_close(c);
}

Test(model, cut_after_a_piece_is_never_asked_again)
{
    serve(cut_later, "");
    ask();
    cr_expect_eq(op.err.kind, ERR_UNKNOWN, "%s", op.err.msg);
    cr_expect_eq(answer.tries, 1);
    cr_expect_str_eq(answer.text.p, "Hi!");
    cr_expect_eq(answer.finish, MODEL_CUT);
    cr_expect_eq(answer.usage.completion_tokens, 2);
}

static void ends_early(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 200, "text/event-stream", "", STR(PIECE));
}

Test(model, an_end_without_its_mark)
{
    serve(ends_early, "");
    ask();
    expect(ERR_UNKNOWN, "openai/m: the answer broke off", "Hi!", 1);
    cr_expect_eq(answer.finish, MODEL_CUT);
}

static void comments_for_ever(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    static char comments[4000];
    for (size_t i = 0; i < sizeof(comments); i++) comments[i] = ":ok\n"[i % 4];
    stub_send(c, STR("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"));
    stub_drip(c, str_from(comments, sizeof(comments)), 1000, false);
}

Test(model, comments_are_no_answer)
{
    serve(comments_for_ever, "first_token_timeout = \"30s\";");
    ask();
    expect(ERR_TIMEOUT, "openai/m: no answer began within 30 s", "", 1);
}

/* Comments between the pieces, and after them for ever. */
static const char *before_comments;
static void comments_after(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    static char bytes[8000];
    size_t n = strlen(before_comments);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = i < n ? before_comments[i] : ":ok\n"[(i - n) % 4];
    stub_send(c, STR("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"));
    stub_drip(c, str_from(bytes, sizeof(bytes)), 100, false);
}

static void expect_stall(const char *first, const char *more, const char *text, const char *why,
                         uint32_t from_ms)
{
    before_comments = first;
    serve(comments_after, more);
    ask();
    expect(ERR_TIMEOUT, why, text, 1);
    cr_expect_eq(answer.finish, MODEL_CUT);
    cr_expect(answer.total_ms >= from_ms && answer.total_ms < from_ms + 30000, "%u ms",
              answer.total_ms);
}

#define COMMENTS_10S                                      \
    ":ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:" \
    "ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n:ok\n"

Test(model, comments_after_a_piece_are_no_answer_either)
{
    expect_stall(PIECE, "content_timeout = \"40s\"; idle_timeout = \"20s\";", "Hi!",
                 "openai/m: nothing but signs of life for 40 s", 40000);
}

/* The clock begins anew with each piece, though the timer is not moved. */
Test(model, pieces_between_comments_are_an_answer)
{
    expect_stall(PIECE COMMENTS_10S PIECE COMMENTS_10S PIECE,
                 "content_timeout = \"20s\"; idle_timeout = \"1s\";", "Hi!Hi!Hi!",
                 "openai/m: nothing but signs of life for 20 s", 50000);
}

#define THOUGHT "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"

Test(model, thoughts_are_pieces_of_an_answer)
{
    expect_stall(PIECE COMMENTS_10S THOUGHT COMMENTS_10S THOUGHT,
                 "content_timeout = \"20s\"; idle_timeout = \"1s\";", "Hi!",
                 "openai/m: nothing but signs of life for 20 s", 50000);
}

/* As a local model may need it: no comment may make that shorter. */
Test(model, who_may_be_silent_may_send_comments)
{
    expect_stall(PIECE, "content_timeout = \"2s\"; idle_timeout = \"50s\";", "Hi!",
                 "openai/m: nothing but signs of life for 50 s", 50000);
}

static void silence(struct stub_conn *c, unsigned nth)
{
    (void)c, (void)nth;
}

Test(model, silence)
{
    serve(silence, "first_token_timeout = \"30s\";");
    ask();
    cr_expect_eq(op.err.kind, ERR_TIMEOUT, "%s", op.err.msg);
    cr_expect_eq(answer.tries, 1);
}

static void stalls(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR(HEAD));
    chunk(c, PIECE);
}

Test(model, a_stall_after_a_piece)
{
    serve(stalls, "idle_timeout = \"20s\";");
    ask();
    expect(ERR_TIMEOUT, "openai/m: the answer stalled within 20000 ms", "Hi!", 1);
    cr_expect_eq(answer.finish, MODEL_CUT);
}

static void stays_open(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR(HEAD));
    chunk(c, PIECE FINISH DONE);
}

Test(model, a_connection_that_stays_open_after_the_end)
{
    serve(stays_open, "");
    ask();
    expect(ERR_NONE, "", "Hi!", 1);
    cr_expect_leq(answer.total_ms, 15000);
}

static void huge(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR(HEAD));
    for (int i = 0; i < 20000; i++) chunk(c, i % 2 ? PIECE : OTHER_PIECE);
}

static void repeating(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR(HEAD));
    for (int i = 0; i < 20000; i++) chunk(c, PIECE);
}

Test(model, a_huge_answer_is_cut)
{
    serve(huge, "reply_max = \"1KB\";");
    ask();
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_eq(answer.finish, MODEL_LENGTH);
    cr_expect_eq(answer.text.n, 1024);
    cr_expect(n_pieces > 0 && n_pieces <= 342, "%u", n_pieces);
}

static void together(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR(HEAD));
    chunk(c, PIECE OTHER_PIECE PIECE FINISH USAGE DONE);
    stub_send(c, STR("0\r\n\r\n"));
}

Test(model, what_comes_together_is_shown_together)
{
    serve(together, "");
    ask();
    expect(ERR_NONE, "", "Hi!Ho?Hi!", 1);
    cr_expect_eq(n_pieces, 1);
}

/* Nobody waits for the end of that, and another model may do better. */
Test(model, a_model_that_is_caught_in_a_loop)
{
    serve(repeating, "");
    ask();
    cr_expect_eq(op.err.kind, ERR_PROTO);
    cr_expect(strstr(op.err.msg, "it repeats itself"), "%s", op.err.msg);
    cr_expect_leq(n_pieces, 110);
    cr_expect_eq(answer.finish, MODEL_CUT);
}

/* Before its first word, in the middle of a search: what it wants back is all that there is. */
static void pauses(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 200, "application/json", "",
                STR("{\"type\":\"message\",\"content\":[{\"type\":\"server_tool_use\",\"id\":"
                    "\"s\",\"name\":\"w\",\"input\":{}}],\"stop_reason\":\"pause_turn\","
                    "\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}"));
}

Test(model, a_pause_before_the_first_word)
{
    struct err why;
    char text[200];
    stub_open(&stub, &loop, pauses);
    snprintf(text, sizeof text,
             "models = ( { name = \"m\"; type = \"anthropic\"; base_url = "
             "\"http://127.0.0.1:%u/v1\"; } );",
             stub.port);
    cr_assert_eq(configure(text, &why), ERR_NONE, "%s", why.msg);
    ask();
    expect(ERR_NONE, "", "", 1);
    cr_expect_eq(answer.finish, MODEL_PAUSE);
    cr_expect(str_starts(answer.kept, STR("[{\"type\":\"server_tool_use\"")));
}

static void json_at_once(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(
        c, 200, "application/json", "",
        STR("{\"choices\":[{\"message\":{\"content\":\"All.\"},\"finish_reason\":\"stop\"}],"
            "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}"));
}

Test(model, a_server_that_does_not_stream)
{
    serve(json_at_once, "");
    ask();
    expect(ERR_NONE, "", "All.", 1);
    cr_expect_eq(n_pieces, 1);
}

Test(model, cancel_at_each_stage)
{
    serve(silence, "");
    begin("m"); /* at once */
    op_cancel(&op);
    loop_run_for(&loop, 50);
    cr_expect_eq(stub.n_requests, 0);

    begin("m"); /* while waiting for the answer */
    loop_run_for(&loop, 50);
    cr_expect_eq(stub.n_requests, 1);
    op_cancel(&op);
    loop_run_for(&loop, 50);
    cr_expect_eq(stub.n_open, 0, "the server still writes");

    stub.on_request = stalls; /* from inside on_text */
    cancel_at = 1;
    begin("m");
    loop_run_for(&loop, 50);
    cr_expect_eq(n_pieces, 1);
    cr_expect_eq(stub.n_open, 0);

    stub.on_request = json_at_once; /* from inside the last piece */
    cancel_at = 2;
    begin("m");
    loop_run_for(&loop, 50);
    cr_expect_eq(n_pieces, 2);

    stub.on_request = bad_then_good; /* while waiting to ask again */
    bad_status = 503, bad_extra = bad_body = "";
    stub.n_requests = 0;
    cancel_at = 0;
    begin("m");
    loop_run_for(&loop, 100);
    cr_expect_eq(stub.n_requests, 1);
    op_cancel(&op);
    loop_run_for(&loop, 20000);
    cr_expect_eq(stub.n_requests, 1);

    begin("demo"); /* in mid-sentence, from outside and from inside */
    loop_run_for(&loop, 500);
    op_cancel(&op);
    cancel_at = n_pieces + 5;
    begin("demo");
    loop_run_for(&loop, 5000);
    cr_expect_eq(n_pieces, cancel_at);
    cr_expect_eq(n_done, 0);
}

/* Whoever cancels may take the answer's memory along, also while the rest of it is being read. */
static void take_along(void *ctx, struct str piece)
{
    struct model_answer **a = ctx;
    (void)piece;
    op_cancel(&op);
    model_answer_done(*a);
    free(*a);
    *a = NULL;
}

static void all_at_once(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR(HEAD));
    chunk(c, PIECE FINISH USAGE DONE);
}

Test(model, cancel_and_the_answer_is_gone)
{
    static const struct model_message message = { MODEL_USER, { "Hello?", 6 } };
    static const struct model_ask ask_ = { &message, 1 };
    struct model_answer *a = mem_new(struct model_answer);
    serve(all_at_once, "");
    model_ask(models, models_find(models, STR("m")), &op, &ask_, take_along, &a, a);
    for (int i = 0; i < 10; i++) loop_run_for(&loop, 100);
    cr_expect_null(a);
    cr_expect_eq(n_done, 0);
}

Test(model, demo_says_so_and_streams)
{
    serve(good, "");
    question = STR("<b>What</b> are\n```you```?");
    begin("demo");
    loop_run_for(&loop, 60000);
    cr_expect_eq(n_done, 1);
    cr_expect_eq(op.err.kind, ERR_NONE);
    cr_expect_gt(n_pieces, 20);
    cr_expect_geq(answer.total_ms, 600);
    cr_expect(strstr(answer.text.p, "demo"));
    cr_expect(strstr(answer.text.p, "> <b>What</b> are\n> ```you```?\n"));
    cr_expect(strstr(answer.text.p, "OPENAI_API_KEY"));
    cr_expect_eq(stub.n_requests, 0);
}

/* ---- which models there are ---- */

Test(model, by_name)
{
    serve(good, "");
    cr_expect_eq(models_count(models), 2);
    cr_expect_str_eq(models_at(models, 0)->name, "m");
    cr_expect_eq(models_find(models, STR("M")), models_at(models, 0));
    cr_expect_eq(models_at(models, 1), models_find(models, STR("demo")));
    cr_expect_null(models_find(models, STR("nobody")));
    cr_expect_null(models_at(models, 2));
}

Test(model, bad_configurations)
{
    static const struct {
        const char *text, *msg;
    } cases[] = {
        { "models = ( { name = \"a\"; type = \"gpt\"; } );", "no model type is named \"gpt\"" },
        { "models = ( { type = \"demo\"; } );", "a model must have a name" },
        { "models = ( { name = \"a b\"; type = \"demo\"; } );", "a name without spaces" },
        { "models = ( { name = \"a\"; type = \"demo\"; }, { name = \"A\"; type = \"demo\"; } );",
          "another model is named \"A\"" },
        { "models = ( { name = \"a\"; type = \"openai\"; base_url = \"localhost\"; } );",
          "must begin with https://" },
        { "models = ( { name = \"a\"; type = \"demo\"; base_url = \"http://x\"; } );",
          "unknown key" },
        { "models = ( { name = \"a\"; type = \"openai\"; api_key = \"sk-literal\"; } );",
          "api_key" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err why = ERR_INIT;
        cr_expect_eq(configure(cases[i].text, &why), ERR_CONF, "case %zu", i);
        cr_expect(strstr(why.msg, cases[i].msg), "case %zu: %s", i, why.msg);
        cr_expect(strstr(why.msg, "t.conf:1"), "case %zu: %s", i, why.msg);
        cr_expect_eq(strstr(why.msg, "literal"), NULL);
        conf_close(conf);
        conf = NULL;
    }
}

static void probe(void)
{
    models_probe(models, &op);
    cr_assert_eq(n_done, 0);
    for (int i = 0; i < 30 && !n_done; i++) loop_run_for(&loop, 100);
    cr_assert_eq(n_done, 1);
    cr_expect_eq(op.err.kind, ERR_NONE);
}

Test(model, from_the_environment)
{
    struct err why;
    setenv("OPENAI_API_KEY", "sk-fromenv\n", 1);
    setenv("OPENAI_MODEL", "gpt-y", 1);
    stub_open(&stub, &loop, good);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1", stub.port);
    setenv("OPENAI_BASE_URL", url, 1);
    cr_assert_eq(configure("", &why), ERR_NONE, "%s", why.msg);
    cr_expect_eq(models_count(models), 1);
    cr_expect_str_eq(models_at(models, 0)->name, "gpt-y");
    probe();
    n_done = 0;
    begin("gpt-y");
    loop_run_for(&loop, 1000);
    expect(ERR_NONE, "", "Hi!Hi!", 1);
    cr_expect_neq(str_find(buf_str(&stub.last_head), STR("Bearer sk-fromenv\r\n")), SIZE_MAX);
}

static void tags(struct stub_conn *c, unsigned nth)
{
    if (str_starts(buf_str(&c->stub->last_head), STR("GET /api/tags ")))
        stub_answer(
            c, 200, "application/json", "",
            STR("{\"models\":[{\"name\":\"nomic-embed-text:latest\",\"details\":{\"family\":"
                "\"nomic-bert\"}},{\"name\":\"llama3.2:latest\",\"details\":{\"family\":"
                "\"llama\"}},{\"name\":\"qwen3:8b\"},{\"nonsense\":1}]}"));
    else
        stub_answer(c, 200, "application/x-ndjson", "",
                    STR("{\"message\":{\"content\":\"Hi\"},\"done\":false}\n"
                        "{\"message\":{\"content\":\"!\"},\"done\":true,\"eval_count\":2}\n"));
    (void)nth;
}

static void with_ollama(void (*on_request)(struct stub_conn *c, unsigned nth))
{
    struct err why;
    char host[64];
    stub_open(&stub, &loop, on_request);
    snprintf(host, sizeof(host), "127.0.0.1:%u", stub.port);
    setenv("OLLAMA_HOST", host, 1);
    cr_assert_eq(configure("", &why), ERR_NONE, "%s", why.msg);
    cr_expect_str_eq(models_at(models, 0)->name, "demo");
    probe();
}

Test(model, from_an_ollama)
{
    with_ollama(tags);
    cr_expect_eq(models_count(models), 2);
    cr_expect_str_eq(models_at(models, 0)->name, "llama3.2");
    cr_expect_str_eq(models_at(models, 1)->name, "qwen3:8b");
    cr_expect_str_eq(models_embedder(models, STR_NONE)->name, "nomic-embed-text");
    n_done = 0;
    begin("llama3.2");
    loop_run_for(&loop, 1000);
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_str_eq(answer.text.p, "Hi!");
    cr_expect(str_starts(buf_str(&stub.last_head), STR("POST /api/chat ")));
    cr_expect_neq(str_find(buf_str(&stub.last_body), STR("\"model\":\"llama3.2:latest\"")),
                  SIZE_MAX);
    cr_expect_neq(str_find(buf_str(&stub.last_body),
                           STR("\"options\":{\"num_ctx\":4096,\"num_predict\":1024}")),
                  SIZE_MAX);
    cr_expect_eq(str_find(buf_str(&stub.last_head), STR("Authorization")), SIZE_MAX);
}

Test(model, no_ollama_leaves_the_demo)
{
    with_ollama(page);
    cr_expect_eq(models_count(models), 1);
    cr_expect_str_eq(models_at(models, 0)->name, "demo");
}

Test(model, a_mute_ollama_costs_a_second)
{
    uint64_t began = clock_ms();
    with_ollama(silence);
    cr_expect_leq(clock_ms() - began, 15000);
    cr_expect_str_eq(models_at(models, 0)->name, "demo");
}

Test(model, the_example_can_be_read)
{
    struct buf example = BUF_INIT(65536);
    struct err why;
    models_example(&example);
    cr_expect_not(example.full);
    cr_expect(strstr(example.p, "max_tokens_field"));
    for (size_t i = 0; i < example.n; i++) /* every comment line without its '#' is code or words */
        cr_expect(i > 0 && example.p[i - 1] != '\n' ? true : strchr("#\n", example.p[i]) != NULL);
    cr_expect_eq(configure(example.p, &why), ERR_NONE, "%s", why.msg);
    buf_done(&example);
}
