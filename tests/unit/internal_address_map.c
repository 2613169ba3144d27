/* SPDX-License-Identifier: MIT */
/* The address map against a model of it (an array of all addresses there are), with entries of several sizes and addresses
 * of several steps; each invariant broken, and found; and what is left when memory is refused. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/address_map.h"
#include "kit/budget.h"
#include "os_fake.h"

enum { WORDS_MOST = 11, ADDRESSES = 3000, OPERATIONS = 60000 };

/* An entry of any size: the address first, the rest made from it and a value. */
struct any {
    uintptr_t words[WORDS_MOST];
};

static uint64_t state;

static uint32_t draw(uint32_t below) {
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)((state >> 33) % below);
}

static struct any entry_of(const struct address_map *map, uintptr_t address, uintptr_t value) {
    struct any entry = {{address}};
    for (size_t i = 1; i < map->entry_bytes / 8; i++)
        entry.words[i] = value ^ i;
    return entry;
}

static void insert(struct address_map *map, const struct any *entry) {
    memcpy(address_map_insert(map, (void *)entry->words[0]), entry, map->entry_bytes);
}

static void expect_sound(const struct address_map *map) {
    const void *broken = address_map_verify(map);
    cr_assert(broken == NULL, "broken at %p", broken);
}

/* What the map says of an address, against its value in the model: 0 is none. */
static void expect_value(const struct address_map *map, uintptr_t address, uintptr_t value) {
    void *found = address_map_find(map, (void *)address);
    struct any expected = entry_of(map, address, value);
    cr_assert_eq(found != NULL, value != 0, "%#lx", address);
    if (found != NULL) {
        cr_assert_eq(memcmp(found, &expected, map->entry_bytes), 0, "%#lx has another's entry", address);
        cr_assert(address_map_covers(map, found));
    }
}

static void expect_all(const struct address_map *map, uintptr_t first, uintptr_t step, const uintptr_t *model) {
    size_t taken = 0, seen = 0;
    expect_sound(map);
    for (size_t i = 0; i < ADDRESSES; i++) {
        expect_value(map, first + i * step, model[i]);
        taken += model[i] != 0;
    }
    for (size_t i = 0; i < map->size; i++)
        seen += address_map_at(map, i) != NULL;
    cr_assert_eq(map->count, taken);
    cr_assert_eq(seen, taken);
}

/* Inserts, replaces and removes at random; phases of many insertions and of many removals take turns. */
static void random_operations(size_t entry_bytes, uintptr_t first, uintptr_t step) {
    struct address_map map = {.entry_bytes = (uint32_t)entry_bytes};
    static uintptr_t model[ADDRESSES];
    memset(model, 0, sizeof model);
    for (size_t n = 0; n < OPERATIONS; n++) {
        uint32_t i = draw(ADDRESSES), inserting = n / (OPERATIONS / 6) % 2 ? 3 : 7;
        uintptr_t address = first + i * step, value = 1 + draw(1000);
        if (draw(10) < inserting) {
            struct any entry = entry_of(&map, address, value);
            cr_assert(budget_grow_map(&map, 1));
            insert(&map, &entry);
            model[i] = value;
        } else if (model[i] != 0) {
            address_map_remove(&map, address_map_find(&map, (void *)address));
            model[i] = 0;
        }
        expect_value(&map, address, model[i]);
        if (n % 997 == 0)
            expect_all(&map, first, step, model);
    }
    expect_all(&map, first, step, model);
    for (size_t i = 0; i < ADDRESSES; i++)
        if (model[i] != 0)
            address_map_remove(&map, address_map_find(&map, (void *)(first + i * step)));
    memset(model, 0, sizeof model);
    expect_all(&map, first, step, model);
    budget_unmap(map.entries, align_up(address_map_bytes(&map), OS_PAGE));
}

Test(address_map, does_what_the_model_does) {
    for (size_t words = 1; words <= WORDS_MOST; words += 5)
        for (unsigned shift = 4; shift <= 30; shift += 13)
            random_operations(words * 8, UINT64_C(0x7f0000000000), (uintptr_t)1 << shift);
}

Test(address_map, a_map_without_memory_finds_nothing) {
    struct address_map map = {.entry_bytes = 16};
    expect_sound(&map);
    cr_assert_null(address_map_find(&map, &map));
    cr_assert_not(address_map_has_room(&map, 1));
    cr_assert_not(address_map_covers(&map, &map));
}

