package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const seeded = "bench/read"

// seed pushes what the read rows read, and answers where to find it.
func seed(o options) map[string]string {
	config := put(o.url, seeded, emptyType, []byte("{}"))
	paths := map[string]string{}
	sizes := map[string]int{"2kB": 2048, "1MB": 1 << 20, "10MB": 10 << 20, "100MB": 100 << 20}
	for name, size := range sizes {
		blob := put(o.url, seeded, layerType, randomBytes(size))
		paths["blob "+name] = "/v2/" + seeded + "/blobs/" + blob.Digest
	}
	layers := []descriptor{}
	for range 6 {
		layers = append(layers, put(o.url, seeded, layerType, randomBytes(512)))
	}
	image := pushManifest(o.url, seeded, "latest", manifest{2, imageType, "", config, layers, nil, nil})
	paths["manifest tag"] = "/v2/" + seeded + "/manifests/latest"
	paths["manifest digest"] = "/v2/" + seeded + "/manifests/" + image.Digest
	for n := range 2000 {
		m := manifest{2, imageType, "", config, layers[:1], nil, map[string]string{"n": fmt.Sprint(n % 50)}}
		pushManifest(o.url, "bench/tags", fmt.Sprintf("v1.%04d", n), withBlobs(o, "bench/tags", m, n))
	}
	paths["tags"] = "/v2/bench/tags/tags/list"
	paths["tags page"] = "/v2/bench/tags/tags/list?n=100&last=v1.0700"
	for _, count := range []int{10, 1000} {
		subject := pushManifest(o.url, seeded, fmt.Sprintf("papers-%d", count),
			manifest{2, imageType, "", config, layers[:1], nil, map[string]string{"papers": fmt.Sprint(count)}})
		for n := range count {
			pushPaper(o.url, seeded, config, layers[1], subject, n)
		}
		paths[fmt.Sprintf("referrers %d", count)] = "/v2/" + seeded + "/referrers/" + subject.Digest
	}
	seedSmall(o, paths)
	return paths
}

// seedSmall fills a repository with two images, one of which has two papers: some registries read
// all of a repository for each request, which costs little here.
func seedSmall(o options, paths map[string]string) {
	const repository = "bench/small"
	config := put(o.url, repository, emptyType, []byte("{}"))
	layer := put(o.url, repository, layerType, randomBytes(512))
	var latest descriptor
	for _, tag := range []string{"v1", "v2"} {
		latest = pushManifest(o.url, repository, tag,
			manifest{2, imageType, "", config, []descriptor{layer}, nil, map[string]string{"tag": tag}})
	}
	for n := range 2 {
		pushPaper(o.url, repository, config, layer, latest, n)
	}
	paths["small manifest"] = "/v2/" + repository + "/manifests/v2"
	paths["small referrers"] = "/v2/" + repository + "/referrers/" + latest.Digest
	paths["small tags"] = "/v2/" + repository + "/tags/list"
}

func withBlobs(o options, repository string, m manifest, n int) manifest {
	if n == 0 {
		put(o.url, repository, emptyType, []byte("{}"))
	}
	m.Layers = []descriptor{}
	return m
}

func pushPaper(base, repository string, config, blob, subject descriptor, n int) {
	pushManifest(base, repository, "", manifest{2, imageType, paperType, config, []descriptor{blob}, &subject,
		map[string]string{"org.opencontainers.image.created": "2026-01-01T00:00:00Z", "n": fmt.Sprint(n)}})
}

// fill pushes many images with papers, spread over repositories, to see what size costs.
func fill(o options) map[string]any {
	var next atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	names := make([]string, o.repositories)
	configs := make([]descriptor, o.repositories)
	blobs := make([]descriptor, o.repositories)
	layer := randomBytes(512)
	for r := range names {
		names[r] = fmt.Sprintf("fill/r%05d", r)
		configs[r] = put(o.url, names[r], emptyType, []byte("{}"))
		blobs[r] = put(o.url, names[r], layerType, layer)
	}
	for range o.clients {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				n := int(next.Add(1)) - 1
				if n >= o.images {
					return
				}
				r := n % len(names)
				image := pushManifest(o.url, names[r], fmt.Sprintf("t%07d", n), manifest{2, imageType, "",
					configs[r], []descriptor{blobs[r]}, nil, map[string]string{"n": fmt.Sprint(n)}})
				for p := range o.papers {
					pushPaper(o.url, names[r], configs[r], blobs[r], image, p)
				}
			}
		}()
	}
	group.Wait()
	return map[string]any{"images": o.images, "papers": o.images * o.papers, "seconds": time.Since(start).Seconds()}
}
