/*
 * markdown - Slack's own markup is made ineffective inside standard Markdown.
 */
#include "channels/slack/format.h"

#include "core/base/utf8.h"

#define GAP "\xE2\x80\x8B"

/* <!channel>, <@U1>, <#C1>: what Slack reads wherever it stands. */
static bool is_mention(struct str rest)
{
    return rest.n > 1 && (rest.p[1] == '!' || rest.p[1] == '@' || rest.p[1] == '#');
}

/* "[label](url": where the two part. SIZE_MAX: no link begins here. */
static size_t middle_of_link(struct str rest)
{
    size_t close = str_find(rest, STR("]("));
    size_t line = str_find_char(rest, '\n');
    return close < line || line == SIZE_MAX ? close : SIZE_MAX;
}

static bool begins_fake(struct str rest, size_t *ret_label)
{
    size_t middle = middle_of_link(rest);
    if (middle == SIZE_MAX) return false;
    struct str url = str_skip(rest, middle + 2);
    size_t end = 0;
    while (end < url.n && url.p[end] != ')' && url.p[end] != ' ' && url.p[end] != '\n') end++;
    *ret_label = middle + 1;
    return slack_is_fake(str_from(rest.p + 1, middle - 1), str_head(url, end));
}

bool slack_markdown(struct str markdown, struct buf *to)
{
    size_t before = to->n, gap_at = SIZE_MAX;
    bool angle = false; /* in <..., without a blank so far */
    for (size_t i = 0; i < markdown.n && !to->full; i++) {
        struct str rest = str_skip(markdown, i);
        char c = rest.p[0];
        size_t label;
        if (c == '[' && begins_fake(rest, &label)) gap_at = i + label;
        if (i == gap_at || (c == '|' && angle)) buf_add_cstr(to, GAP);
        buf_add_char(to, c);
        if (c == '<' && is_mention(rest)) buf_add_cstr(to, GAP);
        angle = c == '<' || (angle && c != '>' && c != ' ' && c != '\n');
    }
    struct str made = str_skip(buf_str(to), before);
    if (!to->full && utf8_length(made, TEXT_UTF16) <= SLACK_MARKDOWN_MAX) return true;
    buf_cut(to, before);
    to->full = false;
    return false;
}
