<?php
// SPDX-License-Identifier: MIT
// memory.php [small|large]: keeps many small objects, or 64 MiB in large blocks.
$what = $argv[1] ?? "";
$kept = [];
if ($what === "small") {
    for ($i = 0; $i < 400000; $i++) $kept[] = [$i, (string)$i];
} elseif ($what === "large") {
    for ($i = 0; $i < 64; $i++) $kept[] = str_repeat("x", 1 << 20);
}
