// SPDX-License-Identifier: MIT
// run: helper
// Every form of new and delete, by a program that replaces some of them: prints which of the program's own each form came to.
// operators.test links it with the pieces of replaced.cc that it wants, and compares with what libstdc++'s forms do.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

extern "C" {
extern char trace[64];  // a letter for each of the program's own that was called
extern bool traced, refusing;
}

static void say(const char *form, const void *p) {
    traced = false;
    std::printf("%s: %s%s\n", form, trace, p == nullptr ? " null" : "");
    std::memset(trace, 0, sizeof trace);
    traced = true;
}

#define FORM(allocate, release)                                                                                        \
    do {                                                                                                               \
        void *p = allocate;                                                                                            \
        if (p != nullptr)                                                                                              \
            std::memset(p, 1, 24);                                                                                     \
        say(#allocate, p);                                                                                             \
        release;                                                                                                       \
        say(#release, &p);                                                                                             \
    } while (0)

static void all_forms() {
    const auto align = std::align_val_t(64);
    const auto &quiet = std::nothrow;
    FORM(::operator new(24), ::operator delete(p));
    FORM(::operator new(24), ::operator delete(p, 24));
    FORM(::operator new(24, quiet), ::operator delete(p, quiet));
    FORM(::operator new[](24), ::operator delete[](p));
    FORM(::operator new[](24), ::operator delete[](p, 24));
    FORM(::operator new[](24, quiet), ::operator delete[](p, quiet));
    FORM(::operator new(24, align), ::operator delete(p, align));
    FORM(::operator new(24, align), ::operator delete(p, 24, align));
    FORM(::operator new(24, align, quiet), ::operator delete(p, align, quiet));
    FORM(::operator new[](24, align), ::operator delete[](p, align));
    FORM(::operator new[](24, align), ::operator delete[](p, 24, align));
    FORM(::operator new[](24, align, quiet), ::operator delete[](p, align, quiet));
    FORM(::operator new(100000), ::operator delete(p));
    FORM(::operator new[](100000), ::operator delete[](p, 100000));
    FORM(nullptr, ::operator delete(p));
    FORM(nullptr, ::operator delete[](p));
}

// Where the program's own new throws, the quiet forms give null and the others let the exception through.
static void refusals() {
    const auto align = std::align_val_t(64);
    refusing = true;
    FORM(::operator new(24, std::nothrow), ::operator delete(p));
    FORM(::operator new[](24, std::nothrow), ::operator delete[](p));
    FORM(::operator new(24, align, std::nothrow), ::operator delete(p, align));
    FORM(::operator new[](24, align, std::nothrow), ::operator delete[](p, align));
    try {
        ::operator delete[](::operator new[](24));
        say("new[] that may throw", trace);
    } catch (const std::bad_alloc &) {
        say("bad_alloc from new[]", trace);
    }
    refusing = false;
}

struct object {
    int numbers[10];
    virtual ~object() {}
};

// What the compiler and the library's templates call.
static void objects() {
    object *one = new object;
    delete one;
    std::string *strings = new std::string[10];
    for (int i = 0; i < 10; i++)
        strings[i] = std::string(100, 'x');
    delete[] strings;
    int *quiet = new (std::nothrow) int(3);
    delete quiet;
    std::vector<int> numbers(1000);
    for (int i = 0; i < 1000; i++)
        numbers[i] = i * 7919 % 1009;
    say("objects", trace);
    traced = false;
    std::stable_sort(numbers.begin(), numbers.end());
    auto shared = std::make_shared<object>();
    std::printf("sorted %d, live %ld\n", std::is_sorted(numbers.begin(), numbers.end()), shared.use_count());
}

// Each compiler's object has an entry of its own name; operators.test makes one program of them, and its main.
extern "C" void ENTRY() {
    traced = true;
    all_forms();
    refusals();
    objects();
}
