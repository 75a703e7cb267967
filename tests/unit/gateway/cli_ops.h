/* cli_ops - operations for tests of the command line: every kind of argument, every shape of path.
 */
#pragma once
#include "gateway/cli/cli.h"

static const char *const moods[] = { "glad", "sad", NULL };

static const struct admin_field thing_fields[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Its name." },
    { "count", ADMIN_INT, ADMIN_REQUIRED },
    { "made_at", ADMIN_TIME, ADMIN_REQUIRED },
    { "is_on", ADMIN_BOOL, ADMIN_REQUIRED },
    { "secret", ADMIN_TEXT, ADMIN_ONCE },
    { "tags", ADMIN_TEXTS, ADMIN_REQUIRED },
    ADMIN_END,
};
static const struct admin_type thing_type = { "Thing", thing_fields };

static const struct admin_field set_args[] = {
    { "owner", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Whose." },
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Its name." },
    { "value", ADMIN_ANY, ADMIN_REQUIRED, .help = "What it becomes." },
    { "mood", ADMIN_WORD, .words = moods, .help = "How." },
    { "count", ADMIN_INT, ADMIN_NULLABLE, .help = "How many." },
    { "share", ADMIN_NUMBER, .help = "How much." },
    { "is_on", ADMIN_BOOL, ADMIN_NULLABLE, .help = "Whether." },
    { "tags", ADMIN_TEXTS, ADMIN_NULLABLE, .help = "Words." },
    { "more", ADMIN_OBJECT, .help = "The rest." },
    { "url", ADMIN_TEXT, .help = "An address." },
    ADMIN_END,
};
static const struct admin_field list_args[] = {
    { "query", ADMIN_TEXT, .help = "Only these." },
    { "is_on", ADMIN_BOOL, .help = "Only those that are." },
    ADMIN_END,
};
static const struct admin_field name_args[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Its name." },
    ADMIN_END,
};

static const struct admin_op things[] = {
    { .id = "things.list",
      .method = "GET",
      .path = "/things",
      .scope = "things:read",
      .summary = "All things.",
      .args = list_args,
      .answer = &thing_type,
      .flags = ADMIN_LIST },
    { .id = "things.set",
      .method = "PUT",
      .path = "/things/{name}/of/{owner}",
      .scope = "things:write",
      .summary = "Set a thing.",
      .args = set_args,
      .answer = &thing_type },
    { .id = "things.rules.set_all",
      .method = "POST",
      .path = "/things/{name}/rules",
      .scope = "things:write",
      .summary = "Set the rules.",
      .args = name_args },
    { .id = NULL },
};
static const struct admin_op empty[] = { { .id = NULL } };
static const struct admin_op others[] = {
    { .id = "others.drop",
      .method = "DELETE",
      .path = "/others/{name}",
      .summary = "Drop it.",
      .args = name_args },
    { .id = NULL },
};
const struct admin_op *const admin_ops[] = { empty, things, empty, others, NULL };
