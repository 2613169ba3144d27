/* SPDX-License-Identifier: MIT */
/*
 * myalloc.hpp: myalloc for containers of C++17 and later, and what myalloc.h has, as C++ says it. See myalloc(3).
 *
 * All is inline: the header needs no object of its own, and asks for the library's functions weakly (weakref). So a program
 * that was built with it runs linked with the library, static or shared, with it preloaded, and without: then memory is that of
 * `operator new`, counts are what was asked for, tags do nothing, and statistics() is what the libc in use says of its own
 * malloc. present() tells which. In a program that is linked at a fixed address (-no-pie) without the library, linkers decide
 * that it is absent; preloaded, it still serves all memory.
 *
 * Memory comes from `operator new` or the form of it that tells the size, so what they say holds: the new-handler is called
 * until there is memory, or std::bad_alloc is thrown. Deletes are told size and alignment where the compiler has such forms
 * (__cpp_sized_deallocation: GCC, clang with -fsized-deallocation and from 19 on); the checks compare them (mcheck, check,
 * paranoid).
 *
 * Any thread may call everything here, and free what another has allocated; also in a forked child; not in a signal handler,
 * but for tag_scope.
 */
#ifndef MYALLOC_HPP
#define MYALLOC_HPP

#if !defined(__cplusplus) || __cplusplus < 201703L
#error "myalloc.hpp is for C++17 and later; myalloc.h is for C99 and C++98"
#endif

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <malloc.h>
#include <memory>
#include <new>
#include <type_traits>
#if __has_include(<memory_resource>)
#include <memory_resource>
#endif

#include "myalloc.h"

namespace myalloc {

namespace detail {

struct sized {
    void *block;
    std::size_t bytes;
};

/* Weak where a program names them so only: what it calls by myalloc.h must be there. Those that tell the size are LLVM's and
 * Google tcmalloc's (P0901R11 has them for the standard), under which a program may run as well. */
extern "C" {
[[maybe_unused]] static void tag_set(const char *tag) __attribute__((weakref("myalloc_tag")));
[[maybe_unused]] static const char *tag_now() __attribute__((weakref("myalloc_tag_now")));
[[maybe_unused]] static sized new_sized(std::size_t bytes) __attribute__((weakref("__size_returning_new")));
[[maybe_unused]] static sized new_sized_aligned(std::size_t bytes, std::align_val_t align)
    __attribute__((weakref("__size_returning_new_aligned")));
}

inline constexpr std::size_t plain_alignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

inline void *take(std::size_t bytes, std::size_t align) {
    return align > plain_alignment ? ::operator new(bytes, std::align_val_t(align)) : ::operator new(bytes);
}

inline sized take_at_least(std::size_t bytes, std::size_t align) {
    if (align <= plain_alignment && new_sized != nullptr)
        return new_sized(bytes);
    if (align > plain_alignment && new_sized_aligned != nullptr)
        return new_sized_aligned(bytes, std::align_val_t(align));
    return {take(bytes, align), bytes};
}

/* `bytes`: from what was asked for to what was told. */
inline void give(void *block, [[maybe_unused]] std::size_t bytes, std::size_t align) noexcept {
#if defined(__cpp_sized_deallocation)
    if (align > plain_alignment)
        ::operator delete(block, bytes, std::align_val_t(align));
    else
        ::operator delete(block, bytes);
#else
    if (align > plain_alignment)
        ::operator delete(block, std::align_val_t(align));
    else
        ::operator delete(block);
#endif
}

/* The bytes of `count` objects of type T. Where there can be no such array: std::bad_array_new_length, as std::allocator has
 * it; without exceptions the program ends. */
template <class T> std::size_t bytes_of(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) {
#if defined(__cpp_exceptions)
        throw std::bad_array_new_length();
#else
        std::abort();
#endif
    }
    return count * sizeof(T);
}

} // namespace detail

/* True if the process runs on myalloc, linked or preloaded. */
inline bool present() noexcept {
    return detail::tag_now != nullptr;
}

/* ---- sizes that the caller learns ---------------------------------------------------------------------------------- */

/* A block's address, and for how many objects it has room: std::allocation_result where the library has it (C++23). */
#if defined(__cpp_lib_allocate_at_least)
template <class Pointer> using allocation_result = std::allocation_result<Pointer>;
#else
template <class Pointer> struct allocation_result {
    Pointer ptr;
    std::size_t count;
};
#endif

/*
 * Memory for at least `count` objects of type T, aligned for them and not initialised, and for how many it really is: what
 * rounding leaves behind them is the caller's, too (P0401R6, [allocator.members]). While accesses are checked the count is what
 * was asked for. 0 gives a block, too.
 *
 * Throws std::bad_array_new_length for more objects than an address space has room for, std::bad_alloc without memory; nothing
 * has changed then. deallocate frees the block.
 */
template <class T> [[nodiscard]] allocation_result<T *> allocate_at_least(std::size_t count) {
    auto [block, bytes] = detail::take_at_least(detail::bytes_of<T>(count), alignof(T));
    return {static_cast<T *>(block), bytes / sizeof(T)};
}

