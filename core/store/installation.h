/*
 * installation - the workspaces that have installed an app of ours, with a sealed token each.
 */
#pragma once
#include "core/store/store.h"

struct installation {
    struct str channel;   /* the account's name */
    struct str workspace; /* the platform's id */
    struct str title;     /* its name for people */
    struct str bot_user, bot;
    struct str token; /* sealed (net/sign.h); never in the clear */
    struct str scopes;
};

/* New, or once more with another token. Strings borrowed until the op ends. */
void store_installation_put(struct store *s, struct op *op, const struct installation *in);

/* Rows, none or one: workspace, title, bot_user, bot, token. */
void store_installation_get(struct store *s, struct op *op, struct str channel,
                            struct str workspace, struct pg_rows *rows);

/* Harmless when there is none. */
void store_installation_drop(struct store *s, struct op *op, struct str channel,
                             struct str workspace);
