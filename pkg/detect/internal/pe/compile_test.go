package pe

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needTool skips a test whose tool is missing, or fails it where all are required.
func needTool(tb testing.TB, command, apt string) {
	tb.Helper()
	if _, err := exec.LookPath(command); err != nil {
		if os.Getenv("WINPACK_REQUIRE_TOOLS") == "1" {
			tb.Fatalf("%s is missing: apt-get install %s", command, apt)
		}
		tb.Skipf("SKIPPED: %s is missing: apt-get install %s", command, apt)
	}
}

// compile runs a compiler over one source file and returns its output's bytes.
func compile(tb testing.TB, source, ext string, env []string, command string, args ...string) []byte {
	tb.Helper()
	apt := map[string]string{"mcs": "mono-mcs", "x86_64-w64-mingw32-gcc": "gcc-mingw-w64-x86-64", "i686-w64-mingw32-gcc": "gcc-mingw-w64-i686", "go": "golang-go"}[command]
	needTool(tb, command, apt)
	dir := tb.TempDir()
	in, out := filepath.Join(dir, "in"+ext), filepath.Join(dir, "out.exe")
	if err := os.WriteFile(in, []byte(source), 0o644); err != nil {
		tb.Fatal(err)
	}
	for i, a := range args {
		args[i] = strings.NewReplacer("IN", in, "OUT", out).Replace(a)
	}
	cmd := exec.Command(command, args...)
	cmd.Env = append(os.Environ(), env...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", command, err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func open(tb testing.TB, data []byte) *File {
	tb.Helper()
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// openFile reads a file of a fixture.
func openFile(tb testing.TB, path string) (*File, []byte) {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return open(tb, data), data
}

// stands fails where the bytes at a span are not those of the value.
func stands(tb testing.TB, data []byte, s Span, value string) {
	tb.Helper()
	if s.Offset <= 0 || s.Offset+s.Length > int64(len(data)) || string(data[s.Offset:s.Offset+s.Length]) != value {
		tb.Errorf("evidence %+v does not hold %q", s, value)
	}
}
