// SPDX-License-Identifier: MIT
// All that myalloc.hpp has, used once; started by cpp_header.test.
//   cpp_header here|absent    whether the process runs on the library
//   cpp_header wrong|resource a block freed with another size than it has, of the allocator or of the memory_resource
#include <myalloc.hpp>
#include <myalloc.hpp>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <list>
#include <map>
#include <new>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

extern "C" std::size_t myalloc_stats_json(char *, std::size_t) __attribute__((weak));
static int count, failed;

static void tap(bool passed, const char *name) {
    std::printf("%s %d - %s\n", passed ? "ok" : "not ok", ++count, name);
    failed += !passed;
}

struct alignas(256) wide {
    char bytes[256];
};

static bool is_tag(const char *wanted) {
    const char *found = myalloc::present() ? myalloc::detail::tag_now() : nullptr;
    return !myalloc::present() || wanted == nullptr ? found == nullptr : found != nullptr && std::strcmp(found, wanted) == 0;
}

template <class T> static bool at_least(std::size_t wanted, std::size_t *most) {
    auto found = myalloc::allocate_at_least<T>(wanted);
    bool good = found.ptr != nullptr && found.count >= wanted && (std::uintptr_t)found.ptr % alignof(T) == 0;
    std::memset(static_cast<void *>(found.ptr), 0x5a, found.count * sizeof(T));
    if (found.count > *most)
        *most = found.count;
    myalloc::deallocate(found.ptr, wanted + (found.count - wanted) / 2); // any number between the two
    return good;
}

static void sizes() {
    std::size_t most = 0, unused = 0;
    bool good = true;
    for (std::size_t n : {0, 1, 7, 33, 1030, 5000, 40000, 3000000})
        good &= at_least<char>(n, &unused) && at_least<std::uint64_t>(n, &unused);
    for (std::size_t n : {0, 1, 3, 1000})
        good &= at_least<wide>(n, &unused);
    tap(good, "allocate_at_least: aligned, at least what was asked for, all of it writable");
    at_least<char>(1030, &most);
    bool checked = std::getenv("MYALLOC_OPTIONS") != nullptr;
    tap(myalloc::present() && !checked ? most > 1030 : most == 1030,
        "... and all that the block has, on the library; without, and while accesses are checked, what was asked for");
    myalloc::allocator<int> own;
    auto found = own.allocate_at_least(10);
    tap(found.count >= 10, "an allocator's allocate_at_least");
    own.deallocate(found.ptr, found.count);
}

