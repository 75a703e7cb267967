/*
 * uuid - RFC 9562 version 7 with a counter behind the milliseconds (its section 6.2, method 1).
 *
 * 48 bits ms, 18 bits counter (rand_a and the first 6 of rand_b), 56 bits random. The counter
 * begins each millisecond at a random place in its lower half. When it runs over, or the clock goes
 * back, time is what it was last (plus 1).
 */
#include "core/base/uuid.h"

#include "core/base/clock.h"
#include "core/base/rand.h"

#define COUNTER_BITS 18
#define COUNTER_MAX  ((1u << COUNTER_BITS) - 1)

static uint64_t last_ms;
static uint32_t counter;

/* Forward the (last_ms, counter) pair to one that was never used. */
static void next_tick(void)
{
    uint64_t now = (uint64_t)clock_wall_ms();
    if (now <= last_ms && counter < COUNTER_MAX) {
        counter++;
        return;
    }
    last_ms = now > last_ms ? now : last_ms + 1;
    counter = (uint32_t)rand_u64() & (COUNTER_MAX >> 1);
}

static bool dash_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

struct uuid uuid_v7(void)
{
    struct uuid u;
    next_tick();
    for (int i = 0; i < 6; i++) u.b[i] = (uint8_t)(last_ms >> (40 - 8 * i));
    u.b[6] = (uint8_t)(0x70 | counter >> 14);
    u.b[7] = (uint8_t)(counter >> 6);
    u.b[8] = (uint8_t)(0x80 | (counter & 0x3F));
    rand_bytes(u.b + 9, 7);
    return u;
}

void uuid_text(const struct uuid *u, char ret[UUID_TEXT_MAX])
{
    for (size_t i = 0; i < sizeof(u->b); i++) {
        if (dash_before(i)) *ret++ = '-';
        *ret++ = "0123456789abcdef"[u->b[i] >> 4];
        *ret++ = "0123456789abcdef"[u->b[i] & 15];
    }
    *ret = '\0';
}

bool uuid_parse(struct str s, struct uuid *ret)
{
    struct uuid u;
    if (s.n != UUID_TEXT_MAX - 1) return false;
    const char *p = s.p;
    for (size_t i = 0; i < sizeof(u.b); i++, p += 2) {
        if (dash_before(i) && *p++ != '-') return false;
        int high = str_hex_digit(p[0]), low = str_hex_digit(p[1]);
        if (high < 0 || low < 0) return false;
        u.b[i] = (uint8_t)(high << 4 | low);
    }
    *ret = u;
    return true;
}

bool uuid_is_nil(const struct uuid *u)
{
    return uuid_eq(u, &(struct uuid){ { 0 } });
}

bool uuid_eq(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

int64_t uuid_wall_ms(const struct uuid *u)
{
    int64_t ms = 0;
    for (int i = 0; i < 6; i++) ms = ms << 8 | u->b[i];
    return ms;
}
