/*
 * message - texts with their entities, and attachments.
 */
#include "channels/telegram/message.h"

#include "core/chat/command.h"

#define ENTITIES_MAX 256
#define MENTIONS_MAX 16
/* Telegram's longest text has 32,768 bytes; entities behind that are nobody's. */
#define OFFSET_MAX   32768

struct span {
    size_t from, to; /* bytes */
};

/* --- entities --- */

/* Offset and length of an entity count UTF-16 units; *ret counts bytes. */
static bool entity_span(struct json *entity, struct str text, struct span *ret)
{
    int64_t offset, length;
    if (!json_get_i64(entity, "offset", &offset) || !json_get_i64(entity, "length", &length))
        return false;
    if (offset < 0 || length <= 0 || offset > OFFSET_MAX || length > OFFSET_MAX) return false;
    ret->from = utf8_prefix(text, (size_t)offset, TEXT_UTF16);
    ret->to = ret->from + utf8_prefix(str_skip(text, ret->from), (size_t)length, TEXT_UTF16);
    return ret->to > ret->from;
}

static struct str span_text(struct str text, struct span s)
{
    return str_from(text.p + s.from, s.to - s.from);
}

static bool is_our_command(struct str name)
{
    for (const struct command *c = commands; c->name; c++)
        if (str_eq_nocase(name, str_of(c->name))) return true;
    return str_eq_nocase(name, STR("start"));
}

/* Telegram's way to say hello is /start; ours is /help. */
static struct str command_text(struct arena *a, struct str name, struct str rest)
{
    if (str_eq_nocase(name, STR("start"))) return STR("/help");
    return arena_printf(a, "/%.*s%.*s", STR_ARG(name), STR_ARG(rest));
}

/* A command at the very start: "/name" or "/name@bot". */
static void read_command(const struct telegram_reader *reader, struct arena *a, struct span span,
                         struct telegram_words *w)
{
    struct str bot = str_skip(span_text(w->text, span), 1);
    struct str name = str_cut(&bot, '@');
    if (bot.n && !reader->username.n) w->depends_on_name = true;
    if (bot.n && !str_eq_nocase(bot, reader->username)) {
        w->names_another = true;
        return;
    }
    if (bot.n || is_our_command(name)) w->mentions_us = true;
    w->text = command_text(a, name, str_skip(w->text, span.to));
}

static bool mentions_us(const struct telegram_reader *reader, struct json *entity, struct str type,
                        struct str shown, bool *ret_unsure)
{
    int64_t id;
    if (str_eq(type, STR("text_mention")))
        return json_get_i64(json_get(entity, "user"), "id", &id) && id == reader->id;
    if (!str_eq(type, STR("mention")) || shown.n < 2) return false;
    if (!reader->username.n) *ret_unsure = true;
    return str_eq_nocase(str_skip(shown, 1), reader->username);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t';
}

/* `text` without the spans, and without the double blank that each leaves behind. */
static struct str without(struct arena *a, struct str text, const struct span *spans, size_t n)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(text.n);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (spans[i].from < at) continue; /* overlaps the one before */
        buf_add(&b, str_from(text.p + at, spans[i].from - at));
        at = spans[i].to;
        bool blank_before = !b.n || is_blank(b.p[b.n - 1]);
        if (blank_before && at < text.n && is_blank(text.p[at])) at++;
    }
    buf_add(&b, str_skip(text, at));
    return arena_dup(a, str_trim(buf_str(&b)));
}

void telegram_words(const struct telegram_reader *reader, struct json *message, struct arena *a,
                    struct telegram_words *ret)
{
    *ret = (struct telegram_words){ .text = STR_NONE };
    bool has_text = json_get_str(message, "text", &ret->text);
    if (!has_text) json_get_str(message, "caption", &ret->text);
    struct json *entities = json_get(message, has_text ? "entities" : "caption_entities");
    ret->text = utf8_cleaned(a, ret->text);

