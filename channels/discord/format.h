/*
 * format - a reply's Markdown as Discord's
 * (support.discord.com/hc/en-us/articles/210298617-Markdown-Text-101). Pure.
 */
#pragma once
#include "core/base/buf.h"

#define DISCORD_TEXT_MAX 2000 /* of a message; counted in UTF-16 units, to be safe */

/*
 * Headings, lists, quotes, code, emphasis and links are Discord's own; tables become aligned code
 * blocks, pictures their address, HTML is shown as text. What the model wrote as plain text is
 * escaped where Discord would take it for markup, so that nothing in it can become a mention that
 * looks like one, a spoiler or a timestamp.
 *
 * markdown   valid UTF-8
 * to         appended to
 * False: it cannot be formatted, or would be longer than DISCORD_TEXT_MAX; `to` is as before, and
 * the caller sends the Markdown itself.
 */
bool discord_format(struct str markdown, struct buf *to);
