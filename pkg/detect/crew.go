package detect

import "sync"

// crew runs functions at the same time. A panic of one, which would end the
// process, becomes one of Wait, where it can be recovered from.
type crew struct {
	running  sync.WaitGroup
	first    sync.Once
	panicked any
}

func (c *crew) Go(f func()) {
	c.running.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				c.first.Do(func() { c.panicked = p })
			}
		}()
		f()
	})
}

func (c *crew) Wait() {
	c.running.Wait()
	if c.panicked != nil {
		panic(c.panicked)
	}
}
