package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/winpack/winpack/cmd/winpack/internal/report"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
	"github.com/winpack/winpack/cmd/winpack/internal/summary"
	"github.com/winpack/winpack/pkg/build"
	"github.com/winpack/winpack/pkg/detect"
)

// outcome is a row that is done.
type outcome struct {
	name, what string
	status     result.Status
	outlook    summary.Outlook
	level      bool // --fail-on has a level for it
	line       []byte
}

// earlier is a row that was done before this run, or by another shard.
type earlier struct {
	file, name       string
	status           result.Status
	outlook          summary.Outlook
	fingerprint      fingerprint
	reference        string // of the image that was pushed
	image            bool   // one was made
	errors, warnings bool   // it has findings of that level or a worse one
}

func newEarlier(d result.Done) earlier {
	e := earlier{file: d.File, name: d.Name, status: d.Status, outlook: summary.OutlookOf(&d.Result), fingerprint: parseFingerprint(d.Fingerprint)}
	if d.Image != nil {
		e.reference, e.image = d.Image.Reference, true
	}
	if d.Report != nil {
		e.errors = len(d.Report.AtLeast(detect.LevelError)) > 0
		e.warnings = e.errors || len(d.Report.AtLeast(detect.LevelWarning)) > 0
	}
	return e
}

// judged is the status of the row at a level of --fail-on.
func (e earlier) judged(level string) result.Status {
	switch {
	case e.status != result.OK && e.status != result.Findings:
		return e.status
	case level == "error" && e.errors, level == "warning" && e.warnings:
		return result.Findings
	}
	return result.OK
}

// run does what is left to do. Where ctx ends rows that run are finished and no
// other is started; a second signal ends them too.
func (b *batch) run(ctx context.Context) (err error) {
	if b.build {
		debug.SetGCPercent(50) // as for one build: halves the peak
	}
	ctx, hard, stop := b.signals(ctx)
	defer stop()
	shard := ""
	index, count := -1, 0
	if !b.shard.Whole() {
		shard, index, count = b.shard.String(), b.shard.Index, b.shard.Count
	} else if b.env.getenv("JOB_COMPLETION_INDEX") != "" {
		b.show.say("note", "JOB_COMPLETION_INDEX is set and no --shard: this pod does all rows, as does each other one")
	}
	if b.store, err = result.OpenStore(b.dir, result.FileName(index), count); err != nil {
		return diskError("opening the results in", b.dir, err)
	}
	defer func() { err = errors.Join(err, b.store.Close()) }()
	if err := result.WriteRows(b.dir, b.rows); err != nil {
		return diskError("writing the list of rows to", b.dir, err)
	}
	if err := result.WriteBatch(b.dir, b.command); err != nil {
		return diskError("writing the command to", b.dir, err)
	}
	todo, err := b.resume(ctx)
	if err != nil {
		return diskError("reading the results in", b.dir, err)
	}
	b.show.begin()
	err = b.work(ctx, hard, todo)
	b.show.p.close()
	if err != nil {
		return diskError("writing results to", b.dir, err)
	}
	if err := b.show.summary(b.env.stdout, b.quiet, shard, shown(b.dir)); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return b.show.verdict(b.level, filepath.Join(shown(b.dir), b.store.FileName()))
}

// rows are what rows.jsonl lists.
func (b *batch) rows(yield func(result.Row) bool) {
	for _, r := range b.inv.Rows {
		if !yield(result.Row{Name: r.Name, Source: report.MaskLogins(r.Source), Owner: report.MaskLogins(r.Owner), Labels: maskedLabels(r.Labels)}) {
			return
		}
	}
}

// maskedLabels are the columns of a row without logins: one may hold where the app's
// code is.
func maskedLabels(labels map[string]string) map[string]string {
	if labels == nil {
		return nil
	}
	out := make(map[string]string, len(labels))
	for key, value := range labels {
		out[report.MaskLogins(key)] = report.MaskLogins(value)
	}
	return out
}

