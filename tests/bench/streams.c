/*
 * streams: a model that writes at a pace and the people who watch, for scripts/bench. The same
 * people ask the model itself (GATEWAY_PORT 0) or through the gateway, by WebSocket; what differs
 * is the gateway's. Prints one line of JSON.
 *
 *   parley_streams STUB_PORT GATEWAY_PORT STREAMS DELTAS RATE SECONDS RAMP_SECONDS
 *
 * Each of STREAMS asks again 100 ms after its answer of DELTAS pieces, RATE a second. Streams begin
 * one after the other over RAMP_SECONDS; then counting begins. Every question carries a mark,
 * #s<stream>#, which tells the model whose it is; so one process knows when each piece was sent and
 * when it arrived.
 */
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/loop/loop.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PAGES_MAX   1000 /* more streams than that share them */
#define DELTAS_MAX  256
#define SAMPLES_MAX 8000000
#define WARM_UP_MS  1000
#define DRAIN_MS    60000
#define PAUSE_MS    100 /* until they ask again: the gateway is through with the answer by then */
#define BACKLOG     4096
#define WORD        " word" /* begins each piece */

/* One direction of either side: read to `in`, written at once. */
struct peer {
    uv_tcp_t tcp;
    struct buf in;
    void (*take)(struct peer *p); /* looks at `in` */
};

struct stream {
    struct page *page;
    struct writer *writer; /* that answers it now */
    struct timer start;
    unsigned n_asked, n_got; /* questions; pieces of this answer */
    uint64_t asked_us, sent_us[DELTAS_MAX];
    bool waiting;
};

struct page { /* a browser's; without a gateway a connection to the model, of one stream */
    struct peer peer;
    struct stream *stream;
    bool open;
};

struct writer { /* a connection to the model */
    struct peer peer;
    struct stream *stream; /* whose answer is written; NULL = none */
    struct timer pace;
    unsigned n_sent;
    uint64_t began_us;
};

struct samples {
    uint32_t *us;
    size_t n;
};

static struct {
    struct loop loop;
    uv_tcp_t listener;
    uv_poll_t go;
    struct timer phase, drain;
    struct stream *streams;
    struct page *pages;
    unsigned n_streams, n_pages, n_open, n_deltas, run;
    double rate;
    uint64_t seconds, ramp_ms, gateway_port, stub_port;
    bool counting, stopping;
    uint64_t began_us, counted_us, n_answers, n_pieces, n_waiting, n_bad;
    unsigned n_in_flight; /* being written when counting ends */
    struct samples first, whole, late;
} g;

static uint64_t now_us(void)
{
    return uv_hrtime() / 1000;
}

static void sample(struct samples *s, uint64_t us)
{
    if (g.counting && s->n < SAMPLES_MAX) s->us[s->n++] = (uint32_t)us;
}

static _Noreturn void give_up(const char *what, int status)
{
    fprintf(stderr, "streams: %s: %s\n", what, status < 0 ? uv_strerror(status) : "");
    exit(1);
}

/* ---- connections ---- */

static void on_written(uv_write_t *w, int status)
{
    (void)status;
    free(w);
}

static void peer_send(struct peer *p, struct str bytes)
{
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)bytes.p, (unsigned)bytes.n);
    int n = uv_try_write((uv_stream_t *)&p->tcp, &b, 1);
    if (n < 0 && n != UV_EAGAIN) return; /* reading tells */
    bytes = str_skip(bytes, n > 0 ? (size_t)n : 0);
    if (!bytes.n) return;
    uv_write_t *w = mem_alloc(sizeof *w + bytes.n);
    memcpy(w + 1, bytes.p, bytes.n);
    b = uv_buf_init((char *)(w + 1), (unsigned)bytes.n);
    uv_write(w, (uv_stream_t *)&p->tcp, &b, 1, on_written);
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
    static char room[65536];
    (void)h;
    (void)n;
    *b = uv_buf_init(room, sizeof room);
}

