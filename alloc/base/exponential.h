/* SPDX-License-Identifier: MIT */
/*
 * The exponential distribution, for sampling by bytes: the way to the next sampled byte of a stream of which each byte is as
 * likely as any other. Pure functions, without libm: its symbols are none that the allocator may call.
 */
#ifndef MYALLOC_EXPONENTIAL_H
#define MYALLOC_EXPONENTIAL_H

#include "base/base.h"

/* A number that is exponentially distributed with mean 1, from 64 random bits: 0 to 36.8. */
double exponential_draw(uint64_t random);

/* 1 - exp(-x) for x >= 0, right to 15 digits however small x is: the chance that a block of x mean intervals is sampled. */
double exponential_chance(double x);

/* Streams of random numbers: the next of one, whose state is a counter; and a state that depends on all bits of `seed` and
 * `stream`. */
uint64_t exponential_random(uint64_t *state);
uint64_t exponential_seed(uint64_t seed, uint64_t stream);

#endif
