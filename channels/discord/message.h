/*
 * message - what people see of a message (docs.discord.com/developers/resources/message): its text
 * and what is attached to it. Pure; for parse.c.
 */
#pragma once
#include "channels/discord/parse.h"

struct discord_words {
    struct str text;  /* clean, without mentions of us; with what was forwarded, and the poll */
    bool mentions_us; /* in its list of mentions: a text can hold anything */
    struct attachment *attachments; /* stickers and the ones of what was forwarded, too */
    size_t n_attachments;
};

void discord_words(const struct discord_reader *reader, struct json *message, struct arena *a,
                   struct discord_words *ret);

/*
 * The message that it replies to, unless that is one of ours, which a model knows: its text as a
 * quote before `words`, or as the text itself when there is nothing but a mention of us; and its
 * attachments. A command stays one.
 */
void discord_quote(const struct discord_reader *reader, struct json *message, struct arena *a,
                   struct discord_words *words);
