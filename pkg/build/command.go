package build

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// sshOptions keep ssh from asking a person something.
func sshOptions() []string { return []string{"-o", "BatchMode=yes"} }

// commandConn is the way to a daemon through a command: ssh, docker exec. Where the
// command has ended it says why, and not only that its pipe is broken.
type commandConn struct {
	net.Conn
	once   sync.Once
	ended  chan struct{} // closed once why is known
	why    error
	closed atomic.Bool
}

func throughCommand(c net.Conn) net.Conn { return &commandConn{Conn: c, ended: make(chan struct{})} }

func (c *commandConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && commandFailed.MatchString(err.Error()) {
		c.once.Do(func() {
			c.why = err
			close(c.ended)
		})
	}
	return n, err
}

func (c *commandConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) || c.closed.Load() {
		return n, err
	}
	// Only reading tells why; somebody else may be about to be told.
	_, _ = c.Read(make([]byte, 1))
	select {
	case <-c.ended:
		err = c.why
	case <-time.After(time.Second):
	}
	return n, err
}

func (c *commandConn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

// commandFailed is how docker's library tells that the command ended: its first word,
// how, and what it printed.
var commandFailed = regexp.MustCompile(`(?s)command \[(\S+).*?\] has exited with (.*?), make sure the URL is valid.*?stderr=(.*)`)

// commandSaid leaves the last line that the command printed of such an error; a command
// may have started another one.
func commandSaid(err error) error {
	m := commandFailed.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	lines := slices.Collect(strings.Lines(strings.TrimSpace(m[3])))
	if len(lines) == 0 {
		return fmt.Errorf("%s ended with %s", m[1], m[2])
	}
	last := strings.TrimSpace(lines[len(lines)-1])
	if commandFailed.MatchString(last) {
		return commandSaid(errors.New(last))
	}
	return fmt.Errorf("%s: %s", m[1], strings.TrimPrefix(last, m[1]+": "))
}
