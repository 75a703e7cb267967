/*
 * extra: see extra.h. What is ours the backend itself tells: a question with everything in it is
 * encoded, and looked at.
 */
#include "core/model/extra.h"
#include "core/base/mem.h"
#include "core/model/kept.h"

/* In each request, or left out because of how the model is configured. */
static bool is_ours(struct str key)
{
    static const char *const keys[] = { "model", "messages", "tools", "stream" };
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (str_eq(key, str_of(keys[i]))) return true;
    return false;
}

/* The object of such a member; NULL: there is none. */
static struct json *parse(const struct model *m, struct json **ret_doc, const char *group)
{
    struct str text = str_of(remote_of(m)->extra);
    *ret_doc = NULL;
    if (!text.n || json_parse(text, ret_doc, NULL) != ERR_NONE) return NULL;
    return group ? json_get(*ret_doc, group) : *ret_doc;
}

static bool is_group(const struct model *m, struct str key, struct json *value)
{
    return m->type->extra_group && str_eq(key, str_of(m->type->extra_group)) &&
           json_is_object(value);
}

void extra_put(struct json_out *o, const struct model *m, const char *group, struct arena *arena)
{
    struct json_member member = { .begun = false };
    struct json *doc, *object = parse(m, &doc, group);
    while (json_next(object, &member)) {
        if (!group && is_group(m, member.key, member.value)) continue;
        json_key(o, arena_cstr(arena, member.key));
        kept_copy(o, member.value);
    }
    json_free(doc);
}

bool extra_has(const struct model *m, const char *group)
{
    struct json *doc;
    bool has = parse(m, &doc, group) != NULL;
    json_free(doc);
    return has;
}

/* ---- what is ours ---- */

static enum err_kind refuse_ours(const struct model *m, struct json *extra, struct json *body,
                                 struct arena *arena, struct err *why)
{
    struct json_member member = { .begun = false };
    while (json_next(extra, &member)) {
        struct json *ours = json_get(body, arena_cstr(arena, member.key));
        if (is_group(m, member.key, member.value)) {
            enum err_kind kind = refuse_ours(m, member.value, ours, arena, why);
            if (kind != ERR_NONE) return kind;
        } else if (ours || is_ours(member.key)) {
            return err_set(why, ERR_CONF, "extra may not set \"%.*s\": Parley does",
                           STR_ARG(member.key));
        }
    }
    return ERR_NONE;
}

/* A question that has all there can be, by a model like this one but without more members. */
static enum err_kind encode_all(const struct model *m, struct arena *arena, struct http_request *rq,
                                struct err *why)
{
    static const struct model_message messages[] = { { .role = MODEL_SYSTEM, .text = { "s", 1 } },
                                                     { .role = MODEL_USER, .text = { "u", 1 } } };
    static const struct model_tool tool = { { "t", 1 }, { "t", 1 }, { "{}", 2 } };
    const struct model_ask ask = { messages, 2, &tool, 1, .max_tokens = 1 };
    struct remote *plain = arena_alloc(arena, m->type->size);
    memcpy(plain, remote_of(m), m->type->size);
    plain->extra = "";
    return m->type->encode(&plain->base, &ask, arena, rq, why);
}

enum err_kind extra_check(const struct model *m, struct err *why)
{
    struct arena arena;
    struct http_request rq = { .method = "" };
    struct json *extra, *body = NULL;
    if (!parse(m, &extra, NULL)) return ERR_NONE;
    if (m->embeds) {
        json_free(extra);
        return err_set(why, ERR_CONF, "extra is for models that chat");
    }
    arena_init(&arena);
    enum err_kind kind = encode_all(m, &arena, &rq, why);
    if (kind == ERR_NONE) kind = json_parse(rq.body, &body, why);
    if (kind == ERR_NONE) kind = refuse_ours(m, extra, body, &arena, why);
    json_free(body);
    json_free(extra);
    arena_done(&arena);
    return kind;
}
