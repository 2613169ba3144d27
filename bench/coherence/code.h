/* SPDX-License-Identifier: MIT */
/* What is known of each instruction that reads or writes memory: where it is, whether it is atomic, whose it is, and what it
 * has cost. There is one of each address, however often it is translated. */
#ifndef CODE_H
#define CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "counts.h"

struct instruction {
    uintptr_t address;
    bool atomic;    /* reads and writes in one step */
    bool allocator; /* lies in the allocator's library */
    uint64_t transfers[KINDS];
};

/* The library whose code is the allocator's, by the path that /proc/self/maps shows; "" if there is none. */
void code_allocator(const char *path);

/* Finds or makes the instruction of these bytes. Any thread may call it. */
struct instruction *code_instruction(uintptr_t address, const unsigned char *bytes, size_t size);

/* Of the processor's instruction for loops that wait. */
bool code_is_pause(const unsigned char *bytes, size_t size);

/* Mappings may have changed. */
void code_mapped(void);

void code_walk(void (*see)(const struct instruction *at, void *data), void *data);

#endif
