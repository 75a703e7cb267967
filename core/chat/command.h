/*
 * command - what a person can say with a slash, the same on every channel. A command is one
 * function and one line in the table of command.c.
 */
#pragma once
#include "core/base/str.h"
#include "core/loop/flow.h"

struct turn;

struct command {
    const char *name; /* "model", without the slash */
    const char *args; /* "[name]", for /help; Discord makes an option of the word */
    const char *help;
    bool urgent; /* does not wait for the running answer */
    /* A step of the turn: say something (turn_say) and FLOW_NEXT, or begin an op and FLOW_WAIT;
     * then `done` says it. */
    enum flow_rc (*run)(struct turn *t, struct str args);
    enum flow_rc (*done)(struct turn *t);
};

/* The command in a message, NULL if it is none. An unknown one is a command too: it answers with a
 * hint. */
const struct command *command_find(struct str text);

struct str command_args(struct str text); /* what follows the word */
/* Where commands come without a slash: can these words be meant for it, or is it a sentence that
 * only begins like it ("why is the sky blue?")? */
bool command_fits(const struct command *c, struct str args);

/* It is obeyed also where commands are switched off: what the buttons say, and what is anybody's
 * right. */
bool command_is_kept(const struct command *c);

/* The table, for platforms that want to be told (Telegram's menu); ends with name NULL. */
extern const struct command commands[];
