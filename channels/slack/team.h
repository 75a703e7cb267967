/*
 * team - the workspaces that we are in, and the token of each: the one of the configuration, which
 * Slack is asked about, or those that installed the app, which the database keeps sealed.
 */
#pragma once
#include "channels/slack/bot.h"
#include "core/base/map.h"

#define SLACK_ID_MAX 72

struct slack_team {
    struct map_node node;
    char id[SLACK_ID_MAX], user[SLACK_ID_MAX], bot[SLACK_ID_MAX];
    char title[128];
    char token[256];
    uint64_t known_ms; /* when it was learnt */
};

void slack_teams_open(struct slack *s);
void slack_teams_close(struct slack *s); /* harmless twice */

/* Ask Slack about bot_token until it answers, and say channel_up or channel_down; no-op without. */
void slack_teams_greet(struct slack *s);

/*
 * Make sure that the workspace `id` is known, if there is anything to know.
 * id       borrowed until the op ends
 * op       succeeds: slack_team says the rest. ERR_NOT_FOUND: we are not in it. ERR_IO ...: not
 *          known yet
 */
void slack_teams_find(struct slack *s, struct op *op, struct str id);
/* NULL: not known (yet). Valid until the next turn of the loop. */
const struct slack_team *slack_team(const struct slack *s, struct str id);

/* Somebody installed us, here or in another process; a token that is in force at once. */
void slack_team_put(struct slack *s, const struct slack_team *team);
/* We were removed, or the token does not work any more. The database forgets it too. */
void slack_team_drop(struct slack *s, struct str id);

/* For the database: the token, sealed; and back. False: another key, or damaged. */
bool slack_token_seal(const struct slack *s, struct str token, struct buf *to);
bool slack_token_open(const struct slack *s, struct str sealed, struct buf *to);
