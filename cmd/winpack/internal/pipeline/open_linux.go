package pipeline

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// open opens a file or folder of the app. As with os.Root no link leads out of
// the folder; but the kernel walks the path by itself (openat2, Linux 5.6), and
// what was opened so lists a folder without asking for the state of every entry.
// Together that halves the time of looking at a large folder.
func (a appFS) open(name string) (*os.File, error) {
	name = filepath.FromSlash(name)
	fd := -1
	var err error
	if cerr := a.topConn.Control(func(top uintptr) {
		for {
			fd, err = unix.Openat2(int(top), name, &unix.OpenHow{
				Flags:   unix.O_RDONLY | unix.O_CLOEXEC,
				Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
			})
			if err != unix.EINTR {
				return
			}
		}
	}); cerr != nil || err != nil {
		return a.root.Open(name) // older kernels; and its errors say more
	}
	return os.NewFile(uintptr(fd), filepath.Join(a.root.Name(), name)), nil
}
