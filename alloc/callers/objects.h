/* SPDX-License-Identifier: MIT */
/*
 * What is loaded, for a libc that does not say it without a lock (_dl_find_object: glibc from 2.35 on). A copy of what the
 * loader lists is made when a mode is switched on, after each dlclose, and where an address is looked for that is not in it
 * after a dlopen; all other look-ups read the copy. There are two: one is read while the other is written, so that a reader
 * waits for nothing and can be a signal's handler, also of the thread that writes.
 *
 * While a dlclose runs, and where more is loaded than a copy has room for, the loader's list itself is read, under the lock
 * that the loader holds for the moment in which it changes it. The same lock is taken to make a copy.
 */
#ifndef MYALLOC_OBJECTS_H
#define MYALLOC_OBJECTS_H

#include <link.h>

#include "base/base.h"

#ifndef MYALLOC_FINDS_OBJECTS /* 0: as with a libc that has no _dl_find_object */
#ifdef DLFO_STRUCT_HAS_EH_DBASE
#define MYALLOC_FINDS_OBJECTS 1
#else
#define MYALLOC_FINDS_OBJECTS 0
#endif
#endif

/* A range of addresses of a module, and where its unwind tables are. */
struct object {
    uintptr_t start, end;              /* of a segment with code */
    uintptr_t module;                  /* by how far it was moved */
    uintptr_t header;                  /* .eh_frame_hdr, 0 if there is none */
    uintptr_t tables_start, tables_end; /* the segment in which that lies */
};

/* The object that covers the address. False if none does. */
bool objects_find(uintptr_t address, struct object *object);

/* True while an object that was not found may be one that is being loaded: nothing may be kept of it then. */
bool objects_may_come(void);

/* To be called when a mode is switched on; when something is or may have been loaded; around a dlclose. */
void objects_update(void);
void objects_opens(void);
void objects_closes(void);
void objects_closed(void);

#endif