template <class Call> static bool refuses(Call call) {
    try {
        call();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static void errors() {
    volatile std::size_t huge = PTRDIFF_MAX, many = SIZE_MAX / 2; // the compiler must not see them
    bool told = false;
    try {
        (void)myalloc::allocate_at_least<long>(many);
    } catch (const std::bad_array_new_length &) {
        told = true;
    }
    tap(told, "allocate_at_least: std::bad_array_new_length for more objects than there can be");
    tap(refuses([&] { (void)myalloc::allocate_at_least<char>(huge); }), "... std::bad_alloc without memory");
    tap(refuses([&] { (void)myalloc::allocate_at_least<wide>(huge / sizeof(wide)); }), "... also where it is aligned");
    tap(refuses([&] { (void)myalloc::allocator<long>().allocate(many); }), "an allocator says the same");
    static int called;
    std::set_new_handler([] { called++, std::set_new_handler(nullptr); });
    tap(refuses([&] { (void)myalloc::allocate_at_least<char>(huge); }) && called == 1, "... after the new-handler was called");
}

static void containers() {
    std::vector<std::string, myalloc::allocator<std::string>> strings;
    for (int i = 0; i < 3000; i++)
        strings.push_back(std::string(i % 90, 'x'));
    std::map<int, wide, std::less<int>, myalloc::allocator<std::pair<const int, wide>>> map;
    std::list<char, myalloc::allocator<char>> list(1000, 'y'), moved(std::move(list));
    bool aligned = true;
    for (int i = 0; i < 100; i++)
        aligned &= (std::uintptr_t)&map[i] % alignof(wide) == 0;
    tap(strings.size() == 3000 && strings[2999].size() == 2999 % 90 && aligned && moved.size() == 1000,
        "containers with the allocator, of objects that are aligned to 256 bytes, too");
    tap(myalloc::allocator<int>() == myalloc::allocator<long>() && !(myalloc::allocator<int>() != myalloc::allocator<int>()) &&
            std::allocator_traits<myalloc::allocator<int>>::is_always_equal::value,
        "allocators are equal");
}

static void resources() {
    static myalloc::memory_resource first, second;
    tap(first == second && !(first == *std::pmr::null_memory_resource()), "resources are equal, but to others");
    {
        std::pmr::vector<std::pmr::string> strings(&first), others(&second);
        for (int i = 0; i < 3000; i++)
            strings.emplace_back(i % 70, 'x');
        const void *where = strings.data();
        others = std::move(strings);
        tap(others.data() == where && others.size() == 3000, "std::pmr's containers, which move from one to another");
    }
    bool aligned = true;
    for (std::size_t align = 1; align <= 65536; align *= 2)
        for (std::size_t bytes : {1, 24, 1000, 70000}) {
            void *block = first.allocate(bytes, align);
            aligned &= (std::uintptr_t)block % align == 0;
            std::memset(block, 1, bytes);
            second.deallocate(block, bytes, align);
        }
    tap(aligned, "each alignment up to 64 KiB");
    volatile std::size_t huge = PTRDIFF_MAX, far = (std::size_t)1 << 62;
    tap(refuses([&] { (void)first.allocate(huge, 8); }) && refuses([&] { (void)first.allocate(8, far); }),
        "std::bad_alloc without memory, and for an alignment beyond what addresses have");
    std::pmr::monotonic_buffer_resource buffer(&first);
    std::pmr::list<int> list(20000, 7, &buffer);
    tap(list.size() == 20000, "the buffers of a monotonic_buffer_resource");
}

static void tags() {
    bool inside = is_tag(nullptr), thread = false;
    {
        myalloc::tag_scope outer("outer");
        inside &= is_tag("outer");
        {
            myalloc::tag_scope inner("inner");
            inside &= is_tag("inner");
            std::thread([&] { thread = is_tag(nullptr); }).join();
            myalloc::tag_scope none(nullptr);
            inside &= is_tag(nullptr);
        }
        inside &= is_tag("outer");
        if (myalloc::present())
            myalloc::detail::tag_set("by hand, and longer than there is room for in a tag of the profile");
        try {
            myalloc::tag_scope thrown("thrown");
            inside &= is_tag("thrown");
            throw 1;
        } catch (int) {
        }
        inside &= is_tag("by hand, and longer than there is room for in a");
    }
    tap(inside && is_tag(nullptr), "a scope's tag ends with it, and the former one is back, whoever had set it");
    tap(thread, "... and another thread has none of it");
}

static void figures() {
    myalloc::numbers before = myalloc::statistics();
    void *volatile big = std::malloc(64 << 20), *volatile small = std::malloc(10000); // not left out by the compiler
    myalloc::numbers during = myalloc::statistics();
    std::free(big), std::free(small);
    tap(during.live >= before.live + (64 << 20) + 10000 && during.live == during.heap_live + during.mapped &&
            during.heap == during.heap_live + during.heap_free && during.mapped_blocks <= before.mapped_blocks + 1,
        "statistics: what is live is told, and the sums are right");
    static char text[65536];
    std::size_t live = 0, cached = 0;
    if (myalloc_stats_json != nullptr && myalloc_stats_json(text, sizeof text) < sizeof text)
        std::sscanf(std::strstr(text, "\"live\""), "\"live\": %zu, \"live_blocks\": %*u, \"cached\": %zu", &live, &cached);
    myalloc::numbers after = myalloc::statistics();
    tap(!myalloc::present() || (live == after.live && cached == after.cached), "... the same that myalloc_stats_json has");
}

// In the child of a fork while there is another thread.
static void forks() {
    std::thread other([] {
        for (int i = 0; i < 20000; i++)
            myalloc::deallocate(myalloc::allocate_at_least<long>(i % 300).ptr, i % 300);
    });
    bool good = true;
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            myalloc::tag_scope scope("child");
            std::vector<int, myalloc::allocator<int>> own(1000, i);
            _exit(is_tag("child") && own[999] == i && myalloc::statistics().live > 0 ? 0 : 1);
        }
        int status = 1;
        good &= waitpid(child, &status, 0) == child && status == 0;
    }
    other.join();
    tap(good, "a forked child uses them");
}

int main(int argc, char **argv) {
    std::string what = argc > 1 ? argv[1] : "";
    if (what == "wrong" || what == "resource") {
        if (what == "wrong")
            myalloc::deallocate(myalloc::allocator<int>().allocate(100), 70);
        else {
            myalloc::memory_resource own;
            own.deallocate(own.allocate(100, 8), 70, 8);
        }
        return 0;
    }
    tap(myalloc::present() == (what == "here"), what == "here" ? "the library is here" : "the library is absent");
    sizes();
    errors();
    containers();
    resources();
    tags();
    figures();
    forks();
    std::printf("1..%d\n", count);
    return failed > 0;
}
