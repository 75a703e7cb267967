/*
 * rand - getrandom, 256 bytes at a time: a system call for each id would be the dearest part of it.
 */
#include "core/base/rand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define POOL_BYTES 256

/* A pool for each thread: work threads need no lock. A forked child must exec before it asks. */
static _Thread_local unsigned char pool[POOL_BYTES];
static _Thread_local size_t n_pool;

static void kernel_bytes(unsigned char *ret, size_t n)
{
    while (n) {
        ssize_t got = getrandom(ret, n, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            perror("parley: getrandom");
            abort();
        }
        ret += got;
        n -= (size_t)got;
    }
}

void rand_bytes(void *ret, size_t n)
{
    if (n > POOL_BYTES / 4) {
        kernel_bytes(ret, n);
        return;
    }
    if (n > n_pool) {
        kernel_bytes(pool, POOL_BYTES);
        n_pool = POOL_BYTES;
    }
    if (n == 0) return;
    n_pool -= n;
    memcpy(ret, pool + n_pool, n);
    explicit_bzero(pool + n_pool, n); /* a token given out is nowhere else */
}

uint64_t rand_u64(void)
{
    uint64_t v;
    rand_bytes(&v, sizeof(v));
    return v;
}

uint64_t rand_below(uint64_t n)
{
    /* Values under 2^64 mod n would make the small results likelier. */
    uint64_t skip = (0 - n) % n, v;
    do v = rand_u64();
    while (v < skip);
    return v % n;
}

void rand_hex(char *ret, size_t n_bytes)
{
    /* The raw bytes wait in the upper half, which the digits reach last. */
    unsigned char *raw = (unsigned char *)ret + n_bytes;
    rand_bytes(raw, n_bytes);
    for (size_t i = 0; i < n_bytes; i++) {
        unsigned char b = raw[i];
        ret[2 * i] = "0123456789abcdef"[b >> 4];
        ret[2 * i + 1] = "0123456789abcdef"[b & 15];
    }
    ret[2 * n_bytes] = '\0';
}
