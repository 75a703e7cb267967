/* Any bytes as a frame of the page, and as its headers: a verdict, with ids in one spelling. */
#include "channels/web/protocol.h"
#include "channels/web/session.h"
#include <stdlib.h>

static void must(bool ok)
{
    if (!ok) abort();
}

static void canonical(const char *text)
{
    struct uuid id;
    char again[UUID_TEXT_MAX];
    if (!*text) return;
    must(uuid_parse(str_of(text), &id));
    uuid_text(&id, again);
    must(strcmp(text, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str text = str_from((const char *)data, n), host = text;
    static const struct conf_list none;
    struct web_in in;
    struct json *doc;
    struct err why = ERR_INIT;
    bool good = web_in_parse(text, &in, &doc, &why) == ERR_NONE;
    canonical(in.id);
    canonical(in.thread);
    must(good || (why.kind == ERR_PROTO && why.msg[0] && !doc));
    json_free(doc);

    struct str origin = str_cut(&host, '\n');
    must(session_cookie(text, "a").n <= n);
    must(session_origin_kind(text) <= ORIGIN_OTHER);
    session_origin_fits(origin, host, &none);
    return 0;
}
