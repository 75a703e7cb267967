/* catalog - see catalog.h. */
#include "core/tool/catalog.h"
#include "core/base/utf8.h"
#include "core/net/sign.h"
#include "core/tool/rpc.h"
#include "core/tool/visible.h"
#include <stdlib.h>

#define HASH_DIGITS 8 /* of a name that was cut */
#define CURSOR_MAX  4096
#define HASHED_MAX  ((size_t)16 * 1024 * 1024) /* more than any message has */
#define SAFE_INT    9007199254740991           /* what JavaScript can count to */

/* ---- a schema ---- */

/* One walk over a schema. */
struct walk {
    struct arena *arena;
    struct tool_header headers[CATALOG_HEADERS_MAX];
    size_t n_headers;
    struct str path[CATALOG_PATH_MAX];
    size_t n_path;
    const char *wrong;
};

static void walk_schema(struct walk *w, struct json *schema, bool reachable, unsigned depth);

static bool is_token(struct str s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z', digit = c >= '0' && c <= '9';
        if (!letter && !digit && (!c || !strchr(others, c))) return false;
    }
    return s.n > 0;
}

static bool is_primitive(struct json *schema)
{
    struct str type = STR_NONE;
    json_get_str(schema, "type", &type);
    return str_eq(type, STR("string")) || str_eq(type, STR("integer")) ||
           str_eq(type, STR("boolean"));
}

/* https://modelcontextprotocol.io/specification: "Custom Headers from Tool Parameters" */
static void walk_header(struct walk *w, struct json *schema, struct json *value, bool reachable)
{
    struct str name;
    if (!json_str(value, &name) || !is_token(name)) {
        w->wrong = "x-mcp-header is no name of a header";
    } else if (!reachable || !w->n_path || !is_primitive(schema)) {
        w->wrong = "x-mcp-header where it must not be";
    } else if (w->n_headers == CATALOG_HEADERS_MAX) {
        w->wrong = "too many x-mcp-header";
    } else {
        struct tool_header *h = &w->headers[w->n_headers];
        *h = (struct tool_header){ .n_path = w->n_path };
        h->name = arena_printf(w->arena, "Mcp-Param-%.*s", STR_ARG(name));
        for (size_t i = 0; i < w->n_headers; i++)
            if (str_eq_nocase(w->headers[i].name, h->name)) w->wrong = "x-mcp-header twice";
        for (size_t i = 0; i < w->n_path; i++) h->path[i] = arena_dup(w->arena, w->path[i]);
        w->n_headers++;
    }
}

static void walk_properties(struct walk *w, struct json *properties, bool reachable, unsigned depth)
{
    struct json_member m = { 0 };
    while (!w->wrong && json_next(properties, &m)) {
        bool fits = w->n_path < CATALOG_PATH_MAX;
        if (fits) w->path[w->n_path++] = m.key;
        walk_schema(w, m.value, reachable && fits, depth + 1);
        if (fits) w->n_path--;
    }
}

/* Inside a keyword that is neither `properties` nor plain data. */
static void walk_other(struct walk *w, struct json *value, unsigned depth)
{
    for (size_t i = 0; i < json_length(value) && !w->wrong; i++)
        walk_schema(w, json_at(value, i), false, depth + 1);
    if (json_is_object(value)) walk_schema(w, value, false, depth);
}

static bool is_data(struct str key)
{
    return str_eq(key, STR("default")) || str_eq(key, STR("const")) || str_eq(key, STR("enum")) ||
           str_eq(key, STR("examples"));
}

static bool is_remote_ref(struct str key, struct json *value)
{
    struct str target;
    bool ref = str_eq(key, STR("$ref")) || str_eq(key, STR("$dynamicRef"));
    return ref && json_str(value, &target) && !str_starts(target, STR("#"));
}

static void walk_schema(struct walk *w, struct json *schema, bool reachable, unsigned depth)
{
    struct json_member m = { 0 };
    if (depth > CATALOG_DEPTH_MAX) w->wrong = "its schema is nested too deeply";
    while (!w->wrong && json_next(schema, &m)) {
        if (str_eq(m.key, STR("x-mcp-header")))
            walk_header(w, schema, m.value, reachable);
        else if (is_remote_ref(m.key, m.value)) /* nobody is to fetch what a server names */
            w->wrong = "its schema points elsewhere";
        else if (str_eq(m.key, STR("properties")) && json_is_object(m.value))
            walk_properties(w, m.value, reachable, depth);
        else if (!is_data(m.key))
            walk_other(w, m.value, depth + 1);
    }
}

