/*
 * load: everything around the gateway in one process, for scripts/bench: a Telegram that posts
 * updates to the webhook and takes sendMessage, and a model without latency. Prints one line of
 * JSON.
 *
 *   parley_load STUB_PORT GATEWAY_PORT PATH SECRET closed|open|hooks CONVERSATIONS SECONDS [RATE]
 *
 * hooks: a closed loop of other programs, which post to a webhook for each conversation; PATH and
 * the conversation's number name it, SECRET is an API key.
 *
 * Every message carries a mark, #c<conversation>-<number>#, which the model repeats; so each reply
 * at sendMessage tells which message it answers, and lost, duplicated and out of order can be
 * counted.
 */
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/loop/loop.h"
#include "core/net/http_server.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 4000000
#define DRAIN_MS    10000
#define WARM_UP_MS  1000

struct conversation {
    unsigned sent, answered; /* numbers 1.. */
    uint64_t *at_us;         /* when each message was posted (ring) */
};
#define RING 4096

struct poster { /* one keep-alive connection to the gateway; requests queue behind each other */
    uv_tcp_t tcp;
    struct buf out; /* what cannot be sent yet: a request is under way */
    bool busy;
};

static struct {
    struct loop loop;
    struct http_server *server;
    struct conversation *conversations;
    struct poster *posters;
    unsigned n_conversations, n_posters;
    bool open_loop, hooks, counting, stopping;
    double rate;
    uint64_t began_us, update_id, n_posted, n_answered, n_counted, n_duplicated, n_out_of_order,
        n_refused;
    uint32_t *samples;
    size_t n_samples;
    const char *path, *secret;
    uv_poll_t go;
    int gateway_port;
    struct timer end, pace, grace;
    uint64_t run_ms, counted_us;
} g;

static uint64_t now_us(void)
{
    return uv_hrtime() / 1000;
}

/* ---- posting updates ---- */

static void on_written(uv_write_t *w, int status)
{
    (void)status;
    free(w);
}

static void poster_send(struct poster *p)
{
    if (p->busy || p->out.n == 0) return;
    p->busy = true;
    size_t n = str_find(buf_str(&p->out), STR("\r\n\r\n")) + 4; /* the head ... */
    uint64_t body = 0;
    struct str head = str_head(buf_str(&p->out), n);
    struct str length = str_skip(head, str_find(head, STR("length: ")) + 8);
    str_u64(str_cut(&length, '\r'), &body);
    n += body; /* ... and its body */
    uv_write_t *w = mem_alloc(sizeof *w + n);
    memcpy(w + 1, p->out.p, n);
    buf_drop_front(&p->out, n);
    uv_buf_t b = uv_buf_init((char *)(w + 1), (unsigned)n);
    uv_write(w, (uv_stream_t *)&p->tcp, &b, 1, on_written);
}

static void update_put(struct buf *out, unsigned c, unsigned number)
{
    char body[640];
    int n = snprintf(
        body, sizeof body,
        "{\"update_id\":%llu,\"message\":{\"message_id\":%u,\"from\":{\"id\":%u,\"is_bot\":false,"
        "\"first_name\":\"Person\",\"username\":\"person%u\",\"language_code\":\"en\"},\"chat\":{\"id\":%u,"
        "\"first_name\":\"Person\",\"type\":\"private\"},\"date\":1700000000,\"text\":\"Could you tell me "
        "in a few words what number %u of conversation %u is about? #c%u-%u#\"}}",
        (unsigned long long)++g.update_id, number, 1000 + c, c, 1000 + c, number, c, c, number);
    buf_addf(out,
             "POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
             "x-telegram-bot-api-secret-token: %s\r\ncontent-length: %d\r\n\r\n%s",
             g.path, g.secret, n, body);
}

static void hook_put(struct buf *out, unsigned c, unsigned number)
{
    char body[200];
    int n = snprintf(body, sizeof body,
                     "{\"who\":\"Ada\",\"what\":\"Number %u of place %u: #c%u-%u#\"}", number, c, c,
                     number);
    buf_addf(out,
             "POST %s%u HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
             "authorization: Bearer %s\r\nidempotency-key: %llu\r\ncontent-length: %d\r\n\r\n%s",
             g.path, c, g.secret, (unsigned long long)++g.update_id, n, body);
}

static void message_post(unsigned c)
{
    struct conversation *conv = &g.conversations[c];
    struct poster *p = &g.posters[c % g.n_posters];
    unsigned number = ++conv->sent;
    conv->at_us[number % RING] = now_us();
    g.n_posted++;
    (g.hooks ? hook_put : update_put)(&p->out, c, number);
    poster_send(p);
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
    static char room[65536];
    (void)h;
    (void)n;
    *b = uv_buf_init(room, sizeof room);
}

