package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/url"
)

// headWorker sends HEAD requests over bare connections: wrk waits for a body that never comes, and
// net/http costs more than the registry.
func headWorker(o options) func(int) func(int) {
	where, err := url.Parse(o.url)
	if err != nil {
		fail(err.Error())
	}
	request := []byte(fmt.Sprintf("HEAD %s HTTP/1.1\r\nHost: %s\r\nAccept: %s, %s, */*\r\n\r\n",
		o.path, where.Host, imageType, indexType))
	return func(int) func(int) {
		connection, err := net.Dial("tcp", where.Host)
		if err != nil {
			fail(err.Error())
		}
		reader := bufio.NewReaderSize(connection, 8192)
		return func(int) {
			if _, err := connection.Write(request); err != nil {
				fail(err.Error())
			}
			status, err := reader.ReadSlice('\n')
			if err != nil || !bytes.Contains(status, []byte(" 200 ")) {
				fail(fmt.Sprintf("HEAD %s: %.100s %v", o.path, status, err))
			}
			for len(bytes.TrimRight(status, "\r\n")) > 0 {
				if status, err = reader.ReadSlice('\n'); err != nil {
					fail(err.Error())
				}
			}
		}
	}
}
