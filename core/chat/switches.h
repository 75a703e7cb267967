/*
 * switches - the flags of a turn: for whom they are asked, in one place.
 */
#pragma once
#include "core/base/json.h"
#include "core/flag/flag.h"

struct buf;
struct channel;
struct chat;
struct place;
struct turn;

/* What is asked for once a turn: it must not change under its steps. "" = as configured. */
struct switched {
    struct str model, system_prompt;
};

/* The request is claimed: from now on the turn's flags can be looked up. Again once it has a layer
 * (t->who.layer). */
void switches_init(struct turn *t);

/* What the flag says now, for this turn; where nobody has set it, its default, or `configured`. */
bool switch_on(const struct turn *t, enum flag_id id);
bool switch_on_or(const struct turn *t, enum flag_id id, bool configured);
int64_t switch_number_or(const struct turn *t, enum flag_id id, int64_t configured);
/* A copy in the turn's memory; "" = as configured. */
struct str switch_text(struct turn *t, enum flag_id id);

/* Before a person is known: for flags of FLAG_PLACE. */
bool switch_on_in(const struct chat *chat, const struct channel *ch, const struct place *where,
                  enum flag_id id);

/* For the receipt: a member "flags" with those that are not as they are by default, if there are
 * any; and the words for people, as the end of a list. */
void switches_put(struct json_out *o, const struct turn *t);
void switches_tell(struct buf *to, struct json *flags);
