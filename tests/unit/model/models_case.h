/*
 * models_case - the models of a configuration, a server on this machine that answers for theirs,
 * and one op to wait for. Time is virtual; what the environment says of models does not count.
 */
#pragma once
#include "core/base/clock.h"
#include "core/model/model.h"
#include "tests/support/stub_http.h"
#include <criterion/criterion.h>
#include <stdlib.h>

static struct loop loop;
static struct http_client *http;
static struct conf_doc *conf;
static struct models *models;
static struct stub stub;
static struct op op;
static unsigned n_done; /* how often the op ended */

static inline enum err_kind configure(const char *text, struct err *why)
{
    cr_assert_eq(conf_open_text(str_of(text), "t.conf", &conf, why), ERR_NONE, "%s", why->msg);
    return models_open(&loop, http, conf, &models, why);
}

static inline void on_done(struct op *o)
{
    (void)o;
    n_done++;
}

static inline void case_open(void)
{
    const struct http_client_conf client = { "", "", "", "", "test", 100 };
    struct err why;
    unsetenv("OPENAI_API_KEY");
    unsetenv("OPENAI_BASE_URL");
    unsetenv("OPENAI_MODEL");
    clock_virtual(1000);
    loop_open(&loop);
    op_init(&op, &loop, on_done);
    cr_assert_eq(http_client_open(&loop, &client, &http, &why), ERR_NONE);
}

static inline void case_close(void)
{
    op_cancel(&op);
    if (models) models_close(models);
    conf_close(conf);
    http_client_close(http);
    if (stub.loop) stub_shut(&stub);
    clock_real();
    loop_run_for(&loop, 30);
    cr_expect_eq(stub.n_open, 0);
    loop_close(&loop);
}
