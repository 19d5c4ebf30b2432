package sddl

import (
	"bytes"
	"encoding/base64"
	"testing"
)

// The descriptors of BuildKit's util/winlayers/differ.go (v0.34.2), text and bytes
// as they stand there.
var buildkit = []struct{ text, binary string }{
	{
		"O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)",
		"AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA",
	},
	{
		"O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)",
		"AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA==",
	},
}

func TestSDDLGivesTheBytesThatBuildKitWrites(t *testing.T) {
	for _, c := range buildkit {
		want, err := base64.StdEncoding.DecodeString(c.binary)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Binary(); !bytes.Equal(got, want) {
			t.Errorf("%s\n got %x\nwant %x", c.text, got, want)
		}
		back, err := Decode(want)
		if err != nil {
			t.Fatal(err)
		}
		if back.String() != c.text {
			t.Errorf("decoded to %s, want %s", back, c.text)
		}
	}
}

func TestTextAndBytesKeepEveryFlag(t *testing.T) {
	for _, text := range []string{
		"D:", "O:SY", "G:BU", "O:BAG:BA",
		"D:PAI(A;;FA;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)",
		"D:ARAI(D;OICINPIOID;GA;;;WD)(A;;0x80000001;;;AC)",
		"O:S-1-5-80-1D:P(A;CI;0x100026;;;BU)",
		"D:(A;;GA;;;S-1-281474976710655-1)",
	} {
		d, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		back, err := Decode(d.Binary())
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if back.String() != text {
			t.Errorf("%s came back as %s", text, back)
		}
	}
}

func TestBadSDDLIsRefused(t *testing.T) {
	for _, text := range []string{
		"X", "O:", "O:XX", "D:(", "D:()", "D:(A;;FA;;;BA", "D:(X;;FA;;;BA)", "D:(A;XX;FA;;;BA)", "D:(A;OIOI;FA;;;BA)",
		"D:(A;;ZZ;;;BA)", "D:(A;;0x1ffffffff;;;BA)", "D:(A;;FA;a;;BA)", "D:(A;;FA;;;)", "D:PP", "D:Q", "D:(A;;FA;;;BA)x",
		"O:S-1-", "O:S-1-5-x", "O:S-2-5-1", "G:BAO:BA", "D:O:BA", "O:S-1-5-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1", "D:(A;O;FA;;;BA)", "D:(A;;F;;;BA)",
	} {
		if d, err := Parse(text); err == nil {
			t.Errorf("%s was read as %s", text, d)
		}
	}
}

func TestMalformedBytesAreRefused(t *testing.T) {
	good, _ := base64.StdEncoding.DecodeString(buildkit[1].binary)
	change := func(at int, to ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], to)
		return b
	}
	for name, b := range map[string][]byte{
		"empty":                    nil,
		"header cut off":           good[:19],
		"body cut off":             good[:len(good)-1],
		"revision":                 change(0, 2),
		"absolute":                 change(3, 0),
		"unknown control bit":      change(2, 0x44),
		"owner offset in header":   change(4, 4),
		"owner offset outside":     change(4, 0xff, 0xff, 0xff, 0xff),
		"owner offset unaligned":   change(4, 0x15),
		"owner revision":           change(20, 9),
		"owner sub-authorities":    change(21, 16),
		"list without its bit":     change(2, 0),
		"list revision":            change(48, 9),
		"list too long":            change(50, 0xff, 0xff),
		"list too short":           change(50, 4),
		"more entries than bytes":  change(52, 9),
		"entry type":               change(56, 5),
		"entry too long":           change(58, 0xff),
		"entry too short":          change(58, 4),
		"entry longer than SID":    change(58, 0x1c),
		"entry SID sub-authority":  change(65, 1),
		"list offset past the end": change(16, 0xfc, 0xff),
	} {
		if d, err := Decode(b); err == nil {
			t.Errorf("%s: read as %s", name, d)
		}
	}
}

func TestAllowKeepsInheritedEntriesLast(t *testing.T) {
	d, err := Parse("D:AI(A;;FA;;;BA)(A;ID;FA;;;SY)")
	if err != nil {
		t.Fatal(err)
	}
	ace, err := ParseACE("(A;OICI;0x1301bf;;;IS)")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Allow(ace).String(), "D:AI(A;;FA;;;BA)(A;OICI;0x1301bf;;;IS)(A;ID;FA;;;SY)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if d.String() != "D:AI(A;;FA;;;BA)(A;ID;FA;;;SY)" {
		t.Errorf("the descriptor itself changed to %s", d)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range buildkit {
		b, _ := base64.StdEncoding.DecodeString(c.binary)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Decode(b)
		if err != nil {
			return
		}
		if _, err := Decode(d.Binary()); err != nil {
			t.Errorf("%x was read as %s, which is not readable: %v", b, d, err)
		}
	})
}
