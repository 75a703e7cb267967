/*
 * body - the arguments of the calls that show a message. Pure.
 */
#pragma once
#include "core/base/json.h"
#include "core/chat/channel.h"

#define SLACK_SECTION_MAX 3000 /* characters of a section block */

struct slack_face {
    struct str text;     /* mrkdwn: all there is, or what notifications show */
    struct str markdown; /* for a markdown block; "" = a section with `text` */
    bool buttons;
};

/* The blocks of a message; [] when the text alone will do. */
void slack_put_blocks(struct json_out *o, const struct outbound *out, const struct slack_face *f);
/* Only the row of buttons, for the end of a stream. */
void slack_put_buttons(struct json_out *o, const struct outbound *out);

/* "metadata": the marker. docs.slack.dev/messaging/message-metadata */
#define SLACK_MARKER_EVENT "parley_delivery"
#define SLACK_MARKER_MAX   25
void slack_marker(const struct outbound *out, char ret[SLACK_MARKER_MAX]);
void slack_put_marker(struct json_out *o, const struct outbound *out);
/* Does a message of the history carry the marker? */
bool slack_has_marker(struct json *message, const struct outbound *out);
