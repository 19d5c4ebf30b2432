package summary

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/winpack/winpack/cmd/winpack/internal/result/resulttest"
)

func htmlOf(t *testing.T, dir string) (Summary, []byte) {
	t.Helper()
	s, set := open(t, dir)
	var out bytes.Buffer
	if err := s.HTML(&out, set); err != nil {
		t.Fatal(err)
	}
	return s, out.Bytes()
}

// The watch sees a page that does what ours must not.
func TestWatchSeesWhatAPageDoes(t *testing.T) {
	b := newTab(t)
	b.open([]byte(`<!doctype html><title>x</title><img src="http://127.0.0.1:1/canary.png"><script>console.error("e"); throw new Error("thrown")</script><footer></footer>`), "")
	b.open([]byte(`<!doctype html><meta http-equiv="Content-Security-Policy" content="script-src 'none'"><script>1</script><footer></footer>`), "")
	b.open([]byte(`<!doctype html><script>setTimeout(() => alert("hello"))</script><footer></footer>`), "")
	do(b, chromedp.Evaluate[int]("1"))
	all := strings.Join(b.did(), "\n")
	for _, want := range []string{"request: http://127.0.0.1:1/canary.png", "console: error", "thrown", "Content Security Policy", "dialog: hello"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q was not seen in\n%s", want, all)
		}
	}
}

func TestPageSortsByEachColumn(t *testing.T) {
	s, html := htmlOf(t, resulttest.Inventory(t))
	b := newTab(t)
	b.size(1440, 1000)
	b.open(html, "")
	var names []string
	for _, a := range s.Apps {
		names = append(names, a.Name)
	}
	if got := b.names(); !slices.Equal(got, names) || b.shown() != "14 in all" {
		t.Errorf("shown are %q, %s, want %q", got, b.shown(), names)
	}
	header := func(key string) string { return `th[data-sort="` + key + `"] button` }
	sorted := func(key string) string {
		return eval[string](b, `document.querySelector('th[data-sort="`+key+`"]').getAttribute("aria-sort") || ""`)
	}
	if sorted("name") != "ascending" {
		t.Error("the first order is not told to a screen reader")
	}
	b.click(header("name"))
	slices.Reverse(names)
	if got := b.names(); !slices.Equal(got, names) || sorted("name") != "descending" {
		t.Errorf("turned round: %q, %s", got, sorted("name"))
	}
	b.press(header("outlook"), "\r")
	if got := b.names(); got[0] != "dotnet-console" || got[len(got)-1] != "never-started" || sorted("outlook") != "ascending" || sorted("name") != "" {
		t.Errorf("by outlook: %q", got)
	}
	for key, first := range map[string]string{"kind": "wcf-http", "base": "old-row", "findings": "netfx-winforms", "cause": "aspnet-core"} {
		b.click(header(key))
		b.click(header(key))
		if got := b.names(); got[0] != first || sorted(key) != "descending" || len(got) != 14 {
			t.Errorf("by %s, the last first: %q", key, got)
		}
	}
	for _, x := range b.did() {
		t.Error(x)
	}
}

func TestPageFiltersByCountsFieldsAndSearch(t *testing.T) {
	_, html := htmlOf(t, resulttest.Inventory(t))
	b := newTab(t)
	b.size(1440, 1000)
	b.open(html, "#sort=-findings")
	const blocked = `.legend button[data-value="blocked"]`
	b.click(blocked)
	if got := b.names(); !slices.Equal(got, []string{"netfx-winforms"}) || b.shown() != "1 of 14" {
		t.Errorf("blocked are %q, %s", got, b.shown())
	}
	if eval[string](b, `document.querySelector('`+blocked+`').getAttribute("aria-pressed")`) != "true" || eval[string](b, `document.getElementById("outlook").value`) != "blocked" {
		t.Error("the filter does not show that it is on")
	}
	b.click(blocked)
	b.press(`[data-chart="rule"] button[data-value="WP1301"]`, "\r")
	if got := b.names(); len(got) != 2 || !slices.Contains(got, "demo") {
		t.Errorf("with WP1301 are %q", got)
	}
	do(b, chromedp.SendKeys(chromedp.CSS("#q"), "retail DEMO"))
	if got := b.names(); !slices.Equal(got, []string{"demo"}) {
		t.Errorf("found are %q", got)
	}
	do(b, chromedp.SendKeys(chromedp.CSS("#q"), " nothing"))
	if got := b.names(); len(got) != 0 || b.shown() != "0 of 14" {
		t.Errorf("found are %q, %s", got, b.shown())
	}
	b.click("#clear")
	b.click(`[data-chart="kind"] button[data-value="static"]`)
	if got := b.names(); !slices.Equal(got, []string{"old-row", "static"}) {
		t.Errorf("static are %q", got)
	}
	if got := eval[string](b, `location.hash`); got != "#kind=static&sort=-findings" {
		t.Errorf("the address is %s", got)
	}
	b.run(`document.getElementById("status").value = "missing"; document.getElementById("status").dispatchEvent(new Event("change"))`)
	if got := b.names(); len(got) != 0 {
		t.Errorf("static and missing are %q", got)
	}
	for _, x := range b.did() {
		t.Error(x)
	}
}