    struct span mentions[MENTIONS_MAX], command = { 0, 0 };
    size_t n_mentions = 0, n = json_length(entities);
    for (size_t i = 0; i < n && i < ENTITIES_MAX && n_mentions < MENTIONS_MAX; i++) {
        struct json *entity = json_at(entities, i);
        struct str type = STR_NONE;
        struct span span;
        json_get_str(entity, "type", &type);
        bool is_command = str_eq(type, STR("bot_command"));
        if (!is_command && !str_ends(type, STR("mention"))) continue;
        if (!entity_span(entity, ret->text, &span)) continue;
        if (is_command && span.from == 0 && ret->text.p[0] == '/')
            command = span;
        else if (mentions_us(reader, entity, type, span_text(ret->text, span),
                             &ret->depends_on_name))
            mentions[n_mentions++] = span;
    }
    if (n_mentions) ret->mentions_us = true;
    /* A mention behind a command stays: offsets count from the original. */
    if (command.to)
        read_command(reader, a, command, ret);
    else if (n_mentions)
        ret->text = without(a, ret->text, mentions, n_mentions);
}

/* --- attachments --- */

struct kind {
    const char *key;
    const char *name_key; /* which of its strings says most */
};

/* Documents come last: an animation is there a second time as one, for old clients. */
static const struct kind kinds[] = {
    { "animation", "file_name" }, { "audio", "title" },   { "voice", NULL },
    { "video", "file_name" },     { "video_note", NULL }, { "sticker", "emoji" },
    { "contact", "first_name" },  { "venue", "title" },   { "location", NULL },
    { "poll", "question" },       { "dice", "emoji" },    { "rich_message", NULL },
    { "document", "file_name" },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct str get_clean(struct json *obj, const char *key, struct arena *a)
{
    struct str s = STR_NONE;
    if (key) json_get_str(obj, key, &s);
    return utf8_cleaned(a, s);
}

static struct attachment attachment_of(struct json *v, const struct kind *kind, struct arena *a)
{
    struct attachment at = { .kind = str_of(kind->key) };
    at.name = get_clean(v, kind->name_key, a);
    at.mime = get_clean(v, "mime_type", a);
    at.ref = get_clean(v, "file_id", a);
    json_get_i64(v, "file_size", &at.bytes);
    double latitude, longitude;
    if (json_get_f64(v, "latitude", &latitude) && json_get_f64(v, "longitude", &longitude))
        at.name = arena_printf(a, "%.5f,%.5f", latitude, longitude);
    bool picture = !strcmp(kind->key, "photo") || str_starts(at.mime, STR("image/"));
    if (picture && at.ref.n) at.url = arena_printf(a, CHANNEL_PICTURE "%.*s", STR_ARG(at.ref));
    return at;
}

/* The biggest one that may be shown to a model. They ascend; should all be too big, the last one.
 */
static struct json *best_size(const struct telegram_reader *reader, struct json *sizes)
{
    size_t n = json_length(sizes);
    for (size_t i = n; i-- > 0;) {
        int64_t bytes = 0;
        json_get_i64(json_at(sizes, i), "file_size", &bytes);
        if (!reader->picture_max || bytes <= reader->picture_max) return json_at(sizes, i);
    }
    return json_at(sizes, n - 1);
}

size_t telegram_attachments(const struct telegram_reader *reader, struct json *message,
                            struct arena *a, struct attachment **ret)
{
    struct attachment *v = arena_new_array(a, struct attachment, N_KINDS + 1);
    size_t n = 0;
    struct json *sizes = json_get(message, "photo");
    if (json_length(sizes)) {
        static const struct kind photo = { "photo", NULL };
        v[n++] = attachment_of(best_size(reader, sizes), &photo, a);
    }
    for (size_t i = 0; i < N_KINDS; i++) {
        struct json *found = json_get(message, kinds[i].key);
        bool again = n && (!strcmp(kinds[i].key, "document") || !strcmp(kinds[i].key, "location"));
        if (json_is_object(found) && !again) v[n++] = attachment_of(found, &kinds[i], a);
    }
    *ret = v;
    return n;
}
