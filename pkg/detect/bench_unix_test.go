//go:build unix

package detect_test

import (
	"syscall"
	"time"
)

// processorTime is what this process and those that it ran have used.
func processorTime() time.Duration {
	var all time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) != nil {
			return 0
		}
		all += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return all
}
