/*
 * message - what people see of a Message: its text and what is attached to it. Pure; for parse.c.
 */
#pragma once
#include "channels/telegram/parse.h"

/* What the text says about whom it is for. */
struct telegram_words {
    struct str text;      /* clean, without mentions of us; "/command@us" is "/command" */
    bool mentions_us;     /* by name, or with a command of ours */
    bool names_another;   /* a command with another bot's name */
    bool depends_on_name; /* our username would have decided something, and is not known */
};

/* Text or caption of a Message, with its entities read. */
void telegram_words(const struct telegram_reader *reader, struct json *message, struct arena *a,
                    struct telegram_words *ret);

/* Returns how many there are. */
size_t telegram_attachments(const struct telegram_reader *reader, struct json *message,
                            struct arena *a, struct attachment **ret);
