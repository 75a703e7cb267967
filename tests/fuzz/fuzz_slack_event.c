/*
 * Any body is read as an event, a command and a button, as JSON and as a form: what comes out is
 * bounded, valid UTF-8, and has the ids that its kind needs.
 */
#include "channels/slack/parse.h"
#include "core/base/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(bool ok)
{
    if (!ok) abort();
}

static void check_event(const struct slack_event *e)
{
    const struct inbound *in = &e->in;
    require(e->reason && e->say);
    if (e->verdict != SLACK_TAKE) return;
    require(in->event_id.n > 0 && in->where.channel.n > 0 && in->where.workspace.n > 0);
    require(utf8_valid(in->event_id) && utf8_valid(in->text) && utf8_valid(in->from.username));
    require(in->kind == INBOUND_DELETE || in->from.id.n > 0);
    require(in->kind != INBOUND_VOTE || in->vote == 1 || in->vote == -1);
    require(in->direct || in->where.thread.n || in->kind == INBOUND_VOTE || !in->message_id.n);
    for (size_t i = 0; i < in->n_attachments; i++)
        require(in->attachments[i].ref.n > 0 && utf8_valid(in->attachments[i].name));
}

static void check_payload(struct json *payload)
{
    static const struct slack_reader reader = { .user = { "UBOT", 4 } };
    for (int kind = 0; kind < 3; kind++) {
        struct slack_event event;
        struct arena a;
        arena_init(&a);
        slack_parse(&reader, (enum slack_kind)kind, payload, &a, &event);
        check_event(&event);
        arena_done(&a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str body = str_from((const char *)data, n);
    struct buf form = BUF_INIT(8 * n + 1024);
    struct json *doc = NULL;
    if (slack_json(body, &doc, NULL) == ERR_NONE) {
        check_payload(doc);
        check_payload(json_get(doc, "payload"));
        json_free(doc);
    }
    if (slack_form_json(body, &form)) {
        require(json_parse(buf_str(&form), &doc, NULL) == ERR_NONE);
        check_payload(doc);
        json_free(doc);
    }
    buf_done(&form);
    return 0;
}
