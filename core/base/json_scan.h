/*
 * json_scan - what json-c lets through even when it is strict. Inside core/base only.
 */
#pragma once
#include "core/base/str.h"

#define JSON_DEPTH_MAX 32

/* Bytes at the start of `s` that may stand in a JSON string as they are. */
size_t json_plain(struct str s);

/*
 * Check tokens: UTF-8, strings, escapes, numbers, literals, depth. Their order is left to json-c.
 * Returns NULL when all is well, else what is wrong (constant text), with its offset in *ret_at.
 */
const char *json_scan(struct str text, size_t *ret_at);