/* Frees a block of allocate_at_least or of allocator<T>. `count`: any number of objects from what was asked for to what was
 * told. */
template <class T> void deallocate(T *block, std::size_t count) noexcept {
    detail::give(block, count * sizeof(T), alignof(T));
}

/*
 * The allocator of a container: std::allocator with allocate_at_least also before C++23, so that a container that asks for it
 * grows into what rounding leaves. It has no state: any of them frees what another has allocated. Errors as above.
 */
template <class T> struct allocator {
    using value_type = T;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using propagate_on_container_move_assignment = std::true_type;
    using is_always_equal = std::true_type;

    constexpr allocator() noexcept = default;
    template <class U> constexpr allocator(const allocator<U> &) noexcept {
    }

    [[nodiscard]] T *allocate(std::size_t count) {
        return static_cast<T *>(detail::take(detail::bytes_of<T>(count), alignof(T)));
    }
    [[nodiscard]] allocation_result<T *> allocate_at_least(std::size_t count) {
        return myalloc::allocate_at_least<T>(count);
    }
    void deallocate(T *block, std::size_t count) noexcept {
        myalloc::deallocate(block, count);
    }

    template <class U> friend constexpr bool operator==(const allocator &, const allocator<U> &) noexcept {
        return true;
    }
    template <class U> friend constexpr bool operator!=(const allocator &, const allocator<U> &) noexcept {
        return false;
    }
};

/* ---- std::pmr ------------------------------------------------------------------------------------------------------ */

#if defined(__cpp_lib_memory_resource)
/*
 * The memory of std::pmr's containers, or what a std::pmr::monotonic_buffer_resource takes its buffers from ([mem.res.class]).
 * Any alignment that is a power of two; std::bad_alloc without memory, or for an alignment beyond what addresses have. What was
 * asked for, size and alignment, must be told when a block is freed, as std::pmr's containers do. It has no state: all of them
 * are equal, where there is RTTI to see that another is one.
 */
class memory_resource : public std::pmr::memory_resource {
    void *do_allocate(std::size_t bytes, std::size_t align) override {
        return detail::take(bytes, align);
    }
    void do_deallocate(void *block, std::size_t bytes, std::size_t align) override {
        detail::give(block, bytes, align);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
#if defined(__cpp_rtti)
        return dynamic_cast<const memory_resource *>(&other) != nullptr;
#else
        return this == &other;
#endif
    }
};
#endif

/* ---- tags ---------------------------------------------------------------------------------------------------------- */

/*
 * Puts a tag on what this thread allocates as long as the object lives (myalloc_tag). Its end puts back the tag that it found,
 * whoever had set that; scopes end in the order opposite to that in which they began, in the thread in which they began.
 *
 * tag  the word, copied, at most 47 bytes of it; nullptr or "" for none
 *
 * Throws nothing. Without the library it does nothing. It may be used in a signal handler.
 */
class tag_scope {
  public:
    explicit tag_scope(const char *tag) noexcept : found(detail::tag_now != nullptr ? detail::tag_now() : nullptr) {
        if (detail::tag_set != nullptr)
            detail::tag_set(tag);
    }
    ~tag_scope() {
        if (detail::tag_set != nullptr)
            detail::tag_set(found);
    }
    tag_scope(const tag_scope &) = delete;
    tag_scope &operator=(const tag_scope &) = delete;

  private:
    const char *found;
};

/* ---- statistics ---------------------------------------------------------------------------------------------------- */

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
/* Bytes of address space, or numbers of blocks, as mallinfo2(3) has them. heap_live + heap_free = heap. */
struct numbers {
    std::size_t live;          /* blocks in use with the rounding of their sizes, on the heap and in mappings of their own */
    std::size_t heap;          /* the heap, without the allocator's own data */
    std::size_t heap_live;     /* blocks in use on it */
    std::size_t heap_free;     /* what is free on it, lists of threads too */
    std::size_t cached;        /* free blocks on lists of threads; of glibc's malloc, those in fast bins */
    std::size_t cached_blocks; /* their number */
    std::size_t free_pieces;   /* free blocks and spans that are on no thread's list, their number */
    std::size_t mapped;        /* blocks with a mapping of their own */
    std::size_t mapped_blocks; /* their number */
    std::size_t top;           /* free at the top of the heap */
};

/* The statistics now. They allocate nothing and add up exactly while no other thread allocates. myalloc_stats_json has more. */
inline numbers statistics() noexcept {
    const struct mallinfo2 info = mallinfo2();
    numbers found = {};
    found.live = info.uordblks + info.hblkhd;
    found.heap = info.arena;
    found.heap_live = info.uordblks;
    found.heap_free = info.fordblks;
    found.cached = info.fsmblks;
    found.cached_blocks = info.smblks;
    found.free_pieces = info.ordblks;
    found.mapped = info.hblkhd;
    found.mapped_blocks = info.hblks;
    found.top = info.keepcost;
    return found;
}
#endif

} // namespace myalloc

#endif
