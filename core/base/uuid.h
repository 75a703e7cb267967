/*
 * uuid - UUIDv7 ids (RFC 9562), made in the process: they sort by time, and strictly by creation
 * within a process.
 */
#pragma once
#include "core/base/str.h"

struct uuid {
    uint8_t b[16];
};

#define UUID_TEXT_MAX 37
struct uuid uuid_v7(void);
void uuid_text(const struct uuid *u, char ret[UUID_TEXT_MAX]); /* lower case, with a NUL */
bool uuid_parse(struct str s, struct uuid *ret);               /* 8-4-4-4-12, any case */
bool uuid_is_nil(const struct uuid *u);
bool uuid_eq(const struct uuid *a, const struct uuid *b);
int64_t uuid_wall_ms(const struct uuid *u); /* the time inside a v7 */
