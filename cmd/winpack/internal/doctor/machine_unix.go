//go:build linux || darwin

package doctor

import "golang.org/x/sys/unix"

func windowsHost() (version, isolation string) { return "", "" }

func freeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(path, &st)
	return int64(st.Bavail) * int64(st.Bsize), err
}
