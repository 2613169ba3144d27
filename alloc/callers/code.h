/* SPDX-License-Identifier: MIT */
/*
 * Which module (the program, a library, the kernel's vdso) an address of code lies in, and where that module's unwind tables
 * are. glibc from 2.35 on answers that without a lock (_dl_find_object); with an older or another libc a copy of the loader's
 * list does (objects.h).
 *
 * A library can be closed, and another one can come to its addresses. Whoever keeps what it has read keeps the number with it
 * that code_generation() was then, and forgets it when that has changed. The number changes when the loader allocates, as it
 * does for each library before it maps it; captures are made for all allocations of the program, the loader's included, while
 * a mode is on that must see them. code_is_seen_to_change() says whether that is so: otherwise only what was read of modules
 * that were there at the start may be kept, as those are never closed.
 *
 * Nothing here waits (but for what objects.h names), allocates or can fault: memory of a module is touched only where its own
 * header says that it is mapped.
 */
#ifndef MYALLOC_CODE_H
#define MYALLOC_CODE_H

#include "base/base.h"

struct code {
    const uint8_t *start, *end; /* a range that can be read, in which the tables lie */
    const uint8_t *header;      /* .eh_frame_hdr; NULL if there is only .eh_frame */
    const uint8_t *frames;      /* .eh_frame, where there is no header */
    uintptr_t module;           /* where the module's header lies */
    bool stays;                 /* a change is seen, or there can be none: what is read of it may be kept */
};

/* False if no module has code there, or one without unwind tables. */
bool code_find(uintptr_t address, struct code *code);

/* True if the address is one of the loader's. */
bool code_is_loader(uintptr_t address);

/* At the start, once: what is loaded by now is never closed. */
void code_started(void);

/* Reads what must be read from the program's file. */
void code_prepare(void);

bool code_is_seen_to_change(void);

/* True while a mode is on that captures so many stacks that what is read of code is worth memory. */
bool code_is_worth_keeping(void);

uint32_t code_generation(void);

/* From now on nothing that has been kept before is right. */
void code_changes(void);

/* True while code that is not found may be code that is being loaded: nothing may be kept of it then. */
bool code_may_come(void);

/* Around dlclose; only there where libc does not say what is loaded (objects.h). */
void code_closes(void);
void code_closed(void);

#endif
