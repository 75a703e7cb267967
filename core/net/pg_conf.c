/* pg_conf: the configuration table of the PostgreSQL pool. */
#include "core/base/conf.h"
#include "core/net/pg.h"

#define AT(member) offsetof(struct pg_conf, member)

const struct conf_field pg_conf_fields[] = {
    { .key = "url",
      .type = CONF_STR,
      .offset = AT(url),
      .def = "postgresql:///parley",
      .help = "Where the database is: postgresql://user@host/name, or postgresql:///name?host=/dir "
              "for a unix socket. Over the network TLS is verified unless the URL has its own "
              "sslmode; sslrootcert, sslcert and sslkey work too." },
    { .key = "password",
      .type = CONF_SECRET,
      .offset = AT(password),
      .help = "The database user's password; better here than in the URL." },
    { .key = "pool_min",
      .type = CONF_INT,
      .offset = AT(pool_min),
      .def = "2",
      .min = 1,
      .max = 100,
      .help = "Connections kept open." },
    { .key = "pool_max",
      .type = CONF_INT,
      .offset = AT(pool_max),
      .def = "8",
      .min = 1,
      .max = 100,
      .help = "Connections opened when all are busy." },
    { .key = "statement_timeout",
      .type = CONF_DURATION,
      .offset = AT(statement_timeout_ms),
      .def = "10s",
      .min = 100,
      .max = 600000,
      .help = "A statement is stopped after this long, and waits no longer than this for a "
              "connection." },
    { .key = "connect_timeout",
      .type = CONF_DURATION,
      .offset = AT(connect_timeout_ms),
      .def = "5s",
      .min = 100,
      .max = 60000,
      .help = "An attempt to connect is given up after this long." },
    { .key = "queue_max",
      .type = CONF_INT,
      .offset = AT(queue_max),
      .def = "20000",
      .min = 1,
      .max = 1000000,
      .help = "Statements that may wait for a connection, and rows that may wait for each group "
              "commit; more are refused." },
    CONF_END,
};
