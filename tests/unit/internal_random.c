/* SPDX-License-Identifier: MIT */
/* What hardened blocks rest on: the generator against published vectors, the fairness of its draws, canaries, quarantine. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/canary.h"
#include "kit/quarantine.h"
#include "kit/random.h"

static void expect_block(const uint32_t key[8], uint64_t counter, unsigned rounds, const char *hex) {
    uint32_t words[16];
    random_block(key, counter, rounds, words);
    for (size_t i = 0; i < sizeof words; i++) {
        char byte[3];
        snprintf(byte, sizeof byte, "%02x", (unsigned)(words[i / 4] >> (i % 4 * 8) & 0xff));
        cr_assert(memcmp(byte, hex + 2 * i, 2) == 0, "byte %zu is %s, not %.2s", i, byte, hex + 2 * i);
    }
}

/* draft-strombergson-chacha-test-vectors-01, TC1, 256 bits, 8 rounds. */
Test(random, chacha8_of_zeros) {
    static const uint32_t key[8];
    expect_block(key, 0, 8,
                 "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e"
                 "984ce172b9216f419f445367456d5619314a42a3da86b001387bfdb80e0cfe42");
}

/* RFC 8439, A.1, vectors 1 and 3: the same function with 20 rounds, another counter and key. */
Test(random, chacha20_of_the_rfc) {
    static const uint32_t zeros[8], key[8] = {[7] = 0x01000000};
    expect_block(zeros, 0, 20,
                 "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
                 "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
    expect_block(key, 1, 20,
                 "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
                 "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0");
}

/* The OS layer of these tests gives the same seed each time. */
Test(random, a_generator_gives_its_blocks_word_by_word) {
    struct random random = {0};
    uint32_t first[16], second[16], key[8];
    for (unsigned i = 0; i < sizeof key; i++)
        ((unsigned char *)key)[i] = (unsigned char)i;
    random_block(key, 0, RANDOM_ROUNDS, first);
    random_block(key, 1, RANDOM_ROUNDS, second);
    for (unsigned i = 16; i-- > 0;)
        cr_assert_eq(random_word(&random), first[i]);
    for (unsigned i = 16; i-- > 0;)
        cr_assert_eq(random_word(&random), second[i]);
}

Test(random, after_a_fork_it_is_seeded_anew) {
    struct random random = {0};
    uint32_t first = random_word(&random);
    cr_assert_neq(random_word(&random), first);
    random_locks.child();
    cr_assert_eq(random_word(&random), first, "the test's seed is the same again");
}

/* Seed fixed, so this either holds always or never: chi-square of 200 bins, 199 degrees of freedom; 0.1 % lie above 267. */
Test(random, draws_are_even) {
    struct random random = {0};
    enum { BINS = 200, DRAWS = 200 * 1000 };
    double square = 0, expected = (double)DRAWS / BINS;
    static unsigned counts[BINS];
    for (unsigned i = 0; i < DRAWS; i++) {
        uint32_t draw = random_below(&random, BINS);
        cr_assert_lt(draw, BINS);
        counts[draw]++;
    }
    for (unsigned i = 0; i < BINS; i++)
        square += (counts[i] - expected) * (counts[i] - expected) / expected;
    cr_assert(square > 140 && square < 267, "chi-square %f", square);
}

Test(random, bounds_that_do_not_divide_are_kept) {
    struct random random = {0};
    static const uint32_t bounds[] = {1, 2, 3, 7, 255, 256, 257, 0x80000001, UINT32_MAX};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        for (unsigned draws = 0; draws < 1000; draws++)
            cr_assert_lt(random_below(&random, bounds[i]), bounds[i]);
}

/* ---- canaries ---------------------------------------------------------------------------------------------------- */

static char memory[256] __attribute__((aligned(16)));

Test(canary, every_byte_is_neither_nul_nor_a_character_nor_ff) {
    for (uint64_t secret = 1; secret < 1000; secret++)
        for (uintptr_t at = 0; at < 64; at += 8) {
            uint64_t word = canary_word(secret * UINT64_C(0x123456789abcdef), at);
            cr_assert_eq(word & UINT64_C(0xc0c0c0c0c0c0c0c0), UINT64_C(0x8080808080808080));
        }
}

Test(canary, depends_on_secret_and_address) {
    unsigned same_secret = 0, same_address = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        same_secret += canary_word(42, i * 8) == canary_word(42, i * 8 + 8);
        same_address += canary_word(i, 4096) == canary_word(i + 1, 4096);
    }
    cr_assert_eq(same_secret + same_address, 0);
}

