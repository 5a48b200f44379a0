// Reads answers from stdin, one JSON object {"status","body"} a line, and prints what a client makes of each: main flat|gateway.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
)

// Answer is one HTTP answer.
type Answer struct {
	Status int
	Body   string
}

func main() {
	read := map[string]func(Answer) (string, error){"flat": flat, "gateway": gateway}[os.Args[1]]
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var answer Answer
		if err := json.Unmarshal(lines.Bytes(), &answer); err != nil {
			log.Fatal(err)
		}
		if reading, err := read(answer); err != nil {
			fmt.Println("broken:", err)
		} else {
			fmt.Println("ok", reading)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}
