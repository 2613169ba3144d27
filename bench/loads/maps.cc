// SPDX-License-Identifier: MIT
// A steady state of std::string in std::map and std::unordered_map: keys come and go, texts grow and are replaced.
// Written for this bench, after caches and symbol tables.
#include <map>
#include <string>
#include <unordered_map>
#include "load.h"

static long operations = 1000000, keys = 20000;

static const struct parameter parameters[] = {{"operations", &operations, 1, 10000000000},
                                              {"keys", &keys, 2, 100000000}};

static std::string name(std::size_t key) {
    return (key % 3 ? "k" : "a-long-name-of-a-key-") + std::to_string(key);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    std::unordered_map<std::string, std::string> hashed;
    std::map<std::string, std::size_t> lengths; // what `hashed` must hold
    uint64_t random = random_stream(0);
    for (long i = 0; i < operations; i++) {
        std::string key = name(random_below(&random, static_cast<std::size_t>(keys)));
        if (random_below(&random, 4) == 0) {
            hashed.erase(key);
            lengths.erase(key);
            continue;
        }
        std::string &text = hashed[key];
        if (text.size() > 300)
            text = std::string();
        text.append(random_between(&random, 1, 60), 'y');
        lengths[key] = text.size();
    }
    if (hashed.size() != lengths.size())
        load_fail("%zu keys instead of %zu", hashed.size(), lengths.size());
    for (const auto &[key, length] : lengths)
        if (hashed[key] != std::string(length, 'y'))
            load_fail("the text of %s was changed", key.c_str());
    return 0;
}
