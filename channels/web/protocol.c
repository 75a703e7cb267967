/* protocol: frames of the page into struct web_in, by a table of what each verb needs. */
#include "channels/web/protocol.h"

#define LIMIT_DEFAULT 50

enum { NEEDS_ID = 1, NEEDS_THREAD = 2 };

struct verb {
    const char *name;
    unsigned needs;
    enum err_kind (*read)(struct json *doc, struct web_in *ret, struct err *why); /* the rest */
};

static enum err_kind read_attachments(struct json *doc, struct web_in *ret, struct err *why)
{
    struct json *list = json_get(doc, "attachments");
    size_t n = json_length(list);
    if (list && !json_is_array(list)) return err_set(why, ERR_PROTO, "attachments: not a list");
    if (n > WEB_ATTACHMENTS_MAX)
        return err_set(why, ERR_PROTO, "attachments: more than %d", WEB_ATTACHMENTS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct str id;
        if (!json_str(json_at(list, i), &id) || !uuid_parse(id, &ret->attachments[i]))
            return err_set(why, ERR_PROTO, "attachments: not a UUID");
    }
    ret->n_attachments = n;
    return ERR_NONE;
}

static enum err_kind read_text(struct json *doc, struct web_in *ret, struct err *why)
{
    if (!json_get_str(doc, "text", &ret->text))
        return err_set(why, ERR_PROTO, "text: a string is missing");
    if (str_trim(ret->text).n == 0 && !ret->n_attachments)
        return err_set(why, ERR_PROTO, "text: it is empty");
    return ERR_NONE;
}

static enum err_kind read_send(struct json *doc, struct web_in *ret, struct err *why)
{
    if (read_attachments(doc, ret, why)) return why->kind;
    return read_text(doc, ret, why);
}

static enum err_kind read_rename(struct json *doc, struct web_in *ret, struct err *why)
{
    if (!json_get_str(doc, "title", &ret->text))
        return err_set(why, ERR_PROTO, "title: a string is missing");
    ret->text = str_trim(ret->text);
    if (ret->text.n > WEB_TITLE_MAX)
        return err_set(why, ERR_PROTO, "title: longer than %d bytes", WEB_TITLE_MAX);
    /* JSON can say U+0000, PostgreSQL cannot keep it. */
    if (memchr(ret->text.p, 0, ret->text.n))
        return err_set(why, ERR_PROTO, "title: it has a U+0000 in it");
    return ERR_NONE;
}

static enum err_kind read_pin(struct json *doc, struct web_in *ret, struct err *why)
{
    if (!json_get_bool(doc, "pinned", &ret->pinned))
        return err_set(why, ERR_PROTO, "pinned: true or false is missing");
    return ERR_NONE;
}

/* An optional uuid: absent or null is fine, anything else that is none is not. */
static enum err_kind read_uuid(struct json *doc, const char *key, struct uuid *ret, struct err *why)
{
    struct str text;
    if (!json_get(doc, key)) return ERR_NONE;
    if (!json_get_str(doc, key, &text) || !uuid_parse(text, ret))
        return err_set(why, ERR_PROTO, "%s: not a UUID", key);
    return ERR_NONE;
}

static enum err_kind read_history(struct json *doc, struct web_in *ret, struct err *why)
{
    ret->limit = LIMIT_DEFAULT;
    if (json_get(doc, "limit") && !json_get_i64(doc, "limit", &ret->limit))
        return err_set(why, ERR_PROTO, "limit: not an integer");
    if (ret->limit < 1 || ret->limit > WEB_HISTORY_MAX)
        return err_set(why, ERR_PROTO, "limit: not between 1 and %d", WEB_HISTORY_MAX);
    if (read_uuid(doc, "before", &ret->before, why)) return why->kind;
    if (read_uuid(doc, "after", &ret->after, why)) return why->kind;
    if (!uuid_is_nil(&ret->before) && !uuid_is_nil(&ret->after))
        return err_set(why, ERR_PROTO, "before and after exclude each other");
    return ERR_NONE;
}

