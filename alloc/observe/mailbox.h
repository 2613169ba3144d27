/* SPDX-License-Identifier: MIT */
/*
 * The mailbox: commands for a running process (`myalloc ctl`), written into its memory from outside (process_vm_writev) and
 * answered by a thread of its own that comes by in a slow path, or by the helper of background:on. The layout is that of
 * MAILBOX_VERSION, and the page of numbers (page.h) says where the mailbox is.
 *
 * A tool writes a letter, its ticket drawn at random and its sum last, then anything but 0 to the knock. The library takes the
 * knock back, copies the letter and does what it says, once: `taken` has its ticket from then on, and one of `answers` when it
 * is done. A letter whose sum is not right is torn, or none: it is passed over, and counts as not written. A tool whose letter
 * is neither there nor taken nor answered has lost its place to another tool that wrote at the same moment: nothing was done.
 *
 * What lies here is hostile to both sides. The library reads the letter and the knock, once each, and keeps nothing else here
 * that it reads again: a command is a number of a fixed set, its argument a number within bounds; no pointer, index, length or
 * path comes from outside. A tool shows what it reads as numbers and as text without control characters.
 */
#ifndef MYALLOC_MAILBOX_H
#define MYALLOC_MAILBOX_H

#include <stdint.h>

#define MAILBOX_VERSION 1 /* of all that is here; a tool of another one writes nothing */

/* The commands that may come; each is `argument`'s meaning as well. */
enum mailbox_command {
    MAILBOX_NONE,        /* no command: the letter that stood there is withdrawn */
    MAILBOX_PURGE,       /* 0; the first result: bytes that the system has got */
    MAILBOX_TRIM,        /* 0; the same */
    MAILBOX_LIMIT,       /* bytes, UINT64_MAX for none; what is taken now */
    MAILBOX_DECAY,       /* ms; 0 */
    MAILBOX_PROFILE,     /* 0 off, 1 on; the interval in bytes */
    MAILBOX_DUMP,        /* 0; the interval in bytes; the text: the file's path */
    MAILBOX_CHECK,       /* 0; invariants found broken */
    MAILBOX_BACKGROUND,  /* 0 off, 1 on; 0 */
    MAILBOX_SAMPLE,      /* 1 on; 1 if it was on before */
    MAILBOX_RECORD,      /* 1 on; the address of the page of events (events.h) */
    MAILBOX_COMMANDS
};

/* Added to the result of MAILBOX_PROFILE where it was on before. */
#define MAILBOX_WAS_ON ((uint64_t)1 << 63)

enum mailbox_status {
    MAILBOX_DONE = 1,
    MAILBOX_UNKNOWN,  /* no such command */
    MAILBOX_BOUNDS,   /* the argument is out of bounds */
    MAILBOX_REFUSED,  /* the system refuses; the first result: errno */
    MAILBOX_UNFIT,    /* the process is such that it cannot be */
    MAILBOX_STATUSES
};

struct mailbox_letter {
    uint64_t ticket;    /* not 0 */
    uint64_t command;
    uint64_t argument;
    uint64_t process;   /* its number, as it knows itself: a forked child has another */
    uint64_t sum;       /* mailbox_sum of what stands before it */
};

struct mailbox_answer {
    uint64_t ticket;
    uint64_t command, status, result;
    uint64_t sum;
};

enum { MAILBOX_ANSWERS = 8, MAILBOX_TEXT = 1536 };

struct mailbox {
    struct mailbox_letter letter;  /* written by tools, all else by the library */
    uint64_t taken;                /* ticket of the letter that was taken last */
    struct mailbox_answer answers[MAILBOX_ANSWERS]; /* the last ones, in any order */
    uint64_t text_of;              /* ticket of the answer that has */
    char text[MAILBOX_TEXT];
};

/* The sum of a letter or an answer: of `count` words. */
static inline uint64_t mailbox_sum(const uint64_t *words, unsigned count) {
    uint64_t sum = 0x6d61696c626f7800 + MAILBOX_VERSION;

    for (unsigned i = 0; i < count; i++) {
        sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15;
        sum ^= sum >> 29;
    }
    return sum;
}

#endif
