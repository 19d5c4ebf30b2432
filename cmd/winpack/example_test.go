package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The example is what people copy: with its comments taken away it has to work.
func TestExampleConfigurationAddsItsImage(t *testing.T) {
	text, err := os.ReadFile("../../winpack.toml.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseConfig("winpack.toml.example", string(text)); err != nil {
		t.Errorf("as it is: %v", err)
	}
	var row []string
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "#   "); ok {
			row = append(row, rest)
		}
	}
	if len(row) < 10 {
		t.Fatalf("the example's image row has only %d lines", len(row))
	}
	dir := t.TempDir()
	app := filepath.Join(dir, "site")
	if err := os.CopyFS(app, os.DirFS("../../fixtures/demo/app")); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"winpack.toml": "[catalog]\nfile = \"catalog.toml\"\n", "catalog.toml": strings.Join(row, "")} {
		if err := os.WriteFile(filepath.Join(app, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	code := run(t.Context(), []string{"dockerfile", app, "--stdout"}, env{out, out, func(string) string { return "" }})
	printed, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if code != 0 || !strings.Contains(string(printed), "registry.example.com/hardened/aspnet:4.8.1-ltsc2022") {
		t.Errorf("exit %d, the image of the example is not used:\n%s", code, printed)
	}
}
