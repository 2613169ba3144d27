/* SPDX-License-Identifier: MIT */
#include "base/exponential.h"

#define LN_2 0.69314718055994530942
#define SQRT_2 1.4142135623730950488
#define LN_TERMS 12     /* |t| <= 0.1716 below, whose 25th power is 1e-19 */
#define CHANCE_TERMS 13 /* x <= 1/4 below: the next term is 1/4^14 / 14!, 4e-20 */

/* ln m for m from 1/sqrt(2) to sqrt(2), as 2 artanh((m - 1) / (m + 1)), by the series of artanh. */
static double ln_near_1(double m) {
    double t = (m - 1) / (m + 1), square = t * t, sum = 0;
    for (int n = LN_TERMS; n >= 0; n--)
        sum = sum * square + 1.0 / (2 * n + 1);
    return 2 * t * sum;
}

/* -ln of a number from 2^-53 to 1, all multiples of 2^-53 equally likely. */
double exponential_draw(uint64_t random) {
    uint64_t number = (random >> 11) + 1;
    unsigned high = high_bit(number);
    double m = (double)number / (double)((uint64_t)1 << high);
    int exponent = (int)high - 53;
    if (m > SQRT_2) {
        m /= 2;
        exponent++;
    }
    return -(exponent * LN_2 + ln_near_1(m));
}

/* Taylor's series where x is small; from there by 1 - exp(-2x) = p (2 - p) with p = 1 - exp(-x), which adds no error of its
 * own. */
double exponential_chance(double x) {
    unsigned doublings = 0;
    if (x > 64)
        return 1;
    for (; x > 0.25; x /= 2)
        doublings++;
    double p = 0;
    for (int n = CHANCE_TERMS; n > 0; n--)
        p = x / n * (1 - p);
    for (; doublings > 0; doublings--)
        p *= 2 - p;
    return p;
}

/* splitmix64's output function (S. Vigna). */
static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t exponential_random(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(*state);
}

uint64_t exponential_seed(uint64_t seed, uint64_t stream) {
    return mix(mix(seed) + stream * UINT64_C(0xd1342543de82ef95)); /* odd: no two streams meet */
}
