/* SPDX-License-Identifier: MIT */
/* Heap profiles added up: what each call stack has, with addresses of code that hold for all of them, wherever the kernel put
   that code in each process, and what debug information says of these. */
#ifndef TOOLS_SAMPLES_H
#define TOOLS_SAMPLES_H

#include "heap_profile.h"

/* A file with code. */
struct module {
    char *path;
    const char *name;              /* without folders */
    const char *build_id;          /* hexadecimal digits; "" if unknown */
    bool is_file, is_gone;         /* named by a path; which is not there, or no more what ran */
    bool is_other;                 /* is_gone: the file there is of another build, by its build-id */
    bool is_newer;                 /* than the profile, as far as its times tell: it may not be what ran; where there are no
                                      build-ids to tell */
    uint64_t start, limit, offset; /* where it lay in the first process that had it */
    uint64_t bias;                 /* of addresses there to those that its symbols have */
    size_t number;                 /* from 0, as all numbers here */
};

struct function {
    char *name, *file; /* file: "" if unknown */
    size_t number;
};

/* A function at an address of code, or one that it was inlined into. */
struct place_line {
    struct function *function;
    int line; /* 0: unknown */
};

/* An address of code: the last byte of a call. */
struct place {
    struct module *module; /* NULL: in no file */
    uint64_t address;      /* as the module's symbols have it */
    struct place_line *lines; /* innermost first, at least one once they are named */
    size_t line_count, number;
};

/* Of one call stack, call, size class and tag. */
struct sample {
    struct place **places; /* innermost first, at least one */
    size_t depth;
    const char *call;
    const char *tag; /* "" if none */
    int64_t class_bytes;
    struct heap_amounts before, now;
    int64_t lived[HEAP_LIVES]; /* of what is now */
    struct heap_amounts *moments; /* in each snapshot; NULL if there are none */
};

struct samples {
    struct module **modules; /* first the program */
    struct place **places;
    struct function **functions;
    struct sample **list;
    size_t module_count, module_room, place_count, place_room, function_count, function_room, count, room;
    struct heap_amounts before, now; /* sums of all */
    size_t moment_count;             /* snapshots; 0: profiles are added up */
    int64_t lived;                   /* the sum of all that are freed */
    int64_t interval;                /* of the first profile */
    int64_t interval_most;           /* of any */
    void *module_tree, *place_tree, *function_tree, *tree;
};

/* Where a profile is added. */
enum samples_part { SAMPLES_NOW, SAMPLES_BEFORE, SAMPLES_MOMENT };

/* Adds a profile to what is now, or what was before; or makes it the snapshot of that number, of which the last one is now,
   too. False if numbers get too large. */
bool samples_add(struct samples *samples, const struct heap_profile *profile, enum samples_part part, size_t moment);

/* Names all places, by debug information where there is some. Modules that are gone, or may not be what ran, are told on
   standard error, one line each. */
void samples_name(struct samples *samples);

#endif
