// verify URL KEY OLD: is all of the lineage at URL in the log that KEY signed, and does it continue the checkpoint OLD?
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type lineage string

func (url lineage) Height() int                     { return 8 }
func (url lineage) SaveTiles([]tlog.Tile, [][]byte) {}
func (url lineage) ReadTiles(all []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range all {
		data = append(data, url.get(tile.Path()))
	}
	return data, nil
}
func (url lineage) get(path string) []byte {
	path = strings.NewReplacer("tile/8/data/", "tile/entries/", "tile/8/", "tile/").Replace(path)
	answer := must(http.Get(string(url) + "/" + path))
	if answer.StatusCode != 200 {
		log.Fatal(path, ": ", answer.Status)
	}
	return must(io.ReadAll(answer.Body))
}
func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
func opened(text []byte, key string) tlog.Tree {
	lines := strings.Split(must(note.Open(text, note.VerifierList(must(note.NewVerifier(key))))).Text, "\n")
	return tlog.Tree{N: must(strconv.ParseInt(lines[1], 10, 64)), Hash: must(tlog.ParseHash(lines[2]))}
}
func main() {
	url := lineage(os.Args[1])
	tree, old := opened(url.get("checkpoint"), os.Args[2]), opened(must(os.ReadFile(os.Args[3])), os.Args[2])
	hashes := tlog.TileHashReader(tree, url)
	for seq := int64(0); seq < tree.N; {
		bundle := url.get(tlog.Tile{H: 8, L: -1, N: seq / 256, W: int(min(256, tree.N-seq))}.Path())
		for ; len(bundle) > 0; seq++ {
			end := 2 + int(bundle[0])<<8 + int(bundle[1])
			proof := must(tlog.ProveRecord(tree.N, seq, hashes))
			must(seq, tlog.CheckRecord(proof, tree.N, tree.Hash, seq, tlog.RecordHash(bundle[2:end])))
			bundle = bundle[end:]
		}
	}
	must(old, tlog.CheckTree(must(tlog.ProveTree(tree.N, old.N, hashes)), tree.N, tree.Hash, old.N, old.Hash))
	fmt.Println(tree.N, "entries verified")
}
