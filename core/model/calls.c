/* calls: see calls.h. */
#include "core/model/calls.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/model/halves.h"

#define CALL_ID_MAX   256
#define CALL_NAME_MAX 256
#define MADE_UP       "call_"

void calls_init(struct calls *c)
{
    *c = (struct calls){ .n = 0 };
}

static void one_done(struct calls_one *one)
{
    buf_done(&one->id);
    buf_done(&one->name);
    buf_done(&one->arguments);
}

void calls_done(struct calls *c)
{
    for (size_t i = 0; i < c->n; i++) one_done(&c->v[i]);
    free(c->v);
    calls_init(c);
}

struct calls_one *calls_at(struct calls *c, int64_t index)
{
    for (size_t i = c->n; i > 0; i--)
        if (c->v[i - 1].index == index) return &c->v[i - 1];
    return NULL;
}

/* Without an index a fragment belongs to the last call, unless it begins like another one. */
static struct calls_one *find(struct calls *c, int64_t index, struct str id, struct str name)
{
    if (index >= 0) return calls_at(c, index);
    struct calls_one *last = c->n ? &c->v[c->n - 1] : NULL;
    bool another = last && ((id.n && !str_eq(id, buf_str(&last->id))) || (!id.n && name.n));
    return another ? NULL : last;
}

static struct calls_one *begin(struct calls *c, int64_t index)
{
    if (c->n == CALLS_MAX) return NULL;
    if (!c->v) c->v = mem_new_array(struct calls_one, CALLS_MAX);
    struct calls_one *one = &c->v[c->n++];
    one->index = index;
    buf_init(&one->id, CALL_ID_MAX);
    buf_init(&one->name, CALL_NAME_MAX);
    buf_init(&one->arguments, CALL_ARGUMENTS_MAX);
    return one;
}

enum err_kind calls_add(struct calls *c, int64_t index, struct str id, struct str name,
                        struct str arguments, struct err *why)
{
    struct calls_one *one = find(c, index, id, name);
    if (!one) one = begin(c, index);
    if (!one) return err_set(why, ERR_PROTO, "more than %d tool calls in one answer", CALLS_MAX);
    if (!one->id.n) buf_add(&one->id, id);
    if (!one->name.n) buf_add(&one->name, name);
    buf_add(&one->arguments, arguments);
    if (one->id.full || one->name.full || one->arguments.full)
        return err_set(why, ERR_PROTO, "a tool call that is too long");
    return ERR_NONE;
}

enum err_kind calls_add_function(struct calls *c, int64_t index, struct json *call, struct err *why)
{
    struct json *function = json_get(call, "function");
    struct json *arguments = json_get(function, "arguments");
    struct str id = STR_NONE, name = STR_NONE, text = STR_NONE;
    _cleanup_(buf_done) struct buf written = BUF_INIT(CALL_ARGUMENTS_MAX);
    json_get_str(call, "id", &id);
    json_get_str(function, "name", &name);
    if (arguments && !json_str(arguments, &text)) {
        if (!json_write(arguments, &written))
            return err_set(why, ERR_PROTO, "a tool call that is too long");
        text = buf_str(&written);
    }
    return calls_add(c, index, id, name, text, why);
}

static void hand_on(struct calls_one *one, size_t i, struct model_sink *sink)
{
    _cleanup_(buf_done) struct buf joined = BUF_INIT(3 * CALL_ARGUMENTS_MAX);
    _cleanup_(buf_done) struct buf arguments = BUF_INIT(3 * CALL_ARGUMENTS_MAX);
    if (!one->id.n) buf_addf(&one->id, MADE_UP "%zu", i + 1);
    if (!one->arguments.n) buf_add_cstr(&one->arguments, "{}");
    halves_whole(buf_str(&one->arguments), &joined);
    utf8_clean(&arguments, buf_str(&joined));
    struct model_call call = { .id = buf_str(&one->id),
                               .name = buf_str(&one->name),
                               .arguments = buf_str(&arguments) };
    sink->alive = true;
    if (sink->call) sink->call(sink, &call);
}

void calls_end(struct calls *c, struct model_sink *sink)
{
    for (size_t i = 0; i < c->n; i++) hand_on(&c->v[i], i, sink);
    calls_done(c);
}

struct str calls_object(struct str arguments, struct arena *arena)
{
    struct json *doc = NULL;
    bool good = json_parse(arguments, &doc, NULL) == ERR_NONE && json_is_object(doc);
    json_free(doc);
    if (good) return arguments;
    _cleanup_(buf_done) struct buf object = BUF_INIT(6 * CALL_ARGUMENTS_MAX + 64);
    struct json_out o = JSON_OUT(&object);
    json_open(&o, '{');
    if (arguments.n) json_field_str(&o, "not_an_object", arguments);
    json_close(&o, '}');
    return arena_dup(arena, object.full ? STR("{}") : buf_str(&object));
}

bool calls_made_up(struct str id)
{
    uint64_t n;
    return str_starts(id, STR(MADE_UP)) && str_u64(str_skip(id, STR(MADE_UP).n), &n) &&
           n <= CALLS_MAX;
}
