package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/cmd/winpack/internal/result/resulttest"
)

func formats() []string { return []string{"text", "json", "csv", "sarif", "html"} }

// A crash of batch leaves half a line: report shows the others, says so, and is no failure.
func TestTornLineIsNamedAndIsNoFailure(t *testing.T) {
	whole := resulttest.Lines(t, resulttest.Of("billing", "apps/billing", resulttest.Report(t, "demo")))
	dir := resulttest.Write(t, map[string][]byte{"results.jsonl": append(whole, whole[:len(whole)/2]...)})
	for _, format := range formats() {
		stdout, stderr, code := winpack(t, dir, "report", ".", "--format", format)
		said := stderr
		if format == "text" {
			said = stdout
		}
		if code != exitDone || !strings.Contains(stdout, "billing") || !strings.Contains(said, "results.jsonl:2: the line was cut off") {
			t.Errorf("%s: exit %d\n%s%s", format, code, stdout, stderr)
		}
	}
}

func TestReportThatIsInterruptedIs130AndWritesNothing(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	dir := resulttest.Many(t, 50)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, format := range formats() {
		if code := run(ctx, []string{"report", dir, "--format", format, "-o", filepath.Join(dir, "out")}, env{null, null, os.Getenv}); code != exitInterrupted {
			t.Errorf("%s: exit %d", format, code)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("there are %v now, %v", entries, err)
	}
	// An interrupt while it is written leaves the file that was there before.
	file := filepath.Join(dir, "apps.csv")
	if err := os.WriteFile(file, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	err = writeReport(ctx, null, file, func(w io.Writer) error {
		if _, err := w.Write([]byte("half")); err != nil {
			return err
		}
		cancel()
		_, err := w.Write([]byte("more"))
		return err
	})
	text, readErr := os.ReadFile(file)
	if !errors.Is(err, context.Canceled) || readErr != nil || string(text) != "before" {
		t.Errorf("%v, and the file holds %q", err, text)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("there are %v now, %v", entries, err)
	}
}

func TestReportOnAFullDiskIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("SKIPPED: this system has no /dev/full")
	}
	defer full.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, dir := range []string{resulttest.Many(t, 5), resulttest.Many(t, 300)} {
		for _, format := range formats() {
			if code := run(t.Context(), []string{"report", dir, "--format", format}, env{full, null, os.Getenv}); code != exitFailed {
				t.Errorf("%s to a full disk: exit %d", format, code)
			}
			if code := run(t.Context(), []string{"report", dir, "--format", format, "-o", "/dev/full"}, env{null, null, os.Getenv}); code != exitFailed {
				t.Errorf("%s with -o to a full disk: exit %d", format, code)
			}
		}
	}
}

// The bytes are those of the results, on every machine and in every folder.
func TestReportOfTheSameResultsHasTheSameBytes(t *testing.T) {
	for _, format := range formats() {
		var before string
		for range 2 {
			dir := resulttest.Inventory(t)
			stdout, _, code := winpack(t, dir, "report", dir, "--format", format)
			if code != exitFailed { // a line of it is rubbish
				t.Errorf("%s: exit %d", format, code)
			}
			if before != "" && stdout != before {
				t.Errorf("%s differs in another folder", format)
			}
			before = stdout
			if strings.Contains(stdout, filepath.Dir(dir)) {
				t.Errorf("%s says where the results are", format)
			}
		}
	}
}

// What detect finds is the same in the SARIF that it writes itself and in that of
// its saved report.
func TestSavedReportGivesTheSARIFOfDetect(t *testing.T) {
	root := t.TempDir()
	app := filepath.Join(root, "demo")
	if err := os.CopyFS(app, os.DirFS("../../fixtures/demo/app")); err != nil {
		t.Fatal(err)
	}
	saved, _, code := winpack(t, app, "detect", "--format", "json")
	if code != exitDone {
		t.Fatalf("exit %d", code)
	}
	if err := os.WriteFile(filepath.Join(root, "demo.json"), []byte(saved), 0o644); err != nil {
		t.Fatal(err)
	}
	direct, _, _ := winpack(t, root, "detect", app, "--format", "sarif")
	again, _, _ := winpack(t, root, "report", "demo.json", "--format", "sarif")
	if direct != again || !strings.Contains(direct, "WP1301") {
		t.Errorf("detect says\n%s\nand report\n%s", direct, again)
	}
	for format, want := range map[string]string{"text": "winpack build APP -t REGISTRY/demo:TAG", "json": saved} {
		if got, _, _ := winpack(t, root, "report", "demo.json", "--format", format); !strings.Contains(got, want) {
			t.Errorf("--format %s shows\n%s", format, got)
		}
	}
	if _, _, code := winpack(t, root, "report", "demo.json", "--fail-on", "error"); code != exitFindings {
		t.Errorf("--fail-on error: exit %d", code)
	}
}

// -o keeps away from what is read, by whatever name it is called.
func TestOutputIsNoFileOfResults(t *testing.T) {
	dir := resulttest.Many(t, 3)
	for name, bad := range map[string]bool{
		"results.jsonl": true, result.RowsName: true, "../out/results.jsonl": true, "apps.csv": false, "results-new.jsonl": false,
	} {
		if err := checkReportOutput(dir, filepath.Join(dir, name)); (err != nil) != bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}