/* The gateway's answers are short and come one at a time: a read is an answer. */
static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct poster *p = s->data;
    if (n < 0) {
        fprintf(stderr, "load: the gateway closed a connection: %s\n", uv_strerror((int)n));
        exit(1);
    }
    if (n == 0) return;
    if (!str_starts(str_from(b->base, (size_t)n), STR("HTTP/1.1 20")) && g.n_refused++ == 0)
        fprintf(stderr, "load: %.*s\n", (int)n, b->base);
    p->busy = false;
    poster_send(p);
}

static void on_connected(uv_connect_t *c, int status)
{
    if (status < 0) {
        fprintf(stderr, "load: cannot connect: %s\n", uv_strerror(status));
        exit(1);
    }
    uv_read_start(c->handle, on_alloc, on_read);
    poster_send(c->handle->data);
    free(c);
}

static void poster_open(struct poster *p, int port)
{
    struct sockaddr_in to;
    uv_ip4_addr("127.0.0.1", port, &to);
    uv_tcp_init(&g.loop.uv, &p->tcp);
    uv_tcp_nodelay(&p->tcp, 1);
    p->tcp.data = p;
    buf_init(&p->out, 64 << 20);
    p->busy = false;
    uv_tcp_connect(mem_new(uv_connect_t), &p->tcp, (const struct sockaddr *)&to, on_connected);
}

/* ---- the mark ---- */

static bool mark_find(struct str s, unsigned *conversation, unsigned *number)
{
    for (size_t i = s.n; i >= 4; i--)
        if (s.p[i - 1] == '-' || s.p[i - 1] == 'c') {
            /* the last "#c": the question that is asked now, not its history */
            if (s.p[i - 1] == 'c' && s.p[i - 2] == '#')
                return sscanf(s.p + i, "%u-%u#", conversation, number) == 2;
        }
    return false;
}

/* ---- the stubs ---- */

static void on_model(struct http_route *route, struct http_in *in)
{
    (void)route;
    unsigned c, number;
    char reply[1024];
    if (!mark_find(in->body, &c, &number)) {
        http_answer_error(in, 400, "no mark");
        return;
    }
    int n = snprintf(
        reply, sizeof reply,
        "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":"
        "{\"role\":\"assistant\",\"content\":\"It is about \"},\"finish_reason\":null}]}\n\n"
        "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"**this**: #c%u-%u#\"},"
        "\"finish_reason\":null}]}\n\n"
        "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":9,"
        "\"total_tokens\":49}}\n\ndata: [DONE]\n\n",
        c, number);
    http_answer(in, 200, "text/event-stream", str_from(reply, (size_t)n));
}

static void answered(unsigned c, unsigned number)
{
    struct conversation *conv = &g.conversations[c];
    if (number <= conv->answered) {
        g.n_duplicated++;
        return;
    }
    if (number != conv->answered + 1) g.n_out_of_order++;
    conv->answered = number;
    g.n_answered++;
    if (g.counting) {
        g.n_counted++;
        if (g.n_samples < SAMPLES_MAX)
            g.samples[g.n_samples++] = (uint32_t)(now_us() - conv->at_us[number % RING]);
    }
    if (!g.open_loop && !g.stopping) message_post(c);
}

static void on_telegram(struct http_route *route, struct http_in *in)
{
    (void)route;
    static const char me[] =
        "{\"ok\":true,\"result\":{\"id\":42,\"is_bot\":true,\"first_name\":\"Bench\",\"username\":"
        "\"bench_bot\",\"can_join_groups\":true,\"can_read_all_group_messages\":false}}";
    static const char message[] =
        "{\"ok\":true,\"result\":{\"message_id\":7,\"date\":1700000000,\"chat\":{\"id\":1,"
        "\"type\":\"private\"},\"text\":\"x\"}}";
    unsigned c, number;
    if (str_ends(in->path, STR("/getMe"))) {
        http_answer(in, 200, "application/json", str_of(me));
    } else if (!str_ends(in->path, STR("/sendMessage"))) {
        http_answer(in, 200, "application/json", STR("{\"ok\":true,\"result\":true}"));
    } else {
        bool marked = mark_find(in->body, &c, &number) && c < g.n_conversations;
        if (!marked) fprintf(stderr, "load: a reply without a mark: %.*s\n", STR_ARG(in->body));
        http_answer(in, 200, "application/json", str_of(message)); /* `in` ends here */
        if (marked) answered(c, number);
    }
}

/* ---- the run ---- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile(double p)
{
    return g.n_samples ? g.samples[(size_t)((double)(g.n_samples - 1) * p)] / 1000.0 : 0;
}

static void report(struct timer *t)
{
    (void)t;
    qsort(g.samples, g.n_samples, sizeof *g.samples, by_value);
    uint64_t lost = g.n_posted - g.n_answered;
    double seconds = (double)g.counted_us / 1e6;
    printf(
        "{\"messages\":%llu,\"per_s\":%.1f,\"p50_ms\":%.2f,\"p95_ms\":%.2f,\"p99_ms\":%.2f,\"lost\":%llu,"
        "\"duplicated\":%llu,\"out_of_order\":%llu,\"refused\":%llu}\n",
        (unsigned long long)g.n_counted, (double)g.n_counted / seconds, percentile(0.5),
        percentile(0.95), percentile(0.99), (unsigned long long)lost,
        (unsigned long long)g.n_duplicated, (unsigned long long)g.n_out_of_order,
        (unsigned long long)g.n_refused);
    fflush(stdout);
    _exit(lost || g.n_duplicated || g.n_out_of_order ? 3 : 0);
}

/* What is still on its way gets its time; done as soon as nothing is missing. */
static void on_grace(struct timer *t)
{
    static uint64_t waited;
    if (g.n_answered >= g.n_posted || (waited += 20) > DRAIN_MS) report(t);
    timer_set(&g.loop, t, 20);
}