func TestPageShowsAnAppWithItsEvidence(t *testing.T) {
	_, html := htmlOf(t, resulttest.Inventory(t))
	b := newTab(t)
	b.size(1440, 1000)
	b.open(html, "")
	b.press(`tr[data-app="native-service"] button`, "\r")
	do(b, chromedp.WaitVisible(chromedp.CSS("dialog[open]")))
	text := eval[string](b, `document.querySelector("dialog").innerText`)
	r := resulttest.Report(t, "native-service")
	for _, want := range []string{"native-service", "Retail", "WP1108", r.Findings[0].Message, r.Findings[0].Remedy, "clock.exe at 0x3354, 27 bytes", "imports ADVAPI32.dll!StartServiceCtrlDispatcherA", r.Base.Reference, r.Base.Why[0]} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not among the details:\n%s", want, text)
		}
	}
	b.shoot("detail-light")
	b.scheme("dark")
	b.shoot("detail-dark")
	b.keep("detail.pdf", do(b, chromedp.PrintToPDF(chromedp.PDFPaper(chromedp.PaperA4))))
	do(b, chromedp.KeyEvent("\x1b"))
	do(b, chromedp.WaitNotVisible(chromedp.CSS("dialog")))
	if got := eval[string](b, `document.activeElement.closest("tr")?.dataset.app || ""`); got != "native-service" {
		t.Errorf("the focus is on %q", got)
	}
	// What is accepted says so.
	r = resulttest.Report(t, "demo")
	r.Findings[0].Accepted = "the vault holds it"
	_, accepted := htmlOf(t, resulttest.Write(t, map[string][]byte{"results.jsonl": resulttest.Lines(t, resulttest.Of("demo", "apps/demo", r))}))
	b.open(accepted, "#app=demo")
	if got := eval[string](b, `document.querySelector("dialog[open]").innerText`); !strings.Contains(got, "accepted error WP1301") || !strings.Contains(got, "Accepted: the vault holds it") {
		t.Errorf("the page shows %s", got)
	}
	// An address leads to an app, and to a view of the list.
	b.open(html, "#outlook=failed&app=gone")
	if got := eval[string](b, `document.querySelector("dialog[open]").innerText`); !strings.Contains(got, "permission denied") {
		t.Errorf("the address shows %s", got)
	}
	if got := b.names(); !slices.Equal(got, []string{"gone"}) {
		t.Errorf("the address filters %q", got)
	}
	for _, x := range b.did() {
		t.Error(x)
	}
}

func TestNothingFromAnAppRunsInThePage(t *testing.T) {
	s, html := htmlOf(t, resulttest.Hostile(t))
	b := newTab(t)
	b.size(1440, 1000)
	b.open(html, "#sort=outlook")
	const elements = `JSON.stringify([window.canary === undefined, document.querySelectorAll("script").length, document.querySelectorAll("img, iframe, a:not(.skip), style ~ style, form:not(#filters)").length])`
	const fine = "[true,2,0]"
	for i := range s.Apps {
		b.run(fmt.Sprintf(`document.querySelectorAll("#rows tr button")[%d].click()`, i))
		if !eval[bool](b, `document.querySelector("dialog").open`) {
			t.Errorf("app %d shows no details", i)
		}
		if got := eval[string](b, elements); got != fine {
			t.Fatalf("app %d (%.40q): canary, scripts and elements are %s", i, s.Apps[i].Name, got)
		}
		b.run(`document.querySelector("dialog").close()`)
	}
	// Each filter and each order, and what is typed into the search.
	b.run(`document.querySelectorAll("button[data-key], th button, summary").forEach((x) => { x.click(); document.querySelector("dialog").close(); })`)
	b.run(`for (const s of document.querySelectorAll("select")) for (const o of s.options) { s.value = o.value; s.dispatchEvent(new Event("change")); }`)
	for _, x := range resulttest.HostileTexts()[:12] {
		b.run(fmt.Sprintf(`document.getElementById("q").value = %q; document.getElementById("q").dispatchEvent(new Event("input"))`, x))
	}
	if got := eval[string](b, elements); got != fine {
		t.Errorf("canary, scripts and elements are %s", got)
	}
	for _, x := range b.did() {
		t.Error(x)
	}
	if len(s.Apps) < 40 {
		t.Errorf("only %d hostile apps", len(s.Apps))
	}
	// The policy holds against what would slip through, too.
	refused := eval[string](b, `(() => { try { document.body.innerHTML += "<img src=x onerror=canary=1>"; return "taken"; } catch (e) { return e.name; } })()`)
	if refused != "TypeError" {
		t.Errorf("the page takes HTML from a string: %s", refused)
	}
	b.open(html, "#")
	b.shoot("hostile")
}

