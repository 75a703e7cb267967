/*
 * link - /link: a code asked for in one app and typed in another makes two identities one person,
 * who then has the same preferences, limits and history in both. For the table of command.c.
 */
#pragma once
#include "core/base/str.h"
#include "core/loop/flow.h"

struct turn;

/* As `run` and `done` of struct command. */
enum flow_rc link_run(struct turn *t, struct str args);
enum flow_rc link_done(struct turn *t);
