// SPDX-License-Identifier: MIT
// A C++ template writes one element past the end, in a method that is inlined into its caller.
#include <cstddef>
#include <cstdio>

namespace shop {
template <typename T> class ring {
  public:
    explicit ring(std::size_t room) : items(new T[room]), // ALLOCATED
                                      room(room) {}
    ~ring() { delete[] items; }
    inline __attribute__((always_inline)) void put(std::size_t i, T value) {
        static_cast<volatile T *>(items)[i] = value; // FAULT
    }
    std::size_t last() const { return room; }

  private:
    T *items;
    std::size_t room;
};

__attribute__((noinline)) void fill(ring<unsigned char> &to) {
    for (std::size_t i = 0; i <= to.last(); i++)
        to.put(i, 'x');
}
} // namespace shop

int main() {
    shop::ring<unsigned char> bytes(37);
    shop::fill(bytes);
    std::puts("done");
}
