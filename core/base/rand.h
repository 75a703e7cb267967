/*
 * rand - randomness from the kernel (getrandom), buffered. Fit for tokens and ids.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *ret, size_t n);
uint64_t rand_u64(void);
uint64_t rand_below(uint64_t n); /* 0..n-1, n > 0 */
/* 2 * n lower-case hex digits and a NUL. */
void rand_hex(char *ret, size_t n_bytes);
