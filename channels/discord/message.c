/*
 * message - texts with their markup for mentions and the like, and attachments.
 * discord.com/developers/docs/reference#message-formatting
 */
#include "channels/discord/message.h"

#include "channels/discord/person.h"
#include "core/base/utf8.h"

#include <time.h>

/* Discord's own limits of a message are 4000 characters, 100 mentions, 10 attachments, 10 answers
 * of a poll. */
#define TOKENS_MAX      1024
#define TOKEN_MAX       128
#define MENTIONS_MAX    128
#define ATTACHMENTS_MAX 32
#define SNAPSHOTS_MAX   4
#define ANSWERS_MAX     32
#define QUOTE_MAX       2000 /* bytes */
#define NAME_MAX_BYTES  200  /* 32 characters for people, 100 for channels */
#define TOKEN_GROWTH    256  /* what a token becomes is no longer */
#define POLL_MAX        16384

#define VOICE_MESSAGE (1 << 13) /* of a message's flags */

struct writer {
    const struct discord_reader *reader;
    struct json *message;
    struct arena *arena;
    struct buf *to;
};

/* --- "<...>" --- */

static bool is_id(struct str s)
{
    uint64_t id;
    return discord_id(s, &id);
}

static struct json *find_by_id(struct json *list, struct str id)
{
    size_t n = json_length(list);
    for (size_t i = 0; i < n && i < MENTIONS_MAX; i++) {
        struct str s = STR_NONE;
        struct json *v = json_at(list, i);
        if (json_get_str(v, "id", &s) && str_eq(s, id)) return v;
    }
    return NULL;
}

static bool put_named(struct writer *w, const char *sign, struct str name)
{
    name = str_head(name, utf8_prefix(name, NAME_MAX_BYTES, TEXT_BYTES));
    return name.n && buf_add_cstr(w->to, sign) && buf_add(w->to, name);
}

static bool put_user(struct writer *w, struct str id)
{
    struct json *user = find_by_id(json_get(w->message, "mentions"), id);
    return put_named(w, "@", discord_name(user, json_get(user, "member"), w->arena));
}

static bool put_channel(struct writer *w, struct str id)
{
    struct json *channel = find_by_id(json_get(w->message, "mention_channels"), id);
    return put_named(w, "#", discord_get(channel, "name", w->arena));
}

/* ":name:id": a server's own emoji. */
static bool put_emoji(struct writer *w, struct str rest)
{
    struct str name = str_cut(&rest, ':');
    return name.n && is_id(rest) && buf_addf(w->to, ":%.*s:", STR_ARG(name));
}

static bool put_command(struct writer *w, struct str rest)
{
    struct str name = str_cut(&rest, ':');
    return name.n && is_id(rest) && buf_addf(w->to, "/%.*s", STR_ARG(name));
}

/* "seconds[:style]". Who reads it has no time zone of ours: UTC. */
static bool put_time(struct writer *w, struct str rest)
{
    const int64_t year_1000 = INT64_C(-30610224000), year_9999 = INT64_C(253402300799);
    int64_t seconds;
    struct tm tm;
    char text[40];
    if (!str_i64(str_cut(&rest, ':'), &seconds) || seconds < year_1000 || seconds > year_9999)
        return false;
    time_t t = (time_t)seconds;
    return gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm) &&
           buf_add_cstr(w->to, text);
}

