package main

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"sort"
	"syscall"
	"time"
)

// connection is one of the sockets that wait for an answer; `text` is what came of it so far.
type connection struct {
	descriptor int
	asked      time.Time
	text       []byte
}

// headRate sends HEAD requests over bare sockets from one thread: wrk waits for a body that never
// comes, and Go's own connections cost more than a registry does.
func headRate(o options) rate {
	where, err := url.Parse(o.url)
	check(err)
	request := []byte(fmt.Sprintf("HEAD %s HTTP/1.1\r\nHost: %s\r\nAccept: %s, %s, */*\r\n\r\n",
		o.path, where.Host, imageType, indexType))
	poll, err := syscall.EpollCreate1(0)
	check(err)
	connections := map[int32]*connection{}
	for range o.clients {
		c := &connection{descriptor: connect(where.Host)}
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.descriptor)}
		check(syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, c.descriptor, &event))
		connections[event.Fd] = c
		c.ask(request)
	}
	var latencies []float64
	events := make([]syscall.EpollEvent, o.clients)
	start := time.Now()
	end := start.Add(time.Duration(o.seconds * float64(time.Second)))
	for now := start; now.Before(end); now = time.Now() {
		ready, err := syscall.EpollWait(poll, events, 1000)
		if err != nil && err != syscall.EINTR {
			fail(err.Error())
		}
		for n := range max(0, ready) {
			c := connections[events[n].Fd]
			if c.answered(o.path) {
				latencies = append(latencies, time.Since(c.asked).Seconds()*1000)
				c.ask(request)
			}
		}
	}
	elapsed := time.Since(start).Seconds()
	sort.Float64s(latencies)
	return rate{float64(len(latencies)) / elapsed, int64(len(latencies)),
		at(latencies, 0.5), at(latencies, 0.99)}
}

// connect gives a blocking socket, of which only what is there is ever read.
func connect(host string) int {
	address, err := net.ResolveTCPAddr("tcp4", host)
	check(err)
	descriptor, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	check(err)
	check(syscall.SetsockoptInt(descriptor, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1))
	check(syscall.Connect(descriptor,
		&syscall.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())}))
	return descriptor
}

func (c *connection) ask(request []byte) {
	c.asked, c.text = time.Now(), c.text[:0]
	written, err := syscall.Write(c.descriptor, request)
	check(err)
	if written != len(request) {
		fail("a request was not taken whole")
	}
}

// answered reads what came, and says whether that is the end of the headers.
func (c *connection) answered(path string) bool {
	var part [8192]byte
	count, err := syscall.Read(c.descriptor, part[:])
	check(err)
	c.text = append(c.text, part[:count]...)
	if count == 0 || !bytes.HasPrefix(c.text, []byte("HTTP/1.1 200 ")) {
		fail(fmt.Sprintf("HEAD %s: %.100s", path, c.text))
	}
	return bytes.HasSuffix(c.text, []byte("\r\n\r\n"))
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}
