/*
 * rule: a rule stands in the level of the most specific thing that it names, under a hash of it. A
 * look-up hashes nothing but a unit of a roll-out: the keys of who asks are made once, in
 * flag_who_ready.
 */
#include "core/flag/rule.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"

/* ---- hashes ---- */

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t hash(uint64_t h, const void *bytes, size_t n)
{
    for (const uint8_t *p = bytes, *end = p + n; p < end; p++) h = (h ^ *p) * FNV_PRIME;
    return h;
}

/* With a byte behind it that no valid UTF-8 has, so that "ab", "c" is not "a", "bc". */
static uint64_t hash_str(uint64_t h, struct str s)
{
    return hash(hash(h, s.p, s.n), "\xff", 1);
}

uint64_t flag_seed(const char *name)
{
    return hash(FNV_BASIS, name, strlen(name) + 1);
}

uint32_t flag_bucket(uint64_t seed, const void *unit, size_t n)
{
    uint64_t h = hash(seed, unit, n);
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    h ^= h >> 33;
    return (uint32_t)((h >> 32) * FLAG_SHARE_ALL >> 32);
}

/* ---- keys: of what is asked for, and of what a rule names ---- */

#define LEVEL(by) ((by)-FLAG_BY_PERSON)

struct named {
    struct str channel_type, channel, workspace, place, thread;
    struct uuid person;
};

static uint64_t key_of(unsigned level, const struct named *w)
{
    switch (level) {
    case LEVEL(FLAG_BY_PERSON): return hash(FNV_BASIS, w->person.b, sizeof w->person.b);
    case LEVEL(FLAG_BY_THREAD): return hash_str(hash_str(FNV_BASIS, w->place), w->thread);
    case LEVEL(FLAG_BY_PLACE): return hash_str(FNV_BASIS, w->place);
    case LEVEL(FLAG_BY_WORKSPACE): return hash_str(FNV_BASIS, w->workspace);
    case LEVEL(FLAG_BY_CHANNEL): return hash_str(FNV_BASIS, w->channel);
    case LEVEL(FLAG_BY_TYPE): return hash_str(FNV_BASIS, w->channel_type);
    default: return 0;
    }
}

void flag_who_ready(struct flag_who *who)
{
    const struct named w = { who->channel_type, who->channel, who->workspace,
                             who->place,        who->thread,  who->person };
    for (unsigned i = 0; i < FLAG_LEVELS; i++) who->keys[i] = key_of(i, &w);
    who->place_unit = hash_str(
        hash_str(hash_str(hash_str(FNV_BASIS, w.channel), w.workspace), w.place), w.thread);
}

/* ---- looking up ---- */

static bool is_any_or(struct str named, struct str is)
{
    return named.n == 0 || str_eq(named, is);
}

static bool is_about(const struct flag_rule *r, const struct flag_who *who)
{
    return (uuid_is_nil(&r->person) || uuid_eq(&r->person, &who->person)) &&
           is_any_or(r->thread, who->thread) && is_any_or(r->place, who->place) &&
           is_any_or(r->workspace, who->workspace) && is_any_or(r->channel, who->channel) &&
           is_any_or(r->channel_type, who->channel_type);
}

static bool is_time(const struct flag_rule *r)
{
    if (!r->from_ms && !r->until_ms) return true;
    int64_t now = clock_wall_ms();
    return now >= r->from_ms && (!r->until_ms || now < r->until_ms);
}

static bool is_in(const struct flag_rule *r, uint64_t seed, const struct flag_who *who)
{
    if (r->share >= FLAG_SHARE_ALL) return true;
    if (!who || r->share == 0) return false;
    if (r->by_place) return flag_bucket(seed, &who->place_unit, sizeof who->place_unit) < r->share;
    return !uuid_is_nil(&who->person) &&
           flag_bucket(seed, who->person.b, sizeof who->person.b) < r->share;
}

