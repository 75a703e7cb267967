/*
 * body - blocks (docs.slack.dev/reference/block-kit/blocks), buttons and markers.
 */
#include "channels/slack/body.h"

#include "channels/slack/parse.h"
#include "core/chat/press.h"
#include "core/net/sign.h"

/* style, value: NULL = none */
static void put_button(struct json_out *o, const char *label, const char *id, const char *style,
                       const char *value)
{
    json_open(o, '{');
    json_field_str(o, "type", STR("button"));
    json_field_str(o, "action_id", str_of(id));
    if (style) json_field_str(o, "style", str_of(style));
    if (value) json_field_str(o, "value", str_of(value));
    json_key(o, "text");
    json_open(o, '{');
    json_field_str(o, "type", STR("plain_text"));
    json_field_str(o, "text", str_of(label));
    json_field_bool(o, "emoji", true);
    json_close(o, '}');
    json_close(o, '}');
}

static void put_decision(struct json_out *o, const struct outbound *out)
{
    char data[PRESS_MAX];
    press_write(out, true, data);
    put_button(o, PRESS_ALLOW_TEXT, SLACK_BUTTON_ALLOW, "primary", data);
    press_write(out, false, data);
    put_button(o, PRESS_DENY_TEXT, SLACK_BUTTON_DENY, "danger", data);
}

static void put_row(struct json_out *o, const struct outbound *out)
{
    bool asks = press_asks(out);
    json_open(o, '{');
    json_field_str(o, "type", STR("actions"));
    if (asks && !out->where.thread.n) json_field_str(o, "block_id", STR(SLACK_BLOCK_ROOT));
    json_key(o, "elements");
    json_open(o, '[');
    if (asks) {
        put_decision(o, out);
    } else if (out->preview) {
        put_button(o, "Stop", SLACK_BUTTON_STOP, "danger", NULL);
    } else {
        put_button(o, "Regenerate", SLACK_BUTTON_REGENERATE, NULL, NULL);
    }
    if (!asks && !out->preview && !out->no_votes) {
        put_button(o, ":+1:", SLACK_BUTTON_UP, NULL, NULL);
        put_button(o, ":-1:", SLACK_BUTTON_DOWN, NULL, NULL);
    }
    json_close(o, ']');
    json_close(o, '}');
}

static bool has_row(const struct outbound *out)
{
    return press_asks(out) || (!out->notice && (out->preview || out->part + 1 == out->n_parts));
}

static void put_text(struct json_out *o, const struct slack_face *f)
{
    json_open(o, '{');
    if (f->markdown.n) {
        json_field_str(o, "type", STR("markdown"));
        json_field_str(o, "text", f->markdown);
    } else {
        json_field_str(o, "type", STR("section"));
        json_field_bool(o, "expand", true);
        json_key(o, "text");
        json_open(o, '{');
        json_field_str(o, "type", STR("mrkdwn"));
        json_field_str(o, "text", f->text);
        json_close(o, '}');
    }
    json_close(o, '}');
}

void slack_put_blocks(struct json_out *o, const struct outbound *out, const struct slack_face *f)
{
    bool row = f->buttons && has_row(out);
    bool fits = f->markdown.n || utf8_length(f->text, TEXT_UTF16) <= SLACK_SECTION_MAX;
    json_open(o, '[');
    if (fits && (row || f->markdown.n)) put_text(o, f);
    if (fits && row) put_row(o, out);
    json_close(o, ']');
}

void slack_put_buttons(struct json_out *o, const struct outbound *out)
{
    json_open(o, '[');
    if (has_row(out)) put_row(o, out);
    json_close(o, ']');
}

void slack_marker(const struct outbound *out, char ret[SLACK_MARKER_MAX])
{
    uint8_t hash[32];
    char id[UUID_TEXT_MAX];
    uuid_text(out->part == 0 ? &out->request : &out->delivery, id);
    sign_sha256(str_of(id), hash);
    sign_hex(hash, (SLACK_MARKER_MAX - 1) / 2, ret);
}

void slack_put_marker(struct json_out *o, const struct outbound *out)
{
    char marker[SLACK_MARKER_MAX];
    slack_marker(out, marker);
    json_key(o, "metadata");
    json_open(o, '{');
    json_field_str(o, "event_type", STR(SLACK_MARKER_EVENT));
    json_key(o, "event_payload");
    json_open(o, '{');
    json_field_str(o, "id", str_of(marker));
    json_close(o, '}');
    json_close(o, '}');
}

bool slack_has_marker(struct json *message, const struct outbound *out)
{
    char marker[SLACK_MARKER_MAX];
    struct str id = STR_NONE;
    slack_marker(out, marker);
    json_get_str(json_get(json_get(message, "metadata"), "event_payload"), "id", &id);
    return str_eq(id, str_of(marker));
}