/* ---- names ---- */

static bool is_fine(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '-';
}

/* server__tool; with a piece of the hash of the real name if that is too long, or taken. */
static struct str name_make(struct catalog *c, struct str name, bool hashed)
{
    struct str made = arena_printf(&c->arena, "%s__%.*s", c->server, STR_ARG(name));
    char *p = (char *)(uintptr_t)made.p;
    for (size_t i = 0; i < made.n; i++)
        if (!is_fine(p[i])) p[i] = '_';
    if (!hashed && made.n <= CATALOG_NAME_MAX) return made;
    uint8_t hash[32];
    char hex[2 * sizeof(hash) + 1];
    sign_sha256(name, hash);
    sign_hex(hash, sizeof(hash), hex);
    struct str head = str_head(made, CATALOG_NAME_MAX - HASH_DIGITS - 1);
    return arena_printf(&c->arena, "%.*s_%.*s", STR_ARG(head), HASH_DIGITS, hex);
}

/* ---- one tool ---- */

static bool drop(struct catalog *c, struct str name, const char *why)
{
    struct str head = str_head(name, CATALOG_TOOL_NAME);
    if (c->n_dropped < CATALOG_DROPPED_MAX)
        c->dropped[c->n_dropped] = arena_printf(&c->arena, "%.*s: %s", STR_ARG(head), why);
    c->n_dropped++;
    return false;
}

static void hash_add(struct buf *all, struct str part)
{
    buf_addf(all, "%zu:", part.n);
    buf_add(all, part);
}

static int by_key(const void *a, const void *b)
{
    struct str x = ((const struct json_member *)a)->key, y = ((const struct json_member *)b)->key;
    int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    return order ? order : (x.n > y.n) - (x.n < y.n);
}

static void put_sorted(struct arena *a, struct json *v, struct buf *to);

static void put_members(struct arena *a, struct json *object, struct buf *to)
{
    struct json_member m = { 0 };
    size_t n = 0;
    while (json_next(object, &m)) n++;
    struct json_member *all = arena_new_array(a, struct json_member, n + 1);
    n = 0;
    for (m = (struct json_member){ 0 }; json_next(object, &m);) all[n++] = m;
    qsort(all, n, sizeof(*all), by_key);
    for (size_t i = 0; i < n; i++) {
        hash_add(to, all[i].key);
        put_sorted(a, all[i].value, to);
    }
}

/* Some servers say the members of an object in another order each time they are started. */
static void put_sorted(struct arena *a, struct json *v, struct buf *to)
{
    bool list = json_is_array(v), object = json_is_object(v);
    if (!list && !object) {
        json_write(v, to);
        return;
    }
    buf_add_char(to, list ? '[' : '{');
    if (object) put_members(a, v, to);
    for (size_t i = 0; i < json_length(v); i++) {
        put_sorted(a, json_at(v, i), to);
        buf_add_char(to, ',');
    }
    buf_add_char(to, list ? ']' : '}');
}

static void tool_hash(struct catalog *c, struct tool *t, struct str description,
                      struct json *schema)
{
    _cleanup_(buf_done) struct buf all = BUF_INIT(HASHED_MAX);
    hash_add(&all, t->name);
    hash_add(&all, description);
    put_sorted(&c->arena, schema, &all);
    sign_sha256(buf_str(&all), t->hash);
}

/* What models see: after the hash, which is of what the server wrote. */
static struct str shown_text(struct catalog *c, struct str text)
{
    _cleanup_(buf_done) struct buf clean = BUF_INIT(text.n * 3 + 1);
    visible_add(&clean, text);
    return arena_dup(&c->arena, buf_str(&clean));
}

static struct str cut_description(struct catalog *c, struct str text)
{
    text = shown_text(c, text);
    if (text.n <= c->limits.description) return text;
    size_t n = utf8_prefix(text, c->limits.description, TEXT_BYTES);
    return arena_printf(&c->arena, "%.*s …", STR_ARG(str_head(text, n)));
}

