// SPDX-License-Identifier: MIT
// C++ containers and strings built up and torn down. [rounds]
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

static std::size_t round(unsigned random) {
    std::map<std::string, int> ordered;
    std::unordered_map<int, std::string> hashed;
    std::vector<std::unique_ptr<std::string>> owned;
    std::list<int> queue;
    for (int i = 0; i < 100000; i++) {
        random = random * 1664525 + 1013904223;
        ordered["key" + std::to_string(random % 50000) + std::string(random % 40, 'x')] = i;
        hashed[random % 75000] = std::string(random % 60, 'y');
        owned.push_back(std::make_unique<std::string>(random % 100, 'z'));
        queue.push_back(i);
        if (i % 3 == 0)
            owned[random % owned.size()].reset();
        if (i % 2)
            queue.pop_front();
    }
    return ordered.size() + hashed.size() + owned.size() + queue.size();
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? std::atoi(argv[1]) : 6;
    std::size_t sum = 0;
    for (int i = 0; i < rounds; i++)
        sum += round(static_cast<unsigned>(i) + 1);
    return sum == 0;
}
