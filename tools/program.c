/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "company.h"
#include "message.h"

enum {
    MAX_INTERPRETERS = 5, /* as many scripts in a chain as the kernel follows */
    FIRST_LINE_BYTES = 256,
};

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define SHELL        "/bin/sh"

/* 0, or the errno value that says why `path` cannot be executed. */
static int why_not_executable(const char *path)
{
    struct stat status;

    if (stat(path, &status))
        return errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) ? errno : 0;
}

static int report_search(const char *name, int error)
{
    if (error == ENOENT || error == ENOTDIR)
        return fail(STATUS_NOT_FOUND, "%s: not found", name);
    return fail(STATUS_NOT_EXECUTABLE, "%s: %s", name, strerror(error));
}

/* A folder that holds a file of that name which may not be run does not end the search, but is remembered. */
static int search_path(const char *name, char path[PATH_MAX])
{
    const char *folder = getenv("PATH");
    int remembered = ENOENT;

    if (!folder)
        folder = DEFAULT_PATH;
    for (;;) {
        int length = (int)strcspn(folder, ":");
        int written = snprintf(path, PATH_MAX, "%.*s%s%s", length, folder, length ? "/" : "./", name);
        int error = written < PATH_MAX ? why_not_executable(path) : ENAMETOOLONG;

        if (!error)
            return 0;
        if (error == EACCES)
            remembered = error;
        if (!folder[length])
            return remembered;
        folder += length + 1;
    }
}

int program_at(int argc, char **argv)
{
    for (int i = 1; i < argc - 1; i++) {
        if (!strcmp(argv[i], "--"))
            return i + 1;
    }
    return 0;
}

int program_find(const char *name, char path[PATH_MAX])
{
    int error;

    if (!strchr(name, '/'))
        error = *name ? search_path(name, path) : ENOENT;
    else if (snprintf(path, PATH_MAX, "%s", name) < PATH_MAX)
        error = why_not_executable(path);
    else
        error = ENAMETOOLONG;
    return error ? report_search(name, error) : 0;
}

/* Whether the kernel would ignore the set-ID bits and capabilities of this file. */
static bool privileges_are_off(int fd)
{
    struct statvfs filesystem;

    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return true;
    return !fstatvfs(fd, &filesystem) && (filesystem.f_flag & ST_NOSUID);
}

/* What makes the loader run this file in secure mode, in which it ignores LD_PRELOAD, or NULL. The rule is the
   kernel's: an effective id that would differ from the real one, or capabilities gained by one who is not root. */
