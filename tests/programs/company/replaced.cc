// SPDX-License-Identifier: MIT
// run: helper
// What a program may replace, a piece for each value of PIECE; each notes that it was called. For operators.test.
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

extern "C" char trace[64];
extern "C" bool traced, refusing;

static inline void note(char letter) {
    size_t length = strlen(trace);
    if (traced && length < sizeof trace - 1)
        trace[length] = letter;
}

[[maybe_unused]] static inline void *give(char letter, void *p) {
    note(letter);
    if (refusing) {
        free(p);
        throw std::bad_alloc();
    }
    return p;
}

#if PIECE == 1
void *operator new(size_t n) { return give('n', malloc(n)); }
#elif PIECE == 2
void operator delete(void *p) noexcept { note('d'); free(p); }
#elif PIECE == 3
void *operator new[](size_t n) { return give('N', malloc(n)); }
#elif PIECE == 4
void operator delete[](void *p) noexcept { note('D'); free(p); }
#elif PIECE == 5
void *operator new(size_t n, std::align_val_t a) {
    return give('a', aligned_alloc(size_t(a), (n + size_t(a) - 1) & -size_t(a)));
}
#elif PIECE == 6
void operator delete(void *p, std::align_val_t) noexcept { note('x'); free(p); }
#elif PIECE == 7
void *operator new[](size_t n, std::align_val_t a) {
    return give('A', aligned_alloc(size_t(a), (n + size_t(a) - 1) & -size_t(a)));
}
#elif PIECE == 8
void operator delete[](void *p, std::align_val_t) noexcept { note('X'); free(p); }
#elif PIECE == 9
void operator delete(void *p, size_t) noexcept { note('s'); free(p); }
#elif PIECE == 10
void *operator new(size_t n, const std::nothrow_t &) noexcept { note('t'); return malloc(n); }
#elif PIECE == 11
/* A whole allocator: never gives back, so that what it is asked for is all that counts. */
static char room[1 << 22] __attribute__((aligned(64)));
static size_t used;
static void *carve(size_t n, size_t align) {
    used = (used + align - 1) & -align;
    void *p = room + used + align;
    used += align + n;
    memcpy(static_cast<char *>(p) - sizeof n, &n, sizeof n);
    return used <= sizeof room ? p : nullptr;
}
extern "C" {
void *malloc(size_t n) { note('m'); return carve(n, 16); }
void free(void *p) { if (p != nullptr) note('f'); }
void *calloc(size_t count, size_t n) { return carve(count * n, 16); }
void *aligned_alloc(size_t align, size_t n) { note('l'); return carve(n, align); }
void *realloc(void *p, size_t n) {
    size_t old = 0;
    void *fresh = carve(n, 16);
    if (p != nullptr)
        memcpy(&old, static_cast<char *>(p) - sizeof old, sizeof old);
    return p != nullptr ? memcpy(fresh, p, old < n ? old : n) : fresh;
}
}
#endif