// signals returns a context that ends by the first signal and one that ends by the
// second. A third one ends the process.
func (b *batch) signals(ctx context.Context) (soft, hard context.Context, stop func()) {
	soft, softCancel := context.WithCancel(ctx)
	hard, hardCancel := context.WithCancel(context.WithoutCancel(ctx))
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			case <-signals:
			}
			if n == 1 {
				softCancel()
				b.show.say("interrupted", "finishing what runs; once more stops at once")
				continue
			}
			signal.Stop(signals)
			hardCancel()
			return
		}
	}()
	return soft, hard, func() {
		signal.Stop(signals)
		close(done)
		softCancel()
		hardCancel()
	}
}

// parallel calls f for 0 to n-1 on all cores.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// work does rows, some at a time, and writes a line for each.
func (b *batch) work(ctx, hard context.Context, todo []int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hard, kill := context.WithCancel(hard)
	defer kill()
	var session *build.Session
	if b.build {
		session = build.NewSession(hard, nil)
		defer session.Close()
	}
	rows, outcomes := make(chan int), make(chan outcome, b.jobs)
	var workers sync.WaitGroup
	for range min(b.jobs, len(todo)) {
		workers.Go(func() {
			for i := range rows {
				if o, ok := b.outcome(hard, i, session); ok {
					outcomes <- o
				}
			}
		})
	}
	go func() {
		defer func() {
			close(rows)
			workers.Wait()
			close(outcomes)
		}()
		for _, i := range todo {
			if ctx.Err() != nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case rows <- i:
			}
		}
	}()
	var failed error
	for o := range outcomes {
		together := append([]outcome{}, o)
		for more := true; more && len(together) < 256; { // synced at once
			select {
			case o, ok := <-outcomes:
				if more = ok; ok {
					together = append(together, o)
				}
			default:
				more = false
			}
		}
		if failed != nil {
			continue
		}
		var lines []byte
		for _, o := range together {
			lines = append(lines, o.line...)
		}
		if failed = b.store.Append(lines); failed != nil {
			cancel()
			kill()
			continue
		}
		for _, o := range together {
			b.show.finished(o)
		}
	}
	return failed
}

// outcome does a row. ok is false where it was interrupted.
func (b *batch) outcome(ctx context.Context, place int, session *build.Session) (outcome, bool) {
	r, level, ok := b.do(ctx, b.inv.Rows[place], session)
	if !ok {
		return outcome{}, false
	}
	line, err := report.JSONLine(r)
	if err != nil {
		r.Report, r.Status, r.Error = nil, result.Failed, fmt.Sprintf("writing the result: %v", err)
		if line, err = report.JSONLine(r); err != nil {
			return outcome{}, false
		}
	}
	o := outcome{name: r.Name, status: r.Status, outlook: summary.OutlookOf(&r), what: r.Error, level: level == "error" || level == "warning", line: line}
	if o.what == "" && r.Report != nil {
		o.what = says(r, level)
	}
	return o, true
}

// says is what a line of progress tells of a result that is no failure.
func says(r result.Result, level string) string {
	text := string(r.Report.App.Kind)
	if n := len(r.Report.Apps); n > 0 {
		text = fmt.Sprintf("%d apps", n)
	}
	at := detect.LevelBlocker
	if r.Status == result.Findings {
		at = detect.Level(level)
	}
	if found := r.Report.AtLeast(at); r.Status != result.OK && len(found) > 0 {
		text += ": " + found[0].Rule + ": " + found[0].Message
		if n := len(found) - 1; n > 0 {
			text += fmt.Sprintf(" (and %d more)", n)
		}
	} else if r.Report.Base.Reference != "" {
		text += " on " + r.Report.Base.Reference
	}
	if r.Image != nil {
		text += ", " + r.Image.Digest
	}
	return text
}
