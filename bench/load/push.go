package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	imageType  = "application/vnd.oci.image.manifest.v1+json"
	indexType  = "application/vnd.oci.image.index.v1+json"
	emptyType  = "application/vnd.oci.empty.v1+json"
	layerType  = "application/vnd.oci.image.layer.v1.tar"
	paperType  = "application/vnd.example.paper.v1"
	binaryType = "application/octet-stream"
)

var client = &http.Client{Transport: &http.Transport{
	MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64, DisableCompression: true, WriteBufferSize: 1 << 18,
}}

type descriptor struct {
	MediaType    string `json:"mediaType"`
	Digest       string `json:"digest"`
	Size         int    `json:"size"`
	ArtifactType string `json:"artifactType,omitempty"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func randomBytes(n int) []byte {
	body := make([]byte, n)
	if _, err := rand.Read(body); err != nil {
		fail(err.Error())
	}
	return body
}

// call sends one request and fails loudly: a benchmark that counts errors as work measures nothing.
func call(method, address, contentType string, body io.Reader, more http.Header, want int) http.Header {
	request, err := http.NewRequest(method, address, body)
	check(err)
	for name, values := range more {
		request.Header[name] = values
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	reply, err := client.Do(request)
	check(err)
	text, _ := io.ReadAll(reply.Body)
	reply.Body.Close()
	if reply.StatusCode != want {
		fail(fmt.Sprintf("%s %s: %s %.300s", method, address, reply.Status, text))
	}
	return reply.Header
}

// pushBlob is what every client does: a POST that opens a session and a PUT with the bytes.
func pushBlob(base, repository, digest string, body []byte) {
	call("PUT", ending(openUpload(base, repository), digest), binaryType, bytes.NewReader(body), nil, 201)
}

// pushChunks sends the bytes in PATCHes with a Content-Range each, and ends with an empty PUT.
func pushChunks(base, repository, digest string, body []byte, chunk int) {
	where := openUpload(base, repository)
	for start := 0; start < len(body); start += chunk {
		part := body[start:min(start+chunk, len(body))]
		span := http.Header{"Content-Range": {fmt.Sprintf("%d-%d", start, start+len(part)-1)}}
		where = located(base, call("PATCH", where.String(), binaryType, bytes.NewReader(part), span, 202))
	}
	call("PUT", ending(where, digest), "", nil, nil, 201)
}

// pushStream is what docker and podman do: one PATCH that says neither range nor length, and an empty PUT.
func pushStream(base, repository, digest string, body []byte) {
	where := openUpload(base, repository)
	stream := io.MultiReader(bytes.NewReader(body)) // of unknown length: sent chunked
	where = located(base, call("PATCH", where.String(), binaryType, stream, nil, 202))
	call("PUT", ending(where, digest), "", nil, nil, 201)
}

func openUpload(base, repository string) *url.URL {
	return located(base, call("POST", base+"/v2/"+repository+"/blobs/uploads/", "", nil, nil, 202))
}

// located is where an answer says that its session goes on.
func located(base string, header http.Header) *url.URL {
	where, err := url.Parse(header.Get("Location"))
	check(err)
	origin, err := url.Parse(base)
	check(err)
	return origin.ResolveReference(where)
}

// ending is where the PUT that ends a session goes.
func ending(where *url.URL, digest string) string {
	query := where.Query()
	query.Set("digest", digest)
	where.RawQuery = query.Encode()
	return where.String()
}

func pushManifest(base, repository, reference string, m manifest) descriptor {
	body, err := json.Marshal(m)
	if err != nil {
		fail(err.Error())
	}
	digest := digestOf(body)
	if reference == "" {
		reference = digest
	}
	call("PUT", base+"/v2/"+repository+"/manifests/"+reference, m.MediaType, bytes.NewReader(body), nil, 201)
	return descriptor{MediaType: m.MediaType, Digest: digest, Size: len(body)}
}

// unique makes bodies that differ in their last bytes only, so that hashing one costs nothing:
// the state of the hash after the common part is kept.
type unique struct {
	body  []byte
	state []byte
}

const tail = 64

func newUnique(size int) *unique {
	u := &unique{body: randomBytes(size)}
	hash := sha256.New()
	if size > tail {
		hash.Write(u.body[:size-tail])
	}
	u.state, _ = hash.(encoding.BinaryMarshaler).MarshalBinary()
	return u
}

func (u *unique) next() (string, []byte) {
	start := max(0, len(u.body)-tail)
	copy(u.body[start:], randomBytes(len(u.body)-start))
	hash := sha256.New()
	if err := hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(u.state); err != nil {
		fail(err.Error())
	}
	hash.Write(u.body[start:])
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), u.body
}

func blobWorker(o options) func(int) func(int) {
	return func(c int) func(int) {
		bodies := newUnique(o.size)
		return func(int) {
			digest, body := bodies.next()
			switch {
			case o.chunk > 0:
				pushChunks(o.url, "bench/push", digest, body, o.chunk)
			case o.stream:
				pushStream(o.url, "bench/push", digest, body)
			default:
				pushBlob(o.url, "bench/push", digest, body)
			}
		}
	}
}

func put(base, repository, mediaType string, body []byte) descriptor {
	digest := digestOf(body)
	pushBlob(base, repository, digest, body)
	return descriptor{MediaType: mediaType, Digest: digest, Size: len(body)}
}

func manifestWorker(o options) func(int) func(int) {
	config := put(o.url, "bench/manifests", emptyType, []byte("{}"))
	layer := put(o.url, "bench/manifests", layerType, randomBytes(4096))
	run := time.Now().UnixNano()
	return func(c int) func(int) {
		return func(n int) {
			m := manifest{2, imageType, "", config, []descriptor{layer}, nil,
				map[string]string{"n": fmt.Sprintf("%d-%d-%d", run, c, n)}}
			pushManifest(o.url, "bench/manifests", fmt.Sprintf("t-%d-%d", c, n%100), m)
		}
	}
}

func imageWorker(o options) func(int) func(int) {
	const repository = "bench/images"
	empty := put(o.url, repository, emptyType, []byte("{}"))
	return func(c int) func(int) {
		return func(n int) {
			pushImage(o.url, repository, fmt.Sprintf("t-%d-%d", c, n%100), empty)
		}
	}
}

// pushImage pushes a config, a layer, the image under its tag, and one paper with its own blob.
func pushImage(base, repository, tag string, empty descriptor) {
	config := put(base, repository, "application/vnd.oci.image.config.v1+json", randomBytes(1024))
	layer := put(base, repository, layerType, randomBytes(4096))
	image := pushManifest(base, repository, tag,
		manifest{2, imageType, "", config, []descriptor{layer}, nil, nil})
	paper := put(base, repository, paperType, randomBytes(2048))
	pushManifest(base, repository, "",
		manifest{2, imageType, paperType, empty, []descriptor{paper}, &image, nil})
}

func plain(digest string) string { return strings.TrimPrefix(digest, "sha256:") }
