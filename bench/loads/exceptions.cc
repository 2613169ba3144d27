// SPDX-License-Identifier: MIT
// Exceptions with text thrown through frames that own memory, caught, nested and thrown again. Each exception object
// and each text is a block. Written for this bench, after parsers and servers that report errors by throwing.
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>
#include "load.h"

static long throws = 40000, depth = 6;

static const struct parameter parameters[] = {{"throws", &throws, 1, 1000000000}, {"depth", &depth, 0, 1000}};

static long unwound;

struct Owner {
    std::string text;
    std::vector<long> numbers;
    explicit Owner(long i)
        : text(static_cast<std::size_t>(i % 60), 'x'), numbers(static_cast<std::size_t>(i % 20), i) {}
    Owner(const Owner &) = delete;
    Owner &operator=(const Owner &) = delete;
    ~Owner() {
        unwound++;
    }
};

__attribute__((noinline)) static void descend(long levels, long i) {
    Owner owner(i + levels);
    if (levels == 0)
        throw std::runtime_error("the record " + std::to_string(i) + " is not complete");
    descend(levels - 1, i);
}

static std::string attempt(long i) {
    try {
        try {
            descend(depth, i);
        } catch (const std::runtime_error &) {
            std::throw_with_nested(std::logic_error("while reading " + std::to_string(i)));
        }
    } catch (const std::logic_error &error) {
        try {
            std::rethrow_if_nested(error);
        } catch (const std::runtime_error &inner) {
            return std::string(error.what()) + ": " + inner.what();
        }
    }
    return "";
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    for (long i = 0; i < throws; i++) {
        std::string number = std::to_string(i);
        if (attempt(i) != "while reading " + number + ": the record " + number + " is not complete")
            load_fail("exception %ld brought another text", i);
    }
    if (unwound != throws * (depth + 1))
        load_fail("%ld objects were destroyed instead of %ld", unwound, throws * (depth + 1));
    return 0;
}
