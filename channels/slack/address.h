/*
 * address - where a link leads, and whether its text says that it leads elsewhere. Pure.
 */
#pragma once
#include "core/base/str.h"

/* http, https, mailto or tel: what Slack makes a link. */
bool address_leads(struct str url);

/* Is `label` the address itself, perhaps without its scheme? */
bool address_is(struct str url, struct str label);

/* Is there a word in `label` that looks like the address of something else than `url`? */
bool address_in(struct str label, struct str url);