static void on_end(struct timer *t)
{
    if (!g.counting) { /* warm-up is over */
        g.counting = true;
        g.began_us = now_us();
        fprintf(stderr, "counting\n");
        timer_set(&g.loop, t, g.run_ms);
        return;
    }
    g.counting = false;
    g.stopping = true;
    g.counted_us = now_us() - g.began_us;
    fprintf(stderr, "counted\n");
    timer_clear(&g.loop, &g.pace);
    timer_set(&g.loop, &g.grace, 20);
}

static void on_pace(struct timer *t)
{
    static uint64_t first_us, n;
    if (!first_us) first_us = now_us();
    uint64_t due = (uint64_t)((double)(now_us() - first_us) / 1e6 * g.rate);
    for (; n < due; n++) message_post((unsigned)(n % g.n_conversations));
    timer_set(&g.loop, t, 1);
}

static void route_add(const char *path, void (*handle)(struct http_route *, struct http_in *))
{
    struct http_route *r = mem_new(struct http_route);
    *r = (struct http_route){ .method = "POST", .path = path, .handle = handle };
    http_route_add(g.server, r);
}

/* A line on standard input: the gateway is ready. */
static void on_go(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    uv_poll_stop(poll);
    for (unsigned i = 0; i < g.n_posters; i++) poster_open(&g.posters[i], g.gateway_port);
    g.end.fire = on_end;
    g.pace.fire = on_pace;
    g.grace.fire = on_grace;
    timer_set(&g.loop, &g.end, WARM_UP_MS);
    if (g.open_loop)
        timer_set(&g.loop, &g.pace, 1);
    else
        for (unsigned c = 0; c < g.n_conversations; c++) message_post(c);
}

int main(int argc, char **argv)
{
    if (argc < 8) {
        fprintf(
            stderr,
            "usage: parley_load STUB_PORT GATEWAY_PORT PATH SECRET closed|open|hooks CONVERSATIONS SECONDS [RATE]\n");
        return 2;
    }
    uint64_t numbers[5] = { 0 };
    const int at[] = { 1, 2, 6, 7, 8 };
    for (int i = 0; i < 5; i++)
        if (at[i] < argc && !str_u64(str_of(argv[at[i]]), &numbers[i])) {
            fprintf(stderr, "load: %s is no number\n", argv[at[i]]);
            return 2;
        }
    g.path = argv[3];
    g.secret = argv[4];
    g.open_loop = strcmp(argv[5], "open") == 0;
    g.hooks = strcmp(argv[5], "hooks") == 0;
    g.n_conversations = (unsigned)numbers[2];
    g.run_ms = numbers[3] * 1000;
    g.update_id = (uint64_t)time(NULL) * 1000; /* an earlier run's ids would be duplicates */
    g.rate = (double)numbers[4];
    g.n_posters = g.n_conversations < 64 ? g.n_conversations : 64;
    g.conversations = mem_new_array(struct conversation, g.n_conversations);
    g.posters = mem_new_array(struct poster, g.n_posters);
    g.samples = mem_new_array(uint32_t, SAMPLES_MAX);
    for (unsigned c = 0; c < g.n_conversations; c++)
        g.conversations[c].at_us = mem_new_array(uint64_t, RING);

    struct err why;
    const struct http_server_conf conf = { .address = "127.0.0.1",
                                           .port = (int64_t)numbers[0],
                                           .tls_cert = "",
                                           .tls_key = "",
                                           .connections_max = 10000,
                                           .head_max = 16384,
                                           .body_max = 1 << 20,
                                           .idle_timeout_ms = 600000,
                                           .head_timeout_ms = 60000,
                                           .body_timeout_ms = 60000,
                                           .answer_timeout_ms = 60000 };
    loop_open(&g.loop);
    if (http_server_open(&g.loop, &conf, &g.server, &why)) {
        fprintf(stderr, "load: %s\n", why.msg);
        return 1;
    }
    route_add("/v1/chat/completions", on_model);
    route_add("/*", on_telegram);
    g.gateway_port = (int)numbers[1];
    uv_poll_init(&g.loop.uv, &g.go, STDIN_FILENO);
    uv_poll_start(&g.go, UV_READABLE, on_go);
    loop_run(&g.loop);
    return 0;
}
