/*
 * log - one line per decision: time level who "message" key=value ...
 *
 * error = a human must act; warn = degraded, and what we do instead; info = state changes and one
 * line per turn; debug = every transition. Never a token; message text only at debug. A line that
 * repeats (same who and message) more than LOG_REPEAT_MAX times a second is held back and counted:
 * "held=N" is on the next one that passes.
 */
#pragma once
#include "core/base/str.h"
#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

#define LOG_REPEAT_MAX 20

void log_setup(enum log_level level, enum log_format format);
bool log_level_parse(struct str s, enum log_level *ret);

/*
 * Register a secret: every later line has it replaced by "***". The bytes are copied; shorter than
 * 6 are ignored.
 */
void log_secret(struct str secret);

/* Tests: lines go to `sink` instead of standard error. NULL undoes it. */
void log_sink(void (*sink)(struct str line, void *ctx), void *ctx);

/*
 * who      the object that speaks: "telegram/support", "pg", "turn"
 * message  constant text without figures; `fmt` holds key=value pairs (values with spaces in
 * quotes: use %s with log_quote) or is ""
 */
void log_write(enum log_level level, const char *who, const char *message, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* `s` as a quoted value with control characters escaped, cut at 200 bytes ("…" says so); a ring of
 * 8 static buffers. */
const char *log_quote(struct str s);

extern enum log_level log_level_now;
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) (log_level_now >= LOG_DEBUG ? log_write(LOG_DEBUG, __VA_ARGS__) : (void)0)
