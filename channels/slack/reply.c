/*
 * reply - error words and what each means for whoever called.
 */
#include "channels/slack/reply.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_MS 30000 /* when a 429 does not say */

static const struct meaning {
    const char *error;
    enum err_kind kind;
    const char *advice; /* for the operator; "" = the word says it */
} meanings[] = {
    { "ratelimited", ERR_LIMIT, "" },
    { "rate_limited", ERR_LIMIT, "" },
    { "message_limit_exceeded", ERR_LIMIT, "" },
    { "not_authed", ERR_AUTH, "the token is missing" },
    { "invalid_auth", ERR_AUTH, "the token is wrong: copy it anew from the app's settings" },
    { "account_inactive", ERR_AUTH, "the token is of a bot that was removed" },
    { "token_revoked", ERR_AUTH, "the token was taken back: install the app again" },
    { "token_expired", ERR_AUTH, "the token is too old: install the app again" },
    { "no_permission", ERR_AUTH, "the token may not do that" },
    { "not_allowed_token_type", ERR_AUTH,
      "this is another kind of token: bot_token begins with "
      "xoxb-, app_token with xapp-" },
    { "user_removed_from_team", ERR_AUTH, "the bot was removed from the workspace" },
    { "team_disabled", ERR_AUTH, "the workspace is closed" },
    { "missing_scope", ERR_AUTH,
      "add the scope under OAuth & Permissions, and install the app "
      "again" },
    { "message_not_found", ERR_NOT_FOUND, "" },
    { "cant_update_message", ERR_NOT_FOUND, "" },
    { "edit_window_closed", ERR_NOT_FOUND, "" },
    { "thread_not_found", ERR_NOT_FOUND, "" },
    { "internal_error", ERR_UNKNOWN, "" },
    { "fatal_error", ERR_UNKNOWN, "" },
    { "service_unavailable", ERR_UNKNOWN, "" },
    { "request_timeout", ERR_UNKNOWN, "" },
};

static const struct meaning *meaning_of(const char *error)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
        if (strcmp(meanings[i].error, error) == 0) return &meanings[i];
    return NULL;
}

/* What was wrong with an argument is in a list of sentences. */
static struct str detail_of(struct json *doc)
{
    struct str text = STR_NONE;
    struct json *messages = json_get(json_get(doc, "response_metadata"), "messages");
    if (!json_str(json_at(messages, 0), &text)) json_get_str(doc, "needed", &text);
    return str_head(text, 120);
}

static void describe(const char *method, const struct slack_reply *r, const struct meaning *m,
                     enum err_kind kind, struct err *why)
{
    struct str detail = detail_of(r->doc);
    const char *advice = m ? m->advice : "";
    if (!r->error[0])
        err_set(why, kind, "HTTP status %d and no answer of Slack's to %s", r->status, method);
    else
        err_set(why, kind, "Slack: %s: %s%s%.*s%s%s%s", method, r->error, detail.n ? ": " : "",
                STR_ARG(detail), *advice ? " (" : "", advice, *advice ? ")" : "");
}

static enum err_kind kind_of(int status, const struct slack_reply *r, const struct meaning *m)
{
    if (status == 429) return ERR_LIMIT;
    if (m) return m->kind;
    if (r->error[0] && status < 500) return ERR_REFUSED;
    if (status == 401 || status == 403) return ERR_AUTH;
    /* A page of a proxy, or Slack out of order: who knows how far the call came. */
    return status >= 400 && status < 500 ? ERR_REFUSED : ERR_UNKNOWN;
}

void slack_reply_read(const char *method, int status, uint32_t hint_ms, struct json *doc,
                      struct slack_reply *ret, struct err *why)
{
    bool ok = false;
    struct str error = STR_NONE;
    *ret = (struct slack_reply){ .status = status, .doc = doc };
    *why = (struct err)ERR_INIT;
    json_get_bool(doc, "ok", &ok);
    if (ok && status / 100 == 2) return;
    json_get_str(doc, "error", &error);
    snprintf(ret->error, sizeof(ret->error), "%.*s", STR_ARG(error));
    const struct meaning *m = meaning_of(ret->error);
    enum err_kind kind = kind_of(status, ret, m);
    describe(method, ret, m, kind, why);
    if (kind == ERR_LIMIT) why->retry_after_ms = hint_ms ? hint_ms : LIMIT_MS;
}

bool slack_reply_is(const struct slack_reply *r, const char *error)
{
    return strcmp(r->error, error) == 0;
}

void slack_reply_done(struct slack_reply *r)
{
    json_free(r->doc);
    *r = (struct slack_reply){ 0 };
}
