/* SPDX-License-Identifier: MIT */
#include "out_file.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

static FILE *file;
static char *beside, *place; /* NULL: there is no file beside */
static const char *refusal;  /* why it is not to be written, though it could be */

static void remove_beside(void)
{
    if (beside)
        unlink(beside);
}

/* As open(2) would have made it, which mkstemp(3) does not. */
static void set_rights(int fd, const struct stat *before)
{
    mode_t mask = umask(0);

    umask(mask);
    fchmod(fd, before ? before->st_mode & 07777 : 0666 & ~mask);
}

static FILE *open_beside(const char *path, const struct stat *before)
{
    static bool is_noted;
    char *real = before ? realpath(path, NULL) : NULL;
    int fd;

    place = real ? real : memory_copy(path, strlen(path));
    beside = memory_format("%s.XXXXXX", place);
    fd = mkstemp(beside);
    if (fd < 0) {
        free(beside);
        free(place);
        beside = NULL;
        return NULL;
    }
    if (!is_noted)
        atexit(remove_beside);
    is_noted = true;
    set_rights(fd, before);
    return fdopen(fd, "w");
}

/* Whether it is a heap profile, of whatever program, but none that was made of one. */
static bool is_profile(const char *path)
{
    static const char start[] = "heap profile: ";
    char text[256];
    FILE *in = fopen(path, "re");
    size_t length;

    if (!in)
        return false;
    length = fread(text, 1, sizeof text - 1, in);
    text[length] = '\0';
    fclose(in);
    return !strncmp(text, start, sizeof start - 1) && !strstr(text, OUT_FILE_PROFILE);
}

FILE *out_file_open(const char *path)
{
    struct stat status;
    bool is_there;

    refusal = NULL;
    if (!strcmp(path, "-"))
        return file = stdout;
    is_there = !stat(path, &status);
    if (is_there && S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        return NULL;
    }
    if (is_there && !S_ISREG(status.st_mode))
        return file = fopen(path, "we");
    if (is_there && access(path, W_OK))
        return NULL;
    if (is_there && is_profile(path)) {
        refusal = "it is a heap profile, which would be lost; name another file";
        return NULL;
    }
    return file = open_beside(path, is_there ? &status : NULL);
}

bool out_file_close(bool is_whole)
{
    int error = errno;
    bool failed = !is_whole;

    if (!failed && (fflush(file) || ferror(file))) {
        failed = true;
        error = errno;
    }
    if (file != stdout && fclose(file) && !failed) {
        failed = true;
        error = errno;
    }
    if (beside) {
        if (!failed && rename(beside, place)) {
            failed = true;
            error = errno;
        }
        if (failed)
            remove_beside();
        free(beside);
        free(place);
        beside = NULL;
    }
    errno = error;
    return !failed;
}

const char *out_file_error(void)
{
    return refusal ? refusal : strerror(errno);
}