/* The first rule of this key: they are sorted. */
static size_t first_of(const struct flag_rule *v, size_t n, uint64_t key)
{
    size_t from = 0;
    while (n > 0) {
        size_t half = n / 2;
        if (v[from + half].key < key) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return from;
}

static const struct flag_rule *find_rule(const struct flag_set *s, unsigned level,
                                         const struct flag_who *who)
{
    const struct flag_rule *v = s->level[level].v;
    size_t n = s->level[level].n;
    uint64_t key = who ? who->keys[level] : 0;
    for (size_t i = first_of(v, n, key); i < n && v[i].key == key; i++)
        if ((!who || is_about(&v[i], who)) && is_time(&v[i]) && is_in(&v[i], s->seed, who))
            return &v[i];
    return NULL;
}

static const struct flag_value *find(const struct flag_set *s, enum flag_id id,
                                     const struct flag_who *who, struct flag_why *why)
{
    const struct flag_layer *layer = who ? who->layer : NULL;
    if (s && s->killed) {
        *why = (struct flag_why){ .by = FLAG_BY_KILL };
        return &flag_specs[id].killed;
    }
    if (layer && layer->v[id]) {
        *why = (struct flag_why){ .by = FLAG_BY_LAYER, .layer = layer->by[id] };
        return layer->v[id];
    }
    for (unsigned i = who ? 0 : LEVEL(FLAG_BY_EVERYBODY); s && i < FLAG_LEVELS; i++) {
        const struct flag_rule *r = s->level[i].n ? find_rule(s, i, who) : NULL;
        if (!r) continue;
        *why = (struct flag_why){ .by = FLAG_BY_PERSON + i, .rule = r->id };
        return &r->value;
    }
    bool set = s && s->value.set;
    *why = (struct flag_why){ .by = set ? FLAG_BY_VALUE : FLAG_BY_DEFAULT };
    return set ? &s->value : &flag_specs[id].def;
}

const struct flag_value *flag_table_find(const struct flag_table *t, enum flag_id id,
                                         const struct flag_who *who, struct flag_why *why)
{
    struct flag_why unseen;
    return find(t ? &t->v[id] : NULL, id, who, why ? why : &unseen);
}

static int64_t later_of(int64_t a, int64_t b, int64_t now_ms)
{
    return b > a && b <= now_ms ? b : a;
}

int64_t flag_table_since(const struct flag_table *t, int64_t now_ms)
{
    int64_t since = 0;
    for (unsigned id = 0; id < FLAG_N; id++)
        for (unsigned l = 0; l < FLAG_LEVELS; l++)
            for (size_t i = 0; i < t->v[id].level[l].n; i++) {
                const struct flag_rule *r = &t->v[id].level[l].v[i];
                since = later_of(later_of(since, r->from_ms, now_ms), r->until_ms, now_ms);
            }
    return since;
}

/* ---- reading ---- */

bool flag_value_read(struct arena *a, enum flag_id id, struct json *v, struct flag_value *ret)
{
    struct flag_value value = { .set = true };
    struct str text;
    bool on;
    switch (flag_specs[id].type) {
    case FLAG_BOOLEAN:
        if (!json_flag(v, &on)) return false;
        value.number = on;
        break;
    case FLAG_NUMBER:
        if (!json_i64(v, &value.number)) return false;
        break;
    case FLAG_TEXT:
        if (!json_str(v, &text)) return false;
        value.text = arena_cstr(a, text);
        break;
    }
    if (!flag_may_be(id, &value)) return false;
    *ret = value;
    return true;
}

static struct str read_str(struct arena *a, struct json *rule, const char *key)
{
    struct str s = STR_NONE;
    json_get_str(rule, key, &s);
    return arena_dup(a, s);
}

static bool read_rule(struct arena *a, enum flag_id id, struct json *doc, struct flag_rule *r)
{
    struct str person = STR_NONE;
    int64_t share = FLAG_SHARE_ALL;
    if (!flag_value_read(a, id, json_get(doc, "value"), &r->value)) return false;
    json_get_i64(doc, "id", &r->id);
    json_get_i64(doc, "share", &share);
    if (share < 0 || share > FLAG_SHARE_ALL) return false;
    r->share = (uint32_t)share;
    json_get_bool(doc, "by_place", &r->by_place);
    json_get_i64(doc, "from_ms", &r->from_ms);
    json_get_i64(doc, "until_ms", &r->until_ms);
    r->channel_type = read_str(a, doc, "channel_type");
    r->channel = read_str(a, doc, "channel");
    r->workspace = read_str(a, doc, "workspace");
    r->place = read_str(a, doc, "place");
    r->thread = read_str(a, doc, "thread");
    json_get_str(doc, "person", &person);
    return !person.n || uuid_parse(person, &r->person);
}

static unsigned level_of(const struct flag_rule *r)
{
    return !uuid_is_nil(&r->person) ? LEVEL(FLAG_BY_PERSON)
           : r->thread.n            ? LEVEL(FLAG_BY_THREAD)
           : r->place.n             ? LEVEL(FLAG_BY_PLACE)
           : r->workspace.n         ? LEVEL(FLAG_BY_WORKSPACE)
           : r->channel.n           ? LEVEL(FLAG_BY_CHANNEL)
           : r->channel_type.n      ? LEVEL(FLAG_BY_TYPE)
                                    : LEVEL(FLAG_BY_EVERYBODY);
}

static int names_of(const struct flag_rule *r)
{
    return (r->thread.n > 0) + (r->place.n > 0) + (r->workspace.n > 0) + (r->channel.n > 0) +
           (r->channel_type.n > 0);
}

static int by_precedence(const void *pa, const void *pb)
{
    const struct flag_rule *a = pa, *b = pb;
    int more = names_of(b) - names_of(a);
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    if (more) return more;
    return a->id < b->id ? -1 : a->id > b->id;
}

static void add_rule(struct flag_table *t, enum flag_id id, struct flag_rule *r, size_t room)
{
    const struct named w = { r->channel_type, r->channel, r->workspace,
                             r->place,        r->thread,  r->person };
    unsigned level = level_of(r);
    struct flag_set *s = &t->v[id];
    if (!s->level[level].v) s->level[level].v = arena_new_array(&t->arena, struct flag_rule, room);
    r->key = key_of(level, &w);
    s->level[level].v[s->level[level].n++] = *r;
}

static void read_flag(struct flag_table *t, enum flag_id id, struct json *doc)
{
    struct flag_set *s = &t->v[id];
    struct json *value = json_get(doc, "value"), *rules = json_get(doc, "rules");
    size_t n = json_length(rules);
    json_get_bool(doc, "killed", &s->killed);
    if (value && !flag_value_read(&t->arena, id, value, &s->value)) t->n_ignored++;
    for (size_t i = 0; i < n; i++) {
        struct flag_rule r = { .id = 0 };
        if (read_rule(&t->arena, id, json_at(rules, i), &r))
            add_rule(t, id, &r, n);
        else
            t->n_ignored++;
    }
    for (unsigned l = 0; l < FLAG_LEVELS; l++)
        if (s->level[l].n)
            qsort(s->level[l].v, s->level[l].n, sizeof *s->level[l].v, by_precedence);
}

struct flag_table *flag_table_parse(struct str doc, struct err *why)
{
    struct json *root = NULL;
    struct json_member m = { .begun = false };
    if (json_parse(doc, &root, why)) return NULL;
    if (!json_is_object(root)) {
        json_free(root);
        err_set(why, ERR_PROTO, "flags: not an object");
        return NULL;
    }
    struct flag_table *t = mem_new(struct flag_table);
    arena_init(&t->arena);
    for (unsigned i = 0; i < FLAG_N; i++) t->v[i].seed = flag_seed(flag_specs[i].name);
    while (json_next(root, &m)) {
        enum flag_id id = flag_by_name(m.key);
        if (id < FLAG_N)
            read_flag(t, id, m.value);
        else
            t->n_ignored++;
    }
    json_free(root);
    return t;
}

void flag_table_free(struct flag_table *t)
{
    if (!t) return;
    arena_done(&t->arena);
    free(t);
}
