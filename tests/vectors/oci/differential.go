// Says what Go's encoding/json sees in documents that readers may disagree about, and how it folds
// field names. Most registries and clients read manifests with it.
//
//	go run differential.go < cases.json > differential.json
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"unicode"
)

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Data         []byte            `json:"data,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        *descriptor       `json:"config,omitempty"`
	Layers        []descriptor      `json:"layers,omitempty"`
	Manifests     []descriptor      `json:"manifests,omitempty"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type input struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Base64 string `json:"base64"`
}

type seen struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Config       string            `json:"config"`
	Layers       []string          `json:"layers"`
	Manifests    []string          `json:"manifests"`
	Subject      string            `json:"subject"`
	Annotations  map[string]string `json:"annotations"`
}

type output struct {
	input
	Error bool  `json:"error"`
	Seen  *seen `json:"seen"`
}

type report struct {
	Documents []output   `json:"documents"`
	Folds     [][]string `json:"folds"`
}

func show(d *descriptor) string {
	if d == nil {
		return ""
	}
	return fmt.Sprintf("%s %s %d", d.MediaType, d.Digest, d.Size)
}

func showAll(all []descriptor) []string {
	shown := []string{}
	for i := range all {
		shown = append(shown, show(&all[i]))
	}
	return shown
}

func look(in input) output {
	body, err := base64.StdEncoding.DecodeString(in.Base64)
	if err != nil {
		panic(err)
	}
	var m manifest
	if json.Unmarshal(body, &m) != nil {
		return output{in, true, nil}
	}
	annotations := m.Annotations
	if annotations == nil {
		annotations = map[string]string{}
	}
	return output{in, false, &seen{m.MediaType, m.ArtifactType, show(m.Config), showAll(m.Layers),
		showAll(m.Manifests), show(m.Subject), annotations}}
}

// folds lists the characters beyond ASCII that match others, each class once.
func folds() [][]string {
	all := [][]string{}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		class := []string{}
		least := true
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			class = append(class, string(next))
			least = least && r < next
		}
		if least && len(class) > 0 {
			all = append(all, append([]string{string(r)}, class...))
		}
	}
	return all
}

func main() {
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var inputs []input
	if err := json.Unmarshal(data, &inputs); err != nil {
		panic(err)
	}
	result := report{[]output{}, folds()}
	for _, in := range inputs {
		result.Documents = append(result.Documents, look(in))
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(result); err != nil {
		panic(err)
	}
}
