/* SPDX-License-Identifier: MIT */
/* C++'s operators new and delete in all their forms. */
#include <criterion/criterion.h>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <vector>

extern "C" size_t malloc_usable_size(void *);

static const size_t sizes[] = {0, 1, 16, 100, 1024, 5000, 40000, 200000, 5000000};
static const std::size_t absurd = PTRDIFF_MAX; // volatile below keeps the compiler from judging it

static void check(void *p, size_t n, size_t align) {
    cr_assert(p != nullptr);
    cr_assert(reinterpret_cast<uintptr_t>(p) % align == 0);
    cr_assert(malloc_usable_size(p) >= n);
    std::memset(p, 1, n);
}

Test(operator_new, plain_array_nothrow_sized) {
    for (size_t n : sizes) {
        void *p = ::operator new(n), *q = ::operator new[](n);
        void *r = ::operator new(n, std::nothrow), *s = ::operator new[](n, std::nothrow);
        check(p, n, 16), check(q, n, 16), check(r, n, 16), check(s, n, 16);
        ::operator delete(p);
        ::operator delete[](q);
        ::operator delete(r, std::nothrow);
        ::operator delete[](s, std::nothrow);
        ::operator delete(::operator new(n), n);
        ::operator delete[](::operator new[](n), n);
    }
    ::operator delete(nullptr);
    ::operator delete[](nullptr, size_t(5));
}

Test(operator_new, aligned) {
    for (size_t align = 16; align <= 65536; align *= 2)
        for (size_t n : sizes) {
            auto a = std::align_val_t(align);
            void *p = ::operator new(n, a), *q = ::operator new[](n, a);
            void *r = ::operator new(n, a, std::nothrow), *s = ::operator new[](n, a, std::nothrow);
            check(p, n, align), check(q, n, align), check(r, n, align), check(s, n, align);
            ::operator delete(p, a);
            ::operator delete[](q, a);
            ::operator delete(r, a, std::nothrow);
            ::operator delete[](s, a, std::nothrow);
            ::operator delete(::operator new(n, a), n, a);
            ::operator delete[](::operator new[](n, a), n, a);
        }
}

template <typename Call> static bool throws_bad_alloc(Call call) {
    try {
        call();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

Test(operator_new, throws_bad_alloc) {
    volatile size_t n = absurd;
    cr_assert(throws_bad_alloc([&] { return ::operator new(n); }));
    cr_assert(throws_bad_alloc([&] { return ::operator new[](n); }));
    cr_assert(throws_bad_alloc([&] { return ::operator new(n, std::align_val_t(64)); }));
    cr_assert(throws_bad_alloc([&] { return ::operator new[](n, std::align_val_t(64)); }));
    cr_assert(::operator new(n, std::nothrow) == nullptr);
    cr_assert(::operator new[](n, std::nothrow) == nullptr);
    cr_assert(::operator new(n, std::align_val_t(64), std::nothrow) == nullptr);
}

#if defined(__aarch64__)
enum { ADDRESS_BITS = 48 }; // of the highest that Linux hands to programs
#else
enum { ADDRESS_BITS = 47 };
#endif

// Powers of two, but of addresses only 0 is a multiple of these.
Test(operator_new, throws_bad_alloc_for_alignments_that_no_address_has) {
    for (int log = ADDRESS_BITS; log <= 63; log++)
        for (size_t n : {size_t(1), size_t(100), size_t(1) << 40, size_t(PTRDIFF_MAX), SIZE_MAX - 5}) {
            volatile size_t bytes = n, power = size_t(1) << log;
            auto align = std::align_val_t(power);
            cr_assert(throws_bad_alloc([&] { return ::operator new(bytes, align); }));
            cr_assert(throws_bad_alloc([&] { return ::operator new[](bytes, align); }));
            cr_assert(::operator new(bytes, align, std::nothrow) == nullptr);
            cr_assert(::operator new[](bytes, align, std::nothrow) == nullptr);
        }
}

static int handler_calls;

static void give_up_after_three() {
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

Test(operator_new, calls_the_handler_until_it_is_removed) {
    volatile size_t n = absurd;
    std::set_new_handler(give_up_after_three);
    cr_assert(throws_bad_alloc([&] { return ::operator new(n); }));
    cr_assert(handler_calls == 3);
    handler_calls = 0;
    std::set_new_handler(give_up_after_three);
    cr_assert(::operator new(n, std::nothrow) == nullptr);
    cr_assert(handler_calls == 3);
}

struct stop : std::bad_alloc {};

static void throw_stop() {
    throw stop();
}

Test(operator_new, handler_may_throw) {
    volatile size_t n = absurd;
    std::set_new_handler(throw_stop);
    bool stopped = false;
    try {
        (void)::operator new(n);
    } catch (const stop &) {
        stopped = true;
    }
    cr_assert(stopped);
    cr_assert(::operator new(n, std::nothrow) == nullptr);
    cr_assert(::operator new[](n, std::nothrow) == nullptr);
    cr_assert(::operator new(n, std::align_val_t(64), std::nothrow) == nullptr);
    std::set_new_handler(nullptr);
}

struct alignas(128) wide {
    char bytes[200];
};

Test(operator_new, containers_and_over_aligned_types) {
    std::vector<std::string> words;
    for (int i = 0; i < 20000; i++)
        words.push_back(std::string(i % 200, 'x'));
    size_t sum = 0;
    for (auto &word : words)
        sum += word.size();
    cr_assert(sum == 1990000);
    wide *w = new wide[10];
    cr_assert(reinterpret_cast<uintptr_t>(w) % 128 == 0);
    delete[] w;
}
