/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Calls of malloc in functions of every kind of scope, for scopes.test, which compares the names that they are given. */
#include <stdlib.h>

#define KEPT __attribute__((noinline))
#define INLINED __attribute__((always_inline)) inline

static void *volatile sink;

namespace {
KEPT void keep(int n) { sink = malloc(n); }
INLINED void keep_inlined(int n) { keep(n); }

struct box {
    KEPT box(int n) { keep_inlined(n); }
    KEPT ~box() { keep(7); }
    KEPT void operator()(int n) const { keep(n); }
    KEPT bool operator<(int n) const { keep(n); return true; }
    KEPT operator int() const { keep(3); return 1; }
    template <class T> INLINED void put(T t) { keep((int)t); }
};

namespace deep { namespace {
template <class T, int K> KEPT void fill(T t) { keep((int)t + K); }
} }
} // namespace

static KEPT void plain(long n, const char *) { keep((int)n); }

namespace shop {
struct cart {
    KEPT cart(int n) { keep(n); }
    template <class T> static KEPT void add(const T &t) { keep((int)t); }
};
static KEPT int hidden(int n) { keep(n); return n; }
} // namespace shop

static KEPT void local() {
    struct inner {
        KEPT void go(int n) { keep(n); }
    };
    inner().go(3);
    [](int n) KEPT { keep(n); }(4);
    [&]() __attribute__((always_inline)) { keep(5); }();
}

int main() {
    box b(20);
    b(30);
    (void)(b < 40);
    (void)(int)b;
    b.put(50L);
    deep::fill<long, 3>(60);
    plain(70, "");
    shop::cart c(80);
    shop::cart::add<long>(90);
    shop::hidden(100);
    local();
}
