/*
 * bot - one Slack app: what its files share.
 */
#pragma once
#include "channels/slack/parse.h"
#include "core/chat/channel.h"

enum slack_transport { SLACK_SOCKET, SLACK_EVENTS };
enum slack_text { SLACK_TEXT_MARKDOWN, SLACK_TEXT_MRKDWN };

struct slack_api;
struct slack_hooks;
struct slack_oauth;
struct slack_links;
struct slack_streams;
struct slack_teams;

struct slack {
    struct channel channel;

    /* configuration */
    const char *bot_token, *app_token, *signing_secret;
    const char *client_id, *client_secret, *seal_secret;
    const char *api_url, *reaction;
    int transport, groups, text;
    bool buttons, streaming;
    int64_t sockets, ping_ms;
    struct conf_list channels, allow;

    /* since open */
    char name[32];    /* for limits: gives nothing of a token away */
    uint8_t seal[32]; /* the key of tickets, made from the secrets */
    struct slack_api *api;
    struct slack_teams *teams;
    struct slack_streams *streams;
    struct slack_links *links; /* links.c: with transport = "socket", until pause or close */
    struct slack_hooks *hooks; /* with transport = "events" */
    struct slack_oauth *oauth; /* with a client_id */
    struct list open_sockets;  /* struct slack_socket, the retired ones too */
    struct list orphans;       /* envelopes whose connection is gone */
    struct list takes;         /* payloads on their way into the database: take.c */
    size_t n_takes;
    struct list notes; /* calls that nobody waits for: note.c */
};

/* slack.c: what open does before anything is asked of Slack. Undone by slack_forget. */
void slack_prepare(struct slack *s);
void slack_forget(struct slack *s);

static inline struct slack *slack_of(struct channel *ch)
{
    return container_of(ch, struct slack, channel);
}

static inline struct slack_reader slack_reader(const struct slack *s)
{
    return (struct slack_reader){ .groups = s->groups, .channels = s->channels, .allow = s->allow };
}