/* What is between "<" and ">". False: nothing that we know, it stays as it is. */
static bool put_token(struct writer *w, struct str token)
{
    static const struct {
        struct str start;
        bool (*put)(struct writer *w, struct str rest);
    } forms[] = {
        { { "@!", 2 }, put_user }, { { "@", 1 }, put_user },   { { "#", 1 }, put_channel },
        { { ":", 1 }, put_emoji }, { { "a:", 2 }, put_emoji }, { { "/", 1 }, put_command },
        { { "t:", 2 }, put_time },
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (str_starts(token, forms[i].start))
            return forms[i].put(w, str_skip(token, forms[i].start.n));
    return false;
}

static bool is_mention_of_us(const struct writer *w, struct str token)
{
    if (str_starts(token, STR("@!"))) return discord_is_us(w->reader, str_skip(token, 2));
    return str_starts(token, STR("@")) && discord_is_us(w->reader, str_skip(token, 1));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t';
}

/* The token at the start of `s`, without its brackets. */
static bool read_token(struct str s, struct str *ret)
{
    size_t end = str_find_char(str_head(s, TOKEN_MAX), '>');
    if (end == SIZE_MAX) return false;
    *ret = str_from(s.p + 1, end - 1);
    return true;
}

/* A mention of us goes, and the double blank that it leaves behind. */
static void put_text(struct writer *w, struct str s)
{
    size_t start = w->to->n, n_tokens = 0;
    while (s.n) {
        struct str token;
        size_t at = str_find_char(s, '<');
        if (at == SIZE_MAX || n_tokens++ == TOKENS_MAX) at = s.n;
        buf_add(w->to, str_head(s, at));
        s = str_skip(s, at);
        if (!s.n) break;
        if (!read_token(s, &token)) {
            buf_add_char(w->to, '<');
            s = str_skip(s, 1);
        } else if (is_mention_of_us(w, token)) {
            s = str_skip(s, token.n + 2);
            bool blank_before = w->to->n == start || is_blank(w->to->p[w->to->n - 1]);
            if (blank_before && s.n && is_blank(s.p[0])) s = str_skip(s, 1);
        } else if (put_token(w, token)) {
            s = str_skip(s, token.n + 2);
        } else {
            buf_add_char(w->to, '<');
            s = str_skip(s, 1);
        }
    }
}

/* --- texts --- */

static struct str text_of(const struct discord_reader *reader, struct json *message,
                          struct arena *a)
{
    struct str content = discord_get(message, "content", a);
    if (str_find_char(content, '<') == SIZE_MAX) return str_trim(content);
    _cleanup_(buf_done) struct buf b = BUF_INIT(content.n + TOKENS_MAX * TOKEN_GROWTH);
    struct writer w = { .reader = reader, .message = message, .arena = a, .to = &b };
    put_text(&w, content);
    return arena_dup(a, str_trim(buf_str(&b)));
}

/* "[poll] question: one, other" */
static struct str poll_text(struct json *poll, struct arena *a)
{
    struct json *answers = json_get(poll, "answers");
    size_t n = json_length(answers), n_put = 0;
    if (!json_is_object(poll)) return STR_NONE;
    _cleanup_(buf_done) struct buf b = BUF_INIT(POLL_MAX);
    struct str question = discord_get(json_get(poll, "question"), "text", a);
    buf_addf(&b, "[poll] %.*s", STR_ARG(question));
    for (size_t i = 0; i < n && i < ANSWERS_MAX; i++) {
        struct str s = discord_get(json_get(json_at(answers, i), "poll_media"), "text", a);
        if (s.n) buf_addf(&b, "%s %.*s", n_put++ ? "," : ":", STR_ARG(s));
    }
    return arena_dup(a, str_trim(buf_str(&b)));
}

static void add_part(struct discord_words *w, struct arena *a, struct str part)
{
    if (!part.n) return;
    w->text = w->text.n ? arena_printf(a, "%.*s\n\n%.*s", STR_ARG(w->text), STR_ARG(part)) : part;
}

static bool lists_us(const struct discord_reader *reader, struct json *message)
{
    return reader->user.n && find_by_id(json_get(message, "mentions"), reader->user);
}

/* --- attachments --- */

static struct str kind_of(struct str mime, bool voice)
{
    if (str_starts(mime, STR("image/"))) return STR("photo");
    if (str_starts(mime, STR("video/"))) return STR("video");
    if (str_starts(mime, STR("audio/"))) return voice ? STR("voice") : STR("audio");
    return STR("document");
}

static struct attachment file_of(struct json *v, bool voice, struct arena *a)
{
    struct attachment at = { .name = discord_get(v, "filename", a),
                             .mime = discord_get(v, "content_type", a),
                             .ref = discord_get(v, "url", a),
                             .url = STR_NONE };
    at.kind = kind_of(at.mime, voice);
    json_get_i64(v, "size", &at.bytes);
    if (at.bytes < 0) at.bytes = 0;
    if (str_eq(at.kind, STR("photo")) && str_starts(at.ref, STR("http"))) at.url = at.ref;
    return at;
}

static struct attachment sticker_of(struct json *v, struct arena *a)
{
    return (struct attachment){ .kind = STR("sticker"),
                                .name = discord_get(v, "name", a),
                                .mime = STR_NONE,
                                .ref = discord_get(v, "id", a),
                                .url = STR_NONE };
}

static void add_attachment(struct discord_words *w, struct arena *a, struct attachment at)
{
    if (!w->attachments) w->attachments = arena_new_array(a, struct attachment, ATTACHMENTS_MAX);
    if (w->n_attachments < ATTACHMENTS_MAX) w->attachments[w->n_attachments++] = at;
}

static void add_attachments(struct discord_words *w, struct json *message, struct arena *a)
{
    int64_t flags = 0;
    json_get_i64(message, "flags", &flags);
    struct json *files = json_get(message, "attachments");
    struct json *stickers = json_get(message, "sticker_items");
    size_t n = json_length(files), n_stickers = json_length(stickers);
    for (size_t i = 0; i < n && i < ATTACHMENTS_MAX; i++)
        if (json_is_object(json_at(files, i)))
            add_attachment(w, a, file_of(json_at(files, i), flags & VOICE_MESSAGE, a));
    for (size_t i = 0; i < n_stickers && i < ATTACHMENTS_MAX; i++)
        if (json_is_object(json_at(stickers, i)))
            add_attachment(w, a, sticker_of(json_at(stickers, i), a));
}

void discord_words(const struct discord_reader *reader, struct json *message, struct arena *a,
                   struct discord_words *ret)
{
    *ret = (struct discord_words){ .mentions_us = lists_us(reader, message) };
    ret->text = text_of(reader, message, a);
    add_attachments(ret, message, a);
    struct json *snapshots = json_get(message, "message_snapshots");
    size_t n = json_length(snapshots);
    for (size_t i = 0; i < n && i < SNAPSHOTS_MAX; i++) {
        struct json *forwarded = json_get(json_at(snapshots, i), "message");
        add_part(ret, a, text_of(reader, forwarded, a));
        add_attachments(ret, forwarded, a);
    }
    add_part(ret, a, poll_text(json_get(message, "poll"), a));
}

/* --- what it replies to --- */

/* "> Bob: first line", "> second line", an empty line. */
static void put_quote(struct buf *to, struct str name, struct str text)
{
    struct str rest = str_head(text, utf8_prefix(text, QUOTE_MAX, TEXT_BYTES));
    bool cut = rest.n < text.n;
    buf_add_cstr(to, "> ");
    if (name.n) buf_addf(to, "%.*s: ", STR_ARG(name));
    for (size_t i = 0; i < rest.n; i++) {
        buf_add_char(to, rest.p[i]);
        if (rest.p[i] == '\n') buf_add_cstr(to, "> ");
    }
    buf_add_cstr(to, cut ? " ...\n\n" : "\n\n");
}

void discord_quote(const struct discord_reader *reader, struct json *message, struct arena *a,
                   struct discord_words *words)
{
    struct json *to = json_get(message, "referenced_message"), *author = json_get(to, "author");
    struct str id = STR_NONE;
    json_get_str(author, "id", &id);
    if (!json_is_object(to) || discord_is_us(reader, id) || str_starts(words->text, STR("/")))
        return;
    struct discord_words quoted;
    discord_words(reader, to, a, &quoted);
    for (size_t i = 0; i < quoted.n_attachments; i++)
        add_attachment(words, a, quoted.attachments[i]);
    if (!words->text.n) {
        words->text = quoted.text;
        return;
    }
    if (!quoted.text.n) return;
    _cleanup_(buf_done) struct buf b = BUF_INIT(words->text.n + 3 * QUOTE_MAX + NAME_MAX_BYTES);
    put_quote(&b, discord_name(author, NULL, a), quoted.text);
    buf_add(&b, words->text);
    if (!b.full) words->text = arena_dup(a, buf_str(&b));
}