/* Addresses of the blocks of one class, of pages, of huge pages, of whole GiB: as many as fit. For addresses at random, 1.5
 * entries lie before one that is found (Knuth's formula). The worst of these steps, 2^25, has 3.3, most have less than 0.5;
 * an order of hashing that meets itself at some step would have hundreds. */
Test(address_map, steps_of_any_length_are_spread) {
    for (unsigned shift = 4; shift <= 34; shift++) {
        struct address_map map = {.entry_bytes = 8};
        size_t passed = 0;
        for (uintptr_t i = 1; i <= 3 * 1024; i++) {
            uintptr_t address = i << shift;
            cr_assert(budget_grow_map(&map, 1));
            address_map_insert(&map, (void *)address);
        }
        cr_assert_eq(map.count * 4, map.size * 3);
        for (size_t i = 0; i < map.size; i++) {
            const void *entry = address_map_at(&map, i);
            passed += entry == NULL ? 0 : (i - address_map_first(&map, address_map_key(entry))) & (map.size - 1);
        }
        cr_assert_lt(passed, map.count * 4, "step 2^%u: %zu entries passed for %zu", shift, passed, map.count);
    }
}

/* ---- what is broken is found --------------------------------------------------------------------------------------- */

static struct address_map full = {.entry_bytes = 16};

static void fill(void) {
    for (uintptr_t i = 1; i <= ADDRESS_MAP_MIN * 3 / 4; i++) {
        struct any entry = entry_of(&full, draw(1u << 30) * BLOCK_ALIGN + BLOCK_ALIGN, i);
        cr_assert(budget_grow_map(&full, 1));
        insert(&full, &entry);
    }
    expect_sound(&full);
}

TestSuite(address_map_broken, .init = fill);

/* Number of an entry that does not lie where it hashes to: others are before it. */
static size_t displaced(void) {
    for (size_t i = 0; i < full.size; i++)
        if (address_map_at(&full, i) != NULL && address_map_first(&full, address_map_key(address_map_at(&full, i))) != i)
            return i;
    cr_assert_fail("none is displaced");
    return 0;
}

Test(address_map_broken, a1_hole) {
    size_t at = displaced(), home = address_map_first(&full, address_map_key(address_map_at(&full, at)));
    memset(address_map_at(&full, home), 0, full.entry_bytes);
    full.count--;
    cr_assert_not_null(address_map_verify(&full));
}

Test(address_map_broken, a1_twice) {
    size_t at = displaced(), home = address_map_first(&full, address_map_key(address_map_at(&full, at)));
    memcpy(address_map_at(&full, home), address_map_at(&full, at), full.entry_bytes);
    cr_assert_eq(address_map_verify(&full), address_map_at(&full, at));
}

Test(address_map_broken, a1_overwritten) {
    size_t at = displaced();
    uintptr_t *entry = address_map_at(&full, at);
    *entry ^= (uintptr_t)1 << 40;
    cr_assert_eq(address_map_verify(&full), entry);
}

Test(address_map_broken, a2_count) {
    full.count++;
    cr_assert_eq(address_map_verify(&full), &full);
}

Test(address_map_broken, a2_fullness) {
    struct any entry = entry_of(&full, 16, 1);
    insert(&full, &entry);
    cr_assert_eq(address_map_verify(&full), &full);
}

Test(address_map_broken, a2_size) {
    full.size--;
    cr_assert_eq(address_map_verify(&full), &full);
}

Test(address_map_broken, a2_shift) {
    full.hash_shift--;
    cr_assert_eq(address_map_verify(&full), &full);
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */

Test(address_map_memory, refused_growth_changes_nothing, .init = fill) {
    struct address_map before = full;
    size_t own = budget_own(), taken = budget_taken();
    os_fake_refuse_map = 1;
    cr_assert_not(budget_grow_map(&full, 1));
    os_fake_refuse_map = 0;
    cr_assert_eq(memcmp(&before, &full, sizeof full), 0);
    cr_assert(budget_own() == own && budget_taken() == taken);
    expect_sound(&full);
    cr_assert(budget_grow_map(&full, 1));
    expect_sound(&full);
    cr_assert_eq(full.count, before.count);
    cr_assert_eq(full.size, before.size * 2);
    cr_assert_eq(budget_own() - own, (full.size - before.size) * full.entry_bytes);
}
