// cp [-Rv] FILE TARGET: as much of it as the Operator Lifecycle Manager needs, which copies one program so.
package main

import (
	"fmt"
	"os"
)

func main() {
	arguments := os.Args[1:]
	if len(arguments) > 0 && arguments[0] == "-Rv" {
		arguments = arguments[1:]
	}
	if len(arguments) != 2 {
		fmt.Fprintln(os.Stderr, "cp: only [-Rv] FILE TARGET")
		os.Exit(2)
	}
	program, err := os.ReadFile(arguments[0])
	if err == nil {
		err = os.WriteFile(arguments[1], program, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cp:", err)
		os.Exit(1)
	}
}
