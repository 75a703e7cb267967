/*
 * refusal - how most servers word a failure: {"error":{"message","type","code"}}, {"error":"text"},
 * {"message"}, {"detail"}, or no JSON at all. Pure.
 */
#pragma once
#include "core/base/json.h"
#include "core/model/policy.h"

/* As model_type.refusal. */
enum err_kind refusal_of(int http_status, struct str body, uint32_t hint_ms, struct err *why);
/* Does a document that came with a good status tell of a failure? */
bool refusal_is(struct json *doc);
/* That failure, classified. */
enum err_kind refusal_inside(struct json *doc, struct err *why);
