/* remote: see remote.h. */
#include "core/model/remote.h"
#include "core/model/extra.h"

enum err_kind remote_check(const struct model *m, const char **ret_key, struct err *why)
{
    const struct remote *r = remote_of(m);
    struct str url = str_of(r->base_url);
    *ret_key = "base_url";
    if (!str_starts(url, STR("https://")) && !str_starts(url, STR("http://")))
        return err_set(why, ERR_CONF, "must begin with https:// or http://");
    *ret_key = "headers";
    for (size_t i = 0; i < r->headers.n; i++)
        if (!strchr(r->headers.v[i], ':'))
            return err_set(why, ERR_CONF, "each must be \"Name: value\"");
    *ret_key = "extra";
    return extra_check(m, why);
}

static void put_headers(const struct remote *r, const struct http_header *own, size_t n_own,
                        struct arena *arena, struct http_request *rq)
{
    struct http_header *h = arena_new_array(arena, struct http_header, r->headers.n + n_own + 1);
    size_t n = 0;
    h[n++] = (struct http_header){ STR("Content-Type"), STR("application/json") };
    for (size_t i = 0; i < n_own; i++)
        if (own[i].value.n) h[n++] = own[i];
    for (size_t i = 0; i < r->headers.n; i++) {
        struct str value = str_of(r->headers.v[i]), name = str_cut(&value, ':');
        h[n++] = (struct http_header){ str_trim(name), str_trim(value) };
    }
    rq->headers = h;
    rq->n_headers = n;
}

enum err_kind remote_post(const struct model *m, const char *path, const struct http_header *own,
                          size_t n_own, const struct buf *body, struct arena *arena,
                          struct http_request *rq, struct err *why)
{
    const struct remote *r = remote_of(m);
    struct str url = str_of(r->base_url);
    if (body->full) return err_set(why, ERR_LIMIT, "the conversation is too long to be sent");
    while (str_ends(url, STR("/"))) url.n--;
    rq->method = "POST";
    rq->url = arena_printf(arena, "%.*s%s", STR_ARG(url), path).p;
    rq->body = arena_dup(arena, buf_str(body));
    put_headers(r, own, n_own, arena, rq);
    return ERR_NONE;
}

struct str remote_system(const struct model_ask *ask, struct arena *arena)
{
    struct str all = STR_NONE;
    for (size_t i = 0; i < ask->n_messages; i++) {
        struct str text = ask->messages[i].text;
        if (ask->messages[i].role != MODEL_SYSTEM || !text.n) continue;
        all = all.n ? arena_printf(arena, "%.*s\n\n%.*s", STR_ARG(all), STR_ARG(text)) : text;
    }
    return all;
}

void remote_put_tools(struct json_out *o, const struct model_ask *ask)
{
    if (!ask->n_tools) return;
    json_key(o, "tools");
    json_open(o, '[');
    for (size_t i = 0; i < ask->n_tools; i++) {
        const struct model_tool *tool = &ask->tools[i];
        json_open(o, '{');
        json_field_str(o, "type", STR("function"));
        json_key(o, "function");
        json_open(o, '{');
        json_field_str(o, "name", tool->name);
        if (tool->description.n) json_field_str(o, "description", tool->description);
        json_key(o, "parameters");
        json_put_raw(o, tool->schema);
        json_close(o, '}');
        json_close(o, '}');
    }
    json_close(o, ']');
}

void remote_put_call(struct json_out *o, const struct model_call *call)
{
    json_open(o, '{');
    json_field_str(o, "id", call->id);
    json_field_str(o, "type", STR("function"));
    json_key(o, "function");
    json_open(o, '{');
    json_field_str(o, "name", call->name);
    json_field_str(o, "arguments", call->arguments);
    json_close(o, '}');
    json_close(o, '}');
}

struct str remote_picture(const struct model_picture *picture, struct arena *arena)
{
    if (!picture->data.n) return picture->url;
    return arena_printf(arena, "data:%.*s;base64,%.*s", STR_ARG(picture->type),
                        STR_ARG(picture->data));
}

void remote_put_picture(struct json_out *o, const struct model_picture *picture,
                        struct arena *arena)
{
    json_open(o, '{');
    json_field_str(o, "type", STR("image_url"));
    json_key(o, "image_url");
    json_open(o, '{');
    json_field_str(o, "url", remote_picture(picture, arena));
    json_close(o, '}');
    json_close(o, '}');
}

enum err_kind remote_moved(int http_status, struct err *why)
{
    if (http_status / 100 != 3) return ERR_NONE;
    return err_set(why, ERR_CONF, "%d: the server sends us elsewhere; check base_url", http_status);
}