static enum err_kind read_which(struct json *doc, struct web_in *ret, struct err *why)
{
    struct uuid message = { .b = { 0 } };
    if (read_uuid(doc, "message", &message, why)) return why->kind;
    if (uuid_is_nil(&message)) return err_set(why, ERR_PROTO, "message: a UUID is missing");
    uuid_text(&message, ret->message);
    return ERR_NONE;
}

static enum err_kind read_edit(struct json *doc, struct web_in *ret, struct err *why)
{
    enum err_kind kind = read_which(doc, ret, why);
    return kind ? kind : read_text(doc, ret, why);
}

static enum err_kind read_vote(struct json *doc, struct web_in *ret, struct err *why)
{
    if (read_which(doc, ret, why)) return why->kind;
    if (!json_get_i64(doc, "vote", &ret->vote) || (ret->vote != 1 && ret->vote != -1))
        return err_set(why, ERR_PROTO, "vote: neither 1 nor -1");
    json_get_bool(doc, "taken_back", &ret->taken_back);
    return ERR_NONE;
}

static const struct verb verbs[WEB_VERB_N] = {
    [WEB_SEND] = { "send", NEEDS_ID | NEEDS_THREAD, read_send },
    [WEB_EDIT] = { "edit", NEEDS_THREAD, read_edit },
    [WEB_TAKE_BACK] = { "take_back", NEEDS_THREAD, read_which },
    [WEB_LIST] = { "list", 0, NULL },
    [WEB_HISTORY] = { "history", NEEDS_THREAD, read_history },
    [WEB_RENAME] = { "rename", NEEDS_THREAD, read_rename },
    [WEB_PIN] = { "pin", NEEDS_THREAD, read_pin },
    [WEB_HIDE] = { "hide", NEEDS_THREAD, NULL },
    [WEB_VOTE] = { "vote", NEEDS_THREAD, read_vote },
    [WEB_PING] = { "ping", 0, NULL },
};

static enum err_kind read_verb(struct json *doc, struct web_in *ret, struct err *why)
{
    struct str name;
    if (!json_get_str(doc, "type", &name))
        return err_set(why, ERR_PROTO, "type: a string is missing");
    for (int i = 0; i < WEB_VERB_N; i++) {
        if (!str_eq(name, str_of(verbs[i].name))) continue;
        ret->verb = (enum web_verb)i;
        return ERR_NONE;
    }
    return err_set(why, ERR_PROTO, "type: unknown");
}

/* A uuid in one spelling, so that what is equal has equal text. */
static enum err_kind read_canonical(struct json *doc, const char *key, bool needed,
                                    char ret[UUID_TEXT_MAX], struct err *why)
{
    struct uuid id = { .b = { 0 } };
    if (!json_get(doc, key) && !needed) return ERR_NONE;
    if (!json_get(doc, key)) return err_set(why, ERR_PROTO, "%s: a UUID is missing", key);
    if (read_uuid(doc, key, &id, why)) return why->kind;
    if (uuid_is_nil(&id)) return err_set(why, ERR_PROTO, "%s: the nil UUID is nobody's", key);
    uuid_text(&id, ret);
    return ERR_NONE;
}

static enum err_kind read_all(struct json *doc, struct web_in *ret, struct err *why)
{
    if (!json_is_object(doc)) return err_set(why, ERR_PROTO, "the frame is not a JSON object");
    struct err bad_id = ERR_INIT;
    read_canonical(doc, "id", false, ret->id, &bad_id);
    if (read_verb(doc, ret, why)) return why->kind;
    const struct verb *verb = &verbs[ret->verb];
    if (read_canonical(doc, "id", verb->needs & NEEDS_ID, ret->id, why)) return why->kind;
    if (read_canonical(doc, "thread", verb->needs & NEEDS_THREAD, ret->thread, why))
        return why->kind;
    return verb->read ? verb->read(doc, ret, why) : ERR_NONE;
}

enum err_kind web_in_parse(struct str frame, struct web_in *ret, struct json **ret_doc,
                           struct err *why)
{
    struct json *doc = NULL;
    *ret = (struct web_in){ .text = STR_NONE };
    *ret_doc = NULL;
    if (json_parse(frame, &doc, why)) return why->kind;
    if (read_all(doc, ret, why)) {
        json_free(doc);
        return why->kind;
    }
    *ret_doc = doc;
    return ERR_NONE;
}