static const char *privilege_gained(int fd)
{
    struct stat status;

    if (fstat(fd, &status) || privileges_are_off(fd))
        return NULL;
    if ((status.st_mode & S_ISUID) && status.st_uid != getuid())
        return "is set-user-ID";
    if ((status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP) && status.st_gid != getgid())
        return "is set-group-ID";
    if (getuid() && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return "has file capabilities";
    return NULL;
}

/* `what` is "it" or "its interpreter <path>". */
static int refuse(const char *name, const char *what, const char *cause, const char *remedy)
{
    return fail(STATUS_CANNOT_PRELOAD, "cannot preload into '%s': %s %s; %s", name, what, cause, remedy);
}

/* glibc's loader, started by its name, has no loader and heeds LD_PRELOAD for the program that it is given. */
static bool is_loader(const char *path)
{
    const char *slash = strrchr(path, '/');

    return !strncmp(slash ? slash + 1 : path, "ld-linux", strlen("ld-linux"));
}

/* A program that can be started but on which the library may have no effect is told of in a line, and started. */
static int check_company(const char *name, const char *what, int fd)
{
    struct company company = company_of(fd);

    if (company.cause)
        return refuse(name, what, company.cause, company.remedy);
    if (company.note)
        fail(0, "note: '%s': %s %s", name, what, company.note);
    return 0;
}

static int check_elf(const char *name, const char *what, const char *path, int fd, const struct elf_file *elf,
                     const struct elf_file *library)
{
    static const char *const remedy = "name a library built for it in MYALLOC_LIBRARY";

    if (elf->class != library->class)
        return refuse(name, what,
                      elf->class == ELFCLASS32 ? "is a 32-bit program and the library is 64-bit"
                                               : "is a 64-bit program and the library is 32-bit",
                      remedy);
    if (elf->machine != library->machine)
        return refuse(name, what, "is built for another processor than the library", remedy);
    if (!elf->has_loader && !is_loader(path)) {
        struct company company = company_of_static(fd);

        return company.cause ? refuse(name, what, company.cause, company.remedy)
                             : refuse(name, what, "is statically linked, so no library can be preloaded",
                                      "link it with libmyalloc.a, or run it without myalloc");
    }
    if (strstr(elf->loader, "/ld-musl"))
        return refuse(name, what, "uses the C library musl, and the library needs glibc",
                      "run it without myalloc, or build it for glibc");
    return 0;
}

static int check_privileges(const char *name, const char *what, int fd)
{
    const char *cause = privilege_gained(fd);
    char text[128];

    if (!cause)
        return 0;
    snprintf(text, sizeof text, "%s, so the loader ignores LD_PRELOAD", cause);
    return refuse(name, what, text, "run it without myalloc, or run 'myalloc run' as the user it runs as");
}

/* `words` is what follows env(1) in a script's first line: options, variables, then the program that env looks up and becomes.
   Writes its path to `path` if it is found. */
static void skip_env(char *words, char path[FIRST_LINE_BYTES])
{
    char found[PATH_MAX], *rest = NULL;

    words[strcspn(words, "\n")] = '\0';
    for (char *word = strtok_r(words, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (word[0] == '-' || strchr(word, '='))
            continue;
        if (!search_path(word, found) && strlen(found) < FIRST_LINE_BYTES)
            strcpy(path, found);
        return;
    }
}

/* Fills in the interpreter of the script in `fd` as the kernel reads it, and what follows it; false when the kernel would not
   take the file for one. A file without "#!" is given to the shell, as shells and execvp(3) do. */
static bool read_first_line(int fd, char path[FIRST_LINE_BYTES], char words[FIRST_LINE_BYTES])
{
    char line[FIRST_LINE_BYTES];
    ssize_t got = pread(fd, line, sizeof line - 1, 0);
    size_t start, length;

    if (got <= 0 || memchr(line, '\0', (size_t)got))
        return false;
    line[got] = words[0] = '\0';
    if (strncmp(line, "#!", 2)) {
        strcpy(path, SHELL);
        return true;
    }
    start = 2 + strspn(line + 2, " \t");
    length = strcspn(line + start, " \t\n");
    memcpy(path, line + start, length);
    path[length] = '\0';
    strcpy(words, line + start + length);
    return length > 0;
}

/* As read_first_line, but what env(1) looks up stands for env. */
static bool read_interpreter(int fd, char path[FIRST_LINE_BYTES])
{
    char words[FIRST_LINE_BYTES];
    bool found = read_first_line(fd, path, words);

    if (found && (!strcmp(path, "/usr/bin/env") || !strcmp(path, "/bin/env")))
        skip_env(words, path);
    return found;
}

/* Checks the file at `path`. When it is a script, writes its interpreter to `next` and leaves the rest to the
   caller; otherwise `next` is empty. */
static int check_file(const char *name, const char *what, const char *path, const struct elf_file *library,
                      char next[FIRST_LINE_BYTES])
{
    struct elf_file elf;
    int status = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    next[0] = '\0';
    if (fd < 0)
        return 0;
    if (elf_read(fd, &elf)) {
        status = check_elf(name, what, path, fd, &elf, library);
        if (!status)
            status = check_privileges(name, what, fd);
        if (!status)
            status = check_company(name, what, fd);
    } else if (!read_interpreter(fd, next)) {
        next[0] = '\0';
    }
    close(fd);
    return status;
}

int program_check(const char *name, const char *path, const struct elf_file *library)
{
    char next[FIRST_LINE_BYTES], interpreter[FIRST_LINE_BYTES];
    char what[FIRST_LINE_BYTES + sizeof "its interpreter "];
    struct company company = company_by_name(path);
    int status = company.cause ? refuse(name, "it", company.cause, company.remedy)
                               : check_file(name, "it", path, library, next);

    for (int i = 0; !status && next[0] && i < MAX_INTERPRETERS; i++) {
        strcpy(interpreter, next);
        snprintf(what, sizeof what, "its interpreter %s", interpreter);
        status = check_file(name, what, interpreter, library, next);
    }
    return status;
}

/* What the kernel executes in the place of the file at `path`: a script's interpreter, or a program's loader, with the word for
   it. NULL if it is neither or cannot be read. */
static const char *read_helper(const char *path, char helper[FIRST_LINE_BYTES])
{
    struct elf_file elf;
    char words[FIRST_LINE_BYTES];
    const char *kind = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return NULL;
    if (elf_read(fd, &elf)) {
        kind = elf.loader[0] ? "loader" : NULL;
        snprintf(helper, FIRST_LINE_BYTES, "%s", elf.loader);
    } else if (read_first_line(fd, helper, words)) {
        kind = "interpreter";
    }
    close(fd);
    return kind;
}

static int report_helper(const char *name, const char *kind, char helper[FIRST_LINE_BYTES], int error)
{
    size_t shown = strcspn(helper, "\r");
    const char *remedy = helper[shown] ? "; its first line ends in a carriage return, as in Windows: remove those" : "";

    helper[shown] = '\0';
    if (error == ENOENT || error == ENOTDIR)
        return fail(STATUS_NOT_FOUND, "%s: its %s '%s' does not exist%s", name, kind, helper, remedy);
    return fail(STATUS_NOT_EXECUTABLE, "%s: its %s '%s': %s%s", name, kind, helper, strerror(error), remedy);
}

int program_check_helpers(const char *name, const char *path)
{
    char at[PATH_MAX], helper[FIRST_LINE_BYTES];
    const char *kind;

    snprintf(at, sizeof at, "%s", path);
    for (int i = 0; i < MAX_INTERPRETERS && (kind = read_helper(at, helper)) != NULL; i++) {
        int error = why_not_executable(helper);

        if (error)
            return report_helper(name, kind, helper, error);
        strcpy(at, helper);
    }
    return 0;
}

int program_report(const char *name, const char *path, int error)
{
    int status = program_check_helpers(name, path);

    return status ? status : report_search(name, error);
}

bool program_is_text(const char *path)
{
    char line[FIRST_LINE_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd < 0 ? 0 : pread(fd, line, sizeof line, 0);
    const char *end = got > 0 ? memchr(line, '\n', (size_t)got) : NULL;

    if (fd >= 0)
        close(fd);
    return got <= 0 || !memchr(line, '\0', end ? (size_t)(end - line) : (size_t)got);
}
