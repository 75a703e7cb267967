/*
 * format - a reply's Markdown as Telegram's HTML (core.telegram.org/bots/api#html-style). Pure.
 */
#pragma once
#include "core/base/buf.h"

/* Of one message, after Telegram has parsed the tags. Telegram counts code points or less. */
#define TELEGRAM_TEXT_MAX 4096 /* UTF-16 units */
/* And before it has. */
#define TELEGRAM_HTML_MAX 32768 /* bytes */

/*
 * Append the HTML of `markdown` to `to`. Tags nest, everything else is escaped, links lead to
 * http, https, tg and mailto only.
 * False: it would be empty or too long as HTML, and nothing is appended: send `markdown` as it is,
 * as plain text.
 */
bool telegram_format(struct str markdown, struct buf *to);
