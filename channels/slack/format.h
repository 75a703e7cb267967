/*
 * format - a reply's Markdown as Slack's two kinds of text: mrkdwn
 * (docs.slack.dev/messaging/formatting-message-text) and the Markdown of its `markdown` block and
 * of streams. Pure.
 */
#pragma once
#include "core/base/buf.h"

/* Of `text`, as it is sent: escapes counted, in UTF-16 units, which is never less than characters.
 */
#define SLACK_TEXT_MAX     4000
/* Of all markdown in one call; the caller's to see to, slack_markdown can make a text longer. */
#define SLACK_MARKDOWN_MAX 12000

/*
 * For `text` of chat.postMessage and chat.update. Bold, italic, strike, code, quotes and links are
 * Slack's own; headings are bold lines, lists have marks and indentation, tables become aligned
 * code blocks, HTML is shown as text. A block of code loses the name of its language: Slack has no
 * place for it, and as a first line it would be copied with the code. The label of a link that
 * looks like another address stands before the real one. What the model wrote as plain text calls
 * nobody and means nothing to Slack, but for the names of emoji.
 *
 * markdown   valid UTF-8
 * to         appended to
 * False: it cannot be formatted, or would be longer than SLACK_TEXT_MAX; `to` is as before, and the
 * caller sends slack_escape's, never the Markdown itself.
 */
bool slack_format(struct str markdown, struct buf *to);

/* The text as it is, but nothing in it is a link or calls anybody. False: `to` is as before. */
bool slack_escape(struct str text, struct buf *to);

/*
 * For the `markdown` block and for `markdown_text`: the same Markdown, in which no tag of HTML and
 * nothing of Slack's own (<!channel>, <@U1>, <#C1>, <https://a.b|c>) is one any more. Autolinks
 * like <https://a.b> stay. A link whose label names another address is parted by an invisible space
 * (U+200B), and none any more.
 *
 * Works line by line, and a line's output hangs on this line and those before it. So for a text cut
 * behind a line end, the output of the first part is the beginning of the output of the whole; cut
 * anywhere else, that holds up to the last line end. The price: code in backticks that goes on
 * in the next line is not seen as code, and shows &lt; there for a < that begins a tag.
 *
 * markdown   valid UTF-8
 * to         appended to. False: it is full, and as before.
 */
bool slack_markdown(struct str markdown, struct buf *to);
