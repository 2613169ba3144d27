// SPDX-License-Identifier: MIT
/* run: helper */
// A byte is read after its block was freed; allocation, free and read are deep in functions of a template whose names have a
// thousand characters.
#include <cstdlib>
#include <initializer_list>

struct very_long_name_of_a_class_that_stands_for_what_generators_of_code_and_libraries_of_templates_make_of_a_line_of_source {};
using one = very_long_name_of_a_class_that_stands_for_what_generators_of_code_and_libraries_of_templates_make_of_a_line_of_source;

template <int N> struct of {};
template <int N, typename... Types> struct deep {
    // Each level's own calls: no two frames are one, and none is the last thing that its function does.
    __attribute__((noinline)) static int go(char *(*work)(char *), char **block) {
        int below = deep<N - 1, of<N>, Types...>::go(work, block);
        return below + 1;
    }
};
template <typename... Types> struct deep<0, Types...> {
    __attribute__((noinline)) static int go(char *(*work)(char *), char **block) {
        *block = work(*block);
        return 1;
    }
};

__attribute__((noinline)) static char *take(char *) { return static_cast<char *>(std::malloc(40)); }
__attribute__((noinline)) static char *give(char *block) {
    char *volatile stale = block; // the compiler shall not see through it
    std::free(block);
    return stale;
}
__attribute__((noinline)) static char *read(char *block) { return block + *const_cast<volatile char *>(block); }

int main() {
    char *block = nullptr;
    using start = deep<60, one, of<1000>, one *, one &, one **, const one *, of<2000>, one *&>;
    for (auto work : {take, give, read})
        start::go(work, &block);
}