static bool take_schema(struct catalog *c, struct tool *t, struct json *schema,
                        struct str description)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(c->limits.schema);
    struct walk w = { .arena = &c->arena };
    struct str type = STR_NONE;
    if (!json_is_object(schema)) return drop(c, t->name, "it has no schema");
    if (json_get_str(schema, "type", &type) && !str_eq(type, STR("object")))
        return drop(c, t->name, "its schema is not that of an object");
    if (!json_write(schema, &text)) return drop(c, t->name, "its schema is too long");
    walk_schema(&w, schema, true, 0);
    if (w.wrong) return drop(c, t->name, w.wrong);
    t->shown.schema = shown_text(c, buf_str(&text));
    t->n_headers = w.n_headers;
    struct tool_header *headers = arena_new_array(&c->arena, struct tool_header, w.n_headers + 1);
    memcpy(headers, w.headers, w.n_headers * sizeof(*headers));
    t->headers = headers;
    tool_hash(c, t, description, schema);
    return true;
}

static bool take_tool(struct catalog *c, struct json *entry)
{
    struct str name = STR_NONE, description = STR_NONE;
    if (!json_get_str(entry, "name", &name) || !name.n || !utf8_valid(name))
        return drop(c, STR("?"), "it has no name");
    if (name.n > CATALOG_TOOL_NAME) return drop(c, name, "its name is too long");
    if (c->n == c->limits.tools) return drop(c, name, "there are too many");
    for (size_t i = 0; i < c->n; i++)
        if (str_eq(c->tools[i].name, name)) return drop(c, name, "it is there twice");
    struct tool *t = &c->tools[c->n];
    *t = (struct tool){ .name = arena_dup(&c->arena, name) };
    if (!json_get_str(entry, "description", &description))
        json_get_str(entry, "title", &description);
    if (!take_schema(c, t, json_get(entry, "inputSchema"), description)) return false;
    t->shown.name = name_make(c, name, false);
    if (catalog_find(c, t->shown.name)) t->shown.name = name_make(c, name, true);
    if (catalog_find(c, t->shown.name)) return drop(c, name, "its name is taken");
    t->shown.description = cut_description(c, description);
    c->n++;
    return true;
}

/* ---- public ---- */

void catalog_init(struct catalog *c, const char *server, const struct catalog_limits *limits)
{
    *c = (struct catalog){ .limits = *limits, .server = server, .ttl_ms = -1 };
    arena_init(&c->arena);
    c->tools = arena_new_array(&c->arena, struct tool, limits->tools + 1);
}

void catalog_done(struct catalog *c)
{
    arena_done(&c->arena);
    *c = (struct catalog){ .n = 0 };
}

enum err_kind catalog_page(struct catalog *c, struct json *result, struct str *ret_cursor,
                           struct err *why)
{
    struct str cursor = STR_NONE;
    struct json *tools = json_get(result, "tools");
    if (!json_is_array(tools)) return err_set(why, ERR_PROTO, "no list of tools came");
    c->n_pages++;
    json_get_i64(result, "ttlMs", &c->ttl_ms);
    for (size_t i = 0; i < json_length(tools); i++) take_tool(c, json_at(tools, i));
    json_get_str(result, "nextCursor", &cursor);
    if (cursor.n > CURSOR_MAX) return err_set(why, ERR_LIMIT, "its cursor is too long");
    if (cursor.n && c->n_pages == c->limits.pages)
        return err_set(why, ERR_LIMIT, "its list has more than %zu pages", c->limits.pages);
    *ret_cursor = arena_dup(&c->arena, cursor);
    return ERR_NONE;
}

const struct tool *catalog_find(const struct catalog *c, struct str shown_name)
{
    for (size_t i = 0; i < c->n; i++)
        if (str_eq(c->tools[i].shown.name, shown_name)) return &c->tools[i];
    return NULL;
}

static bool value_text(struct json *value, struct arena *arena, struct str *ret)
{
    int64_t n;
    bool yes;
    struct str text;
    if (json_str(value, &text))
        *ret = rpc_header_value(arena, text);
    else if (json_i64(value, &n) && n >= -SAFE_INT && n <= SAFE_INT)
        *ret = arena_printf(arena, "%lld", (long long)n);
    else if (json_flag(value, &yes))
        *ret = yes ? STR("true") : STR("false");
    else
        return false;
    return true;
}

size_t tool_headers(const struct tool *t, struct json *arguments, struct arena *arena,
                    struct http_header *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_headers; i++) {
        const struct tool_header *h = &t->headers[i];
        struct json *value = arguments;
        for (size_t k = 0; k < h->n_path; k++) value = json_get(value, h->path[k].p);
        ret[n].name = h->name;
        n += value && value_text(value, arena, &ret[n].value);
    }
    return n;
}