// contrast lists the texts of a page whose contrast is below 4.5 to 1, which the
// Web Content Accessibility Guidelines ask for at level AA.
const contrast = `(() => {
  const c = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const color = (s) => { c.clearRect(0, 0, 1, 1); c.fillStyle = s; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data]; };
  const over = (top, under) => top.slice(0, 3).map((v, i) => (v * top[3] + under[i] * (255 - top[3])) / 255);
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const bad = new Set();
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest("svg, option, noscript")) continue;
    const chain = [];
    for (let x = e; x; x = x.parentElement) chain.unshift(color(getComputedStyle(x).backgroundColor));
    const under = chain.reduce((b, t) => over(t, b), [255, 255, 255]);
    const text = over(color(getComputedStyle(e).color), under);
    const [a, b] = [light(text), light(under)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.add(e.tagName + "." + e.className + " " + ratio.toFixed(2));
  }
  return [...bad];
})()`

func TestTextHasContrastInLightAndDark(t *testing.T) {
	b := newTab(t)
	b.open([]byte(`<!doctype html><body style="background:#fff"><p class="pale" style="color:#999">pale</p><p>dark</p><footer></footer>`), "")
	if got := eval[[]string](b, contrast); len(got) != 1 || !strings.HasPrefix(got[0], "P.pale") {
		t.Fatalf("the check finds %q", got)
	}
	_, html := htmlOf(t, resulttest.Inventory(t))
	b.size(1440, 1000)
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		for _, fragment := range []string{"#outlook=ready&kind=static", "#app=netfx-winforms", "#app=native-service"} {
			b.open(html, fragment)
			for _, x := range eval[[]string](b, contrast) {
				t.Errorf("%s%s: too little contrast: %s", scheme, fragment, x)
			}
		}
	}
}

func TestCountsCanBeReadWithoutJavaScript(t *testing.T) {
	_, html := htmlOf(t, resulttest.Inventory(t))
	b := newTab(t)
	b.size(1440, 1600)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open(html, "")
	b.shoot("no-script")
	text := do(b, chromedp.Text(chromedp.CSS("body")))
	for _, want := range []string{"of 14 apps can move now", "WP1001 program with a desktop", "never-started", "permission denied", "netfx-service", "already in results-0.jsonl:6", "needs JavaScript"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not to be read in\n%s", want, text)
		}
	}
	if strings.Contains(text, "Search") {
		t.Error("filters that do nothing are shown")
	}
}

// A page of thousands of apps draws what is looked at, and all of it for paper.
func TestLongListIsDrawnAsItIsReadAndPrintedWhole(t *testing.T) {
	s, html := htmlOf(t, resulttest.Many(t, 3000))
	b := newTab(t)
	b.size(1440, 1000)
	b.open(html, "")
	b.shoot("many-light")
	const rows = `document.querySelectorAll("#rows tr").length`
	if got := eval[int](b, rows); got == 0 || got > 500 {
		t.Errorf("%d rows are drawn at once", got)
	}
	b.run(`document.getElementById("apps").scrollIntoView()`)
	b.shoot("many-list")
	b.run(`scrollTo(0, document.body.scrollHeight)`)
	do(b, chromedp.Poll[chromedp.Void](rows+` > 300`))
	b.scheme("dark")
	b.run(`scrollTo(0, 0)`)
	b.shoot("many-dark")
	b.size(1920, 1080)
	b.shoot("many-projector")
	b.size(420, 900)
	b.shoot("many-narrow")
	b.run(`document.getElementById("apps").scrollIntoView()`)
	b.shoot("many-narrow-list")
	b.size(1440, 1000)
	b.run(`document.getElementById("kind").value = "static"; document.getElementById("kind").dispatchEvent(new Event("change"))`)
	want := 0
	for _, a := range s.Apps {
		if a.Kind == "static" {
			want++
		}
	}
	b.keep("many.pdf", do(b, chromedp.PrintToPDF(chromedp.PDFPaper(chromedp.PaperA4))))
	if got := eval[int](b, rows); got != want || want < 150 {
		t.Errorf("%d rows are printed, want %d", got, want)
	}
	for _, x := range b.did() {
		t.Error(x)
	}
}
