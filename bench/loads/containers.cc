// SPDX-License-Identifier: MIT
// C++ containers of nodes, vectors and owned objects built up and torn down, with sized delete (-fsized-deallocation).
// Written for this bench; larsonN-sized of mimalloc-bench asks the same of the delete that knows its size.
#include <list>
#include <map>
#include <memory>
#include <set>
#include <vector>
#include "load.h"

#ifndef __cpp_sized_deallocation
#error "compile with -fsized-deallocation"
#endif

static long rounds = 16, items = 40000;

static const struct parameter parameters[] = {{"rounds", &rounds, 1, 1000000}, {"items", &items, 2, 100000000}};

struct Record {
    long number;
    char text[88];
};

static void round(uint64_t *random) {
    std::map<std::size_t, long> ordered;
    std::set<std::size_t> seen;
    std::list<long> queue;
    std::vector<std::unique_ptr<Record>> owned;
    std::vector<std::vector<int>> rows;
    long queued = 0, records = 0;
    for (long i = 0; i < items; i++) {
        std::size_t key = random_below(random, static_cast<std::size_t>(items));
        ordered[key] = i;
        seen.insert(key);
        queue.push_back(i);
        queued += i;
        if (i % 2) {
            queued -= queue.front();
            queue.pop_front();
        }
        owned.push_back(std::make_unique<Record>(Record{i, {}}));
        if (i % 3 == 0)
            owned[random_below(random, owned.size())].reset();
        if (i % 4 == 0)
            rows.emplace_back();
        rows[random_below(random, rows.size())].push_back(static_cast<int>(i));
    }
    for (const auto &row : rows)
        records += static_cast<long>(row.size());
    for (long number : queue)
        queued -= number;
    if (ordered.size() != seen.size() || queued != 0 || records != items)
        load_fail("the containers do not hold what was put into them");
    for (std::size_t i = 0; i < owned.size(); i++)
        if (owned[i] && owned[i]->number != static_cast<long>(i))
            load_fail("record %zu was changed", i);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    uint64_t random = random_stream(0);
    for (long i = 0; i < rounds; i++)
        round(&random);
    return 0;
}
