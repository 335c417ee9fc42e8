// Load for registries: pushes blobs, manifests and whole images as fast as one machine can, so that
// the registry under test is the bottleneck and not this program. Standard library only.
//
//	load blobs     -url U -size BYTES -c 16 -seconds 5     with -chunk BYTES or -stream: in PATCHes
//	load manifests -url U -c 4 -seconds 5
//	load images    -url U -c 4 -seconds 5
//	load head      -url U -path P -c 16 -seconds 5
//	load seed      -url U                      what the read rows read; prints JSON
//	load fill      -url U -images N -papers P -repositories R -c 16
//
// Each prints one JSON object.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

type options struct {
	url          string
	path         string
	size         int
	chunk        int
	stream       bool
	clients      int
	seconds      float64
	images       int
	papers       int
	repositories int
}

func main() {
	if len(os.Args) < 2 {
		fail("usage: load blobs|manifests|images|seed|fill -url URL")
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.url, "url", "", "http://HOST:PORT of the registry")
	flags.StringVar(&o.path, "path", "/v2/", "path to ask for")
	flags.IntVar(&o.size, "size", 4096, "bytes of each blob")
	flags.IntVar(&o.chunk, "chunk", 0, "push each blob in PATCHes of so many bytes")
	flags.BoolVar(&o.stream, "stream", false, "push each blob in one PATCH without Content-Range")
	flags.IntVar(&o.clients, "c", 16, "connections")
	flags.Float64Var(&o.seconds, "seconds", 5, "how long to push")
	flags.IntVar(&o.images, "images", 1000, "images to fill with")
	flags.IntVar(&o.papers, "papers", 2, "papers of each image")
	flags.IntVar(&o.repositories, "repositories", 1, "repositories to spread over")
	if err := flags.Parse(os.Args[2:]); err != nil {
		fail(err.Error())
	}
	switch os.Args[1] {
	case "blobs":
		report(timed(o, blobWorker(o)))
	case "manifests":
		report(timed(o, manifestWorker(o)))
	case "images":
		report(timed(o, imageWorker(o)))
	case "head":
		report(headRate(o))
	case "seed":
		report(seed(o))
	case "fill":
		report(fill(o))
	default:
		fail("unknown load " + os.Args[1])
	}
}

func report(result any) {
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fail(err.Error())
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, "load:", text)
	os.Exit(1)
}

type rate struct {
	PerSecond float64 `json:"per_second"`
	Count     int64   `json:"count"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
}

// timed runs one function per connection until the time is over; every call of a worker is one unit.
func timed(o options, worker func(client int) func(n int)) rate {
	var count atomic.Int64
	var group sync.WaitGroup
	latencies := make([][]float64, o.clients)
	works := make([]func(int), o.clients)
	for c := range works {
		works[c] = worker(c)
	}
	start := time.Now()
	end := start.Add(time.Duration(o.seconds * float64(time.Second)))
	for c := range works {
		group.Add(1)
		go func(c int) {
			defer group.Done()
			for n := 0; time.Now().Before(end); n++ {
				before := time.Now()
				works[c](n)
				latencies[c] = append(latencies[c], time.Since(before).Seconds()*1000)
				count.Add(1)
			}
		}(c)
	}
	group.Wait()
	elapsed := time.Since(start).Seconds()
	var all []float64
	for _, part := range latencies {
		all = append(all, part...)
	}
	sort.Float64s(all)
	return rate{float64(count.Load()) / elapsed, count.Load(), at(all, 0.5), at(all, 0.99)}
}

func at(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(float64(len(sorted)-1)*share)]
}
