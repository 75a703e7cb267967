/*
 * Any bytes as the address of a receiver: what is accepted is plain text, by TLS or to a listed
 * host, and names no user.
 */
#include "core/hook/target.h"
#include "core/net/address.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *listed[] = { "h.intern:8080", "127.0.0.1:9000", "[::1]:9000" };
    static const struct conf_list hosts = { .n = 3, .v = listed };
    struct str url = str_from((const char *)data, n);
    struct err why = ERR_INIT;
    if (target_check(url, &hosts, &why)) {
        if (!why.msg[0]) abort();
        return 0;
    }
    bool secure = str_starts_nocase(url, STR("https://"));
    if (!secure && !address_host_listed(url, &hosts)) abort();
    struct str rest = str_skip(url, secure ? 8 : 7), authority = str_cut(&rest, '/');
    if (!authority.n) abort();
    authority = str_head(authority, str_find_char(authority, '?'));
    if (str_find_char(authority, '@') != SIZE_MAX) abort();
    for (size_t i = 0; i < n; i++)
        if (data[i] <= ' ' || data[i] > '~' || data[i] == '#') abort();
    return 0;
}
