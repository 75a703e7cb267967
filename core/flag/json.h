/*
 * json - flags as others read them: which there are, and what is set.
 */
#pragma once
#include "core/base/json.h"
#include "core/flag/rule.h"

/* null: it is not set. */
void flag_json_value(struct json_out *o, enum flag_type type, const struct flag_value *v);
/* All flags of this program, for flags_register() of the database. */
void flag_json_registry(struct buf *to);
/*
 * What is set and depends on no person, all values as texts, for cache_features_put:
 * {"global": {name: value}, "channel": {type: {name: value}}}
 */
void flag_json_features(const struct flag_table *t, struct buf *to);
