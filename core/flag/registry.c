/* registry: the one table of all flags. */
#include "core/flag/flag.h"

#define ON                       \
    {                            \
        .set = true, .number = 1 \
    }
#define OFF                      \
    {                            \
        .set = true, .number = 0 \
    }
#define NUMBER(n)                  \
    {                              \
        .set = true, .number = (n) \
    }
#define WORD(w)                  \
    {                            \
        .set = true, .text = (w) \
    }
#define AS_CONFIGURED \
    {                 \
        .set = false  \
    }

static const char *const cache_words[] = { "off", "person", "channel", NULL };

const char *const flag_type_words[] = { "boolean", "number", "text" };
const char *const flag_reach_words[] = { "anybody", "place", "global" };
const char *const flag_by_words[] = {
    "kill switch", "experiment", "person",    "thread", "place",   "workspace",
    "channel",     "type",       "everybody", "global", "default",
};

const struct flag_spec flag_specs[FLAG_N] = {
    [FLAG_ANSWERS] = { "answers", FLAG_BOOLEAN, .def = ON, .killed = OFF,
                       .help = "Questions are answered; off: people are told that they are not, at "
                               "the moment." },
    [FLAG_STREAMING] = { "streaming", FLAG_BOOLEAN, .def = ON, .killed = OFF,
                         .help = "An answer is shown while it grows; off: only when it is whole." },
    [FLAG_TYPING] = { "typing", FLAG_BOOLEAN, .def = ON, .killed = OFF,
                      .help = "Platforms that can show it say that an answer is being written." },
    [FLAG_COMPACTION] = { "compaction", FLAG_BOOLEAN, .def = AS_CONFIGURED, .killed = OFF,
                          .help =
                              "The older half of a long conversation becomes a summary; default: "
                              "chat.compact." },
    [FLAG_RESPONSE_CACHE] = { "response_cache", FLAG_TEXT, .def = AS_CONFIGURED,
                              .killed = WORD("off"), .words = cache_words,
                              .help = "Whose earlier answer to the same question is given again; "
                                      "default: chat.cache." },
    [FLAG_MIDSTREAM_FAILOVER] = { "midstream_failover", FLAG_BOOLEAN, .def = ON, .killed = OFF,
                                  .help =
                                      "When a model fails in the middle of its answer the route's "
                                      "next one takes over; off: half an answer is kept." },
    [FLAG_HEDGED_REQUESTS] = { "hedged_requests", FLAG_BOOLEAN, .def = ON, .killed = OFF,
                               .help =
                                   "A route with hedge asks another model as well when the first is "
                                   "late; off: it waits." },
    [FLAG_VOTES] = { "votes", FLAG_BOOLEAN, FLAG_PLACE, .def = ON, .killed = OFF,
                     .help =
                         "People can say what they think of an answer; off: no thumbs are shown "
                         "and none are counted." },
    [FLAG_SLASH_COMMANDS] = { "enable_slash_commands", FLAG_BOOLEAN, .def = ON, .killed = OFF,
                              .help =
                                  "Commands are obeyed; off: only those that nobody should lack, "
                                  "like /stop, /new, /export and /forget." },
    [FLAG_TOOLS] = { "tools", FLAG_BOOLEAN, .def = ON, .killed = OFF,
                     .help = "Models may call the tools that are configured." },
    [FLAG_MCP_SECURITY] = { "enable_mcp_security", FLAG_BOOLEAN, FLAG_GLOBAL, .def = AS_CONFIGURED,
                            .killed = ON,
                            .help = "Servers of tools are not trusted. Off does nothing where the "
                                    "configuration says mcp.enable_mcp_security = true." },
    [FLAG_PICTURES] = { "pictures", FLAG_BOOLEAN, .def = ON, .killed = OFF,
                        .help = "Models that can look at pictures get them." },
    [FLAG_BUDGET_ALERTS] = { "budget_alerts", FLAG_BOOLEAN, .def = ON, .killed = OFF,
                             .help = "A sentence under an answer says that a budget is nearly used "
                                     "up." },
    [FLAG_MAX_CONVERSATION_LENGTH] = { "max_conversation_length", FLAG_NUMBER, .def = NUMBER(0),
                                       .killed = NUMBER(0), .min = 0, .max = 1000000,
                                       .help =
                                           "After so many messages a conversation ends, and people "
                                           "are asked to begin another with /new; 0: never." },
    [FLAG_RATE_PER_MINUTE] = { "rate_per_minute", FLAG_NUMBER, .def = AS_CONFIGURED,
                               .killed = AS_CONFIGURED, .min = 0, .max = 1000000,
                               .help = "Questions a person may ask in a minute, 0: any number; "
                                       "default: as the channel or chat.rate_per_minute says." },
    [FLAG_MODEL] = { "model", FLAG_TEXT, .def = AS_CONFIGURED, .killed = AS_CONFIGURED, .min = 1,
                     .max = 100,
                     .help =
                         "The model or route that answers whoever has chosen none; one that is not "
                         "known changes nothing." },
    [FLAG_SYSTEM_PROMPT] = { "system_prompt", FLAG_TEXT, .def = AS_CONFIGURED,
                             .killed = AS_CONFIGURED, .min = 1, .max = 16384,
                             .help = "What models are told before the conversation; default: "
                                     "chat.system_prompt." },
};

enum flag_id flag_by_name(struct str name)
{
    enum flag_id id = 0;
    while (id < FLAG_N && !str_eq(name, str_of(flag_specs[id].name))) id++;
    return id;
}

bool flag_may_be(enum flag_id id, const struct flag_value *v)
{
    const struct flag_spec *s = &flag_specs[id];
    if (s->type == FLAG_BOOLEAN) return true;
    if (s->type == FLAG_NUMBER) return v->number >= s->min && v->number <= s->max;
    for (size_t i = 0; s->words && s->words[i]; i++)
        if (strcmp(s->words[i], v->text) == 0) return true;
    int64_t n = (int64_t)strlen(v->text);
    return !s->words && n >= s->min && n <= s->max;
}
