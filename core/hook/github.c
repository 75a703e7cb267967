/* github: a table of events and actions. */
#include "core/hook/github.h"

#define IN_REPOSITORY "[{{ repository.full_name }}]({{ repository.html_url }})"

#define PUSH                                                                           \
    "**{{ pusher.name }}** {{#deleted}}deleted{{/deleted}}{{^deleted}}"                \
    "{{#commits.length}}{{#forced}}force-{{/forced}}pushed "                           \
    "[{{ commits | count: \"commit\" }}]({{ compare }}) to{{/commits.length}}"         \
    "{{^commits.length}}{{#created}}created{{/created}}{{^created}}moved{{/created}}"  \
    "{{/commits.length}}{{/deleted}} {{ ref | branch | code }} of " IN_REPOSITORY "\n" \
    "{{#commits | first: 5}}\n"                                                        \
    "- [{{ id | short: 7 | code }}]({{ url }}) {{ message | line | truncate: 100 }}\n" \
    "{{/commits}}\n"

#define PULL_REQUEST(did)                                                                 \
    "**{{ sender.login }}** " did                                                         \
    " [#{{ pull_request.number }} {{ pull_request.title }}]({{ pull_request.html_url }})" \
    " in " IN_REPOSITORY
#define CLOSED                                               \
    "{{#pull_request.merged}}merged{{/pull_request.merged}}" \
    "{{^pull_request.merged}}closed without merging{{/pull_request.merged}}"

#define ISSUE(did)                \
    "**{{ sender.login }}** " did \
    " [#{{ issue.number }} {{ issue.title }}]({{ issue.html_url }}) in " IN_REPOSITORY

#define RELEASE                                                                         \
    "**{{ sender.login }}** published [{{ release.tag_name }}]({{ release.html_url }})" \
    "{{#release.prerelease}} (a pre-release){{/release.prerelease}} of " IN_REPOSITORY  \
    "{{#release.name}}: {{ release.name }}{{/release.name}}"

#define CHECK_RUN                                                                              \
    "The check [{{ check_run.name }}]({{ check_run.html_url }}) of " IN_REPOSITORY             \
    " ended with **{{ check_run.conclusion }}**"                                               \
    "{{#check_run.check_suite.head_branch}} on {{ check_run.check_suite.head_branch | code }}" \
    "{{/check_run.check_suite.head_branch}} ({{ check_run.head_sha | short: 7 | code }})"

#define PING                                                                       \
    "{{#repository}}[{{ full_name }}]({{ html_url }}){{/repository}}"              \
    "{{^repository}}{{ organization.login | default: \"GitHub\" }}{{/repository}}" \
    " sends its news here from now on."

static const struct ready {
    const char *event, *action; /* NULL: whatever it is */
    const char *text;
} table[] = {
    { "push", NULL, PUSH },
    { "pull_request", "opened", PULL_REQUEST("opened") },
    { "pull_request", "reopened", PULL_REQUEST("reopened") },
    { "pull_request", "ready_for_review", PULL_REQUEST("wants a review of") },
    { "pull_request", "closed", PULL_REQUEST(CLOSED) },
    { "issues", "opened", ISSUE("opened") },
    { "issues", "reopened", ISSUE("reopened") },
    { "issues", "closed", ISSUE("closed") },
    { "release", "published", RELEASE },
    { "check_run", "completed", CHECK_RUN },
    { "ping", NULL, PING },
};

/* A check that nobody has to look after. */
static bool is_well(struct json *payload)
{
    static const char *const fine[] = { "success", "neutral", "skipped", "stale" };
    struct str conclusion = STR_NONE;
    json_get_str(json_get(payload, "check_run"), "conclusion", &conclusion);
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        if (str_eq(conclusion, str_of(fine[i]))) return true;
    return false;
}

const char *github_template(struct str event, struct json *payload, const char **ret_why)
{
    struct str action = STR_NONE;
    json_get_str(payload, "action", &action);
    *ret_why = "there is no ready template for this event";
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct ready *r = &table[i];
        if (!str_eq(event, str_of(r->event))) continue;
        *ret_why = "this action is no news";
        if (r->action && !str_eq(action, str_of(r->action))) continue;
        *ret_why = "a check that went well is no news";
        return str_eq(event, STR("check_run")) && is_well(payload) ? NULL : r->text;
    }
    return NULL;
}