static void peer_init(struct peer *p, void (*take)(struct peer *p))
{
    uv_tcp_init(&g.loop.uv, &p->tcp);
    uv_tcp_nodelay(&p->tcp, 1);
    p->tcp.data = p;
    p->take = take;
    buf_init(&p->in, 64 << 20);
}

/* ---- who asks ---- */

static void stream_ask(struct stream *s);

static void stream_begin(struct stream *s)
{
    s->n_got = 0;
    s->n_asked++;
    s->waiting = true;
    g.n_waiting++;
    s->asked_us = now_us();
    stream_ask(s);
}

static void stream_end(struct stream *s, bool good)
{
    s->waiting = false;
    g.n_waiting--;
    sample(&g.whole, now_us() - s->asked_us);
    g.n_answers += g.counting;
    g.n_bad += !good;
    timer_set(&g.loop, &s->start, PAUSE_MS);
}

static void stream_got(struct stream *s)
{
    uint64_t now = now_us();
    if (s->n_got == g.n_deltas) return;
    if (s->n_got == 0) sample(&g.first, now - s->asked_us);
    sample(&g.late, now - s->sent_us[s->n_got++]);
    g.n_pieces += g.counting;
}

static void on_start(struct timer *t)
{
    if (!g.stopping) stream_begin(container_of(t, struct stream, start));
}

/* ---- directly ---- */

static void direct_ask(struct stream *s)
{
    char body[512], head[256];
    int n = snprintf(body, sizeof body,
                     "{\"model\":\"bench\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me "
                     "something. #s%u#\"}],\"stream\":true}",
                     (unsigned)(s - g.streams));
    int m = snprintf(head, sizeof head,
                     "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: "
                     "application/json\r\ncontent-length: %d\r\n\r\n",
                     n);
    char all[sizeof body + sizeof head];
    snprintf(all, sizeof all, "%s%s", head, body);
    peer_send(&s->page->peer, str_from(all, (size_t)(m + n)));
}

static void take_events(struct peer *p)
{
    struct page *page = container_of(p, struct page, peer);
    struct str rest = buf_str(&p->in);
    for (size_t at; (at = str_find(rest, STR("\n\n"))) < rest.n; rest = str_skip(rest, at + 2)) {
        struct str event = str_head(rest, at);
        if (str_find(event, STR("\"content\":")) < event.n)
            stream_got(page->stream);
        else if (str_ends(event, STR("[DONE]")))
            stream_end(page->stream, page->stream->n_got == g.n_deltas);
    }
    buf_drop_front(&p->in, p->in.n - rest.n);
}

/* ---- through the gateway ---- */

static void frame_send(struct page *page, int opcode, struct str text)
{
    char frame[1024];
    bool is_long = text.n >= 126;
    size_t n = is_long ? 4 : 2;
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(0x80 | (is_long ? 126 : text.n));
    frame[2] = (char)(text.n >> 8);
    frame[3] = (char)(text.n & 255);
    memset(frame + n, 0, 4); /* a mask of zeros leaves the bytes as they are */
    memcpy(frame + n + 4, text.p, text.n);
    peer_send(&page->peer, str_from(frame, n + 4 + text.n));
}

static void gateway_ask(struct stream *s)
{
    char text[512];
    unsigned number = (unsigned)(s - g.streams);
    int n =
        snprintf(text, sizeof text,
                 "{\"type\":\"send\",\"id\":\"%08x-%04x-4000-8000-%012x\",\"thread\":\"%08x-0000-"
                 "4000-8000-%012x\",\"text\":\"Tell me something. #s%u#\"}",
                 g.run, s->n_asked & 0xffff, number, g.run, number, number);
    frame_send(s->page, 1, str_from(text, (size_t)n));
}

static struct stream *stream_of(struct str frame)
{
    unsigned number;
    size_t at = str_find(frame, STR("\"thread\":\""));
    if (at >= frame.n || frame.n - at < 46 || sscanf(frame.p + at + 34, "%12x", &number) != 1)
        return NULL;
    return number < g.n_streams ? &g.streams[number] : NULL;
}

