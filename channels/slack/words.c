/*
 * words - one pass over the text: <...> becomes what a person would read, entities are undone.
 */
#include "channels/slack/words.h"

#include "core/base/utf8.h"

#define TEXT_MAX  ((size_t)256 * 1024)
#define FILES_MAX 20

struct str slack_get(struct json *obj, const char *key, struct arena *a)
{
    struct str s = STR_NONE;
    json_get_str(obj, key, &s);
    return utf8_cleaned(a, s);
}

/* --- text --- */

/* The three that Slack escapes; everything else is as it was typed. */
static void add_unescaped(struct buf *to, struct str s)
{
    static const struct {
        const char *entity;
        char sign;
    } entities[] = { { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' } };
    while (s.n) {
        size_t i = 0, n = sizeof(entities) / sizeof(*entities);
        while (i < n && !str_starts(s, str_of(entities[i].entity))) i++;
        buf_add_char(to, i < n ? entities[i].sign : s.p[0]);
        s = str_skip(s, i < n ? strlen(entities[i].entity) : 1);
    }
}

/* <@U1|name>, <#C1|name>, <!subteam^S1|@name>, <!here>, <!date^...|text>, <url|label>. */
static void add_markup(const struct slack_reader *reader, struct str inner, struct buf *to,
                       bool *mentions_us)
{
    struct str label = inner, target = str_cut(&label, '|');
    char sign = target.n ? target.p[0] : '\0';
    if (sign == '@' && reader->user.n && str_eq(str_skip(target, 1), reader->user)) {
        *mentions_us = true;
        if (str_trim(buf_str(to)).n) buf_add_cstr(to, "@you");
    } else if (sign == '@' || sign == '#') {
        buf_add_char(to, sign);
        add_unescaped(to, label.n ? label : str_skip(target, 1));
    } else if (sign == '!') {
        bool group = str_starts(target, STR("!subteam^")) || str_starts(target, STR("!date^"));
        if (!group) buf_add_char(to, '@');
        add_unescaped(to, label.n ? label : str_skip(target, 1));
    } else {
        add_unescaped(to, target);
        bool same = !label.n || str_ends(target, label);
        if (!same) {
            buf_add_cstr(to, " (");
            add_unescaped(to, label);
            buf_add_char(to, ')');
        }
    }
}

static struct str read_text(const struct slack_reader *reader, struct str raw, struct arena *a,
                            bool *mentions_us)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(TEXT_MAX);
    while (raw.n) {
        size_t open = str_find_char(raw, '<');
        add_unescaped(&b, str_head(raw, open));
        if (open == SIZE_MAX) break;
        raw = str_skip(raw, open + 1);
        size_t close = str_find_char(raw, '>');
        if (close == SIZE_MAX) { /* not Slack's: it escapes every one that a person types */
            buf_add_char(&b, '<');
            continue;
        }
        add_markup(reader, str_head(raw, close), &b, mentions_us);
        raw = str_skip(raw, close + 1);
    }
    return arena_dup(a, str_trim(buf_str(&b)));
}

/* --- files --- */

static struct str kind_of(struct str mime)
{
    if (str_starts(mime, STR("image/"))) return STR("photo");
    if (str_starts(mime, STR("audio/"))) return STR("audio");
    if (str_starts(mime, STR("video/"))) return STR("video");
    return STR("document");
}

/* They can be had with our token only: the address of a picture is for picture.c. */
static void read_files(struct json *files, struct arena *a, struct slack_words *ret)
{
    size_t n = json_length(files);
    if (n > FILES_MAX) n = FILES_MAX;
    ret->attachments = arena_new_array(a, struct attachment, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct json *file = json_at(files, i);
        struct str id = slack_get(file, "id", a), mime = slack_get(file, "mimetype", a);
        if (!id.n) continue;
        struct attachment *att = &ret->attachments[ret->n_attachments++];
        *att = (struct attachment){
            .kind = kind_of(mime), .name = slack_get(file, "name", a), .mime = mime, .ref = id
        };
        json_get_i64(file, "size", &att->bytes);
        if (str_starts(mime, STR("image/"))) att->url = slack_get(file, "url_private", a);
    }
}

void slack_words(const struct slack_reader *reader, struct json *message, struct arena *a,
                 struct slack_words *ret)
{
    *ret = (struct slack_words){ .text = STR_NONE };
    ret->text = read_text(reader, slack_get(message, "text", a), a, &ret->mentions_us);
    read_files(json_get(message, "files"), a, ret);
}
