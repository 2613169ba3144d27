# SPDX-License-Identifier: MIT
# memory.rb [small|large]: keeps many small objects, or 64 MiB in large blocks.
kept = case ARGV[0]
       when "small" then Array.new(800_000) { |i| [i.to_s] }
       when "large" then Array.new(64) { "x" * (1 << 20) }
       end