static void take_frame(struct page *page, int opcode, struct str frame)
{
    if (opcode == 9) frame_send(page, 10, frame);
    if (opcode == 8) give_up("the gateway closed a page", 0);
    bool piece = str_starts(frame, STR("{\"type\":\"delta\""));
    bool answer = str_starts(frame, STR("{\"type\":\"message\""));
    if (str_starts(frame, STR("{\"type\":\"error\""))) {
        fprintf(stderr, "streams: %.*s\n", STR_ARG(frame));
        g.n_bad++;
    }
    struct stream *s = piece || answer ? stream_of(frame) : NULL;
    if (!s) return;
    if (piece) {
        /* What came to the gateway together comes together. */
        for (size_t at; (at = str_find(frame, STR(WORD))) < frame.n;
             frame = str_skip(frame, at + 1))
            stream_got(s);
        return;
    }
    bool good = str_find(frame, STR("\"notice\":false")) < frame.n && s->n_got == g.n_deltas;
    if (!good) fprintf(stderr, "streams: got %u pieces and %.*s\n", s->n_got, STR_ARG(frame));
    stream_end(s, good);
}

/* False: it is not all there yet. */
static bool next_frame(struct page *page, struct str *rest)
{
    const unsigned char *b = (const unsigned char *)rest->p;
    if (rest->n < 4) return false;
    size_t n = b[1] & 127, head = n == 126 ? 4 : 2;
    if (n == 127) give_up("a frame of more than 64 KB", 0);
    if (n == 126) n = (size_t)b[2] << 8 | b[3];
    if (rest->n < head + n) return false;
    take_frame(page, b[0] & 15, str_head(str_skip(*rest, head), n));
    *rest = str_skip(*rest, head + n);
    return true;
}

static void pages_opened(void);

static void take_frames(struct peer *p)
{
    struct page *page = container_of(p, struct page, peer);
    struct str rest = buf_str(&p->in);
    if (!page->open) {
        size_t at = str_find(rest, STR("\r\n\r\n"));
        if (at >= rest.n) return;
        if (!str_starts(rest, STR("HTTP/1.1 101"))) give_up(rest.p, 0);
        rest = str_skip(rest, at + 4);
        page->open = true;
        if (++g.n_open == g.n_pages) pages_opened();
    }
    while (next_frame(page, &rest)) {}
    buf_drop_front(&p->in, p->in.n - rest.n);
}

static void stream_ask(struct stream *s)
{
    if (g.gateway_port)
        gateway_ask(s);
    else
        direct_ask(s);
}

/* ---- the model ---- */

static void writer_end(struct writer *w)
{
    static const char end[] =
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,"
        "\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        "data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":40,"
        "\"completion_tokens\":60,\"total_tokens\":100}}\n\ndata: [DONE]\n\n";
    char chunk[sizeof end + 32];
    int n = snprintf(chunk, sizeof chunk, "%zx\r\n%s\r\n0\r\n\r\n", sizeof end - 1, end);
    w->stream->writer = NULL;
    w->stream = NULL;
    peer_send(&w->peer, str_from(chunk, (size_t)n));
}

static void write_next(struct writer *w)
{
    char event[384], chunk[512];
    struct stream *s = w->stream;
    int n = snprintf(
        event, sizeof event,
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
        "\"model\":\"bench\",\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{"
        "\"content\":\"" WORD "%u\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
        w->n_sent);
    n = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", (unsigned)n, event);
    s->sent_us[w->n_sent++] = now_us();
    peer_send(&w->peer, str_from(chunk, (size_t)n));
    if (w->n_sent == g.n_deltas) {
        writer_end(w);
    } else {
        uint64_t due = w->began_us + (uint64_t)(w->n_sent * 1e6 / g.rate), now = now_us();
        timer_set(&g.loop, &w->pace, due > now ? (due - now) / 1000 : 0);
    }
}

static void on_pace(struct timer *t)
{
    write_next(container_of(t, struct writer, pace));
}

