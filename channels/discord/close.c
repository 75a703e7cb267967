/* close: the table of close codes. */
#include "channels/discord/close.h"

#include <stddef.h>

#define PORTAL "Discord developer portal, your application, Bot: "

static const struct {
    int code;
    enum discord_next next;
    enum err_kind kind;
    const char *text;
} rules[] = {
    /* Discord ends quiet sessions so; what it says of them afterwards is op 9. */
    { 1000, DISCORD_IDENTIFY, ERR_IO, "Discord has ended the session" },
    { 1001, DISCORD_IDENTIFY, ERR_IO, "Discord has ended the session" },
    { 4000, DISCORD_RESUME, ERR_IO, "Discord does not know what went wrong" },
    { 4001, DISCORD_RESUME, ERR_PROTO, "Discord did not know our opcode" },
    { 4002, DISCORD_RESUME, ERR_PROTO, "Discord could not read our payload" },
    { 4003, DISCORD_IDENTIFY, ERR_PROTO, "not identified" },
    { 4004, DISCORD_STOP, ERR_AUTH,
      "token: Discord refuses it; " PORTAL "Reset Token gives a new one" },
    { 4005, DISCORD_IDENTIFY, ERR_PROTO, "identified twice" },
    { 4006, DISCORD_IDENTIFY, ERR_IO, "the session is not valid any more" },
    { 4007, DISCORD_IDENTIFY, ERR_PROTO, "the sequence was not right" },
    { 4008, DISCORD_RESUME, ERR_LIMIT, "we sent too fast" },
    { 4009, DISCORD_RESUME, ERR_IO, "the session timed out" }, /* op 9 tells whether it has ended */
    { 4010, DISCORD_STOP, ERR_CONF, "shards: Discord refuses this number" },
    { 4011, DISCORD_STOP, ERR_CONF, "shards: this bot is on so many servers that it needs more" },
    { 4012, DISCORD_STOP, ERR_CONF, "Discord does not speak this version any more: update Parley" },
    { 4013, DISCORD_STOP, ERR_CONF, "Discord refuses our intents: update Parley" },
    { 4014, DISCORD_STOP, ERR_AUTH,
      "message_content: switch on " PORTAL
      "Privileged Gateway Intents, Message Content Intent; or set message_content = false" },
};

enum discord_next discord_close_rule(int code, struct err *why)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].code != code) continue;
        err_set(why, rules[i].kind, "%s (close code %d)", rules[i].text, code);
        return rules[i].next;
    }
    if (code)
        err_set(why, ERR_IO, "Discord has closed the connection (close code %d)", code);
    else
        err_set(why, ERR_IO, "the connection was lost");
    return DISCORD_RESUME;
}
