package pe

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
)

// Whether the attributes are sorted or the header does not say so, the target
// framework is found.
func TestTargetFrameworkIsFoundInTablesThatAreNotSorted(t *testing.T) {
	data, err := os.ReadFile("../../../../fixtures/demo/app/bin/Shop.dll")
	if err != nil {
		t.Fatal(err)
	}
	root := bytes.Index(data, []byte("BSJB"))
	name := bytes.Index(data, []byte("#~\x00\x00"))
	if root < 0 || name < 0 {
		t.Fatal("no metadata tables")
	}
	sorted := root + int(binary.LittleEndian.Uint32(data[name-8:])) + 16
	for what, mask := range map[string]uint64{"sorted": 1 << tCustomAttribute, "not sorted": 0} {
		binary.LittleEndian.PutUint64(data[sorted:], mask)
		f, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		c, err := f.CLR()
		if err != nil || c.md.sorted != mask || c.TargetFramework.Value != ".NETFramework,Version=v4.7.2" {
			t.Errorf("%s: %q, %v (mask %x)", what, c.TargetFramework.Value, err, c.md.sorted)
		}
	}
}