static void take_question(struct peer *p)
{
    static const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                               "transfer-encoding: chunked\r\n\r\n";
    struct writer *w = container_of(p, struct writer, peer);
    struct str all = buf_str(&p->in);
    size_t head_end = str_find(all, STR("\r\n\r\n"));
    if (head_end >= all.n) return;
    size_t length = str_find(all, STR("ength: "));
    struct str digits = str_skip(all, length + 7);
    uint64_t n;
    if (length >= head_end || !str_u64(str_cut(&digits, '\r'), &n))
        give_up("a request without its length", 0);
    if (all.n < head_end + 4 + n) return;
    unsigned number;
    size_t mark = str_find(all, STR("#s"));
    if (mark >= all.n || sscanf(all.p + mark, "#s%u#", &number) != 1 || number >= g.n_streams)
        give_up("a question without a mark", 0);
    buf_clear(&p->in);
    w->stream = &g.streams[number];
    w->stream->writer = w;
    w->n_sent = 0;
    w->began_us = now_us();
    peer_send(p, str_from(head, sizeof head - 1));
    write_next(w);
}

static void on_writer_closed(uv_handle_t *h)
{
    struct writer *w = container_of(h->data, struct writer, peer);
    buf_done(&w->peer.in);
    free(w);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct peer *p = stream->data;
    if (n > 0) {
        buf_add(&p->in, str_from(b->base, (size_t)n));
        p->take(p);
    } else if (n < 0 && p->take != take_question) {
        give_up("a connection was closed", (int)n);
    } else if (n < 0) {
        struct writer *w = container_of(p, struct writer, peer);
        if (w->stream) w->stream->writer = NULL;
        timer_clear(&g.loop, &w->pace);
        uv_close((uv_handle_t *)stream, on_writer_closed);
    }
}

static void on_asked(uv_stream_t *listener, int status)
{
    struct writer *w = mem_new(struct writer);
    peer_init(&w->peer, take_question);
    w->pace.fire = on_pace;
    if (status < 0 || uv_accept(listener, (uv_stream_t *)&w->peer.tcp)) give_up("accept", status);
    uv_read_start((uv_stream_t *)&w->peer.tcp, on_alloc, on_read);
}

/* ---- the run ---- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void put_samples(const char *name, struct samples *s)
{
    qsort(s->us, s->n, sizeof *s->us, by_value);
    for (unsigned p = 50; p < 100; p += 49)
        printf("\"%s_p%u_ms\":%.3f,", name, p, s->n ? s->us[(s->n - 1) * p / 100] / 1000.0 : 0);
}

static void report(void)
{
    putchar('{');
    put_samples("first", &g.first);
    put_samples("whole", &g.whole);
    put_samples("late", &g.late);
    printf("\"answers\":%llu,\"deltas\":%llu,\"seconds\":%.3f,\"bad\":%llu,\"unanswered\":%llu,"
           "\"in_flight\":%u}\n",
           (unsigned long long)g.n_answers, (unsigned long long)g.n_pieces,
           (double)g.counted_us / 1e6, (unsigned long long)g.n_bad, (unsigned long long)g.n_waiting,
           g.n_in_flight);
    fflush(stdout);
    _exit(g.n_bad || g.n_waiting ? 3 : 0);
}

/* What is still on its way gets its time. */
static void on_drain(struct timer *t)
{
    static unsigned waited_ms;
    if (g.n_waiting == 0 || (waited_ms += 20) > DRAIN_MS) report();
    timer_set(&g.loop, t, 20);
}

static void on_phase(struct timer *t)
{
    if (!g.counting) {
        g.counting = true;
        g.began_us = now_us();
        fprintf(stderr, "counting\n");
        timer_set(&g.loop, t, g.seconds * 1000);
        return;
    }
    g.counting = false;
    g.stopping = true;
    for (unsigned i = 0; i < g.n_streams; i++) g.n_in_flight += g.streams[i].writer != NULL;
    g.counted_us = now_us() - g.began_us;
    fprintf(stderr, "counted\n");
    timer_set(&g.loop, &g.drain, 0);
}

static void pages_opened(void)
{
    for (unsigned i = 0; i < g.n_streams; i++)
        timer_set(&g.loop, &g.streams[i].start, g.ramp_ms * i / g.n_streams + 1);
    timer_set(&g.loop, &g.phase, g.ramp_ms + WARM_UP_MS);
}

