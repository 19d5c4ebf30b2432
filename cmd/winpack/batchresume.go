package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/winpack/winpack/cmd/winpack/internal/inventory"
	"github.com/winpack/winpack/cmd/winpack/internal/result"
)

// resume reads what the folder holds and returns the rows that are left to do, by
// their places in the inventory. Lines of rows that are to be done again are dropped,
// and those that another level of --fail-on judges otherwise are changed. It holds few
// lines at a time, however many there are.
func (b *batch) resume(ctx context.Context) ([]int, error) {
	mine := b.mine()
	b.show.all = len(mine)
	r := resumption{batch: b, places: make(map[string]int, len(b.inv.Rows)), done: make([]bool, len(b.inv.Rows)+1), changes: map[string]map[string]result.Change{}}
	for i := range b.inv.Rows {
		r.places[b.inv.Rows[i].Name] = i + 1
	}
	err := b.store.Done(func(d result.Done) error {
		r.lines = append(r.lines, newEarlier(d))
		if len(r.lines) < maxLines {
			return nil
		}
		return r.take(ctx)
	})
	if err == nil {
		err = r.take(ctx)
	}
	if err != nil {
		return nil, err
	}
	if r.lost > 0 {
		b.show.say("note", fmt.Sprintf("of %s that had been pushed the app, its row or its settings have changed, or this batch does not push: the results say no more which image it had, until --push makes a new one", apps(r.lost)))
	}
	if err := b.store.Change(ctx, r.changes); err != nil {
		return nil, err
	}
	var todo []int
	for _, i := range mine {
		if !r.done[i+1] {
			todo = append(todo, i)
		}
	}
	return todo, nil
}

// maxLines is how many lines of results are looked at together.
const maxLines = 1024

// resumption is what the lines so far say of a batch.
type resumption struct {
	*batch
	places  map[string]int // of all rows by their names, from 1
	lines   []earlier      // that are not taken yet
	done    []bool         // rows, by their places
	changes map[string]map[string]result.Change
	lost    int // images that were pushed and are known no more
}

// take looks at lines: a fingerprint reads the app's folder, so that cores share them.
func (r *resumption) take(ctx context.Context) error {
	own := r.store.FileName()
	again, judged := make([]bool, len(r.lines)), make([]fingerprint, len(r.lines))
	parallel(len(r.lines), func(i int) {
		e, place := r.lines[i], r.places[r.lines[i].name]
		// A line in this shard's file is this shard's to change, whoever does the row.
		if ctx.Err() != nil || e.file != own && !r.shard.Holds(e.name) {
			return
		}
		if place == 0 { // the row left the inventory
			again[i] = r.retryFailed && e.status == result.Failed
			return
		}
		row := r.inv.Rows[place-1]
		now := r.fingerprint(row)
		again[i] = r.retryFailed && e.status == result.Failed || !e.fingerprint.covers(now, r.today) || e.image && r.build && !r.push && !r.hasLayout(row)
		if again[i] || e.fingerprint.level == now.level {
			return
		}
		level, err := r.failOn(row)
		if again[i] = err != nil; err == nil && e.judged(level) != e.status {
			judged[i], r.lines[i].status = e.fingerprint, e.judged(level)
			judged[i].level = now.level
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i, e := range r.lines {
		if again[i] {
			r.change(e, result.Change{})
			if e.reference != "" && !r.push {
				r.lost++
			}
			continue
		}
		if judged[i].app != "" {
			r.change(e, result.Change{Status: e.status, Fingerprint: judged[i].String()})
		}
		place := r.places[e.name]
		mine := place > 0 && r.shard.Holds(e.name)
		if mine && r.done[place] {
			continue // a second line, which report names
		}
		r.done[place] = mine || r.done[place]
		r.show.old(e, mine, place > 0, own)
		if e.reference != "" && place > 0 { // a row that left the inventory holds no reference
			_ = r.refs.claim(e.reference, e.name)
		}
	}
	r.lines = r.lines[:0]
	return nil
}

// hasLayout says whether the image that --build made of a row is still there.
func (b *batch) hasLayout(r inventory.Row) bool {
	_, err := os.Stat(filepath.Join(b.dir, "apps", r.Folder, "image", "index.json"))
	return err == nil
}

func (r *resumption) change(e earlier, c result.Change) {
	if r.changes[e.file] == nil {
		r.changes[e.file] = map[string]result.Change{}
	}
	r.changes[e.file][e.name] = c
}
