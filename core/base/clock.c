/*
 * clock - the kernel's clocks, or one that tests move by hand, and times as people read them.
 */
#include "core/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define WALL_MIN_MS INT64_C(-62135596800000) /* 0001-01-01 */
#define WALL_MAX_MS INT64_C(253402300799999) /* 9999-12-31: four digits of year */

static bool is_virtual;
static uint64_t virtual_ms;

static int64_t kernel_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* `n` digits at p, leading zeros included; returns what comes behind them. */
static char *put_digits(char *p, int v, int n)
{
    for (int i = n - 1; i >= 0; i--, v /= 10) p[i] = (char)('0' + v % 10);
    return p + n;
}

uint64_t clock_ms(void)
{
    return is_virtual ? virtual_ms : (uint64_t)kernel_ms(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
    return is_virtual ? (int64_t)virtual_ms : kernel_ms(CLOCK_REALTIME);
}

void clock_virtual(uint64_t ms)
{
    is_virtual = true;
    virtual_ms = ms;
}

void clock_advance(uint64_t ms)
{
    virtual_ms += ms;
}

void clock_real(void)
{
    is_virtual = false;
}

bool clock_is_virtual(void)
{
    return is_virtual;
}

void clock_text(int64_t wall_ms, char ret[CLOCK_TEXT_MAX])
{
    if (wall_ms < WALL_MIN_MS) wall_ms = WALL_MIN_MS;
    if (wall_ms > WALL_MAX_MS) wall_ms = WALL_MAX_MS;
    int64_t ms = (wall_ms % 1000 + 1000) % 1000;
    time_t seconds = (time_t)((wall_ms - ms) / 1000);
    struct tm t;
    gmtime_r(&seconds, &t);

    /* By hand: every log line comes through here. */
    char *p = put_digits(ret, t.tm_year + 1900, 4);
    *p++ = '-';
    p = put_digits(p, t.tm_mon + 1, 2);
    *p++ = '-';
    p = put_digits(p, t.tm_mday, 2);
    *p++ = 'T';
    p = put_digits(p, t.tm_hour, 2);
    *p++ = ':';
    p = put_digits(p, t.tm_min, 2);
    *p++ = ':';
    p = put_digits(p, t.tm_sec, 2);
    *p++ = '.';
    p = put_digits(p, (int)ms, 3);
    *p++ = 'Z';
    *p = '\0';
}

void clock_span(uint64_t ms, char ret[CLOCK_SPAN_MAX])
{
    static const struct {
        uint64_t ms, below;
        const char *unit;
    } units[] = {
        { 1000, 60, "s" },
        { 60000, 60, "min" },
        { 3600000, 48, "h" },
        { 86400000, UINT64_MAX, "d" },
    };

    /* Rounded up: who waits as long as we say must not come too early. */
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        uint64_t n = ms / units[i].ms + (ms % units[i].ms != 0);
        if (n < units[i].below) {
            snprintf(ret, CLOCK_SPAN_MAX, "%" PRIu64 " %s", n, units[i].unit);
            return;
        }
    }
}
