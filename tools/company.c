/* SPDX-License-Identifier: MIT */
#include "company.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "elf_names.h"

#define NOTHING ((struct company){NULL, NULL, NULL})

/* Run-time libraries of sanitizers, by how their names begin: gcc's, and clang's where they are shared libraries. A program
   that is built with one needs the malloc of that library; with another one in front of it, it ends at its start,
   ThreadSanitizer's by a SIGSEGV. `allowing` is what the variable must say for the program to start all the same. */
static const struct sanitizer {
    const char *library, *cause, *remedy, *variable, *allowing;
} sanitizers[] = {
    {"libtsan.so", "is built with -fsanitize=thread, and ends at its start without the sanitizer's own malloc",
     "run it without myalloc, or build it without the sanitizer", NULL, NULL},
    {"libclang_rt.tsan", "is built with -fsanitize=thread, and ends at its start without the sanitizer's own malloc",
     "run it without myalloc, or build it without the sanitizer", NULL, NULL},
    {"libasan.so", "is built with -fsanitize=address, which wants its own malloc first",
     "run it without myalloc, or set ASAN_OPTIONS=verify_asan_link_order=0 and do without its checks of the heap",
     "ASAN_OPTIONS", "verify_asan_link_order=0"},
    {"libclang_rt.asan", "is built with -fsanitize=address, which wants its own malloc first",
     "run it without myalloc, or set ASAN_OPTIONS=verify_asan_link_order=0 and do without its checks of the heap",
     "ASAN_OPTIONS", "verify_asan_link_order=0"},
    {"libhwasan.so", "is built with -fsanitize=hwaddress, and ends at its start without the sanitizer's own malloc",
     "run it without myalloc, or build it without the sanitizer", NULL, NULL},
};

static bool is_allowed(const struct sanitizer *sanitizer)
{
    const char *value = sanitizer->variable ? getenv(sanitizer->variable) : NULL;

    return value && strstr(value, sanitizer->allowing);
}

static struct company look(const struct elf_names *names)
{
    for (size_t i = 0; i < sizeof sanitizers / sizeof sanitizers[0]; i++) {
        if (elf_needs(names, sanitizers[i].library) && !is_allowed(&sanitizers[i]))
            return (struct company){sanitizers[i].cause, sanitizers[i].remedy, NULL};
    }
    if (elf_needs(names, "liblsan.so"))
        return (struct company){.note = "is built with -fsanitize=leak, whose malloc myalloc replaces: "
                                        "it will report no leaks"};
    if (elf_defines(names, "malloc"))
        return (struct company){.note = "defines malloc itself, and its own comes first: unless that hands on "
                                        "to the next one, the library has no effect"};
    return NOTHING;
}

struct company company_of(int fd)
{
    struct elf_names names;
    struct company company;

    elf_names_open(fd, &names);
    company = look(&names);
    elf_names_close(&names);
    return company;
}

struct company company_of_static(int fd)
{
    struct elf_names names;
    struct company company = NOTHING;

    elf_names_open(fd, &names);
    if (elf_has_section(&names, ".note.go.buildid"))
        company = (struct company){"is a statically linked Go program, which has a heap of its own and calls no malloc",
                                   "run it without myalloc", NULL};
    elf_names_close(&names);
    return company;
}

struct company company_by_name(const char *path)
{
    static const char *const cleaning[] = {"sudo", "doas", "pkexec", "su", "runuser"};
    static const char *const elsewhere[] = {"docker", "podman", "flatpak", "snap", "systemd-run"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    for (size_t i = 0; i < sizeof cleaning / sizeof cleaning[0]; i++) {
        if (!strcmp(name, cleaning[i]))
            return (struct company){"starts its program with an environment without LD_PRELOAD",
                                    "let it start 'myalloc run PROGRAM'", NULL};
    }
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        if (!strcmp(name, elsewhere[i]))
            return (struct company){"has another process start its program, with an environment and files of its own",
                                    "run myalloc there, or set LD_PRELOAD there", NULL};
    }
    return NOTHING;
}
