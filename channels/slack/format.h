/*
 * format - a reply's Markdown in Slack's two dialects
 * (docs.slack.dev/messaging/formatting-message-text,
 * docs.slack.dev/reference/block-kit/blocks/markdown-block). Pure.
 */
#pragma once
#include "core/base/buf.h"

#define SLACK_TEXT_MAX     4000  /* of `text`: UTF-16 units, to be safe */
#define SLACK_MARKDOWN_MAX 12000 /* of all markdown of a message: the same */

/*
 * mrkdwn. Bold, italics, strikethrough, code, quotes and links are Slack's own; headings become
 * bold lines, tables aligned code blocks, pictures their address; lists are drawn; HTML is shown as
 * text. Slack has no name for a block's language. The three signs that Slack reads are escaped
 * everywhere, so nothing in the text can become a mention, a date or a link of its own; a link
 * whose text is another address shows both.
 *
 * markdown   valid UTF-8
 * to         appended to
 * False: it cannot be formatted, or would be longer than SLACK_TEXT_MAX; `to` is as before, and the
 * caller sends plain text.
 */
bool slack_format(struct str markdown, struct buf *to);

/*
 * Markdown for a markdown block or a stream: as it is, but where Slack's own markup stands in it,
 * an invisible space (U+200B) takes its effect away, in code as well; and a link whose text is
 * another address is none any more. False: longer than SLACK_MARKDOWN_MAX; `to` is as before.
 *
 * Of a text that is cut before a blank the result is the beginning of the whole text's, unless the
 * cut is inside a link.
 */
bool slack_markdown(struct str markdown, struct buf *to);

/* Does the text of a link pretend to be another address than `url`? */
bool slack_is_fake(struct str label, struct str url);
