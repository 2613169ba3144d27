/* SPDX-License-Identifier: MIT */
/*
 * Who a thread is: records of blocks name one by a number, and reports tell its name when it has ended, and when the kernel
 * cannot be asked any more (os_shut_in).
 *
 * The OS gives the number of a thread that has ended to another one. So records name a *life*: the OS's number, and in the bits
 * above it a count that tells the threads of one number apart. The last THREAD_NAMES_MOST lives are kept with their names,
 * those that have ended given up first. The kernel is asked for the name of a life that has not ended, and nobody of one that
 * is not kept: its number may be another's by now.
 *
 * No lock, and safe in a signal's handler: who begins a life takes a place for it by one exchange. Nothing is touched before
 * the first life begins.
 */
#ifndef MYALLOC_THREAD_NAMES_H
#define MYALLOC_THREAD_NAMES_H

#include "base/base.h"

#define THREAD_NAMES_MOST 1024
#define THREAD_NAME_ROOM 16    /* the kernel's names have at most 15 characters */
#define THREAD_NUMBER_BITS 22  /* the kernel's numbers are below 4,194,304, whatever kernel.pid_max is set to */

/* The OS's number of a life. */
static inline int thread_number(int life) {
    return life & ((1 << THREAD_NUMBER_BITS) - 1);
}

/* Begins a life of the calling thread, whose number that is, and ends those that its number had before. Not 0. */
int thread_life_begin(int number);

/* The calling thread ends; 0 for one that has not begun. */
void thread_life_end(int life);

/* Keeps the first 15 bytes of a name, which may end without a NUL behind them. Of a life that is not kept any more: nothing. */
void thread_name_keep(int life, const char *name);

/* The same for another thread, which may not have begun its life: then it begins it with that name. 0 for one that has
 * ended. */
void thread_name_keep_other(int number, const char *name);

/* The name, else an empty text. */
void thread_name_find(int life, char out[THREAD_NAME_ROOM]);

/* The kernel will not be asked any more: keeps what it says of all lives that have not ended. */
void thread_names_ask(void);

/* In the child of a fork: all lives have ended. */
void thread_names_forked(void);

#endif
