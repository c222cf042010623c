// Verifies a recorded lineage with the packages of the Go checksum database, which know nothing of the program that
// wrote it: the signatures of its checkpoints, that every entry is in the log, that the log only grew, and that nothing
// else is believed.
package lineage

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const recorded = "../../../fixtures/lineage/dc1.json"

type given struct {
	VerifierKey string   `json:"verifier_key"`
	Checkpoints []string `json:"checkpoints"`
	Entries     []string
	Inclusion   [][]string
	Consistency []string
}

func read(t *testing.T) given {
	t.Helper()
	bytes, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	var all given
	if err := json.Unmarshal(bytes, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func hashes(t *testing.T, text []string) []tlog.Hash {
	t.Helper()
	var all []tlog.Hash
	for _, one := range text {
		hash, err := tlog.ParseHash(one)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, hash)
	}
	return all
}

// opened verifies a checkpoint and reads its tree.
func opened(t *testing.T, all given, which int) tlog.Tree {
	t.Helper()
	verifier, err := note.NewVerifier(all.VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Open([]byte(all.Checkpoints[which]), note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != "dc1" {
		t.Fatalf("not a checkpoint of dc1: %q", signed.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: hashes(t, lines[2:3])[0]}
}

func TestEveryEntryIsInTheLog(t *testing.T) {
	all := read(t)
	tree := opened(t, all, 1)
	if int(tree.N) != len(all.Entries) {
		t.Fatalf("%d entries, %d signed", len(all.Entries), tree.N)
	}
	for seq, entry := range all.Entries {
		proof := tlog.RecordProof(hashes(t, all.Inclusion[seq]))
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(seq), tlog.RecordHash([]byte(entry))); err != nil {
			t.Errorf("entry %d: %v", seq, err)
		}
		if tlog.CheckRecord(proof, tree.N, tree.Hash, int64(seq), tlog.RecordHash([]byte(entry+" "))) == nil {
			t.Errorf("entry %d: another is believed", seq)
		}
	}
}

func TestTheLogOnlyGrew(t *testing.T) {
	all := read(t)
	older, newer := opened(t, all, 0), opened(t, all, 1)
	proof := tlog.TreeProof(hashes(t, all.Consistency))
	if err := tlog.CheckTree(proof, newer.N, newer.Hash, older.N, older.Hash); err != nil {
		t.Error(err)
	}
	if tlog.CheckTree(proof, newer.N, newer.Hash, older.N, newer.Hash) == nil {
		t.Error("another past is believed")
	}
}

func TestAForgedCheckpointIsNotBelieved(t *testing.T) {
	all := read(t)
	verifier, err := note.NewVerifier(all.VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(all.Checkpoints[1], "\n11\n", "\n12\n", 1)
	if _, err := note.Open([]byte(forged), note.VerifierList(verifier)); err == nil {
		t.Error("believed")
	}
}
