// SPDX-License-Identifier: MIT
// memory [small|large]: keeps many objects of Go's, or 64 MiB in blocks of C's malloc, until its input ends.
package main

// #include <stdlib.h>
// #include <string.h>
import "C"

import (
	"fmt"
	"io"
	"os"
	"unsafe"
)

const block = 1 << 20

func main() {
	what := ""
	if len(os.Args) > 1 {
		what = os.Args[1]
	}
	var own []*[4]int
	var taken []unsafe.Pointer
	switch what {
	case "small":
		for i := 0; i < 400000; i++ {
			own = append(own, &[4]int{i})
		}
	case "large":
		for i := 0; i < 64; i++ {
			p := C.malloc(block) // never nil: cgo ends the program where there is no memory
			C.memset(p, 1, block)
			taken = append(taken, p)
		}
	}
	fmt.Println(len(own), "objects,", len(taken), "blocks")
	io.Copy(io.Discard, os.Stdin)
	for _, p := range taken {
		C.free(p)
	}
}
