/* SPDX-License-Identifier: MIT */
#include "kit/thread_names.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "os/os.h"

#define WORDS (THREAD_NAME_ROOM / sizeof(uint64_t))
#define LIVES (1 << (31 - THREAD_NUMBER_BITS)) /* of one number that are told apart */
#define ENDED INT_MIN                          /* set in a life that has ended; alone: the place is being taken */

static struct kept {
    _Atomic int life;      /* 0: nobody's */
    _Atomic bool is_early; /* named by another thread before it has begun */
    _Atomic uint64_t name[WORDS];
} names[THREAD_NAMES_MOST] BIG_TABLE;
static _Atomic uint64_t next; /* how many places have been taken, and so which is next */

static struct kept *end_of_used(void) {
    return names + min_size(next, THREAD_NAMES_MOST);
}

static struct kept *find(int life) {
    for (struct kept *kept = names, *end = end_of_used(); kept < end; kept++)
        if ((atomic_load_explicit(&kept->life, memory_order_acquire) & ~ENDED) == life)
            return kept;
    return NULL;
}

static bool is_live(const struct kept *kept, int number) {
    int life = kept->life;
    return life > 0 && thread_number(life) == number;
}

/* A life of this number that has not ended; of begun ones, if that is asked for. */
static struct kept *find_live(int number, bool begun) {
    for (struct kept *kept = names, *end = end_of_used(); kept < end; kept++)
        if (is_live(kept, number) && !(begun && kept->is_early))
            return kept;
    return NULL;
}

static void end(struct kept *kept, int life) {
    if (life > 0)
        atomic_compare_exchange_strong(&kept->life, &life, life | ENDED);
}

/* Threads get numbers in ascending order, and the lowest free one when those are used up. So, in whatever order they begin,
 * between two of the same number there is one whose number is not above that of the one before it. Those are counted. */
static int next_life(int number) {
    static _Atomic uint64_t last; /* the last number, and above it the count */
    uint64_t before = last, after;
    do
        after = ((before >> 32) + ((uint32_t)number <= (uint32_t)before)) << 32 | (uint32_t)number;
    while (!atomic_compare_exchange_weak(&last, &before, after));
    return (int)(after >> 32 & (LIVES - 1)) << THREAD_NUMBER_BITS | number;
}

/* The count begins anew after LIVES: no life that is kept is meant once more. */
static int new_life(int number) {
    int life = next_life(number);
    for (unsigned tries = 1; tries < LIVES && find(life) != NULL; tries++)
        life = next_life(number);
    return life;
}

static void write_name(struct kept *kept, const uint64_t name[WORDS]) {
    for (size_t i = 0; i < WORDS; i++)
        kept->name[i] = name[i];
}

/* Until twice the same is read: a thread may be changing it. */
static void read_name(const struct kept *kept, uint64_t name[WORDS]) {
    for (bool same = false; !same;) {
        same = true;
        for (size_t i = 0; i < WORDS; i++) {
            uint64_t word = kept->name[i];
            same &= word == name[i];
            name[i] = word;
        }
    }
}

/* Places of lives that have not ended are taken when there is no other. NULL if others take all of them just now. */
static struct kept *take_place(int life, bool is_early, const uint64_t name[WORDS]) {
    for (unsigned tries = 0; tries < 2 * THREAD_NAMES_MOST; tries++) {
        struct kept *kept = &names[next++ % THREAD_NAMES_MOST];
        int was = kept->life;
        bool free = was != ENDED && (was <= 0 || tries >= THREAD_NAMES_MOST);
        if (!free || !atomic_compare_exchange_strong(&kept->life, &was, ENDED))
            continue;
        kept->is_early = is_early;
        write_name(kept, name);
        atomic_store_explicit(&kept->life, life, memory_order_seq_cst);
        return kept;
    }
    return NULL;
}

/* A thread takes its place before it looks for an early one, and who makes an early one looks for the thread's own afterwards:
 * one of the two sees the other. */
int thread_life_begin(int number) {
    uint64_t name[WORDS] = {0};
    int life = new_life(number);
    struct kept *mine = take_place(life, false, name);
    for (struct kept *kept = names, *last = end_of_used(); kept < last; kept++) {
        if (kept == mine || !is_live(kept, number))
            continue;
        if (mine != NULL && kept->is_early) {
            read_name(kept, name);
            write_name(mine, name);
        }
        end(kept, kept->life);
    }
    return life;
}

void thread_life_end(int life) {
    struct kept *kept = life != 0 ? find(life) : NULL;
    if (kept != NULL)
        end(kept, life);
}

static void cut(const char *name, uint64_t words[WORDS]) {
    char bytes[THREAD_NAME_ROOM] = "";
    for (size_t i = 0; i < THREAD_NAME_ROOM - 1 && name[i] != '\0'; i++)
        bytes[i] = name[i];
    memcpy(words, bytes, sizeof bytes);
}

void thread_name_keep(int life, const char *name) {
    struct kept *kept = life != 0 ? find(life) : NULL;
    uint64_t words[WORDS];
    cut(name, words);
    if (kept != NULL)
        write_name(kept, words);
}

void thread_name_keep_other(int number, const char *name) {
    struct kept *kept, *begun;
    uint64_t words[WORDS];
    if (number == 0)
        return;
    cut(name, words);
    kept = find_live(number, false);
    if (kept != NULL)
        write_name(kept, words);
    else
        kept = take_place(new_life(number), true, words);
    begun = find_live(number, true);
    if (begun != NULL && begun != kept) {
        write_name(begun, words);
        if (kept != NULL)
            end(kept, kept->life);
    }
}

void thread_name_find(int life, char out[THREAD_NAME_ROOM]) {
    const struct kept *kept = life != 0 ? find(life) : NULL;
    uint64_t words[WORDS] = {0};
    *out = '\0';
    if (kept == NULL)
        return;
    if (kept->life == life)
        os_thread_name(thread_number(life), out, THREAD_NAME_ROOM);
    if (*out != '\0')
        return;
    read_name(kept, words);
    if ((kept->life & ~ENDED) == life)
        memcpy(out, words, THREAD_NAME_ROOM);
}

void thread_names_ask(void) {
    for (struct kept *kept = names, *last = end_of_used(); kept < last; kept++) {
        char name[THREAD_NAME_ROOM];
        int life = kept->life;
        if (life > 0)
            os_thread_name(thread_number(life), name, sizeof name);
        if (life > 0 && *name != '\0')
            thread_name_keep(life, name);
    }
}

/* What another thread of the parent was about to take is nobody's. */
void thread_names_forked(void) {
    for (struct kept *kept = names, *end = end_of_used(); kept < end; kept++)
        kept->life = kept->life == ENDED ? 0 : kept->life != 0 ? kept->life | ENDED : 0;
}
