/*
 * remote - what every backend behind HTTP shares: its address, its key, more headers, and the
 * request made of them.
 */
#pragma once
#include "core/base/json.h"
#include "core/model/model.h"

#define REMOTE_BODY_MAX (32 * 1024 * 1024)

/* The first member of a backend's struct. */
struct remote {
    struct model base;
    const char *base_url;
    const char *api_key;      /* "" = none is sent */
    struct conf_list headers; /* "Name: value" */
    const char *extra;        /* JSON object, "" = none; see extra.h */
};

/* The lines of a backend's field table; `owner` has a member `remote`. */
#define REMOTE_FIELDS(owner, url, url_help)                                        \
    { "base_url", CONF_STR, offsetof(struct owner, remote.base_url), .def = (url), \
      .help = (url_help) },                                                        \
        { "api_key", CONF_SECRET, offsetof(struct owner, remote.api_key),          \
          .help = "The key, as env:NAME or file:PATH. Without it none is sent." }, \
        { "headers", CONF_LIST, offsetof(struct owner, remote.headers),            \
          .help = "More headers, each as \"Name: value\"." },                      \
    {                                                                              \
        "extra", CONF_OBJECT, offsetof(struct owner, remote.extra),                \
            .help = "More members of each request, as a group or as JSON in "      \
                    "quotes: what the server knows and there is no key for."       \
    }

/* m: of a type whose struct begins with struct remote. */
static inline const struct remote *remote_of(const struct model *m)
{
    return container_of(m, const struct remote, base);
}

/* As model_type.check. */
enum err_kind remote_check(const struct model *m, const char **ret_key, struct err *why);
/*
 * A POST of JSON to base_url with `path` behind it.
 * own, n_own   the backend's headers; one whose value is empty is left out. Borrowed: from `arena`
 * body         copied. ERR_LIMIT: it did not fit into its maximum
 */
enum err_kind remote_post(const struct model *m, const char *path, const struct http_header *own,
                          size_t n_own, const struct buf *body, struct arena *arena,
                          struct http_request *rq, struct err *why);
/* All system texts of a conversation as one, "" if there is none. */
struct str remote_system(const struct model_ask *ask, struct arena *arena);
/* The key "tools" as OpenAI writes it, and others after it; nothing if there are none. */
void remote_put_tools(struct json_out *o, const struct model_ask *ask);
/* A call of a tool as OpenAI writes it; its arguments as they are, a text. */
void remote_put_call(struct json_out *o, const struct model_call *call);
/* A picture as OpenAI writes it: a part of a content. */
void remote_put_picture(struct json_out *o, const struct model_picture *picture,
                        struct arena *arena);
/* A picture as an address: its own, or a data: URL with its bytes. */
struct str remote_picture(const struct model_picture *picture, struct arena *arena);
/* The longest answer to ask for; 0 = not to be said. */
static inline int64_t remote_max_tokens(const struct model *m, const struct model_ask *ask)
{
    if (ask->without & MODEL_WITHOUT_MAXIMUM) return 0;
    return ask->max_tokens ? ask->max_tokens : m->max_tokens;
}
/* As model_type.refusal, for what does not depend on the body's form: a redirect is a wrong
 * address. ERR_NONE: nothing of that kind. */
enum err_kind remote_moved(int http_status, struct err *why);
