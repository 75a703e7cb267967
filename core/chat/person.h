/*
 * person - what people may do about themselves: /unlink, /continue, /export, /forget; and, where a
 * channel asks for it, being let in by an admin. For the table of command.c, and for the turn.
 */
#pragma once
#include "core/base/str.h"
#include "core/loop/flow.h"

struct turn;

/* As `run` and `done` of struct command. */
enum flow_rc unlink_run(struct turn *t, struct str args);
enum flow_rc unlink_done(struct turn *t);
enum flow_rc continue_run(struct turn *t, struct str args);
enum flow_rc continue_done(struct turn *t);
enum flow_rc export_run(struct turn *t, struct str args);
enum flow_rc export_done(struct turn *t);
enum flow_rc forget_run(struct turn *t, struct str args);
enum flow_rc forget_done(struct turn *t);
enum flow_rc approve_run(struct turn *t, struct str args);
enum flow_rc approve_done(struct turn *t);

/*
 * A step of the turn: FLOW_NEXT when the person may ask a model here; FLOW_STOP when an admin has
 * blocked them, which the reply says; else a code is made.
 */
enum flow_rc access_start(struct turn *t);
void access_refused(struct turn *t); /* then: say so, with the code */

/* Addresses of exports: this and the token. */
#define EXPORT_PATH      "/export/"
#define EXPORT_TOKEN_HEX 64