Test(canary, each_changed_byte_is_found_where_it_is) {
    for (size_t from = 0; from < 40; from++) {
        memset(memory, 0, sizeof memory);
        const char *nul = canary_nul(memory + from, memory + 64);
        canary_write(7, memory + from, memory + 64, nul);
        cr_assert_eq(canary_look(7, memory + from, memory + 64, nul), memory + 64);
        cr_assert_null(canary_look_back(7, memory + from, memory + 64, nul));
        cr_assert(memory[64] == 0 && (from == 0 || memory[from - 1] == 0), "nothing else is written");
        for (size_t at = from; at < 64; at++) {
            char was = memory[at];
            memory[at] = was == 0; /* a NUL, but where one is */
            cr_assert_eq(canary_look(7, memory + from, memory + 64, nul), memory + at);
            cr_assert_eq(canary_look_back(7, memory + from, memory + 64, nul), memory + at);
            memory[at] = was;
        }
    }
}

/* Without a NUL of its own, a canary has no byte that a NUL passes for. */
Test(canary, without_a_nul_each_nul_is_found) {
    canary_write(7, memory, memory + 64, NULL);
    for (size_t at = 0; at < 64; at++) {
        char was = memory[at];
        memory[at] = 0;
        cr_assert_eq(canary_look(7, memory, memory + 64, NULL), memory + at);
        cr_assert_eq(canary_look_back(7, memory, memory + 64, NULL), memory + at);
        memory[at] = was;
    }
}

Test(canary, a_string_ends_in_it_but_not_at_once) {
    for (size_t from = 0; from <= 56; from++) {
        memset(memory, 'x', sizeof memory);
        canary_write(7, memory + from, memory + 64, canary_nul(memory + from, memory + 64));
        cr_assert_eq(strlen(memory), 59);
        cr_assert(memory[from] != 0 && memory[63] != 0, "a NUL beside a block is no canary");
    }
}

Test(canary, zeros_end_where_they_end) {
    memset(memory, 0, sizeof memory);
    cr_assert_eq(canary_zeros(memory, sizeof memory), sizeof memory);
    for (size_t at = sizeof memory; at-- > 0;) {
        memory[at] = 1;
        cr_assert_eq(canary_zeros(memory, sizeof memory), at);
    }
    cr_assert_eq(canary_zeros(memory, 0), 0);
}

/* ---- quarantine -------------------------------------------------------------------------------------------------- */

Test(quarantine, gives_back_each_once_and_not_too_soon) {
    enum { LENGTH = 16, PUSHES = 5000 };
    struct random random = {0};
    uint64_t places[2 * LENGTH] = {0}, out;
    static bool seen[PUSHES + 1];
    struct quarantine quarantine = {.places = places, .random = LENGTH, .queue = LENGTH};
    size_t given = 0, soonest = PUSHES;
    for (uint64_t i = 1; i <= PUSHES; i++) {
        out = quarantine_push(&quarantine, &random, i);
        if (out == 0)
            continue;
        cr_assert(out < i && !seen[out]);
        seen[out] = true;
        given++;
        soonest = i - out < soonest ? i - out : soonest;
        cr_assert_eq(quarantine.held, i - given);
    }
    cr_assert_geq(soonest, LENGTH, "the queue lets nothing out before %d more came in", LENGTH);
    while ((out = quarantine_pull(&quarantine)) != 0) {
        cr_assert_not(seen[out]);
        seen[out] = true;
        given++;
    }
    cr_assert_eq(given, PUSHES);
    cr_assert_eq(quarantine.held, 0);
}

/* Without random places it is a queue; what was taken out of the middle leaves no trace. */
Test(quarantine, queue_alone_keeps_the_order) {
    enum { LENGTH = 16 };
    uint64_t places[LENGTH] = {0};
    uint32_t at[LENGTH + 1];
    struct quarantine quarantine = {.places = places, .queue = LENGTH};
    for (uint64_t round = 0; round < 5; round++) {
        for (uint64_t i = 1; i <= LENGTH; i++) {
            at[i] = quarantine_next(&quarantine);
            cr_assert_eq(quarantine_push(&quarantine, NULL, i), 0);
            cr_assert_eq(places[at[i]], i);
        }
        cr_assert_eq(quarantine_push(&quarantine, NULL, LENGTH + 1), 1);
        quarantine_remove(&quarantine, at[2]);
        quarantine_remove(&quarantine, at[7]);
        cr_assert_eq(quarantine.held, LENGTH - 2);
        for (uint64_t i = 3; i <= LENGTH + 1; i += i == 6 ? 2 : 1)
            cr_assert_eq(quarantine_pull(&quarantine), i);
        cr_assert_eq(quarantine_pull(&quarantine), 0);
        cr_assert_eq(quarantine.held, 0);
        quarantine_push(&quarantine, NULL, 1); /* the next round begins elsewhere */
        quarantine_pull(&quarantine);
    }
}

Test(quarantine, of_no_length_holds_nothing) {
    struct random random = {0};
    struct quarantine quarantine = {0};
    cr_assert_eq(quarantine_push(&quarantine, &random, 5), 5);
    cr_assert_eq(quarantine_pull(&quarantine), 0);
}
