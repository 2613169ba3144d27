// SPDX-License-Identifier: MIT
// memory.js [small|large]: keeps many small objects, or 64 MiB in large blocks.
const what = process.argv[2];
module.exports = what === "small" ? Array.from({ length: 400000 }, (_, i) => [String(i)])
    : what === "large" ? Array.from({ length: 64 }, () => Buffer.alloc(1 << 20, 1)) : [];
