/* SPDX-License-Identifier: MIT */
/* What debug information says of an address in a module: functions and lines, those that the compiler has inlined too. */
#ifndef TOOLS_FRAMES_H
#define TOOLS_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMES_MOST 16

struct frame {
    char function[4096]; /* C++ names demangled; "" if unknown */
    char file[1024];     /* "" if unknown */
    int line;
};

/* Loads the libraries that read debug information. False if they are not there. With `paths`, files will have their folders. */
bool frames_start(bool paths);

/* The functions that lie at `address` of the module's file, the innermost first, the others those that it was inlined into.
   `build_id` is that of the module that ran, in hexadecimal digits, or NULL; the file of another build is not asked. Returns
   their number: 0 if nothing is known. */
int frames_find(const char *module, uint64_t address, const char *build_id, struct frame found[FRAMES_MOST]);

/* The build-id of the module's file in hexadecimal digits, "" if it has none. */
const char *frames_build_id(const char *module);

/* A C++ name as the source has it, or the name itself, into `out`. */
void frames_demangle(const char *name, char *out, size_t room);

#endif
