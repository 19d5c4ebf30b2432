package doctor

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// workstation is VER_NT_WORKSTATION of OSVERSIONINFOEXW.wProductType.
const workstation = 1

// windowsHost is the version of this Windows and how Docker isolates containers
// on it: in processes of a Server, by Hyper-V on a client
// (learn.microsoft.com/virtualization/windowscontainers/manage-containers/hyperv-container).
func windowsHost() (version, isolation string) {
	v := windows.RtlGetVersion()
	isolation = "process"
	if v.ProductType == workstation {
		isolation = "hyperv"
	}
	return fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber), isolation
}

func freeBytes(path string) (int64, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	var n uint64
	err = windows.GetDiskFreeSpaceEx(name, &n, nil, nil)
	return int64(n), err
}
