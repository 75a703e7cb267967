/* pins - see pins.h. */
#include "core/tool/pins.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/cache/watch.h"
#include "core/net/sign.h"
#include "core/store/tool_pin.h"

#define SEE_MS   3000
#define PINS_MAX (32 * 1024)                /* what the database keeps of 32 servers */
#define TOLD_MAX ((size_t)32 * 1024 * 1024) /* of a server's definitions, as JSON */
#define HEX_MAX  65

struct pins {
    struct loop *loop;
    struct store *store;
    struct redis *redis;
    struct watch watch;
    struct pg_rows rows;
    struct map all; /* struct entry, by "SERVER/TOOL": a server's name has no slash */
    int64_t revision;
    size_t n_offered;
    bool kept; /* in PostgreSQL */
};

struct entry {
    struct map_node node;
    char hash[HEX_MAX], offered[HEX_MAX]; /* "" = none */
    size_t n;
    char key[];
};

static struct metric m_changed =
    METRIC(METRIC_GAUGE, "parley_tool_definitions_changed", "",
           "Tools whose definition is not the accepted one: an admin has to look at them.");

/* ---- the copy ---- */

static struct str key_of(struct buf *to, const char *server, struct str tool)
{
    buf_clear(to);
    buf_addf(to, "%s/%.*s", server, STR_ARG(tool));
    return buf_str(to);
}

static struct entry *find(const struct pins *p, const char *server, struct str tool)
{
    _cleanup_(buf_done) struct buf key = BUF_INIT(1024);
    struct map_node *node = map_get(&p->all, key_of(&key, server, tool));
    return node ? container_of(node, struct entry, node) : NULL;
}

static void set_hash(char to[HEX_MAX], struct str hash)
{
    hash = str_head(hash, HEX_MAX - 1);
    memcpy(to, hash.p, hash.n);
    to[hash.n] = '\0';
}

static void put(struct pins *p, const char *server, struct str tool, struct str hash,
                struct str offered)
{
    struct entry *e = find(p, server, tool);
    if (!e) {
        _cleanup_(buf_done) struct buf text = BUF_INIT(1024);
        struct str key = key_of(&text, server, tool);
        if (p->all.n == PINS_MAX) return;
        e = mem_alloc(sizeof(*e) + key.n);
        *e = (struct entry){ .n = key.n };
        memcpy(e->key, key.p, key.n);
        map_put(&p->all, &e->node, str_from(e->key, key.n));
    }
    p->n_offered += (size_t)(offered.n > 0) - (size_t)(*e->offered != '\0');
    set_hash(e->hash, hash);
    set_hash(e->offered, offered);
}

static void clear(struct pins *p)
{
    struct map_node *node;
    while ((node = map_any(&p->all))) {
        map_drop(&p->all, node);
        free(container_of(node, struct entry, node));
    }
    p->n_offered = 0;
}

void pins_take(struct pins *p, const struct pg_rows *rows)
{
    int64_t revision = rows->n ? pg_rows_i64(rows, 0, 0) : p->revision;
    if (revision == p->revision) return;
    p->revision = revision;
    clear(p);
    for (int i = 0; i < rows->n; i++) {
        char server[64];
        struct str name = str_head(pg_rows_str(rows, i, 1), sizeof(server) - 1);
        if (!name.n) continue;
        memcpy(server, name.p, name.n);
        server[name.n] = '\0';
        put(p, server, pg_rows_str(rows, i, 2), pg_rows_str(rows, i, 3), pg_rows_str(rows, i, 4));
    }
    metric_set(&m_changed, (double)p->n_offered);
}

static void hash_text(const struct tool *t, char ret[HEX_MAX])
{
    sign_hex(t->hash, sizeof(t->hash), ret);
}

enum pin pins_ask(const struct pins *p, const char *server, const struct tool *t)
{
    char hash[HEX_MAX];
    const struct entry *e = find(p, server, t->name);
    hash_text(t, hash);
    if (!e) return PIN_NEW;
    return strcmp(e->hash, hash) == 0 ? PIN_SAME : PIN_CHANGED;
}

int64_t pins_revision(const struct pins *p)
{
    return p->revision;
}

/* ---- seeing ---- */

