/* SPDX-License-Identifier: MIT */
#include "code.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mappings.h"

enum { TABLE = 1 << 19, RANGES = 64 };

static struct instruction *table[TABLE];
static size_t table_used;
static const char *library = "";
static struct {
    uintptr_t start, end;
} ranges[RANGES]; /* of the library's code */
static size_t range_count;
static bool ranges_known;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void code_allocator(const char *path) {
    library = path;
}

void code_mapped(void) {
    __atomic_store_n(&ranges_known, false, __ATOMIC_RELAXED);
}

static void see_mapping(const struct mapping *mapping, void *unused) {
    (void)unused;
    if (strcmp(mapping->path, library) != 0 || range_count == RANGES)
        return;
    ranges[range_count].start = mapping->start;
    ranges[range_count++].end = mapping->end;
}

static void find_ranges(void) {
    range_count = 0;
    ranges_known = true;
    mappings_walk(see_mapping, NULL);
}

static bool is_allocator(uintptr_t address) {
    if (library[0] == '\0')
        return false;
    if (!ranges_known)
        find_ranges();
    for (size_t i = 0; i < range_count; i++)
        if (address >= ranges[i].start && address < ranges[i].end)
            return true;
    return false;
}

#if defined __x86_64__

enum { LOCK_PREFIX = 0xf0, EXCHANGE_BYTE = 0x86, EXCHANGE = 0x87, MODE_REGISTER = 3, PAUSE_PREFIX = 0xf3, PAUSE_CODE = 0x90 };

static bool is_prefix(unsigned char byte) {
    return byte == 0x66 || byte == 0x67 || byte == 0xf2 || byte == 0xf3 || byte == 0x2e || byte == 0x36 || byte == 0x3e ||
           byte == 0x26 || byte == 0x64 || byte == 0x65 || (byte & 0xf0) == 0x40;
}

/* An instruction with the prefix lock, or an exchange with memory, which is atomic without it. */
static bool is_atomic(const unsigned char *bytes, size_t size) {
    size_t i = 0;
    while (i + 1 < size && is_prefix(bytes[i]))
        i++;
    if (bytes[i] == LOCK_PREFIX)
        return true;
    return i + 1 < size && (bytes[i] == EXCHANGE || bytes[i] == EXCHANGE_BYTE) && bytes[i + 1] >> 6 != MODE_REGISTER;
}

bool code_is_pause(const unsigned char *bytes, size_t size) {
    return size == 2 && bytes[0] == PAUSE_PREFIX && bytes[1] == PAUSE_CODE;
}

#elif defined __aarch64__

static uint32_t word_of(const unsigned char *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Load and store exclusive, compare and swap (both without bit 23 or with bit 21: plain acquire and release have bit 23 alone),
 * and the atomic memory operations of the large system extensions. */
static bool is_atomic(const unsigned char *bytes, size_t size) {
    uint32_t word = word_of(bytes);
    bool exclusive = (word & 0x3f000000) == 0x08000000 && !((word >> 23 & 1) && !(word >> 21 & 1));
    bool operation = (word & 0x3b200c00) == 0x38200000;
    return size == 4 && (exclusive || operation);
}

bool code_is_pause(const unsigned char *bytes, size_t size) {
    uint32_t yield = 0xd503203f, barrier = 0xd5033fdf; /* isb is what loops use instead of yield */
    return size == 4 && (word_of(bytes) == yield || word_of(bytes) == barrier);
}

#else
#error "bench/cores: x86-64 and aarch64 only"
#endif

struct instruction *code_instruction(uintptr_t address, const unsigned char *bytes, size_t size) {
    pthread_mutex_lock(&lock);
    size_t at = address * 0x9e3779b97f4a7c15u >> 45;
    while (table[at] != NULL && table[at]->address != address)
        at = (at + 1) % TABLE;
    if (table[at] == NULL) {
        struct instruction *new = calloc(1, sizeof *new);
        if (new == NULL || ++table_used > TABLE / 2) {
            fputs("cores: the program has too much code\n", stderr);
            _Exit(1);
        }
        *new = (struct instruction){.address = address, .atomic = is_atomic(bytes, size), .allocator = is_allocator(address)};
        table[at] = new;
    }
    pthread_mutex_unlock(&lock);
    return table[at];
}

void code_walk(void (*see)(const struct instruction *at, void *data), void *data) {
    for (size_t i = 0; i < TABLE; i++)
        if (table[i] != NULL)
            see(table[i], data);
}
