/* SPDX-License-Identifier: MIT */
/* The unwinder on what is damaged: tables with random bytes changed, stacks and registers that make no sense. Nothing faults.
 * INTERNAL_UNWIND_SEED repeats a run. */
#include <criterion/criterion.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os_fake.h"
#include "callers/expression.h"
#include "callers/rows.h"
#include "callers/step.h"
#include "callers/unwind.h"
#include "kit/modes.h"

static uint64_t state;

static void seed(void) {
    const char *given = getenv("INTERNAL_UNWIND_SEED");
    state = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)getpid() * 2654435761u;
    fprintf(stderr, "INTERNAL_UNWIND_SEED=%llu\n", (unsigned long long)state);
    state |= 1;
}

static uint64_t number(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* A copy of a module's tables between pages that cannot be touched; code is then as far from the copy as from the tables. */
struct copy {
    struct code code;
    uint8_t *fresh, *spoilt;
    size_t bytes;
    ptrdiff_t moved;
};

static struct copy copy_tables(const void *inside) {
    struct copy copy;
    struct code code;
    cr_assert(code_find((uintptr_t)inside, &code) && code.header != NULL);
    size_t page = OS_PAGE, bytes = (size_t)(code.end - code.header), room = (bytes + page - 1) / page * page;
    char *map = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(map + page, room, PROT_READ | PROT_WRITE);
    copy.bytes = bytes;
    copy.spoilt = (uint8_t *)map + page + room - bytes;
    copy.fresh = malloc(bytes);
    memcpy(copy.fresh, code.header, bytes);
    memcpy(copy.spoilt, code.header, bytes);
    copy.moved = copy.spoilt - code.header;
    copy.code = (struct code){.start = copy.spoilt, .end = copy.spoilt + bytes, .header = copy.spoilt};
    return copy;
}

static bool rules_of(const struct copy *copy, uintptr_t address, struct eh_entry *entry, struct cfi_rules *rules) {
    return eh_table_find(&copy->code, address + (uintptr_t)copy->moved, entry) &&
           cfi_run(entry, address + (uintptr_t)copy->moved, rules);
}

Test(tables, a_copy_says_the_same) {
    struct copy copy = copy_tables((void *)qsort);
    struct code code;
    struct eh_entry entry;
    struct cfi_rules here, there;
    cr_assert(code_find((uintptr_t)qsort, &code));
    for (uintptr_t i = 0; i < 20000; i += 3) {
        uintptr_t address = (uintptr_t)qsort + i;
        bool known = eh_table_find(&code, address, &entry) && cfi_run(&entry, address, &here);
        cr_assert_eq(rules_of(&copy, address, &entry, &there), known);
        if (known)
            cr_assert_eq(memcmp(&here.cfa, &there.cfa, sizeof here.cfa), 0);
    }
}

/* The table in the order of entries leads to what the search table does. */
Test(tables, without_a_search_table) {
    struct copy copy = copy_tables((void *)qsort);
    struct eh_entry searched, read;
    struct cfi_rules rules, again;
    for (uintptr_t i = 0; i < 2000; i += 97) {
        copy.spoilt[3] = copy.fresh[3];
        bool known = rules_of(&copy, (uintptr_t)qsort + i, &searched, &rules);
        copy.spoilt[3] = EH_OMIT;
        cr_assert_eq(rules_of(&copy, (uintptr_t)qsort + i, &read, &again), known);
        if (known)
            cr_assert(searched.from == read.from && memcmp(&rules, &again, sizeof rules) == 0);
    }
}

/* What has been read is used, on a frame whose registers are anything. */
static void use(const struct copy *copy, uintptr_t address) {
    struct eh_entry entry;
    struct cfi_rules rules;
    struct stack_memory memory = {.next = 0};
    struct arch_frame frame = {.known = number(), .pc = address};
    if (!rules_of(copy, address, &entry, &rules))
        return;
    for (unsigned i = 0; i < ARCH_REGISTERS; i++)
        frame.value[i] = number() % 2 ? number() : (uintptr_t)&frame + number() % 512 * 8;
    step_by_rules(&frame, &entry, &rules, &memory);
}

static void spoil(const struct copy *copy, size_t from, size_t bytes, unsigned changes) {
    for (unsigned i = 0; i < changes; i++)
        copy->spoilt[from + number() % bytes] = (uint8_t)(number() % 4 ? number() : 0xff * (number() % 2));
}

Test(tables, damaged, .timeout = 60) {
    struct copy copy = copy_tables((void *)qsort);
    seed();
    for (unsigned run = 0; run < 40000; run++) {
        struct eh_entry entry;
        struct cfi_rules rules;
        uintptr_t address = (uintptr_t)qsort - 40000 + number() % 80000;
        copy.code.end = copy.spoilt + copy.bytes;
        if (run % 8 == 7) /* cut off */
            copy.code.end = copy.spoilt + number() % copy.bytes;
        size_t from = 0, bytes = number() % 2 ? 64 : copy.bytes;
        if (run % 8 < 5 && rules_of(&copy, address, &entry, &rules)) { /* the very entry that is read */
            from = (size_t)(entry.own.at - copy.spoilt) - 16;
            bytes = 16 + (size_t)(entry.own.end - entry.own.at);
        }
        bytes = min_size(bytes, copy.bytes - from);
        spoil(&copy, from, bytes, 1 + (unsigned)(number() % 6));
        use(&copy, address);
        memcpy(copy.spoilt + from, copy.fresh + from, bytes);
    }
}

Test(tables, expressions_of_random_bytes, .timeout = 60) {
    uint8_t bytes[64];
    seed();
    for (unsigned run = 0; run < 200000; run++) {
        struct stack_memory memory = {.next = 0};
        struct arch_frame frame = {.known = number()};
        struct expression_of of = {.frame = &frame, .memory = &memory, .cfa = (uintptr_t)&frame, .has_cfa = run % 2};
        uintptr_t value;
        for (unsigned i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)number();
        struct eh_reader code = {bytes, bytes + number() % sizeof bytes, false};
        expression_value(&of, code, run % 3 ? &of.cfa : NULL, &value);
    }
}

static bool value_of(const uint8_t *bytes, size_t size, uintptr_t first, uintptr_t *value) {
    struct stack_memory memory = {.next = 0};
    struct arch_frame frame = {.known = UINT64_C(1) << ARCH_SP};
    frame.value[ARCH_SP] = 1000;
    struct expression_of of = {.frame = &frame, .memory = &memory};
    return expression_value(&of, (struct eh_reader){bytes, bytes + size, false}, &first, value);
}

#define VALUE(first, ...)                                                                                              \
    (value_of((const uint8_t[]){__VA_ARGS__}, sizeof(const uint8_t[]){__VA_ARGS__}, (uintptr_t)(first), &value) ? value  \
                                                                                                               : 12345)

Test(tables, expressions) {
    uintptr_t value, word = 77;
    cr_assert_eq(VALUE(5, 0x33, 0x22), 8);                    /* 5, lit3, plus */
    cr_assert_eq(VALUE(&word, 0x06), 77);                     /* deref */
    cr_assert_eq(VALUE(&word, 0x94, 1), 77);                  /* deref_size */
    cr_assert_eq(VALUE(0x401016, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24), 0); /* as a linkage table has it: & 15 >= 11, << 3 */
    cr_assert_eq(VALUE(0x40101b, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24), 8);
    cr_assert_eq(VALUE(1, 0x32, 0x33, 0x17), 2);              /* rot: 1 2 3 becomes 3 1 2 */
    cr_assert_eq(VALUE(1, 0x32, 0x16), 1);                    /* swap */
    cr_assert_eq(VALUE(-8, 0x19), 8);                         /* abs */
    cr_assert_eq(VALUE(-8, 0x31, 0x26), (uintptr_t)-4);       /* shra */
    cr_assert_eq(VALUE(7, 0x09, 0xfe, 0x1b), (uintptr_t)-3);  /* const1s -2, div */
    cr_assert_eq(VALUE(7, 0x28, 1, 0, 0x31, 0x39), 9);        /* bra over lit1 */
    cr_assert_eq(VALUE(7, 0x30, 0x1b), 12345);                /* division by 0 */
    cr_assert_eq(VALUE(7, 0x2f, 0xfd, 0xff), 12345);          /* in a circle */
    cr_assert_eq(VALUE(8, 0x06), 12345);                      /* memory that is not there */
    cr_assert_eq(VALUE(0, 0x9c), 12345);                      /* a frame's address that is not known */
    cr_assert_eq(VALUE(0, 0x13, 0x13), 12345);                /* nothing left to drop */
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

static void *frames[UNWIND_MOST];

static uintptr_t anything(void) {
    static uintptr_t stack[4096];
    if (stack[1] == 0)
        for (unsigned i = 0; i < 4096; i++)
            stack[i] = i % 3 ? (uintptr_t)&stack[number() % 4096] : (uintptr_t)qsort + number() % 4000;
    switch (number() % 6) {
    case 0: return (uintptr_t)&stack[number() % 4096];
    case 1: return (uintptr_t)&stack[number() % 4096] + number() % 16;
    case 2: return (uintptr_t)qsort - 20000 + number() % 40000;
    case 3: return number();
    case 4: return ~(uintptr_t)0 - number() % 64;
    default: return number() % 4096;
    }
}

static void smashed(unsigned runs) {
    for (unsigned run = 0; run < runs; run++) {
        struct arch_frame frame = {.known = ~UINT64_C(0), .interrupted = number() % 2};
        for (unsigned i = 0; i < ARCH_REGISTERS; i++)
            frame.value[i] = anything();
        frame.pc = number() % 4 ? (uintptr_t)qsort - 20000 + number() % 40000 : anything();
        unsigned count = unwind_walk(&frame, frames, UNWIND_MOST);
        cr_assert(count <= UNWIND_MOST && (count > 0 || frame.pc == 0));
    }
}

Test(unwind, smashed_stacks, .timeout = 60) {
    seed();
    smashed(50000);
}

Test(unwind, smashed_stacks_with_what_is_kept, .timeout = 60) {
    seed();
    modes_active = MODE_CHECK;
    smashed(100000);
}

Test(unwind, deep_and_cut) {
    struct arch_frame here;
    arch_frame_here(&here);
    unsigned all = unwind_walk(&here, frames, UNWIND_MOST);
    cr_assert_gt(all, 3);
    void *few[2];
    cr_assert_eq(unwind_walk(&here, few, 2), 2);
    cr_assert_eq(unwind_walk(&here, few, 0), 0);
    cr_assert(few[0] == frames[0] && few[1] == frames[1]);
}

/* What is kept changes nothing: with it, and without, in every order of depths. */
static unsigned with_and_without(unsigned depth, volatile char *room) {
    char more[64 + number() % 4 * 32];
    more[0] = room[0];
    if (depth > 0)
        return with_and_without(depth - 1, more) + 1 + (unsigned)more[0];
    void *kept[UNWIND_MOST], *plain[UNWIND_MOST];
    struct arch_frame here;
    arch_frame_here(&here);
    modes_active = MODE_CHECK;
    unsigned a = unwind_walk(&here, kept, UNWIND_MOST);
    modes_active = 0;
    unsigned b = unwind_walk(&here, plain, UNWIND_MOST);
    if (a != b || memcmp(kept, plain, a * sizeof *kept) != 0)
        for (unsigned i = 0; i < a || i < b; i++)
            fprintf(stderr, "%u %p %p\n", i, i < a ? kept[i] : NULL, i < b ? plain[i] : NULL);
    cr_assert_eq(a, b);
    cr_assert_eq(memcmp(kept, plain, a * sizeof *kept), 0);
    return 0;
}

Test(unwind, what_is_kept_changes_nothing) {
    volatile char room = 0;
    seed();
    for (unsigned i = 0; i < 20000; i++)
        with_and_without((unsigned)(number() % 40), &room);
}

Test(unwind, refused_memory) {
    modes_active = MODE_CHECK;
    os_fake_refuse_map = 1;
    struct arch_frame here;
    arch_frame_here(&here);
    cr_assert_gt(unwind_walk(&here, frames, UNWIND_MOST), 3);
    os_fake_refuse_map = 0;
    unwind_prepare();
    cr_assert_gt(unwind_walk(&here, frames, UNWIND_MOST), 3);
}
