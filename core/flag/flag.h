/*
 * flag - a behaviour that an admin switches while the program runs. The table of all flags is in
 * registry.c; a new one is a line there, a line in enum flag_id, and a look-up where it matters.
 *
 * What a flag gives, the first of these that has something to say:
 *   1. the kill switch    for everyone, at once: the flag's value for that case
 *   2. a layer            of the unit that is asked for (an experiment)
 *   3. a rule             the most specific one that holds: about a person, a thread, a place, a
 *                         workspace, a channel (account), a type of channel, everybody. Of equally
 *                         specific ones that which names more, then the older one. A rule may have
 * a start, an end, and a percentage; who is not in goes on to the next rule.
 *   4. the global value
 *   5. the default        of the registry, or what is configured
 */
#pragma once
#include "core/base/str.h"
#include "core/base/uuid.h"

enum flag_id {
    FLAG_ANSWERS,
    FLAG_STREAMING,
    FLAG_TYPING,
    FLAG_COMPACTION,
    FLAG_RESPONSE_CACHE,
    FLAG_MIDSTREAM_FAILOVER,
    FLAG_HEDGED_REQUESTS,
    FLAG_VOTES,
    FLAG_SLASH_COMMANDS,
    FLAG_TOOLS,
    FLAG_MCP_SECURITY,
    FLAG_PICTURES,
    FLAG_BUDGET_ALERTS,
    FLAG_MAX_CONVERSATION_LENGTH,
    FLAG_RATE_PER_MINUTE,
    FLAG_MODEL,
    FLAG_SYSTEM_PROMPT,
    FLAG_N,
};

enum flag_type { FLAG_BOOLEAN, FLAG_NUMBER, FLAG_TEXT };

/* What rules it may have. */
enum flag_reach {
    FLAG_ANYBODY,
    FLAG_PLACE,  /* it is decided before we know the person: none about one */
    FLAG_GLOBAL, /* none */
};

struct flag_value {
    bool set;         /* else: as configured */
    int64_t number;   /* of a boolean 0 or 1 */
    const char *text; /* of a text; else NULL */
};

struct flag_spec {
    const char *name;
    enum flag_type type;
    enum flag_reach reach;
    struct flag_value def, killed;
    int64_t min, max;         /* of a number; bytes of a text without words */
    const char *const *words; /* of a text, NULL-terminated; NULL = any */
    const char *help;         /* one sentence */
};
extern const struct flag_spec flag_specs[FLAG_N];
extern const char *const flag_type_words[];  /* by enum flag_type */
extern const char *const flag_reach_words[]; /* by enum flag_reach */

/* FLAG_N: there is none of this name. */
enum flag_id flag_by_name(struct str name);
/* Whether a flag may have this value: its type is the caller's business, this is bounds and words.
 */
bool flag_may_be(enum flag_id id, const struct flag_value *v);

/* Values that go before all rules, for one unit: of an experiment. They must fit the flag. */
struct flag_layer {
    const struct flag_value *v[FLAG_N]; /* NULL = nothing to say */
    const char *by[FLAG_N];             /* whose, for people */
};

#define FLAG_LEVELS 7

/* For whom. Strings are borrowed as long as it is used. */
struct flag_who {
    struct str channel_type, channel; /* "telegram", the account's name */
    struct str workspace, place, thread;
    struct uuid person;             /* nil: not known */
    const struct flag_layer *layer; /* NULL = none */
    uint64_t keys[FLAG_LEVELS];     /* flag_who_ready's */
    uint64_t place_unit;
};
/* Once all its members but the layer are set, and before any look-up. */
void flag_who_ready(struct flag_who *who);

/* What decided. */
enum flag_by {
    FLAG_BY_KILL,
    FLAG_BY_LAYER,
    FLAG_BY_PERSON, /* here FLAG_LEVELS rules begin, the most specific one first */
    FLAG_BY_THREAD,
    FLAG_BY_PLACE,
    FLAG_BY_WORKSPACE,
    FLAG_BY_CHANNEL,
    FLAG_BY_TYPE,
    FLAG_BY_EVERYBODY,
    FLAG_BY_VALUE,
    FLAG_BY_DEFAULT,
};
extern const char *const flag_by_words[];

struct flag_why {
    enum flag_by by;
    int64_t rule;      /* its id; 0 = it was none */
    const char *layer; /* FLAG_BY_LAYER: whose */
};

struct flags;
/*
 * Look a flag up: no I/O, some ten nanoseconds.
 * f      NULL = nothing is set
 * who    NULL = nobody in particular: rules about everybody without a percentage, and the global
 *        value
 * why    set; may be NULL
 * Never NULL. The value, with its text, lives until the loop goes on: copy a text to keep it.
 */
const struct flag_value *flag_find(const struct flags *f, enum flag_id id,
                                   const struct flag_who *who, struct flag_why *why);

/* By type; an as-configured one needs the _or form, which says what is configured. */
bool flag_bool(const struct flags *f, enum flag_id id, const struct flag_who *who);
bool flag_bool_or(const struct flags *f, enum flag_id id, const struct flag_who *who,
                  bool configured);
int64_t flag_int(const struct flags *f, enum flag_id id, const struct flag_who *who);
int64_t flag_int_or(const struct flags *f, enum flag_id id, const struct flag_who *who,
                    int64_t configured);
/* NULL = as configured. */
const char *flag_text(const struct flags *f, enum flag_id id, const struct flag_who *who);
