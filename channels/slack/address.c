/*
 * address - compares what a link shows with where it leads.
 */
#include "channels/slack/address.h"

static const char *const schemes[] = { "http://", "https://", "mailto:", "tel:" };

static struct str skip_scheme(struct str s)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (str_starts_nocase(s, str_of(schemes[i]))) return str_skip(s, strlen(schemes[i]));
    return s;
}

bool address_leads(struct str url)
{
    struct str rest = skip_scheme(url);
    return rest.n && rest.n < url.n;
}

bool address_is(struct str url, struct str label)
{
    return str_eq(label, url) || str_eq(label, skip_scheme(url));
}

/* Letters of all scripts: a name may have them. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool is_name(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-';
}

/* A full stop between a name and two letters or more, as in "bank.com", in what can be the host. */
static bool has_host(struct str word)
{
    if (str_find(word, STR("://")) != SIZE_MAX) return true;
    size_t path = str_find_char(word, '/');
    if (path < word.n) word.n = path;
    for (size_t i = 1; i < word.n; i++) {
        size_t n = 0;
        if (word.p[i] != '.' || !is_name(word.p[i - 1])) continue;
        while (i + 1 + n < word.n && is_letter(word.p[i + 1 + n])) n++;
        if (n >= 2) return true;
    }
    return false;
}

/* "example.com" for "https://www.example.com/a", but not for "https://example.com.evil.org". */
static bool leads_to(struct str url, struct str word)
{
    url = skip_scheme(url), word = skip_scheme(word);
    if (str_starts_nocase(url, STR("www."))) url = str_skip(url, 4);
    if (str_starts_nocase(word, STR("www."))) word = str_skip(word, 4);
    if (!word.n || !str_starts_nocase(url, word)) return false;
    return url.n == word.n || memchr("/?#", url.p[word.n], 3) || word.p[word.n - 1] == '/';
}

bool address_in(struct str label, struct str url)
{
    while (label.n) {
        size_t n = 0;
        while (n < label.n && (unsigned char)label.p[n] > ' ') n++;
        struct str word = str_head(label, n);
        label = str_skip(label, n + 1);
        while (word.n && memchr(".,:;!?\"')]", word.p[word.n - 1], 10)) word.n--;
        while (word.n && memchr("\"'([", word.p[0], 4)) word = str_skip(word, 1);
        if (has_host(word) && !leads_to(url, word)) return true;
    }
    return false;
}
