/* SPDX-License-Identifier: MIT */
#include "kit/path.h"

#include <errno.h>
#include <string.h>

#include "os/os.h"
#include "kit/readonly.h"
#include "kit/text.h"

struct folder {
    char path[PATH_FOLDER_ROOM]; /* empty: relative paths are taken as they are */
};
READONLY_PAGES(struct folder, folder) = {{""}};

void path_keep_folder(void) {
    struct folder found;
    if (!os_folder(found.path, sizeof found.path) || !readonly_open(&folder_pages, sizeof folder_pages))
        return;
    folder_pages.value = found;
    readonly_shut(&folder_pages, sizeof folder_pages);
}

/* Puts the folder in front of a path that needs it. Returns the length. */
static size_t begin(const char *path, char *out, size_t room) {
    const char *folder = folder_pages.value.path;
    if (path[0] == '/' || path[0] == '\0' || folder[0] == '\0')
        return 0;
    return text_format(out, room, folder[1] == '\0' ? "%s" : "%s/", folder);
}

bool path_from_start(const char *path, char *out, size_t room) {
    size_t at = begin(path, out, room), length = strlen(path);
    if (at + length >= room)
        return false;
    memcpy(out + at, path, length + 1);
    return true;
}

const char *path_program(void) {
    const char *name = program_invocation_name, *slash = name != NULL ? strrchr(name, '/') : NULL;
    return slash != NULL ? slash + 1 : name != NULL && *name != '\0' ? name : "program";
}

/* The number behind "%=". Returns how many characters it has. */
static size_t number_at(const char *text, int *number) {
    size_t length = 0;
    for (*number = 0; length < 9 && text[length] >= '0' && text[length] <= '9'; length++)
        *number = *number * 10 + text[length] - '0';
    return length;
}

bool path_fill(const char *pattern, char *out, size_t room) {
    size_t at = begin(pattern, out, room);
    for (; *pattern != '\0' && at + 1 < room; pattern++) {
        char sign = pattern[0] == '%' ? pattern[1] : '\0';
        int only = 0;
        size_t digits = sign == '=' ? number_at(pattern + 2, &only) : 0;
        if (sign == 'p' || (digits > 0 && only != os_process_id()))
            at += text_format(out + at, room - at, sign == 'p' ? "%d" : ".%d", os_process_id());
        else if (sign == 'b')
            at += text_format(out + at, room - at, "%s", path_program());
        else if (digits == 0)
            out[at++] = *pattern;
        pattern += digits > 0 ? 1 + digits : sign == 'p' || sign == 'b' || sign == '%';
    }
    out[min_size(at, room - 1)] = '\0';
    return *pattern == '\0' && at + 1 < room;
}

const char *path_error(int error) {
    if (error == ENXIO)
        return "a pipe with nobody at its other end, or no such device";
    return error == EAGAIN ? "a pipe, and nobody goes on at its other end" : os_error_text(error);
}
