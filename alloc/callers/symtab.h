/* SPDX-License-Identifier: MIT */
/*
 * Names of functions from the symbol table of an ELF file: what the dynamic loader does not know, static functions
 * and those of a program not linked with -rdynamic. The file is read piece by piece into the stack: no allocation, and
 * no mapping that a truncation of the file would turn into a trap.
 */
#ifndef MYALLOC_SYMTAB_H
#define MYALLOC_SYMTAB_H

#include "base/base.h"

/* The function that covers `address` (as the file has it, without the load bias): its name in `out`, cut to room - 1
 * characters, and *offset of the address from its start. False, `out` empty, if the file cannot be read, is stripped, or
 * has no such function. */
bool symtab_find(const char *path, uintptr_t address, char *out, size_t room, size_t *offset);

#endif
