/* SPDX-License-Identifier: MIT */
/* Qualified names of C++ functions; never a look behind a name's end, whatever the name; patterns that leaks are suppressed
 * by. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "callers/demangle.h"
#include "observe/suppress.h"

#define ROOM 4096

static const struct row {
    const char *mangled, *name;
} rows[] = {
    /* Classes, templates, references to what was there before. */
    {"_Z3foov", "foo"},
    {"_ZL3foov", "foo"},
    {"_ZN2ns5Cache4loadEv", "ns::Cache::load"},
    {"_ZNK2ns5CacheIiE4loadERKS1_", "ns::Cache::load"},
    {"_ZN2ns5CacheINS0_IiEELi3ELb0ELPKc0EE4loadINS_3keyEJdfEEEvT_DpRKT0_", "ns::Cache::load"},
    {"_ZN2ns4callIFvPA7_iM1aFicEEEEvT_", "ns::call"},
    {"_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector::push_back"},
    {"_ZSt4moveIRiEONSt16remove_referenceIT_E4typeEOS2_", "std::move"},
    {"_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE9_M_createERmm", "std::__cxx11::basic_string::_M_create"},
    {"_ZNSs6appendEPKc", "std::string::append"},
    {"_ZN2ns3fooIXadL_ZNS_3barEvEEEEvv", "ns::foo"},
    {"_ZN2ns3fooIL_Z3bariEE3runEv", "ns::foo::run"},
    {"_ZN2ns1aB5cxx11Ev", "ns::a[abi:cxx11]"},
    /* Those that make and end an object; operators. */
    {"_ZN2ns5CacheC1ERKS0_", "ns::Cache::Cache"},
    {"_ZN2ns5CacheIiED0Ev", "ns::Cache::~Cache"},
    {"_ZN1aCI11bEi", "a::a"},
    {"_ZN1aorERKS_", "a::operator|"},
    {"_ZN1aoRERKS_", "a::operator|="},
    {"_ZN1aooERKS_", "a::operator||"},
    {"_ZN1assERKS_", "a::operator<=>"},
    {"_ZNK1aclEv", "a::operator()"},
    {"_ZN1aixEi", "a::operator[]"},
    {"_ZN1anwEm", "a::operator new"},
    {"_ZN1adaEPv", "a::operator delete[]"},
    {"_ZN1aquEv", "a::operator?"},
    {"_ZNK1acvbEv", "a::operator"},
    {"_ZN2nsli3_kmEy", "ns::operator\"\" _km"},
    /* What is defined in functions, and what has no name. */
    {"_ZN12_GLOBAL__N_13fooEv", "(anonymous namespace)::foo"},
    {"_ZZ4mainENKUlvE_clEv", "main::{lambda}::operator()"},
    {"_ZZN2ns1fEiEN1A1gEv", "ns::f::A::g"},
    {"_ZZN2ns1fEvENK3$_0clEv", "ns::f::$_0::operator()"},
    {"_ZN2nsUt_1gEv", "ns::{unnamed}::g"},
    {"_ZZ1fvE1x_0", "f::x"},
    {"_ZN2ns1fIZ4mainEUlvE_EEvT_", "ns::f"},
    /* For a function elsewhere; copies of the compiler's. */
    {"_ZThn16_N2ns5Cache4loadEv", "ns::Cache::load"},
    {"_ZTv0_n24_N2ns5Cache4loadEv", "ns::Cache::load"},
    {"_ZTch0_h16_N2ns5Cache4loadEv", "ns::Cache::load"},
    {"_ZN2ns5Cache4loadEv.isra.0", "ns::Cache::load"},
    {"_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place::h0123456789abcdef"},
    /* Cut off, wrong, or no C++: as much as there is. */
    {"_ZN2ns5CacheIiE4lo", "ns::Cache::lo"},
    {"_ZN2ns5CacheISt6vec", "ns::Cache"},
    {"_ZN2ns5CacheIXplT_Li1EE4loadEv", "ns::Cache"},
    {"_ZN2nsS_1fEv", "ns::?::f"},
    {"_Z", ""},
    {"_ZN", ""},
    {"_ZTV3foo", ""},
    {"_ZC1v", ""},
    {"_Z99999999999999999999a", "a"},
    {"main", ""},
    {"", ""},
};

Test(demangle, as_the_source_has_it) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[ROOM];
        cr_expect_eq(demangle_name(rows[i].mangled, name, sizeof name), *rows[i].name != '\0', "%s", rows[i].mangled);
        cr_expect_str_eq(name, rows[i].name, "%s: %s", rows[i].mangled, name);
    }
}

