# SPDX-License-Identifier: MIT
# memory.R [small|large]: keeps many small objects, or 64 MiB in large blocks.
what <- commandArgs(trailingOnly = TRUE)
if (identical(what, "small")) kept <- lapply(1:400000, function(i) c(i, i))
if (identical(what, "large")) kept <- lapply(1:64, function(i) raw(2^20))
