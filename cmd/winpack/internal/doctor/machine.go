package doctor

import (
	"os"
	"runtime"
	"strings"
	"time"
)

// Machine is the machine that winpack runs on.
type Machine struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	OSVersion    string `json:"osVersion"` // of Windows, like 10.0.20348; empty elsewhere
	// Isolation says how Docker isolates Windows containers here unless told
	// otherwise: "process" or "hyperv"; empty where none can run.
	Isolation string `json:"isolation"`
	Temp      Folder `json:"temp"` // for temporary files
	Dir       Folder `json:"dir"`  // the current one; nothing is written to it
	Clock     Clock  `json:"clock"`
}

// Folder is a folder and what can be put there.
type Folder struct {
	Path      string `json:"path"`
	Writable  bool   `json:"writable"`  // tried for temporary files alone
	FreeBytes int64  `json:"freeBytes"` // -1 when unknown
	Problem   string `json:"problem"`
}

// Clock is the time of this machine, and how far it is ahead of a registry's.
type Clock struct {
	Time         string `json:"time"`         // UTC, RFC 3339
	AheadSeconds int    `json:"aheadSeconds"` // negative when behind
	Against      string `json:"against"`      // the registry; empty where none told its time
}

func lookAt(temp, dir string) Machine {
	m := Machine{OS: runtime.GOOS, Architecture: runtime.GOARCH, Clock: Clock{Time: time.Now().UTC().Format(time.RFC3339)}}
	m.OSVersion, m.Isolation = windowsHost()
	m.Temp = Folder{Path: temp, FreeBytes: free(temp)}
	file, err := os.CreateTemp(temp, "winpack-*")
	if err != nil {
		m.Temp.Problem = strings.Join(strings.Fields(err.Error()), " ")
	} else {
		m.Temp.Writable = true
		file.Close()
		_ = os.Remove(file.Name())
	}
	m.Dir = Folder{Path: dir, FreeBytes: free(dir)}
	return m
}

// free is how many bytes a user may still write to the disk of a folder, -1 when
// unknown.
func free(path string) int64 {
	if n, err := freeBytes(path); err == nil {
		return n
	}
	return -1
}