struct seeing {
    struct pins *p;
    struct op *op; /* the caller's */
    struct op query;
    struct buf told;
    struct pg_rows rows;
    const char *server;
};

/* All that PostgreSQL would answer is known. */
static bool is_known(const struct pins *p, const char *server, const struct tool *t,
                     const char *hash)
{
    const struct entry *e = find(p, server, t->name);
    if (!e) return false;
    return strcmp(e->hash, hash) == 0 ? !*e->offered : strcmp(e->offered, hash) == 0;
}

static size_t tell(const struct pins *p, const char *server, const struct catalog *c,
                   struct buf *told)
{
    struct json_out to = JSON_OUT(told);
    char hash[HEX_MAX];
    size_t n = 0;
    json_open(&to, '[');
    for (size_t i = 0; i < c->n; i++) {
        const struct tool *t = &c->tools[i];
        hash_text(t, hash);
        if (is_known(p, server, t, hash)) continue;
        json_open(&to, '{');
        json_field_str(&to, "name", t->name);
        json_field_str(&to, "hash", str_of(hash));
        json_field_str(&to, "description", t->shown.description);
        json_field_str(&to, "schema", t->shown.schema);
        json_close(&to, '}');
        n++;
    }
    json_close(&to, ']');
    return n;
}

static void see_free(struct seeing *s)
{
    op_cancel(&s->query);
    buf_done(&s->told);
    pg_rows_done(&s->rows);
    free(s);
}

static void on_seen(struct op *query)
{
    struct seeing *s = container_of(query, struct seeing, query);
    for (int i = 0; query->err.kind == ERR_NONE && i < s->rows.n; i++)
        put(s->p, s->server, pg_rows_str(&s->rows, i, 0), pg_rows_str(&s->rows, i, 1),
            pg_rows_str(&s->rows, i, 2));
    metric_set(&m_changed, (double)s->p->n_offered);
    watch_look(&s->p->watch); /* a look under way may bring what was before */
    if (query->err.kind == ERR_NONE)
        op_finish(s->op);
    else
        op_fail(s->op, &query->err);
    see_free(s);
}

static void see_drop(struct op *op)
{
    see_free(op->impl);
}

static const struct op_kind see_kind = { "mcp.pins", see_drop };

void pins_see(struct pins *p, struct op *op, const char *server, const struct catalog *c)
{
    char hash[HEX_MAX];
    struct seeing *s = mem_new(struct seeing);
    *s = (struct seeing){ .p = p, .op = op, .server = server };
    buf_init(&s->told, TOLD_MAX);
    op_init(&s->query, p->loop, on_seen);
    if (p->kept && tell(p, server, c, &s->told)) {
        op_begin(op, &see_kind, s, SEE_MS);
        store_tools_seen(p->store, &s->query, str_of(server), buf_str(&s->told), &s->rows);
        return;
    }
    for (size_t i = 0; i < c->n && !p->kept; i++) {
        hash_text(&c->tools[i], hash);
        if (!find(p, server, c->tools[i].name))
            put(p, server, c->tools[i].name, str_of(hash), STR_NONE);
    }
    see_free(s);
    op_sleep(op, 0);
}

/* ---- looking ---- */

static void look(struct watch *w)
{
    struct pins *p = container_of(w, struct pins, watch);
    store_tool_pins(p->store, &w->op, p->revision, &p->rows);
}

static void seen(struct watch *w)
{
    struct pins *p = container_of(w, struct pins, watch);
    p->kept = true;
    pins_take(p, &p->rows);
    pg_rows_done(&p->rows);
}

/* ---- public ---- */

struct pins *pins_open(struct loop *loop, struct store *store, struct redis *redis)
{
    struct pins *p = mem_new(struct pins);
    *p = (struct pins){ .loop = loop, .store = store, .redis = redis };
    p->watch = (struct watch){ .name = "tools", .look = look, .seen = seen };
    map_init(&p->all);
    return p;
}

void pins_start(struct pins *p, struct op *op)
{
    watch_start(&p->watch, p->redis, PINS_CHANNEL, WATCH_EVERY_MS);
    watch_load(&p->watch, op);
}

void pins_close(struct pins *p)
{
    if (!p) return;
    watch_stop(&p->watch);
    pg_rows_done(&p->rows);
    clear(p);
    map_done(&p->all);
    free(p);
}
