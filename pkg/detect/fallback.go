package detect

import (
	"slices"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

const (
	userInteractive = "System.Environment::get_UserInteractive"
	infinite        = "System.Threading.Timeout::Infinite"
	infiniteSpan    = "System.Threading.Timeout::InfiniteTimeSpan"
)

// Members of the public API of .NET by which a program stays in the foreground, or
// only seems to.
var (
	// consoleReads end at once, or fail, in a container that nobody attached a
	// console to, as docker run -d and Kubernetes start it.
	consoleReads = []string{
		"System.Console::Read", "System.Console::ReadLine", "System.Console::ReadKey",
		"System.Console::get_In", "System.Console::OpenStandardInput", "System.Console::get_KeyAvailable",
	}
	// waits block until something else happens, where they are given no time.
	waits = []string{
		"System.Threading.WaitHandle::WaitOne", "System.Threading.WaitHandle::WaitAny", "System.Threading.WaitHandle::WaitAll",
		"System.Threading.ManualResetEventSlim::Wait", "System.Threading.CountdownEvent::Wait", "System.Threading.SemaphoreSlim::Wait",
		"System.Threading.Monitor::Wait", "System.Threading.Thread::Join",
		"System.Threading.Tasks.Task::Wait", "System.Threading.Tasks.Task::WaitAll", "System.Threading.Tasks.Task::WaitAny",
		"System.Net.HttpListener::GetContext", "System.Net.Sockets.TcpListener::AcceptTcpClient", "System.Net.Sockets.TcpListener::AcceptSocket",
		"System.Net.Sockets.Socket::Accept", "System.Diagnostics.Process::WaitForExit",
		"System.Collections.Concurrent.BlockingCollection`1::Take",
	}
	// sleeps take a time: without end, or again and again.
	sleeps = []string{"System.Threading.Thread::Sleep", "System.Threading.Tasks.Task::Delay"}
)

// readFallback looks for a program that stays in the foreground where no service
// manager started it: started without arguments and with UserInteractive set, it
// waits for something, without reading from the console or running the service. In
// doubt it is none, for the start script of a service always works.
func (tr *traits) readFallback(entry assembly, libraries func() []assembly) {
	assume := pe.Assume{NoArguments: true, Values: map[string]int32{userInteractive: 1, infinite: -1, infiniteSpan: -1}}
	var asked, wait []Evidence
	whole := true
	called := map[string]bool{} // true for what was called, false where its address was taken
	take := func(a assembly, later bool, steps []pe.Step) (ended bool) {
		for _, s := range steps {
			s.Later = s.Later || later
			direct := !s.Later && !s.Address
			called[s.Member] = called[s.Member] || direct
			switch is := func(list []string) bool { return slices.Contains(list, s.Member) }; {
			case is(serviceRuns):
				return true
			case is(consoleReads):
				if tr.held == nil {
					tr.held = []Evidence{a.evidence(s.Span, s.Caller+" calls "+s.Member+": in a container without a console that ends at once")}
				}
			case s.Member == userInteractive && asked == nil:
				asked = []Evidence{a.evidence(s.Span, s.Caller+" asks Environment.UserInteractive")}
			case wait == nil && direct && (is(waits) && (!s.Known || s.Number < 0 || s.Loop) || is(sleeps) && (s.Known && s.Number < 0 || s.Loop)):
				wait = []Evidence{a.evidence(s.Span, "and "+s.Caller+" calls "+s.Member)}
			}
		}
		return false
	}
	ended := false
	ask := func(a assembly, later bool, member func(string) bool) {
		a.code(func(clr *pe.CLR) error {
			if member == nil && clr.EntryPoint == 0 {
				return nil
			}
			steps, err := clr.Follow(member, assume)
			whole = whole && err == nil
			ended = ended || take(a, later, steps)
			if err == pe.ErrTangled { // nothing is broken
				return nil
			}
			return err
		})
	}
	ask(entry, false, nil)
	// From one assembly into the next: only what was called newly is looked for.
	done := map[string]bool{}
	settled := false
	for round := 0; round < maxRounds && !ended; round++ {
		fresh := map[string]bool{}
		for member, direct := range called {
			if old, seen := done[member]; !seen || direct && !old {
				fresh[member], done[member] = direct, direct
			}
		}
		if settled = len(fresh) == 0 || len(libraries()) == 0; settled {
			break
		}
		for _, lib := range libraries() {
			for _, direct := range []bool{true, false} {
				ask(lib, !direct, func(name string) bool { d, ok := fresh[name]; return ok && d == direct })
			}
		}
	}
	switch {
	case ended || asked == nil || !whole || !settled:
		tr.held = nil
	case tr.held == nil && wait != nil:
		tr.foreground = append(asked, wait...)
	}
}