Test(demangle, cut_to_the_room) {
    char name[8] = "1234567";
    cr_expect(demangle_name("_ZN2ns5Cache4loadEv", name, 6));
    cr_expect(memcmp(name, "ns::C\0007", 8) == 0);
    cr_expect_not(demangle_name("_ZN2ns5Cache4loadEv", name, 1));
    cr_expect_eq(*name, '\0');
}

/* Texts that end at the end of a page, behind which nothing can be read. */
static char *edge(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(two != MAP_FAILED && mprotect(two + page, page, PROT_NONE) == 0);
    return two + page;
}

static void try_at(char *end, const char *text, size_t length) {
    char name[ROOM + 1];
    size_t room = 1 + length % ROOM;
    name[room] = '!';
    memcpy(end - length - 1, text, length);
    end[-1] = '\0';
    cr_assert_eq(demangle_name(end - length - 1, name, room), *name != '\0');
    cr_assert_lt(strlen(name), room);
    cr_assert_eq(name[room], '!');
}

static uint64_t next(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *state >> 33;
}

/* Real names with pieces of others in them, letters changed, and cut off. */
Test(demangle, at_random) {
    static const char letters[] = "NSZTEIJLXCDFKPRUMABO_0123456789abcdeilnrstvxz";
    char *end = edge(), text[256];
    uint64_t state = 1;
    for (int i = 0; i < 1000000; i++) {
        const char *from = rows[next(&state) % 38].mangled, *other = rows[next(&state) % 38].mangled;
        size_t length = strlen(from), at = 2 + next(&state) % (length - 2), start = next(&state) % strlen(other);
        memcpy(text, from, at);
        strcpy(text + at, other + start);
        strcat(text, from + at);
        length = strlen(text);
        for (unsigned change = next(&state) % 4; change > 0; change--)
            text[2 + next(&state) % (length - 2)] = letters[next(&state) % (sizeof letters - 1)];
        try_at(end, text, next(&state) % 3 == 0 ? next(&state) % length : length);
    }
}

/* Names in each other without end take a bounded stack. */
Test(demangle, deep) {
    static const char *const pieces[] = {"N", "1aI", "P", "F", "Z", "L_Z", "J", "IL_Z1a", "Dp", "M", "UlE", "S_I", "A_"};
    static char text[3000];
    char *end = edge();
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        strcpy(text, "_Z1aI");
        while (strlen(text) + strlen(pieces[i]) < sizeof text)
            strcat(text, pieces[i]);
        try_at(end, text, strlen(text));
    }
}

Test(suppress, patterns) {
    static const struct {
        const char *pattern, *name;
        bool matches, wants_symbolizer;
    } patterns[] = {
        {"load", "ns::Cache::load", true, false},
        {"ns::*::load", "ns::Cache::load", true, false},
        {"^Cache", "ns::Cache::load", false, false},
        {"^ns::Cache::load$", "ns::Cache::load", true, false},
        {"Cache$", "ns::Cache::load", false, false},
        {"*", "", true, false},
        {"libfoo.so", "/usr/lib/libfoo.so.1", true, false},
        {"foo.cc", "/src/foo.cc", true, true},
        {"foo.cc$", "/src/foo.cc", true, true},
        {"foo.c:12", "/src/foo.c:123", true, true},
        {".so.1", "/usr/lib/libfoo.so.1", true, false},
        {"Cache<int>::load", "ns::Cache<int>::load(int)", true, true},
        {"load(", "ns::Cache<int>::load(int)", true, true},
        {"operator<<", "ns::operator<<", true, false},
        {"operator<=>", "ns::operator<=>", true, false},
        {"operator()", "main::{lambda}::operator()", true, false},
        {"operator()(", "main::{lambda}::operator()", false, true},
        {"^(anonymous namespace)::foo", "(anonymous namespace)::foo", true, false},
        {"operator->", "ns::operator->", true, false},
        {".c", "x", false, false},
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const char *pattern = patterns[i].pattern;
        cr_expect_eq(suppress_pattern_matches(pattern, strlen(pattern), patterns[i].name), patterns[i].matches, "%s", pattern);
        cr_expect_eq(suppress_pattern_wants_symbolizer(pattern, strlen(pattern)), patterns[i].wants_symbolizer, "%s", pattern);
    }
}
