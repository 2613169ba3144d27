/* SPDX-License-Identifier: MIT */
#include "library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

#define LINK_NAME "libmyalloc.so"
#define PRIVATE_FOLDER "myalloc"

/* Leaves links in `named` alone: one may stand there just to have a name that fits into LD_PRELOAD. */
static bool make_absolute(const char *named, char path[PATH_MAX])
{
    char folder[PATH_MAX];
    int length;

    if (named[0] == '/')
        length = snprintf(path, PATH_MAX, "%s", named);
    else if (getcwd(folder, sizeof folder))
        length = snprintf(path, PATH_MAX, "%s/%s", folder, named);
    else
        return false;
    return length < PATH_MAX;
}

bool library_own_folder(char folder[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    char *slash;

    if (length < 0)
        return false;
    folder[length] = '\0';
    slash = strrchr(folder, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return true;
}

/* A file that is looked for. */
struct wanted {
    const char *folder; /* below the one of libraries */
    const char *name, *other; /* `other`: where that is not there; or NULL */
};

/* Whether there is a file of that name in a folder, whose links are followed. Those of the file are not: the number in its name
   stays when the library is replaced by a newer one, and programs that run hand the name on to what they start. */
static bool has(const char *real_folder, const char *name, char path[PATH_MAX])
{
    return name && snprintf(path, PATH_MAX, "%s/%s", real_folder, name) < PATH_MAX && access(path, F_OK) == 0;
}

static bool is_in(const char *folder, const struct wanted *wanted, char path[PATH_MAX])
{
    char real[PATH_MAX];

    return realpath(folder, real) && (has(real, wanted->name, path) || has(real, wanted->other, path));
}

static bool search(const struct wanted *wanted, char path[PATH_MAX])
{
    char own[PATH_MAX], folder[2 * PATH_MAX];

    if (library_own_folder(own)) {
        snprintf(folder, sizeof folder, "%s/../lib/%s", own, wanted->folder);
        if (is_in(own, wanted, path) || is_in(folder, wanted, path))
            return true;
    }
    snprintf(folder, sizeof folder, MYALLOC_LIBDIR "/%s", wanted->folder);
    return is_in(folder, wanted, path);
}

bool library_find_private(const char *name, char path[PATH_MAX])
{
    return search(&(struct wanted){PRIVATE_FOLDER, name, NULL}, path);
}

/* Also without the link of its name: somebody may have copied the two files. */
static bool search_library(char path[PATH_MAX])
{
    return search(&(struct wanted){"", MYALLOC_SONAME, LINK_NAME}, path);
}

bool library_path(char path[PATH_MAX])
{
    const char *named = getenv("MYALLOC_LIBRARY");

    return named && *named ? make_absolute(named, path) : search_library(path);
}

static int locate(char path[PATH_MAX])
{
    const char *named = getenv("MYALLOC_LIBRARY");

    if (library_path(path))
        return 0;
    if (named && *named)
        return fail(STATUS_CANNOT_PRELOAD, "the path in MYALLOC_LIBRARY is too long");
    return fail(STATUS_CANNOT_PRELOAD, "cannot find " MYALLOC_SONAME " or " LINK_NAME " beside this command, in ../lib or in "
                MYALLOC_LIBDIR "; set MYALLOC_LIBRARY to its path");
}

static int read_headers(struct library *library)
{
    int fd = open(library->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is_elf;

    if (fd < 0)
        return fail(STATUS_CANNOT_PRELOAD, "cannot read the library '%s': %s; correct MYALLOC_LIBRARY",
                    library->path, strerror(errno));
    is_elf = elf_read(fd, &library->elf);
    close(fd);
    if (!is_elf)
        return fail(STATUS_CANNOT_PRELOAD, "'%s' is no shared library; correct MYALLOC_LIBRARY", library->path);
    return 0;
}

int library_find(struct library *library)
{
    int status = locate(library->path);

    if (status)
        return status;
    if (strpbrk(library->path, " :"))
        return fail(STATUS_CANNOT_PRELOAD,
                    "cannot preload '%s': LD_PRELOAD cannot hold a path with a space or a colon; set "
                    "MYALLOC_LIBRARY to a link to it without them",
                    library->path);
    return read_headers(library);
}
