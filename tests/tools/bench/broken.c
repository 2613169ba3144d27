/* SPDX-License-Identifier: MIT */
/* A preload that breaks malloc in the way that BROKEN names, for loads that must notice; `trace` breaks nothing and
 * says at exit what was asked for. Nothing is ever freed, so that the harm is done to the load and not to libc. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_memalign(size_t alignment, size_t size);

enum { HEAD = 16, OFTEN = 41, PATIENCE = 300, SMALL = 16 };

/* Before main, libc and the loader get honest memory. */
static int ready, overlap, dirty, refuse, askew, lossy, trace;
static unsigned long calls;
static uint64_t sizes = 0xcbf29ce484222325u;
static char *last;
static size_t last_size;

__attribute__((constructor)) static void start(void) {
    const char *how = getenv("BROKEN");
    overlap = how && strcmp(how, "overlap") == 0;
    dirty = how && strcmp(how, "dirty") == 0;
    refuse = how && strcmp(how, "refuse") == 0;
    askew = how && strcmp(how, "askew") == 0;
    lossy = how && strcmp(how, "lossy") == 0;
    trace = how && strcmp(how, "trace") == 0;
    ready = 1;
}

__attribute__((destructor)) static void end(void) {
    char line[64];
    int length = snprintf(line, sizeof line, "trace %lu %016llx\n", calls, (unsigned long long)sizes);
    if (trace && write(STDERR_FILENO, line, (size_t)length) < 0)
        _exit(1);
}

static void *blocks(size_t alignment, size_t size) {
    char *p = __libc_memalign(alignment > HEAD ? alignment : HEAD, size + (alignment > HEAD ? alignment : HEAD));
    if (p == NULL)
        return NULL;
    p += alignment > HEAD ? alignment : HEAD;
    memcpy(p - HEAD, &size, sizeof size);
    return p;
}

void *malloc(size_t size) {
    unsigned long call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    if (trace)
        sizes = (sizes ^ size) * 0x100000001b3u;
    if (ready && refuse && call > PATIENCE) {
        errno = ENOMEM;
        return NULL;
    }
    if (ready && overlap && call % OFTEN == 0 && last != NULL && last_size >= size && size >= 8)
        return last;
    char *p = blocks(HEAD, size);
    last = p;
    last_size = size;
    return p;
}

void *calloc(size_t count, size_t size) {
    char *p = malloc(count * size);
    if (p != NULL)
        memset(p, 0, count * size);
    if (ready && dirty && p != NULL && count * size > SMALL)
        p[count * size / 2 / 4096 * 4096 + (count * size > 8192 ? 0 : count * size / 2)] = 1;
    return p;
}

void *realloc(void *old, size_t size) {
    size_t had = 0;
    char *p = malloc(size);
    if (old != NULL)
        memcpy(&had, (char *)old - HEAD, sizeof had);
    if (p != NULL && old != NULL)
        memcpy(p, old, (had < size ? had : size) - (ready && lossy && had > SMALL ? 1 : 0));
    if (p != NULL && ready && lossy && had > SMALL && had < size)
        p[had - 1] = 77;
    return p;
}

void *memalign(size_t alignment, size_t size) {
    char *p = blocks(alignment, size + HEAD);
    return p != NULL && ready && askew ? p + HEAD : p;
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size) {
    *p = memalign(alignment, size);
    return *p != NULL ? 0 : ENOMEM;
}

void free(void *p) {
    (void)p;
}
