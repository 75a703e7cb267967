/*
 * gemini_embed - vectors by Google's Gemini, several texts at once.
 * https://ai.google.dev/api/embeddings
 */
#include "core/model/types.h"
#include "core/model/vectors.h"

enum err_kind gemini_embed_encode(const struct model *m, const struct str *texts, size_t n,
                                  struct arena *arena, struct http_request *rq, struct err *why)
{
    struct str id = str_of(model_id(m)), prefix = STR("models/");
    if (str_starts(id, prefix)) id = str_skip(id, prefix.n);
    struct str full = arena_printf(arena, "models/%.*s", STR_ARG(id));
    const struct http_header key = { STR("x-goog-api-key"), str_of(remote_of(m)->api_key) };
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_key(&o, "requests");
    json_open(&o, '[');
    for (size_t i = 0; i < n; i++) {
        json_open(&o, '{');
        json_field_str(&o, "model", full);
        json_key(&o, "content");
        json_open(&o, '{');
        json_key(&o, "parts");
        json_open(&o, '[');
        json_open(&o, '{');
        json_field_str(&o, "text", texts[i]);
        json_close(&o, '}');
        json_close(&o, ']');
        json_close(&o, '}');
        if (m->dimensions) json_field_i64(&o, "outputDimensionality", m->dimensions);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    json_close(&o, '}');
    return remote_post(m, arena_printf(arena, "/%.*s:batchEmbedContents", STR_ARG(full)).p, &key, 1,
                       &body, arena, rq, why);
}

enum err_kind gemini_embed_read(struct json *doc, struct vectors *to, struct err *why)
{
    struct json *list = json_get(doc, "embeddings");
    enum err_kind kind = ERR_NONE;
    for (size_t i = 0; i < json_length(list) && kind == ERR_NONE; i++)
        kind = vectors_put(to, i, json_get(json_at(list, i), "values"), why);
    to->to->known =
        json_get_i64(json_get(doc, "usageMetadata"), "promptTokenCount", &to->to->tokens);
    return kind;
}
