/*
 * protocol - what the page says over its WebSocket: one JSON object a frame. Pure.
 *
 *   {"type":"send","id":uuid,"thread":uuid,"text":...}     a message; the same id again is the same
 *     with "attachments":[uuid,...]                        files that were uploaded before
 *   {"type":"edit","thread":uuid,"message":uuid,"text":..} a message that waits, by the id it was
 * sent
 *   {"type":"take_back","thread":uuid,"message":uuid}      with: changed, or not to be answered
 *   {"type":"list"}                                        the conversations
 *   {"type":"history","thread":uuid,"limit":n}             the newest messages, or those
 *     with "before":uuid or "after":uuid                   before or after one
 *   {"type":"rename","thread":uuid,"title":...}            "" = back to the first words
 *   {"type":"pin","thread":uuid,"pinned":bool}
 *   {"type":"hide","thread":uuid}
 *   {"type":"vote","thread":uuid,"message":uuid,"vote":n}  on an answer: 1 or -1
 *     with "taken_back":true                               that vote does not count any more
 *   {"type":"ping"}
 *
 * "id" may stand in every one; it comes back in the answer, or in the error.
 */
#pragma once
#include "core/base/json.h"
#include "core/base/uuid.h"

enum web_verb {
    WEB_SEND,
    WEB_EDIT,
    WEB_TAKE_BACK,
    WEB_LIST,
    WEB_HISTORY,
    WEB_RENAME,
    WEB_PIN,
    WEB_HIDE,
    WEB_VOTE,
    WEB_PING,
    WEB_VERB_N
};

#define WEB_HISTORY_MAX     100 /* messages in one answer */
#define WEB_TITLE_MAX       200 /* bytes */
#define WEB_ATTACHMENTS_MAX 10

/* One frame. Strings live in the document. */
struct web_in {
    enum web_verb verb;
    char id[UUID_TEXT_MAX];                       /* canonical; "" = none */
    char thread[UUID_TEXT_MAX];                   /* canonical */
    struct str text;                              /* send, edit: the message; rename: the title */
    struct uuid attachments[WEB_ATTACHMENTS_MAX]; /* send */
    size_t n_attachments;
    struct uuid before, after; /* nil = not asked for */
    int64_t limit;
    bool pinned;
    char message[UUID_TEXT_MAX]; /* vote: on which answer; edit, take_back: which */
    int64_t vote;
    bool taken_back;
};

/*
 * ret      id is set whenever the frame has a good one, also on failure
 * ret_doc  json_free it when `ret` is no longer used; NULL on failure
 * ERR_PROTO: what is wrong with it, as a sentence for whoever wrote the client.
 */
enum err_kind web_in_parse(struct str frame, struct web_in *ret, struct json **ret_doc,
                           struct err *why);
