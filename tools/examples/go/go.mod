module example/memory

go 1.19
