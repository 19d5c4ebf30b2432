package summary

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium is a real browser, or the test is skipped, or fails where
// WINPACK_REQUIRE_TOOLS is 1.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "chromium is missing: apt-get install chromium"
	if os.Getenv("WINPACK_REQUIRE_TOOLS") == "1" {
		t.Fatal(missing)
	}
	t.Skip("SKIPPED, NOT TESTED: " + missing)
	return ""
}

// tab is a page in the browser, and everything that it did beyond showing itself.
type tab struct {
	*testing.T
	ctx context.Context

	mu    sync.Mutex
	url   string
	wrong []string
}

// newTab starts a browser of its own with an empty page.
func newTab(t *testing.T) *tab {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(chromium(t)), chromedp.NoSandbox)
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	b := &tab{T: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.watch); err != nil { // starts the browser
		t.Fatal(err)
	}
	b.ctx, stop = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(stop)
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	call(b, page.Enable, page.EnableParams{})
	return b
}

// watch keeps what a page that is only text and its own script never does.
func (b *tab) watch(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	add := func(format string, args ...any) { b.wrong = append(b.wrong, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if to := e.Request.URL; to != b.url && to != "about:blank" && !strings.HasPrefix(to, "data:,") {
			add("request: %.200s", to)
		}
	case *log.EventEntryAdded:
		add("log: %.200s", e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		add("console: %s", e.Type)
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		add("exception: %.300s", text)
	case *page.EventJavascriptDialogOpening:
		add("dialog: %.200s", e.Message)
		go chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
	}
}

// did is what the page did that it must not.
func (b *tab) did() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.wrong)
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.Helper()
	r, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func do[T any](b *tab, action chromedp.Action[T]) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// eval runs JavaScript in the page, as the developer tools do.
func eval[T any](b *tab, script string) T {
	b.Helper()
	return do(b, chromedp.Evaluate[T](script))
}

// open shows a file from disk.
func (b *tab) open(html []byte, fragment string) {
	b.Helper()
	file := filepath.Join(b.TempDir(), "apps.html")
	if err := os.WriteFile(file, html, 0o644); err != nil {
		b.Fatal(err)
	}
	b.mu.Lock()
	b.url = (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()
	to := b.url + fragment
	b.mu.Unlock()
	do(b, chromedp.Navigate(to))
	do(b, chromedp.WaitReady(chromedp.CSS("footer")))
}

func (b *tab) click(css string) { b.Helper(); do(b, chromedp.Click(chromedp.CSS(css))) }

func (b *tab) run(script string) { b.Helper(); eval[chromedp.Void](b, script) }

// press gives an element the focus and presses a key there.
func (b *tab) press(css, key string) {
	b.Helper()
	do(b, chromedp.Focus(chromedp.CSS(css)))
	do(b, chromedp.KeyEvent(key))
}

func (b *tab) size(width, height int64) {
	b.Helper()
	do(b, chromedp.EmulateViewport(width, height))
}

func (b *tab) scheme(name string) {
	b.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
}

// keep saves a file for people to look at, where WINPACK_SCREENSHOTS names a folder.
func (b *tab) keep(name string, data []byte) {
	b.Helper()
	if dir := os.Getenv("WINPACK_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func (b *tab) shoot(name string) {
	b.Helper()
	b.keep(name+".png", do(b, chromedp.CaptureScreenshot()))
}

// names are those of the apps that are listed, and shown is how many the page says.
func (b *tab) names() []string {
	b.Helper()
	return eval[[]string](b, `[...document.querySelectorAll("#rows tr")].map((r) => r.dataset.app)`)
}

func (b *tab) shown() string {
	b.Helper()
	return eval[string](b, `document.getElementById("shown").textContent`)
}
