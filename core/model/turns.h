/*
 * turns - a conversation as Anthropic and Gemini demand it: people and model by turns, people
 * first. Neighbours of one side become one turn, and what says nothing is left out. Pure.
 */
#pragma once
#include "core/model/model.h"

struct turn {
    bool assistant;
    const struct model_message *v; /* n of them; leave out those that turn_says denies */
    size_t n;
};

struct turns {
    const struct model_ask *ask;
    size_t at;
    bool begun;
};

#define TURNS(ask_)    \
    {                  \
        .ask = (ask_), \
    }

/* The next turn; its messages are the ask's. False: there is none. */
bool turns_next(struct turns *t, struct turn *ret);
/* Is there anything to be sent? Not a system text, which goes elsewhere, nor white space; what a
 * model wants back, though, without any text. */
bool turn_says(const struct model_message *msg);