static void page_upgrade(struct page *page)
{
    char head[512];
    int n = snprintf(head, sizeof head,
                     "GET /ws HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: http://127.0.0.1\r\ncookie: "
                     "parley_session=%016x%048x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                     "sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
                     "\r\n",
                     g.run, (unsigned)(page - g.pages));
    peer_send(&page->peer, str_from(head, (size_t)n));
}

static void page_open(struct page *page);

static void on_connected(uv_connect_t *c, int status)
{
    struct page *page = container_of(c->handle->data, struct page, peer);
    if (status < 0) give_up("cannot connect", status);
    free(c);
    uv_read_start((uv_stream_t *)&page->peer.tcp, on_alloc, on_read);
    if (g.gateway_port)
        page_upgrade(page);
    else if (++g.n_open == g.n_pages)
        pages_opened();
    if (page + 1 < g.pages + g.n_pages) page_open(page + 1);
}

/* One after the other. */
static void page_open(struct page *page)
{
    struct sockaddr_in to;
    uint64_t port = g.gateway_port ? g.gateway_port : g.stub_port;
    uv_ip4_addr("127.0.0.1", (int)port, &to);
    peer_init(&page->peer, g.gateway_port ? take_frames : take_events);
    uv_tcp_connect(mem_new(uv_connect_t), &page->peer.tcp, (const struct sockaddr *)&to,
                   on_connected);
}

/* A line on standard input: the gateway is ready. */
static void on_go(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    uv_poll_stop(poll);
    page_open(g.pages);
}

static void listen_at(int port)
{
    struct sockaddr_in at;
    uv_ip4_addr("127.0.0.1", port, &at);
    uv_tcp_init(&g.loop.uv, &g.listener);
    uv_tcp_bind(&g.listener, (const struct sockaddr *)&at, 0);
    int rc = uv_listen((uv_stream_t *)&g.listener, BACKLOG, on_asked);
    if (rc < 0) give_up("listen", rc);
}

static bool arguments_read(char **argv)
{
    uint64_t streams, deltas, ramp;
    char *end;
    g.rate = strtod(argv[5], &end);
    if (*end || !str_u64(str_of(argv[1]), &g.stub_port) ||
        !str_u64(str_of(argv[2]), &g.gateway_port) || !str_u64(str_of(argv[3]), &streams) ||
        !str_u64(str_of(argv[4]), &deltas) || !str_u64(str_of(argv[6]), &g.seconds) ||
        !str_u64(str_of(argv[7]), &ramp) || !streams || !deltas || deltas > DELTAS_MAX)
        return false;
    g.n_streams = (unsigned)streams;
    g.n_deltas = (unsigned)deltas;
    g.ramp_ms = ramp * 1000;
    g.n_pages = g.gateway_port && g.n_streams > PAGES_MAX ? PAGES_MAX : g.n_streams;
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 8 || !arguments_read(argv)) {
        fprintf(stderr, "usage: parley_streams STUB_PORT GATEWAY_PORT STREAMS DELTAS RATE SECONDS "
                        "RAMP_SECONDS\n");
        return 2;
    }
    g.run = (unsigned)time(NULL);
    g.streams = mem_new_array(struct stream, g.n_streams);
    g.pages = mem_new_array(struct page, g.n_pages);
    struct samples *const all[] = { &g.first, &g.whole, &g.late };
    for (int i = 0; i < 3; i++) all[i]->us = mem_new_array(uint32_t, SAMPLES_MAX);
    for (unsigned i = 0; i < g.n_streams; i++) {
        g.streams[i].page = &g.pages[i % g.n_pages];
        g.streams[i].page->stream = &g.streams[i];
        g.streams[i].start.fire = on_start;
    }
    g.phase.fire = on_phase;
    g.drain.fire = on_drain;
    loop_open(&g.loop);
    listen_at((int)g.stub_port);
    uv_poll_init(&g.loop.uv, &g.go, STDIN_FILENO);
    uv_poll_start(&g.go, UV_READABLE, on_go);
    loop_run(&g.loop);
    return 0;
}
