/* SPDX-License-Identifier: MIT */
/* What a program brings with it that a preloaded malloc does not go together with, or that takes its place. */
#ifndef TOOLS_COMPANY_H
#define TOOLS_COMPANY_H

struct company {
    const char *cause, *remedy; /* why the program cannot be started; NULL if it can */
    const char *note;           /* why the library will have less effect than one might think; NULL for nothing */
};

/* What is so of the dynamically linked program in the open file `fd`. */
struct company company_of(int fd);

/* The same of a statically linked one: a cause that is better than that, or none. */
struct company company_of_static(int fd);

/* What is known of a program by its name: those that do not hand their environment on to what they start. */
struct company company_by_name(const char *path);

#endif
