/*
 * stream - two maps and a ring. Of what stands in a stream only its length and hash are kept.
 */
#include "channels/slack/stream.h"

#include "core/base/clock.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/net/sign.h"

#define KEY_MAX     160
#define STREAMS_MAX 20000
#define REFUSED_MS  3600000
#define DOUBTS_MAX  64

struct stream {
    struct map_node node;
    uint64_t since_ms;
    size_t n; /* of a stream: bytes that stand in it, and their hash */
    uint8_t hash[32];
    char key[];
};

struct slack_streams {
    struct map live, refused;
    struct uuid doubts[DOUBTS_MAX];
    size_t n_doubts;
};

static struct str key_of(struct str channel, struct str ts, char ret[KEY_MAX])
{
    int n = snprintf(ret, KEY_MAX, "%.*s:%.*s", STR_ARG(channel), STR_ARG(ts));
    return str_from(ret, n < KEY_MAX ? (size_t)n : KEY_MAX - 1);
}

static struct stream *get(struct map *map, struct str key)
{
    struct map_node *n = map_get(map, key);
    return n ? container_of(n, struct stream, node) : NULL;
}

static void drop(struct map *map, struct stream *st)
{
    map_drop(map, &st->node);
    free(st);
}

struct sweep {
    struct map *map;
    uint64_t older_ms;
};

static void drop_if_old(struct map_node *n, void *ctx)
{
    const struct sweep *sweep = ctx;
    struct stream *st = container_of(n, struct stream, node);
    if (clock_ms() - st->since_ms > sweep->older_ms) drop(sweep->map, st);
}

/* NULL: there are too many. */
static struct stream *make(struct map *map, struct str key, uint64_t life_ms)
{
    struct stream *st = get(map, key);
    struct sweep sweep = { map, life_ms };
    if (st) return st;
    if (map->n >= STREAMS_MAX) map_walk(map, drop_if_old, &sweep);
    if (map->n >= STREAMS_MAX) return NULL;
    st = mem_alloc(sizeof(*st) + key.n + 1);
    *st = (struct stream){ .since_ms = clock_ms() };
    memcpy(st->key, key.p, key.n);
    st->key[key.n] = '\0';
    map_put(map, &st->node, str_from(st->key, key.n));
    return st;
}

void slack_stream_put(struct slack *s, struct str channel, struct str ts, struct str text)
{
    char key[KEY_MAX];
    struct stream *st = make(&s->streams->live, key_of(channel, ts, key), 2 * SLACK_STREAM_MS);
    if (!st) return;
    st->n = text.n;
    sign_sha256(text, st->hash);
}

void slack_stream_spoil(struct slack *s, struct str channel, struct str ts)
{
    char key[KEY_MAX];
    struct stream *st = get(&s->streams->live, key_of(channel, ts, key));
    if (st) st->n = SIZE_MAX;
}

bool slack_stream_is(struct slack *s, struct str channel, struct str ts)
{
    char key[KEY_MAX];
    return get(&s->streams->live, key_of(channel, ts, key)) != NULL;
}

bool slack_stream_rest(struct slack *s, struct str channel, struct str ts, struct str text,
                       struct str *ret_rest)
{
    char key[KEY_MAX];
    uint8_t hash[32];
    const struct stream *st = get(&s->streams->live, key_of(channel, ts, key));
    if (!st || clock_ms() - st->since_ms > SLACK_STREAM_MS || text.n < st->n) return false;
    sign_sha256(str_head(text, st->n), hash);
    *ret_rest = str_skip(text, st->n);
    return memcmp(hash, st->hash, sizeof(hash)) == 0;
}

void slack_stream_drop(struct slack *s, struct str channel, struct str ts)
{
    char key[KEY_MAX];
    struct stream *st = get(&s->streams->live, key_of(channel, ts, key));
    if (st) drop(&s->streams->live, st);
}

void slack_stream_refused(struct slack *s, struct str channel)
{
    struct stream *st = make(&s->streams->refused, channel, REFUSED_MS);
    if (st) st->since_ms = clock_ms();
}

bool slack_stream_may(struct slack *s, struct str channel)
{
    const struct stream *st = get(&s->streams->refused, channel);
    return !st || clock_ms() - st->since_ms > REFUSED_MS;
}

void slack_doubt(struct slack *s, const struct uuid *request)
{
    s->streams->doubts[s->streams->n_doubts++ % DOUBTS_MAX] = *request;
}

bool slack_doubted(struct slack *s, const struct uuid *request)
{
    for (size_t i = 0; i < DOUBTS_MAX; i++)
        if (memcmp(&s->streams->doubts[i], request, sizeof(*request)) == 0) return true;
    return false;
}

void slack_streams_open(struct slack *s)
{
    s->streams = mem_new(struct slack_streams);
    map_init(&s->streams->live);
    map_init(&s->streams->refused);
}

static void drop_all(struct map *map)
{
    for (struct map_node *n; (n = map_any(map));) drop(map, container_of(n, struct stream, node));
    map_done(map);
}

void slack_streams_close(struct slack *s)
{
    if (!s->streams) return;
    drop_all(&s->streams->live);
    drop_all(&s->streams->refused);
    free(s->streams);
    s->streams = NULL;
}
