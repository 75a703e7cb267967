/*
 * clock - time, and a virtual clock for tests. Monotonic milliseconds drive every deadline; wall
 * time is for people.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

uint64_t clock_ms(void);     /* monotonic */
int64_t clock_wall_ms(void); /* since 1970, UTC */

/* Tests: freeze both clocks at `ms` (monotonic 0-based); clock_advance moves them. clock_real
 * undoes it. */
void clock_virtual(uint64_t ms);
void clock_advance(uint64_t ms);
void clock_real(void);
bool clock_is_virtual(void);

/* "2026-11-22T20:01:09.123Z" */
#define CLOCK_TEXT_MAX 25
void clock_text(int64_t wall_ms, char ret[CLOCK_TEXT_MAX]);

/* "12 s", "3 min", "2 h", "4 d": for people; rounded up. */
#define CLOCK_SPAN_MAX 32
void clock_span(uint64_t ms, char ret[CLOCK_SPAN_MAX]);
