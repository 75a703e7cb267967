/* news: see news.h. */
#include "core/chat/news.h"
#include "core/base/json.h"

#define NEWS_MAX (8u << 20) /* chat.message_max, escaped */

struct str news_write(struct arena *a, const struct news *news)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(NEWS_MAX);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '{');
    json_field_str(&o, "name", news->name);
    if (news->says) json_field_str(&o, "say", news->text);
    if (news->model.n) json_field_str(&o, "model", news->model);
    json_close(&o, '}');
    return arena_dup(a, buf_str(&b));
}

void news_read(struct arena *a, struct str json, struct news *ret)
{
    struct json *doc = NULL;
    *ret = (struct news){ .says = false };
    if (!json.n || json_parse(json, &doc, NULL) != ERR_NONE) return;
    json_get_str(doc, "name", &ret->name);
    json_get_str(doc, "model", &ret->model);
    ret->says = json_get_str(doc, "say", &ret->text);
    ret->name = arena_dup(a, ret->name);
    ret->model = arena_dup(a, ret->model);
    ret->text = arena_dup(a, ret->text);
    json_free(doc);
}

struct str news_question(struct arena *a, struct str name)
{
    return arena_printf(a, "[the webhook %.*s brings this, for everybody here]", STR_ARG(name));
}
