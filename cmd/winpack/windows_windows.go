package main

import (
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/winpack/winpack/cmd/winpack/internal/winhost"
)

// workstation is VER_NT_WORKSTATION (OSVERSIONINFOEXW, winnt.h): a client.
const workstation = 1

// thisWindows is the Windows build of this machine; ok is false where it can't be
// told. RtlGetVersion says the truth to programs without a manifest too, and the
// registry alone has the revision.
func thisWindows() (b winhost.Build, client, ok bool) {
	v := windows.RtlGetVersion()
	if v == nil || v.MajorVersion < 10 {
		return winhost.Build{}, false, false
	}
	b = winhost.Build{Number: int(v.BuildNumber), Revision: -1}
	if key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Windows NT\CurrentVersion`, registry.QUERY_VALUE); err == nil {
		if revision, _, err := key.GetIntegerValue("UBR"); err == nil && revision < 1<<31 {
			b.Revision = int(revision)
		}
		key.Close()
	}
	return b, v.ProductType == workstation, true
}
